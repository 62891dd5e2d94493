"""The pieces of the experiment on layers that transfer, verdicts of made-up errors, and a small run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.experiments.puzzles import transferable_layers as experiment
from jaxtheory.lab import Lab, Verdict

PAIRS = (experiment.HALVES, experiment.DEVICES)
TINY = experiment.Config(
    pairs=PAIRS[:1], examples=(2, 4), source=400, draws=2, repeats=2, source_steps=20, steps=10, batch=10
)


def test_digits_of_both_devices_lie_in_one_box():
    images, labels = experiment.enlarged()
    assert images.shape == (1797, 14, 14)
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.all(images[:, :2] == 0)
    assert np.bincount(labels).min() > 170
    # Means over squares keep the ink, and MNIST's box.
    digits = mnist.load().train_images[:50]
    small = experiment.halved(digits)
    np.testing.assert_allclose(small.mean((1, 2)), digits.mean((1, 2)), rtol=1e-5)
    ink = experiment.halved(mnist.load().train_images).mean(0)
    assert ink[2:-2, 2:-2].sum() / ink.sum() > 0.95


def test_sets_have_their_classes_and_disjoint_tests():
    digits = mnist.load()
    rng = np.random.default_rng(0)
    (first, first_test), (second, second_test) = experiment.sets(TINY, digits, experiment.HALVES, rng, 7)
    for one, other, total in ((first, second, 400), (first_test, second_test, 1000)):
        assert one[0].shape == (total, 14, 14)
        # Each digit has its class in one of the two.
        assert np.all((one[1] >= 0) != (other[1] >= 0))
        assert set(one[1]) == set(other[1]) == set(range(-1, 5))
    (whole, _), (other, other_test) = experiment.sets(TINY, digits, experiment.DEVICES, rng, 1)
    assert len(whole[1]) == 400
    assert len(other[1]) + len(other_test[1]) == 1797
    folds = [experiment.fold_of(np.arange(20)[:, None], np.arange(20), fold)[1][1] for fold in range(5)]
    assert sorted(np.concatenate(folds)) == list(range(20))


def test_examples_are_as_many_of_each_class(rng):
    x, y = np.arange(60)[:, None], rng.integers(0, 3, 60)
    images, labels = experiment.balanced((x, y), 7, 3, rng)
    assert np.bincount(labels).tolist() == [7, 7, 7]
    assert len(set(np.asarray(images[:, 0]))) == 21
    np.testing.assert_array_equal(y[images[:, 0]], labels)
    with pytest.raises(
        ValueError, match=r"^examples holds 50, but a class has \d+: take fewer, or a larger sou"
    ):
        experiment.balanced((x, y), 50, 3, rng)


def measured(rng, tuned=2.0, frozen=3.0, first=0.0, last=6.0):
    """Errors of both pairs, where each protocol has a known difference."""
    shape = (2, 8, 3)
    scratch = 20 + rng.normal(0, 0.5, shape)
    noise = rng.normal(0, 0.05, (*shape, 4, 3))
    own = scratch[..., None] + np.array([0.0, 0.5, 1.0])
    copied = own + np.array([first, 0.0, last])
    kinds = np.stack([copied, scratch[..., None] - tuned + 0 * own, copied + frozen, own], -2)
    return xr.Dataset(
        {
            "scratch": (("pair", "draw", "examples"), scratch),
            "error": (("pair", "draw", "examples", "protocol", "layers"), kinds + noise),
            "source": (("pair", "draw"), 3 + np.zeros((2, 8))),
        },
        {
            "pair": list(PAIRS), "draw": range(8), "examples": [5, 20, 100],
            "protocol": list(experiment.KINDS), "layers": [1, 2, 3],
        },
    )  # fmt: skip


def test_claims_follow_from_errors(rng):
    config = experiment.Config()
    claims = experiment.claims(config, measured(rng), 0.2)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 5
    assert [len(claim.measurements) for claim in claims] == [2, 2, 12, 2, 2]
    assert claims[0].measurements[0].value == pytest.approx(2, abs=0.2)
    assert claims[4].measurements[1].value == pytest.approx(6, abs=0.2)
    bad = experiment.claims(config, measured(rng, tuned=-2, frozen=-3, first=3, last=-3), 0.2)
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 5


def test_one_number_of_examples_leaves_many_untested(rng):
    found = measured(rng).sel(examples=[5])
    claims = experiment.claims(experiment.Config(examples=(5,)), found, 0.2)
    told = [claim.verdict == Verdict.UNTESTED for claim in claims]
    assert told == [False, True, False, True, True]


def test_digits_without_a_class_do_not_count():
    params = experiment.network(5)[0](jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (6, 14, 14))
    predicted = np.asarray(experiment.network(5)[1](params, x).argmax(-1))
    labels = np.array([*predicted[:3], (predicted[3] + 1) % 5, -1, -1])
    assert float(experiment.error(params, (x, labels), classes=5)) == pytest.approx(25)


@pytest.mark.beyond
def test_frozen_layers_stay_as_they_were():
    init, _ = experiment.network(5)
    source, target = (init(jax.random.key(seed)) for seed in (0, 1))
    data = (jnp.ones((10, 14, 14)), jnp.arange(10) % 5)
    params, frozen = experiment.begun(experiment.FROZEN, source, target)[1]
    options = {"classes": 5, "steps": 3, "batch": 10}
    end = experiment.trained(data, params, frozen, jax.random.key(2), **options)
    for layer in ("0", "1"):
        np.testing.assert_array_equal(
            end["convolutions"][layer]["kernel"], source["convolutions"][layer]["kernel"]
        )
    moved = end["head"]["layers"]["0"]["kernel"] - target["head"]["layers"]["0"]["kernel"]
    assert float(jnp.abs(moved).max()) > 1e-3


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1, 4, 1, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {"errors"}
    assert len(lab.notes) == 1
