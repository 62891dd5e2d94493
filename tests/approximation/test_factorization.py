"""Factors of filters against NumPy's convolution, convolutional networks against dense layers."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.approximation import factorization


def product(factors):
    taps = np.ones(1)
    for factor in factors:
        taps = np.convolve(taps, factor)
    return taps


def missed(taps, factors):
    """The largest difference of the product from a filter, over the largest tap."""
    found = product(factors)
    length = max(len(found), len(taps))
    difference = np.pad(found, (0, length - len(found))) - np.pad(taps, (0, length - len(taps)))
    return np.abs(difference).max() / np.abs(taps).max()


@given(st.integers(2, 40), st.integers(2, 7), st.integers(0, 10_000))
def test_random_filters_are_products_of_as_few_factors_as_the_theorem_says(degree, s, seed):
    taps = np.random.default_rng(seed).standard_normal(degree + 1)
    if degree < s:
        with pytest.raises(ValueError, match="those of one factor"):
            factorization.factorize(taps, s)
        return
    factors = factorization.factorize(taps, s)
    assert factors.shape[1] == s + 1
    assert math.ceil(degree / s) <= len(factors) <= math.ceil(degree / (s - 1))
    assert missed(taps, factors) < 1e-10
    assert factorization.residual(taps, factors) == pytest.approx(missed(taps, factors), rel=1e-6)


def test_even_factors_hold_as_many_roots_as_there_are_and_odd_ones_hold_whole_pairs(rng):
    taps = rng.standard_normal(61)
    real = np.isreal(np.roots(taps[::-1])).sum()
    assert len(factorization.factorize(taps, 4)) == 15
    pairs = (60 - real) // 2
    assert len(factorization.factorize(taps, 3)) == max(pairs, 20)


@pytest.mark.parametrize("s", [2, 3, 5])
def test_long_filters_keep_their_digits(rng, s):
    # Roots that are taken out of order to fill a factor would cost three of them.
    taps = rng.standard_normal(513)
    assert missed(taps, factorization.factorize(taps, s)) < 1e-11


@pytest.mark.parametrize(
    "taps",
    [
        np.cumprod(np.r_[1.0, np.arange(64, 0, -1) / np.arange(1, 65)]),  # (1 + z)^64: one root, 64 times
        np.ones(257),
        np.hanning(129),
        np.sinc((np.arange(257) - 128) / 4) * np.hamming(257),
        np.exp(-((np.arange(129) - 64) ** 2) / 20),
        np.eye(1, 9, 4)[0],
        np.r_[0, 0, 0, 1.0, 2.0],
        np.r_[1.0, 2.0, 0, 0, 0],
    ],
)
def test_filters_of_multiple_and_of_extreme_roots(taps):
    factors = factorization.factorize(taps, 2)
    assert missed(taps, factors) < 2e-12
    assert len(factors) <= len(taps) - 1


def test_small_end_taps_are_left_out_and_a_residual_is_told_where_they_are_kept(rng):
    taps = np.sinc((np.arange(257) - 128) / 4) * np.hamming(257)
    with pytest.warns(
        RuntimeWarning, match="to .*e-.* of its largest tap only: raise trim, which is 0"
    ) as told:
        factors = factorization.factorize(taps, 2, trim=0)
    error = missed(taps, factors)
    assert error > 1e-10
    assert f"{error:.1e}" in str(told[0].message)
    assert factorization.residual(taps, factors) == pytest.approx(error)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert missed(taps, factorization.factorize(taps, 2)) < 1e-10


def test_partial_products_have_the_size_of_the_filter(rng):
    taps = rng.standard_normal(33)
    factors = factorization.factorize(taps, 3)
    sizes = [np.abs(product(factors[:k])).sum() for k in range(1, len(factors) + 1)]
    np.testing.assert_allclose(sizes, np.abs(taps).sum(), rtol=1e-10)


def test_precision_follows_the_filter(rng):
    taps = rng.standard_normal(9)
    assert factorization.factorize(taps, 2).dtype == np.float64
    assert factorization.factorize(np.rint(4 * taps).astype(int), 2).dtype == np.float64
    assert factorization.factorize(taps.astype(np.float32), 2).dtype == np.float32
    assert factorization.factorize(jnp.asarray(taps, jnp.float32), 2).dtype == np.float32


@pytest.mark.parametrize("s", [2, 3, 4])
def test_a_dense_layer_is_a_convolutional_network(rng, x64, s):
    kernel, bias = rng.standard_normal((6, 4)), rng.standard_normal(4)
    kernel[0], kernel[-1] = 0, 1e-15  # inputs that nobody uses
    x = rng.uniform(-3, 3, (5, 6))
    network = factorization.from_dense(kernel, bias, s, bound=3)
    dense = np.maximum(x @ kernel + bias, 0)
    np.testing.assert_allclose(factorization.apply(network, x), dense, atol=1e-11 * dense.max())
    assert network.filters[0].shape[0] <= math.ceil(23 / (s - 1))


def test_inner_biases_are_constant_but_at_the_ends_and_grow_no_more_than_the_filter(rng, x64):
    kernel = rng.standard_normal((8, 3))
    network = factorization.from_dense(kernel, np.zeros(3), 2)
    (biases,), (filters,) = network.biases, network.filters
    np.testing.assert_allclose(biases[0][:10], np.abs(kernel).sum())
    assert not biases[0][10:].any()
    for layer in range(1, len(filters)):
        inner = biases[layer][2 : 8 + 2 * layer]
        np.testing.assert_allclose(inner, inner[0], rtol=1e-9)
    # Beyond the bound a ReLU may cut; below it none does.
    outer = factorization.apply(network, -100 * np.ones(8))
    assert not np.allclose(outer, np.maximum(-100 * np.ones(8) @ kernel, 0))
    assert factorization.free_parameters(network) == 3 * len(filters) + 5 * (len(filters) - 1) + 3


def test_layers_follow_one_another(rng, x64):
    kernels = [rng.standard_normal(shape) for shape in ((5, 4), (4, 3))]
    x = rng.uniform(-1, 1, (6, 5))
    hidden = np.maximum(x @ kernels[0], 0)
    both = factorization.chain(
        factorization.from_dense(kernels[0], np.zeros(4), 2),
        factorization.from_dense(kernels[1], np.ones(3), 3, bound=hidden.max()),
    )
    np.testing.assert_allclose(
        factorization.apply(both, x), np.maximum(hidden @ kernels[1] + 1, 0), atol=1e-11
    )
    assert (both.inputs, both.strides, both.outputs) == (5, (5, 4), (4, 3))


def test_a_network_convolves_and_keeps_every_stride(rng):
    network = factorization.init(jax.random.key(0), 7, s=3, layers=(2, 1), strides=(4, 2))
    x = rng.uniform(size=7)
    h = x
    for filters, stride in zip(network.filters, network.strides):
        for taps in filters:
            h = np.maximum(np.convolve(h, taps), 0)
        h = h[stride - 1 :: stride]
    np.testing.assert_allclose(factorization.apply(network, np.float32(x)), h, rtol=2e-5)
    assert network.outputs == (3, 3)
    assert len(h) == 3
    many = factorization.init(jax.random.key(1), 300, s=9, layers=(40,), strides=(1,))
    assert float(many.filters[0].var()) == pytest.approx(0.2, rel=0.15)


def test_a_ridge_function_is_a_convolutional_network(rng, x64):
    direction = rng.standard_normal(9)
    direction /= np.linalg.norm(direction)
    knots = np.sort(rng.uniform(-1, 1, 6))
    values = rng.standard_normal(6)
    network, coefficients = factorization.from_ridge(direction, knots, values, 3)
    x = rng.uniform(-0.3, 0.3, (40, 9))
    at = x @ direction
    found = values[0] + factorization.apply(network, x) @ coefficients
    inside = at <= knots[-1]
    np.testing.assert_allclose(found[inside], np.interp(at, knots, values)[inside], atol=1e-11)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: factorization.factorize(np.ones(2), 2), "taps has 2 taps: take at least s . 1 = 3"),
        (lambda: factorization.factorize(np.zeros(5), 2), "taps is zero: take a filter with a nonzero tap"),
        (lambda: factorization.factorize(np.array([1, np.nan, 1]), 2), "taps holds nan: take finite numbers"),
        (lambda: factorization.factorize(np.ones(5), 1), "s is 1: take a whole number at least 2"),
        (lambda: factorization.factorize(np.ones(5), 2, trim=2), "trim is 2: take a number from 0 to 1"),
        (lambda: factorization.factorize(np.ones((2, 5)), 2), r"taps has the shape \(2, 5\)"),
        (lambda: factorization.factorize(1j * np.ones(5), 2), r"taps is complex \(complex128\)"),
        (lambda: factorization.residual(np.ones(3), np.ones(3)), r"factors has the shape \(3,\)"),
        (
            lambda: factorization.from_dense(np.ones((1, 2)), np.zeros(2), 2),
            "kernel has 2 weights: take at least s . 1 = 3, or a smaller s",
        ),
        (lambda: factorization.from_dense(np.ones((3, 2)), np.zeros(3), 2), r"bias has the shape \(3,\)"),
        (lambda: factorization.from_dense(np.ones((3, 2)), np.zeros(2), 2, bound=0), "bound is 0"),
        (
            lambda: factorization.from_ridge(np.ones(3), np.array([0.0, 0.0]), np.ones(2), 2),
            "knots do not increase: take at least two numbers",
        ),
        (
            lambda: factorization.init(jax.random.key(0), 4, s=2, layers=(1, 2), strides=(1,)),
            "layers are 2 and strides 1: take one of each for every block",
        ),
        (
            lambda: factorization.init(jax.random.key(0), 4, s=2, layers=(1,), strides=(9,)),
            "strides is 9: take a whole number from 1 to 6",
        ),
        (factorization.chain, "networks are none: take at least one"),
        (
            lambda: factorization.chain(
                *[factorization.init(jax.random.key(0), 4, s=2, layers=(1,), strides=(1,))] * 2
            ),
            "network 1 has 6 outputs, but network 2 takes 4 inputs: take networks that chain",
        ),
        (
            lambda: factorization.apply(
                factorization.init(jax.random.key(0), 4, s=2, layers=(1,), strides=(1,)), np.ones(5)
            ),
            r"x has the shape \(5,\): take \(\.\.\., 4\)",
        ),
    ],
)
def test_bad_arguments_are_told(own_errors, call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
