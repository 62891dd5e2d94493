r"""Convolutional LISTA: an unrolled pursuit with learnt filters, for images and signals of any size.

A layer computes $z \leftarrow \mathrm{soft}_\theta(z + w_e \star (x - w_d * z))$ from codes of zero: the
decoder's filters $w_d$ synthesise an image from the maps $z$, the encoder's $w_e$ correlate with what it
misses, and each map has its threshold. A last bank of filters, $d$, makes the image $d * z$ of the codes.
At the start the network is ISTA for the convolutional lasso over one bank. Filters and maps are those of
`jaxtheory.sparse.convolutional`.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse.unrolled import convolutional_lista
    >>> params = convolutional_lista.init(jax.random.key(0), (5, 5, 1, 4), steps=3, penalty=0.1)
    >>> codes = convolutional_lista.apply(params, jnp.ones((2, 16, 16, 1)))
    >>> codes.shape, convolutional_lista.reconstruct(params, codes).shape
    ((2, 16, 16, 4), (2, 16, 16, 1))
"""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxtheory.sparse.convolutional import Boundary, analyze, synthesize
from jaxtheory.sparse.proximal import soft_threshold
from jaxtheory.sparse.pytrees import _registered
from jaxtheory.sparse.unrolled.layers import (
    AnyKey,
    Number,
    _check_positive,
    _check_steps,
    _unroll,
)

Values = Float[Array, "..."] | Float[np.ndarray, "..."]
Filters = Values | tuple[int, ...]

_OVERSAMPLING = 8
"""Frequencies for each pixel of a filter at which its response is sampled to bound it in between."""


@_registered
@dataclass(frozen=True)
class Parameters:
    """Filters and thresholds, with a first axis of the layers where each has its own."""

    encoder: Any
    """(height, width, channels, atoms) or (length, channels, atoms), or with a first axis (steps,)."""
    decoder: Any
    """Of the encoder's shape."""
    threshold: Any
    """(atoms,) or (steps, atoms)."""
    dictionary: Any
    """(height, width, channels, atoms) or (length, channels, atoms), of the image that codes stand for."""
    steps: int = field(metadata={"static": True})
    """The number of layers."""
    boundary: str = field(metadata={"static": True})
    """What lies beyond the border: "circular" or "zero"."""

    @property
    def tied(self) -> bool:
        """Whether all layers share their filters."""
        return jnp.ndim(self.encoder) == jnp.ndim(self.dictionary)


def _largest_response(filters: Array) -> Array:
    """A bound on the largest eigenvalue of synthesis followed by analysis, for images of any size.

    On a torus that operator's eigenvalues are those of a small matrix a frequency, whose entries are
    trigonometric polynomials of as many coefficients as a filter has pixels. Their largest value exceeds the
    largest sample by a factor known from the sampling, as a polynomial of degree n bends so much only.
    """
    kernel = filters.shape[:-2]
    sizes = [_OVERSAMPLING * k for k in kernel]
    spectra = jnp.fft.fftn(filters, s=sizes, axes=range(len(kernel)))
    channels = jnp.einsum("...ck,...dk->...cd", spectra, jnp.conj(spectra), precision="highest")
    factor = math.prod(math.cos(math.pi * (k - 1) / size) for k, size in zip(kernel, sizes))
    return jnp.max(jnp.linalg.eigvalsh(channels)) / factor


