"""Many images, some at a time: programs on blocks of them, and the minibatches of a training."""

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


def minibatches(number: int, batch: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the examples of each training step: each epoch goes through all in a new order.

    Args:
        number: The number of examples.
        batch: The number in a minibatch; what whole minibatches do not hold is left out of an epoch.
        steps: The number of steps.
        rng: The generator, which draws the order of each epoch.

    Returns:
        The places of the examples, (steps, batch).
    """
    each = number // batch
    epochs = [rng.permutation(number)[: each * batch].reshape(each, batch) for _ in range(-(-steps // each))]
    return np.concatenate(epochs)[:steps].astype(np.int32)
