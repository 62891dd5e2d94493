"""The dictionaries of the experiment on layered pursuits against linear algebra, and a run in miniature."""

import jax
import numpy as np
import pytest

from jaxtheory.experiments.sparse import multilayer_guarantees as guarantees
from jaxtheory.lab import Lab
from jaxtheory.sparse import multilayer

TINY = guarantees.Config(channels=10, places=64, entries=3, noises=(1e-4, 1e-6), draws=6, batches=2)


def test_the_lapped_transform_is_an_orthonormal_basis():
    filters = guarantees.lapped_transform(6)
    basis = np.zeros((36, 6, 6))
    for block in range(6):
        places = (6 * block + np.arange(12)) % 36
        basis[places, block] = filters[:, 0]
    basis = basis.reshape(36, 36)
    np.testing.assert_allclose(basis.T @ basis, np.eye(36), atol=1e-12)


def test_the_model_is_as_coherent_as_it_was_asked_to_be(x64):
    dictionaries, strides = guarantees.model(guarantees.Config())
    found = multilayer.coherences(dictionaries, strides=strides)
    np.testing.assert_allclose(found, [0.01, 1 / 16], rtol=1e-3)
    for filters in dictionaries:
        np.testing.assert_allclose(np.linalg.norm(filters, axis=(0, 1)), 1)
    with pytest.raises(ValueError, match="channels are 8: take a prime number less one"):
        guarantees.model(guarantees.Config(channels=8))


def test_two_atoms_share_at_most_one_entry_at_any_shift(rng):
    atoms = guarantees.congruences(10, rng) != 0
    assert np.all(atoms.sum((0, 1)) == 10)
    for shift in range(21):
        for one in range(10):
            for other in range(10):
                shared = (atoms[shift:, :, one] & atoms[: 21 - shift, :, other]).sum()
                assert shared <= (10 if (shift, one) == (0, other) else 1)


def test_draws_are_as_designed(x64):
    dictionaries, strides = guarantees.model(TINY)
    _, codes, sparsity, designed = guarantees.drawn(
        dictionaries, jax.random.key(1), strides=strides, places=64, entries=3, draws=6
    )
    assert np.all(designed)
    for z in codes:
        sizes = np.where(z == 0, np.nan, np.abs(z))
        assert np.all(np.nanmax(sizes, (1, 2)) <= 1.3 * np.nanmin(sizes, (1, 2)))
    assert np.all((codes[1] != 0).sum((1, 2)) == 3)
    assert np.all((codes[0] != 0).sum((1, 2)) == 30)
    assert np.all(sparsity.stripes >= 2)
    assert np.all(sparsity.stripes.max(-1) >= 3)


def test_shares_are_ratios_of_medians_over_draws_that_count():
    error = np.array([[[4.0, 5.0, 9.0]], [[2.0, 2.0, 2.0]], [[0.5, 1.0, 1.0]]])
    met = np.array([[[True, True, False]], [[True, True, True]], [[False, True, True]]])
    np.testing.assert_allclose(guarantees.shares(error, met, (1e-3, 1e-4, 1e-5)), [1 / 4.5])


def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = guarantees.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [0, 2, 2, 2, 3, 1, 2]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert all(0 < one.value <= 1 for claim in claims[1:4] for one in claim.measurements)
    assert all(one.n > 0 for one in claims[4].measurements)
    assert {figure["name"] for figure in lab.figures} == {"error_by_noise", "bound_over_error", "draw"}
