"""The pieces of the experiment on implicit bias against closed forms, verdicts, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.experiments.statistics import implicit_bias as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(digits=30, steps=10_000, draws=2)


def test_digits_of_two_classes_are_chosen(rng):
    images = np.float32(rng.uniform(size=(6, 28, 28)))
    vectors, labels = experiment.chosen(images, np.array([5, 1, 3, 9, 3, 5]), 3)
    assert vectors.dtype == np.float64
    np.testing.assert_array_equal(vectors, images[[0, 2, 4]].reshape(3, -1))
    assert labels.tolist() == [1, 0, 0]


def test_moments_grow_by_equal_factors():
    times = experiment.moments(10_000)
    assert times[0] == 1
    assert times[-1] == 10_000
    later = times[times >= 100]
    np.testing.assert_allclose(later[1:] / later[:-1], 10 ** (1 / 20), rtol=0.01)


def test_laws_are_read_off_what_follows_them():
    times = experiment.moments(1_000_000)
    logarithm = np.log(times)
    found = {
        "norm": 3 + 2 * logarithm,
        "log_loss": 1 - 0.97 * logarithm,
        "deviation": (1 + 4 * np.maximum(logarithm, 0.1)) ** -2.0,
    }
    measured = experiment.laws(times, found, 0.45)
    assert measured["norm slope"] == pytest.approx(0.9)
    assert measured["norm fit"] == pytest.approx(1)
    assert measured["loss slope"] == pytest.approx(-0.97)
    assert measured["angle fit"] == pytest.approx(1)
    assert -2 < measured["naive slope"] < -1.8
    bent = found | {"norm": logarithm**2}
    assert experiment.laws(times, bent, 1.0)["norm fit"] < 0.999


def test_validation_is_compared_with_where_its_loss_is_least():
    log_loss, errors = np.log([0.6, 0.2, 0.5]), np.array([0.5, 0.1, 0.13])
    found = experiment.validated(log_loss, errors, 400)
    assert found["loss ratio"] == pytest.approx(2.5)
    assert found["error change"] == pytest.approx(0.03 / np.sqrt(0.1 * 0.9 / 400), rel=0.05)


def measured(**others):
    """Draws as they come out where all is as in the theory, but for what is told otherwise."""
    values = {
        "duality gap": 1e-12, "norm fit": 0.9995, "norm slope": 0.96, "loss slope": -0.98, "angle fit": 0.999,
        "loss ratio": 2.0, "error change": 0.5, "arrival": 0.001, "separable": 1.0,
    } | others  # fmt: skip
    return xr.Dataset(
        {name: ("draw", value * np.array([0.9999, 1, 1.0001])) for name, value in values.items()}
    )


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("duality gap", 1e-3, 0), ("norm fit", 0.99, 1), ("norm slope", 1.2, 2), ("loss slope", -1.2, 3),
        ("angle fit", 0.9, 4), ("loss ratio", 1.1, 5), ("error change", 3.0, 6), ("arrival", 0.02, 7),
    ],
)  # fmt: skip
def test_verdicts(name, value, place):
    verdicts = [claim.verdict for claim in experiment.claims(measured(**{name: value}), 0.2)]
    assert [one == Verdict.FAILS for one in verdicts] == [k == place for k in range(8)]
    assert verdicts.count(Verdict.HOLDS) == 7


def test_without_separable_digits_nothing_is_tested():
    claims = experiment.claims(measured(separable=0.0), 0.2)
    assert {claim.verdict for claim in claims} == {Verdict.UNTESTED}
    assert "needs separable digits: take fewer, as --digits" in claims[0].reason
    late = experiment.claims(measured(arrival=np.nan), 0.2)
    assert [claim.verdict for claim in late].count(Verdict.UNTESTED) == 1
    assert "an angle that normalized descent reaches" in late[-1].reason


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert len(claims) == 8
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[0].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"laws", "validation"}
    assert len(lab.notes) == 3


@pytest.mark.beyond
def test_digits_that_are_not_separable_are_followed_too(rng):
    images = np.float32(rng.uniform(size=(40, 28, 28)))
    images[20:] = images[:20]
    labels = np.repeat([3, 5], 20)
    split = mnist.Split(images, labels, images, labels, labels, labels)
    found = experiment.followed(split, experiment.Config(digits=40, steps=10_000))
    assert not found["separable"]
