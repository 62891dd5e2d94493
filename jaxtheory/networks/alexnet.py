"""AlexNet, in one stream as in torchvision, or in the two streams of 2012.

References:
    Alex Krizhevsky, Ilya Sutskever and Geoffrey E. Hinton, "ImageNet classification with deep convolutional
    neural networks", 2012.
    Alex Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, Precision
from jaxtheory.networks import layers
from jaxtheory.networks.layers import Convolution, Tensor

CHANNELS = {1: (64, 192, 384, 256, 256), 2: (96, 256, 384, 384, 256)}
"""The channels of the convolutions, by the number of streams."""
GROUPS = (1, 2, 1, 2, 2)
"""The groups of channels in two streams, which meet in the third convolution."""
POOLED = (0, 1, 4)
"""The convolutions whose maps are pooled; of these the first two are normalized in two streams."""
FORMS = (
    {"kernel_size": 11, "stride": 4, "padding": 2},
    {"kernel_size": 5},
    {"kernel_size": 3},
    {"kernel_size": 3},
    {"kernel_size": 3},
)
SIDE, UNITS = 6, 4096
"""The side of the maps that the dense layers see, and the units of these."""
NAMES = {"features": (0, 3, 6, 8, 10), "classifier": (1, 4, 6)}
"""The numbers of the layers with weights in torchvision's lists."""


def make(
    classes: int, *, streams: int = 1, dtype: Any = None, precision: Precision | None = None
) -> Callable[[nnx.Rngs], "AlexNet"]:
    """Return what makes AlexNet, for `networks.functional`.

    Args:
        classes: The number of classes.
        streams: 1 for torchvision's network, whose weights `networks.load` reads; 2 for the network of 2012,
            with convolutions in two groups and local response normalization.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of convolutions and products; by default the device's, which accelerators
            round.

    Returns:
        A function from random streams to the network.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If the number of classes is below 1, or of streams not 1 or 2.

    Example:
        >>> from jaxtheory import networks
        >>> from jaxtheory.networks import alexnet
        >>> init, apply = networks.functional(alexnet.make(1000))
        >>> params, state = jax.eval_shape(init, jax.random.key(0))
        >>> f"{sum(leaf.size for leaf in jax.tree.leaves(params)):,}"
        '61,100,840'
    """
    streams = checks.count("streams", streams, most=2)
    classes = checks.count("classes", classes)
    return partial(AlexNet, classes, streams=streams, dtype=dtype, precision=precision)


class AlexNet(nnx.Module):
    """AlexNet, which `make` makes.

    Args:
        classes: The number of classes.
        rngs: The random streams from which the parameters are drawn.
        streams: The number of streams, 1 or 2.
        dtype: The dtype of the parameters.
        precision: The precision of convolutions and products.
    """

    def __init__(
        self, classes: int, rngs: nnx.Rngs, *, streams: int, dtype: Any, precision: Precision | None
    ):
        options = {"dtype": dtype, "precision": precision}
        channels = CHANNELS[streams]
        self.streams = streams
        self.title = "AlexNet"
        self.convolutions = nnx.List(
            Convolution(
                inputs,
                outputs,
                groups=groups if streams == 2 else 1,
                bias=True,
                normalization=False,
                **form,
                **options,
            )
            for inputs, outputs, groups, form in zip((3, *channels), channels, GROUPS, FORMS)
        )
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.dense = nnx.List(
            [layers.dense(SIDE**2 * channels[-1], UNITS, **options), layers.dense(UNITS, UNITS, **options)]
        )
        self.classifier = layers.dense(UNITS, classes, **options)
        layers.draw(self, rngs)

    def __call__(self, x: Real[AnyArray, "*batch height width 3"]) -> Float[Array, "*batch classes"]:
        """Return the logits.

        Args:
            x: The images, with intensities in [0, 1], of 63 x 63 pixels or more; weights are trained for 224.

        Returns:
            The logits.

        Raises:
            TypeError: If the images are not an array of numbers.
            ValueError: If they have no three channels, or are too small.
        """
        x, batch = layers.colored(x, least=63)
        for place, convolve in enumerate(self.convolutions):
            x = jax.nn.relu(convolve(x))
            if self.streams == 2 and place in POOLED[:2]:
                x = layers.local_response(x)
            if place in POOLED:
                x = layers.largest(x, 3, 2)
        x = layers.averaged(x, SIDE).reshape(x.shape[0], -1)
        for layer in self.dense:
            x = jax.nn.relu(layer(self.dropout(x)))
        return self.classifier(x).reshape(*batch, -1)

    def tensors(self) -> dict[str, Tensor]:
        """Return torchvision's names of all arrays, with their places; none for two streams."""
        if self.streams == 2:
            return {}
        found = {}
        for place, (layer, number) in enumerate(zip(self.convolutions, NAMES["features"])):
            found |= layer.tensors(f"features.{number}", "", "convolutions", str(place))
        maps = (CHANNELS[1][-1], SIDE, SIDE)
        return found | layers.dense_tensors(NAMES["classifier"], maps)
