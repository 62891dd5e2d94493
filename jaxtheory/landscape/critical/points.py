"""What is known of a point of a landscape: loss, gradient, eigenvalues of the Hessian, index."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxtheory.core import checks, trees
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import RealScalar
from jaxtheory.landscape.curvature import losses

Loss = Callable[[Any, Any], Any]
"""A function of parameters and a batch that returns one number."""


@record
class CriticalPoint:
    """A point at which a search ended, critical if the search converged."""

    params: PyTree
    """The parameters."""
    loss: Float[Array, "..."]
    """The loss."""
    residual: Float[Array, "..."]
    """The Euclidean norm of the gradient."""
    eigenvalues: Float[Array, "... n"]
    """The eigenvalues of the Hessian in increasing order; none if they were not asked for."""
    index: Int[Array, "..."]
    """The number of eigenvalues below minus the cutoff; -1 if they were not asked for."""
    nullity: Int[Array, "..."]
    """The number of eigenvalues within the cutoff from zero; -1 if they were not asked for."""
    slope: Float[Array, "..."]
    """The ratio ‖Hg‖ / (‖H‖ ‖g‖), from 0 to 1, of the gradient g and the Hessian H; near 0 the gradient lies
    in the kernel of the Hessian, and no Newton step lowers it. NaN if eigenvalues were not asked for."""
    damping: Float[Array, "..."]
    """The damping after the last step, from which another search goes on."""
    steps: Int[Array, "..."]
    """The number of steps taken, refused ones included."""
    converged: Bool[Array, "..."]
    """Whether the residual is at most the tolerance."""


class Flat(NamedTuple):
    """A loss as a function of one vector."""

    start: Array
    """The parameters in one vector."""
    unravel: Callable[[Array], Any]
    """The function that makes parameters of a vector."""
    loss: Callable[[Array], Array]
    """The loss of a vector."""


def flat(loss: Loss, params: Any, batch: Any) -> Flat:
    """Return a loss as a function of one vector."""
    start, unravel = ravel_pytree(params)
    return Flat(start, unravel, lambda vector: loss(unravel(vector), batch))


def check(loss: Loss, params: Any, batch: Any) -> None:
    """Refuse parameters that cannot be moved, and a loss that is not one number.

    Args:
        loss: The loss.
        params: The parameters.
        batch: What the loss takes as its second argument.

    Raises:
        ValueError: If there are no parameters, or the loss is not one number.
        TypeError: If a parameter is not of floating numbers.
    """
    leaves = jax.tree.leaves(params)
    if not leaves:
        raise ValueError("params holds no array: take the parameters that the loss depends on")
    trees.check_numbers("params", params)
    trees.check_numbers("batch", batch)
    for leaf in leaves:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise TypeError(f"params holds {jnp.result_type(leaf)}: take real floating-point arrays")
    losses.shaped("loss", jax.eval_shape(loss, params, batch), (), "one number, as the mean over the batch")


def limit(tolerance: RealScalar | None, params: Any, cutoff: RealScalar | None = None) -> Any:
    """Return a tolerance, by default what the dtype of the parameters can reach; refuse limits below zero."""
    if cutoff is not None:
        checks.nonnegative("cutoff", cutoff)
    if tolerance is not None:
        checks.nonnegative("tolerance", tolerance)
        return tolerance
    return float(jnp.finfo(jnp.result_type(*jax.tree.leaves(params))).eps) ** 0.75


def point(
    problem: Flat,
    vector: Array,
    *,
    damping: Array,
    steps: Array,
    tolerance: Any,
    cutoff: Any,
    eigenvalues: bool = True,
) -> CriticalPoint:
    """Return what is known of a point, as a search ends with it.

    Args:
        problem: The loss of a vector.
        vector: The point.
        damping: The damping after the last step.
        steps: The number of steps taken.
        tolerance: The largest residual of a critical point.
        cutoff: The distance from zero within which an eigenvalue counts as zero, or `None`.
        eigenvalues: Whether the Hessian is formed.

    Returns:
        The point.
    """
    loss, gradient = jax.value_and_grad(problem.loss)(vector)
    residual = jnp.linalg.norm(gradient)
    if eigenvalues:
        hessian = jax.hessian(problem.loss)(vector)
        values = jnp.linalg.eigvalsh(hessian)
        norm = jnp.maximum(jnp.abs(values[0]), jnp.abs(values[-1]))
        cutoff = jnp.sqrt(jnp.finfo(norm.dtype).eps) * norm if cutoff is None else cutoff
        image = jnp.linalg.norm(matmul(hessian, gradient))
        largest = norm * residual
        slope = jnp.where(largest > 0, image / jnp.where(largest > 0, largest, 1), 0)
        index, nullity = jnp.sum(values < -cutoff), jnp.sum(jnp.abs(values) <= cutoff)
    else:
        values, slope = jnp.zeros(0, loss.dtype), jnp.full((), jnp.nan, loss.dtype)
        index = nullity = jnp.full((), -1)
    return CriticalPoint(
        params=problem.unravel(vector),
        loss=loss,
        residual=residual,
        eigenvalues=values,
        index=index,
        nullity=nullity,
        slope=slope,
        damping=jnp.asarray(damping, loss.dtype),
        steps=steps,
        converged=residual <= tolerance,
    )


def classify(
    loss: Loss,
    params: PyTree,
    batch: PyTree = None,
    *,
    tolerance: RealScalar | None = None,
    cutoff: RealScalar | None = None,
) -> CriticalPoint:
    r"""Return the loss, the gradient's norm and the Hessian's eigenvalues at a point, with its index.

    The index of a critical point is the number of negative eigenvalues: 0 at a strict minimum. The Hessian is
    formed as a matrix, for up to some thousand parameters.

    Args:
        loss: The loss, a function of parameters and a batch that returns one number.
        params: The point, a pytree of floating arrays.
        batch: The data that the loss takes as its second argument.
        tolerance: The largest norm of the gradient at which the point counts as critical, 0 or more; by
            default $\epsilon^{3/4}$ for the rounding unit $\epsilon$ of the dtype.
        cutoff: The distance from zero within which an eigenvalue counts as zero, 0 or more; by default
            $\sqrt\epsilon$ times the largest modulus.

    Returns:
        The point.

    Raises:
        ValueError: If there are no parameters, the loss is not one number, or a limit is negative.
        TypeError: If parameters or loss are not of floating numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import critical
        >>> saddle = critical.classify(lambda w, _: w[0] ** 2 - w[1] ** 2, jnp.zeros(2))
        >>> int(saddle.index), bool(saddle.converged), saddle.eigenvalues.tolist()
        (1, True, [-2.0, 2.0])

    References:
        Dauphin, Pascanu, Gulcehre, Cho, Ganguli and Bengio, Identifying and attacking the saddle point
        problem in high-dimensional non-convex optimization, 2014.
    """
    check(loss, params, batch)
    return _classified(loss, params, batch, limit(tolerance, params, cutoff), cutoff)


@partial(jax.jit, static_argnames="loss")
def _classified(loss: Loss, params: PyTree, batch: PyTree, tolerance: Any, cutoff: Any) -> CriticalPoint:
    problem = flat(loss, params, batch)
    return point(
        problem,
        problem.start,
        damping=jnp.zeros(()),
        steps=jnp.zeros((), int),
        tolerance=tolerance,
        cutoff=cutoff,
    )
