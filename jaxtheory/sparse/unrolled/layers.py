"""What unrolled pursuits share: dictionaries given or drawn, their scale, and layers by `scan`."""

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks, linalg
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, RandomKey
from jaxtheory.sparse import coherence

Dictionary = Real[AnyArray, "atoms features"] | tuple[int, int]
"""A dictionary, or the numbers of atoms and features of one that is drawn at random."""


def as_dictionary(key: RandomKey, dictionary: Dictionary) -> tuple[Array, Callable[[Any], Any]]:
    """The dictionary that is given, or random directions in the numbers given; and what restores its dtype.

    Args:
        key: The random key of directions.
        dictionary: A matrix with one atom per row, or a tuple of two whole numbers.

    Returns:
        The dictionary in the dtype that is computed in, and a function that gives results the caller's.

    Raises:
        ValueError: If it is not a matrix, or has no atoms or features.
        TypeError: If it is not real, a number is not a whole number, or `key` is not a random key.
    """
    checks.random_key("key", key)
    if is_shape(dictionary):
        if len(dictionary) != 2:
            raise ValueError(f"dictionary is {dictionary}: take (atoms, features), or a matrix of that shape")
        dictionary = coherence.gaussian(key, *(checks.count("dictionary", one) for one in dictionary))
    (dictionary,), back = real_arrays(dictionary=dictionary)
    checks.axes("dictionary", dictionary, "atoms", "features")
    if 0 in dictionary.shape:
        raise ValueError(f"dictionary has the shape {dictionary.shape}: take no empty axes")
    return dictionary, back


def is_shape(value: Any) -> bool:
    """Whether a dictionary is given by its sizes: a tuple of single numbers."""
    return isinstance(value, tuple) and not any(np.ndim(one) for one in value)


def safe_norm(matrix: Array) -> Float[Array, "..."]:
    """The squared norm of each matrix, and 1 for one of zeros, whose codes are zero with any step."""
    norm = linalg.squared_norm(matrix)
    return jnp.where(norm > 0, norm, 1)


def applied(
    program: Callable[..., Any],
    params: Any,
    x: Any,
    axes: Sequence[str],
    sizes: Sequence[int | None],
    *,
    iterates: bool,
    remat: bool,
) -> Any:
    """The result of a compiled network, of arguments that are checked and brought to one dtype.

    Args:
        program: The network, `program(params, x, iterates=..., remat=...)`.
        params: A record of parameters.
        x: Signals or images.
        axes: The names of their last axes.
        sizes: The sizes that these must have.
        iterates: Whether to return the codes after each layer.
        remat: Whether reverse mode recomputes what lies inside the layers.

    Returns:
        The result in the caller's dtype.
    """
    assert is_dataclass(params)
    options = {"iterates": checks.flag("iterates", iterates), "remat": checks.flag("remat", remat)}
    (params, x), back = real_arrays(params=params, x=x)
    checks.axes("x", x, "...", *axes, sizes=sizes)
    return back(program(params, x, **options))


def unroll(
    step: Callable[[Any, Any], Any],
    start: Any,
    layers: Any,
    length: int,
    *,
    iterates: bool,
    remat: bool,
) -> Any:
    """Scan `step(codes, layer) -> codes` over the first axis of the layers' own parameters.

    Args:
        step: A layer.
        start: The initial codes.
        layers: The parameters of each layer, or `None` where all share theirs.
        length: The number of layers.
        iterates: Whether to return the codes after each layer, rather than the last ones.
        remat: Whether reverse mode stores only the codes between layers and recomputes what lies inside them.

    Returns:
        The codes.
    """

    def layer(codes: Any, own: Any) -> tuple[Any, Any]:
        codes = step(codes, own)
        return codes, (codes if iterates else None)

    body = jax.checkpoint(layer, prevent_cse=False) if remat else layer
    last, every = lax.scan(body, start, layers, length=length)
    return every if iterates else last


def repeat(leaves: Sequence[Array], steps: int, *, tied: bool) -> tuple[Array, ...]:
    """The parameters as they are if layers share them; else with a first axis of the layers."""
    if tied:
        return tuple(leaves)
    return tuple(jnp.broadcast_to(leaf, (steps, *leaf.shape)) for leaf in leaves)
