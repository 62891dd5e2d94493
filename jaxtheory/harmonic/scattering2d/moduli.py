"""One layer of the transform: the moduli of the responses of a scale's wavelets, subsampled.

Images are transposed, (..., W, H): the filters of all angles point to frequencies that are not negative along
height, so that half a spectrum along the last axis holds most of what they see.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxtheory.harmonic.magnitudes import modulus
from jaxtheory.harmonic.scattering2d.banks import Bank


def _periodic_slice(x: Array, start: int, stop: int) -> Array:
    """Entries `start` to `stop - 1` of an array that is periodic along its next to last axis."""
    size = x.shape[-2]
    pieces = []
    while start < stop:
        first = start % size
        last = min(size, first + stop - start)
        pieces.append(x[..., first:last, :])
        start += last - first
    return jnp.concatenate(pieces, axis=-2)


def _mirrored(half: Array, start: int, stop: int) -> Array:
    """Frequencies `-stop + 1` to `-start` of a real signal's spectrum, from the half that is not negative."""
    part = jnp.flip(half[..., start:stop], axis=(-2, -1))
    return jnp.conj(jnp.concatenate([part[..., -1:, :], part[..., :-1, :]], axis=-2))


def spectrum_of(u: Array, ranges: tuple[tuple[int, int], tuple[int, int]]) -> tuple[Array, Array]:
    """Return the spectrum of real maps (..., W, H) over ranges of signed frequencies.

    Its parts are kept apart because compilers for processors do not vectorize loops over complex numbers.

    Args:
        u: The maps.
        ranges: The first frequency and the one after the last, along height and along width.

    Returns:
        The real and the imaginary parts.
    """
    (low, high), columns = ranges
    size = u.shape[-1]
    middle = size // 2 + 1
    half = jnp.fft.rfft2(u)
    pieces = []
    if low < 0:
        pieces.append(_mirrored(half, 1, 1 - low))
    pieces.append(half[..., : min(high, middle)])
    if high > middle:
        pieces.append(_mirrored(half, size - high + 1, size - middle + 1))
    spectrum = _periodic_slice(jnp.concatenate(pieces, axis=-1), *columns)
    return spectrum.real, spectrum.imag


class Step(NamedTuple):
    """How the wavelets of one scale act on maps of a given resolution."""

    filters: Array
    """(L, W', H'): the wavelets over their windows, transposed, with the factor of subsampling."""
    starts: np.ndarray
    """(L, 2): the first frequencies of the windows along height and width."""
    tile: tuple[int, int]
    """Height and width of the result."""

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The frequencies along height and width that some window holds."""
        _, width, height = self.filters.shape
        low, high = self.starts.min(axis=0), self.starts.max(axis=0)
        return (int(low[0]), int(high[0]) + height), (int(low[1]), int(high[1]) + width)


def wavelet_step(bank: Bank, dtype: Any, j: int, scale: int) -> Step:
    """What turns maps at resolution j into those of the wavelets of a scale, at resolution `scale`."""
    resolution = [size // 2**j for size in bank.grid]
    tile = tuple(size // 2**scale for size in bank.grid)
    every = (tuple(size // part for size, part in zip(resolution, tile)), ((0, 0),) * bank.L)
    tiles, starts = every if bank.windows is None else bank.windows[scale]
    tiles = [min(number, most) for number, most in zip(tiles, every[0])]
    starts = np.array(starts, np.int32).reshape(bank.L, 2)
    indices, inside = [], []
    for axis in range(2):
        length = tiles[axis] * tile[axis]
        if length == resolution[axis]:
            starts[:, axis] = -(length // 2)
        window = starts[:, axis, None] + np.arange(length)
        indices.append(window % bank.grid[axis])
        # Kymatio cuts filters, rather than fold them, where their signal has fewer frequencies.
        inside.append((window >= -(resolution[axis] // 2)) & (window < resolution[axis] // 2) | (j == 0))
    wavelet = scale * bank.L + np.arange(bank.L)
    filters = bank.wavelets.astype(dtype)[
        wavelet[:, None, None], indices[0][:, None, :], indices[1][:, :, None]
    ]
    filters = filters * (inside[0][:, None, :] & inside[1][:, :, None]) / 4.0 ** (scale - j)
    return Step(filters.astype(dtype), starts, tile)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _fold(x: Array, tile: tuple[int, int]) -> Array:
    """The sum of an array's tiles, written as slices, which compile to faster loops than a strided sum."""
    height, width = tile
    return sum(
        x[..., a : a + width, b : b + height]
        for a in range(0, x.shape[-2], width)
        for b in range(0, x.shape[-1], height)
    )


