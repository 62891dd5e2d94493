"""Scattering spectra in one vector, and averaged over the symmetries that a field may have."""

import dataclasses
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxtheory.core import checks
from jaxtheory.harmonic.spectra import tables
from jaxtheory.harmonic.spectra.coefficients import Spectra


def flatten(spectra: Spectra) -> Float[Array, "... C"]:
    """Put scattering spectra into vectors of real numbers.

    Args:
        spectra: The spectra, from `estimate` or `average`.

    Returns:
        The vectors: mean, power, sparsity, and real and imaginary parts of phases and envelopes, without
        those that vanish always; `paths` says what each entry is.

    Raises:
        TypeError: If `spectra` are not scattering spectra.

    Example:
        >>> import jax
        >>> from jaxtheory.harmonic import spectra
        >>> bank = spectra.filter_bank((64,), J=2)
        >>> found = spectra.estimate(bank, jax.random.normal(jax.random.key(0), (64,)))
        >>> spectra.flatten(found).shape, len(spectra.paths(bank))
        ((16,), 16)
    """
    checks.instance("spectra", spectra, Spectra, "spectra, from spectra.estimate")
    return _flatten(spectra)


@jax.jit
def _flatten(spectra: Spectra) -> Array:
    J, L, averaged = spectra.J, spectra.L, spectra.averaged
    parts = [spectra.mean[..., None], spectra.power, spectra.sparsity]
    for kind, table in (("phases", tables.phase_paths(J, L)), ("envelopes", tables.envelope_paths(J, L))):
        values = getattr(spectra, kind)
        first = tables.orbits(kind, J, L, averaged)[1]
        has_both = np.array([not tables.is_real(table[place], averaged) for place in first])
        parts += (
            [values.real, values.imag[..., np.flatnonzero(has_both)]] if has_both.any() else [values.real]
        )
    return jnp.concatenate(parts, axis=-1)


def average(spectra: Spectra, over: str | Sequence[str]) -> Spectra:
    r"""Average scattering spectra over rotations, over scales, or over both.

    Over angles, coefficients are averaged whose wavelets differ by a common rotation by a multiple of
    $\pi / L$, over the whole circle: what is left are real parts. Over scales, phases and envelopes are
    averaged whose wavelets differ by a common dilation; power and sparsity are left as they are. Both are
    invariant where the field's law is, such as the phases and envelopes of self-similar processes.

    Args:
        spectra: The spectra, from `estimate`.
        over: What is averaged over, `"angles"`, `"scales"` or a tuple of both; signals have no angles.

    Returns:
        The averages. `paths`, with the same symmetries, says what each one is.

    Raises:
        TypeError: If `spectra` are not scattering spectra, or `over` is neither a name nor a sequence of
            names.
        ValueError: If the spectra are averages already, or something else is to be averaged over.

    Example:
        >>> import jax
        >>> from jaxtheory.harmonic import spectra
        >>> bank = spectra.filter_bank((32, 32), J=3, L=4)
        >>> found = spectra.estimate(bank, jax.random.normal(jax.random.key(0), (32, 32)))
        >>> spectra.flatten(found).size, spectra.flatten(spectra.average(found, "angles")).size
        (1113, 155)

    References:
        Morel, Rochette, Leonarduzzi, Bouchaud and Mallat, "Scale dependencies and self-similar models with
        wavelet scattering spectra", 2022.
        Cheng, Morel, Allys, Ménard and Mallat, "Scattering spectra models for physics", 2024.
    """
    checks.instance("spectra", spectra, Spectra, "spectra, from spectra.estimate")
    averaged = tables.checked_symmetries(over, spectra.dims)
    if spectra.averaged:
        raise ValueError(
            f"spectra are averages over {' and '.join(spectra.averaged)}: take those of estimate"
        )
    return _average(spectra, averaged) if averaged else spectra


@partial(jax.jit, static_argnames="averaged")
def _average(spectra: Spectra, averaged: tuple[str, ...]) -> Spectra:
    found = {}
    for kind in ("power", "sparsity", "phases", "envelopes"):
        values = getattr(spectra, kind)
        numbers, first = tables.orbits(kind, spectra.J, spectra.L, averaged)
        # A half turn makes every correlation its conjugate.
        values = values.real if "angles" in averaged else values
        total = jnp.zeros((*values.shape[:-1], len(first)), values.dtype)
        shares = jnp.asarray(1 / np.bincount(numbers), values.real.dtype)
        found[kind] = total.at[..., np.array(numbers)].add(values) * shares
    return dataclasses.replace(spectra, averaged=averaged, **found)
