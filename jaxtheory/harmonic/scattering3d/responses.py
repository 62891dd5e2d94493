"""The responses of densities to the wavelets of a scale, as sums over real waves, axis by axis.

A real density is a sum of products of cosines and sines. A wavelet multiplies them by its transform, and along
the axes along which it is odd it makes sines of cosines. Matrix products do this faster than Fourier
transforms on grids of up to some hundred pixels, and wide wavelets need few waves.

Conventions: fields are `(m, n, d, c, o)`, with the axes of the grid first, second and last, so that every
product is one of matrices as they lie in memory; d counts fields of a density and c densities. Waves along an
axis are the constant, the cosines, the highest one where the size is even, and the sines.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxtheory.harmonic.scattering3d import filters
from jaxtheory.harmonic.scattering3d.banks import Bank
from jaxtheory.harmonic.scattering3d.filters import Harmonic


class Axis(NamedTuple):
    """The waves along an axis that a scale's wavelets see."""

    size: int
    """The number of pixels."""
    kept: int
    """The number of frequencies, from zero on."""

    @property
    def pairs(self) -> int:
        """The number of frequencies of which there are a cosine and a sine."""
        return min(self.kept - 1, (self.size - 1) // 2)

    @property
    def has_highest(self) -> bool:
        """Whether there is the wave whose sign alternates from pixel to pixel."""
        return self.kept - 1 > self.pairs

    def waves(self, odd: int = 0) -> np.ndarray:
        """Return the waves as columns, normalized, (size, waves); odd ones are a quarter of a turn behind.

        Kymatio takes the highest frequency as a negative one, so that where it should be turned it is
        multiplied by i, which is left to the weights.
        """
        angle = 2 * np.pi * np.arange(self.size)[:, None] * np.arange(1, self.pairs + 1) / self.size
        cosine, sine = np.cos(angle) * np.sqrt(2), np.sin(angle) * np.sqrt(2)
        first, second = (sine, -cosine) if odd else (cosine, sine)
        highest = (-1.0) ** np.arange(self.size)[:, None]
        parts = [np.ones((self.size, 1)), first, *[highest] * self.has_highest, second]
        return np.concatenate(parts, axis=1) / np.sqrt(self.size)


Grid = tuple[Axis, Axis, Axis]
"""The waves along the three axes."""


def grid(bank: Bank, j: int, smallest: float) -> Grid:
    """Return the waves that the wavelets of a scale see; `smallest` is what is negligible of them."""
    first, second, third = (
        Axis(size, filters.kept(bank.sigma(j), bank.L, size, smallest)) for size in bank.shape
    )
    return first, second, third


def _constant(values: np.ndarray, like: Array) -> Array:
    return jnp.asarray(values, like.dtype)


def analyzed(x: Array, axes: Grid) -> Array:
    """Return the weights of the waves in fields: (m, n, d, c, o) to waves along the same axes."""
    matrices = [_constant(axis.waves(), x) for axis in axes]
    return multiplied(x, matrices[0].T, matrices[1].T, matrices[2])


def _synthesized(weights: Array, axes: Grid, parity: Sequence[int]) -> Array:
    """The fields with given weights of the waves, which are odd along some axes."""
    matrices = [_constant(axis.waves(odd), weights) for axis, odd in zip(axes, parity)]
    return multiplied(weights, matrices[0], matrices[1], matrices[2].T)


def multiplied(x: Array, first: Array, second: Array, third: Array) -> Array:
    """An array (m, n, d, c, o) multiplied by matrices along its first, second and last axis."""
    _, _, d, c, _ = x.shape
    last = third.shape[1]
    x = jnp.matmul(x, third, precision="highest")
    x = jnp.matmul(second, x.reshape(*x.shape[:2], d * c * last), precision="highest")
    x = jnp.matmul(first, x.reshape(x.shape[0], -1), precision="highest")
    return x.reshape(first.shape[0], second.shape[0], d, c, last)


def narrowed(weights: Array, wide: Grid, narrow: Grid) -> Array:
    """Return the weights of the waves of one grid among those of a finer scale's."""
    for place, before, after in zip((0, 1, 4), wide, narrow):
        if after.kept < before.kept:
            cosines = lax.slice_in_dim(weights, 0, 1 + after.pairs + after.has_highest, axis=place)
            start = 1 + before.pairs + before.has_highest
            sines = lax.slice_in_dim(weights, start, start + after.pairs, axis=place)
            weights = jnp.concatenate([cosines, sines], axis=place)
    return weights


class Group(NamedTuple):
    """The wavelets of a scale with one symmetry along the axes."""

    parity: tuple[int, int, int]
    """Along each axis whether they are odd."""
    members: tuple[Harmonic, ...]
    """The harmonic of each field."""
    weights: Array
    """What multiplies the waves, (m, n, d, 1, o)."""


def groups(bank: Bank, j: int, axes: Grid) -> list[Group]:
    """Return the wavelets of a scale by their symmetry, as weights of the waves along the axes.

    Args:
        bank: The bank.
        j: The scale.
        axes: The waves that they see.

    Returns:
        The groups. Where the highest frequency of an axis counts, Kymatio's responses are complex; their
        imaginary parts are fields of their own.
    """
    every = filters.harmonics(bank.L)
    smallest = float(jnp.finfo(bank.wavelets.dtype).eps)
    is_complex = filters.at_highest(bank.sigma(j), bank.L) ** 2 > smallest
    found = []
    for parity in sorted({one.parity for one in every}):
        places = [k for k, one in enumerate(every) if one.parity == parity]
        seen = bank.wavelets[j, np.array(places), : axes[0].kept, : axes[1].kept, : axes[2].kept]
        real, imaginary = seen, jnp.zeros_like(seen)
        for place, (axis, odd) in enumerate(zip(axes, parity), start=1):
            if odd and axis.has_highest:
                highest = np.zeros((axis.kept, *[1] * (3 - place)))
                highest[-1] = 1
                highest = _constant(highest, seen)
                rest = 1 - highest
                real, imaginary = real * rest - imaginary * highest, imaginary * rest + real * highest
        members = [every[k] for k in places]
        parts = [real]
        if is_complex and any(odd and axis.has_highest for axis, odd in zip(axes, parity)):
            parts.append(imaginary)
        weights = jnp.concatenate(parts)
        for place, axis in enumerate(axes, start=1):
            # The sine of a frequency has the weight of the cosine.
            sines = lax.slice_in_dim(weights, 1, 1 + axis.pairs, axis=place)
            weights = jnp.concatenate([weights, sines], axis=place)
        weights = jnp.moveaxis(weights, 0, 2)[:, :, :, None]
        found.append(Group(parity, tuple(members * len(parts)), weights))
    return found


def squared(weights: Array, axes: Grid, wavelets: Sequence[Group], L: int) -> Array:
    r"""Return $\sum_m |x \star \psi_{l,m}|^2$ for every degree.

    Args:
        weights: The weights of the waves in x: (m, n, 1, c, o), or (m, n, L + 1, c, o) with a field for each
            degree.
        axes: The waves.
        wavelets: The wavelets by symmetry.
        L: The largest degree.

    Returns:
        The sums, (m, n, L + 1, c, o).
    """
    totals = [0.0] * (L + 1)
    for group in wavelets:
        degrees = [one.degree for one in group.members]
        seen = weights if weights.shape[2] == 1 else jnp.take(weights, np.array(degrees), axis=2)
        responses = _synthesized(seen * group.weights, axes, group.parity)
        for k, degree in enumerate(degrees):
            totals[degree] = totals[degree] + responses[:, :, k] ** 2
    return jnp.stack(totals, axis=2)
