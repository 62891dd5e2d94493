r"""Cosine transforms of scattering coefficients over scale and angle, which nearly decorrelate them.

Conventions: coefficients are `(..., paths, H, W)`, the channels of a bank with J scales and L angles in the
order of `scattering2d.paths`.
"""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray


def cosines(
    coefficients: Real[AnyArray, "... paths height width"], *, J: int, L: int, order: int = 2
) -> Float[Array, "... kept height width"]:
    r"""Return the lower half of a cosine transform over scales and angles.

    Coefficients of order 1 are transformed over scale and angle, those of order 2 over the pair of scales and
    both angles; both transforms are orthonormal. Of $N$ frequencies $(k_1 / N_1, k_2 / N_2, \ldots)$ the
    $\lceil N / 2 \rceil$ with the smallest sum are kept: coefficients vary smoothly with scale and angle.

    Args:
        coefficients: The coefficients, from `scattering2d.scatter`; channels beyond `order` are left out.
        J: The number of scales, at least 1, or 2 for order 2.
        L: The number of angles, at least 1.
        order: The largest order that is kept, 1 or 2.

    Returns:
        The coefficient of order 0 as it is, then the frequencies that are kept of each order.

    Raises:
        TypeError: If the coefficients are complex, or a count is not a whole number.
        ValueError: If `order` is out of range, or there are fewer channels than it has paths.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import decorrelation, scattering2d
        >>> coefficients = scattering2d.scatter(scattering2d.filter_bank((32, 32), 3, 6), jnp.ones((32, 32)))
        >>> coefficients.shape, decorrelation.cosines(coefficients, J=3, L=6).shape
        ((127, 4, 4), (64, 4, 4))

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013.
    """
    order = checks.count("order", order, most=2)
    J, L = checks.count("J", J, least=order), checks.count("L", L)
    (x,), back = real_arrays(coefficients=coefficients)
    paths = 1 + J * L + (order == 2) * J * (J - 1) // 2 * L**2
    if x.ndim < 3 or x.shape[-3] < paths:
        raise ValueError(f"coefficients has the shape {x.shape}: take (..., {paths} paths at least, H, W)")
    return back(_cosines(x, J, L, order))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _cosines(x: Array, J: int, L: int, order: int) -> Array:
    """The transforms, of channels that are checked."""
    firsts = 1 + np.arange(J * L).reshape(J, L)
    parts = [x[..., :1, :, :], _lower_half(x, firsts)]
    if order == 2:
        # The channels go by the first wavelet, then by the second.
        wavelets = itertools.product(range(J), range(L))
        pairs = [(j, k, a, b) for j, a in wavelets for k, b in itertools.product(range(j + 1, J), range(L))]
        places = 1 + J * L + np.array(sorted(range(len(pairs)), key=pairs.__getitem__))
        parts.append(_lower_half(x, places.reshape(-1, L, L)))
    return jnp.concatenate(parts, axis=-3)


def _lower_half(x: Array, channels: np.ndarray) -> Array:
    """The lower half of the frequencies of some channels, which stand on a grid."""
    event = channels.ndim + 2
    axes = range(-event, -2)
    spectrum = jax.scipy.fft.dctn(jnp.take(x, channels, axis=-3), axes=list(axes), norm="ortho")
    scaled = [np.arange(size) / size for size in channels.shape]
    frequency = sum(np.meshgrid(*scaled, indexing="ij")).ravel()
    kept = np.sort(np.argsort(frequency, kind="stable")[: math.ceil(frequency.size / 2)])
    return spectrum.reshape(*x.shape[:-3], frequency.size, *x.shape[-2:])[..., kept, :, :]
