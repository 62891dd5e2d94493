"""Certificates: bounds on the risk of a network with random weights that hold with a stated probability."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree, Shaped

from jaxtheory.core import checks, trees
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.statistics.pac_bayes.bounds import DELTA, check_probability, kl_inverse, price
from jaxtheory.statistics.pac_bayes.gaussians import LARGEST, PRECISION, Posterior, divergence_at, draw

SAMPLING_DELTA = 0.01
"""The probability with which the estimate of the empirical risk may fail."""

Batches = PyTree[Shaped[AnyArray, "batches examples ..."]]
"""Data in batches: every array has the two leading axes."""


@record
class Certificate:
    """A bound on the risk of a network with random weights that holds with a stated probability."""

    bound: Float[Array, ""]
    """The bound on the risk, from 0 to 1."""
    risk: Float[Array, ""]
    """The mean error on the training examples of the weights that were drawn."""
    risk_bound: Float[Array, ""]
    """The upper bound on the mean error on the training examples over all weights."""
    divergence_bound: Float[Array, ""]
    """The bound on the binary divergence of empirical risk and risk, in nats."""
    divergence: Float[Array, ""]
    """The divergence of the posterior from the prior, in nats."""
    variance: Float[Array, ""]
    """The variance of the prior that was chosen among those of the bound."""
    probability: Float[Array, ""]
    """The probability with which the bound holds, at least, over training examples and drawn weights."""


def sampled_risk(
    errors: Callable[..., Any], posterior: Posterior, batches: Batches, key: RandomKey, *, draws: int
) -> Float[Array, ""]:
    """Return the mean error of a network with random weights, whose weights are drawn anew for each batch.

    Args:
        errors: The function `errors(params, batch) -> scalar`, the share of errors in a batch.
        posterior: The Gaussian from which weights are drawn.
        batches: The examples, in batches of one size.
        key: The random key.
        draws: How often the examples are gone through, at least 1.

    Returns:
        The mean over `draws` times as many weights as there are batches.

    Raises:
        TypeError: If the posterior is none, `draws` is not a whole number, or `key` is not a random key.
        ValueError: If `draws` is below 1, or the batches have no common leading axis.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.statistics import pac_bayes
        >>> posterior = pac_bayes.init(jnp.zeros(1), deviation=1.0)
        >>> negative = lambda params, batch: jnp.mean(params * batch < 0)
        >>> risk = pac_bayes.sampled_risk(negative, posterior, jnp.ones((50, 1)), jax.random.key(0), draws=40)
        >>> round(float(risk), 1)
        0.5
    """
    checks.instance("posterior", posterior, Posterior, "a Posterior, as init makes it")
    checks.random_key("key", key)
    trees.check_numbers("batches", batches)
    number = trees.leading_length("batches", batches, least=1)
    return _sampled_risk(errors, posterior, batches, key, checks.count("draws", draws), number)


@partial(jax.jit, static_argnums=(0, 5))
def _sampled_risk(
    errors: Callable[..., Any], posterior: Posterior, batches: Any, key: Array, draws: Any, number: int
) -> Array:
    def add(k: Array, total: Array) -> Array:
        batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[k % number], batches)
        return total + errors(draw(posterior, jax.random.fold_in(key, k)), batch)

    start = jnp.zeros((), posterior.log_variance.dtype)
    return lax.fori_loop(0, draws * number, add, start) / (draws * number)


def certify(
    errors: Callable[..., Any],
    posterior: Posterior,
    prior: PyTree,
    batches: Batches,
    key: RandomKey,
    *,
    draws: int,
    delta: RealScalar = DELTA,
    sampling_delta: RealScalar = SAMPLING_DELTA,
) -> Certificate:
    r"""Bound the risk of a network with random weights, with a stated probability.

    Weights are drawn independently for each batch and each time that the examples are gone through; the mean
    error of these $k$ draws bounds the empirical risk by `kl_inverse` at $\log(2 / \delta') / k$, and
    `kl_inverse` of that at the `divergence_bound` bounds the risk. The variance of the prior is rounded to
    one of those of the bound, the better of the two next to it.

    Args:
        errors: The function `errors(params, batch) -> scalar`, the share of errors in a batch.
        posterior: The Gaussian $Q$.
        prior: The weights at the center of the prior. The certificate holds only if they do not depend on
            the examples.
        batches: All training examples, in batches of one size.
        key: The random key, which must not have been used in training.
        draws: How often the examples are gone through, at least 1.
        delta: The probability $\delta$ with which the bound may fail, from 0 to 1, both excluded.
        sampling_delta: The probability $\delta'$ with which the drawn weights may mislead.

    Returns:
        The certificate, which holds with probability $1 - \delta - \delta'$.

    Raises:
        TypeError: If the posterior is none, the prior has leaves that are not real floating-point arrays,
            `draws` is not a whole number, or `key` is not a random key.
        ValueError: If a number is out of range, or structures or shapes do not match.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.statistics import pac_bayes
        >>> prior = jnp.zeros(1)
        >>> posterior = pac_bayes.init(jnp.ones(1), deviation=0.2, variance=0.05)
        >>> negative = lambda params, batch: jnp.mean(params * batch < 0)
        >>> found = pac_bayes.certify(
        ...     negative, posterior, prior, jnp.ones((100, 20)), jax.random.key(0), draws=10
        ... )
        >>> round(float(found.bound), 2), round(float(found.probability), 3)
        (0.02, 0.965)

    References:
        Gintare Karolina Dziugaite and Daniel Roy, "Computing nonvacuous generalization bounds for deep
        (stochastic) neural networks with many more parameters than training data", 2017.
        John Langford and Rich Caruana, "(Not) bounding the true error", 2001.
    """
    check_probability("delta", delta)
    check_probability("sampling_delta", sampling_delta)
    trees.check_numbers("batches", batches)
    trees.leading_length("batches", batches, least=1)
    shape = jnp.shape(jax.tree.leaves(batches)[0])
    if len(shape) < 2 or math.prod(shape[:2]) < 2:
        raise ValueError(f"batches have the shape {shape}: take (batches, examples, ...), at least two")
    risk = sampled_risk(errors, posterior, batches, key, draws=draws)
    prior = trees.same_form("prior", prior, posterior.mean)
    number, size = shape[:2]
    return _certify(posterior, prior, risk, draws * number, number * size, delta, sampling_delta)


@partial(jax.jit, static_argnames="n")
def _certify(
    posterior: Posterior, prior: PyTree, risk: Array, draws: Any, n: int, delta: Any, sampling_delta: Any
) -> Certificate:
    level = PRECISION * (math.log(LARGEST) - posterior.log_variance)
    levels = jnp.maximum(jnp.floor(level) + jnp.arange(2), 1)
    logarithms = math.log(LARGEST) - levels / PRECISION
    nats = jnp.stack([divergence_at(posterior, prior, one) for one in logarithms])
    prices = (nats + price(levels, n, delta)) / (n - 1)
    best = jnp.argmin(prices)
    risk_bound = kl_inverse(risk, jnp.log(2 / sampling_delta) / draws)
    return Certificate(
        kl_inverse(risk_bound, prices[best]),
        risk,
        risk_bound,
        prices[best],
        nats[best],
        jnp.exp(logarithms[best]),
        jnp.asarray(1 - delta - sampling_delta, risk.dtype),
    )
