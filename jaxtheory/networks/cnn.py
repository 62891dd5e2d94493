"""Small convolutional networks."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray, Boundary, Precision
from jaxtheory.networks import convolution
from jaxtheory.networks.convolution import PerLayer, Pooling
from jaxtheory.networks.mlp import MLP, Activation, activation_function, initializers

PADDINGS = {"zero": "SAME", "periodic": "CIRCULAR", "reflect": "REFLECT", None: "VALID"}
"""What Flax calls the boundaries."""


class CNN(nnx.Module):
    r"""Convolutions, each with an activation and a pooling, and a perceptron on what they find.

    A layer computes $P \rho(W x + b)$, where $W$ correlates with square kernels, $\rho$ is the activation and
    $P$ takes the largest or the average value of square blocks that do not overlap. With `window=1` and
    `strides=1` there is no pooling, and without a head the maps of the last layer are returned, so that
    layers of convolution and thresholding are a network of this kind.

    Args:
        shape: The shape of an image: `(H, W)`, or `(H, W, C)` with channels.
        channels: The number of maps of each convolution, at least one convolution.
        rngs: The random streams from which the parameters are drawn.
        head: The widths of the dense layers, the number of outputs last; empty to return the maps.
        kernel_size: The side of the kernels, for all layers or for each.
        strides: The steps between the places at which kernels are applied, for all layers or for each.
        window: The side of the blocks that are pooled, for all layers or for each; 1 for no pooling. What is
            left over at the border is dropped.
        pooling: What is kept of a block: its largest value or its average.
        boundary: How images are continued beyond their border: `"zero"`, `"periodic"` or `"reflect"`. With
            `None` they end there, and maps shrink by the kernels' side less one.
        activation: The activation, a key of `mlp.ACTIVATIONS` or a function.
        bias: Whether there are biases.
        weight_variance: The variance $\sigma_w^2$: weights start as $N(0, \sigma_w^2 / n)$, with $n$ the
            number of inputs to a unit.
        bias_variance: The variance $\sigma_b^2$: biases start as $N(0, \sigma_b^2)$.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of convolutions and products; by default the device's, which accelerators
            round.

    Raises:
        TypeError: If a size is not a whole number.
        ValueError: If a name is unknown, sizes are below 1 or not one for each layer, or images become empty.

    Example:
        >>> CNN((28, 28), (8, 16), nnx.Rngs(0), head=(10,))(jnp.ones((5, 28, 28))).shape
        (5, 10)
        >>> CNN((28, 28), (8, 16), nnx.Rngs(0))(jnp.ones((5, 28, 28))).shape
        (5, 7, 7, 16)
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        rngs: nnx.Rngs,
        *,
        head: Sequence[int] = (),
        kernel_size: PerLayer = 3,
        strides: PerLayer = 1,
        window: PerLayer = 2,
        pooling: Pooling = "max",
        boundary: Boundary | None = "zero",
        activation: Activation = "relu",
        bias: bool = True,
        weight_variance: float = 2.0,
        bias_variance: float = 0.0,
        dtype: Any = None,
        precision: Precision | None = None,
    ):
        shape = checks.sizes("shape", shape, ("H", "W"), ("H", "W", "C"))
        checks.one_of("pooling", pooling, ("max", "average"))
        if boundary is not None:
            checks.one_of("boundary", boundary, ("zero", "periodic", "reflect"))
        channels = checks.counts("channels", channels, each="convolution")
        if not channels:
            raise ValueError("channels are (): take the number of maps of at least one convolution")
        head = checks.counts("head", head, each="dense layer")
        layers = len(channels)
        kernels = convolution.for_each(layers, "kernel_size", kernel_size)
        steps = convolution.for_each(layers, "strides", strides)
        self.shape = shape
        self.windows = convolution.for_each(layers, "window", window)
        self.pooling = pooling
        self.activation = activation_function(activation)
        options = {
            "use_bias": bias,
            "param_dtype": jnp.result_type(dtype or float),
            "precision": precision,
            "conv_general_dilated": convolution.general_dilated,
            "rngs": rngs,
            **initializers(weight_variance, bias_variance),
        }
        inputs = (*shape, 1)[2]
        sizes = tuple(shape[:2])
        self.convolutions = nnx.List()
        for outputs, kernel, stride, block in zip(channels, kernels, steps, self.windows):
            self.convolutions.append(
                nnx.Conv(
                    inputs,
                    outputs,
                    (kernel, kernel),
                    strides=(stride, stride),
                    padding=PADDINGS[boundary],
                    **options,
                )
            )
            lost = kernel - 1 if boundary is None else 0
            sizes = tuple(-(-(size - lost) // stride) // block for size in sizes)
            if min(sizes) < 1:
                raise ValueError(
                    f"shape is {self.shape}: take larger images, fewer layers, or smaller kernels, strides "
                    f"or windows, as nothing is left after layer {len(self.convolutions)}"
                )
            inputs = outputs
        self.head = (
            MLP(
                (inputs * sizes[0] * sizes[1], *head),
                rngs,
                activation=activation,
                bias=bias,
                weight_variance=weight_variance,
                bias_variance=bias_variance,
                dtype=dtype,
                precision=precision,
            )
            if head
            else None
        )

    def __call__(self, x: Real[AnyArray, "*batch_and_image"]) -> Float[Array, "*batch_and_outputs"]:
        """Return the outputs of the head, or without a head the maps.

        Args:
            x: The images, whose last axes are `shape`.

        Returns:
            The outputs of the head, `(..., head[-1])`, or the maps, `(..., H', W', C')`.

        Raises:
            TypeError: If the images are not an array of numbers.
            ValueError: If the last axes of `x` are not `shape`.
        """
        images = len(self.shape)
        x = jnp.asarray(as_array("x", x))
        checks.axes("x", x, "...", *("H", "W", "C")[:images], sizes=self.shape)
        batch = x.shape[: x.ndim - images]
        x = x.reshape(-1, *(*self.shape, 1)[:3])
        for layer, window in zip(self.convolutions, self.windows):
            x = self.activation(layer(x))
            if window > 1:
                x = convolution.pooled(x, window, self.pooling)
        if self.head is None:
            return x.reshape(*batch, *x.shape[1:])
        return self.head(x.reshape(*batch, -1))
