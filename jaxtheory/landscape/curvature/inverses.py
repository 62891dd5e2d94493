"""Damped inverses of operators, by conjugate gradients."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
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
    damping: RealScalar
    """The number λ that is added."""
    tolerance: RealScalar | None
    """The residual relative to the right-hand side at which a system counts as solved."""
    max_steps: int = static()
    """The largest number of steps."""

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
    operator: Operator, damping: RealScalar, *, tolerance: RealScalar | None = None, max_steps: int = 1000
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
    checks.instance("operator", operator, Operator, "one of the operators of curvature")
    checks.axes("damping", as_array("damping", damping))
    checks.nonnegative("damping", damping)
    if tolerance is not None:
        checks.nonnegative("tolerance", tolerance)
    max_steps = checks.count("max_steps", max_steps)
    return Inverse(operator=operator, damping=damping, tolerance=tolerance, max_steps=max_steps)


@jax.jit
def _solved(inverse: Inverse, vectors: PyTree) -> SolveResult:
    """All systems at once; their derivative is that of the solution, not of the steps to it."""
    operator = inverse.operator
    target = operator.flat(vectors)
    damping = jnp.asarray(inverse.damping, target.dtype)

    def product(rows: Array) -> Array:
        return operator.flat(operator.apply_many(operator.unflat(rows))) + damping * rows

    def solve(product: Any, target: Array) -> tuple[Array, tuple[Array, Array]]:
        return _conjugate_gradients(product, target, inverse.tolerance, inverse.max_steps)

    x, (steps, converged) = jax.lax.custom_linear_solve(product, target, solve, symmetric=True, has_aux=True)
    residual = _norms(target - product(x))
    return SolveResult(solution=operator.unflat(x), residual=residual, steps=steps, converged=converged)


def _conjugate_gradients(
    product: Any, target: Float[Array, "k n"], tolerance: Any, max_steps: int
) -> tuple[Array, tuple[Array, Array]]:
    """Solves for all right-hand sides; a row that is done is left as it is."""
    eps = jnp.finfo(target.dtype).eps
    size = _norms(target)

    def live(carry: tuple[Array, ...]) -> Array:
        steps, x, residual, _, largest, bad = carry
        return ~bad & (steps < max_steps) & (_norms(residual) > goal(x, largest))

    def goal(x: Array, largest: Array) -> Array:
        # Below eps times the product's size, the residual is that product's own rounding.
        return eps * (size + largest * _norms(x)) if tolerance is None else tolerance * size

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        steps, x, residual, direction, largest, bad = carry
        on = live(carry)
        image = product(direction)
        squared, bend = jnp.sum(residual**2, axis=1), jnp.sum(direction * image, axis=1)
        fine = on & (bend > 0)
        rate = jnp.where(fine, squared / jnp.where(fine, bend, 1), 0)[:, None]
        x, residual = x + rate * direction, residual - rate * image
        largest = jnp.where(fine, jnp.maximum(largest, bend / jnp.sum(direction**2, axis=1)), largest)
        beta = jnp.sum(residual**2, axis=1) / jnp.where(squared > 0, squared, 1)
        direction = jnp.where(on[:, None], residual + beta[:, None] * direction, direction)
        return steps + on, x, residual, direction, largest, bad | (on & ~fine)

    rows = len(target)
    start = (
        jnp.zeros(rows, jnp.int32),
        jnp.zeros_like(target),
        target,
        target,
        jnp.zeros(rows, target.dtype),
        jnp.zeros(rows, bool),
    )
    steps, x, residual, _, largest, bad = jax.lax.while_loop(lambda carry: jnp.any(live(carry)), step, start)
    converged = ~bad & (_norms(residual) <= goal(x, largest))
    return jnp.where(bad[:, None], jnp.nan, x), (steps, converged)


def _norms(rows: Float[Array, "k n"]) -> Float[Array, " k"]:
    return jnp.sqrt(jnp.sum(rows**2, axis=1))
