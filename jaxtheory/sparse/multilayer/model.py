r"""The multilayer model: random filters, images made of deepest codes, and samples.

Conventions: filters are a sequence with an entry for each layer, `(height, width, channels, atoms)` or, for
signals, `(length, channels, atoms)`; the channels of a layer are the atoms of the one before. Images are
`(..., H, W, channels)` and codes `(..., H, W, atoms)`, with one axis less for signals. Strides are those of
each layer, or one for all: an image is as many times as high and wide as its codes.
"""

import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, Boundary, RandomKey, RealScalar
from jaxtheory.sparse import convolutional
from jaxtheory.sparse.multilayer.layout import Layers, Layout, Strides


def init(
    key: RandomKey,
    kernel_size: Sequence[int | Sequence[int]],
    atoms: Sequence[int],
    *,
    channels: int = 1,
) -> tuple[Float[Array, "..."], ...]:
    """Draw random filters whose atoms are uniform on the sphere.

    Args:
        key: The random key.
        kernel_size: The size of the filters of each layer: `(height, width)`, one number for a square, or
            `(length,)` for signals.
        atoms: The number of atoms of each layer.
        channels: The number of channels of the images.

    Returns:
        The filters of each layer, with atoms of unit norm.

    Raises:
        ValueError: If there are not as many sizes as numbers of atoms, or one is below 1.
        TypeError: If a size is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> [d.shape for d in multilayer.init(jax.random.key(0), [(6, 6), (4, 4)], (8, 16))]
        [(6, 6, 1, 8), (4, 4, 8, 16)]
    """
    checks.random_key("key", key)
    atoms = checks.counts("atoms", atoms, each="layer")
    kernel_size = checks.entries("kernel_size", kernel_size, "a size for each layer")
    if len(kernel_size) != len(atoms):
        raise ValueError(
            f"kernel_size has {len(kernel_size)} entries and atoms has {len(atoms)}: take as many of both"
        )
    forms = (("height", "width"), ("length",))
    sizes = [checks.sizes("kernel_size", one, *forms, square=True) for one in kernel_size]
    widths = [checks.count("channels", channels), *atoms]
    keys = jax.random.split(key, max(len(sizes), 1))
    filters = [
        jax.random.normal(own, (*size, below, above))
        for own, size, below, above in zip(keys, sizes, widths, widths[1:])
    ]
    Layout.of(filters, 1)
    return tuple(convolutional.normalize(one) for one in filters)


def synthesize(
    filters: Layers, codes: Real[AnyArray, "..."], *, strides: Strides = 1, boundary: Boundary = "periodic"
) -> tuple[Float[Array, "..."], ...]:
    r"""Return the image and the codes of all layers that the deepest codes stand for.

    $\Gamma_{i-1} = D_i \Gamma_i$ from the deepest layer to the image.

    Args:
        filters: The filters $D_i$ of each layer.
        codes: The deepest codes $\Gamma_L$.
        strides: The strides of each layer, or one for all.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.

    Returns:
        $(X, \Gamma_1, \dots, \Gamma_L)$.

    Raises:
        ValueError: If shapes do not match, or a filter, rounded up to strides, does not fit on its image.
        TypeError: If an array is not real.

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
    layout, filters, (codes,), back = Layout.prepare(filters, strides, boundary, codes=codes)
    return back(_synthesized(layout, filters, codes))


@partial(jax.jit, static_argnums=(0,))
def _synthesized(layout: Layout, filters: tuple[Array, ...], codes: Array) -> tuple[Array, ...]:
    # Fourier transforms would leave rounding where codes are zero.
    return layout.down(filters, codes, "spatial")


def sample(
    key: RandomKey,
    filters: Layers,
    shape: Sequence[int],
    sparsity: int,
    *,
    smallest: RealScalar = 1.0,
    largest: RealScalar = 1.0,
    nonnegative: bool = False,
    strides: Strides = 1,
    boundary: Boundary = "periodic",
) -> tuple[Float[Array, "..."], ...]:
    r"""Draw an image from the model.

    Some entries of the deepest codes, at random places, have random sizes and signs; all others are zero.

    Args:
        key: The random key; several images are `vmap`ped over keys.
        filters: The filters of each layer.
        shape: The shape of the image, `(height, width)` or `(length,)`.
        sparsity: The number of entries of the deepest codes that are not zero.
        smallest: The smallest absolute value of these entries, which are uniform.
        largest: The largest absolute value of these entries.
        nonnegative: Whether all of them are positive.
        strides: The strides of each layer, or one for all.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.

    Returns:
        $(X, \Gamma_1, \dots, \Gamma_L)$, as `synthesize` gives them.

    Raises:
        ValueError: If shapes do not match, strides do not divide the shape, there are not that many places,
            or an absolute value is negative.
        TypeError: If `key` is not a random key, or the sparsity is not a whole number.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import multilayer
        >>> filters = multilayer.init(jax.random.key(0), [(3,), (3,)], (2, 4))
        >>> x, _, deepest = multilayer.sample(jax.random.key(1), filters, (16,), 3)
        >>> x.shape, int((deepest != 0).sum())
        ((16, 1), 3)

    References:
        Sulam, Papyan, Romano and Elad, Multilayer convolutional sparse modeling: pursuit and dictionary
        learning, 2018.
    """
    checks.random_key("key", key)
    layout, filters, _, back = Layout.prepare(filters, strides, boundary)
    shape = checked_shape(shape, layout)
    grid = layout.shapes(shape)[-1]
    places = math.prod(grid) * filters[-1].shape[-1]
    sparsity = checks.count("sparsity", sparsity, least=0, most=places)
    checks.nonnegative("smallest", smallest, one=True)
    checks.nonnegative("largest", largest, one=True)
    dtype = filters[-1].dtype
    for_place, for_size, for_sign = jax.random.split(key, 3)
    values = jax.random.uniform(for_size, (sparsity,), dtype, smallest, largest)
    if not nonnegative:
        values = values * jax.random.rademacher(for_sign, (sparsity,), dtype)
    chosen = jax.random.choice(for_place, places, (sparsity,), replace=False)
    codes = jnp.zeros(places, dtype).at[chosen].set(values).reshape(*grid, -1)
    return back(_synthesized(layout, filters, codes))


def checked_shape(shape: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """A shape with as many axes as the filters."""
    return checks.sizes("shape", shape, ("height", "width") if layout.space == 2 else ("length",))
