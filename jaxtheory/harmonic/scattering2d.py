"""The scattering transform of images: wavelet moduli, averaged, at orders 0, 1 and 2.

The conventions (reflection padding, unpadding, filters, order of the channels) are those of Kymatio 0.3's
`Scattering2D`. Inside, images are transposed: the filters of all angles point to frequencies that are not
negative along height, so that half a spectrum along the last axis holds most of what they see.
"""

import ast
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, no_type_check

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxtheory.harmonic import wavelets
from jaxtheory.harmonic.wavelets import Bank

Images = Float[Array, "... H W"] | Float[np.ndarray, "... H W"]

_CACHE = 80_000
"""Pixels of first-order maps that a processor's core works on at a time: they stay in its cache."""

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_CHAINS = min(8, max(2, _CORES))
"""Computations that stand side by side in a step of a processor's loop, one for each of its cores: XLA runs a
Fourier transform on one core, and loops one after the other."""

_ANGLES = 2
"""The same within the loop over angles that a large image needs, where more only compile for longer."""

_MEMORY = 2**26
"""What `_CACHE` is for an accelerator: enough to be busy; with their spectra they take some gigabytes."""

_SMALL_AVERAGE = 60_000
"""Up to this many entries the two factors of the average are multiplied out: one product instead of two."""

_DEEPEST = 10
"""The largest order of a cascade: its loops are nested, and each is compiled."""

_MOST_PATHS = 20_000_000
"""More paths than this are refused as a slip: hours of work for a single image of 256 by 256."""


class Path(NamedTuple):
    """What a channel of the scattering coefficients holds."""

    order: int
    """Number of wavelets on the path."""
    scales: tuple[int, ...]
    """Their scales j."""
    angles: tuple[int, ...]
    """Their angles, as indices from 0 to L - 1."""


def filter_bank(
    shape: tuple[int, int],
    J: int,
    L: int = 8,
    order: int = 2,
    *,
    padding: str = "reflect",
    wavelet: str = "morlet",
) -> Bank:
    """Returns the filters of a scattering transform.

    Args:
      shape: height and width of the images, at least 2^J; multiples of 2^J where the padding is periodic.
      J: number of scales, at least 1: coefficients are averaged over 2^J pixels.
      L: number of angles on the half circle, at least 1.
      order: largest order of the coefficients: 0, 1 or 2.
      padding: `"reflect"` or `"periodic"`.
      wavelet: `"morlet"` (Kymatio's), or `"spline"` for the unitary cubic spline bank.

    Returns:
      The bank: a pytree whose leaves are the filters, and `jax.grad` with respect to it learns them.

    Raises:
      ValueError: if an argument is out of its range.

    Example:
      >>> from jaxtheory.harmonic import scattering2d
      >>> bank = scattering2d.filter_bank((32, 32), J=3)
      >>> len(scattering2d.paths(bank))
      217
    """
    if wavelet == "spline":
        return wavelets.spline_bank(shape, J, L, order, padding)
    if wavelet == "morlet":
        return wavelets.morlet_bank(None, shape, J, L, order, padding)
    raise ValueError(f'wavelet must be "morlet" or "spline", found {wavelet!r}.')


def paths(bank: Bank) -> list[Path]:
    """Returns what each channel of `scatter` holds.

    Args:
      bank: any bank.

    Returns:
      One row a channel: order, scales and angles.

    Example:
      >>> from jaxtheory.harmonic import scattering2d
      >>> scattering2d.paths(scattering2d.filter_bank((16, 16), J=2, L=2))[-1]
      Path(order=2, scales=(0, 1), angles=(1, 1))
    """
    wavelet = [(j, angle) for j in range(bank.J) for angle in range(bank.L)]
    table = [Path(0, (), ())]
    if bank.order >= 1:
        table += [Path(1, (j,), (angle,)) for j, angle in wavelet]
    if bank.order == 2:
        table += [Path(2, (j, k), (a, b)) for j, a in wavelet for k, b in wavelet if k > j]
    return table


@jax.custom_jvp
def _length(real: Array, imaginary: Array) -> Array:
    """The modulus; its derivative at zero is taken as zero. Values below 1e-19 are lost in float32."""
    return jnp.sqrt(real**2 + imaginary**2)


