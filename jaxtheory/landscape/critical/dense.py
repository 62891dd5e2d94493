r"""Searches for critical points that form the Hessian: for up to some hundred parameters.

Each step costs as many products with the Hessian as there are parameters, and a factorization.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, PyTree

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import RealScalar
from jaxtheory.landscape.critical.points import CriticalPoint, Loss, check, flat, limit, point

REFUSED = 40
"""The number of steps refused in a row after which a search ends: each multiplies the damping by 4."""
LEAST = 1e-12
"""The least damping."""
GOOD, POOR = 0.75, 0.25
"""Ratios of the decrease to the one predicted, above and below which the damping falls and rises."""


def levenberg_marquardt(
    loss: Loss,
    params: PyTree,
    batch: PyTree = None,
    *,
    max_steps: int = 500,
    tolerance: RealScalar | None = None,
    damping: RealScalar = 1.0,
    cutoff: RealScalar | None = None,
) -> CriticalPoint:
    r"""Find a critical point of any index by Levenberg-Marquardt steps on the gradient.

    The squared norm of the gradient $g$ is minimized by steps $d = -(H^2 + \lambda)^{-1} H g$ with the
    Hessian $H$ and $\lambda = \mu \|g\|^2$. A step that does not lower the norm is refused, and the damping
    $\mu$ adapts to how well the linear model of the gradient predicts it. Where critical points form
    families, as those of networks do, the convergence is still quadratic if the Hessian is regular across the
    family. A search that does not converge has most often come to a region where the gradient lies in the
    kernel of the Hessian, which `slope` tells.

    Args:
        loss: The loss, a function of parameters and a batch that returns one number.
        params: The start, a pytree of floating arrays.
        batch: The data that the loss takes as its second argument.
        max_steps: The largest number of steps, at least 1.
        tolerance: The norm of the gradient at which the search ends, 0 or more; by default $\epsilon^{3/4}$
            for the rounding unit $\epsilon$ of the dtype.
        damping: The damping $\mu > 0$ at the start; that of a result goes on with its search.
        cutoff: The distance from zero within which an eigenvalue counts as zero, 0 or more; by default
            $\sqrt\epsilon$ times the largest modulus.

    Returns:
        The point, with its index. Where the start has a gradient that is not finite, so has the result.

    Raises:
        ValueError: If there are no parameters, the loss is not one number, or an option is out of range.
        TypeError: If parameters or loss are not of floating numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import critical
        >>> def double_well(w, _):
        ...     return (w[0] ** 2 - 1) ** 2 + w[1] ** 2
        >>> found = critical.levenberg_marquardt(double_well, jnp.array([0.2, 0.5]))
        >>> int(found.index), round(float(found.loss), 4)
        (1, 1.0)

    References:
        Yamashita and Fukushima, On the rate of convergence of the Levenberg-Marquardt method, 2001.
        Frye, Simon, Wadia, Ligeralde, DeWeese and Bouchard, Critical point-finding methods reveal
        gradient-flat regions of deep network losses, 2021.
    """
    options = _options(loss, params, batch, max_steps, tolerance, damping, cutoff)
    return _searched(loss, params, batch, *options, step=_gradient_step)


def saddle_free_newton(
    loss: Loss,
    params: PyTree,
    batch: PyTree = None,
    *,
    max_steps: int = 500,
    tolerance: RealScalar | None = None,
    damping: RealScalar = 1.0,
    cutoff: RealScalar | None = None,
) -> CriticalPoint:
    r"""Find a minimum by Newton steps that are repelled by saddles.

    The step $d = -(|H| + \lambda)^{-1} g$ takes the eigenvalues of the Hessian $H$ by modulus, so that it
    descends along directions of negative curvature, too. A step that does not lower the loss is refused, and
    the damping $\lambda$ adapts. A start that is itself critical is where it ends, whatever its index.

    Args:
        loss: The loss, a function of parameters and a batch that returns one number.
        params: The start, a pytree of floating arrays.
        batch: The data that the loss takes as its second argument.
        max_steps: The largest number of steps, at least 1.
        tolerance: The norm of the gradient at which the search ends, 0 or more; by default $\epsilon^{3/4}$
            for the rounding unit $\epsilon$ of the dtype.
        damping: The damping $\lambda > 0$ at the start; that of a result goes on with its search.
        cutoff: The distance from zero within which an eigenvalue counts as zero, 0 or more; by default
            $\sqrt\epsilon$ times the largest modulus.

    Returns:
        The point, with its index.

    Raises:
        ValueError: If there are no parameters, the loss is not one number, or an option is out of range.
        TypeError: If parameters or loss are not of floating numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import critical
        >>> def double_well(w, _):
        ...     return (w[0] ** 2 - 1) ** 2 + w[1] ** 2
        >>> found = critical.saddle_free_newton(double_well, jnp.array([0.01, 0.5]))
        >>> int(found.index), [round(abs(w), 3) for w in found.params.tolist()]
        (0, [1.0, 0.0])

    References:
        Dauphin, Pascanu, Gulcehre, Cho, Ganguli and Bengio, Identifying and attacking the saddle point
        problem in high-dimensional non-convex optimization, 2014.
    """
    options = _options(loss, params, batch, max_steps, tolerance, damping, cutoff)
    return _searched(loss, params, batch, *options, step=_descent_step)


def _options(
    loss: Loss, params: PyTree, batch: PyTree, max_steps: Any, tolerance: Any, damping: Any, cutoff: Any
) -> tuple[Any, ...]:
    """The options of a search, checked."""
    check(loss, params, batch)
    max_steps = checks.count("max_steps", max_steps)
    checks.positive("damping", damping)
    return max_steps, limit(tolerance, params, cutoff), damping, cutoff


def _gradient_step(f: Callable, x: Array, g: Array, damping: Array) -> tuple[Array, Array, Array, Array]:
    """One step on the gradient: the new point, its gradient, whether it is taken, and its gain."""
    hessian = jax.hessian(f)(x)
    energy = jnp.sum(g * g)
    matrix = matmul(hessian, hessian) + damping * energy * jnp.eye(x.size, dtype=x.dtype)
    d = -cho_solve((jnp.linalg.cholesky(matrix), True), matmul(hessian, g))
    new = x + d
    after = jax.grad(f)(new)
    foreseen = energy - jnp.sum((g + matmul(hessian, d)) ** 2)
    gain = (energy - jnp.sum(after * after)) / foreseen
    return new, after, (gain > 1e-4) & (foreseen > 0), gain


def _descent_step(f: Callable, x: Array, g: Array, damping: Array) -> tuple[Array, Array, Array, Array]:
    """One step down, by the modulus of the curvature; see `_gradient_step`."""
    values, vectors = jnp.linalg.eigh(jax.hessian(f)(x))
    along = matmul(vectors.T, g)
    d = -along / (jnp.abs(values) + damping)
    foreseen = -jnp.sum(along * d) - jnp.sum(values * d * d) / 2
    new = x + matmul(vectors, d)
    before, (value, after) = f(x), jax.value_and_grad(f)(new)
    gain = (before - value) / foreseen
    # At the level of rounding the loss says nothing more, and the gradient decides.
    even = jnp.abs(before - value) <= 8 * jnp.finfo(x.dtype).eps * jnp.abs(before)
    nearer = even & (jnp.sum(after * after) < jnp.sum(g * g))
    return new, after, (gain > 1e-4) | nearer, jnp.where(nearer, 1.0, gain)


@partial(jax.jit, static_argnames=("loss", "max_steps", "step"))
def _searched(
    loss: Loss,
    params: PyTree,
    batch: PyTree,
    max_steps: int,
    tolerance: Any,
    damping: Any,
    cutoff: Any,
    *,
    step: Callable,
) -> CriticalPoint:
    """Steps until the gradient is small, nothing is gained any more, or there are no steps left."""
    problem = flat(loss, params, batch)

    def body(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        steps, x, g, damping, refused = carry
        new, after, taken, gain = step(problem.loss, x, g, damping)
        # NaN compares as false: a step out of the domain is refused.
        taken = taken & jnp.all(jnp.isfinite(after))
        factor = jnp.where(gain > GOOD, 0.25, jnp.where(gain < POOR, 2.0, 1.0))
        damping = jnp.maximum(damping * jnp.where(taken, factor, 4.0), LEAST)
        x, g = jnp.where(taken, new, x), jnp.where(taken, after, g)
        return steps + 1, x, g, damping, jnp.where(taken, 0, refused + 1)

    def goes_on(carry: tuple[Array, ...]) -> Array:
        steps, _, g, _, refused = carry
        return (steps < max_steps) & (refused < REFUSED) & (jnp.linalg.norm(g) > tolerance)

    start = problem.start
    zero = jnp.zeros((), int)
    carry = (zero, start, jax.grad(problem.loss)(start), jnp.asarray(damping, start.dtype), zero)
    steps, x, _, damping, _ = lax.while_loop(goes_on, body, carry)
    return point(problem, x, damping=damping, steps=steps, tolerance=tolerance, cutoff=cutoff)
