"""A network in a plane: convex cells with shared corners and edges, cut neuron by neuron."""

import numpy as np
from jaxtyping import Float, Int

from jaxtheory.approximation.regions.linear import EQUAL, SNAPPED, derivative
from jaxtheory.approximation.relu.network import Network, Numbers, double
from jaxtheory.core import checks
from jaxtheory.core.records import record, static

OUTSIDE = -1
"""What lies beyond the window, on the other side of its edges."""


@record
class Plane:
    """The cells and linear pieces of a network of two inputs in a window."""

    vertices: Float[np.ndarray, "vertices 2"]
    """The corners of all cells."""
    edges: Int[np.ndarray, "edges 2"]
    """The two corners of each edge."""
    sides: Int[np.ndarray, "edges 2"]
    """The cells on both sides of each edge; -1 beyond the window."""
    witnesses: Float[np.ndarray, "cells 2"]
    """A point in the interior of each cell."""
    gradients: Float[np.ndarray, "cells 2 outputs"]
    """The derivative of the outputs on each cell."""
    piece: Int[np.ndarray, " cells"]
    """The linear piece of each cell, numbered from 0."""
    unresolved: int = static()
    """The number of times that a cell was too thin for double precision to be cut: 0 but for networks whose
    neurons are zero on nearly the same lines."""

    @property
    def cells(self) -> int:
        """The number of cells, on each of which all neurons keep their sign."""
        return len(self.witnesses)

    @property
    def pieces(self) -> int:
        """The number of linear regions: maximal connected sets on which the network is affine."""
        return int(self.piece.max()) + 1


def plane(network: Network, window: Numbers) -> Plane:
    """Return the linear regions of a network of two inputs in a window.

    For the plane through a network of more inputs, compose it with the affine map of the plane.

    Args:
        network: The network of two inputs.
        window: The ends of both inputs, `((low, high), (low, high))`.

    Returns:
        The cells, with their corners, edges and interior points, and the linear pieces that they make up.
        Where a neuron is below 1e-12 of its largest value in the window, it counts as zero.

    Raises:
        ValueError: If the network has another number of inputs, or the window is empty.

    Example:
        >>> from jaxtheory.approximation import regions, relu
        >>> found = regions.plane(relu.parallel(relu.sawtooth(2), relu.sawtooth(1)), ((0, 1), (0, 1)))
        >>> found.pieces
        8

    References:
        Montúfar, Pascanu, Cho and Bengio, On the number of linear regions of deep neural networks, 2014.
    """
    if network.widths[0] != 2:
        raise ValueError(f"network has {network.widths[0]} inputs: take 2, as of a plane in its space")
    window = double(window)
    checks.axes("window", window, "inputs", "ends", sizes=(2, 2))
    (left, right), (bottom, top) = window
    if not (left < right and bottom < top):
        raise ValueError(f"window is {window.tolist()}: take ((low, high), (low, high))")
    layers = [(double(kernel), double(bias)) for kernel, bias in zip(network.kernels, network.biases)]
    corners = double([[left, bottom], [right, bottom], [right, top], [left, top]])
    mesh = _Mesh(corners)
    values = corners
    for kernel, bias in layers[:-1]:
        values = np.maximum(mesh.cut(values @ kernel + bias), 0)
    witnesses = mesh.centers()
    gradients = derivative(layers, witnesses, np.eye(2))
    sides = mesh.edges[:, 2:] - 1
    piece = _joined(sides, gradients)
    return Plane(
        mesh.points.copy(), mesh.edges[:, :2].copy(), sides, witnesses, gradients, piece, mesh.unresolved
    )


def polygons(plane: Plane) -> list[Float[np.ndarray, "corners 2"]]:
    """Return the cells of a plane as polygons, as `matplotlib.collections.PolyCollection` draws them.

    Args:
        plane: The plane.

    Returns:
        The corners of each cell, counterclockwise.

    Example:
        >>> from jaxtheory.approximation import regions, relu
        >>> halves = regions.plane(relu.half_space((1, 0), width=9), ((-1, 1), (0, 1)))
        >>> [len(polygon) for polygon in regions.polygons(halves)]
        [4, 4]
    """
    cell, corner = _incident(plane.sides, plane.edges)
    pair = np.unique(np.stack([cell, corner], axis=1), axis=0)
    cell, points = pair[:, 0], plane.vertices[pair[:, 1]]
    angle = np.arctan2(*(points - plane.witnesses[cell]).T[::-1])
    order = np.lexsort((angle, cell))
    return np.split(points[order], np.flatnonzero(np.diff(cell)) + 1)


