"""Smooth parts against dense linear algebra; denoising and inpainting against scikit-learn."""

import re

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from jaxtheory.sparse import convolutional
from tests.sparse.convolutional import dense


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(9,), (5, 4)])
def test_the_smooth_part_solves_its_linear_system(shape, masked, x64, rng):
    x = rng.standard_normal((*shape, 2))
    mask = rng.choice([0.0, 0.3, 1.0], x.shape) if masked else np.ones(x.shape)
    weights, D = mask.ravel() ** 2, dense.differences(shape, 2)
    expected = np.linalg.solve(np.diag(weights) + 3.0 * D.T @ D, weights * x.ravel())
    found = convolutional.lowpass(
        np.where(mask > 0, x, np.nan), 3.0, mask=mask if masked else None, dimensions=len(shape)
    )
    np.testing.assert_allclose(np.ravel(found), expected, atol=1e-10)


def test_the_smooth_part_of_a_constant_is_itself_and_leading_axes_are_free(rng):
    x = np.concatenate([np.full((1, 6, 5, 1), 2.0, np.float32), np.float32(rng.normal(size=(1, 6, 5, 1)))])
    mask = np.float32(rng.random((6, 5, 1)) > 0.3)
    both = convolutional.lowpass(x, 10.0, mask=mask)
    np.testing.assert_allclose(both[0], 2.0, rtol=1e-5)
    np.testing.assert_allclose(both[1], convolutional.lowpass(x[1], 10.0, mask=mask), rtol=1e-4, atol=1e-5)


def test_denoising_is_the_smooth_part_and_the_lasso_of_the_rest(x64, rng):
    filters, x = rng.standard_normal((3, 1, 2)), rng.standard_normal((9, 1))
    found = convolutional.denoise(
        filters, x, 0.2, strength=1.5, smoothness=2.0, tolerance=1e-10, max_steps=9999
    )
    D = dense.differences((9,), 1)
    smooth = np.linalg.solve(np.eye(9) + 2.0 * D.T @ D, x)
    np.testing.assert_allclose(found.lowpass, smooth, atol=1e-12)
    matrix = dense.dictionary(filters, (9,), "zero")
    # Columns are divided by their penalties, which makes these one.
    penalties = np.tile(0.3 * np.linalg.norm(filters, axis=(0, 1)), 9)
    peer = Lasso(alpha=1 / 9, fit_intercept=False, tol=1e-14, max_iter=10**6)
    codes = peer.fit(matrix / penalties, (x - smooth).ravel()).coef_ / penalties
    np.testing.assert_allclose(found.images.ravel(), smooth.ravel() + matrix @ codes, atol=1e-6)
    assert found.codes.converged


@pytest.mark.beyond
def test_noise_falls_and_the_missing_comes_back(rng):
    filters = np.float32(rng.standard_normal((6, 6, 1, 2)))
    codes = np.where(rng.random((48, 48, 2)) < 0.004, 3.0, 0.0)
    clean = np.asarray(convolutional.synthesize(filters, np.float32(codes), boundary="zero"))
    noisy = clean + 0.5 * np.float32(rng.standard_normal(clean.shape))
    # No smooth part is in these images; it is given little room.
    found = convolutional.denoise(filters, noisy, 0.5, smoothness=1e4)
    assert np.mean((found.images - clean) ** 2) < 0.25 * np.mean((noisy - clean) ** 2)
    mask = rng.random(clean.shape) > 0.5
    known = np.where(mask, clean, np.nan)
    filled = convolutional.inpaint(filters, known, mask, 0.05, smoothness=1e4, tolerance=1e-4, max_steps=3000)
    missing = ~mask
    assert np.mean((filled.images - clean)[missing] ** 2) < 0.01 * np.mean(clean[missing] ** 2)


FILTERS, IMAGE = np.ones((2, 2, 1, 3), np.float32), np.ones((4, 4, 1), np.float32)
BAD = {
    "dimensions": (
        lambda: convolutional.lowpass(IMAGE, 1.0, dimensions=3),
        "dimensions is 3: take a whole number",
    ),
    "axes": (
        lambda: convolutional.lowpass(IMAGE[0, 0], 1.0, dimensions=1),
        "images has the shape (1,): take (...",
    ),
    "smoothness": (
        lambda: convolutional.lowpass(IMAGE, -1.0),
        "smoothness is -1.0: take a number of 0 or more",
    ),
    "noise": (lambda: convolutional.denoise(FILTERS, IMAGE, 0.0), "noise is 0.0: take a positive number"),
    "strength": (
        lambda: convolutional.denoise(FILTERS, IMAGE, 1.0, strength=-1),
        "strength is -1: take a pos",
    ),
    "mask": (
        lambda: convolutional.inpaint(FILTERS, IMAGE, 2 * IMAGE, 0.1),
        "mask holds 2.0: take numbers from 0",
    ),
    "penalty": (
        lambda: convolutional.inpaint(FILTERS, IMAGE, IMAGE, -1.0),
        "penalty is -1.0: take a number of 0",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_empty_batches_are_empty():
    for mask in (None, IMAGE):
        assert convolutional.lowpass(IMAGE[None][:0], 1.0, mask=mask).shape == (0, 4, 4, 1)
    found = convolutional.denoise(FILTERS, IMAGE[None][:0], 1.0)
    assert found.images.shape == (0, 4, 4, 1)
