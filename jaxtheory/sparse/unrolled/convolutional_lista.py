r"""Convolutional LISTA: an unrolled pursuit with learned filters, for images and signals of any size.

A layer computes $z \leftarrow \mathrm{soft}_\theta(z + w_e \star (x - w_d * z))$ from codes of zero: the
decoder's filters $w_d$ synthesize an image from the maps $z$, the encoder's $w_e$ correlate with what it
misses, and each map has its threshold. A last bank of filters, $d$, makes the image $d * z$ of the codes.
At the start the network is ISTA for the convolutional lasso over one bank.

Conventions: filters are `(height, width, channels, atoms)`, images `(..., H, W, channels)` and codes
`(..., H, W, atoms)`; signals have filters `(length, channels, atoms)` and one axis less everywhere.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse.unrolled import convolutional_lista
    >>> params = convolutional_lista.init(jax.random.key(0), (5, 5, 1, 4), steps=3, penalty=0.1)
    >>> codes = convolutional_lista.apply(params, jnp.ones((2, 16, 16, 1)))
    >>> codes.shape, convolutional_lista.reconstruct(params, codes).shape
    ((2, 16, 16, 4), (2, 16, 16, 1))
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import squared_norm
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, Boundary, RandomKey, RealScalar
from jaxtheory.sparse.convolutional import analyze, normalize, synthesize
from jaxtheory.sparse.convolutional.plan import check_filters
from jaxtheory.sparse.proximal import soft_threshold
from jaxtheory.sparse.unrolled.layers import applied, is_shape, repeat, unroll

Filters = Real[AnyArray, "..."] | tuple[int, int, int] | tuple[int, int, int, int]
"""Filters, or the shape of those that are drawn at random."""

OVERSAMPLING = 8
"""The number of frequencies for each pixel of a filter at which its response is sampled."""


@record
class Parameters:
    """Filters and thresholds, with a first axis of the layers where each has its own."""

    encoder: Float[AnyArray, "..."]
    """The encoder's filters."""
    decoder: Float[AnyArray, "..."]
    """The decoder's filters, of the encoder's shape."""
    threshold: Float[AnyArray, "*steps atoms"]
    """The threshold of each map."""
    dictionary: Float[AnyArray, "..."]
    """The filters of the image that codes stand for."""
    steps: int = static()
    """The number of layers."""
    boundary: str = static()
    """What lies beyond the border: "periodic" or "zero"."""

    @property
    def tied(self) -> bool:
        """Whether all layers share their filters."""
        return jnp.ndim(self.encoder) == jnp.ndim(self.dictionary)


def _largest_response(filters: Array) -> Array:
    """A bound on the largest eigenvalue of synthesis followed by analysis, for images of any size."""
    # On a torus that operator's eigenvalues are those of a small matrix a frequency, whose entries are
    # trigonometric polynomials of as many coefficients as a filter has pixels. Their largest value exceeds
    # the largest sample by a factor known from the sampling, as a polynomial of degree n bends so much only.
    kernel = filters.shape[:-2]
    sizes = [OVERSAMPLING * k for k in kernel]
    spectra = jnp.fft.fftn(filters, s=sizes, axes=range(len(kernel)))
    factor = math.prod(math.cos(math.pi * (k - 1) / size) for k, size in zip(kernel, sizes))
    return jnp.max(squared_norm(spectra)) / factor


