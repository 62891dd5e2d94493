r"""Multilayer convolutional sparse coding: an image has sparse codes, those have sparse codes, and so on.

The model is $X = D_1 \Gamma_1$, $\Gamma_1 = D_2 \Gamma_2$, up to $\Gamma_{L-1} = D_L \Gamma_L$, with all
$\Gamma_i$ sparse. Dictionaries are convolutional, one an entry of a sequence: filters as Flax keeps them,
`(height, width, channels, atoms)`, the channels of a layer being the atoms of the one before; signals have
filters `(length, channels, atoms)` and one axis less everywhere. With strides, a layer's atoms stand at every
`stride`-th place only: what `flax.nnx.Conv(strides=..., padding="CIRCULAR")` computes is the analysis.
The forward pass of such a network, with biases $-\beta_i$, is the layered thresholding of this model.

A dictionary of stride $s$ is one of stride 1 on images whose blocks of $s \times s$ pixels have become
channels; so everything stands on `jaxtheory.sparse.convolutional`, and no matrix is ever formed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key, UInt32

from jaxtheory.sparse import coherence, convolutional, pursuit, results
from jaxtheory.sparse.convolutional import _normalised
from jaxtheory.sparse.proximal import hard_threshold, nonnegative_soft_threshold, soft_threshold
from jaxtheory.sparse.pytrees import _registered

Values = Float[Array, "..."] | Float[np.ndarray, "..."]
Dictionaries = Sequence[Values]
Amount = Values | float | int | np.floating
Amounts = Sequence[Amount] | Values
Strides = int | Sequence[int]
Boundary = Literal["circular", "zero"]
Shrinkage = Literal["soft", "nonnegative", "hard"]
Thresholding = Literal["soft", "hard"]

SHRINKAGES = {"soft": soft_threshold, "nonnegative": nonnegative_soft_threshold, "hard": hard_threshold}

_ABOVE_LOWEST = {"soft": 0.01, "hard": 0.5}
"""Where in the interval of admissible thresholds one is taken: a soft one enters the error, and is small."""
_ARMIJO = 1e-4
"""Share of the decrease that the gradient promises, which a step on the filters must keep."""
_GROWTH, _HALVINGS = 1.5, 30
"""A step's size grows by this after each step, and is halved at most so often within one."""


@_registered
@dataclass(frozen=True)
class Sparsity:
    """How sparse the codes of each layer are, and how large: what the guarantees ask for."""

    stripes: Any
    r"""(..., layers) $\|\Gamma_i\|^S_{0,\infty}$, integer."""
    patches: Any
    r"""(..., layers) $\|\Gamma_i\|^P_{0,\infty}$, integer."""
    smallest: Any
    r"""(..., layers) the smallest absolute value of an entry, infinite where there is none."""
    largest: Any
    """(..., layers) the largest absolute value."""


@_registered
@dataclass(frozen=True)
class Guarantee:
    """What a theorem promises, layer by layer."""

    sparsities: Any
    """(..., layers) stripes must have fewer entries than this."""
    errors: Any
    """(..., layers) bound on the error, infinite where the hypothesis does not hold."""
    holds: Any
    """(..., layers) whether the hypothesis holds in this layer and all before."""
    parameters: Any = None
    """(..., layers) the thresholds or penalties of which it speaks; `None` where there are none."""


@_registered
@dataclass(frozen=True)
class Iterated:
    """Codes after some steps of ML-ISTA or ML-FISTA."""

    codes: Any
    """A tuple, one (..., H, W, atoms) or (..., length, atoms) a layer, the deepest last."""
    objective: Any
    """(...,) the objective at the deepest codes."""
    change: Any
    """(...,) norm of the deepest codes' change in the last step, relative to their norm."""
    steps: Any
    """(...,) steps taken."""


@_registered
@dataclass(frozen=True)
class Learning:
    """Where the learning of dictionaries stands."""

    dictionaries: Any
    """A tuple of filters, atoms of unit norm."""
    rate: Any
    """() size of the next step on the filters."""
    objective: Any
    """() mean objective of the last images, before their step; infinite at the start."""


