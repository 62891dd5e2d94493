r"""Residual networks: blocks of convolutions whose result is added to what they got.

A block computes $\rho(x + f(x))$, where $f$ has two convolutions, or in networks of 50 layers and more three,
each with a batch normalization. Without skips it computes $\rho(f(x))$, and the network is a plain stack.

References:
    Kaiming He, Xiangyu Zhang, Shaoqing Ren and Jian Sun, "Deep residual learning for image
    recognition", 2016.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray, Precision
from jaxtheory.networks import layers
from jaxtheory.networks.layers import Convolution, Tensor

STAGES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""The numbers of blocks of the networks of ImageNet."""
CHANNELS = (64, 128, 256, 512)
"""The channels of a stage of them; in networks of 50 layers and more blocks return four times as many."""
BOTTLENECKS, EXPANSION = 50, 4
"""The depth from which blocks have three convolutions, and by what they multiply the channels."""
SMALL = (20, 32, 44, 56, 110)
"""The depths of the networks of CIFAR's images in the paper."""
SMALL_CHANNELS = (16, 32, 64)


def make(
    depth: int,
    classes: int,
    *,
    skips: bool = True,
    dtype: Any = None,
    precision: Precision | None = None,
) -> Callable[[nnx.Rngs], nnx.Module]:
    """Return what makes a residual network of the paper, for `networks.functional`.

    Those of ImageNet take images (..., H, W, 3) with intensities in [0, 1], and are torchvision's, whose
    weights `networks.load` reads. Those of CIFAR are `make_small` with three channels.

    Args:
        depth: The number of layers: 18, 34, 50, 101 or 152 for ImageNet, and 20, 32, 44, 56 or 110 for CIFAR.
        classes: The number of classes.
        skips: Whether what a block got is added to its result; otherwise it is a plain stack.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of convolutions and products; by default the device's, which accelerators
            round.

    Returns:
        A function from random streams to the network.

    Raises:
        TypeError: If a size is not a whole number, or `skips` no truth value.
        ValueError: If there is no network of that depth, or the number of classes is below 1.

    Example:
        >>> from jaxtheory import networks
        >>> from jaxtheory.networks import resnet
        >>> init, apply = networks.functional(resnet.make(18, 1000))
        >>> params, state = jax.eval_shape(init, jax.random.key(0))
        >>> f"{sum(leaf.size for leaf in jax.tree.leaves(params)):,}"
        '11,689,512'
    """
    if checks.count("depth", depth) in SMALL:
        return make_small(depth, classes, skips=skips, dtype=dtype, precision=precision)
    if depth not in STAGES:
        raise ValueError(
            f"depth is {depth}: take 18, 34, 50, 101 or 152, CIFAR's 20, 32, 44, 56 or 110, or make_small"
        )
    classes, skips = checks.count("classes", classes), checks.flag("skips", skips)
    return partial(ResNet, depth, classes, skips=skips, dtype=dtype, precision=precision)


def make_small(
    depth: int,
    classes: int,
    *,
    channels: Sequence[int] = SMALL_CHANNELS,
    inputs: int = 3,
    skips: bool = True,
    normalization: bool = True,
    dtype: Any = None,
    precision: Precision | None = None,
) -> Callable[[nnx.Rngs], "SmallResNet"]:
    """Return what makes a residual network for small images, for `networks.functional`.

    It has a convolution, three stages of blocks, of which the second and the third halve the images, and a
    dense layer on the averages of the maps. Where channels become more, what is added has zeros in their
    place, the paper's option A.

    Args:
        depth: The number of layers, 6 n + 2 with n blocks in a stage.
        classes: The number of classes.
        channels: The channels of the three stages, not falling.
        inputs: The number of channels of the images.
        skips: Whether what a block got is added to its result; otherwise it is a plain stack. The state
            has it as `"skips"`, 1 or 0, so that one compiled program computes both.
        normalization: Whether convolutions have a batch normalization; otherwise they have biases.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of convolutions and products; by default the device's, which accelerators
            round.

    Returns:
        A function from random streams to the network.

    Raises:
        TypeError: If a size is not a whole number, or a flag no truth value.
        ValueError: If no network has that depth, the channels are not three or fall, or a number is below 1.

    Example:
        >>> from jaxtheory import networks
        >>> from jaxtheory.networks import resnet
        >>> init, apply = networks.functional(resnet.make_small(20, 10))
        >>> params, state = jax.eval_shape(init, jax.random.key(0))
        >>> f"{sum(leaf.size for leaf in jax.tree.leaves(params)):,}"
        '269,722'
    """
    if checks.count("depth", depth) < 8 or depth % 6 != 2:
        raise ValueError(f"depth is {depth}: take 6 n + 2 with n of 1 or more, as 8, 14 or 20")
    channels = checks.counts("channels", channels, each="stage")
    if len(channels) != 3 or list(channels) != sorted(channels):
        raise ValueError(f"channels are {channels}: take three numbers, none smaller than the one before")
    return partial(
        SmallResNet,
        depth,
        checks.count("classes", classes),
        channels=channels,
        inputs=checks.count("inputs", inputs),
        skips=checks.flag("skips", skips),
        normalization=checks.flag("normalization", normalization),
        dtype=dtype,
        precision=precision,
    )


