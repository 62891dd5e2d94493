"""Predicates of figures: parity, counting, one point in each box, connectedness, and the Euler number.

A figure is a Boolean array, true at its points; its last two axes are the height and width of the retina, and
axes before them are free.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from jaxtheory.core import checks
from jaxtheory.core.types import Booleans, Integers

Truths = Bool[np.ndarray, "..."] | np.bool_ | bool
"""Whether a predicate holds of each figure."""


def parity(figures: Booleans) -> Truths:
    """Return whether a figure has an odd number of points.

    Args:
        figures: The figures.

    Returns:
        Whether the number is odd.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import predicates
        >>> predicates.parity(np.array([[[1, 1], [0, 0]], [[1, 1], [1, 0]]], bool)).tolist()
        [False, True]
    """
    return _size(figures) % 2 == 1


def at_least(figures: Booleans, *, points: int) -> Truths:
    """Return whether a figure has at least some number of points.

    Args:
        figures: The figures.
        points: The number of points.

    Returns:
        Whether there are as many or more.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import predicates
        >>> bool(predicates.at_least(np.ones((2, 2), bool), points=3))
        True
    """
    return _size(figures) >= points


def exactly(figures: Booleans, *, points: int) -> Truths:
    """Return whether a figure has exactly some number of points.

    Args:
        figures: The figures.
        points: The number of points.

    Returns:
        Whether there are as many.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import predicates
        >>> bool(predicates.exactly(np.ones((2, 2), bool), points=3))
        False
    """
    return _size(figures) == points


def one_in_each_box(figures: Booleans, *, boxes: Integers) -> Truths:
    """Return whether a figure has at least one point in each box.

    Args:
        figures: The figures.
        boxes: The number of each point's box, an array of the retina's shape.

    Returns:
        Whether no box is empty.

    Raises:
        ValueError: If the boxes have another shape than the figures.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import predicates
        >>> boxes = np.array([[0, 0], [1, 1]])
        >>> bool(predicates.one_in_each_box(np.array([[True, False], [False, False]]), boxes=boxes))
        False
    """
    figures, boxes = np.asarray(figures), np.asarray(boxes)
    checks.axes("boxes", boxes, "height", "width", sizes=figures.shape[-2:])
    return np.all([figures[..., boxes == box].any(-1) for box in np.unique(boxes)], axis=0)


def connected(figures: Booleans) -> Truths:
    """Return whether a figure is connected: points that share an edge are neighbors.

    A figure without points is connected, as it has no two parts.

    Args:
        figures: The figures.

    Returns:
        Whether there is at most one connected part.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import predicates
        >>> bool(predicates.connected(np.eye(2, dtype=bool)))
        False
    """
    figures = np.asarray(figures, bool)
    width = figures.shape[-1]
    # A figure is one whole number, with an empty column between its rows; the part is what a flood reaches.
    apart = np.concatenate([figures, np.zeros((*figures.shape[:-1], 1), bool)], axis=-1)
    octets = np.packbits(apart.reshape(*figures.shape[:-2], -1), axis=-1, bitorder="little")
    if octets.ndim == 1:
        points: Any = int.from_bytes(octets.tobytes(), "little")
    elif octets.shape[-1] <= 8:
        filled = np.zeros((*octets.shape[:-1], 4 if octets.shape[-1] <= 4 else 8), np.uint8)
        filled[..., : octets.shape[-1]] = octets
        points = filled.view(f"<u{filled.shape[-1]}")[..., 0]
    else:
        flat = octets.reshape(-1, octets.shape[-1])
        numbers = [int.from_bytes(one.tobytes(), "little") for one in flat]
        points = np.array(numbers, object).reshape(octets.shape[:-1])
    part = points & (~points + 1)
    while True:
        wider = (part | part << 1 | part >> 1 | part << width + 1 | part >> width + 1) & points
        if np.all(wider == part):
            return part == points
        part = wider


def euler_number(figures: Booleans) -> Int[np.ndarray, "..."] | np.integer:
    """Return the number of connected parts of a figure minus the number of its holes.

    It is the number of points, minus that of neighbors that share an edge, plus that of full squares of two
    by two: a sum over masks of at most four points. Parts are joined by edges, and the ground outside also by
    corners.

    Args:
        figures: The figures.

    Returns:
        The Euler number.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.networks import predicates
        >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
        >>> int(predicates.euler_number(ring))
        0

    References:
        Marvin Minsky and Seymour Papert, "Perceptrons", 1969.
    """
    figures = np.asarray(figures, bool)
    across = figures[..., 1:] & figures[..., :-1]
    down = figures[..., 1:, :] & figures[..., :-1, :]
    squares = across[..., 1:, :] & across[..., :-1, :]
    return _size(figures) - _size(across) - _size(down) + _size(squares)


def _size(figures: Booleans) -> Int[np.ndarray, "..."] | np.integer:
    """The number of points of each figure."""
    figures = np.asarray(figures, bool)
    return figures.sum(axis=tuple(range(-min(2, figures.ndim), 0)))
