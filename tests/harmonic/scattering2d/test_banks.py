"""What banks keep of a signal's energy, and the sizes of their grids."""

import numpy as np
import pytest

from jaxtheory.harmonic import scattering2d, wavelets

MORLET = {"frequency": 1.9, "width": 1.1, "angle": 0.6, "slant": 0.7}


@pytest.mark.parametrize(("shape", "J", "L"), [((16, 16), 2, 4), ((32, 24), 3, 8), ((20, 12), 2, 3)])
@pytest.mark.parametrize("boundary", ["reflect", "periodic"])
def test_the_spline_bank_is_unitary(x64, shape, J, L, boundary):
    bank = scattering2d.filter_bank(shape, J, L, boundary=boundary, wavelet=wavelets.spline)
    np.testing.assert_allclose(scattering2d.littlewood_paley(bank), 1, atol=1e-14)
    np.testing.assert_allclose(bank.wavelets[:, 0, 0], 0, atol=1e-7)
    assert bank.low_pass[0, 0] == 1


def test_the_morlet_bank_loses_and_gains_energy():
    bank = scattering2d.filter_bank((128, 128), J=4)
    kept = np.asarray(scattering2d.littlewood_paley(bank))
    assert kept.min() == pytest.approx(0.12, abs=0.005)
    assert kept.max() == pytest.approx(1.05, abs=0.005)
    frequencies = 2 * np.pi * np.fft.fftfreq(bank.grid[0])
    inside = np.hypot(frequencies[:, None], frequencies[None, :]) < 0.75 * np.pi
    assert kept[inside].min() == pytest.approx(0.58, abs=0.005)


def test_littlewood_paley_is_the_energy_kept_of_real_signals(rng):
    bank = scattering2d.filter_bank((12, 16), J=2, L=3, boundary="periodic")
    x = rng.standard_normal((12, 16))
    spectrum = np.fft.fft2(x)
    filters = np.concatenate([bank.wavelets, scattering2d.low_pass_2d(bank)[None]])
    energy = (abs(np.fft.ifft2(spectrum * filters)) ** 2).sum()
    kept = (abs(spectrum) ** 2 * np.asarray(scattering2d.littlewood_paley(bank))).sum() / x.size
    assert energy == pytest.approx(kept, rel=1e-6)


@pytest.mark.parametrize(
    ("shape", "boundary", "expected"),
    [((32, 32), "reflect", (48, 48)), ((28, 35), "reflect", (40, 48)), ((32, 40), "periodic", (32, 40))],
)
def test_images_are_padded_to_kymatios_size(shape, boundary, expected):
    assert scattering2d.padded_shape(shape, 3, boundary) == expected
