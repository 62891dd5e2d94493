"""LISTA-CP against LISTA, and its support selection by hand; `test_layers` holds it against ISTA."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxtheory.sparse.unrolled import lista, lista_cp
from tests.sparse.unrolled import dense


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


@pytest.mark.parametrize(
    ("selection", "error", "message"),
    [
        ((0.2, 0.1), ValueError, r"selection is \(0\.2, 0\.1\): take the share"),
        ((0.1, 0.2, 0.3), ValueError, r"selection is \(0\.1, 0\.2, 0\.3\): take the share"),
        (0.1, TypeError, r"selection is 0\.1: take the share"),
        (("a", "b"), TypeError, r"selection is \('a', 'b'\) \(tuple\): take an array of numbers"),
    ],
)
def test_selections_that_make_no_sense_are_refused(problem, selection, error, message, own_errors):
    with pytest.raises(error, match=message):
        lista_cp.init(jax.random.key(0), problem[0], steps=1, penalty=1.0, selection=selection)
