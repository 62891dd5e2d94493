"""Rows of the table of examples: coherence."""

import numpy as np

from jaxtheory.sparse import coherence
from tests.example_rows import Example, float32


def _directions(rng):
    """Five atoms of unit norm."""
    atoms = float32(rng, 5, 3)
    return (atoms / np.linalg.norm(atoms, axis=-1, keepdims=True),)


def _guaranteed(rng):
    """A coherence, and three numbers from one to two."""
    return np.float32(rng.uniform(0.05, 0.1)), *(np.float32(rng.uniform(1, 2)) for _ in range(3))


NO_INTEGERS = "integers of unit norm are unit vectors: tests/sparse holds them"
NO_HALVES = "rounded to half precision, atoms have unit norm no longer to single: tests/sparse holds them"

EXAMPLES: list[Example] = [
    Example(coherence.mutual_coherence, _directions, integer=NO_INTEGERS, half=NO_HALVES),
    Example(coherence.babel, _directions, integer=NO_INTEGERS, half=NO_HALVES),
    Example(
        coherence.spark_bound,
        _directions,
        grad="a count has no derivative",
        integer=NO_INTEGERS,
        half=NO_HALVES,
    ),
    Example(
        coherence.shift_coherence,
        lambda rng: (np.moveaxis(_directions(rng)[0].reshape(5, 3, 1), 0, -1),),
        None,
        (),
        (0,),
        vmap="one dictionary at a time",
        integer=NO_INTEGERS,
        half=NO_HALVES,
    ),
    Example(
        coherence.stripe_sparsity,
        lambda rng: (float32(rng, 6, 7, 2) * (rng.random((6, 7, 2)) < 0.2),),
        {"kernel_size": (2, 3)},
        grad="a count has no derivative",
        devices=True,
    ),
    Example(coherence.uniqueness_sparsity, lambda rng: _guaranteed(rng)[:1]),
    Example(coherence.thresholding_sparsity, _guaranteed, leading=(0, 1, 2, 3)),
    Example(coherence.omp_sparsity, lambda rng: _guaranteed(rng)[:3], leading=(0, 1, 2)),
    Example(coherence.omp_error, lambda rng: _guaranteed(rng)[:3], leading=(0, 1, 2)),
    Example(coherence.stability_error, lambda rng: _guaranteed(rng)[:3], leading=(0, 1, 2)),
    Example(coherence.basis_pursuit_error, lambda rng: _guaranteed(rng)[:3], leading=(0, 1, 2)),
]

NOT_TRACED: dict[str, str] = {
    "sparse.coherence.frames.gaussian": "an array of a size, from a key",
    "sparse.coherence.frames.grassmannian": "a frame of a size, from a key",
    "sparse.coherence.frames.hadamard_dirac": "a frame of a size",
    "sparse.coherence.frames.hadamard_dirac_operators": "a pair of functions of a size",
    "sparse.coherence.frames.welch_bound": "a number of counts",
}
