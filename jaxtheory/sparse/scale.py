"""Powers of two by which problems are divided, so that no square over- or underflows; what a dtype loses."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxtheory.core.types import AnyArray


def exponent(x: Float[AnyArray, "..."], axes: tuple[int, ...]) -> Int[Array, "..."]:
    """Return the exponent of two of the largest entries along some axes.

    Args:
        x: The array.
        axes: The axes.

    Returns:
        The exponent `e` such that the largest entry, divided by `2**e`, lies from 1 to 2; 0 for zeros and for
        what is not finite. It has no derivative, and both `2**e` and its inverse are normal numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import scale
        >>> scale.exponent(jnp.array([3.0, -9.0]), (0,))
        Array(3, dtype=int32)
    """
    largest = jnp.max(jnp.abs(lax.stop_gradient(x)), axes)
    usable = (largest > 0) & jnp.isfinite(largest)
    limit = -jnp.finfo(largest.dtype).minexp
    return jnp.clip(jnp.frexp(jnp.where(usable, largest, 1))[1] - 1, -limit, limit)


def shifted(x: Float[AnyArray, "..."], exponent: Int[AnyArray, "..."]) -> Float[Array, "..."]:
    """Return an array times a power of two, which the dtype need not hold.

    Args:
        x: The array.
        exponent: The exponent, which broadcasts with `x`.

    Returns:
        The product.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import scale
        >>> scale.shifted(jnp.float32(2e-38), jnp.array(200)) > 1e22
        Array(True, dtype=bool)
    """
    one = jnp.ones((), x.dtype)
    half = exponent // 2
    return x * jnp.ldexp(one, half) * jnp.ldexp(one, exponent - half)


def flushed(x: Float[AnyArray, "..."], axes: tuple[int, ...]) -> Bool[Array, "..."]:
    """Return whether entries were lost as they are below the dtype's smallest normal number.

    Processors take such numbers for zero. They count where they are more than rounding beside the largest
    entry; their bits tell them from zeros.

    Args:
        x: The array, as it was given.
        axes: The axes along which entries are looked at together.

    Returns:
        Whether an entry that counts is taken for zero.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import scale
        >>> scale.flushed(jnp.float32([[1e-40, 1e-37], [1e-40, 1.0], [0.0, 0.0]]), (1,)).tolist()
        [True, False, False]
    """
    facts = jnp.finfo(x.dtype)
    whole = jnp.dtype(f"uint{facts.bits}")
    sizes = lax.bitcast_convert_type(jnp.asarray(lax.stop_gradient(x)), whole)
    # Without the sign, the bits of floating-point numbers are ordered as the numbers are.
    sizes = sizes & whole.type(2 ** (facts.bits - 1) - 1)
    normal, counts = (
        jnp.asarray(value, x.dtype).view(whole) for value in (facts.tiny, facts.tiny / facts.eps)
    )
    subnormal = jnp.any((sizes > 0) & (sizes < normal), axes)
    return subnormal & (jnp.max(sizes, axes, initial=0) < counts)
