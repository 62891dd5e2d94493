"""Support selection: the largest entries of a layer's codes are trusted, and not shrunk."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray
from jaxtheory.sparse.proximal import soft_threshold


def select(x: Array, threshold: AnyArray, selected: AnyArray | int, most: int) -> Array:
    """`lista_cp.selective_threshold` where the count may be traced, up to a static one.

    Args:
        x: The vectors.
        threshold: The threshold.
        selected: The number of entries that are trusted.
        most: The largest value that `selected` may take.

    Returns:
        The shrunken vectors.
    """
    shrunken = soft_threshold(x, threshold)
    if most == 0:
        return shrunken
    sizes = jnp.abs(lax.stop_gradient(x))
    largest = lax.top_k(sizes, most)[0]
    least = lax.dynamic_index_in_dim(largest, jnp.maximum(selected - 1, 0), axis=-1)
    trusted = (sizes >= least) & (sizes > threshold) & (selected > 0)
    return jnp.where(trusted, x, shrunken)


def trusted_counts(selection: tuple[float, float], steps: int, atoms: int) -> tuple[int, ...]:
    """The numbers of entries that layers trust: a share that grows from layer to layer up to a largest one.

    Args:
        selection: The share by which it grows a layer, and the largest share.
        steps: The number of layers.
        atoms: The number of entries.

    Returns:
        A number for each layer.

    Raises:
        ValueError: If the selection is not a pair of shares in order.
        TypeError: If it is not a pair of numbers.
    """
    words = "the share of the entries by which it grows a layer, and the largest share, as (0.012, 0.12)"
    pair = checks.entries("selection", selection, words)
    shares = as_array("selection", pair)
    if shares.shape != (2,) or not 0 <= shares[0] <= shares[1] <= 1:
        raise ValueError(f"selection is {pair}: take {words}")
    growth, most = pair
    # Decimal shares of whole numbers are rarely whole in binary.
    return tuple(int(np.floor(min(growth * k, most) * atoms + 1e-9)) for k in range(1, steps + 1))
