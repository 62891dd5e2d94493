"""Scattering spectra as averages over signals and images."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import chunks
from jaxtheory.harmonic.magnitudes import modulus, scaled
from jaxtheory.harmonic.scattering2d.walking import CHAINS, MEMORY
from jaxtheory.harmonic.spectra import tables
from jaxtheory.harmonic.spectra.banks import Bank, Box, check_bank

CACHE = 300_000
"""The number of samples of responses that a processor's core works on at a time."""


@record
class Spectra:
    """Scattering spectra; `flatten` puts them into one vector, whose entries `paths` describes."""

    mean: Float[Array, "..."]
    """The mean of the signal or image."""
    power: Float[Array, "... n"]
    """The mean square of each wavelet's response."""
    sparsity: Float[Array, "... n"]
    """The mean modulus of each wavelet's response over the root of its power, from 0 to 1."""
    phases: Complex[Array, "... p"] | Float[Array, "... p"]
    """The correlations of responses with the moduli of finer ones; real where averaged over angles."""
    envelopes: Complex[Array, "... q"] | Float[Array, "... q"]
    """The correlations between moduli within the band of a third wavelet; real where averaged over angles."""
    J: int = static()
    """The number of scales."""
    L: int = static()
    """The number of angles; 1 for signals."""
    dims: int = static()
    """The number of axes of the field: 1 for signals, 2 for images."""
    averaged: tuple[str, ...] = static(default=())
    """What was averaged over: `"angles"`, `"scales"`, both or nothing."""


def estimate(
    bank: Bank,
    x: Real[AnyArray, "..."],
    *,
    power: Real[AnyArray, "... n"] | None = None,
    chunk: int | None = None,
) -> Spectra:
    r"""Return the scattering spectra of signals or images, with averages over them for expectations.

    The mean $\langle x \rangle$; of each wavelet the power $\sigma_\lambda^2 = \langle |x \star
    \psi_\lambda|^2 \rangle$ and the sparsity $\langle |x \star \psi_\lambda| \rangle / \sigma_\lambda$; the
    phases $\langle x \star \psi_\gamma \; (|x \star \psi_\lambda| \star \psi_\gamma)^* \rangle /
    (\sigma_\gamma \sigma_\lambda)$; and the envelopes $\langle |x \star \psi_\lambda| \star \psi_\gamma \;
    (|x \star \psi_{\lambda'}| \star \psi_\gamma)^* \rangle / (\sigma_\lambda \sigma_{\lambda'})$, with
    $\lambda$ and $\lambda' \ge \lambda$ of the scale of $\gamma$ or finer. Phases have a mean of zero where
    the sign of x does not matter, as in Gaussian fields; envelopes of two scales far apart where responses
    are independent of each other.

    Args:
        bank: The wavelets, from `filter_bank`, for signals or images of this shape.
        x: The signals (..., N) or the images (..., H, W).
        power: The power $\sigma^2$ that normalizes, nonnegative; by default that of `x`. A synthesis takes
            the power of its model, which makes its statistics smoother functions of it.
        chunk: The number of signals or images to work on at a time, at least 1; by default what fits into a
            processor's cache, or some thousands on an accelerator.

    Returns:
        The spectra. Where the power is zero, what it normalizes is zero.

    Raises:
        TypeError: If the signals or images are complex or not an array of numbers, or `bank` is not a bank.
        ValueError: If they are not of the bank's shape, `power` is negative or of another number of wavelets,
            or `chunk` is below 1.

    Example:
        >>> import jax
        >>> from jaxtheory.harmonic import spectra
        >>> bank = spectra.filter_bank((256,), J=4)
        >>> found = spectra.estimate(bank, jax.random.normal(jax.random.key(0), (5, 256)))
        >>> found.sparsity.shape, found.phases.shape, found.envelopes.shape
        ((5, 4), (5, 10), (5, 20))

    References:
        Morel, Rochette, Leonarduzzi, Bouchaud and Mallat, "Scale dependencies and self-similar models with
        wavelet scattering spectra", 2022.
        Cheng, Morel, Allys, Ménard and Mallat, "Scattering spectra models for physics", 2024.
    """
    check_bank(bank)
    (bank, x, power), back = real_arrays(optional=("power",), bank=bank, x=x, power=power)
    checks.axes("x", x, "...", *("N", "HW")[len(bank.shape) - 1], sizes=bank.shape)
    if power is not None:
        checks.axes("power", power, "...", "n", sizes=(bank.J * bank.L,))
        checks.nonnegative("power", power)
    return back(_estimate(bank, x, power, None if chunk is None else checks.count("chunk", chunk)))


