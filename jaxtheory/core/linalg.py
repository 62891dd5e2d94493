"""The linear algebra that more than one theory needs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxtheory.core.types import AnyArray

POWER_STEPS = 40
"""Steps of the power method: enough for a few percent, which `MARGIN` covers."""

MARGIN = 1.05
"""The factor by which the power method's estimate, a lower bound, is multiplied to serve as an upper
bound."""

CONJUGATE_STEPS = 1000
"""The largest number of steps of conjugate gradients."""


def matmul(a: AnyArray, b: AnyArray) -> Array:
    """The matrix product at full precision, where accelerators would round float32 factors."""
    return jnp.matmul(a, b, precision="highest")


def squared_norm(matrix: AnyArray) -> Array:
    """The largest squared singular value of each matrix `(..., m, n)`, real or complex, exactly.

    Args:
        matrix: The matrices; nothing iterates, so one side is at most some hundreds.

    Returns:
        The largest eigenvalues of the smaller Gram matrices.
    """
    if matrix.shape[-2] > matrix.shape[-1]:
        matrix = jnp.swapaxes(matrix, -1, -2)
    return jnp.linalg.eigvalsh(matmul(matrix, jnp.conj(jnp.swapaxes(matrix, -1, -2))))[..., -1]


def largest_eigenvalue(product: Callable[[Array], Array], like: Any) -> Float[Array, ""]:
    """An upper estimate of the largest eigenvalue of a positive semidefinite operator, by the power method.

    Args:
        product: The operator on an array.
        like: An array, or a `ShapeDtypeStruct`, with the shape and dtype of a vector.

    Returns:
        The Rayleigh quotient after `POWER_STEPS` steps from a fixed random vector, times `MARGIN`; the least
        positive normal number for an operator of zero. Scaling is by the largest entry, so that it neither
        over- nor underflows before the eigenvalue itself does.
    """
    tiny = jnp.finfo(like.dtype).tiny

    def unit(v: Array) -> Array:
        v = v / jnp.maximum(jnp.max(jnp.abs(v)), tiny)
        return v / jnp.maximum(jnp.sqrt(jnp.sum(v * v)), tiny)

    start = unit(jax.random.normal(jax.random.key(0), like.shape, like.dtype))
    v = lax.fori_loop(0, POWER_STEPS, lambda _, v: unit(product(v)), start)
    return jnp.maximum(MARGIN * jnp.vdot(v, product(v), precision="highest"), tiny)


def conjugate_gradients(
    product: Callable[[Array], Array], target: Float[Array, "n size"]
) -> Float[Array, "n size"]:
    """Solves a positive semidefinite system for all rows at once, to the level of rounding.

    Args:
        product: The operator on all rows.
        target: The right-hand sides.

    Returns:
        The solutions; a row is left as it is once its residual is at the level of rounding. Each row is
        scaled by its largest entry, so that no square over- or underflows.
    """
    sizes = jnp.max(jnp.abs(target), axis=1, keepdims=True)
    sizes = jnp.where((sizes > 0) & jnp.isfinite(sizes), sizes, 1)
    target = target / sizes
    goal = jnp.finfo(target.dtype).eps ** 2 * jnp.sum(target**2, axis=1)

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        steps, z, residual, direction, squared_norm = carry
        image = product(direction)
        live = squared_norm > goal
        curvature = jnp.sum(direction * image, axis=1)
        length = jnp.where(live & (curvature > 0), squared_norm / jnp.where(curvature > 0, curvature, 1), 0)
        z, residual = z + length[:, None] * direction, residual - length[:, None] * image
        after = jnp.where(live, jnp.sum(residual**2, axis=1), squared_norm)
        beta = after / jnp.where(live, squared_norm, 1)
        direction = jnp.where(live[:, None], residual + beta[:, None] * direction, direction)
        return steps + 1, z, residual, direction, after

    def goes_on(carry: tuple[Array, ...]) -> Array:
        return (carry[0] < CONJUGATE_STEPS) & jnp.any(carry[-1] > goal)

    start = (jnp.zeros((), int), jnp.zeros_like(target), target, target, jnp.sum(target**2, axis=1))
    return sizes * lax.while_loop(goes_on, step, start)[1]
