"""Proximal operators against minimization by brute force, their derivatives against finite differences."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from jaxtheory.sparse import proximal

GRID = np.linspace(-6, 6, 240_001)
"""Candidates for the minimizer of a function of one number, 5e-5 apart."""

SCALAR = {
    "soft": (lambda x: proximal.soft_threshold(x, 0.7), lambda z: 0.7 * np.abs(z)),
    "nonnegative": (
        lambda x: proximal.nonnegative_soft_threshold(x, 0.7),
        lambda z: np.where(z < 0, np.inf, 0.7 * z),
    ),
    "hard": (lambda x: proximal.hard_threshold(x, 0.7), lambda z: 0.7**2 / 2 * (np.abs(z) > 1e-9)),
    "elastic net": (lambda x: proximal.elastic_net(x, 0.7, 0.3), lambda z: 0.7 * np.abs(z) + 0.15 * z**2),
}


@pytest.mark.parametrize("name", SCALAR)
def test_a_proximal_operator_minimizes_its_objective(name, x64, rng):
    operator, penalty = SCALAR[name]
    x = 2 * rng.standard_normal(50)
    found = np.asarray(operator(x))
    best = np.array([GRID[np.argmin((GRID - value) ** 2 / 2 + penalty(GRID))] for value in x])
    np.testing.assert_allclose(found, best, atol=6e-5)
    assert 0 < np.count_nonzero(found) < 50


def test_groups_shrink_to_the_minimum(x64, rng):
    x = rng.standard_normal((20, 3))
    found = np.asarray(proximal.group_soft_threshold(x, 1.5))
    for row, shrunken in zip(x, found):
        result = minimize(
            lambda z: np.sum((z - row) ** 2) / 2 + 1.5 * np.linalg.norm(z),  # noqa: B023
            row,
            method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 5000},
        )
        np.testing.assert_allclose(shrunken, result.x, atol=1e-6)
    assert 0 < (found[:, 0] == 0).sum() < 20


def test_groups_along_other_axes_and_a_threshold_of_zero():
    x = jnp.arange(12.0).reshape(3, 2, 2)
    whole = proximal.group_soft_threshold(x, 2.0, axis=(1, 2))
    flat = proximal.group_soft_threshold(x.reshape(3, 4), 2.0)
    np.testing.assert_array_equal(whole.reshape(3, 4), flat)
    np.testing.assert_array_equal(proximal.group_soft_threshold(x, 0.0), x)


def test_the_l0_ball_is_the_nearest_of_all_supports(rng):
    from itertools import combinations

    x = np.float32(rng.standard_normal((30, 6)))
    found = np.asarray(proximal.l0_ball(x, 2))
    supports = np.array([np.isin(np.arange(6), chosen) for chosen in combinations(range(6), 2)])
    distances = ((x[:, None] * ~supports) ** 2).sum(-1)
    np.testing.assert_array_equal(found, x * supports[distances.argmin(1)])
    np.testing.assert_array_equal(proximal.l0_ball(x, 6), x)
    np.testing.assert_array_equal(proximal.l0_ball(x, 0), 0 * x)
    np.testing.assert_array_equal(proximal.l0_ball(jnp.ones(4), 2), [1, 1, 0, 0])


X = np.ones(3, np.float32)
BAD = {
    "sparsity": (
        lambda: proximal.l0_ball(X, 4),
        ValueError,
        "sparsity is 4: take a whole number from 0 to 3",
    ),
    "negative": (
        lambda: proximal.l0_ball(X, -1),
        ValueError,
        "sparsity is -1: take a whole number from 0 to 3",
    ),
    "half": (lambda: proximal.l0_ball(X, 1.5), TypeError, "sparsity is 1.5: take a whole number"),
    "one number": (lambda: proximal.l0_ball(X[0], 0), ValueError, "x has the shape (): take (..., n)"),
    "complex": (
        lambda: proximal.group_soft_threshold(1j * X, 1.0),
        TypeError,
        "x is complex (complex64): take real numbers",
    ),
    "words": (
        lambda: proximal.soft_threshold("a", 1.0),
        TypeError,
        "x is 'a' (str): take an array of numbers",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_nonnegative_soft_thresholding_is_a_relu_in_equal_bits(rng):
    x = np.float32(rng.standard_normal(10_000))
    for threshold in np.float32([0, 0.1, 1]):
        np.testing.assert_array_equal(
            proximal.nonnegative_soft_threshold(x, threshold), jax.nn.relu(jnp.asarray(x) - threshold)
        )


OPERATORS = {
    "soft": proximal.soft_threshold,
    "nonnegative": proximal.nonnegative_soft_threshold,
    "hard": proximal.hard_threshold,
    "group": proximal.group_soft_threshold,
    "elastic net": lambda x, t: proximal.elastic_net(x, t, t),
    "l0 ball": lambda x, t: proximal.l0_ball(x, 2) * t,
}


@pytest.mark.beyond
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_derivatives_are_finite_on_every_kink(name, threshold):
    points = jnp.array(
        [[0.0, 0, 0], [1, -1, 0], [1, 0, 0], [0.6, 0.8, 0], [-1, 2, 1e-38], [1e-20, 0, 0], [1e-18, 1e-30, 0]]
    )
    jacobian = jax.jacrev(OPERATORS[name], argnums=(0, 1))(points, threshold)
    forward = jax.jacfwd(OPERATORS[name], argnums=(0, 1))(points, threshold)
    for one, other in zip(jacobian, forward):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, atol=1e-6)
    # The proximal operator of a convex function moves no faster than its argument; hard ones keep or drop.
    assert np.abs(jacobian[0]).max() <= 1 + 1e-6


@pytest.mark.parametrize("name", OPERATORS)
def test_derivatives_are_slopes(name, x64, rng):
    x, direction = 2 * rng.standard_normal((2, 5, 3))
    operator, step = OPERATORS[name], 1e-6

    def moved(t):
        return operator(x + t * direction, 0.7 + t)

    _, tangent = jax.jvp(operator, (x, 0.7), (direction, 1.0))
    np.testing.assert_allclose(tangent, (moved(step) - moved(-step)) / (2 * step), atol=1e-7)
