"""Layers that AlexNet, VGG and ResNet have in common."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.types import AnyArray, Precision, RealScalar
from jaxtheory.networks import convolution

EPSILON, MOMENTUM = 1e-5, 0.9
"""Of batch normalization, as in torchvision."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The averages and the spreads of the colors of ImageNet's images, with intensities in [0, 1]."""
NORMALIZATION = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
"""PyTorch's names of what a batch normalization holds, and Flax's."""


class Tensor(NamedTuple):
    """The place of an array of torchvision's."""

    path: tuple[str, ...]
    """The keys in the parameters, or in the state."""
    maps: tuple[int, int, int] | None = None
    """Channels, rows and columns of the maps that a dense layer sees, which PyTorch has in this order."""


class _Undrawn:
    """Stands for random streams where nothing is drawn."""

    def params(self) -> None:
        """The key of an initializer that needs none."""


class Convolution(nnx.Module):
    """A convolution of square kernels, with zeros beyond the border, and its batch normalization.

    Kernels are zeros until `draw` draws those of a whole network.

    Args:
        inputs: The number of channels.
        outputs: The number of maps.
        kernel_size: The side of the kernels.
        stride: The step between the places at which kernels are applied.
        padding: The number of zeros on each side; by default half the kernel's side, rounded down.
        groups: The number of groups of channels, each of which meets its own kernels only.
        bias: Whether there are biases.
        normalization: Whether a batch normalization follows.
        dtype: The dtype of the parameters.
        precision: The precision of products; by default the device's, which accelerators round.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
        normalization: bool = True,
        dtype: Any = None,
        precision: Precision | None = None,
    ):
        zeros = kernel_size // 2 if padding is None else padding
        dtype = jnp.result_type(dtype or float)
        self.convolution = nnx.Conv(
            inputs,
            outputs,
            (kernel_size, kernel_size),
            strides=(stride, stride),
            padding=((zeros, zeros), (zeros, zeros)),
            conv_general_dilated=convolution.general_dilated,
            feature_group_count=groups,
            use_bias=bias,
            param_dtype=dtype,
            precision=precision,
            kernel_init=nnx.initializers.zeros,
            rngs=_Undrawn(),
        )
        self.normalization = (
            nnx.BatchNorm(outputs, momentum=MOMENTUM, epsilon=EPSILON, param_dtype=dtype, rngs=_Undrawn())
            if normalization
            else None
        )

    def __call__(self, x: Array) -> Array:
        """Return the maps of images, (n, H, W, inputs)."""
        maps = self.convolution(x)
        return maps if self.normalization is None else self.normalization(maps)

    def tensors(self, kernel: str, norm: str, *path: str) -> dict[str, Tensor]:
        """Return the places of its arrays, by torchvision's names of its convolution and normalization."""
        found = {f"{kernel}.weight": Tensor((*path, "convolution", "kernel"))}
        if self.convolution.bias is not None:
            found[f"{kernel}.bias"] = Tensor((*path, "convolution", "bias"))
        if self.normalization is not None:
            for theirs, ours in NORMALIZATION.items():
                found[f"{norm}.{theirs}"] = Tensor((*path, "normalization", ours))
        return found


def dense(inputs: int, outputs: int, dtype: Any = None, precision: Precision | None = None) -> nnx.Linear:
    """Return a dense layer, whose weights are zeros until `draw` draws those of a whole network."""
    return nnx.Linear(
        inputs,
        outputs,
        kernel_init=nnx.initializers.zeros,
        param_dtype=jnp.result_type(dtype or float),
        precision=precision,
        rngs=_Undrawn(),
    )


def dense_tensors(numbers: tuple[int, int, int], maps: tuple[int, int, int]) -> dict[str, Tensor]:
    """Return the places of the arrays of three dense layers.

    Args:
        numbers: Their numbers in torchvision's list.
        maps: Channels, rows and columns of the maps that the first one sees.

    Returns:
        The places by torchvision's names.
    """
    found = {}
    for number, path in zip(numbers, (("dense", "0"), ("dense", "1"), ("classifier",))):
        seen = maps if number == numbers[0] else None
        found[f"classifier.{number}.weight"] = Tensor((*path, "kernel"), seen)
        found[f"classifier.{number}.bias"] = Tensor((*path, "bias"))
    return found


def draw(network: nnx.Module, rngs: nnx.Rngs) -> None:
    r"""Draw the weights of all convolutions and dense layers of a network.

    They are $N(0, 2/n)$, with $n$ the number of inputs to a unit, and of the last layer $N(0, 1/n)$. All come
    from one draw, as a program with one for each layer takes minutes to compile.

    Args:
        network: The network, whose last dense layer is its attribute `classifier`, if it has one.
        rngs: The random streams.

    References:
        Kaiming He, Xiangyu Zhang, Shaoqing Ren and Jian Sun, "Delving deep into rectifiers", 2015.
    """
    kernels = [(path, one) for path, one in nnx.iter_graph(network) if path and path[-1] == "kernel"]
    sizes = [one.get_value().size for _, one in kernels]
    dtype = kernels[0][1].get_value().dtype
    drawn = jax.random.normal(rngs.params(), (sum(sizes),), dtype)
    places = np.cumsum([0, *sizes])
    for (path, kernel), place, size in zip(kernels, places, sizes):
        shape = kernel.get_value().shape
        inputs = np.prod(shape[-4:-1])
        gain = 1.0 if path[0] == "classifier" else 2.0
        part = jax.lax.slice(drawn, (place,), (place + size,)).reshape(shape)
        kernel.set_value(part * np.sqrt(gain / inputs).astype(dtype))


