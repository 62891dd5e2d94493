r"""A few steps of ADMM, which identify the signs of codes in far fewer steps than proximal gradients.

The alternating direction method of multipliers with a quadratic term of weight rho takes one product with
$(G + \rho I)^{-1}$ in each step. The inverse is computed once for each of a few values of rho.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxtheory.core.linalg import matmul
from jaxtheory.sparse.pursuit.duality import Problem

STEPS = 24
"""Steps of ADMM for each signal."""

RELAXATION = 1.8
"""The factor of over-relaxation, below 2."""

RHOS = tuple(2.0**power for power in range(-5, 2))
"""The values of rho to choose from, relative to the mean squared norm of the atoms."""

BEST_RHO = 1.8
"""The best rho, times the root of the ratio of the largest correlation and the penalty (measured)."""


class Inverses(NamedTuple):
    """Inverses of the Gram matrix plus rho times the identity, for each rho."""

    rhos: Float[Array, " rhos"]
    matrices: Float[Array, "rhos atoms atoms"]


def inverses(gram: Float[Array, "atoms atoms"]) -> Inverses:
    """Inverts the Gram matrix plus each of the multiples of the identity."""
    scale = jnp.mean(jnp.diagonal(gram))
    rhos = jnp.where(scale > 0, scale, 1) * jnp.asarray(RHOS, gram.dtype)
    identity = jnp.eye(len(gram), dtype=gram.dtype)
    return Inverses(rhos, lax.map(lambda rho: jnp.linalg.inv(gram + rho * identity), rhos))


def alternate(
    problem: Problem,
    prepared: Inverses,
    correlations: Float[Array, "n atoms"],
    weight: Array,
    ratios: Float[Array, " n"],
) -> Float[Array, "n atoms"]:
    """Takes `STEPS` steps of over-relaxed ADMM from zero.

    Args:
        problem: The part of the problem that all signals share.
        prepared: The inverses.
        correlations: The atoms' inner products with the signals.
        weight: The penalty of each code.
        ratios: The largest correlation of each signal over its penalty; their mean chooses rho for all.

    Returns:
        The codes.
    """
    dtype = correlations.dtype
    wanted = BEST_RHO / jnp.sqrt(jnp.mean(ratios))
    nearest = jnp.argmin(jnp.abs(jnp.log(wanted) - jnp.log(jnp.asarray(RHOS, dtype))))
    rho = prepared.rhos[nearest]
    bound = weight / rho
    matrix = RELAXATION * rho * prepared.matrices[nearest]
    shift = matmul(correlations, matrix) / rho

    # Codes and multipliers are both in v: thresholding leaves the codes and takes away the multipliers.
    def step(_: Array, v: Array) -> Array:
        codes = problem.threshold(v, bound)
        return v + shift + matmul(2 * codes - v, matrix) - RELAXATION * codes

    start = jnp.clip(correlations, -weight, weight) / rho
    return problem.threshold(lax.fori_loop(0, STEPS, step, start), bound)
