"""Eigenpairs against dense linear algebra, stored and resumed, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.landscape import curvature, spectrum
from tests.landscape.spectrum import operators

KEY = jax.random.key(0)


@pytest.mark.parametrize("which", ["largest", "smallest", "modulus"])
def test_eigenpairs_are_those_of_the_dense_matrix(x64, which):
    dense, operator = operators.matrix(operators.with_outliers())
    values, rotation = np.linalg.eigh(dense)
    rank = {"largest": -values, "smallest": values, "modulus": -np.abs(values)}[which]
    order = np.argsort(rank)[:4]
    found = spectrum.top_eigenpairs(operator, 4, KEY, which=which, basis=12)
    np.testing.assert_allclose(found.values, values[order], atol=1e-8 * np.abs(values).max(), rtol=0)
    overlap = np.abs(np.sum(np.asarray(found.vectors) * rotation[:, order].T, axis=1))
    np.testing.assert_allclose(overlap, 1, atol=1e-10)
    assert bool(found.converged)
    assert int(found.steps) > 12  # so that the basis has been restarted
    rest = found.vectors @ dense - found.values[:, None] * found.vectors
    np.testing.assert_allclose(found.residuals, np.linalg.norm(rest, axis=1), atol=1e-13)
    assert np.asarray(found.residuals).max() < 1e-12 * np.abs(values).max()


def test_eigenpairs_of_a_network_are_those_of_the_dense_hessian(x64):
    dense, operator = operators.network()
    values = np.linalg.eigvalsh(dense)
    found = spectrum.top_eigenpairs(operator, 5, KEY, basis=20)
    np.testing.assert_allclose(found.values, values[:-6:-1], atol=1e-8 * values[-1], rtol=0)
    rows = operators.flattened(found.vectors)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-12)
    rest = rows @ dense - np.asarray(found.values)[:, None] * rows
    np.testing.assert_allclose(np.linalg.norm(rest, axis=1), found.residuals, atol=1e-12)


def test_copies_of_an_eigenvalue_are_found_beyond_invariant_subspaces(x64):
    _, operator = operators.matrix([5.0] * 3 + [1.0] * 60 + [-3.0] * 37)
    found = spectrum.top_eigenpairs(operator, 4, KEY, basis=40)
    np.testing.assert_allclose(found.values, [5, 5, 5, 1], atol=1e-12)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(4), atol=1e-12)


def test_the_whole_space_gives_every_eigenvalue(x64):
    dense, operator = operators.matrix([2.0, 2.0, 1.0, 0.0, -1.0, -1.0])
    found = spectrum.top_eigenpairs(operator, 6, KEY)
    np.testing.assert_allclose(found.values, [2, 2, 1, 0, -1, -1], atol=1e-13)
    assert int(found.steps) == 6
    nothing = spectrum.top_eigenpairs(curvature.Matrix(0 * jnp.asarray(dense)), 2, KEY)
    np.testing.assert_array_equal(nothing.values, 0)
    np.testing.assert_array_equal(nothing.residuals, 0)


@pytest.mark.beyond
def test_a_tolerance_ends_the_search_where_residuals_meet_it():
    _, operator = operators.matrix(operators.with_outliers(), dtype=np.float32)
    loose = spectrum.top_eigenpairs(operator, 2, KEY, tolerance=1e-2)
    tight = spectrum.top_eigenpairs(operator, 2, KEY)
    assert bool(loose.converged)
    assert int(loose.steps) < int(tight.steps)
    assert np.asarray(tight.residuals).max() < 1e-5 * 30 < np.asarray(loose.residuals).max() < 0.3
    short = spectrum.top_eigenpairs(operator, 2, KEY, max_steps=3)
    assert int(short.steps) == 3
    assert not bool(short.converged)


@pytest.mark.beyond
def test_a_search_that_was_stored_goes_on_as_if_it_had_not_been(x64):
    _, operator = operators.matrix(operators.with_outliers())
    options = {"which": "smallest", "basis": 10}
    straight = spectrum.top_eigenpairs(operator, 3, KEY, **options)
    state = spectrum.eigenpairs_init(operator, 3, KEY, **options)
    for _ in range(200):
        state = operators.stored(spectrum.eigenpairs_step(operator, state, steps=7))
        found = spectrum.eigenpairs_result(operator, state)
        if bool(found.converged):
            break
    assert int(found.steps) == int(straight.steps) > 20
    np.testing.assert_allclose(found.values, straight.values, atol=1e-12)
    assert int(spectrum.eigenpairs_step(operator, state).step) == int(state.step)


def test_too_few_steps_give_nan_for_what_is_missing():
    _, operator = operators.matrix(operators.with_outliers(), dtype=np.float32)
    state = spectrum.eigenpairs_init(operator, 3, KEY)
    found = spectrum.eigenpairs_result(operator, spectrum.eigenpairs_step(operator, state, steps=2))
    assert np.isfinite(found.values).tolist() == [True, True, False]
    assert not bool(found.converged)


def test_nan_in_the_operator_ends_the_search():
    found = spectrum.top_eigenpairs(curvature.Matrix(jnp.full((50, 50), jnp.nan)), 2, KEY)
    assert np.isnan(found.values).all()
    assert int(found.steps) == 1
    assert not bool(found.converged)


def test_half_precision_is_computed_in_single():
    dense, _ = operators.matrix([8.0, 3.0, 1.0, 0.5])
    found = spectrum.top_eigenpairs(curvature.Matrix(jnp.asarray(dense, jnp.bfloat16)), 1, KEY)
    assert found.values.dtype == np.float32
    assert found.vectors.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.values, [8], rtol=0.02)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"k": 61}, ValueError, "k is 61: take at most 60, the dimension of the operator"),
        ({"k": 0}, ValueError, "k is 0: take a whole number at least 1"),
        ({"k": 2.0}, TypeError, "k is 2.0: take a whole number"),
        ({"basis": 61}, ValueError, "basis is 61: take at most 60, the dimension of the operator"),
        ({"basis": 3}, ValueError, "basis is 3: take a whole number at least 4"),
        ({"which": "top"}, ValueError, "which is 'top': take 'largest', 'smallest' or 'modulus'"),
        ({"tolerance": 0.0}, ValueError, "tolerance is 0.0: take a positive number"),
        ({"max_steps": 0}, ValueError, "max_steps is 0: take a whole number at least 1"),
        ({"key": 0}, TypeError, "key is 0: take one random key"),
        ({"operator": np.eye(60)}, TypeError, "operator is a ndarray: take an Operator"),
    ],
)
def test_what_cannot_be_searched_is_refused(own_errors, change, error, words):
    operator = curvature.Matrix(jnp.eye(60))
    arguments = {"operator": operator, "k": 2, "key": KEY} | change
    with pytest.raises(error, match=words):
        spectrum.top_eigenpairs(**arguments)


def test_a_state_and_its_operator_belong_together(own_errors):
    state = spectrum.eigenpairs_init(curvature.Matrix(jnp.eye(9)), 2, KEY)
    with pytest.raises(
        ValueError, match="operator has dimension 8: take one of dimension 9, that of the state"
    ):
        spectrum.eigenpairs_step(curvature.Matrix(jnp.eye(8)), state)
    with pytest.raises(ValueError, match="steps is 0: take a whole number at least 1"):
        spectrum.eigenpairs_step(curvature.Matrix(jnp.eye(9)), state, steps=0)
