"""Rows of the table of examples: filters of little coherence, and what atoms stand for in the image."""

import jax
import numpy as np

from jaxtheory.sparse import multilayer
from tests.example_rows import ONE_MODEL, Example, float32

EXAMPLES: list[Example] = [
    Example(
        multilayer.effective_filters,
        lambda rng: ((float32(rng, 3, 1, 2), float32(rng, 2, 2, 3)),),
        {"strides": (2, 1)},
        (),
        (0,),
        vmap=ONE_MODEL,
        export=True,
        integer="filters are a tuple; tests/sparse takes integers",
    ),
    Example(
        multilayer.perturb,
        lambda rng: (
            np.float32(multilayer.lapped_transform(4)),
            np.float32(rng.uniform(0.2, 0.3)),
            jax.random.key(0),
        ),
        {"stride": 4},
        (),
        (0, 1),
        vmap=ONE_MODEL,
        integer="filters of unit norm are no integers",
        x64="its noise is drawn in its own precision; tests/sparse holds its coherence to 1e-3",
    ),
]

NOT_TRACED: dict[str, str] = {
    "sparse.multilayer.incoherent.lapped_transform": "an array of a size",
    "sparse.multilayer.incoherent.congruences": "an array of a size, from a key",
}
