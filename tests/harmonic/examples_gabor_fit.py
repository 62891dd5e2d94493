"""Rows of the table of examples: Gabor fits."""

import numpy as np

from jaxtheory.harmonic import gabor_fit
from tests.example_rows import Example, float32


def _wave(rng):
    """A Gabor function at a random place, and some noise."""
    y, x = np.mgrid[:8, :8] - rng.uniform(3, 4, (2, 1, 1))
    return (
        np.float32(8 * np.exp(-(x**2 + y**2) / 6) * np.cos(1.5 * x + 0.4 * y)) + 0.1 * float32(rng, 8, 8),
    )


EXAMPLES: list[Example] = [
    Example(
        gabor_fit.fit,
        _wave,
        {"steps": 2},
        grad="the best of several starts; a fit is a measurement and is not differentiated",
        export=True,
        devices="an image at a time, by vmap, as the others; its compilation takes long",
        tolerance=1e-4,
    ),
    Example(
        gabor_fit.bandwidth,
        lambda rng: (np.float32(rng.uniform(2, 4, 3)), np.float32(rng.uniform(0.3, 0.4, 3))),
        leading=(0, 1),
    ),
]

NOT_TRACED: dict[str, str] = {}
