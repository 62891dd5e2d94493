"""k-means against scikit-learn's Lloyd steps and dense NumPy; features of images against both."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.cluster import KMeans

from jaxtheory.sparse import kmeans, learning


def test_lloyd_is_scikit_learns(x64, rng):
    x = rng.standard_normal((200, 3))
    model = KMeans(6, init=x[:6], n_init=1, max_iter=4, tol=0, algorithm="lloyd").fit(x)
    learner = kmeans.lloyd()
    state, metrics = learning.run(learner, learner.init(x[:6]), x, steps=4)
    np.testing.assert_allclose(state.centroids, model.cluster_centers_, rtol=1e-10)
    assert state.step == 4
    assert np.all(np.diff(metrics["distance"]) <= 0)
    _, after = learner.step(state, x)
    np.testing.assert_allclose(after["distance"], model.inertia_ / 200, rtol=1e-10)


def test_a_centroid_without_a_signal_goes_to_the_farthest(rng):
    x = np.float32([[0, 0], [1, 0], [0, 7], [np.nan, 0]])
    learner = kmeans.lloyd()
    state, metrics = learner.step(learner.init(np.float32([[0.5, 0], [90, 90], [80, 80]])), x)
    np.testing.assert_allclose(metrics["distance"], (0.25 + 0.25 + 49.25) / 3)
    np.testing.assert_allclose(state.centroids[0], [1 / 3, 7 / 3], rtol=1e-6)
    np.testing.assert_array_equal(state.centroids[1], [0, 7])
    assert state.centroids[2].tolist() in ([0, 0], [1, 0])


def test_a_spherical_step_is_the_papers(x64, rng):
    x, D = rng.standard_normal((50, 4)), rng.standard_normal((6, 4))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    products = x @ D.T
    codes = np.where(np.abs(products) == np.abs(products).max(1, keepdims=True), products, 0)
    expected = D + codes.T @ x
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    learner = kmeans.spherical()
    state, metrics = learner.step(learner.init(3 * D), x)
    assert np.all(np.any(codes != 0, axis=0))
    np.testing.assert_allclose(state.centroids, expected, rtol=1e-10)
    np.testing.assert_allclose(metrics["distance"], np.mean(np.sum((x - codes @ D) ** 2, 1)), rtol=1e-10)


def test_spherical_centroids_find_directions_up_to_their_sign(rng):
    D = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    x = rng.choice([-1, 1], (300, 1)) * rng.uniform(1, 3, (300, 1)) * D[rng.integers(5, size=300)]
    x = np.float32(x + 0.05 * rng.standard_normal(x.shape))
    learner = kmeans.spherical()
    start = learner.init(np.zeros((5, 5), np.float32))
    state, metrics = learning.run(learner, start, x, steps=20)
    assert np.isfinite(state.centroids).all()
    assert metrics["distance"][-1] < 0.1 * metrics["distance"][0]
    assert np.abs(D @ np.asarray(state.centroids).T).max(1).min() > 0.99


def test_spread_draws_signals_in_proportion_to_squared_distances():
    x = np.float32([[0.0], [1.0], [3.0], [np.inf]])
    keys = jax.random.split(jax.random.key(0), 3000)
    drawn = np.asarray(jax.vmap(lambda key: kmeans.spread(key, x, 2))(keys))[..., 0]
    share = {(a, b): np.mean((drawn == [a, b]).all(1)) for a in (0, 1, 3) for b in (0, 1, 3)}
    for first, squares in ((0, {1: 1, 3: 9}), (1, {0: 1, 3: 4}), (3, {0: 9, 1: 4})):
        for second, square in squares.items():
            expected = square / sum(squares.values()) / 3
            assert abs(share[first, second] - expected) < 5 * np.sqrt(expected / 3000)
        assert share[first, first] == 0
    # Equal signals are drawn again where there are no others.
    np.testing.assert_array_equal(kmeans.spread(jax.random.key(0), np.ones((3, 2), np.float32), 3), 1)


def test_triangle_and_pool(x64, rng):
    x, c = rng.standard_normal((7, 3)), rng.standard_normal((4, 3))
    distances = np.linalg.norm(x[:, None] - c, axis=-1)
    expected = np.maximum(distances.mean(1, keepdims=True) - distances, 0)
    np.testing.assert_allclose(kmeans.triangle(c, x), expected, atol=1e-7)
    maps = rng.standard_normal((2, 4, 6, 3))
    expected = [[maps[:, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].sum((1, 2)) for j in (0, 1)] for i in (0, 1)]
    np.testing.assert_allclose(kmeans.pool(maps, 2), np.moveaxis(expected, 2, 0), rtol=1e-12)


@pytest.mark.beyond
def test_features_of_images_are_those_of_each_patch(rng):
    images = np.float32(rng.random((12, 8, 8, 1)))
    encoder = kmeans.fit_encoder(jax.random.key(0), images, 5, 3, patches=300, steps=5, regularization=0.2)
    assert encoder.patch_size == (3, 3)
    found = kmeans.encode(encoder, images, grid=2)
    windows = sliding_window_view(np.pad(images[..., 0], ((0, 0), (1, 1), (1, 1))), (3, 3), (1, 2))
    windows = np.float64(windows.reshape(12, 8, 8, 9))
    windows = windows - windows.mean(-1, keepdims=True)
    windows /= np.sqrt((windows**2).mean(-1, keepdims=True) + 0.01)
    white = (windows - encoder.whitening.mean) @ np.asarray(encoder.whitening.matrix)
    distances = np.linalg.norm(white[..., None, :] - encoder.centroids, axis=-1)
    nearness = np.maximum(distances.mean(-1, keepdims=True) - distances, 0)
    expected = nearness.reshape(12, 2, 4, 2, 4, 5).sum((2, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    # The centroids are those of k-means: each is the mean of what is nearest, or nearly.
    assert np.linalg.norm(encoder.centroids, axis=1).min() > 0.3


@pytest.mark.beyond
def test_blank_patches_are_left_out(rng):
    images = np.zeros((4, 12, 12, 1), np.float32)
    images[:, :6, :6] = rng.random((4, 6, 6, 1))
    encoder = kmeans.fit_encoder(jax.random.key(0), images, 3, 3, patches=50, steps=3)
    # A quarter of the places holds ink: all patches that are clustered have contrast one.
    variances = 1 / np.linalg.eigvalsh(encoder.whitening.matrix)[1:] ** 2 - 0.1
    assert 6 < variances.sum() + np.sum(encoder.whitening.mean**2) < 9


X = np.ones((6, 3), np.float32)
BAD = {
    "centroids": (
        lambda: kmeans.lloyd().step(kmeans.lloyd().init(X), X[:, :2]),
        ValueError,
        "signals has the shape (6, 2): take (n, 3) for (n, features)",
    ),
    "no centroids": (
        lambda: kmeans.spherical().init(X[:0]),
        ValueError,
        "centroids has the shape (0, 3): take",
    ),
    "clusters": (
        lambda: kmeans.spread(jax.random.key(0), X, 7),
        ValueError,
        "clusters is 7: take a whole number from 1 to 6",
    ),
    "features": (
        lambda: kmeans.triangle(X, np.ones(2)),
        ValueError,
        "x has the shape (2,): take (..., 3) for (..., features)",
    ),
    "grid": (
        lambda: kmeans.pool(np.ones((4, 6, 1)), 4),
        ValueError,
        "grid is 4: take a divisor of height and width, 4 and 6",
    ),
    "complex": (lambda: kmeans.triangle(X, 1j * X), TypeError, "x is complex (complex64): take real numbers"),
    "contrast": (
        lambda: kmeans.fit_encoder(jax.random.key(0), jnp.ones((2, 4, 4, 1)), 2, 2, contrast=-1.0),
        ValueError,
        "contrast is -1.0: take a number of 0 or more",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