@_length.defjvp
def _length_jvp(primals: Any, tangents: Any) -> Any:
    (real, imaginary), (d_real, d_imaginary) = primals, tangents
    length = _length(real, imaginary)
    inverse = jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 0)
    return length, (real * inverse) * d_real + (imaginary * inverse) * d_imaginary


def _periodic_slice(x: Array, start: int, stop: int) -> Array:
    """Entries `start` to `stop - 1` of an array that is periodic along its next to last axis."""
    size = x.shape[-2]
    pieces = []
    while start < stop:
        first = start % size
        last = min(size, first + stop - start)
        pieces.append(x[..., first:last, :])
        start += last - first
    return jnp.concatenate(pieces, axis=-2)


def _mirrored(half: Array, start: int, stop: int) -> Array:
    """Frequencies `-stop + 1` to `-start` of a real signal's spectrum, from the half that is not negative."""
    part = jnp.flip(half[..., start:stop], axis=(-2, -1))
    return jnp.conj(jnp.concatenate([part[..., -1:, :], part[..., :-1, :]], axis=-2))


def _spectrum(u: Array, ranges: tuple[tuple[int, int], tuple[int, int]]) -> tuple[Array, Array]:
    """Real and imaginary parts of the spectrum of real maps (..., W, H) over ranges of signed frequencies.

    They are kept apart because compilers for processors do not vectorise loops over complex numbers.
    """
    (low, high), columns = ranges
    size = u.shape[-1]
    middle = size // 2 + 1
    half = jnp.fft.rfft2(u)
    pieces = []
    if low < 0:
        pieces.append(_mirrored(half, 1, 1 - low))
    pieces.append(half[..., : min(high, middle)])
    if high > middle:
        pieces.append(_mirrored(half, size - high + 1, size - middle + 1))
    spectrum = _periodic_slice(jnp.concatenate(pieces, axis=-1), *columns)
    return spectrum.real, spectrum.imag


class _Step(NamedTuple):
    """How the wavelets of one scale act on maps of a given resolution."""

    filters: Array
    """(L, W', H'): the wavelets over their windows, transposed, with the factor of subsampling."""
    starts: np.ndarray
    """(L, 2): the first frequencies of the windows along height and width."""
    tile: tuple[int, int]
    """Height and width of the result."""

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The frequencies along height and width that some window holds."""
        _, width, height = self.filters.shape
        low, high = self.starts.min(axis=0), self.starts.max(axis=0)
        return (int(low[0]), int(high[0]) + height), (int(low[1]), int(high[1]) + width)


def _step(bank: Bank, dtype: Any, j: int, scale: int) -> _Step:
    """What turns maps at resolution j into those of the wavelets of a scale, at resolution `scale`."""
    resolution = [size // 2**j for size in bank.grid]
    tile = tuple(size // 2**scale for size in bank.grid)
    every = (tuple(size // part for size, part in zip(resolution, tile)), ((0, 0),) * bank.L)
    tiles, starts = every if bank.windows is None else bank.windows[scale]
    tiles = [min(number, most) for number, most in zip(tiles, every[0])]
    starts = np.array(starts, np.int32).reshape(bank.L, 2)
    indices, inside = [], []
    for axis in range(2):
        length = tiles[axis] * tile[axis]
        if length == resolution[axis]:
            starts[:, axis] = -(length // 2)
        window = starts[:, axis, None] + np.arange(length)
        indices.append(window % bank.grid[axis])
        # Kymatio cuts filters, rather than fold them, where their signal has fewer frequencies.
        inside.append((window >= -(resolution[axis] // 2)) & (window < resolution[axis] // 2) | (j == 0))
    wavelet = scale * bank.L + np.arange(bank.L)
    filters = bank.wavelets.astype(dtype)[
        wavelet[:, None, None], indices[0][:, None, :], indices[1][:, :, None]
    ]
    filters = filters * (inside[0][:, None, :] & inside[1][:, :, None]) / 4.0 ** (scale - j)
    return _Step(filters.astype(dtype), starts, tile)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _fold(x: Array, tile: tuple[int, int]) -> Array:
    """The sum of an array's tiles, written as slices, which compile to faster loops than a strided sum."""
    height, width = tile
    return sum(
        x[..., a : a + width, b : b + height]
        for a in range(0, x.shape[-2], width)
        for b in range(0, x.shape[-1], height)
    )


