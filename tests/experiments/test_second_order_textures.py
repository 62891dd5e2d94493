"""The pieces of the experiment on textures and their copies, and a run in miniature."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.harmonic import second_order_textures as experiment
from jaxtheory.harmonic import scattering2d
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(size=64, J=2, L=2, copies=2, draws=2, steps=2, others=("moon",))


def test_images_are_normalized():
    x = experiment.image_of("grass", 64)
    assert x.shape == (64, 64)
    assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=1e-12)
    # Across the border they are as smooth as inside.
    assert np.abs(x[0] - x[-1]).mean() < 2 * np.abs(np.diff(x, axis=0)).mean()


@pytest.mark.parametrize("kind", experiment.KINDS)
def test_copies_come_with_the_error_of_their_spectrum(kind):
    x = experiment.image_of("grass", 64)
    copies, error = experiment.copies_of(TINY, x, kind, jax.random.key(0))
    assert copies.shape == (2, 64, 64)
    assert np.abs(copies[0] - copies[1]).max() > 0.1
    if kind == experiment.KINDS[0]:
        assert error < 1e-12
    else:
        assert 1e-6 < error < 1
        np.testing.assert_array_equal(np.sort(copies[0], axis=None), np.sort(x, axis=None))


@pytest.mark.beyond
def test_features_are_averages_and_their_ratios(rng):
    bank = scattering2d.filter_bank((16, 16), J=2, L=2, boundary="periodic")
    x = np.float32(rng.standard_normal((16, 16)))
    found = experiment.features(bank, x)
    averages = np.asarray(scattering2d.scatter(bank, x)).mean((-2, -1))
    table = scattering2d.paths(bank)
    by_path = dict(zip(table, averages))
    first = [value for path, value in by_path.items() if path.order == 1]
    second = [
        value / by_path[scattering2d.Path(1, path.scales[:1], path.angles[:1])]
        for path, value in by_path.items()
        if path.order == 2
    ]
    np.testing.assert_allclose(found[experiment.FEATURES[0]], first, rtol=1e-5)
    np.testing.assert_allclose(found[experiment.FEATURES[1]], second, rtol=1e-5)


def test_claims_are_of_the_textures():
    images = [*experiment.TEXTURES, "moon"]
    at = {"image": images, "kind": list(experiment.KINDS), "draw": range(3)}
    error = xr.DataArray(np.full((4, 2, 3), 1e-15), at, ("image", "kind", "draw"))
    noise = np.random.default_rng(0).normal(0, 0.01, (4, 2, 3, 2))
    at |= {"features": list(experiment.FEATURES)}
    ratio = xr.DataArray(3 + noise, at, ("image", "kind", "draw", "features"))
    ratio.loc[{"image": "moon"}] = 0.5
    claims = experiment.claims(xr.Dataset({"error": error, "ratio": ratio}))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 4
    ratio.loc[{"image": "grass", "kind": experiment.KINDS[0], "features": experiment.FEATURES[0]}] -= 2
    claims = experiment.claims(xr.Dataset({"error": error + 1e-9, "ratio": ratio}))
    wrong = [Verdict.FAILS, Verdict.FAILS, Verdict.HOLDS, Verdict.HOLDS]
    assert [claim.verdict for claim in claims] == wrong


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    claims = experiment.run(TINY, Lab(tmp_path))
    assert len(claims) == 4
    assert np.isfinite(claims[0].measured.value)
    assert all(np.isfinite(one.value) for claim in claims[1:] for one in claim.measured)
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"ratios", "copies"}
