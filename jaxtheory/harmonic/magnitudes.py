"""Moduli of complex numbers, and the scale at which they neither overflow nor vanish."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


@jax.custom_jvp
def modulus(real: Array, imaginary: Array) -> Array:
    """Return the modulus of complex numbers; its derivative at zero is taken as zero.

    Squares of values below 1e-19 and above 1e19 are lost in float32: `scaled` brings signals to about one.

    Args:
        real: The real parts.
        imaginary: The imaginary parts.

    Returns:
        The moduli.
    """
    return jnp.sqrt(real**2 + imaginary**2)


@modulus.defjvp
def _modulus_jvp(primals: Any, tangents: Any) -> Any:
    (real, imaginary), (d_real, d_imaginary) = primals, tangents
    length = modulus(real, imaginary)
    inverse = jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 0)
    return length, (real * inverse) * d_real + (imaginary * inverse) * d_imaginary


def scaled(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Scale signals or images to magnitudes about one, by powers of two, which round nothing.

    The transform of a multiple is the multiple of the transform, and squares of moduli neither over- nor
    underflow about one. What is not finite stays as it is.

    Args:
        x: The signals or images.
        axes: The axes of one of them.

    Returns:
        The scaled ones, and the scale of each, with axes of one entry. It has no derivative: none is needed,
        as the derivative of a homogeneous function is that at the scaled signal.
    """
    facts = jnp.finfo(x.dtype)
    largest = jnp.max(jnp.abs(lax.stop_gradient(x)), axis=axes, keepdims=True)
    usual = jnp.isfinite(largest) & (largest > 0)
    # The largest and the smallest numbers have no reciprocal.
    largest = jnp.clip(largest, 16 * float(facts.tiny), float(facts.max) / 16)
    scale = jnp.where(usual, lax.reduce_precision(largest, facts.nexp, 0), 1)
    return x * (1 / scale), scale
