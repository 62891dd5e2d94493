"""The pieces of the experiment on the samples that learning takes, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.approximation import compositional
from jaxtheory.experiments.approximation import functions_wiggle as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(dimensions=(1, 2), largest=6, largest_kernel=5, width=8, steps=3, starts=2, draws=2)


def test_functions_are_of_their_kind(rng):
    generic = experiment.function_of(experiment.GENERIC, 3, rng)
    corner = compositional.apply(generic, -np.ones(3))
    assert float(corner) == pytest.approx(float(generic.values[0][0, 0, 0]))
    few = experiment.function_of(experiment.FEW, 4, rng)
    x = np.float32(rng.uniform(-1, 1, (20, 4)))
    moved = np.where(np.arange(4) > 0, -x, x)
    np.testing.assert_array_equal(compositional.apply(few, x), compositional.apply(few, moved))
    assert np.ptp(compositional.apply(few, x)) > 0.1
    assert experiment.graph_of(experiment.TREE, 4).nodes == compositional.binary_tree(4).nodes


def test_neighbors_and_kernels_interpolate(rng):
    from scipy.interpolate import RBFInterpolator

    x, y = rng.uniform(-1, 1, (30, 2)), rng.standard_normal(30)
    np.testing.assert_array_equal(experiment.by_neighbors(x, y, x + 1e-9), y)
    np.testing.assert_allclose(experiment.by_kernel(x, y, x), y, atol=1e-5)
    # For points close together, exp(-r) differs from 1 - r only by smoother terms.
    queries = rng.uniform(-1, 1, (50, 2))
    linear = RBFInterpolator(x, y, kernel="linear")(queries)
    assert np.corrcoef(experiment.by_kernel(x, y, queries), linear)[0, 1] > 0.98


def test_the_number_of_samples_is_interpolated_or_the_largest():
    assert experiment.needed(lambda n: 2.0 / n**0.5, 10) == pytest.approx(4)
    assert experiment.needed(lambda n: 3.0 / n**0.5, 10) == pytest.approx(2 * np.log2(6))
    assert experiment.needed(lambda _: 0.1, 10) == experiment.FEWEST
    assert experiment.needed(lambda _: 0.9, 10) == 10


@pytest.mark.beyond
def test_training_fits_the_first_samples_only():
    def apply(params, x):
        return params["a"] * x[:, 0] + params["b"]

    x = jnp.linspace(-1, 1, 64)[:, None]
    y = jnp.where(jnp.arange(64) < 32, 2 * x[:, 0] + 1, 100.0)
    # From the first start the rate does not lead anywhere in time.
    starts = {"a": jnp.array([1e4, 0.0]), "b": jnp.zeros(2)}
    queries = jnp.array([[-1.0], [1.0]])
    found = experiment.learned(apply, starts, x, y, 32, queries, jax.random.key(0), 1500)
    np.testing.assert_allclose(found, [-1, 3], atol=0.1)


def test_claims_are_of_slopes():
    def values(bits, learners):
        noise = np.random.default_rng(0).normal(0, 0.05, (len(learners), 5, 4))
        numbers = 3 + np.array(bits)[:, None, None] * np.arange(1, 6)[:, None] + noise
        at = {"learner": list(learners), "dimension": range(1, 6)}
        return xr.DataArray(numbers, at, ("learner", "dimension", "draw"))

    bits = {experiment.GENERIC: (2.5, 2.0, 1.5), experiment.FEW: (1.5, 0.0), experiment.TREE: (3.0, 1.0)}
    slopes = {
        kind: experiment.slope(values(bits[kind], learners)) for kind, learners in experiment.TESTED.items()
    }
    np.testing.assert_allclose(slopes[experiment.GENERIC].mean("draw"), bits[experiment.GENERIC], atol=0.05)
    claims = experiment.claims(slopes)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 5
    slopes[experiment.FEW] = experiment.slope(values((1.5, 1.0), experiment.TESTED[experiment.FEW]))
    assert experiment.claims(slopes)[2].verdict == Verdict.FAILS


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [3, 1, 1, 1, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert {figure["name"] for figure in lab.figures} == {"samples"}
    assert "did not suffice" in lab.notes[0]
