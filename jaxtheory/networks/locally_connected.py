"""Locally connected networks: convolutional ones whose kernels are not shared between places."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.types import AnyArray, Precision
from jaxtheory.networks import convolution
from jaxtheory.networks.convolution import PerLayer
from jaxtheory.networks.mlp import MLP, Activation, activation_function, initializers


def unshared(
    x: Real[AnyArray, "*batch H W channels"],
    kernels: Real[AnyArray, "rows columns height width channels outputs"],
    *,
    strides: int = 1,
    precision: Precision | None = None,
) -> Float[Array, "*batch rows columns outputs"]:
    r"""Correlate images with a kernel of its own at each place.

    $$y_{ijd} = \sum_{u, v, c} x_{si + u, sj + v, c} \, w_{ijuvcd}$$

    Images go on with zeros as for `convolution.convolve` with `padding="SAME"`, of which this is the form
    whose weights are not shared: with equal kernels both give the same maps, and the derivative by a shared
    kernel is the sum over places of the derivatives by these.

    Args:
        x: The images $x$.
        kernels: The kernels $w$, one for each place of the maps.
        strides: The step $s$ between the places.
        precision: The precision of products; by default the device's, which accelerators round.

    Returns:
        The maps $y$.

    Raises:
        TypeError: If images or kernels are complex or no arrays of numbers, or strides are not a whole
            number.
        ValueError: If the shapes do not fit each other.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.networks import locally_connected
        >>> kernels = jnp.arange(4.0).reshape(2, 2, 1, 1, 1, 1)
        >>> locally_connected.unshared(jnp.ones((2, 2, 1)), kernels)[..., 0]
        Array([[0., 1.],
               [2., 3.]], dtype=float32)

    References:
        Yann LeCun, "Generalization and network design strategies", 1989.
    """
    (x, kernels), back = real_arrays(x=x, kernels=kernels)
    strides = checks.count("strides", strides)
    checks.axes("x", x, "...", "H", "W", "channels")
    places = tuple(-(-size // strides) for size in x.shape[-3:-1])
    names = ("rows", "columns", "height", "width", "channels", "outputs")
    checks.axes("kernels", kernels, *names, sizes=(*places, None, None, x.shape[-1], None))
    sides = kernels.shape[2:4]
    steps = (strides, strides)
    pads = lax.padtype_to_pads(x.shape[-3:-1], sides, steps, "SAME")
    squares = convolution.patches(x.reshape(-1, *x.shape[-3:]), sides, steps, pads)
    flat = kernels.reshape(*places, -1, kernels.shape[-1])
    maps = jnp.einsum("nijk,ijkd->nijd", squares, flat, precision=precision)
    return back(maps.reshape(*x.shape[:-3], *maps.shape[1:]))


class LocallyConnected(nnx.Module):
    r"""A network like `cnn.CNN` whose units each have weights of their own.

    A layer computes $\rho(W x + b)$, where each row of $W$ sees a square of the maps below, and a perceptron
    follows. Parameters are `{"layers": {"0": {"kernel", "bias"}, ...}, "head": ...}`, with kernels
    `(rows, columns, height, width, channels, outputs)` and biases `(rows, columns, outputs)`.

    Args:
        shape: The shape of an image: `(H, W)`, or `(H, W, C)` with channels.
        channels: The number of maps of each layer, at least one layer.
        rngs: The random streams from which the parameters are drawn.
        head: The widths of the dense layers, the number of outputs last, at least one.
        kernel_size: The side of the squares that units see, for all layers or for each.
        strides: The steps between units, for all layers or for each.
        activation: The activation, a key of `mlp.ACTIVATIONS` or a function.
        weight_variance: The variance $\sigma_w^2$: weights start as $N(0, \sigma_w^2 / n)$, with $n$ the
            number of inputs to a unit.
        bias_variance: The variance $\sigma_b^2$: biases start as $N(0, \sigma_b^2)$.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of products; by default the device's, which accelerators round.

    Raises:
        TypeError: If a size is not a whole number.
        ValueError: If a name is unknown, or sizes are below 1 or not one for each layer.

    Example:
        >>> LocallyConnected((28, 28), (8, 16), nnx.Rngs(0), head=(10,))(jnp.ones((5, 28, 28))).shape
        (5, 10)

    References:
        Yann LeCun, "Generalization and network design strategies", 1989.
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        rngs: nnx.Rngs,
        *,
        head: Sequence[int],
        kernel_size: PerLayer = 3,
        strides: PerLayer = 1,
        activation: Activation = "relu",
        weight_variance: float = 2.0,
        bias_variance: float = 0.0,
        dtype: Any = None,
        precision: Precision | None = None,
    ):
        self.shape = checks.sizes("shape", shape, ("H", "W"), ("H", "W", "C"))
        channels = checks.counts("channels", channels, each="layer")
        if not channels:
            raise ValueError("channels are (): take the number of maps of at least one layer")
        head = checks.counts("head", head, each="dense layer")
        if not head:
            raise ValueError("head is (): take the number of outputs, or more widths before it")
        sides = convolution.for_each(len(channels), "kernel_size", kernel_size)
        self.strides = convolution.for_each(len(channels), "strides", strides)
        self.activation = activation_function(activation)
        dtype = jnp.result_type(dtype or float)
        rows, columns, inputs = (*self.shape, 1)[:3]
        self.layers = nnx.List()
        for outputs, side, stride in zip(channels, sides, self.strides):
            rows, columns = -(-rows // stride), -(-columns // stride)
            self.layers.append(
                _Layer(
                    (rows, columns, side, side, inputs, outputs),
                    stride,
                    precision,
                    dtype,
                    rngs,
                    initializers(weight_variance, bias_variance),
                )
            )
            inputs = outputs
        self.head = MLP(
            (rows * columns * inputs, *head),
            rngs,
            activation=activation,
            weight_variance=weight_variance,
            bias_variance=bias_variance,
            dtype=dtype,
            precision=precision,
        )

    def __call__(self, x: Real[AnyArray, "*batch_and_image"]) -> Float[Array, "*batch outputs"]:
        """Return the outputs of the network.

        Args:
            x: The images, whose last axes are `shape`.

        Returns:
            The outputs of the head.

        Raises:
            TypeError: If the images are not an array of numbers.
            ValueError: If the last axes of `x` are not `shape`.
        """
        images = len(self.shape)
        x = jnp.asarray(as_array("x", x))
        checks.axes("x", x, "...", *("H", "W", "C")[:images], sizes=self.shape)
        batch = x.shape[: x.ndim - images]
        x = x.reshape(-1, *(*self.shape, 1)[:3])
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.head(x.reshape(*batch, -1))


class _Layer(nnx.Module):
    """Units with weights of their own."""

    def __init__(
        self,
        shape: tuple[int, ...],
        strides: int,
        precision: Precision | None,
        dtype: Any,
        rngs: nnx.Rngs,
        initial: dict[str, Any],
    ):
        rows, columns, *square, outputs = shape
        # The initializers take the number of inputs to a unit from the last axes: a kernel beside another.
        width = rows * columns * outputs
        kernel = initial["kernel_init"](rngs.params(), (*square, width), dtype)
        kernel = kernel.reshape(*square, rows, columns, outputs)
        self.kernel = nnx.Param(jnp.transpose(kernel, (3, 4, 0, 1, 2, 5)))
        self.bias = nnx.Param(initial["bias_init"](rngs.params(), (rows, columns, outputs), dtype))
        self.strides, self.precision = strides, precision

    def __call__(self, x: Array) -> Array:
        kernel = self.kernel[...]
        maps = unshared(x.astype(kernel.dtype), kernel, strides=self.strides, precision=self.precision)
        return maps + self.bias[...]
