"""Damped inverses of operators, by conjugate gradients."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxtheory.core import checks
from jaxtheory.core.records import record, static
from jaxtheory.core.types import RealScalar
from jaxtheory.landscape.curvature.operators import Operator


@record
class SolveResult:
    """The solution of a linear system; with several right-hand sides every field has their leading axis."""

    solution: PyTree
    """The solution x of (A + λ) x = b, or NaN where A + λ was found not to be positive definite."""
    residual: Float[Array, "..."]
    """The norm of b - (A + λ) x, computed from the solution."""
    steps: Int[Array, "..."]
    """The number of steps taken."""
    converged: Bool[Array, "..."]
    """Whether the tolerance was met."""


@record
class Inverse(Operator):
    r"""The inverse $(A + \lambda)^{-1}$ of a damped operator, each product of which solves a system."""

    operator: Any
    """The operator A."""
    damping: Any
    """The number λ that is added."""
    tolerance: float | None
    max_steps: int = static()

    @property
    def template(self) -> PyTree:
        """The operator's template."""
        return self.operator.template

    def apply(self, vector: PyTree) -> PyTree:
        """Multiply one vector."""
        many = self.apply_many(jax.tree.map(lambda leaf: leaf[None], vector))
        return jax.tree.map(lambda leaf: leaf[0], many)

    def apply_many(self, vectors: PyTree) -> PyTree:
        """Multiply vectors that are stacked on a leading axis of every leaf, in steps that they share."""
        return _solved(self, vectors).solution

    def solve(self, vector: PyTree) -> SolveResult:
        """Multiply one vector or several, and say how well the systems are solved.

        Args:
            vector: The right-hand side, a pytree like `template`; every leaf may have one more axis in front.

        Returns:
            The solution with its residual.
        """
        vector, several = self._vector(vector)
        if several:
            return _solved(self, vector)
        result = _solved(self, jax.tree.map(lambda leaf: leaf[None], vector))
        return jax.tree.map(lambda leaf: leaf[0], result)


def damped_inverse(
    operator: Operator, damping: RealScalar, *, tolerance: float | None = None, max_steps: int = 1000
) -> Inverse:
    r"""Return the inverse $(A + \lambda)^{-1}$ of a damped operator, by conjugate gradients.

    Args:
        operator: The operator $A$; damped, it is positive definite.
        damping: The number $\lambda \ge 0$ that is added.
        tolerance: The residual at which a system counts as solved, relative to the norm of its right-hand
            side; by default what the dtype can reach.
        max_steps: The largest number of steps, at least 1.

    Returns:
        The operator; its method `solve` gives the residual beside the solution. Where a direction of
        curvature that is not positive is met, the solution is NaN.

    Raises:
        TypeError: If the operator is none, or `max_steps` is not a whole number.
        ValueError: If damping or tolerance is negative, or `max_steps` is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> inverse = curvature.damped_inverse(curvature.Matrix(jnp.diag(jnp.array([1.0, 3.0]))), 1.0)
        >>> inverse.matvec(jnp.ones(2))
        Array([0.5 , 0.25], dtype=float32)

    References:
        Magnus R. Hestenes and Eduard Stiefel, "Methods of conjugate gradients for solving linear systems",
        1952.
    """
    if not isinstance(operator, Operator):
        raise TypeError(f"operator is a {type(operator).__name__}: take one of the operators of curvature")
    checks.axes("damping", jnp.asarray(damping))
    checks.nonnegative("damping", damping)
    if tolerance is not None:
        checks.nonnegative("tolerance", tolerance)
    max_steps = checks.count("max_steps", max_steps)
    return Inverse(operator=operator, damping=damping, tolerance=tolerance, max_steps=max_steps)


@jax.jit
def _solved(inverse: Inverse, vectors: PyTree) -> SolveResult:
    """Conjugate gradients for all right-hand sides at once; a row that is done is left as it is."""
    operator = inverse.operator
    target = operator.flat(vectors)
    damping = jnp.asarray(inverse.damping, target.dtype)
    eps = jnp.finfo(target.dtype).eps

    def product(rows: Array) -> Array:
        return operator.flat(operator.apply_many(operator.unflat(rows))) + damping * rows

    def goal(x: Array, largest: Array) -> Array:
        """The norms of the residuals at which rows are done."""
        if inverse.tolerance is not None:
            return inverse.tolerance * _norms(target)
        # Beyond this, rounding in a single product is larger than the residual.
        return eps * (_norms(target) + largest * _norms(x))

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        steps, x, residual, direction, largest, bad = carry
        live = _live(carry)
        image = product(direction)
        squared = jnp.sum(residual**2, axis=1)
        bend, length = jnp.sum(direction * image, axis=1), jnp.sum(direction**2, axis=1)
        bad = bad | (live & ~(bend > 0))
        largest = jnp.where(live & (bend > 0), jnp.maximum(largest, bend / length), largest)
        rate = jnp.where(live & (bend > 0), squared / jnp.where(bend > 0, bend, 1), 0)[:, None]
        x, residual = x + rate * direction, residual - rate * image
        beta = jnp.sum(residual**2, axis=1) / jnp.where(squared > 0, squared, 1)
        direction = jnp.where(live[:, None], residual + beta[:, None] * direction, direction)
        return steps + live, x, residual, direction, largest, bad

    def _live(carry: tuple[Array, ...]) -> Array:
        steps, x, residual, _, largest, bad = carry
        return ~bad & (steps < inverse.max_steps) & (_norms(residual) > goal(x, largest))

    zeros = jnp.zeros(len(target), target.dtype)
    start = (
        jnp.zeros(len(target), jnp.int32),
        jnp.zeros_like(target),
        target,
        target,
        zeros,
        jnp.zeros(len(target), bool),
    )
    steps, x, residual, _, largest, bad = jax.lax.while_loop(lambda carry: jnp.any(_live(carry)), step, start)
    met = _norms(residual) <= goal(x, largest)
    x = jnp.where(bad[:, None], jnp.nan, x)
    return SolveResult(
        solution=operator.unflat(x),
        residual=_norms(target - product(x)),
        steps=steps,
        converged=met & ~bad,
    )


def _norms(rows: Array) -> Array:
    return jnp.sqrt(jnp.sum(rows**2, axis=1))
