"""Interpolants, partitions of unity, indicators and wavelets against NumPy's interpolation and integrals."""

import numpy as np
import pytest

from jaxtheory.approximation import relu


def at(network, *x):
    return np.asarray(relu.apply(network, np.stack(np.broadcast_arrays(*x), -1)))


def test_an_interpolant_interpolates(rng, x64):
    knots = np.sort(rng.uniform(size=6))
    values = rng.standard_normal(6)
    network = relu.interpolant(knots, values)
    x = np.linspace(knots[0] - 1, knots[-1], 100)
    np.testing.assert_allclose(at(network, x)[:, 0], np.interp(x, knots, values), atol=1e-12)
    slope = (values[-1] - values[-2]) / (knots[-1] - knots[-2])
    np.testing.assert_allclose(at(network, knots[-1] + 2.0)[0], values[-1] + 2 * slope, rtol=1e-9)
    assert relu.size(network)[:2] == (2, 5)


def test_a_partition_of_unity_is_one(x64):
    network, x = relu.partition_of_unity(4), np.linspace(0, 1, 97)
    found = at(network, x)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-13)
    distance = np.abs(x[:, None] - np.arange(5) / 4) * 4
    np.testing.assert_allclose(found, np.clip(2 - 3 * distance, 0, 1), atol=1e-12)
    assert relu.size(network).neurons == 8


def test_indicators_differ_from_steps_within_their_ramps_only(rng, x64):
    x, y = rng.uniform(-0.5, 0.5, (2, 3000))
    side = 3 * x - 4 * y + 0.5
    found = at(relu.half_space((3, -4), 0.5, width=0.2), x, y)[:, 0]
    np.testing.assert_allclose(found, np.clip(side / 0.2, 0, 1), atol=1e-12)
    knots = np.linspace(-0.5, 0.5, 5)
    values = rng.uniform(-0.2, 0.2, 5)
    height = x + np.interp(y, knots, values)
    network = relu.horizon(relu.interpolant(knots, values), width=0.05)
    found = at(network, x, y)[:, 0]
    np.testing.assert_allclose(found, np.clip(height / 0.05, 0, 1), atol=1e-10)
    away = (height < 0) | (height >= 0.05)
    np.testing.assert_allclose(found[away], height[away] >= 0, atol=1e-10)
    assert len(network.kernels) == 3
    # A boundary without hidden layers: a half-space.
    flat = relu.horizon(relu.affine([[2.0]]), width=0.05)
    np.testing.assert_allclose(at(flat, x, y)[:, 0], np.clip((x + 2 * y) / 0.05, 0, 1), atol=1e-10)


def test_a_box_is_the_product_of_its_sides(rng, x64):
    low, high = np.array([-0.3, 0.1, 0.0]), np.array([0.4, 0.6, 0.2])
    network = relu.box(low, high, width=1e-4)
    x = rng.uniform(-1, 1, (4000, 3)) * [0.6, 0.8, 0.3]
    away = (np.minimum(np.abs(x - low), np.abs(x - high)) > 1e-4).all(1)
    inside = ((x >= low) & (x < high)).all(1)
    assert inside[away].sum() > 100
    np.testing.assert_allclose(at(network, *x.T)[away, 0], inside[away], atol=1e-11)
    # 12 neurons of a weight and a bias, one of 12 weights and a bias, and one out; l_3 = 0 is no bias.
    assert relu.size(network) == (3, 13, 12 + 11 + 12 + 1 + 1)


def test_the_wavelet_has_two_vanishing_moments(x64):
    x = np.linspace(-2, 3, 5 * 64 + 1)
    values = at(relu.linear_wavelet(), x)[:, 0]
    # The trapezoidal rule is exact between knots; x times a line takes Simpson's.
    weights = np.full(len(x), 2.0)
    weights[1::2], weights[[0, -1]] = 4, 1
    assert abs(weights @ values) < 1e-12
    assert abs(weights @ (x * values)) < 1e-12
    assert abs(weights @ (x**2 * values)) > 1e-2
    np.testing.assert_array_equal(values[(x < -1) | (x > 2)], 0)


def test_an_affine_system_is_a_sum_of_its_atoms(rng, x64):
    generator = relu.compose(relu.linear_wavelet(), relu.affine([[1.0], [0.5]]))
    matrices, shifts = rng.standard_normal((3, 2, 2)), rng.standard_normal((3, 2))
    coefficients = rng.standard_normal(3)
    network = relu.affine_system(generator, matrices, shifts, coefficients)
    x = rng.standard_normal((40, 2))
    expected = sum(
        c * abs(np.linalg.det(A)) ** 0.5 * np.asarray(relu.apply(generator, x @ A.T - b))
        for A, b, c in zip(matrices, shifts, coefficients)
    )
    np.testing.assert_allclose(relu.apply(network, x), expected, atol=1e-11)
    one = relu.affine_system(generator, matrices[:1], shifts[:1], coefficients[:1])
    assert relu.size(network).neurons == 3 * relu.size(one).neurons
    assert network.error == 0


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    with pytest.raises(ValueError, match="knots do not rise: take at least two"):
        relu.interpolant((0, 1, 1), (0, 0, 0))
    with pytest.raises(ValueError, match="knots do not rise: take at least two"):
        relu.interpolant((0,), (0,))
    with pytest.raises(ValueError, match=r"values has the shape \(3,\): take \(2,\)"):
        relu.interpolant((0, 1), (0, 1, 2))
    with pytest.raises(ValueError, match="cells is 0"):
        relu.partition_of_unity(0)
    with pytest.raises(ValueError, match="width is 0: take a positive number"):
        relu.half_space((1,), width=0)
    with pytest.raises(ValueError, match=r"normal has the shape \(\): take \(inputs,\)"):
        relu.half_space(1.0, width=0.1)
    with pytest.raises(ValueError, match=r"high has the shape \(1,\): take \(2,\)"):
        relu.box((0, 0), (1,), width=0.1)
    with pytest.raises(ValueError, match=r"high is \[1.0, 0.0\] for low \[0.0, 0.0\]: take a larger number"):
        relu.box((0, 0), (1, 0), width=0.1)
    with pytest.raises(ValueError, match="boundary has 2 outputs: take a network of one output"):
        relu.horizon(relu.identity(2), width=0.1)
    with pytest.raises(ValueError, match=r"matrices has the shape \(1, 2, 2\): take \(1, 1, 1\)"):
        relu.affine_system(relu.linear_wavelet(), np.ones((1, 2, 2)), [[0]], [1])
    with pytest.raises(ValueError, match=r"shifts has the shape \(2, 1\): take \(1, 1\)"):
        relu.affine_system(relu.linear_wavelet(), np.ones((1, 1, 1)), [[0], [1]], [1])
