"""Parameters that vary and parameters that are held fixed, as two trees that are merged where both count.

Where a leaf belongs to the other tree it is `None`, which JAX takes as a node without leaves.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from jaxtheory.core.dtypes import as_array


def split(params: PyTree, part: PyTree | None = None) -> tuple[PyTree, PyTree]:
    """Split parameters in those that vary and those that are held fixed.

    Args:
        params: A pytree of arrays.
        part: True where parameters vary: a pytree of truth values like `params`, or the upper part of one;
            None for all.

    Returns:
        Two trees like `params`, with `None` where a leaf belongs to the other.

    Raises:
        TypeError: If a parameter that varies is not real and floating-point.
        ValueError: If no parameter varies, or if the truth values do not fit.
    """
    chosen = True if part is None else part
    try:
        mask = jax.tree.map(lambda keep, below: jax.tree.map(lambda _: keep, below), chosen, params)
    except ValueError as error:
        raise ValueError(
            f"part is {chosen}, which does not fit the parameters: take a pytree of truth values like "
            "params, or the upper part of one"
        ) from error
    for keep in jax.tree.leaves(mask):
        if not isinstance(keep, bool):
            raise TypeError(f"part holds {keep!r}: take True or False")
    varied = jax.tree_util.tree_map_with_path(
        lambda path, leaf, keep: _varied(jax.tree_util.keystr(path), leaf) if keep else None, params, mask
    )
    fixed = jax.tree.map(lambda leaf, keep: None if keep else leaf, params, mask)
    if not jax.tree.leaves(varied):
        raise ValueError("part leaves no parameter that varies: take at least one")
    return varied, fixed


def merge(varied: PyTree, fixed: PyTree) -> PyTree:
    """Return the parameters of which `split` has made two trees."""
    return jax.tree.map(
        lambda one, other: other if one is None else one, varied, fixed, is_leaf=lambda leaf: leaf is None
    )


def _varied(path: str, leaf: Any) -> jax.Array:
    """A parameter as a JAX array, known to be real and floating-point."""
    array = as_array(f"params{path}", leaf)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"params{path} is {array.dtype}: take real floating-point parameters, and hold others fixed by part="
        )
    return jnp.asarray(array)