def init(
    key: AnyKey,
    filters: Filters,
    *,
    steps: int,
    penalty: Number,
    tied: bool = True,
    boundary: Boundary = "zero",
) -> Parameters:
    r"""The parameters with which the network is ISTA for the convolutional lasso.

    $w_e = d / L$, $w_d = d$, $\theta = \lambda / L$, where $L$ is at least the largest eigenvalue of
    synthesis and analysis with the filters $d$, whatever the size of the images.

    Args:
        key: What filters are drawn from, if none are given.
        filters: Shape `(height, width, channels, atoms)`, or `(length, channels, atoms)` for signals; or the
            tuple of these numbers, for random filters of unit norm.
        steps: The number of layers, at least 1.
        penalty: $\lambda > 0$.
        tied: Whether all layers share their filters and thresholds.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.

    Returns:
        The parameters.

    Raises:
        ValueError: If the filters have neither 3 nor 4 axes or an empty one, there is no step, the penalty
            (where it has a value) is not positive, or the boundary is unknown.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import convolutional_lista
        >>> params = convolutional_lista.init(jax.random.key(0), (7, 1, 4), steps=3, penalty=0.1, tied=False)
        >>> params.encoder.shape, params.threshold.shape, params.dictionary.shape
        ((3, 7, 1, 4), (3, 4), (7, 1, 4))

    References:
        Sreter and Giryes, Learned convolutional sparse coding, 2018.
    """
    _check_steps(steps)
    _check_positive("penalty", penalty)
    shape = filters if isinstance(filters, tuple) else jnp.shape(filters)
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise ValueError(
            "filters have shape (height, width, channels, atoms) for images or (length, channels, atoms) for "
            f"signals, found {tuple(shape)}"
        )
    if boundary not in ("circular", "zero"):
        raise ValueError(f"boundary is {boundary!r}: take 'circular' or 'zero'")
    if isinstance(filters, tuple):
        drawn = jax.random.normal(key, filters)
        axes = tuple(range(len(filters) - 1))
        filters = drawn / jnp.sqrt(jnp.sum(drawn**2, axis=axes, keepdims=True))
    filters = jnp.asarray(filters)
    largest = _largest_response(filters)
    threshold = jnp.broadcast_to(penalty / largest, shape[-1:]).astype(filters.dtype)
    own = (filters / largest, filters, threshold)
    if not tied:
        own = tuple(jnp.broadcast_to(leaf, (steps, *leaf.shape)) for leaf in own)
    return Parameters(*own, filters, steps, boundary)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def apply(
    params: Parameters, x: Values, *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    r"""The codes after the last layer, $z \leftarrow \mathrm{soft}_\theta(z + w_e \star (x - w_d * z))$.

    Args:
        params: What `init` returned, or what became of it.
        x: Images, shape `(..., H, W, channels)`, or signals, shape `(..., length, channels)`.
        iterates: Whether to return the codes after each layer.
        remat: Whether reverse mode keeps only the codes between layers and computes what is inside again.

    Returns:
        Shape `(..., H, W, atoms)` or `(..., length, atoms)`, for the iterates with a first axis `(steps,)`.

    Raises:
        ValueError: If the images have not the filters' axes and channels, or filters do not fit on circular
            ones.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import convolutional_lista
        >>> params = convolutional_lista.init(jax.random.key(0), (7, 1, 4), steps=3, penalty=0.1)
        >>> convolutional_lista.apply(params, jnp.ones((5, 20, 1)), iterates=True).shape
        (3, 5, 20, 4)

    References:
        Sreter and Giryes, Learned convolutional sparse coding, 2018.
    """
    x = jnp.asarray(x)
    own = (params.encoder, params.decoder, params.threshold)
    *axes, channels, atoms = params.dictionary.shape
    if x.ndim <= len(axes) or x.shape[-1] != channels:
        what = "images (..., H, W" if len(axes) == 2 else "signals (..., length"
        raise ValueError(
            f"these parameters are for {what}, {channels}), found {x.shape}: the last axis is that of the "
            "channels"
        )
    start = jnp.zeros((*x.shape[:-1], atoms), jnp.result_type(x, *own))

    def step(codes, layer):
        encoder, decoder, threshold = own if layer is None else layer
        left = x - synthesize(decoder, codes, boundary=params.boundary)
        return soft_threshold(codes + analyze(encoder, left, boundary=params.boundary), threshold)

    return _unroll(step, start, None if params.tied else own, params.steps, iterates=iterates, remat=remat)


def reconstruct(params: Parameters, codes: Values) -> Float[Array, "..."]:
    """The image or signal that codes stand for, by the last bank of filters.

    Args:
        params: What `init` returned, or what became of it.
        codes: Shape `(..., H, W, atoms)` or `(..., length, atoms)`.

    Returns:
        Shape `(..., H, W, channels)` or `(..., length, channels)`.

    Raises:
        ValueError: If there are not as many maps as filters.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import convolutional_lista
        >>> params = convolutional_lista.init(jax.random.key(0), (7, 1, 4), steps=3, penalty=0.1)
        >>> convolutional_lista.reconstruct(params, jnp.ones((5, 20, 4))).shape
        (5, 20, 1)

    References:
        Sreter and Giryes, Learned convolutional sparse coding, 2018.
    """
    return synthesize(params.dictionary, codes, boundary=params.boundary)