@_fold.defjvp
def _fold_jvp(tile: tuple[int, int], primals: Any, tangents: Any) -> Any:
    # The same in a form whose transpose repeats its argument; that of a slice pads it.
    (x,), (tangent,) = primals, tangents
    height, width = tile
    tiles = tangent.reshape(*x.shape[:-2], x.shape[-2] // width, width, x.shape[-1] // height, height)
    return _fold(x, tile), tiles.sum(axis=(-4, -2))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _copies(x: Array, number: int) -> Array:
    return jnp.broadcast_to(x, (number, *x.shape))


@_copies.defjvp
def _copies_jvp(number: int, primals: Any, tangents: Any) -> Any:
    # The transpose of a stack is a chain of additions, which fuses with what it adds; that of a broadcast
    # is a reduction, which on processors does not.
    return _copies(*primals, number), jnp.stack(tangents * number)


@jax.custom_jvp
def _apart_in_reverse(x: Array) -> Array:
    return x


@_apart_in_reverse.defjvp
def _apart_in_reverse_jvp(primals: Any, tangents: Any) -> Any:
    # In reverse mode, what arrives is computed before the windows are added up.
    return primals[0], lax.optimization_barrier(tangents[0])


def look(
    bank: Bank, maps: Array, j: int, scales: range
) -> tuple[tuple[Array, Array], tuple[int, int], list[Step]]:
    """Return what the wavelets of some scales need of maps at resolution j.

    Args:
        bank: The filters.
        maps: The maps, (m, W', H').
        j: Their resolution.
        scales: The scales of the wavelets.

    Returns:
        The spectra, the frequencies along height and width at which they begin, and the wavelets.
    """
    steps = [wavelet_step(bank, maps.dtype, j, scale) for scale in scales]
    ranges = tuple(
        (min(one.ranges[axis][0] for one in steps), max(one.ranges[axis][1] for one in steps))
        for axis in range(2)
    )
    return spectrum_of(maps, ranges), (ranges[0][0], ranges[1][0]), steps


def wavelet_responses(
    spectrum: tuple[Array, Array], origin: tuple[int, int], step: Step
) -> tuple[Array, Array]:
    """Return the responses of a scale's wavelets, subsampled.

    Args:
        spectrum: The spectra of maps, (m, W', H'), from `look`.
        origin: The frequencies at which they begin.
        step: The wavelets.

    Returns:
        The real and the imaginary parts, (L, m, w, h), turned by a phase that depends on the wavelet and the
        place alone, and not on the map.
    """
    number, *size = step.filters.shape

    def window(part: Array, start: np.ndarray) -> Array:
        first, second = int(start[1]) - origin[1], int(start[0]) - origin[0]
        return part[:, first : first + size[0], second : second + size[1]]

    def folded(part: Array) -> Array:
        if (step.starts == step.starts[0]).all():
            windows = _copies(window(part, step.starts[0]), number)
        else:
            windows = _apart_in_reverse(jnp.stack([window(part, start) for start in step.starts]))
        return _fold(windows * step.filters[:, None], step.tile)

    # The barrier keeps the loops over real numbers apart from the one that interleaves them.
    signal = jnp.fft.ifft2(lax.complex(*lax.optimization_barrier(tuple(map(folded, spectrum)))))
    return signal.real, signal.imag


def wavelet_moduli(spectrum: tuple[Array, Array], origin: tuple[int, int], step: Step) -> Array:
    """The moduli of the responses of a scale's wavelets, subsampled: (m, W', H') to (L, m, w, h)."""
    return modulus(*wavelet_responses(spectrum, origin, step))
