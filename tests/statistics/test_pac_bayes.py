"""Divergences, inverses and certificates against closed forms, SciPy, and risks that are known."""

import math
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
import scipy.stats

from jaxtheory.networks import training
from jaxtheory.statistics import pac_bayes


def binary(q, p):
    """The binary divergence, in nats."""
    return scipy.special.rel_entr(q, p) + scipy.special.rel_entr(1 - q, 1 - p)


def gaussian(rng):
    """A posterior over five weights in two arrays, and the center of its prior."""
    mean = {"a": rng.standard_normal((2, 2)), "b": rng.standard_normal(1)}
    spread = jax.tree.map(lambda leaf: -1 + 0.3 * rng.standard_normal(leaf.shape), mean)
    prior = jax.tree.map(lambda leaf: leaf + 0.1 * rng.standard_normal(leaf.shape), mean)
    to_jax = partial(jax.tree.map, jnp.asarray)
    return pac_bayes.Posterior(to_jax(mean), to_jax(spread), jnp.log(jnp.asarray(0.02))), prior


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def dense(posterior, prior, variance):
    """The divergence of Gaussians by the formula for matrices."""
    covariance, other = np.diag(np.exp(2 * flat(posterior.log_deviation))), variance * np.eye(5)
    shift = flat(posterior.mean) - flat(prior)
    inner = np.trace(np.linalg.solve(other, covariance)) + shift @ np.linalg.solve(other, shift) - 5
    return (inner + np.linalg.slogdet(other)[1] - np.linalg.slogdet(covariance)[1]) / 2


def test_the_divergence_is_that_of_dense_gaussians(rng, x64):
    posterior, prior = gaussian(rng)
    assert float(pac_bayes.divergence(posterior, prior)) == pytest.approx(
        dense(posterior, prior, 0.02), rel=1e-12
    )
    nats = dense(posterior, prior, 0.02)
    nats += 2 * math.log(100 * math.log(0.1 / 0.02)) + math.log(math.pi**2 * 500 / (6 * 0.01))
    found = float(pac_bayes.divergence_bound(posterior, prior, 500, delta=0.01))
    assert found == pytest.approx(nats / 499, rel=1e-12)


@pytest.mark.beyond
def test_draws_have_the_means_and_the_deviations(rng):
    posterior, _ = gaussian(rng)
    drawn = jax.vmap(lambda key: pac_bayes.draw(posterior, key))(jax.random.split(jax.random.key(0), 20_000))
    for name in ("a", "b"):
        deviation = np.exp(posterior.log_deviation[name])
        np.testing.assert_allclose(drawn[name].mean(0), posterior.mean[name], atol=4 * deviation.max() / 141)
        np.testing.assert_allclose(drawn[name].std(0), deviation, rtol=0.03)
    correlation = np.corrcoef(np.concatenate([drawn["a"].reshape(-1, 4), drawn["b"]], axis=1).T)
    assert np.abs(correlation - np.eye(5)).max() < 0.04


def test_the_inverse_of_the_binary_divergence(x64):
    risk, nats = np.array([0.0, 0.01, 0.2, 0.5, 0.9]), np.array([[1e-4], [0.05], [1.0]])
    found = np.asarray(pac_bayes.kl_inverse(risk, nats))
    for (row, column), p in np.ndenumerate(found):
        q, c = risk[column], nats[row, 0]
        ends = max(q, 1e-16), 1 - 1e-15
        root = scipy.optimize.brentq(lambda p, q=q, c=c: binary(q, p) - c, *ends, xtol=1e-15)
        assert p == pytest.approx(root, rel=1e-12)
        assert binary(q, p) >= c * (1 - 1e-9)  # from above
    np.testing.assert_allclose(found[:, 0], 1 - np.exp(-nats[:, 0]), rtol=1e-12)
    assert pac_bayes.kl_inverse(1.0, 0.3) == pac_bayes.kl_inverse(7.0, 0.3) == 1
    assert float(pac_bayes.kl_inverse(0.3, 0.0)) == pytest.approx(0.3, abs=1e-7)


@pytest.mark.beyond
def test_slopes_of_the_inverse_are_finite_at_its_ends(x64):
    for risk, nats in ((0.0, 0.1), (0.3, 0.0), (1.0, 0.5), (0.2, 1e3)):
        slopes = jax.grad(pac_bayes.kl_inverse, argnums=(0, 1))(risk, nats)
        assert np.isfinite(slopes).all()