def colored(x: Any, *, least: int = 1) -> tuple[Array, tuple[int, ...]]:
    """Return images with the averages and spreads of ImageNet's colors, as one batch, and their batch axes.

    Args:
        x: The images, (..., H, W, 3), with intensities in [0, 1].
        least: The smallest height and width that the network can take.

    Returns:
        The images, (n, H, W, 3), and the leading axes that they had.

    Raises:
        TypeError: If the images are not an array of numbers.
        ValueError: If they have no three channels, or are too small.
    """
    x = jnp.asarray(as_array("x", x))
    checks.axes("x", x, "...", "H", "W", "C", sizes=(None, None, 3))
    if min(x.shape[-3:-1]) < least:
        found = f"{x.shape[-3]} x {x.shape[-2]}"
        raise ValueError(f"x has images of {found} pixels: take {least} x {least} or more")
    mean, deviation = (jnp.asarray(one, jnp.result_type(x, jnp.bfloat16)) for one in (MEAN, DEVIATION))
    return ((x - mean) / deviation).reshape(-1, *x.shape[-3:]), x.shape[:-3]


def averaged(x: Array, side: int) -> Array:
    """Return averages over as many rows and columns of windows as are asked for, whatever the maps' size.

    Args:
        x: The maps, (n, H, W, channels).
        side: The number of rows and of columns; windows overlap where it does not divide the maps' size.

    Returns:
        The maps, (n, side, side, channels).
    """
    if x.shape[1:3] == (side, side):
        return x
    rows, columns = (jnp.asarray(_windows(size, side), x.dtype) for size in x.shape[1:3])
    return jnp.einsum("rh,sw,nhwc->nrsc", rows, columns, x, precision="highest")


def _windows(size: int, side: int) -> np.ndarray:
    """The weights of pixels in averages, (side, size)."""
    ends = np.arange(side + 1) * size
    pixels, starts, stops = np.arange(size), ends[:-1] // side, -(-ends[1:] // side)
    inside = (pixels >= starts[:, None]) & (pixels < stops[:, None])
    return inside / inside.sum(1, keepdims=True)


def largest(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Return the largest values of square windows that may overlap.

    Args:
        x: The maps, (n, H, W, channels).
        window: The side of the windows.
        stride: The step between windows.
        padding: How many pixels windows reach beyond the border, where there is nothing.

    Returns:
        The maps, (n, H', W', channels).
    """
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, window, window, 1), (1, stride, stride, 1), pads)


def local_response(
    x: Real[AnyArray, "... channels"],
    *,
    window: int = 5,
    offset: RealScalar = 2.0,
    scale: RealScalar = 1e-4,
    power: RealScalar = 0.75,
) -> Float[Array, "... channels"]:
    r"""Normalize each value by those of the neighboring channels at the same place.

    $$y_c = x_c \, \Bigl(k + \alpha \sum_{|d - c| \le n / 2} x_d^2 \Bigr)^{-\beta}$$

    Args:
        x: The maps.
        window: The number of channels $n$ in the sum, odd.
        offset: The constant $k$, positive.
        scale: The factor $\alpha$, at least 0; where PyTorch's function divides its by the window, this is
            the paper's.
        power: The exponent $\beta$.

    Returns:
        The normalized maps.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, or the window is not a whole number.
        ValueError: If the window is even, or a number is out of range.

    Example:
        >>> local_response(jnp.full(3, 10.0), window=3, offset=1.0, scale=0.01, power=1.0)
        Array([3.333, 2.5  , 3.333], dtype=float32)

    References:
        Alex Krizhevsky, Ilya Sutskever and Geoffrey E. Hinton, "ImageNet classification with deep
        convolutional neural networks", 2012.
    """
    if checks.count("window", window) % 2 == 0:
        raise ValueError(f"window is {window}: take an odd number of channels")
    checks.positive("offset", offset, one=True)
    checks.nonnegative("scale", scale, one=True)
    (x, offset, scale, power), back = real_arrays(x=x, offset=offset, scale=scale, power=power)
    checks.axes("x", x, "...", "channels")
    half = window // 2
    squares = jnp.pad(x**2, [(0, 0)] * (x.ndim - 1) + [(half, half)])
    sums = sum(squares[..., shift : shift + x.shape[-1]] for shift in range(window))
    return back(x * (offset + scale * sums) ** -power)
