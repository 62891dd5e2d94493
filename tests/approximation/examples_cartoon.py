"""Rows of the table of examples: horizon functions."""

import numpy as np

from jaxtheory.approximation import cartoon
from tests.example_rows import Example, float32

EXAMPLES: list[Example] = [
    Example(
        cartoon.weierstrass,
        lambda rng: (float32(rng, 3), float32(rng, 4), np.float32(0.5)),
        differentiable=(0, 1, 2),
    ),
    Example(cartoon.jump_error, lambda rng: (float32(rng, 5), np.float32(0.7)), differentiable=(0, 1)),
    Example(cartoon.horizon_image, lambda rng: (np.float32(rng.uniform(-0.4, 0.4, 5)),), {"columns": 7}),
]

NOT_TRACED: dict[str, str] = {}
