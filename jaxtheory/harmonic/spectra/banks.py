"""Banks of wavelets for scattering spectra, on the grid of a signal or an image."""

from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import wavelets
from jaxtheory.harmonic.scattering1d import filters
from jaxtheory.harmonic.wavelets import NEGLIGIBLE, Filters

Box = tuple[tuple[int, int], int]
"""Where the wavelets of a scale live in a half spectrum: along height the first signed frequency and the one
after the last, and the number of frequencies along the last axis."""


@record
class Bank:
    """Wavelets at dyadic scales and, for images, of several angles; the leaves are arrays."""

    wavelets: Float[AnyArray, "n ..."]
    """The Fourier transforms of the wavelets, real, by scale and within a scale by angle."""
    window: Float[AnyArray, "..."] | None
    """The weights of the average over samples, of sum one; `None` where all are the same."""
    J: int = static()
    """The number of scales."""
    L: int = static()
    """The number of angles on the half circle; 1 for signals."""
    shape: tuple[int, ...] = static()
    """The length of the signals, or the height and width of the images."""
    boxes: tuple[Box, ...] | None = static()
    """Where the wavelets of each scale live; `None` where that is not known beforehand."""


def filter_bank(
    shape: tuple[int, ...],
    J: int,
    L: int = 4,
    *,
    window: Real[AnyArray, "..."] | Literal["interior"] | None = None,
    wavelet: Callable[[tuple[int, int], int, int], Filters] = wavelets.morlet,
) -> Bank:
    r"""Return the wavelets of scattering spectra.

    Wavelets of signals are Morlet's, one an octave, dilated from one to the next:
    $\hat\psi_j(\omega) = \hat\psi(2^j \omega)$. Convolutions are circular.

    Args:
        shape: The length of the signals as `(length,)`, or the height and width of the images, at least 2^J.
        J: The number of scales, at least 1: wavelets oscillate over about 2 to 2^J samples.
        L: The number of angles on the half circle, at least 1; of no effect for signals.
        window: The weights of the samples in averages, of the given shape, nonnegative and not all zero, such
            as a mask; `"interior"` leaves out 2^J samples at each border, where convolutions see the other
            one. By default all samples count the same, as is right for periodic fields.
        wavelet: The function that makes the filters of images from height and width, `J` and `L`:
            `wavelets.morlet`, `wavelets.spline`, or one of your own.

    Returns:
        The bank: a pytree whose leaves are the wavelets and the window.

    Raises:
        TypeError: If a size is not a whole number, `wavelet` is not a function, or `window` is complex.
        ValueError: If an argument is out of its range or of another shape, `wavelet` makes filters of another
            shape, or nothing is left of the interior.

    Example:
        >>> from jaxtheory.harmonic import spectra
        >>> spectra.filter_bank((64, 64), J=3).wavelets.shape, spectra.filter_bank((64,), J=3).wavelets.shape
        ((12, 64, 64), (3, 64))

    References:
        Morel, Rochette, Leonarduzzi, Bouchaud and Mallat, "Scale dependencies and self-similar models with
        wavelet scattering spectra", 2022.
    """
    shape = checks.sizes("shape", shape, ("length",), ("height", "width"))
    J, L = checks.count("J", J), checks.count("L", L)
    if min(shape) < 2**J:
        raise ValueError(f"shape is {shape}: take at least 2^J = {2**J} along each axis, or a lower J")
    if not callable(wavelet):
        raise TypeError(f"wavelet is {wavelet!r}: take a function that makes filters, as wavelets.morlet")
    if len(shape) == 1:
        L, made = 1, _dilated(shape[0], J)
    else:
        made = wavelet(shape, J, L).wavelets
        if made.shape != (J * L, *shape):
            raise ValueError(
                f"wavelet makes filters of the shape {made.shape}: take one that makes {(J * L, *shape)}"
            )
    return Bank(
        wavelets=jnp.asarray(made),
        window=_weights(window, shape, J),
        J=J,
        L=L,
        shape=shape,
        boxes=_boxes(np.asarray(made), J) if checks.known(made) else None,
    )


def check_bank(bank: Any) -> None:
    """Refuse what is not a bank of this module's."""
    checks.instance("bank", bank, Bank, "a bank, from spectra.filter_bank")


def _dilated(length: int, J: int) -> np.ndarray:
    """Morlet wavelets of one an octave: those of the scattering transform at its highest frequencies."""
    first = filters.ladder(J, 1)[0]
    return np.stack([filters.morlet(first.frequency / 2**j, first.width / 2**j, length) for j in range(J)])


def _weights(window: Any, shape: tuple[int, ...], J: int) -> Array | None:
    """The window as weights of sum one."""
    if window is None:
        return None
    if isinstance(window, str):
        checks.one_of("window", window, ("interior",))
        if min(shape) <= 2 ** (J + 1):
            raise ValueError(
                f"shape is {shape}: take more than 2^(J + 1) = {2 ** (J + 1)} along each axis for the "
                "interior, or a lower J"
            )
        inside = [(np.arange(size) >= 2**J) & (np.arange(size) < size - 2**J) for size in shape]
        window = np.asarray(inside[0] if len(shape) == 1 else inside[0][:, None] & inside[1], float)
    window = as_array("window", window)
    if jnp.issubdtype(window.dtype, jnp.complexfloating):
        raise TypeError(f"window is complex ({window.dtype}): take real weights")
    checks.axes("window", window, *("N", "HW")[len(shape) - 1], sizes=shape)
    checks.nonnegative("window", window)
    total = window.sum()
    if checks.known(total) and total == 0:
        raise ValueError("window is zero everywhere: take weights of which some are positive")
    return jnp.asarray(window / total)


def _boxes(made: np.ndarray, J: int) -> tuple[Box, ...]:
    """The smallest boxes outside of which the squares of a scale's wavelets, mirrored too, are negligible."""
    grid = made.shape[1:] if made.ndim == 3 else (1, made.shape[1])
    size = np.abs(made.reshape(J, -1, *grid))
    found = []
    for one in size:
        seen = (one > NEGLIGIBLE * one.max((1, 2), keepdims=True)).any(0)
        seen |= np.roll(seen[::-1, ::-1], (1, 1), (0, 1))
        rows = np.flatnonzero(seen.any(1))
        signed = (rows + grid[0] // 2) % grid[0] - grid[0] // 2
        columns = np.flatnonzero(seen.any(0)[: grid[1] // 2 + 1])
        found.append(((int(signed.min()), int(signed.max()) + 1), int(columns.max()) + 1))
    # What a scale keeps of its moduli serves all coarser ones, too.
    for j in range(J - 2, -1, -1):
        (low, high), columns = found[j]
        (next_low, next_high), next_columns = found[j + 1]
        found[j] = ((min(low, next_low), max(high, next_high)), max(columns, next_columns))
    return tuple(found)
