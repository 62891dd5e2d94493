"""The pieces of the experiment on deep linear networks, and a run in miniature."""

from dataclasses import replace

import numpy as np
import pytest

from jaxtheory.experiments.landscape import linear_networks as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    shapes=("3-2-2", "3-2-2-2"), groups=1, starts=12, max_steps=200, descents=2, descent_steps=3000
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run in miniature: its lab and its claims."""
    lab = Lab(tmp_path_factory.mktemp("run"))
    return lab, experiment.run(TINY, lab)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(finished):
    lab, claims = finished
    assert [str(claim.verdict) for claim in claims] == [
        "holds",
        "not tested",
        "holds",
        "holds",
        "holds",
        "does not hold",
    ]
    assert "1,000 searches" in claims[1].reason
    # Both kinds of points of both networks; one network has middle matrices.
    assert [len(claim.measurements) for claim in claims] == [4, 2, 4, 4, 1, 2]
    # None of 24 runs bounds the share by 1 - 0.05^(1/24).
    for row in claims[5].measurements:
        assert row.value == pytest.approx(100 * (1 - 0.05 ** (1 / 24)))
        assert row.at["stuck"] == 0
    assert [figure["name"] for figure in lab.figures] == ["critical_points"]
    assert len(lab.notes) == 2
    assert "0 of 24 descents were still on their way" in lab.notes[0]


@pytest.mark.beyond
def test_a_stopped_run_is_finished_by_another(finished):
    lab, claims = finished
    again = experiment.run(TINY, Lab(lab.directory))
    assert [claim.as_json() for claim in again] == [claim.as_json() for claim in claims]


def test_data_meet_the_hypotheses_and_keep_their_moments():
    lab = Lab()
    network = experiment.problem("4-3-2", TINY, lab)
    assert network.widths == (4, 3, 2)
    assert network.moments.values.dtype == np.float64
    assert network.losses.argmin() == 3
    assert network.losses[0] == pytest.approx(network.losses[3] + network.moments.values.sum() / 2)
    other = experiment.problem("4-3-2", replace(TINY, noise=0.0), lab)
    assert other.losses[3] == pytest.approx(0, abs=1e-25)


def test_points_are_sorted_by_what_they_are():
    network = experiment.problem("3-2-2-2", TINY, Lab())
    best = network.losses.argmin()
    #                    minimum  strict  idle   none   off    far
    points = {
        "residual": np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1e-3]),
        "position": np.array([best, 0, 0, 0, best, best]),
        "distance": np.array([0.0, 0.0, 0.0, 0.0, 1e-3, 0.0]),
        "difference": np.zeros(6),
        "curvature": np.array([0.0, -0.1, 0.0, 0.0, 0.0, -0.5]),
        "full": np.array([True, True, False, True, False, True]),
        "descends": np.array([False, False, True, False, False, False]),
    }
    kinds = {name: np.flatnonzero(of).tolist() for name, of in experiment.sort_out(points, network).items()}
    assert kinds == {
        "critical": [0, 1, 2, 3, 4],
        experiment.GLOBAL: [0],
        experiment.FULL: [1, 3],
        experiment.LOWER: [2, 4],
        "elsewhere": [4],
        "neither": [3, 4],
        "not strict": [3],
        "flat": [2],
    }


def test_claims_fail_where_points_contradict_the_theorem():
    networks = {shape: experiment.problem(shape, TINY, Lab()) for shape in TINY.shapes}
    zeros, ones = np.zeros(4), np.ones(4, bool)
    as_it_should_be = {
        "residual": zeros, "position": np.arange(4), "distance": zeros, "difference": zeros,
        "curvature": np.full(4, -0.1), "full": ones, "descends": ~ones,
    }  # fmt: skip
    flat = {"full": ~ones, "curvature": zeros, "descends": ones}
    wrong = {"curvature": zeros, "distance": np.array([0, 0, 0, 1.0]), "position": np.zeros(4, int)}
    runs = {shape: {"arrived": ~ones, "stuck": np.arange(300) < 2} for shape in networks}
    many, fails, holds = replace(TINY, groups=100), Verdict.FAILS, Verdict.HOLDS

    def verdicts(found, constructed, runs):
        found, constructed = (dict.fromkeys(networks, as_it_should_be | one) for one in (found, constructed))
        points = {"found": found, "constructed": constructed, "runs": runs}
        return experiment.claims(many, networks, points)

    claims = verdicts(wrong, {}, runs)
    assert [claim.verdict for claim in claims] == [fails] * 6
    assert claims[1].measurements[0].value == 3
    # Two of 300: the upper end of Clopper and Pearson's interval, as printed in tables.
    assert claims[5].measurements[0].value == pytest.approx(2.08, abs=0.01)
    uncritical = verdicts({}, {"residual": np.ones(4)}, runs)
    assert [claim.verdict for claim in uncritical][:4] == [fails, holds, holds, holds]
    none = {shape: {"arrived": ones, "stuck": np.zeros(300, bool)} for shape in networks}
    assert [claim.verdict for claim in verdicts({}, flat, none)] == [holds] * 6


@pytest.mark.parametrize("shape", ["6-4", "6--3", "6-0-3", "wide"])
def test_a_shape_has_three_widths(shape):
    with pytest.raises(ValueError, match=f"--shapes holds '{shape}': take at least three widths, as 6-4-3"):
        experiment.problem(shape, TINY, Lab())
