r"""Newton's method with MINRES: critical points from products with the Hessian, without its matrix."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import RealScalar
from jaxtheory.landscape.critical.points import CriticalPoint, Loss, check, flat, limit, point
from jaxtheory.landscape.curvature.operators import Operator

HALVINGS = 30
"""The number of times that a step is halved before the search ends."""
SLOPE = 1e-4
"""The share of the decrease promised by the linear model that a step has to bring."""


@record
class MinresResult:
    """A solution of least residual."""

    solution: PyTree
    """The solution."""
    residual: Float[Array, "..."]
    """The norm of the residual over that of the target."""
    steps: Int[Array, "..."]
    """The number of steps taken."""
    converged: Bool[Array, "..."]
    """Whether the residual is at most the tolerance, or cannot be made smaller."""


def minres(
    operator: Operator, target: PyTree, *, max_steps: int | None = None, tolerance: RealScalar | None = None
) -> MinresResult:
    r"""Solve a symmetric system, indefinite or singular, by the least residual in growing Krylov spaces.

    After k steps the solution minimizes $\|A x - b\|$ over the span of $b, A b, \ldots, A^{k-1} b$. It ends,
    too, where the residual $r$ is the least that there is: $\|A r\| \le \sqrt\epsilon \, \|A\| \|r\|$ for the
    rounding unit $\epsilon$ of the dtype. Eigenvalues below $\sqrt\epsilon \|A\|$ so count as zero.

    Args:
        operator: The symmetric operator $A$.
        target: The right-hand side $b$, a pytree like the operator's template.
        max_steps: The largest number of steps, at least 1; by default the dimension.
        tolerance: The residual relative to the target at which the steps end, 0 or more; by default
            $\epsilon^{3/4}$ for the rounding unit $\epsilon$ of the dtype.

    Returns:
        The solution, with its residual. Of a singular system without a solution it is that of least
        residual.

    Raises:
        ValueError: If the target is not like the template, or an option is out of range.
        TypeError: If the target is not real, or the number of steps is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import critical
        >>> from jaxtheory.landscape.curvature import Matrix
        >>> critical.minres(Matrix(jnp.diag(jnp.array([2.0, -1.0]))), jnp.array([2.0, 3.0])).solution
        Array([ 1., -3.], dtype=float32)

    References:
        Paige and Saunders, Solution of sparse indefinite systems of linear equations, 1975.
    """
    steps = checks.count("max_steps", operator.dimension if max_steps is None else max_steps)
    if not jax.tree.leaves(target):
        raise ValueError("target holds no array: take a pytree like the operator's template")
    dtype = jnp.result_type(*jax.tree.leaves(operator.template))
    target = jax.tree.map(lambda leaf: real_arrays(target=leaf)[0][0].astype(dtype), target)
    return _solved(operator, target, steps, limit(tolerance, target))


@partial(jax.jit, static_argnames="max_steps")
def _solved(operator: Operator, target: PyTree, max_steps: int, tolerance: Any) -> MinresResult:
    b, unravel = ravel_pytree(target)

    def product(v: Array) -> Array:
        return ravel_pytree(operator.matvec(unravel(v)))[0]

    solution, residual, steps, converged = minimal_residual(product, b, max_steps, tolerance)
    return MinresResult(unravel(solution), residual, steps, converged)


def minimal_residual(product: Any, b: Array, max_steps: int, tolerance: Any) -> tuple[Array, ...]:
    """Minimize the residual over growing Krylov spaces: the recurrence of Paige and Saunders on one vector.

    Args:
        product: The operator on a vector.
        b: The right-hand side.
        max_steps: The largest number of steps.
        tolerance: The relative residual at which the steps end.

    Returns:
        The solution, the relative residual, the number of steps, and whether nothing more is to be gained.
    """
    norm = jnp.linalg.norm(b)
    safe = jnp.where(norm > 0, norm, 1)
    zero, one = jnp.zeros_like(b), jnp.ones((), b.dtype)
    # Rounding keeps ‖A r‖ of a least residual r far above eps; by its square the residual could be less.
    negligible = jnp.sqrt(jnp.finfo(b.dtype).eps)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        steps, x, lanczos, (w_before, w), (c_before, c, s_before, s), eta, _ = carry
        before, v, beta, scale = lanczos
        image = product(v) - beta * before
        alpha = jnp.vdot(v, image, precision="highest")
        image = image - alpha * v
        following = jnp.linalg.norm(image)
        scale = jnp.maximum(scale, jnp.sqrt(beta**2 + alpha**2 + following**2))
        third, second = s_before * beta, s * alpha + c * c_before * beta
        first = c * alpha - s * c_before * beta
        pivot = jnp.sqrt(first**2 + following**2)
        # A residual that the operator maps to zero is the least: another step would divide by rounding.
        stuck = jnp.sqrt(first**2 + (c * following) ** 2) <= negligible * scale
        pivot = jnp.where(pivot > 0, pivot, 1)
        turned = first / pivot, following / pivot
        w_next = (v - third * w_before - second * w) / pivot
        x = jnp.where(stuck, x, x + turned[0] * eta * w_next)
        eta = jnp.where(stuck, eta, -turned[1] * eta)
        v_next = image / jnp.where(following > 0, following, 1)
        lanczos, directions = (v, v_next, following, scale), (w, w_next)
        rotations = (c, turned[0], s, turned[1])
        return steps + 1, x, lanczos, directions, rotations, eta, stuck

    def goes_on(carry: tuple[Any, ...]) -> Array:
        steps, *_, eta, stuck = carry
        return (steps < max_steps) & (jnp.abs(eta) > tolerance * norm) & ~stuck

    none = jnp.zeros_like(one)
    lanczos, rotations = (zero, b / safe, none, none), (one, one, none, none)
    start = (jnp.zeros((), int), zero, lanczos, (zero, zero), rotations, norm, jnp.zeros((), bool))
    steps, x, *_, eta, stuck = lax.while_loop(goes_on, step, start)
    residual = jnp.abs(eta) / safe
    return x, residual, steps, (residual <= tolerance) | stuck


def newton_minres(
    loss: Loss,
    params: PyTree,
    batch: PyTree = None,
    *,
    max_steps: int = 100,
    inner_steps: int | None = None,
    tolerance: RealScalar | None = None,
    cutoff: RealScalar | None = None,
    eigenvalues: bool = True,
) -> CriticalPoint:
    r"""Find a critical point of any index by Newton steps that MINRES solves for, with halving.

    The step $d$ minimizes $\|H d + g\|$ over a Krylov space of the Hessian $H$ and the gradient $g$, up to
    $\min(0.1, \sqrt{\|g\|})$ of $\|g\|$, and is halved until $\|g\|^2$ falls by a share of what the linear
    model promises. Products with the Hessian are all that it takes, so that the number of parameters is
    bounded by nothing but their cost.

    Args:
        loss: The loss, a function of parameters and a batch that returns one number.
        params: The start, a pytree of floating arrays.
        batch: The data that the loss takes as its second argument.
        max_steps: The largest number of Newton steps, at least 1.
        inner_steps: The largest number of products with the Hessian for one step, at least 1; by default the
            number of parameters.
        tolerance: The norm of the gradient at which the search ends, 0 or more; by default $\epsilon^{3/4}$
            for the rounding unit $\epsilon$ of the dtype.
        cutoff: The distance from zero within which an eigenvalue counts as zero, 0 or more; by default
            $\sqrt\epsilon$ times the largest modulus.
        eigenvalues: Whether the Hessian is formed at the end, once, for its eigenvalues and the index. Beyond
            some thousand parameters take `False`, and eigenvalues at the ends from
            `spectrum.top_eigenpairs`.

    Returns:
        The point; `steps` counts Newton steps, and `damping` is the length of the last one over the full one.

    Raises:
        ValueError: If there are no parameters, the loss is not one number, or an option is out of range.
        TypeError: If parameters or loss are not of floating numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import critical
        >>> def double_well(w, _):
        ...     return (w[0] ** 2 - 1) ** 2 + w[1] ** 2
        >>> found = critical.newton_minres(double_well, jnp.array([0.2, 0.5]))
        >>> int(found.index), round(float(found.loss), 4)
        (1, 1.0)

    References:
        Roosta, Liu, Xu and Mahoney, Newton-MR: inexact Newton method with minimum residual sub-problem
        solver, 2022.
        Frye, Simon, Wadia, Ligeralde, DeWeese and Bouchard, Critical point-finding methods reveal
        gradient-flat regions of deep network losses, 2021.
    """
    check(loss, params, batch)
    steps = checks.count("max_steps", max_steps)
    size = sum(jnp.size(leaf) for leaf in jax.tree.leaves(params))
    inner = checks.count("inner_steps", size if inner_steps is None else inner_steps)
    formed = checks.flag("eigenvalues", eigenvalues)
    return _newton(loss, params, batch, steps, inner, limit(tolerance, params, cutoff), cutoff, formed)


@partial(jax.jit, static_argnames=("loss", "max_steps", "inner_steps", "eigenvalues"))
def _newton(
    loss: Loss,
    params: PyTree,
    batch: PyTree,
    max_steps: int,
    inner_steps: int,
    tolerance: Any,
    cutoff: Any,
    eigenvalues: bool,
) -> CriticalPoint:
    problem = flat(loss, params, batch)
    gradient = jax.grad(problem.loss)

    def body(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        steps, x, g, _ = carry
        norm = jnp.linalg.norm(g)
        _, product = jax.linearize(gradient, x)
        d, *_ = minimal_residual(product, -g, inner_steps, jnp.minimum(0.1, jnp.sqrt(norm)))
        promised = 2 * jnp.vdot(product(d), g, precision="highest")

        def too_far(trial: tuple[Array, Array, Array]) -> Array:
            halvings, length, after = trial
            bound = norm**2 + SLOPE * length * promised
            return ~(jnp.sum(after * after) <= bound) & (halvings < HALVINGS)

        def halve(trial: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            halvings, length, _ = trial
            return halvings + 1, length / 2, gradient(x + length / 2 * d)

        one = jnp.ones((), x.dtype)
        _, length, after = lax.while_loop(too_far, halve, (jnp.zeros((), int), one, gradient(x + d)))
        better = jnp.sum(after * after) < norm**2
        x, g = jnp.where(better, x + length * d, x), jnp.where(better, after, g)
        return steps + 1, x, g, jnp.where(better, length, 0)

    def goes_on(carry: tuple[Array, ...]) -> Array:
        steps, _, g, length = carry
        return (steps < max_steps) & (length > 0) & (jnp.linalg.norm(g) > tolerance)

    start = problem.start
    carry = (jnp.zeros((), int), start, gradient(start), jnp.ones((), start.dtype))
    steps, x, _, length = lax.while_loop(goes_on, body, carry)
    return point(
        problem, x, damping=length, steps=steps, tolerance=tolerance, cutoff=cutoff, eigenvalues=eigenvalues
    )
