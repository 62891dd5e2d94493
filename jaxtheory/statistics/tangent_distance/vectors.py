"""The seven tangent vectors of an image, from smoothed derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray

REACH = 4
"""Standard deviations after which a Gaussian filter ends, as SciPy's do."""


def tangent_vectors(
    images: Real[AnyArray, "... height width"], *, smoothing: float = 0.9
) -> Float[Array, "... tangents height width"]:
    r"""Return the seven tangent vectors of images: their derivatives along small deformations.

    With the derivatives $f_x$ and $f_y$ of the image after a Gaussian filter, and coordinates $x, y$ from the
    middle, in units of half the longer side: $f_x$ and $f_y$ (translations), $x f_x + y f_y$ (scaling), $y
    f_x - x f_y$ (rotation), $x f_x - y f_y$ and $y f_x + x f_y$ (hyperbolic deformations along the axes and
    the diagonals), $f_x^2 + f_y^2$ (thickening). Beyond the border is zero.

    Args:
        images: The images; x runs along the width.
        smoothing: The standard deviation of the Gaussian, in pixels; positive.

    Returns:
        The tangent vectors, derivatives by pixel, in this order.

    Raises:
        TypeError: If the images are complex or not an array of numbers.
        ValueError: If the images are empty or have less than two axes, or the smoothing is not positive.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.statistics import tangent_distance
        >>> ramp = np.tile(np.arange(9.0), (9, 1))
        >>> tangent_distance.tangent_vectors(ramp)[:2, 4, 4].round(3).tolist()
        [1.0, 0.0]

    References:
        Patrice Simard, Yann LeCun and John Denker, "Efficient pattern recognition using a new transformation
        distance", 1993.
    """
    smoothing = known_number("smoothing", smoothing, positive=True)
    (images,), back = real_arrays(images=images)
    check_images("images", images)
    return back(deformation_derivatives(images, smoothing))


def known_number(name: str, value: float, *, positive: bool) -> float:
    """Return a number that is known and in range, as Python's."""
    (checks.positive if positive else checks.nonnegative)(name, value, one=True)
    if not checks.known(value):
        raise ValueError(f"{name} is traced: take a number that is known")
    return float(value)


def check_images(name: str, images: Array, shape: tuple[int, int] | None = None) -> None:
    """Refuse what has no height and width, or others than asked for."""
    checks.axes(name, images, "...", "height", "width", sizes=shape or ())
    if 0 in images.shape[-2:]:
        raise ValueError(f"{name} has the shape {images.shape}: take at least one pixel")


def _filters(size: int, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian and its derivative as matrices on vectors of a size, zeros beyond the border."""
    reach = int(REACH * smoothing + 0.5)
    total = np.exp(-0.5 * (np.arange(-reach, reach + 1) / smoothing) ** 2).sum()
    apart = np.arange(size)[:, None] - np.arange(size)
    gaussian = np.where(np.abs(apart) <= reach, np.exp(-0.5 * (apart / smoothing) ** 2) / total, 0)
    return gaussian, -apart / smoothing**2 * gaussian


def smoothed(images: Array, smoothing: float) -> tuple[Array, Array, Array]:
    """Return the images after a Gaussian filter, and their derivatives along the width and the height."""
    (down, down_slope), (across, across_slope) = (
        (jnp.asarray(one, images.dtype) for one in _filters(size, smoothing)) for size in images.shape[-2:]
    )
    rows = matmul(images, across.T)
    return matmul(down, rows), matmul(down, matmul(images, across_slope.T)), matmul(down_slope, rows)


@partial(jax.jit, static_argnums=1)
def deformation_derivatives(images: Array, smoothing: float) -> Array:
    """Return the tangent vectors of images that were checked."""
    _, along_x, along_y = smoothed(images, smoothing)
    height, width = images.shape[-2:]
    half = max(height, width) / 2
    y = jnp.asarray((np.arange(height)[:, None] - (height - 1) / 2) / half, images.dtype)
    x = jnp.asarray((np.arange(width) - (width - 1) / 2) / half, images.dtype)
    found = (
        along_x,
        along_y,
        x * along_x + y * along_y,
        y * along_x - x * along_y,
        x * along_x - y * along_y,
        y * along_x + x * along_y,
        along_x**2 + along_y**2,
    )
    return jnp.stack(found, axis=-3)
