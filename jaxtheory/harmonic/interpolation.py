"""Signals, images and densities between their samples: cubic splines through them, and waves.

Conventions: images are `(..., H, W)`, displacements `(..., 2, H, W)` in pixels along height and width;
signals have one axis and densities three, and so many components have their displacements.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

Border = Literal["periodic", "reflect"]
"""How an image is continued beyond its border; `"reflect"` does not repeat the outermost pixels."""


def spline_coefficients(x: Array, boundary: Border, axes: int = 2) -> Array:
    """Return the coefficients of the cubic spline through the pixels of images or densities.

    Args:
        x: The images.
        boundary: How the images are continued beyond their border.
        axes: The number of their axes.

    Returns:
        The coefficients, as many as there are pixels.
    """
    shape = x.shape[-axes:]
    last = tuple(range(-axes, 0))
    if boundary == "reflect":
        for axis in last:
            inner = jax.lax.slice_in_dim(x, 1, x.shape[axis] - 1, axis=axis)
            x = jnp.concatenate([x, jnp.flip(inner, axis)], axis)
    spectrum = jnp.fft.rfftn(x, axes=last)
    for axis in last:
        frequencies = np.fft.rfftfreq(x.shape[-1]) if axis == -1 else np.fft.fftfreq(x.shape[axis])
        # The spline takes a sixth, four sixths and a sixth of neighboring coefficients at a pixel.
        factor = jnp.asarray(3 / (2 + np.cos(2 * np.pi * frequencies)), x.dtype)
        spectrum = spectrum * factor.reshape(-1, *[1] * (-axis - 1))
    found = jnp.fft.irfftn(spectrum, s=x.shape[-axes:], axes=last)
    return found[..., *(slice(size) for size in shape)]


def _spline_weights(t: Array) -> list[Array]:
    """The cubic B-spline at `t + 1`, `t`, `t - 1` and `t - 2`, for `t` in [0, 1)."""
    return [(1 - t) ** 3 / 6, 2 / 3 - t**2 * (2 - t) / 2, 2 / 3 - (1 - t) ** 2 * (1 + t) / 2, t**3 / 6]


def _folded(index: Array, size: int, boundary: Border) -> Array:
    """Brings an index from anywhere on the line back to the pixels."""
    if boundary == "periodic":
        return index % size
    index = index % (2 * size - 2)
    return jnp.minimum(index, 2 * size - 2 - index)


def displaced(coefficients: Array, displacement: Array, boundary: Border, axes: int = 2) -> Array:
    """Return the spline of some coefficients at every pixel minus its displacement.

    Args:
        coefficients: The coefficients, from `spline_coefficients`; leading axes broadcast.
        displacement: The displacement in pixels.
        boundary: How the images are continued beyond their border.
        axes: The number of their axes.

    Returns:
        The displaced images.
    """

    def one(coefficients: Array, displacement: Array) -> Array:
        whole = jnp.floor(-displacement)
        # The fraction is taken before the pixel's own coordinate is added, which would cost it digits.
        weights = [_spline_weights(-shift - floor) for shift, floor in zip(displacement, whole)]
        corner = [grid + floor.astype(int) - 1 for grid, floor in zip(jnp.indices(coefficients.shape), whole)]
        taps = [
            [_folded(start + k, size, boundary) for k in range(4)]
            for start, size in zip(corner, coefficients.shape)
        ]

        def along(axis: int, chosen: tuple[Array, ...]) -> Array:
            if axis == axes:
                return coefficients[chosen]
            return sum(
                weight * along(axis + 1, (*chosen, place)) for weight, place in zip(weights[axis], taps[axis])
            )

        return along(0, ())

    names = ",".join("abc"[:axes])
    return jnp.vectorize(one, signature=f"({names}),(d,{names})->({names})")(coefficients, displacement)


def translated(x: Array, shift: Array, axes: int = 2) -> Array:
    """Return periodic signals, images or densities moved by trigonometric interpolation, which is exact.

    Args:
        x: The images.
        shift: The shift in pixels, a component for each axis; leading axes broadcast.
        axes: The number of their axes.

    Returns:
        The translated images; the highest frequency of an even size is taken as a cosine.
    """
    last, shape = tuple(range(-axes, 0)), x.shape[-axes:]
    spectrum = jnp.fft.rfftn(x, axes=last)
    for axis, size in zip(last, shape):
        frequencies = np.fft.rfftfreq(size) if axis == -1 else np.fft.fftfreq(size)
        angle = 2 * np.pi * shift[..., axis, None] * jnp.asarray(frequencies, x.dtype)
        middle = np.arange(len(frequencies)) == (size // 2 if size % 2 == 0 else -1)
        phase = jax.lax.complex(jnp.cos(angle), jnp.where(middle, 0, -jnp.sin(angle)))
        spectrum = spectrum * phase.reshape(*phase.shape[:-1], *(-1 if k == axis else 1 for k in last))
    return jnp.fft.irfftn(spectrum, s=shape, axes=last)
