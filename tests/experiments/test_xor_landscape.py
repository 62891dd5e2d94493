"""The pieces of the experiment on XOR against enumeration, sampling and NumPy, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.landscape import xor_landscape as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(widths=(2, 16), starts=16, draws=2, steps=1500, newton=30, grid=7)


def network(kernel, bias, output, last):
    """One network as a row of networks."""
    tree = {"input": {"kernel": kernel, "bias": bias}, "output": {"kernel": output, "bias": last}}
    return jax.tree.map(
        lambda leaf: np.asarray(leaf, float)[None], tree, is_leaf=lambda one: isinstance(one, list)
    )


# f(x) = relu(x1 + x2) - 2 relu(x1 + x2 - 1) is XOR; with one of its units it is not.
SOLUTION = network([[1, 1], [1, 1]], [0.0, -1.0], [1, -2], 0.0)
IDLE = network([[-1, -1], [-1, -1]], [-0.5, -0.5], [1, 1], 0.5)


def moved(params, rng, size):
    return jax.tree.map(lambda leaf: leaf + size * rng.uniform(-1, 1, leaf.shape), params)


def test_the_textbook_solution_has_no_loss(x64):
    assert experiment.losses(SOLUTION, "ReLU")[0] == 0
    np.testing.assert_array_equal(
        experiment.outputs(jax.tree.map(lambda leaf: leaf[0], SOLUTION), "ReLU"), experiment.TARGETS
    )


def test_starts_have_the_variances_that_they_should(x64):
    drawn = experiment.starts(jax.random.key(0), 4000, 9)
    assert drawn["input"]["kernel"].shape == (4000, 2, 9)
    assert drawn["input"]["kernel"].std() == pytest.approx(1, abs=0.02)
    assert drawn["output"]["kernel"].std() == pytest.approx(1 / 3, abs=0.01)
    assert drawn["output"]["bias"].shape == (4000,)


@pytest.mark.beyond
def test_descent_goes_down_the_gradient(x64):
    start = experiment.starts(jax.random.key(0), 5, 2)
    path = experiment.descend(start, "tanh", steps=4, kept=2)
    assert path["output"]["bias"].shape == (2, 5)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[3]), start)
    for _ in range(4):
        slope = jax.grad(experiment.tanh_loss)(one, experiment.TARGETS)
        one = jax.tree.map(lambda leaf, by: leaf - experiment.STEP / 2 * by, one, slope)
    np.testing.assert_allclose(path["input"]["kernel"][-1, 3], one["input"]["kernel"], rtol=1e-12)


def test_a_certified_minimum_has_nothing_lower_around_it(x64, rng):
    config = experiment.Config(widths=(2,), starts=60, steps=4000)
    ends = experiment.descended(config, "ReLU", 2, jax.random.key(1))
    losses = experiment.losses(ends, "ReLU")
    stuck = np.flatnonzero(experiment.certified(ends) & (losses > experiment.SOLVED))
    assert len(stuck) >= 5
    rows = experiment.taken(ends, stuck)
    for _ in range(200):
        around = experiment.losses(moved(rows, rng, experiment.MARGIN), "ReLU")
        assert (around >= losses[stuck] * (1 - 1e-12)).all()


def test_what_is_not_a_minimum_for_certain_is_not_certified(x64):
    assert experiment.certified(IDLE)[0]
    assert experiment.losses(IDLE, "ReLU")[0] == 0.125
    on_kinks = network([[-1, -1], [-1, -1]], [0.0, -0.5], [1, 1], 0.5)
    assert not experiment.certified(on_kinks)[0]
    steep = network([[-1, -1], [-1, -1]], [-0.5, -0.5], [1, 1], 0.4)
    assert not experiment.certified(steep)[0]
    # An active unit without an output weight: the loss falls along its weights and this one together.
    muted = network([[1, -1], [-1, -1]], [-0.5, -0.5], [0, 1], 0.5)
    gradient = experiment.slopes(muted, "ReLU")[1]
    assert abs(float(gradient["output"]["kernel"][0, 0])) > 0.01
    assert not experiment.certified(muted)[0]


def test_claims_follow_from_the_counts():
    shares = xr.DataArray(
        [
            [[20.0, 24.0, 28.0], [70.0, 71.0, 75.0], [97.0, 98.0, 99.0]],
            [[70.0, 75.0, 71.0], [98.0, 99.0, 100.0], [98.0, 99.0, 100.0]],
        ],
        {"activation": ["ReLU", "tanh"], "width": [2, 4, 16], "draw": range(3)},
    )
    counts = {"ReLU/failing": 40, "ReLU/certified": 30, "ReLU/strict": 0}
    counts |= {"tanh/failing": 15, "tanh/left": 6, "tanh/still": 5, "tanh/strict": 1}
    ends = xr.Dataset({name: xr.DataArray(value) for name, value in counts.items()})
    lab = Lab()
    claims = experiment.claims(experiment.Config(widths=(2, 16), starts=20, draws=3), shares, ends, lab)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 4 + [Verdict.FAILS]
    assert [one.value for one in claims[0].measurements] == pytest.approx([48, 27])
    assert claims[2].measurements[0].value == 30
    assert "6 above a loss" in lab.notes[0]
    few = experiment.claims(experiment.Config(), shares.isel(width=[2]), ends, Lab())
    assert few[0].verdict == Verdict.UNTESTED


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert len(claims) == 5
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[2].verdict == claims[4].verdict == Verdict.HOLDS
    names = {figure["name"] for figure in lab.figures}
    assert names == {"success_by_width", "solutions", "flat_minimum", "trajectories"}
