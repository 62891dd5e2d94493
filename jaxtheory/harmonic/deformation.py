r"""Deformations of images, and how large they are: $L_\tau x(u) = x(u - \tau(u))$.

Conventions: images are `(..., H, W)`; a displacement $\tau$ is `(..., 2, H, W)` in pixels, along height and
width. Leading axes of images and displacements broadcast. Images are interpolated by cubic splines that pass
through the pixels; a translation of a periodic image is exact.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.harmonic import interpolation
from jaxtheory.harmonic.interpolation import Border

Images = Real[AnyArray, "*#batch H W"]
Displacement = Real[AnyArray, "*#batch 2 H W"]
Amount = Real[AnyArray, "*#batch"] | float | int | np.floating | np.integer

DIRECTIONS = 32
"""The directions in which a Hessian is measured: the largest is found to within 1 - cos(pi / 64) = 0.12 %."""


@record
class DisplacementNorms:
    """The size of a displacement; every supremum is over the pixels."""

    displacement: Float[Array, "..."]
    """The supremum of the length of the displacement, in pixels."""
    gradient: Float[Array, "..."]
    """The supremum of the operator norm of its Jacobian."""
    hessian: Float[Array, "..."]
    """The supremum of the operator norm of its second derivative, per pixel."""

    def bound(self, J: int) -> Float[Array, "..."]:
        r"""Return $2^{-J} |\tau|_\infty + |\nabla\tau|_\infty + |H\tau|_\infty$.

        Args:
            J: The number of scales: scattering coefficients are averaged over `2**J` pixels.

        Returns:
            What bounds the change of the scattering transform, up to a constant.

        References:
            Stéphane Mallat, "Group invariant scattering", 2012, theorem 2.12.
        """
        return self.displacement / 2**J + self.gradient + self.hessian


def _length(*components: Array) -> Array:
    """The Euclidean norm, with derivative zero where it is zero."""
    # In units of the largest component, so that squares neither over- nor underflow.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(jnp.stack(jnp.broadcast_arrays(*components))), 0))
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    squared = sum((component / unit) ** 2 for component in components)
    # Neither a zero nor a NaN is greater than zero, and the NaN stays.
    zero = squared == 0
    return unit * jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, squared)))


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
    spectrum = jnp.fft.rfft2(x)
    for axis, frequencies in ((-2, np.fft.fftfreq(x.shape[-2])), (-1, np.fft.rfftfreq(x.shape[-1]))):
        size, count = x.shape[axis], len(frequencies)
        angle = 2 * np.pi * shift[..., axis + 2, None] * jnp.asarray(frequencies, x.dtype)
        middle = np.arange(count) == (size // 2 if size % 2 == 0 else -1)
        phase = jax.lax.complex(jnp.cos(angle), jnp.where(middle, 0, -jnp.sin(angle)))
        spectrum = spectrum * (phase[..., :, None] if axis == -2 else phase[..., None, :])
    return jnp.fft.irfft2(spectrum, s=x.shape[-2:])


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


def _derivative(field: Array, axis: int, boundary: Border) -> Array:
    return _spectral_derivative(field, axis) if boundary == "periodic" else jnp.gradient(field, axis=axis)


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

    angles = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    directions = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], -1), twice[0].dtype)
    return jax.lax.scan(step, jnp.zeros_like(twice[0]), directions)[0]


def displacement_norms(displacement: Displacement, *, boundary: Border) -> DisplacementNorms:
    r"""Measure a displacement: $|\tau|_\infty$, $|\nabla\tau|_\infty$ and $|H\tau|_\infty$.

    $|\tau(u)|$ is the Euclidean length, $|\nabla\tau(u)|$ the largest singular value of the Jacobian and
    $|H\tau(u)| = \max_{|v| = |w| = 1} |\partial_v \partial_w \tau(u)|$; each supremum is over the pixels.

    Args:
        displacement: The displacement $\tau$, in pixels.
        boundary: Whether $\tau$ is `"periodic"`, so that its derivatives are taken in the Fourier domain and
            exact; with `"reflect"` they are finite differences within the image, exact for affine
            displacements.

    Returns:
        The three norms; the last is found to within 0.12 %, from below.

    Raises:
        TypeError: If the displacement is complex or not an array of numbers.
        ValueError: If the shape is not that of a displacement, or too small for finite differences.

    Example:
        >>> from jaxtheory.harmonic import deformation
        >>> norms = deformation.displacement_norms(deformation.dilation(0.25, (5, 5)), boundary="reflect")
        >>> float(norms.gradient)
        0.25

    References:
        Stéphane Mallat, "Group invariant scattering", 2012, section 2.5.
    """
    (displacement,), back = real_arrays(displacement=displacement)
    checks.axes("displacement", displacement, "...", "components", "H", "W", sizes=(2, None, None))
    checks.one_of("boundary", boundary, ("periodic", "reflect"))
    height, width = displacement.shape[-2:]
    if boundary == "reflect" and min(height, width) < 2:
        raise ValueError(
            f"displacement has {height} x {width} pixels: take at least 2 x 2 for finite differences"
        )
    return back(_norms(displacement, boundary))


@partial(jax.jit, static_argnums=1)
def _norms(displacement: Array, boundary: Border) -> DisplacementNorms:
    down, right = (_derivative(displacement, axis, boundary) for axis in (-2, -1))
    second = (
        _derivative(down, -2, boundary),
        _derivative(down, -1, boundary),
        _derivative(right, -1, boundary),
    )
    return DisplacementNorms(
        displacement=_length(displacement[..., 0, :, :], displacement[..., 1, :, :]).max((-2, -1)),
        gradient=_jacobian_norm(down, right).max((-2, -1)),
        hessian=_hessian_norm(second).max((-2, -1)),
    )


def random_displacement(
    key: RandomKey, shape: tuple[int, int], *, smoothness: RealScalar, max_gradient: RealScalar
) -> Float[Array, "2 H W"]:
    r"""Draw a smooth periodic displacement whose gradient has a given supremum.

    $\tau = a\, g_s * w$ with white Gaussian noise $w$ of mean zero, a Gaussian $g_s$ of standard
    deviation $s$, and $a$ such that $|\nabla\tau|_\infty$ has the value asked for; below 1, $u - \tau(u)$ can
    be inverted.

    Args:
        key: The random key of the noise.
        shape: The height and width in pixels.
        smoothness: The deviation $s$ in pixels, at least 1 (smaller detail escapes a supremum over pixels)
            and at most the larger side of the image.
        max_gradient: The supremum $|\nabla\tau|_\infty$ of the operator norm, above 0 and at most 1/2, where
            the theory ends.

    Returns:
        The displacement in pixels.

    Raises:
        TypeError: If `key` is not a random key, or an argument is not a number.
        ValueError: If smoothness or gradient (where they are known) or a size is out of range.

    Example:
        >>> import jax
        >>> from jaxtheory.harmonic import deformation
        >>> key = jax.random.key(0)
        >>> tau = deformation.random_displacement(key, (32, 32), smoothness=4.0, max_gradient=0.5)
        >>> float(deformation.displacement_norms(tau, boundary="periodic").gradient)
        0.5
    """
    checks.random_key("key", key)
    shape = checks.sizes("shape", shape, ("height", "width"))
    checks.within("smoothness", smoothness, 1, max(shape), one=True)
    checks.positive("max_gradient", max_gradient, one=True)
    checks.within("max_gradient", max_gradient, 0, 0.5, one=True)
    (smoothness, max_gradient), back = real_arrays(smoothness=smoothness, max_gradient=max_gradient)
    return back(_random_displacement(key, shape, smoothness, max_gradient))


@partial(jax.jit, static_argnums=1)
def _random_displacement(key: Array, shape: tuple[int, int], smoothness: Array, max_gradient: Array) -> Array:
    noise = jax.random.normal(key, (2, *shape), smoothness.dtype)
    squared = np.fft.fftfreq(shape[0])[:, None] ** 2 + np.fft.rfftfreq(shape[1]) ** 2
    low_pass = jnp.exp(-0.5 * (2 * np.pi * smoothness) ** 2 * jnp.asarray(squared, noise.dtype))
    field = jnp.fft.irfft2(jnp.fft.rfft2(noise) * low_pass.at[0, 0].set(0), s=shape)
    gradient = _jacobian_norm(*(_spectral_derivative(field, axis) for axis in (-2, -1))).max()
    return field * (max_gradient / gradient)
