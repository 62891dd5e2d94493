"""Paths against their formulas and SciPy's, alignment against planted permutations and all that there are."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.interpolate import BPoly

from jaxtheory.landscape import connectivity
from jaxtheory.networks import training


def test_a_bezier_curve_is_scipys(rng, x64):
    controls = rng.standard_normal((4, 3))
    path = connectivity.Path({"w": jnp.asarray(controls)}, "bezier")
    t = np.linspace(0, 1, 7)
    expected = BPoly(controls[:, None], [0, 1])(t)
    np.testing.assert_allclose(connectivity.point_at(path, t)["w"], expected, rtol=1e-12, atol=1e-14)
    for place, position in ((0, 0), (-1, 1)):
        np.testing.assert_array_equal(connectivity.point_at(path, position)["w"], controls[place])


def test_a_chain_goes_straight_from_bend_to_bend(rng, x64):
    controls = rng.standard_normal((4, 3))
    path = connectivity.Path(jnp.asarray(controls), "chain")
    t = np.linspace(0, 1, 13)
    found = connectivity.point_at(path, t)
    expected = [np.interp(t, [0, 1 / 3, 2 / 3, 1], column) for column in controls.T]
    np.testing.assert_allclose(found, np.transpose(expected), atol=1e-14)


@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_a_path_with_its_bends_in_line_is_straight(rng, kind):
    start, end = rng.standard_normal((2, 5)).astype(np.float32)
    path = connectivity.straight_path(start, end, bends=2, kind=kind)
    t = np.linspace(0, 1, 5)
    np.testing.assert_allclose(
        connectivity.point_at(path, t), start + t[:, None] * (end - start), rtol=1e-5, atol=1e-6
    )
    again = connectivity.path_between(path.ends, path.bends, kind=kind)
    np.testing.assert_array_equal(again.controls, path.controls)


def test_values_along_a_path_are_those_of_a_loop(rng):
    path = connectivity.Path(jnp.asarray(rng.standard_normal((3, 4)), jnp.float32), "bezier")
    t = np.linspace(0, 1, 5)

    def loss(params, batch):
        return jnp.sum(jnp.cos(params) * batch)

    expected = [float(loss(connectivity.point_at(path, one), 2.0)) for one in t]
    for chunk in (1, 2):
        found = connectivity.path_values(loss, path, t, 2.0, chunk=chunk)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_barrier_stands_above_the_chord(rng):
    t = np.linspace(0, 1, 101)
    values = np.stack([t + 4 * t * (1 - t), 3 - t, t * t])
    np.testing.assert_allclose(connectivity.barrier(values), [1, 0, 0], atol=1e-6)
    uneven = np.array([0.0, 0.1, 1.0])
    assert float(connectivity.barrier(np.array([0.0, 2.0, 5.0]), uneven)) == pytest.approx(1.5)


@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_a_trained_path_goes_around_a_hill(kind):
    def hill(params, batch):
        del batch
        return jnp.exp(-jnp.sum(params**2)) + 0.01 * jnp.sum(params**2)

    start = connectivity.straight_path(jnp.array([-1.5, 0.1]), jnp.array([1.5, 0.1]), bends=1, kind=kind)
    t = jnp.linspace(0, 1, 31)
    objective, optimizer = connectivity.path_objective(hill, kind=kind), optax.adam(0.03)
    state = training.init(start.bends, jax.random.key(0), optimizer=optimizer, state=start.ends)
    end, _ = training.run(state, jnp.zeros(1), objective=objective, optimizer=optimizer, steps=300)
    path = connectivity.path_between(end.state, end.params, kind=kind)
    np.testing.assert_array_equal(path.ends, start.ends)
    line, curve = (connectivity.path_values(hill, one, t, None) for one in (start, path))
    assert float(connectivity.barrier(curve)) < 0.3 * float(connectivity.barrier(line))


def test_the_objective_is_unbiased_for_the_mean_along_the_path():
    path = connectivity.Path(jnp.array([[0.0], [2.0], [3.0]]), "bezier")
    objective = connectivity.path_objective(lambda params, batch: jnp.sum(params) + batch)
    keys = jax.random.split(jax.random.key(0), 4000)
    values = jax.vmap(lambda key: objective(path.bends, path.ends, 0.0, key)[0])(keys)
    # The mean of a Bezier curve is that of its control points.
    assert float(values.mean()) == pytest.approx(5 / 3, abs=4 * float(values.std()) / 4000**0.5)


def network(*widths, seed=0):
    """Parameters of the form of `networks.mlp.MLP`, and the network as a plain function."""
    rng = np.random.default_rng(seed)
    layers = {
        str(k): {
            "kernel": jnp.asarray(rng.standard_normal((fan_in, fan_out)), jnp.float32),
            "bias": jnp.asarray(rng.standard_normal(fan_out), jnp.float32),
        }
        for k, (fan_in, fan_out) in enumerate(itertools.pairwise(widths))
    }

    def predict(params, x):
        for k in range(len(widths) - 1):
            layer = params["layers"][str(k)]
            x = np.maximum(x, 0) if k else x
            x = x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
        return x

    return {"layers": layers}, predict


def similarity(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return sum(float(np.vdot(a, b)) for a, b in pairs)


def test_a_planted_permutation_is_found(rng):
    params, predict = network(6, 9, 7, 8, 3)
    groups = connectivity.layer_groups(params)
    planted = {f"layer {k}": rng.permutation(n) for k, n in enumerate((9, 7, 8))}
    shuffled = connectivity.permute_units(params, groups, planted)
    x = rng.standard_normal((10, 6)).astype(np.float32)
    np.testing.assert_allclose(predict(shuffled, x), predict(params, x), rtol=1e-4, atol=1e-5)
    assert float(jnp.abs(shuffled["layers"]["1"]["kernel"] - params["layers"]["1"]["kernel"]).max()) > 0.1
    found = connectivity.match_weights(shuffled, params, groups, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, found.params, params)
    assert found.converged
    for name, order in found.permutations.items():
        np.testing.assert_array_equal(planted[name][np.asarray(order)], np.arange(len(order)))


def test_one_hidden_layer_is_matched_as_well_as_any_permutation_does():
    (one, _), (other, predict) = network(3, 5, 2), network(3, 5, 2, seed=1)
    groups = connectivity.layer_groups(one)
    found = connectivity.match_weights(other, one, groups, jax.random.key(0))

    every = [
        similarity(one, connectivity.permute_units(other, groups, {"layer 0": np.array(order)}))
        for order in itertools.permutations(range(5))
    ]
    assert float(found.similarity) == pytest.approx(max(every), rel=1e-5)
    assert max(every) > every[0]
    x = np.ones((1, 3), np.float32)
    np.testing.assert_allclose(predict(found.params, x), predict(other, x), rtol=1e-5)


def test_matching_two_layers_improves_until_no_layer_can():
    (one, _), (other, _) = network(4, 6, 6, 2), network(4, 6, 6, 2, seed=1)
    groups = connectivity.layer_groups(one)
    found = connectivity.match_weights(other, one, groups, jax.random.key(1))
    first = connectivity.match_weights(other, one, groups, jax.random.key(1), max_steps=1)
    assert similarity(one, other) < float(first.similarity) <= float(found.similarity)
    assert not first.converged
    for name in found.permutations:
        for i, j in itertools.combinations(range(6), 2):  # no exchange of two units of one layer helps
            order = np.arange(6)
            order[[i, j]] = order[[j, i]]
            moved = connectivity.permute_units(found.params, groups, {name: order})
            assert similarity(one, moved) <= float(found.similarity) * (1 + 1e-6)


def test_groups_of_more_than_ten_layers_are_in_order():
    params, _ = network(*[2] * 13)
    groups = connectivity.layer_groups(params)["layers"]
    assert groups["10"]["kernel"] == ("layer 9", "layer 10")
    assert groups["11"] == {"kernel": ("layer 10", None), "bias": (None,)}
    without = connectivity.layer_groups({"layers": {"0": {"kernel": jnp.ones((2, 3))}}})
    assert without == {"layers": {"0": {"kernel": (None, None)}}}


def zero(params, batch):
    del params, batch
    return 0.0


W = {"w": jnp.ones((2, 3))}
PAIR = jnp.ones((2, 3))
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: connectivity.straight_path(W, {"w": jnp.ones(3)}),
            ValueError,
            "end['w'] has the shape (3,): take (2, 3)",
        ),
        (
            lambda: connectivity.straight_path(W, W, kind="spline"),
            ValueError,
            "kind is 'spline': take 'bezier' or 'chain'",
        ),
        (
            lambda: connectivity.straight_path({"w": jnp.arange(2)}, W),
            TypeError,
            "start['w'] is int32: take real floating-point parameters",
        ),
        (
            lambda: connectivity.straight_path(W, W, bends=-1),
            ValueError,
            "bends is -1: take a whole number at least 0",
        ),
        (
            lambda: connectivity.path_between(jnp.ones((3, 2)), jnp.ones((1, 2))),
            ValueError,
            "ends has more than two points on its leading axis: take the first and the last",
        ),
        (
            lambda: connectivity.path_between(PAIR, jnp.ones((1, 2))),
            ValueError,
            "bends has the shape (1, 2): take (1, 3)",
        ),
        (
            lambda: connectivity.path_objective(zero, kind="line"),
            ValueError,
            "kind is 'line': take 'bezier' or 'chain'",
        ),
        (
            lambda: connectivity.point_at(connectivity.Path(jnp.ones((1, 2)), "chain"), 0.5),
            ValueError,
            "path has leaves of the shapes [(1, 2)]: take one leading axis in common, of at least 2",
        ),
        (
            lambda: connectivity.barrier(jnp.ones(1)),
            ValueError,
            "values has the shape (1,): take at least two points, the ends",
        ),
        (
            lambda: connectivity.barrier(jnp.ones(3), jnp.ones(2)),
            ValueError,
            "positions has the shape (2,): take (3,) for (points,)",
        ),
        (
            lambda: connectivity.path_values(zero, connectivity.Path(PAIR, "chain"), jnp.ones((1, 1)), None),
            ValueError,
            "positions has the shape (1, 1): take (points,) for (points,)",
        ),
        (
            lambda: connectivity.path_values(zero, connectivity.Path(PAIR, "chain"), jnp.ones(1), "digits"),
            TypeError,
            "batch is 'digits' (str): take an array of numbers",
        ),
        (
            lambda: connectivity.layer_groups(W),
            ValueError,
            'params are not those of a multilayer perceptron, {"layers": {"0": {"kernel", "bias"}, ...}}: ',
        ),
        (
            lambda: connectivity.permute_units(W, {"w": ("a",)}, {}),
            ValueError,
            "groups['w'] is ('a',): take a tuple of 2, a name or None for each axis",
        ),
        (
            lambda: connectivity.permute_units(W, {"w": ("a", "a")}, {}),
            ValueError,
            "groups['w'] names 'a' twice: take a group once for each array",
        ),
        (
            lambda: connectivity.permute_units({"v": jnp.ones(4)} | W, {"v": ("a",), "w": (None, "a")}, {}),
            ValueError,
            "groups['w'] gives 'a' 3 units where another array gives it 4: take groups whose axes have",
        ),
        (
            lambda: connectivity.permute_units(W, {"v": (None, "a")}, {}),
            ValueError,
            "groups have another structure than params: take a tuple for each array, with a name or",
        ),
        (
            lambda: connectivity.match_weights(W, W, {"w": (None, "a")}, KEY, max_steps=0),
            ValueError,
            "max_steps is 0: take a whole number at least 1",
        ),
        (
            lambda: jax.jit(lambda w: connectivity.match_weights(w, W, {"w": (None, "a")}, KEY))(W),
            TypeError,
            "params are traced: call match_weights outside jit, vmap and grad",
        ),
    ],
)
def test_errors_say_what_was_found_and_what_is_allowed(own_errors, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
