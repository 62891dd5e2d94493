"""Convolutions of images in the form that each platform computes fastest."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, Precision

AXES = ("NHWC", "HWIO", "NHWC")
"""The order of the axes of images, kernels and maps."""

Padding = str | Sequence[tuple[int, int]]
PerLayer = int | Sequence[int]
Pooling = Literal["max", "average"]


def convolve(
    x: Real[AnyArray, "*batch H W channels"],
    kernel: Real[AnyArray, "height width inputs outputs"],
    *,
    strides: int | tuple[int, int] = 1,
    padding: Padding = "SAME",
    groups: int = 1,
    precision: Precision | None = None,
) -> Float[Array, "*batch rows columns outputs"]:
    r"""Correlate images with kernels, as layers of convolutional networks do.

    $$y_{ijd} = \sum_{u, v, c} x_{si + u, sj + v, c} \, w_{uvcd}$$

    On processors the derivatives are products with all patches, as those of XLA's convolution take five to a
    hundred times as long inside a loop, such as a training or an attack; with one kernel for each channel
    the maps are sums of shifted images. All else is XLA's convolution. The choice falls when a program is
    lowered.

    Args:
        x: The images $x$.
        kernel: The kernels $w$, each of `inputs = channels / groups` channels.
        strides: The step $s$ between the places at which kernels are applied, or one for each axis.
        padding: How far images go on with zeros: `"SAME"` for maps of the size of the images (divided by the
            strides, rounded up), `"VALID"` for none, or the numbers of rows and columns before and after.
        groups: The number of groups of channels, each of which meets its own kernels only; the number of
            channels for depthwise convolutions.
        precision: The precision of products; by default the device's, which accelerators round.

    Returns:
        The maps $y$.

    Raises:
        TypeError: If images or kernels are complex or no arrays of numbers, or a size is not a whole number.
        ValueError: If shapes, strides, padding or groups do not fit each other.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.networks import convolution
        >>> convolution.convolve(jnp.ones((3, 3, 1)), jnp.ones((2, 2, 1, 1)), padding="VALID")[..., 0]
        Array([[4., 4.],
               [4., 4.]], dtype=float32)
    """
    (x, kernel), back = real_arrays(x=x, kernel=kernel)
    checks.axes("x", x, "...", "H", "W", "channels")
    checks.axes("kernel", kernel, "height", "width", "inputs", "outputs")
    groups = checks.count("groups", groups)
    strides = checks.counts("strides", strides if np.ndim(strides) else (strides,) * 2, each="axis")
    if len(strides) != 2:
        raise ValueError(f"strides are {strides}: take one number, or one for rows and one for columns")
    channels, (inputs, outputs) = x.shape[-1], kernel.shape[2:]
    if inputs * groups != channels or outputs % groups:
        raise ValueError(
            f"kernel has the shape {kernel.shape}: take {channels} channels divided by the {groups} groups "
            "as inputs, and a multiple of the groups as outputs"
        )
    pads = _pads(x.shape[-3:-1], kernel.shape[:2], strides, padding)
    sizes = [size + sum(pad) - side for size, pad, side in zip(x.shape[-3:-1], pads, kernel.shape)]
    if min(sizes) < 0:
        raise ValueError(
            f"x has images of {x.shape[-3]} x {x.shape[-2]} pixels: take larger ones, smaller kernels than "
            f"{kernel.shape[0]} x {kernel.shape[1]}, or padding"
        )
    flat = x.reshape(-1, *x.shape[-3:])
    maps = _by_platform(flat, kernel, _Facts(strides, pads, groups, precision))
    return back(maps.reshape(*x.shape[:-3], *maps.shape[1:]))


def general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Precision | None = None,
    **options: Any,
) -> Array:
    """Compute what `lax.conv_general_dilated` does, by platform, for layers that take such a function.

    It is what `flax.nnx.Conv` and Flax's other layers take as `conv_general_dilated`. What is no plain
    convolution of images (other axes, dilations, options) is XLA's on every platform.

    Args:
        lhs: The images, (N, H, W, channels) in the plain case.
        rhs: The kernels, (height, width, inputs, outputs) in the plain case.
        window_strides: The steps between the places at which kernels are applied.
        padding: `"SAME"`, `"VALID"`, or the numbers of zeros before and after.
        lhs_dilation: The dilation of the images.
        rhs_dilation: The dilation of the kernels.
        dimension_numbers: The order of axes, as `lax.conv_dimension_numbers` takes or returns it.
        feature_group_count: The number of groups of channels.
        precision: The precision of products; by default the device's, which accelerators round.
        **options: Further options of `lax.conv_general_dilated`.

    Returns:
        The maps.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxtheory.networks import convolution
        >>> layer = nnx.Conv(
        ...     1, 8, (3, 3), conv_general_dilated=convolution.general_dilated, rngs=nnx.Rngs(0)
        ... )
        >>> layer(jnp.ones((2, 5, 5, 1))).shape
        (2, 5, 5, 8)
    """
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    dilated = any(one != 1 for one in (*(lhs_dilation or ()), *(rhs_dilation or ())))
    given = any(option is not None for option in options.values())
    if dilated or given or numbers != lax.conv_dimension_numbers(lhs.shape, rhs.shape, AXES):
        return lax.conv_general_dilated(
            lhs,
            rhs,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=numbers,
            feature_group_count=feature_group_count,
            precision=precision,
            **options,
        )
    pads = _pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    return _by_platform(lhs, rhs, _Facts(tuple(window_strides), pads, feature_group_count, precision))


def pooled(x: Array, window: int, pooling: Pooling) -> Array:
    """Return the largest values or the averages of square blocks of maps.

    The derivative of a maximum over axes takes a third of the time of that of a moving maximum.

    Args:
        x: The maps, (..., H, W, channels).
        window: The side of the blocks; what is left over at the border is dropped.
        pooling: What is kept of a block.

    Returns:
        The maps, (..., H // window, W // window, channels).
    """
    if window == 1:
        return x
    *batch, height, width, channels = x.shape
    height, width = height // window, width // window
    kept = x[..., : height * window, : width * window, :]
    blocks = kept.reshape(*batch, height, window, width, window, channels)
    return (jnp.max if pooling == "max" else jnp.mean)(blocks, axis=(-4, -2))


def patches(x: Array, sides: Sequence[int], strides: Sequence[int], pads: Sequence[tuple[int, int]]) -> Array:
    """Return the rectangles of images that kernels meet.

    Columns are collected first and rows of these after, which is a program of fewer slices than weights.

    Args:
        x: The images, (N, H, W, channels).
        sides: The height and the width of the rectangles.
        strides: The steps between them.
        pads: The numbers of rows and of columns of zeros before and after.

    Returns:
        The rectangles, (N, rows, columns, height * width * channels).
    """
    found = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    for axis, side, step in ((2, sides[1], strides[1]), (1, sides[0], strides[0])):
        end = (found.shape[axis] - side) // step * step + 1
        shifted = [lax.slice_in_dim(found, start, start + end, step, axis) for start in range(side)]
        found = jnp.concatenate(shifted, -1)
    return found


def for_each(layers: int, name: str, value: PerLayer) -> tuple[int, ...]:
    """Return one number for each convolution, of one for all or of as many.

    Args:
        layers: The number of convolutions.
        name: The parameter's name.
        value: The argument, as the caller gave it.

    Returns:
        The numbers.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If there are neither one nor as many, or one is below 1.
    """
    several = np.ndim(value) and not isinstance(value, str)
    values = checks.counts(name, value if several else (value,) * layers, each="convolution")
    if len(values) != layers:
        raise ValueError(f"{name} is {values}: take one number, or one for each of the {layers} convolutions")
    return values


class _Facts(NamedTuple):
    """The options of a convolution."""

    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    groups: int
    precision: Precision | None


def _by_platform(x: Array, kernel: Array, facts: _Facts) -> Array:
    if 1 < facts.groups < x.shape[-1]:
        return _of_xla(x, kernel, facts)
    on_processors = _on_processors if facts.groups == 1 else _of_shifts
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: on_processors(x, kernel, facts),
        default=lambda x, kernel: _of_xla(x, kernel, facts),
    )


def _of_xla(x: Array, kernel: Array, facts: _Facts) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        facts.strides,
        facts.pads,
        dimension_numbers=AXES,
        feature_group_count=facts.groups,
        precision=facts.precision,
    )


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _on_processors(x: Array, kernel: Array, facts: _Facts) -> Array:
    """XLA's convolution, with derivatives that are products of patches; of single pixels such a product."""
    return (_of_patches if kernel.shape[:2] == (1, 1) else _of_xla)(x, kernel, facts)


@_on_processors.defjvp
def _derivative(
    facts: _Facts, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (x, kernel), (moved, turned) = primals, tangents
    change = _of_patches(moved, kernel, facts) + _of_patches(x, turned, facts)
    return _on_processors(x, kernel, facts), change


def _of_patches(x: Array, kernel: Array, facts: _Facts) -> Array:
    squares = patches(x, kernel.shape[:2], facts.strides, facts.pads)
    return jnp.matmul(squares, kernel.reshape(-1, kernel.shape[3]), precision=facts.precision)


def _of_shifts(x: Array, kernel: Array, facts: _Facts) -> Array:
    """The depthwise convolution; sums of products in full precision, whatever is asked for."""
    weights = kernel.reshape(-1, x.shape[-1], kernel.shape[3] // x.shape[-1])
    maps = sum(one[..., None] * weight for one, weight in zip(_shifted(x, kernel, facts), weights))
    return maps.reshape(*maps.shape[:-2], -1)


def _shifted(x: Array, kernel: Array, facts: _Facts) -> list[Array]:
    """The pixels that each weight of a kernel meets, in the order of the weights."""
    padded = jnp.pad(x, ((0, 0), *facts.pads, (0, 0)))
    sides, steps = kernel.shape[:2], facts.strides
    ends = [(size - side) // step * step + 1 for size, side, step in zip(padded.shape[1:3], sides, steps)]
    return [
        padded[:, row : row + ends[0] : steps[0], column : column + ends[1] : steps[1]]
        for row in range(sides[0])
        for column in range(sides[1])
    ]


def _pads(
    sizes: Sequence[int], sides: Sequence[int], strides: Sequence[int], padding: Padding
) -> tuple[tuple[int, int], ...]:
    """The numbers of zeros before and after."""
    if isinstance(padding, str):
        checks.one_of("padding", padding.upper(), ("SAME", "VALID"))
        return tuple(lax.padtype_to_pads(sizes, sides, strides, padding.upper()))
    pads = [tuple(pad) for pad in checks.entries("padding", padding, "two pairs of whole numbers")]
    if [len(pad) for pad in pads] != [2, 2] or min(min(pads)) < 0:
        raise ValueError(
            f'padding is {padding!r}: take "SAME", "VALID", or two pairs of numbers that are at least 0'
        )
    return tuple(pads)
