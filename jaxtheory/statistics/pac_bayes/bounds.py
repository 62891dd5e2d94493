"""The bound on the risk of a network with random weights, and the bound as an objective of training."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import Reals, RealScalar
from jaxtheory.statistics.pac_bayes.gaussians import LARGEST, PRECISION, Posterior, divergence, draw

DELTA = 0.025
"""The probability with which the bound may fail."""
VACUOUS = 0.9
"""The bound beyond which training follows a relaxation, as the gradient of the bound itself vanishes."""


def divergence_bound(
    posterior: Posterior, prior: PyTree, n: int, *, delta: RealScalar = DELTA
) -> Float[Array, ""]:
    r"""Return the bound on the divergence of empirical risk and risk, in nats.

    $\mathrm{kl}(\hat e(Q) \| e(Q)) \le \frac{1}{n - 1} \big( \mathrm{KL}(Q \| P) + 2 \log(b \log(c /
    \lambda)) + \log \frac{\pi^2 n}{6 \delta} \big)$ holds with probability $1 - \delta$ over $n$ independent
    examples for all $Q$ and all $\lambda = c\,e^{-j/b}$, $j = 1, 2, \ldots$, with $c = 0.1$ and $b = 100$;
    here $\lambda$ is any number up to $c\,e^{-1/b}$, as training needs it, and `certify` rounds it.

    Args:
        posterior: The Gaussian $Q$.
        prior: The weights at the center of $P$, which must not depend on the examples.
        n: The number of examples, at least 2.
        delta: The probability $\delta$ with which the bound may fail, from 0 to 1, both excluded.

    Returns:
        The bound.

    Raises:
        TypeError: If the posterior is none, the prior has leaves that are not real floating-point arrays, or
            `n` is not a whole number.
        ValueError: If the prior is of another structure or shape, or a number is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import pac_bayes
        >>> posterior = pac_bayes.init(jnp.zeros(3), deviation=0.1, variance=0.01)
        >>> round(float(pac_bayes.divergence_bound(posterior, jnp.zeros(3), 1000)), 5)
        0.02199

    References:
        Gintare Karolina Dziugaite and Daniel Roy, "Computing nonvacuous generalization bounds for deep
        (stochastic) neural networks with many more parameters than training data", 2017.
    """
    n = checks.count("n", n, least=2)
    check_probability("delta", delta)
    level = PRECISION * (math.log(LARGEST) - posterior.log_variance)
    return (divergence(posterior, prior) + price(level, n, delta)) / (n - 1)


def price(level: Array, n: int, delta: Any) -> Array:
    """What the bound adds to the divergence: for the choice of the variance, and for its probability."""
    return 2 * jnp.log(jnp.maximum(level, 1)) + math.log(math.pi**2 * n / 6) - jnp.log(delta)


def kl_inverse(risk: Reals, divergence: Reals) -> Float[Array, "..."]:
    r"""Return the largest risk whose binary divergence from an empirical risk is at most a given one.

    $\max \{p : \mathrm{kl}(q \| p) \le c\}$ with $\mathrm{kl}(q \| p) = q \log \frac qp + (1 - q) \log
    \frac{1 - q}{1 - p}$, by bisection, from above. It is differentiable, implicitly. A mean $q$ of $k$
    independent numbers from 0 to 1 is a certificate of their expected mean, at most the inverse at
    $c = \log(1 / \delta) / k$ with probability $1 - \delta$ (Chernoff and Hoeffding).

    Args:
        risk: The empirical risk $q$, at least 0; above 1 it counts as 1.
        divergence: The bound $c$ on the divergence, at least 0, in nats.

    Returns:
        The risk, from $q$ to 1.

    Raises:
        TypeError: If an argument is complex or not a number.
        ValueError: If an argument (where its values are known) is negative.

    Example:
        >>> from jaxtheory.statistics import pac_bayes
        >>> round(float(pac_bayes.kl_inverse(0.0, 0.5)), 4)  # 1 - exp(-1/2)
        0.3935

    References:
        Wassily Hoeffding, "Probability inequalities for sums of bounded random variables", 1963.
    """
    checks.nonnegative("risk", risk)
    checks.nonnegative("divergence", divergence)
    (risk, divergence), back = real_arrays(risk=risk, divergence=divergence)
    return back(_kl_inverse(*jnp.broadcast_arrays(jnp.minimum(risk, 1), divergence)))


@jax.custom_jvp
def _kl_inverse(q: Array, c: Array) -> Array:
    def divergence(p: Array) -> Array:
        return jax.scipy.special.rel_entr(q, p) + jax.scipy.special.rel_entr(1 - q, 1 - p)

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        inside = divergence(middle) <= c
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    steps = jnp.finfo(q.dtype).nmant + 8
    return lax.fori_loop(0, steps, halve, (q, jnp.ones_like(q)))[1]


@_kl_inverse.defjvp
def _kl_inverse_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """The divergence stays at its bound; where the risk is 0 or 1, as close to it as the dtype allows."""
    q, c = primals
    p = _kl_inverse(q, c)
    eps = jnp.finfo(q.dtype).eps
    inner_q, inner_p = (jnp.clip(one, eps, 1 - eps) for one in (q, p))
    to_c = inner_p * (1 - inner_p) / jnp.maximum(inner_p - inner_q, eps)
    to_q = to_c * (jax.scipy.special.logit(inner_p) - jax.scipy.special.logit(inner_q))
    return p, to_q * tangents[0] + to_c * tangents[1]


def objective(loss: Callable[..., Any], n: int, *, delta: RealScalar = DELTA) -> Callable[..., Any]:
    r"""Return the bound as an objective of training, with a loss in place of the error.

    At each call weights are drawn, and the gradient reaches means and deviations through them. The bound is
    the inverse of the divergence at $q = \min(L, 1)$, with the loss $L$ of the weights; where this is nearly
    vacuous, its relaxation $(\sqrt{L + c/2} + \sqrt{c/2})^2$, whose gradient does not vanish.

    Args:
        loss: The function `loss(params, batch) -> scalar`, a differentiable stand-in for the share of errors,
            such as the mean probability of the wrong classes; the certificate counts the errors themselves.
        n: The number of all training examples, at least 2.
        delta: The probability with which the bound may fail, from 0 to 1, both excluded.

    Returns:
        The function `objective(posterior, prior, batch, key) -> (bound, (prior, metrics))`, as
        `networks.training` takes it with the prior's weights as its state, and the metrics `"risk"`, the
        loss, and `"divergence_bound"`.

    Raises:
        TypeError: If `n` is not a whole number.
        ValueError: If a number is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.statistics import pac_bayes
        >>> fit = pac_bayes.objective(lambda params, batch: jnp.mean((params - batch) ** 2), 1000)
        >>> posterior = pac_bayes.init(jnp.zeros(2), deviation=0.05)
        >>> bound, _ = fit(posterior, jnp.zeros(2), jnp.zeros((4, 2)), jax.random.key(0))
        >>> round(float(bound), 2)
        0.03

    References:
        Gintare Karolina Dziugaite and Daniel Roy, "Computing nonvacuous generalization bounds for deep
        (stochastic) neural networks with many more parameters than training data", 2017.
    """
    n = checks.count("n", n, least=2)
    check_probability("delta", delta)

    def bound(posterior: Posterior, prior: PyTree, batch: Any, key: Any) -> Any:
        found = loss(draw(posterior, key), batch)
        nats = divergence_bound(posterior, prior, n, delta=delta)
        inverse = kl_inverse(found, nats)
        relaxed = (jnp.sqrt(found + nats / 2) + jnp.sqrt(nats / 2)) ** 2
        value = jnp.where(inverse < VACUOUS, inverse, relaxed)
        return value, (prior, {"risk": found, "divergence_bound": nats})

    return bound


def check_probability(name: str, value: Any) -> None:
    """Refuses what is not a number between 0 and 1, where it is known."""
    checks.axes(name, value)
    if checks.known(value) and not 0 < value < 1:
        raise ValueError(f"{name} is {value}: take a number between 0 and 1")
