"""Scattering coefficients of signals, and the moduli that they average."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic.magnitudes import scaled
from jaxtheory.harmonic.scattering1d import walking
from jaxtheory.harmonic.scattering1d.banks import Bank
from jaxtheory.harmonic.scattering1d.moduli import Group, bins, entries
from jaxtheory.harmonic.scattering1d.walking import Layers, gain


class Path(NamedTuple):
    """What a channel of the scattering coefficients holds."""

    order: int
    """The number of wavelets on the path."""
    wavelets: tuple[int, ...]
    """The wavelets, as indices in their layers."""
    scales: tuple[int, ...]
    """Their scales j: responses are sampled at every 2^j."""
    frequencies: tuple[float, ...]
    """Their central frequencies, in cycles per sample."""
    widths: tuple[float, ...]
    """The standard deviations of their transforms, in cycles per sample."""
    gain: float
    """The coefficient divided by the averaged modulus, a power of two: one where the bank folds sums."""


def paths(bank: Bank) -> list[Path]:
    """Return what each channel of `scatter` holds.

    Args:
        bank: A bank, from `filter_bank`.

    Returns:
        One entry a channel: order, wavelets, their scales, frequencies and widths, and the gain.

    Example:
        >>> from jaxtheory.harmonic import scattering1d
        >>> path = scattering1d.paths(scattering1d.filter_bank(256, J=4))[-1]
        >>> path.order, path.wavelets, path.scales, path.gain
        (2, (3, 4), (1, 2), 0.125)
    """
    found: list[tuple[int, ...]] = [()]
    first, second = bank.wavelets
    if bank.order >= 1:
        found += [(n,) for n in range(len(first))]
    if bank.order == 2:
        found += [
            (n, m) for n, one in enumerate(first) for m, other in enumerate(second) if other.level > one.level
        ]
    return [_path(bank, wavelets) for wavelets in found]


def _path(bank: Bank, wavelets: tuple[int, ...]) -> Path:
    facts = [layer[n] for layer, n in zip(bank.wavelets, wavelets)]
    levels = [min(one.level, _coarsest(bank)) for one in facts]
    if bank.T == "global":
        # A mean has no filter to fold.
        levels = levels[:-1]
    total = float(np.prod([gain(bank, 2**level) for level in levels]))
    frequencies, widths, scales = (tuple(one[k] for one in facts) for k in range(3))
    return Path(len(wavelets), wavelets, scales, frequencies, widths, total)


def _coarsest(bank: Bank) -> int:
    """The level beyond which nothing is subsampled before it is averaged."""
    return bank.grid.bit_length() if bank.T == "global" else bank.stride.bit_length() - 1


def _kept(bank: Bank, subsampling: int) -> slice:
    """The samples of subsampled padded signals that lie on the signal."""
    return slice(-(-bank.before // subsampling), -(-(bank.before + bank.length) // subsampling))


def _by_signal(u: Array) -> Array:
    """Moves the signals (..., c, m) in front, and puts all wavelets in one axis: (c, n, m)."""
    u = jnp.moveaxis(u, -2, 0)
    return u.reshape(u.shape[0], -1, u.shape[-1])


def _local(bank: Bank, x: Array) -> Array:
    """The coefficients of signals (c, length) in the order of the channels: (c, C, n)."""
    found = walking.layers(bank, _coarsest(bank))
    x, scale = scaled(x, (-1,))
    whole = walking.spectrum(bank, x)
    # Subsampled by the stride, frequencies of one period and no more are folded onto those of half a period.
    number = bank.grid // bank.stride
    middle = number // 2

    def low(spectra: Array, length: int) -> tuple[Array, int]:
        """The frequencies of half spectra (..., c, length // 2 + 1) that the low-pass filter sees."""
        seen = bins(spectra, length, 0, number + 1)
        return seen.reshape(math.prod(seen.shape[:-2]), *seen.shape[-2:]), length

    firsts, seconds = walking.walk(
        bank,
        found,
        whole,
        lambda group, _, spectra: low(spectra, group.length),
        lambda group, _, u: low(jnp.fft.rfft(u), group.length),
    )
    parts = [(entries(whole[None], 0, number + 1), bank.grid), *firsts, *seconds]
    seen = jnp.concatenate([part for part, _ in parts])
    seen = walking.weighted(bank, seen, [(part.shape[0], length) for part, length in parts])
    low_pass = bank.low_pass * (number / bank.grid)
    near, beyond = low_pass[: middle + 1], entries(low_pass, -number, middle + 1)
    real, imaginary = (part[..., : middle + 1] * near for part in (seen.real, seen.imag))
    if number < bank.grid:
        flipped = jnp.flip(seen[..., number - middle :], axis=-1)
        real, imaginary = real + flipped.real * beyond, imaginary - flipped.imag * beyond
    averages = jnp.fft.irfft(lax.complex(real, imaginary), n=number)[..., _kept(bank, bank.stride)]
    return _by_signal(averages)[:, _order(bank, found)] * scale[:, None]


def _global(bank: Bank, x: Array) -> Array:
    """The means of signals (c, length) and of their moduli, in the order of the channels: (c, C, 1)."""
    found = walking.layers(bank, _coarsest(bank))
    x, scale = scaled(x, (-1,))

    def mean(group: Group, u: Array) -> Array:
        return _by_signal(jnp.mean(u[..., _kept(bank, bank.grid // group.length)], axis=-1, keepdims=True))

    firsts, seconds = walking.walk(
        bank,
        found,
        walking.spectrum(bank, x),
        lambda group, u, _: mean(group, u),
        lambda group, _, u: mean(group, u),
    )
    means = jnp.concatenate([jnp.mean(x, axis=-1)[:, None, None], *firsts, *seconds], axis=1)
    return means[:, _order(bank, found)] * scale[:, None]


def _order(bank: Bank, found: Layers) -> np.ndarray:
    """Where the channels, in their order, are among those that go through groups of second wavelets."""
    walked: list[tuple[int, ...]] = [(), *((n,) for group in found.first for n in group.members)]
    for group in found.second:
        before = [n for one in found.first if one.level < group.level for n in one.members]
        walked += [(n, m) for m in group.members for n in before]
    place = {wavelets: k for k, wavelets in enumerate(walked)}
    return np.array([place[path.wavelets] for path in paths(bank)])


@partial(jax.jit, static_argnames=("chunk",))
def _scatter(bank: Bank, x: Array, chunk: int | None) -> Array:
    program = _global if bank.T == "global" else _local
    return walking.by_platform(partial(program, bank), bank, x, chunk)


def scatter(bank: Bank, x: Real[AnyArray, "... N"], *, chunk: int | None = None) -> Float[Array, "... C n"]:
    r"""Return the scattering coefficients of signals.

    $S x = (x \star \phi,\; |x \star \psi_{\lambda_1}| \star \phi,\;
    ||x \star \psi_{\lambda_1}| \star \psi_{\lambda_2}| \star \phi)$ sampled at every $2^{\lfloor \log_2 T
    \rfloor}$ samples, with second wavelets of a larger scale than the first, $j_1 < j_2$, and each multiplied
    by its path's gain. Under `jax.export` the number of signals may be symbolic.

    Args:
        bank: The filters, from `filter_bank`, for signals of this length.
        x: The signals.
        chunk: The number of signals to work on at a time, at least 1; by default what fits into a processor's
            cache, or some gigabytes on an accelerator.

    Returns:
        The coefficients, of which there are about N / T for each channel, or one where T is `"global"`;
        `paths` says what each channel holds.

    Raises:
        TypeError: If the signals are complex or not an array of numbers, or `bank` is not a bank.
        ValueError: If the last axis of the signals is not of the bank's length, or `chunk` is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import scattering1d
        >>> bank = scattering1d.filter_bank(256, J=4, Q=2)
        >>> scattering1d.scatter(bank, jnp.ones((5, 256))).shape
        (5, 20, 16)

    References:
        Joakim Andén and Stéphane Mallat, "Deep scattering spectrum", 2014.
    """
    bank, x, back = walking.checked(bank, x)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    return back(_scatter(bank, x, chunk))


def _moduli_on_signals(bank: Bank, x: Array) -> dict[tuple[int, ...], Array]:
    """The moduli of signals (c, length) along all paths, by scales."""
    found = walking.layers(bank, bank.grid.bit_length())
    x, scale = scaled(x, (-1,))

    def on_signal(group: Group, u: Array) -> Array:
        """Moduli (..., c, m) as (c, ..., m), in the units of the signals."""
        kept = jnp.moveaxis(u[..., _kept(bank, bank.grid // group.length)], -2, 0)
        return kept * scale.reshape(-1, *[1] * (kept.ndim - 1))

    def of_second(group: Group, before: list[Group], u: Array) -> dict[tuple[int, ...], Array]:
        ends = np.cumsum([len(one.members) for one in before])[:-1]
        pieces = jnp.split(jnp.swapaxes(u, 0, 1), ends)
        return {(one.level, group.level): on_signal(group, piece) for one, piece in zip(before, pieces)}

    firsts, seconds = walking.walk(
        bank,
        found,
        walking.spectrum(bank, x),
        lambda group, u, _: {(group.level,): on_signal(group, u)},
        of_second,
    )
    return {key: value for part in [{(): x * scale}, *firsts, *seconds] for key, value in part.items()}


@jax.jit
def _propagate(bank: Bank, x: Array) -> dict[tuple[int, ...], Array]:
    return walking.by_platform(partial(_moduli_on_signals, bank), bank, x)


def propagate(bank: Bank, x: Real[AnyArray, "... N"]) -> dict[tuple[int, ...], Float[Array, "..."]]:
    r"""Return the unaveraged coefficients of signals: moduli like those that `scatter` averages.

    $U x = (x,\; |x \star \psi_{\lambda_1}|,\; ||x \star \psi_{\lambda_1}| \star \psi_{\lambda_2}|)$, each
    sampled at every $2^j$ samples with j its last scale, at the samples that lie on the signal. They are
    those of Kymatio with `T=0`; with the folding `"mean"` second orders are multiplied by $2^{-j_1}$.

    Args:
        bank: The filters, from `filter_bank`, for signals of this length.
        x: The signals.

    Returns:
        A dictionary from scales to moduli: `()` to the signals (..., N), `(j1,)` to (..., n1, n) for the
        wavelets of the first layer that have this scale and `(j1, j2)`, j1 < j2, to (..., n1, n2, n), up to
        the bank's order. The wavelets of a scale are in the order of `paths`.

    Raises:
        TypeError: If the signals are complex or not an array of numbers, or `bank` is not a bank.
        ValueError: If the last axis of the signals is not of the bank's length.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import scattering1d
        >>> bank = scattering1d.filter_bank(256, J=4, Q=2)
        >>> u = scattering1d.propagate(bank, jnp.ones((5, 256)))
        >>> u[1,].shape, u[0, 2].shape
        ((5, 2, 128), (5, 4, 1, 64))

    References:
        Joakim Andén and Stéphane Mallat, "Deep scattering spectrum", 2014.
    """
    bank, x, back = walking.checked(bank, x)
    return back(_propagate(bank, x))
