"""The responses of densities to the wavelets of a scale, as sums over real waves, axis by axis.

A real density is a sum of products of waves cas(t) = cos(t) + sin(t), Hartley's. A wavelet that is even along
an axis multiplies them by its transform. One that is odd does so, too, and turns the result around along the
axis. So all wavelets share three products of matrices, which are faster than Fourier transforms on grids of
up to some hundred pixels, and wide wavelets need few waves.

Conventions: fields are `(m, n, d, c, o)`, with the axes of the grid first, second and last, so that every
product is one of matrices as they lie in memory; d counts fields of a density and c densities. Waves along an
axis are those of the frequencies from the lowest, which is negative, to the highest.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxtheory.harmonic.scattering3d import filters
from jaxtheory.harmonic.scattering3d.banks import Bank
from jaxtheory.harmonic.scattering3d.filters import Harmonic

PLACES = (0, 1, 4)
"""Where a field has the axes of the grid."""


class Axis(NamedTuple):
    """The waves along an axis that a scale's wavelets see."""

    size: int
    """The number of pixels."""
    kept: int
    """The number of frequencies, from zero on."""

    @property
    def pairs(self) -> int:
        """The number of frequencies that there are with either sign."""
        return min(self.kept - 1, (self.size - 1) // 2)

    @property
    def has_highest(self) -> bool:
        """Whether there is the wave whose sign alternates from pixel to pixel, which comes last."""
        return self.kept - 1 > self.pairs

    @property
    def number(self) -> int:
        """The number of waves."""
        return 2 * self.pairs + 1 + self.has_highest

    def waves(self) -> np.ndarray:
        """Return the waves as columns, normalized, (size, waves), about the middles of the pixels."""
        frequencies = np.arange(-self.pairs, self.number - self.pairs)
        angle = 2 * np.pi * (np.arange(self.size)[:, None] + 0.5) * frequencies / self.size
        return (np.cos(angle) + np.sin(angle)) / np.sqrt(self.size)

    def unfolding(self) -> np.ndarray:
        """Return what takes values at frequencies that are not negative to all waves', (waves, kept)."""
        frequencies = np.abs(np.arange(-self.pairs, self.number - self.pairs))
        return (frequencies[:, None] == np.arange(self.kept)).astype(float)


Grid = tuple[Axis, Axis, Axis]
"""The waves along the three axes."""


def grid(bank: Bank, j: int, smallest: float) -> Grid:
    """Return the waves that the wavelets of a scale see; `smallest` is what is negligible of them."""
    first, second, third = (
        Axis(size, filters.kept(bank.sigma(j), bank.L, size, smallest)) for size in bank.shape
    )
    return first, second, third


def analyzed(x: Array, axes: Grid) -> Array:
    """Return the weights of the waves in fields: (m, n, d, c, o) to waves along the same axes."""
    first, second, third = (jnp.asarray(axis.waves(), x.dtype) for axis in axes)
    return multiplied(x, first.T, second.T, third)


def multiplied(x: Array, first: Array, second: Array, third: Array) -> Array:
    """Return an array (m, n, d, c, o) multiplied by matrices along its first, second and last axis.

    Args:
        x: The array.
        first: The matrix (m', m).
        second: The matrix (n', n).
        third: The matrix (o, o'), as what is multiplied stands before it.

    Returns:
        The array (m', n', d, c, o').
    """
    rows, _, d, c, _ = x.shape
    x = lax.dot_general(x, third, (((4,), (0,)), ((), ())), precision="highest")
    x = x.reshape(*x.shape[:2], -1)
    # As many products as rows: written as one, the array would be copied.
    every = jnp.broadcast_to(second, (rows, *second.shape))
    x = lax.dot_general(every, x, (((2,), (1,)), ((0,), (0,))), precision="highest")
    x = lax.dot_general(first, x.reshape(rows, -1), (((1,), (0,)), ((), ())), precision="highest")
    return x.reshape(first.shape[0], second.shape[0], d, c, third.shape[1])


def narrowed(weights: Array, wide: Grid, narrow: Grid) -> Array:
    """Return the weights of the waves of one grid among those of a finer scale's."""
    for place, before, after in zip(PLACES, wide, narrow):
        start = before.pairs - after.pairs
        weights = lax.slice_in_dim(weights, start, start + after.number, axis=place)
    return weights


class Wavelets(NamedTuple):
    """The wavelets of a scale as weights of waves."""

    fields: tuple[Harmonic, ...]
    """The harmonic of each field, in the order of degrees."""
    weights: Array
    """What multiplies the waves, (m, n, d, 1, o)."""
    axes: Grid
    """The waves."""


def on_waves(bank: Bank, j: int, axes: Grid) -> Wavelets:
    """Return the wavelets of a scale as weights of the waves along the axes.

    Kymatio takes the highest frequency of an even size as a negative one, so that wavelets that are odd along
    the axis multiply it by i: where it counts, the imaginary parts of responses are fields of their own.

    Args:
        bank: The bank.
        j: The scale.
        axes: The waves that they see.

    Returns:
        The wavelets.
    """
    every = filters.harmonics(bank.L)
    odd = np.array([one.parity for one in every], bool)
    real = bank.wavelets[j, :, : axes[0].kept, : axes[1].kept, : axes[2].kept]
    imaginary = jnp.zeros_like(real)
    for place, axis in enumerate(axes):
        if axis.has_highest:
            shape = [-1, 1, 1, 1]
            shape[place + 1] = axis.kept
            turned = np.zeros((len(every), axis.kept), bool)
            turned[odd[:, place], -1] = True
            turned = turned.reshape(shape)
            real, imaginary = jnp.where(turned, -imaginary, real), jnp.where(turned, real, imaginary)
    fields, weights = every, real
    smallest = float(jnp.finfo(real.dtype).eps)
    if filters.at_highest(bank.sigma(j), bank.L) ** 2 > smallest:
        highest = np.array([axis.has_highest for axis in axes])
        counting = np.flatnonzero((odd & highest).any(axis=1))
        fields = every + [every[k] for k in counting]
        order = np.argsort([one.degree for one in fields], kind="stable")
        fields = [fields[k] for k in order]
        weights = jnp.concatenate([real, imaginary[counting]])[order]
    odd = np.array([one.parity for one in fields]).T.reshape(3, len(fields), 1, 1, 1)
    weights = multiplied(
        jnp.moveaxis(weights, 0, 2)[:, :, :, None],
        *(jnp.asarray(axis.unfolding(), weights.dtype) for axis in axes[:2]),
        jnp.asarray(axes[2].unfolding().T, weights.dtype),
    )
    for place, axis, turned in zip(PLACES, axes, odd):
        sign = np.where((np.arange(axis.number) < axis.pairs)[:, None] & (turned.reshape(-1) > 0), -1.0, 1.0)
        shape = [1, 1, len(fields), 1, 1]
        shape[place] = axis.number
        sign = sign if place < 2 else sign.T
        weights = weights * jnp.asarray(sign.reshape(shape), weights.dtype)
    return Wavelets(tuple(fields), weights, axes)


def squared(weights: Array, found: Wavelets, L: int) -> Array:
    r"""Return $\sum_m |x_l \star \psi_{l,m}|^2$ for every degree.

    Args:
        weights: The weights of the waves in $x_l$, a field for each degree: (m, n, L + 1, c, o).
        found: The wavelets.
        L: The largest degree.

    Returns:
        The sums, (m, n, L + 1, c, o).
    """
    degrees = [one.degree for one in found.fields]
    m, n, _, c, o = weights.shape
    # Copies, and no lookup by index, whose derivative would be slow.
    copies = [
        jnp.broadcast_to(one, (m, n, degrees.count(degree), c, o))
        for degree, one in enumerate(jnp.split(weights, L + 1, axis=2))
    ]
    weights = jnp.concatenate(copies, axis=2) * found.weights
    first, second, third = (jnp.asarray(axis.waves(), weights.dtype) for axis in found.axes)
    responses = multiplied(weights, first, second, third.T)
    totals = [0.0] * (L + 1)
    for one, field in zip(found.fields, jnp.split(responses, len(degrees), axis=2)):
        turned = [place for place, odd in zip(PLACES, one.parity) if odd]
        totals[one.degree] = totals[one.degree] + jnp.flip(field, turned) ** 2
    return jnp.concatenate(totals, axis=2)
