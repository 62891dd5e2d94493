"""ALISTA: its weight against optimality conditions, its codes against the theorem."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxtheory.sparse import coherence
from jaxtheory.sparse.unrolled import alista
from tests.sparse.unrolled import dense


@pytest.mark.parametrize("shape", [(30, 20), (12, 12), (6, 10)])
def test_the_weight_meets_the_conditions_of_optimality(shape, rng, x64):
    dictionary = dense.unit(rng.standard_normal(shape))
    weight = np.asarray(alista.analytic_weight(dictionary))
    np.testing.assert_allclose(np.sum(weight * dictionary, axis=1), 1, rtol=1e-12)
    # Least |D w|^2 with <w, d> = 1, by Lagrange's linear system in the span of the atoms.
    basis = np.linalg.svd(dictionary, full_matrices=False)[2]
    for w, d in zip(weight @ basis.T, dictionary @ basis.T):
        n = len(d)
        gram = basis @ dictionary.T @ dictionary @ basis.T
        system = np.block([[2 * gram, d[:, None]], [d[None], np.zeros((1, 1))]])
        np.testing.assert_allclose(w, np.linalg.solve(system, np.eye(n + 1)[n])[:n], rtol=1e-9, atol=1e-11)


def test_the_weight_is_less_coherent_than_the_dictionary(x64):
    for seed in range(3):
        dictionary = coherence.gaussian(jax.random.key(seed), 200, 100)
        weight = alista.analytic_weight(dictionary)
        found = alista.generalized_coherence(dictionary, weight)
        products = np.abs(np.asarray(weight) @ np.asarray(dictionary).T)
        assert found == pytest.approx(products[~np.eye(200, dtype=bool)].max())
        assert found < 0.95 * coherence.mutual_coherence(dictionary)


def test_independent_atoms_have_weights_without_coherence(rng, x64):
    dictionary = dense.unit(rng.standard_normal((6, 10)))
    assert alista.generalized_coherence(dictionary, alista.analytic_weight(dictionary)) < 1e-12


def test_a_tight_frame_is_its_own_weight():
    frame = coherence.hadamard_dirac(16)
    np.testing.assert_allclose(alista.analytic_weight(frame), frame, atol=1e-6)


def test_the_theorem_holds_with_its_thresholds(rng, x64):
    """Liu et al. 2019, theorem 1: no false positives, and an error below s B exp(-c k)."""
    dictionary = np.asarray(coherence.gaussian(jax.random.key(0), 200, 150), float)
    weight = np.asarray(alista.analytic_weight(dictionary))
    mu = float(alista.generalized_coherence(dictionary, weight))
    s, steps = 2, 12
    assert s < (1 + 1 / mu) / 2
    codes = np.zeros((300, 200))
    for row in codes:
        row[rng.choice(200, s, replace=False)] = rng.uniform(-1, 1, s)
    x = codes @ dictionary
    thresholds, z, iterates = [], np.zeros_like(codes), []
    for _ in range(steps):
        thresholds.append(mu * np.abs(z - codes).sum(axis=1).max())
        z = dense.soft(z + (x - z @ dictionary) @ weight.T, thresholds[-1])
        iterates.append(z)
    params = alista.init(jax.random.key(0), dictionary, steps=steps, threshold=1.0)
    found = alista.apply(replace(params, threshold=np.asarray(thresholds)), x, iterates=True)
    np.testing.assert_allclose(found, np.stack(iterates), atol=1e-12)
    rate = mu * (2 * s - 1)
    assert rate < 1
    for k, one in enumerate(np.asarray(found), start=1):
        assert not np.any(one[codes == 0])
        error = np.linalg.norm(one - codes, axis=1).max()
        assert error <= s * np.abs(codes).max() * rate**k * (1 + 1e-9)
    assert np.any(found[-1])


def test_step_sizes_and_selection_layer_by_layer(rng, x64):
    dictionary, x = dense.unit(rng.standard_normal((12, 7))), rng.standard_normal((3, 7))
    params = alista.init(jax.random.key(0), dictionary, steps=2, threshold=0.3, selection=(0.1, 0.2))
    params = replace(params, step_size=np.array([0.9, 0.6]), threshold=np.array([0.3, 0.1]))
    codes = np.zeros((3, 12))
    for k, found in enumerate(alista.apply(params, x, iterates=True)):
        moved = codes + params.step_size[k] * (x - codes @ dictionary) @ np.asarray(params.weight).T
        rank = np.argsort(np.argsort(-np.abs(moved), axis=-1), axis=-1)
        trusted = (rank < params.selected[k]) & (np.abs(moved) > params.threshold[k])
        codes = np.where(trusted, moved, dense.soft(moved, params.threshold[k]))
        np.testing.assert_allclose(found, codes, rtol=1e-12, atol=1e-13)


def test_errors(rng, own_errors):
    dictionary = rng.standard_normal((5, 4))
    with pytest.raises(ValueError, match=r"dictionary has the shape \(4,\): take \(atoms, features\)"):
        alista.analytic_weight(dictionary[0])
    with pytest.raises(ValueError, match="dictionary has zeros in atom 2: leave it out"):
        alista.analytic_weight(dictionary * (np.arange(5) != 2)[:, None])
    with pytest.raises(ValueError, match=r"weight has the shape \(4, 4\): take \(5, 4\)"):
        alista.generalized_coherence(dictionary, dictionary[:4])
