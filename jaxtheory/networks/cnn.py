"""Small convolutional networks."""

from collections.abc import Sequence
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxtheory.networks.mlp import MLP, Activation, activation_function, initialisers

PerLayer = int | Sequence[int]


class CNN(nnx.Module):
    r"""Convolutions, each with an activation and a pooling, and a perceptron on what they find.

    A layer computes $P \rho(W x + b)$, where $W$ correlates with square kernels, $\rho$ is the activation and
    $P$ takes the largest or the average value of square blocks that do not overlap. With `window=1` and
    `strides=1` there is no pooling, and without a head the maps of the last layer are returned, so that
    layers of convolution and thresholding are a network of this kind.

    Args:
        shape: Of an image: `(H, W)`, or `(H, W, C)` with channels.
        channels: The number of maps of each convolution.
        rngs: Where the parameters are drawn from.
        head: The widths of the dense layers, the number of outputs last; empty to return the maps.
        kernel_size: The kernels' side, for all layers or for each.
        strides: Steps between the places at which kernels are applied, for all layers or for each.
        window: The side of the blocks that are pooled, for all layers or for each; 1 for no pooling. What is
            left over at the border is dropped.
        pooling: What is kept of a block.
        padding: `"SAME"` pads with zeros, `"CIRCULAR"` takes images as periodic, `"VALID"` does not pad.
        activation: A key of `mlp.ACTIVATIONS`, or a function.
        bias: Whether there are biases.
        weight_variance: Weights start as $N(0, \sigma_w^2 / n)$, with $n$ the number of inputs to a unit.
        bias_variance: Biases start as $N(0, \sigma_b^2)$.
        dtype: Of the parameters: by default JAX's, float64 where x64 is on.
        precision: Of convolutions and products: by default the device's, which accelerators round.

    Raises:
        ValueError: For unknown names, sizes below 1 or not one for each layer, or images that become empty.

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
        pooling: Literal["max", "average"] = "max",
        padding: Literal["SAME", "CIRCULAR", "VALID"] = "SAME",
        activation: Activation = "relu",
        bias: bool = True,
        weight_variance: float = 2.0,
        bias_variance: float = 0.0,
        dtype: Any = None,
        precision: Any = None,
    ):
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise ValueError(f"the shape of an image is (H, W) or (H, W, C), got {tuple(shape)}")
        for name, value, known in (
            ("pooling", pooling, ("max", "average")),
            ("padding", padding, ("SAME", "CIRCULAR", "VALID")),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}: take one of {', '.join(known)}")
        if not channels or min(channels) < 1:
            raise ValueError(
                f"channels are the numbers of maps of the convolutions, 1 or more each, got {channels}"
            )
        layers = len(channels)
        kernels = _for_each(layers, "kernel_size", kernel_size)
        steps = _for_each(layers, "strides", strides)
        self.shape = tuple(shape)
        self.windows = _for_each(layers, "window", window)
        self.pool = nnx.max_pool if pooling == "max" else nnx.avg_pool
        self.activation = activation_function(activation)
        options = {
            "use_bias": bias,
            "param_dtype": jnp.result_type(dtype or float),
            "precision": precision,
            "rngs": rngs,
            **initialisers(weight_variance, bias_variance),
        }
        inputs = (*shape, 1)[2]
        sizes = tuple(shape[:2])
        self.convolutions = nnx.List()
        for outputs, kernel, stride, block in zip(channels, kernels, steps, self.windows):
            self.convolutions.append(
                nnx.Conv(
                    inputs, outputs, (kernel, kernel), strides=(stride, stride), padding=padding, **options
                )
            )
            lost = kernel - 1 if padding == "VALID" else 0
            sizes = tuple(-(-(size - lost) // stride) // block for size in sizes)
            if min(sizes) < 1:
                raise ValueError(
                    f"images of shape {self.shape} are empty after layer {len(self.convolutions)}: "
                    "use fewer layers, or smaller kernels, strides or windows"
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

    def __call__(
        self, x: Float[Array, "*batch_and_image"] | Float[np.ndarray, "*batch_and_image"]
    ) -> Float[Array, "*batch_and_outputs"]:
        """The head's outputs, shape `(..., head[-1])`, or without a head the maps, shape `(..., H', W', C')`.

        Raises:
            ValueError: If `x` is not of shape `(..., *shape)`.
        """
        images = len(self.shape)
        if jnp.shape(x)[-images:] != self.shape:
            needed = f"(..., {', '.join(map(str, self.shape))})"
            raise ValueError(f"this network takes images of shape {needed}, got {jnp.shape(x)}: reshape them")
        x = jnp.asarray(x)
        batch = x.shape[: x.ndim - images]
        x = x.reshape(-1, *(*self.shape, 1)[:3])
        for convolution, window in zip(self.convolutions, self.windows):
            x = self.activation(convolution(x))
            if window > 1:
                x = self.pool(x, (window, window), strides=(window, window))
        if self.head is None:
            return x.reshape(*batch, *x.shape[1:])
        return self.head(x.reshape(*batch, -1))


def _for_each(layers: int, name: str, value: PerLayer) -> tuple[int, ...]:
    """One value for each layer."""
    values = (value,) * layers if isinstance(value, int) else tuple(value)
    if len(values) != layers or min(values) < 1:
        raise ValueError(
            f"{name} is {value} for {layers} convolutions: give one number of 1 or more, or one for each"
        )
    return values
