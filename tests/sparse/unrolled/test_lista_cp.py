"""LISTA-CP against ISTA and LISTA, and its support selection by hand."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxtheory.sparse.unrolled import lista, lista_cp
from tests.sparse.unrolled import dense


@pytest.fixture
def problem(rng):
    return dense.unit(rng.standard_normal((12, 7))), rng.standard_normal((2, 3, 7))


@pytest.mark.parametrize("tied", [True, False])
def test_at_the_start_it_is_ista(problem, tied, x64):
    dictionary, x = problem
    params = lista_cp.init(jax.random.key(0), dictionary, steps=5, penalty=0.2, tied=tied)
    found = lista_cp.apply(params, x, iterates=True)
    np.testing.assert_allclose(found, dense.ista(dictionary, x, 0.2, 5), rtol=1e-12, atol=1e-13)


def test_it_is_lista_with_coupled_weights(problem, rng, x64):
    dictionary, x = problem
    weight, threshold = rng.standard_normal((4, 12, 7)) / 4, rng.uniform(0.1, 0.3, 4)
    params = lista_cp.init(jax.random.key(0), dictionary, steps=4, penalty=0.2)
    coupled = lista_cp.apply(replace(params, weight=weight, threshold=threshold), x, iterates=True)
    free = lista.Parameters(
        weight.swapaxes(1, 2),
        np.eye(12) - dictionary @ weight.swapaxes(1, 2),
        np.tile(threshold[:, None], 12),
        4,
    )
    np.testing.assert_allclose(coupled, lista.apply(free, x, iterates=True), rtol=1e-11, atol=1e-12)


def test_selection_by_hand():
    x = np.float32([[3.0, -0.5, -2.0, 1.5], [0.25, 4.0, 0.5, -0.75]])
    expected = {
        0: [[2.0, 0.0, -1.0, 0.5], [0.0, 3.0, 0.0, 0.0]],
        1: [[3.0, 0.0, -1.0, 0.5], [0.0, 4.0, 0.0, 0.0]],
        2: [[3.0, 0.0, -2.0, 0.5], [0.0, 4.0, 0.0, 0.0]],
        # A trusted entry below the threshold is zero all the same.
        4: [[3.0, 0.0, -2.0, 1.5], [0.0, 4.0, 0.0, 0.0]],
    }
    for selected, values in expected.items():
        np.testing.assert_array_equal(lista_cp.selective_threshold(x, 1.0, selected=selected), values)
    with pytest.raises(ValueError, match="selected is 5: take a whole number from 0 to 4"):
        lista_cp.selective_threshold(x, 1.0, selected=5)


def test_selection_passes_the_gradient_whole():
    x = np.float32([3.0, -0.5, -2.0])
    jacobian = jax.jacobian(lambda t: lista_cp.selective_threshold(x, t, selected=1))(np.float32(1))
    np.testing.assert_array_equal(jacobian, [0, 0, 1])


def test_layers_trust_as_many_entries_as_the_paper_says():
    params = lista_cp.init(jax.random.key(0), (500, 4), steps=16, penalty=0.1, selection=(0.012, 0.12))
    assert params.selected == (6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 60, 60, 60, 60, 60, 60)


def test_a_network_selects_layer_by_layer(problem, x64):
    dictionary, x = problem
    params = lista_cp.init(jax.random.key(0), dictionary, steps=3, penalty=0.5, selection=(1 / 12, 2 / 12))
    assert params.selected == (1, 2, 2)
    curvature = np.linalg.norm(dictionary, 2) ** 2
    codes = np.zeros((2, 3, 12))
    for selected, found in zip(params.selected, lista_cp.apply(params, x, iterates=True)):
        moved = codes + (x - codes @ dictionary) @ dictionary.T / curvature
        rank = np.argsort(np.argsort(-np.abs(moved), axis=-1), axis=-1)
        trusted = (rank < selected) & (np.abs(moved) > 0.5 / curvature)
        assert trusted.any()
        codes = np.where(trusted, moved, dense.soft(moved, 0.5 / curvature))
        np.testing.assert_allclose(found, codes, rtol=1e-12, atol=1e-13)


def test_errors(problem, own_errors):
    dictionary, x = problem
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"selection is \(0\.2, 0\.1\): take the share"):
        lista_cp.init(key, dictionary, steps=1, penalty=1.0, selection=(0.2, 0.1))
    with pytest.raises(ValueError, match="steps is 0: take a whole number at least 1"):
        lista_cp.init(key, dictionary, steps=0, penalty=1.0)
    with pytest.raises(ValueError, match=r"penalty is 0\.0: take a positive number"):
        lista_cp.init(key, dictionary, steps=1, penalty=0.0)
    params = lista_cp.init(key, dictionary, steps=1, penalty=1.0)
    with pytest.raises(ValueError, match=r"x has the shape \(2, 3, 6\): take \(\.\.\., 7\)"):
        lista_cp.apply(params, x[..., :6])


@pytest.mark.parametrize("tied", [True, False])
def test_a_dictionary_of_zeros_has_codes_of_zero(tied, rng):
    params = lista_cp.init(jax.random.key(0), np.zeros((5, 4), np.float32), steps=3, penalty=0.1, tied=tied)
    found = lista_cp.apply(params, np.float32(rng.standard_normal((2, 4))))
    np.testing.assert_array_equal(found, np.zeros((2, 5)))


def test_what_numpy_converts_is_taken_and_empty_batches_are_empty(problem, own_errors):
    dictionary, x = problem
    expected = lista_cp.apply(
        lista_cp.init(jax.random.key(0), np.float32(dictionary), steps=3, penalty=0.2), np.float32(x)
    )
    for convert in (np.ndarray.tolist, lambda one: one.astype(">f8")):
        params = lista_cp.init(jax.random.key(0), convert(dictionary), steps=3, penalty=0.2)
        np.testing.assert_allclose(lista_cp.apply(params, convert(x)), expected, atol=1e-6)
    assert lista_cp.apply(params, x[:0]).shape == (0, 3, 12)
    with pytest.raises(TypeError, match="x is complex"):
        lista_cp.apply(params, x + 1j)
    with pytest.raises(TypeError, match="dictionary is 'a'"):
        lista_cp.init(jax.random.key(0), "a", steps=3, penalty=0.2)
    with pytest.raises(TypeError, match=r"steps is 3\.0: take a whole number"):
        lista_cp.init(jax.random.key(0), dictionary, steps=3.0, penalty=0.2)
