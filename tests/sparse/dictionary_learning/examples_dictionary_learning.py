"""Rows of the table of examples: dictionary learning."""

import jax
import numpy as np

from jaxtheory.sparse.dictionary_learning import cauchy_codes, ksvd, online, sample_atoms, sparsenet
from tests.example_rows import Example, float32
from tests.sparse.examples_learning import KEEPS_ITS_STATE, learning_by

OF_CODES = "its codes stop at a tolerance: tests/sparse holds a step against the dense one"
STOPS = "stops at a tolerance or after some steps: codes of the minimum itself are tests/sparse's"
CHOICES = "atoms are chosen one by one, which has no derivative"
ONE_DICTIONARY = "the first axis is that of the signals"


def _begun(learner):
    """A state with six atoms of five features, and ten signals."""
    return lambda rng: (learner.init(float32(rng, 6, 5)), float32(rng, 10, 5), jax.random.key(0))


ONLINE = online(np.float32(0.4), tolerance=np.float32(1e-5))
SVD = ksvd(2)
NET = sparsenet(np.float32(0.1), max_steps=5, tolerance=np.float32(0))

EXAMPLES: list[Example] = [
    Example(
        learning_by(ONLINE),
        _begun(ONLINE),
        {"steps": 2, "batch": 8},
        (1,),
        vmap=ONE_DICTIONARY,
        grad=OF_CODES,
        x64=OF_CODES,
        half=KEEPS_ITS_STATE,
        export=True,
        tolerance=1e-3,
        name="online",
    ),
    Example(
        learning_by(SVD),
        _begun(SVD),
        {"steps": 2},
        (1,),
        vmap=ONE_DICTIONARY,
        grad=CHOICES,
        half=KEEPS_ITS_STATE,
        tolerance=1e-4,
        name="K-SVD",
    ),
    Example(
        learning_by(NET),
        _begun(NET),
        {"steps": 2, "batch": 8},
        (1,),
        vmap=ONE_DICTIONARY,
        grad=STOPS,
        half=KEEPS_ITS_STATE,
        tolerance=1e-4,
        name="SparseNet",
    ),
    Example(
        sample_atoms,
        lambda rng: (jax.random.key(0), float32(rng, 10, 4)),
        {"atoms": 3},
        (1,),
        vmap=ONE_DICTIONARY,
        x64="double precision draws other numbers",
    ),
    Example(
        cauchy_codes,
        lambda rng: (float32(rng, 6, 5), float32(rng, 5), np.float32(0.3), np.float32(1.1)),
        {"max_steps": 5, "tolerance": 0.0},
        (1,),
        grad=STOPS,
        export=True,
        devices=True,
        tolerance=1e-4,
    ),
]

LEARNER = "makes a learner: `learning.run` has its row"
NOT_TRACED: dict[str, str] = {
    "sparse.dictionary_learning.online_learning.online": LEARNER,
    "sparse.dictionary_learning.k_svd.ksvd": LEARNER,
    "sparse.dictionary_learning.sparse_net.sparsenet": LEARNER,
}
