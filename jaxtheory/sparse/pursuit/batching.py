"""Batches of a solver as more signals of one dictionary, so that `vmap` does what leading axes do."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array

Solver = Callable[[Any, tuple[Array, ...]], Any]
"""Takes what all signals share, and arrays with one row for each signal, to a tree of such arrays."""


def with_batches(solver: Solver) -> Solver:
    """Returns the solver with a rule for `vmap`: a batch axis of the signals becomes more rows.

    Where the dictionary, or anything else that signals share, has a batch axis, problems are solved one after
    the other. Under JAX's own rule a choice within a loop, as of the size of a linear system, would become
    all of its branches at once.

    Args:
        solver: The solver, which takes no part in differentiation.

    Returns:
        The same function, with that rule.
    """
    folding = custom_vmap(solver)

    @folding.def_vmap
    def batched(size: int, is_batched: Any, shared: Any, rows: tuple[Array, ...]) -> tuple[Any, Any]:
        of_shared, of_rows = is_batched
        if not any(jax.tree.leaves(is_batched)):
            # So JAX asks for derivatives within a batch of which only the tangents have an axis.
            found = solver(shared, rows)
            return found, jax.tree.map(lambda _: False, found)
        if any(jax.tree.leaves(of_shared)):
            leaves, structure = jax.tree.flatten((shared, rows))
            has_axis = jax.tree.leaves((of_shared, of_rows))

            def one(own: list[Array]) -> Any:
                given = iter(own)
                return folding(
                    *structure.unflatten(next(given) if has else leaf for has, leaf in zip(has_axis, leaves))
                )

            found = lax.map(one, [leaf for has, leaf in zip(has_axis, leaves) if has])
        else:
            folded = [_folded(array, size, has) for array, has in zip(rows, of_rows)]
            found = folding(shared, tuple(folded))
            found = jax.tree.map(lambda leaf: leaf.reshape(size, -1, *leaf.shape[1:]), found)
        return found, jax.tree.map(lambda _: True, found)

    return folding


def _folded(array: Array, size: int, has_axis: bool) -> Array:
    """An array of rows for each problem of a batch as rows of one problem."""
    whole = array if has_axis else jnp.broadcast_to(array, (size, *array.shape))
    return whole.reshape(whole.shape[0] * whole.shape[1], *whole.shape[2:])
