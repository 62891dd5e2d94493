"""Accelerated proximal steps, and conjugate gradients on the support that they find.

Either kind of step costs one product with the Gram matrix, so that signals in different phases share it. Once
the signs of a signal's codes have been the same for `STEADY` proximal steps, conjugate gradients minimize
over its support. They stop at the first coefficient that would change its sign, and give way to proximal
steps when the optimality conditions are violated more outside the support than on it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxtheory.sparse.pursuit.duality import Problem, gap_and_objective

CHECK = 4
"""Steps between two evaluations of the duality gap."""

ROUND = 16
"""Steps of a block of signals before they are sorted again."""

STEADY = 3
"""Steps without a change of signs after which conjugate gradients begin."""

CONJUGATE = -1
"""The phase of a signal within conjugate gradients; others count steps without a change of signs."""


class Iterate(NamedTuple):
    """The state of signals between two steps, one in each row."""

    codes: Float[Array, "n atoms"]
    correlations: Float[Array, "n atoms"]
    """The atoms' inner products with the residual."""
    direction: Float[Array, "n atoms"]
    """The last change of the codes."""
    image: Float[Array, "n atoms"]
    """The Gram matrix times the direction."""
    curvature: Float[Array, " n"]
    """The inner product of the direction and its image."""
    t: Float[Array, " n"]
    """The sequence of FISTA, from which its momentum follows."""
    momentum: Float[Array, " n"]
    phase: Int[Array, " n"]
    steps: Int[Array, " n"]
    live: Bool[Array, " n"]
    """Whether there are steps left to take."""


def advance(problem: Problem, iterate: Iterate, squared_norm: Array, weight: Array) -> Iterate:
    """Takes each signal of a block up to `ROUND` steps further.

    Args:
        problem: The part of the problem that all signals share.
        iterate: The state of the signals.
        squared_norm: The squared norm of the residuals at the start; it serves to stop early, and is not kept
            up to date.
        weight: The penalty of each code.

    Returns:
        The state after these steps; signals that are not live are left as they are.
    """

    def some_steps(carry: tuple[Array, Iterate]) -> tuple[Array, Iterate]:
        count, now = carry
        now = lax.fori_loop(0, CHECK, lambda _, one: _step(problem, one, weight), now)
        gap, objective = gap_and_objective(problem, now.codes, now.correlations, squared_norm, weight)
        live = now.live & ~(gap <= problem.tolerance * objective) & (now.steps < problem.max_steps)
        return count + CHECK, now._replace(live=live)

    def goes_on(carry: tuple[Array, Iterate]) -> Array:
        return (carry[0] < ROUND) & jnp.any(carry[1].live)

    return lax.while_loop(goes_on, some_steps, (jnp.zeros((), int), iterate))[1]


def _step(problem: Problem, now: Iterate, weight: Array) -> Iterate:
    """One step of each live signal: a proximal one, or one of conjugate gradients."""
    z, c = now.codes, now.correlations
    on = z != 0
    gradient = jnp.where(on, c - jnp.where(z > 0, weight, -weight), 0)
    outside = jnp.where(on, 0, jnp.maximum(problem.violation(c) - weight, 0))
    on_support_first = _reduced(jnp.add, gradient**2) > _reduced(jnp.add, outside**2)
    goes_on = (now.phase == CONJUGATE) & on_support_first
    conjugate = goes_on | ((now.phase >= STEADY) & on_support_first)
    beta = jnp.where(
        goes_on & (now.curvature > 0), _reduced(jnp.add, gradient * now.image) / now.curvature, 0
    )
    conjugate_direction = jnp.where(on, gradient - _column(beta) * now.direction, 0)

    momentum = _column(now.momentum)
    y = z + momentum * now.direction
    target = problem.threshold(y + (c - momentum * now.image) / problem.curvature, weight / problem.curvature)
    direction = jnp.where(_column(conjugate), conjugate_direction, target - z)
    image = problem.gram_product(direction)
    curvature = _reduced(jnp.add, direction * image)
    room = jnp.where(
        (z * direction < 0) & (weight > 0 if not problem.nonnegative else True), -z / direction, jnp.inf
    )
    nearest = _reduced(jnp.minimum, room)
    whole = jnp.where(curvature > 0, _reduced(jnp.add, direction * gradient) / curvature, 0)
    blocked = whole >= nearest
    length = _column(jnp.where(conjugate, jnp.minimum(whole, nearest), 1))
    along = jnp.where(_column(blocked) & (room <= _column(nearest)), 0, z + length * direction)

    restart = _reduced(jnp.add, (y - target) * (target - z)) > 0
    same = _reduced(jnp.logical_and, jnp.sign(target) == jnp.sign(z))
    t = jnp.where(restart, 1, now.t)
    after = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
    new = Iterate(
        codes=jnp.where(_column(conjugate), along, target),
        correlations=c - length * image,
        direction=direction,
        image=image,
        curvature=curvature,
        t=jnp.where(conjugate, 1, after),
        momentum=jnp.where(conjugate, 0, (t - 1) / after),
        # A blocked step of conjugate gradients begins them anew.
        phase=jnp.where(
            conjugate,
            jnp.where(blocked, STEADY, CONJUGATE),
            jnp.where(same, jnp.maximum(now.phase, 0) + 1, 0),
        ),
        steps=now.steps + 1,
        live=now.live,
    )
    live = now.live & (now.steps < problem.max_steps)
    return jax.tree.map(
        lambda value, old: jnp.where(_column(live) if value.ndim == 2 else live, value, old), new, now
    )


def _column(values: Array) -> Array:
    return values[:, None]


def _reduced(join: Callable[[Array, Array], Array], values: Array) -> Array:
    """Joins the values of each row, in halves: vector instructions, which XLA's reduction is not."""
    while values.shape[1] % 2 == 0 and values.shape[1] > 16:
        half = values.shape[1] // 2
        values = join(values[:, :half], values[:, half:])
    return join.reduce(values, axis=1)
