"""The range of the entries of an input, such as that of pixels: its two ends, and what is outside of it."""

from typing import Any

import numpy as np

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import Reals

Bounds = tuple[Reals, Reals] | None
"""The least and the largest value of each entry; without bounds all values are allowed."""


def ends(bounds: Any) -> tuple[Any, Any]:
    """Return the two ends of a range, infinite where there is none.

    Args:
        bounds: The least and the largest value, numbers or arrays that broadcast to an input, or `None`.

    Returns:
        The ends as they were given.

    Raises:
        TypeError: If there are not two ends, or one is not made of numbers.
        ValueError: If the least value is not below the largest, where both are known.
    """
    if bounds is None:
        return -np.inf, np.inf
    found = checks.entries("bounds", bounds, "the least and the largest value, as (0, 1), or None")
    if len(found) != 2:
        raise ValueError(f"bounds has {len(found)} entries: take the least and the largest value, as (0, 1)")
    if all(map(checks.known, found)):
        low, high = (np.asarray(as_array("bounds", one)) for one in found)
        if not np.all(low < high):
            raise ValueError(f"bounds is {bounds!r:.60}: take the least value first, below the largest")
    return found


def check_ends(low: Any, high: Any, event: tuple[int, ...]) -> None:
    """Refuse ends that do not broadcast to an input of a shape."""
    for name, end in (("the lower of bounds", low), ("the upper of bounds", high)):
        sizes = zip(end.shape[::-1], event[::-1])
        if end.ndim > len(event) or any(one not in (1, size) for one, size in sizes):
            raise ValueError(f"{name} has the shape {end.shape}: take one number, or shape {event}")


def check_inside(x: Any, low: Any, high: Any) -> None:
    """Refuse inputs with an entry outside of a range, all of known values."""
    x, low, high = map(np.asarray, (x, low, high))
    outside = ~((low <= x) & (x <= high) & np.isfinite(x))
    if outside.any():
        bounded = np.isfinite(low).all() and np.isfinite(high).all()
        span = f"from {low.min():g} to {high.max():g}, or give their range as bounds="
        raise ValueError(f"x holds {x[outside][0]:g}: take numbers {span if bounded else 'that are finite'}")


def check_epsilon(epsilon: Any, width: Any) -> None:
    """Refuse sizes of changes that are negative or above the width of a range, all of known values."""
    epsilon, most = np.asarray(epsilon), float(width)
    wrong = ~((epsilon >= 0) & (epsilon <= most))
    if wrong.any():
        span = f"from 0 to {most:g}, the width of the range" if np.isfinite(most) else "of 0 or more"
        raise ValueError(f"epsilon is {epsilon[wrong][0]:g}: take a number {span}")
