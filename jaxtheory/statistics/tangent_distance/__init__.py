r"""Tangent distance: between the planes that small deformations of two images span, and the nearest digits.

An image that is moved, turned, stretched or thickened a little runs, to first order, through a plane: the
image plus combinations of seven tangent vectors. Two images are compared by the least distance between their
planes. Conventions: images are gray, `(..., H, W)`; distances are squared; labels under `jit` are traced and
cannot be checked, and one that is out of range has no vote.

Example:
    >>> import numpy as np
    >>> from jaxtheory.statistics import tangent_distance
    >>> rows, columns = np.indices((9, 9)) - 4.0
    >>> blob = lambda x: np.exp(-(((columns - x) / 2) ** 2) - (rows / 3) ** 2)
    >>> planes = tangent_distance.planes(np.stack([blob(0.0), blob(3.0)]))
    >>> found = tangent_distance.distances(planes, blob(0.5))
    >>> bool(found[0] < 0.01 * np.sum((blob(0.0) - blob(0.5)) ** 2))
    True
"""

from jaxtheory.statistics.tangent_distance.geometry import TangentPlanes, distances, planes
from jaxtheory.statistics.tangent_distance.matching import predict, search
from jaxtheory.statistics.tangent_distance.vectors import tangent_vectors

__all__ = ["TangentPlanes", "distances", "planes", "predict", "search", "tangent_vectors"]
