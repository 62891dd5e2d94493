import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.core import linalg


@pytest.mark.parametrize("scale", [1.0, 1e-18, 1e15])
def test_the_largest_eigenvalue_is_bounded(rng, scale):
    root = np.float32(rng.standard_normal((12, 8)))
    gram = root @ root.T
    estimate = linalg.largest_eigenvalue(
        lambda v: scale * (gram @ v), jax.ShapeDtypeStruct((12,), jnp.float32)
    )
    exact = scale * np.linalg.eigvalsh(gram)[-1]
    assert exact <= estimate <= 1.06 * exact


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (3, 2, 5)])
def test_squared_norms_are_those_of_singular_values(shape, rng, x64):
    matrix = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    expected = np.linalg.norm(matrix, 2, axis=(-2, -1)) ** 2
    np.testing.assert_allclose(linalg.squared_norm(matrix), expected, rtol=1e-12)
    np.testing.assert_allclose(
        linalg.squared_norm(matrix.real), np.linalg.norm(matrix.real, 2, (-2, -1)) ** 2
    )


def test_an_operator_of_zero_has_a_positive_bound():
    estimate = linalg.largest_eigenvalue(lambda v: 0 * v, jnp.ones(4))
    assert 0 < estimate < 1e-30


def test_conjugate_gradients_against_a_dense_solve(rng, x64):
    root = rng.standard_normal((6, 6))
    matrix, target = root @ root.T + np.eye(6), rng.standard_normal((3, 6))
    found = linalg.conjugate_gradients(lambda rows: rows @ matrix, jnp.asarray(target))
    np.testing.assert_allclose(found, np.linalg.solve(matrix, target.T).T, rtol=1e-10)


@pytest.mark.parametrize("scale", [1e25, 1e-25])
def test_conjugate_gradients_of_any_scale(rng, scale):
    root = np.float32(rng.standard_normal((6, 6)))
    matrix, target = root @ root.T + np.eye(6, dtype=np.float32), np.float32(rng.standard_normal((3, 6)))
    found = linalg.conjugate_gradients(lambda rows: rows @ matrix, jnp.asarray(np.float32(scale) * target))
    expected = np.linalg.solve(np.float64(matrix), np.float64(target.T)).T
    np.testing.assert_allclose(np.float64(found) / scale, expected, rtol=1e-3, atol=1e-5)


def test_a_system_of_zero_is_left_at_zero():
    found = linalg.conjugate_gradients(lambda rows: 0 * rows, jnp.zeros((2, 3)))
    np.testing.assert_array_equal(found, 0)


def test_products_are_exact_to_rounding(rng):
    a, b = np.float32(rng.standard_normal((5, 7))), np.float32(rng.standard_normal((7, 3)))
    np.testing.assert_allclose(linalg.matmul(a, b), a.astype(float) @ b.astype(float), rtol=1e-5, atol=1e-6)
