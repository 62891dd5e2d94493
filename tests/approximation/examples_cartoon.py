"""Rows of the table of examples: horizon functions and polygons."""

import numpy as np

from jaxtheory.approximation import cartoon
from tests.example_rows import Example, float32


def around(rng, number):
    """The vertices of a random polygon about the origin, which sticks out of the square."""
    angles = 2 * np.pi * (np.arange(number) + rng.uniform(-0.2, 0.2, number)) / number
    radii = rng.uniform(0.2, 0.6, number)
    return np.float32(radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1))


EXAMPLES: list[Example] = [
    Example(
        cartoon.weierstrass,
        lambda rng: (float32(rng, 3), float32(rng, 4), np.float32(0.5)),
        differentiable=(0, 1, 2),
    ),
    Example(cartoon.jump_error, lambda rng: (float32(rng, 5), np.float32(0.7)), differentiable=(0, 1)),
    Example(cartoon.horizon_image, lambda rng: (np.float32(rng.uniform(-0.4, 0.4, 5)),), {"columns": 7}),
    Example(
        cartoon.star,
        lambda rng: (float32(rng, 3), float32(rng, 4), np.float32(1.5)),
        differentiable=(0, 1, 2),
    ),
    Example(cartoon.polygon_image, lambda rng: (around(rng, 5),), {"shape": (4, 3)}),
    Example(
        cartoon.polygon_fourier,
        lambda rng: (around(rng, 5), np.float32(rng.integers(-2, 3, (4, 2)))),
        half="waves are complex, and there is no complex dtype of half precision",
    ),
]

NOT_TRACED: dict[str, str] = {}
