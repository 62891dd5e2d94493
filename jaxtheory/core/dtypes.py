"""The dtype contract: in which dtype computation is done, and in which results are returned.

float32 and float64 are kept; integers become the default float; float16 and bfloat16 are computed in float32
and returned in their own dtype; complex numbers are refused where the mathematics is real, and dtypes that
JAX does not compute in, such as long double and the float8s, everywhere.
"""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

FLOATS = tuple(map(jnp.dtype, ("bfloat16", "float16", "float32", "float64")))
"""The floating dtypes that are accepted."""


def as_array(name: str, value: Any) -> Array | np.ndarray:
    """An array of numbers from what NumPy converts: lists, other libraries' tensors, big-endian data.

    Args:
        name: The parameter's name, for the error.
        value: The argument, as the caller gave it.

    Returns:
        JAX's arrays as they are, everything else as a NumPy array in the machine's byte order.

    Raises:
        TypeError: If it is not an array of numbers or truth values, or is of a dtype in which JAX does not
            compute.
    """
    array = value
    if not isinstance(value, jax.Array):
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{name} is {_described(value)}: take an array of numbers") from error
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        raise TypeError(f"{name} is a random key: take an array of numbers")
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.inexact)):
        raise TypeError(f"{name} is {_described(value)}: take an array of numbers")
    if jnp.issubdtype(array.dtype, jnp.floating) and array.dtype not in FLOATS:
        *others, last = (dtype.name for dtype in FLOATS)
        raise TypeError(f"{name} is of dtype {array.dtype}: take {', '.join(others)} or {last}")
    if jnp.issubdtype(array.dtype, jnp.complexfloating) and array.dtype.itemsize > 16:
        raise TypeError(f"{name} is of dtype {array.dtype}: take complex64 or complex128")
    return array


def real_arrays(
    *, optional: Collection[str] = (), **arguments: Any
) -> tuple[list[Any], Callable[[Any], Any]]:
    """Arguments in the one floating dtype of the computation, and a function that gives results their dtype.

    Args:
        optional: The names of arguments that may be `None`, which is kept.
        **arguments: The arguments by parameter name: arrays, numbers, or registered dataclasses of arrays.

    Returns:
        The arguments in the order given, as JAX arrays of one dtype (float32, or float64 where one of them
        is); and a function that gives a result's floating leaves the dtype that JAX promotes the
        arguments to, which is narrower where all of them are float16 or bfloat16. Numbers do not decide the
        dtype, alone or in lists: Python's, NumPy's, and what JAX calls weakly typed.

    Raises:
        TypeError: If an argument is complex, is not an array of numbers, or is of a dtype in which JAX does
            not compute.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.core.dtypes import real_arrays
        >>> (x, y), back = real_arrays(x=jnp.ones(2, jnp.bfloat16), y=3)
        >>> x.dtype.name, y.dtype.name, back(x * y).dtype.name
        ('float32', 'float32', 'bfloat16')
    """
    missing = {name for name in optional if arguments.get(name) is None}
    found = {name: [] if name in missing else _leaves(name, value) for name, value in arguments.items()}
    strong = [
        leaf.dtype
        for name, leaves in found.items()
        for given, leaf in zip(_parts(arguments[name]), leaves)
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not _is_weak(given)
    ]
    # The default float stands for double precision where that is off.
    default = jnp.result_type(float)
    given = jnp.result_type(*(default if one == np.float64 else one for one in strong or [default]))
    computed = jnp.promote_types(given, jnp.float32)

    def convert(name: str, value: Any) -> Any:
        if name in missing:
            return None
        if dataclasses.is_dataclass(value):
            return jax.tree.map(lambda leaf: jnp.asarray(leaf, computed), value)
        return jnp.asarray(found[name][0], computed)

    def back(result: Any) -> Any:
        # Where double precision is on, a constant of NumPy's may have widened it.
        return jax.tree.map(lambda leaf: leaf.astype(given) if _is_other_float(leaf, given) else leaf, result)

    return [convert(name, value) for name, value in arguments.items()], back


def _parts(value: Any) -> list[Any]:
    """An argument as it was given, or the leaves of a record."""
    return jax.tree.leaves(value) if dataclasses.is_dataclass(value) else [value]


def _leaves(name: str, value: Any) -> list[Any]:
    """The arrays of an argument, each known to be real."""
    arrays = [as_array(name, part) for part in _parts(value)]
    for array in arrays:
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            raise TypeError(f"{name} is complex ({array.dtype}): take real numbers, as its real part")
    return arrays


def _is_weak(value: Any) -> bool:
    """Whether it is a number, a list of numbers, or what JAX made of one: these do not decide the dtype."""
    if isinstance(value, list | tuple):
        return all(map(_is_weak, value))
    if isinstance(value, np.ndarray):
        return value.ndim == 0
    return isinstance(value, bool | int | float | np.number) or bool(getattr(value, "weak_type", False))


def _is_other_float(leaf: Any, dtype: Any) -> bool:
    """Whether an array is of another floating dtype."""
    return leaf.dtype != dtype and jnp.issubdtype(leaf.dtype, jnp.floating)


def _described(value: Any) -> str:
    """A value in a few words."""
    text = " ".join(repr(value).split())
    kind = type(value).__name__
    return f"{text} ({kind})" if len(text) <= 40 else f"a {kind}"
