"""Signals to learn from: what is accepted as signals, and which of them are not finite."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays


def rows(name: str, value: Any, features: int | None = None) -> Float[Array, "n features"]:
    """Return the argument as a matrix of real numbers with at least one row and one column.

    Args:
        name: The parameter's name, for the error.
        value: The argument, as the caller gave it.
        features: The number of columns that it must have; by default any.

    Returns:
        The matrix, in single precision at least.

    Raises:
        ValueError: If it is not a matrix, is empty, or has another number of columns.
        TypeError: If it is complex, or is not an array of numbers.

    Example:
        >>> from jaxtheory.sparse import signals
        >>> signals.rows("signals", [[1, 2]])
        Array([[1., 2.]], dtype=float32)
    """
    (matrix,), _ = real_arrays(**{name: value})
    checks.axes(name, matrix, "n", "features", sizes=(None, features))
    if 0 in matrix.shape:
        raise ValueError(f"{name} has the shape {matrix.shape}: take at least one row and one column")
    return matrix


def finite_rows(signals: Float[Array, "n features"]) -> tuple[Float[Array, "n features"], Bool[Array, " n"]]:
    """Return signals with those that hold infinities or NaN replaced by zeros, and which are finite.

    Args:
        signals: The signals.

    Returns:
        The signals, all of them finite, and whether each of them was.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import signals
        >>> signals.finite_rows(jnp.array([[1.0, 2.0], [jnp.nan, 3.0]]))[0].tolist()
        [[1.0, 2.0], [0.0, 0.0]]
    """
    finite = jnp.all(jnp.isfinite(signals), axis=1)
    return jnp.where(finite[:, None], signals, 0), finite


def mean_over(chosen: Bool[Array, " n"], values: Float[Array, " n"]) -> Float[Array, ""]:
    """Return the mean of the values that are chosen, and zero where none are.

    Args:
        chosen: The mask of the values that count.
        values: The values; the others may be anything.

    Returns:
        The mean.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import signals
        >>> signals.mean_over(jnp.array([True, False, True]), jnp.array([1.0, jnp.nan, 3.0])).item()
        2.0
    """
    return jnp.sum(jnp.where(chosen, values, 0)) / jnp.maximum(jnp.sum(chosen), 1)
