r"""Random copies of an image that share its spectrum, or its spectrum and its histogram.

What tells an image from such copies is no matter of second moments. Images are periodic here: where one is
not, `periodic_component` takes from it what its border adds to the spectrum.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, RandomKey


def periodic_component(x: Real[AnyArray, "... H W"]) -> Float[Array, "... H W"]:
    r"""Return images less a smooth part, so that they have no jump from one border to the opposite one.

    The smooth part $s$ solves $\Delta s = v$ with the periodic Laplacian and a mean of zero; $v$ is the jump
    across the border, on the border's pixels, and zero elsewhere.

    Args:
        x: The images, at least 2 pixels high and wide.

    Returns:
        The images $x - s$, of the same mean.

    Raises:
        TypeError: If the images are complex or no arrays of numbers.
        ValueError: If a side is below 2 pixels.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import surrogates
        >>> ramp = jnp.linspace(0.0, 1.0, 16) * jnp.ones((16, 1))
        >>> float(jnp.ptp(ramp)), float(jnp.ptp(surrogates.periodic_component(ramp))) < 0.1
        (1.0, True)

    References:
        Lionel Moisan, Periodic plus smooth image decomposition, 2011.
    """
    x, back = _images(x, "...", "H", "W")
    return back(_periodic_component(x))


def _images(x: Real[AnyArray, "... H W"], *axes: str) -> tuple[Array, Callable[[Any], Any]]:
    """Images of at least 2 pixels a side, with the axes named."""
    (x,), back = real_arrays(x=x)
    checks.axes("x", x, *axes)
    if min(x.shape[-2:]) < 2:
        raise ValueError(f"x has the shape {x.shape}: take images of at least 2 x 2 pixels")
    return x, back


@jax.jit
def _periodic_component(x: Array) -> Array:
    down, right = x[..., -1, :] - x[..., 0, :], x[..., -1] - x[..., 0]
    jumps = jnp.zeros_like(x).at[..., 0, :].add(down).at[..., -1, :].add(-down)
    jumps = jumps.at[..., 0].add(right).at[..., -1].add(-right)
    height, width = x.shape[-2:]
    waves = 2 * np.cos(2 * np.pi * np.fft.fftfreq(height))[:, None] + 2 * np.cos(
        2 * np.pi * np.fft.rfftfreq(width)
    )
    laplacian = waves - 4
    laplacian[0, 0] = 1
    spectrum = jnp.fft.rfft2(jumps) / jnp.asarray(laplacian, x.dtype)
    return x - jnp.fft.irfft2(spectrum.at[..., 0, 0].set(0), s=(height, width))


def same_spectrum(key: RandomKey, x: Real[AnyArray, "H W"]) -> Float[Array, "H W"]:
    r"""Return a random image with the power spectrum and the mean of another.

    The phases of its Fourier transform are those of white Gaussian noise, independent and uniform.

    Args:
        key: The random key of the phases.
        x: The image, at least 2 pixels high and wide.

    Returns:
        The random image, which is nearly Gaussian.

    Raises:
        TypeError: If `key` is not a random key, or the image is not an array of real numbers.
        ValueError: If a side is below 2 pixels.

    Example:
        >>> import jax
        >>> from jaxtheory.harmonic import surrogates
        >>> x = jax.random.exponential(jax.random.key(0), (8, 8))
        >>> copy = surrogates.same_spectrum(jax.random.key(1), x)
        >>> bool(jax.numpy.allclose(abs(jax.numpy.fft.fft2(copy)), abs(jax.numpy.fft.fft2(x)), rtol=1e-4))
        True

    References:
        Galerne, Gousseau and Morel, Random phase textures: theory and synthesis, 2011.
    """
    checks.random_key("key", key)
    x, back = _images(x, "H", "W")
    return back(_same_spectrum(key, x))


@jax.jit
def _same_spectrum(key: Array, x: Array) -> Array:
    noise = jnp.fft.rfft2(jax.random.normal(key, x.shape, x.dtype))
    spectrum = jnp.fft.rfft2(x)
    return _with_modulus(noise.at[0, 0].set(spectrum[0, 0]), jnp.abs(spectrum), x.shape)


def _with_modulus(spectrum: Array, modulus: Array, shape: tuple[int, ...]) -> Array:
    """The image with the phases of one spectrum and the modulus of another."""
    size = jnp.abs(spectrum)
    # Where a spectrum vanishes, any phase will do.
    phases = jnp.where(size > 0, spectrum / jnp.where(size > 0, size, 1), 1)
    return jnp.fft.irfft2(modulus * phases, s=shape)


def same_spectrum_and_histogram(
    key: RandomKey, x: Real[AnyArray, "H W"], *, steps: int = 200
) -> tuple[Float[Array, "H W"], Float[Array, ""]]:
    r"""Return a random image with the pixels of another in another order, and nearly its power spectrum.

    It begins with the pixels in random order. Each step takes over the modulus of the spectrum, and then the
    pixels, rank by rank.

    Args:
        key: The random key of the order that it begins with.
        x: The image, at least 2 pixels high and wide.
        steps: The number of steps, at least 1.

    Returns:
        The random image, whose pixels are exactly those of the other; and the error of its spectrum, the norm
        of the difference of the moduli over that of the other's, both without the mean.

    Raises:
        TypeError: If `key` is not a random key, the image is not an array of real numbers, or `steps` is not
            a whole number.
        ValueError: If a side is below 2 pixels, or `steps` is below 1.

    Example:
        >>> import jax
        >>> from jaxtheory.harmonic import surrogates
        >>> x = jax.random.exponential(jax.random.key(0), (32, 32))
        >>> copy, error = surrogates.same_spectrum_and_histogram(jax.random.key(1), x)
        >>> float(error) < 0.02
        True

    References:
        Schreiber and Schmitz, Improved surrogate data for nonlinearity tests, 1996.
    """
    checks.random_key("key", key)
    x, back = _images(x, "H", "W")
    return back(_same_spectrum_and_histogram(key, x, checks.count("steps", steps)))


@jax.jit
def _same_spectrum_and_histogram(key: Array, x: Array, steps: Any) -> tuple[Array, Array]:
    modulus, pixels = jnp.abs(jnp.fft.rfft2(x)), jnp.sort(x.ravel())

    def step(_: Array, copy: Array) -> Array:
        matched = _with_modulus(jnp.fft.rfft2(copy), modulus, x.shape).ravel()
        return jnp.zeros_like(pixels).at[jnp.argsort(matched)].set(pixels).reshape(x.shape)

    copy = jax.lax.fori_loop(0, steps, step, jax.random.permutation(key, x.ravel()).reshape(x.shape))
    # Waves that stand for two, as they are their mirror image's conjugate, count twice.
    twice = np.full(modulus.shape[1], 2.0)
    twice[0] = 1
    if x.shape[1] % 2 == 0:
        twice[-1] = 1
    weights = jnp.asarray(twice, x.dtype) * jnp.ones_like(modulus).at[0, 0].set(0)
    missed = jnp.sum(weights * (jnp.abs(jnp.fft.rfft2(copy)) - modulus) ** 2)
    total = jnp.sum(weights * modulus**2)
    return copy, jnp.sqrt(missed / jnp.where(total > 0, total, 1))
