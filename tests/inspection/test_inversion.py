"""Inputs found again from their codes, against closed forms of linear and of sparse codes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.data import mnist
from jaxtheory.harmonic import scattering2d
from jaxtheory.inspection import inversion, priors
from jaxtheory.sparse import pursuit


def linear(params, x):
    return params @ x


def layer(params, x):
    return {"positive": jnp.maximum(params @ x, 0), "size": jnp.sum(x**2)}


def energy(x):
    return 0.1 * jnp.sum(x**2)


def test_linear_codes_have_the_solution_of_tikhonov(rng, x64):
    matrix, target = rng.standard_normal((5, 3)), rng.standard_normal(5)
    found = inversion.invert(linear, matrix, target, np.zeros(3), prior=energy)
    weight = 0.1 * target @ target
    expected = np.linalg.solve(matrix.T @ matrix + weight * np.eye(3), matrix.T @ target)
    np.testing.assert_allclose(found.x, expected, atol=1e-7)
    assert bool(found.converged)
    misfit = np.linalg.norm(matrix @ expected - target) / np.linalg.norm(target)
    assert float(found.residual) == pytest.approx(misfit, rel=1e-7)
    assert float(found.prior) == pytest.approx(0.1 * expected @ expected, rel=1e-7)
    assert float(found.objective) == pytest.approx(misfit**2 + 0.1 * expected @ expected, rel=1e-7)


@pytest.mark.beyond
def test_of_all_inputs_with_a_code_that_from_zero_is_the_shortest(rng):
    matrix = np.float32(rng.standard_normal((3, 7)))
    target = matrix @ np.float32(rng.standard_normal(7))
    found = inversion.invert(linear, matrix, target, np.zeros(7, np.float32), max_steps=60, tolerance=1e-5)
    np.testing.assert_allclose(found.x, np.linalg.pinv(matrix) @ target, atol=1e-3)
    assert float(found.residual) < 1e-3


def test_steps_one_by_one_descend_and_are_those_of_the_driver(rng):
    matrix, x = np.float32(rng.standard_normal((4, 3))), np.float32([1, -1, 2])
    target, start = layer(matrix, x), np.float32([0.5, 0.5, 0.5])
    pair = inversion.descent(layer, matrix, target, prior=energy)
    state = pair.init(start)
    values = [float(state.residual)]
    for _ in range(4):
        state = pair.step(state)
        values.append(float(state.residual))
    assert values == sorted(values, reverse=True)
    found = inversion.invert(layer, matrix, target, start, prior=energy, max_steps=4)
    assert int(found.steps) == 4
    np.testing.assert_allclose(found.x, state.x, atol=1e-5)
    assert float(found.objective) == pytest.approx(values[-1] ** 2, rel=1e-4)


def test_the_slope_is_that_of_half_the_objective(rng, x64):
    matrix, x, direction = rng.standard_normal((4, 3)), rng.standard_normal(3), rng.standard_normal(3)
    target = layer(matrix, rng.standard_normal(3))
    init = inversion.descent(layer, matrix, target, prior=energy).init

    def value(step):
        y = x + step * direction
        code = layer(matrix, y)
        apart = ((code["positive"] - target["positive"]) ** 2).sum() + (code["size"] - target["size"]) ** 2
        norm = (target["positive"] ** 2).sum() + target["size"] ** 2
        return (apart / norm + 0.1 * y @ y) / 2

    difference = (value(1e-6) - value(-1e-6)) / 2e-6
    assert float(init(x).slope @ direction) == pytest.approx(float(difference), rel=1e-6)


@pytest.mark.beyond
def test_sparse_codes_say_what_lies_in_the_span_of_their_atoms(rng, x64):
    dictionary = rng.standard_normal((8, 5))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)

    def codes(dictionary, x):
        return pursuit.lasso(dictionary, x, 0.1).codes

    x = dictionary[0] - 2 * dictionary[3]
    target = codes(dictionary, x)
    found = inversion.invert(codes, dictionary, target, x + 0.1 * rng.standard_normal(5), tolerance=1e-8)
    assert float(found.residual) < 1e-6
    # On the support the residual correlates with each atom by the penalty.
    support = np.flatnonzero(np.asarray(target))
    assert 2 <= len(support) < 5
    chosen, weights = dictionary[support], np.asarray(target)[support]
    np.testing.assert_allclose(
        chosen @ np.asarray(found.x), chosen @ chosen.T @ weights + 0.1 * np.sign(weights), atol=1e-5
    )


@pytest.mark.beyond
def test_a_digit_is_found_again_from_its_scattering_coefficients(rng):
    x = mnist.load().images[0][..., None]
    bank = scattering2d.filter_bank((28, 28), J=2, L=4)

    def features(bank, x):
        return scattering2d.scatter(bank, x[..., 0])

    start = np.float32(0.1 * rng.standard_normal(x.shape))
    found = inversion.invert(
        features, bank, features(bank, x), start, prior=lambda x: 1e-5 * priors.total_variation(x)
    )
    assert float(found.residual) < 0.03
    assert np.corrcoef(np.asarray(found.x).ravel(), x.ravel())[0, 1] > 0.9


@pytest.mark.beyond
def test_several_inputs_side_by_side_and_under_jit(rng):
    matrix, x = np.float32(rng.standard_normal((6, 3))), np.float32(rng.standard_normal((2, 3)))
    run = partial(inversion.invert, linear, matrix, max_steps=30)
    targets, start = x @ matrix.T, np.zeros(3, np.float32)
    together = jax.jit(jax.vmap(lambda target: run(target, start)))(targets)
    assert together.converged.all()
    np.testing.assert_allclose(together.x, x, atol=1e-3)
    half = run(targets[0], jnp.zeros(3, jnp.bfloat16))
    assert half.x.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(half.x), x[0], atol=2e-2)


@pytest.mark.beyond
def test_a_code_of_zeros_is_met_by_zero():
    found = inversion.invert(linear, np.eye(3, dtype=np.float32), np.zeros(3), np.ones(3, np.float32))
    np.testing.assert_allclose(found.x, 0, atol=1e-3)
    assert np.isfinite(float(found.residual))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"features": 3}, TypeError, "^features is a int: take a function of parameters and an input$"),
        ({"prior": 0.1}, TypeError, "^prior is a float: take a function of an input$"),
        ({"target": "code"}, TypeError, r"^target is 'code' \(str\): take an array of numbers$"),
        (
            {"target": np.ones(3)},
            ValueError,
            r"^target has the shapes \(3,\): take \(2,\), as features returns$",
        ),
        ({"target": [np.ones(2)]}, ValueError, r"^target is the tree .*: take .*, as features returns$"),
        ({"x": np.ones(2, complex)}, TypeError, r"^x is complex \(complex128\): take real numbers"),
        ({"max_steps": 0}, ValueError, "^max_steps is 0: take a whole number at least 1$"),
        ({"tolerance": -1.0}, ValueError, "^tolerance is -1.0: take a number of 0 or more$"),
    ],
)
def test_what_cannot_be_used(own_errors, changed, error, message):
    given = {"features": linear, "params": np.eye(2), "target": np.ones(2), "x": np.ones(2, np.float32)}
    with pytest.raises(error, match=message):
        inversion.invert(**given | changed)
