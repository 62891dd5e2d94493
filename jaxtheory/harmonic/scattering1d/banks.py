"""Banks of filters for the scattering transform of signals, on the grid of the padded signals."""

import math
from numbers import Real as Number
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic.scattering1d import filters
from jaxtheory.harmonic.scattering1d.filters import Wavelet

Layer = tuple[tuple[float, float, int], ...]
"""The wavelets of a layer: central frequency and width in cycles per sample, and level of subsampling."""


@record
class Bank:
    """A low-pass filter and the wavelets of two layers; the leaves are full-resolution filters."""

    low_pass: Float[AnyArray, " N"]
    """The Fourier transform of the low-pass filter."""
    first: Float[AnyArray, "n1 N"]
    """The Fourier transforms of the first layer's wavelets, real, from the highest frequency down."""
    second: Float[AnyArray, "n2 N"]
    """Those of the second layer's."""
    length: int = static()
    """The length of the signals, before padding."""
    J: int = static()
    """The number of octaves of the wavelets."""
    Q: tuple[int, int] = static()
    """The numbers of wavelets an octave, in the first layer and in the second."""
    T: float | str = static()
    """The number of samples over which coefficients are averaged, or `"global"` for all of them."""
    order: int = static()
    """The largest order of the coefficients."""
    boundary: str = static()
    """How signals are continued beyond their ends, `"reflect"` or `"periodic"`."""
    folding: str = static()
    """How filters are folded onto fewer frequencies, `"mean"` or `"sum"`."""
    layers: tuple[Layer, Layer] = static()
    """The wavelets of both layers in numbers."""

    @property
    def wavelets(self) -> tuple[list[Wavelet], list[Wavelet]]:
        """The wavelets of both layers by name of their numbers, which are stored as plain tuples."""
        first, second = ([Wavelet(*one) for one in layer] for layer in self.layers)
        return first, second

    @property
    def grid(self) -> int:
        """The length of the padded signals, on whose frequencies the filters are given."""
        return self.low_pass.shape[-1]

    @property
    def before(self) -> int:
        """The number of samples that are padded before the signal."""
        return (self.grid - self.length) // 2

    @property
    def stride(self) -> int:
        """The number of samples from one averaged coefficient to the next; the length where it is global."""
        return self.length if self.T == "global" else 2 ** math.floor(math.log2(self.T))


def filter_bank(
    length: int,
    J: int,
    Q: int | tuple[int, ...] = 1,
    *,
    T: float | int | Literal["global"] | None = None,
    order: int = 2,
    boundary: Literal["reflect", "periodic"] = "reflect",
    folding: Literal["mean", "sum"] = "mean",
) -> Bank:
    """Return the filters of a scattering transform of signals.

    Args:
        length: The length of the signals, at least 2^J.
        J: The number of octaves that the wavelets cover, at least 1.
        Q: The number of wavelets an octave, at least 1, in the first layer, where the second has one; or a
            pair of numbers for the two.
        T: The number of samples that coefficients are averaged over, from 1 to the length; by default 2^J.
            `"global"` takes means over the whole signal; `propagate` gives what is not averaged.
        order: The largest order of the coefficients: 0, 1 or 2.
        boundary: How signals are continued beyond their ends: `"reflect"`, up to the power of two that
            Kymatio pads to, or `"periodic"` for lengths that all subsampling divides.
        folding: How filters are folded onto the frequencies of a subsampled signal. `"mean"` is Kymatio
            0.3's, by which a coefficient is smaller, by a power of two that `paths` tells as its gain, than
            the averaged modulus; `"sum"` has gains of one.

    Returns:
        The bank: a pytree whose leaves are the filters, and `jax.grad` with respect to it learns them.

    Raises:
        TypeError: If a size is not a whole number, or `T` is neither a number nor `"global"`.
        ValueError: If an argument is out of its range, or Q wavelets an octave do not fit into J octaves.

    Example:
        >>> from jaxtheory.harmonic import scattering1d
        >>> bank = scattering1d.filter_bank(1024, J=5, Q=8)
        >>> len(scattering1d.paths(bank)), bank.grid
        (84, 2048)

    References:
        Joakim Andén and Stéphane Mallat, "Deep scattering spectrum", 2014.
    """
    length, J = checks.count("length", length), checks.count("J", J)
    order = checks.count("order", order, least=0, most=2)
    Q = _pair(Q)
    checks.one_of("boundary", boundary, ("reflect", "periodic"))
    checks.one_of("folding", folding, ("mean", "sum"))
    if length < 2**J:
        raise ValueError(f"length is {length}: take at least 2^J = {2**J}, or a lower J")
    scale = _scale(T, length, J)
    layers = tuple(filters.ladder(J, number) for number in Q)
    for number, layer in zip(Q, layers):
        if not layer:
            raise ValueError(
                f"Q is {number}: take a lower one, as {number} wavelets an octave need a higher J than {J}"
            )
    average = 2.0**J if scale == "global" else scale
    if boundary == "reflect":
        grid = filters.padded_length(length, average)
    else:
        grid = length
        levels = [one.level for layer in layers for one in layer]
        divisor = 2 ** max(*levels, 0 if scale == "global" else math.floor(math.log2(scale)))
        if length % divisor:
            raise ValueError(
                f"length is {length}: take a multiple of {divisor} with a periodic boundary, or "
                "boundary='reflect'"
            )
    return Bank(
        low_pass=jnp.asarray(filters.gaussian(filters.LOW_WIDTH / average, grid)),
        first=_transforms(layers[0], grid),
        second=_transforms(layers[1], grid),
        length=length,
        J=J,
        Q=Q,
        T=scale,
        order=order,
        boundary=boundary,
        folding=folding,
        layers=tuple(tuple(map(tuple, layer)) for layer in layers),
    )


