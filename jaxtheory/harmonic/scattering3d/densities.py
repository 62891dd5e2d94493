"""Densities of molecules: sums of Gaussians about their atoms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, RealScalar


def density(
    charges: Real[AnyArray, "*#batch atoms"],
    positions: Real[AnyArray, "*#batch atoms 3"],
    shape: tuple[int, int, int],
    *,
    width: RealScalar = 1.0,
) -> Float[Array, "... M N O"]:
    r"""Return a sum of Gaussians about atoms, each with the mass of the atom's charge.

    $\rho(u) = \sum_k z_k (2 \pi \sigma^2)^{-3/2} e^{-|u - p_k|^2 / (2 \sigma^2)}$ at the pixels, in
    coordinates from the middle of the box, where the pixels of an axis of size n are at
    $-\frac{n - 1}{2}, ..., \frac{n - 1}{2}$. The box is not continued periodically.

    Args:
        charges: The charges of the atoms; zeros fill up smaller molecules.
        positions: The positions of the atoms in pixels from the middle of the box, within its pixels where
            charges are not zero.
        shape: The sizes of the box along the three axes, in pixels.
        width: The standard deviation of the Gaussians in pixels, above 0; below about 1 the sum over pixels
            is no longer the charge.

    Returns:
        The densities.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If there are not as many positions as charges, or (where values are known) an atom lies
            outside the box or the width is not above 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import scattering3d
        >>> water = jnp.array([[0.0, 0.0, 0.0], [0.0, 2.4, 1.8], [0.0, -2.4, 1.8]])
        >>> rho = scattering3d.density(jnp.array([8.0, 1.0, 1.0]), water, (16, 16, 16))
        >>> rho.shape, float(rho.sum().round(3))
        ((16, 16, 16), 10.0)

    References:
        Michael Eickenberg, Georgios Exarchakis, Matthew Hirn, Stéphane Mallat and Louis Thiry, "Solid
        harmonic wavelet scattering for predictions of molecule properties", 2018.
    """
    shape = checks.sizes("shape", shape, ("M", "N", "O"))
    checks.positive("width", width, one=True)
    (charges, positions, width), back = real_arrays(charges=charges, positions=positions, width=width)
    checks.axes("charges", charges, "...", "atoms")
    checks.axes("positions", positions, "...", "atoms", "3", sizes=(charges.shape[-1], 3))
    if checks.known(charges) and checks.known(positions):
        _check_inside(np.asarray(charges), np.asarray(positions), shape)
    return back(_density(charges, positions, shape, width))


def _check_inside(charges: np.ndarray, positions: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Refuses atoms outside the box."""
    half = (np.array(shape) - 1) / 2
    # A half pixel's rounding is no reason to refuse an atom on the border.
    outside = ~(np.abs(positions) <= half * (1 + 1e-6)) & (charges[..., None] != 0)
    if outside.any():
        axis = np.argwhere(outside)[0][-1]
        found = np.broadcast_to(positions, outside.shape)[outside][0]
        raise ValueError(
            f"positions hold {found:g} along axis {axis}: take numbers from {-half[axis]:g} to "
            f"{half[axis]:g}, as the box has {shape[axis]} pixels"
        )


@partial(jax.jit, static_argnums=2)
def _density(charges: Array, positions: Array, shape: tuple[int, int, int], width: Array) -> Array:
    factors = []
    for axis, size in enumerate(shape):
        pixels = jnp.arange(size) - (size - 1) / 2
        distance = (pixels.astype(positions.dtype) - positions[..., axis, None]) / width
        factors.append(jnp.exp(-(distance**2) / 2) / (np.sqrt(2 * np.pi) * width))
    rows = charges[..., None] * factors[0]
    return jnp.einsum("...am,...an,...ao->...mno", rows, factors[1], factors[2], precision="highest")
