"""Gaussians over the weights of a network: draws from them, and their divergence from the prior."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks, trees
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import RandomKey, RealScalar

LARGEST, PRECISION = 0.1, 100
r"""The variances $c\,e^{-j/b}$, $j = 1, 2, \dots$, of the priors among which the bound allows to choose."""
VARIANCE = math.exp(-6)
"""The variance of the prior at the start of training."""


@record
class Posterior:
    """A Gaussian over the weights of a network, and the variance of the prior that goes with it."""

    mean: PyTree
    """The means of the weights."""
    log_deviation: PyTree
    """The logarithms of their standard deviations, a pytree like the means."""
    log_variance: Float[Array, ""]
    r"""The logarithm of the variance $\lambda$ of the prior's weights."""


def init(params: PyTree, *, deviation: RealScalar, variance: RealScalar = VARIANCE) -> Posterior:
    r"""Return a Gaussian about given weights, from which training starts.

    Args:
        params: The means of the weights, usually those of a trained network.
        deviation: The standard deviation of each weight, positive.
        variance: The variance $\lambda$ of the prior, positive and below 0.1.

    Returns:
        The posterior.

    Raises:
        TypeError: If parameters are not real floating-point arrays.
        ValueError: If there are no parameters, or a number is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import pac_bayes
        >>> posterior = pac_bayes.init({"w": jnp.ones(3)}, deviation=0.1, variance=0.01)
        >>> float(pac_bayes.divergence(posterior, {"w": jnp.zeros(3)}))
        150.0
    """
    mean = trees.real_leaves("params", params)
    checks.positive("deviation", deviation, one=True)
    checks.positive("variance", variance, one=True)
    (deviation, variance), _ = real_arrays(deviation=deviation, variance=variance)
    if checks.known(variance) and not variance < LARGEST:
        raise ValueError(f"variance is {variance}: take a number below {LARGEST}")
    spread = jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.log(deviation), leaf.dtype), mean)
    dtype = jnp.result_type(*jax.tree.leaves(mean))
    return Posterior(mean, spread, jnp.log(variance).astype(dtype))


def draw(posterior: Posterior, key: RandomKey) -> PyTree:
    """Draw the weights of a network.

    Args:
        posterior: The Gaussian.
        key: The random key.

    Returns:
        The weights, a pytree like the means.

    Raises:
        TypeError: If the posterior is none, or `key` is not a random key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.statistics import pac_bayes
        >>> posterior = pac_bayes.init(jnp.zeros(10_000), deviation=0.5)
        >>> round(float(pac_bayes.draw(posterior, jax.random.key(0)).std()), 2)
        0.5
    """
    checks.instance("posterior", posterior, Posterior, "a Posterior, as init makes it")
    checks.random_key("key", key)
    means, structure = jax.tree.flatten(posterior.mean)
    spreads, keys = jax.tree.leaves(posterior.log_deviation), jax.random.split(key, len(means))
    drawn = [
        mean + jnp.exp(spread) * jax.random.normal(one, mean.shape, mean.dtype)
        for mean, spread, one in zip(means, spreads, keys)
    ]
    return jax.tree.unflatten(structure, drawn)


def divergence(posterior: Posterior, prior: PyTree) -> Float[Array, ""]:
    r"""Return the divergence of the posterior from the prior, in nats.

    $\mathrm{KL}(Q \| P) = \frac12 \sum_i \big( r_i - 1 - \log r_i + \frac{(w_i - w^0_i)^2}{\lambda} \big)$
    with $r_i = \sigma_i^2 / \lambda$, in which no term is negative.

    Args:
        posterior: The Gaussian $Q$, with means $w$ and standard deviations $\sigma$.
        prior: The weights $w^0$ at the center of $P = N(w^0, \lambda I)$.

    Returns:
        The divergence.

    Raises:
        TypeError: If the posterior is none, or the prior has leaves that are not real floating-point arrays.
        ValueError: If the prior is of another structure or shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import pac_bayes
        >>> posterior = pac_bayes.init(jnp.zeros(3), deviation=0.1, variance=0.01)
        >>> float(pac_bayes.divergence(posterior, jnp.array([0.1, 0.0, 0.0])))
        0.5

    References:
        Solomon Kullback and Richard Leibler, "On information and sufficiency", 1951.
    """
    checks.instance("posterior", posterior, Posterior, "a Posterior, as init makes it")
    prior = trees.same_form("prior", prior, posterior.mean)
    return divergence_at(posterior, prior, posterior.log_variance)


def divergence_at(posterior: Posterior, prior: PyTree, log_variance: Array) -> Array:
    """The divergence from the prior with a variance of its own."""

    def part(mean: Array, spread: Array, center: Array) -> Array:
        ratio = 2 * spread - log_variance
        return jnp.sum(jnp.expm1(ratio) - ratio + (mean - center) ** 2 * jnp.exp(-log_variance)) / 2

    parts = jax.tree.map(part, posterior.mean, posterior.log_deviation, prior)
    return sum(jax.tree.leaves(parts))
