"""Patterns and deformations of the experiment on the neocognitron, and verdicts of made-up results."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.history import neocognitron as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    shifts=(1, 2), draws=2, presentations=2, stride=2, copies=1, choices=("as here",), folds=2, digits=5,
    tested=20,
)  # fmt: skip


def test_patterns_are_the_digits_and_lie_everywhere_once():
    assert experiment.STENCILS.shape == (10, 9, 7)
    images = experiment.everywhere(5, 1)
    assert images.shape == (5, 8, 10, 16, 16)
    np.testing.assert_array_equal(
        images.sum((3, 4)), np.broadcast_to(experiment.STENCILS[:5].sum((1, 2))[:, None, None], (5, 8, 10))
    )
    assert len(np.unique(images.reshape(400, -1), axis=0)) == 400
    # The fewer places are some of these, and the middle is among them.
    few = experiment.everywhere(5, 2)
    np.testing.assert_array_equal(few, images[:, 1::2, ::2])
    np.testing.assert_array_equal(few[3, 1, 2], experiment.placed(experiment.STENCILS[3], 3, 4))


def test_patterns_are_presented_in_turn_within_the_shift():
    images = experiment.shown(5, 0, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(images, np.tile(images[:5], (3, 1, 1)))
    images = experiment.shown(10, 4, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(
        images.sum((1, 2)).reshape(20, 10), np.tile(experiment.STENCILS.sum((1, 2)), (20, 1))
    )
    first = [np.argwhere(one).min(0)[0] for one in images]
    assert min(first) == 0
    assert max(first) == 7


@pytest.mark.parametrize("digit", range(5))
def test_deformed_patterns(digit):
    stencil, rng = experiment.STENCILS[digit], np.random.default_rng(0)
    plain = experiment.placed(stencil, *experiment.MIDDLE)
    np.testing.assert_array_equal(experiment.moved(stencil, np.eye(2)), plain)
    size = {
        kind: np.ptp(np.argwhere(experiment.deformed(kind, stencil, rng)), axis=0).tolist()
        for kind in experiment.KINDS
    }
    assert size["larger"][0] > size["smaller"][0]
    specks, gaps = (experiment.deformed(kind, stencil, rng) - plain for kind in experiment.KINDS[3:])
    assert (specks.sum(), (specks < 0).sum()) == (5, 0)
    assert (gaps.sum(), (gaps > 0).sum()) == (-3, 0)


def test_cells_that_answer_alone_and_the_classes_of_groups():
    found = np.array([[0, 0.5, 0], [0.1, 0.5, 0], [0, 0, 0], [0, 0, 0.2]])
    assert experiment.alone(found).tolist() == [1, -1, -1, 2]
    told = experiment.classed(np.array([3, 3, 3, 7]), np.array([1, 1, 2, 9]), np.array([3, 7, 5, -1]))
    assert told.tolist() == [1, 9, -1, -1]


def test_real_digits_keep_their_mean():
    images = np.random.default_rng(0).random((3, 28, 28))
    small = experiment.retinas(images)
    assert small.shape == (3, 16, 16)
    np.testing.assert_allclose(4 * small.sum((1, 2)), images.sum((1, 2)))
    assert not small[:, [0, -1]].any()


def made_up(shares, own=5.0, kept=100.0, better=10.0):
    """Results with known shares of networks at one and two pixels, and of places and digits."""
    rng = np.random.default_rng(0)
    whole = np.stack([np.tile(np.array(shares)[:, None], 5), np.zeros((2, 5))]) + rng.normal(0, 1, (2, 2, 5))
    names = {"count": [5, 10], "radius": [1, 2], "draw": range(5)}
    axes, free = ("count", "radius", "draw"), (2, 2, 5)
    found = xr.Dataset(
        {
            "whole": (axes, whole),
            "own": (axes, np.full(free, own)),
            "maps": ((*axes, "pattern", "row", "column"), np.full((*free, 10, 2, 2), kept)),
            "kept": ((*axes, "kind"), np.full((*free, 5), kept)),
        },
        names | {"kind": list(experiment.KINDS)},
    )
    still = found.isel(radius=0, draw=0, drop=True)
    right = 50 + better + rng.normal(0, 1, (2, 5))
    real = xr.Dataset(
        {"right": (("count", "draw"), right), "k-means": (("count", "draw"), np.full((2, 5), 50.0))},
        {"count": [5, 10], "draw": range(5)},
    )
    return still, found, real


@pytest.mark.parametrize(
    ("given", "verdicts"),
    [
        ({"shares": (90, 70)}, "HHHHHHHH"),
        ({"shares": (90, 30)}, "HFHHHHHH"),
        ({"shares": (70, 90), "kept": 95.0}, "HHFFFFHH"),
        ({"shares": (90, 70), "own": 4.0, "better": -10.0}, "FHHHHHHF"),
    ],
)
def test_verdicts(given, verdicts):
    found = experiment.claims(TINY, *made_up(**given), 0.2)
    names = {Verdict.HOLDS: "H", Verdict.FAILS: "F"}
    assert "".join(names.get(one.verdict, "?") for one in found) == verdicts


@pytest.mark.beyond
def test_a_small_run():
    lab = Lab()
    claims = experiment.run(TINY, lab)
    assert len(claims) == 8
    assert all(one.verdict != Verdict.UNTESTED for one in claims)


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match="choices holds 'other': take of as here, flatter c"):
        experiment.run(experiment.Config(choices=("other",)), Lab())
