"""Deep linear networks against Kawaguchi's theory, with dense Hessians and NumPy as witnesses."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxtheory.landscape import linear_networks

WIDTHS = (5, 4, 3, 2)


def data(rng, widths, n=40):
    x = rng.standard_normal((n, widths[0]))
    return x, x @ rng.standard_normal((widths[0], widths[-1])) + rng.standard_normal((n, widths[-1]))


def weights(rng, widths):
    return [rng.standard_normal((b, a)) for a, b in pairwise(widths)]


def sigma(x, y):
    return y.T @ x @ np.linalg.inv(x.T @ x) @ x.T @ y / len(x)


@jax.jit
def dense(params, moments):
    """The gradient and the Hessian, by JAX's own transforms."""
    vector, unravel = ravel_pytree(params)

    def loss(v):
        return linear_networks.moment_loss(unravel(v), moments)

    return jax.grad(loss)(vector), jax.hessian(loss)(vector)


def test_a_network_is_the_product_of_its_matrices(rng, x64):
    params = weights(rng, WIDTHS)
    product = params[2] @ params[1] @ params[0]
    np.testing.assert_allclose(linear_networks.end_to_end(params), product, rtol=1e-14)
    np.testing.assert_allclose(linear_networks.middle(params), params[1], rtol=1e-14)
    x = rng.standard_normal((2, 7, 5))
    np.testing.assert_allclose(linear_networks.apply(params, x), x @ product.T, rtol=1e-12)
    batch = data(rng, WIDTHS)
    expected = ((batch[0] @ product.T - batch[1]) ** 2).sum(1).mean() / 2
    assert linear_networks.loss(params, batch) == pytest.approx(expected, rel=1e-13)
    assert linear_networks.moment_loss(params, linear_networks.moments(*batch)) == pytest.approx(expected)


def test_moments_are_those_of_numpy(rng, x64):
    x, y = data(rng, WIDTHS)
    found = linear_networks.moments(x, y)
    np.testing.assert_allclose(found.root @ found.root, x.T @ x / len(x), atol=1e-13)
    solution, residual, *_ = np.linalg.lstsq(x, y, rcond=None)
    np.testing.assert_allclose(found.least_squares, solution.T, atol=1e-12)
    assert found.floor == pytest.approx(residual.sum() / (2 * len(x)))
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(sigma(x, y))[::-1], rtol=1e-12)
    np.testing.assert_allclose(found.vectors * found.values @ found.vectors.T, sigma(x, y), atol=1e-12)
    inputs, cross, gap = linear_networks.margins(found)
    spectrum, singular = np.linalg.eigvalsh(x.T @ x), np.linalg.svd(x.T @ y, compute_uv=False)
    assert inputs == pytest.approx(spectrum[0] / spectrum[-1])
    assert cross == pytest.approx(singular[-1] / singular[0])
    assert gap == pytest.approx(1 - found.values[1] / found.values[0])
    assert linear_networks.margins(linear_networks.moments(x, y[:, :1])).gap == 1


def test_starts_have_the_variance_that_they_should(rng):
    default = linear_networks.init(jax.random.key(0), (100, 80, 3))
    assert [w.shape for w in default] == [(80, 100), (3, 80)]
    assert float(default[0].std()) == pytest.approx(0.1, rel=0.03)
    wide = linear_networks.init(jax.random.key(0), (100, 80, 3), scale=2.0)
    assert float(wide[0].std()) == pytest.approx(2, rel=0.03)


