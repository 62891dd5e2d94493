"""Programs on many signals or images: some of them at a time, as suits the platform."""

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def by_platform(
    x: Array, event: tuple[int, ...], *, cpu: Callable[[Array], Any], default: Callable[[Array], Any]
) -> Any:
    """Run one of two programs on signals or images with any leading axes.

    The platform is chosen at lowering: ahead of time it is not the process's own.

    Args:
        x: The signals or images, (..., *event).
        event: The shape of one of them.
        cpu: The program for processors, a function of (n, *event).
        default: The program for all other platforms, whose results have the same shapes.

    Returns:
        The results, with the leading axes of `x`.
    """
    flat = x.reshape(-1, *event)
    if not jax.export.is_symbolic_dim(flat.shape[0]) and flat.shape[0] == 0:
        one = jax.eval_shape(default, jnp.zeros((1, *event), x.dtype))
        results = jax.tree.map(lambda leaf: jnp.zeros((0, *leaf.shape[1:]), leaf.dtype), one)
    else:
        results = lax.platform_dependent(flat, cpu=cpu, default=default)
    return jax.tree.map(lambda leaf: leaf.reshape(*x.shape[: -len(event)], *leaf.shape[1:]), results)


def in_steps(program: Callable[[Array], Any], x: Array, each: int, *, chains: int = 1) -> Any:
    """Run a program on parts of an array, step by step; reverse mode keeps no more than a step computes.

    Args:
        program: A function of (each, ...).
        x: The array, (n, ...), where n may be symbolic; zeros fill up the last step.
        each: The number of entries of the leading axis in a part.
        chains: The number of parts in a step, side by side.

    Returns:
        The results, (n, ...).
    """
    number = x.shape[0]
    parts = -(-number // (chains * each)) * chains
    x = jnp.pad(x, ((0, parts * each - number), *[(0, 0)] * (x.ndim - 1)))
    # Reverse mode would otherwise keep what every step computed.
    forgetful = jax.checkpoint(program, prevent_cse=False)
    results = side_by_side(forgetful, x.reshape(parts, each, *x.shape[1:]), chains)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:number], results)


def in_parts(program: Callable[[Array], Any], x: Array, each: int, *, chains: int = 1) -> Any:
    """Run a program on an array at once where it is short, and else in steps of one size as far as that goes.

    Args:
        program: A function of (c, ...).
        x: The array, (n, ...), where n may be symbolic.
        each: The largest number of entries of the leading axis in a part.
        chains: The number of parts in a step, side by side.

    Returns:
        The results, (n, ...).
    """
    number = x.shape[0]
    if not jax.export.is_symbolic_dim(number):
        if number <= each:
            return program(x)
        each = -(-number // (chains * -(-number // (chains * each))))
    return in_steps(program, x, each, chains=chains)


def side_by_side(function: Callable[[Any], Any], items: Any, number: int) -> Any:
    """Map a function over a leading axis by a loop, each step of which does several items.

    Args:
        function: The function that is applied to an item.
        items: The items, a pytree of arrays with the leading axis.
        number: The largest number of items in a step; the largest number up to this that divides them evenly
            is used. Where the number of items is symbolic, they must be a multiple of it.

    Returns:
        The results, with the leading axis.
    """
    length = jax.tree.leaves(items)[0].shape[0]
    if not jax.export.is_symbolic_dim(length):
        number = max(some for some in range(1, number + 1) if length % some == 0)
    if number == 1:
        return lax.map(function, items)
    steps = jax.tree.map(lambda leaf: leaf.reshape(length // number, number, *leaf.shape[1:]), items)

    def step(several: Any) -> Any:
        results = [function(jax.tree.map(lambda leaf: leaf[i], several)) for i in range(number)]  # noqa: B023
        # Fused with what puts them together, the chains would wait for each other.
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *lax.optimization_barrier(results))

    return jax.tree.map(lambda leaf: leaf.reshape(length, *leaf.shape[2:]), lax.map(step, steps))
