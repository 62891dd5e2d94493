"""The pieces of the experiment on double descent against dense linear algebra, and a run in miniature."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.experiments.statistics import double_descent as experiment
from jaxtheory.lab import Lab, Verdict
from jaxtheory.statistics import random_features

TINY = experiment.Config(
    sizes=(40,), bandwidths=(5.0, 12.0), penalties=(1e-4, 1e-2), steps=20, batch=20, draws=2
)


@pytest.fixture(scope="module")
def digits():
    return mnist.load()


def test_noise_replaces_its_share_of_the_labels(tmp_path, digits):
    data = experiment.drawn(TINY, Lab(tmp_path), digits, 40, 0)
    true, noisy = data["y"].reshape(40, 2, 10).argmax(axis=-1).T
    assert np.sum(true != noisy) == 8
    assert data["x"].shape == (40, 784)
    again = experiment.drawn(TINY, Lab(tmp_path / "other"), digits, 40, 0)
    np.testing.assert_array_equal(data["y"], again["y"])


def test_errors_are_told_apart_by_their_labels():
    truth = np.array([3, 1])
    values = np.zeros((2, 4, 20))
    values[0, :, 3] = values[1, :, 1] = 1
    values[:, :, 17] = 0.5
    found = experiment.judged(values, truth)
    np.testing.assert_array_equal(found["error"], np.tile([0.0, 100.0], (4, 1)))
    np.testing.assert_allclose(found["squared"], np.tile([0.0, 1.25], (4, 1)))


def test_rows_of_zeros_are_left_out_of_a_fit(rng, x64):
    features, y = rng.standard_normal((12, 30)), rng.standard_normal((12, 3))
    mask, held = np.arange(12) < 9, np.array([9, 11])
    found = experiment.held_out(features, y, np.array([0.1]), mask, held)
    fitted = random_features.ridge_path(features[:9], y[:9], (0.1 * 12 / 9,)).coefficients[0]
    expected = ((features[held] @ fitted - y[held]) ** 2).sum(axis=1)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9)


@pytest.mark.beyond
def test_units_beyond_a_width_take_no_part(rng):
    data = np.float32(rng.random((20, 196))), np.float32(rng.random((20, 10)))
    units = np.float32(np.arange(6) < np.array([[2], [6]]))
    params = experiment.trained(jax.random.key(0), units, data, steps=5, batch=10)
    assert not np.asarray(params["in"][0, :, 2:]).any()
    assert not np.asarray(params["out"][0, 2:]).any()
    assert np.asarray(params["in"][1]).all()
    assert experiment.widths(experiment.Config(sizes=(1000,)))[2] == 48


def test_the_worst_number_is_worse_than_both_sides(rng):
    ratios = [*experiment.AROUND, *experiment.SIDES]
    errors = np.array([5, 5, 9, 5, 5, 6, 8.0]) + np.array([[0.1], [0.2], [0.4]]) * [1, 2, 3, 1, 1, 1, 2]
    errors = xr.DataArray(errors, {"ratio": ratios}, ("draw", "ratio"))
    apart = errors.sel(ratio=1.0) - errors.sel(ratio=2.0)
    expected = apart.mean() / (apart.std(ddof=1) / np.sqrt(3))
    assert float(experiment.worst(errors, 0.0).value) == pytest.approx(float(expected))


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [6, 2, 0, 0, 1, 1, 1, 1]
    assert all(claims[k].verdict == Verdict.UNTESTED for k in (2, 3, 6, 7))
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {"descent", "limits"}
