"""Rows of the table of examples: stochastic approximation, and gradients by other ways than backward."""

from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.landscape import stochastic_approximation as approximation
from tests.example_rows import Example, float32

ITS_OWN_DTYPE = "the function is the caller's, and computes in the dtype of its argument"
ALL_AXES = "all axes belong to the point"


def _value(x):
    return jnp.sum(jnp.tanh(x) ** 2 * jnp.exp(x / 4))


def _noisy_gradient(x, key):
    return x + 0.1 * jax.random.normal(key, x.shape, jnp.float32)


def _noisy_value(x, key):
    return _value(x) + 0.01 * jax.random.normal(key, (), jnp.float32)


@wraps(approximation.robbins_monro)
def _robbins_monro(x, gain):
    init, step = approximation.robbins_monro(_noisy_gradient, gain=gain)
    return step(init(x), jax.random.key(0)).x


@wraps(approximation.kiefer_wolfowitz)
def _kiefer_wolfowitz(x, gain, width):
    init, step = approximation.kiefer_wolfowitz(_noisy_value, gain=gain, width=width)
    return step(init(x), jax.random.key(0)).x


@wraps(approximation.iterates)
def _iterates(x, key, **options):
    scheme = approximation.robbins_monro(_noisy_gradient, gain=0.5)
    return approximation.iterates(scheme, x, key, **options)


def _of(method):
    """A way to a gradient as a function of the point."""

    @wraps(method)
    def gradient(x, **options):
        return method(_value, x, **options)

    return gradient


def _row(function, make, options=None, **facts):
    return Example(function, make, options, vmap=ALL_AXES, half=ITS_OWN_DTYPE, **facts)


EXAMPLES: list[Example] = [
    _row(_robbins_monro, lambda rng: (float32(rng, 3), np.float32(0.5)), differentiable=(0, 1)),
    _row(
        _kiefer_wolfowitz,
        lambda rng: (float32(rng, 3), np.float32(0.5), np.float32(0.5)),
        differentiable=(0, 1),
    ),
    _row(
        _iterates,
        lambda rng: (float32(rng, 3), jax.random.key(0)),
        {"times": (2, 5)},
        grad="loops of varying length have no backward pass",
        export=True,
    ),
    _row(_of(approximation.forward_gradient), lambda rng: (float32(rng, 5),)),
    _row(
        _of(approximation.complex_step_gradient),
        lambda rng: (float32(rng, 5),),
        grad="the derivative of its imaginary part is rounded at the size of the step",
    ),
    _row(_of(approximation.central_gradient), lambda rng: (float32(rng, 5),), {"step": 0.01}, tolerance=1e-4),
]

NOT_TRACED: dict[str, str] = {}
