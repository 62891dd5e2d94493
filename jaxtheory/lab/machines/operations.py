"""Floating-point operations of a program, its loops multiplied out, counted on its jaxpr.

The compiler's own analysis counts a loop's body once, however often it runs. Here a contraction counts two
operations for each product, a Fourier transform 5 n log2 n, a reduction one for each number that it takes,
any other arithmetic one for each number that it makes, and a Pallas call what its author declares. Of the
branches of a conditional the most expensive counts.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

MOVES = {
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "copy_p", "device_put",
    "dynamic_slice", "dynamic_update_slice", "gather", "iota", "optimization_barrier", "pad", "reshape",
    "rev", "select_n", "slice", "split", "squeeze", "stop_gradient", "transpose", "real", "imag", "complex",
    "bitcast_convert_type", "name", "sort", "top_k", "scatter",
}  # fmt: skip
"""Primitives that compute nothing."""


class Count(NamedTuple):
    """The operations of a program."""

    flops: float
    unknown_loops: int
    """The number of loops whose length is not known; they are counted as one round."""


def count(function: Callable[..., Any], *arguments: Any) -> Count:
    """Count the operations of a program.

    Args:
        function: The program.
        *arguments: Its arguments, as arrays or as shapes and dtypes.

    Returns:
        The operations, and the number of loops of unknown length.

    Example:
        >>> x, w = jax.ShapeDtypeStruct((32, 48), "float32"), jax.ShapeDtypeStruct((48, 48), "float32")
        >>> product = lambda x, w: jax.lax.scan(lambda x, _: (x @ w, None), x, length=100)[0]
        >>> count(product, x, w) == Count(100 * 2 * 32 * 48 * 48, 0)
        True
    """
    return _sum(jax.make_jaxpr(function)(*arguments).jaxpr)


def _sum(jaxpr: Any) -> Count:
    parts = [_of(equation) for equation in jaxpr.eqns]
    return Count(sum(one.flops for one in parts), sum(one.unknown_loops for one in parts))


def _of(equation: Any) -> Count:
    name, parameters = equation.primitive.name, equation.params
    if name == "pallas_call":
        return Count(float(getattr(parameters.get("cost_estimate"), "flops", 0) or 0), 0)
    inside = [_sum(jaxpr) for value in parameters.values() for jaxpr in _jaxprs(value)]
    if not inside:
        return Count(_flops(equation), 0)
    if name == "cond":
        return max(inside)
    # A primitive that carries rules for derivatives has its own program first.
    total = inside[0] if name.startswith("custom_") else Count(*map(sum, zip(*inside)))
    rounds = parameters["length"] if name == "scan" else 1
    return Count(rounds * total.flops, total.unknown_loops + (name == "while"))


def _jaxprs(value: Any) -> Iterator[Any]:
    """The programs within a parameter of an equation."""
    if isinstance(value, core.ClosedJaxpr):
        yield value.jaxpr
    elif isinstance(value, core.Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _jaxprs(part)


def _flops(equation: Any) -> float:
    name, parameters = equation.primitive.name, equation.params
    [first, *others] = [variable.aval for variable in equation.invars] or [None]
    made = sum(math.prod(variable.aval.shape) for variable in equation.outvars)
    if name == "dot_general":
        (left, _), _ = parameters["dimension_numbers"]
        return 2.0 * made * math.prod(first.shape[axis] for axis in left)
    if name == "conv_general_dilated":
        # All of the kernel but its output features; what padding spares is counted too.
        kernel, features = others[0].shape, parameters["dimension_numbers"].rhs_spec[0]
        return 2.0 * made * math.prod(kernel) / kernel[features]
    if name == "fft":
        length = math.prod(parameters["fft_lengths"])
        transforms = max(math.prod(first.shape), made) / length
        return 5.0 * transforms * length * math.log2(max(length, 2))
    dtypes = [getattr(variable.aval, "dtype", None) for variable in (*equation.invars, *equation.outvars)]
    if name in MOVES or not any(d is not None and jnp.issubdtype(d, jnp.inexact) for d in dtypes):
        return 0.0
    if name.startswith(("reduce_", "argm", "cum")):
        return float(math.prod(first.shape))
    return float(made)
