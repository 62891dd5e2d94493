"""Estimates with their standard errors over random probes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxtheory.core.records import record


@record
class Estimate:
    """An estimate with its standard error; unpacks as neither, its fields are named."""

    value: Float[Array, ""]
    """The estimate."""
    standard_error: Float[Array, ""]
    """Its standard error over the probes; NaN for a single probe."""


def standard_error(draws: Float[Array, "probes ..."]) -> Float[Array, "..."]:
    """The standard error of the mean over the leading axis; NaN for a single draw."""
    probes = len(draws)
    if probes == 1:
        return jnp.full(draws.shape[1:], jnp.nan, draws.dtype)
    return jnp.std(draws, axis=0, ddof=1) / jnp.sqrt(probes)


def jackknife(
    function: Callable[..., Array],
    nodes: Float[Array, "probes steps"],
    weights: Float[Array, "probes steps"],
) -> Estimate:
    """A function of the quadrature of all probes, with its standard error by leaving out one at a time."""
    probes = len(nodes)
    value = function(nodes, weights / probes)
    if probes == 1:
        return Estimate(value, jnp.full((), jnp.nan, nodes.dtype))

    def without(left_out: Array) -> Array:
        kept = jnp.arange(probes) != left_out
        return function(nodes, jnp.where(kept[:, None], weights, 0) / (probes - 1))

    others = jax.vmap(without)(jnp.arange(probes))
    deviation = jnp.sum((others - jnp.mean(others)) ** 2)
    return Estimate(value, jnp.sqrt((probes - 1) / probes * deviation))
