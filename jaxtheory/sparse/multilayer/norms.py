r"""Norms of the layers and of their codes: what guarantees and step sizes ask for.

Conventions: filters, images and codes have the shapes that `model` names; the last axis is that of the
layers.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks, linalg
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Boundary
from jaxtheory.sparse import coherence
from jaxtheory.sparse.multilayer.layout import Layers, Layout, Strides
from jaxtheory.sparse.multilayer.model import checked_shape


@record
class Sparsity:
    """How sparse the codes of each layer are, and how large: what the guarantees ask for."""

    stripes: Real[AnyArray, "... layers"]
    r"""The number of entries of the fullest stripe, $\|\Gamma_i\|^S_{0,\infty}$."""
    patches: Real[AnyArray, "... layers"]
    r"""The number of entries of the fullest patch, $\|\Gamma_i\|^P_{0,\infty}$."""
    smallest: Float[AnyArray, "... layers"]
    r"""The smallest absolute value of an entry, infinite where there is none."""
    largest: Float[AnyArray, "... layers"]
    """The largest absolute value of an entry."""


def coherences(filters: Layers, *, strides: Strides = 1) -> Float[Array, " layers"]:
    r"""Return the mutual coherence $\mu(D_i)$ of each layer, over all pairs of atoms at all places.

    Images are assumed so large that atoms meet on one side only.

    Args:
        filters: The filters of each layer, atoms of unit norm.
        strides: The strides of each layer, or one for all: atoms stand at multiples of it.

    Returns:
        The coherence of each layer.

    Raises:
        ValueError: If shapes do not match, or an atom does not have unit norm.
        TypeError: If the filters are not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> filters = jnp.array([0.6, 0.8])[:, None, None]
        >>> multilayer.coherences([filters, filters], strides=(1, 2))
        Array([0.48, 0.  ], dtype=float32)

    References:
        Papyan, Sulam and Elad, Working locally thinking globally: theoretical guarantees for convolutional
        sparse coding, 2017.
    """
    layout, filters, _, back = Layout.prepare(filters, strides)
    return back(jnp.stack([jnp.max(coherence.shift_coherence(one)) for one in layout.blocked(filters)]))


def squared_norms(
    filters: Layers, shape: Sequence[int], *, strides: Strides = 1, boundary: Boundary = "periodic"
) -> Float[Array, " layers"]:
    r"""Return the squared spectral norm $\|D_i\|_2^2$ of each layer, from its filters' Fourier transforms.

    Args:
        filters: The filters of each layer.
        shape: The shape of the images, `(height, width)` or `(length,)`.
        strides: The strides of each layer, or one for all.
        boundary: What lies beyond the border: `"periodic"`, for which norms are exact, or `"zero"`, for which
            they are bounds from above.

    Returns:
        The squared norm of each layer.

    Raises:
        ValueError: If shapes do not match, or strides do not divide the images' shape.
        TypeError: If the filters are not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> multilayer.squared_norms([jnp.array([0.6, 0.8])[:, None, None]], (8,))
        Array([1.96], dtype=float32)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    layout, filters, _, back = Layout.prepare(filters, strides, boundary)
    shape = checked_shape(shape, layout)
    return back(_squared_norms(layout, tuple(layout.shapes(shape)), filters))


@partial(jax.jit, static_argnums=(0, 1))
def _squared_norms(
    layout: Layout, shapes: tuple[tuple[int, ...], ...], filters: tuple[Array, ...]
) -> Float[Array, " layers"]:
    norms = []
    for blocked, size in zip(layout.blocked(filters), shapes):
        # A dictionary with zeros beyond the border is part of a periodic one on a larger image.
        wide = [n + (k - 1 if layout.boundary == "zero" else 0) for n, k in zip(size, blocked.shape)]
        spectra = jnp.fft.rfftn(blocked, wide, axes=tuple(range(layout.space)))
        norms.append(jnp.max(linalg.squared_norm(spectra)))
    return jnp.stack(norms)


