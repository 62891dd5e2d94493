"""Morlet filters of one dimension, as Fourier transforms on a grid, with Kymatio 0.3's ladder of frequencies.

Conventions: frequencies are in cycles per sample; a filter's transform on a grid of some length runs as in
`numpy.fft.fftfreq`. Filters have a mass of one: the moduli of their samples in time sum to one.
"""

import math
from typing import NamedTuple

import numpy as np

LOW_WIDTH = 0.1
"""The standard deviation, in cycles per sample, of a low-pass filter that averages over one sample."""

ALIASING = 5
"""The number of standard deviations beyond a wavelet's frequency that its subsampling has to keep."""

HIGHEST = 0.35
"""The least frequency of the first wavelet, in cycles per sample."""

SUPPORT = 1e-3
"""The mass of the low-pass filter that padding may leave out, before it is multiplied by three."""


class Wavelet(NamedTuple):
    """A Morlet wavelet in numbers."""

    frequency: float
    """The central frequency, in cycles per sample."""
    width: float
    """The standard deviation of its transform, in cycles per sample."""
    level: int
    """The power of two by which its responses are subsampled."""


def ladder(J: int, Q: int) -> list[Wavelet]:
    """Return the wavelets of a layer, from the highest frequency down.

    Frequencies and widths fall by 2^(1/Q) until a width is about that of an average over 2^J samples; below,
    frequencies fall in equal steps at that width.

    Args:
        J: The number of octaves.
        Q: The number of wavelets an octave.

    Returns:
        The wavelets; none where the first would be narrower than an average over 2^J samples.
    """
    ratio = 2 ** (1 / Q)
    least = LOW_WIDTH / 2**J
    frequency = max(1 / (1 + 2 ** (3 / Q)), HIGHEST)
    # The width at which neighbors cross where their squares are one half of their largest value.
    width = frequency * (ratio - 1) / (ratio + 1) / math.sqrt(math.log(2))
    if width <= least:
        return []
    found = [(frequency, width)]
    while width > least * ratio:
        frequency, width = frequency / ratio, width / ratio
        found.append((frequency, width))
    found += [(frequency * (1 - step / Q), least) for step in range(1, Q)]
    return [Wavelet(*one, _level(*one)) for one in found]


def _level(frequency: float, width: float) -> int:
    """How often a response can be halved in rate while its spectrum, up to a tail, stays below Nyquist's."""
    return math.floor(-math.log2(min(frequency + ALIASING * width, 0.5))) - 1


def window(frequency: float, width: float, length: int, smallest: float) -> tuple[int, int]:
    """Return where a Morlet filter is not negligible.

    Args:
        frequency: The central frequency.
        width: The standard deviation.
        length: The length of the grid.
        smallest: What is negligible, relative to the largest value.

    Returns:
        The first entry, which may be negative, and the number of entries, at most the grid's.
    """
    reach = width * math.sqrt(-2 * math.log(smallest))
    # What is subtracted to give the mean zero lies around zero.
    low = min(frequency, 0) if math.exp(-((frequency / width) ** 2) / 2) > smallest else frequency
    start = math.floor((low - reach) * length)
    return start, min(math.ceil((frequency + reach) * length) + 1 - start, length)


def _gaussian(frequency: float, width: float, length: int) -> np.ndarray:
    """A Gaussian around a frequency, summed over the periods that sampling in time makes of it."""
    reach = 9 * width
    bins = np.arange(math.floor((frequency - reach) * length), math.ceil((frequency + reach) * length) + 1)
    values = np.exp(-(((bins / length - frequency) / width) ** 2) / 2)
    return np.bincount(bins % length, values, length)


def _of_unit_mass(spectrum: np.ndarray) -> np.ndarray:
    return spectrum / np.abs(np.fft.ifft(spectrum)).sum()


def gaussian(width: float, length: int) -> np.ndarray:
    """Return the Fourier transform of a Gaussian low-pass filter.

    Args:
        width: The standard deviation of the transform, in cycles per sample.
        length: The length of the grid.

    Returns:
        The real transform, (length,).
    """
    return _of_unit_mass(_gaussian(0.0, width, length))


def morlet(frequency: float, width: float, length: int) -> np.ndarray:
    """Return the Fourier transform of a Morlet wavelet: a Gabor function made to have mean zero.

    Args:
        frequency: The central frequency, in cycles per sample.
        width: The standard deviation of the transform, in cycles per sample.
        length: The length of the grid.

    Returns:
        The real transform, (length,).
    """
    wave, envelope = _gaussian(frequency, width, length), _gaussian(0.0, width, length)
    return _of_unit_mass(wave - wave[0] / envelope[0] * envelope)


def padded_length(length: int, scale: float) -> int:
    """Return the power of two to which signals are padded before they are averaged over `scale` samples.

    Args:
        length: The length of the signals.
        scale: The number of samples that coefficients are averaged over.

    Returns:
        Kymatio's: the length and three supports of the low-pass filter on either side, rounded up, but at
        most what reflection can fill.
    """
    half = np.abs(np.fft.ifft(gaussian(LOW_WIDTH / scale, length)))[: length // 2]
    beyond = np.cumsum(half[::-1])[::-1]
    support = min(int((beyond > SUPPORT).sum()) + 1, length // 2)
    wanted = math.ceil(math.log2(length + 6 * support))
    return 2 ** min(wanted, math.floor(math.log2(3 * length - 2)))
