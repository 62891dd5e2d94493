"""Gauss-Newton matrices and Fisher information against sums over examples and outcomes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.landscape import curvature
from tests.landscape.curvature import models


@pytest.fixture
def problem(x64, rng):
    return models.params(rng), models.data(rng)


def further(name):
    """A case that a newcomer does not wait for."""
    return pytest.param(name, marks=pytest.mark.beyond)


def outer_products(gradients, weights):
    return np.einsum("n,ni,nj->ij", weights, gradients, gradients)


def test_gauss_newton_of_the_cross_entropy(problem):
    params, (x, labels) = problem
    operator = curvature.gauss_newton(
        models.outputs, models.loss_of_outputs, params, models.cut((x, labels), 4, 8)
    )
    slopes = models.jacobian(models.outputs, params, x)
    chances = np.exp(jax.nn.log_softmax(models.outputs(params, x)))
    bends = np.einsum("nk,kl->nkl", chances, np.eye(2)) - np.einsum("nk,nl->nkl", chances, chances)
    expected = np.einsum("nki,nkl,nlj->ij", slopes, bends, slopes) / len(x)
    found = operator.dense()
    models.close(found, expected)
    kept = curvature.gauss_newton(
        models.outputs, models.loss_of_outputs, params, models.cut((x, labels), 4, 8), keep=True
    )
    models.close(kept.dense(), expected)


def test_gauss_newton_is_the_hessian_where_outputs_are_linear(x64, rng):
    x, y = rng.standard_normal((9, 4)), rng.standard_normal((9, 2))
    weights = rng.standard_normal((4, 2))

    def linear(params, x):
        return x @ params

    def quartic(z, y):
        return jnp.mean((z - y) ** 4)

    found = curvature.gauss_newton(linear, quartic, weights, models.cut((x, y), 5)).dense()
    expected = models.hessian(lambda params, one: quartic(linear(params, one[0]), one[1]), weights, (x, y))
    models.close(found, expected)


def outcomes(distribution, z):
    """Targets with their chances, for distributions of finitely many."""
    if distribution == "categorical":
        chances = np.exp(jax.nn.log_softmax(z))
        return [(np.full(len(z), k), chances[:, k]) for k in range(z.shape[1])]
    ones = np.asarray(jax.nn.sigmoid(z))
    return [
        (np.tile(target, (len(z), 1)), np.prod(np.where(target, ones, 1 - ones), axis=1))
        for target in itertools.product((0, 1), repeat=z.shape[1])
    ]


def log_chances(distribution):
    def of_params(params, x, target):
        z = models.outputs(params, x)
        if distribution == "categorical":
            return jnp.take_along_axis(jax.nn.log_softmax(z), target[:, None], axis=1)[:, 0]
        if distribution == "bernoulli":
            return jnp.sum(jnp.where(target == 1, jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)), axis=1)
        if distribution == "poisson":
            return jnp.sum(target * z - jnp.exp(z), axis=1)
        return -jnp.sum((target - z) ** 2, axis=1) / 2

    return of_params


@pytest.mark.parametrize("distribution", ["categorical", further("bernoulli")])
def test_exact_information_is_the_mean_over_all_outcomes(problem, distribution):
    params, (x, _) = problem
    expected = 0
    for target, chance in outcomes(distribution, models.outputs(params, x)):
        slopes = models.jacobian(
            lambda params, x, target=target: log_chances(distribution)(params, x, target), params, x
        )
        expected = expected + outer_products(slopes, chance / len(x))
    operator = curvature.fisher(
        models.outputs, params, models.cut((x, None), 4, 8), distribution=distribution
    )
    models.close(operator.dense(), expected)


@pytest.mark.beyond
@pytest.mark.parametrize("distribution", ["normal", "poisson"])
def test_exact_information_of_normal_and_poisson_targets(problem, distribution):
    params, (x, _) = problem
    slopes = models.jacobian(models.outputs, params, x)
    z = np.asarray(models.outputs(params, x))
    variance = np.ones_like(z) if distribution == "normal" else np.exp(z)
    expected = np.einsum("nki,nk,nkj->ij", slopes, variance, slopes) / len(x)
    operator = curvature.fisher(
        models.outputs, params, models.cut((x, None), 4, 8), distribution=distribution
    )
    models.close(operator.dense(), expected)


@pytest.mark.parametrize("distribution", ["categorical", *map(further, ("bernoulli", "normal", "poisson"))])
def test_empirical_information_is_that_of_the_targets(problem, rng, distribution):
    params, (x, labels) = problem
    target = labels if distribution == "categorical" else rng.integers(0, 2, (len(x), 2))
    slopes = models.jacobian(lambda params, x: log_chances(distribution)(params, x, target), params, x)
    operator = curvature.fisher(
        models.outputs, params, models.cut((x, target), 4, 8), distribution=distribution, kind="empirical"
    )
    models.close(operator.dense(), outer_products(slopes, np.full(len(x), 1 / len(x))))


@pytest.mark.parametrize("distribution", ["categorical", *map(further, ("bernoulli", "normal", "poisson"))])
def test_monte_carlo_draws_from_the_distribution(rng, distribution):
    params, (x, _) = jax.tree.map(np.float32, models.params(rng)), models.data(rng)
    x = np.float32(x)
    options = {"distribution": distribution, "params": params, "outputs": models.outputs}
    exact = curvature.fisher(batches=[(x, None)], **options)
    vector = jax.tree.map(lambda leaf: np.float32(rng.standard_normal(leaf.shape)), params)

    def bend(operator):
        return sum(
            jnp.vdot(one, other)
            for one, other in zip(*map(jax.tree.leaves, (operator.matvec(vector), vector)))
        )

    draws = np.array([
        bend(
            curvature.fisher(
                batches=[(x, None)], kind="monte_carlo", samples=20, key=jax.random.key(seed), **options
            )
        )
        for seed in range(40)
    ])  # fmt: skip
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    assert abs(draws.mean() - bend(exact)) < 4 * error
    assert error < 0.05 * bend(exact)


@pytest.mark.beyond
def test_an_example_draws_the_same_however_batches_are_divided(problem):
    params, (x, _) = problem
    options = {"kind": "monte_carlo", "samples": 3, "key": jax.random.key(5)}
    whole = curvature.fisher(models.outputs, params, [(x, None)], **options).dense()
    parts = curvature.fisher(models.outputs, params, models.cut((x, None), 4, 8), **options).dense()
    models.close(parts, whole)
    other = curvature.fisher(
        models.outputs, params, [(x, None)], **options | {"key": jax.random.key(6)}
    ).dense()
    assert np.linalg.norm(other - whole) > 0.01 * np.linalg.norm(whole)
