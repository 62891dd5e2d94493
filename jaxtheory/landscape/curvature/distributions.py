"""Distributions of targets given a network's outputs: exponential families in their natural parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

NAMES = ("categorical", "bernoulli", "normal", "poisson")
"""The distributions that have a name."""


class Distribution(NamedTuple):
    r"""A family $p(t \mid z) = h(t) \exp(\langle T(t), z \rangle - A(z))$ with a network's outputs $z$.

    Its Fisher information in $z$ is the Hessian of $A$, and its score is $T(t) - \nabla A(z)$.
    """

    log_partition: Callable[[Array], Array]
    """$A$ of outputs `(examples, ...)`, summed over all axes."""
    statistic: Callable[[Any, Array], Array]
    """$T$ of targets, shaped like the outputs."""
    draw: Callable[[Array, Array], Array]
    """$T$ of a target that is drawn by a key, given the outputs of one example."""


def _one_hot(target: Any, outputs: Array) -> Array:
    return jax.nn.one_hot(target, outputs.shape[-1], dtype=outputs.dtype)


def _as_it_is(target: Any, outputs: Array) -> Array:
    return jnp.asarray(target, outputs.dtype)


DISTRIBUTIONS = {
    "categorical": Distribution(
        lambda z: jnp.sum(jax.nn.logsumexp(z, axis=-1)),
        _one_hot,
        lambda key, z: _one_hot(jax.random.categorical(key, z), z),
    ),
    "bernoulli": Distribution(
        lambda z: jnp.sum(jax.nn.softplus(z)),
        _as_it_is,
        lambda key, z: jax.random.bernoulli(key, jax.nn.sigmoid(z)).astype(z.dtype),
    ),
    "normal": Distribution(
        lambda z: jnp.sum(z * z) / 2,
        _as_it_is,
        lambda key, z: z + jax.random.normal(key, z.shape, z.dtype),
    ),
    "poisson": Distribution(
        lambda z: jnp.sum(jnp.exp(z)),
        _as_it_is,
        lambda key, z: jax.random.poisson(key, jnp.exp(z)).astype(z.dtype),
    ),
}