def test_subsets_are_all_that_a_narrow_layer_lets_through():
    assert len(linear_networks.subsets(4, 2)) == 1 + 4 + 6
    found = linear_networks.subsets(3, 5)
    assert len({tuple(mask) for mask in found}) == 8
    assert not found[0].any()
    assert found.sum(1).tolist() == [0, 1, 1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize(
    "widths",
    [
        (4, 3, 3, 2),
        *(pytest.param(one, marks=pytest.mark.beyond) for one in ((5, 4, 3), (5, 3, 2, 4), (4, 3, 3, 3, 2))),
    ],
)
def test_representatives_are_critical_with_the_map_and_loss_of_their_subset(widths, rng, x64):
    x, y = data(rng, widths)
    moments = linear_networks.moments(x, y)
    narrowest, layers = min(widths[1:-1]), len(widths) - 1
    subsets = linear_networks.subsets(widths[-1], narrowest)
    values, vectors = np.linalg.eigh(sigma(x, y))
    values, vectors = values[::-1], vectors[:, ::-1]
    total = (y**2).sum() / (2 * len(x))
    flat = 0
    for number, mask in enumerate(subsets):
        kept = vectors[:, mask] @ vectors[:, mask].T @ np.linalg.lstsq(x, y, rcond=None)[0].T
        for rank in {int(mask.sum()), narrowest}:
            params = linear_networks.representative(moments, widths, mask, middle_rank=rank)
            mixed = linear_networks.unbalanced(jax.random.key(number), params, spread=0.3)
            for point in (params, mixed):
                np.testing.assert_allclose(linear_networks.end_to_end(point), kept, atol=1e-11)
                gradient, hessian = dense(tuple(point), moments)
                assert np.linalg.norm(gradient) < 1e-11
                loss = total - values[mask].sum() / 2
                assert linear_networks.loss(point, (x, y)) == pytest.approx(loss, rel=1e-11)
                assert linear_networks.subset_loss(moments, mask) == pytest.approx(loss, rel=1e-11)
                full = layers == 2 or np.linalg.matrix_rank(linear_networks.middle(point), 1e-8) == narrowest
                assert full == (layers == 2 or rank == narrowest)
                least = np.linalg.eigvalsh(hessian)[0]
                best = mask.sum() == min(narrowest, widths[-1]) and mask[: mask.sum()].all()
                assert best <= (least > -1e-10)
                assert (full and not best) <= (least < -1e-3)
                if least > -1e-10 and not best:
                    flat += 1
                    lower = linear_networks.lower_point(moments, point, 1e-2)
                    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(lower, point)))
                    assert moved == pytest.approx(1e-2)
                    assert linear_networks.moment_loss(lower, moments) < loss - 1e-12
        found = linear_networks.assign(moments, kept, subsets)
        assert found.position == number
        assert found.distance < 1e-12
    assert (flat > 0) == (layers > 2)


def test_representatives_are_balanced_and_can_be_unbalanced(rng, x64):
    moments = linear_networks.moments(*data(rng, WIDTHS))
    params = linear_networks.representative(moments, WIDTHS, np.array([True, False]))
    mixed = linear_networks.unbalanced(jax.random.key(0), params)
    for point, is_balanced in ((params, True), (mixed, False)):
        for before, after in pairwise(point):
            assert np.allclose(before @ before.T, after.T @ after) == is_balanced
    rotated = linear_networks.unbalanced(jax.random.key(0), params, spread=0.0)
    for one, other in zip(rotated, params):
        assert np.linalg.norm(one) == pytest.approx(float(np.linalg.norm(other)))


def test_the_hessian_at_the_origin_vanishes_from_three_matrices_on(rng, x64):
    for widths in ((4, 3, 2), (4, 3, 3, 2)):
        origin = tuple(np.zeros((b, a)) for a, b in pairwise(widths))
        gradient, hessian = dense(origin, linear_networks.moments(*data(rng, widths)))
        assert not np.any(gradient)
        assert np.any(hessian) == (len(origin) == 2)


def test_a_distance_is_relative_to_the_map_of_least_loss(rng, x64):
    moments = linear_networks.moments(*data(rng, WIDTHS))
    norm = np.linalg.norm(moments.least_squares)
    off = np.zeros((2, 5))
    off[0, 0] = 0.01 * norm
    both = np.stack([moments.least_squares, off])
    found = linear_networks.assign(moments, both + off, linear_networks.subsets(2, 2))
    assert found.position.tolist() == [3, 0]
    np.testing.assert_allclose(found.distance, [0.01, 0.02], rtol=1e-10)


def test_where_no_unit_is_idle_nothing_moves(rng, x64):
    moments = linear_networks.moments(*data(rng, WIDTHS))
    params = weights(rng, (5, 2, 2, 2))
    for one, other in zip(linear_networks.lower_point(moments, params, 0.1), params):
        np.testing.assert_array_equal(one, other)


def test_integers_are_taken_as_floats(rng):
    whole = [np.rint(3 * w).astype(int) for w in weights(rng, WIDTHS)]
    expected = whole[2] @ whole[1] @ whole[0]
    np.testing.assert_array_equal(linear_networks.end_to_end(whole), expected)
    assert linear_networks.end_to_end(whole).dtype == np.float32


