"""Calculus on networks against the functions that they stand for, and counts against counting by hand."""

import itertools

import jax
import numpy as np
import pytest

from jaxtheory.approximation import relu


def random_network(rng, *widths):
    kernels = tuple(rng.standard_normal(pair) for pair in itertools.pairwise(widths))
    return relu.Network(kernels, tuple(rng.standard_normal(width) for width in widths[1:]), error=0.0)


@pytest.fixture(scope="module")
def three():
    rng = np.random.default_rng(1)
    return random_network(rng, 2, 4, 3), random_network(rng, 3, 5, 4, 1), random_network(rng, 2, 3, 3, 3)


def test_networks_are_composed_summed_and_set_side_by_side(three, rng, x64):
    f, g, h = three
    x, y = rng.standard_normal((2, 7, 2))
    at_x, at_y = np.asarray(relu.apply(f, x)), np.asarray(relu.apply(h, y))
    close = {"rtol": 1e-11, "atol": 1e-11}
    np.testing.assert_allclose(relu.apply(relu.compose(g, f), x), relu.apply(g, at_x), **close)
    both = np.concatenate([x, y], -1)
    np.testing.assert_allclose(
        relu.apply(relu.parallel(f, h), both), np.concatenate([at_x, at_y], -1), **close
    )
    shared = relu.parallel(f, h, shared=True)
    of_x = np.asarray(relu.apply(h, x))
    np.testing.assert_allclose(relu.apply(shared, x), np.concatenate([at_x, of_x], -1), **close)
    total = relu.add(f, h, coefficients=(2.0, -3.0))
    np.testing.assert_allclose(relu.apply(total, x), 2 * at_x - 3 * of_x, **close)
    np.testing.assert_allclose(relu.apply(relu.add(f, f), x), 2 * at_x, **close)
    np.testing.assert_allclose(relu.apply(relu.pad(f, 5), x), at_x, **close)
    np.testing.assert_allclose(relu.apply(relu.identity(2, 4), x), x, **close)
    np.testing.assert_allclose(
        relu.apply(relu.affine([[1, 2, 3], [4, 5, 6]], [0, 0, 1]), x), x @ [[1, 2, 3], [4, 5, 6]] + [0, 0, 1]
    )


def test_counts_are_those_by_hand(three):
    f, g, h = three
    assert relu.size(f) == (2, 4, 2 * 4 + 4 + 4 * 3 + 3)
    # Four maps become three, and the map between them has no bias less.
    assert relu.size(relu.compose(g, f)) == (4, 4 + 5 + 4, 12 + (4 * 5 + 5) + (5 * 4 + 4) + 5)
    # f is padded by one layer of 2 x 3 neurons.
    assert relu.pad(f, 3).widths == (2, 4, 6, 3)
    side = relu.parallel(f, h)
    assert side.widths == (4, 7, 9, 6)
    assert relu.size(side).weights == relu.size(relu.pad(f, 3)).weights + relu.size(h).weights
    assert relu.parallel(f, h, shared=True).widths == (2, 7, 9, 6)
    assert relu.size(relu.parallel(f, h, shared=True)) == relu.size(side)
    assert relu.size(relu.identity(3, 4)) == (4, 18, 6 + 6 + 6 + 6)
    assert relu.size(relu.pad(f, 2)) == relu.size(f)


def test_errors_go_through_where_they_are_known(three):
    exact, square = three[0], relu.square(3)
    assert relu.compose(relu.affine([[3.0, 1.0]]), square).error == 3 * square.error
    assert relu.compose(square, relu.affine([[1.0]])).error == square.error
    assert relu.compose(square, square).error is None
    assert relu.pad(square, 8).error == square.error
    assert relu.parallel(square, relu.square(2)).error == 2.0**-6
    assert relu.parallel(relu.half_space((1,), width=0.1), square).error is None
    assert relu.add(square, relu.square(2), coefficients=(-1, 0.5)).error == 2.0**-8 + 2.0**-7
    assert relu.add(exact, exact).error == 0


def test_what_is_made_is_a_pytree(three):
    leaves = jax.tree.leaves(relu.compose(three[1], three[0]))
    assert len(leaves) == 8
    assert all(leaf.dtype == np.float64 for leaf in leaves)


@pytest.mark.usefixtures("own_errors")
def test_what_does_not_chain_is_refused(three):
    f, g, _ = three
    with pytest.raises(ValueError, match="outer takes 2 inputs, but inner gives 1 outputs: take net"):
        relu.compose(f, g)
    with pytest.raises(ValueError, match="networks have 2, 3 inputs: take as many for each"):
        relu.parallel(f, g, shared=True)
    with pytest.raises(ValueError, match="networks have 1, 2 outputs: take as many for each"):
        relu.add(relu.affine(np.ones((2, 1))), relu.identity(2))
    with pytest.raises(ValueError, match="networks holds none: take at least one"):
        relu.parallel()
    with pytest.raises(ValueError, match=r"coefficients has the shape \(3,\): take \(2,\), one each"):
        relu.add(f, f, coefficients=(1, 2, 3))
    with pytest.raises(ValueError, match="layers is 1: take a whole number at least 2"):
        relu.pad(f, 1)
    with pytest.raises(TypeError, match="shared is 'yes': take True or False"):
        relu.parallel(f, f, shared="yes")
    with pytest.raises(ValueError, match=r"kernel has the shape \(3,\): take \(inputs, outputs\)"):
        relu.affine(np.ones(3))
    with pytest.raises(ValueError, match="width is 0"):
        relu.identity(0)