@partial(jax.jit, static_argnames="chunk")
def _estimate(bank: Bank, x: Array, power: Array | None, chunk: int | None) -> Spectra:
    dims = len(bank.shape)
    axes = tuple(range(-dims, 0))
    mean = jnp.mean(x, axes) if bank.window is None else jnp.sum(x * bank.window, axes)
    # Wavelets do not see the mean; rounding does.
    y, scale = scaled(x - jnp.mean(x, axes, keepdims=True), axes)
    scale = scale.reshape(*mean.shape, 1)
    samples = bank.L * math.prod(bank.shape)

    def run(y: Array, *, cache: int, chains: int) -> Any:
        chains = min(chains, chunk or chains)
        each = -(-chunk // chains) if chunk else max(1, cache // samples)
        return chunks.in_parts(partial(_raw, bank), y, each, chains=chains)

    square, amount, phases, envelopes = chunks.by_platform(
        y,
        bank.shape,
        cpu=partial(run, cache=CACHE, chains=CHAINS),
        default=partial(run, cache=MEMORY, chains=1),
    )
    # The square of the scale may overflow where the power does not.
    inverse = _inverse_root(square if power is None else power / scale / scale)
    inner, outer = np.array(tables.phase_paths(bank.J, bank.L)).T
    one, other, _ = np.array(tables.envelope_paths(bank.J, bank.L)).T
    return Spectra(
        mean=mean,
        power=square * scale * scale,
        sparsity=amount * inverse,
        phases=phases * (inverse[..., inner] * inverse[..., outer]),
        envelopes=envelopes * (inverse[..., one] * inverse[..., other]),
        J=bank.J,
        L=bank.L,
        dims=dims,
    )


def _inverse_root(power: Array) -> Array:
    """The reciprocal of the root, and zero where there is no power."""
    some = power > 0
    return jnp.where(some, lax.rsqrt(jnp.where(some, power, 1)), 0)


def _raw(bank: Bank, y: Array) -> tuple[Array, Array, Array, Array]:
    """Powers, mean moduli and correlations before they are normalized, of signals or images (c, ...)."""
    L = bank.L
    grid = bank.shape if len(bank.shape) == 2 else (1, *bank.shape)
    # An axis of one sample has no transform.
    axes = (-2, -1) if len(bank.shape) == 2 else (-1,)
    y, wavelets = y.reshape(-1, *grid), bank.wavelets.reshape(-1, *grid)
    window = None if bank.window is None else bank.window.reshape(grid)
    spectrum = jnp.fft.fftn(y, axes=axes)[:, None]

    def average(u: Array) -> Array:
        return jnp.mean(u, (-2, -1)) if window is None else jnp.sum(u * window, (-2, -1))

    rows = spectrum if window is not None else spectrum[..., : grid[1] // 2 + 1]
    powers, amounts, phases, envelopes = [], [], [], []
    for j in range(bank.J):
        of_scale = wavelets[j * L : (j + 1) * L]
        response = jnp.fft.ifftn(spectrum * of_scale, axes=axes)
        real, imaginary = response.real, response.imag
        u = modulus(real, imaginary)
        powers.append(average(real**2 + imaginary**2))
        amounts.append(average(u))
        u = u - jnp.mean(u, (-2, -1), keepdims=True)
        if window is None:
            box = _whole(grid) if bank.boxes is None else bank.boxes[j]
            half = _boxed(jnp.fft.rfftn(u, axes=axes), box, grid)
            rows = jnp.concatenate([_boxed(rows, box, grid), half], axis=1)
            found = _by_frequency(rows, of_scale, box, grid)
        else:
            rows = jnp.concatenate([rows, jnp.fft.fftn(u, axes=axes)], axis=1)
            found = _by_place(rows, of_scale, window, axes)
        one, other = np.triu_indices(rows.shape[1] - 1)
        phases.append(found[:, :, 0, 1:].reshape(y.shape[0], -1))
        envelopes.append(found[:, :, one + 1, other + 1].reshape(y.shape[0], -1))
    return tuple(jnp.concatenate(parts, axis=1) for parts in (powers, amounts, phases, envelopes))


def _whole(grid: tuple[int, int]) -> Box:
    """The box of all frequencies."""
    return (-(grid[0] // 2), grid[0] - grid[0] // 2), grid[1] // 2 + 1


def _boxed(half: Array, box: Box, grid: tuple[int, int]) -> Array:
    """The frequencies of half spectra, of the whole grid or of a larger box, that lie in a box."""
    (low, high), columns = box
    half = half[..., :columns]
    if high - low >= min(grid[0], half.shape[-2]):
        return half
    return jnp.concatenate([half[..., :high, :], half[..., half.shape[-2] + low :, :]], axis=-2)


def _by_frequency(rows: Array, wavelets: Array, box: Box, grid: tuple[int, int]) -> Array:
    """Correlations of real fields within the bands of wavelets, from their half spectra (c, R, h, w)."""
    # Parseval's formula; a frequency is taken together with its negative, where a real field's spectrum is
    # the conjugate.
    number, fields = rows.shape[:2]
    square = wavelets**2
    beyond = jnp.roll(jnp.flip(square, (-2, -1)), (1, 1), (-2, -1))
    columns = np.arange(grid[1] // 2 + 1)
    paired = (columns > 0) & (2 * columns < grid[1])
    near, beyond = (_boxed(part[..., : columns.size], box, grid) for part in (square, beyond))
    beyond = beyond * paired[: beyond.shape[-1]].astype(beyond.dtype)
    even, odd = (part.reshape(len(wavelets), -1) for part in (near + beyond, near - beyond))
    rows = rows.reshape(number, fields, -1) * (1 / math.prod(grid))
    return _products(rows.real, rows.imag, even, odd)


def _by_place(rows: Array, wavelets: Array, window: Array, axes: tuple[int, ...]) -> Array:
    """Windowed correlations of fields within the bands of wavelets, from their spectra (c, R, H, W)."""

    def one(wavelet: Array) -> Array:
        responses = jnp.fft.ifftn(rows * wavelet, axes=axes).reshape(*rows.shape[:2], -1)
        weights = window.reshape(1, -1)
        return _products(responses.real, responses.imag, weights, weights)[:, 0]

    # One band at a time: responses in all of them do not fit into a cache.
    return jnp.moveaxis(lax.map(jax.checkpoint(one), wavelets), 0, 1)


def _products(real: Array, imaginary: Array, even: Array, odd: Array) -> Array:
    """Products of rows (c, R, K) with their conjugates, real and imaginary parts weighted apart by (L, K)."""
    number, fields, _ = real.shape

    def gram(left: Array, right: Array, weights: Array) -> Array:
        weighted = (left[:, None] * weights[:, None]).reshape(number, -1, left.shape[-1])
        found = jnp.matmul(weighted, jnp.swapaxes(right, -1, -2), precision="highest")
        return found.reshape(number, -1, fields, fields)

    both = jnp.concatenate([real, imaginary], axis=-1)
    crossed = gram(imaginary, real, odd)
    return lax.complex(
        gram(both, both, jnp.concatenate([even, even], axis=-1)), crossed - jnp.swapaxes(crossed, -1, -2)
    )
