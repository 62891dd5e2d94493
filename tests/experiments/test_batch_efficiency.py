"""The pieces of the experiment on batch sizes against optax and closed forms, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

from jaxtheory.experiments.landscape import batch_efficiency as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(digits=100, width=8, target=1.5, batches=(4, 16, 32, 500), most_steps=400, draws=2)
KEY = jax.random.key(0)


def square(params, batch):
    """Half the mean squared distance of a number from the examples, and a constant."""
    x, _ = batch
    return jnp.mean((params - x) ** 2) / 2


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [("SGD", optax.sgd(0.1)), ("momentum", optax.sgd(0.1, momentum=0.9)), ("Adam", optax.adam(0.1))],
)
def test_methods_are_those_of_optax(method, optimizer, rng):
    params = jnp.asarray(rng.standard_normal(4), jnp.float32)
    other, state, memory = params, optimizer.init(params), (jnp.zeros(4), jnp.zeros(4))
    for t in range(5):
        gradient = jnp.asarray(rng.standard_normal(4), jnp.float32)
        number = experiment.METHODS.index(method)
        params, memory = experiment.moved(params, memory, gradient, t, 0.1, number)
        updates, state = optimizer.update(gradient, state, other)
        other = optax.apply_updates(other, updates)
        np.testing.assert_allclose(params, other, rtol=1e-5, atol=1e-6)


def test_the_knee_of_exact_steps_is_found():
    batches = np.array([4, 16, 64, 256])
    steps = 20 * (1 + 90 / batches)
    assert experiment.knee(batches, steps) == pytest.approx((90, 20), rel=1e-3)
    assert experiment.knee(batches, np.where(batches == 16, np.nan, steps)) == pytest.approx(
        (90, 20), rel=1e-3
    )
    assert np.isnan(experiment.knee(batches, np.where(batches < 64, np.nan, steps))).all()


def test_the_first_step_size_counts():
    """With full batches the distance of SGD falls by |1 - rate| a step: the rate 1 arrives at once."""
    data = jnp.full(8, 3.0), jnp.zeros(8)
    steps, best = experiment.race(square, jnp.zeros(()), data, KEY, 1e-3, 500, batch=8)
    rates = [2.0 ** list(experiment.STEP_SIZES[name])[k] for name, k in zip(experiment.METHODS, best)]
    assert (int(steps[0]), rates[0]) == (1, 1.0)
    assert (np.asarray(steps) > 0).all()
    late, _ = experiment.race(square, jnp.zeros(()), data, KEY, -1.0, 5, batch=8)
    assert late.tolist() == [-1, -1, -1]


def test_noise_along_a_run_is_that_of_the_population(rng):
    x = np.float32(rng.standard_normal(50) + 1)
    data = jnp.asarray(x), jnp.zeros(50)
    noise, signal = experiment.along(square, jnp.zeros(()), data, KEY, 0.1, 8, batch=50)
    np.testing.assert_allclose(noise, x.var(), rtol=1e-4)
    steps = np.arange(experiment.POINTS) * 8 // experiment.POINTS
    np.testing.assert_allclose(signal, (0.9**steps * x.mean()) ** 2, rtol=1e-4)


def test_minibatches_are_drawn_with_replacement():
    data = (jnp.arange(10),)
    drawn = np.array([experiment.chosen(data, 4, t, KEY)[0] for t in range(200)])
    assert drawn.shape == (200, 4)
    assert set(np.unique(drawn)) == set(range(10))
    assert any(len(set(row)) < 4 for row in drawn)
    assert experiment.chosen(data, 10, 0, KEY)[0].tolist() == list(range(10))


def measured(factor):
    """Steps, knees at a multiple of the noise scale, and that scale."""
    knees = factor * np.array([[60.0, 90, 300], [66, 85, 330], [70, 95, 310]])
    batch = np.array([4, 32, 256, 2000])
    steps = 20 * (1 + knees[None] / batch[:, None, None])
    names = {"optimizer": list(experiment.METHODS)}
    found = xr.Dataset({"steps": (("batch", "draw", "optimizer"), steps)}, {"batch": batch, **names})
    scale = xr.DataArray([50.0, 55, 60], dims="draw")
    return found, xr.DataArray(knees, names, ("draw", "optimizer")), scale


def test_verdicts():
    holds, fails = Verdict.HOLDS, Verdict.FAILS
    assert [claim.verdict for claim in experiment.claims(*measured(1.0))] == [holds, holds, holds]
    assert [claim.verdict for claim in experiment.claims(*measured(3.0))] == [fails, holds, holds]
    found, knees, scale = measured(1.0)
    found["steps"][0, 0, 0] = np.nan
    claims = experiment.claims(found, knees, scale)
    assert {claim.verdict for claim in claims} == {Verdict.UNTESTED}
    assert "runs that all reach the target" in claims[0].reason


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [2, 1, 3]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert [figure["name"] for figure in lab.figures] == ["steps_by_batch"]
    assert len(lab.notes) == 2
