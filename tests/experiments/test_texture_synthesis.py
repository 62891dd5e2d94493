"""The pieces of the experiment on syntheses of textures, and a run in miniature."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.harmonic import texture_synthesis as experiment
from jaxtheory.harmonic import scattering2d
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(size=32, J=2, L=2, held_out=2, steps=2)


def test_crops_are_normalized_and_differ():
    one, other = (experiment.crop_of("grass", crop, 64) for crop in (0, 1))
    for x in (one, other):
        assert x.shape == (64, 64)
        assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=1e-5)
    assert np.abs(one - other).mean() > 0.5


@pytest.mark.beyond
@pytest.mark.parametrize("model", experiment.MODELS[1:])
def test_what_is_fitted_is_relative_to_the_crop(model):
    x = experiment.crop_of("gravel", 0, 32)
    statistics = experiment.statistics_of(TINY, model, x)
    found = statistics(x)
    if model == experiment.BEST:
        np.testing.assert_allclose(found["power"], 1, rtol=1e-5)
    else:
        order = np.array([one.order for one in scattering2d.paths(statistics.args[0])])
        np.testing.assert_allclose(np.asarray(found)[order == 1], 1, rtol=1e-5)
        assert np.asarray(found)[order == 2].any() == (model == experiment.MODELS[2])


def nearer(model):
    """Whether a synthesis is nearer to what it is fitted to than the noise that it starts from."""
    x = experiment.crop_of("gravel", 0, 32)
    statistics = experiment.statistics_of(TINY, model, x)
    target = statistics(x)
    picture, misfit = experiment.synthesis(TINY, model, x, jax.random.key(0))
    noise = jax.random.normal(jax.random.key(0), x.shape)
    norms = [np.linalg.norm(np.asarray(leaf)) for leaf in jax.tree.leaves(target)]
    left = [
        np.linalg.norm(np.asarray(a) - np.asarray(b))
        for a, b in zip(jax.tree.leaves(statistics(noise)), jax.tree.leaves(target))
    ]
    return np.isfinite(picture).all() and misfit < np.linalg.norm(left) / np.linalg.norm(norms)


def test_a_synthesis_from_the_spectrum_has_the_spectrum():
    x = experiment.crop_of("gravel", 0, 32)
    picture, _ = experiment.synthesis(TINY, experiment.MODELS[0], x, jax.random.key(0))
    np.testing.assert_allclose(np.abs(np.fft.fft2(picture)), np.abs(np.fft.fft2(x)), atol=1e-2)


def test_statistics_are_those_of_their_names(rng):
    noise = rng.standard_normal((64, 64))
    gaussian = experiment.moments(noise, 2)
    assert gaussian.shape == (12,)
    # No skewness, and a kurtosis of three.
    np.testing.assert_allclose(gaussian[::2], 0, atol=0.5)
    np.testing.assert_allclose(gaussian[1::2], np.log(3), atol=0.4)
    found = experiment.described(TINY, np.float32(noise[:32, :32]))
    assert found["quantiles"][49] == pytest.approx(np.median(noise[:32, :32]), abs=1e-6)
    assert [len(found[name]) for name in experiment.STATISTICS] == [99, 12, 2 * 2 + 4]
    assert experiment.apart(TINY, noise[:32, :32], noise[:32, :32]) == pytest.approx(0)


def test_claims_are_paired_by_crop():
    at = {
        "texture": list(experiment.TEXTURES),
        "crop": [0, 1],
        "model": list(experiment.MODELS),
        "statistic": list(experiment.STATISTICS),
    }
    rng = np.random.default_rng(0)
    # Crops differ more than models do on each of them.
    values = (
        10 * rng.random((3, 2, 1, 1)) + np.array([4.0, 3, 2, 1])[:, None] + 0.1 * rng.random((3, 2, 4, 3))
    )
    distance = xr.DataArray(values, at, tuple(at))
    claims = experiment.claims(xr.Dataset({"distance": distance}))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3
    assert all(len(claim.measured) == 3 for claim in claims)
    distance.loc[{"model": experiment.BEST, "statistic": "quantiles"}] += 1.5
    claims = experiment.claims(xr.Dataset({"distance": distance}))
    assert [claim.verdict for claim in claims] == [Verdict.FAILS, Verdict.HOLDS, Verdict.HOLDS]


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    claims = experiment.run(TINY, Lab(tmp_path))
    assert len(claims) == 3
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measured)
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"pictures", "distances"}
    assert all(nearer(model) for model in experiment.MODELS[1:])
