"""LISTA against ISTA in NumPy, and what its options promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse.unrolled import lista
from tests.sparse.unrolled import dense


@pytest.fixture
def problem(rng):
    return dense.unit(rng.standard_normal((12, 7))), rng.standard_normal((2, 3, 7))


@pytest.mark.parametrize("tied", [True, False])
def test_at_the_start_it_is_ista(problem, tied, x64):
    dictionary, x = problem
    params = lista.init(jax.random.key(0), dictionary, steps=5, penalty=0.2, tied=tied)
    expected = dense.ista(dictionary, x, 0.2, 5)
    assert 0.1 < np.mean(expected[-1] == 0) < 0.9
    found = lista.apply(params, x, iterates=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(np.asarray(found) == 0, expected == 0)
    np.testing.assert_allclose(lista.apply(params, x), expected[-1], rtol=1e-12, atol=1e-13)


def test_a_wide_and_a_tall_dictionary_have_the_same_curvature(problem, x64):
    dictionary, _ = problem
    for one in (dictionary, dictionary[:5]):
        params = lista.init(jax.random.key(0), one, steps=1, penalty=1.0)
        np.testing.assert_allclose(params.threshold, np.linalg.norm(one, 2) ** -2)


@pytest.mark.parametrize("tied", [True, False])
def test_remat_changes_no_derivative(problem, tied):
    dictionary, x = (np.float32(one) for one in problem)
    params = lista.init(jax.random.key(0), dictionary, steps=4, penalty=0.2, tied=tied)

    def loss(params, remat):
        return jnp.sum(lista.apply(params, x, remat=remat) ** 2)

    plain, kept = (jax.grad(loss)(params, remat) for remat in (False, True))
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(kept)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        assert np.abs(one).max() > 0


def test_untied_layers_are_their_own(problem):
    dictionary, x = (np.float32(one) for one in problem)
    params = lista.init(jax.random.key(0), dictionary, steps=3, penalty=0.2, tied=False)
    grown = jax.tree.map(lambda leaf: leaf.at[2].set(2 * leaf[2]), params)
    before, after = (lista.apply(one, x, iterates=True) for one in (params, grown))
    np.testing.assert_array_equal(before[:2], after[:2])
    assert np.abs(before[2] - after[2]).max() > 0.01


def test_a_drawn_dictionary_has_unit_atoms_and_depends_on_the_key():
    one, other = (lista.init(jax.random.key(seed), (6, 4), steps=1, penalty=1.0) for seed in (0, 1))
    atoms = one.encoder.T / one.threshold[:, None]
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, rtol=1e-5)
    assert np.abs(one.encoder - other.encoder).max() > 0.01


def test_errors(problem, own_errors):
    dictionary, x = problem
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="steps is 0: take a whole number at least 1"):
        lista.init(key, dictionary, steps=0, penalty=1.0)
    with pytest.raises(ValueError, match=r"penalty is -0\.5: take a positive number"):
        lista.init(key, dictionary, steps=1, penalty=-0.5)
    with pytest.raises(ValueError, match=r"dictionary has the shape \(7,\): take \(atoms, features\)"):
        lista.init(key, dictionary[0], steps=1, penalty=1.0)
    params = lista.init(key, dictionary, steps=1, penalty=1.0)
    with pytest.raises(ValueError, match=r"x has the shape \(2, 3, 6\): take \(\.\.\., 7\)"):
        lista.apply(params, x[..., :6])


@pytest.mark.parametrize("tied", [True, False])
def test_a_dictionary_of_zeros_has_codes_of_zero(tied, rng):
    params = lista.init(jax.random.key(0), np.zeros((5, 4), np.float32), steps=3, penalty=0.1, tied=tied)
    found = lista.apply(params, np.float32(rng.standard_normal((2, 4))))
    np.testing.assert_array_equal(found, np.zeros((2, 5)))


def test_what_numpy_converts_is_taken_and_empty_batches_are_empty(problem, own_errors):
    dictionary, x = problem
    expected = lista.apply(
        lista.init(jax.random.key(0), np.float32(dictionary), steps=3, penalty=0.2), np.float32(x)
    )
    for convert in (np.ndarray.tolist, lambda one: one.astype(">f8")):
        params = lista.init(jax.random.key(0), convert(dictionary), steps=3, penalty=0.2)
        np.testing.assert_allclose(lista.apply(params, convert(x)), expected, atol=1e-6)
    assert lista.apply(params, x[:0]).shape == (0, 3, 12)
    with pytest.raises(TypeError, match="x is complex"):
        lista.apply(params, x + 1j)
    with pytest.raises(TypeError, match="dictionary is 'a'"):
        lista.init(jax.random.key(0), "a", steps=3, penalty=0.2)
    with pytest.raises(TypeError, match=r"steps is 3\.0: take a whole number"):
        lista.init(jax.random.key(0), dictionary, steps=3.0, penalty=0.2)
