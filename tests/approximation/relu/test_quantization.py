"""Quantized weights against rounding by hand, and what it costs the square."""

import numpy as np
import pytest

from jaxtheory.approximation import relu


def test_weights_are_rounded_to_the_grid(rng):
    network = relu.Network((rng.standard_normal((2, 3)),), (rng.standard_normal(3),), error=0.0)
    found = relu.quantize(network, 5)
    np.testing.assert_array_equal(found.network.kernels[0], np.round(network.kernels[0] * 32) / 32)
    largest = max(np.abs(network.kernels[0]).max(), np.abs(network.biases[0]).max())
    assert 2 ** (found.bits - 2) <= np.rint(32 * largest) < 2 ** (found.bits - 1)
    assert 0 < found.change <= 1 / 64
    assert found.network.error is None


def test_dyadic_networks_lose_nothing():
    square = relu.square(5)
    found = relu.quantize(square, 10)
    assert found.change == 0
    assert found.network.error == square.error
    # The largest weight is 4, so that 10 places need 1 + 3 + 10 bits.
    assert found.bits == 14
    assert relu.quantize(square, 7).change > 0


def test_places_are_checked():
    with pytest.raises(ValueError, match="places is -1: take a whole number at least 0"):
        relu.quantize(relu.square(1), -1)