def patch_norm(
    x: Real[AnyArray, "..."], patch_size: int | Sequence[int], *, boundary: Boundary = "periodic"
) -> Float[Array, "..."]:
    r"""Return the norm $\|x\|^P_{2,\infty}$, the Euclidean norm of the largest patch.

    Args:
        x: The images, or codes.
        patch_size: The size of a patch, `(height, width)`, one number for a square, or `(length,)` for
            signals; a patch holds all channels.
        boundary: Whether patches continue at the other side, `"periodic"`, or end at the border, `"zero"`.

    Returns:
        The norm of each image.

    Raises:
        ValueError: If a patch is larger than a periodic image, sizes do not match, or an option is unknown.
        TypeError: If the array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> float(multilayer.patch_norm(jnp.array([3.0, 4.0, 0.0, 1.0])[:, None], (2,)))
        5.0

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    (x,), back = real_arrays(x=x)
    energy = _largest_window(x**2, patch_size, boundary)
    present = energy > 0
    return back(jnp.where(present, jnp.sqrt(jnp.where(present, energy, 1)), 0))


def sparsity(
    filters: Layers, codes: Layers, *, strides: Strides = 1, boundary: Boundary = "periodic"
) -> Sparsity:
    r"""Measure how sparse the codes of each layer are, in the norms that the guarantees ask for.

    $\|\Gamma_i\|^S_{0,\infty}$ counts the entries of the fullest stripe, the codes of all atoms that meet one
    atom; $\|\Gamma_i\|^P_{0,\infty}$ those of the fullest patch, what an atom of the next layer covers. For
    the last layer, which has no next, a patch is as large as its own atoms.

    Args:
        filters: The filters of each layer.
        codes: The codes $\Gamma_1, \dots, \Gamma_L$ of each layer.
        strides: The strides of each layer, or one for all.
        boundary: Whether stripes continue at the other side, `"periodic"`, or end at the border, `"zero"`.

    Returns:
        The four figures of each layer.

    Raises:
        ValueError: If shapes do not match, or a stripe is larger than a periodic image.
        TypeError: If an array is not real.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> filters = multilayer.init(jax.random.key(0), [(2,), (3,)], (2, 4))
        >>> _, *codes = multilayer.sample(jax.random.key(1), filters, (16,), 1)
        >>> multilayer.sparsity(filters, codes).patches.tolist()
        [6, 1]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    given = {f"codes of layer {index + 1}": one for index, one in enumerate(codes)}
    layout, filters, codes, back = Layout.prepare(filters, strides, boundary, **given)
    if len(codes) != len(filters):
        raise ValueError(
            f"codes has {len(codes)} entries: take one for each of the {len(filters)} layers, not the image"
        )
    space = layout.space
    kernels = [one.shape[:space] for one in filters]
    # On the grid of its codes, an atom is as wide as the number of strides that it begins.
    widths = [tuple(-(-k // stride) for k in kernel) for kernel, stride in zip(kernels, layout.strides)]
    stripes, patches, smallest, largest = [], [], [], []
    for z, width, patch in zip(codes, widths, [*kernels[1:], widths[-1]]):
        size, axes = jnp.abs(z), tuple(range(-space - 1, 0))
        stripes.append(coherence.stripe_sparsity(z, width, boundary=boundary))
        patches.append(_largest_window((z != 0).astype(jnp.int32), patch, boundary))
        smallest.append(jnp.min(jnp.where(size > 0, size, jnp.inf), axes))
        largest.append(jnp.max(size, axes))
    return back(Sparsity(*(jnp.stack(rows, -1) for rows in (stripes, patches, smallest, largest))))


def _largest_window(values: Array, patch_size: int | Sequence[int], boundary: Boundary) -> Array:
    """The largest sum over channels and windows: (..., H, W, channels) to (...)."""
    sizes = checks.sizes("patch_size", patch_size, ("height", "width"), ("length",), square=True)
    space = len(sizes)
    if values.ndim <= space:
        raise ValueError(
            f"patch_size is {sizes}, for an array of shape {values.shape}: take (height, width) or (length,)"
        )
    checks.one_of("boundary", boundary, ("periodic", "zero"))
    shape = values.shape[-space - 1 : -1]
    if boundary == "periodic" and any(k > n for k, n in zip(sizes, shape)):
        raise ValueError(f"patch_size is {sizes}, on a periodic image of shape {shape}: take smaller patches")
    sums = jnp.sum(values, -1)
    lead = sums.ndim - space
    if boundary == "periodic":
        sums = jnp.pad(sums, [(0, 0)] * lead + [(0, k - 1) for k in sizes], mode="wrap")
    else:
        sums = jnp.pad(sums, [(0, 0)] * lead + [(k - 1, k - 1) for k in sizes])
    zero = np.zeros((), sums.dtype)
    window = (*[1] * lead, *sizes)
    sums = lax.reduce_window(sums, zero, lax.add, window, [1] * sums.ndim, "VALID")
    return jnp.max(sums, axis=tuple(range(lead, sums.ndim)))
