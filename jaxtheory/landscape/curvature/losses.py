"""Losses as the operators call them: checked once, with a random key for each batch where they draw."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from jaxtheory.core import checks
from jaxtheory.core.types import RandomKey
from jaxtheory.landscape.curvature.batches import Batch, Batches


def checked_key(
    name: str, function: Callable[..., Any], arguments: Sequence[str], key: Any
) -> RandomKey | None:
    """Refuse a random key for a function that takes none, or a function that takes one without a key.

    Args:
        name: The function's name among the parameters.
        function: The function.
        arguments: The names of its arguments without the key.
        key: The key, or None.

    Returns:
        The key.

    Raises:
        TypeError: If there is a key too many or too few.
    """
    wanted = _takes(function, len(arguments)) is False and _takes(function, len(arguments) + 1)
    form = ", ".join(arguments)
    if wanted and key is None:
        raise TypeError(f"{name} takes a random key beside ({form}), and none is given: give key=")
    if key is None:
        return None
    checks.random_key("key", key)
    if _takes(function, len(arguments) + 1) is False:
        raise TypeError(f"{name} takes no random key beside ({form}): leave key out, or take it as one more")
    return key


def of_batch(key: RandomKey | None, one: Batch) -> tuple[RandomKey, ...]:
    """The key of a batch, as one more argument, where there is a key at all."""
    return () if key is None else (jax.random.fold_in(key, one.number),)


def shaped(name: str, value: Any, shape: tuple[int, ...], what: str) -> None:
    """Refuse a function whose value is not one floating-point array of a shape.

    Args:
        name: The function's name among the parameters.
        value: Its value's shapes and dtypes.
        shape: The shape that the value must have.
        what: The words for such a value.

    Raises:
        TypeError: If it is no array, or not of floating point.
        ValueError: If its shape is another.
    """
    leaves = jax.tree.leaves(value)
    if len(leaves) != 1 or leaves[0] is not value:
        raise TypeError(f"{name} gives {_kind(value)}: take a function that gives {what}")
    if value.shape != shape:
        raise ValueError(f"{name} gives an array of shape {value.shape}: take a function that gives {what}")
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"{name} gives {value.dtype}: take a function that gives {what}")


def finite(name: str, batches: Batches, values: Sequence[Array]) -> None:
    """Refuse values of a loss on the batches of which one is not finite, and name the batch."""
    for group, found in zip(batches.groups, values):
        for number, value in zip(np.asarray(group.number), np.asarray(found, np.float64)):
            if not np.isfinite(value):
                raise ValueError(
                    f"{name} is {value} in batch {number}: take data and parameters where it is finite"
                )


def known(*trees: PyTree) -> bool:
    """Whether all arrays are at hand, rather than traced."""
    return all(checks.known(leaf) for leaf in jax.tree.leaves(trees))


def _takes(function: Callable[..., Any], arguments: int) -> bool | None:
    """Whether a function can be called with so many arguments; None where it does not say."""
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return None
    return True


def _kind(value: Any) -> str:
    if len(jax.tree.leaves(value)) == 1 and hasattr(value, "shape"):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"
