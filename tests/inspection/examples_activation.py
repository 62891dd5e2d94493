"""Rows of the table of examples: maximizers of units."""

from functools import wraps

import jax.numpy as jnp
import numpy as np

from jaxtheory.inspection import activation
from tests.example_rows import Example, float32

WEIGHTS = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)


def _features(params, x):
    return jnp.tanh(x @ params)


def _prior(x):
    return jnp.sum(x**2) / 4


@wraps(activation.maximize)
def _maximize(x, units):
    return activation.maximize(_features, WEIGHTS, x, units, prior=_prior, bounds=(-1, 1), steps=5)


EXAMPLES: list[Example] = [
    Example(
        _maximize, lambda rng: (0.3 * float32(rng, 6), np.int32(rng.integers(3))), None, (0, 1), (0,),
        grad="the number of steps is no constant of the program, so that it has no reverse mode",
        integer="units are whole numbers, which the same numbers as floats are not",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {
    "inspection.activation.search.ascent": "makes a pair of functions; its tests compile the step",
}
