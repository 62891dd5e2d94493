"""The pieces of the experiment on certificates against closed forms, its verdicts, and a run in miniature."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import xarray as xr

from jaxtheory.experiments.statistics import pac_bayes as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    digits=200, width=4, passes=1, fitting=1, steps=200, whole_steps=200, weights=100, draws=2
)


@pytest.mark.beyond
def test_the_smooth_error_is_the_probability_of_the_wrong_class(rng):
    logits, labels = np.float32(rng.standard_normal((6, 2))), np.array([0, 1, 1, 0, 0, 1])
    expected = scipy.special.softmax(3 * logits, axis=1)[np.arange(6), 1 - labels]
    np.testing.assert_allclose(experiment.smooth_error(logits, labels), expected, rtol=1e-4)
    np.testing.assert_array_equal(experiment.error(logits, labels), expected > 0.5)


def test_batches_drop_what_is_left_over(rng):
    images, labels = rng.uniform(size=(250, 28, 28)), np.arange(250)
    vectors, found = experiment.in_batches(images, labels)
    assert vectors.shape == (2, 100, 784)
    np.testing.assert_array_equal(vectors[1, 7], images[107].ravel())
    np.testing.assert_array_equal(found.ravel(), np.arange(200))


def test_the_closest_variance_is_that_of_the_least_divergence(rng):
    params = {"a": jnp.asarray(rng.standard_normal(50)), "b": jnp.asarray(rng.standard_normal((3, 4)))}
    prior = {"a": jnp.zeros(50), "b": jnp.ones((3, 4))}
    best = experiment.closest_variance(params, prior)
    square = sum(float(jnp.sum((params[name] - prior[name]) ** 2)) for name in params)

    def divergence(variance):
        ratio = experiment.NARROW**2 / variance
        return 62 * (ratio - 1 - np.log(ratio)) / 2 + square / (2 * variance)

    assert divergence(best) < min(divergence(0.99 * best), divergence(1.01 * best))


def measured(**others):
    """Draws as they come out where all is as in the theory, but for what is told otherwise."""
    values = {"few": 45.0, "all": 15.0, "random": 80.0, "narrow": 100.0, "test": 5.0} | others
    spread = np.array([-0.1, 0.0, 0.1])

    def one(bound, test, **more):
        names = {"bound": bound, "test error": test} | more
        return xr.Dataset({name: ("draw", value + spread) for name, value in names.items()})

    return {
        "4,000 digits": one(values["few"], values["test"] - 2 * spread),
        experiment.RANDOM: one(values["random"], 50.0, **{"narrow bound": values["narrow"]}),
        experiment.ALL: one(values["all"], values["test"] - 3 * spread),
    }


@pytest.mark.parametrize(
    ("others", "places"),
    [
        ({}, []), ({"few": 61.0}, [0]), ({"all": 20.0}, [2]), ({"all": 30.0}, [1, 2]), ({"test": 50.0}, [3]),
        ({"random": 49.0}, [4]), ({"narrow": 49.0}, [4]),
    ],
)  # fmt: skip
def test_verdicts(others, places):
    verdicts = [claim.verdict for claim in experiment.claims(measured(**others), "4,000 digits", 0.0)]
    assert [k for k, one in enumerate(verdicts) if one == Verdict.FAILS] == places
    assert verdicts.count(Verdict.HOLDS) == 5 - len(places)


def test_without_the_whole_mnist_its_claims_are_not_tested():
    found = measured()
    del found[experiment.ALL]
    claims = experiment.claims(found, "4,000 digits", 0.2)
    untested = [claim.verdict == Verdict.UNTESTED for claim in claims]
    assert untested == [False, True, True, False, False]
    assert "give its folder as --data-dir" in claims[1].reason


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "WHOLE", 4000)
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1, 1, 2, 2]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    # Two draws are few for a paired difference: that the certificates tell the truth may be a tie.
    assert all(one.value > 0 for one in claims[3].measurements)
    assert claims[4].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"bounds", "minimization"}
    assert len(lab.notes) == 4
