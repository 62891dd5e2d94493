"""Filters of little coherence: orthonormal ones, ones as coherent as wanted, and ones that seldom meet."""

import jax
import numpy as np
import pytest

from jaxtheory.sparse import multilayer


def test_the_lapped_transform_is_an_orthonormal_basis(x64):
    filters = np.asarray(multilayer.lapped_transform(6))
    basis = np.zeros((36, 6, 6))
    for block in range(6):
        places = (6 * block + np.arange(12)) % 36
        basis[places, block] = filters[:, 0]
    basis = basis.reshape(36, 36)
    np.testing.assert_allclose(basis.T @ basis, np.eye(36), atol=1e-12)


def test_perturbed_filters_are_as_coherent_as_wanted(x64):
    filters = multilayer.lapped_transform(16)
    for mu in (0.001, 0.01, 0.2):
        found = multilayer.perturb(filters, mu, jax.random.key(1), stride=16)
        np.testing.assert_allclose(multilayer.coherences([found], strides=16), mu, rtol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(found, axis=(0, 1)), 1)


@pytest.mark.parametrize("spacing", [1, 2])
def test_two_atoms_share_at_most_one_entry_at_any_shift(spacing):
    atoms = np.asarray(multilayer.congruences(jax.random.key(0), 10, spacing=spacing))
    length = 10 * spacing + 1
    assert atoms.shape == (length, 10, 10)
    np.testing.assert_allclose(np.abs(atoms[atoms != 0]), 1 / np.sqrt(10), rtol=1e-6)
    assert {-1.0, 1.0} == set(np.sign(atoms[atoms != 0]))
    there = (atoms != 0) * 1
    assert np.all(there.sum(0) == 1)
    for shift in range(length):
        shared = np.einsum("pca,pcb->ab", there[shift:], there[: length - shift])
        assert np.all(shared <= np.where(np.eye(10), 10 if shift == 0 else 1, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda key: multilayer.congruences(key, 8), "atoms is 8: take a prime number less one, such as 16"),
        (
            lambda key: multilayer.congruences(key, 10, spacing=0),
            "spacing is 0: take a whole number at least",
        ),
        (lambda _: multilayer.lapped_transform(0), "atoms is 0: take a whole number at least 1"),
        (lambda key: multilayer.perturb(np.ones((3, 1, 2)), 0.0, key), "mu is 0.0: take a positive number"),
        (
            lambda key: multilayer.perturb(np.ones((3, 1, 2)), 1.5, key),
            "mu is 1.5: take a number from 0 to 1",
        ),
        (lambda key: multilayer.perturb(np.ones((3, 2)), 0.1, key), r"filters has the shape \(3, 2\)"),
        (lambda key: multilayer.perturb(np.ones((3, 1, 2)), 0.1, key, stride=0), "stride is 0"),
    ],
)
def test_wrong_arguments_are_refused(call, message, own_errors):
    with pytest.raises(ValueError, match=message):
        call(jax.random.key(0))
