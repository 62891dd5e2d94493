"""Parameters that vary and parameters that are held fixed, as two trees that are merged where both count.

Where a leaf belongs to the other tree it is `None`, which JAX takes as a node without leaves.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from jaxtheory.core import trees
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
        TypeError: If a parameter that varies is not real and floating-point, or another is no array.
        ValueError: If no parameter varies, or if the truth values do not fit.
    """
    mask = _mask(params, True if part is None else part)

    def varied(path: Any, leaf: Any, vary: bool) -> jax.Array | None:
        place, otherwise = f"params{jax.tree_util.keystr(path)}", ", or hold it fixed by part="
        return trees.real_leaf(place, leaf, otherwise=otherwise) if vary else None

    def fixed(path: Any, leaf: Any, vary: bool) -> jax.Array | None:
        return None if vary else jnp.asarray(as_array(f"params{jax.tree_util.keystr(path)}", leaf))

    both = [jax.tree_util.tree_map_with_path(choose, params, mask) for choose in (varied, fixed)]
    if not jax.tree.leaves(both[0]):
        what = "params hold no array" if part is None else f"part is {part}, by which no parameter varies"
        raise ValueError(f"{what}: take at least one parameter")
    return both[0], both[1]


def merge(varied: PyTree, fixed: PyTree) -> PyTree:
    """Return the parameters of which `split` has made two trees."""
    return jax.tree.map(
        lambda one, other: other if one is None else one, varied, fixed, is_leaf=lambda leaf: leaf is None
    )


def layers(params: PyTree) -> dict[str, PyTree]:
    """Return the layers of a network by name, each as the part of the parameters that belongs to it.

    Arrays that stand side by side, as a kernel and its bias, are a layer; those at the top are each one by
    itself.

    Args:
        params: The parameters, a pytree of arrays.

    Returns:
        A pytree of truth values like `params` for each layer: what `part=` takes.

    Example:
        >>> from jaxtheory.landscape import curvature
        >>> parts = curvature.layers({"first": {"kernel": 1.0, "bias": 0.0}, "scale": 2.0})
        >>> parts["first"]
        {'first': {'bias': True, 'kernel': True}, 'scale': False}
    """

    def name(path: Any) -> str:
        if len(path) > 1 and getattr(path[-1], "name", None) == "value":
            path = path[:-1]  # Flax keeps each array as the value of a variable
        above = path[:-1] if len(path) > 1 else path
        return jax.tree_util.keystr(above, simple=True, separator="/")

    names = dict.fromkeys(name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params))
    return {
        layer: jax.tree_util.tree_map_with_path(lambda path, _, layer=layer: name(path) == layer, params)
        for layer in names
    }


def _mask(params: PyTree, part: PyTree) -> PyTree:
    """A truth value for each parameter."""
    if any(not isinstance(vary, bool) for vary in jax.tree.leaves(part)):
        raise TypeError(f"part is {part!r}: take a pytree of True and False")
    try:
        return jax.tree.map(lambda vary, below: jax.tree.map(lambda _: vary, below), part, params)
    except ValueError as error:
        raise ValueError(
            f"part is {part}, which does not fit the parameters: take a pytree of truth values like params, "
            "or the upper part of one"
        ) from error