def _incident(sides: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a cell and a corner of one of its edges; each corner of a cell comes twice."""
    cell = np.repeat(sides, 2, axis=1).ravel()
    corner = np.tile(edges, (1, 2)).ravel()
    return cell[cell != OUTSIDE], corner[cell != OUTSIDE]


def _joined(sides: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The piece of each cell: neighbors of one gradient belong together, as the network is continuous."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = sides[(sides != OUTSIDE).all(1)].T
    step = np.abs(gradients[one] - gradients[other]).max((1, 2))
    same = step <= EQUAL * np.abs(gradients).max()
    size = (len(gradients), len(gradients))
    graph = coo_array((np.ones(same.sum(), bool), (one[same], other[same])), size)
    return connected_components(graph, directed=False)[1]


class _Mesh:
    """Convex cells in a plane: points, and edges as `(point, point, cell, cell)`, cell 0 being outside.

    Arrays are kept longer than they are, so that they grow without being copied each time.
    """

    def __init__(self, corners: np.ndarray):
        self._points = corners.copy()
        self._edges = np.array([[0, 1, 1, 0], [1, 2, 1, 0], [2, 3, 1, 0], [3, 0, 1, 0]])
        self.number, self.edge_number, self.cells = 4, 4, 2
        self.unresolved = 0

    @property
    def points(self) -> np.ndarray:
        return self._points[: self.number]

    @property
    def edges(self) -> np.ndarray:
        return self._edges[: self.edge_number]

    def centers(self) -> np.ndarray:
        """The mean of each cell's corners."""
        cell, corner = _incident(self.edges[:, 2:] - 1, self.edges[:, :2])
        counts = np.bincount(cell, minlength=self.cells - 1)
        sums = [np.bincount(cell, self.points[corner, k], self.cells - 1) for k in range(2)]
        return np.stack(sums, axis=1) / counts[:, None]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """Cuts all cells where a column of values is zero; returns the values at all points, old and new."""
        limits = SNAPPED * np.abs(values).max(0)
        for column, limit in enumerate(limits):
            values = self._cut(values, column, limit)
        return values[: self.number]

    def _cut(self, values: np.ndarray, column: int, limit: float) -> np.ndarray:
        """Cuts where one column is zero; `values` may be longer than there are points."""
        height = values[: self.number, column]
        sign = np.where(np.abs(height) <= limit, 0, np.sign(height)).astype(np.int8)
        first, second = sign[self.edges[:, 0]], sign[self.edges[:, 1]]
        split = np.flatnonzero(first * second < 0)
        if not len(split) and sign.all():
            return values
        side = first + second
        a, b = self.edges[split, 0], self.edges[split, 1]
        part = (height[a] / (height[a] - height[b]))[:, None]
        new = self.number + np.arange(len(split))
        halves = np.column_stack([new, b, self.edges[split, 2:]])
        between = (1 - part) * values[a] + part * values[b]
        between[:, column] = 0
        self._points = _appended(
            self._points, self.number, (1 - part) * self.points[a] + part * self.points[b]
        )
        values = _appended(values, self.number, between)
        self.number += len(split)
        self._edges[split, 1] = new
        side = np.concatenate([np.where(first * second < 0, first, side), second[split]])
        sign = np.concatenate([sign, np.zeros(len(split), np.int8)])
        self._append_edges(halves)
        self._divide(sign, side)
        return values

    def _divide(self, sign: np.ndarray, side: np.ndarray) -> None:
        """Divides each cell that has edges on both sides, from one of its points at zero to the other."""
        edges = self.edges
        on_side = np.zeros((3, self.cells), bool)
        for one in (-1, 0, 1):
            on_side[one, edges[side == one, 2:]] = True
        crossed = on_side[-1] & on_side[1]
        crossed[0] = False
        # Each point at zero of a cell that is crossed ends one of its edges on the positive side.
        at_zero = edges[(side > 0) & ((sign[edges[:, 0]] == 0) | (sign[edges[:, 1]] == 0))]
        point = np.where(sign[at_zero[:, 0]] == 0, at_zero[:, 0], at_zero[:, 1])
        cell, point = at_zero[:, 2:].T.ravel(), np.tile(point, 2)
        sound = crossed & (np.bincount(cell, minlength=self.cells) == 2) & ~on_side[0]
        self.unresolved += int(crossed.sum() - sound.sum())
        chosen = np.flatnonzero(sound[cell])
        chosen = chosen[np.argsort(cell[chosen], kind="stable")].reshape(-1, 2)
        divided = cell[chosen[:, 0]]
        other = np.arange(self.cells)
        other[divided] = self.cells + np.arange(len(divided))
        below = side < 0
        edges[below, 2:] = other[edges[below, 2:]]
        self.cells += len(divided)
        self._append_edges(np.column_stack([point[chosen], divided, other[divided]]))

    def _append_edges(self, rows: np.ndarray) -> None:
        self._edges = _appended(self._edges, self.edge_number, rows)
        self.edge_number += len(rows)


def _appended(array: np.ndarray, used: int, rows: np.ndarray) -> np.ndarray:
    """The array with rows after those in use; a longer copy where there is no room."""
    if used + len(rows) > len(array):
        longer = np.empty((2 * (used + len(rows)), *array.shape[1:]), array.dtype)
        longer[:used] = array[:used]
        array = longer
    array[used : used + len(rows)] = rows
    return array
