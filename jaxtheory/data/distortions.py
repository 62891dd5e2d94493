r"""Distortions of images: deslanting by moments, planar affine transformations, and elastic displacements.

Conventions: images are gray, `(..., H, W)`, and zero beyond their border. Between its pixels an image is
bilinear. Rows are numbered downwards and columns to the right; middles are those of the image.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Real, UInt32

Images = Real[Array | np.ndarray, "... H W"]
RandomKey = Key[Array, ""] | UInt32[Array | np.ndarray, "words"]
Amount = float | int | np.floating | np.integer
FLOATS = tuple(jnp.dtype(name) for name in ("float16", "bfloat16", "float32", "float64"))
TRUNCATED = 4
"""The standard deviations after which a Gaussian is cut off, as SciPy does."""


def deslant(images: Images) -> Float[Array, "... H W"]:
    r"""Shear images so that the principal axis of their ink is vertical, and their center of mass stays.

    With the moments $\mu_{rc} = \sum_{rc} x(r, c) (r - \bar r)(c - \bar c)$ and $\mu_{rr}$ about the center
    of mass, $y(r, c) = x(r, c + \alpha (r - \bar r))$ with $\alpha = \mu_{rc} / \mu_{rr}$. Rows are shifted
    by linear interpolation, so that $\mu_{rc}$ of the result is zero to rounding if no ink leaves the image.

    Args:
        images: The images, whose intensities are nonnegative.

    Returns:
        The deslanted images; one without ink, or with all its ink in one row, stays as it is.

    Raises:
        TypeError: If the images are complex or no array of numbers.
        ValueError: If an axis is missing, or there is no pixel.

    Example:
        >>> deslant(np.float32([[0, 0, 1], [0, 1, 0], [1, 0, 0]]))
        Array([[0., 1., 0.],
               [0., 1., 0.],
               [0., 1., 0.]], dtype=float32)

    References:
        Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
        document recognition", 1998.
    """
    images, back = _taken(images)
    return back(_deslant(images))


@jax.jit
def _deslant(images: Array) -> Array:
    height, width = images.shape[-2:]
    rows, columns = jnp.arange(height, dtype=images.dtype), jnp.arange(width, dtype=images.dtype)
    mass = _unless_zero(images.sum((-2, -1)))
    by_row, by_column = images.sum(-1), images.sum(-2)
    row = rows - (by_row @ rows / mass)[..., None]
    column = columns - (by_column @ columns / mass)[..., None]
    mixed = jnp.einsum("...rc,...r,...c->...", images, row, column, precision="highest")
    slant = mixed / _unless_zero(jnp.sum(by_row * row**2, -1))
    shift = jnp.broadcast_to(-(slant[..., None] * row)[..., None], images.shape)
    return _displace(images, jnp.stack([jnp.zeros_like(shift), shift], -3))


def displace(images: Images, displacement: Real[Array | np.ndarray, "... 2 H W"]) -> Float[Array, "... H W"]:
    r"""Move the pixels of images: $y(u) = x(u - \tau(u))$, where $x$ is bilinear between its pixels.

    Leading axes of images and displacements broadcast. Differentiable in both arguments.

    Args:
        images: The images.
        displacement: The displacement $\tau$ in pixels, along rows and columns.

    Returns:
        The displaced images.

    Raises:
        TypeError: If an argument is complex or no array of numbers.
        ValueError: If an axis is missing, there is no pixel, or images and displacements differ in size.

    Example:
        >>> right = np.float32([[[0, 0, 0]], [[0.5, 0.5, 0.5]]])
        >>> displace(np.float32([[0, 2, 0]]), right)
        Array([[0., 1., 1.]], dtype=float32)
    """
    (images, displacement), back = _converted(images=images, displacement=displacement)
    _check_size(images)
    if displacement.ndim < 3 or displacement.shape[-3:] != (2, *images.shape[-2:]):
        raise ValueError(
            f"displacement has the shape {displacement.shape}: take (..., 2, {images.shape[-2]}, "
            f"{images.shape[-1]}), that of the images with a component along rows and one along columns"
        )
    return back(_displace(images, displacement))


@jax.jit
def _displace(images: Array, displacement: Array) -> Array:
    height, width = images.shape[-2:]
    lead = jnp.broadcast_shapes(images.shape[:-2], displacement.shape[:-3])
    rows = jnp.arange(height)[:, None] - displacement[..., 0, :, :]
    columns = jnp.arange(width) - displacement[..., 1, :, :]
    # A margin of zeros, of one pixel, is all that lies beyond the border.
    padded = jnp.pad(images, [(0, 0)] * (images.ndim - 2) + [(1, 1), (1, 1)])
    padded = jnp.broadcast_to(padded, (*lead, height + 2, width + 2)).reshape(*lead, -1)
    top, down = _between(rows, height)
    left, right = _between(columns, width)
    corner = jnp.broadcast_to((top + 1) * (width + 2) + left + 1, (*lead, height, width)).reshape(*lead, -1)

    def at(offset: int) -> Array:
        found = jnp.take_along_axis(padded, corner + offset, -1, mode="promise_in_bounds")
        return found.reshape(*lead, height, width)

    above = (1 - right) * at(0) + right * at(1)
    below = (1 - right) * at(width + 2) + right * at(width + 3)
    return (1 - down) * above + down * below


def _between(places: Array, size: int) -> tuple[Array, Array]:
    """The pixel before each place, from -1, and how far after it the place is, from 0 to 1."""
    places = jnp.clip(places, -1, size)
    before = jnp.clip(jnp.floor(jax.lax.stop_gradient(places)), -1, size - 1)
    return before.astype(int), places - before


def affine(
    images: Images,
    key: RandomKey,
    *,
    translation: Amount = 1.0,
    scaling: Amount = 0.1,
    squeezing: Amount = 0.1,
    shearing: Amount = 0.2,
) -> Float[Array, "... H W"]:
    r"""Distort each image by a random affine transformation of the plane, about the image's middle $m$.

    $y(u) = x(m + M (u - m - t))$, where $M = e^{-s} \begin{pmatrix} e^{-q} & 0 \\ h & e^{q} \end{pmatrix}$
    acts on rows and columns: a translation $t$, a scaling by $e^s$, a squeezing (taller by $e^q$ and
    narrower by as much, or the reverse), and a horizontal shearing $h$. The numbers $(t_r, t_c, s, q, h)$,
    each divided by its largest value, are `jax.random.uniform(key, (..., 5), minval=-1)`.

    Args:
        images: The images.
        key: The random key of all images.
        translation: The largest translation along rows and columns in pixels, 0 or more.
        scaling: The largest $s$, 0 or more.
        squeezing: The largest $q$, 0 or more.
        shearing: The largest $h$ in pixels for each pixel of height, 0 or more.

    Returns:
        The distorted images.

    Raises:
        TypeError: If the images are complex or no array of numbers, or `key` is no random key.
        ValueError: If an axis is missing, there is no pixel, or a number is negative or not finite.

    Example:
        >>> image = np.zeros((5, 5), np.float32)
        >>> image[2, 2] = 1
        >>> stays = affine(image, jax.random.key(0), translation=0)[2, 2]
        >>> moves = affine(image, jax.random.key(0), translation=2)[2, 2]
        >>> bool(stays == 1), bool(moves < 1)
        (True, True)

    References:
        Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
        document recognition", 1998.
    """
    images, back = _taken(images)
    _check_key(key)
    largest = {
        "translation": translation, "scaling": scaling, "squeezing": squeezing, "shearing": shearing
    }  # fmt: skip
    for name, value in largest.items():
        _check_number(name, value, positive=False)
    scale = jnp.asarray([translation, translation, scaling, squeezing, shearing], images.dtype)
    return back(_affine(images, key, scale))


@jax.jit
def _affine(images: Array, key: RandomKey, scale: Array) -> Array:
    shape = images.shape[-2:]
    drawn = scale * jax.random.uniform(key, (*images.shape[:-2], 5), images.dtype, minval=-1)
    down, right, size, squeeze, shear = (drawn[..., k, None, None] for k in range(5))
    middles = jnp.indices(shape, images.dtype) - (jnp.asarray(shape, images.dtype) - 1)[:, None, None] / 2
    row, column = middles[0] - down, middles[1] - right
    source = jnp.stack(
        [jnp.exp(-size - squeeze) * row, jnp.exp(-size) * (shear * row + jnp.exp(squeeze) * column)], -3
    )
    return _displace(images, middles - source)


def elastic(
    images: Images, key: RandomKey, *, alpha: Amount = 34.0, sigma: Amount = 4.0
) -> Float[Array, "... H W"]:
    r"""Displace the pixels of each image by random numbers that a Gaussian has smoothed.

    $y(u) = x(u - \tau(u))$ with $\tau = \alpha \, g_\sigma * \xi$, where both components of $\xi$ are
    `jax.random.uniform(key, (..., 2, H, W), minval=-1)`. The Gaussian $g_\sigma$ has the sum 1 and ends after
    four standard deviations. For a large $\sigma$ the displacement's standard deviation is
    $\alpha / (2 \sigma \sqrt{3 \pi})$ pixels.

    Args:
        images: The images.
        key: The random key of all images.
        alpha: The factor on the smoothed numbers, in pixels, 0 or more.
        sigma: The standard deviation of the Gaussian in pixels, positive.

    Returns:
        The distorted images.

    Raises:
        TypeError: If the images are complex or no array of numbers, or `key` is no random key.
        ValueError: If an axis is missing, there is no pixel, or a number is out of its range.

    Example:
        >>> image = np.eye(7, dtype=np.float32)
        >>> still = elastic(image, jax.random.key(0), alpha=0)
        >>> bool((still == image).all()), elastic(image, jax.random.key(0)).shape
        (True, (7, 7))

    References:
        Patrice Simard, Dave Steinkraus and John Platt, "Best practices for convolutional neural networks
        applied to visual document analysis", 2003.
    """
    images, back = _taken(images)
    _check_key(key)
    _check_number("alpha", alpha, positive=False)
    _check_number("sigma", sigma, positive=True)
    return back(_elastic(images, key, jnp.asarray(alpha, images.dtype), float(sigma)))


@partial(jax.jit, static_argnums=3)
def _elastic(images: Array, key: RandomKey, alpha: Array, sigma: float) -> Array:
    height, width = images.shape[-2:]
    drawn = jax.random.uniform(key, (*images.shape[:-2], 2, height, width), images.dtype, minval=-1)
    down, right = (jnp.asarray(_smoothing(size, sigma), images.dtype) for size in (height, width))
    smooth = jnp.einsum("ij,...jk,lk->...il", down, drawn, right, precision="highest")
    return _displace(images, alpha * smooth)


def _smoothing(size: int, sigma: float) -> Float[np.ndarray, "size size"]:
    """The matrix that smooths a column of numbers with zeros beyond its ends."""
    radius = int(TRUNCATED * sigma + 0.5)
    taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    apart = np.subtract.outer(np.arange(size), np.arange(size))
    inside = np.abs(apart) <= radius
    return np.where(inside, taps[np.clip(apart + radius, 0, 2 * radius)], 0) / taps.sum()


def _unless_zero(numbers: Array) -> Array:
    return jnp.where(numbers == 0, 1, numbers)


def _taken(images: Any) -> tuple[Array, Callable[[Array], Array]]:
    """Images in the dtype of the computation, and what gives a result their own."""
    (images,), back = _converted(images=images)
    _check_size(images)
    return images, back


def _check_size(images: Array) -> None:
    if images.ndim < 2 or 0 in images.shape[-2:]:
        raise ValueError(f"images has the shape {images.shape}: take (..., H, W), of at least 1 x 1 pixel")


def _converted(**arguments: Any) -> tuple[list[Array], Callable[[Array], Array]]:
    """Arrays in one dtype, float32 or float64, and what gives a result the dtype that they came in."""
    arrays = [_real(name, value) for name, value in arguments.items()]
    # The default float stands for integers, and for double precision where that is off.
    default = jnp.result_type(float)
    floats = [one.dtype for one in arrays if jnp.issubdtype(one.dtype, jnp.floating)]
    given = jnp.result_type(*(default if one == np.float64 else one for one in floats or [default]))
    computed = jnp.promote_types(given, jnp.float32)
    return [jnp.asarray(one, computed) for one in arrays], lambda result: result.astype(given)


def _real(name: str, value: Any) -> Any:
    """An array of real numbers in a dtype in which JAX computes."""
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        found = "a random key"
    elif jnp.issubdtype(array.dtype, jnp.complexfloating):
        found = f"complex ({array.dtype})"
    elif jnp.issubdtype(array.dtype, jnp.floating) and array.dtype not in FLOATS:
        found = f"of dtype {array.dtype}"
    elif any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating)):
        return array
    else:
        found = f"{value!r:.40} ({type(value).__name__})"
    raise TypeError(f"{name} is {found}: take an array of real numbers")


def _check_key(key: Any) -> None:
    is_typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    is_raw = getattr(key, "dtype", None) == np.uint32 and np.ndim(key) == 1
    if not is_raw and not (is_typed and key.ndim == 0):
        shown = f"random keys of shape {key.shape}" if is_typed else f"{key!r:.40}"
        raise TypeError(f"key is {shown}: take one random key, as jax.random.key(0)")


def _check_number(name: str, value: Any, *, positive: bool) -> None:
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        allowed = "a positive number" if positive else "a number of 0 or more"
        raise ValueError(f"{name} is {value:g}: take {allowed}")
