"""The pieces of the experiment on orders of predicates, verdicts, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.history import order_of_predicates as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(parity=(2, 3), boxes=(1, 2), side=2, points=6, large=False)


def test_retinas_are_read_from_words():
    assert experiment.shape_of(experiment.name_of((3, 12))) == (3, 12)


def test_a_bound_is_what_its_certificate_proves():
    # On 3 x 3 points there is a form of order 3, and so no bound of 4.
    found = experiment.bounded((3, 3))
    assert (found["bound"], found["imbalance"], len(found["weights"])) == (0, 1.0, 0)


def measured(**others):
    """Orders as they should be, but for what is told otherwise."""
    values = {
        "parity": ("size", [2, 3], [2, 3]),
        "boxes": ("boxes", [1, 2], [1, 2]),
        "euler": ("least", [0, 1], [0, 3]),
        "connected": ("retina", ["2 × 2", "3 × 3"], [2, 3]),
    }
    values |= {name: value for name, value in others.items() if name in values}
    found = {
        name: xr.Dataset({"order": (axis, orders), "imbalance": (axis, [0.0, 0.0])}, {axis: places})
        for name, (axis, places, orders) in values.items()
    }
    found["parity"]["largest"] = ("size", others.get("largest", [4.0, 8.0]))
    axes = {"kind": ["at least", "exactly"], "number": [1, 2]}
    orders = others.get("count", [[1, 1], [2, 2]])
    found["count"] = xr.Dataset(
        {"order": (tuple(axes), orders), "imbalance": (tuple(axes), np.zeros((2, 2)))}, axes
    )
    return found


LARGE = {"bound": 4, "imbalance": 0.0}


@pytest.mark.parametrize(
    ("others", "large", "places"),
    [
        ({}, LARGE, []),
        ({"parity": ("size", [2, 3], [2, 2])}, LARGE, [0]),
        ({"largest": [4.0, 8.1]}, LARGE, [1]),
        ({"boxes": ("boxes", [1, 2], [1, 3])}, LARGE, [2]),
        ({"count": [[1, 2], [2, 2]]}, LARGE, [3]),
        ({"count": [[1, 1], [2, 1]]}, LARGE, [4]),
        ({"euler": ("least", [0, 1], [0, 5])}, LARGE, [5]),
        ({"connected": ("retina", ["2 × 2", "3 × 3"], [2, 2])}, LARGE, [6]),
        ({}, {"bound": 0, "imbalance": 0.1}, [7, 8]),
    ],
)
def test_verdicts(others, large, places):
    verdicts = [claim.verdict for claim in experiment.claims(measured(**others), large)]
    assert verdicts == [Verdict.FAILS if k in places else Verdict.HOLDS for k in range(9)]


def test_without_the_large_retina_its_bound_is_not_tested():
    claims = experiment.claims(measured(), None)
    assert claims[7].verdict == Verdict.UNTESTED
    assert claims[7].reason == "needs the retina of 5 × 5 points: run the full form"
    assert claims[8].verdict == Verdict.HOLDS


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [claim.verdict for claim in claims].count(Verdict.HOLDS) == 8
    assert [figure["name"] for figure in lab.figures] == ["orders", "certificate"]
