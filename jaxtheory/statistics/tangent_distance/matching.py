"""The images that are nearest in the tangent distance, and their majority class."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray
from jaxtheory.statistics import labeled
from jaxtheory.statistics.neighbors import Neighbors
from jaxtheory.statistics.tangent_distance.geometry import (
    TangentPlanes,
    check_planes,
    in_blocks,
    plane_distances,
    tangent_planes,
)

CANDIDATES = 200
"""The images that are nearest in the Euclidean distance, among which search compares planes by default."""


def search(
    planes: TangentPlanes,
    queries: Real[AnyArray, "... height width"],
    *,
    neighbors: int = 1,
    candidates: int | None = None,
) -> Neighbors:
    """Find the images that are nearest in the tangent distance, among those nearest in the Euclidean one.

    Args:
        planes: The planes of n images, from `planes`.
        queries: The images whose neighbors are found.
        neighbors: The number of neighbors, from 1 to `candidates`.
        candidates: The number of smoothed images, nearest in the Euclidean distance, whose planes are
            compared; from 1 to n, by default 200, or n where there are fewer.

    Returns:
        Squared tangent distances and rows, nearest first.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the planes have leading axes, the queries have another height or width, or a number is
            out of range.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.statistics import tangent_distance
        >>> bars = np.zeros((2, 9, 9))
        >>> bars[0, 4, 2:7] = bars[1, 2:7, 4] = 1.0  # one lies, one stands
        >>> slanted = np.zeros((9, 9))
        >>> slanted[[3, 4, 4, 4, 5], range(2, 7)] = 1.0
        >>> tangent_distance.search(tangent_distance.planes(bars), slanted).indices.tolist()
        [0]

    References:
        Patrice Simard, Yann LeCun and John Denker, "Efficient pattern recognition using a new transformation
        distance", 1993.
    """
    (planes, queries), back = real_arrays(planes=planes, queries=queries)
    check_planes(planes, queries)
    n = len(planes.points)
    candidates = min(CANDIDATES, n) if candidates is None else checks.count("candidates", candidates, most=n)
    return back(_search(planes, queries, checks.count("neighbors", neighbors, most=candidates), candidates))


@partial(jax.jit, static_argnums=(2, 3))
def _search(planes: TangentPlanes, queries: Array, wanted: int, candidates: int) -> Neighbors:
    asked = tangent_planes(queries.reshape(-1, *planes.shape), planes.smoothing, planes.spring)
    points = lax.stop_gradient(planes.points)
    lengths = jnp.sum(points**2, axis=1)

    def near(point: Array) -> Array:
        return lax.top_k(2 * matmul(points, point) - lengths, candidates)[1]

    def nearest(one: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        point, own, rows = one
        values, places = lax.top_k(
            -plane_distances(planes.points[rows], planes.directions[rows], point, own), wanted
        )
        return -values, rows[places]

    rows = in_blocks(near, lax.stop_gradient(asked.points))
    found, indices = lax.map(nearest, (asked.points, asked.directions, rows))
    shape = (*queries.shape[:-2], wanted)
    return Neighbors(found.reshape(shape), indices.reshape(shape))


def predict(
    planes: TangentPlanes,
    labels: Int[AnyArray, " n"],
    queries: Real[AnyArray, "... height width"],
    *,
    classes: int,
    neighbors: int = 1,
    candidates: int | None = None,
) -> Int[Array, "..."]:
    """Return the majority class of the images that are nearest in the tangent distance.

    Args:
        planes: The planes of the n training images, from `planes`.
        labels: The class of each training image, from 0 to `classes` - 1.
        queries: The images to classify.
        classes: The number of classes, at least 1.
        neighbors: The number of neighbors, from 1 to `candidates`.
        candidates: The number of training images, nearest in the Euclidean distance, whose planes are
            compared; from 1 to n, by default 200, or n where there are fewer.

    Returns:
        The classes, from 0; of equally many votes the lower class.

    Raises:
        TypeError: If the queries are complex, or the labels are not whole numbers.
        ValueError: If shapes do not match, a number is out of range, or labels (where their values are known)
            are out of range.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.statistics import tangent_distance
        >>> bars = np.zeros((2, 9, 9))
        >>> bars[0, 4, 2:7] = bars[1, 2:7, 4] = 1.0  # one lies, one stands
        >>> planes = tangent_distance.planes(bars)
        >>> int(tangent_distance.predict(planes, np.array([3, 1]), bars[1], classes=4))
        1
    """
    labels = labeled.whole_labels(labels)
    labeled.check_examples(as_array("planes.points", planes.points), labels, classes)
    found = search(planes, queries, neighbors=neighbors, candidates=candidates)
    return jnp.argmax(jax.nn.one_hot(jnp.asarray(labels)[found.indices], classes, dtype=int).sum(-2), axis=-1)
