"""LISTA: the scale of its dictionary, and what its options promise; `test_layers` holds it against ISTA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse.unrolled import lista


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
