"""Random features and the regressions on them against kernels, NumPy's least squares and scikit-learn."""

import jax
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from jaxtheory.statistics import kernel_regression, random_features
from jaxtheory.statistics.random_features import updates


@pytest.mark.parametrize("form", ["fourier", pytest.param("relu", marks=pytest.mark.beyond)])
def test_their_products_tend_to_the_kernel(rng, form):
    x, count = rng.standard_normal((6, 3)).astype(np.float32), 50_000
    if form == "fourier":
        drawn = random_features.fourier(jax.random.key(0), 3, count, bandwidth=1.5)
        expected = kernel_regression.gaussian(1.5)(x, x)
    else:
        drawn = random_features.relu(jax.random.key(0), 3, count)
        lengths = np.linalg.norm(x, axis=1)
        cosines = np.clip(x @ x.T / np.outer(lengths, lengths), -1, 1)
        angles = np.arccos(cosines)
        expected = np.outer(lengths, lengths) * (np.sin(angles) + (np.pi - angles) * cosines) / np.pi
    phi = random_features.apply(drawn, x)
    assert phi.shape == (6, count)
    products = np.asarray(phi).T[:, :, None] * np.asarray(phi).T[:, None, :]
    error = products.std(0) / np.sqrt(count)
    assert (np.abs(products.mean(0) - expected) < 4.5 * error + 1e-3).all()


@pytest.mark.parametrize(
    ("n", "panel", "outputs"), [(21, 4, ()), pytest.param(19, 128, (2,), marks=pytest.mark.beyond)]
)
def test_every_number_of_features_is_numpys_least_squares(rng, x64, monkeypatch, n, panel, outputs):
    monkeypatch.setattr(updates, "PANEL", panel)
    features, y = rng.standard_normal((n, 60)), rng.standard_normal((n, *outputs))
    sizes = (1, 8, 18, n, n + 1, 31, 45, 60)
    path = random_features.minimum_norm_path(features, y, sizes)
    for size, found, norm in zip(sizes, path.coefficients, path.norms):
        expected = np.linalg.lstsq(features[:, :size], y)[0]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[:size], expected, atol=1e-10 * scale)
        np.testing.assert_array_equal(found[size:], 0)
        np.testing.assert_allclose(norm, np.linalg.norm(expected, axis=0), rtol=1e-10)
    assert path.residual.shape == (8,)
    assert (path.residual < 1e-11).all()


@pytest.mark.beyond
@pytest.mark.parametrize("sizes", [(3, 5), (22, 40), (30,)])
def test_one_side_of_interpolation_is_enough(rng, x64, sizes):
    features, y = rng.standard_normal((21, 40)), rng.standard_normal(21)
    path = random_features.minimum_norm_path(features, y, sizes)
    for size, found in zip(sizes, path.coefficients):
        np.testing.assert_allclose(found[:size], np.linalg.lstsq(features[:, :size], y)[0], atol=1e-11)


@pytest.mark.parametrize("count", [9, pytest.param(40, marks=pytest.mark.beyond)])
def test_ridge_regression_is_scikit_learns(rng, x64, count):
    features, y = rng.standard_normal((21, count)), rng.standard_normal((21, 2))
    path = random_features.ridge_path(features, y, (1e-3, 1.0))
    for penalty, found in zip((1e-3, 1.0), path.coefficients):
        peer = Ridge(alpha=21 * penalty, fit_intercept=False).fit(features, y)
        np.testing.assert_allclose(found, peer.coef_.T, atol=1e-11)
    assert (path.residual < 1e-11).all()


FEATURES, Y = np.ones((3, 4), np.float32), np.zeros(3, np.float32)
PATH, RIDGE = random_features.minimum_norm_path, random_features.ridge_path
KEY = jax.random.key(0)


@pytest.mark.usefixtures("own_errors")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: PATH(FEATURES, Y, (2, 5)),
            ValueError,
            r"^sizes is \(2, 5\): take rising numbers from 1 to 4$",
        ),
        (
            lambda: PATH(FEATURES, Y, (2, 2)),
            ValueError,
            r"^sizes is \(2, 2\): take rising numbers from 1 to 4$",
        ),
        (lambda: PATH(FEATURES, Y, ()), ValueError, r"^sizes is \(\): take rising numbers from 1 to 4$"),
        (
            lambda: PATH(FEATURES, Y, 3),
            TypeError,
            r"^sizes is 3: take a whole number for each number of feat",
        ),
        (
            lambda: PATH(FEATURES, Y[:2], (2,)),
            ValueError,
            r"^y has the shape \(2,\): take \(3,\), or \(3, out",
        ),
        (
            lambda: PATH(FEATURES[:0], Y[:0], (2,)),
            ValueError,
            r"^features has the shape \(0, 4\): take at le",
        ),
        (lambda: RIDGE(FEATURES, Y, (0.0,)), ValueError, r"^penalties holds 0\.0: take positive numbers$"),
        (
            lambda: random_features.fourier(KEY, 3, 4, bandwidth=-1),
            ValueError,
            r"^bandwidth is -1\.0: take a positive number$",
        ),
        (
            lambda: random_features.relu(KEY, 0, 4),
            ValueError,
            r"^dimension is 0: take a whole number at least",
        ),
        (
            lambda: random_features.apply(Y, Y),
            TypeError,
            r"^params is a ndarray: take features, from random_",
        ),
        (
            lambda: random_features.apply(random_features.relu(KEY, 2, 4), Y),
            ValueError,
            r"^x has the shape \(3,\): take \(\.\.\., 2\) for",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
