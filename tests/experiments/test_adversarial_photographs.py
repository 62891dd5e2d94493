"""The pieces of the experiment on photographs, its claims on made-up figures, a run with a small model."""

import jax
import numpy as np
import pytest
import scipy.special
import xarray as xr

from jaxtheory.data import imagenet
from jaxtheory.experiments.puzzles import adversarial_photographs as experiment
from jaxtheory.inspection import adversarial
from jaxtheory.lab import Lab, Verdict

NAMES = ["chelsea", "coffee", "camera"]
CONFIG = experiment.Config(photographs=tuple(NAMES), shifts=(0, 1, 2, 3, 4))


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_first_place_that_leaves_a_set_is_found(width):
    for number in (1, 2, 7, 41):
        for first in range(number + 1):
            tried = []

            def leaves(places, first=first, tried=tried):
                assert len(places) == width
                tried.extend(places)
                return places >= first

            assert experiment.bisected(leaves, number, width) == first
            assert set(tried) <= set(range(number))
            assert len(tried) <= width * 7


@pytest.mark.beyond
def test_two_answers_are_climbed_as_a_label_and_a_target_are(monkeypatch, rng):
    def logits(weights, x):
        return x.reshape(len(x), -1) @ weights

    monkeypatch.setattr(experiment, "logits", logits)
    weights, x = np.float32(rng.standard_normal((12, 5))), np.float32(rng.random((2, 2, 3)))
    label = np.argmax(logits(weights, x[None]))
    target = (label + 1) % 5
    others = np.arange(5) != target
    members = np.stack([np.arange(5) == label, others])
    moved = experiment.projected(weights, x, members, np.float32([0.1, 0.1]), steps=5)
    options = {"epsilon": 0.1, "steps": 5, "restarts": 0}
    given = logits, weights, x[None], label[None], jax.random.key(0)
    free = adversarial.pgd(*given, **options)
    aimed = adversarial.pgd(*given, targets=target, **options)
    np.testing.assert_allclose(moved, np.concatenate([free.x, aimed.x]), atol=1e-6)
    assert np.abs(moved - x).max() == pytest.approx(0.1, rel=1e-5)


def test_moves_take_changes_and_photographs_alike(rng):
    frame = rng.random((256, 256, 3))
    x, changes = experiment.inside(frame), rng.random((1, 224, 224, 3))
    for down, right in ((0, 5), (16, 0), (3, 2)):
        window, moved = experiment.inside(frame, down, right), experiment.shifted(changes, down, right)[0]
        rows, columns = 224 - down, 224 - right
        assert window.shape == moved.shape == (224, 224, 3)
        np.testing.assert_array_equal(window[down:, right:], x[:rows, :columns])
        np.testing.assert_array_equal(moved[down:, right:], changes[0, :rows, :columns])
        assert moved[:down].sum() == moved[:, :right].sum() == 0


def measured(one=0.5, many=0.3, hit=True, alone=0.1, together=0.9):
    """Figures of three photographs: sizes, and what moves leave of a target."""
    spread = np.linspace(0.98, 1, 3)
    sizes = {
        "label": np.full(3, 282),
        "right": np.full(3, hit),
        "clean": 0.5 * spread,
        **{f"one step/{goal}": one * spread for goal in ("label", "sense")},
        **{f"projected steps/{goal}": many * spread for goal in ("label", "sense")},
    }
    sizes = xr.Dataset(
        {name: ("photograph", values) for name, values in sizes.items()}, {"photograph": NAMES}
    )
    left = {
        experiment.ALONE: [1.0, alone, alone, alone, alone],
        experiment.TOGETHER: [1.0, 0.3, 0.5, 0.3, together],
    }
    left = {
        name: (
            ("photograph", "shift", "target"),
            spread[:, None, None] * np.array(each)[:, None] * np.ones(2),
        )
        for name, each in left.items()
    }
    hits = {name: (("photograph", "target"), np.full((3, 2), hit)) for name in ("hit", "rounded")}
    return sizes, xr.Dataset({**left, **hits}, {"photograph": NAMES, "shift": list(CONFIG.shifts)})


