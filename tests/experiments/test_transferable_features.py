"""The pieces of the experiment on features that transfer, verdicts of made-up errors, and a small run."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.puzzles import transferable_features as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    images=("camera", "brick", "grass"), side=32, examples=(1, 2), tested=4, J=3, L=2, centroids=5,
    patches=1000, enlarged=1, draws=2,
)  # fmt: skip


def test_patches_have_one_mean_and_one_variance():
    train, test = experiment.seen(TINY, np.random.default_rng(0))
    assert train.shape == (3, 2, 32, 32)
    assert test.shape == (3, 4, 32, 32)
    for one in np.concatenate([train, test], 1).reshape(-1, 32, 32):
        assert one.min() >= 0
        assert one.max() <= 1
        if one.min() > 0 and one.max() < 1:
            assert (one.mean(), one.std()) == (pytest.approx(0.5, abs=1e-5), pytest.approx(0.2, abs=1e-5))
        else:
            assert one.std() < 0.2
    flat = experiment.equalized(np.full((1, 4, 4), 0.3))
    np.testing.assert_allclose(flat, 0.5)


def test_ridge_regression_is_that_of_the_normal_equations(rng):
    centers = rng.standard_normal((4, 1, 30))
    train, test = (centers + scale * rng.standard_normal((4, n, 30)) for n, scale in ((6, 1.5), (40, 1.5)))
    found = experiment.error(train, test, 0.1)
    x = train.reshape(24, 30)
    mean, deviation = x.mean(0), x.std(0)
    x, queries = ((one.reshape(-1, 30) - mean) / deviation / 30**0.5 for one in (train, test))
    targets = np.repeat(np.eye(4), 6, 0)
    weights = np.linalg.solve(x.T @ x + 24 * 0.1 * np.eye(30), x.T @ targets)
    expected = 100 * np.mean((queries @ weights).argmax(1) != np.repeat(np.arange(4), 40))
    assert found == pytest.approx(expected, abs=0.7)
    assert 0 < expected < 75


@pytest.mark.beyond
def test_features_do_not_depend_on_the_block(rng):
    x = rng.random((53, 32, 32), dtype=np.float32)
    for name, size in ((experiment.PIXELS, 1024), (experiment.CENTROIDS, 5)):
        found = experiment.represented(TINY, name, x, x, jax.random.key(0))
        assert found.shape == (53, size)
        again = experiment.represented(TINY, name, x[40:], x, jax.random.key(0))
        np.testing.assert_allclose(again, found[40:], rtol=1e-4, atol=1e-4)


def made_up(rng, *levels):
    """Errors of the representations around levels, falling with the number of examples."""
    values = np.array(levels)[:, None, None] - np.array([0.0, 5.0]) + rng.normal(0, 0.5, (len(levels), 6, 2))
    names = list(experiment.REPRESENTATIONS[: len(levels)])
    coordinates = {"representation": names, "draw": range(6), "examples": [1, 5]}
    return xr.DataArray(values, coordinates, ("representation", "draw", "examples"))


def test_claims_follow_from_errors(rng):
    claims = experiment.claims(made_up(rng, 80, 50, 60, 30))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 4
    assert [len(claim.measurements) for claim in claims] == [2] * 4
    assert claims[3].measurements[0].value == pytest.approx(20, abs=1)
    bad = experiment.claims(made_up(rng, 50, 60, 70, 80))
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 4
    without = experiment.claims(made_up(rng, 80, 50, 60))
    told = [claim.verdict == Verdict.UNTESTED for claim in without]
    assert told == [False, False, True, True]


@pytest.mark.beyond
def test_a_run_in_miniature_without_the_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "imagenet", lambda *_: None)
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 2, 0, 0]
    assert claims[2].verdict == Verdict.UNTESTED
    assert {figure["name"] for figure in lab.figures} == {"errors"}
    assert len(lab.notes) == 3
