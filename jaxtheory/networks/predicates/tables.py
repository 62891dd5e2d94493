"""The table of a predicate on all figures of a small retina, and the symmetries that leave it as it is.

A figure is a whole number whose bit p is the point p of the retina, row by row; a permutation is an array
whose entry p is the point whose bit comes to p.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int

CHUNK = 1 << 16
"""The number of figures that are handed over at once."""
SAMPLE = 2048
"""The number of random figures on which a symmetry is tried before it is held against all."""


def figures_of(codes: Int[np.ndarray, " n"], shape: tuple[int, ...]) -> Bool[np.ndarray, "n ..."]:
    """Figures as Boolean arrays from their numbers."""
    octets = codes.astype("<i8")[:, None].view(np.uint8)
    bits = np.unpackbits(octets, axis=1, count=math.prod(shape), bitorder="little")
    return bits.view(bool).reshape(-1, *shape)


def truth_table(
    predicate: Callable, shape: tuple[int, ...], *, batched: bool
) -> Bool[np.ndarray, " figures"]:
    """Evaluate a predicate on all figures.

    Args:
        predicate: The predicate.
        shape: The shape of the retina.
        batched: Whether it takes figures with a leading axis.

    Returns:
        Whether it holds, by the figure's number.

    Raises:
        ValueError: If the predicate does not give one truth value for each figure.
    """
    total = 1 << math.prod(shape)
    parts = [
        truths(predicate, figures_of(np.arange(start, min(start + CHUNK, total)), shape), batched=batched)
        for start in range(0, total, CHUNK)
    ]
    return np.concatenate(parts)


def truths(
    predicate: Callable, figures: Bool[np.ndarray, "n ..."], *, batched: bool
) -> Bool[np.ndarray, " n"]:
    """Evaluate a predicate on some figures.

    Args:
        predicate: The predicate.
        figures: The figures.
        batched: Whether it takes figures with a leading axis.

    Returns:
        Whether it holds of each.

    Raises:
        ValueError: If the predicate does not give one truth value for each figure.
    """
    found = np.asarray(predicate(figures) if batched else [predicate(one) for one in figures])
    if found.shape != (len(figures),) or not (found.dtype == bool or np.isin(found, (0, 1)).all()):
        wanted = f"({len(figures)},)" if batched else "()"
        shape = found.shape if batched else found.shape[1:]
        raise ValueError(
            f"predicate returns {found.dtype} of shape {shape}: take a function that returns truth values of "
            f"the shape {wanted}"
        )
    return found.astype(bool)


def sizes(points: int) -> Int[np.ndarray, " figures"]:
    """Numbers of points of all figures."""
    found = np.zeros(1, np.int8)
    for _ in range(points):
        found = np.concatenate([found, found + np.int8(1)])
    return found


def is_counting(table: Bool[np.ndarray, " figures"], points: int) -> bool:
    """Whether a predicate depends on the number of points only."""
    counts = np.bincount(sizes(points), weights=table, minlength=points + 1)
    return all(count in (0, math.comb(points, size)) for size, count in enumerate(counts))


def moved(codes: Int[np.ndarray, " n"], permutation: Int[np.ndarray, " points"]) -> Int[np.ndarray, " n"]:
    """Figures after a permutation of their points."""
    found = np.zeros_like(codes)
    for place, origin in enumerate(permutation.tolist()):
        found |= ((codes >> origin) & 1) << place
    return found


def symmetries(
    table: Bool[np.ndarray, " figures"], shape: tuple[int, ...]
) -> Int[np.ndarray, "permutations points"]:
    """Return reflections, rotations and cyclic translations that leave a predicate as it is: a group.

    Args:
        table: The truth table.
        shape: The shape of the retina.

    Returns:
        The permutations, the identity among them.
    """
    points = math.prod(shape)
    some = np.random.default_rng(0).integers(0, len(table), SAMPLE)
    group = {tuple(range(points))}
    for permutation in _candidates(shape):
        if permutation in group:
            continue
        array = np.array(permutation)
        if np.array_equal(table[moved(some, array)], table[some]) and _leaves(table, array):
            group = _closed(group | {permutation})
    return np.array(sorted(group))


def _candidates(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """All products of a rectangle's symmetries and a torus's translations, the former first."""
    grid = np.arange(math.prod(shape)).reshape(shape)
    axes = range(len(shape))
    turns = [turn for turn in itertools.permutations(axes) if grid.transpose(turn).shape == shape]
    flips = [part for number in range(len(shape) + 1) for part in itertools.combinations(axes, number)]
    shifts = itertools.product(*map(range, shape))
    return [
        tuple(np.flip(np.roll(grid, shift, tuple(axes)).transpose(turn), flip).ravel().tolist())
        for shift in shifts
        for turn in turns
        for flip in flips
    ]


def _leaves(table: np.ndarray, permutation: np.ndarray) -> bool:
    """Whether a permutation leaves a predicate as it is on all figures."""
    goes_to = np.argsort(permutation)
    images = np.zeros(1, np.int32)
    for place in goes_to.tolist():
        images = np.concatenate([images, images | np.int32(1 << place)])
    return np.array_equal(table[images], table)


def _closed(group: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """The group that permutations generate."""
    generators = new = group
    while new:
        products = {tuple(one[place] for place in other) for one in new for other in generators}
        new = products - group
        group = group | new
    return group