def check_bank(bank: Any) -> None:
    """Refuses what is not a bank of this module's."""
    checks.instance("bank", bank, Bank, "a bank, from scattering1d.filter_bank")


def _transforms(layer: list[Wavelet], grid: int) -> Array:
    return jnp.asarray(np.stack([filters.morlet(one.frequency, one.width, grid) for one in layer]))


def _pair(Q: Any) -> tuple[int, int]:
    """The numbers of wavelets an octave in the two layers."""
    if np.ndim(Q) == 0:
        return checks.count("Q", Q), 1
    numbers = checks.counts("Q", Q, each="layer")
    if len(numbers) not in (1, 2):
        raise ValueError(f"Q is {numbers}: take one number, or a pair for the two layers")
    return (*numbers, 1)[:2]


def _scale(T: Any, length: int, J: int) -> float | str:
    """The scale of the average, as Python's number, or "global"."""
    if T is None:
        return float(2**J)
    if isinstance(T, str) and T == "global":
        return T
    if isinstance(T, bool) or not isinstance(T, Number):
        raise TypeError(f"T is {T!r}: take a number from 1 to the length, {length}, or 'global'")
    if not 1 <= T <= length:
        raise ValueError(
            f"T is {T}: take a number from 1 to the length, {length}, or 'global'; propagate averages nothing"
        )
    return float(T)


def littlewood_paley(bank: Bank) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    r"""Return how much of each frequency's energy the layers of a bank keep of a real signal.

    $A(\omega) = |\hat\phi(\omega)|^2 + \frac12 \sum_\lambda (|\hat\psi_\lambda(\omega)|^2 +
    |\hat\psi_\lambda(-\omega)|^2)$ with the wavelets of a layer; where it is at most one, the layer does not
    expand distances.

    Args:
        bank: A bank, from `filter_bank`.

    Returns:
        The sums of the first layer and of the second, on the bank's grid.

    Example:
        >>> from jaxtheory.harmonic import scattering1d
        >>> first, second = scattering1d.littlewood_paley(scattering1d.filter_bank(64, J=3))
        >>> first.shape, second.shape
        ((128,), (128,))
    """
    (bank,), back = real_arrays(bank=bank)
    sums = []
    for layer in (bank.first, bank.second):
        energy = jnp.sum(layer**2, axis=0)
        sums.append(bank.low_pass**2 + (energy + jnp.roll(energy[::-1], 1)) / 2)
    return back(tuple(sums))
