"""The pieces of the experiment on unrolled pursuits against NumPy and the theorem, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.sparse import unrolled_ista as experiment
from jaxtheory.lab import Lab, Verdict
from jaxtheory.sparse import coherence
from tests.sparse.unrolled import dense

TINY = experiment.Config(features=60, atoms=80, layers=6, batch=16, steps=50, tested=20, penalties=4)


def test_signals_have_the_nonzeros_that_they_should():
    many, few = experiment.kinds(TINY).values()
    codes = np.asarray(experiment.draw(jax.random.key(0), few, 300, 80))
    assert ((codes != 0).sum(axis=1) == 2).all()
    assert codes[codes != 0].std() == pytest.approx(1, abs=0.1)
    assert len(np.unique(np.nonzero(codes)[1])) > 70
    codes = np.asarray(experiment.draw(jax.random.key(0), many, 300, 80))
    assert np.mean(codes != 0) == pytest.approx(0.1, abs=0.01)


def test_fista_comes_down_faster_than_ista(rng, x64):
    dictionary, x = dense.unit(rng.standard_normal((12, 7))), rng.standard_normal((5, 7))

    def objective(codes):
        return float(((x - codes @ dictionary) ** 2).sum() / 2 + 0.02 * np.abs(codes).sum())

    fast = np.asarray(experiment.fista(x, dictionary, 0.02, steps=40))
    slow = dense.ista(dictionary, x, 0.02, 5000)
    np.testing.assert_allclose(fast[0], slow[0], rtol=1e-11, atol=1e-12)
    assert objective(slow[-1]) <= objective(fast[-1]) < objective(slow[39])


def test_errors_are_energies_in_decibels(rng):
    iterates, codes = rng.standard_normal((3, 2, 5, 6)), rng.standard_normal((2, 5, 6))
    expected = 10 * np.log10(((iterates[2, 1] - codes[1]) ** 2).sum() / (codes[1] ** 2).sum())
    assert experiment.decibels(iterates, codes)[2, 1] == pytest.approx(expected)
    assert float(experiment.decibels(*map(jnp.asarray, (iterates, codes)))[2, 1]) == pytest.approx(
        expected, 1e-5
    )


def test_the_line_is_that_of_the_later_layers():
    errors = [[0.0, -1.0, -50.0, -8.0, -11.0, -14.0], [0, 0, 0, 0, 1, 0]]
    errors = xr.DataArray(errors, {"layer": range(1, 7)}, ("network", "layer"))
    fitted, slope, fit = experiment.line(errors)
    assert float(slope[0]) == pytest.approx(-3)
    assert float(fit[0]) == pytest.approx(1)
    assert float(fit[1]) < 0.1
    np.testing.assert_allclose(fitted.sel(network=0), [-8, -11, -14])


def test_guarantees_hold_where_the_hypothesis_does(rng):
    dictionary = np.asarray(coherence.hadamard_dirac(32), float)
    codes = np.zeros((50, 64))
    for row in codes:
        row[rng.choice(64, 2, replace=False)] = rng.uniform(-1, 1, 2)
    found = experiment.guaranteed(dictionary, codes, 5)
    assert found["false"] == 0
    assert 0.1 < found["ratio"] <= 1
    assert found["thresholds"].shape == found["errors"].shape == (5,)
    many = experiment.guaranteed(dictionary, rng.standard_normal((50, 64)), 5)
    assert many["errors"][-1] > found["errors"][-1] + 10


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 4, 2, 2, 2, 1, 1]
    assert claims[0].verdict == Verdict.UNTESTED
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[5].verdict == claims[6].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"error_by_layer", "learned"}
    assert len(lab.notes) == 2


def test_too_many_nonzeros_leave_the_theorem_out(rng):
    names = (*experiment.NETWORKS, *experiment.CLASSICAL)
    errors = xr.DataArray(
        -10.0 * np.arange(1, 7) - np.array([9, 8, 1, 0])[:, None, None] + rng.random((2, 4, 10, 6)),
        {"signals": list(experiment.kinds(TINY)), "network": list(names), "layer": range(1, 7)},
        ("signals", "network", "draw", "layer"),
    )
    _, slope, fit = experiment.line(errors.sel(network=list(experiment.NETWORKS)))
    claims = experiment.claims(TINY, errors, slope, fit, 1.9, None)
    untested = [claim.verdict == Verdict.UNTESTED for claim in claims]
    assert untested == [True, False, True, True, False, True, True]
    ahead = claims[1].measurements[0]
    best = errors[0, 2:, :, -1].min("network")
    assert ahead.value == pytest.approx(float((errors[0, 0, :, -1] - best).mean()))
    assert [one.value for one in claims[4].measurements] == pytest.approx(fit[0].mean("draw").values)
