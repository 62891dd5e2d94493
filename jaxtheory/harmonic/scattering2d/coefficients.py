"""Scattering coefficients of images, and the moduli that they average."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, Precision
from jaxtheory.harmonic.magnitudes import scaled
from jaxtheory.harmonic.scattering2d import walking
from jaxtheory.harmonic.scattering2d.banks import Bank

SMALL_AVERAGE = 60_000
"""The number of entries up to which the two factors of the average are multiplied out: one product instead of
two."""


class Path(NamedTuple):
    """What a channel of the scattering coefficients holds."""

    order: int
    """The number of wavelets on the path."""
    scales: tuple[int, ...]
    """The scales j of the wavelets."""
    angles: tuple[int, ...]
    """The angles of the wavelets, as indices from 0 to L - 1."""


def paths(bank: Bank) -> list[Path]:
    """Return what each channel of `scatter` holds.

    Args:
        bank: A bank, from `filter_bank`.

    Returns:
        One entry a channel: order, scales and angles.

    Example:
        >>> from jaxtheory.harmonic import scattering2d
        >>> scattering2d.paths(scattering2d.filter_bank((16, 16), J=2, L=2))[-1]
        Path(order=2, scales=(0, 1), angles=(1, 1))
    """
    wavelet = [(j, angle) for j in range(bank.J) for angle in range(bank.L)]
    table = [Path(0, (), ())]
    if bank.order >= 1:
        table += [Path(1, (j,), (angle,)) for j, angle in wavelet]
    if bank.order == 2:
        table += [Path(2, (j, k), (a, b)) for j, a in wavelet for k, b in wavelet if k > j]
    return table


def averaging(bank: Bank, dtype: Any, j: int, precision: Any) -> Callable[[Array], Array]:
    """Return the low-pass filter with subsampling and unpadding.

    Args:
        bank: The filters.
        dtype: The dtype of the maps.
        j: Their resolution.
        precision: The precision of the products, as in `jax.lax.Precision`.

    Returns:
        A function of maps (..., W, H) at resolution j to averages (..., h, w).
    """
    J = bank.J
    resolution = [size // 2**j for size in bank.grid]
    border = 1 if bank.boundary == "reflect" else 0
    kept = [slice(border, size // 2**J - border) for size in bank.grid]
    if not isinstance(bank.low_pass, tuple):
        low_pass = bank.low_pass.astype(dtype).T
        for axis, size in enumerate(reversed(resolution)):
            ends = [lax.slice_in_dim(low_pass, 0, size // 2, axis=axis)]
            ends.append(lax.slice_in_dim(low_pass, low_pass.shape[axis] - size // 2, None, axis=axis))
            low_pass = jnp.concatenate(ends, axis=axis)
        stride = 2 ** (J - j)

        def smooth(u: Array) -> Array:
            averaged = jnp.fft.ifft2(jnp.fft.fft2(u) * low_pass).real
            return averaged[..., ::stride, ::stride].swapaxes(-1, -2)[..., kept[0], kept[1]]

        return smooth

    factors = []
    for factor, size, rows in zip(bank.low_pass, resolution, kept):
        factor = factor.astype(dtype)
        kernel = jnp.fft.ifft(jnp.concatenate([factor[: size // 2], factor[-(size // 2) :]])).real
        shift = np.arange(rows.start, rows.stop)[:, None] * 2 ** (J - j) - np.arange(size)
        factors.append(kernel[shift % size])
    (height, tall), (width, broad) = factors[0].shape, factors[1].shape
    if factors[0].size * factors[1].size <= SMALL_AVERAGE:
        product = jnp.einsum("hH,wW->WHhw", *factors, precision=precision)
        product = product.reshape(broad * tall, height * width)

        def average(u: Array) -> Array:
            averaged = jnp.matmul(u.reshape(-1, broad * tall), product, precision=precision)
            return averaged.reshape(*u.shape[:-2], height, width)
    else:

        def average(u: Array) -> Array:
            averaged = jnp.einsum("...WH,hH->...Wh", u, factors[0], precision=precision)
            return jnp.einsum("...Wh,wW->...hw", averaged, factors[1], precision=precision)

    return average


def _averaged(bank: Bank, x: Array, *, precision: Any, angles: int) -> Array:
    """The coefficients of images (c, H, W) in the order of the channels: (c, C, h, w)."""
    x, scale = scaled(x, (-2, -1))
    averages = [averaging(bank, x.dtype, j, precision) for j in range(bank.J)]
    found = walking.walk(bank, x, lambda u, j: averages[j](u), angles=angles)
    channels = [found[()][:, None]]
    if bank.order >= 1:
        channels += [found[j,] for j in range(bank.J)]
    if bank.order == 2:
        for j in range(bank.J - 1):
            after = jnp.concatenate([found[j, scale] for scale in range(j + 1, bank.J)], axis=2)
            channels.append(after.reshape(after.shape[0], -1, *after.shape[3:]))
    return jnp.concatenate(channels, axis=1) * scale[:, None]


@partial(jax.jit, static_argnames=("chunk", "precision"))
def _scatter(bank: Bank, x: Array, chunk: int | None, precision: Any) -> Array:
    return walking.by_platform(partial(_averaged, precision=precision), bank, x, chunk)


def scatter(
    bank: Bank, x: Real[AnyArray, "... H W"], *, chunk: int | None = None, precision: Precision = "highest"
) -> Float[Array, "... C h w"]:
    r"""Return the scattering coefficients of images.

    $S x = (x \star \phi_J,\; |x \star \psi_{\lambda_1}| \star \phi_J,\;
    ||x \star \psi_{\lambda_1}| \star \psi_{\lambda_2}| \star \phi_J)$ sampled at every 2^J pixels, with
    $j_1 < j_2$ at the second order. Under `jax.export` the number of images may be symbolic.

    Args:
        bank: The filters, from `filter_bank`, for images of this shape.
        x: The images.
        chunk: The number of images to work on at a time, at least 1; by default what fits into a processor's
            cache, or some thousands on an accelerator.
        precision: The precision of the products with the averaging filter, as in `jax.lax.Precision`.

    Returns:
        The coefficients, H // 2^J by W // 2^J for each channel; `paths` says what each channel holds.

    Raises:
        TypeError: If the images are complex or not an array of numbers, or `bank` is not a bank.
        ValueError: If the last two axes of the images are not the bank's shape, or `chunk` is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import scattering2d
        >>> bank = scattering2d.filter_bank((32, 32), J=3)
        >>> scattering2d.scatter(bank, jnp.ones((5, 32, 32))).shape
        (5, 217, 4, 4)

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013.
    """
    bank, x, back = walking.checked(bank, x)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    return back(_scatter(bank, x, chunk, precision))


def _on_image(bank: Bank, u: Array, j: int) -> Array:
    """The samples of maps (..., W, H) at resolution j that lie on the image: (..., h, w)."""
    kept = []
    for size, whole in zip(bank.shape, bank.grid):
        before = (whole - size) // 2
        kept.append(slice(-(-before // 2**j), -(-(before + size) // 2**j)))
    return u.swapaxes(-1, -2)[..., kept[0], kept[1]]


def _moduli_on_images(bank: Bank, x: Array, *, angles: int) -> dict[tuple[int, ...], Array]:
    """The moduli of images (c, H, W) along all paths, by scales."""
    x, scale = scaled(x, (-2, -1))
    found = walking.walk(bank, x, partial(_on_image, bank), angles=angles)
    return {scales: maps * scale.reshape(-1, *[1] * (len(scales) + 2)) for scales, maps in found.items()}


@jax.jit
def _propagate(bank: Bank, x: Array) -> dict[tuple[int, ...], Array]:
    return walking.by_platform(_moduli_on_images, bank, x)


def propagate(bank: Bank, x: Real[AnyArray, "... H W"]) -> dict[tuple[int, ...], Float[Array, "..."]]:
    r"""Return the unaveraged coefficients of images: the moduli that `scatter` averages.

    $U x = (x,\; |x \star \psi_{\lambda_1}|,\; ||x \star \psi_{\lambda_1}| \star \psi_{\lambda_2}|)$, each
    sampled at every $2^j$ pixels with j its last scale, at the samples that lie on the image: where the
    boundary is reflecting the first one may lie up to $2^j - 1$ pixels inside.

    Args:
        bank: The filters, from `filter_bank`, for images of this shape.
        x: The images.

    Returns:
        A dictionary from scales to maps: `()` to the images (..., H, W), `(j1,)` to (..., L, h, w) and
        `(j1, j2)`, j1 < j2, to (..., L, L, h, w), the first L for the angle at j1, up to the bank's order.

    Raises:
        TypeError: If the images are complex or not an array of numbers, or `bank` is not a bank.
        ValueError: If the last two axes of the images are not the bank's shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import scattering2d
        >>> bank = scattering2d.filter_bank((32, 32), J=3, L=4)
        >>> u = scattering2d.propagate(bank, jnp.ones((5, 32, 32)))
        >>> u[1,].shape, u[0, 2].shape
        ((5, 4, 16, 16), (5, 4, 4, 8, 8))

    References:
        Stéphane Mallat, "Group invariant scattering", 2012.
    """
    bank, x, back = walking.checked(bank, x)
    return back(_propagate(bank, x))
