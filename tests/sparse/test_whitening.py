"""Whitening against scikit-learn's, SciPy's root of the covariance, and the paper's filter in NumPy."""

import re

import jax
import numpy as np
import pytest
import scipy.linalg
from sklearn.decomposition import PCA

from jaxtheory.sparse import whitening
from jaxtheory.sparse.whitening import fit_whitening, unwhiten, whiten, whiten_images


def test_pca_whitening_is_scikit_learns(x64, rng):
    x = rng.standard_normal((50, 5)) @ rng.standard_normal((5, 5)) + 3
    model = PCA(3, whiten=True).fit(x)
    fitted = fit_whitening(x, kind="pca", components=3)
    # Scikit-learn divides by n - 1.
    expected = model.transform(x) * np.sqrt(50 / 49)
    white = np.asarray(whiten(fitted, x))
    np.testing.assert_allclose(white * np.sign(white[0] * expected[0]), expected, atol=1e-10)
    np.testing.assert_allclose(unwhiten(fitted, white), model.inverse_transform(model.transform(x)))


def test_zca_whitening_is_the_inverse_root_of_the_covariance(x64, rng):
    x = rng.standard_normal((60, 4)) @ rng.standard_normal((4, 4)) - 1
    covariance = np.cov(x.T, bias=True)
    for epsilon in (0.0, 0.3):
        fitted = fit_whitening(x, regularization=epsilon)
        expected = np.linalg.inv(scipy.linalg.sqrtm(covariance + epsilon * np.eye(4)).real)
        np.testing.assert_allclose(fitted.matrix, expected, atol=1e-10)
        np.testing.assert_allclose(unwhiten(fitted, whiten(fitted, x)), x, atol=1e-10)


def test_directions_without_variance_are_left_out(rng):
    x = np.float32(rng.standard_normal((200, 6)))
    x -= x.mean(1, keepdims=True)
    fitted = fit_whitening(x)
    white = np.asarray(whiten(fitted, x))
    ones = np.full((6, 6), 1 / 6)
    np.testing.assert_allclose(white.T @ white / 200, np.eye(6) - ones, atol=1e-4)
    np.testing.assert_allclose(unwhiten(fitted, white), x, atol=1e-4)
    still = fit_whitening(np.zeros((5, 3), np.float32))
    assert not np.any(still.matrix)


def test_signals_of_nan_are_left_out_and_no_signals_stay_none(rng):
    x = np.float32(rng.standard_normal((30, 4)))
    fitted = fit_whitening(np.concatenate([x, np.full((2, 4), np.nan, np.float32)]))
    np.testing.assert_allclose(fitted.matrix, fit_whitening(x).matrix, atol=1e-5)
    assert whiten(fitted, x[:0]).shape == unwhiten(fitted, x[:0]).shape == (0, 4)
    assert whiten_images(np.zeros((0, 6, 6, 1), np.float32)).shape == (0, 6, 6, 1)


def test_images_are_whitened_by_the_papers_filter(x64, rng):
    x = rng.standard_normal((2, 12, 15, 3))
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(12), np.fft.fftfreq(15), indexing="ij"))[..., None]
    expected = np.fft.ifft2(np.fft.fft2(x, axes=(1, 2)) * f * np.exp(-((f / 0.3) ** 4)), axes=(1, 2)).real
    np.testing.assert_allclose(whiten_images(x, cutoff=0.3), expected, atol=1e-12)


def test_pink_noise_becomes_white(x64, rng):
    # 200 cycles a picture of 512 pixels.
    radius = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512))
    pink = np.fft.ifft2(np.exp(2j * np.pi * rng.random((512, 512))) / np.maximum(radius, 1 / 512))
    white = np.abs(np.fft.fft2(whiten_images(pink.real[..., None])[..., 0])) ** 2
    rings = [white[(radius > low) & (radius < low + 0.05)].mean() for low in (0.03, 0.1, 0.15)]
    assert max(rings) < 1.15 * min(rings)


def test_it_is_exported(rng):
    x = np.float32(rng.standard_normal((20, 3)))
    program = jax.export.deserialize(jax.export.export(jax.jit(fit_whitening))(x).serialize())
    found = program.call(x)
    assert isinstance(found, whitening.Whitening)
    np.testing.assert_allclose(found.matrix, fit_whitening(x).matrix, atol=1e-5)


X = np.ones((6, 3), np.float32)
BAD = {
    "one signal": (
        lambda: fit_whitening(X[:1]),
        ValueError,
        "signals has the shape (1, 3): take at least two",
    ),
    "kind": (lambda: fit_whitening(X, kind="ica"), ValueError, "kind is 'ica': take 'pca' or 'zca'"),
    "components": (
        lambda: fit_whitening(X, components=4),
        ValueError,
        "components is 4: take a whole number from 1 to 3",
    ),
    "regularization": (
        lambda: fit_whitening(X, regularization=-1.0),
        ValueError,
        "regularization is -1.0: take a number of 0 or more",
    ),
    "features": (
        lambda: whiten(fit_whitening(X), X[:, :2]),
        ValueError,
        "signals has the shape (6, 2): take (..., 3) for (..., features)",
    ),
    "other components": (
        lambda: unwhiten(fit_whitening(X, kind="pca", components=1), X),
        ValueError,
        "signals has the shape (6, 3): take (..., 1) for (..., components)",
    ),
    "no image": (
        lambda: whiten_images(X),
        ValueError,
        "images has the shape (6, 3): take (..., H, W, C) for (..., H, W, C)",
    ),
    "cutoff": (
        lambda: whiten_images(X[..., None], cutoff=0.0),
        ValueError,
        "cutoff is 0.0: take a positive number",
    ),
    "complex": (
        lambda: fit_whitening(1j * X),
        TypeError,
        "signals is complex (complex64): take real numbers",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