def init(
    key: RandomKey,
    filters: Filters,
    *,
    steps: int,
    penalty: RealScalar,
    tied: bool = True,
    boundary: Boundary = "zero",
) -> Parameters:
    r"""Make the parameters with which the network is ISTA for the convolutional lasso.

    $w_e = d / L$, $w_d = d$, $\theta = \lambda / L$, where $L$ is at least the largest eigenvalue of
    synthesis and analysis with the filters $d$, whatever the size of the images.

    Args:
        key: The random key for drawing filters, used only if none are given.
        filters: The filters, or their shape as a tuple of whole numbers, for random filters of unit norm.
        steps: The number of layers, at least 1.
        penalty: The weight $\lambda > 0$ of the sparsity term.
        tied: Whether all layers share their filters and thresholds.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.

    Returns:
        The parameters. Those of filters of zeros give codes of zero.

    Raises:
        ValueError: If the filters have neither 3 nor 4 axes or an empty one, there is no step, the penalty is
            not positive, or the boundary is unknown.
        TypeError: If an array is not real, a count is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.unrolled import convolutional_lista
        >>> params = convolutional_lista.init(jax.random.key(0), (7, 1, 4), steps=3, penalty=0.1, tied=False)
        >>> params.encoder.shape, params.threshold.shape, params.dictionary.shape
        ((3, 7, 1, 4), (3, 4), (7, 1, 4))

    References:
        Sreter and Giryes, Learned convolutional sparse coding, 2018.
    """
    steps = checks.count("steps", steps)
    checks.positive("penalty", penalty, one=True)
    checks.one_of("boundary", boundary, ("periodic", "zero"))
    checks.random_key("key", key)
    if is_shape(filters):
        ends = ("channels", "atoms")
        shape = checks.sizes("filters", filters, ("height", "width", *ends), ("length", *ends))
        filters = normalize(jax.random.normal(key, shape))
    (filters,), back = real_arrays(filters=filters)
    check_filters(filters)
    largest = _largest_response(filters)
    largest = jnp.where(largest > 0, largest, 1)
    threshold = jnp.broadcast_to(penalty / largest, filters.shape[-1:]).astype(filters.dtype)
    own = repeat([filters / largest, filters, threshold], steps, tied=tied)
    return back(Parameters(*own, filters, steps, boundary))


def apply(
    params: Parameters, x: Real[AnyArray, "..."], *, iterates: bool = False, remat: bool = False
) -> Float[Array, "..."]:
    r"""Return the codes after the last layer.

    $z \leftarrow \mathrm{soft}_\theta(z + w_e \star (x - w_d * z))$ from $z = 0$.

    Args:
        params: The parameters, as `init` returned them or as training left them.
        x: The images, or signals.
        iterates: Whether to return the codes after each layer, with a first axis of the layers.
        remat: Whether reverse mode stores only the codes between layers and recomputes what lies inside them.

    Returns:
        The codes, or the iterates.

    Raises:
        ValueError: If the images do not have the filters' axes and channels, or filters do not fit on
            periodic ones.
        TypeError: If the images are not real, or a flag is not one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse.unrolled import convolutional_lista
        >>> params = convolutional_lista.init(jax.random.key(0), (7, 1, 4), steps=3, penalty=0.1)
        >>> convolutional_lista.apply(params, jnp.ones((5, 20, 1)), iterates=True).shape
        (3, 5, 20, 4)

    References:
        Sreter and Giryes, Learned convolutional sparse coding, 2018.
    """
    *kernel, channels, _ = np.shape(params.dictionary)
    axes = (*(("height", "width") if len(kernel) == 2 else ("length",)), "channels")
    sizes = [*[None] * len(kernel), channels]
    return applied(_applied, params, x, axes, sizes, iterates=iterates, remat=remat)


@partial(jax.jit, static_argnames=("iterates", "remat"))
def _applied(params: Parameters, x: Array, *, iterates: bool, remat: bool) -> Array:
    shared = (params.encoder, params.decoder, params.threshold)
    start = jnp.zeros((*x.shape[:-1], params.dictionary.shape[-1]), x.dtype)

    def step(codes: Array, own: tuple[Array, ...] | None) -> Array:
        encoder, decoder, threshold = shared if own is None else own
        left = x - synthesize(decoder, codes, boundary=params.boundary)
        return soft_threshold(codes + analyze(encoder, left, boundary=params.boundary), threshold)

    layers = None if params.tied else shared
    return unroll(step, start, layers, params.steps, iterates=iterates, remat=remat)


def reconstruct(params: Parameters, codes: Real[AnyArray, "..."]) -> Float[Array, "..."]:
    """Return the image or signal that codes stand for, by the last bank of filters.

    Args:
        params: The parameters, as `init` returned them or as training left them.
        codes: The codes.

    Returns:
        The images, or signals.

    Raises:
        ValueError: If there are not as many maps as filters.
        TypeError: If the codes are not real.

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
