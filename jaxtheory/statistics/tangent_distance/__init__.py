r"""Tangent distance: between the planes that small deformations of two images span, and the nearest digits.

An image that is moved, turned, stretched or thickened a little runs, to first order, through a plane: the
image plus combinations of seven tangent vectors. Two images are compared by the least distance between their
planes. Conventions: images are gray, `(..., H, W)`; distances are squared; labels under `jit` are traced and
cannot be checked, and one that is out of range has no vote.

Example:
    >>> import jax.numpy as jnp
    >>> from jaxtheory.statistics import tangent_distance
    >>> rows, columns = jnp.indices((12, 12))
    >>> blob = lambda x: jnp.exp(-(((columns - x) / 2) ** 2) - ((rows - 5) / 3) ** 2)
    >>> planes = tangent_distance.planes(blob(5.0)[None])
    >>> moved = tangent_distance.distances(planes, blob(5.5))
    >>> bool(moved[0] < 0.01 * jnp.sum((blob(5.0) - blob(5.5)) ** 2))
    True
"""

from jaxtheory.statistics.tangent_distance.geometry import TangentPlanes, distances, planes
from jaxtheory.statistics.tangent_distance.matching import predict, search
from jaxtheory.statistics.tangent_distance.vectors import tangents

__all__ = ["TangentPlanes", "distances", "planes", "predict", "search", "tangents"]
