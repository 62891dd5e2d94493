"""Banks of solid harmonic wavelets on the grid of the densities."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic.scattering3d import filters


@record
class Bank:
    """Solid harmonic wavelets at dyadic scales; the leaf is full-resolution filters."""

    wavelets: Float[AnyArray, "scales harmonics m n o"]
    """The Fourier transforms of the wavelets, divided by (-i)^l, in the real basis of harmonics of degree l:
    by scale from the finest, and within a scale by degree. Along an axis of size n they are at the
    n // 2 + 1 frequencies that are not negative; the others are as each harmonic's symmetry has it."""
    shape: tuple[int, int, int] = static()
    """The sizes of the densities."""
    J: int = static()
    """The largest scale: wavelets have the scales 0 to J."""
    L: int = static()
    """The largest degree of the harmonics."""
    sigma_0: float = static()
    """The standard deviation of the finest wavelets' Gaussian, in pixels; at scale j it is 2^j times that."""
    order: int = static()
    """The largest order of the coefficients."""

    def sigma(self, j: int) -> float:
        """The standard deviation of the Gaussian at a scale, in pixels."""
        return self.sigma_0 * 2**j


def filter_bank(
    shape: tuple[int, int, int], J: int, L: int = 3, sigma_0: float = 1.0, *, order: int = 2
) -> Bank:
    r"""Return the filters of a solid harmonic scattering transform.

    $\hat\psi_{j,l,m}(\omega) = (-i)^l c_l |\sigma_j \omega|^l Y_{l,m}(\omega / |\omega|)
    e^{-|\sigma_j \omega|^2 / 2}$ with $\sigma_j = 2^j \sigma_0$ and the constants $c_l$ of Kymatio 0.3; those
    of degree 0 are Gaussians of mass one.

    Args:
        shape: The sizes of the densities along the three axes, each at least $2^J \sigma_0$.
        J: The largest scale, at least 0: there are wavelets of the scales 0 to J.
        L: The largest degree of the harmonics, at least 0.
        sigma_0: The standard deviation of the finest wavelets' Gaussian in pixels, above 0.
        order: The largest order of the coefficients: 0, 1 or 2.

    Returns:
        The bank: a pytree whose leaf is the filters, and `jax.grad` with respect to it learns them.

    Raises:
        TypeError: If a size is not a whole number, or `sigma_0` is not a number.
        ValueError: If an argument is out of its range, or the widest Gaussian is wider than the box.

    Example:
        >>> from jaxtheory.harmonic import scattering3d
        >>> bank = scattering3d.filter_bank((32, 32, 32), J=2)
        >>> len(scattering3d.paths(bank)), bank.wavelets.shape
        (25, (3, 16, 17, 17, 17))

    References:
        Michael Eickenberg, Georgios Exarchakis, Matthew Hirn, Stéphane Mallat and Louis Thiry, "Solid
        harmonic wavelet scattering for predictions of molecule properties", 2018.
    """
    shape = checks.sizes("shape", shape, ("M", "N", "O"))
    J, L = (checks.count(name, value, least=0) for name, value in (("J", J), ("L", L)))
    order = checks.count("order", order, least=0, most=2)
    checks.positive("sigma_0", sigma_0, one=True)
    sigma_0 = float(as_array("sigma_0", sigma_0))
    if not math.isfinite(sigma_0):
        raise ValueError(f"sigma_0 is {sigma_0}: take a positive number")
    widest = sigma_0 * 2**J
    if min(shape) < widest:
        raise ValueError(
            f"shape is {shape}: take at least 2^J sigma_0 = {widest:g} along each axis, or a lower J"
        )
    found = [
        [filters.wavelet(one, sigma_0 * 2**j, shape) for one in filters.harmonics(L)] for j in range(J + 1)
    ]
    return Bank(jnp.asarray(np.array(found)), shape=shape, J=J, L=L, sigma_0=sigma_0, order=order)
