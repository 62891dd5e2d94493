"""The pieces of the experiment on distributed learning against closed forms, and a run in miniature."""

import jax
import numpy as np
import pytest

from jaxtheory.experiments.statistics import distributed_learning as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(sizes=(32, 64), draws=3, digits=64, folds=2, repeats=2)


def test_the_kernel_on_the_circle_has_the_eigenvalues_that_are_told(x64):
    x = experiment.GRID[:, None]
    values = np.linalg.eigvalsh(np.asarray(experiment.periodic(x, x)) / len(x))[::-1]
    expected = [10, 10, 2.5, 2.5, 10 / 9, 10 / 9, 1]
    np.testing.assert_allclose(values[:7], expected, rtol=1e-4)


def test_functions_on_the_circle_are_powers_of_the_operator():
    k = np.arange(1, experiment.FREQUENCIES + 1)
    x = np.array([0.0, 0.3])
    for r in (0.5, 1.0):
        coefficients = np.cos(2 * np.pi * x[:, None] * k) @ (k**-0.55 * (10 / k**2.0) ** r)
        expected = np.sqrt(2) * coefficients / np.linalg.norm(k**-0.55)
        np.testing.assert_allclose(experiment.smooth(x, r), expected, rtol=1e-10)


def test_the_admissible_numbers_of_parts_are_the_theorems():
    assert [experiment.admissible(r, 8192) for r in (0.5, 0.75, 1.0)] == [1, 6, 12]


def test_the_number_of_parts_is_read_between_powers_of_two():
    parts = 2 ** np.arange(6)
    ratios = parts**0.1
    assert experiment.tolerated(ratios, parts) == pytest.approx(1.25**10)
    assert np.isnan(experiment.tolerated(parts**0.01, parts))
    errors = np.stack([[3.0, 3.0, 4.0, 5.0], [1.0, 1.1, np.nan, np.nan]])[..., None]
    found = experiment.most_parts(errors, parts[:4])
    assert 2 < found[0] < 4
    assert np.isnan(found[1])


def test_the_jackknife_of_a_mean_is_its_standard_error(rng):
    errors = rng.standard_normal(12)
    measured = experiment.jackknife(lambda some: float(some.mean()), errors)
    assert measured.value == pytest.approx(errors.mean())
    assert measured.standard_error == pytest.approx(errors.std(ddof=1) / np.sqrt(12))


@pytest.mark.beyond
def test_parts_on_eight_devices_are_those_of_a_loop():
    assert jax.device_count() == experiment.DEVICES
    assert experiment.on_devices(experiment.DEVICES) < 1e-5


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "in_a_process", lambda: np.array(1e-6))
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    untested = [claim.verdict == Verdict.UNTESTED for claim in claims]
    assert untested[:3] == [True, False, True]
    assert untested[4:] == [False, True, True, True]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {"parts", "rates"}


def test_exponents_are_measured_over_a_wide_range():
    assert experiment.is_wide(experiment.Config())
    assert not experiment.is_wide(experiment.QUICK)
