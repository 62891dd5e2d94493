"""Random labels and images, the memorizer against triangular systems, complexities against all signs."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_triangular

from jaxtheory.statistics import capacity

KEY = jax.random.key(0)
KINDS = ("shuffled", "random", "gaussian")


def test_a_share_of_the_labels_is_drawn_alike_among_the_classes():
    labels = np.arange(9000) % 3
    none, some, every = (
        np.asarray(capacity.random_labels(labels, KEY, classes=3, share=share)) for share in (0.0, 0.4, 1.0)
    )
    np.testing.assert_array_equal(none, labels)
    assert np.mean(some != labels) == pytest.approx(0.4 * 2 / 3, abs=0.02)
    # Whatever the old label, each new one is as likely.
    counts = np.array([[np.mean(every[labels == old] == new) for new in range(3)] for old in range(3)])
    np.testing.assert_allclose(counts, 1 / 3, atol=0.03)
    np.testing.assert_array_equal(some[some != labels], every[some != labels])


def test_pixels_change_places_and_noise_has_their_mean_and_variance(rng):
    images, others = rng.random((40, 6, 7)), rng.random((3, 6, 7))
    found = {kind: np.asarray(capacity.random_images(images, KEY, kind=kind)) for kind in KINDS}
    for kind in ("shuffled", "random"):
        np.testing.assert_array_equal(
            np.sort(found[kind].reshape(40, -1)), np.sort(np.float32(images).reshape(40, -1))
        )
    order = [
        int(np.flatnonzero(np.float32(images[0]).ravel() == one)[0]) for one in found["shuffled"][0].flat
    ]
    again = capacity.random_images(others, KEY, kind="shuffled")
    np.testing.assert_array_equal(again.reshape(3, -1), np.float32(others).reshape(3, -1)[:, order])
    assert not np.array_equal(found["random"][1].ravel(), np.float32(images)[1].ravel()[order])
    noise = found["gaussian"]
    assert noise.shape == images.shape
    assert noise.mean() == pytest.approx(images.mean(), abs=0.03)
    assert noise.std() == pytest.approx(images.std(), rel=0.06)


def test_the_memorizer_solves_the_triangular_system_and_interpolates(x64, rng):
    x, y = rng.standard_normal((400, 30)), rng.standard_normal(400)
    params = capacity.memorizer(x, y)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 2 * 400 + 30
    error = np.abs(capacity.apply(params, x) - y).max()
    assert error < 1e-8
    knots, projected = np.asarray(params.knots), np.asarray(jnp.asarray(x) @ params.direction)
    order = np.argsort(projected)
    places = projected[order]
    responses = np.maximum(places[:, None] - knots, 0)
    np.testing.assert_allclose(np.triu(responses, 1), 0, atol=1e-14)
    weights = solve_triangular(responses, y[order], lower=True)
    np.testing.assert_allclose(params.weights, weights, atol=1e-9 * np.abs(weights).max())
    # Between neighbors on the line, the network is linear.
    middle = (places[:-1] + places[1:]) / 2
    along = middle[:, None] * np.asarray(params.direction) / np.sum(np.asarray(params.direction) ** 2)
    found = capacity.apply(params, along)
    np.testing.assert_allclose(found, np.interp(middle, places, y[order]), atol=1e-7)
    halfway = np.concatenate([knots[:1], middle])
    steep = solve_triangular(np.maximum(places[:, None] - halfway, 0), y[order], lower=True)
    lost = np.abs(np.maximum(places[:, None] - halfway, 0) @ steep - y[order]).max()
    assert lost > 10 * error


def test_points_that_are_not_distinct_are_named(own_errors, rng):
    x = rng.standard_normal((6, 3))
    twice = np.concatenate([x, x[4:5]])
    with pytest.raises(ValueError, match=r"^x\[4\] and x\[6\] are the same point: take points that are dis"):
        capacity.memorizer(twice, np.zeros(7))
    near = np.float32([[1, 0], [2, 0], [1, 1e-12]])
    with pytest.raises(ValueError, match=r"^x\[0\] and x\[2\] are so near that float32 does not tell their"):
        capacity.memorizer(near, np.zeros(3))
    traced = jax.jit(capacity.memorizer)(twice, np.arange(7.0))
    assert not np.isfinite(traced.weights).all()
    assert float(capacity.apply(capacity.memorizer(x[:1], np.array([2.5])), x[0])) == pytest.approx(2.5)


def gaussian(x, y):
    return jnp.exp(-((x[:, None] - y) ** 2).sum(-1))


@pytest.mark.parametrize("kernel", [None, pytest.param(gaussian, marks=pytest.mark.beyond)])
def test_complexities_are_means_over_all_signs(x64, rng, kernel):
    x = rng.standard_normal((8, 3))
    gram = x @ x.T if kernel is None else np.asarray(kernel(x, x))
    signs = np.array(list(product((-1, 1), repeat=8)))
    expected = 1.5 / 8 * np.sqrt(np.einsum("si,ij,sj->s", signs, gram, signs)).mean()
    found = capacity.rademacher(x, KEY, kernel=kernel, radius=1.5, probes=4000)
    assert abs(found.value - expected) < 4 * found.standard_error
    assert found.standard_error < 0.02 * expected
    assert expected <= 1.5 / 8 * np.sqrt(np.trace(gram))
    same = capacity.rademacher(x, KEY, kernel=kernel or (lambda x, y: x @ y.T), radius=1.5, probes=4000)
    assert float(same.value) == pytest.approx(float(found.value), rel=1e-12)


def constant(matrix):
    """A kernel with the same matrix for all points."""
    return lambda *_: matrix


def test_bad_arguments_are_refused(own_errors):
    rows, labels = np.ones((3, 2), np.float32), np.array([0, 1, 2])
    for call, message in (
        (lambda: capacity.random_labels(labels, KEY, classes=2), r"^labels run from 0 to 2: take 0 to 1 for"),
        (
            lambda: capacity.random_labels(labels - 1, KEY, classes=9),
            r"^labels run from -1 to 1: take 0 to 8",
        ),
        (
            lambda: capacity.random_labels(0 * labels, KEY, classes=1),
            r"^classes is 1: take a whole number at",
        ),
        (
            lambda: capacity.random_labels(labels, KEY, classes=3, share=2),
            r"^share is 2\.0: take a number from",
        ),
        (lambda: capacity.random_images(rows, KEY, kind="turned"), r"^kind is 'turned': take 'shuffled', 'r"),
        (
            lambda: capacity.random_images(rows[0], KEY, kind="random"),
            r"^images has the shape \(2,\): take \(",
        ),
        (lambda: capacity.memorizer(rows, labels[:2]), r"^y has the shape \(2,\): take \(3,\) for \(n,\)"),
        (lambda: capacity.memorizer(rows[:0], labels[:0]), r"^x has the shape \(0, 2\): take at least one"),
        (lambda: capacity.rademacher(rows, KEY, probes=1), r"^probes is 1: take a whole number at least 2$"),
        (
            lambda: capacity.rademacher(rows, KEY, radius=-1.0),
            r"^radius is -1\.0: take a number of 0 or more",
        ),
        (
            lambda: capacity.rademacher(rows[:0], KEY),
            r"^x has the shape \(0, 2\): take at least one example$",
        ),
        (
            lambda: capacity.rademacher(rows, KEY, kernel=constant(rows)),
            r"^kernel has the shape \(3, 2\): take \(3, 3\) for \(n, m\)$",
        ),
        (
            lambda: capacity.rademacher(rows, KEY, kernel=constant(-jnp.eye(3))),
            r"^kernel has the eigenvalue -1: take a positive semidefinite one$",
        ),
        (
            lambda: capacity.rademacher(rows, KEY, kernel=constant(jnp.arange(9.0).reshape(3, 3))),
            r"^kernel is not symmetric: take a function with k\(x, y\) = k\(y, x\)$",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match=r"^labels are float64: take whole numbers, classes from 0$"):
        capacity.random_labels(labels / 2, KEY, classes=3)
    with pytest.raises(TypeError, match=r"^params is a dict: take a Memorizer, as capacity\.memorizer retu"):
        capacity.apply({}, rows)
