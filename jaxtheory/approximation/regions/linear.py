"""A network along a segment: a piecewise linear function of one variable, with its exact breakpoints."""

from typing import Any

import numpy as np
from jaxtyping import Float

from jaxtheory.approximation.relu.network import Network, Numbers, double
from jaxtheory.core import checks
from jaxtheory.core.records import record, static

CLOSE = 1e-13
"""Breakpoints that are closer, relative to the segment, are one: several neurons bend there."""

SNAPPED = 1e-12
"""The share of a neuron's largest value below which a value counts as zero."""

EQUAL = 1e-9
"""The share of the largest slope by which the slopes of two pieces must differ to count as two."""


@record
class Segment:
    """A network between two points, as a function of the share of the way."""

    breakpoints: Float[np.ndarray, " ends"]
    """The ends of the pieces, from 0 to 1."""
    values: Float[np.ndarray, "ends outputs"]
    """The network's outputs there; between them it is affine."""
    slopes: Float[np.ndarray, "pieces outputs"]
    """The derivative of the outputs on each piece with respect to the share of the way."""
    cells: int = static()
    """The number of intervals on which no neuron changes its sign."""

    @property
    def pieces(self) -> int:
        """The number of maximal intervals on which the network is affine."""
        return len(self.slopes)


def segment(network: Network, a: Numbers, b: Numbers) -> Segment:
    """Return the linear pieces of a network from one point to another.

    Layer by layer, each neuron is linear between neighboring breakpoints, so that its zeros are exact up to
    rounding; nothing is sampled.

    Args:
        network: The network.
        a: The point where the segment begins, `(inputs,)`.
        b: The point where it ends, another one.

    Returns:
        The breakpoints of the maximal pieces, the values there and the slopes. Breakpoints closer than 1e-13
        of the segment are one.

    Raises:
        ValueError: If the points do not fit the network, or are the same.

    Example:
        >>> from jaxtheory.approximation import regions, relu
        >>> found = regions.segment(relu.sawtooth(3), [0], [1])
        >>> found.pieces, found.breakpoints[:3].tolist()
        (8, [0.0, 0.125, 0.25])

    References:
        Telgarsky, Representation benefits of deep feedforward networks, 2015.
    """
    a, b = double(a), double(b)
    for name, point in (("a", a), ("b", b)):
        checks.axes(name, point, "inputs", sizes=network.widths[:1])
    if (a == b).all():
        raise ValueError("b is the point a: take two points")
    layers = [(double(kernel), double(bias)) for kernel, bias in zip(network.kernels, network.biases)]
    shares, values = np.array([0.0, 1.0]), np.stack([a, b])
    for kernel, bias in layers[:-1]:
        shares, values = _bent(shares, values @ kernel + bias)
        values = np.maximum(values, 0)
    middles = a + (shares[:-1, None] + shares[1:, None]) / 2 * (b - a)
    slopes = derivative(layers, middles, (b - a)[None])[:, 0]
    values = values @ layers[-1][0] + layers[-1][1]
    differs = np.abs(np.diff(slopes, axis=0)).max(1) > EQUAL * np.abs(slopes).max()
    ends = np.concatenate([[True], differs, [True]])
    return Segment(shares[ends], values[ends], slopes[ends[:-1]], cells=len(slopes))


def derivative(layers: list[Any], points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the derivatives of a network at points that no neuron is zero at.

    Args:
        layers: Pairs of kernel and bias.
        points: The points, `(points, inputs)`.
        directions: The directions, `(directions, inputs)`.

    Returns:
        The derivatives, `(points, directions, outputs)`.
    """
    tangents = np.broadcast_to(directions, (len(points), *directions.shape))
    for kernel, bias in layers[:-1]:
        points = points @ kernel + bias
        tangents = (tangents @ kernel) * (points > 0)[:, None]
        points = np.maximum(points, 0)
    return tangents @ layers[-1][0]


def _bent(shares: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Breakpoints, and the values of neurons there, with the zeros of these neurons added."""
    values = np.where(np.abs(values) <= SNAPPED * np.abs(values).max(0), 0, values)
    interval, neuron = np.nonzero(values[:-1] * values[1:] < 0)
    before, after = values[interval, neuron], values[interval + 1, neuron]
    part = before / (before - after)
    length = shares[interval + 1] - shares[interval]
    zeros = shares[interval] + part * length
    is_new = np.minimum(part, 1 - part) * length > CLOSE
    order = np.flatnonzero(is_new)[np.argsort(zeros[is_new], kind="stable")]
    order = order[np.diff(zeros[order], prepend=-1) > CLOSE]
    interval, neuron, part = interval[order], neuron[order], part[order, None]
    added = (1 - part) * values[interval] + part * values[interval + 1]
    added[np.arange(len(order)), neuron] = 0
    places = np.argsort(np.concatenate([shares, zeros[order]]), kind="stable")
    return np.concatenate([shares, zeros[order]])[places], np.concatenate([values, added])[places]