class ResNet(nnx.Module):
    """A residual network of ImageNet, which `make` makes.

    Args:
        depth: The number of layers, a key of `STAGES`.
        classes: The number of classes.
        rngs: The random streams from which the parameters are drawn.
        skips: Whether what a block got is added to its result.
        dtype: The dtype of the parameters.
        precision: The precision of convolutions and products.
    """

    def __init__(
        self,
        depth: int,
        classes: int,
        rngs: nnx.Rngs,
        *,
        skips: bool,
        dtype: Any,
        precision: Precision | None,
    ):
        options = {"dtype": dtype, "precision": precision}
        bottleneck = depth >= BOTTLENECKS
        self.title, self.skips = f"ResNet-{depth}", skips
        self.stem = Convolution(3, CHANNELS[0], kernel_size=7, stride=2, **options)
        self.stages, inputs = nnx.List(), CHANNELS[0]
        for stage, (blocks, channels) in enumerate(zip(STAGES[depth], CHANNELS)):
            outputs = channels * (EXPANSION if bottleneck else 1)
            self.stages.append(nnx.List())
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                self.stages[-1].append(_Block(inputs, channels, outputs, stride, skips=skips, **options))
                inputs = outputs
        self.classifier = layers.dense(inputs, classes, **options)
        layers.draw(self, rngs)

    def __call__(self, x: Real[AnyArray, "*batch height width 3"]) -> Float[Array, "*batch classes"]:
        """Return the logits.

        Args:
            x: The images, with intensities in [0, 1]; of any size, though weights are trained for one.

        Returns:
            The logits.

        Raises:
            TypeError: If the images are not an array of numbers.
            ValueError: If they have no three channels.
        """
        x, batch = layers.colored(x)
        x = layers.largest(jax.nn.relu(self.stem(x)), 3, 2, 1)
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return self.classifier(x.mean((1, 2))).reshape(*batch, -1)

    def tensors(self) -> dict[str, Tensor]:
        """Return torchvision's names of all arrays, with their places; none for a plain stack."""
        if not self.skips:
            return {}
        found = self.stem.tensors("conv1", "bn1", "stem")
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(stage):
                name, path = f"layer{i + 1}.{j}", ("stages", str(i), str(j))
                for k, layer in enumerate(block.layers):
                    found |= layer.tensors(
                        f"{name}.conv{k + 1}", f"{name}.bn{k + 1}", *path, "layers", str(k)
                    )
                if block.projection is not None:
                    found |= block.projection.tensors(
                        f"{name}.downsample.0", f"{name}.downsample.1", *path, "projection"
                    )
        return found | {
            "fc.weight": Tensor(("classifier", "kernel")),
            "fc.bias": Tensor(("classifier", "bias")),
        }


