"""Solid harmonic wavelets as Fourier transforms on a grid, with the normalization of Kymatio 0.3.

A wavelet of degree l is a solid harmonic times a Gaussian, and so is its Fourier transform. In the real basis
of harmonics it is even or odd along each axis, so that frequencies that are not negative hold all of it.
"""

import math
from typing import NamedTuple

import numpy as np


class Harmonic(NamedTuple):
    """A real solid harmonic: a homogeneous polynomial of three coordinates without a Laplacian."""

    degree: int
    """The degree l."""
    order: int
    """The order m, from -l to l; negative ones are the sines of the azimuth."""

    @property
    def parity(self) -> tuple[int, int, int]:
        """Along each axis 1 where the harmonic is odd, and 0 where it is even."""
        around = abs(self.order)
        sine = int(self.order < 0)
        return (around - sine) % 2, sine, (self.degree - around) % 2


def harmonics(L: int) -> list[Harmonic]:
    """Return the harmonics of degrees 0 to L: (L + 1)^2 of them."""
    return [Harmonic(degree, order) for degree in range(L + 1) for order in range(-degree, degree + 1)]


def solid(harmonic: Harmonic, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return a solid harmonic at points, normalized on the unit sphere.

    Args:
        harmonic: The harmonic.
        x: The first coordinate of the points.
        y: The second.
        z: The third.

    Returns:
        The values, of the shape to which the coordinates broadcast.
    """
    degree, order = harmonic.degree, abs(harmonic.order)
    along = sum(
        (-1) ** k
        * math.comb(degree, k)
        * math.comb(2 * (degree - k), degree)
        * math.perm(degree - 2 * k, order)
        * (x**2 + y**2 + z**2) ** k
        * z ** (degree - 2 * k - order)
        for k in range((degree - order) // 2 + 1)
    )
    around = (x + 1j * y) ** order
    around = around.imag if harmonic.order < 0 else around.real
    ratio = (2 if order else 1) * math.factorial(degree - order) / math.factorial(degree + order)
    return math.sqrt((2 * degree + 1) / (4 * math.pi) * ratio) / 2**degree * along * around


def _norm(degree: int) -> float:
    """The factor of a wavelet's transform, which is Kymatio's."""
    if degree % 2 == 0:
        mass = math.sqrt(degree + 0.5) * 2 * math.pi * math.prod(range(degree + 1, 0, -2))
    else:
        mass = math.sqrt(math.pi * (2 * degree + 1)) * 2 ** ((degree + 3) / 2)
        mass *= math.factorial((degree + 1) // 2)
    return (2 * math.pi) ** 1.5 / mass


def wavelet(harmonic: Harmonic, sigma: float, shape: tuple[int, int, int]) -> np.ndarray:
    r"""Return the Fourier transform of a solid harmonic wavelet, divided by $(-i)^l$.

    Args:
        harmonic: The harmonic.
        sigma: The standard deviation of the Gaussian in pixels.
        shape: The sizes of the grid.

    Returns:
        The real transform at the frequencies that are not negative, along each axis of size n: n // 2 + 1.
    """
    axes = (2 * np.pi * sigma * np.arange(size // 2 + 1) / size for size in shape)
    points = np.meshgrid(*axes, indexing="ij", sparse=True)
    gaussian = np.exp(-sum(one**2 for one in points) / 2)
    return _norm(harmonic.degree) * solid(harmonic, *points) * gaussian


def kept(sigma: float, L: int, size: int, smallest: float) -> int:
    """Return the number of frequencies along an axis at which wavelets are not negligible, from zero on.

    Args:
        sigma: The standard deviation of the Gaussian in pixels.
        L: The largest degree.
        size: The size of the grid along the axis.
        smallest: What is negligible, relative to the largest value.

    Returns:
        The number, at most size // 2 + 1.
    """
    values = _decay(2 * np.pi * sigma * np.arange(size // 2 + 1) / size, L)
    return int(np.flatnonzero(values >= smallest)[-1]) + 1


def at_highest(sigma: float, L: int) -> float:
    """The values of wavelets at the highest frequency of an axis of even size, relative to the largest."""
    return float(_decay(np.array([np.pi * sigma]), L)[0])


def _decay(t: np.ndarray, L: int) -> np.ndarray:
    """How t^L exp(-t^2 / 2) falls beyond its largest value, relative to it; one before."""
    beyond = np.maximum(t, math.sqrt(max(L, 1)))
    peak = math.sqrt(max(L, 1))
    fall = L * np.log(beyond / peak) - (beyond**2 - peak**2) / 2
    return np.exp(np.where(t > peak, fall, 0.0))
