"""The pieces of the experiment on inversion against closed forms, and a run in miniature."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.puzzles import inversion as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(draws=2, training=100, steps=4, images=2, descent=2, scattered=2, J=2, L=2)


def test_what_is_lost_is_told_in_parts(rng):
    x, average = rng.random((3, 8, 8, 3)), np.full((8, 8, 3), 0.5)
    kept = experiment.lost(x + 0.0, x, average - 1e-9)
    assert kept["error"] == 0
    assert kept["phase"] == pytest.approx(0, abs=1e-12)
    nothing = experiment.lost(np.broadcast_to(average, x.shape), x, average)
    assert [nothing[name] for name in ("error", "gray", "color")] == pytest.approx([1, 1, 1])
    assert nothing["phase"] == pytest.approx(1)


def test_a_shift_is_mended_by_a_shift(rng):
    x, average = rng.random((2, 8, 8, 3)), np.full((8, 8, 3), 0.5)
    found = experiment.lost(np.roll(x, (1, -2), axis=(1, 2)), x, average)
    assert found["error"] > 1
    assert found["shift"] == pytest.approx(1)
    assert 0.5 < found["phase"] < 1.5


def test_gray_and_color_are_told_apart(rng):
    x, average = rng.random((2, 8, 8, 3)), np.full((8, 8, 3), 0.5)
    gray = np.broadcast_to(x.mean(-1, keepdims=True), x.shape)
    found = experiment.lost(gray, x, average)
    assert found["gray"] == pytest.approx(0, abs=1e-12)
    assert found["color"] == pytest.approx(1)
    # The phases of noise that is independent are random.
    far = experiment.lost(rng.random((40, 8, 8, 3)), rng.random((40, 8, 8, 3)), average)
    assert far["phase"] == pytest.approx(1, abs=0.1)


def test_ink_has_a_hue_and_paper_none(rng):
    digits = np.float32(rng.random((50, 4, 4)))
    digits[:, 0, 0], digits[:, 1, 1] = 0, 1
    found = experiment.digits_in_color(digits, rng)
    np.testing.assert_allclose(found[:, 0, 0], 1)
    np.testing.assert_allclose(found[:, 1, 1].mean(-1), 0.5, atol=1e-6)
    assert found.min() >= 0
    assert found[:, 1, 1].std(axis=0).min() > 0.2


def test_pieces_for_tests_are_of_another_part(rng):
    left, right = experiment.parts("china")
    assert left.shape[0] == right.shape[0] == 427 // 3
    assert left.shape[1] + right.shape[1] == 640 // 3
    found, labels = experiment.pieces(20, rng, tested=True)
    assert found.shape == (20, 28, 28, 3)
    windows = np.lib.stride_tricks.sliding_window_view(right, (28, 28), axis=(0, 1))
    first = found[list(labels).index(0)].transpose(2, 0, 1)
    assert (windows == first).all((-3, -2, -1)).any()


def measured(rng, sign=1.0):
    """Draws in which errors grow with depth, colors behave as claimed and order 2 is better."""
    shape = (2, 5, len(experiment.STAGES))
    depth = np.arange(shape[-1]) / 10
    noise = 0.001 * rng.random((6, *shape))
    color = 0.5 + depth + 0.2 * np.array([1, -1])[:, None, None]
    moved = 0.3 - 0.1 * np.array([0, 1, 0, 1, 0, 0])
    values = {
        "error": depth,
        "shift": 0 * depth,
        "phase": depth,
        "gray": 0.5 + depth,
        "color": color,
        "moved": moved,
    }
    dims = ("source", "draw", "stage")
    found = xr.Dataset(
        {
            **{name: (dims, sign * one + extra) for (name, one), extra in zip(values.items(), noise)},
            "wrong": (dims[:2], np.full(shape[:2], 20.0)),
        },
        {"source": list(experiment.SOURCES), "stage": list(experiment.STAGES)},
    )
    errors = 0.4 - sign * 0.1 * np.arange(2) + 0.001 * rng.random((2, 5, 2))
    scattered = xr.Dataset({"error": (("source", "draw", "order"), errors)}, {"order": [1, 2]})
    return found, scattered.assign_coords(source=list(experiment.SOURCES))


def test_claims_follow_from_the_measures(rng):
    lab = Lab()
    claims = experiment.claims(*measured(rng), lab)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 6
    assert [len(claim.measurements) for claim in claims] == [6, 2, 4, 1, 1, 2]
    assert claims[3].measurements[0].value == pytest.approx(0.2, abs=0.01)
    assert claims[5].measurements[0].value == pytest.approx(-25, abs=1)
    assert lab.notes[0].startswith("Of digits, on which the networks err in 20.0 %")
    claims = experiment.claims(*measured(rng, -1.0), Lab())
    assert [claim.verdict for claim in claims] == [Verdict.FAILS] * 6


@pytest.mark.beyond
def test_a_code_is_that_of_one_stage(rng):
    params = experiment.network().init(jax.random.key(0))[0]
    x = np.float32(rng.random((2, 28, 28, 3)))
    found = jax.jit(experiment.code)((params, np.eye(6, dtype=np.float32)[5]), x[0])
    np.testing.assert_allclose(found["class"], experiment.network().apply(params, {}, x[0])[0], rtol=1e-4)
    assert all(float(np.abs(found[name]).max()) == 0 for name in experiment.STAGES[:5])
    changes = np.asarray(experiment.moved(params, x))
    assert (changes > 0).all()
    np.testing.assert_allclose(experiment.moved(params, np.ones_like(x))[1:], 0, atol=0.5)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [6, 2, 4, 1, 1, 2]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert len(lab.figures) == 8
    assert len(lab.notes) == 2