def test_chernoff_is_wider_than_the_exact_binomial_interval(x64):
    counts = np.array([0, 1, 30, 200, 900])
    exact = scipy.stats.beta.ppf(0.99, counts + 1, 1000 - counts)
    chernoff = np.asarray(pac_bayes.kl_inverse(counts / 1000, np.log(100) / 1000))
    assert (exact <= chernoff).all()
    assert (chernoff - exact).max() < 0.02


def negative(params, batch):
    """The share of examples whose product with the weight is negative."""
    return jnp.mean(params * batch < 0)


def test_the_sampled_risk_is_that_of_the_gaussian():
    posterior = pac_bayes.init(jnp.array([0.7]), deviation=0.5)
    batches = jnp.ones((50, 3))
    found = float(pac_bayes.sampled_risk(negative, posterior, batches, jax.random.key(0), draws=40))
    exact = scipy.stats.norm.cdf(-0.7 / 0.5)
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 2000))
    # One draw for each batch and pass: the means are those of 2,000 weights, not of 6,000.
    assert float(found * 2000).is_integer() or abs(found * 2000 - round(found * 2000)) < 1e-2


def test_a_certificate_takes_the_best_variance_of_the_bound(rng, x64):
    posterior, prior = gaussian(rng)
    batches = jnp.asarray(rng.standard_normal((20, 10, 5)))

    def errors(params, batch):
        return jnp.mean(batch @ jnp.concatenate([params["a"].ravel(), params["b"]]) < 0)

    found = pac_bayes.certify(
        errors, posterior, prior, batches, jax.random.key(0), draws=50, delta=0.03, sampling_delta=0.02
    )
    levels = 100 * np.log(0.1 / 0.02) + np.array([0, 1])
    levels = np.floor(levels)
    nats = np.array([dense(posterior, prior, 0.1 * np.exp(-level / 100)) for level in levels])
    totals = nats + 2 * np.log(levels) + math.log(math.pi**2 * 200 / (6 * 0.03))
    best = totals.argmin()
    assert float(found.divergence) == pytest.approx(nats[best], rel=1e-12)
    assert float(found.variance) == pytest.approx(0.1 * np.exp(-levels[best] / 100), rel=1e-12)
    assert float(found.divergence_bound) == pytest.approx(totals[best] / 199, rel=1e-12)
    for q, p, c in (
        (found.risk, found.risk_bound, math.log(2 / 0.02) / 1000),
        (found.risk_bound, found.bound, totals[best] / 199),
    ):
        assert binary(float(q), float(p)) == pytest.approx(c, rel=1e-8)
    assert float(found.probability) == pytest.approx(0.95)
    # A variance beyond the largest is rounded to the first of the bound's.
    wide = pac_bayes.certify(
        errors, replace(posterior, log_variance=jnp.log(0.3)), prior, batches, jax.random.key(0), draws=1
    )
    assert float(wide.variance) == pytest.approx(0.1 * np.exp(-0.01), rel=1e-12)


@pytest.mark.beyond
def test_certificates_hold():
    """Signs of which a share is flipped, learned by a posterior that looks at the data: the risk is known."""
    flipped, n = 0.2, 40

    def one(key):
        noise, sample = jax.random.split(key)
        x = jnp.where(jax.random.uniform(noise, (n,)) < flipped, -1.0, 1.0).reshape(n, 1, 1)
        posterior = pac_bayes.init(jnp.sign(jnp.mean(x, axis=(0, 1))) * 0.2, deviation=0.2, variance=0.05)
        found = pac_bayes.certify(negative, posterior, jnp.zeros(1), x, sample, draws=20)
        right = jax.scipy.stats.norm.cdf(posterior.mean[0] / 0.2)
        return found.bound, found.risk_bound, found.risk, right * flipped + (1 - right) * (1 - flipped)

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 500))
    bound, risk_bound, risk, exact = map(np.asarray, found)
    assert np.mean(bound < exact) <= 0.035
    assert (bound > risk_bound).all()
    assert (risk_bound > risk).all()
    assert bound.mean() < 0.8


