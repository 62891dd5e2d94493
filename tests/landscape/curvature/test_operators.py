"""Operators as matrices: products, sums, SciPy's algorithms, and vectors that do not fit."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg

from jaxtheory.landscape import curvature
from tests.landscape.curvature import models


def symmetric(rng, size=5):
    matrix = rng.standard_normal((size, size))
    return matrix + matrix.T


def test_sums_differences_and_multiples(x64, rng):
    one, two = symmetric(rng), symmetric(rng)
    a, b = curvature.Matrix(jnp.asarray(one)), curvature.Matrix(jnp.asarray(two))
    models.close((2 * a - b * 0.25).dense(), 2 * one - two / 4)
    models.close((-(a + b) * np.float64(3)).dense(), -3 * (one + two))
    models.close((np.float64(3) * a + jnp.float32(2) * b).dense(), 3 * one + 2 * two)
    vector = rng.standard_normal(5)
    models.close((a + a - b).matvec(vector), (2 * one - two) @ vector)


def test_what_cannot_be_added(own_errors):
    a = curvature.Matrix(jnp.eye(2))
    with pytest.raises(ValueError, match="take operators on vectors of one form"):
        a + curvature.Matrix(jnp.eye(3))
    with pytest.raises(TypeError, match="unsupported operand"):
        a + 1
    with pytest.raises(TypeError, match="unsupported operand"):
        a - 1
    with pytest.raises(TypeError, match="unsupported operand"):
        a * a
    with pytest.raises(ValueError, match=r"factor has the shape \(2,\): take one number"):
        a * np.ones(2)


def test_scipy_finds_the_eigenvalues_of_a_hessian(x64, rng):
    params, data = models.params(rng), models.data(rng)
    operator = curvature.hessian(models.loss, params, models.cut(data, 6))
    matrix = models.hessian(models.loss, params, data)
    found = operator.as_scipy()
    assert found.shape == matrix.shape
    assert found.dtype == np.float64
    several = rng.standard_normal((len(matrix), 3))
    models.close(found @ several, matrix @ several)
    models.close(found.T @ several[:, 0], matrix @ several[:, 0])
    values = scipy.sparse.linalg.eigsh(found, k=3, which="LA", return_eigenvectors=False)
    exact = np.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(np.sort(values), exact[-3:], rtol=0, atol=1e-8 * exact[-1])


def test_vectors_that_do_not_fit(rng, own_errors):
    params, data = models.params(rng), models.data(rng)
    operator = curvature.hessian(models.loss, params, [data])
    with pytest.raises(ValueError, match=r"vector has the structure .* take that of the template"):
        operator.matvec(params["first"])
    with pytest.raises(ValueError, match=r"vector has leaves of the shapes .* one more axis in front"):
        operator.matvec({"first": params["first"], "second": {"kernel": np.ones((2, 4)), "bias": np.ones(2)}})
    mixed = {"first": params["first"], "second": {"kernel": np.ones((3, 4, 2)), "bias": np.ones((3, 2))}}
    with pytest.raises(ValueError, match="one more axis in front"):
        operator.matvec(mixed)
    with pytest.raises(TypeError, match=r"vector is complex \(complex"):
        curvature.Matrix(jnp.eye(2)).matvec(np.ones(2) * 1j)
    with pytest.raises(TypeError, match=r"vector is 'one' .*: take an array of numbers"):
        curvature.Matrix(jnp.eye(2)).matvec("one")


def test_vectors_are_taken_in_the_dtype_of_the_template():
    operator = curvature.Matrix(jnp.eye(2))
    assert operator.matvec(np.array([1, 2])).dtype == jnp.float32
