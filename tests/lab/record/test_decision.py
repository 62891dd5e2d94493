import itertools
import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jaxtheory.lab import Claim, Measured, Verdict, below, mean
from jaxtheory.lab.record.decision import decide, quantile

REPETITIONS = 4000


def verdicts(differences):
    """The verdicts of "the difference is below zero" on (repetitions, rows, n) differences."""
    n = differences.shape[-1]
    errors = differences.std(axis=-1, ddof=1) / math.sqrt(n)
    return decide(-differences.mean(axis=-1), errors, n)


@pytest.mark.parametrize(("n", "rows"), list(itertools.product((2, 3, 5, 10), (1, 6))))
def test_a_true_difference_of_zero_is_a_tie_in_94_of_100_repetitions(n, rows, rng):
    decided = verdicts(rng.normal(size=(REPETITIONS, rows, n))) != 0
    assert decided.mean() <= 0.06


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_one_row_of_zero_among_five_that_are_plain_is_a_tie_in_94_of_100(n, rng):
    truth = np.array([-1e9] * 5 + [0])[:, None]
    found = verdicts(rng.normal(size=(REPETITIONS, 6, n)) + truth)
    assert (found != 0).mean() <= 0.06
    assert (found == -1).mean() <= 0.01  # the level of one of six rows


def test_differences_that_there_are_are_found(rng):
    better = rng.normal(-1, 1, (REPETITIONS, 1, 20))
    assert (verdicts(better) == 1).mean() > 0.98
    assert (verdicts(-better) == -1).mean() > 0.98


def test_quantiles_are_scipys():
    for n, rows in itertools.product((2, 3, 5, 10, 1000), (1, 2, 6)):
        assert quantile(n, rows) == pytest.approx(stats.t(n - 1).isf(0.025 / rows), rel=1e-9)
    assert quantile(1) == pytest.approx(stats.norm.isf(0.025), rel=1e-9)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_claim_decides_as_the_rows_do_together(rows, rng):
    names = {1: Verdict.HOLDS, 0: Verdict.TIE, -1: Verdict.FAILS}
    differences = rng.normal(rng.choice([-3, 0, 3], (200, rows, 1)), 1, (200, rows, 4))
    values, errors = differences.mean(axis=-1), differences.std(axis=-1, ddof=1) / 2
    found = [
        Claim("So.", below(0, source="x"), [Measured(*row, 4, paired=True) for row in zip(*one)]).verdict
        for one in zip(values, errors)
    ]
    assert found == [names[int(one)] for one in verdicts(differences)]
    assert len(set(found)) == 3


def test_differences_that_are_all_equal_decide_nothing():
    room = np.array([[1.0], [-1.0], [0.0]])
    assert decide(room, np.zeros((3, 1)), np.full((3, 1), 5)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_differences_of_counts_without_a_true_one_are_ties(rng, n):
    differences = np.diff(rng.poisson(20, (2, 4000, 1, n)), axis=0)[0].astype(float)
    assert np.mean(verdicts(differences) != 0) <= 0.06


def test_repeated_splits_of_the_same_examples_are_ties_once_their_overlap_is_counted():
    """Nearest neighbors on two features that are equally good, each example tested once in five folds."""
    rng = np.random.default_rng(0)
    repetitions, n, folds = 2000, 100, 5
    labels = rng.random((repetitions, n)) < 0.5
    features = rng.normal(labels, 1, (2, repetitions, n))
    distance = np.abs(features[..., :, None] - features[..., None, :])
    distance[..., np.arange(n)[:, None] // (n // folds) == np.arange(n) // (n // folds)] = np.inf
    nearest = distance.argmin(-1)
    wrong = np.take_along_axis(np.broadcast_to(labels, nearest.shape), nearest, -1) != labels
    errors = wrong.reshape(2, repetitions, folds, -1).mean(-1)
    differences = xr.DataArray(errors[0] - errors[1], dims=("repetition", "fold"))

    def decided(overlap):
        found = mean(differences, over="fold", paired=True, overlap=overlap)
        return np.mean([abs(one.value) > quantile(folds) * one.standard_error for one in found])

    assert decided(0.0) > 0.08
    assert decided(1 / folds) <= 0.06
