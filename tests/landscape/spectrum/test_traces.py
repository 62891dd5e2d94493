"""Traces and diagonals against dense matrices and the theory of their variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.landscape import curvature, spectrum
from tests.landscape.spectrum import operators

KEY = jax.random.key(0)


def test_the_trace_is_unbiased_with_hutchinsons_variance(x64):
    dense, operator = operators.network()
    estimates = jax.vmap(lambda key: spectrum.trace(operator, key, probes=5))(jax.random.split(KEY, 400))
    variance = 2 * (np.sum(dense**2) - np.sum(np.diag(dense) ** 2)) / 5
    values = np.asarray(estimates.value)
    assert abs(values.mean() - np.trace(dense)) < 4 * np.sqrt(variance / 400)
    assert values.var() == pytest.approx(variance, rel=0.3)
    assert np.mean(np.asarray(estimates.standard_error) ** 2) == pytest.approx(variance, rel=0.2)


def test_the_diagonal_is_unbiased_with_its_variance(x64):
    dense, operator = operators.matrix(operators.with_outliers(20))
    found = spectrum.diagonal(operator, KEY, probes=2000)
    variance = (np.sum(dense**2, axis=1) - np.diag(dense) ** 2) / 2000
    assert np.abs((np.asarray(found.value) - np.diag(dense)) / np.sqrt(variance)).max() < 4
    np.testing.assert_allclose(np.asarray(found.standard_error) ** 2, variance, rtol=0.2)


def test_a_diagonal_is_shaped_like_the_parameters(x64):
    dense, operator = operators.network()
    found = spectrum.diagonal(operator, KEY, probes=400)
    value, error = (
        operators.flattened(jax.tree.map(lambda leaf: leaf[None], one))[0]
        for one in (found.value, found.standard_error)
    )
    assert found.value["first"]["kernel"].shape == (4, 5)
    assert np.abs((value - np.diag(dense)) / error).max() < 4.5


def test_chunks_change_nothing(x64):
    _, operator = operators.matrix(operators.with_outliers(20))
    traces = [spectrum.trace(operator, KEY, probes=7, chunk=chunk) for chunk in (3, 50)]
    diagonals = [spectrum.diagonal(operator, KEY, probes=7, chunk=chunk) for chunk in (3, 50)]
    for others in (traces, diagonals):
        for other in others[1:]:
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), other, others[0])


def test_one_probe_has_no_standard_error():
    _, operator = operators.matrix([1.0, 2.0, 3.0], dtype=np.float32)
    assert np.isnan(spectrum.trace(operator, KEY, probes=1).standard_error)
    assert np.isnan(spectrum.diagonal(operator, KEY, probes=1).standard_error).all()
    assert np.isfinite(spectrum.diagonal(operator, KEY, probes=1).value).all()


def test_xtrace_is_exact_for_low_rank_and_close_for_fast_decay(x64):
    _, low = operators.matrix([9.0, 5.0, -2.0] + [0.0] * 47)
    assert float(spectrum.xtrace(low, KEY, probes=5).value) == pytest.approx(12, abs=1e-9)
    eigenvalues = 0.5 ** np.arange(50)
    _, fast = operators.matrix(eigenvalues)
    found = spectrum.xtrace(fast, KEY, probes=12)
    assert abs(float(found.value) - eigenvalues.sum()) < 0.03 * float(
        spectrum.trace(fast, KEY, probes=24).standard_error
    )
    assert 0 < float(found.error_estimate) < 1e-3


def test_xtrace_takes_block_products_of_pytrees(x64):
    dense, operator = operators.network()
    found = spectrum.xtrace(operator, KEY, probes=15)
    assert abs(float(found.value) - np.trace(dense)) < 6 * float(found.error_estimate)
    whole = spectrum.xtrace(operator, KEY, probes=22)
    assert float(whole.value) == pytest.approx(np.trace(dense), rel=1e-10)


@pytest.mark.parametrize("function", [spectrum.trace, spectrum.diagonal])
def test_what_has_no_trace_is_refused(own_errors, function):
    operator = curvature.Matrix(jnp.eye(9))
    with pytest.raises(ValueError, match="probes is 0: take a whole number at least 1"):
        function(operator, KEY, probes=0)
    with pytest.raises(ValueError, match="chunk is 0: take a whole number at least 1"):
        function(operator, KEY, chunk=0)
    with pytest.raises(TypeError, match="key is 0: take one random key"):
        function(operator, 0)
    with pytest.raises(TypeError, match="operator is a ndarray: take an Operator"):
        function(np.eye(9), KEY)


def test_xtrace_needs_two_probes_and_no_more_than_dimensions(own_errors):
    operator = curvature.Matrix(jnp.eye(9))
    with pytest.raises(ValueError, match="probes is 1: take a whole number at least 2"):
        spectrum.xtrace(operator, KEY, probes=1)
    with pytest.raises(ValueError, match="probes is 10: take at most 9, the dimension of the operator"):
        spectrum.xtrace(operator, KEY, probes=10)
