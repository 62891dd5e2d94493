"""Kernels of infinitely wide, fully connected networks against quadrature and finite networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.statistics import neural_kernel
from tests.statistics.neural_kernel import networks

KINDS = {
    "relu": (neural_kernel.relu, networks.relu_by_quadrature, jax.nn.relu),
    "erf": (neural_kernel.erf, networks.erf_by_quadrature, jax.lax.erf),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_recursion_with_expectations_by_quadrature(kind, rng, x64):
    kernels, expect, _ = KINDS[kind]
    x, y = rng.standard_normal((2, 5)), rng.standard_normal((3, 5))
    found = kernels(x, y, 3, weight_variance=1.7, bias_variance=0.2, block=1)
    expected = [[networks.by_recursion(expect, a, b, 3, 1.7, 0.2) for b in y] for a in x]
    np.testing.assert_allclose(found.nngp, np.asarray(expected)[..., 0], rtol=1e-9)
    np.testing.assert_allclose(found.ntk, np.asarray(expected)[..., 1], rtol=1e-9)


def test_arc_cosine_kernels_and_equal_points():
    # Two hidden layers with variance two keep the norm; the tangent kernel of a point with itself adds up.
    x = np.random.default_rng(0).standard_normal((4, 50)).astype(np.float32)
    x = np.concatenate([x, -x[:1], 0 * x[:1]])
    found = neural_kernel.relu(x, x, 2)
    squares = 2 * np.sum(x**2, axis=1) / 50
    np.testing.assert_allclose(np.diagonal(found.nngp), squares, rtol=1e-6)
    np.testing.assert_allclose(np.diagonal(found.ntk), 3 * squares, rtol=1e-6)
    assert not np.any(found.ntk[-1])
    # Opposite points have nothing in common after one layer.
    shallow = neural_kernel.relu(x, x, 1)
    np.testing.assert_allclose(shallow.ntk[0, -2], 0, atol=1e-7)
    # Cho and Saul's kernel of order one.
    norms = np.linalg.norm(x[:4], axis=1)
    angle = np.arccos(np.clip(x[:4] @ x[:4].T / np.outer(norms, norms), -1, 1))
    order_one = np.outer(norms, norms) / np.pi * (np.sin(angle) + (np.pi - angle) * np.cos(angle))
    np.testing.assert_allclose(shallow.nngp[:4, :4], 2 * order_one / 50, rtol=2e-6)
    slope = jax.grad(lambda x: jnp.sum(neural_kernel.relu(x, x, 2).ntk))(jnp.asarray(x))
    assert np.isfinite(slope).all()


@pytest.mark.beyond
def test_single_precision_is_that_of_double():
    # Angles over the whole range, and about the joint of the polynomials.
    joint = np.pi / 3 + np.linspace(-1, 1, 9) * 1e-6
    angles = np.concatenate([joint, np.linspace(0.002, np.pi - 0.002, 300)])
    y = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    x = np.array([[1.0, 0.0]])

    def total(x, y):
        return jnp.sum(neural_kernel.relu(x, y, 1).ntk)

    single = np.float32(x), jnp.asarray(y, jnp.float32)
    found, slope = neural_kernel.relu(*single, 1), jax.grad(total, argnums=1)(*single)
    with jax.enable_x64(True):
        expected, exact = neural_kernel.relu(x, y, 1), jax.grad(total, argnums=1)(x, jnp.asarray(y))
    order_one = (np.sin(angles) + (np.pi - angles) * np.cos(angles)) / np.pi
    np.testing.assert_allclose(expected.nngp[0], order_one, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.nngp, expected.nngp, rtol=0, atol=3e-7)
    np.testing.assert_allclose(found.ntk, expected.ntk, rtol=0, atol=1e-4)
    # Near the ends, the angle is as uncertain as the root of the cosine's rounding.
    inner = np.sin(angles) > 0.2
    np.testing.assert_allclose(found.ntk[:, inner], expected.ntk[:, inner], rtol=0, atol=2e-6)
    np.testing.assert_allclose(slope[inner], exact[inner], rtol=0, atol=1e-4)


@pytest.mark.beyond
@pytest.mark.parametrize("kind", KINDS)
def test_finite_networks_by_monte_carlo(kind, rng):
    kernels, _, activation = KINDS[kind]
    x = np.float32(rng.standard_normal((3, 6)))
    apply = networks.standard(activation, 1.5, 0.3)
    draws, width, outputs = 64, 512, 32

    def draw(key):
        params = networks.standard_parameters(key, 6, width, width, outputs)
        values = apply(params, x)
        return neural_kernel.empirical(apply, params, x) / outputs, values @ values.T / outputs

    ntk, nngp = map(np.asarray, jax.lax.map(draw, jax.random.split(jax.random.key(0), draws)))
    analytic = kernels(x, x, 2, weight_variance=1.5, bias_variance=0.3)
    for found, expected in ((ntk, analytic.ntk), (nngp, analytic.nngp)):
        error = found.std(0, ddof=1) / np.sqrt(draws)
        # Beside chance, a finite network is off by about one part in the width.
        assert np.all(np.abs(found.mean(0) - expected) < 4 * error + 4 / width * np.abs(expected))
        assert np.max(error) < 0.05 * np.max(expected)


@pytest.mark.beyond
def test_blocks_and_a_map_change_nothing(rng, x64):
    x, y = rng.standard_normal((2, 5, 3)), rng.standard_normal((4, 3))
    whole = neural_kernel.relu(x[0], y, 2)
    parts = neural_kernel.relu(x[0], y, 2, block=2)
    np.testing.assert_allclose(parts.ntk, whole.ntk, rtol=1e-14)
    mapped = jax.vmap(lambda x: neural_kernel.relu(x, y, 2))(x)
    np.testing.assert_allclose(mapped.ntk[0], whole.ntk, rtol=1e-14)
    assert mapped.nngp.shape == (2, 5, 4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": np.ones(3)}, r"x has the shape \(3,\): take \(n, features\)"),
        ({"y": np.ones((2, 4))}, r"y has the shape \(2, 4\): take \(m, 3\) for \(m, features\)"),
        ({"x": np.ones((0, 3))}, r"x has the shape \(0, 3\): take at least one point and one feature"),
        ({"depth": 0}, "depth is 0: take a whole number at least 1"),
        ({"block": 0}, "block is 0: take a whole number at least 1"),
        ({"weight_variance": 0.0}, "weight_variance is 0.0: take a positive number"),
        ({"bias_variance": -1.0}, "bias_variance is -1.0: take a number of 0 or more"),
    ],
)
def test_errors(changed, message, own_errors):
    arguments = {"x": np.ones((2, 3)), "y": np.ones((2, 3)), "depth": 1} | changed
    with pytest.raises(ValueError, match=message):
        neural_kernel.relu(**arguments)
