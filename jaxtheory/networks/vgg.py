"""The networks of the Visual Geometry Group: convolutions of 3 x 3, and maps that are halved five times.

References:
    Karen Simonyan and Andrew Zisserman, "Very deep convolutional networks for large-scale image recognition",
    2015.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, Precision
from jaxtheory.networks import convolution, layers
from jaxtheory.networks.layers import Convolution, Tensor

STAGES = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""The numbers of convolutions before each pooling, by depth: the paper's networks A, B, D and E."""
CHANNELS = (64, 128, 256, 512, 512)
SIDE, UNITS = 7, 4096
"""The side of the maps that the dense layers see, and the units of these."""


def make(
    depth: int,
    classes: int,
    *,
    normalization: bool = False,
    dtype: Any = None,
    precision: Precision | None = None,
) -> Callable[[nnx.Rngs], "VGG"]:
    """Return what makes a network of VGG, for `networks.functional`.

    They are torchvision's, whose weights `networks.load` reads.

    Args:
        depth: The number of layers with weights: 11, 13, 16 or 19.
        classes: The number of classes.
        normalization: Whether a batch normalization follows each convolution.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of convolutions and products; by default the device's, which accelerators
            round.

    Returns:
        A function from random streams to the network.

    Raises:
        TypeError: If a size is not a whole number, or `normalization` no truth value.
        ValueError: If there is no network of that depth, or the number of classes is below 1.

    Example:
        >>> from jaxtheory import networks
        >>> from jaxtheory.networks import vgg
        >>> init, apply = networks.functional(vgg.make(11, 1000))
        >>> params, state = jax.eval_shape(init, jax.random.key(0))
        >>> f"{sum(leaf.size for leaf in jax.tree.leaves(params)):,}"
        '132,863,336'
    """
    if checks.count("depth", depth) not in STAGES:
        raise ValueError(f"depth is {depth}: take 11, 13, 16 or 19")
    classes, normalization = checks.count("classes", classes), checks.flag("normalization", normalization)
    return partial(VGG, depth, classes, normalization=normalization, dtype=dtype, precision=precision)


class VGG(nnx.Module):
    """A network of VGG, which `make` makes.

    Args:
        depth: The number of layers with weights, a key of `STAGES`.
        classes: The number of classes.
        rngs: The random streams from which the parameters are drawn.
        normalization: Whether a batch normalization follows each convolution.
        dtype: The dtype of the parameters.
        precision: The precision of convolutions and products.
    """

    def __init__(
        self,
        depth: int,
        classes: int,
        rngs: nnx.Rngs,
        *,
        normalization: bool,
        dtype: Any,
        precision: Precision | None,
    ):
        options = {"dtype": dtype, "precision": precision}
        self.title = f"VGG-{depth}{' with batch normalization' * normalization}"
        self.stages, inputs = nnx.List(), 3
        for several, channels in zip(STAGES[depth], CHANNELS):
            self.stages.append(nnx.List())
            for _ in range(several):
                self.stages[-1].append(
                    Convolution(inputs, channels, bias=True, normalization=normalization, **options)
                )
                inputs = channels
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.dense = nnx.List(
            [layers.dense(SIDE**2 * inputs, UNITS, **options), layers.dense(UNITS, UNITS, **options)]
        )
        self.classifier = layers.dense(UNITS, classes, **options)
        layers.draw(self, rngs)

    def __call__(self, x: Real[AnyArray, "*batch height width 3"]) -> Float[Array, "*batch classes"]:
        """Return the logits.

        Args:
            x: The images, with intensities in [0, 1], of 32 x 32 pixels or more; weights are trained for 224.

        Returns:
            The logits.

        Raises:
            TypeError: If the images are not an array of numbers.
            ValueError: If they have no three channels, or are too small.
        """
        x, batch = layers.colored(x, least=32)
        for stage in self.stages:
            for convolve in stage:
                x = jax.nn.relu(convolve(x))
            x = convolution.pooled(x, 2, "max")
        x = layers.averaged(x, SIDE).reshape(x.shape[0], -1)
        for layer in self.dense:
            x = self.dropout(jax.nn.relu(layer(x)))
        return self.classifier(x).reshape(*batch, -1)

    def tensors(self) -> dict[str, Tensor]:
        """Return torchvision's names of all arrays, with their places."""
        found, number = {}, 0
        for i, stage in enumerate(self.stages):
            for j, layer in enumerate(stage):
                found |= layer.tensors(
                    f"features.{number}", f"features.{number + 1}", "stages", str(i), str(j)
                )
                number += 2 if layer.normalization is None else 3
            number += 1
        return found | layers.dense_tensors((0, 3, 6), (CHANNELS[-1], SIDE, SIDE))
