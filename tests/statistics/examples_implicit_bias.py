"""Rows of the table of examples: separators, and gradient descent on its way to them."""

import numpy as np

from jaxtheory.statistics import implicit_bias
from tests.example_rows import Example, float32

LABELS = np.arange(8) % 2
ONE = "one set of examples at a time"
LOOP = "a loop whose number of steps is an argument has no reverse mode"


def _separable(rng):
    """Eight points of three coordinates, of which the first tells their classes."""
    x = float32(rng, 8, 3)
    x[:, 0] = np.where(LABELS, 1, -1) * (1 + np.abs(x[:, 0]))
    return x, LABELS


EXAMPLES: list[Example] = [
    Example(
        implicit_bias.max_margin, _separable, vmap=ONE, grad=LOOP, half=ONE, tolerance=1e-3,
        x64="its residual is the rounding itself; tests/statistics holds its separator against scikit-learn",
    ),
    Example(
        implicit_bias.gradient_descent,
        lambda rng: (float32(rng, 3), *_separable(rng)),
        {"times": np.array([2, 5]), "rate": 0.1, "normalized": True},
        vmap=ONE, grad=LOOP, half=ONE,
    ),
    Example(
        implicit_bias.progress,
        lambda rng: (float32(rng, 3), *_separable(rng), float32(rng, 3)),
        half="it measures how small a difference is, which half precision does not hold",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {}
