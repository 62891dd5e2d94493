"""Rows of the table of examples: attacks, each of one linear model."""

from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.core.dtypes import real_arrays
from jaxtheory.inspection import adversarial
from tests.example_rows import Example, float32

SIGNS = "a direction of signs, and the best of several points, are piecewise constant"
DRAWN = "each example of a batch has random draws of its own, and one alone has the first ones"
OTHER_DRAWS = "the same key gives other numbers in double precision"


def _linear(params, x):
    (params, x), _ = real_arrays(params=params, x=x)
    return jnp.matmul(x, params, precision="highest")


def _model(rng):
    """Weights of a linear model of three classes, an example, and its label."""
    return float32(rng, 6, 3), np.float32(rng.uniform(0.2, 0.8, 6)), np.int32(rng.integers(3))


def _attack(function, **fixed):
    """An attack of the linear model, as a function of weights, example, label and what else it takes."""

    @wraps(function)
    def attack(*args):
        return function(_linear, *args, **fixed)

    return attack


def _budget(function, **fixed):
    """The same with epsilon as the last argument."""

    @wraps(function)
    def attack(*args):
        return function(_linear, *args[:-1], epsilon=args[-1], **fixed)

    return attack


def _with_key(rng):
    return *_model(rng), jax.random.key(0), np.float32(0.3)


PIXELS = "pixels from 0 to 1 are no whole numbers, and whole ones below 0 are refused"
SEARCHED = "what a search ends with has no derivative of its own"
HALF = "its arguments are taken and its results given back as those of fgsm and deepfool are"
KEYED = {"vmap": DRAWN, "x64": OTHER_DRAWS, "half": HALF}


def _image(rng):
    """The same with images of two rows and three columns, and a key."""
    params, x, y = _model(rng)
    return params, x.reshape(2, 3), y, jax.random.key(0), np.float32(0.3)


def _of_images(params, x):
    return _linear(params, x.reshape(len(x), 6))


@wraps(adversarial.square)
def _square(*args):
    return adversarial.square(_of_images, *args[:-1], epsilon=args[-1], queries=3)


@wraps(adversarial.robust_accuracy)
def _robust(*args):
    return adversarial.robust_accuracy(_linear, *args[:3], ATTACKS, args[3])


ATTACKS = (partial(adversarial.fgsm, epsilon=0.1), partial(adversarial.pgd, epsilon=0.2, steps=2))


def _keyed(rng):
    return *_model(rng), jax.random.key(0)


EXAMPLES: list[Example] = [
    Example(
        _attack(adversarial.fgsm), lambda rng: (*_model(rng), np.float32(0.3)), None, (1, 2, 3), grad=SIGNS,
        integer=PIXELS,
    ),
    Example(
        _budget(adversarial.pgd, steps=3, restarts=2), _with_key, None, (1, 2, 4), grad=SIGNS, integer=PIXELS,
        **KEYED,
    ),
    Example(
        _budget(adversarial.momentum, steps=3), lambda rng: (*_model(rng), np.float32(0.3)), None, (1, 2, 3),
        grad=SIGNS, integer=PIXELS, half=HALF, jit="its way up is that of pgd, which is compiled in its row",
    ),
    Example(
        _attack(adversarial.deepfool, bounds=None), _model, None, (1, 2), integer=PIXELS, grad=SEARCHED,
    ),
    Example(
        _attack(adversarial.carlini_wagner, steps=20, searches=2, weight=1.0), _model, None, (1, 2),
        integer=PIXELS, grad=SEARCHED, half=HALF, x64="Adam's first steps are signs of gradients, zeros too",
    ),
    Example(_square, _image, None, (1, 2, 4), integer=PIXELS, grad=SEARCHED, **KEYED),
    Example(
        _attack(adversarial.boundary, steps=3), _keyed, None, (1, 2), integer=PIXELS, grad=SEARCHED, **KEYED,
    ),
    Example(
        _robust, _keyed, None, (1, 2), integer=PIXELS, grad=SIGNS, **KEYED,
        jit="it compiles several attacks; tests/inspection/test_adversarial_searches.py calls it",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {}
