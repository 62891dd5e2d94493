"""Warps of signals against SciPy's splines, closed forms and each other."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from jaxtheory.harmonic import deformation


@pytest.mark.parametrize(("boundary", "mode"), [("periodic", "grid-wrap"), ("reflect", "mirror")])
def test_a_warped_signal_is_scipys_cubic_spline(rng, x64, boundary, mode):
    x, displacement = rng.standard_normal((2, 11)), 3 * rng.standard_normal(11)
    found = deformation.warp_signal(x, displacement, boundary=boundary)
    places = np.arange(11) - displacement
    expected = [ndimage.map_coordinates(one, [places], order=3, mode=mode) for one in x]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_translation_is_exact(rng, x64):
    times, x = np.arange(12), rng.standard_normal(12)
    np.testing.assert_allclose(deformation.translate_signal(x, 3), np.roll(x, 3), rtol=0, atol=1e-12)
    wave = np.cos(2 * np.pi * 2 * times / 12 + 0.3)
    moved = np.cos(2 * np.pi * 2 * (times - 0.7) / 12 + 0.3)
    np.testing.assert_allclose(deformation.translate_signal(wave, 0.7), moved, rtol=0, atol=1e-12)
    there = deformation.translate_signal(deformation.translate_signal(x[:11], 0.4), -0.4)
    np.testing.assert_allclose(there, x[:11], rtol=0, atol=1e-12)


def test_a_dilation_lowers_frequencies_in_proportion(x64):
    times = np.arange(400) - 199.5
    amounts = np.array([0.05, -0.05])[:, None]
    window = np.exp(-((times / 40) ** 2) / 2)
    x = window * np.cos(0.2 * times)
    found = deformation.dilate_signal(x, amounts[:, 0])
    slower = (1 - amounts) * times
    expected = np.exp(-((slower / 40) ** 2) / 2) * np.cos(0.2 * slower)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


def test_the_derivative_of_a_dilation_is_the_slope_times_the_distance(x64):
    times = np.arange(64) - 31.5
    x = np.exp(-((times / 6) ** 2) / 2)
    slope = jax.jacobian(deformation.dilate_signal, argnums=1)(x, 0.0)
    np.testing.assert_allclose(slope, (times / 6) ** 2 * x, rtol=0, atol=1e-3)


@pytest.mark.usefixtures("own_errors")
def test_errors_say_what_to_do():
    x = np.zeros(8)
    with pytest.raises(ValueError, match=r"displacement has the shape \(7,\): take \(\.\.\., 8\)"):
        deformation.warp_signal(x, np.zeros(7))
    with pytest.raises(ValueError, match=r"x has signals of 1 samples: take at least 2 to reflect them"):
        deformation.dilate_signal(np.zeros(1), 0.1, boundary="reflect")
    with pytest.raises(ValueError, match="boundary is 'zero': take 'periodic' or 'reflect'"):
        deformation.warp_signal(x, x, boundary="zero")
    with pytest.raises(ValueError, match=r"x has the shape \(\): take \(\.\.\., N\)"):
        deformation.translate_signal(np.float32(1), 1.0)
    with pytest.raises(TypeError, match="x is complex"):
        deformation.translate_signal(1j * x, 1.0)