class SmallResNet(nnx.Module):
    """A residual network of small images, which `make_small` makes.

    Blocks of a stage that are alike, which are all but one that halves the images, go through a scan: their
    parameters have a leading axis.

    Args:
        depth: The number of layers, 6 n + 2.
        classes: The number of classes.
        rngs: The random streams from which the parameters are drawn.
        channels: The channels of the three stages.
        inputs: The number of channels of the images.
        skips: Whether what a block got is added to its result.
        normalization: Whether convolutions have a batch normalization; otherwise they have biases.
        dtype: The dtype of the parameters.
        precision: The precision of convolutions and products.
    """

    def __init__(
        self,
        depth: int,
        classes: int,
        rngs: nnx.Rngs,
        *,
        channels: tuple[int, ...],
        inputs: int,
        skips: bool,
        normalization: bool,
        dtype: Any,
        precision: Precision | None,
    ):
        options = {"dtype": dtype, "precision": precision}
        blocks = (depth - 2) // 6
        self.inputs, self.skips = inputs, nnx.Variable(jnp.asarray(skips, jnp.result_type(dtype or float)))
        form = {"normalization": normalization, "bias": not normalization, **options}
        self.stem = Convolution(inputs, channels[0], **form)
        self.stages, before = nnx.List(), channels[0]
        for stage, one in enumerate(channels):
            self.stages.append(_Stage(before, one, 2 if stage else 1, blocks, **form))
            before = one
        self.classifier = layers.dense(before, classes, **options)
        layers.draw(self, rngs)

    def __call__(self, x: Real[AnyArray, "*batch height width inputs"]) -> Float[Array, "*batch classes"]:
        """Return the logits.

        Args:
            x: The images as the first convolution sees them, of any size.

        Returns:
            The logits.

        Raises:
            TypeError: If the images are not an array of numbers.
            ValueError: If they have another number of channels.
        """
        x = jnp.asarray(as_array("x", x))
        checks.axes("x", x, "...", "H", "W", "C", sizes=(None, None, self.inputs))
        batch = x.shape[:-3]
        x = jax.nn.relu(self.stem(x.reshape(-1, *x.shape[-3:])))
        for stage in self.stages:
            x = stage(x, self.skips[...])
        return self.classifier(x.mean((1, 2))).reshape(*batch, -1)


class _Block(nnx.Module):
    """Two or three convolutions, to whose result is added what they got."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        outputs: int,
        stride: int,
        *,
        skips: bool,
        option_a: bool = False,
        **options: Any,
    ):
        if outputs == channels:
            self.layers = nnx.List(
                [
                    Convolution(inputs, channels, stride=stride, **options),
                    Convolution(channels, channels, **options),
                ]
            )
        else:
            self.layers = nnx.List(
                [
                    Convolution(inputs, channels, kernel_size=1, **options),
                    Convolution(channels, channels, stride=stride, **options),
                    Convolution(channels, outputs, kernel_size=1, **options),
                ]
            )
        self.skips, self.stride, self.more = skips, stride, outputs - inputs
        projects = skips and not option_a and (stride > 1 or self.more)
        self.projection = (
            Convolution(inputs, outputs, kernel_size=1, stride=stride, **options) if projects else None
        )

    def __call__(self, x: Array, share: Array | None = None) -> Array:
        maps = x
        for layer in self.layers[:-1]:
            maps = jax.nn.relu(layer(maps))
        maps = self.layers[-1](maps)
        if not self.skips:
            return jax.nn.relu(maps)
        if self.projection is not None:
            x = self.projection(x)
        elif self.stride > 1 or self.more:
            x = jnp.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (0, self.more)))
        return jax.nn.relu((x if share is None else share * x) + maps)


class _Stage(nnx.Module):
    """Blocks, of which the first one may halve the images; the others are one with a leading axis."""

    def __init__(self, inputs: int, outputs: int, stride: int, blocks: int, **options: Any):
        alike = blocks if stride == 1 else blocks - 1

        @partial(nnx.vmap, axis_size=alike)
        def repeated() -> _Block:
            return _Block(outputs, outputs, outputs, 1, skips=True, option_a=True, **options)

        start = partial(_Block, inputs, outputs, outputs, stride, skips=True, option_a=True, **options)
        self.start = start() if alike < blocks else None
        self.rest = repeated() if alike else None

    def __call__(self, x: Array, share: Array) -> Array:
        x = x if self.start is None else self.start(x, share)
        return x if self.rest is None else _through(self.rest, x, share)


@nnx.scan(in_axes=(0, nnx.Carry, None), out_axes=nnx.Carry)
def _through(block: _Block, x: Array, share: Array) -> Array:
    return block(x, share)
