"""Rows of the table of examples: the perceptron, and the order of predicates."""

import numpy as np

from jaxtheory.networks import perceptron
from tests.example_rows import ONE_MODEL, Example, float32

LABELS = np.arange(6) % 2
STEPS = "mistakes are whole numbers, and the weights a sum of examples that jumps"
PROGRAM = "solves linear programs in NumPy and SciPy, in rational numbers where it can"


def _separable(rng):
    """Six points of three coordinates, of which the first tells their classes."""
    x = float32(rng, 6, 3)
    x[:, 0] = np.where(LABELS, 1, -1) * (1 + np.abs(x[:, 0]))
    return x, LABELS


EXAMPLES: list[Example] = [
    Example(perceptron.fit, _separable, {"variant": "average"}, vmap=ONE_MODEL, grad=STEPS, half=ONE_MODEL),
    Example(
        perceptron.mistake_bound,
        lambda rng: (*_separable(rng), np.float32([1, 0.1, 0.1]), np.float32(0.1)),
        vmap=ONE_MODEL,
        half=ONE_MODEL,
        tolerance=1e-5,
    ),
]

NOT_TRACED: dict[str, str] = {
    "networks.perceptron.separation.separate": PROGRAM,
    "networks.predicates.certificates.imbalance": "counts in rational numbers",
    "networks.predicates.figures.at_least": "NumPy's, of figures that linear programs go through",
    "networks.predicates.figures.connected": "NumPy's, a flood in whole numbers",
    "networks.predicates.figures.euler_number": "NumPy's, of figures that linear programs go through",
    "networks.predicates.figures.exactly": "NumPy's, of figures that linear programs go through",
    "networks.predicates.figures.one_in_each_box": "NumPy's, of figures that linear programs go through",
    "networks.predicates.figures.parity": "NumPy's, of figures that linear programs go through",
    "networks.predicates.orders.linear_form": PROGRAM,
    "networks.predicates.orders.order": PROGRAM,
    "networks.rationals.nonnegative": "whole numbers of any length",
    "networks.rationals.solve": "whole numbers of any length",
}
