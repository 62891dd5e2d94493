r"""Multilinear interpolants of constituents, or of functions on a tensor grid, with certified error.

On cells of width $h$, a wave $\cos(w \cdot u + p)$ is missed by at most
$\min(2, \frac h2 \|w\|_1, \frac{h^2}8 \|w\|_2^2)$; changes $\delta_i$ of what a node takes change the wave
by at most $\min(2, \sum_i |w_i| \delta_i)$. Errors pass through the graph by these bounds. On a tensor
grid a function is missed by at most $\frac{h^2}8 \sum_i \sup |\partial_i^2 f|$, and bounds of derivatives
pass through the graph by the chain rule. Triangle waves have first derivatives only, of at most
$\frac2\pi |w_i|$.
"""

from collections.abc import Callable
from itertools import product

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxtheory.approximation.compositional.graphs import Graph
from jaxtheory.approximation.compositional.models import STEEPEST, Target, apply
from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray

LARGEST = 2**24
"""The largest number of values on a grid."""


@record
class Interpolant:
    """A compositional function whose constituents are piecewise multilinear on equal cells of [-1, 1]^k."""

    graph: Graph
    """What is composed of what."""
    values: tuple[Float[AnyArray, "..."], ...]
    """The values of each node on its grid, an axis for each number that it takes."""

    def constituent(self, place: int, u: Array) -> Array:
        """Return the values of a node, `(..., taken)` to `(..., 1)`."""
        values = self.values[place]
        cells = values.shape[0] - 1
        at = (jnp.clip(u, -1, 1) + 1) * (cells / 2)
        corner = jnp.clip(jnp.floor(at), 0, cells - 1).astype(jnp.int32)
        share = at - corner
        total = jnp.zeros(u.shape[:-1], u.dtype)
        for upper in product((0, 1), repeat=values.ndim):
            weight = jnp.prod(jnp.where(jnp.array(upper, bool), share, 1 - share), axis=-1)
            total = total + weight * values[tuple(jnp.moveaxis(corner + jnp.array(upper), -1, 0))]
        return total[..., None]


def interpolate(target: Target, cells: int) -> Interpolant:
    """Interpolate each constituent of a function on a grid of its own.

    Args:
        target: The function.
        cells: The number of cells along each axis, at least 1.

    Returns:
        The interpolant, of $(c + 1)^k$ values for a node that takes $k$ numbers.

    Raises:
        TypeError: If `cells` is not a whole number.
        ValueError: If it is below 1, or a grid would have more than 16,777,216 values.

    Example:
        >>> import jax
        >>> from jaxtheory.approximation import compositional
        >>> target = compositional.init(jax.random.key(0), compositional.binary_tree(8))
        >>> compositional.size(interpolate(target, 10))
        847

    References:
        Mhaskar and Poggio, Deep vs. shallow networks: an approximation theory perspective, 2016.
    """
    cells = checks.count("cells", cells)
    grids = []
    for taken, *waves in zip(target.graph.nodes, target.frequencies, target.amplitudes, target.phases):
        graph = Graph(inputs=len(taken), nodes=(tuple(range(len(taken))),))
        grids.append(_on_grid(Target(graph, *((one,) for one in waves), target.wave), cells))
    return Interpolant(target.graph, tuple(grids))


def tensor(target: Target, cells: int) -> Interpolant:
    """Interpolate a function as a whole, on a tensor grid of all of its inputs.

    Args:
        target: The function.
        cells: The number of cells along each axis, at least 1.

    Returns:
        The interpolant, of $(c + 1)^d$ values, whose graph has one node.

    Raises:
        TypeError: If `cells` is not a whole number.
        ValueError: If it is below 1, or the grid would have more than 16,777,216 values.

    Example:
        >>> import jax
        >>> from jaxtheory.approximation import compositional
        >>> target = compositional.init(jax.random.key(0), compositional.binary_tree(4))
        >>> compositional.size(tensor(target, 10))
        14641
    """
    cells, inputs = checks.count("cells", cells), target.graph.inputs
    graph = Graph(inputs=inputs, nodes=(tuple(range(inputs)),))
    return Interpolant(graph, (_on_grid(target, cells),))


def certified_error(target: Target, cells: int) -> float:
    r"""Bound the largest error of `interpolate` on $[-1, 1]^d$, in exact arithmetic.

    Args:
        target: The function.
        cells: The number of cells along each axis, at least 1.

    Returns:
        The bound, computed in double precision.

    Raises:
        TypeError: If `cells` is not a whole number.
        ValueError: If it is below 1.

    Example:
        >>> import jax
        >>> from jaxtheory.approximation import compositional
        >>> target = compositional.init(jax.random.key(0), compositional.binary_tree(4))
        >>> ratio = certified_error(target, 100) / certified_error(target, 200)
        >>> round(ratio, 6)
        4.0
    """
    width = 2 / checks.count("cells", cells)

    def own(frequencies: np.ndarray) -> np.ndarray:
        first = STEEPEST[target.wave] * np.abs(frequencies).sum(1) * width / 2
        if target.wave == "cosine":
            first = np.minimum(first, (frequencies**2).sum(1) * width**2 / 8)
        return np.minimum(first, 2)

    return _propagated(target, 0.0, own)


