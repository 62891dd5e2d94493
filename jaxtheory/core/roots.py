"""Square roots that have a derivative everywhere."""

import jax.numpy as jnp
from jaxtyping import Array


def root(square: Array) -> Array:
    """The square root of what is not negative but for rounding; at zero it and its derivative are zero."""
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
