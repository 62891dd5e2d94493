"""The pieces of the experiment on noisy labels against SciPy and scikit-learn, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsClassifier

from jaxtheory.data import mnist
from jaxtheory.experiments.statistics import benign_interpolation as experiment
from jaxtheory.lab import Lab, Verdict, mean

TINY = experiment.Config(
    noise=(0.0, 0.4), sizes=(100, 150), draws=2, tested=50, wide=(12.0,), depth=1, exponents=(10.0,), width=4,
    epochs=2, early=1,
)  # fmt: skip


def over_draws(array, **options):
    return mean(array, over="draw", **options)


def test_noise_changes_a_share_of_the_labels_to_other_classes(rng):
    labels = rng.integers(0, 10, 20_000)
    found = experiment.noisy(labels, (0.0, 0.1, 0.4), rng)
    changed = found != labels
    assert changed.mean(1) == pytest.approx([0, 0.1, 0.4], abs=0.01)
    assert (changed[2] >= changed[1]).all()
    np.testing.assert_array_equal(found[2][changed[1]], found[1][changed[1]])
    counts = np.bincount((found[2] - labels)[changed[2]] % 10, minlength=10)
    assert counts[0] == 0
    assert counts[1:] == pytest.approx(800, abs=120)


def test_columns_hold_the_classes_of_each_share(rng):
    labels = rng.integers(0, 10, (3, 8))
    columns = experiment.one_hot(labels)
    assert columns.shape == (8, 30)
    np.testing.assert_array_equal(columns.sum(1), 3)
    np.testing.assert_array_equal(experiment.classes_of(columns), labels)


def errors_of(config, draws=4):
    """Errors as they would be: those of the neighbor grow with the noise, of others by a share of that."""
    noise = np.array(config.noise)
    shares = dict.fromkeys(experiment.kernels(config), 0.2) | dict.fromkeys(experiment.averages(config), 0.3)
    shares |= {experiment.NEIGHBOR: 1.0, experiment.EARLY: 0.2, experiment.NETWORK: 0.5}
    shares["Gaussian of bandwidth 12"] = 0.9
    growth = 94 * (1 + 0.02 * np.arange(draws)) * noise[:, None]
    values = np.stack([5 + share ** (1 + 0.01 * np.arange(draws)) * growth for share in shares.values()])
    coordinates = {"rule": list(shares), "noise": noise, "draw": range(draws)}
    return xr.DataArray(values, coordinates, ("rule", "noise", "draw"))


def test_claims_follow_from_the_errors():
    config = experiment.Config()
    errors = errors_of(config)
    rules = [one for one in errors.rule.values if not one.startswith("network")]
    zeros = errors.sel(rule=rules) * 0
    found = xr.Dataset({"error": errors.sel(rule=rules), "different": zeros, "residual": zeros.isel(noise=0)})
    claims = experiment.claims(config, errors, found, True, over_draws)
    verdicts = [claim.verdict for claim in claims]
    assert verdicts == [Verdict.HOLDS] * 3 + [Verdict.FAILS] + [Verdict.HOLDS] * 4
    assert [len(claim.measurements) for claim in claims] == [4, 5, 12, 4, 4, 2, 1, 5]
    np.testing.assert_allclose([one.value for one in claims[0].measurements], 0.94 * 1.03, rtol=1e-3)
    found["residual"] = found.residual + 1e-5
    found["different"] = found.different + 1.0
    claims = experiment.claims(config, errors, found, False, over_draws)
    assert [claims[k].verdict for k in (1, 6, 7)] == [Verdict.FAILS, Verdict.UNTESTED, Verdict.FAILS]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": (0.1, 0.2)}, r"noise is \(0.1, 0.2\): take 0 and at least one share more"),
        ({"noise": (0.0,)}, r"noise is \(0.0,\): take 0 and at least one share more"),
        ({"early": 60}, "early is 60: take less than epochs, which are 60"),
        ({"sizes": (5000,)}, r"sizes are \(5000,\): take at least one that is at most 4,000"),
    ],
)
def test_what_cannot_be_compared_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        experiment.run(experiment.Config(**options), Lab())


@pytest.mark.beyond
def test_rules_err_as_those_of_scipy_and_scikit_learn():
    digits = mnist.load()
    config = experiment.Config(noise=(0.0, 0.4), labelings=2, tested=200)

    def error(rule):
        return experiment.ruled(config, digits, rule, 150, 1, np.random.default_rng(3))

    def averaged(wrong):
        return [100 * np.mean(wrong[[0, 2]]), 100 * np.mean(wrong[[1, 3]])]

    train, labels, test, wanted = experiment.data_of(config, digits, 150, 1, np.random.default_rng(3))
    assert labels.shape == (4, 150)
    train, test = np.float64(train), np.float64(test)
    apart, within = cdist(test, train), cdist(train, train)
    for rule, kernel in {
        experiment.LAPLACIAN: lambda r: np.exp(-r / config.laplacian),
        experiment.NARROW: lambda r: np.exp(-(r**2) / (2 * config.narrow**2)),
    }.items():
        outputs = [kernel(apart) @ np.linalg.solve(kernel(within), np.eye(10)[one]) for one in labels]
        found = error(rule)
        np.testing.assert_allclose(found["error"], averaged(np.argmax(outputs, 2) != wanted))
        assert found["residual"] < 1e-10
    classifiers = [KNeighborsClassifier(1).fit(train, one) for one in labels]
    neighbor = np.stack([one.predict(test) for one in classifiers])
    np.testing.assert_allclose(error(experiment.NEIGHBOR)["error"], averaged(neighbor != wanted))
    outputs = np.stack([apart**-10.0 @ np.eye(10)[one] for one in labels])
    found = error("Hilbert, exponent 10")
    np.testing.assert_allclose(found["error"], averaged(outputs.argmax(2) != wanted))
    np.testing.assert_allclose(found["different"], averaged(outputs.argmax(2) != neighbor))


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 4, 3, 1, 2, 1, 2]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[1].verdict == Verdict.HOLDS
    assert claims[5].verdict == Verdict.UNTESTED
    assert {figure["name"] for figure in lab.figures} == {"error_by_noise", "error_by_size"}
    assert len(lab.notes) == 4 + 1 + 2 + 2 + 1
