"""The pieces of the experiment on the best terms of signals and images, and a run in miniature."""

import numpy as np
import pytest
import pywt
import xarray as xr

from jaxtheory.experiments.harmonic import wavelet_sparsity as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    bits=12, smoothness=(1.0, 2.0), side=128, draws=2, numbers=3, photographs=("camera",)
)


def test_signals_jump_twice(rng):
    x = experiment.signal_of(14, 2.0, rng)
    steps = np.abs(np.diff(x, append=x[0]))
    assert (steps > 1).sum() == 2
    rougher = np.abs(np.diff(experiment.signal_of(14, 0.75, rng)))
    assert np.median(rougher) > 4 * np.median(steps)


@pytest.mark.beyond
def test_cartoons_vanish_at_the_border_and_jump(rng):
    image = experiment.cartoon_of(128, rng)
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert np.abs(border).max() < 5e-3
    assert 1 < image.max() <= 1.5
    assert (np.abs(np.diff(image, axis=0)).max(0) > 0.4).sum() > 30


def test_waves_are_an_orthonormal_basis(rng):
    basis = np.stack([experiment.waves(one) for one in np.eye(16)])
    np.testing.assert_allclose(basis @ basis.T, np.eye(16), atol=1e-14)
    x = rng.standard_normal((6, 8))
    assert np.linalg.norm(experiment.waves(x)) == pytest.approx(np.linalg.norm(x), rel=1e-13)


@pytest.mark.parametrize("basis", ["db2", "bior4.4"])
def test_errors_are_those_of_the_sums_of_the_largest_terms(basis, rng):
    x = rng.standard_normal((32, 32))
    array, slices = pywt.coeffs_to_array(pywt.wavedec2(x, basis, mode="periodization"))
    expected = []
    for number in (5, 100):
        least = np.sort(np.abs(array), axis=None)[-number]
        kept = pywt.array_to_coeffs(np.where(np.abs(array) >= least, array, 0), slices, "wavedec2")
        best = pywt.waverec2(kept, basis, mode="periodization")
        expected.append(((x - best) ** 2).sum() / (x**2).sum())
    np.testing.assert_allclose(experiment.errors_of(x, basis, np.array([5, 100])), expected, rtol=1e-10)


def test_waves_find_a_wave():
    x = np.cos(2 * np.pi * 3 * np.arange(64) / 64)
    np.testing.assert_allclose(experiment.errors_of(x, "waves", np.array([0, 1, 2])), [1, 0.5, 0], atol=1e-14)


def test_exponents_are_slopes_and_claims_are_of_them():
    terms = np.array([10, 100, 1000])
    errors = xr.DataArray(3.0 * terms**-1.5, {"terms": terms}, ("terms",))
    assert float(experiment.exponents(errors)) == pytest.approx(1.5)

    def draws(center, *axes):
        shape = [len(values) for _, values in axes] + [5]
        values = center + np.random.default_rng(0).normal(0, 0.01, shape)
        names = (*(name for name, _ in axes), "draw")
        return xr.DataArray(values, dict(axes), names)

    smoothness, bases = ("smoothness", [1.0, 2.0]), ("basis", list(experiment.FOR_IMAGES))
    of_cartoons = draws(1.0, bases)
    of_cartoons.loc[{"basis": "waves"}] -= 0.5
    good = experiment.claims(draws(1.0, smoothness), draws(1.0, smoothness), of_cartoons)
    assert [claim.verdict for claim in good] == [Verdict.HOLDS] * 4
    bad = experiment.claims(draws(0.9, smoothness), draws(1.2, smoothness), 2 * of_cartoons)
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 4


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert len(claims) == 4
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measured)
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"signals", "images"}
