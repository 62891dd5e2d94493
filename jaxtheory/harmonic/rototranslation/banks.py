"""Banks of filters for roto-translation scattering: wavelets of the plane, and wavelets along angles."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import scattering2d, wavelets
from jaxtheory.harmonic.scattering1d import filters
from jaxtheory.harmonic.wavelets import Filters

FREQUENCY, WIDTH = 0.375, 1 / (2 * math.pi * 0.8)
"""The frequency and the spectral width of the finest angular wavelet, in cycles per step from angle to angle:
those of the Morlet wavelets in position."""


@record
class Bank:
    """The filters in position, which turn with the angle, and those along the angle."""

    space: scattering2d.Bank
    """The low-pass filter and the wavelets in position."""
    angular: Float[AnyArray, "filters L"]
    """The Fourier transforms of the filters along the L angles, real: wavelets by scale, then the average."""

    @property
    def K(self) -> int:
        """The number of scales of the wavelets along angles."""
        return self.angular.shape[-2] - 1


def filter_bank(
    shape: tuple[int, int],
    J: int,
    L: int = 8,
    *,
    K: int | None = None,
    order: int = 2,
    boundary: str = "reflect",
    wavelet: Callable[[tuple[int, int], int, int], Filters] = wavelets.morlet,
) -> Bank:
    r"""Return the filters of a roto-translation scattering transform.

    The filters along the angle are periodic over the L angles of the half circle, as the moduli of real
    images are: Morlet wavelets of K scales and a Gaussian average.

    Args:
        shape: The height and width of the images, at least 2^J; multiples of 2^J where they are periodic.
        J: The number of scales in position, at least 1: coefficients are averaged over 2^J pixels.
        L: The number of angles on the half circle, at least 2; an even number has quarter turns among its
            steps.
        K: The number of scales along the angle, from 1 to log2(L): wavelets of scale k reach over 2^k angles.
            By default as many as there are.
        order: The largest order of the coefficients: 0, 1 or 2.
        boundary: How images are continued beyond their border: `"reflect"` or `"periodic"`.
        wavelet: The function that makes the filters in position, as that of `scattering2d.filter_bank`.

    Returns:
        The bank: a pytree whose leaves are the filters.

    Raises:
        TypeError: If a size is not a whole number or `wavelet` is not a function.
        ValueError: If an argument is out of its range, or `wavelet` makes filters of another shape.

    Example:
        >>> from jaxtheory.harmonic import rototranslation
        >>> bank = rototranslation.filter_bank((32, 32), J=3, L=8)
        >>> len(rototranslation.paths(bank))
        100

    References:
        Laurent Sifre and Stéphane Mallat, "Rotation, scaling and deformation invariant scattering for texture
        discrimination", 2013.
        Edouard Oyallon and Stéphane Mallat, "Deep roto-translation scattering for object classification",
        2015.
    """
    L = checks.count("L", L, least=2)
    most = L.bit_length() - 1
    K = most if K is None else checks.count("K", K, most=most)
    space = scattering2d.filter_bank(shape, J, L, order=order, boundary=boundary, wavelet=wavelet)
    angular = [filters.morlet(FREQUENCY / 2**k, WIDTH / 2**k, L) for k in range(K)]
    angular.append(filters.gaussian(2 * WIDTH / 2**K, L))
    return Bank(space, jnp.asarray(np.stack(angular)))


def checked(bank: Bank, x: Real[AnyArray, "... H W"]) -> tuple[Bank, Array, Callable[[Any], Any]]:
    """Return a bank and images in the dtype of the computation.

    Args:
        bank: The bank, as the caller gave it.
        x: The images, as the caller gave them.

    Returns:
        The bank, the images, and what gives results their dtype.

    Raises:
        TypeError: If `bank` is not a bank, or the images are complex or not an array of numbers.
        ValueError: If the images are not of the bank's shape.
    """
    checks.instance("bank", bank, Bank, "a bank, from rototranslation.filter_bank")
    (bank, x), back = real_arrays(bank=bank, x=x)
    checks.axes("x", x, "...", "H", "W", sizes=bank.space.shape)
    return bank, x, back