def test_arguments_are_checked(rng, own_errors):
    params, (x, y) = weights(rng, WIDTHS), data(rng, WIDTHS)
    moments = linear_networks.moments(x, y)
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"params holds no matrix: take one for each layer"):
        linear_networks.end_to_end([])
    with pytest.raises(ValueError, match=r"params\[1\] has the shape \(2, 3\): take \(outputs, 4\)"):
        linear_networks.end_to_end([params[0], params[2]])
    with pytest.raises(TypeError, match=r"params\[0\] is complex"):
        linear_networks.end_to_end([params[0] + 1j])
    with pytest.raises(ValueError, match="params holds 1 matrix: take at least two"):
        linear_networks.middle(params[:1])
    with pytest.raises(ValueError, match=r"x has the shape \(40, 4\): take \(\.\.\., 5\)"):
        linear_networks.apply(params, x[:, :4])
    with pytest.raises(ValueError, match=r"targets has the shape \(40, 1\): take \(40, 2\)"):
        linear_networks.loss(params, (x, y[:, :1]))
    with pytest.raises(ValueError, match="x holds 4 examples of 5 inputs: take at least 5"):
        linear_networks.moments(x[:4], y[:4])
    with pytest.raises(ValueError, match=r"targets has the shape \(39, 2\): take \(40, outputs\)"):
        linear_networks.moments(x, y[1:])
    with pytest.raises(ValueError, match=r"the network's map has the shape \(3, 5\): take \(2, 5\)"):
        linear_networks.moment_loss(params[:2], moments)
    with pytest.raises(ValueError, match=r"widths is \(5, 2\): take the inputs, at least one hidden layer"):
        linear_networks.init(key, (5, 2))
    with pytest.raises(ValueError, match="widths is 0: take a whole number at least 1"):
        linear_networks.init(key, (5, 0, 2))
    with pytest.raises(ValueError, match=r"scale is -1\.0: take a number of 0 or more"):
        linear_networks.init(key, WIDTHS, scale=-1.0)
    with pytest.raises(ValueError, match="outputs is 0: take a whole number at least 1"):
        linear_networks.subsets(0, 2)
    with pytest.raises(ValueError, match=r"subset has the shape \(3,\): take \(\.\.\., 2\)"):
        linear_networks.subset_loss(moments, np.ones(3, bool))
    with pytest.raises(ValueError, match=r"computed has the shape \(5, 2\): take \(\.\.\., 2, 5\)"):
        linear_networks.assign(moments, np.ones((5, 2)), linear_networks.subsets(2, 2))
    with pytest.raises(
        ValueError, match="moments are of 5 outputs and 2 inputs: take at most as many outputs"
    ):
        linear_networks.margins(linear_networks.moments(y, x))


def test_arguments_of_representatives_are_checked(rng, own_errors):
    moments = linear_networks.moments(*data(rng, WIDTHS))
    both = np.array([True, True])
    with pytest.raises(ValueError, match="subset holds 2 eigenvectors: take at most 1, the narrowest width"):
        linear_networks.representative(moments, (5, 1, 2), both)
    with pytest.raises(ValueError, match=r"subset has the shape \(1, 2\): take \(2,\) for \(outputs,\)"):
        linear_networks.representative(moments, WIDTHS, both[None])
    with pytest.raises(ValueError, match="middle_rank is 1: take a whole number from 2 to 3"):
        linear_networks.representative(moments, WIDTHS, both, middle_rank=1)
    with pytest.raises(ValueError, match=r"moments\.least_squares has the shape \(2, 5\): take \(3, 5\)"):
        linear_networks.representative(moments, (5, 4, 3), both)
    params = weights(rng, WIDTHS)
    with pytest.raises(ValueError, match=r"spread is -1\.0: take a number of 0 or more"):
        linear_networks.unbalanced(jax.random.key(0), params, spread=-1.0)
    with pytest.raises(ValueError, match=r"radius is 0\.0: take a positive number"):
        linear_networks.lower_point(moments, params, 0.0)
    with pytest.raises(ValueError, match=r"tolerance is -1\.0: take a number of 0 or more"):
        linear_networks.lower_point(moments, params, 1.0, tolerance=-1.0)
