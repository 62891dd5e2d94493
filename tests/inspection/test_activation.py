"""Maximizers of units against closed forms of linear features and finite differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtheory.inspection import activation, priors


def linear(params, x):
    return x.ravel() @ params


def smooth(params, x):
    return jnp.tanh(x.ravel() @ params)


def maps(params, x):
    return params * x


def energy(x):
    return 0.5 * jnp.sum(x**2)


def test_the_maximizer_of_a_linear_unit_lies_along_its_weights(rng):
    weights = np.float32(rng.standard_normal((6, 3)))
    x = np.zeros((3, 6), np.float32)
    found = activation.maximize(linear, weights, x, np.arange(3), prior=energy, steps=800)
    np.testing.assert_allclose(found.x, weights.T, atol=1e-3)
    squares = (weights**2).sum(0)
    np.testing.assert_allclose(found.activation, squares, rtol=1e-3)
    np.testing.assert_allclose(found.objective, -squares / 2, rtol=1e-3)
    assert found.steps.tolist() == [800] * 3


def test_between_bounds_a_linear_unit_goes_to_the_corner(rng):
    weights = np.float32(rng.standard_normal((6, 2)))
    x = np.full((2, 6), 0.5, np.float32)
    found = activation.maximize(linear, weights, x, np.arange(2), bounds=(0, 1), steps=20)
    np.testing.assert_array_equal(found.x, weights.T > 0)
    np.testing.assert_allclose(found.activation, np.maximum(weights, 0).sum(0), rtol=1e-6)


def test_an_average_moves_a_channel_and_a_place_one_pixel():
    x, params = np.zeros((3, 4, 2), np.float32), np.float32([2, 3])
    run = partial(activation.maximize, maps, params, x, 1, prior=energy, steps=400)
    whole = np.zeros((3, 4, 2))
    whole[..., 1] = 3 / 12
    np.testing.assert_allclose(run().x, whole, atol=1e-4)
    for place, at in (((2, 0), (2, 0)), ("center", (1, 2))):
        one = np.zeros((3, 4, 2))
        one[(*at, 1)] = 3
        np.testing.assert_allclose(run(place=place).x, one, atol=1e-4)


def test_a_unit_that_is_shifted_spreads_over_its_shifts():
    x, params = np.zeros((5, 5, 1), np.float32), np.float32([1])
    run = partial(activation.maximize, maps, params, x, 0, place="center", bounds=(0, 1), jitter=1, steps=60)
    found = run(jax.random.key(1))
    reached = np.zeros((5, 5, 1), bool)
    reached[1:4, 1:4] = True
    np.testing.assert_array_equal(np.asarray(found.x) > 0, reached)
    assert float(found.activation) == float(found.x[2, 2, 0])
    np.testing.assert_array_equal(run(jax.random.key(1)).x, found.x)
    assert np.abs(run(jax.random.key(2)).x - found.x).max() > 0.01


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(optax.sgd(0.2), id="sgd"),
        pytest.param(optax.lbfgs(), id="lbfgs", marks=pytest.mark.beyond),
    ],
)
def test_steps_one_by_one_descend_and_are_those_of_the_driver(rng, optimizer):
    weights, x = np.float32(rng.standard_normal((6, 3))), np.float32(rng.standard_normal((2, 6)))
    options = {"prior": energy, "optimizer": optimizer}
    units = np.array([2, 0])
    pair = activation.ascent(smooth, weights, **options)
    state = pair.init(x, units)
    values = [state.objective]
    for _ in range(5):
        state = pair.step(state)
        values.append(state.objective)
    assert (np.diff(values, axis=0) <= 1e-6).all()
    found = activation.maximize(smooth, weights, x, units, steps=5, **options)
    np.testing.assert_allclose(found.x, state.x, atol=1e-5)
    np.testing.assert_allclose(found.objective, state.objective, atol=1e-5)
    np.testing.assert_allclose(
        found.activation, np.tanh(np.asarray(found.x) @ weights)[[0, 1], units], atol=1e-5
    )


def test_the_slope_is_that_of_the_objective(rng, x64):
    weights, x = rng.standard_normal((6, 3)), rng.standard_normal(6)
    direction = rng.standard_normal(6)
    init = activation.ascent(smooth, weights, prior=energy).init

    def value(step):
        return float(init(x + step * direction, 1).objective)

    difference = (value(1e-6) - value(-1e-6)) / 2e-6
    assert float(init(x, 1).slope @ direction) == pytest.approx(difference, rel=1e-7)


@pytest.mark.beyond
def test_networks_side_by_side_have_the_maximizers_of_each(rng):
    weights, x = np.float32(rng.standard_normal((3, 4, 2))), np.float32(rng.standard_normal((2, 2, 2, 1)))
    prior = jax.tree_util.Partial(lambda weight, x: weight * priors.total_variation(x), jnp.float32(0.3))
    run = partial(activation.maximize, smooth, units=np.arange(2), prior=prior, steps=20)
    together = jax.jit(jax.vmap(lambda weights: run(weights, x)))(weights)
    for place, one in enumerate(weights):
        np.testing.assert_allclose(together.x[place], run(one, x).x, atol=1e-5)


GIVEN = {"features": linear, "params": np.ones((4, 3), np.float32), "x": np.ones((2, 4)), "units": [0, 1]}


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"features": 3}, TypeError, "^features is a int: take a function of parameters and an input$"),
        ({"prior": 0.1}, TypeError, "^prior is a float: take a function of an input$"),
        ({"x": np.ones((2, 4), complex)}, TypeError, r"^x is complex \(complex128\): take real numbers"),
        ({"units": [0.5, 1]}, TypeError, "^units is of dtype float64: take whole numbers from 0$"),
        ({"units": [0, 3]}, ValueError, "^units holds 3: take whole numbers from 0 to 2$"),
        ({"units": [0]}, ValueError, r"^x has the shape \(2, 4\): take \(1,\) in front of an input's axes"),
        ({"bounds": (1, 0)}, ValueError, r"^bounds is \(1, 0\): take the least value first"),
        ({"bounds": (0, 1, 2)}, ValueError, r"^bounds has 3 entries: take the least and the largest"),
        ({"bounds": 1}, TypeError, r"^bounds is 1: take the least and the largest value"),
        ({"jitter": -1}, ValueError, "^jitter is -1: take a whole number at least 0$"),
        ({"jitter": 2}, ValueError, r"^jitter is 2, but x has the shape \(2, 4\): take images \(H, W, C\)$"),
        ({"place": "middle"}, ValueError, "^place is 'middle': take 'center'$"),
        ({"place": (1,)}, ValueError, r"^place is \(1,\): take one within a map of \(\)$"),
        ({"steps": 0}, ValueError, "^steps is 0: take a whole number at least 1$"),
        ({"key": 3}, TypeError, "^key is 3: take one random key"),
        (
            {"features": lambda params, x: x.sum() * params.sum()},
            ValueError,
            r"^features returns .*: take a function that returns an array \(\.\.\., channels\)$",
        ),
    ],
)
def test_what_cannot_be_used(own_errors, changed, error, message):
    with pytest.raises(error, match=message):
        activation.maximize(**GIVEN | changed)
