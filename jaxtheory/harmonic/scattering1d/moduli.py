"""One layer of the transform: the moduli of the responses of wavelets of one level, subsampled."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxtheory.harmonic.magnitudes import modulus
from jaxtheory.harmonic.scattering1d.banks import Bank
from jaxtheory.harmonic.scattering1d.filters import Wavelet, window

PARTS = 2
"""The number of shorter Fourier transforms that a long one with few frequencies is made of."""

LONG = 2**15
"""The least length that is so divided: a processor's cache holds shorter transforms as they are."""


def bins(half: Array, length: int, start: int, stop: int) -> Array:
    """Return a range of signed frequencies from the half of real signals' spectra that is not negative.

    Args:
        half: The spectra, (..., length // 2 + 1), as `jnp.fft.rfft` gives them.
        length: The length of the signals, with which spectra are periodic.
        start: The first frequency, as an entry of the spectrum; negative ones count from zero downwards.
        stop: The frequency after the last.

    Returns:
        The spectra at these frequencies, (..., stop - start).
    """
    pieces = []
    while start < stop:
        entry = start % length
        if entry <= length // 2:
            number = min(stop - start, length // 2 + 1 - entry)
            pieces.append(half[..., entry : entry + number])
        else:
            number = min(stop - start, length - entry)
            first = length - entry - number + 1
            pieces.append(jnp.conj(jnp.flip(half[..., first : first + number], axis=-1)))
        start += number
    return pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces, axis=-1)


def entries(transform: Array, start: int, number: int) -> Array:
    """Return `number` entries of an array from `start` on that is periodic along its last axis."""
    length, stop = transform.shape[-1], start + number
    pieces = []
    while start < stop:
        first = start % length
        part = min(stop - start, length - first)
        pieces.append(transform[..., first : first + part])
        start += part
    return jnp.concatenate(pieces, axis=-1)


class Group(NamedTuple):
    """The wavelets of a layer that have one level of subsampling."""

    members: tuple[int, ...]
    """Their indices in the layer."""
    level: int
    """Their level j."""
    filters: Array
    """(n, w): the wavelets over a window that holds them all."""
    start: int
    """The first frequency of the window, which may be negative."""
    length: int
    """The length of the responses."""
    factor: float
    """The factor of subsampling in the frequencies, by which responses are multiplied."""

    @property
    def stop(self) -> int:
        """The frequency after the window's last."""
        return self.start + self.filters.shape[-1]


def groups(bank: Bank, layer: list[Wavelet], transforms: Array, *, above: int, coarsest: int) -> list[Group]:
    """Return the wavelets of a layer by level.

    Args:
        bank: The bank.
        layer: The layer's wavelets.
        transforms: Their filters, (n, N).
        above: The level above which wavelets are wanted.
        coarsest: The level beyond which nothing is subsampled further.

    Returns:
        A group for each level, from the lowest up.
    """
    smallest = float(jnp.finfo(transforms.dtype).eps)
    # Levels rise as frequencies fall, so that those of one level are neighbors, and the wanted ones the last.
    levels = np.array([one.level for one in layer])
    windows = [window(one.frequency, one.width, bank.grid, smallest) for one in layer]
    wanted = windows[np.sum(levels <= above) :]
    if not wanted:
        return []
    least = min(start for start, _ in wanted)
    # One array that holds them all compiles to fewer loops than windows that are cut one by one.
    whole = entries(transforms, least, max(map(sum, wanted)) - least)
    found = []
    for level in sorted({int(one) for one in levels if one > above}):
        members = tuple(np.flatnonzero(levels == level).tolist())
        start = min(windows[index][0] for index in members)
        width = min(max(sum(windows[index]) for index in members) - start, bank.grid)
        length = bank.grid >> min(level, coarsest)
        filters = whole[members[0] : members[-1] + 1, start - least : start - least + width]
        found.append(Group(members, level, filters, start, length, length / bank.grid))
    return found


def response_moduli(spectra: Array, group: Group) -> Array:
    """Return the moduli of signals' responses to the wavelets of a group.

    The window's place among the frequencies modulates the response, which does not change its modulus.

    Args:
        spectra: The spectra of signals over the window of the group, (..., w).
        group: The wavelets.

    Returns:
        The moduli, (n, ..., group.length).
    """
    number, width = group.filters.shape
    filters = group.filters.reshape(number, *[1] * (spectra.ndim - 1), width)
    real, imaginary = spectra.real * filters, spectra.imag * filters
    if group.length >= LONG and group.length % PARTS == 0 and width <= group.length // PARTS:
        return _in_parts(real, imaginary, group)
    return _modulus_in_time(real, imaginary, group.length) * group.factor


def _modulus_in_time(real: Array, imaginary: Array, length: int) -> Array:
    """The modulus of the inverse transform, to some length, of spectra that may be longer or shorter."""
    # The barrier keeps the loops over real numbers apart from the one that interleaves them.
    parts = lax.optimization_barrier((_fold(real, length), _fold(imaginary, length)))
    response = jnp.fft.ifft(lax.complex(*parts))
    return modulus(response.real, response.imag)


def _in_parts(real: Array, imaginary: Array, group: Group) -> Array:
    """The moduli of long inverse transforms of few frequencies, from those of every `PARTS`-th sample."""
    parts = []
    for part in range(PARTS):
        turns = 2 * np.pi * part / group.length * np.arange(real.shape[-1])
        cosine, sine = (one.astype(real.dtype) for one in (np.cos(turns), np.sin(turns)))
        turned = real * cosine - imaginary * sine, real * sine + imaginary * cosine
        parts.append(_modulus_in_time(*turned, group.length // PARTS) * (group.factor / PARTS))
    return jnp.stack(parts, axis=-1).reshape(*real.shape[:-1], group.length)


def _fold(x: Array, length: int) -> Array:
    """The sum of an array's tiles of some length, along its last axis, the last one filled up with zeros."""
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % length)])
    return sum(x[..., first : first + length] for first in range(0, x.shape[-1], length))
