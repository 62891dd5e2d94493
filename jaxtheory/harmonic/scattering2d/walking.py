"""How the paths of the transform are walked: scale by scale, some images at a time, as suits the platform."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import chunks
from jaxtheory.harmonic.scattering2d.banks import Bank
from jaxtheory.harmonic.scattering2d.moduli import look, wavelet_moduli

CACHE = 80_000
"""Pixels of first-order maps that a processor's core works on at a time: they stay in its cache."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

CHAINS = min(8, max(2, CORES))
"""The number of computations side by side in a step of a processor's loop, one for each of its cores: XLA
runs a Fourier transform on one core, and loops one after the other."""

ANGLES = 2
"""The number of them within the loop over angles that a large image needs, where more only take longer to
compile."""

MEMORY = 2**26
"""Pixels of first-order maps that an accelerator works on at a time: enough to keep it busy, some gigabytes
with their spectra."""


def checked(bank: Bank, x: Real[AnyArray, "... H W"]) -> tuple[Bank, Array, Callable[[Any], Any]]:
    """Return a bank and images in the dtype of the computation.

    Args:
        bank: The bank, as the caller gave it.
        x: The images, as the caller gave them.

    Returns:
        The bank, the images, and what gives results their dtype.

    Raises:
        TypeError: If `bank` is not a bank, or the images are complex or not an array of numbers.
        ValueError: If the images are not of the bank's shape.
    """
    checks.instance("bank", bank, Bank, "a bank, from scattering2d.filter_bank")
    (bank, x), back = real_arrays(bank=bank, x=x)
    checks.axes("x", x, "...", "H", "W", sizes=bank.shape)
    return bank, x, back


def padded(bank: Bank, x: Array) -> Array:
    """Return images (c, H, W) padded to the grid and transposed, (c, W', H')."""
    if bank.boundary == "reflect":
        for axis, (size, whole) in enumerate(zip(bank.shape, bank.grid), start=1):
            before = (whole - size) // 2
            index = np.pad(np.arange(size), (before, whole - size - before), mode="reflect")
            x = jnp.take(x, index, axis=axis)
    return x.swapaxes(1, 2)


def walk(
    bank: Bank, x: Array, leaf: Callable[[Array, int], Array], *, angles: int
) -> dict[tuple[int, ...], Array]:
    """Follow all paths of images, and reduce the moduli along each of them.

    Args:
        bank: The filters.
        x: The images, (c, H, W).
        leaf: A function from maps (..., w, h) at resolution j, and j, to arrays with the same leading axes.
        angles: The number of first angles for which second-order paths are followed in a step, or 0 for all
            of them in one array.

    Returns:
        What the leaves are, by scales: arrays (c, L, ..., h, w).
    """
    number, image = x.shape[0], padded(bank, x)
    found = {(): leaf(image, 0)}
    if bank.order == 0:
        return found

    spectrum, origin, first = look(bank, image, 0, range(bank.J))
    for j, step in enumerate(first):
        u = wavelet_moduli(spectrum, origin, step)
        found[j,] = jnp.swapaxes(leaf(u, j), 0, 1)
        deeper = range(j + 1, bank.J) if bank.order == 2 else range(0)
        if not deeper:
            continue
        spectra, corner, second = look(bank, u.reshape(-1, *u.shape[2:]), j, deeper)

        def descend(spectra: Any, corner: Any = corner, second: Any = second, deeper: range = deeper) -> Any:
            return [leaf(wavelet_moduli(spectra, corner, one), scale) for scale, one in zip(deeper, second)]

        if angles:
            apart = jax.tree.map(lambda part: part.reshape(bank.L, number, *part.shape[1:]), spectra)
            leaves = [jnp.moveaxis(one, 2, 0) for one in chunks.side_by_side(descend, apart, angles)]
        else:
            leaves = [
                jnp.moveaxis(one.reshape(bank.L, bank.L, number, *one.shape[2:]), (2, 1), (0, 1))
                for one in descend(spectra)
            ]
        found |= {(j, scale): one for scale, one in zip(deeper, leaves)}
    return found


def _in_chunks(
    program: Callable[..., Any], bank: Bank, x: Array, *, pixels: int, chains: int, chunk: int | None
) -> Any:
    """A program on images (n, H, W), some of them at a time: in chains of as many as have `pixels` maps."""
    size = bank.L * bank.grid[0] * bank.grid[1]
    # Loops do not run side by side: where one goes over angles, the chains are in it.
    program = partial(program, bank, angles=min(ANGLES, chains) if size > pixels else 0)
    chains = 1 if size > pixels else min(chains, chunk or chains)
    each = -(-chunk // chains) if chunk else max(1, pixels // size)
    return chunks.in_parts(program, x, each, chains=chains)


def by_platform(program: Callable[..., Any], bank: Bank, x: Array, chunk: int | None = None) -> Any:
    """Run a program on images in chunks that suit the platform.

    Args:
        program: A function of a bank, images (c, H, W) and the number of `angles` in a step, as in `walk`.
        bank: The filters.
        x: The images, (..., H, W).
        chunk: The number of images to work on at a time; by default what suits the platform.

    Returns:
        The results, with the leading axes of the images.
    """
    run = partial(_in_chunks, program, bank, chunk=chunk)
    return chunks.by_platform(
        x,
        bank.shape,
        cpu=partial(run, pixels=CACHE, chains=CHAINS),
        default=partial(run, pixels=MEMORY, chains=1),
    )