def certified_tensor_error(target: Target, cells: int) -> float:
    r"""Bound the largest error of `tensor` on $[-1, 1]^d$, in exact arithmetic.

    Args:
        target: The function.
        cells: The number of cells along each axis, at least 1.

    Returns:
        The bound, computed in double precision: the smaller one of those by the modulus of continuity and,
        for cosines, by second derivatives.

    Raises:
        TypeError: If `cells` is not a whole number.
        ValueError: If it is below 1.

    Example:
        >>> import jax
        >>> from jaxtheory.approximation import compositional
        >>> target = compositional.init(jax.random.key(0), compositional.binary_tree(4))
        >>> round(certified_tensor_error(target, 1000) / certified_tensor_error(target, 2000), 6)
        4.0
    """
    width = 2 / checks.count("cells", cells)
    # The weights of the corners are at a mean distance of at most h / 2 along each axis; moduli are concave.
    first = _propagated(target, width / 2, lambda frequencies: np.zeros(len(frequencies)))
    if target.wave != "cosine":
        return first
    return min(first, float(_second_derivatives(target).sum()) * width**2 / 8)


def cells_needed(
    target: Target, error: float | int, *, certify: Callable[[Target, int], float] = certified_error
) -> int:
    """Return the smallest number of cells along each axis with which an error is certified.

    Args:
        target: The function.
        error: The error to reach, above 0.
        certify: The bound, `certified_error` or `certified_tensor_error`.

    Returns:
        The number of cells.

    Raises:
        ValueError: If the error is not positive, or is not certified with 2^60 cells.

    Example:
        >>> import jax
        >>> from jaxtheory.approximation import compositional
        >>> target = compositional.init(jax.random.key(0), compositional.binary_tree(4))
        >>> cells = cells_needed(target, 0.01)
        >>> certified_error(target, cells) <= 0.01 < certified_error(target, cells - 1)
        True
    """
    checks.positive("error", error)
    enough = 1
    while certify(target, enough) > error:
        enough *= 2
        if enough > 2**60:
            raise ValueError(f"error is {error}: take a larger one, as 2^60 cells do not certify it")
    few = enough // 2
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if certify(target, middle) <= error else (middle, enough)
    return enough


def _propagated(target: Target, leaves: float, own: Callable[[np.ndarray], np.ndarray]) -> float:
    """The error of the last node, from errors of the leaves and of each wave."""
    errors = [leaves] * target.graph.inputs
    for taken, frequencies, amplitudes in zip(target.graph.nodes, target.frequencies, target.amplitudes):
        w, a = np.asarray(frequencies, float), np.abs(np.asarray(amplitudes, float))
        moved = STEEPEST[target.wave] * np.abs(w) @ np.array([errors[one] for one in taken])
        moved = np.minimum(moved, 2)
        errors.append(float(a @ np.minimum(moved + own(w), 2)))
    return errors[-1]


def _second_derivatives(target: Target) -> np.ndarray:
    """Bounds of the second derivatives of a function of cosines along each axis."""
    inputs = target.graph.inputs
    first, second = list(np.eye(inputs)), [np.zeros(inputs)] * inputs
    for taken, frequencies, amplitudes in zip(target.graph.nodes, target.frequencies, target.amplitudes):
        w, a = np.abs(np.asarray(frequencies, float)), np.abs(np.asarray(amplitudes, float))
        along = w @ np.stack([first[one] for one in taken])
        first.append(a @ along)
        second.append(a @ (along**2 + w @ np.stack([second[one] for one in taken])))
    return second[-1]


def _on_grid(target: Target, cells: int) -> Array:
    """The values of a function on a grid of all of its inputs."""
    axes = target.graph.inputs
    if (cells + 1) ** axes > LARGEST:
        raise ValueError(
            f"cells is {cells}, which makes {(cells + 1) ** axes:,} values on {axes} axes: take at most "
            f"{int(LARGEST ** (1 / axes)) - 1} cells"
        )
    line = np.linspace(-1, 1, cells + 1, dtype=jnp.asarray(target.amplitudes[0]).dtype)
    return apply(target, np.stack(np.meshgrid(*[line] * axes, indexing="ij"), axis=-1))
