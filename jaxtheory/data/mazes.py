"""Mazes that are connected or not, in pairs that no counting of small windows tells apart.

A maze of n x n cells is drawn on 2 n - 1 x 2 n - 1 pixels: cells are the pixels at even rows and columns,
all of them in the figure; a passage is the pixel between two neighboring cells. What is left of a random
spanning tree when one passage is closed has two parts. One passage that is opened elsewhere rejoins them,
or closes a cycle within one of them. The two mazes have as many pixels and the same Euler number, one: a
part without a hole, or two parts, one of which has a hole. The two places where a passage is opened look
the same as far as any window that contains them reaches, so that both mazes show the same windows equally
often.

Conventions: images are float32, 1 in the figure and 0 in the ground.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

WINDOW = 3
"""The side of the windows in pixels that both mazes of a pair show equally often."""
HELD = 4
"""The number of cells that a window holds at most."""
FEWEST = 5
"""The smallest number of cells along a side: fewer have hardly two places that look the same."""
_AROUND = 13
"""The number of passages around one, with itself, that share a window with it."""
_TRIES = 20
"""The number of pairs of places that are tried in one tree."""
_CHUNK = 4_000_000
"""The number of pairs of a tree and a possible passage that are worked on at once."""


@dataclass(frozen=True)
class Mazes:
    """Pairs of mazes, which differ in the place of one passage."""

    connected: Float[np.ndarray, "pairs side side"]
    """The mazes whose two parts are joined."""
    disconnected: Float[np.ndarray, "pairs side side"]
    """The mazes with a cycle in one of their two parts."""
    cycles: Int[np.ndarray, " pairs"]
    """The number of cells of the cycle."""
    parts: Int[np.ndarray, " pairs"]
    """The number of cells of the smaller part."""


def draw(cells: int, pairs: int, rng: np.random.Generator) -> Mazes:
    """Draw pairs of mazes, one connected and one not, with equal counts of windows.

    The windows have 3 x 3 pixels and hold at most four cells: cycles and smaller parts have more, so that no
    window holds one. Trees are grown by Kruskal's rule in a random order of passages.

    Args:
        cells: The number of cells along a side, at least 5.
        pairs: The number of pairs, at least 1.
        rng: The generator of random numbers.

    Returns:
        The pairs.

    Raises:
        TypeError: If a number is not a whole number, or `rng` is not a generator.
        ValueError: If a number is out of range.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.data import mazes
        >>> found = mazes.draw(6, 3, np.random.default_rng(0))
        >>> found.connected.shape, bool(np.all(found.connected.sum((1, 2)) == found.disconnected.sum((1, 2))))
        ((3, 11, 11), True)

    References:
        Marvin Minsky and Seymour Papert, "Perceptrons: an introduction to computational geometry", 1969.
    """
    for name, value, low in (("cells", cells, FEWEST), ("pairs", pairs, 1)):
        allowed = f"a whole number at least {low}"
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} is {value!r:.40}: take {allowed}")
        if value < low:
            raise ValueError(f"{name} is {value}: take {allowed}")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is a {type(rng).__name__}: take a generator, as np.random.default_rng(0)")
    grid = _Grid(cells)
    most = max(1, _CHUNK // (len(grid.ends) * 16))
    found: list[tuple[np.ndarray, ...]] = []
    drawn = trees = 0
    while drawn < pairs:
        number = min(most, (pairs - drawn) * (2 if drawn == 0 else -(-trees // drawn)) + 20)
        found.append(_pairs(grid, number, rng))
        drawn, trees = drawn + len(found[-1][0]), trees + number
    images, others, cycles, parts = (np.concatenate(one)[:pairs] for one in zip(*found))
    return Mazes(np.float32(images), np.float32(others), cycles, parts)


class _Grid:
    """The cells of a maze and the passages between them."""

    def __init__(self, cells: int):
        self.cells, self.side = cells, 2 * cells - 1
        number = np.arange(cells**2).reshape(cells, cells)
        across = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], 1)
        down = np.stack([number[:-1].ravel(), number[1:].ravel()], 1)
        self.ends = np.concatenate([across, down])
        """The two cells of each passage."""
        rows, columns = np.divmod(self.ends, cells)
        self.places = np.stack([rows.sum(1), columns.sum(1)], 1)
        """The pixel of each passage."""

    def passage(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """The passage between two neighboring cells, the lower number first."""
        across = low // self.cells * (self.cells - 1) + low % self.cells
        return np.where(high - low == 1, across, self.cells * (self.cells - 1) + low)

    def images(self, opened: Bool[np.ndarray, "mazes passages"]) -> Bool[np.ndarray, "mazes side side"]:
        """The images of mazes with some passages open."""
        images = np.zeros((len(opened), self.side, self.side), bool)
        images[:, ::2, ::2] = True
        images[:, self.places[:, 0], self.places[:, 1]] = opened
        return images


def _pairs(grid: _Grid, number: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """The pairs that are found in a number of random trees, at most one in each."""
    opened = _trees(grid, number, rng)
    looks = _looks(grid, opened)
    # Among the open passages of a tree each is to look like none.
    looks = np.where(opened, -1.0 - np.arange(looks.shape[1]), looks)
    ordered = np.sort(looks, 1)
    several = np.any(ordered[:, 1:] == ordered[:, :-1], 1)
    opened, looks = opened[several], looks[several]
    if not several.any():
        return grid.images(opened), grid.images(opened), np.zeros(0, np.int32), np.zeros(0, np.int32)
    first, last, above = _walks(grid, opened)
    start, end = (first[:, grid.ends[:, k]] for k in (0, 1))
    sizes = last - first + 1
    small = np.minimum(sizes, grid.cells**2 - sizes)
    apart = np.abs(grid.places[:, None] - grid.places).max(2) >= WINDOW
    left = np.arange(len(opened))
    chosen = np.zeros((3, len(opened)), int)
    cycles = np.zeros(len(opened), np.int32)
    done = np.zeros(len(opened), bool)
    alike = np.zeros(looks.shape, bool)
    order = np.argsort(looks, 1)
    same = np.diff(np.take_along_axis(looks, order, 1), axis=1) == 0
    for part in (order[:, 1:], order[:, :-1]):
        np.put_along_axis(alike, part, np.take_along_axis(alike, part, 1) | same, 1)
    for _ in range(_TRIES):
        rows = np.arange(left.size)
        join = _one_of(alike[left], rng)
        others = looks[left] == looks[left, join, None]
        others[rows, join] = False
        close = _one_of(others, rng)
        # Whether a passage leads from the part of the tree that hangs on a cell to the rest.
        low, high = first[left], last[left]
        leaves = [
            _inside(start[left, one], low, high) != _inside(end[left, one], low, high)
            for one in (join, close)
        ]
        cycle = 1 + leaves[1].sum(1)
        allowed = leaves[0] & ~leaves[1] & (small[left] > HELD) & (cycle > HELD)[:, None]
        allowed &= apart[join[:, None], above[left]] & apart[close[:, None], above[left]]
        node = _one_of(allowed, rng)
        good = allowed[rows, node]
        places = left[good]
        done[places] = True
        chosen[:, places] = np.stack([join, close, node])[:, good]
        cycles[places] = cycle[good]
        left = left[~good]
        if not left.size:
            break
    kept = np.flatnonzero(done)
    rows, (*places, node) = np.arange(kept.size), chosen[:, kept]
    images = []
    for place in places:
        mazes = opened[kept]
        mazes[rows, above[kept, node]], mazes[rows, place] = False, True
        images.append(grid.images(mazes))
    return *images, cycles[kept], small[kept, node].astype(np.int32)


def _inside(
    cell: Int[np.ndarray, " trees"], low: Int[np.ndarray, "trees cells"], high: Int[np.ndarray, "trees cells"]
) -> Bool[np.ndarray, "trees cells"]:
    """Whether a cell of each tree hangs on each of its cells."""
    return (cell[:, None] >= low) & (cell[:, None] <= high)


def _trees(grid: _Grid, number: int, rng: np.random.Generator) -> Bool[np.ndarray, "trees passages"]:
    """Random spanning trees: the passages that are open, opened in a random order where they join parts."""
    rows = np.arange(number)
    order = np.argsort(rng.random((number, len(grid.ends)), np.float32), 1)
    parts = np.tile(np.arange(grid.cells**2, dtype=np.min_scalar_type(grid.cells**2 - 1)), (number, 1))
    opened = np.zeros((number, len(grid.ends)), bool)
    for passage in order.T:
        one, other = (parts[rows, grid.ends[passage, k]] for k in (0, 1))
        opened[rows, passage] = one != other
        np.copyto(parts, one[:, None], where=parts == other[:, None])
    return opened


def _walks(grid: _Grid, opened: Bool[np.ndarray, "trees passages"]) -> tuple[np.ndarray, ...]:
    """The place of each cell in a walk that goes deep first, the last of what hangs on it, its passage."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import depth_first_order

    cells, number = grid.cells**2, len(opened)
    total = number * cells
    # All trees hang on one more node, so that a single walk visits them. A cell's passage is the one that
    # leads to it; to the first cell of a tree none does, and its passage is any.
    tree, passage = np.nonzero(opened)
    sources, targets = (
        np.append(tree * cells + grid.ends[passage, k], one)
        for k, one in ((0, np.full(number, total)), (1, cells * np.arange(number)))
    )
    whole = coo_array((np.ones(sources.size), (sources, targets)), (total + 1, total + 1))
    walk, before = depth_first_order(whole.tocsr(), total, directed=False)
    before = before.astype(np.int64)
    before[total] = total
    place = np.empty(total + 1, np.int64)
    place[walk] = np.arange(total + 1)
    depth, ahead = (np.arange(total + 1) != total).astype(np.int64), before
    while np.any(ahead != total):
        depth, ahead = depth + depth[ahead], ahead[ahead]
    sizes = np.ones(total + 1, np.int64)
    by_depth = np.argsort(depth, kind="stable")
    for level in np.split(by_depth, np.flatnonzero(np.diff(depth[by_depth])) + 1)[:0:-1]:
        np.add.at(sizes, before[level], sizes[level])
    first = place[:total].reshape(number, cells)
    ends = np.sort([before[:total] % cells, np.arange(total) % cells], 0)
    above = grid.passage(*ends).reshape(number, cells)
    return first, first + sizes[:total].reshape(number, cells) - 1, above


def _looks(grid: _Grid, opened: Bool[np.ndarray, "trees passages"]) -> Float[np.ndarray, "trees passages"]:
    """A number for what surrounds each passage as far as the windows that contain it reach."""
    shift = grid.places[None] - grid.places[:, None]
    near = np.abs(shift).max(2) < WINDOW
    # The places around a passage in the order of their pixels; where the border is near, some are not there.
    code = np.where(near, (shift + WINDOW - 1) @ [2 * WINDOW - 1, 1], -1)
    around = np.column_stack([np.sort(code, 1)[:, -_AROUND:], grid.places[:, 0] % 2])
    kind = np.unique(around, axis=0, return_inverse=True)[1].reshape(-1)
    weights = np.where(near, 2.0 ** np.argsort(np.argsort(-code, 1), 1), 0)
    return opened.astype(np.float64) @ weights.T + 2.0**_AROUND * kind


def _one_of(allowed: Bool[np.ndarray, "rows choices"], rng: np.random.Generator) -> Int[np.ndarray, " rows"]:
    """A random place among those that are allowed in each row; 0 where there is none."""
    return np.argmax(np.where(allowed, rng.random(allowed.shape, np.float32) + 1, 0), 1)
