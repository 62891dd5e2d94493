"""Solid harmonic scattering coefficients of densities: integrals of powers of moduli."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import chunks
from jaxtheory.harmonic.magnitudes import scaled
from jaxtheory.harmonic.scattering3d.banks import Bank
from jaxtheory.harmonic.scattering3d.responses import (
    Grid,
    Wavelets,
    analyzed,
    grid,
    narrowed,
    on_waves,
    squared,
)

CACHE = 2**15
"""Pixels of densities that a processor works on at a time: their responses stay in its cache."""

MEMORY = 2**24
"""Pixels of densities that an accelerator works on at a time: some gigabytes with their responses."""


class Path(NamedTuple):
    """What a channel of the scattering coefficients holds."""

    order: int
    """The number of moduli on the path."""
    scales: tuple[int, ...]
    """The scales j of its wavelets, which are 2^j as wide as the finest ones."""
    degree: int | None
    """The degree l of its wavelets; `None` for the density itself."""


def paths(bank: Bank) -> list[Path]:
    """Return what each channel of `scatter` holds; the axis after the channels is that of the powers.

    Args:
        bank: A bank, from `filter_bank`.

    Returns:
        One entry a channel: order, scales and degree.

    Example:
        >>> from jaxtheory.harmonic import scattering3d
        >>> scattering3d.paths(scattering3d.filter_bank((8, 8, 8), J=1, L=2))[-1]
        Path(order=2, scales=(0, 1), degree=2)
    """
    scales = range(bank.J + 1)
    found: list[tuple[int, ...]] = []
    if bank.order >= 1:
        found += [(j,) for j in scales]
    if bank.order == 2:
        found += [(j, k) for j in scales for k in scales if j < k]
    return [Path(0, (), None)] + [
        Path(len(one), one, degree) for one in found for degree in range(bank.L + 1)
    ]


def _power(squares: Array, power: float) -> Array:
    """A power of moduli, from their squares; its derivative is taken as zero where they are zero."""
    # The square itself is smooth, and has the derivatives of every order.
    return squares if power == 2 else _other_power(squares, power)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _other_power(squares: Array, power: float) -> Array:
    # Roots are much faster than powers.
    if power == 1:
        return jnp.sqrt(squares)
    return jnp.sqrt(jnp.sqrt(squares)) if power == 0.5 else squares ** (power / 2)


@_other_power.defjvp
def _other_power_jvp(power: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (squares,), (change,) = primals, tangents
    values = _other_power(squares, power)
    zero = squares == 0
    slope = jnp.where(zero, 0, values / jnp.where(zero, 1, squares))
    return values, power / 2 * slope * change


def _planes(squares: Array, powers: tuple[float, ...]) -> Array:
    """The sums of powers of fields along the first axis, (n, q d, c, o), from squares (m, n, d, c, o)."""
    fields = lax.optimization_barrier(jnp.concatenate([_power(squares, q) for q in powers], axis=2))
    # A product with a vector of ones: processors are slow at sums of what lies far apart.
    return jnp.tensordot(jnp.ones(fields.shape[0], fields.dtype), fields, 1, precision="highest")


def _totals(planes: Array) -> Array:
    """The sums of (n, q, d, c, o) over pixels: (c, d, q)."""
    # In blocks, axis by axis: a plain sum in single precision would lose digits that the fields have.
    lines = lax.optimization_barrier(jnp.sum(planes, axis=0))
    return jnp.moveaxis(jnp.sum(lines, axis=-1), (0, 1, 2), (2, 1, 0))


def _coefficients(bank: Bank, powers: tuple[float, ...], found: Sequence[Wavelets], x: Array) -> Array:
    """The coefficients of densities (c, m, n, o) in the order of the channels: (c, C, powers)."""
    x, scale = scaled(x, (-3, -2, -1))
    x = jnp.transpose(x, (1, 2, 0, 3))[:, :, None]
    planes = [_planes(x**2, powers)]
    # What the wavelets of the next scales are applied to, and the waves of its weights: x, then its moduli.
    sources: list[tuple[Array, Grid]] = []
    if found:
        whole = analyzed(x, found[0].axes)
        sources = [(jnp.broadcast_to(whole, (*whole.shape[:2], bank.L + 1, *whole.shape[3:])), found[0].axes)]
    for j, one in enumerate(found):

        def passed(seen: Array, one: Wavelets = one) -> tuple[Array, Array]:
            """The moduli of one source at a scale, squared, and the sums of their powers."""
            squares = lax.optimization_barrier(squared(seen, one, bank.L))
            return squares, _planes(squares, powers)

        seen = [narrowed(weights, axes, one.axes) for weights, axes in sources]
        if len(seen) == 1:
            squares, sums = passed(seen[0])
            planes.append(sums)
        else:
            # One after the other, so that responses stay in the cache, and by one program.
            (squares, *_), sums = lax.map(jax.checkpoint(passed, prevent_cse=False), jnp.stack(seen))
            planes += list(sums)
        if bank.order == 2 and j < bank.J:
            sources.append((analyzed(_power(squares, 1.0), found[j + 1].axes), found[j + 1].axes))
    by_power = [one.reshape(one.shape[0], len(powers), -1, *one.shape[2:]) for one in planes]
    channels = _totals(jnp.concatenate(by_power, axis=2))
    return channels[:, _order(bank)] * scale.reshape(-1, 1, 1) ** np.array(powers, x.dtype)


def _order(bank: Bank) -> np.ndarray:
    """Where the channels, in their order, are among those that go by the last scale of their path."""
    table = paths(bank)
    walked = sorted(table, key=lambda path: (max(path.scales, default=-1), path.order, path.scales))
    return np.array([walked.index(path) for path in table])


@partial(jax.jit, static_argnames=("powers", "chunk"))
def _scatter(bank: Bank, x: Array, powers: tuple[float, ...], chunk: int | None) -> Array:
    smallest = float(jnp.finfo(x.dtype).eps)
    scales = range(bank.J + 1) if bank.order else ()
    found = [on_waves(bank, j, grid(bank, j, smallest)) for j in scales]
    program = partial(_coefficients, bank, powers, found)
    pixels = int(np.prod(bank.shape))
    return chunks.by_platform(
        x,
        bank.shape,
        cpu=partial(chunks.in_parts, program, each=chunk or max(1, CACHE // pixels)),
        default=partial(chunks.in_parts, program, each=chunk or max(1, MEMORY // pixels)),
    )


def scatter(
    bank: Bank,
    x: Real[AnyArray, "... M N O"],
    powers: Sequence[float | int] = (0.5, 1.0, 2.0),
    *,
    chunk: int | None = None,
) -> Float[Array, "... C powers"]:
    r"""Return the solid harmonic scattering coefficients of densities.

    Integrals $\int |x|^q$, $\int |U_{j,l} x|^q$ and $\int |U_{j,k,l} x|^q$, sums over pixels, with
    $U_{j,l} x = (\sum_m |x \star \psi_{j,l,m}|^2)^{1/2}$ and
    $U_{j,k,l} x = (\sum_m |U_{j,l} x \star \psi_{k,l,m}|^2)^{1/2}$, $j < k$. They do not change as a density
    is translated or, up to the grid, rotated. Densities are periodic. Under `jax.export` their number may be
    symbolic.

    Args:
        bank: The filters, from `filter_bank`, for densities of this shape.
        x: The densities.
        powers: The powers q, above 0.
        chunk: The number of densities to work on at a time, at least 1; by default what fits into a
            processor's cache, or some gigabytes on an accelerator.

    Returns:
        The coefficients of each channel, as `paths` names them, for each power. Without the first channel and
        reshaped to (..., C', L + 1, powers) they are Kymatio's, which leaves the order 0 to the user.

    Raises:
        TypeError: If the densities are complex or not an array of numbers, `bank` is not a bank, or `powers`
            is no sequence.
        ValueError: If the densities are not of the bank's shape, a power is not above 0, or `chunk` is below
            1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import scattering3d
        >>> bank = scattering3d.filter_bank((8, 8, 8), J=1, L=2)
        >>> scattering3d.scatter(bank, jnp.ones((5, 8, 8, 8))).shape
        (5, 10, 3)

    References:
        Michael Eickenberg, Georgios Exarchakis, Matthew Hirn, Stéphane Mallat and Louis Thiry, "Solid
        harmonic wavelet scattering for predictions of molecule properties", 2018.
    """
    checks.instance("bank", bank, Bank, "a bank, from scattering3d.filter_bank")
    powers = checks.entries("powers", powers, "a sequence of numbers, as (0.5, 1.0, 2.0)")
    if not powers:
        raise ValueError("powers is (): take at least one positive number")
    for power in powers:
        checks.positive("powers", power, one=True)
    powers = tuple(float(as_array("powers", power)) for power in powers)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    (bank, x), back = real_arrays(bank=bank, x=x)
    checks.axes("x", x, "...", "M", "N", "O", sizes=bank.shape)
    return back(_scatter(bank, x, powers, chunk))
