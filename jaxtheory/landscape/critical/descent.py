"""Gradient descent with a constant step, as the baseline of searches and as the way to their starts."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, PyTree

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.landscape.critical.points import CriticalPoint, Loss, check, flat, limit, point


def gradient_descent(
    loss: Loss,
    params: PyTree,
    batch: PyTree = None,
    *,
    rate: RealScalar,
    max_steps: Int[AnyArray, ""] | int | np.integer,
    tolerance: RealScalar | None = None,
    target: RealScalar = -jnp.inf,
) -> CriticalPoint:
    r"""Descend by steps $w \leftarrow w - \eta \nabla L(w)$ until the gradient or the loss is small.

    Args:
        loss: The loss, a function of parameters and a batch that returns one number.
        params: The start, a pytree of floating arrays.
        batch: The data that the loss takes as its second argument.
        rate: The step size $\eta > 0$.
        max_steps: The largest number of steps, 0 or more; under `vmap` it may differ from start to start.
        tolerance: The norm of the gradient at which the descent ends, 0 or more; by default
            $\epsilon^{3/4}$ for the rounding unit $\epsilon$ of the dtype.
        target: The loss at which the descent ends; by default none.

    Returns:
        The point, without eigenvalues; `classify` finds them. `damping` is the inverse of the step size.

    Raises:
        ValueError: If there are no parameters, the loss is not one number, or an option is out of range.
        TypeError: If parameters or loss are not of floating numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import critical
        >>> end = critical.gradient_descent(lambda w, _: w @ w, jnp.ones(2), rate=0.25, max_steps=3)
        >>> end.params.tolist(), int(end.steps), bool(end.converged)
        ([0.125, 0.125], 3, False)

    References:
        Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847.
    """
    check(loss, params, batch)
    checks.positive("rate", rate)
    if checks.known(max_steps):
        max_steps = checks.count("max_steps", max_steps, least=0)
    return _descended(loss, params, batch, rate, max_steps, limit(tolerance, params), target)


@partial(jax.jit, static_argnames="loss")
def _descended(
    loss: Loss, params: PyTree, batch: PyTree, rate: Any, max_steps: Any, tolerance: Any, target: Any
) -> CriticalPoint:
    problem = flat(loss, params, batch)
    look = jax.value_and_grad(problem.loss)

    def body(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        steps, x, (_, g) = carry
        x = x - jnp.asarray(rate, x.dtype) * g
        return steps + 1, x, look(x)

    def goes_on(carry: tuple[Any, ...]) -> Array:
        steps, _, (value, g) = carry
        return (steps < max_steps) & (jnp.linalg.norm(g) > tolerance) & (value > target)

    steps, x, _ = lax.while_loop(goes_on, body, (jnp.zeros((), int), problem.start, look(problem.start)))
    inverse = 1 / jnp.asarray(rate, x.dtype)
    return point(
        problem, x, damping=inverse, steps=steps, tolerance=tolerance, cutoff=None, eigenvalues=False
    )
