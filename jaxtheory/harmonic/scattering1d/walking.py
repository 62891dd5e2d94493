"""How the paths of the transform are walked: by level, some signals at a time, as suits the platform."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import chunks
from jaxtheory.harmonic.scattering1d.banks import Bank, check_bank
from jaxtheory.harmonic.scattering1d.moduli import Group, bins, entries, groups, response_moduli

CACHE = 400_000
"""Samples of first-order moduli that a processor works on at a time: they stay in its cache."""

MEMORY = 2**26
"""Samples of first-order moduli that an accelerator works on at a time: some gigabytes with spectra."""


def checked(bank: Bank, x: Real[AnyArray, "... N"]) -> tuple[Bank, Array, Callable[[Any], Any]]:
    """Return a bank and signals in the dtype of the computation.

    Args:
        bank: The bank, as the caller gave it.
        x: The signals, as the caller gave them.

    Returns:
        The bank, the signals, and what gives results their dtype.

    Raises:
        TypeError: If `bank` is not a bank, or the signals are complex or not an array of numbers.
        ValueError: If the signals are not of the bank's length.
    """
    check_bank(bank)
    (bank, x), back = real_arrays(bank=bank, x=x)
    checks.axes("x", x, "...", "N", sizes=(bank.length,))
    return bank, x, back


def spectrum(bank: Bank, x: Array) -> Array:
    """The spectra of signals (c, length) that are padded to the grid, all of their frequencies: (c, N)."""
    if bank.boundary == "reflect":
        after = bank.grid - bank.length - bank.before
        x = jnp.take(
            x, np.pad(np.arange(bank.length), (bank.before, after), mode="reflect"), axis=-1, mode="clip"
        )
    return jnp.fft.fft(x)


class Layers(NamedTuple):
    """The wavelets of both layers by level, as far as the bank's order goes."""

    first: list[Group]
    """Those of the first layer."""
    second: list[Group]
    """Those of the second layer that follow some wavelet of the first."""


def layers(bank: Bank, coarsest: int) -> Layers:
    """Return the wavelets of a bank by level, where nothing is subsampled beyond a level."""
    if bank.order == 0:
        return Layers([], [])
    first = groups(bank, bank.wavelets[0], bank.first, above=-1, coarsest=coarsest)
    if bank.order == 1:
        return Layers(first, [])
    return Layers(first, groups(bank, bank.wavelets[1], bank.second, above=first[0].level, coarsest=coarsest))


def gain(bank: Bank, subsampling: int) -> float:
    """The factor by which the folding of filters onto 2^-subsampling of the frequencies multiplies them."""
    return 1 / subsampling if bank.folding == "mean" else 1.0


def walk(
    bank: Bank,
    found: Layers,
    whole: Array,
    of_first: Callable[[Group, Array, Array], Any],
    of_second: Callable[[Group, list[Group], Array], Any],
) -> tuple[list[Any], list[Any]]:
    """Follow all paths of signals, and reduce the moduli along each of them.

    Args:
        bank: The filters.
        found: The same by level.
        whole: The spectra of the padded signals, (c, N).
        of_first: A function of a group of first wavelets, their moduli (n, c, m) and those moduli's half
            spectra.
        of_second: A function of a group of second wavelets, the groups of first ones that they follow, and
            the moduli (n2, n1, c, m), n1 going through the members of these groups.

    Returns:
        What the functions made of the groups of both layers.
    """
    if not found.first:
        return [], []
    firsts, spectra = [], []
    least = min(group.start for group in found.first)
    seen = entries(whole, least, max(group.stop for group in found.first) - least)
    for group in found.first:
        u = response_moduli(seen[..., group.start - least : group.stop - least], group)
        spectra.append(jnp.fft.rfft(u))
        firsts.append(of_first(group, u, spectra[-1]))
    seconds = []
    for group in found.second:
        before = [one for one in found.first if one.level < group.level]
        end = max(group.stop, 1 - group.start)
        rows = jnp.concatenate([bins(one, ahead.length, 0, end) for ahead, one in zip(before, spectra)])
        rows = bins(rows, 2 * end, group.start, group.stop)
        rows = weighted(bank, rows, [(len(one.members), one.length) for one in before])
        seconds.append(of_second(group, before, response_moduli(rows, group)))
    return firsts, seconds


def weighted(bank: Bank, spectra: Array, blocks: list[tuple[int, int]]) -> Array:
    """Return spectra of subsampled moduli in the units of the grid's, times the gain of folding.

    Args:
        bank: The filters.
        spectra: The spectra, (n, ...).
        blocks: How many of them, one after the other, are those of moduli of what length.

    Returns:
        The weighted spectra, (n, ...).
    """
    if bank.folding == "mean":
        # The gain is the inverse of the units.
        return spectra
    units = np.concatenate([np.full(number, bank.grid // length) for number, length in blocks])
    return spectra * units.astype(spectra.real.dtype).reshape(-1, *[1] * (spectra.ndim - 1))


def by_platform(program: Callable[[Array], Any], bank: Bank, x: Array, chunk: int | None = None) -> Any:
    """Run a program on signals in chunks that suit the platform.

    Args:
        program: A function of signals (c, length).
        bank: The filters.
        x: The signals, (..., length).
        chunk: The number of signals to work on at a time; by default what suits the platform.

    Returns:
        The results, with the leading axes of the signals.
    """
    samples = max(1, sum(bank.grid >> one.level for one in bank.wavelets[0]))
    return chunks.by_platform(
        x,
        (bank.length,),
        cpu=partial(_in_chunks, program, chunk=chunk or max(1, CACHE // samples)),
        default=partial(_in_chunks, program, chunk=chunk or max(1, MEMORY // samples)),
    )


def _in_chunks(program: Callable[[Array], Any], x: Array, *, chunk: int) -> Any:
    """A program on signals (n, length), at most `chunk` of them at a time."""
    number = x.shape[0]
    if not jax.export.is_symbolic_dim(number):
        # The largest number up to this that divides them evenly, unless it is small.
        even = max(some for some in range(1, min(chunk, number) + 1) if number % some == 0)
        chunk = even if 2 * even > chunk else chunk
    return chunks.in_parts(program, x, chunk)
