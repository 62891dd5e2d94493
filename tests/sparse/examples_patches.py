"""Rows of the table of examples: patches, whitening, and signals to learn from."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.sparse import patches, whitening
from tests.example_rows import Example, float32

ONE_SET = "the first axis is that of the signals or images"


def _white(rng, *shape):
    """A map that is always the same, and signals."""
    return whitening.fit_whitening(float32(np.random.default_rng(5), 20, 4)), float32(rng, *shape)


EXAMPLES: list[Example] = [
    Example(patches.extract, lambda rng: (float32(rng, 4, 5, 2),), {"patch_size": 2}, devices=True),
    Example(patches.average, lambda rng: (float32(rng, 3, 4, 8),), {"patch_size": 2}, devices=True),
    Example(
        patches.sample,
        lambda rng: (jax.random.key(0), float32(rng, 3, 4, 5, 1)),
        {"patches": 4, "patch_size": 2},
        (1,),
        vmap=ONE_SET,
    ),
    Example(patches.normalize_contrast, lambda rng: (float32(rng, 6),), devices=True),
    Example(
        patches.denoise,
        lambda rng: (float32(rng, 5, 4), float32(rng, 4, 5, 1), jnp.float32(0.3)),
        {"patch_size": 2},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        tolerance=1e-4,
    ),
    Example(whitening.whiten_images, lambda rng: (float32(rng, 6, 7, 1),), devices=True),
    Example(
        whitening.fit_whitening, lambda rng: (float32(rng, 20, 4),), vmap=ONE_SET, export=True, tolerance=1e-4
    ),
    Example(whitening.whiten, lambda rng: _white(rng, 4), None, (1,), (0, 1), devices=True),
    Example(whitening.unwhiten, lambda rng: _white(rng, 4), None, (1,), (0, 1), devices=True),
]

NOT_TRACED: dict[str, str] = {
    "sparse.signals.rows": "a check of arguments, which the rows of what calls it reach",
    "sparse.signals.finite_rows": "a part of the learners, whose rows reach it",
    "sparse.signals.mean_over": "a part of the learners, whose rows reach it",
}
