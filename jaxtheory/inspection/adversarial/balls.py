"""Balls about examples: their random points, the nearest points in them, and the steepest directions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxtheory.inspection.adversarial.problems import Limits, Norm, Rows, size, spread


def steepest(gradient: Array, norm: Norm) -> Array:
    """Return the change of norm one along which each example's function grows most; zero for no gradient."""
    if norm == "inf":
        return jnp.sign(gradient)
    length = spread(size(gradient, norm), gradient)
    return jnp.where(length > 0, gradient / jnp.where(length > 0, length, 1), 0)


def nearest(x: Array, rows: Rows, limits: Limits, norm: Norm) -> Array:
    """Return points of the ball about each example, within the bounds; points that are there stay.

    Args:
        x: The points.
        rows: The examples, whose epsilon is the radius.
        limits: The bounds, which the examples keep.
        norm: The norm.

    Returns:
        The points; in the Euclidean norm scaled first, and then clipped, which brings them nearer.
    """
    epsilon = spread(rows.epsilon, x)
    change = x - rows.x
    if norm == "inf":
        change = jnp.clip(change, -epsilon, epsilon)
    else:
        length = spread(size(change, norm), change)
        change = jnp.where(length > epsilon, change * (epsilon / jnp.where(length > 0, length, 1)), change)
    return limits.clip(rows.x + change)


def keys(key: Array, rows: Rows) -> Array:
    """Return a random key for each example, whatever the part of the examples that these are."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows.number)


def random_points(key: Array, rows: Rows, limits: Limits, norm: Norm) -> Array:
    """Return a point for each example that is uniform in the ball about it, and clipped to the bounds."""
    event, dtype = rows.x.shape[1:], rows.x.dtype

    def draw(key: Array) -> Array:
        if norm == "inf":
            return jax.random.uniform(key, event, dtype, -1, 1)
        direction, radius = jax.random.split(key)
        normal = jax.random.normal(direction, event, dtype)
        # In a ball of d dimensions, radii of at most r have the share r^d of the volume.
        part = jax.random.uniform(radius, (), dtype) ** (1 / normal.size)
        return part * normal / jnp.sqrt(jnp.sum(normal**2))

    offset = spread(rows.epsilon, rows.x) * jax.vmap(draw)(keys(key, rows))
    return limits.clip(rows.x + offset)