def test_claims_follow_from_sizes_and_moves():
    claims = experiment.claims(CONFIG, *measured())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 8
    assert claims[3].measurements[0].value == pytest.approx(0.6)
    assert claims[6].measurements[0].value == pytest.approx(-0.9, abs=0.02)
    assert claims[7].measurements[0].value == pytest.approx(0.6, abs=0.02)
    bad = experiment.claims(CONFIG, *measured(2.0, np.inf, False, 1.1, 0.1))
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 8
    # Steps that leave where one step never does take the smaller change.
    never = experiment.claims(CONFIG, *measured(np.inf, 0.3))
    assert [never[k].verdict for k in (1, 2, 3)] == [Verdict.FAILS, Verdict.HOLDS, Verdict.HOLDS]


def test_what_is_not_there_is_not_tested():
    assert {claim.verdict for claim in experiment.claims(CONFIG, None, None)} == {Verdict.UNTESTED}
    few = experiment.Config(photographs=tuple(NAMES), goals=("label",), shifts=(0, 2))
    told = [claim.verdict for claim in experiment.claims(few, *measured())]
    assert [one == Verdict.UNTESTED for one in told] == [False, False, True, True, False, False, True, True]
    with pytest.raises(ValueError, match=r"^goals holds 'cat': take of label, sense$"):
        experiment.run(experiment.Config(goals=("cat",)), Lab())


def test_without_weights_nothing_is_tested_and_the_remedy_is_noted(monkeypatch):
    def missing(variant):
        raise FileNotFoundError("not installed: pip install 'jaxtheory[imagenet]'")

    monkeypatch.setattr(experiment, "pretrained", missing)
    lab = Lab()
    claims = experiment.run(experiment.QUICK, lab)
    assert {claim.verdict for claim in claims} == {Verdict.UNTESTED}
    assert lab.notes == ["not installed: pip install 'jaxtheory[imagenet]'."]


@pytest.mark.beyond
def test_a_run_with_a_linear_model_measures_every_claim(monkeypatch, rng, tmp_path):
    """A linear model on averages of 8 x 8 pixels: moves by less than a pixel of it change little."""

    def apply(params, state, x):
        pixels = x.reshape(-1, 28, 8, 28, 8, 3).mean((2, 4)) - 0.5
        return pixels.reshape(len(x), -1) @ params, state

    weights = np.float32(rng.standard_normal((28 * 28 * 3, 1000)) / 10)
    monkeypatch.setattr(experiment, "network", lambda: apply)
    monkeypatch.setattr(experiment, "pretrained", lambda _: (weights, {}))
    config = experiment.Config(
        photographs=("chelsea", "coffee"), per_octave=1, targets=1, steps=5, shifts=(0, 1, 2, 4)
    )
    lab = Lab(tmp_path)
    claims = experiment.run(config, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 2, 2, 2, 1, 1, 1, 1]
    assert claims[0].verdict == Verdict.FAILS
    for row in claims[1].measurements:
        x = imagenet.load(row.at["photograph"], size=256, padding=0).images[0, 16:-16, 16:-16]
        found, _ = apply(weights, {}, x[None])
        label = np.argmax(found)
        slope = weights @ (scipy.special.softmax(found[0]) - (np.arange(1000) == label))
        sign = np.sign(slope).reshape(28, 28, 3).repeat(8, axis=0).repeat(8, axis=1)
        left = [
            np.argmax(apply(weights, {}, np.clip(x + size / 255 * sign, 0, 1)[None])[0]) != label
            for size in experiment.grid(config)
        ]
        assert row.value == experiment.grid(config)[np.argmax(left)]
    assert {figure["name"] for figure in lab.figures} == {"photographs", "smallest", "moved"}
    assert len(lab.notes) == 5
