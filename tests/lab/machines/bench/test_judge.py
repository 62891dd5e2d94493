"""Figures compared, and bars judged, on times that are given."""

import math
from pathlib import Path

import numpy as np
import pytest

from jaxtheory.lab.errors import Failure
from jaxtheory.lab.machines.bench import judge, spec, table
from jaxtheory.lab.machines.bench.process import Lane
from jaxtheory.lab.machines.bench.spec import PEERS, Case, faster, within
from tests.lab.machines.bench.sorting import SORTING

SECONDS = {"jaxtheory": 2.0, "fast": 3.0, "slow": 8.0, "bare FFTs": 1.0, "another of ours": 4.0}
ROLES = {"jaxtheory": "ours", "fast": "peer", "slow": "peer", "bare FFTs": "limit", "another of ours": "ours"}


def lane(name, result=(1.0, -2.0)):
    """A contestant whose turns took as given, and its first call ten times as long."""
    one = Lane(Path("bench.py"), "one", name, None, Path())
    one.setups, one.calls, one.memory = [0.5], 1, {"peak": 10.0, "before": 8.0, "accelerator": None}
    one.turns = [SECONDS[name], SECONDS[name], 1.5 * SECONDS[name]]
    one.starts = [10 * SECONDS[name]]
    one.result = np.array(result)
    return one


def rows(*names, results=None, tolerance=None):
    lanes = {name: lane(name, *(results or {}).get(name, ())) for name in names}
    ours, limit = lanes.get("jaxtheory"), lanes.get("bare FFTs")
    return [
        judge.row(lanes[name], ROLES[name], [], ours=ours, limit=limit, case=Case("one", tolerance=tolerance))
        for name in names
    ]


@pytest.mark.parametrize(
    ("bar", "measured", "against", "reached"),
    [
        (faster(1.5), 1.5, "fast", True),
        (faster(1.6), 1.5, "fast", False),
        (faster(4.0, than="slow"), 4.0, "slow", True),
        # A limit is no peer, and may be a bar all the same; so may another form of ours.
        (faster(0.5, than="bare FFTs"), 0.5, "bare FFTs", True),
        (faster(0.6, than="bare FFTs"), 0.5, "bare FFTs", False),
        (faster(2.0, than="another of ours"), 2.0, "another of ours", True),
        (faster(0.5, than="bare FFTs", quantity="first call"), 0.5, "bare FFTs", True),
        (within(20.0), 20.0, "", True),
        (within(1.9, "steady"), 2.0, "", False),
    ],
)
def test_a_bar_against_any_contestant_is_judged(bar, measured, against, reached):
    found = judge.judged(bar, rows(*SECONDS))
    assert (found["measured"], found["against"], found["reached"]) == (measured, against, reached)


@pytest.mark.parametrize(
    ("bar", "names"),
    [
        (faster(1.0), ["jaxtheory", "bare FFTs"]),
        (faster(1.0, than="slow"), ["jaxtheory", "fast"]),
        (faster(1.0), ["fast", "slow"]),
        (within(1.0), ["fast", "slow"]),
    ],
)
def test_a_bar_without_its_contestants_is_not_measured(bar, names):
    found = judge.judged(bar, rows(*names))
    assert (found["measured"], found["reached"]) == (None, None)
    assert table.bar_line(found) == f"{bar.text}: not measured"


def test_bars_in_words():
    found = rows(*SECONDS)
    lines = [table.bar_line(judge.judged(bar, found)) for bar in (faster(1.5, aim=3), within(30.0))]
    assert lines == [
        f"steady at least 1.5x as fast as {PEERS} (aim 3x): reached, 1.50x (fast)",
        "first call within 30 s: reached, 20 s",
    ]


def test_a_bar_against_ours_itself_is_refused(write_bench, own_errors):
    with pytest.raises(Failure, match="has a bar against 'jaxtheory', which is ours itself: name another"):
        spec.load(write_bench(SORTING, change=('than="slow"', 'than="jaxtheory"')))


def test_turns_are_compared_one_by_one():
    ours, fast, _, limit, _ = rows(*SECONDS)
    assert (ours.ours_is_faster, limit.times_the_limit) == (None, None)
    assert fast.ours_is_faster["values"] == [1.5] * 3
    assert fast.times_the_limit["median"] == 3.0
    assert limit.ours_is_faster["median"] == 0.5
    assert (fast.steady["low"], fast.steady["median"], fast.steady["high"]) == (3.0, 3.0, 3.75)


@pytest.mark.parametrize(
    ("result", "difference", "differs"),
    [
        ((1.0, -2.0), 0.0, False),
        ((1.0, -2.0 + 2e-7), 1e-7, False),
        ((1.0, -2.2), 0.1, True),
        ((1.0,), None, True),  # of another shape
        ((1.0, math.nan), None, True),
    ],
)
def test_results_that_differ_do_not_compare(result, difference, differs):
    _, fast, limit = rows("jaxtheory", "fast", "bare FFTs", results={"fast": (result,)}, tolerance=1e-6)
    assert fast.difference == (None if difference is None else pytest.approx(difference))
    assert fast.differs == differs
    assert ("differs" in fast.as_json()) == differs
    assert limit.difference is None  # which computes something else


def test_distances():
    assert judge.distance(np.array([1.0, 5.0]), np.array([1.0, -10.0])) == 1.5
    assert math.isinf(judge.distance(np.zeros(3), np.zeros(4)))
    assert math.isnan(judge.distance(np.array([math.nan]), np.zeros(1)))
