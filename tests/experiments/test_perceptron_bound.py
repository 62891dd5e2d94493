"""The pieces of the experiment on the perceptron against enumeration, verdicts, and a run in miniature."""

from fractions import Fraction

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.history import perceptron_bound as experiment
from jaxtheory.lab import Lab, Verdict
from jaxtheory.networks import perceptron

TINY = experiment.Config(digits=20, orders=2, starts=20, steps=300)


def cycle(order):
    """The number of passes after which the rule's weights on XOR are what they were, step by step."""
    vectors = (2 * experiment.XOR - 1)[:, None] * np.column_stack([experiment.PATTERNS, np.ones(4)])
    weights, seen = np.zeros(3), []
    while tuple(weights) not in seen:
        seen.append(tuple(weights))
        for row in order:
            weights = weights + vectors[row] * (vectors[row] @ weights <= 0)
    return len(seen) - seen.index(tuple(weights))


@pytest.mark.beyond
def test_weights_recur_as_they_do_step_by_step():
    found = experiment.recurring()["period"]
    assert found.shape == (24,)
    orders = list(experiment.itertools.permutations(range(4)))
    assert found.tolist() == [cycle(order) for order in orders]


@pytest.mark.beyond
def test_the_pocket_is_right_on_three_patterns(rng):
    assert experiment.pocketed(rng) == 3


@pytest.mark.beyond
def test_networks_that_count_as_solutions_solve_it():
    solved, params = experiment.trained(jax.random.key(0), starts=30, steps=400)
    assert 0 < solved.sum() < 30
    for which in (np.argmax(solved), np.argmin(solved)):
        one = jax.tree.map(lambda leaf, which=which: leaf[which], params)
        answers = np.asarray(experiment.outputs(one, experiment.PATTERNS)) > 0
        assert bool(solved[which]) == bool((answers == (experiment.XOR == 1)).all())


def measured(**others):
    """What is found where all is as in the theory, but for what is told otherwise."""
    values = {"mistakes": 10.0, "converged": 1.0, "bound": 40.0, "separable": 1.0} | others
    pairs = {"pair": list(experiment.PAIRS)}
    found = xr.Dataset(
        {name: (("pair", "order"), np.full((2, 3), values[name])) for name in ("mistakes", "converged")},
        pairs,
    )
    bounds = xr.Dataset({name: ("pair", np.full(2, values[name])) for name in ("bound", "separable")}, pairs)
    return bounds, found


CERTIFICATE = perceptron.Certificate((Fraction(1, 4),) * 4, Fraction(0))
ROUNDED = perceptron.Certificate(np.full(4, 0.25), 0.0)


@pytest.mark.parametrize(
    ("others", "period", "certificate", "solved", "place"),
    [
        ({}, 1.0, CERTIFICATE, 5, None),
        ({"mistakes": 50.0}, 1.0, CERTIFICATE, 5, 0),
        ({"converged": 0.0}, 1.0, CERTIFICATE, 5, 1),
        ({}, np.nan, CERTIFICATE, 5, 2),
        ({}, 1.0, ROUNDED, 5, 3),
        ({}, 1.0, None, 5, 3),
        ({}, 1.0, CERTIFICATE, 0, 4),
    ],
)
def test_verdicts(others, period, certificate, solved, place):
    bounds, found = measured(**others)
    cycles = {"period": np.append(np.ones(23), period)}
    claims = experiment.claims(
        experiment.Config(orders=3), bounds, found, cycles, certificate, np.arange(10) < solved
    )
    expected = [Verdict.FAILS if k == place else Verdict.HOLDS for k in range(5)]
    assert [claim.verdict for claim in claims] == expected


def test_without_separable_digits_nothing_is_said_of_them():
    bounds, found = measured(separable=0.0)
    claims = experiment.claims(
        experiment.Config(), bounds, found, {"period": np.ones(24)}, CERTIFICATE, np.ones(10, bool)
    )
    assert [claim.verdict for claim in claims[:2]] == [Verdict.UNTESTED] * 2
    assert "needs separable digits: take fewer, as --digits" in claims[0].reason


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert len(claims) == 5
    assert all(claim.verdict == Verdict.HOLDS for claim in claims[:4])
    assert [figure["name"] for figure in lab.figures] == ["mistakes", "exclusive_or"]
