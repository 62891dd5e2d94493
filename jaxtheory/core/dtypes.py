"""The dtype contract: in which dtype computation is done, and in which results are returned.

float32 and float64 are kept; integers become the default float; float16 and bfloat16 are computed in float32
and returned in their own dtype; complex numbers are refused where the mathematics is real.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def as_array(name: str, value: Any) -> Array | np.ndarray:
    """An array of numbers from what NumPy converts: lists, other libraries' tensors, big-endian data.

    Args:
        name: The parameter's name, for the error.
        value: The argument, as the caller gave it.

    Returns:
        JAX's arrays as they are, everything else as a NumPy array in the machine's byte order.

    Raises:
        TypeError: If it is not an array of numbers or truth values.
    """
    if isinstance(value, jax.Array):
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} is {_described(value)}: take an array of numbers") from error
    if array.dtype.kind not in "biufc" and not jnp.issubdtype(array.dtype, jnp.inexact):
        raise TypeError(f"{name} is {_described(value)}: take an array of numbers")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def real_arrays(**arguments: Any) -> tuple[list[Any], Callable[[Any], Any]]:
    """Arguments in the one floating dtype of the computation, and a function that gives results their dtype.

    Args:
        **arguments: The arguments by parameter name: arrays, numbers, or registered dataclasses of arrays.
            `None` is kept.

    Returns:
        The arguments in the order given, as JAX arrays of one dtype (float32, or float64 where one of them
        is); and a function that gives a result's floating leaves the dtype that JAX promotes the
        arguments to, which is narrower where all of them are float16 or bfloat16.

    Raises:
        TypeError: If an argument is complex, or is not an array of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.core.dtypes import real_arrays
        >>> (x, y), back = real_arrays(x=jnp.ones(2, jnp.bfloat16), y=3)
        >>> x.dtype.name, y.dtype.name, back(x * y).dtype.name
        ('float32', 'float32', 'bfloat16')
    """
    found = {name: _leaves(name, value) for name, value in arguments.items()}
    strong = [
        leaf.dtype
        for name, leaves in found.items()
        for leaf in leaves
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not _is_number(arguments[name])
    ]
    # The default float stands for double precision where that is off.
    default = jnp.result_type(float)
    given = jnp.result_type(*(default if one == np.float64 else one for one in strong or [default]))
    computed = jnp.promote_types(given, jnp.float32)

    def convert(name: str, value: Any) -> Any:
        if value is None:
            return None
        if dataclasses.is_dataclass(value):
            return jax.tree.map(lambda leaf: jnp.asarray(leaf, computed), value)
        return jnp.asarray(found[name][0], computed)

    def back(result: Any) -> Any:
        if given == computed:
            return result
        return jax.tree.map(
            lambda leaf: leaf.astype(given) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, result
        )

    return [convert(name, value) for name, value in arguments.items()], back


def _leaves(name: str, value: Any) -> list[Any]:
    """The arrays of an argument, each known to be real."""
    if value is None:
        return []
    parts = jax.tree.leaves(value) if dataclasses.is_dataclass(value) else [value]
    arrays = [as_array(name, part) for part in parts]
    for array in arrays:
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            raise TypeError(f"{name} is complex ({array.dtype}): take real numbers, as its real part")
    return arrays


def _is_number(value: Any) -> bool:
    """Whether it is a number of Python's or a NumPy scalar: these do not decide the dtype."""
    return isinstance(value, bool | int | float | np.number)


def _described(value: Any) -> str:
    """A value in a few words."""
    text = " ".join(repr(value).split())
    kind = type(value).__name__
    return f"{text} ({kind})" if len(text) <= 40 else f"a {kind}"
