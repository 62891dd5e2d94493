"""Gabor functions are found again, and what is none is fitted badly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.harmonic import gabor_fit


def gabor(size, center, width, frequency, angle, phase):
    """A Gabor function, written out."""
    y, x = np.mgrid[:size, :size]
    y, x = y - center[0], x - center[1]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    envelope = np.exp(-(u**2) / (2 * width[0] ** 2) - v**2 / (2 * width[1] ** 2))
    return np.float32(envelope * np.cos(2 * np.pi * frequency * u + phase))


PLANTED = {
    "upright": ((7.0, 8.0), (2.0, 3.5), 0.2, 0.0, 0.5),
    "oblique": ((5.5, 9.2), (1.6, 2.4), 0.3, 2.2, 2.0),
    "flat": ((8.0, 6.0), (2.5, 2.5), 0.15, 1.4, 4.0),
    "in a corner": ((2.0, 13.0), (1.5, 3.0), 0.25, 0.8, 1.0),
}


@pytest.fixture(scope="module")
def fits():
    """Fits of four Gabor functions, a plaid, noise, zeros and a constant."""
    planted = [3 * gabor(16, *parameters) for parameters in PLANTED.values()]
    x = np.arange(16)
    plaid = np.cos(0.3 * 2 * np.pi * x)[:, None] * np.cos(0.2 * 2 * np.pi * x)
    noise = np.random.default_rng(0).standard_normal((16, 16))
    images = np.float32([*planted, plaid, noise, 0 * noise, 0 * noise + 0.3])
    return jax.tree.map(np.asarray, gabor_fit.fit(images.reshape(2, 4, 16, 16)))


@pytest.mark.beyond
def test_gabor_functions_are_found_again(fits):
    found = jax.tree.map(lambda leaf: leaf[0], fits)
    center, width, frequency, angle = (np.array(part) for part in list(zip(*PLANTED.values()))[:4])
    np.testing.assert_allclose(found.explained, 1, atol=1e-3)
    np.testing.assert_allclose(found.center, center, atol=0.05)
    np.testing.assert_allclose(found.width, width, rtol=0.03)
    np.testing.assert_allclose(found.frequency, frequency, atol=0.005)
    np.testing.assert_allclose(found.amplitude, 3, rtol=0.03)
    # The direction of a wave is known up to a half turn.
    assert np.abs(np.sin(found.angle - angle)).max() < 0.02
    assert np.all((found.angle >= 0) & (found.angle <= np.pi))
    assert np.all(np.abs(found.phase) <= np.pi)


def test_the_parameters_make_the_image_again(fits):
    for index, parameters in enumerate(PLANTED.values()):
        one = jax.tree.map(lambda leaf, index=index: leaf[0, index], fits)
        again = one.amplitude * gabor(16, one.center, one.width, one.frequency, one.angle, one.phase)
        np.testing.assert_allclose(again, 3 * gabor(16, *parameters), atol=0.1)


def test_what_is_no_gabor_function_is_fitted_badly(fits):
    plaid, noise, zeros, constant = fits.explained[1]
    # A plaid is two waves of the same energy: one of them explains a half, under an envelope a little more.
    assert 0.45 < plaid < 0.65
    assert 0 < noise < 0.7
    assert zeros == 0
    assert constant == 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(fits))


@pytest.mark.parametrize(("width", "frequency"), [(3.0, 0.2), (5.0, 0.1)])
def test_the_bandwidth_is_that_of_the_spectrum(width, frequency):
    x = np.arange(-512, 512)
    power = np.abs(np.fft.rfft(np.exp(-(x**2) / (2 * width**2) + 2j * np.pi * frequency * x).real, 1 << 16))
    above = np.flatnonzero(power > power.max() / 2) / (1 << 16)
    expected = np.log2(above[-1] / above[0])
    found = gabor_fit.bandwidth(np.array([width]), np.array([frequency]))
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_a_low_pass_function_has_a_finite_bandwidth():
    np.testing.assert_allclose(
        gabor_fit.bandwidth(1.0, 0.0), np.log2(np.sqrt(2 * np.log(2)) / (2 * np.pi) / 1e-3), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (np.ones((3, 5, 3)), {}, ValueError, r"^x has images of 5 x 3 pixels: take at least 4 x 4$"),
        (np.ones(5), {}, ValueError, r"^x has the shape \(5,\): take \(\.\.\., H, W\) for"),
        (np.ones((5, 5), complex), {}, TypeError, r"^x is complex \(complex128\): take real numbers"),
        (np.ones((5, 5)), {"steps": 0}, ValueError, r"^steps is 0: take a whole number at least 1$"),
        (np.ones((5, 5)), {"steps": 8.0}, TypeError, r"^steps is 8\.0: take a whole number at least 1$"),
    ],
)
@pytest.mark.usefixtures("own_errors")
def test_images_that_cannot_be_fitted_are_refused(x, options, error, message):
    with pytest.raises(error, match=message):
        gabor_fit.fit(x, **options)


def test_no_images_have_no_fits():
    found = gabor_fit.fit(jnp.zeros((0, 8, 8)))
    assert found.center.shape == (0, 2)
    assert found.explained.shape == (0,)
