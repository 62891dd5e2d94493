"""Rows of the table of examples: copies of images with the same spectrum."""

import jax
import numpy as np

from jaxtheory.harmonic import surrogates
from tests.example_rows import Example, float32

DRAWN = {
    "leading": (1,),
    "vmap": "one key, one draw: map over the keys",
    "x64": "double precision draws other numbers",
}

EXAMPLES: list[Example] = [
    Example(surrogates.periodic_component, lambda rng: (float32(rng, 7, 10),)),
    Example(
        surrogates.same_spectrum,
        lambda rng: (jax.random.key(int(rng.integers(1 << 30))), float32(rng, 7, 10)),
        **DRAWN,
    ),
    Example(
        surrogates.same_spectrum_and_histogram,
        lambda rng: (jax.random.key(int(rng.integers(1 << 30))), np.float32(rng.exponential(size=(6, 8)))),
        {"steps": 3},
        grad="pixels change places at ties of ranks, where there is no derivative",
        integer="equal pixels are ordered by rounding",
        half="pixels that are equal in half precision are ordered by rounding",
        **DRAWN,
    ),
]

NOT_TRACED: dict[str, str] = {}
