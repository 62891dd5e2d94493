"""The energies of the scattering transform along paths of any order, without subsampling."""

import math
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import chunks
from jaxtheory.harmonic.magnitudes import modulus, scaled
from jaxtheory.harmonic.scattering2d import walking
from jaxtheory.harmonic.scattering2d.banks import Bank, low_pass_2d

DEEPEST = 10
"""The largest order of a cascade: its loops are nested, and each is compiled."""

MOST_PATHS = 20_000_000
"""More paths than this are refused as a mistake: hours of work for a single image of 256 by 256."""


@record
class CascadeResult:
    """The energy that a cascade averages and the energy that it passes on, by order."""

    averaged: Float[Array, "... averaged"]
    """The sum of ||U[p]x * phi||^2 over the paths p of each order, from 0 to `order`."""
    propagated: Float[Array, "... propagated"]
    """The sum of ||U[p]x||^2 over the paths p of each order, from 0 to `order` + 1."""


def _number_of_paths(bank: Bank, order: int, decreasing: bool) -> int:
    """The number of paths of one order at least and of `order` at most."""
    if decreasing:
        return sum(math.comb(bank.J, m) * bank.L**m for m in range(1, order + 1))
    return sum((bank.J * bank.L) ** m for m in range(1, order + 1))


def _tree_energies(bank: Bank, order: int, decreasing: bool, angles: int, image: Array) -> CascadeResult:
    """The energies of one image (H, W). Each order is a loop within that of the order before."""
    image, scale = scaled(image, (-2, -1))
    filters = bank.wavelets.astype(image.dtype).reshape(bank.J, bank.L, *bank.grid)
    scales = np.arange(bank.J)
    # Parseval: a map's spectrum gives the energy of its average, and that of all its children together.
    low = low_pass_2d(bank).astype(image.dtype) ** 2
    later = jnp.cumsum((filters**2).sum(axis=1)[::-1], axis=0)[::-1]
    later = jnp.concatenate([later, jnp.zeros_like(later[:1])])
    weights = jnp.stack([jnp.broadcast_to(low, later.shape), later], axis=1) / image.size
    weights = weights.reshape(bank.J + 1, 2, image.size)

    def below(u: Array, first: Any, depth: int) -> Array:
        """The two energies by order, (order + 1 - depth, 2), of a path whose children start at a scale."""
        spectrum = jnp.fft.fft2(u)
        power = (spectrum.real**2 + spectrum.imag**2).ravel()
        # Long sums in single precision lose digits in a plain loop, not in a matrix product's blocks.
        own = jnp.matmul(weights[first], power, precision="highest")[None]
        if depth == order:
            return own

        def child(scale: Array, one: Array) -> Array:
            response = jnp.fft.ifft2(spectrum * one)
            next_first = scale + 1 if decreasing else 0
            return below(modulus(response.real, response.imag), next_first, depth + 1)

        def all_angles(scale: Array, several: Array) -> Array:
            every = partial(child, scale)
            last = depth + 1 == order
            if last and not angles:
                return jax.vmap(every)(several).sum(axis=0)
            return chunks.side_by_side(every, several, angles if last else 1).sum(axis=0)

        def one_scale(scale: Array, several: Array) -> Array:
            if not decreasing:
                return all_angles(scale, several)
            nothing = jnp.zeros((order - depth, 2), image.dtype)
            return lax.cond(scale >= first, all_angles, lambda *_: nothing, scale, several)

        # Reverse mode would otherwise keep the maps of every path.
        forgetful = jax.checkpoint(one_scale, prevent_cse=False)
        children = lax.map(lambda both: forgetful(*both), (scales, filters))
        return jnp.concatenate([own, children.sum(axis=0)])

    squared = scale.reshape(()) ** 2
    table = below(image, 0, 0) * squared
    norm = jnp.vdot(image, image, precision="highest") * squared
    return CascadeResult(averaged=table[:, 0], propagated=jnp.append(norm, table[:, 1]))


@partial(jax.jit, static_argnames=("order", "decreasing", "chunk"))
def _cascade(bank: Bank, x: Array, order: int, decreasing: bool, chunk: int | None) -> CascadeResult:
    # A path of decreasing frequencies has no more wavelets than there are scales.
    walked = min(order, bank.J) if decreasing else order

    def program(bank: Bank, x: Array, *, angles: int) -> CascadeResult:
        return jax.vmap(partial(_tree_energies, bank, walked, decreasing, angles))(x)

    energies = walking.by_platform(program, bank, x, chunk)
    beyond = [(0, 0)] * (x.ndim - 2) + [(0, order - walked)]
    return jax.tree.map(lambda leaf: jnp.pad(leaf, beyond), energies)


def cascade(
    bank: Bank,
    x: Real[AnyArray, "... H W"],
    order: int,
    paths: Literal["all", "decreasing"] = "all",
    *,
    chunk: int | None = None,
) -> CascadeResult:
    r"""Return the energies of a scattering transform of any order, without subsampling.

    $\sum_{|p| = m} \|U[p]x \star \phi_J\|^2$ and $\sum_{|p| = m} \|U[p]x\|^2$ with
    $U[\lambda_1, \ldots, \lambda_m]x = |\cdots |x \star \psi_{\lambda_1}| \cdots \star \psi_{\lambda_m}|$.
    The tree of paths is walked depth first, so that memory grows with the order only; time grows with the
    number of paths.

    Args:
        bank: The filters, from `filter_bank`, with a periodic boundary; the bank's own order plays no part.
        x: The images.
        order: The largest order m of the averaged coefficients, from 0 to 10.
        paths: The paths that are walked: `"all"`, or `"decreasing"` for those whose frequencies decrease,
            where each scale is larger than the one before.
        chunk: The number of images to work on at a time, at least 1; by default what fits into a processor's
            cache, or what keeps an accelerator busy.

    Returns:
        The energies by order, as sums over pixels. With a unitary bank and all paths, `averaged.sum(-1)` and
        the last of `propagated` add up to the energy of the image.

    Raises:
        TypeError: If the images are complex or not an array of numbers, or `bank` is not a bank.
        ValueError: If an argument is out of its range, the bank's boundary is not periodic, or the paths are
            more than twenty million.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import scattering2d, wavelets
        >>> bank = scattering2d.filter_bank((16, 16), J=2, L=4, boundary="periodic", wavelet=wavelets.spline)
        >>> energies = scattering2d.cascade(bank, jnp.eye(16), order=2)
        >>> energies.propagated.shape
        (4,)
        >>> print(f"{energies.averaged.sum() + energies.propagated[-1]:.4f}")
        16.0000

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013, section 3.
    """
    order = checks.count("order", order, least=0, most=DEEPEST)
    checks.one_of("paths", paths, ("all", "decreasing"))
    bank, x, back = walking.checked(bank, x)
    if bank.boundary != "periodic":
        raise ValueError(
            f"bank has the boundary {bank.boundary!r}: take one that filter_bank makes with "
            "boundary='periodic', as the energies of a padded image are not those of the image"
        )
    chunk = None if chunk is None else checks.count("chunk", chunk)
    number = _number_of_paths(bank, order, paths == "decreasing")
    if number > MOST_PATHS:
        raise ValueError(
            f"order is {order}: with J = {bank.J}, L = {bank.L} and paths = {paths!r} these are {number:,} "
            f"paths: take at most {MOST_PATHS:,}, by a lower order, J or L, or paths='decreasing'"
        )
    return back(_cascade(bank, x, order, paths == "decreasing", chunk))
