r"""The atoms of deeper layers as they appear in the image: the filters of $D_1 D_2 \cdots D_i$.

Conventions: as in `model`.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxtheory.sparse.multilayer.layout import Layers, Layout, Strides


def effective_filters(filters: Layers, *, strides: Strides = 1) -> tuple[Float[Array, "..."], ...]:
    r"""Return the filters of each layer as they act on the image, $D_1 D_2 \cdots D_i$.

    An atom of layer $i$ is there the image that a single one of its codes stands for. It is
    $1 + \sum_{j \leq i} (k_j - 1) \prod_{l < j} s_l$ pixels high, with kernels $k$ and strides $s$: the
    receptive field of a network's unit.

    Args:
        filters: The filters of each layer.
        strides: The strides of each layer, or one for all.

    Returns:
        The filters of each layer, with the channels of the image; those of the first layer are its own.

    Raises:
        ValueError: If shapes do not match, or a stride is below 1.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import multilayer
        >>> difference = jnp.array([1.0, -1.0])[:, None, None]
        >>> [one[:, 0, 0].tolist() for one in multilayer.effective_filters([difference, difference])]
        [[1.0, -1.0], [1.0, -2.0, 1.0]]

    References:
        Sulam, Papyan, Romano and Elad, Multilayer convolutional sparse modeling: pursuit and dictionary
        learning, 2018.
    """
    layout, filters, _, back = Layout.prepare(filters, strides)
    return back(_composed(layout.strides, filters))


@partial(jax.jit, static_argnums=(0,))
def _composed(strides: tuple[int, ...], filters: tuple[Array, ...]) -> tuple[Array, ...]:
    found, step = [filters[0]], strides[0]
    for one, stride in zip(filters[1:], strides[1:]):
        found.append(_product(found[-1], one, step))
        step *= stride
    return tuple(found)


def _product(above: Array, below: Array, step: int) -> Array:
    """The filters of a layer on the image: those of the layer before, its own entries `step` pixels apart."""
    space = above.ndim - 2
    axes = "HW"[:space]
    numbers = lax.conv_dimension_numbers(
        (above.shape[-2], *above.shape[:space], above.shape[-1]),
        below.shape,
        (f"N{axes}C", f"{axes}IO", f"N{axes}C"),
    )
    whole = lax.conv_general_dilated(
        jnp.moveaxis(above, -2, 0),
        jnp.flip(below, range(space)),
        (1,) * space,
        [(step * (size - 1), step * (size - 1)) for size in below.shape[:space]],
        rhs_dilation=(step,) * space,
        dimension_numbers=numbers,
        precision="highest",
    )
    return jnp.moveaxis(whole, 0, -2)
