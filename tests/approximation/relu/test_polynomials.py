"""Polynomials against closed forms: certified errors are met where they are sharp, and never passed."""

import numpy as np
import pytest

from jaxtheory.approximation import relu


def test_the_sawtooth_is_the_triangle_wave(rng, x64):
    x = rng.uniform(size=(50, 1))
    for levels in (1, 3, 6):
        phase = x * 2 ** (levels - 1) % 1
        np.testing.assert_allclose(
            relu.apply(relu.sawtooth(levels), x), 1 - np.abs(2 * phase - 1), atol=1e-12
        )
        assert relu.size(relu.sawtooth(levels))[:2] == (levels + 1, 2 * levels)


@pytest.mark.parametrize("levels", [1, 2, 5, 13])
def test_the_square_errs_by_what_is_certified_and_no_more(levels, rng, x64):
    network, cells = relu.square(levels), 2**levels
    knots = np.arange(cells + 1) / cells
    middles = (knots[:-1] + knots[1:]) / 2
    error = np.asarray(relu.apply(network, middles[:, None]))[:, 0] - middles**2
    assert network.error == 2.0 ** (-2 * levels - 2)
    np.testing.assert_array_equal(error, network.error)
    np.testing.assert_array_equal(np.asarray(relu.apply(network, knots[:, None]))[:, 0], knots**2)
    x = rng.uniform(size=400)
    found = np.asarray(relu.apply(network, x[:, None]))[:, 0]
    np.testing.assert_allclose(found, np.interp(x, knots, knots**2), atol=1e-15)
    assert relu.size(network)[:2] == (levels + 1, 3 * levels)


@pytest.mark.parametrize(("squares", "times"), [(2, 1), (3, 4)])
@pytest.mark.parametrize("bound", [1.0, 2.0])
def test_a_product_errs_by_what_is_certified_and_no_more(squares, times, bound, rng, x64):
    network = relu.product(4, bound=bound, squares=squares)
    assert network.error == times * bound**2 * 2.0**-10
    points = rng.uniform(-bound, bound, (2000, 2))
    # Where two midpoints sum to a knot, and where the sum is a midpoint and the difference is zero.
    worst = bound * np.array([[18, 14], [7, 7]]) / 32
    points = np.concatenate([points, worst])
    errors = np.asarray(relu.apply(network, points))[:, 0] - points.prod(1)
    assert np.abs(errors).max() == pytest.approx(network.error, rel=1e-12)
    zero = np.stack([np.zeros(20), np.linspace(-bound, bound, 20)], 1)
    np.testing.assert_allclose(relu.apply(network, zero), 0, atol=1e-15)


@pytest.mark.parametrize("exponents", [(1,), (2,), (5,), (2, 1), (3, 0, 4), (0, 0)])
def test_monomials_err_within_what_is_certified(exponents, rng, x64):
    network = relu.monomial(exponents, 6)
    x = np.concatenate(
        [rng.uniform(-1, 1, (500, len(exponents))), rng.choice([-1.0, 1.0], (8, len(exponents)))]
    )
    errors = np.asarray(relu.apply(network, x))[:, 0] - (x ** np.array(exponents)).prod(1)
    assert np.abs(errors).max() <= network.error + 1e-15
    assert network.error <= max(sum(exponents) - 1, 0) * 2.0**-13
    assert len(network.kernels) == 1 + 7 * int(np.ceil(np.log2(max(sum(exponents), 1))))


def test_polynomials_err_within_what_is_certified(rng, x64):
    network = relu.polynomial([8.0, -8.0, 1.0], [(4,), (2,), (0,)], 8)
    x = np.linspace(-1, 1, 501)[:, None]
    expected = np.polynomial.chebyshev.chebval(x, [0, 0, 0, 0, 1])
    errors = np.abs(np.asarray(relu.apply(network, x)) - expected)
    assert 0 < errors.max() <= network.error
    assert network.error < 32 * 2.0**-17


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    with pytest.raises(ValueError, match=r"bound is 0\.0: take a positive number"):
        relu.product(3, bound=0.0)
    with pytest.raises(ValueError, match="squares is 4: take a whole number from 2 to 3"):
        relu.product(3, squares=4)
    with pytest.raises(ValueError, match="exponents is -1: take a whole number at least 0"):
        relu.monomial((1, -1), 3)
    with pytest.raises(ValueError, match="exponents holds none: take one for each variable"):
        relu.monomial((), 3)
    with pytest.raises(ValueError, match=r"coefficients has the shape \(1,\): take \(2,\), one each"):
        relu.polynomial([1.0], [(1,), (2,)], 3)
    with pytest.raises(ValueError, match="levels is 0: take a whole number at least 1"):
        relu.sawtooth(0)
