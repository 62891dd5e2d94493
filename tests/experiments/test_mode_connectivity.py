"""The pieces of the experiment on paths between networks against closed forms, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.data.mnist import Digits
from jaxtheory.experiments.landscape import mode_connectivity as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    widths=(4,), pairs=2, digits=200, steps=20, curve_steps=20, batch=50, positions=5, grid=5
)


def along(rng, heights=(2.0, 0.1, 0.8), excess=0.5):
    """Losses that rise to given heights in the middle of paths, and errors of the curve that do, too."""
    t = np.linspace(0, 1, 5)
    hill = 4 * t * (1 - t)
    ends = 0.01 + 0.02 * t
    losses = np.stack([height * (1 + 0.01 * rng.random((4, 1))) * hill + ends for height in heights], axis=1)
    errors = 5 + np.stack([0 * rng.random((4, 1)) * hill + t] * 3, axis=1)
    errors[:, 1, 2] = 6 + excess + 0.1 * rng.random(4)
    dims = ("width", "pair", "path", "position")
    return xr.Dataset(
        {
            "train_loss": (dims, losses[None]),
            "train_error": (dims, errors[None]),
            "test_loss": (dims, losses[None]),
            "test_error": (dims, errors[None]),
        },
        {"width": [32], "pair": range(4), "path": list(experiment.PATHS), "position": t},
    )


def digits(train, test):
    images, labels = np.zeros((1, 28, 28), np.float32), np.zeros(1, np.int32)
    return Digits(
        np.broadcast_to(images, (train, 28, 28)),
        np.broadcast_to(labels, train),
        np.broadcast_to(images, (test, 28, 28)),
        np.broadcast_to(labels, test),
        "digits",
        "digest",
    )


def test_barriers_are_measured_above_the_chord(rng):
    found = experiment.barriers(along(rng))
    assert found.dims == ("width", "pair", "path")
    assert found.sel(path="straight line").mean() == pytest.approx(2.01, abs=0.02)
    assert found.sel(path="Bézier curve").mean() == pytest.approx(0.1, abs=0.002)


def test_claims_follow_from_barriers_and_errors(rng):
    config, lab = experiment.Config(widths=(32,), pairs=4), Lab()
    claims = experiment.claims(config, along(rng), digits(4000, 1000), lab)
    told = [claim.verdict for claim in claims]
    assert told == [Verdict.HOLDS] * 4 + [Verdict.UNTESTED]
    assert claims[2].measurements[0].value == pytest.approx(-0.2, abs=0.02)
    assert claims[3].measurements[0].value == pytest.approx(0.55, abs=0.06)
    assert lab.notes[0].startswith("Width 32: the ends have a training loss of 0.0200")
    bad = along(rng, (0.05, 0.04, 0.04), 1.0)
    claims = experiment.claims(config, bad, digits(60_000, 10_000), Lab())
    told = [claim.verdict for claim in claims]
    assert told == [Verdict.FAILS] * 3 + [Verdict.UNTESTED, Verdict.FAILS]
    part = experiment.Config(widths=(32,), pairs=4, digits=1000)
    claims = experiment.claims(part, bad, digits(60_000, 10_000), Lab())
    assert [claim.verdict for claim in claims[3:]] == [Verdict.UNTESTED] * 2


@pytest.mark.beyond
def test_the_curve_has_the_ends_and_lies_in_the_plane(rng):
    import jax
    import jax.numpy as jnp

    train = experiment.flat(rng.random((100, 28, 28)).astype(np.float32), rng.integers(0, 10, 100))
    key = jax.random.key(0)
    ends, curve = experiment.pair(TINY, train, 4, key)
    jax.tree.map(np.testing.assert_array_equal, curve.ends, ends)
    assert float(jnp.abs(ends["layers"]["0"]["kernel"][0] - ends["layers"]["0"]["kernel"][1]).max()) > 0.01
    shown = experiment.plane(TINY, train, 4, key)
    np.testing.assert_allclose(shown["curve"][[0, -1]], shown["corners"][:2], atol=1e-5)
    middle = shown["corners"][:2].sum(0) / 4 + shown["corners"][2] / 2
    np.testing.assert_allclose(shown["curve"][30], middle, rtol=1e-5)
    found = experiment.connected(TINY, train, train, 4, key)
    assert found["train_loss"].shape == (3, 5)
    # All paths begin at the first network; the aligned one is the second network in another order.
    np.testing.assert_allclose(found["train_loss"][:, 0], found["train_loss"][0, 0], rtol=1e-5)
    np.testing.assert_allclose(found["train_loss"][:, -1], found["train_loss"][0, -1], rtol=1e-4)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1] * 5
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[4].verdict == Verdict.UNTESTED
    assert {figure["name"] for figure in lab.figures} == {"losses", "test_errors", "plane"}