@_fold.defjvp
def _fold_jvp(tile: tuple[int, int], primals: Any, tangents: Any) -> Any:
    # The same in a form whose transpose repeats its argument; that of a slice pads it.
    (x,), (tangent,) = primals, tangents
    height, width = tile
    tiles = tangent.reshape(*x.shape[:-2], x.shape[-2] // width, width, x.shape[-1] // height, height)
    return _fold(x, tile), tiles.sum(axis=(-4, -2))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _copies(x: Array, number: int) -> Array:
    return jnp.broadcast_to(x, (number, *x.shape))


@_copies.defjvp
def _copies_jvp(number: int, primals: Any, tangents: Any) -> Any:
    # The transpose of a stack is a chain of additions, which fuses with what it adds; that of a broadcast
    # is a reduction, which on processors does not.
    return _copies(*primals, number), jnp.stack(tangents * number)


@jax.custom_jvp
def _apart_in_reverse(x: Array) -> Array:
    return x


@_apart_in_reverse.defjvp
def _apart_in_reverse_jvp(primals: Any, tangents: Any) -> Any:
    # In reverse mode, what arrives is computed before the windows are added up.
    return primals[0], lax.optimization_barrier(tangents[0])


def _moduli(spectrum: tuple[Array, Array], origin: tuple[int, int], step: _Step) -> Array:
    """The moduli of the responses of a scale's wavelets, subsampled: (m, W', H') to (L, m, w, h)."""
    number, *size = step.filters.shape

    def window(part: Array, start: np.ndarray) -> Array:
        first, second = int(start[1]) - origin[1], int(start[0]) - origin[0]
        return part[:, first : first + size[0], second : second + size[1]]

    def folded(part: Array) -> Array:
        if (step.starts == step.starts[0]).all():
            windows = _copies(window(part, step.starts[0]), number)
        else:
            windows = _apart_in_reverse(jnp.stack([window(part, start) for start in step.starts]))
        return _fold(windows * step.filters[:, None], step.tile)

    # The barrier keeps the loops over real numbers apart from the one that interleaves them.
    signal = jnp.fft.ifft2(lax.complex(*lax.optimization_barrier(tuple(map(folded, spectrum)))))
    return _length(signal.real, signal.imag)


def _average(bank: Bank, dtype: Any, j: int, precision: Any) -> Callable[[Array], Array]:
    """The low-pass filter with subsampling and unpadding: maps (..., W, H) at resolution j to (..., h, w)."""
    J = bank.J
    resolution = [size // 2**j for size in bank.grid]
    border = 1 if bank.padding == "reflect" else 0
    kept = [slice(border, size // 2**J - border) for size in bank.grid]
    if not isinstance(bank.low_pass, tuple):
        low_pass = bank.low_pass.astype(dtype).T
        for axis, size in enumerate(reversed(resolution)):
            ends = [lax.slice_in_dim(low_pass, 0, size // 2, axis=axis)]
            ends.append(lax.slice_in_dim(low_pass, low_pass.shape[axis] - size // 2, None, axis=axis))
            low_pass = jnp.concatenate(ends, axis=axis)
        stride = 2 ** (J - j)

        def smooth(u: Array) -> Array:
            averaged = jnp.fft.ifft2(jnp.fft.fft2(u) * low_pass).real
            return averaged[..., ::stride, ::stride].swapaxes(-1, -2)[..., kept[0], kept[1]]

        return smooth

    factors = []
    for factor, size, rows in zip(bank.low_pass, resolution, kept):
        factor = factor.astype(dtype)
        kernel = jnp.fft.ifft(jnp.concatenate([factor[: size // 2], factor[-(size // 2) :]])).real
        shift = np.arange(rows.start, rows.stop)[:, None] * 2 ** (J - j) - np.arange(size)
        factors.append(kernel[shift % size])
    (height, tall), (width, broad) = factors[0].shape, factors[1].shape
    if factors[0].size * factors[1].size <= _SMALL_AVERAGE:
        product = jnp.einsum("hH,wW->WHhw", *factors, precision=precision)
        product = product.reshape(broad * tall, height * width)

        def average(u: Array) -> Array:
            averaged = jnp.matmul(u.reshape(-1, broad * tall), product, precision=precision)
            return averaged.reshape(*u.shape[:-2], height, width)
    else:

        def average(u: Array) -> Array:
            averaged = jnp.einsum("...WH,hH->...Wh", u, factors[0], precision=precision)
            return jnp.einsum("...Wh,wW->...hw", averaged, factors[1], precision=precision)

    return average


def _padded(bank: Bank, x: Array) -> Array:
    """Images (c, H, W) padded to the grid and transposed: (c, W', H')."""
    if bank.padding == "reflect":
        for axis, (size, whole) in enumerate(zip(bank.shape, bank.grid), start=1):
            before = (whole - size) // 2
            index = np.pad(np.arange(size), (before, whole - size - before), mode="reflect")
            x = jnp.take(x, index, axis=axis)
    return x.swapaxes(1, 2)


def _side_by_side(function: Callable[[Any], Any], items: Any, number: int) -> Any:
    """`lax.map`, of which each step does as many items as divide them evenly, up to a number."""
    length = jax.tree.leaves(items)[0].shape[0]
    number = max(some for some in range(1, number + 1) if length % some == 0)
    steps = jax.tree.map(lambda leaf: leaf.reshape(length // number, number, *leaf.shape[1:]), items)

    def step(several: Any) -> Any:
        results = [function(jax.tree.map(lambda leaf: leaf[i], several)) for i in range(number)]  # noqa: B023
        # Fused with what puts them together, the chains would wait for each other.
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *lax.optimization_barrier(results))

    return jax.tree.map(lambda leaf: leaf.reshape(length, *leaf.shape[2:]), lax.map(step, steps))


def _walk(
    bank: Bank, x: Array, leaf: Callable[[Array, int], Array], *, angles: int
) -> dict[tuple[int, ...], Array]:
    """`leaf(maps, j)` of the moduli along all paths of images (c, H, W): scales to arrays (c, L, ..., h, w).

    A leaf takes maps (..., w, h) at resolution j to arrays with the same leading axes. Second-order paths are
    followed for so many first angles in a step, or for all of them in one array where that is 0.
    """
    number, image = x.shape[0], _padded(bank, x)
    found = {(): leaf(image, 0)}
    if bank.order == 0:
        return found

    def look(maps: Array, j: int, scales: range) -> tuple[Any, Any, list[_Step]]:
        """The spectra that the wavelets of some scales need, where they begin, and the wavelets."""
        steps = [_step(bank, x.dtype, j, scale) for scale in scales]
        ranges = tuple(
            (min(one.ranges[axis][0] for one in steps), max(one.ranges[axis][1] for one in steps))
            for axis in range(2)
        )
        return _spectrum(maps, ranges), (ranges[0][0], ranges[1][0]), steps

    spectrum, origin, first = look(image, 0, range(bank.J))
    for j, step in enumerate(first):
        u = _moduli(spectrum, origin, step)
        found[j,] = jnp.swapaxes(leaf(u, j), 0, 1)
        deeper = range(j + 1, bank.J) if bank.order == 2 else range(0)
        if not deeper:
            continue
        spectra, corner, second = look(u.reshape(-1, *u.shape[2:]), j, deeper)

        def descend(spectra: Any, corner: Any = corner, second: Any = second, deeper: range = deeper) -> Any:
            return [leaf(_moduli(spectra, corner, one), scale) for scale, one in zip(deeper, second)]

        if angles:
            apart = jax.tree.map(lambda part: part.reshape(bank.L, number, *part.shape[1:]), spectra)
            leaves = [jnp.moveaxis(one, 2, 0) for one in _side_by_side(descend, apart, angles)]
        else:
            leaves = [
                jnp.moveaxis(one.reshape(bank.L, bank.L, number, *one.shape[2:]), (2, 1), (0, 1))
                for one in descend(spectra)
            ]
        found |= {(j, scale): one for scale, one in zip(deeper, leaves)}
    return found


def _averaged(bank: Bank, x: Array, *, precision: Any, angles: int) -> Array:
    """The coefficients of images (c, H, W) in the order of the channels: (c, C, h, w)."""
    averages = [_average(bank, x.dtype, j, precision) for j in range(bank.J)]
    found = _walk(bank, x, lambda u, j: averages[j](u), angles=angles)
    channels = [found[()][:, None]]
    if bank.order >= 1:
        channels += [found[j,] for j in range(bank.J)]
    if bank.order == 2:
        for j in range(bank.J - 1):
            after = jnp.concatenate([found[j, scale] for scale in range(j + 1, bank.J)], axis=2)
            channels.append(after.reshape(after.shape[0], -1, *after.shape[3:]))
    return jnp.concatenate(channels, axis=1)


def _in_chunks(
    program: Callable[..., Any], bank: Bank, x: Array, *, pixels: int, chains: int, chunk: int | None
) -> Any:
    """A program on images (n, H, W), some of them at a time: in chains of as many as have `pixels` maps."""
    size = bank.L * bank.grid[0] * bank.grid[1]
    # Loops do not run side by side: where one goes over angles, the chains are in it.
    program = partial(program, bank, angles=min(_ANGLES, chains) if size > pixels else 0)
    number = x.shape[0]
    chains = 1 if size > pixels else min(chains, chunk or chains)
    each = -(-chunk // chains) if chunk else max(1, pixels // size)
    if each >= number:
        return program(x)
    steps = -(-number // (chains * each))
    each = -(-number // (chains * steps))
    x = jnp.pad(x, ((0, steps * chains * each - number), (0, 0), (0, 0)))
    # Reverse mode would otherwise keep what every chunk computed.
    forgetful = jax.checkpoint(program, prevent_cse=False)
    results = _side_by_side(forgetful, x.reshape(steps * chains, each, *x.shape[1:]), chains)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:number], results)


def _by_platform(program: Callable[..., Any], bank: Bank, x: Array, chunk: int | None = None) -> Any:
    """A program on images (..., H, W), in chunks that suit the platform.

    The platform is chosen at lowering: ahead of time it is not the process's own.
    """
    results = lax.platform_dependent(
        x.reshape(-1, *bank.shape),
        cpu=partial(_in_chunks, program, bank, pixels=_CACHE, chains=_CHAINS, chunk=chunk),
        default=partial(_in_chunks, program, bank, pixels=_MEMORY, chains=1, chunk=chunk),
    )
    return jax.tree.map(lambda leaf: leaf.reshape(*x.shape[:-2], *leaf.shape[1:]), results)


@partial(jax.jit, static_argnames=("chunk", "precision"))
def _scatter(bank: Bank, x: Array, chunk: int | None, precision: Any) -> Array:
    return _by_platform(partial(_averaged, precision=precision), bank, x, chunk)


def _checked_images(bank: Bank, x: Images) -> Array:
    """The images as a JAX array in at least float32, or an error that says what is wrong with them."""
    shape, dtype = np.shape(x), jnp.result_type(x)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"x must be real, found {dtype}: scatter the real and the imaginary part, x.real and x.imag."
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"x must be of a floating type, found {dtype}: convert it, x.astype('float32').")
    if len(shape) < 2:
        raise ValueError(f"x must have the axes (..., height, width), found shape {shape}.")
    if shape[-2:] != bank.shape:
        raise ValueError(
            f"x must end in the bank's shape {bank.shape}, found {shape}: "
            f"make the bank with filter_bank({shape[-2:]}, ...)."
        )
    return jnp.asarray(x, jnp.promote_types(dtype, jnp.float32))


def scatter(
    bank: Bank, x: Images, *, chunk: int | None = None, precision: str = "highest"
) -> Float[Array, "... C h w"]:
    r"""Returns the scattering coefficients of images.

    $S x = (x \star \phi_J,\; |x \star \psi_{\lambda_1}| \star \phi_J,\;
    ||x \star \psi_{\lambda_1}| \star \psi_{\lambda_2}| \star \phi_J)$ sampled at every 2^J pixels, with
    $j_1 < j_2$ at the second order.

    Args:
      bank: from `filter_bank`, for images of this shape.
      x: images, (..., H, W), of a floating type; bfloat16 is computed in float32.
      chunk: number of images to work on at a time; by default what fits into a processor's cache, or some
        thousands on an accelerator.
      precision: of the products with the averaging filter, as in `jax.lax.Precision`.

    Returns:
      The coefficients, (..., C, H // 2^J, W // 2^J); `paths` says what each channel holds.

    Raises:
      TypeError: if the images are complex or integers.
      ValueError: if their last two axes are not the bank's shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxtheory.harmonic import scattering2d
      >>> bank = scattering2d.filter_bank((32, 32), J=3)
      >>> scattering2d.scatter(bank, jnp.ones((5, 32, 32))).shape
      (5, 217, 4, 4)

    References:
      J. Bruna and S. Mallat, Invariant scattering convolution networks, 2013.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, found {chunk}: leave it out for the default.")
    return _scatter(bank, _checked_images(bank, x), chunk, precision)


def _on_image(bank: Bank, u: Array, j: int) -> Array:
    """The samples of maps (..., W, H) at resolution j that lie on the image: (..., h, w)."""
    kept = []
    for size, whole in zip(bank.shape, bank.grid):
        before = (whole - size) // 2
        kept.append(slice(-(-before // 2**j), -(-(before + size) // 2**j)))
    return u.swapaxes(-1, -2)[..., kept[0], kept[1]]


@jax.jit
def _propagate(bank: Bank, x: Array) -> dict[tuple[int, ...], Array]:
    def program(bank: Bank, x: Array, **options: Any) -> Any:
        return _walk(bank, x, partial(_on_image, bank), **options)

    return _by_platform(program, bank, x)


def propagate(bank: Bank, x: Images) -> dict[tuple[int, ...], Float[Array, "..."]]:
    r"""Returns the unaveraged coefficients of images: the moduli that `scatter` averages.

    $U x = (x,\; |x \star \psi_{\lambda_1}|,\; ||x \star \psi_{\lambda_1}| \star \psi_{\lambda_2}|)$, each
    sampled at every $2^j$ pixels with j its last scale, at the samples that lie on the image: where the
    padding is reflecting the first one may lie up to $2^j - 1$ pixels inside.

    Args:
      bank: from `filter_bank`, for images of this shape.
      x: images, (..., H, W), of a floating type; bfloat16 is computed in float32.

    Returns:
      A dictionary from scales to maps: `()` to the images (..., H, W), `(j1,)` to (..., L, h, w) and
      `(j1, j2)`, j1 < j2, to (..., L, L, h, w), the first L for the angle at j1, up to the bank's order.

    Raises:
      TypeError: if the images are complex or integers.
      ValueError: if their last two axes are not the bank's shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxtheory.harmonic import scattering2d
      >>> bank = scattering2d.filter_bank((32, 32), J=3, L=4)
      >>> u = scattering2d.propagate(bank, jnp.ones((5, 32, 32)))
      >>> u[1,].shape, u[0, 2].shape
      ((5, 4, 16, 16), (5, 4, 4, 8, 8))

    References:
      S. Mallat, Group invariant scattering, 2012.
    """
    return _propagate(bank, _checked_images(bank, x))


@jax.tree_util.register_dataclass
@no_type_check  # trees of its form hold shardings, shapes and batches of arrays too
@dataclass(frozen=True)
class Energies:
    """The energy that a cascade averages and the energy that it passes on, by order."""

    averaged: Float[Array, "... averaged"]
    """(..., order + 1): the sum of ||U[p]x * phi||^2 over the paths p of each order."""
    propagated: Float[Array, "... propagated"]
    """(..., order + 2): the sum of ||U[p]x||^2 over the paths p of each order, one order further."""


jax.export.register_pytree_node_serialization(
    Energies,
    serialized_name="jaxtheory.harmonic.scattering2d.Energies",
    serialize_auxdata=lambda facts: repr(facts).encode(),
    deserialize_auxdata=lambda text: ast.literal_eval(text.decode()),
)


def _number_of_paths(bank: Bank, order: int, decreasing: bool) -> int:
    """The number of paths of one order at least and of `order` at most."""
    if decreasing:
        return sum(math.comb(bank.J, m) * bank.L**m for m in range(1, order + 1))
    return sum((bank.J * bank.L) ** m for m in range(1, order + 1))


def _tree_energies(bank: Bank, order: int, decreasing: bool, angles: int, image: Array) -> Energies:
    """The energies of one image (H, W). Each order is a loop within that of the order before."""
    filters = bank.wavelets.astype(image.dtype).reshape(bank.J, bank.L, *bank.grid)
    scales = np.arange(bank.J)
    # Parseval: a map's spectrum gives the energy of its average, and that of all its children together.
    low = wavelets.low_pass_2d(bank).astype(image.dtype) ** 2
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
            return below(_length(response.real, response.imag), next_first, depth + 1)

        def all_angles(scale: Array, several: Array) -> Array:
            every = partial(child, scale)
            last = depth + 1 == order
            if last and not angles:
                return jax.vmap(every)(several).sum(axis=0)
            return _side_by_side(every, several, angles if last else 1).sum(axis=0)

        def one_scale(scale: Array, several: Array) -> Array:
            if not decreasing:
                return all_angles(scale, several)
            nothing = jnp.zeros((order - depth, 2), image.dtype)
            return lax.cond(scale >= first, all_angles, lambda *_: nothing, scale, several)

        # Reverse mode would otherwise keep the maps of every path.
        forgetful = jax.checkpoint(one_scale, prevent_cse=False)
        children = lax.map(lambda both: forgetful(*both), (scales, filters))
        return jnp.concatenate([own, children.sum(axis=0)])

    table = below(image, 0, 0)
    norm = jnp.vdot(image, image, precision="highest")
    return Energies(averaged=table[:, 0], propagated=jnp.append(norm, table[:, 1]))


@partial(jax.jit, static_argnames=("order", "decreasing", "chunk"))
def _cascade(bank: Bank, x: Array, order: int, decreasing: bool, chunk: int | None) -> Energies:
    # A path of decreasing frequencies has no more wavelets than there are scales.
    walked = min(order, bank.J) if decreasing else order

    def program(bank: Bank, x: Array, *, angles: int) -> Energies:
        return jax.vmap(partial(_tree_energies, bank, walked, decreasing, angles))(x)

    energies = _by_platform(program, bank, x, chunk)
    beyond = [(0, 0)] * (x.ndim - 2) + [(0, order - walked)]
    return jax.tree.map(lambda leaf: jnp.pad(leaf, beyond), energies)


def cascade(bank: Bank, x: Images, order: int, paths: str = "all", *, chunk: int | None = None) -> Energies:
    r"""Returns the energies of a scattering transform of any order, without subsampling.

    $\sum_{|p| = m} \|U[p]x \star \phi_J\|^2$ and $\sum_{|p| = m} \|U[p]x\|^2$ with
    $U[\lambda_1, \ldots, \lambda_m]x = |\cdots |x \star \psi_{\lambda_1}| \cdots \star \psi_{\lambda_m}|$.
    The tree of paths is walked depth first, so that memory grows with the order only; time grows with the
    number of paths.

    Args:
      bank: from `filter_bank`, with periodic padding; its own order plays no part.
      x: images, (..., H, W), of a floating type; bfloat16 is computed in float32.
      order: largest order m of the averaged coefficients, from 0 to 10.
      paths: `"all"`, or `"decreasing"` for those whose frequencies decrease: each scale is larger than the
        one before.
      chunk: number of images to work on at a time; by default what fits into a processor's cache, or what
        keeps an accelerator busy.

    Returns:
      The energies by order, as sums over pixels. With a unitary bank and all paths, `averaged.sum(-1)` and
      the last of `propagated` add up to the energy of the image.

    Raises:
      TypeError: if the images are complex or integers.
      ValueError: if an argument is out of its range, the bank's padding is not periodic, or the paths are
        more than twenty million.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxtheory.harmonic import scattering2d
      >>> bank = scattering2d.filter_bank((16, 16), J=2, L=4, padding="periodic", wavelet="spline")
      >>> energies = scattering2d.cascade(bank, jnp.eye(16), order=2)
      >>> energies.propagated.shape
      (4,)
      >>> print(f"{energies.averaged.sum() + energies.propagated[-1]:.4f}")
      16.0000

    References:
      J. Bruna and S. Mallat, Invariant scattering convolution networks, 2013, section 3.
    """
    if not 0 <= order <= _DEEPEST:
        raise ValueError(f"order must be 0 to {_DEEPEST}, found order = {order}.")
    if paths not in ("all", "decreasing"):
        raise ValueError(f'paths must be "all" or "decreasing", found {paths!r}.')
    if bank.padding != "periodic":
        raise ValueError(
            f"bank must have periodic padding, found padding = {bank.padding!r}: the energies of a padded "
            'image are not those of the image. Make the bank with padding="periodic".'
        )
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, found {chunk}: leave it out for the default.")
    number = _number_of_paths(bank, order, paths == "decreasing")
    if number > _MOST_PATHS:
        raise ValueError(
            f"order = {order} with J = {bank.J}, L = {bank.L} and paths = {paths!r} has {number:,} paths, "
            f'more than {_MOST_PATHS:,}: lower the order, J or L, or take paths="decreasing".'
        )
    return _cascade(bank, _checked_images(bank, x), order, paths == "decreasing", chunk)
