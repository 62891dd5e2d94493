"""Newton's method for the lasso: solve on the support, exchange atoms, until the signs repeat.

The codes on a support with given signs are the solution of a linear system as large as the support. Atoms
whose codes change their signs leave it, and those whose correlations exceed the penalty enter. Signs that
repeat are those of the minimum. Two steps are enough for most signals once ADMM has found most of the signs.
"""

from functools import partial

import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float, Int

from jaxtheory.sparse.pursuit.duality import Problem

STEPS = 8
"""The largest number of Newton steps for a signal."""

SUPPORTS = (16, 32, 64, 96)
"""Sizes of the linear systems: a block of signals takes the least in which all of its supports fit."""


def stationary_on_support(
    gram: Float[Array, "atoms atoms"],
    correlations: Float[Array, "n atoms"],
    sign: Float[Array, "n atoms"],
    weight: Array,
    sizes: Int[Array, " n"],
) -> Float[Array, "n atoms"]:
    """Returns codes on the support of given signs that are stationary there.

    Args:
        gram: The Gram matrix.
        correlations: The atoms' inner products with what is to be represented.
        sign: The signs of the codes; zero off the support.
        weight: The penalty of each code.
        sizes: The numbers of signs that are not zero, each at most the last of `SUPPORTS`.

    Returns:
        The codes, zero off the support.
    """
    target = correlations - jnp.where(sign != 0, weight, 0) * sign
    systems = [partial(_solved, size) for size in SUPPORTS]
    which = jnp.searchsorted(jnp.asarray(SUPPORTS), jnp.max(sizes))
    return lax.switch(which, systems, gram, target, sign != 0)


def _solved(size: int, gram: Array, target: Array, on: Array) -> Array:
    """Solves the Gram matrix's system on supports of at most `size` atoms."""
    rows = jnp.arange(len(on))[:, None]
    place = jnp.where(on, jnp.cumsum(on, axis=1) - 1, size)
    chosen = jnp.zeros((len(on), size), int).at[rows, place].set(jnp.arange(len(gram)), mode="drop")
    filled = jnp.arange(size) < jnp.sum(on, axis=1, keepdims=True)
    system = gram[chosen[:, :, None], chosen[:, None, :]]
    identity = jnp.eye(size, dtype=gram.dtype)
    factor = cho_factor(jnp.where(filled[:, :, None] & filled[:, None, :], system, identity), lower=True)
    values = cho_solve(factor, jnp.where(filled, jnp.take_along_axis(target, chosen, axis=1), 0)[..., None])[
        ..., 0
    ]
    return jnp.zeros_like(target).at[rows, chosen].add(jnp.where(filled, values, 0))


def signs_after(
    problem: Problem, codes: Array, correlations: Array, sign: Array, weight: Array
) -> Float[Array, "n atoms"]:
    """The signs after a step: atoms leave whose codes changed their signs, and atoms enter that violate.

    Args:
        problem: The part of the problem that all signals share.
        codes: The codes after the step, on the support of `sign`.
        correlations: The atoms' inner products with the residual.
        sign: The signs before the step.
        weight: The penalty of each code.

    Returns:
        The signs with which the next step begins.
    """
    enters = (sign == 0) & (problem.violation(correlations) > weight)
    stays = codes * sign > 0
    if not problem.nonnegative:
        stays |= (weight == 0) & (sign != 0)
    return jnp.sign(jnp.where(enters, correlations, jnp.where(stays, codes, 0)))
