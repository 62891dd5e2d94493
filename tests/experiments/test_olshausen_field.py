"""The pieces of the experiment on learnt atoms against closed forms, and a run in miniature."""

import numpy as np
import pytest

from jaxtheory.experiments.sparse import olshausen_field
from jaxtheory.lab import Lab

TINY = olshausen_field.Config(
    photographs=("camera", "coins"), size=6, atoms=12, patches=500, batch=20, steps=(4, 3), rates=(0.3, 0.1),
    draws=2,
)  # fmt: skip


def gabor(size, place, width, frequency, angle, phase):
    """A Gabor function, written out."""
    y, x = np.mgrid[:size, :size]
    y, x = y - place[0], x - place[1]
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
    """Fits of four Gabor functions, a plaid and noise."""
    planted = [gabor(16, *parameters) for parameters in PLANTED.values()]
    x = np.arange(16)
    plaid = np.cos(0.3 * 2 * np.pi * x)[:, None] * np.cos(0.2 * 2 * np.pi * x)
    noise = np.random.default_rng(0).standard_normal((16, 16))
    found = olshausen_field.fit_gabors(np.float32([*(3 * np.stack(planted)), plaid, noise]))
    return {name: np.asarray(value) for name, value in found.items()}


def test_gabor_functions_are_found_again(fits):
    found = {name: value[:4] for name, value in fits.items()}
    place, width, frequency, angle = (np.array(part) for part in list(zip(*PLANTED.values()))[:4])
    np.testing.assert_allclose(found["explained"], 1, atol=1e-3)
    np.testing.assert_allclose(found["place"], place, atol=0.05)
    np.testing.assert_allclose(found["width"], width, rtol=0.03)
    np.testing.assert_allclose(found["frequency"], frequency, atol=0.005)
    # The direction of a wave is known up to a half turn.
    assert np.abs(np.sin(found["angle"] - angle)).max() < 0.02
    assert np.all((found["angle"] >= 0) & (found["angle"] <= np.pi))


def test_what_is_no_gabor_function_is_fitted_badly(fits):
    plaid, noise = fits["explained"][4:]
    # A plaid is two waves of the same energy: one of them explains a half, under an envelope a little more.
    assert 0.45 < plaid < 0.65
    assert 0 < noise < olshausen_field.WELL


@pytest.mark.parametrize(("width", "frequency"), [(3.0, 0.2), (5.0, 0.1)])
def test_the_bandwidth_is_that_of_the_spectrum(width, frequency):
    x = np.arange(-512, 512)
    power = np.abs(np.fft.rfft(np.exp(-(x**2) / (2 * width**2) + 2j * np.pi * frequency * x).real, 1 << 16))
    above = np.flatnonzero(power > power.max() / 2) / (1 << 16)
    expected = np.log2(above[-1] / above[0])
    found = olshausen_field.bandwidth(np.array([width]), np.array([frequency]))
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_photographs_are_whitened_without_their_border():
    [camera] = olshausen_field.whitened(("camera",))
    assert camera.shape == (512 - 16, 512 - 16)
    np.testing.assert_allclose([camera.mean(), camera.std()], [0, 1], atol=1e-4)
    # Whitened: an octave has about the power of the next one a frequency, before it had a quarter.
    power = np.abs(np.fft.fft2(camera)) ** 2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(496), np.fft.fftfreq(496)))
    low, high = (power[(f > edge) & (f < 2 * edge)].mean() for edge in (0.05, 0.1))
    assert 0.5 < low / high < 2


def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = olshausen_field.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[1].measurements[0].paired
    assert {figure["name"] for figure in lab.figures} == {"mosaics", "frequency_and_orientation"}
    assert len(lab.notes) == 1
