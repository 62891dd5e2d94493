"""What a sweep's function returns at a point: an array, or arrays by name."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Point = np.ndarray | dict[str, np.ndarray]
"""What a function returned at a point: an array, or arrays by name."""
SEPARATOR = "/"
"""What joins the names of nested dictionaries."""


def as_point(sweep: str, coordinates: Mapping[str, Any], result: Any) -> Point:
    """Return what a sweep's function returned as arrays; nested dictionaries become one.

    Args:
        sweep: The sweep's name.
        coordinates: The coordinates at which the result was computed.
        result: The result that the function returned.

    Returns:
        An array, or arrays by name; names of nested dictionaries are joined by `/`.

    Raises:
        TypeError: For what is neither a number, an array nor a dictionary of them.
        ValueError: If two parts of nested dictionaries have the same name.
    """
    named = _flat(sweep, result) if isinstance(result, Mapping) else {"": result}
    try:
        # Copies, as the function may write its next result into the same array.
        arrays = {key: np.array(part) for key, part in named.items()}
    except (ValueError, TypeError):  # rows of different lengths, keys for random numbers
        arrays = {}
    if not arrays or any(array.dtype.hasobject for array in arrays.values()):
        shown = " ".join(repr(result).split())
        raise TypeError(
            f"a point of sweep '{sweep}' is a number, an array or a dictionary of them; "
            f"the function returned {type(result).__name__} {shown:.80} at {dict(coordinates)}"
        )
    return arrays if isinstance(result, Mapping) else arrays[""]


def _flat(sweep: str, result: Mapping[Any, Any], before: str = "") -> dict[str, Any]:
    """A nested dictionary as one; an empty one stays, to be refused."""
    flat: dict[str, Any] = {}
    for key, part in result.items():
        name = f"{before}{key}"
        parts = _flat(sweep, part, f"{name}{SEPARATOR}") if isinstance(part, Mapping) else {name: part}
        if twice := flat.keys() & parts.keys():
            raise ValueError(f"a point of sweep '{sweep}' has two parts called '{min(twice)}'")
        flat |= parts
    return flat


def shapes_of(point: Point, leading: int = 0) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
    """Return the shape of a point's array, or shapes by name, without some leading axes."""
    if isinstance(point, dict):
        return {key: array.shape[leading:] for key, array in point.items()}
    return point.shape[leading:]
