"""Roto-translation scattering coefficients of images, by orientation and averaged over it."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, Precision
from jaxtheory.harmonic import chunks
from jaxtheory.harmonic.magnitudes import modulus, scaled
from jaxtheory.harmonic.rototranslation.banks import Bank, checked
from jaxtheory.harmonic.rototranslation.channels import paths
from jaxtheory.harmonic.scattering2d import walking
from jaxtheory.harmonic.scattering2d.coefficients import averaging
from jaxtheory.harmonic.scattering2d.moduli import look, wavelet_moduli, wavelet_responses


def _along_angles(angular: Array) -> Array:
    """The filters along the angle as one real matrix, from the parts of L angles to those of all responses.

    Args:
        angular: The Fourier transforms of the filters, (filters, L).

    Returns:
        A matrix whose rows are by real and imaginary part, then filter (wavelets, the average, the wavelets'
        conjugates), then angle, and whose columns are by real and imaginary part, then angle.
    """
    number, L = angular.shape
    angles = np.arange(L)
    kernels = jnp.fft.ifft(angular)[:, (angles[:, None] - angles) % L]
    kernels = jnp.concatenate([kernels, jnp.conj(kernels[: number - 1])])
    real, imaginary = (part.reshape(-1, L) for part in (kernels.real, kernels.imag))
    return jnp.block([[real, -imaginary], [imaginary, real]])


def _by_orientation(K: int, L: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where coefficients (turn, angular scale, orientation) are among (second angle, filter, first angle)."""
    turn, scale, orientation = np.ogrid[:L, : K + 1, : 2 * L]
    second = (orientation + turn) % (2 * L)
    # |g * conj(r)| = |conj(g) * r|: the opposite of a wavelet in position is its conjugate.
    opposite = (second >= L) & (scale < K)
    filters = np.where(opposite, K + 1 + scale, scale)
    return tuple(np.broadcast_arrays(second % L, filters, orientation % L))


def _joint(
    parts: tuple[Array, Array], matrix: Array, average: Callable[[Array], Array], L: int, precision: Any
) -> Array:
    """Convolve responses of one wavelet in position along the angle: (L c, w, h) to (filters, L, c, h, w)."""
    number, size = parts[0].shape[0] // L, parts[0].shape[1:]
    both = jnp.concatenate([part.reshape(L, -1) for part in parts])
    real, imaginary = jnp.split(jnp.matmul(matrix, both, precision=precision), 2)
    return average(modulus(real, imaginary).reshape(-1, L, number, *size))


def _coefficients(
    bank: Bank, x: Array, reduce: Callable[[Array], Array], *, precision: Any, angles: int
) -> Array:
    """The coefficients of images by path and orientation, reduced over the orientation.

    Args:
        bank: The filters.
        x: The images, (c, H, W).
        reduce: A function of arrays (paths, 2L, c, h, w) to arrays (paths, r, c, h, w).
        precision: The precision of products.
        angles: The number of second wavelets that are followed in a step, or 0 for all of them.

    Returns:
        The coefficients, (c, paths, r, h, w).
    """
    space, L = bank.space, bank.space.L
    x, scale = scaled(x, (-2, -1))
    averages = [averaging(space, x.dtype, j, precision) for j in range(space.J)]
    image = walking.padded(space, x)
    constant = averages[0](image)
    found, pairs = [jnp.broadcast_to(constant, (1, 2 * L, *constant.shape))], []
    if space.order:
        matrix, places = _along_angles(bank.angular.astype(x.dtype)), _by_orientation(bank.K, L)
        spectrum, origin, first = look(space, image, 0, range(space.J))
        for j, step in enumerate(first):
            u = wavelet_moduli(spectrum, origin, step)
            found.append(jnp.tile(averages[j](u), (2, 1, 1, 1))[None])
            deeper = range(j + 1, space.J) if space.order == 2 else range(0)
            if not deeper:
                continue
            spectra, corner, second = look(space, u.reshape(-1, *u.shape[2:]), j, deeper)
            for later, wavelet in zip(deeper, second):
                joint = partial(_joint, matrix=matrix, average=averages[later], L=L, precision=precision)
                responses = wavelet_responses(spectra, corner, wavelet)
                one = chunks.side_by_side(joint, responses, angles or L)
                pairs.append(reduce(one[places].reshape(-1, 2 * L, *one.shape[3:])))
    table = jnp.concatenate([reduce(jnp.concatenate(found)), *pairs]) * scale
    return jnp.moveaxis(table, 2, 0)


@partial(jax.jit, static_argnames=("chunk", "precision"))
def _orbits(bank: Bank, x: Array, chunk: int | None, precision: Any) -> Array:
    def program(space: Any, x: Array, *, angles: int) -> Array:
        whole = dataclasses.replace(bank, space=space)
        return _coefficients(whole, x, lambda table: table, precision=precision, angles=angles)

    return walking.by_platform(program, bank.space, x, chunk)


