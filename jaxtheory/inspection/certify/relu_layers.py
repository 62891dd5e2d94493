"""ReLU networks as lists of layers: pairs of arrays for dense ones, records for convolutions."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, Boundary
from jaxtheory.networks import convolution
from jaxtheory.networks.convolution import PerLayer, Pooling, convolve

Padding = str | tuple[tuple[int, int], tuple[int, int]]

MODES = {"periodic": "wrap", "reflect": "reflect"}
"""What NumPy calls the boundaries that are not zeros."""


@record
class Convolution:
    """A convolutional layer of a ReLU network: a correlation with kernels, and a pooling after its ReLU."""

    kernel: Real[AnyArray, "height width inputs outputs"]
    """The kernels."""
    bias: Real[AnyArray, " outputs"]
    """The biases."""
    strides: int | tuple[int, int] = static(default=1)
    """The step between the places at which kernels are applied, or one for each axis."""
    padding: Padding = static(default="SAME")
    """How far images go on: `"SAME"`, `"VALID"`, or the numbers of rows and columns before and after."""
    boundary: Boundary = static(default="zero")
    """What lies beyond the border, where images go on."""
    window: int = static(default=1)
    """The side of the blocks that are pooled after the ReLU; 1 for no pooling."""
    pooling: Pooling = static(default="max")
    """What is kept of a block: its largest value or its average."""


Layer = Convolution | tuple[Array, Array]


def layers_of(
    params: PyTree,
    *,
    strides: PerLayer = 1,
    window: PerLayer = 2,
    pooling: Pooling = "max",
    boundary: Boundary | None = "zero",
) -> list[Layer]:
    """Return the layers of a network of `networks.mlp` or `networks.cnn` from its plain parameters.

    The network's activation must be the ReLU. It is a rearrangement: gradients pass to the parameters, so
    that it can stand within an objective of training.

    Args:
        params: The parameters as `networks.functional` gives them, of an `MLP` or of a `CNN` with a head.
        strides: The steps that the `CNN` was made with, one for all convolutions or one for each.
        window: The sides of its pooled blocks, one for all or one for each.
        pooling: What it keeps of a block.
        boundary: How it continues images.

    Returns:
        The layers, dense ones as pairs of kernel and bias; of zeros where the network has no bias.

    Raises:
        TypeError: If the parameters are no dictionary of layers.
        ValueError: If there is no dense layer, a name is unknown, or numbers are not one for each layer.

    Example:
        >>> import jax
        >>> from functools import partial
        >>> from jaxtheory import networks
        >>> from jaxtheory.inspection import certify
        >>> from jaxtheory.networks.cnn import CNN
        >>> init, _ = networks.functional(partial(CNN, (8, 8), (4,), strides=2, window=1, head=(10,)))
        >>> convolution, dense = certify.layers_of(init(jax.random.key(0))[0], strides=2, window=1)
        >>> convolution.kernel.shape, dense[0].shape
        ((3, 3, 1, 4), (64, 10))
    """
    checks.one_of("pooling", pooling, ("max", "average"))
    if boundary is not None:
        checks.one_of("boundary", boundary, ("zero", "periodic", "reflect"))
    convolutions = _numbered(params, "convolutions")
    dense = _numbered(params["head"] if convolutions and "head" in params else params, "layers")
    if not dense:
        raise ValueError(
            "params hold no dense layer: take those of an MLP, or of a CNN with a head, as init returns them"
        )
    options = {"pooling": pooling, "boundary": "zero" if boundary is None else boundary}
    found: list[Layer] = []
    steps = convolution.for_each(len(convolutions), "strides", strides)
    for one, step, block in zip(
        convolutions, steps, convolution.for_each(len(convolutions), "window", window)
    ):
        kernel, bias = _parts(one)
        padding = "VALID" if boundary is None else "SAME"
        if boundary in MODES:
            # Flax continues images by the kernel's size, whatever the strides.
            padding = tuple(((side - 1) // 2, side // 2) for side in kernel.shape[:2])
        found.append(Convolution(kernel, bias, strides=step, padding=padding, window=block, **options))
    return found + [_parts(one) for one in dense]


def affine(layer: Layer, place: str, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Return the ends of the intervals after a layer's linear part.

    Args:
        layer: The layer.
        place: Its name, for the errors.
        lower: The lower ends before it.
        upper: The upper ends.

    Returns:
        The lower and the upper ends.

    Raises:
        ValueError: If the shapes do not fit.
    """
    if isinstance(layer, Convolution):
        return _correlated(layer, place, lower, upper)
    kernel, bias = layer
    check_inputs(kernel, place, lower)
    center = matmul((lower + upper) / 2, kernel) + bias
    radius = matmul((upper - lower) / 2, jnp.abs(kernel))
    return center - radius, center + radius


def check_inputs(kernel: Array, place: str, x: Array) -> None:
    """Refuses a dense layer that takes another number of inputs than come before it."""
    if kernel.shape[0] != x.shape[-1]:
        raise ValueError(
            f"{place} has a kernel of the shape {kernel.shape}: take ({x.shape[-1]}, outputs), for as many "
            "numbers as come before it"
        )


def pooled(layer: Layer, x: Array) -> Array:
    """Return the maps of a convolution after its pooling; what is left over at the border is dropped."""
    return convolution.pooled(x, layer.window, layer.pooling) if isinstance(layer, Convolution) else x


def _correlated(layer: Convolution, place: str, lower: Array, upper: Array) -> tuple[Array, Array]:
    """The ends after a convolution: positive weights keep lower and upper, negative ones exchange them."""
    # Both are channels of one convolution. The gradients of two, of centers and radii, take a processor
    # several times as long, as it computes their sums of shifted maps anew for each use.
    kernel, outputs = layer.kernel, layer.kernel.shape[3]
    if kernel.shape[2] != lower.shape[-1]:
        raise ValueError(
            f"{place} has kernels of {kernel.shape[2]} channels: take {lower.shape[-1]}, as many as come "
            "before it"
        )
    same, exchanged = jnp.maximum(kernel, 0), jnp.minimum(kernel, 0)
    to_lower, to_upper = (jnp.concatenate(pair, axis=2) for pair in ((same, exchanged), (exchanged, same)))
    x = jnp.concatenate([lower, upper], axis=-1)
    padding = layer.padding
    if layer.boundary != "zero" and padding != "VALID":
        if padding == "SAME":
            steps = np.broadcast_to(layer.strides, 2)
            padding = lax.padtype_to_pads(x.shape[-3:-1], kernel.shape[:2], steps, padding)
        x = jnp.pad(x, (*[(0, 0)] * (x.ndim - 3), *padding, (0, 0)), mode=MODES[layer.boundary])
        padding = "VALID"
    kernels = jnp.concatenate([to_lower, to_upper], axis=3)
    ends = convolve(x, kernels, strides=layer.strides, padding=padding, precision="highest")
    return ends[..., :outputs] + layer.bias, ends[..., outputs:] + layer.bias


def _numbered(params: Any, name: str) -> list[Any]:
    """The layers of a dictionary, in the order of their numbers."""
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params is a {type(params).__name__}: take the dictionary of an MLP or a CNN, as init returns it"
        )
    found = params.get(name, {})
    return [found[key] for key in sorted(found, key=int)]


def _parts(layer: Mapping[str, Any]) -> tuple[Array, Array]:
    """The kernel and the bias of a layer of Flax's."""
    kernel = layer["kernel"]
    return kernel, layer["bias"] if "bias" in layer else jnp.zeros(kernel.shape[-1], kernel.dtype)
