"""Rows of the table of examples: attacks, each of one linear model."""

from functools import wraps

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


EXAMPLES: list[Example] = [
    Example(
        _attack(adversarial.fgsm), lambda rng: (*_model(rng), np.float32(0.3)), None, (1, 2, 3), grad=SIGNS,
        integer="pixels from 0 to 1 are no whole numbers, and whole ones below 0 are refused",
    ),
    Example(
        _budget(adversarial.pgd, steps=3, restarts=2), _with_key, None, (1, 2, 4), vmap=DRAWN, grad=SIGNS,
        integer="pixels from 0 to 1 are no whole numbers, and whole ones below 0 are refused",
        x64=OTHER_DRAWS,
    ),
    Example(
        _budget(adversarial.momentum, steps=3), lambda rng: (*_model(rng), np.float32(0.3)), None, (1, 2, 3),
        grad=SIGNS, integer="pixels from 0 to 1 are no whole numbers, and whole ones below 0 are refused",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {}
