"""Weights that torchvision publishes, as parameters and state of this package's networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from jaxtheory.networks import safetensors

COUNTER = "num_batches_tracked"
"""What PyTorch counts in a batch normalization, which nothing here needs."""


def load(path: Path | str, network: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read torchvision's weights of AlexNet, VGG or ResNet from a file in the format safetensors.

    Such a file is written with `safetensors.torch.save_file(network.state_dict(), path)`, where PyTorch is.
    Nothing in it is executed.

    Args:
        path: The file.
        network: What makes the network, as `resnet.make(18, 1000)`.

    Returns:
        The parameters and the state, averages and variances of batch normalization, as the `init` of
        `networks.functional(network)` returns them, of NumPy's arrays in float32.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If `network` is not a function.
        ValueError: If torchvision has no such network; if the file is of another format, truncated or
            damaged; if an array is missing or has no place, or has another shape, no floating dtype or
            numbers that are not finite.
    """
    from flax import nnx

    if isinstance(network, nnx.Module) or not callable(network):
        raise TypeError(
            f"network is a {type(network).__name__}: take what makes one, as resnet.make(18, 1000)"
        )
    module = nnx.eval_shape(lambda: network(nnx.Rngs(0)))
    wanted = module.tensors() if hasattr(module, "tensors") else {}
    if not wanted:
        raise ValueError(
            f"network makes a {type(module).__name__} that torchvision has not: take alexnet.make with one "
            "stream, vgg.make, or resnet.make with skips and 18, 34, 50, 101 or 152 layers"
        )
    shapes = {tuple(map(str, place)): one for place, one in nnx.to_flat_state(nnx.state(module))}
    arrays = safetensors.read(path)
    named = {name for name in arrays if not name.endswith(COUNTER)}
    if strange := named ^ wanted.keys():
        name = min(strange)
        word = "lacks" if name in wanted else "has"
        others = f" and {len(strange) - 1} others" if len(strange) > 1 else ""
        raise ValueError(f"{path} {word} {name!r:.60}{others}: take the weights of {module.title}")
    trees: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name, (place, maps) in wanted.items():
        variable, array = shapes[place], arrays[name]
        shape = variable.get_value().shape
        if array.shape != _published(shape):
            raise ValueError(f"{path} {_misfit(name, array.shape, shape, place)} of {module.title}")
        if array.dtype.kind not in "fV":
            raise ValueError(f"{path} has {name} of dtype {array.dtype}: take floating weights")
        if not np.isfinite(array := array.astype(np.float32)).all():
            raise ValueError(f"{path} has numbers in {name} that are not finite: fetch it again")
        tree = trees[0 if isinstance(variable, nnx.Param) else 1]
        for part in place[:-1]:
            tree = tree.setdefault(part, {})
        tree[place[-1]] = _turned(array, maps)
    return trees


def _published(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an array where outputs come first, of one where they come last."""
    if len(shape) == 4:
        return (shape[3], shape[2], *shape[:2])
    return shape[::-1]


def _misfit(name: str, found: tuple[int, ...], shape: tuple[int, ...], place: tuple[str, ...]) -> str:
    """What is wrong with a shape, and what to do."""
    if place[0] == "classifier" and found[1:] == _published(shape)[1:]:
        return f"has {found[0]} classes and not {shape[-1]}: make a network with as many, or take weights"
    return f"has {name} of shape {found}, which should be {_published(shape)}: take the weights"


def _turned(array: Shaped[np.ndarray, "..."], maps: tuple[int, int, int] | None) -> Shaped[np.ndarray, "..."]:
    """An array with outputs last, and with the channels of maps last where a dense layer sees some."""
    if maps is not None:
        array = array.reshape(-1, *maps).transpose(0, 2, 3, 1).reshape(len(array), -1)
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    return np.ascontiguousarray(array.T if array.ndim == 2 else array)
