"""Warps of images: translations, dilations, rotations, and any other displacement of their pixels.

Conventions: images are `(..., H, W)`; a displacement is `(..., 2, H, W)` in pixels, along height and width.
Leading axes of images and displacements broadcast. Images are interpolated by cubic splines that pass through
the pixels; a translation of a periodic image is exact.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import interpolation
from jaxtheory.harmonic.interpolation import Border

Images = Real[AnyArray, "*#batch H W"]
Displacement = Real[AnyArray, "*#batch 2 H W"]
Amount = Real[AnyArray, "*#batch"] | float | int | np.floating | np.integer


def warp(x: Images, displacement: Displacement, *, boundary: Border = "periodic") -> Float[Array, "... H W"]:
    r"""Move the pixels of an image: $L_\tau x(u) = x(u - \tau(u))$.

    The image between its pixels is the cubic spline through them,
    $x(u) = \sum_k c_k \beta^3(u_1 - k_1) \beta^3(u_2 - k_2)$. Differentiable in both arguments.

    Args:
        x: The images.
        displacement: The displacement $\tau$, in pixels.
        boundary: How the image is continued beyond its border: `"periodic"`, or `"reflect"` about the
            outermost pixels, which are not repeated (NumPy's `pad(mode="reflect")`).

    Returns:
        The warped images.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If image and displacement differ in size, or an image one pixel wide is to be reflected.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(16.0).reshape(4, 4)
        >>> down = jnp.stack([jnp.ones((4, 4)), jnp.zeros((4, 4))])
        >>> deformation.warp(x, down)[:, 0]
        Array([12.,  0.,  4.,  8.], dtype=float32)

    References:
        Michael Unser, "Splines: a perfect fit for signal and image processing", 1999.
    """
    _, back = real_arrays(x=x)
    (x, displacement), _ = real_arrays(x=x, displacement=displacement)
    _check_image(x, boundary)
    checks.axes("displacement", displacement, "...", "components", "H", "W", sizes=(2, *x.shape[-2:]))
    return back(_warp(x, displacement, boundary))


def _check_image(x: Array, boundary: str) -> None:
    checks.axes("x", x, "...", "H", "W")
    checks.one_of("boundary", boundary, ("periodic", "reflect"))
    if boundary == "reflect" and min(x.shape[-2:]) < 2:
        raise ValueError(
            f"x has images of {x.shape[-2]} x {x.shape[-1]} pixels: take at least 2 x 2 to reflect them"
        )


@partial(jax.jit, static_argnums=2)
def _warp(x: Array, displacement: Array, boundary: Border) -> Array:
    return interpolation.displaced(interpolation.spline_coefficients(x, boundary), displacement, boundary)


def translate(x: Images, shift: Real[AnyArray, "*#batch 2"]) -> Float[Array, "... H W"]:
    r"""Translate a periodic image exactly: $\hat{y}(\omega) = e^{-i \omega \cdot c} \hat{x}(\omega)$.

    An integer shift is `numpy.roll`; a fractional one is trigonometric interpolation, in which the highest
    frequency of an even size is a cosine.

    Args:
        x: The images.
        shift: The shift $c$ in pixels, along height and width.

    Returns:
        The translated images, $x(u - c)$.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If an axis is missing, or the shift does not have two components.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(8.0).reshape(2, 4)
        >>> deformation.translate(x, jnp.array([0.0, 1.0])).round(4)
        Array([[3., 0., 1., 2.],
               [7., 4., 5., 6.]], dtype=float32)
    """
    _, back = real_arrays(x=x)
    (x, shift), _ = real_arrays(x=x, shift=shift)
    _check_image(x, "periodic")
    checks.axes("shift", shift, "...", "components", sizes=(2,))
    return back(_translate(x, shift))


@jax.jit
def _translate(x: Array, shift: Array) -> Array:
    return interpolation.translated(x, shift)


def _centered(shape: tuple[int, int]) -> np.ndarray:
    """Coordinates of the pixels from the middle of the image, (2, H, W)."""
    return np.indices(shape) - (np.array(shape)[:, None, None] - 1) / 2


def dilation(amount: Amount, shape: tuple[int, int]) -> Float[Array, "... 2 H W"]:
    r"""Return the displacement $\tau(u) = \epsilon (u - c)$ about the middle $c$ of the image.

    The image is dilated by $1 / (1 - \epsilon)$; $|\nabla\tau|_\infty = |\epsilon|$.

    Args:
        amount: The amount $\epsilon$, below 1, negative to shrink.
        shape: The height and width of the image in pixels.

    Returns:
        The displacement in pixels.

    Raises:
        TypeError: If the amount is complex or not an array of numbers, or a size is not a whole number.
        ValueError: If the shape is not two sizes of at least 1.

    Example:
        >>> from jaxtheory.harmonic import deformation
        >>> deformation.dilation(0.1, (1, 3))[1]
        Array([[-0.1, 0. , 0.1]], dtype=float32)
    """
    (amount,), back = real_arrays(amount=amount)
    return back(_dilation(amount, checks.sizes("shape", shape, ("height", "width"))))


def _dilation(amount: Array, shape: tuple[int, int]) -> Array:
    return amount[..., None, None, None] * jnp.asarray(_centered(shape), amount.dtype)


def rotation(angle: Amount, shape: tuple[int, int]) -> Float[Array, "... 2 H W"]:
    r"""Return the displacement $\tau(u) = (1 - R_{-\theta})(u - c)$ about the middle $c$ of the image.

    $|\nabla\tau|_\infty = 2 \sin(|\theta| / 2)$.

    Args:
        angle: The angle $\theta$ in radians, from the first axis to the second, as `numpy.rot90` turns.
        shape: The height and width of the image in pixels.

    Returns:
        The displacement in pixels.

    Raises:
        TypeError: If the angle is complex or not an array of numbers, or a size is not a whole number.
        ValueError: If the shape is not two sizes of at least 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> deformation.rotation(jnp.pi / 2, (1, 3))[:, 0].round(4)
        Array([[ 1.,  0., -1.],
               [-1.,  0.,  1.]], dtype=float32)
    """
    (angle,), back = real_arrays(angle=angle)
    return back(_rotation(angle, checks.sizes("shape", shape, ("height", "width"))))


def _rotation(angle: Array, shape: tuple[int, int]) -> Array:
    cosine, sine = jnp.cos(angle)[..., None, None], jnp.sin(angle)[..., None, None]
    down, right = jnp.asarray(_centered(shape), angle.dtype)
    return jnp.stack([(1 - cosine) * down - sine * right, sine * down + (1 - cosine) * right], -3)


def dilate(x: Images, amount: Amount, *, boundary: Border = "periodic") -> Float[Array, "... H W"]:
    r"""Dilate an image about its middle: $x(u - \epsilon (u - c))$.

    Args:
        x: The images.
        amount: The amount $\epsilon$, below 1, negative to shrink.
        boundary: How the image is continued beyond its border: `"periodic"` or `"reflect"`.

    Returns:
        The dilated images.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If an axis is missing, or an image one pixel wide is to be reflected.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(25.0).reshape(5, 5)
        >>> float(deformation.dilate(x, 0.3)[2, 2])  # the middle stays
        12.0
    """
    _, back = real_arrays(x=x)
    (x, amount), _ = real_arrays(x=x, amount=amount)
    _check_image(x, boundary)
    return back(_warp(x, _dilation(amount, x.shape[-2:]), boundary))


def rotate(x: Images, angle: Amount, *, boundary: Border = "periodic") -> Float[Array, "... H W"]:
    r"""Rotate an image about its middle: $x(c + R_{-\theta}(u - c))$.

    Args:
        x: The images.
        angle: The angle $\theta$ in radians, from the first axis to the second, as `numpy.rot90` turns.
        boundary: How the image is continued beyond its border: `"periodic"` or `"reflect"`.

    Returns:
        The rotated images.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If an axis is missing, or an image one pixel wide is to be reflected.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(9.0).reshape(3, 3)
        >>> bool(jnp.allclose(deformation.rotate(x, jnp.pi / 2), jnp.rot90(x), atol=1e-5))
        True
    """
    _, back = real_arrays(x=x)
    (x, angle), _ = real_arrays(x=x, angle=angle)
    _check_image(x, boundary)
    return back(_warp(x, _rotation(angle, x.shape[-2:]), boundary))
