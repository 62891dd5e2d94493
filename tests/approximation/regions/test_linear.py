"""Pieces along a segment against closed forms, fine grids and counting by hand."""

import numpy as np
import pytest

from jaxtheory.approximation import regions, relu
from tests.approximation.regions.made_networks import he_network, heights


@pytest.mark.parametrize("levels", [1, 4, 12])
def test_the_sawtooth_has_all_its_pieces(levels):
    found = regions.segment(relu.sawtooth(levels), [0], [1])
    assert found.pieces == found.cells == 2**levels
    np.testing.assert_array_equal(found.breakpoints, np.arange(2**levels + 1) / 2**levels)
    np.testing.assert_array_equal(found.values[:, 0], np.arange(2**levels + 1) % 2)
    np.testing.assert_array_equal(np.abs(found.slopes), 2.0**levels)


def test_the_square_bends_where_it_interpolates():
    found = regions.segment(relu.square(6), [0], [1])
    np.testing.assert_array_equal(found.breakpoints, np.arange(65) / 64)
    np.testing.assert_array_equal(found.values[:, 0], found.breakpoints**2)


def test_one_hidden_layer_bends_at_the_zeros_of_its_neurons(rng):
    network = he_network(rng, 3, 20, 2)
    a, b = rng.standard_normal((2, 3))
    at_a, at_b = a @ network.kernels[0] + network.biases[0], b @ network.kernels[0] + network.biases[0]
    zeros = at_a / (at_a - at_b)
    inside = np.sort(zeros[(zeros > 0) & (zeros < 1)])
    assert len(inside) > 2
    np.testing.assert_allclose(regions.segment(network, a, b).breakpoints[1:-1], inside, rtol=1e-12)


def test_a_deep_network_is_what_its_pieces_say(rng):
    network = he_network(rng, 5, 16, 16, 16, 2)
    a, b = rng.standard_normal((2, 5))
    found = regions.segment(network, a, b)
    share = np.linspace(0, 1, 4001)
    signs, outputs = heights(network, a + share[:, None] * (b - a))
    for k in range(2):
        at_ends = np.interp(share, found.breakpoints, found.values[:, k])
        np.testing.assert_allclose(outputs[:, k], at_ends, atol=1e-12)
    np.testing.assert_allclose(
        np.diff(found.values, axis=0), np.diff(found.breakpoints)[:, None] * found.slopes
    )
    seen = 1 + (np.diff(signs > 0, axis=0) != 0).any(1).sum()
    assert 20 < seen <= found.cells
    assert found.pieces <= found.cells
    # Every piece is a cell of its own: signs at the middles of the pieces differ from those of the next.
    middles = (found.breakpoints[:-1] + found.breakpoints[1:]) / 2
    signs, _ = heights(network, a + middles[:, None] * (b - a))
    assert (np.diff(signs > 0, axis=0) != 0).any(1).all()


def test_pieces_are_maximal():
    found = regions.segment(relu.identity(1, 4), [-1], [1])
    assert (found.pieces, found.cells) == (1, 2)
    # Neurons that bend at one place bend once; those that cancel do not.
    twice = relu.add(relu.sawtooth(3), relu.sawtooth(3))
    assert regions.segment(twice, [0], [1]).pieces == 8
    never = relu.add(relu.sawtooth(3), relu.sawtooth(3), coefficients=(1, -1))
    assert regions.segment(never, [0], [1]).pieces == 1


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    network = relu.product(2)
    with pytest.raises(ValueError, match=r"a has the shape \(1,\): take \(2,\)"):
        regions.segment(network, [0], [1, 1])
    with pytest.raises(ValueError, match="b is the point a: take two points"):
        regions.segment(network, [1, 0], [1, 0])
