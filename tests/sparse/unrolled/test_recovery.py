"""What is proved of ALISTA, against its layers and against a loop in NumPy."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse import coherence
from jaxtheory.sparse.unrolled import alista, recovery


def sparse(rng, n, atoms, sparsity):
    codes = np.zeros((n, atoms))
    for row in codes:
        row[rng.choice(atoms, sparsity, replace=False)] = rng.uniform(-1, 1, sparsity)
    return codes


def test_the_theorem_holds_where_its_hypothesis_does(rng, x64):
    dictionary = np.asarray(coherence.hadamard_dirac(32), float)
    codes = sparse(rng, 50, 64, 2)
    params = alista.init(jax.random.key(0), dictionary, steps=5, threshold=1.0)
    found = recovery.alista_guarantee(dictionary, params.weight, codes, layers=5)
    params = replace(params, threshold=jnp.asarray(found.thresholds))
    iterates = np.asarray(alista.apply(params, codes @ dictionary, iterates=True))
    assert (iterates[:, codes == 0] == 0).all()
    assert (np.linalg.norm(iterates - codes, axis=-1).max(axis=1) <= found.bounds).all()
    # The coherence of these bases is 1 / sqrt(32).
    rate = 3 / np.sqrt(32)
    np.testing.assert_allclose(found.bounds, 2 * np.abs(codes).max() * rate ** np.arange(1, 6))


def test_thresholds_are_suprema_of_the_errors(rng, x64):
    dictionary, weight = rng.standard_normal((2, 6, 4))
    codes, z = sparse(rng, 7, 6, 3), np.zeros((7, 6))
    found = recovery.alista_guarantee(dictionary, weight, codes, layers=3)
    products = weight @ dictionary.T
    mu = np.abs(products[~np.eye(6, dtype=bool)]).max()
    for threshold in found.thresholds:
        assert threshold == pytest.approx(mu * np.abs(z - codes).sum(axis=1).max())
        moved = z + (codes - z) @ dictionary @ weight.T
        z = np.sign(moved) * np.maximum(np.abs(moved) - threshold, 0)


def test_lists_of_integers_are_taken(own_errors):
    found = recovery.alista_guarantee([[1, 0], [1, 1]], [[1, 0], [0, 1]], [[2, 0]], layers=1)
    assert found.thresholds.tolist() == found.bounds.tolist() == [2.0]


def test_wrong_arguments_are_refused(own_errors):
    dictionary, codes = np.ones((3, 2)), np.ones((4, 3))
    with pytest.raises(
        ValueError, match=r"weight has the shape \(2, 2\): take \(3, 2\) for \(atoms, features\)"
    ):
        recovery.alista_guarantee(dictionary, np.ones((2, 2)), codes, layers=1)
    with pytest.raises(ValueError, match=r"codes has the shape \(4, 2\): take \(n, 3\) for \(n, atoms\)"):
        recovery.alista_guarantee(dictionary, dictionary, np.ones((4, 2)), layers=1)
    with pytest.raises(ValueError, match=r"codes has the shape \(0, 3\): take at least one code"):
        recovery.alista_guarantee(dictionary, dictionary, codes[:0], layers=1)
    with pytest.raises(ValueError, match="layers is 0: take a whole number at least 1"):
        recovery.alista_guarantee(dictionary, dictionary, codes, layers=0)
