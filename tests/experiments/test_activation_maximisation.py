"""The pieces of the experiment on activation maximization against closed forms, and a run in miniature."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.puzzles import activation_maximisation as experiment
from jaxtheory.inspection import priors
from jaxtheory.lab import Lab, Verdict
from jaxtheory.lab.errors import Usage

TINY = experiment.Config(
    draws=2, digits=100, steps=4, starts=2, units=2, ascent=3, search=3,
    priors=(experiment.NONE, experiment.BEST),
)  # fmt: skip


def test_images_count_as_often_as_they_are_orthogonal():
    images = np.zeros((2, 4, 3, 3))
    images[0, :, 1, 1] = [1, 2, 3, 4]
    images[1].reshape(4, 9)[range(4), range(4)] = 5
    np.testing.assert_allclose(experiment.patterns(images), [1, 4])


def test_a_wave_has_its_frequency_and_one_orientation(rng):
    down, across = np.mgrid[:28, :28]
    waves = np.stack([np.cos(2 * np.pi * across / 7), np.cos(2 * np.pi * (down + across) / 14)])
    found = experiment.spectra(waves)
    np.testing.assert_allclose(found["frequency"], [1 / 7, 2**0.5 / 14], rtol=1e-6)
    np.testing.assert_allclose(found["orientation"], 1, rtol=1e-6)
    crossed = np.cos(2 * np.pi * across / 7) + np.cos(2 * np.pi * down / 7)
    assert experiment.spectra(crossed[None])["orientation"][0] == pytest.approx(0, abs=1e-9)


def measured(rng, gain=20.0, step=1.0):
    """Draws in which a prior gains some points, and patterns rise from stage to stage."""
    stages = len(experiment.STAGES)
    told = 70 + np.array([0, gain])[:, None] + rng.random((5, 2, 2))
    along = {
        "patterns": 1 + step * np.arange(stages),
        "frequency": 0.4 - 0.01 * np.arange(stages),
        "orientation": 0.2 - 0.01 * np.arange(stages),
    }
    noise = np.where(np.arange(stages) > 0, 0.001 * rng.random((5, stages)), 0)
    return xr.Dataset(
        {
            "recognized": (("draw", "prior", "network"), told),
            "error": (("draw", "network"), 10 + rng.random((5, 2))),
            **{name: (("draw", "stage"), values + noise) for name, values in along.items()},
        },
        {
            "prior": [experiment.NONE, experiment.BEST],
            "network": list(experiment.OTHERS),
            "stage": list(experiment.STAGES),
        },
    )


def test_claims_follow_from_the_measures(rng):
    lab = Lab()
    claims = experiment.claims(measured(rng), lab)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 6
    assert [len(claim.measurements) for claim in claims] == [2, 1, 2, 1, 1, 1]
    assert claims[0].measurements[0].value == pytest.approx(20, abs=1)
    assert claims[4].measurements[0].value == pytest.approx(-0.05, abs=0.001)
    assert len(lab.notes) == 3
    assert "recognized in 71 % by" in lab.notes[0] or "recognized in 70 % by" in lab.notes[0]
    claims = experiment.claims(measured(rng, gain=-20.0, step=-0.1), Lab())
    assert [claim.verdict for claim in claims[:4]] == [Verdict.FAILS, Verdict.HOLDS] + [Verdict.FAILS] * 2


@pytest.mark.beyond
def test_the_prior_is_a_weighted_sum(rng):
    x, atoms = rng.random((8, 8, 1)), rng.standard_normal((3, 36))
    parts = [
        priors.lp_norm(x, 2),
        priors.total_variation(x, 1),
        priors.patch_energy(atoms, x, 6, experiment.PENALTY, steps=20),
    ]
    weights = np.array([0.5, 2.0, 3.0])
    found = experiment.weighted(jnp.asarray(atoms), jnp.asarray(weights), jnp.asarray(x))
    assert float(found) == pytest.approx(float(np.dot(weights, parts)), rel=1e-4)
    found = experiment.weighted(jnp.zeros((0, 36)), jnp.asarray(weights), jnp.asarray(x))
    assert float(found) == pytest.approx(float(np.dot(weights[:2], parts[:2])), rel=1e-5)


def test_unknown_priors_are_refused():
    with pytest.raises(Usage, match=r"^--priors is .*: take 'no prior', 'variation and shifts' and others"):
        experiment.run(experiment.Config(priors=("no prior",)))


@pytest.mark.beyond
def test_stages_end_in_the_logits_of_the_network(rng):
    import jax

    params = experiment.network(experiment.OTHERS[0]).init(jax.random.key(0))[0]
    x = np.float32(rng.random((28, 28, 1)))
    found = jax.jit(experiment.stages)(params, x)
    np.testing.assert_allclose(found["class"], experiment.answers(experiment.OTHERS[0], params, x), rtol=1e-4)
    units = jax.jit(experiment.responses)(params, x)
    for name, size in experiment.SIZES.items():
        maps = np.asarray(found[name])
        center = maps[tuple(n // 2 for n in maps.shape[:-1])]
        first = experiment.FIRST[name]
        np.testing.assert_allclose(units[first : first + size], center, rtol=1e-4, atol=1e-6)
    # What a unit of the first convolution answers to most is its filter, wherever the search starts.
    config = replace(TINY, search=40)
    images = experiment.units_of(config, params, jax.random.key(1))["images"]
    kernel = np.asarray(params["convolutions"]["0"]["kernel"])[:, :, 0, 0]
    np.testing.assert_allclose(images[0, 0, 12:17, 12:17], kernel, atol=1e-4)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 1, 2, 1, 1, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    names = {"classes", "units", "recognized", "patterns", "orientation"}
    assert {figure["name"] for figure in lab.figures} == names
    assert len(lab.notes) == 3
