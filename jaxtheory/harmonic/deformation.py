r"""Deformations of images, and how large they are: $L_\tau x(u) = x(u - \tau(u))$.

A displacement $\tau$ is an array of shape `(..., 2, H, W)` in pixels, along height and width. Images are
interpolated by cubic splines that pass through the pixels; a translation of a periodic image is exact.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

Boundary = Literal["periodic", "reflect"]
Images = Float[Array, "*#batch H W"] | Float[np.ndarray, "*#batch H W"]
Displacement = Float[Array, "*#batch 2 H W"] | Float[np.ndarray, "*#batch 2 H W"]
Shift = Float[Array, "*#batch 2"] | Float[np.ndarray, "*#batch 2"]
Scalar = Float[Array, ""] | Float[np.ndarray, ""] | float | np.floating
Amount = Float[Array, "*#batch"] | Float[np.ndarray, "*#batch"] | float | np.floating

_DIRECTIONS = 32
"""Directions in which a Hessian is measured: the largest is found to within 1 - cos(pi / 64) = 0.12 %."""


@partial(
    jax.tree_util.register_dataclass, data_fields=("displacement", "gradient", "hessian"), meta_fields=()
)
@dataclass(frozen=True)
class DisplacementNorms:
    """How large a displacement is; every supremum is over the pixels."""

    displacement: Any
    """(...,) supremum of the length of the displacement, in pixels."""
    gradient: Any
    """(...,) supremum of the operator norm of its Jacobian."""
    hessian: Any
    """(...,) supremum of the operator norm of its second derivative, per pixel."""

    def bound(self, J: int) -> Array:
        r"""Returns $2^{-J} |\tau|_\infty + |\nabla\tau|_\infty + |H\tau|_\infty$.

        Args:
            J: Scattering coefficients are averaged over `2**J` pixels.

        Returns:
            What bounds the change of the scattering transform, up to a constant. Shape `(...,)`.

        References:
            Mallat, Group invariant scattering, 2012, theorem 2.12.
        """
        return self.displacement / 2**J + self.gradient + self.hessian


def _length(*components: Array) -> Array:
    """The Euclidean norm, with derivative zero where it is zero."""
    squared = sum(component**2 for component in components)
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1)), 0)


def _check_image(x: Images) -> None:
    if jnp.ndim(x) < 2:
        msg = f"an image has shape (..., H, W), got {jnp.shape(x)}: add the missing axis"
        raise ValueError(msg)
    if not jnp.issubdtype(jnp.result_type(x), jnp.floating):
        msg = f"an image of real floating-point values is needed, got {jnp.result_type(x)}: convert it"
        raise TypeError(msg)


def _spline_coefficients(x: Array, boundary: Boundary) -> Array:
    """The coefficients of the cubic spline through the pixels."""
    shape = x.shape[-2:]
    if boundary == "reflect":
        for axis in (-2, -1):
            inner = jax.lax.slice_in_dim(x, 1, x.shape[axis] - 1, axis=axis)
            x = jnp.concatenate([x, jnp.flip(inner, axis)], axis)
    spectrum = jnp.fft.rfft2(x)
    for frequencies in (np.fft.fftfreq(x.shape[-2])[:, None], np.fft.rfftfreq(x.shape[-1])):
        # The spline takes a sixth, four sixths and a sixth of neighbouring coefficients at a pixel.
        spectrum = spectrum * jnp.asarray(3 / (2 + np.cos(2 * np.pi * frequencies)), x.dtype)
    return jnp.fft.irfft2(spectrum, s=x.shape[-2:])[..., : shape[0], : shape[1]]


def _spline_weights(t: Array) -> list[Array]:
    """The cubic B-spline at `t + 1`, `t`, `t - 1` and `t - 2`, for `t` in [0, 1)."""
    return [(1 - t) ** 3 / 6, 2 / 3 - t**2 * (2 - t) / 2, 2 / 3 - (1 - t) ** 2 * (1 + t) / 2, t**3 / 6]


def _folded(index: Array, size: int, boundary: Boundary) -> Array:
    """Brings an index from anywhere on the line back to the pixels."""
    if boundary == "periodic":
        return index % size
    index = index % (2 * size - 2)
    return jnp.minimum(index, 2 * size - 2 - index)


@partial(jax.jit, static_argnames=("boundary",))
def warp(
    x: Images, displacement: Displacement, *, boundary: Boundary = "periodic"
) -> Float[Array, "... H W"]:
    r"""Moves the pixels of an image: $L_\tau x(u) = x(u - \tau(u))$.

    The image between its pixels is the cubic spline through them,
    $x(u) = \sum_k c_k \beta^3(u_1 - k_1) \beta^3(u_2 - k_2)$. Differentiable in both arguments.

    Args:
        x: Images, shape `(..., H, W)`.
        displacement: $\tau$ in pixels, shape `(..., 2, H, W)`, its leading axes broadcast with those of `x`.
        boundary: How the image goes on beyond its border: `"periodic"`, or `"reflect"` about the outermost
            pixels, which are not repeated (NumPy's `pad(mode="reflect")`).

    Returns:
        The warped images, shape `(..., H, W)`.

    Raises:
        ValueError: If image and displacement differ in size, or an image one pixel wide is to be reflected.
        TypeError: If the image is not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(16.0).reshape(4, 4)
        >>> down = jnp.stack([jnp.ones((4, 4)), jnp.zeros((4, 4))])
        >>> deformation.warp(x, down)[:, 0]
        Array([12.,  0.,  4.,  8.], dtype=float32)

    References:
        Unser, Splines: a perfect fit for signal and image processing, 1999.
    """
    _check_image(x)
    x, displacement = jnp.asarray(x), jnp.asarray(displacement)
    if boundary not in ("periodic", "reflect"):
        msg = f"boundary is {boundary!r}: take 'periodic' or 'reflect'"
        raise ValueError(msg)
    if displacement.shape[-3:] != (2, *x.shape[-2:]):
        needed = f"(..., 2, {x.shape[-2]}, {x.shape[-1]})"
        msg = f"images of shape {x.shape} need a displacement {needed}, got {displacement.shape}"
        raise ValueError(msg)
    if boundary == "reflect" and min(x.shape[-2:]) < 2:
        msg = f"an image of {x.shape[-2]} x {x.shape[-1]} pixels cannot be reflected: make it at least 2 x 2"
        raise ValueError(msg)
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    coefficients = _spline_coefficients(x.astype(dtype), boundary)
    moved = _interpolate(boundary)(coefficients, displacement.astype(dtype))
    return moved.astype(x.dtype)


def _interpolate(boundary: Boundary):
    """The spline of coefficients (H, W) at every pixel minus its displacement, leading axes free."""

    def one(coefficients: Array, displacement: Array) -> Array:
        whole = jnp.floor(-displacement)
        # The fraction is taken before the pixel's own coordinate is added, which would cost it digits.
        weights = [_spline_weights(-shift - floor) for shift, floor in zip(displacement, whole)]
        corner = [grid + floor.astype(int) - 1 for grid, floor in zip(jnp.indices(coefficients.shape), whole)]
        rows, columns = (
            [_folded(start + k, size, boundary) for k in range(4)]
            for start, size in zip(corner, coefficients.shape)
        )
        return sum(
            row_weight
            * sum(weight * coefficients[row, column] for column, weight in zip(columns, weights[1]))
            for row, row_weight in zip(rows, weights[0])
        )

    return jnp.vectorize(one, signature="(h,w),(c,h,w)->(h,w)")


@jax.jit
def translate(x: Images, shift: Shift) -> Float[Array, "... H W"]:
    r"""Translates a periodic image exactly: $\hat{y}(\omega) = e^{-i \omega \cdot c} \hat{x}(\omega)$.

    A whole shift is `numpy.roll`; a broken one is the trigonometric interpolation, in which the highest
    frequency of an even size is a cosine.

    Args:
        x: Images, shape `(..., H, W)`.
        shift: $c$ in pixels, along height and width, shape `(..., 2)`.

    Returns:
        $x(u - c)$, shape `(..., H, W)`.

    Raises:
        ValueError: If an axis is missing.
        TypeError: If the image is not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(8.0).reshape(2, 4)
        >>> deformation.translate(x, jnp.array([0.0, 1.0])).round(4)
        Array([[3., 0., 1., 2.],
               [7., 4., 5., 6.]], dtype=float32)
    """
    _check_image(x)
    x, shift = jnp.asarray(x), jnp.asarray(shift)
    if shift.shape[-1:] != (2,):
        msg = f"a shift has two components, along height and width, shape (..., 2), got {shift.shape}"
        raise ValueError(msg)
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    spectrum = jnp.fft.rfft2(x.astype(dtype))
    for axis, frequencies in ((-2, np.fft.fftfreq(x.shape[-2])), (-1, np.fft.rfftfreq(x.shape[-1]))):
        size, count = x.shape[axis], len(frequencies)
        angle = 2 * np.pi * shift[..., axis + 2, None].astype(dtype) * jnp.asarray(frequencies, dtype)
        middle = np.arange(count) == (size // 2 if size % 2 == 0 else -1)
        phase = jax.lax.complex(jnp.cos(angle), jnp.where(middle, 0, -jnp.sin(angle)))
        spectrum = spectrum * (phase[..., :, None] if axis == -2 else phase[..., None, :])
    return jnp.fft.irfft2(spectrum, s=x.shape[-2:]).astype(x.dtype)


def _centred(shape: tuple[int, int]) -> np.ndarray:
    """Coordinates of the pixels from the middle of the image, (2, H, W)."""
    return np.indices(shape) - (np.array(shape)[:, None, None] - 1) / 2


def dilation(amount: Amount, shape: tuple[int, int]) -> Float[Array, "... 2 H W"]:
    r"""Returns the displacement $\tau(u) = \epsilon (u - c)$ about the middle $c$ of the image.

    The image is dilated by $1 / (1 - \epsilon)$; $|\nabla\tau|_\infty = |\epsilon|$.

    Args:
        amount: $\epsilon$ below 1, negative to shrink, shape `(...,)`.
        shape: Height and width in pixels.

    Returns:
        The displacement, shape `(..., 2, H, W)`.

    Example:
        >>> from jaxtheory.harmonic import deformation
        >>> deformation.dilation(0.1, (1, 3))[1]
        Array([[-0.1, 0. , 0.1]], dtype=float32)
    """
    amount = jnp.asarray(amount)
    return amount[..., None, None, None] * jnp.asarray(_centred(shape), amount.dtype)


def rotation(angle: Amount, shape: tuple[int, int]) -> Float[Array, "... 2 H W"]:
    r"""Returns the displacement $\tau(u) = (1 - R_{-\theta})(u - c)$ about the middle $c$ of the image.

    $|\nabla\tau|_\infty = 2 \sin(|\theta| / 2)$.

    Args:
        angle: $\theta$ in radians, from the first axis to the second, as `numpy.rot90` turns: shape `(...,)`.
        shape: Height and width in pixels.

    Returns:
        The displacement, shape `(..., 2, H, W)`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> deformation.rotation(jnp.pi / 2, (1, 3))[:, 0].round(4)
        Array([[ 1.,  0., -1.],
               [-1.,  0.,  1.]], dtype=float32)
    """
    angle = jnp.asarray(angle)
    cosine, sine = jnp.cos(angle)[..., None, None], jnp.sin(angle)[..., None, None]
    down, right = jnp.asarray(_centred(shape), angle.dtype)
    return jnp.stack([(1 - cosine) * down - sine * right, sine * down + (1 - cosine) * right], -3)


def dilate(x: Images, amount: Amount, *, boundary: Boundary = "periodic") -> Float[Array, "... H W"]:
    r"""Dilates an image about its middle: $x(u - \epsilon (u - c))$.

    Args:
        x: Images, shape `(..., H, W)`.
        amount: $\epsilon$ below 1, negative to shrink, shape `(...,)`.
        boundary: As in `warp`.

    Returns:
        The dilated images, shape `(..., H, W)`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(25.0).reshape(5, 5)
        >>> float(deformation.dilate(x, 0.3)[2, 2])  # the middle stays
        12.0
    """
    _check_image(x)
    return warp(x, dilation(amount, jnp.shape(x)[-2:]), boundary=boundary)


def rotate(x: Images, angle: Amount, *, boundary: Boundary = "periodic") -> Float[Array, "... H W"]:
    r"""Rotates an image about its middle: $x(c + R_{-\theta}(u - c))$.

    Args:
        x: Images, shape `(..., H, W)`.
        angle: $\theta$ in radians, from the first axis to the second, as `numpy.rot90` turns: shape `(...,)`.
        boundary: As in `warp`.

    Returns:
        The rotated images, shape `(..., H, W)`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import deformation
        >>> x = jnp.arange(9.0).reshape(3, 3)
        >>> bool(jnp.allclose(deformation.rotate(x, jnp.pi / 2), jnp.rot90(x), atol=1e-5))
        True
    """
    _check_image(x)
    return warp(x, rotation(angle, jnp.shape(x)[-2:]), boundary=boundary)


def _spectral_derivative(field: Array, axis: int) -> Array:
    """The derivative of the trigonometric interpolation along axis -2 or -1, at the pixels."""
    size = field.shape[axis]
    frequencies = 2 * np.pi * np.fft.rfftfreq(size)
    if size % 2 == 0:
        frequencies[-1] = 0  # the cosine of the highest frequency is flat at the pixels
    factor = jnp.asarray(frequencies, field.dtype)
    factor = factor[:, None] if axis == -2 else factor
    spectrum = jnp.fft.rfft(field, axis=axis)
    return jnp.fft.irfft(jax.lax.complex(-spectrum.imag * factor, spectrum.real * factor), n=size, axis=axis)


def _derivative(field: Array, axis: int, periodic: bool) -> Array:
    return _spectral_derivative(field, axis) if periodic else jnp.gradient(field, axis=axis)


def _jacobian_norm(down: Array, right: Array) -> Array:
    """The largest singular value of the 2 x 2 matrices with these columns, components on axis -3."""
    a, c = down[..., 0, :, :], down[..., 1, :, :]
    b, d = right[..., 0, :, :], right[..., 1, :, :]
    return (_length(a + d, b - c) + _length(a - d, b + c)) / 2


def _hessian_norm(second: tuple[Array, Array, Array]) -> Array:
    """The operator norm of the derivatives (down down, down right, right right), components on axis -3."""
    twice, mixed, other = ([part[..., k, :, :] for k in range(2)] for part in second)

    def step(largest: Array, direction: Array) -> tuple[Array, None]:
        a, b, d = (direction[0] * part[0] + direction[1] * part[1] for part in (twice, mixed, other))
        return jnp.maximum(largest, jnp.abs(a + d) / 2 + _length(a - d, 2 * b) / 2), None

    angles = np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    directions = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], -1), twice[0].dtype)
    return jax.lax.scan(step, jnp.zeros_like(twice[0]), directions)[0]


@partial(jax.jit, static_argnames=("periodic",))
def displacement_norms(displacement: Displacement, *, periodic: bool) -> DisplacementNorms:
    r"""Measures a displacement: $|\tau|_\infty$, $|\nabla\tau|_\infty$ and $|H\tau|_\infty$.

    $|\tau(u)|$ is the Euclidean length, $|\nabla\tau(u)|$ the largest singular value of the Jacobian and
    $|H\tau(u)| = \max_{|v| = |w| = 1} |\partial_v \partial_w \tau(u)|$; each supremum is over the pixels.

    Args:
        displacement: $\tau$ in pixels, shape `(..., 2, H, W)`.
        periodic: Whether $\tau$ is periodic, so that its derivatives are taken in the Fourier domain and
            exact. Finite differences otherwise, exact for affine displacements.

    Returns:
        The three norms, each of shape `(...,)`; the last is found to within 0.12 %, from below.

    Raises:
        ValueError: If the shape is not that of a displacement, or too small for finite differences.

    Example:
        >>> from jaxtheory.harmonic import deformation
        >>> norms = deformation.displacement_norms(deformation.dilation(0.25, (5, 5)), periodic=False)
        >>> float(norms.gradient)
        0.25

    References:
        Mallat, Group invariant scattering, 2012, section 2.5.
    """
    displacement = jnp.asarray(displacement)
    if displacement.ndim < 3 or displacement.shape[-3] != 2:
        msg = f"a displacement has shape (..., 2, H, W), got {displacement.shape}"
        raise ValueError(msg)
    if not periodic and min(displacement.shape[-2:]) < 2:
        msg = f"finite differences need at least 2 x 2 pixels, got {displacement.shape[-2:]}"
        raise ValueError(msg)
    down, right = (_derivative(displacement, axis, periodic) for axis in (-2, -1))
    second = (
        _derivative(down, -2, periodic),
        _derivative(down, -1, periodic),
        _derivative(right, -1, periodic),
    )
    return DisplacementNorms(
        displacement=_length(displacement[..., 0, :, :], displacement[..., 1, :, :]).max((-2, -1)),
        gradient=_jacobian_norm(down, right).max((-2, -1)),
        hessian=_hessian_norm(second).max((-2, -1)),
    )


def random_displacement(
    key: Key[Array, ""] | UInt32[Array, "2"],
    shape: tuple[int, int],
    *,
    smoothness: Scalar,
    max_gradient: Scalar,
) -> Float[Array, "2 H W"]:
    r"""Draws a smooth periodic displacement whose gradient has a given supremum.

    $\tau = a\, g_s * w$ with white Gaussian noise $w$ freed of its mean, a Gaussian $g_s$ of standard
    deviation $s$, and $a$ such that $|\nabla\tau|_\infty$ is what was asked for; below 1, $u - \tau(u)$ can
    be inverted.

    Args:
        key: A random key.
        shape: Height and width in pixels.
        smoothness: $s$ in pixels, at least 1 (smaller detail escapes a supremum over pixels) and at most the
            size of the image.
        max_gradient: $|\nabla\tau|_\infty$ (operator norm), above 0 and at most 1/2, where the theory ends.

    Returns:
        The displacement in pixels, shape `(2, H, W)`.

    Raises:
        ValueError: If smoothness or gradient are numbers out of range (arrays may be traced: no check).

    Example:
        >>> import jax
        >>> from jaxtheory.harmonic import deformation
        >>> key = jax.random.key(0)
        >>> tau = deformation.random_displacement(key, (32, 32), smoothness=4.0, max_gradient=0.5)
        >>> float(deformation.displacement_norms(tau, periodic=True).gradient)
        0.5
    """
    if isinstance(smoothness, int | float) and not 1 <= smoothness <= max(shape):
        msg = f"smoothness is {smoothness} pixels: take at least 1 and at most the image's size, {max(shape)}"
        raise ValueError(msg)
    if isinstance(max_gradient, int | float) and not 0 < max_gradient <= 0.5:
        msg = f"max_gradient is {max_gradient}: take it above 0 and at most 1/2"
        raise ValueError(msg)
    return _random_displacement(key, shape, smoothness, max_gradient)


@partial(jax.jit, static_argnames=("shape",))
def _random_displacement(key, shape, smoothness, max_gradient):
    noise = jax.random.normal(key, (2, *shape))
    squared = np.fft.fftfreq(shape[0])[:, None] ** 2 + np.fft.rfftfreq(shape[1]) ** 2
    low_pass = jnp.exp(-0.5 * (2 * np.pi * smoothness) ** 2 * jnp.asarray(squared, noise.dtype))
    field = jnp.fft.irfft2(jnp.fft.rfft2(noise) * low_pass.at[0, 0].set(0), s=shape)
    gradient = _jacobian_norm(*(_spectral_derivative(field, axis) for axis in (-2, -1))).max()
    return field * (max_gradient / gradient)
