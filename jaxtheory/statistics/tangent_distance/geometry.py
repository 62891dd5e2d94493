"""Planes of small deformations, and the distances between them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray
from jaxtheory.statistics.tangent_distance.vectors import (
    check_images,
    deformation_derivatives,
    known_number,
    smoothed,
)

TANGENTS = 7
"""The number of tangent vectors of an image."""

BLOCK = 64
"""The number of images whose planes are made at once: their tangent vectors take megabytes."""


@record
class TangentPlanes:
    """The plane of small deformations of each image."""

    points: Float[Array, "... pixels"]
    """The smoothed images."""
    directions: Float[Array, "... tangents pixels"]
    """Combinations of the tangent vectors, orthonormal but for the spring."""
    shape: tuple[int, int] = static()
    """Height and width of the images."""
    smoothing: float = static()
    """The standard deviation of the Gaussian, in pixels."""
    spring: float = static()
    """The weight that keeps the combinations small."""


def planes(
    images: Real[AnyArray, "... height width"], *, smoothing: float = 0.9, spring: float = 0.01
) -> TangentPlanes:
    r"""Return the planes of small deformations of images, ready to be compared.

    With the tangent vectors $t_k$ scaled to unit length, as rows of T, and the spring $\kappa$, they are
    combined to $L^{-1} T$, where $L L^T = T T^T + \kappa I$: in these directions the distance between two
    planes, with $\kappa$ times the squared coefficients of the $t_k$ added, is a system of seven equations.
    The spring keeps far corners of the planes, where they no longer describe deformations, from meeting.

    Args:
        images: The images.
        smoothing: The standard deviation of the Gaussian before derivatives, in pixels; positive.
        spring: The weight $\kappa$ of the squared coefficients, at least 0; with 0 it is replaced by what the
            dtype can tell from zero.

    Returns:
        The planes.

    Raises:
        TypeError: If the images are complex or not an array of numbers.
        ValueError: If the images are empty or have less than two axes, the smoothing is not positive, or the
            spring is below 0.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.statistics import tangent_distance
        >>> planes = tangent_distance.planes(np.zeros((2, 9, 9)))
        >>> planes.points.shape, planes.directions.shape
        ((2, 81), (2, 7, 81))

    References:
        Patrice Simard, Yann LeCun and John Denker, "Efficient pattern recognition using a new transformation
        distance", 1993.
        Patrice Simard, Yann LeCun, John Denker and Bernard Victorri, "Transformation invariance in pattern
        recognition: tangent distance and tangent propagation", 1998.
    """
    smoothing = known_number("smoothing", smoothing, positive=True)
    spring = known_number("spring", spring, positive=False)
    (images,), back = real_arrays(images=images)
    check_images("images", images)
    return back(tangent_planes(images, smoothing, spring))


@partial(jax.jit, static_argnums=(1, 2))
def tangent_planes(images: Array, smoothing: float, spring: float) -> TangentPlanes:
    """Return the planes of images that were checked."""
    height, width = images.shape[-2:]
    limits = jnp.finfo(images.dtype)

    def plane(image: Array) -> tuple[Array, Array]:
        point, rows = (
            smoothed(image, smoothing)[0],
            deformation_derivatives(image, smoothing).reshape(TANGENTS, -1),
        )
        # The root of zero has no derivative; the tangent vectors of a blank image stay zero.
        squares = jnp.sum(rows**2, axis=1, keepdims=True)
        rows = rows * jnp.where(squares > limits.tiny, lax.rsqrt(jnp.maximum(squares, limits.tiny)), 0)
        level = max(spring, TANGENTS * float(limits.eps))
        gram = matmul(rows, rows.T) + level * jnp.eye(TANGENTS, dtype=rows.dtype)
        lower = jnp.linalg.cholesky(gram)
        return point.reshape(-1), jax.scipy.linalg.solve_triangular(lower, rows, lower=True)

    points, directions = in_blocks(plane, images.reshape(-1, height, width))
    lead = images.shape[:-2]
    return TangentPlanes(
        points.reshape(*lead, height * width),
        directions.reshape(*lead, TANGENTS, height * width),
        (height, width),
        smoothing,
        spring,
    )


def in_blocks(function: Callable[[Array], Any], rows: Array) -> Any:
    """Map a function over rows, as many at once as memory allows for."""
    return jax.vmap(function)(rows) if len(rows) <= BLOCK else lax.map(function, rows, batch_size=BLOCK)


def plane_distances(points: Array, directions: Array, point: Array, own: Array) -> Array:
    """Return squared distances of planes, (n, pixels) and (n, tangents, pixels), from one plane."""
    n, pixels = points.shape
    apart = points - point
    products = matmul(directions.reshape(n * TANGENTS, pixels), own.T).reshape(n, TANGENTS, TANGENTS)
    theirs = jnp.einsum("nkp,np->nk", directions, apart, precision="highest")
    ours = matmul(apart, own.T)
    # The minimum over our coefficients is taken first; what is left is a form in theirs.
    form = jnp.eye(TANGENTS, dtype=points.dtype) - matmul(products, jnp.swapaxes(products, 1, 2))
    vector = theirs - jnp.einsum("nlk,nk->nl", products, ours, precision="highest")
    left = jnp.sum(apart**2, axis=1) - jnp.sum(ours**2, axis=1) - _inverse_form(form, vector)
    return jnp.maximum(left, 0)


def _inverse_form(form: Array, vector: Array) -> Array:
    """The numbers v^T A^-1 v for n positive definite matrices, (n, k, k), and vectors, (n, k)."""
    lower = jnp.linalg.cholesky(form, symmetrize_input=False)
    return jnp.sum(jax.scipy.linalg.solve_triangular(lower, vector[..., None], lower=True) ** 2, axis=(1, 2))


def distances(planes: TangentPlanes, queries: Real[AnyArray, "... height width"]) -> Float[Array, "... n"]:
    r"""Return the squared tangent distances of queries from all images.

    $\min_{a, b} |x + T_x^T a - y - T_y^T b|^2 + \kappa (|a|^2 + |b|^2)$: two-sided, over the deformations of
    both.

    Args:
        planes: The planes of n images, from `planes`.
        queries: The images whose distances are measured; smoothing and spring are those of the planes.

    Returns:
        The squared distances, at least 0.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the planes have leading axes, or the queries have another height or width.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.statistics import tangent_distance
        >>> bars = np.zeros((2, 9, 9))
        >>> bars[0, 4, 2:7] = bars[1, 2:7, 4] = 1.0  # one lies, one stands
        >>> found = tangent_distance.distances(tangent_distance.planes(bars), bars[0])
        >>> float(found[0]), bool(found[1] > 0.01)
        (0.0, True)

    References:
        Patrice Simard, Yann LeCun and John Denker, "Efficient pattern recognition using a new transformation
        distance", 1993.
    """
    (planes, queries), back = real_arrays(planes=planes, queries=queries)
    check_planes(planes, queries)
    return back(_distances(planes, queries))


def check_planes(planes: TangentPlanes, queries: Array) -> None:
    """Refuse planes that are not in one row, and queries of another height or width."""
    checks.axes("planes.points", planes.points, "n", "pixels")
    check_images("queries", queries, planes.shape)


@jax.jit
def _distances(planes: TangentPlanes, queries: Array) -> Array:
    asked = tangent_planes(queries.reshape(-1, *planes.shape), planes.smoothing, planes.spring)
    found = lax.map(
        lambda one: plane_distances(planes.points, planes.directions, *one), (asked.points, asked.directions)
    )
    return found.reshape(*queries.shape[:-2], len(planes.points))
