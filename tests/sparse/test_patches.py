"""Patches against scikit-learn's, and denoising against its pursuit."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d
from sklearn.linear_model import orthogonal_mp

from jaxtheory.sparse import patches


@pytest.mark.parametrize("shape", [(7, 6, 1), (7, 6, 3)])
def test_patches_and_their_average_are_scikit_learns(shape, x64, rng):
    image = rng.standard_normal(shape)
    found = patches.extract(image[None], (3, 2))[0]
    assert found.shape == (5, 5, 6 * shape[-1])
    expected = extract_patches_2d(np.squeeze(image), (3, 2))
    np.testing.assert_array_equal(found.reshape(25, -1), expected.reshape(25, -1))
    np.testing.assert_allclose(patches.average(found, (3, 2)), image, rtol=1e-12)
    other = rng.standard_normal((2, *found.shape))
    for one, averaged in zip(other, patches.average(other, (3, 2))):
        said = np.squeeze(one.reshape(25, 3, 2, shape[-1]))
        expected = reconstruct_from_patches_2d(said, np.squeeze(image).shape)
        np.testing.assert_allclose(np.squeeze(averaged), expected, rtol=1e-12)


def test_samples_are_patches_of_the_images_everywhere(rng):
    images = np.arange(2 * 4 * 5 * 2.0, dtype=np.float32).reshape(2, 4, 5, 2)
    found = np.asarray(patches.sample(jax.random.key(0), images, 400, (2, 3)))
    every = np.asarray(patches.extract(images, (2, 3))).reshape(-1, 12)
    assert {row.tobytes() for row in found} == {row.tobytes() for row in every}
    other = patches.sample(jax.random.key(1), images, 400, (2, 3))
    assert not np.array_equal(found, other)


def test_contrast_is_divided_out(x64, rng):
    x = rng.standard_normal((10, 8)) * 5 + 2
    expected = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 0.3)
    np.testing.assert_allclose(patches.normalize_contrast(x, regularization=0.3), expected, rtol=1e-12)
    assert not np.any(patches.normalize_contrast(np.full((2, 4), 7.0), regularization=0.0))


@pytest.mark.beyond
@pytest.mark.parametrize("size", [(3, 3), (2, 4)])
def test_denoising_averages_the_patches_that_scikit_learn_codes(size, x64, rng, monkeypatch):
    # Several strips, whose last overlaps, and blocks that patches do not fill.
    monkeypatch.setattr(patches, "STRIP", 25)
    monkeypatch.setattr(patches, "BLOCK", 8)
    h, w = size
    image, noise = rng.standard_normal((11, 8)), 0.4
    atoms = rng.standard_normal((12, h * w))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    coded = extract_patches_2d(image, size).reshape(-1, h * w)
    means = coded.mean(axis=1, keepdims=True)
    codes = orthogonal_mp(atoms.T, (coded - means).T, tol=(1.15 * noise) ** 2 * h * w).T
    said = (codes @ atoms + means).reshape(-1, h, w)
    found = patches.denoise(atoms, image[None, ..., None], noise, size, fidelity=0.0, sparsity=h * w)
    found = found[0, ..., 0]
    np.testing.assert_allclose(found, reconstruct_from_patches_2d(said, image.shape), atol=1e-10)
    number = np.zeros(image.shape)
    for i, j in np.ndindex(image.shape[0] - h + 1, image.shape[1] - w + 1):
        number[i : i + h, j : j + w] += 1
    with_itself = patches.denoise(atoms, image[..., None], noise, size, fidelity=2.0, sparsity=h * w)
    np.testing.assert_allclose(with_itself[..., 0], (number * found + 2 * image) / (number + 2), atol=1e-10)


def test_each_channel_keeps_its_mean(x64, rng):
    # Atoms that live in one channel, and so much noise that none of them is used.
    atoms = rng.standard_normal((4, 8))
    image = rng.standard_normal((5, 6, 2))
    found = patches.denoise(atoms, image, 100.0, 2, fidelity=0.0)
    means = np.asarray(patches.extract(image, 2)).reshape(4, 5, 4, 2).mean(2, keepdims=True)
    expected = patches.average(np.broadcast_to(means, (4, 5, 4, 2)).reshape(4, 5, 8), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.beyond
def test_denoising_keeps_to_the_image_that_holds_nan(rng):
    atoms = np.float32(rng.standard_normal((6, 4)))
    images = np.float32(rng.standard_normal((2, 5, 6, 1)))
    images[1, 2, 3] = np.nan
    found = patches.denoise(atoms, images, 0.3, 2)
    alone = patches.denoise(atoms, images[0], 0.3, 2)
    np.testing.assert_allclose(found[0], alone, rtol=1e-5, atol=1e-6)
    # What no patch shares with the missing pixel is still there.
    assert np.isnan(found[1]).sum() == 9


def test_no_images_have_no_patches(rng):
    none = np.zeros((0, 5, 6, 1), np.float32)
    assert patches.extract(none, 2).shape == (0, 4, 5, 4)
    assert patches.average(np.zeros((0, 4, 5, 4), np.float32), 2).shape == none.shape
    assert patches.denoise(np.ones((3, 4), np.float32), none, 0.1, 2).shape == none.shape


IMAGE = np.ones((4, 4, 1), np.float32)
ATOMS = np.ones((6, 4), np.float32)
BAD = {
    "large": (
        lambda: patches.extract(IMAGE, 5),
        ValueError,
        "patch_size is (5, 5): take at most the images'",
    ),
    "three": (
        lambda: patches.extract(IMAGE, (1, 1, 1)),
        ValueError,
        "patch_size is (1, 1, 1): take (height, width), or one number for a square",
    ),
    "half": (lambda: patches.extract(IMAGE, 1.5), TypeError, "patch_size is 1.5: take a whole number"),
    "no image": (lambda: patches.extract(IMAGE[0, 0], 1), ValueError, "images has the shape (1,): take"),
    "numbers": (
        lambda: patches.average(np.ones((2, 2, 5)), 2),
        ValueError,
        "patches has the shape (2, 2, 5): take a multiple of 4 numbers a patch",
    ),
    "sample": (
        lambda: patches.sample(jax.random.key(0), IMAGE[None], 0, 2),
        ValueError,
        "patches is 0: take a whole number at least 1",
    ),
    "no images": (
        lambda: patches.sample(jax.random.key(0), IMAGE[None][:0], 3, 2),
        ValueError,
        "images has the shape (0, 4, 4, 1): take at least one image",
    ),
    "contrast": (
        lambda: patches.normalize_contrast(ATOMS, regularization=-1.0),
        ValueError,
        "regularization is -1.0: take a number of 0 or more",
    ),
    "size": (
        lambda: patches.denoise(ATOMS, IMAGE, 1.0, (3, 2)),
        ValueError,
        "dictionary has the shape (6, 4): take (n, 6) for (n, features)",
    ),
    "sparsity": (
        lambda: patches.denoise(ATOMS, IMAGE, 1.0, 2, sparsity=7),
        ValueError,
        "sparsity is 7: take a whole number from 1 to 6",
    ),
    "noise": (
        lambda: patches.denoise(ATOMS, IMAGE, -1.0, 2),
        ValueError,
        "noise is -1.0: take a positive number",
    ),
    "noises": (
        lambda: patches.denoise(ATOMS, IMAGE, jnp.ones(2), 2),
        ValueError,
        "noise has the shape (2,): take one number",
    ),
    "strength": (
        lambda: patches.denoise(ATOMS, IMAGE, 1.0, 2, strength=0.0),
        ValueError,
        "strength is 0.0: take a positive number",
    ),
    "fidelity": (
        lambda: patches.denoise(ATOMS, IMAGE, 1.0, 2, fidelity=-1.0),
        ValueError,
        "fidelity is -1.0: take a number of 0 or more",
    ),
    "complex": (
        lambda: patches.denoise(ATOMS, 1j * IMAGE, 1.0, 2),
        TypeError,
        "images is complex (complex64): take real numbers",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
