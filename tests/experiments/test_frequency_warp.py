"""The pieces of the experiment on dilated and modulated sounds, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.harmonic import frequency_warp as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(bits=13, Q=(4,), draws=2, modulations=3)


def test_a_dilated_sound_is_the_sound_at_other_times(rng):
    # At a dilation of one half, every second sample of the sound is that of the slower one, about the middle.
    x, slower = experiment.sounds(13, np.array([0, 0.5]), rng)
    np.testing.assert_allclose(slower[::2], x[2**11 : 3 * 2**11], atol=1e-12 * np.abs(x).max())


def test_a_dilation_moves_every_partial_in_proportion(rng):
    dilation = 0.01
    found = np.abs(np.fft.rfft(experiment.sounds(15, np.array([0, dilation]), rng)))
    low, high = 100, 12000
    peaks = [low + int(np.argmax(one[low:high])) for one in found]
    assert abs(peaks[1] - peaks[0] * (1 - dilation)) <= 1


def test_distances_are_relative_to_the_first():
    features = np.array([[[3.0, 4.0]], [[3.0, 4.0]], [[4.0, -3.0]]])
    np.testing.assert_allclose(experiment.distances(features), [0, np.sqrt(2)])


@pytest.mark.beyond
def test_the_second_order_is_the_modulation_spectrum(rng):
    config = experiment.Config(bits=14, depth=0.3, modulations=4)
    found = experiment.modulated(config, 4, rng)
    seen = np.isfinite(found["ratio"]).all(0)
    assert np.array_equal(seen, np.isfinite(found["ratio"]).any(0))
    assert 0 < seen.sum() < seen.size
    scale = found["expected"][:, seen].max()
    assert 0.05 < scale <= 0.3 / 2 * 1.01
    np.testing.assert_allclose(found["ratio"][:, seen], found["expected"][:, seen], atol=0.06 * scale)
    assert found["moved"].max() < 0.02


def by_dilation(power: float, at_once: float) -> xr.Dataset:
    noise = 1 + np.random.default_rng(0).normal(0, 0.01, (5, len(experiment.FRACTIONS)))
    scattering = experiment.FRACTIONS**power * noise
    return xr.Dataset(
        {
            "scattering": (("Q", "draw", "fraction"), scattering[None]),
            "spectrum": (("Q", "draw", "fraction"), np.sqrt(2) * noise[None]),
            "at once": (("Q", "draw"), at_once * noise[None, :, 0]),
        },
        {"Q": [8], "draw": np.arange(5), "fraction": experiment.FRACTIONS},
    )


def by_modulation(factor: float) -> xr.Dataset:
    wavelets, modulations = 2.0 ** -np.arange(4, 14), 2.0 ** -np.array([6, 8, 10])
    expected = np.exp(-(np.log2(wavelets[None] / modulations[:, None]) ** 2))
    noise = 1 + np.random.default_rng(1).normal(0, 0.01, (5, *expected.shape))
    dims = ("Q", "draw", "modulation", "wavelet")
    moved = factor * np.roll(expected, round(factor) - 1, axis=1) * noise
    return xr.Dataset(
        {
            "ratio": (dims, moved[None]),
            "expected": (dims, np.broadcast_to(expected, moved.shape)[None]),
            "moved": (dims[:3], (0.02 * factor**2 * noise[..., 0])[None]),
        },
        {"Q": [8], "draw": np.arange(5), "modulation": modulations, "wavelet": wavelets},
    )


def test_verdicts_tell_sounds_that_are_as_claimed_from_others():
    good = experiment.claims(by_dilation(1.0, 1.35), by_modulation(1.0))
    assert [claim.verdict for claim in good] == [Verdict.HOLDS] * 6
    bad = experiment.claims(by_dilation(0.5, 0.9), by_modulation(2.0))
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 6


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert len(claims) == 6
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measured)
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"dilations", "modulations"}
