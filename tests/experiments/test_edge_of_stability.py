"""The pieces of the experiment on the edge of stability against closed forms, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.landscape import edge_of_stability as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    digits=20, widths=(6,), small_step=0.2, target=0.2, most_steps=400, steps=100, every=10, draws=2
)
CURVATURES = np.linspace(3.0, 0.3, 14)


def quadratic(params, batch):
    return jnp.mean(batch @ params**2) / 2


@pytest.mark.beyond
def test_descent_is_that_of_a_quadratic():
    """The losses are sums of powers, the sharpness is the largest curvature, until the target."""
    data, rate = jnp.asarray(np.tile(CURVATURES, (40, 1)), jnp.float32), 0.3
    along = jax.jit(experiment.descend, static_argnums=0, static_argnames=("every", "measurements"))
    found = along(quadratic, jnp.ones(14), data, jax.random.key(0), rate, 0.8, every=3, measurements=6)
    powers = (1 - rate * CURVATURES) ** (2 * np.arange(18)[:, None])
    losses = powers @ CURVATURES / 2
    end = 3 * (np.flatnonzero(losses <= 0.8)[0] // 3 + 1)
    assert 6 <= end < 18
    np.testing.assert_allclose(found["loss"][:end], losses[:end], rtol=1e-5)
    np.testing.assert_allclose(found["sharpness"][: end // 3], 3, rtol=1e-5)
    assert np.isnan(found["loss"][end:]).all()
    assert np.isnan(found["sharpness"][end // 3 :]).all()


def test_what_happens_at_the_edge():
    losses = np.repeat(np.arange(20.0, 0, -1), 3) + np.tile([0.0, 0.2, -0.1], 20)
    losses[-3:] = [3.0, 3.1, 3.2]
    sharpness = np.array([1.0, 2, 3, 4, 5, 4, 5, 4.4, 4.2, 4.0])
    found = experiment.at_the_edge(losses, sharpness, 4.0)
    assert found["arrival"] == 0.3
    assert found["ratio"] == pytest.approx(np.mean([5, 4.4, 4.2, 4.0]) / 4)
    assert found["rises"] == pytest.approx(100 * 22 / 59)
    assert found["falls"] == pytest.approx(100 * 19 / 20)
    assert found["mean falls"] == pytest.approx(100 * 18 / 19)
    never = experiment.at_the_edge(losses, sharpness, 6.0)
    assert np.isnan(never["ratio"])
    assert np.isnan(never["arrival"])


def test_digits_are_centered_means_of_blocks(rng):
    images = np.float32(rng.uniform(0, 1, (5, 28, 28)))
    x, targets = experiment.prepared(images, np.array([0, 3, 9, 1, 1]))
    mean = images[:, :2, 2:4].mean((1, 2))
    np.testing.assert_allclose(x[:, 1], mean - mean.mean(), atol=1e-6)
    assert targets.argmax(1).tolist() == [0, 3, 9, 1, 1]


def measured(growth):
    """Sweeps as they come out where all is as in the paper."""
    draw, level = ("draw",), ("draw", "level")
    gentle = xr.Dataset({"start": (draw, np.ones(3)), "star": (draw, growth)})
    names = {"ratio": 1.02, "rises": 30.0, "falls": 70.0, "mean falls": 90.0}
    noise = np.linspace(-0.01, 0.01, 9).reshape(3, 3)
    edge = xr.Dataset({name: (level, value + noise) for name, value in names.items()})
    left = 0.2 + noise[:, :2]
    entropy = xr.Dataset({"left": (("draw", "steps"), left)}, {"steps": list(experiment.STEPS)})
    return gentle, edge, entropy


def test_verdicts():
    verdicts = [claim.verdict for claim in experiment.claims(*measured(np.array([3.0, 3.1, 2.9])))]
    holds, fails = Verdict.HOLDS, Verdict.FAILS
    assert verdicts == [holds, holds, holds, fails, holds, holds]


def test_without_sharpening_the_edge_is_not_tested():
    claims = experiment.claims(*measured(np.array([1.8, 2.2, 2.1])))
    assert [claim.verdict == Verdict.UNTESTED for claim in claims] == [False, *[True] * 4, False]
    assert "a sharpness that doubles" in claims[1].reason
    claims = experiment.claims(*measured(np.array([np.nan, 2.2, 2.1])))
    assert [claim.verdict == Verdict.UNTESTED for claim in claims] == [*[True] * 5, False]


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 3, 3, 3, 3, 2]
    assert {figure["name"] for figure in lab.figures} == {"edge_of_stability", "cross_entropy"}
    assert len(lab.notes) == 3