def orbits(
    bank: Bank, x: Real[AnyArray, "... H W"], *, chunk: int | None = None, precision: Precision = "highest"
) -> Float[Array, "... C orientations h w"]:
    r"""Return coefficients of images by orientation, averaged over position alone.

    With $u(\theta') = |x \star \psi_{j_1, \theta'}|$ on the L angles of the half circle they are
    $x \star \phi_J$, $u(\theta) \star \phi_J$ and

    $$\Bigl| \sum_{\theta'} \bar\psi_k(\theta - \theta')\; u(\theta') \star \psi_{j_2, \theta + \beta} \Bigr|
    \star \phi_J, \qquad j_1 < j_2,$$

    sampled at every 2^J pixels: convolutions on the group of rotations and translations with wavelets
    $\bar\psi_k$ along the angle times $\psi_{j_2, \beta}$ in position, which turns with the angle. When the
    image turns by a number of steps, orientations move by as many and positions turn: a quarter turn of a
    periodic square image, `y[i, j] = x[j, -i]`, moves them down by L/2.

    Args:
        bank: The filters, from `filter_bank`, for images of this shape.
        x: The images.
        chunk: The number of images to work on at a time, at least 1; by default what fits into a processor's
            cache, or some thousands on an accelerator.
        precision: The precision of the products along angles and with the averaging filter, as in
            `jax.lax.Precision`.

    Returns:
        The coefficients, H // 2^J by W // 2^J for each of the 2L orientations of each channel; `paths` says
        what each channel holds.

    Raises:
        TypeError: If the images are complex or not an array of numbers, or `bank` is not a bank.
        ValueError: If the last two axes of the images are not the bank's shape, or `chunk` is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import rototranslation
        >>> bank = rototranslation.filter_bank((16, 16), J=2, L=2, boundary="periodic")
        >>> rototranslation.orbits(bank, jnp.eye(16)).shape
        (7, 4, 4, 4)

    References:
        Laurent Sifre and Stéphane Mallat, "Rotation, scaling and deformation invariant scattering for texture
        discrimination", 2013.
        Edouard Oyallon and Stéphane Mallat, "Deep roto-translation scattering for object classification",
        2015.
    """
    bank, x, back = checked(bank, x)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    return back(_orbits(bank, x, chunk, precision))


def _harmonics(table: Array, number: int, precision: Any) -> Array:
    """The mean over orientations, (paths, 2L, ...), and the moduli of harmonics: (paths, 1 + number, ...)."""
    mean = jnp.mean(table, axis=1, keepdims=True)
    if number == 0:
        return mean
    phases = 2 * np.pi * np.arange(1, number + 1)[:, None] * np.arange(table.shape[1]) / table.shape[1]
    waves = np.stack([np.cos(phases), np.sin(phases)]) / table.shape[1]
    parts = jnp.einsum("zmo,po...->zpm...", jnp.asarray(waves, table.dtype), table, precision=precision)
    return jnp.concatenate([mean, modulus(parts[0], parts[1])], axis=1)


@partial(jax.jit, static_argnames=("harmonics", "chunk", "precision"))
def _scatter(bank: Bank, x: Array, harmonics: int, chunk: int | None, precision: Any) -> Array:
    whole, kept = paths(bank), paths(bank, harmonics=harmonics)
    rows = np.array([whole.index(path._replace(harmonic=0)) for path in kept])
    columns = np.array([path.harmonic for path in kept])

    def program(space: Any, x: Array, *, angles: int) -> Array:
        reduce = partial(_harmonics, number=harmonics, precision=precision)
        found = _coefficients(
            dataclasses.replace(bank, space=space), x, reduce, precision=precision, angles=angles
        )
        return found[:, rows, columns]

    return walking.by_platform(program, bank.space, x, chunk)


def scatter(
    bank: Bank,
    x: Real[AnyArray, "... H W"],
    *,
    harmonics: int = 0,
    chunk: int | None = None,
    precision: Precision = "highest",
) -> Float[Array, "... C h w"]:
    r"""Return roto-translation scattering coefficients of images, jointly invariant to rotations and shifts.

    They are the averages of `orbits` over the orientation $\theta$, and the moduli of its harmonics,
    $|\frac{1}{2L} \sum_\theta S(\theta) e^{-i m \theta}|$ for $1 \le m \le$ `harmonics`. Where coefficients
    are averaged over the whole image, a rotation by a number of steps changes neither. Under `jax.export` the
    number of images may be symbolic.

    Args:
        bank: The filters, from `filter_bank`, for images of this shape.
        x: The images.
        harmonics: The largest harmonic of the orientation that is kept, from 0 to L.
        chunk: The number of images to work on at a time, at least 1; by default what fits into a processor's
            cache, or some thousands on an accelerator.
        precision: The precision of the products along angles and with the averaging filter, as in
            `jax.lax.Precision`.

    Returns:
        The coefficients, H // 2^J by W // 2^J for each channel; `paths` says what each channel holds.

    Raises:
        TypeError: If the images are complex or not an array of numbers, or `bank` is not a bank.
        ValueError: If the last two axes of the images are not the bank's shape, or a number is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import rototranslation
        >>> bank = rototranslation.filter_bank((16, 16), J=2, L=2)
        >>> rototranslation.scatter(bank, jnp.ones((5, 16, 16)), harmonics=2).shape
        (5, 15, 4, 4)

    References:
        Laurent Sifre and Stéphane Mallat, "Rotation, scaling and deformation invariant scattering for texture
        discrimination", 2013.
        Edouard Oyallon and Stéphane Mallat, "Deep roto-translation scattering for object classification",
        2015.
    """
    bank, x, back = checked(bank, x)
    harmonics = checks.count("harmonics", harmonics, least=0, most=bank.space.L)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    return back(_scatter(bank, x, harmonics, chunk, precision))
