"""The pieces of the experiment on connectedness, verdicts of made-up answers, and a run in miniature."""

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr

from jaxtheory.data import mazes
from jaxtheory.experiments.history import connectedness as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(cells=(6, 7), pairs=60, tested=50, epochs=1, draws=2, steps=20)


def test_windows_are_counted(rng):
    images = rng.integers(0, 2, (2, 5, 6))
    found = experiment.counts(images)
    assert found.shape == (2, 512)
    assert np.all(found.sum(1) == 3 * 4)
    window = images[1, 1:4, 2:5].ravel()
    assert found[1, int("".join(map(str, window[::-1])), 2)] > 0
    expected = np.zeros(512, int)
    for row in range(3):
        for column in range(4):
            bits = images[0, row : row + 3, column : column + 3].ravel()
            expected[sum(int(bit) << k for k, bit in enumerate(bits))] += 1
    np.testing.assert_array_equal(found[0], expected)


def test_one_of_each_pair_has_its_label(rng):
    pairs = mazes.draw(6, 20, rng)
    x, labels = experiment.one_of_each(pairs, rng)
    assert 0 < labels.sum() < 20
    assert [scipy.ndimage.label(one)[1] == 1 for one in x] == list(labels == 1)
    x, labels = experiment.both_of_each(pairs)
    assert [scipy.ndimage.label(one)[1] == 1 for one in x] == list(labels == 1)


def test_flooding_reaches_what_hangs_together(rng):
    pairs = mazes.draw(7, 8, rng)
    x, labels = experiment.both_of_each(pairs)
    reached, steps = experiment.flooded(experiment.FLOOD, x)
    np.testing.assert_array_equal(reached, labels == 1)
    # As many steps as the longest of the shortest ways from the first cell, and one that changes nothing.
    h = np.zeros_like(x, bool)
    h[:, 0, 0], number = True, 0
    while True:
        after = np.stack([scipy.ndimage.binary_dilation(one) for one in h]) & (x > 0)
        number += 1
        if np.array_equal(after, h):
            break
        h = after
    assert int(steps) == number


def measured(rng, fall=10.0, longer=10.0, windows=0, errors=0, chance=0.5):
    """Answers with known accuracies, by size and by the length of cycles."""
    cycle = np.tile(np.where(np.arange(2000) % 2, 6, 12), (2, 4, 1))
    share = np.empty((2, 4, 3, 2000))
    share[:] = 0.6 + np.where(cycle > 8, -longer, longer)[:, :, None] / 100
    share[1] -= fall / 100
    share[:, :, 0] = chance
    ones = (2, 4)
    return xr.Dataset(
        {
            "right": (
                ("cells", "draw", "classifier", "maze"),
                100.0 * (rng.permuted(np.tile(np.arange(1000), (2, 4, 3, 2)), axis=-1) / 1000 < share),
            ),
            "cycle": (("cells", "draw", "maze"), cycle),
            "windows": (("cells", "draw"), np.full(ones, windows)),
            "flooding/errors": (("cells", "draw"), np.full(ones, errors)),
        },
        {"cells": [6, 16], "classifier": [experiment.WINDOWS, *experiment.DEEP]},
    )


def test_claims_follow_from_answers(rng):
    claims = experiment.claims(measured(rng))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 7
    assert claims[2].measurements[0].value == pytest.approx(10, abs=3)
    assert claims[4].measurements[0].value == pytest.approx(20, abs=4)
    bad = measured(rng, fall=-10.0, longer=-10.0, windows=1, errors=1, chance=0.55)
    assert [claim.verdict for claim in experiment.claims(bad)] == [Verdict.FAILS] * 7


def test_one_size_leaves_the_fall_untested(rng):
    claims = experiment.claims(measured(rng).isel(cells=[0]))
    assert [claim.verdict == Verdict.UNTESTED for claim in claims] == [False] * 2 + [True] * 2 + [False] * 3


def test_each_epoch_takes_every_maze_once(rng):
    order, ways = experiment.batches(120, 5, rng)
    assert order.shape == (5, experiment.BATCH)
    assert ways.shape == (5, 3, experiment.BATCH)
    assert len(set(order[:2].ravel())) == len(set(order[2:4].ravel())) == 2 * experiment.BATCH


def test_turning_keeps_mazes_what_they_are(rng):
    x = mazes.draw(6, 30, rng).disconnected
    found = np.asarray(experiment.turned(rng.integers(0, 2, (3, 30)) > 0, x))
    ways = [np.rot90(one, k, (1, 2)) for one in (x, x[:, ::-1]) for k in range(4)]
    which = [[np.array_equal(found[k], way[k]) for way in ways] for k in range(30)]
    assert np.all(np.sum(which, 1) >= 1)
    assert np.all(np.sum(which, 0) >= 1)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [claim.verdict for claim in claims if claim.expected.kind == "equal to"] == [Verdict.HOLDS] * 2
    assert [len(claim.measurements) for claim in claims] == [1] * 7
    assert {figure["name"] for figure in lab.figures} == {"accuracy", "length", "flooding"}
    assert len(lab.notes) == 2