def _blocks(kernel: int, stride: int) -> tuple[int, int]:
    """How many blocks of `stride` pixels a filter takes, and how many zeros come before it."""
    anchor, number = (kernel - 1) // 2, 1
    while stride * ((number - 1) // 2) < anchor or stride * (number // 2 + 1) < kernel - anchor:
        number += 1
    return number, stride * ((number - 1) // 2) - anchor


def _blocked(filters: Any, stride: int) -> Any:
    """The filters that at stride 1, on images whose blocks are channels, do what these do at `stride`."""
    if stride == 1:
        return filters
    space = filters.ndim - 2
    padding = []
    for kernel in filters.shape[:space]:
        number, before = _blocks(kernel, stride)
        padding.append((before, number * stride - kernel - before))
    filters = jnp.pad(filters, [*padding, (0, 0), (0, 0)])
    return jnp.moveaxis(_split(jnp.moveaxis(filters, -1, 0), stride, space), 0, -1)


def _split(x: Any, stride: int, space: int) -> Any:
    """Makes channels of blocks: (..., H, W, channels) to (..., H/s, W/s, s s channels)."""
    if stride == 1:
        return x
    *lead, channels = x.shape
    lead, size = lead[: len(lead) - space], lead[len(lead) - space :]
    x = x.reshape(*lead, *(part for n in size for part in (n // stride, stride)), channels)
    first = len(lead)
    x = jnp.moveaxis(x, [first + 2 * i for i in range(space)], range(first, first + space))
    return x.reshape(*lead, *(n // stride for n in size), -1)


def _joined(x: Any, stride: int, space: int) -> Any:
    """Undoes `_split`."""
    if stride == 1:
        return x
    *lead, channels = x.shape
    lead, size = lead[: len(lead) - space], lead[len(lead) - space :]
    x = x.reshape(*lead, *size, *[stride] * space, channels // stride**space)
    first = len(lead)
    x = jnp.moveaxis(x, range(first, first + space), [first + 2 * i for i in range(space)])
    return x.reshape(*lead, *(n * stride for n in size), -1)


def _analyze(filters: Any, x: Any, stride: int, boundary: str) -> Array:
    blocked, split = _blocked(filters, stride), _split(x, stride, filters.ndim - 2)
    return convolutional.analyze(blocked, split, boundary=boundary)


def _synthesize(filters: Any, z: Any, stride: int, boundary: str, domain: str = "auto") -> Array:
    blocks = convolutional.synthesize(_blocked(filters, stride), z, boundary=boundary, domain=domain)
    return _joined(blocks, stride, filters.ndim - 2)


def _down(
    dictionaries: Any, codes: Any, strides: tuple[int, ...], boundary: str, domain: str = "auto"
) -> tuple[Array, ...]:
    """The image and all codes that the deepest ones stand for."""
    layers = [codes]
    for filters, stride in zip(reversed(dictionaries), reversed(strides)):
        layers.append(_synthesize(filters, layers[-1], stride, boundary, domain))
    return tuple(reversed(layers))


def _strides(strides: Strides, layers: int) -> tuple[int, ...]:
    strides = (strides,) * layers if isinstance(strides, int) else tuple(strides)
    if len(strides) != layers or min(strides) < 1:
        raise ValueError(f"strides are {strides}: take one of 1 or more for each of the {layers} layers")
    return strides


def _checked(dictionaries: Any, strides: Strides) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    """The dictionaries as a tuple of matching filters, and a stride for each."""
    dictionaries = tuple(jnp.asarray(filters) for filters in dictionaries)
    if not dictionaries:
        raise ValueError("a model has one dictionary at least, got none")
    for index, filters in enumerate(dictionaries):
        if filters.ndim not in (3, 4) or filters.ndim != dictionaries[0].ndim:
            raise ValueError(
                f"layer {index + 1} has filters of shape {filters.shape}: all layers take "
                "(height, width, channels, atoms), or all (length, channels, atoms)"
            )
        if index and filters.shape[-2] != dictionaries[index - 1].shape[-1]:
            raise ValueError(
                f"layer {index + 1} has {filters.shape[-2]} channels and the one before "
                f"{dictionaries[index - 1].shape[-1]} atoms: these are the same numbers"
            )
    return dictionaries, _strides(strides, len(dictionaries))


def _check_size(size: Sequence[int], strides: tuple[int, ...]) -> None:
    """Refuses images that strides do not divide."""
    step = math.prod(strides)
    if any(n % step for n in size):
        raise ValueError(
            f"images of size {tuple(size)} are not divided by strides {strides}: crop or pad them to "
            f"multiples of {step}"
        )


def _check_images(dictionaries: tuple[Any, ...], images: Any, strides: tuple[int, ...]) -> None:
    space, channels = dictionaries[0].ndim - 2, dictionaries[0].shape[-2]
    if images.ndim <= space or images.shape[-1] != channels:
        raise ValueError(
            f"filters of shape {dictionaries[0].shape} need images with {space + 1} axes at their end, the "
            f"last of {channels} channels, got {images.shape}"
        )
    _check_size(images.shape[-space - 1 : -1], strides)


def _per_layer(
    values: Any,
    dictionaries: tuple[Any, ...],
    name: str,
    images: Any,
    strides: tuple[int, ...],
    *,
    positive: bool,
) -> tuple[Array, ...]:
    """Something for each layer that broadcasts with its codes."""
    if len(values) != len(dictionaries):
        raise ValueError(f"{len(values)} {name} for {len(dictionaries)} layers: give one for each layer")
    space = dictionaries[0].ndim - 2
    lead, size = images.shape[: images.ndim - space - 1], images.shape[-space - 1 : -1]
    for value, filters, stride in zip(values, dictionaries, strides):
        size = [n // stride for n in size]
        shape = (*lead, *size, filters.shape[-1])
        try:
            fits = np.broadcast_shapes(np.shape(value), shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"{name} are numbers, or one an atom, or broadcast to codes of shape {shape}, got shape "
                f"{np.shape(value)}"
            )
        known = not isinstance(value, jax.core.Tracer)
        if known and not np.all(np.asarray(value) > 0 if positive else np.asarray(value) >= 0):
            sign = "positive" if positive else "nonnegative"
            raise ValueError(f"{name} hold {np.min(np.asarray(value))}: take {sign} ones")
    return tuple(jnp.asarray(value, filters.dtype) for value, filters in zip(values, dictionaries))


def init(
    key: Key[Array, ""] | UInt32[Array, " words"],
    kernels: Sequence[Sequence[int]],
    widths: Sequence[int],
) -> tuple[Float[Array, "..."], ...]:
    """Random dictionaries, atoms uniform on the sphere.

    Args:
        key: A random key.
        kernels: The filters' size in each layer, `(height, width)` or `(length,)`.
        widths: The channels of the images and then the atoms of each layer, one number more than layers.

    Returns:
        Filters `(*kernel, channels, atoms)` for each layer, atoms of unit norm.

    Raises:
        ValueError: If numbers do not match or are below 1.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> [d.shape for d in multilayer.init(jax.random.key(0), [(6, 6), (4, 4)], (1, 8, 16))]
        [(6, 6, 1, 8), (4, 4, 8, 16)]
    """
    if len(widths) != len(kernels) + 1 or len(kernels) < 1:
        raise ValueError(
            f"{len(kernels)} kernels and {len(widths)} widths: take the images' channels and then the "
            "atoms of each layer"
        )
    if min(min(kernel) for kernel in kernels) < 1 or min(widths) < 1:
        raise ValueError(f"kernels are {kernels} and widths {widths}: all are 1 at least")
    keys = jax.random.split(key, len(kernels))
    shapes = [(*kernel, *pair) for kernel, pair in zip(kernels, pairwise(widths))]
    dictionaries, _ = _checked([jax.random.normal(one, shape) for one, shape in zip(keys, shapes)], 1)
    return tuple(_normalised(filters) for filters in dictionaries)


def synthesize(
    dictionaries: Dictionaries, codes: Values, *, strides: Strides = 1, boundary: Boundary = "circular"
) -> tuple[Float[Array, "..."], ...]:
    r"""The image and the codes of all layers that the deepest codes stand for: $\Gamma_{i-1} = D_i \Gamma_i$.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.
        codes: $\Gamma_L$, shape `(..., H, W, atoms)`, or `(..., length, atoms)`.
        strides: Of each layer, or one for all: an image is so many times as high and wide as its codes.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.

    Returns:
        $(X, \Gamma_1, \dots, \Gamma_L)$.

    Raises:
        ValueError: If shapes do not match or a filter, rounded up to strides, does not fit on its image.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> haar = jnp.array([[[1.0, 1.0]], [[1.0, -1.0]]]) / jnp.sqrt(2)
        >>> codes = jnp.array([[2.0, 0.0], [0.0, 1.0]])
        >>> [layer.shape for layer in multilayer.synthesize([haar], codes, strides=2)]
        [(4, 1), (2, 2)]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    dictionaries, strides = _checked(dictionaries, strides)
    return _synthesized(strides, boundary, dictionaries, codes)


@partial(jax.jit, static_argnums=(0, 1))
def _synthesized(strides, boundary, dictionaries, codes):
    # Fourier transforms would leave rounding where codes are zero.
    return _down(dictionaries, codes, strides, boundary, "spatial")


def sample(
    key: Key[Array, ""] | UInt32[Array, " words"],
    dictionaries: Dictionaries,
    size: Sequence[int],
    entries: int,
    *,
    smallest: Amount = 1.0,
    largest: Amount = 1.0,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "circular",
) -> tuple[Float[Array, "..."], ...]:
    r"""Draws an image from the model: some entries of $\Gamma_L$, at random places, of random size and sign.

    Args:
        key: A random key; several images are `vmap`ped over keys.
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.
        size: The image's, `(height, width)` or `(length,)`.
        entries: How many entries of the deepest codes are not zero.
        smallest: Their smallest absolute value; values are uniform.
        largest: Their largest.
        nonnegative: Whether all signs are positive.
        strides: Of each layer, or one for all.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.

    Returns:
        $(X, \Gamma_1, \dots, \Gamma_L)$, as `synthesize` gives them.

    Raises:
        ValueError: If shapes do not match, strides do not divide the size, or there are not so many places.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> dictionaries = multilayer.init(jax.random.key(0), [(3,), (3,)], (1, 2, 4))
        >>> x, _, deepest = multilayer.sample(jax.random.key(1), dictionaries, (16,), 3)
        >>> x.shape, int((deepest != 0).sum())
        ((16, 1), 3)

    References:
        Sulam, Papyan, Romano and Elad, Multilayer convolutional sparse modeling: pursuit and dictionary
        learning, 2018.
    """
    dictionaries, strides = _checked(dictionaries, strides)
    if len(size) != dictionaries[0].ndim - 2:
        raise ValueError(f"an image of size {tuple(size)} has no filters of shape {dictionaries[0].shape}")
    _check_size(size, strides)
    grid = [n // math.prod(strides) for n in size]
    places = math.prod(grid) * dictionaries[-1].shape[-1]
    if not 0 <= entries <= places:
        raise ValueError(f"entries are {entries}: the deepest codes have {places} places")
    dtype = dictionaries[-1].dtype
    for_place, for_size, for_sign = jax.random.split(key, 3)
    values = jax.random.uniform(for_size, (entries,), dtype, smallest, largest)
    if not nonnegative:
        values = values * jax.random.rademacher(for_sign, (entries,), dtype)
    chosen = jax.random.choice(for_place, places, (entries,), replace=False)
    codes = jnp.zeros(places, dtype).at[chosen].set(values).reshape(*grid, -1)
    return _synthesized(strides, boundary, dictionaries, codes)


def coherences(dictionaries: Dictionaries, *, strides: Strides = 1) -> Float[Array, " layers"]:
    r"""The mutual coherence $\mu(D_i)$ of each layer, over all pairs of atoms at all places.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers,
            atoms of unit norm. Images are supposed so large that atoms meet on one side only.
        strides: Of each layer, or one for all: atoms stand at multiples of it.

    Returns:
        Shape `(layers,)`.

    Raises:
        ValueError: If shapes do not match, or an atom is zero or has not unit norm (where they have values).

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
    dictionaries, strides = _checked(dictionaries, strides)
    blocked = [_blocked(filters, stride) for filters, stride in zip(dictionaries, strides)]
    return jnp.stack([jnp.max(coherence.shift_coherence(filters)) for filters in blocked])


def squared_norms(
    dictionaries: Dictionaries,
    size: Sequence[int],
    *,
    strides: Strides = 1,
    boundary: Boundary = "circular",
) -> Float[Array, " layers"]:
    r"""The squared spectral norm $\|D_i\|_2^2$ of each layer, from its filters' Fourier transforms.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.
        size: The image's, `(height, width)` or `(length,)`.
        strides: Of each layer, or one for all.
        boundary: `"circular"`, for which norms are exact, or `"zero"`, for which they are bounds from above.

    Returns:
        Shape `(layers,)`.

    Raises:
        ValueError: If shapes do not match or strides do not divide the size.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> multilayer.squared_norms([jnp.array([0.6, 0.8])[:, None, None]], (8,))
        Array([1.96], dtype=float32)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    dictionaries, strides = _checked(dictionaries, strides)
    _check_size(size, strides)
    return _squared_norms(tuple(size), strides, boundary, dictionaries)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _squared_norms(size, strides, boundary, dictionaries):
    norms = []
    for filters, stride in zip(dictionaries, strides):
        size = [n // stride for n in size]
        blocked = _blocked(filters, stride)
        space = blocked.ndim - 2
        # A dictionary with zeros beyond the border is part of a circular one on a larger image.
        wide = [n + (k - 1 if boundary == "zero" else 0) for n, k in zip(size, blocked.shape)]
        spectra = jnp.fft.rfftn(blocked, wide, axes=tuple(range(space)))
        if blocked.shape[-2] > blocked.shape[-1]:
            spectra = jnp.swapaxes(spectra, -1, -2)
        gram = jnp.einsum("...ck,...ek->...ce", spectra, jnp.conj(spectra), precision="highest")
        norms.append(jnp.max(jnp.linalg.eigvalsh(gram)))
    return jnp.stack(norms)


def _window_sums(values: Any, kernel: Sequence[int], boundary: str) -> Array:
    """The largest sum over channels and windows: (..., H, W, channels) to (...)."""
    space = len(kernel)
    if space not in (1, 2) or values.ndim <= space or min(kernel) < 1:
        raise ValueError(
            f"kernel is {tuple(kernel)}, for an array of shape {values.shape}: take (height, width) or "
            "(length,)"
        )
    if boundary not in ("circular", "zero"):
        raise ValueError(f"boundary is {boundary!r}: take 'circular' or 'zero'")
    size = values.shape[-space - 1 : -1]
    if boundary == "circular" and any(k > n for k, n in zip(kernel, size)):
        raise ValueError(f"patches of size {tuple(kernel)} do not fit on a circular image of size {size}")
    sums = jnp.sum(values, -1)
    lead = sums.ndim - space
    if boundary == "circular":
        sums = jnp.pad(sums, [(0, 0)] * lead + [(0, k - 1) for k in kernel], mode="wrap")
    else:
        sums = jnp.pad(sums, [(0, 0)] * lead + [(k - 1, k - 1) for k in kernel])
    window = (*[1] * lead, *kernel)
    zero = np.zeros((), sums.dtype)
    sums = lax.reduce_window(sums, zero, lax.add, window, [1] * sums.ndim, "VALID")
    return jnp.max(sums, axis=tuple(range(lead, sums.ndim)))


def patch_norm(x: Values, kernel: Sequence[int], *, boundary: Boundary = "circular") -> Float[Array, "..."]:
    r"""The norm $\|x\|^P_{2,\infty}$: the Euclidean norm of the largest patch.

    Args:
        x: Shape `(..., H, W, channels)`, or `(..., length, channels)`.
        kernel: The patch's size, `(height, width)` or `(length,)`; it holds all channels.
        boundary: Whether patches go on at the other side, `"circular"`, or end at the border, `"zero"`.

    Returns:
        Shape `(...,)`.

    Raises:
        ValueError: If a patch is larger than a circular image, sizes do not match, or an option is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> float(multilayer.patch_norm(jnp.array([3.0, 4.0, 0.0, 1.0])[:, None], (2,)))
        5.0

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    energy = _window_sums(jnp.asarray(x) ** 2, kernel, boundary)
    present = energy > 0
    return jnp.where(present, jnp.sqrt(jnp.where(present, energy, 1)), 0)


def sparsity(
    dictionaries: Dictionaries,
    codes: Sequence[Values],
    *,
    strides: Strides = 1,
    boundary: Boundary = "circular",
) -> Sparsity:
    r"""How sparse the codes of each layer are: the norms that the guarantees ask for.

    $\|\Gamma_i\|^S_{0,\infty}$ counts the entries of the fullest stripe, the codes of all atoms that meet one
    atom; $\|\Gamma_i\|^P_{0,\infty}$ those of the fullest patch, what an atom of the next layer covers. For
    the last layer, which has no next, a patch is as large as its own atoms.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.
        codes: $\Gamma_1, \dots, \Gamma_L$, shape `(..., H, W, atoms)` or `(..., length, atoms)`.
        strides: Of each layer, or one for all.
        boundary: Whether stripes go on at the other side, `"circular"`, or end at the border, `"zero"`.

    Returns:
        The four figures, shape `(..., layers)`.

    Raises:
        ValueError: If shapes do not match, or a stripe is larger than a circular image.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> dictionaries = multilayer.init(jax.random.key(0), [(2,), (3,)], (1, 2, 4))
        >>> _, *codes = multilayer.sample(jax.random.key(1), dictionaries, (16,), 1)
        >>> multilayer.sparsity(dictionaries, codes).patches.tolist()
        [6, 1]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    dictionaries, strides = _checked(dictionaries, strides)
    if len(codes) != len(dictionaries):
        raise ValueError(
            f"codes of {len(codes)} layers for {len(dictionaries)} dictionaries: leave the image out"
        )
    space = dictionaries[0].ndim - 2
    kernels = [filters.shape[:space] for filters in dictionaries]
    # On the grid of its codes, an atom is as wide as the number of strides that it begins.
    widths = [tuple(-(-k // stride) for k in kernel) for kernel, stride in zip(kernels, strides)]
    stripes, patches, smallest, largest = [], [], [], []
    for z, width, patch in zip(codes, widths, [*kernels[1:], widths[-1]]):
        size, axes = jnp.abs(z), tuple(range(-space - 1, 0))
        across = "periodic" if boundary == "circular" else boundary
        stripes.append(coherence.stripe_sparsity(z, width, boundary=across))
        patches.append(_window_sums((z != 0).astype(jnp.int32), patch, boundary))
        smallest.append(jnp.min(jnp.where(size > 0, size, jnp.inf), axes))
        largest.append(jnp.max(size, axes))
    return Sparsity(*(jnp.stack(rows, -1) for rows in (stripes, patches, smallest, largest)))


def layered_thresholding(
    dictionaries: Dictionaries,
    images: Values,
    thresholds: Amounts,
    *,
    kind: Shrinkage = "soft",
    strides: Strides = 1,
    boundary: Boundary = "circular",
) -> tuple[Float[Array, "..."], ...]:
    r"""Thresholds the analysis of each layer in turn: $\hat\Gamma_i = P_{\beta_i}(D_i^T \hat\Gamma_{i-1})$.

    With nonnegative soft thresholding this is the forward pass of a convolutional network with the filters as
    kernels, biases $-\beta_i$ and rectifiers.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.
        images: $\hat\Gamma_0$, shape `(..., H, W, channels)`, or `(..., length, channels)`.
        thresholds: $\beta_i \ge 0$, a layer: a number, one an atom, or what broadcasts with its codes.
        kind: The thresholding $P$: `"soft"`, `"nonnegative"` (soft, too) or `"hard"`.
        strides: Of each layer, or one for all.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.

    Returns:
        $(\hat\Gamma_1, \dots, \hat\Gamma_L)$, shapes `(..., H, W, atoms)` or `(..., length, atoms)`.

    Raises:
        ValueError: If shapes do not match, strides do not divide the images, a threshold is negative (where
            it has a value), or an option is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> haar = jnp.array([[[1.0, 1.0]], [[1.0, -1.0]]]) / jnp.sqrt(2)
        >>> x = jnp.array([[3.0], [3.0], [0.0], [1.0]])
        >>> multilayer.layered_thresholding([haar], x, [0.5], kind="nonnegative", strides=2)[0].round(2)
        Array([[3.74, 0.  ],
               [0.21, 0.  ]], dtype=float32)

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    dictionaries, strides = _checked(dictionaries, strides)
    _check_images(dictionaries, images, strides)
    if kind not in SHRINKAGES:
        raise ValueError(f"kind is {kind!r}: take one of {', '.join(SHRINKAGES)}")
    thresholds = _per_layer(thresholds, dictionaries, "thresholds", images, strides, positive=False)
    return _thresholded(kind, strides, boundary, dictionaries, images, thresholds)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _thresholded(kind, strides, boundary, dictionaries, images, thresholds):
    layers = []
    for filters, stride, threshold in zip(dictionaries, strides, thresholds):
        images = SHRINKAGES[kind](_analyze(filters, images, stride, boundary), threshold)
        layers.append(images)
    return tuple(layers)


def layered_basis_pursuit(
    dictionaries: Dictionaries,
    images: Values,
    penalties: Amounts,
    *,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "circular",
    tolerance: float = 1e-6,
    max_steps: int = 1000,
) -> tuple[results.LassoResult, ...]:
    r"""Solves a lasso in each layer in turn.

    $\hat\Gamma_i = \arg\min_z \frac12 \|\hat\Gamma_{i-1} - D_i z\|_2^2 + \xi_i \|z\|_1$, by `pursuit.lasso`,
    with its stop, its derivatives and its flags.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.
        images: $\hat\Gamma_0$, shape `(..., H, W, channels)`, or `(..., length, channels)`.
        penalties: $\xi_i > 0$, a layer: a number, one an atom, or what broadcasts with its codes.
        nonnegative: Whether codes must be nonnegative.
        strides: Of each layer, or one for all.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.
        tolerance: Of the duality gap, relative to the objective, in each layer.
        max_steps: Of the solver at most, in each layer.

    Returns:
        A solution a layer: codes `(..., H, W, atoms)` or `(..., length, atoms)`, with gap, steps and whether
        the tolerance was reached. From the second layer on they speak of the problem that the codes before
        pose.

    Raises:
        ValueError: If shapes do not match, strides do not divide the images, or a penalty is not positive
            (where it has a value).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> haar = jnp.array([[[1.0, 1.0]], [[1.0, -1.0]]]) / jnp.sqrt(2)
        >>> x = jnp.array([[3.0], [3.0], [0.0], [1.0]])
        >>> multilayer.layered_basis_pursuit([haar], x, [0.5], strides=2)[0].codes.round(2).tolist()
        [[3.74, 0.0], [0.21, -0.21]]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    dictionaries, strides = _checked(dictionaries, strides)
    _check_images(dictionaries, images, strides)
    penalties = _per_layer(penalties, dictionaries, "penalties", images, strides, positive=True)
    facts = (nonnegative, strides, boundary, float(tolerance), max_steps)
    return _pursued(facts, dictionaries, images, penalties)


@partial(jax.jit, static_argnums=(0,))
def _pursued(facts, dictionaries, images, penalties):
    nonnegative, strides, boundary, tolerance, max_steps = facts
    solutions = []
    for filters, stride, penalty in zip(dictionaries, strides, penalties):
        space, atoms = filters.ndim - 2, filters.shape[-1]
        event = images.shape[-space - 1 :]
        shape = (*(n // stride for n in event[:-1]), atoms)

        def apply(filters, codes, stride=stride, shape=shape):
            images = _synthesize(filters, codes.reshape(*codes.shape[:-1], *shape), stride, boundary)
            return images.reshape(*codes.shape[:-1], -1)

        def adjoint(filters, images, stride=stride, event=event):
            codes = _analyze(filters, images.reshape(*images.shape[:-1], *event), stride, boundary)
            return codes.reshape(*images.shape[:-1], -1)

        lead = images.shape[: images.ndim - space - 1]
        penalty = jnp.broadcast_to(penalty, (*(lead if penalty.ndim > len(shape) else ()), *shape))
        penalty = penalty.reshape(*penalty.shape[: -len(shape)], -1)
        solution = pursuit.lasso(
            (Partial(apply, filters), Partial(adjoint, filters)),
            images.reshape(*lead, -1),
            penalty,
            tolerance=tolerance,
            max_steps=max_steps,
            nonnegative=nonnegative,
        )
        images = solution.codes.reshape(*lead, *shape)
        solutions.append(replace(solution, codes=images))
    return tuple(solutions)


def _objective(dictionaries, deepest, images, penalties, strides, boundary) -> Array:
    """½|x - D_1 ... D_L γ|² + Σ λ_i |D_{i+1} ... D_L γ|_1, of each image."""
    image, *codes = _down(dictionaries, deepest, strides, boundary)
    axes = tuple(range(1 - dictionaries[0].ndim, 0))
    fit = jnp.sum((images - image) ** 2, axes) / 2
    return fit + sum(jnp.sum(penalty * jnp.abs(z), axes) for penalty, z in zip(penalties, codes))


def _iterated(
    dictionaries, images, penalties, step_sizes, steps, nonnegative, strides, boundary, *, accelerated
):
    dictionaries, strides = _checked(dictionaries, strides)
    _check_images(dictionaries, images, strides)
    penalties = _per_layer(penalties, dictionaries, "penalties", images, strides, positive=False)
    if steps < 1:
        raise ValueError(f"steps are {steps}: take 1 at least")
    if step_sizes is None:
        size = images.shape[-dictionaries[0].ndim + 1 : -1]
        step_sizes = 1 / squared_norms(dictionaries, size, strides=strides, boundary=boundary)
    step_sizes = _per_layer(step_sizes, dictionaries, "step sizes", images, strides, positive=True)
    facts = (steps, nonnegative, accelerated, strides, boundary)
    return _iterations(facts, dictionaries, images, penalties, step_sizes)


@partial(jax.jit, static_argnums=(0,))
def _iterations(facts, dictionaries, images, penalties, step_sizes) -> Iterated:
    count, nonnegative, accelerated, strides, boundary = facts
    shrink = nonnegative_soft_threshold if nonnegative else soft_threshold
    space = dictionaries[0].ndim - 2
    lead, size = images.shape[: images.ndim - space - 1], images.shape[-space - 1 : -1]
    dtype = jnp.result_type(images, *dictionaries)

    def step(deepest: Array) -> tuple[Array, ...]:
        current = _down(dictionaries, deepest, strides, boundary)
        below, whole, layers = images, 1, []
        for index, (filters, stride, mu, penalty) in enumerate(
            zip(dictionaries, strides, step_sizes, penalties)
        ):
            whole = whole * mu
            moved = current[index + 1] + mu * _analyze(filters, below - current[index], stride, boundary)
            below = shrink(moved, whole * penalty)
            layers.append(below)
        return tuple(layers)

    def advance(carry, _):
        layers, _, ahead, t = carry
        after = step(ahead)
        following = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        momentum = (t - 1) / following if accelerated else 0
        return (after, layers[-1], after[-1] + momentum * (after[-1] - layers[-1]), following), None

    layers = []
    for filters, stride in zip(dictionaries, strides):
        size = [n // stride for n in size]
        layers.append(jnp.zeros((*lead, *size, filters.shape[-1]), dtype))
    start = (tuple(layers), layers[-1], layers[-1], jnp.ones((), dtype))
    (layers, before, *_), _ = lax.scan(advance, start, length=count)
    axes = tuple(range(-space - 1, 0))
    energy, moved = (jnp.sum(a**2, axes) for a in (layers[-1], layers[-1] - before))
    share = moved / jnp.where(energy > 0, energy, 1)
    changing = share > 0
    return Iterated(
        layers,
        _objective(dictionaries, layers[-1], images, penalties, strides, boundary),
        jnp.where(changing, jnp.sqrt(jnp.where(changing, share, 1)), 0),
        jnp.full(lead, count),
    )


def ml_ista(
    dictionaries: Dictionaries,
    images: Values,
    penalties: Amounts,
    *,
    steps: int = 100,
    step_sizes: Amounts | None = None,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "circular",
) -> Iterated:
    r"""Multilayer iterative shrinkage-thresholding: all layers' codes at once.

    The problem is multilayer basis pursuit, $\min_{\gamma_L} \frac12 \|x - D_1 \cdots D_L \gamma_L\|_2^2 +
    \sum_i \lambda_i \|D_{i+1} \cdots D_L \gamma_L\|_1$. A step takes $\hat\gamma_i = D_{i+1} \cdots D_L
    \gamma_L$ and then, from the first layer to the last, with $\gamma_0 = x$,
    $\gamma_i = S_{t_i \lambda_i}(\hat\gamma_i + \mu_i D_i^T (\gamma_{i-1} - \hat\gamma_{i-1}))$, where
    $t_i = \mu_1 \cdots \mu_i$. One step of size 1 from zero is layered soft thresholding. With
    $\mu_i \le 1 / \|D_i\|_2^2$ the steps converge to a fixed point. With one layer that is the minimiser;
    with more it comes as near to the minimum as $\mu_1, \dots, \mu_{L-1}$ are small.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.
        images: $x$, shape `(..., H, W, channels)`, or `(..., length, channels)`.
        penalties: $\lambda_i \ge 0$, a layer: a number, one an atom, or what broadcasts with its codes.
        steps: How many steps are taken, from zero.
        step_sizes: $\mu_i$, one a layer; by default $1 / \|D_i\|_2^2$.
        nonnegative: Whether codes are nonnegative, each step a recurrent layer of rectifiers.
        strides: Of each layer, or one for all.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.

    Returns:
        The codes $\gamma_i$ of all layers, each as sparse as its shrinkage leaves it, with the objective at
        $\gamma_L$ and the size of the last change.

    Raises:
        ValueError: If shapes do not match, strides do not divide the images, a penalty is negative or a step
            size not positive (where they have values), or there is no step.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> filters = jnp.array([1.0, 2.0])[:, None, None]
        >>> x = jnp.array([0.0, 1.0, 2.0, 0.0])[:, None]
        >>> multilayer.ml_ista([filters], x, [0.5]).codes[0][:, 0].round(3)
        Array([0. , 0.9, 0. , 0. ], dtype=float32)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
    """
    return _iterated(
        dictionaries, images, penalties, step_sizes, steps, nonnegative, strides, boundary, accelerated=False
    )


def ml_fista(
    dictionaries: Dictionaries,
    images: Values,
    penalties: Amounts,
    *,
    steps: int = 100,
    step_sizes: Amounts | None = None,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "circular",
) -> Iterated:
    r"""Accelerated `ml_ista`: its step is taken from codes that Nesterov's momentum has carried on.

    From $\gamma_L^k + \frac{\tau_k - 1}{\tau_{k+1}} (\gamma_L^k - \gamma_L^{k-1})$ instead of $\gamma_L^k$,
    with $\tau_1 = 1$ and $\tau_{k+1} = (1 + \sqrt{1 + 4 \tau_k^2}) / 2$. The first step is that of `ml_ista`.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.
        images: $x$, shape `(..., H, W, channels)`, or `(..., length, channels)`.
        penalties: $\lambda_i \ge 0$, a layer: a number, one an atom, or what broadcasts with its codes.
        steps: How many steps are taken, from zero.
        step_sizes: $\mu_i$, one a layer; by default $1 / \|D_i\|_2^2$.
        nonnegative: Whether codes are nonnegative.
        strides: Of each layer, or one for all.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.

    Returns:
        What `ml_ista` returns.

    Raises:
        ValueError: As `ml_ista`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> filters = jnp.array([1.0, 2.0])[:, None, None]
        >>> x = jnp.array([0.0, 1.0, 2.0, 0.0])[:, None]
        >>> multilayer.ml_fista([filters], x, [0.5], steps=60).codes[0][:, 0].round(3)
        Array([0. , 0.9, 0. , 0. ], dtype=float32)

    References:
        Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
        neural networks, 2019.
        Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems,
        2009.
    """
    return _iterated(
        dictionaries, images, penalties, step_sizes, steps, nonnegative, strides, boundary, accelerated=True
    )


def uniqueness_guarantee(coherences: Values, sparsity: Sparsity) -> Guarantee:
    r"""Codes as sparse as this in every layer are the only ones of their image (theorem 4).

    $\|\Gamma_i\|^S_{0,\infty} < \frac12 (1 + 1 / \mu(D_i))$ for all $i$.

    Args:
        coherences: $\mu(D_i) > 0$, shape `(layers,)`, as `coherences` gives them.
        sparsity: Of the codes, as `sparsity` gives it.

    Returns:
        The sparsity to stay below, an error of zero, and whether the hypothesis holds.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> one = jnp.ones(2)
        >>> codes = multilayer.Sparsity(jnp.array([2.0, 3.0]), one, one, one)
        >>> multilayer.uniqueness_guarantee(jnp.array([0.25, 0.25]), codes).holds.tolist()
        [True, False]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    bounds = coherence.uniqueness_sparsity(jnp.asarray(coherences))
    holds = _so_far(sparsity.stripes < bounds)
    return Guarantee(jnp.broadcast_to(bounds, holds.shape), jnp.where(holds, 0.0, jnp.inf), holds)


def stability_guarantee(coherences: Values, sparsity: Sparsity, noise: Amount) -> Guarantee:
    r"""All codes as sparse as these that meet a noisy image are close to each other (theorem 5).

    $\|\Gamma_i - \hat\Gamma_i\|_2^2 \le \epsilon_i^2 = 4 \epsilon_{i-1}^2 / (1 - (2 \lambda_i - 1) \mu(D_i))$
    for codes with stripes of at most $\lambda_i < \frac12 (1 + 1 / \mu(D_i))$ entries and with
    $\|\Gamma_{i-1} - D_i \Gamma_i\|_2 \le \epsilon_{i-1}$.

    Args:
        coherences: $\mu(D_i) > 0$, shape `(layers,)`, as `coherences` gives them.
        sparsity: Of the codes, as `sparsity` gives it; $\lambda_i$ are its stripes.
        noise: $\epsilon_0$, the norm of the noise, shape `(...,)`.

    Returns:
        The sparsity to stay below, the bounds $\epsilon_i$, and whether the hypothesis holds.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> one = jnp.ones(2)
        >>> codes = multilayer.Sparsity(jnp.array([2.0, 2.0]), one, one, one)
        >>> multilayer.stability_guarantee(jnp.array([0.25, 0.25]), codes, 0.5).errors.tolist()
        [2.0, 8.0]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    bounds = coherence.uniqueness_sparsity(jnp.asarray(coherences))
    holds = _so_far(sparsity.stripes < bounds)
    gains = coherence.stability_error(coherences, sparsity.stripes, 1.0)
    errors = jnp.asarray(noise)[..., None] * jnp.cumprod(gains, -1)
    return Guarantee(jnp.broadcast_to(bounds, holds.shape), jnp.where(holds, errors, jnp.inf), holds)


def thresholding_guarantee(
    coherences: Values,
    sparsity: Sparsity,
    noise: Amount,
    *,
    kind: Thresholding = "soft",
    thresholds: Amounts | None = None,
) -> Guarantee:
    r"""What layered thresholding finds (theorem 8 for hard and 10 for soft thresholding).

    If $\|\Gamma_i\|^S_{0,\infty} < \frac12 (1 + \frac{\Gamma_i^{\min}}{\mu(D_i) \Gamma_i^{\max}}) -
    \frac{\epsilon_{i-1}}{\mu(D_i) \Gamma_i^{\max}}$ in every layer and thresholds $\beta_i$ are above
    $\epsilon_{i-1} + \mu(D_i) \|\Gamma_i\|^S_{0,\infty} \Gamma_i^{\max}$ and below $\Gamma_i^{\min} -
    \epsilon_{i-1} - \mu(D_i) (\|\Gamma_i\|^S_{0,\infty} - 1) \Gamma_i^{\max}$, supports are found and
    $\|\Gamma_i - \hat\Gamma_i\|^P_{2,\infty} \le \epsilon_i = \sqrt{\|\Gamma_i\|^P_{0,\infty}} \,
    (\epsilon_{i-1} + \mu(D_i) (\|\Gamma_i\|^S_{0,\infty} - 1) \Gamma_i^{\max} + \beta_i)$, without the
    last term for hard thresholding.

    Args:
        coherences: $\mu(D_i) > 0$, shape `(layers,)`, as `coherences` gives them.
        sparsity: Of the true codes, as `sparsity` gives it.
        noise: $\epsilon_0 = \|E\|^P_{2,\infty}$, shape `(...,)`: `patch_norm` with the first filters' size.
        kind: `"soft"` or `"hard"`.
        thresholds: $\beta_i$, shape `(..., layers)`; by default the middle of the interval for hard
            thresholding, and a hundredth of its length from its lower end for soft; half of the smallest
            entry where the hypothesis does not hold.

    Returns:
        The sparsity to stay below, the bounds $\epsilon_i$, whether the hypothesis holds, and the thresholds.

    Raises:
        ValueError: If the kind is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> one, two = jnp.ones(1), jnp.full(1, 2.0)
        >>> codes = multilayer.Sparsity(two, two, one, one)
        >>> found = multilayer.thresholding_guarantee(jnp.array([0.125]), codes, 0.0, kind="hard")
        >>> found.sparsities.tolist(), found.parameters.tolist(), found.errors.round(3).tolist()
        ([4.5], [0.5625], [0.177])

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    if kind not in _ABOVE_LOWEST:
        raise ValueError(f"kind is {kind!r}: take 'soft' or 'hard'")
    mu = jnp.asarray(coherences)
    error = jnp.asarray(noise)
    holds, columns = True, []
    for layer in range(mu.shape[-1]):
        of = jax.tree.map(lambda values: values[..., layer], sparsity)  # noqa: B023 (called at once)
        cross = mu[..., layer] * of.largest
        lowest = error + cross * of.stripes
        highest = of.smallest - error - cross * (of.stripes - 1)
        if thresholds is None:
            share = _ABOVE_LOWEST[kind]
            # Without entries there is nothing to lose above the lowest.
            threshold = lowest + share * jnp.where(highest < jnp.inf, highest - lowest, 1)
            threshold = jnp.where(holds & (lowest < highest), threshold, of.smallest / 2)
        else:
            threshold = jnp.asarray(thresholds)[..., layer]
        bound = coherence.thresholding_sparsity(mu[..., layer], of.smallest, of.largest, error)
        holds = holds & (lowest < threshold) & (threshold < highest)
        entrywise = error + cross * (of.stripes - 1) + (threshold if kind == "soft" else 0)
        error = jnp.where(holds, jnp.sqrt(of.patches) * entrywise, jnp.inf)
        columns.append((bound, error, holds, threshold))
    shape = jnp.broadcast_shapes(*(jnp.shape(value) for column in columns for value in column))
    parts = ([jnp.broadcast_to(value, shape) for value in row] for row in zip(*columns))
    return Guarantee(*(jnp.stack(part, -1) for part in parts))


def basis_pursuit_guarantee(coherences: Values, sparsity: Sparsity, noise: Amount) -> Guarantee:
    r"""What layered basis pursuit finds (theorem 12).

    If $\|\Gamma_i\|^S_{0,\infty} < \frac13 (1 + 1 / \mu(D_i))$ in every layer and penalties are
    $\xi_i = 4 \epsilon_{i-1}$, supports lie in those of $\Gamma_i$, $\|\Gamma_i - \hat\Gamma_i\|^P_{2,\infty}
    \le \epsilon_i = \epsilon_0 \, 7.5^i \prod_{j \le i} \sqrt{\|\Gamma_j\|^P_{0,\infty}}$, and every entry
    larger than $\epsilon_i / \sqrt{\|\Gamma_i\|^P_{0,\infty}}$ is found.

    Args:
        coherences: $\mu(D_i) > 0$, shape `(layers,)`, as `coherences` gives them.
        sparsity: Of the true codes, as `sparsity` gives it.
        noise: $\epsilon_0 = \|E\|^P_{2,\infty}$, shape `(...,)`: `patch_norm` with the first filters' size.

    Returns:
        The sparsity to stay below, the bounds $\epsilon_i$, whether the hypothesis holds, and the penalties.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> one = jnp.ones(2)
        >>> codes = multilayer.Sparsity(2 * one, 4 * one, one, one)
        >>> multilayer.basis_pursuit_guarantee(jnp.array([0.125, 0.125]), codes, 1.0).errors.tolist()
        [15.0, 225.0]

    References:
        Papyan, Romano and Elad, Convolutional neural networks analyzed via convolutional sparse coding, 2017.
    """
    bounds = (1 + 1 / jnp.asarray(coherences)) / 3
    holds = _so_far(sparsity.stripes < bounds)
    noise = jnp.asarray(noise)[..., None]
    errors = noise * jnp.cumprod(7.5 * jnp.sqrt(sparsity.patches), -1)
    before = jnp.concatenate([jnp.broadcast_to(noise, errors[..., :1].shape), errors[..., :-1]], -1)
    return Guarantee(
        jnp.broadcast_to(bounds, holds.shape), jnp.where(holds, errors, jnp.inf), holds, 4 * before
    )


def _so_far(holds: Array) -> Array:
    """Whether something holds in a layer and all before."""
    return jnp.cumprod(holds, -1).astype(bool)


def learn_init(dictionaries: Dictionaries) -> Learning:
    """Begins to learn dictionaries, with those given divided by their norms.

    Args:
        dictionaries: Filters `(height, width, channels, atoms)`, or `(length, channels, atoms)`, by layers.

    Returns:
        The state that `learn_step` takes.

    Raises:
        ValueError: If shapes do not match.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> multilayer.learn_init([jnp.full((4, 1, 1), 3.0)]).dictionaries[0][:, 0, 0]
        Array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    dictionaries, _ = _checked(dictionaries, 1)
    dictionaries = tuple(_normalised(filters) for filters in dictionaries)
    dtype = dictionaries[0].dtype
    return Learning(dictionaries, jnp.ones((), dtype), jnp.full((), jnp.inf, dtype))


def learn_step(
    state: Learning,
    images: Values,
    penalties: Amounts,
    *,
    code_steps: int = 50,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "circular",
) -> Learning:
    r"""One step of learning: codes of some images by `ml_fista`, then a step on the filters of all layers.

    Both lower the mean over images of the objective of `ml_ista`. The filters go down its gradient along the
    sphere, each atom's divided by the energy of its codes (and its layer's by the squared norms of the
    dictionaries above), by a step that is halved until it lowers the
    objective with these codes by a share of what the gradient promises. An atom that is not used stays.

    Args:
        state: From `learn_init` or the step before.
        images: A batch, shape `(batch, H, W, channels)`, or `(batch, length, channels)`; leading axes are
            all averaged over.
        penalties: $\lambda_i \ge 0$, a layer: a number, one an atom, or what broadcasts with its codes.
        code_steps: Steps of `ml_fista`.
        nonnegative: Whether codes are nonnegative.
        strides: Of each layer, or one for all.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.

    Returns:
        The next state.

    Raises:
        ValueError: As `ml_fista`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> state = multilayer.learn_init(multilayer.init(jax.random.key(0), [(3,), (3,)], (1, 2, 4)))
        >>> images = jax.random.normal(jax.random.key(1), (8, 16, 1))
        >>> one = multilayer.learn_step(state, images, [0.1, 0.1])
        >>> bool(multilayer.learn_step(one, images, [0.1, 0.1]).objective < one.objective)
        True

    References:
        Sulam, Papyan, Romano and Elad, Multilayer convolutional sparse modeling: pursuit and dictionary
        learning, 2018.
    """
    dictionaries, strides = _checked(state.dictionaries, strides)
    _check_images(dictionaries, images, strides)
    penalties = _per_layer(penalties, dictionaries, "penalties", images, strides, positive=False)
    facts = (code_steps, nonnegative, strides, boundary)
    return _learn_step(facts, replace(state, dictionaries=dictionaries), images, penalties)


@partial(jax.jit, static_argnums=(0,))
def _learn_step(facts, state: Learning, images, penalties) -> Learning:
    code_steps, nonnegative, strides, boundary = facts
    dictionaries = state.dictionaries
    size = images.shape[1 - dictionaries[0].ndim : -1]
    step_sizes = 1 / squared_norms(dictionaries, size, strides=strides, boundary=boundary)
    found = ml_fista(
        dictionaries, images, penalties, steps=code_steps, step_sizes=step_sizes, nonnegative=nonnegative,
        strides=strides, boundary=boundary,
    )  # fmt: skip
    codes = lax.stop_gradient(found.codes[-1])

    def objective(dictionaries):
        return jnp.mean(_objective(dictionaries, codes, images, penalties, strides, boundary))

    value, gradient = jax.value_and_grad(objective)(dictionaries)
    layers = _down(dictionaries, codes, strides, boundary)[1:]
    # The dictionaries above magnify what an atom contributes to the image.
    scales = jnp.concatenate([jnp.ones(1, step_sizes.dtype), jnp.cumprod(step_sizes)])
    directions, slope = [], 0
    for filters, slopes, z, scale in zip(dictionaries, gradient, layers, scales):
        axes = tuple(range(filters.ndim - 1))
        tangent = slopes - filters * jnp.sum(filters * slopes, axes)
        energy = jnp.mean(z**2, tuple(range(z.ndim - 1))) * math.prod(z.shape[1 - filters.ndim : -1])
        direction = scale * tangent / jnp.where(energy > 0, energy, 1)
        directions.append(direction)
        slope = slope + jnp.sum(tangent * direction)

    def moved(rate):
        return tuple(_normalised(d - rate * p) for d, p in zip(dictionaries, directions))

    def too_far(carry):
        rate, tries = carry
        return (objective(moved(rate)) > value - _ARMIJO * rate * slope) & (tries < _HALVINGS)

    def halved(carry):
        rate, tries = carry
        return rate / 2, tries + 1

    rate, tries = lax.while_loop(too_far, halved, (state.rate, 0))
    lower = tries < _HALVINGS
    after = jax.tree.map(lambda new, old: jnp.where(lower, new, old), moved(rate), dictionaries)
    return Learning(after, jnp.where(lower, _GROWTH * rate, state.rate), value)


def learn(
    dictionaries: Dictionaries,
    images: Values,
    penalties: Amounts,
    *,
    steps: int = 100,
    code_steps: int = 50,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "circular",
) -> tuple[tuple[Float[Array, "..."], ...], Float[Array, " steps"]]:
    r"""Learns the dictionaries of all layers together, by `learn_step` on all images at once.

    Args:
        dictionaries: Filters to begin with, such as those of `init`.
        images: Shape `(batch, H, W, channels)`, or `(batch, length, channels)`.
        penalties: $\lambda_i \ge 0$, a layer: a number, one an atom, or what broadcasts with its codes.
        steps: How many.
        code_steps: Steps of `ml_fista` in each of them.
        nonnegative: Whether codes are nonnegative.
        strides: Of each layer, or one for all.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.

    Returns:
        The dictionaries, and the mean objective `(steps,)` before each step on the filters.

    Raises:
        ValueError: As `ml_fista`.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> start = multilayer.init(jax.random.key(0), [(3,), (3,)], (1, 2, 4))
        >>> images = jax.random.normal(jax.random.key(1), (8, 16, 1))
        >>> _, objective = multilayer.learn(start, images, [0.1, 0.1], steps=10)
        >>> bool(objective[-1] < objective[0])
        True

    References:
        Sulam, Papyan, Romano and Elad, Multilayer convolutional sparse modeling: pursuit and dictionary
        learning, 2018.
    """
    state = learn_init(dictionaries)
    if steps < 1:
        raise ValueError(f"steps are {steps}: take 1 at least")
    _, strides = _checked(state.dictionaries, strides)
    _check_images(state.dictionaries, images, strides)
    penalties = _per_layer(penalties, state.dictionaries, "penalties", images, strides, positive=False)
    facts = (code_steps, nonnegative, strides, boundary)
    return _learned(facts, steps, state, images, penalties)


@partial(jax.jit, static_argnums=(0, 1))
def _learned(facts, steps, state, images, penalties):
    def advance(state, _):
        state = _learn_step(facts, state, images, penalties)
        return state, state.objective

    state, objectives = lax.scan(advance, state, length=steps)
    return state.dictionaries, objectives
