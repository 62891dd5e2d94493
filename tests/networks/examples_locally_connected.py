"""Rows of the table of examples: locally connected networks."""

from jaxtheory.networks import locally_connected
from tests.example_rows import Example, float32

EXAMPLES: list[Example] = [
    Example(
        locally_connected.unshared,
        lambda rng: (float32(rng, 4, 3, 2), float32(rng, 2, 2, 3, 2, 2, 3)),
        {"strides": 2},
        differentiable=(0, 1),
    ),
]

NOT_TRACED: dict[str, str] = {}
