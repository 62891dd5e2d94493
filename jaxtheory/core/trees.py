"""Parameters of any model: pytrees of real floating-point arrays."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxtheory.core.dtypes import as_array


def real_leaves(name: str, tree: Any) -> PyTree:
    """Return a pytree of real floating-point arrays as JAX's.

    Args:
        name: The parameter's name, for the errors.
        tree: The pytree, as the caller gave it.

    Returns:
        The same with JAX's arrays.

    Raises:
        TypeError: If a leaf is not an array of real floating-point numbers.
        ValueError: If there is no leaf.
    """
    if not jax.tree.leaves(tree):
        raise ValueError(f"{name} holds no array: take a pytree of parameters")
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: real_leaf(name + jax.tree_util.keystr(path), leaf), tree
    )


def real_leaf(place: str, leaf: Any, *, otherwise: str = "") -> Array:
    """Return an array of parameters as JAX's, known to be real and floating-point.

    Args:
        place: The parameter's name with its place in the pytree, for the errors.
        leaf: The array, as the caller gave it.
        otherwise: What else the caller can do, for the error.

    Returns:
        The array.

    Raises:
        TypeError: If it is not an array of real floating-point numbers.
    """
    array = as_array(place, leaf)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"{place} is {array.dtype}: take real floating-point parameters{otherwise}")
    return jnp.asarray(array)


def check_numbers(name: str, tree: Any) -> None:
    """Refuses a pytree with a leaf that is not an array of numbers, or a number, of a dtype of JAX's."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        as_array(name + jax.tree_util.keystr(path), leaf)


def same_form(name: str, tree: Any, like: PyTree, *, leading: int | None = None) -> PyTree:
    """Return a pytree of real arrays that has the structure and the shapes of another.

    Args:
        name: The parameter's name, for the errors.
        tree: The pytree, as the caller gave it.
        like: The parameters whose form it must have.
        leading: The length of one more axis in front of every leaf, if there is one.

    Returns:
        The pytree with JAX's arrays.

    Raises:
        TypeError: If a leaf is not an array of real floating-point numbers.
        ValueError: If the structure or a shape is another.
    """
    found, wanted = jax.tree.structure(tree), jax.tree.structure(like)
    if found != wanted:
        raise ValueError(f"{name} is {found}: take the structure of the parameters, {wanted}")
    tree = real_leaves(name, tree)
    front = () if leading is None else (leading,)
    for (path, leaf), other in zip(jax.tree_util.tree_leaves_with_path(tree), jax.tree.leaves(like)):
        if leaf.shape != (*front, *jnp.shape(other)):
            place = name + jax.tree_util.keystr(path)
            raise ValueError(f"{place} has the shape {leaf.shape}: take {(*front, *jnp.shape(other))}")
    return tree


def leading_length(name: str, tree: PyTree, *, least: int) -> int:
    """Return the length of the leading axis that all leaves have in common.

    Args:
        name: The parameter's name, for the errors.
        tree: A pytree of arrays.
        least: The smallest length allowed.

    Returns:
        The length.

    Raises:
        ValueError: If the leaves have no common leading axis, or a shorter one.
    """
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)]
    if len({shape[:1] for shape in shapes}) != 1 or not shapes[0] or shapes[0][0] < least:
        raise ValueError(
            f"{name} has leaves of the shapes {shapes}: take one leading axis in common, of at least {least}"
        )
    return shapes[0][0]


def inner(one: PyTree, other: PyTree) -> Float[Array, ""]:
    """Return the inner product of two pytrees, accumulated in single precision or better."""
    products = jax.tree.map(lambda a, b: jnp.vdot(_wide(a), _wide(b), precision="highest"), one, other)
    return sum(jax.tree.leaves(products))


def gram(tree: PyTree) -> Float[Array, "n n"]:
    """Return the inner products of pytrees that are stacked on a leading axis, with one another."""
    rows = [_wide(leaf).reshape(leaf.shape[0], math.prod(leaf.shape[1:])) for leaf in jax.tree.leaves(tree)]
    return sum(jnp.matmul(row, row.T, precision="highest") for row in rows)


def _wide(leaf: Array) -> Array:
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
