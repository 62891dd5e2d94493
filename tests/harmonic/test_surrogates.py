"""Copies of images against the spectra and pixels that they are to have, and Moisan's equation."""

import jax
import numpy as np
import pytest

from jaxtheory.harmonic import surrogates


def test_the_smooth_part_solves_poissons_equation(rng, x64):
    x = np.cumsum(rng.standard_normal((9, 12)), 1)
    smooth = x - np.asarray(surrogates.periodic_component(x))
    laplacian = sum(np.roll(smooth, shift, axis) for shift in (1, -1) for axis in (0, 1)) - 4 * smooth
    jumps = np.zeros_like(x)
    jumps[0] += x[-1] - x[0]
    jumps[-1] -= x[-1] - x[0]
    jumps[:, 0] += x[:, -1] - x[:, 0]
    jumps[:, -1] -= x[:, -1] - x[:, 0]
    np.testing.assert_allclose(laplacian, jumps, atol=1e-12)
    assert smooth.mean() == pytest.approx(0, abs=1e-14)


def test_a_periodic_image_stays_as_it_is(x64):
    row = np.cos(2 * np.pi * np.arange(16) / 16 + 0.1)
    # Its jump across the border is one between neighbors.
    image = np.outer(row, row)
    found = np.asarray(surrogates.periodic_component(image))
    assert np.abs(found - image).max() < 0.2 * np.abs(np.diff(image, axis=0)).max()


@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (10, 7)])
def test_the_spectrum_is_kept(shape, rng, x64):
    x = rng.exponential(size=shape)
    copy = np.asarray(surrogates.same_spectrum(jax.random.key(0), x))
    modulus = np.abs(np.fft.fft2(x))
    np.testing.assert_allclose(np.abs(np.fft.fft2(copy)), modulus, rtol=1e-10, atol=1e-12)
    assert copy.mean() == pytest.approx(x.mean())
    other = np.asarray(surrogates.same_spectrum(jax.random.key(1), x))
    assert np.abs(copy - other).max() > 0.1


def test_phases_are_uniform(x64):
    x = np.random.default_rng(0).exponential(size=(64, 64))
    copy = surrogates.same_spectrum(jax.random.key(0), x)
    ratio = np.fft.fft2(np.asarray(copy))[1:32, 1:] / np.fft.fft2(x)[1:32, 1:]
    angles = np.sort(np.angle(ratio).ravel() / (2 * np.pi) + 0.5)
    # Kolmogorov's statistic at a level of 0.1 %.
    assert np.abs(angles - np.linspace(0, 1, angles.size)).max() < 1.95 / np.sqrt(angles.size)


@pytest.mark.parametrize("width", [16, 15])
def test_the_pixels_are_kept_and_the_error_is_that_of_the_spectrum(width, rng, x64):
    x = rng.exponential(size=(12, width))
    copy, error = surrogates.same_spectrum_and_histogram(jax.random.key(0), x, steps=100)
    np.testing.assert_array_equal(np.sort(copy, axis=None), np.sort(x, axis=None))
    modulus, other = (np.abs(np.fft.fft2(one - one.mean())) for one in (x, np.asarray(copy)))
    assert float(error) == pytest.approx(np.linalg.norm(other - modulus) / np.linalg.norm(modulus))
    _, early = surrogates.same_spectrum_and_histogram(jax.random.key(0), x, steps=1)
    assert float(error) < 0.5 * float(early)


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"x has the shape \(1, 5\): take images of at least 2 x 2 pixels"):
        surrogates.periodic_component(np.zeros((1, 5)))
    with pytest.raises(ValueError, match=r"x has the shape \(5,\): take \(\.\.\., H, W\)"):
        surrogates.periodic_component(np.zeros(5))
    with pytest.raises(TypeError, match="x is complex"):
        surrogates.same_spectrum(key, np.zeros((4, 4), complex))
    with pytest.raises(ValueError, match=r"x has the shape \(2, 4, 4\): take \(H, W\)"):
        surrogates.same_spectrum(key, np.zeros((2, 4, 4)))
    with pytest.raises(TypeError, match="key is"):
        surrogates.same_spectrum(0, np.zeros((4, 4)))
    with pytest.raises(ValueError, match="steps is 0: take a whole number at least 1"):
        surrogates.same_spectrum_and_histogram(key, np.zeros((4, 4)), steps=0)
