"""The pieces of the experiment on deep and shallow networks against NumPy, and a run in miniature."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.approximation import compositional
from jaxtheory.experiments.approximation import deep_vs_shallow as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    inputs=(2,), errors=(1e-3, 1e-4), cells=(4,), sizes=(200,), rates=(0.001, 0.01), steps=8, batch=32,
    draws=2, dimensions=(4, 6), widths=(2, 4), reached=0.5,
)  # fmt: skip
KEY = jax.random.key(0)


def test_exponents_are_those_of_the_theorem():
    errors = np.array([1e-4, 1e-3])
    logs = [
        [[m_power * -np.log10(errors) + 3 for m_power in (power, power / 2)] for power in (2, 8)]
        for _ in range(2)
    ]
    axes = {"draw": range(2), "construction": ["tree", experiment.GRID], "m": [1, 2], "error": errors}
    logs = xr.DataArray(logs, axes, tuple(axes)).expand_dims(inputs=[8])
    np.testing.assert_allclose(experiment.exponents(logs), 1)
    np.testing.assert_allclose(experiment.exponents(logs.isel(error=[1, 0])), 1)
    found = [experiment.certified("tree", 2, 4, error, KEY) for error in (1e-3, 1e-5)]
    assert np.diff(found) == pytest.approx(2, abs=0.03)
    cells = compositional.cells_needed(
        compositional.init(KEY, compositional.binary_tree(4), wave="triangle"), 0.1
    )
    assert experiment.certified("tree", 1, 4, 0.1, KEY) == pytest.approx(np.log10(3 * (cells + 1) ** 2))


@pytest.mark.parametrize("size", [2000, 20_000])
@pytest.mark.parametrize("network", experiment.NETWORKS)
def test_networks_are_of_equal_size(network, size):
    draw, apply = experiment.of_size(network, size)
    is_dense = apply is experiment.dense
    params = draw(2, KEY) if is_dense else jax.eval_shape(partial(draw, 2), KEY)
    count = sum(leaf.size // 2 for leaf in jax.tree.leaves(params))
    assert count == pytest.approx(size, rel=0.03)
    if not is_dense:
        assert params.graph.nodes == experiment.GRAPH.nodes
        assert params.biases[0][1].shape[1] == (
            1 if network == experiment.LINK else {2000: 6, 20_000: 20}[size]
        )


def test_dense_networks_are_layers_of_relus(rng):
    layers = experiment.start((8, 200, 200, 1), 2, KEY)
    assert np.std(layers[1][0]) == pytest.approx(0.1, rel=0.02)
    assert np.abs(layers[0][1]).max() == pytest.approx(0.5, rel=0.02)
    x = rng.uniform(-1, 1, (5, 8))
    one = [(kernel[1], bias[1]) for kernel, bias in layers]
    values = x
    for kernel, bias in one[:-1]:
        values = np.maximum(values @ kernel.astype(float) + bias, 0)
    found = experiment.dense(one, jnp.float32(x))
    np.testing.assert_allclose(found, (values @ one[-1][0])[:, 0], rtol=1e-4, atol=1e-5)


def test_the_wrong_tree_joins_no_neighbors():
    leaves = [np.array(experiment.CROSSED)[list(node)] for node in experiment.GRAPH.nodes[:4]]
    assert sorted(np.concatenate(leaves)) == list(range(8))
    assert all(set(pair // 2) != {pair[0] // 2} for pair in leaves)
    assert all(abs(one - other) == 4 for one, other in leaves)


@pytest.mark.beyond
def test_samples_are_values_at_fresh_points_in_units_of_the_spread():
    graph = compositional.shared(6, experiment.SETS)
    targets = jax.vmap(lambda key: compositional.init(key, graph))(jax.random.split(KEY, 2))
    active = jnp.float32([1, 1, 1, 1, 0, 0])
    data = experiment.samples(targets, active, KEY, steps=3, batch=16)
    np.testing.assert_allclose(data["expected"].std(1), 1, rtol=1e-4)
    np.testing.assert_allclose(data["expected"].mean(1), 0, atol=1e-4)
    assert np.asarray(data["queries"])[:, 4:].max() == 0 < np.asarray(data["queries"])[:, :4].min(0).max() + 1
    second = jax.tree.map(lambda leaf: leaf[1], targets)
    exact = np.asarray(compositional.apply(second, data["queries"]))
    x = experiment.fresh(KEY, 2, 16, active)
    expected = (np.asarray(compositional.apply(second, x)) - exact.mean()) / exact.std()
    np.testing.assert_allclose(data["y"][2, 1], expected, atol=1e-4)
    assert not np.allclose(x, experiment.fresh(KEY, 1, 16, active))


def linear(params, x):
    return x @ params["a"] + params["b"]


@pytest.mark.beyond
def test_training_fits_each_function_from_each_start_at_each_rate():
    points = jax.vmap(lambda step: experiment.fresh(KEY, step, 8, jnp.ones(2)))(jnp.arange(400))
    slopes = jnp.float32([[1, -2], [0.5, 3]])
    order = np.array([1, 0])
    y = jnp.einsum("sbi,fi->sfb", points[..., order], slopes)
    queries = experiment.fresh(KEY, 400, 64, jnp.ones(2))
    data = {"y": y, "queries": queries, "expected": slopes @ queries[:, order].T, "active": jnp.ones(2)}
    starts = {"a": jnp.zeros((2, 2, 2)), "b": jnp.zeros((2, 2))}
    rates = np.float32([0.1, 0.0])
    errors = np.asarray(experiment.trained(linear, starts, rates, order, data, KEY))
    np.testing.assert_allclose(errors[:, 0], 0, atol=0.02)
    still = np.sqrt((np.asarray(data["expected"]) ** 2).mean(1))
    np.testing.assert_allclose(errors[:, 1], still, rtol=1e-5)


@pytest.mark.beyond
def test_neurons_without_weights_change_nothing():
    config = experiment.Config(steps=20, batch=16, draws=2, dimensions=(5, 7), widths=(3, 6))
    small = experiment.by_width(config, 5, KEY)
    assert small.shape == (2, 2)
    graph = compositional.shared(7, experiment.SETS)
    of_functions, of_starts, of_points = jax.random.split(KEY, 3)
    targets = jax.vmap(lambda key: compositional.init(key, graph))(jax.random.split(of_functions, 2))
    active = jnp.float32([1, 1, 1, 1, 1, 0, 0])
    data = experiment.samples(targets, active, of_points, steps=20, batch=16)
    data["active"] = jnp.ones(7)
    starts = experiment.start((7, 3, 3, 1), 2, of_starts)
    assert np.std(starts[0][0]) == pytest.approx((2 / 7) ** 0.5, rel=0.3)
    # The same network of five inputs, without padding: its points are those of the five.
    bare = [
        (np.asarray(k)[:, None], np.asarray(b)[:, None])
        for k, b in experiment.start((5, 3, 3, 1), 2, of_starts)
    ]
    rate = np.float32([experiment.RATE])
    found = experiment.trained(partial(first, 5), bare, rate, np.arange(7), data, of_points)
    np.testing.assert_allclose(found[:, 0], small[:, 0], rtol=1e-4)


def first(inputs, params, x):
    return experiment.dense(params, x[:, :inputs])


def test_the_width_needed_lies_between_two_widths():
    needed = partial(experiment.width_needed, (4, 8, 16))
    assert needed(0.2, np.array([0.4, 0.2, 0.1])) == pytest.approx(3)
    assert needed(0.2, np.array([0.4, 0.3, 0.1])) == pytest.approx(3 + np.log(1.5) / np.log(3))
    assert needed(0.2, np.array([0.4, 0.1, 0.3])) == pytest.approx(2.5)
    assert np.isnan(needed(0.2, np.array([0.4, 0.3, 0.25])))
    assert np.isnan(needed(0.2, np.array([0.1, 0.05, 0.02])))


def found(ahead=2.0, widths=(10.0, 11.0)):
    rng = np.random.default_rng(0)

    def array(values, **axes):
        return xr.DataArray(values, axes, tuple(axes))

    axes = {
        "size": [100, 200, 400, 800],
        "network": list(experiment.NETWORKS),
        "constituents": ["smooth", "rough"],
    }
    errors = np.exp(rng.normal(0, 0.05, (4, 5, 2, 3)))
    errors[:, 0] /= ahead
    logs = np.array([2, 8])[:, None, None, None, None] / np.array([1, 2])[:, None, None, None]
    logs = logs * np.array([3.0, 4.0])[:, None] + np.zeros((2, 2, 1, 2, 3))
    axes_of_logs = {"construction": ["tree", experiment.GRID], "m": [1, 2], "inputs": [8]}
    logs = array(logs, **axes_of_logs, error=[1e-3, 1e-4], draw=range(3))
    ratios = array(rng.uniform(0.1, 0.9, 6), draw=range(6)).assign_coords(computed=("draw", np.ones(6, bool)))
    needed = array(np.log2(widths)[:, None] + rng.normal(0, 0.05, (2, 3)), dimension=[8, 16], draw=range(3))
    values = array(np.full((2, 3), 900), dimension=[8, 16], draw=range(3))
    return experiment.Found(logs, ratios, array(errors, **axes, draw=range(3)), needed, values)


def test_claims_follow_from_what_is_found():
    claims = experiment.claims(found())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 12
    assert [len(claim.measurements) for claim in claims] == [4, 1, *[3] * 7, 1, 1, 1]
    assert claims[2].measurements[0].value == pytest.approx(-1, abs=0.15)
    behind = experiment.claims(found(ahead=0.5, widths=(10.0, 45.0)))
    assert [claim.verdict for claim in behind[2:9]] == [Verdict.FAILS] * 7
    assert [claim.verdict for claim in behind[10:]] == [Verdict.FAILS] * 2
    outside = experiment.claims(found(widths=(10.0, np.nan)))
    assert [claim.verdict for claim in outside[10:]] == [Verdict.UNTESTED] * 2


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims[:10]] == [4, 1, *[1] * 7, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert [claim.verdict for claim in claims[:2]] == [Verdict.HOLDS] * 2
    names = {"values_by_error", "error_by_size", "parameters_by_inputs"}
    assert {figure["name"] for figure in lab.figures} == names
    assert all("Errors over the tree's" in note for note in lab.notes)
