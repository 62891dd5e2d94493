"""The lasso as its solvers see it: the problem, its duality gap, and atoms that carry no penalty."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxtheory.core.linalg import conjugate_gradients
from jaxtheory.sparse.proximal import nonnegative_soft_threshold, soft_threshold

SETTLED = 16
"""A correlation with an atom that carries no penalty is zero at this multiple of rounding."""


class Problem(NamedTuple):
    """What all signals share: the operators, and the options of the lasso."""

    apply: Callable[[Array], Array]
    adjoint: Callable[[Array], Array]
    gram_product: Callable[[Array], Array]
    curvature: Float[Array, ""]
    """An upper bound of the Gram matrix's eigenvalues."""
    tolerance: Float[Array, ""]
    """The gap at which a signal is done, relative to its objective."""
    max_steps: int
    nonnegative: bool
    unpenalized: bool
    """Whether there may be atoms without a penalty."""

    def threshold(self, values: Array, thresholds: Array) -> Array:
        """The proximal operator of the penalty."""
        prox = nonnegative_soft_threshold if self.nonnegative else soft_threshold
        return prox(values, thresholds)

    def violation(self, correlations: Array) -> Array:
        """The part of a correlation that the penalty must not fall short of."""
        return correlations if self.nonnegative else jnp.abs(correlations)


def gap_and_objective(
    problem: Problem, codes: Array, correlations: Array, squared_norm: Array, weight: Array
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Returns the duality gap and the objective of codes.

    The dual point is the residual, scaled until it is feasible. The gap is a sum of nonnegative terms, as the
    primal value minus the dual one would cancel in single precision.

    Args:
        problem: The part of the problem that all signals share.
        codes: The codes.
        correlations: The atoms' inner products with the residual, zero for atoms without a penalty.
        squared_norm: The squared norm of the residual.
        weight: The penalty of each code, `(n, 1)` or `(n, atoms)`.

    Returns:
        Both for each signal.
    """
    penalized = weight > 0
    violation = problem.violation(correlations)
    excess = jnp.max(jnp.where(penalized, violation / jnp.where(penalized, weight, 1), 0), axis=1)
    scale = 1 / jnp.maximum(1, excess)
    charged = jnp.where(penalized & (codes != 0), codes, 0)
    # An infinite weight is that of a code of zero.
    cost = jnp.where(charged != 0, weight, 0) * jnp.abs(charged)
    slack = cost - scale[:, None] * charged * correlations
    gap = (1 - scale) ** 2 * squared_norm / 2 + jnp.sum(slack, axis=1)
    return gap, squared_norm / 2 + jnp.sum(cost, axis=1)


def settle_unpenalized(problem: Problem, codes: Array, residual: Array, weight: Array) -> tuple[Array, Array]:
    """Minimizes over the codes of the atoms without a penalty, so that the residual has no part along them.

    Args:
        problem: The part of the problem that all signals share.
        codes: The codes.
        residual: The residual: the signals less what the codes represent.
        weight: The penalty of each code.

    Returns:
        The codes and the residual; unchanged where every atom has a penalty, or where a code that may not be
        negative would become so.
    """

    def settled() -> tuple[Array, Array]:
        free = _unpenalized(problem, codes, weight)
        target = jnp.where(free, problem.adjoint(residual), 0)
        change = conjugate_gradients(lambda v: jnp.where(free, problem.gram_product(v), 0), target)
        if problem.nonnegative:
            change = jnp.where(jnp.all(codes + change >= 0, axis=1, keepdims=True), change, 0)
        return codes + change, residual - problem.apply(change)

    if not problem.unpenalized:
        return codes, residual
    return lax.cond(jnp.any(weight == 0), settled, lambda: (codes, residual))


def unsettled(problem: Problem, codes: Array, correlations: Array, weight: Array) -> Bool[Array, " n"]:
    """Whether the residual still has a part along an atom without a penalty: then no gap is known."""
    if not problem.unpenalized:
        return jnp.zeros(len(codes), bool)
    free = _unpenalized(problem, codes, weight)
    along = jnp.where(free, jnp.abs(correlations), jnp.where(weight == 0, problem.violation(correlations), 0))
    # In the units of the solver, the largest entry of a signal is near one.
    rounding = SETTLED * jnp.finfo(codes.dtype).eps * jnp.sqrt(problem.curvature)
    size = jnp.maximum(1, jnp.sqrt(problem.curvature) * jnp.max(jnp.abs(codes), axis=1))
    return jnp.max(along, axis=1) > rounding * size


def _unpenalized(problem: Problem, codes: Array, weight: Array) -> Bool[Array, "n atoms"]:
    """The codes that are free to move: without a penalty and, if they may not be negative, positive."""
    free = jnp.broadcast_to(weight == 0, codes.shape)
    return free & (codes > 0) if problem.nonnegative else free
