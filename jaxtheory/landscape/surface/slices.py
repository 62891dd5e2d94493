"""Values of a function of parameters along lines and over planes, in one compiled map over the points."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.trees import check_numbers, real_leaves, same_form
from jaxtheory.core.types import AnyArray

Function = Callable[[Any, Any], Any]
"""A function `function(params, batch)` that returns a number, an array or a pytree of those."""
Offsets = Real[AnyArray, "_"]


def line_values(
    function: Function, params: PyTree, direction: PyTree, offsets: Offsets, batch: Any, *, chunk: int = 1
) -> PyTree:
    r"""Evaluate a function along a line, $f(\theta + a d)$ at each offset $a$.

    Args:
        function: The function `function(params, batch)`, such as a loss; keep it for the next call, which is
            compiled for it.
        params: The parameters $\theta$ at offset zero.
        direction: The direction $d$, a pytree like the parameters.
        offsets: The offsets $a$.
        batch: The data, a pytree of arrays, which the function is given as they are.
        chunk: The number of points that are evaluated at once, at least 1: more is faster for small networks
            and takes as many times the memory.

    Returns:
        The values, with a leading axis of the offsets.

    Raises:
        TypeError: If parameters or direction are not real floating-point arrays, or the data not numbers.
        ValueError: If the direction is not like the parameters, or the offsets are not a vector.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import surface
        >>> def loss(params, batch):
        ...     return jnp.mean((params["w"] - batch) ** 2)
        >>> offsets, ones = jnp.array([0.0, 1.0, 2.0]), {"w": jnp.ones(2)}
        >>> surface.line_values(loss, ones, ones, offsets, jnp.zeros(2))
        Array([1., 4., 9.], dtype=float32)

    References:
        Ian Goodfellow, Oriol Vinyals and Andrew Saxe, Qualitatively characterizing neural network
        optimization problems, 2015.
    """
    params = real_leaves("params", params)
    direction = same_form("direction", direction, params)
    directions = jax.tree.map(lambda leaf: leaf[None], direction)
    offsets = _offsets("offsets", offsets, params)
    chunk = checks.count("chunk", chunk)
    check_numbers("batch", batch)
    return _values(function, params, directions, offsets[:, None], batch, chunk=chunk)


def plane_values(
    function: Function,
    params: PyTree,
    directions: PyTree,
    first: Offsets,
    second: Offsets,
    batch: Any,
    *,
    chunk: int = 1,
) -> PyTree:
    r"""Evaluate a function over a plane, $f(\theta + a d_1 + b d_2)$ at each pair of offsets.

    Args:
        function: The function `function(params, batch)`, such as a loss; keep it for the next call, which is
            compiled for it.
        params: The parameters $\theta$ at the origin.
        directions: The directions $d_1$ and $d_2$, stacked on a leading axis of a pytree like the parameters.
        first: The offsets $a$ along the first direction.
        second: The offsets $b$ along the second direction.
        batch: The data, a pytree of arrays, which the function is given as they are.
        chunk: The number of points that are evaluated at once, at least 1: more is faster for small networks
            and takes as many times the memory.

    Returns:
        The values, with two leading axes, of the first and of the second offsets.

    Raises:
        TypeError: If parameters or directions are not real floating-point arrays, or the data not numbers.
        ValueError: If the directions are not two like the parameters, or offsets are not a vector.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import surface
        >>> def product(params, batch):
        ...     return params[0] * params[1] + batch
        >>> grid = jnp.array([1.0, 2.0])
        >>> surface.plane_values(product, jnp.zeros(2), jnp.eye(2), grid, grid, 0.5)
        Array([[1.5, 2.5],
               [2.5, 4.5]], dtype=float32)

    References:
        Hao Li, Zheng Xu, Gavin Taylor, Christoph Studer and Tom Goldstein, Visualizing the loss landscape of
        neural nets, 2018.
    """
    params = real_leaves("params", params)
    directions = same_form("directions", directions, params, leading=2)
    first, second = _offsets("first", first, params), _offsets("second", second, params)
    pairs = jnp.stack(jnp.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    chunk = checks.count("chunk", chunk)
    check_numbers("batch", batch)
    values = _values(function, params, directions, pairs, batch, chunk=chunk)
    return jax.tree.map(lambda leaf: leaf.reshape(len(first), len(second), *leaf.shape[1:]), values)


def _offsets(name: str, value: Any, params: PyTree) -> Array:
    """Offsets in the widest dtype of the parameters."""
    offsets = as_array(name, value)
    checks.axes(name, offsets, "points")
    return jnp.asarray(offsets, jnp.result_type(*jax.tree.leaves(params), jnp.float32))


@partial(jax.jit, static_argnames=("function", "chunk"))
def _values(
    function: Function, params: PyTree, directions: PyTree, coordinates: Array, batch: Any, *, chunk: int
) -> PyTree:
    def at(point: Array) -> Any:
        def moved(leaf: Array, along: Array) -> Array:
            step = jnp.tensordot(point, along.astype(point.dtype), axes=1, precision="highest")
            return (leaf + step).astype(leaf.dtype)

        return function(jax.tree.map(moved, params, directions), batch)

    return jax.lax.map(at, coordinates, batch_size=chunk if chunk > 1 else None)
