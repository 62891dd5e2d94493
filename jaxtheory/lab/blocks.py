"""Programs on many images, some at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np


def in_blocks(program: Callable[..., Any], *arrays: np.ndarray, each: int) -> np.ndarray:
    """Return what a program makes of many things, so many at a time that it is compiled once.

    Args:
        program: A function of blocks of the arrays, whose value has the same leading axis.
        *arrays: The arrays, with one leading axis.
        each: The number of entries in a block; the last block is filled up with what is there.

    Returns:
        The values of all entries.
    """
    number = len(arrays[0])
    places = np.arange(number + -number % each).reshape(-1, each) % number
    return np.concatenate([np.asarray(program(*(one[part] for one in arrays))) for part in places])[:number]
