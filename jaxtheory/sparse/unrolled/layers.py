"""What unrolled pursuits share: dictionaries given or drawn, layers by `scan`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, UInt32

from jaxtheory.sparse import coherence

AnyKey = Key[Array, ""] | UInt32[Array, " words"]
Dictionary = Float[Array, "atoms features"] | Float[np.ndarray, "atoms features"] | tuple[int, int]
Signals = Float[Array, "... features"] | Float[np.ndarray, "... features"]
Number = Float[Array, ""] | Float[np.ndarray, ""] | float | np.floating


def _atoms(key: Any, dictionary: Any) -> Array:
    """The dictionary that is given, or one of random directions of the shape that is given."""
    if isinstance(dictionary, tuple):
        return coherence.gaussian(key, *dictionary)
    dictionary = jnp.asarray(dictionary)
    if dictionary.ndim != 2:
        raise ValueError(
            f"a dictionary is a matrix (atoms, features), one atom a row, or the tuple of these two numbers; "
            f"found an array of shape {dictionary.shape}"
        )
    return dictionary


def _curvature(dictionary: Array) -> Array:
    """The largest eigenvalue of the Gram matrix, by the smaller of the two."""
    rows = dictionary if dictionary.shape[0] <= dictionary.shape[1] else dictionary.T
    return jnp.linalg.eigvalsh(jnp.matmul(rows, rows.T, precision="highest"))[-1]


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"steps is {steps}: a network has at least 1 layer")


def _check_positive(name: str, value: Any) -> None:
    """Refuses numbers that are not above zero, where they have a value."""
    if not isinstance(value, jax.core.Tracer) and not np.all(np.asarray(value) > 0):
        raise ValueError(f"the {name} must be positive, found {np.min(value)}")


def _check_features(features: int, x: Any) -> None:
    if x.ndim < 1 or x.shape[-1] != features:
        raise ValueError(
            f"these parameters are for signals (..., {features}), found {x.shape}: give signals of as many "
            "features as the atoms have"
        )


def _unroll(
    step: Callable[..., Any],
    start: Any,
    layers: Any,
    length: int,
    *,
    iterates: bool,
    remat: bool,
) -> Any:
    """Scans `step(codes, layer) -> codes` over the first axis of the layers' own parameters."""

    def layer(codes, own):
        codes = step(codes, own)
        return codes, (codes if iterates else None)

    body = jax.checkpoint(layer, prevent_cse=False) if remat else layer
    last, every = lax.scan(body, start, layers, length=length)
    return every if iterates else last
