"""Sums of ridge functions against NumPy, greedy algorithms against least squares and the theorem's bound."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.approximation import ridge


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda t: np.maximum(t, 0)),
        ("step", lambda t: (t > 0).astype(float)),
        ("sigmoid", lambda t: 1 / (1 + np.exp(-t))),
        ("cos", np.cos),
    ],
)
def test_a_sum_is_what_it_says(rng, x64, activation, function):
    params = ridge.init(jax.random.key(0), 4, terms=6, activation=activation, radius=2)
    x = rng.standard_normal((3, 5, 4))
    parts = function(x @ np.asarray(params.directions).T - np.asarray(params.offsets))
    np.testing.assert_allclose(ridge.features(params, x), parts, rtol=1e-12)
    np.testing.assert_allclose(ridge.apply(params, x), parts @ np.asarray(params.coefficients), rtol=1e-10)


def test_directions_are_uniform_and_offsets_cut_the_ball():
    params = ridge.init(jax.random.key(0), 3, terms=4000, radius=2)
    np.testing.assert_allclose(np.linalg.norm(params.directions, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.cov(params.directions.T), np.eye(3) / 3, atol=0.02)
    assert np.abs(params.offsets).max() == pytest.approx(2, abs=0.01)
    assert float(params.offsets.std()) == pytest.approx(2 / math.sqrt(3), rel=0.05)
    assert float(params.coefficients.var()) * 4000 == pytest.approx(1, rel=0.1)


def test_greedy_steps_are_least_squares_on_the_best_atoms(rng, x64):
    dictionary, target = rng.standard_normal((30, 25)) * rng.uniform(0.1, 9, (30, 1)), rng.standard_normal(25)
    dictionary[7] = 0
    found = ridge.greedy(dictionary, target, steps=8)
    residual, chosen = target, []
    errors = [np.mean(target**2)]
    for _ in range(8):
        score = np.abs(dictionary @ residual) / np.maximum(np.linalg.norm(dictionary, axis=1), 1e-300)
        chosen.append(int(score.argmax()))
        codes = np.linalg.lstsq(dictionary[chosen].T, target, rcond=None)[0]
        residual = target - codes @ dictionary[chosen]
        errors.append(np.mean(residual**2))
    assert np.asarray(found.chosen).tolist() == chosen
    np.testing.assert_allclose(found.squared_errors, errors, rtol=1e-9)
    np.testing.assert_allclose(found.codes[found.chosen], codes, rtol=1e-9)
    assert np.count_nonzero(found.codes) == 8


@given(st.integers(0, 1000))
def test_greedy_errors_keep_the_theorems_bound(seed):
    rng = np.random.default_rng(seed)
    dictionary = np.float32(rng.standard_normal((40, 20)))
    dictionary /= np.sqrt(np.mean(dictionary**2, axis=1, keepdims=True))
    codes = np.float32(rng.standard_normal(40) * (rng.random(40) < 0.4))
    found = ridge.greedy(dictionary, codes @ dictionary, steps=12)
    bound = np.abs(codes).sum() ** 2 / (np.arange(13) + 1)
    assert (np.asarray(found.squared_errors) <= bound * (1 + 1e-5) + 1e-10).all()


def test_atoms_that_are_left_over_do_no_harm(rng, x64):
    dictionary = rng.standard_normal((2, 9))
    dictionary = np.concatenate([dictionary, dictionary[:1] + dictionary[1:]])
    target = 2 * dictionary[0] - dictionary[1]
    found = ridge.greedy(dictionary, target, steps=3)
    assert float(found.squared_errors[-1]) < 1e-25
    np.testing.assert_allclose(found.codes @ dictionary, target, atol=1e-12)
    assert np.isfinite(found.codes).all()


def test_coefficients_of_random_features_are_those_of_ridge_regression(rng, x64):
    from sklearn.linear_model import Ridge

    params = ridge.init(jax.random.key(0), 3, terms=7, radius=2)
    x, y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    values = np.asarray(ridge.features(params, x))
    found = ridge.random_features(params, x, y, penalty=0.1)
    other = Ridge(alpha=0.1 * 50 * values.var(axis=0).mean()).fit(values, y)
    np.testing.assert_allclose(found.coefficients, other.coef_, rtol=1e-8)
    np.testing.assert_allclose(ridge.apply(found, x), other.predict(values), rtol=1e-8)


@pytest.mark.beyond
def test_projection_pursuit_finds_the_directions_of_a_sum(rng):
    x = np.float32(rng.standard_normal((400, 4)))
    one, other = np.float32([0.6, 0, 0.8, 0]), np.float32([0, 1, 0, 0])
    y = np.abs(x @ one) + 0.3 * np.maximum(x @ other, 0)
    found = ridge.projection_pursuit(x, y, jax.random.key(0), stages=3, knots=10, steps=60)
    errors = np.asarray(found.squared_errors)
    assert (np.diff(errors) <= 1e-6).all()
    assert errors[-1] < 0.03 * y.var()
    directions = np.asarray(found.params.directions)[::10]
    assert abs(directions[0] @ one) > 0.98
    np.testing.assert_allclose(np.mean((y - ridge.apply(found.params, x)) ** 2), errors[-1], rtol=1e-3)


def test_the_path_norm_is_of_directions_and_offsets():
    params = ridge.RidgeSum(
        jnp.array([[3.0, 4.0], [0.0, 1.0]]), jnp.array([-2.0, 0.5]), jnp.array([1.0, -2.0]), jnp.zeros(()),
        activation="relu",
    )  # fmt: skip
    assert float(ridge.path_norm(params)) == pytest.approx(1 * (5 + 2) + 2 * (1 + 0.5))


@pytest.mark.parametrize("inputs", [1, 3])
def test_barrons_constant_of_a_gaussian_is_known(inputs):
    # f(x) = exp(-|x|^2 / 2) has the standard normal density as transform, and the constant is E |w|.
    def transform(w):
        return jnp.exp(-jnp.sum(w**2, -1) / 2) / (2 * jnp.pi) ** (inputs / 2)

    found = ridge.spectral_moment(transform, jax.random.key(0), inputs=inputs, scale=1.3, samples=20_000)
    expected = math.sqrt(2) * math.gamma((inputs + 1) / 2) / math.gamma(inputs / 2)
    assert float(found.standard_error) < 0.01 * expected
    assert abs(float(found.value) - expected) < 4 * float(found.standard_error)


PARAMS = ridge.RidgeSum(np.eye(3), np.zeros(3), np.zeros(3), np.zeros(()), activation="cos")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ridge.init(jax.random.key(0), 3, terms=0), "terms is 0: take a whole number at least 1"),
        (lambda: ridge.init(jax.random.key(0), 3, terms=1, radius=0), "radius is 0"),
        (
            lambda: ridge.init(jax.random.key(0), 3, terms=1, activation="tan"),
            "activation is 'tan': take 'relu'",
        ),
        (lambda: ridge.apply(PARAMS, np.ones(2)), r"x has the shape \(2,\): take \(\.\.\., 3\)"),
        (lambda: ridge.path_norm(PARAMS), "activation is 'cos': take 'relu'"),
        (lambda: ridge.greedy(np.ones((3, 4)), np.ones(5), steps=1), r"target has the shape \(5,\)"),
        (
            lambda: ridge.greedy(np.ones((3, 4)), np.ones(4), steps=5),
            "steps is 5: take a whole number from 1 to 3",
        ),
        (lambda: ridge.random_features(PARAMS, np.ones((4, 3)), np.ones(3)), r"y has the shape \(3,\)"),
        (
            lambda: ridge.random_features(PARAMS, np.ones((4, 3)), np.ones(4), penalty=0),
            "penalty is 0: take a positive number",
        ),
        (
            lambda: ridge.projection_pursuit(np.ones((4, 3)), np.ones(4), jax.random.key(0), stages=0),
            "stages is 0: take a whole number",
        ),
        (
            lambda: ridge.spectral_moment(jnp.sum, jax.random.key(0), inputs=1, samples=1),
            "samples is 1: take a whole number at least 2",
        ),
    ],
)
def test_bad_arguments_are_told(own_errors, call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
