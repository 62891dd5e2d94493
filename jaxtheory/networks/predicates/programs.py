"""The linear programs: unknowns are coefficients of orbits of masks, and rows are orbits of figures.

An entry is the number of masks of an orbit that lie within a figure. Rows are handed out as they are asked
for, as cutting planes need them; the values of a linear form on all figures come from sums over subsets.
"""

import itertools
import math

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxtheory.networks.predicates import tables

CHUNKS, EACH = 256, 8
"""From this many parts of the table, this many of the worst figures each are candidates for new rows."""
STARTS = 2000
"""The number of random figures among the first rows."""


class Table:
    """All figures of a small retina, under a group of permutations of its points.

    Args:
        table: The truth table.
        shape: The shape of the retina.
        group: The permutations that leave it as it is.
        order: The largest number of points of a mask.
    """

    def __init__(
        self,
        table: Bool[np.ndarray, " figures"],
        shape: tuple[int, ...],
        group: Int[np.ndarray, "permutations points"],
        order: int,
    ):
        self.table, self.shape, self.group, self.boxes = table, shape, group, None
        self.points = math.prod(shape)
        masks = np.array(
            [
                sum(1 << point for point in mask)
                for size in range(order + 1)
                for mask in itertools.combinations(range(self.points), size)
            ]
        )
        first, orbit = np.unique(self.representatives(masks), return_inverse=True)
        by_orbit = np.argsort(orbit, kind="stable")
        self._masks, self._orbit = masks[by_orbit], orbit[by_orbit]
        self._starts = np.searchsorted(self._orbit, np.arange(len(first)))
        self._first = first

    @property
    def masks(self) -> Bool[np.ndarray, "orbits ..."]:
        """A mask of each orbit."""
        return tables.figures_of(self._first, self.shape)

    @property
    def columns(self) -> int:
        """The number of orbits of masks."""
        return len(self._first)

    @property
    def sizes(self) -> Int[np.ndarray, " orbits"]:
        """The numbers of masks of the orbits."""
        return np.bincount(self._orbit)

    @property
    def terms(self) -> int:
        """The number of terms in a value of a linear form, for the size of its rounding."""
        return len(self._masks)

    def representatives(self, codes: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The least figure of the orbit of each."""
        return np.min([tables.moved(codes, one) for one in self.group], axis=0)

    def change(self) -> Float[np.ndarray, "orbits orbits"]:
        """Coefficients of masks from those of products of signs, 1 in the figure and -1 out of it.

        Such products are uncorrelated over all figures, which masks are not, and their sums over orbits are
        divided by what they deviate.

        Returns:
            The coefficients of masks, one column for each sum of products.
        """
        within = (self._masks & self._first[:, None]) == self._first[:, None]
        counts = np.add.reduceat(within.astype(np.int64), self._starts, axis=1)
        lengths = np.bitwise_count(self._first)
        return _signed_products(counts, lengths, self.sizes)

    def start(self) -> Int[np.ndarray, " n"]:
        """Figures to start from: none, all points, and random ones."""
        random = np.random.default_rng(0).integers(0, len(self.table), STARTS)
        return np.unique(self.representatives(np.append(random, [0, len(self.table) - 1])))

    def rows(self, codes: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n orbits"]:
        """The number of masks of each orbit that lie within each figure."""
        within = (codes[:, None] & self._masks) == self._masks
        return np.add.reduceat(within.astype(np.int64), self._starts, axis=1)

    def truths(self, codes: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Whether the predicate holds of each figure."""
        return self.table[codes]

    def figures(self, codes: Int[np.ndarray, " n"]) -> Bool[np.ndarray, "n ..."]:
        """The figures as arrays."""
        return tables.figures_of(codes, self.shape)

    def worst(self, coefficients: Float[np.ndarray, " orbits"]) -> tuple[float, np.ndarray, np.ndarray]:
        """The least signed value on all figures, and figures of low values with these."""
        values = np.zeros(1 << self.points)
        values[self._masks] = coefficients[self._orbit]
        for point in range(self.points):
            pairs = values.reshape(-1, 2, 1 << point)
            pairs[:, 1] += pairs[:, 0]
        np.negative(values, out=values, where=~self.table)
        parts = values.reshape(min(CHUNKS, max(1, len(values) // (2 * EACH))), -1)
        kept = min(EACH, parts.shape[1])
        low = np.argpartition(parts, kept - 1, axis=1)[:, :kept]
        codes = np.unique((low + parts.shape[1] * np.arange(len(parts))[:, None]).ravel())
        found = values[codes]
        codes, place = np.unique(self.representatives(codes), return_index=True)
        return float(found.min()), codes, found[place]


class Counts:
    """Figures that differ in their numbers of points in boxes only: points of a box may be permuted.

    Args:
        truths: Whether the predicate holds, by the numbers of points in the boxes.
        boxes: The number of each point's box.
        order: The largest number of points of a mask.
    """

    def __init__(self, truths: Bool[np.ndarray, "..."], boxes: Int[np.ndarray, "..."], order: int):
        self.boxes, self.group = boxes, None
        self._truths = truths.ravel()
        self._counts = np.indices(truths.shape).reshape(truths.ndim, -1).T
        self._sizes = np.array(truths.shape) - 1
        self._chosen = chosen(self._sizes.tolist(), order)

    @property
    def masks(self) -> Bool[np.ndarray, "orbits ..."]:
        """A mask of each orbit."""
        return arranged(self._chosen, self.boxes)

    @property
    def columns(self) -> int:
        """The number of orbits of masks."""
        return len(self._chosen)

    @property
    def sizes(self) -> Int[np.ndarray, " orbits"]:
        """The numbers of masks of the orbits."""
        return binomials(self._sizes[None], self._chosen)[0]

    @property
    def terms(self) -> int:
        """The number of terms in a value of a linear form, for the size of its rounding."""
        return int(self.sizes.sum())

    def change(self) -> Float[np.ndarray, "orbits orbits"]:
        """Coefficients of masks from those of products of signs, as of a table."""
        taken = self._chosen
        further = taken[None] - taken[:, None]
        ways = _pascal(int(self._sizes.max()), int(taken.max()))
        counts = ways[(self._sizes - taken)[:, None], np.maximum(further, 0)].prod(-1) * (further >= 0).all(
            -1
        )
        return _signed_products(counts, taken.sum(1), self.sizes)

    def start(self) -> Int[np.ndarray, " n"]:
        """Figures to start from: none and all points."""
        return np.array([0, len(self._truths) - 1])

    def rows(self, codes: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n orbits"]:
        """The number of masks of each orbit that lie within each figure."""
        return binomials(self._counts[codes], self._chosen)

    def truths(self, codes: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Whether the predicate holds of each figure."""
        return self._truths[codes]

    def figures(self, codes: Int[np.ndarray, " n"]) -> Bool[np.ndarray, "n ..."]:
        """The figures as arrays: in each box the first points."""
        return arranged(self._counts[codes], self.boxes)

    def worst(self, coefficients: Float[np.ndarray, " orbits"]) -> tuple[float, np.ndarray, np.ndarray]:
        """The least signed value on all figures, and figures of low values with these."""
        every = np.arange(len(self._truths))
        parts = np.array_split(every, -(-len(every) // tables.CHUNK))
        values = np.concatenate([self.rows(part) @ coefficients for part in parts])
        values *= np.where(self._truths, 1, -1)
        codes = np.argsort(values)[: CHUNKS * EACH]
        return float(values[codes[0]]), codes, values[codes]


def _signed_products(counts: np.ndarray, lengths: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Coefficients of masks from those of sums of products of signs over orbits of unit deviation.

    `counts` are the numbers of masks of the second orbit that contain a given one of the first: a product of
    signs 2x - 1 over a mask is the sum over its parts, with -1 for each point left out and 2 for each kept.

    Args:
        counts: The numbers of masks.
        lengths: The numbers of points of the masks.
        sizes: The numbers of masks of the orbits.

    Returns:
        The coefficients.
    """
    lengths = lengths.astype(np.int64)
    odd = (lengths[None] - lengths[:, None]) % 2
    return counts * 2.0 ** lengths[:, None] * np.where(odd, -1, 1) / np.sqrt(sizes)


def chosen(sizes: list[int], order: int) -> Int[np.ndarray, "orbits boxes"]:
    """How many points a mask takes from each box, for all masks of at most `order` points."""
    found: list[tuple[int, ...]] = [()]
    for size in sizes:
        found = [(*one, taken) for one in found for taken in range(min(size, order - sum(one)) + 1)]
    return np.array(found)


def binomials(
    counts: Int[np.ndarray, "n boxes"], taken: Int[np.ndarray, "m boxes"]
) -> Int[np.ndarray, "n m"]:
    """The numbers of ways to take points from each box, of which there are `counts`."""
    ways = _pascal(int(counts.max(initial=0)), int(taken.max(initial=0)))
    return np.prod(ways[counts[:, None], taken[None]], axis=-1)


def _pascal(most: int, largest: int) -> np.ndarray:
    """The binomial coefficients of numbers up to `most` over numbers up to `largest`."""
    return np.array([[math.comb(n, k) for k in range(largest + 1)] for n in range(most + 1)])


def arranged(counts: Int[np.ndarray, "n boxes"], boxes: Int[np.ndarray, "..."]) -> Bool[np.ndarray, "n ..."]:
    """Figures with the given numbers of points in the boxes, the first of each box."""
    flat = boxes.ravel()
    place = np.zeros(len(flat), int)
    for box in range(counts.shape[1]):
        place[flat == box] = np.arange(np.sum(flat == box))
    return (place < counts[:, flat]).reshape(-1, *boxes.shape)
