"""Distortions of images against SciPy's, closed forms and moments, and what is said of bad input."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy import ndimage

from jaxtheory.data import distortions, mnist


@pytest.fixture(scope="module")
def digits():
    return mnist.load().test_images[:40]


def moments(images):
    """The center of mass of each image, and its second moments about it: along rows, and mixed."""
    images = np.float64(images)
    mass = images.sum((1, 2))
    places = np.indices(images.shape[1:])
    center = np.einsum("nrc,krc->kn", images, places) / mass
    row, column = places[:, None] - center[:, :, None, None]
    return center, np.sum(images * row**2, (1, 2)) / mass, np.sum(images * row * column, (1, 2)) / mass


def at(image, places):
    """SciPy's bilinear interpolation of an image that is zero beyond its border."""
    return ndimage.map_coordinates(np.float64(image), places, order=1, mode="grid-constant")


def test_deslanting_makes_the_axis_vertical_and_keeps_mass_and_center(digits):
    upright = np.asarray(distortions.deslant(digits))
    before, high, slanted = moments(digits)
    after, _, straight = moments(upright)
    assert np.abs(slanted / high).max() > 0.3
    np.testing.assert_allclose(straight / high, 0, atol=1e-5)
    np.testing.assert_allclose(upright.sum((1, 2)), digits.sum((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(after, before, atol=1e-4)
    np.testing.assert_allclose(distortions.deslant(upright), upright, atol=1e-4)


def test_deslanting_is_scipys_shear_by_the_moments(digits):
    center, high, mixed = moments(digits)
    places = np.indices(digits.shape[1:])
    for k, image in enumerate(distortions.deslant(digits)[:5]):
        shear = mixed[k] / high[k] * (places[0] - center[0, k])
        np.testing.assert_allclose(image, at(digits[k], (places[0], places[1] + shear)), atol=1e-5)


def test_what_has_no_slant_stays(rng):
    one_row = np.zeros((28, 28))
    one_row[5] = rng.random(28)
    images = np.float32([np.zeros((28, 28)), one_row, np.ones((28, 28)), *np.zeros((37, 28, 28))])
    np.testing.assert_array_equal(distortions.deslant(images), images)


def test_displacements_are_scipys_and_broadcast(digits, rng):
    displacement = 3 * rng.standard_normal((2, 28, 28))
    displacement[:, :2] *= 20  # far beyond the border
    moved = distortions.displace(digits[:3], np.float32(displacement))
    for image, found in zip(digits, moved):
        np.testing.assert_allclose(found, at(image, np.indices((28, 28)) - displacement), atol=1e-5)
    several = distortions.displace(digits[0], np.float32(displacement) * np.ones((2, 1, 1, 1), np.float32))
    np.testing.assert_array_equal(several, np.stack([moved[0], moved[0]]))


def test_whole_translations_move_pixels_without_rounding(digits):
    shift = np.float32(np.ones((2, 28, 28)) * np.reshape([3, -2], (2, 1, 1)))
    expected = ndimage.shift(digits[0], (3, -2), order=0, mode="constant")
    np.testing.assert_array_equal(distortions.displace(digits[0], shift), expected)


def test_affine_distortions_are_scipys_of_the_matrices_that_are_told(digits):
    key, largest = jax.random.key(3), {"translation": 2, "scaling": 0.2, "squeezing": 0.3, "shearing": 0.5}
    found = distortions.affine(digits[:3], key, **largest)
    drawn = np.float64(jax.random.uniform(key, (3, 5), minval=-1)) * [2, *largest.values()]
    middle = np.full(2, 13.5)
    for image, (down, right, size, squeeze, shear), one in zip(digits, drawn, found):
        matrix = np.exp(-size) * np.array([[np.exp(-squeeze), 0], [shear, np.exp(squeeze)]])
        offset = middle - matrix @ (middle + np.array([down, right]))
        expected = ndimage.affine_transform(np.float64(image), matrix, offset, order=1, mode="grid-constant")
        np.testing.assert_allclose(one, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["scaling", "squeezing"])
def test_scaling_changes_the_area_and_squeezing_does_not(name):
    # A broad Gaussian: its mass follows the determinant.
    places = np.indices((61, 61)) - 30
    image = np.float32(np.exp(-np.sum(places**2, 0) / 50))
    key, none = jax.random.key(1), dict.fromkeys(("translation", "scaling", "squeezing", "shearing"), 0.0)
    drawn = float(jax.random.uniform(key, (5,), minval=-1)[2 if name == "scaling" else 3])
    found = np.asarray(distortions.affine(image, key, **none | {name: 0.3}))
    gain = np.exp(2 * 0.3 * drawn) if name == "scaling" else 1.0
    assert found.sum() / image.sum() == pytest.approx(gain, rel=5e-3)  # bilinear interpolation blurs a little
    _, (high,), _ = moments(found[None])
    assert high / 25 == pytest.approx(np.exp(2 * 0.3 * drawn), rel=0.02)


def test_elastic_distortions_are_scipys_smoothed_numbers(digits):
    key = jax.random.key(5)
    found = distortions.elastic(digits[:3], key, alpha=20, sigma=2.5)
    drawn = np.float64(jax.random.uniform(key, (3, 2, 28, 28), minval=-1))
    for image, noise, one in zip(digits, drawn, found):
        smooth = [ndimage.gaussian_filter(part, 2.5, mode="constant") for part in noise]
        np.testing.assert_allclose(one, at(image, np.indices((28, 28)) - 20 * np.array(smooth)), atol=2e-5)


def test_elastic_displacements_have_the_deviation_that_is_told():
    # A ramp shows its displacement: away from the border it is the ramp itself less the result.
    ramp = np.float32(np.arange(200)[:, None] * np.ones((1, 200)))
    moved = (ramp - np.asarray(distortions.elastic(ramp, jax.random.key(0))))[30:-30, 30:-30]
    assert moved.std() == pytest.approx(34 / (8 * np.sqrt(3 * np.pi)), rel=0.1)


def test_keys_of_both_kinds_decide_the_draws(digits):
    for distort in (distortions.affine, partial(distortions.elastic, sigma=2.5)):
        once = distort(digits[:3], jax.random.key(1))
        np.testing.assert_array_equal(distort(digits[:3], jax.random.key(1)), once)
        np.testing.assert_array_equal(distort(digits[:3], jax.random.PRNGKey(1)), once)
        assert np.abs(distort(digits[:3], jax.random.key(2)) - once).max() > 0.01


def test_bad_input_is_refused(own_errors):
    key, image = jax.random.key(0), np.ones((3, 4), np.float32)
    for call, message in (
        (lambda: distortions.deslant(np.ones(3)), r"^images has the shape \(3,\): take \(\.\.\., H, W\), of"),
        (lambda: distortions.deslant(np.ones((3, 0))), r"^images has the shape \(3, 0\): take"),
        (lambda: distortions.displace(image, np.ones((2, 4, 3))),
         r"^displacement has the shape \(2, 4, 3\): take \(\.\.\., 2, 3, 4\), that of the images"),
        (lambda: distortions.affine(image, key, scaling=-0.1), r"^scaling is -0.1: take a number of 0 or m"),
        (lambda: distortions.affine(image, key, shearing=np.nan), r"^shearing is nan: take a number of 0"),
        (lambda: distortions.elastic(image, key, alpha=-1), r"^alpha is -1: take a number of 0 or more$"),
        (lambda: distortions.elastic(image, key, sigma=0), r"^sigma is 0: take a positive number$"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    for call, message in (
        (lambda: distortions.deslant(1j * image), r"^images is complex \(complex64\): take an array of re"),
        (lambda: distortions.deslant("ink"), r"^images is 'ink' \(str\): take an array of real numbers$"),
        (lambda: distortions.affine(image, 0), r"^key is 0: take one random key, as jax\.random\.key\(0\)$"),
        (lambda: distortions.elastic(image, jax.random.split(key)), r"^key is random keys of shape \(2,\): "),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            call()
