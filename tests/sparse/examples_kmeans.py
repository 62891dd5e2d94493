"""Rows of the table of examples: k-means and its features."""

import jax
import numpy as np

from jaxtheory.sparse import kmeans
from tests.example_rows import Example, float32
from tests.sparse.examples_learning import KEEPS_ITS_STATE, learning_by

CLUSTERS = "signals belong to the nearest centroid, which has no derivative"
ONE_SET = "the first axis is that of the signals"


def _begun(learner):
    """A state with three centroids of four features, and ten signals."""
    return lambda rng: (learner.init(float32(rng, 3, 4)), float32(rng, 10, 4), jax.random.key(0))


def _encoder():
    """Three centroids of 2 x 2 patches, from images that are always the same."""
    images = float32(np.random.default_rng(5), 6, 6, 6, 1)
    return kmeans.fit_encoder(jax.random.key(0), images, 3, 2, patches=60, steps=2)


EXAMPLES: list[Example] = [
    Example(
        learning_by(learner),
        _begun(learner),
        {"steps": 2},
        (1,),
        vmap=ONE_SET,
        grad=CLUSTERS,
        half=KEEPS_ITS_STATE,
        export=name == "Lloyd" or "a small function; whole programs are exported",
        name=name,
    )
    for name, learner in (("Lloyd", kmeans.lloyd()), ("spherical k-means", kmeans.spherical()))
] + [
    Example(
        kmeans.spread,
        lambda rng: (jax.random.key(0), float32(rng, 10, 4)),
        {"clusters": 3},
        (1,),
        vmap=ONE_SET,
        x64="double precision draws other numbers",
    ),
    Example(
        kmeans.triangle,
        lambda rng: (float32(rng, 3, 4), float32(rng, 4)),
        None,
        (1,),
        (0, 1),
        devices=True,
        tolerance=1e-4,
    ),
    Example(kmeans.pool, lambda rng: (float32(rng, 4, 6, 2),), {"grid": 2}, devices=True),
    Example(
        kmeans.encode,
        lambda rng: (_encoder(), float32(rng, 6, 6, 1)),
        {"grid": 2},
        (1,),
        x64="the encoder of double precision is fitted to other patches",
        export=True,
        devices=True,
        tolerance=1e-4,
    ),
]

NOT_TRACED: dict[str, str] = {
    "sparse.kmeans.lloyd": "makes a learner: `learning.run` has its row",
    "sparse.kmeans.spherical": "makes a learner: `learning.run` has its row",
    "sparse.kmeans.fit_encoder": "of `sample`, `fit_whitening`, `spread` and `run`, which have rows",
}
