"""Convolutional dictionaries as matrices, entry by entry from their definition, and shapes to try them on."""

import itertools

import numpy as np
import pytest

CASES = {
    "image": ((3, 2, 1, 3), (5, 4)),
    "color": ((2, 3, 2, 4), (4, 5)),
    "one row": ((1, 3, 2, 2), (1, 7)),
    "signal": ((4, 1, 3), (9,)),
    "signal of channels": ((3, 2, 3), (6,)),
    "whole": ((4, 3, 1, 2), (4, 3)),
}
"""Shapes of filters, and of images."""


def dictionary(filters, shape, boundary, stride=1):
    """A matrix (pixels channels, places atoms)."""
    *kernel, channels, atoms = filters.shape
    grid = [n // stride for n in shape]
    matrix = np.zeros((*shape, channels, *grid, atoms))
    for place in np.ndindex(*grid):
        for offset in np.ndindex(*kernel):
            pixel = tuple(stride * n + i - (k - 1) // 2 for n, i, k in zip(place, offset, kernel))
            if boundary == "periodic":
                pixel = tuple(p % n for p, n in zip(pixel, shape))
            elif any(not 0 <= p < n for p, n in zip(pixel, shape)):
                continue
            matrix[(*pixel, slice(None), *place, slice(None))] += filters[offset]
    return matrix.reshape(np.prod(shape) * channels, -1)


def grid(*options):
    """All cases with all options: each case once for the newcomer, the rest beyond."""
    combinations = list(itertools.product(*options))
    chosen = {(name, *combinations[3 * index % len(combinations)]) for index, name in enumerate(CASES)}
    return [
        pytest.param(*one, marks=() if one in chosen else pytest.mark.beyond)
        for one in ((name, *rest) for name in CASES for rest in combinations)
    ]


def differences(shape, channels):
    """Differences of neighbors as a matrix, free at the borders."""
    rows = []
    index = np.arange(np.prod(shape) * channels).reshape(*shape, channels)
    for axis in range(len(shape)):
        first, second = (np.take(index, range(i, shape[axis] - 1 + i), axis).ravel() for i in (0, 1))
        one = np.zeros((first.size, index.size))
        one[np.arange(first.size), first], one[np.arange(first.size), second] = -1, 1
        rows.append(one)
    return np.concatenate(rows)