@pytest.mark.beyond
def test_training_minimizes_the_bound(rng):
    x = jnp.asarray(np.float32(rng.standard_normal((400, 5))))
    y = jnp.sign(x @ jnp.array([1.0, -1.0, 0.5, 0.0, 0.0]))

    def smooth(params, batch):
        inputs, signs = batch
        return jnp.mean(jax.nn.sigmoid(-3 * signs * (inputs @ params)))

    prior, optimizer = jnp.zeros(5), optax.adam(0.04)
    fit = pac_bayes.objective(smooth, 400)
    posterior = pac_bayes.init(prior, deviation=0.1, variance=0.05)
    start = training.init(posterior, jax.random.key(0), optimizer=optimizer, state=prior)
    end, metrics = training.run(start, (x, y), objective=fit, optimizer=optimizer, steps=150, batch=100)
    assert metrics["loss"][-50:].mean() < 0.6 * metrics["loss"][:5].mean()
    expected = pac_bayes.kl_inverse(metrics["risk"], metrics["divergence_bound"])
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    np.testing.assert_array_equal(end.state, prior)
    # Where the bound says nothing, its relaxation still has a slope.
    far = pac_bayes.init(100 * jnp.ones(5), deviation=0.1, variance=0.05)
    (value, _), slope = jax.value_and_grad(fit, has_aux=True)(far, prior, (x, y), jax.random.key(1))
    assert value > 1
    assert (np.asarray(slope.mean) > 1e-3).all()


WEIGHTS = {"w": np.ones(3, np.float32)}
GAUSSIAN = pac_bayes.init(WEIGHTS, deviation=0.1)
ONES = np.ones((4, 2), np.float32)
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "params holds no array", lambda: pac_bayes.init({}, deviation=0.1)),
        (TypeError, r"params\['w'\] is int32: take real floating-point",
         lambda: pac_bayes.init({"w": np.ones(3, np.int32)}, deviation=0.1)),
        (ValueError, "deviation is 0.0: take a positive number",
         lambda: pac_bayes.init(WEIGHTS, deviation=0.0)),
        (ValueError, "variance is 0.5: take a number below 0.1",
         lambda: pac_bayes.init(WEIGHTS, deviation=0.1, variance=0.5)),
        (TypeError, "posterior is a dict: take a Posterior, as init makes it",
         lambda: pac_bayes.draw(WEIGHTS, KEY)),
        (TypeError, "key is 3: take one random key", lambda: pac_bayes.draw(GAUSSIAN, 3)),
        (ValueError, r"prior\['w'\] has the shape \(2,\): take \(3,\)",
         lambda: pac_bayes.divergence(GAUSSIAN, {"w": np.ones(2, np.float32)})),
        (ValueError, "n is 1: take a whole number at least 2",
         lambda: pac_bayes.divergence_bound(GAUSSIAN, WEIGHTS, 1)),
        (ValueError, "delta is 1.0: take a number between 0 and 1",
         lambda: pac_bayes.divergence_bound(GAUSSIAN, WEIGHTS, 10, delta=1.0)),
        (ValueError, "delta is 0: take a number between 0 and 1",
         lambda: pac_bayes.objective(negative, 10, delta=0)),
        (ValueError, "risk is -0.1: take a number of 0 or more", lambda: pac_bayes.kl_inverse(-0.1, 0.1)),
        (ValueError, "divergence is -0.1: take a number of 0 or more",
         lambda: pac_bayes.kl_inverse(0.1, -0.1)),
        (ValueError, "draws is 0: take a whole number at least 1",
         lambda: pac_bayes.sampled_risk(negative, GAUSSIAN, ONES, KEY, draws=0)),
        (ValueError, r"batches have the shape \(4,\): take \(batches, examples, ...\)",
         lambda: pac_bayes.certify(negative, GAUSSIAN, WEIGHTS, np.ones(4), KEY, draws=1)),
        (ValueError, r"batches has leaves of the shapes \[\]: take one leading axis in common",
         lambda: pac_bayes.certify(negative, GAUSSIAN, WEIGHTS, (), KEY, draws=1)),
        (ValueError, "sampling_delta is 2.0: take a number between 0 and 1",
         lambda: pac_bayes.certify(negative, GAUSSIAN, WEIGHTS, ONES, KEY, draws=1, sampling_delta=2.0)),
    ],
)  # fmt: skip
def test_errors(error, message, call, own_errors):
    with pytest.raises(error, match=message):
        call()
