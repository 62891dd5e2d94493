"""The pieces of the experiment on sharp and flat minima against dense Hessians and NumPy, and a small run."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.landscape import sharp_and_flat as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(width=4, digits=200, small=20, target=1.5, draws=2, rescaled=2, points=5)


def layers(rng, *widths):
    kernels = [rng.standard_normal(shape) / 4 for shape in itertools.pairwise(widths)]
    biases = [rng.standard_normal(width) for width in widths[1:]]
    return {
        "layers": {
            str(k): {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.asarray(bias, jnp.float32)}
            for k, (kernel, bias) in enumerate(zip(kernels, biases))
        }
    }


def logits(params, x):
    for place, layer in params["layers"].items():
        x = np.maximum(x, 0) if place != "0" else x
        x = x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
    return x


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 2), (0, 2)])
def test_rescaling_changes_no_bit_of_the_logits(rng, first, second):
    params = layers(rng, 6, 8, 7, 3)
    x = rng.standard_normal((5, 6)).astype(np.float32)
    same = experiment.rescale(params, 9, first=first, second=second)
    np.testing.assert_array_equal(logits(same, x), logits(params, x))
    for place in range(3):
        changed = np.asarray(same["layers"][str(place)]["bias"] != params["layers"][str(place)]["bias"]).all()
        assert changed == (first <= place < second)
    assert (
        float(same["layers"][str(first)]["kernel"][0, 0])
        == float(params["layers"][str(first)]["kernel"][0, 0]) / 2**9
    )


@pytest.mark.beyond
def test_the_sharpness_is_the_dense_hessians_largest_eigenvalue(rng, monkeypatch):
    def loss(params, batch):
        x, y = batch
        hidden = jax.nn.relu(x @ params["layers"]["0"]["kernel"] + params["layers"]["0"]["bias"])
        return jnp.mean((hidden @ params["layers"]["1"]["kernel"] - y[:, None]) ** 2)

    monkeypatch.setattr(experiment, "loss_of", {TINY.width: loss}.get)
    monkeypatch.setattr(experiment, "CHUNK", 7)
    params = layers(rng, 5, 6, 3)
    data = jnp.asarray(rng.standard_normal((20, 5)), jnp.float32), jnp.asarray(rng.standard_normal(20))
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    dense = np.linalg.eigvalsh(jax.hessian(lambda w: loss(unravel(w), data))(flat))[-1]
    assert experiment.sharpness(TINY, params, data) == pytest.approx(dense, rel=1e-3)


def test_claims_follow_from_the_differences(rng):
    draws = np.arange(4)
    at = {"batch": ["small", "large"], "draw": draws}
    dims = tuple(at)
    minima = xr.Dataset(
        {
            "loss": (dims, np.full((2, 4), 0.01)),
            "steps": (dims, np.full((2, 4), 100)),
            "sharpness": (dims, np.stack([10 + draws, 15 + 1.1 * draws])),
            "test error": (dims, np.stack([5 + draws % 2, 5 + draws % 2 * 0.5])),
        },
        at,
    )
    exponents = np.arange(experiment.LAST + 1)
    values = (0.5 + rng.random((3, 1))) * 4.0**exponents * (1 + 0.1 * (exponents < 8))
    different = np.zeros((3, len(exponents)), int)
    rescaled = xr.Dataset(
        {
            "largest eigenvalue": (("draw", "exponent"), values),
            "different": (("draw", "exponent"), different),
        },
        {"draw": range(3), "exponent": exponents},
    )
    config = experiment.Config(draws=4, target=0.02)
    lab = Lab()
    claims = experiment.claims(config, minima, rescaled, lab)
    told = [claim.verdict for claim in claims]
    assert told == [Verdict.HOLDS, Verdict.TIE, Verdict.HOLDS, Verdict.HOLDS, Verdict.HOLDS]
    assert claims[0].measurements[0].value == pytest.approx(5.15)
    assert claims[4].measurements[0].value == pytest.approx(4.0**11 / 1.1)
    assert "sharper in 4 and err more in 0 of 4 pairs" in lab.notes[0]
    different[1, 3], values[0, 9] = 1, 1.1 * values[0, 9]
    claims = experiment.claims(config, minima.assign(loss=minima.loss + 1), rescaled, Lab())
    told = [claim.verdict for claim in claims]
    assert told == [Verdict.UNTESTED, Verdict.UNTESTED, Verdict.FAILS, Verdict.FAILS, Verdict.HOLDS]


@pytest.mark.beyond
def test_a_training_ends_at_the_first_loss_below_the_target(rng):
    data = jnp.asarray(rng.random((50, 784)), jnp.float32), jnp.asarray(rng.integers(0, 3, 50))
    train = partial(experiment.trained, data, jax.random.key(0), width=8, batch=10, every=2)
    _, reached, steps = train(0.9, most=200)
    _, before, _ = train(0.0, most=int(steps) // 2 - 1)
    assert float(reached) <= 0.9 < float(before)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert len(claims) == 5
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[2].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"batches", "rescaled", "slices"}
