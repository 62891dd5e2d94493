"""The pieces of the experiment on sums of ridge functions against least squares, and a run in miniature."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.approximation import ridge_sums as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(dimensions=(2, 8), points=150, atoms=60, steps=20, draws=2)


def test_functions_are_centered_and_of_unit_norm_and_constant_ones_are_dead(rng):
    values = np.float32(np.concatenate([rng.uniform(2, 5, (3, 40)), np.ones((1, 40))]))
    found = np.asarray(experiment.normalized(values))
    np.testing.assert_allclose(found.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose((found**2).mean(1), [1, 1, 1, 0], rtol=1e-5)


def test_projections_are_least_squares(rng):
    atoms, target = np.float32(rng.standard_normal((6, 30))), np.float32(rng.standard_normal(30))
    found = np.asarray(experiment.projected(atoms, target))
    for n in range(7):
        codes = np.linalg.lstsq(atoms[:n].T, target, rcond=None)[0]
        assert found[n] == pytest.approx(np.mean((target - codes @ atoms[:n]) ** 2), rel=1e-4)


def test_ratios_are_taken_where_the_bound_says_something():
    errors = np.array([2.0, 1.5, 1.0, 0.5])
    # Bounds 4, 2, 4/3 and 1: the last two are below the squared norm.
    assert experiment.largest_ratio(errors, 2.0) == pytest.approx(0.75)
    assert math.isnan(experiment.largest_ratio(errors, 3.0))


def test_targets_are_what_they_are_called(rng):
    x = np.float32(rng.standard_normal((200, 3)))
    dictionary = np.float32(rng.standard_normal((20, 200)))
    dictionary[:10] = 0
    functions, size = experiment.targets(jnp.asarray(x), jnp.asarray(dictionary), rng)
    assert size == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5)
    codes = np.linalg.lstsq(dictionary[10:].T, np.asarray(functions[experiment.SUM]), rcond=None)[0]
    np.testing.assert_allclose(np.sort(np.abs(codes))[-5:], [1 / 5, 1 / 4, 1 / 3, 1 / 2, 1], rtol=1e-4)
    assert np.corrcoef(functions[experiment.RADIAL], np.linalg.norm(x, axis=1))[0, 1] < -0.9
    product = np.sign(x).prod(1)
    assert np.corrcoef(functions[experiment.PRODUCT], product)[0, 1] == pytest.approx(1)


def test_barrons_constant_of_the_radial_function():
    expected = math.sqrt(2) * math.gamma(3) / math.gamma(5 / 2) / math.sqrt(5)
    assert experiment.barron(5, Lab()) == pytest.approx(expected, rel=0.03)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1, 2, 1]
    assert [claim.verdict for claim in claims[:3]] == [Verdict.HOLDS] * 3
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {"errors"}
    assert len(lab.notes) == 5


def test_draws_whose_norm_stays_below_the_bound_are_left_out():
    ratios = xr.DataArray([[0.1, np.nan, 0.3], [1.5, 2.0, 3.0]], {"dimension": [2, 8]}, ("dimension", "draw"))
    found = xr.Dataset({"ratio": ratios / 10, "ratio of cosines": ratios})
    parts = {"sums": 0.0, "ridges": 0.0}
    config = experiment.Config(dimensions=(2, 8))
    claims = experiment.claims(config, found, parts)
    assert [(one.value, one.n) for one in claims[2].measurements] == [
        (pytest.approx(0.03), 2),
        (pytest.approx(0.3), 3),
    ]
    assert [one.value for one in claims[3].measurements] == [1.5]
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 4
    found["ratio"][0, 0] = np.nan
    assert experiment.claims(config, found, parts)[2].verdict == Verdict.UNTESTED


@pytest.mark.beyond
def test_too_few_steps_leave_the_bound_out(tmp_path):
    config = experiment.Config(dimensions=(2,), points=120, atoms=400, steps=10, draws=2)
    claims = experiment.run(config, Lab(tmp_path))
    assert claims[2].verdict == claims[3].verdict == Verdict.UNTESTED
    assert "raise --steps" in claims[2].reason
    assert "add 8 to --dimensions" in claims[3].reason
