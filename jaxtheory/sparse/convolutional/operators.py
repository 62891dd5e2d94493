r"""Convolutional dictionaries as operators: analysis, and synthesis, its adjoint.

Conventions: filters are kernels as Flax keeps them, `(height, width, channels, atoms)`; images are
`(..., H, W, channels)` and codes `(..., H, W, atoms)`. Signals have filters `(length, channels, atoms)` and
one axis less everywhere. A filter's anchor along an axis of $h$ entries is $p = \lfloor (h - 1) / 2 \rfloor$.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, Boundary
from jaxtheory.sparse.convolutional.plan import Domain, Plan, check_filters


def analyze(
    filters: Real[AnyArray, "..."],
    images: Real[AnyArray, "..."],
    *,
    boundary: Boundary = "periodic",
    domain: Domain = "auto",
) -> Float[Array, "..."]:
    r"""Correlate images with every filter, as a convolutional layer of stride 1 does.

    $a_k[n] = \sum_{i, c} d_k[i, c]\, x[n + i - p, c]$, the inner products of the image with each atom at each
    place. It is what `flax.nnx.Conv` computes with `padding="CIRCULAR"` or `"SAME"`.

    Args:
        filters: The filters $d$.
        images: The images $x$, or signals.
        boundary: What lies beyond the border: `"periodic"`, the other side, or `"zero"`.
        domain: How convolutions are computed: `"spatial"`, `"fourier"`, or `"auto"`, by the filters' size.

    Returns:
        The inner products, of the shape of codes.

    Raises:
        ValueError: If shapes do not match, filters do not fit on a periodic image, or an option is unknown.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> x = jnp.array([0.0, 1.0, 0.0, 0.0])[:, None]
        >>> convolutional.analyze(jnp.array([1.0, 2.0, 3.0])[:, None, None], x)[:, 0]
        Array([3., 2., 1., 0.], dtype=float32)
    """
    (filters, images), back = real_arrays(filters=filters, images=images)
    return back(_mapped(Plan.analyze, Plan.of(filters, images, boundary, domain), filters, images))


def synthesize(
    filters: Real[AnyArray, "..."],
    codes: Real[AnyArray, "..."],
    *,
    boundary: Boundary = "periodic",
    domain: Domain = "auto",
) -> Float[Array, "..."]:
    r"""Sum filters at their places, which is adjoint to `analyze`.

    $x[n, c] = \sum_k \sum_i d_k[i, c]\, z_k[n - i + p]$, as `scipy.signal.convolve(mode="same")` has it.

    Args:
        filters: The filters $d$.
        codes: The codes $z$, one map for each filter.
        boundary: How an atom that crosses the border continues: `"periodic"`, at the other side, or `"zero"`,
            nowhere.
        domain: How convolutions are computed: `"spatial"`, `"fourier"`, or `"auto"`, by the filters' size.

    Returns:
        The images, or signals.

    Raises:
        ValueError: If shapes do not match, filters do not fit on a periodic image, or an option is unknown.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> z = jnp.array([0.0, 1.0, 0.0, 0.0])[:, None]
        >>> convolutional.synthesize(jnp.array([1.0, 2.0, 3.0])[:, None, None], z)[:, 0]
        Array([1., 2., 3., 0.], dtype=float32)
    """
    (filters, codes), back = real_arrays(filters=filters, codes=codes)
    plan = Plan.of(filters, codes, boundary, domain, codes=True)
    return back(_mapped(Plan.synthesize, plan, filters, codes))


@partial(jax.jit, static_argnums=(0, 1))
def _mapped(function: Callable[..., Array], plan: Plan, filters: Array, x: Array) -> Array:
    """A function of one image (channels, H, W) over all leading axes at once."""
    signals = filters.ndim == 3
    if signals:
        filters, x = filters[:, None], x[..., None, :]

    def one(x: Array) -> Array:
        return jnp.moveaxis(function(plan, filters, jnp.moveaxis(x, -1, 0)), 0, -1)

    for _ in range(x.ndim - 3):
        one = jax.vmap(one)
    found = one(x)
    return found[..., 0, :] if signals else found


def normalize(filters: Real[AnyArray, "..."]) -> Float[Array, "..."]:
    r"""Divide each atom by its norm, $d_k / \|d_k\|_2$; an atom of zeros is left as it is.

    Args:
        filters: The filters, of any scale.

    Returns:
        Filters of the same shape.

    Raises:
        ValueError: If the filters have other than 3 or 4 axes, or an empty one.
        TypeError: If they are not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> convolutional.normalize(jnp.array([[[3.0, 0.0]], [[4.0, 0.0]]]))[:, 0]
        Array([[0.6, 0. ],
               [0.8, 0. ]], dtype=float32)
    """
    (filters,), back = real_arrays(filters=filters)
    check_filters(filters)
    return back(_normalized(filters))


@jax.jit
def _normalized(filters: Array) -> Array:
    axes = tuple(range(filters.ndim - 1))
    # Divided by the largest entry first, squares neither over- nor underflow.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(filters), axes))
    filters = filters / jnp.where(largest > 0, largest, 1)
    energy = jnp.sum(filters**2, axes)
    return filters / jnp.sqrt(jnp.where(energy > 0, energy, 1))
