"""Directions against the definitions and scikit-learn's principal components, slices against a loop."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA

from jaxtheory.landscape import surface


@pytest.fixture
def params(rng):
    return {
        "kernel": jnp.asarray(rng.standard_normal((3, 2, 5)), jnp.float32),
        "dense": jnp.asarray(rng.standard_normal((4, 6)), jnp.float32).at[:, 1].set(0),
        "bias": jnp.asarray(rng.standard_normal(6), jnp.float32),
    }


def loss(params, batch):
    return jnp.mean((batch @ params["dense"] + params["bias"]) ** 2) + jnp.sum(jnp.sin(params["kernel"]))


def norms(array, axis):
    array = np.moveaxis(np.asarray(array), axis, 0)
    return np.linalg.norm(array.reshape(len(array), -1), axis=1)


@pytest.mark.parametrize("axis", [-1, 0])
def test_filters_have_the_norms_of_the_parameters(params, axis):
    drawn = surface.random_directions(jax.random.key(1), params, directions=3, axis=axis)
    for name in ("kernel", "dense"):
        assert drawn[name].shape == (3, *params[name].shape)
        for one in drawn[name]:
            np.testing.assert_allclose(norms(one, axis), norms(params[name], axis), rtol=1e-5, atol=1e-7)
    assert not drawn["bias"].any()
    first, second = drawn["kernel"][0].ravel(), drawn["kernel"][1].ravel()
    cosine = first @ second / jnp.linalg.norm(first) / jnp.linalg.norm(second)
    assert abs(float(cosine)) < 0.8  # independent draws of 30 entries


def test_layers_have_the_norms_of_the_parameters_and_biases_move_if_asked_for(params):
    drawn = surface.random_directions(jax.random.key(1), params, normalization="layer", biases=True)
    for name, leaf in params.items():
        for one in drawn[name]:
            assert float(jnp.linalg.norm(one)) == pytest.approx(float(jnp.linalg.norm(leaf)), rel=1e-5)
    whole = surface.random_directions(jax.random.key(1), params, biases=True)
    np.testing.assert_allclose(
        jnp.linalg.norm(whole["bias"], axis=1), [float(jnp.linalg.norm(params["bias"]))] * 2, rtol=1e-5
    )


def test_directions_without_normalization_are_standard_normal():
    drawn = surface.random_directions(jax.random.key(0), jnp.ones((50, 40)), normalization="none")
    assert float(drawn.mean()) == pytest.approx(0, abs=0.06)
    assert float(drawn.std()) == pytest.approx(1, abs=0.05)


def test_a_picture_does_not_change_when_a_relu_network_is_rescaled(rng):
    first, second = rng.standard_normal((3, 8)), rng.standard_normal((8, 1))
    x = jnp.asarray(rng.standard_normal((20, 3)), jnp.float32)
    networks = [
        [jnp.asarray(first * scale, jnp.float32), jnp.asarray(second / scale, jnp.float32)]
        for scale in (1.0, 16.0)
    ]

    def outputs(params, batch):
        return jnp.mean((jax.nn.relu(batch @ params[0]) @ params[1]) ** 2)

    offsets = jnp.linspace(-1, 1, 5)
    pictures = {
        kind: [
            surface.plane_values(
                outputs,
                params,
                surface.random_directions(jax.random.key(3), params, normalization=kind),
                offsets,
                offsets,
                x,
            )
            for params in networks
        ]
        for kind in ("filter", "none")
    }
    np.testing.assert_allclose(*pictures["filter"], rtol=1e-5)
    assert float(pictures["none"][1].max()) > 20 * float(pictures["none"][0].max())


def test_principal_directions_are_scikit_learns(rng, x64):
    steps = {"a": rng.standard_normal((12, 4, 3)), "b": 3 * rng.standard_normal((12, 5))}
    steps = {name: np.cumsum(array, axis=0) for name, array in steps.items()}
    flat = np.concatenate([array.reshape(12, -1) for array in steps.values()], axis=1)
    witness = PCA(3).fit(flat)
    found = surface.trajectory_plane(steps, directions=3)
    directions = np.concatenate([found.directions[name].reshape(3, -1) for name in steps], axis=1)
    np.testing.assert_allclose(np.abs(np.sum(directions * witness.components_, axis=1)), 1, rtol=1e-10)
    np.testing.assert_allclose(found.explained, witness.explained_variance_ratio_, rtol=1e-10)
    np.testing.assert_allclose(found.coordinates, (flat - flat[-1]) @ directions.T, atol=1e-10)
    assert (np.asarray(found.coordinates[0]) >= 0).all()
    np.testing.assert_array_equal(found.origin["b"], steps["b"][-1])


def test_a_straight_trajectory_has_one_direction():
    found = surface.trajectory_plane(jnp.arange(5.0)[:, None] * jnp.array([3.0, 4.0]))
    np.testing.assert_allclose(found.explained, [1, 0], atol=1e-6)
    np.testing.assert_allclose(np.abs(found.directions), [[0.6, 0.8], [0, 0]], atol=1e-6)


def test_a_plane_goes_through_its_points(rng, x64):
    corners = rng.standard_normal((3, 7))
    found = surface.plane_through(*({"w": jnp.asarray(one)} for one in corners))
    directions = np.asarray(found.directions["w"])
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(corners[0] + np.asarray(found.coordinates) @ directions, corners, atol=1e-12)
    assert float(found.coordinates[2, 1]) > 0


def test_a_plane_through_points_of_a_line_has_one_direction():
    found = surface.plane_through(jnp.zeros(2), jnp.array([2.0, 0.0]), jnp.array([5.0, 0.0]))
    assert not found.directions[1].any()
    np.testing.assert_allclose(found.coordinates, [[0, 0], [2, 0], [5, 0]])


@pytest.mark.parametrize("chunk", [1, 3])
def test_slices_are_those_of_a_loop(params, rng, chunk):
    batch = jnp.asarray(rng.standard_normal((8, 4)), jnp.float32)
    directions = surface.random_directions(jax.random.key(0), params)
    first, second = np.linspace(-1, 1, 4), np.array([0, 2])
    values = surface.plane_values(loss, params, directions, first, second, batch, chunk=chunk)
    assert values.shape == (4, 2)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            moved = jax.tree.map(lambda leaf, d: leaf + a * d[0] + b * d[1], params, directions)  # noqa: B023
            assert float(values[i, j]) == pytest.approx(float(loss(moved, batch)), rel=1e-4)
    along = jax.tree.map(lambda leaf: leaf[0], directions)
    line = surface.line_values(loss, params, along, first, batch, chunk=chunk)
    zero = surface.plane_values(loss, params, directions, first, np.zeros(1), batch)
    np.testing.assert_allclose(line, zero[:, 0], rtol=1e-5, atol=1e-5)


def test_a_function_may_return_several_things():
    def both(params, batch):
        return {"sum": params.sum(), "all": params * batch}

    values = surface.line_values(both, jnp.zeros(3), jnp.ones(3), jnp.arange(2.0), 2.0)
    np.testing.assert_allclose(values["sum"], [0, 3])
    np.testing.assert_allclose(values["all"], [[0, 0, 0], [2, 2, 2]])


def test_points_of_a_map_are_compiled_once():
    traced = []

    def counted(params, batch):
        traced.append(1)
        return params @ batch

    for start in (0.0, 1.0):
        surface.plane_values(
            counted, jnp.full(2, start), jnp.eye(2), jnp.arange(6.0), jnp.arange(5.0), jnp.ones(2)
        )
    assert len(traced) == 1


KEY = jax.random.key(0)
POINT = {"w": jnp.ones((2, 3))}
LINE = jnp.arange(2.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: surface.random_directions(KEY, {"w": jnp.arange(3)}),
            TypeError,
            "params['w'] is int32: take real floating-point parameters",
        ),
        (
            lambda: surface.random_directions(KEY, {"w": jnp.ones(2, jnp.complex64)}),
            TypeError,
            "params['w'] is complex64: take real floating-point parameters",
        ),
        (
            lambda: surface.random_directions(KEY, {}),
            ValueError,
            "params holds no array: take a pytree of parameters",
        ),
        (
            lambda: surface.random_directions(KEY, POINT, normalization="unit"),
            ValueError,
            "normalization is 'unit': take 'filter', 'layer' or 'none'",
        ),
        (
            lambda: surface.random_directions(KEY, POINT, axis=2),
            ValueError,
            "axis is 2: take an axis of params['w'], which has the shape (2, 3)",
        ),
        (
            lambda: surface.random_directions(KEY, POINT, directions=0),
            ValueError,
            "directions is 0: take a whole number at least 1",
        ),
        (
            lambda: surface.trajectory_plane({"a": jnp.ones((3, 2)), "b": jnp.ones((4, 2))}),
            ValueError,
            "trajectory has leaves of the shapes [(3, 2), (4, 2)]: take one leading axis in common, of",
        ),
        (
            lambda: surface.trajectory_plane(jnp.ones((3, 2)), directions=3),
            ValueError,
            "directions is 3: take a whole number from 1 to 2",
        ),
        (
            lambda: surface.plane_through(POINT, POINT, {"v": jnp.ones((2, 3))}),
            ValueError,
            "third is PyTreeDef({'v': *}): take the structure of the parameters, PyTreeDef({'w': *})",
        ),
        (
            lambda: surface.line_values(loss, POINT, {"w": jnp.ones(3)}, LINE, None),
            ValueError,
            "direction['w'] has the shape (3,): take (2, 3)",
        ),
        (
            lambda: surface.plane_values(loss, POINT, POINT, LINE, LINE, None),
            ValueError,
            "directions['w'] has the shape (2, 3): take (2, 2, 3)",
        ),
        (
            lambda: surface.line_values(loss, POINT, POINT, jnp.ones((2, 2)), None),
            ValueError,
            "offsets has the shape (2, 2): take (points,) for (points,)",
        ),
        (
            lambda: surface.line_values(loss, POINT, POINT, LINE, {"x": "digits"}),
            TypeError,
            "batch['x'] is 'digits' (str): take an array of numbers",
        ),
        (
            lambda: surface.line_values(loss, POINT, POINT, LINE, None, chunk=0),
            ValueError,
            "chunk is 0: take a whole number at least 1",
        ),
    ],
)
def test_errors_say_what_was_found_and_what_is_allowed(own_errors, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
