"""Convolutions of small networks in loops: the steps of an attack and of a training, and depthwise maps.

The network has convolutions of 4 x 4 with stride 2 and of 3 x 3, with 16 and 32 channels, and a dense layer,
on 100 digits; the loss is the sum of squared outputs. A step of the attack is the sign of the loss's gradient
by the images, a step of the training its gradient by the weights. The depthwise maps are those of 3 x 3 on
eight images of 56 x 56 with 96 channels, cut off at 0 and 6. The peers are the same programs with XLA's own
convolution, and PyTorch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster

STEPS = 10
ATTACK = f"{STEPS} steps of an attack, 100 digits"
TRAINING = f"{STEPS} steps of a training, 100 digits"
DEPTHWISE = f"{STEPS} depthwise convolutions, 8 x 56 x 56 x 96"
CASES = [
    Case(ATTACK, {"task": "attack"}, [faster(1.0, aim=2.0)], tolerance=0.02),
    Case(TRAINING, {"task": "training"}, [faster(1.0, aim=2.0)], tolerance=1e-3),
    Case(DEPTHWISE, {"task": "depthwise"}, [faster(1.0)], tolerance=1e-3),
]
SMALL = 0.01
"""The step of the training."""
Arrays = list[np.ndarray]


def arrays(task: str) -> tuple[np.ndarray, Arrays]:
    """The images and the weights."""
    rng = np.random.default_rng(0)
    if task == "depthwise":
        sizes, shapes = (8, 56, 56, 96), [(3, 3, 1, 96)]
    else:
        sizes, shapes = (100, 28, 28, 1), [(4, 4, 1, 16), (3, 3, 16, 32), (14 * 14 * 32, 10)]
    weights = [np.float32(rng.standard_normal(one) / np.sqrt(np.prod(one[:-1]))) for one in shapes]
    return np.float32(rng.random(sizes)), weights


def loss(convolve: Callable[..., Any], weights: Any, x: Any) -> Any:
    """The sum of squared outputs of the network over the digits."""
    import jax
    import jax.numpy as jnp

    first, second, dense = weights
    maps = jax.nn.relu(convolve(x, first, (2, 2)))
    maps = jax.nn.relu(convolve(maps, second, (1, 1)))
    outputs = jnp.matmul(maps.reshape(len(x), -1), dense, precision="highest")
    return jnp.sum(outputs**2) / len(x)


def stepped(convolve: Callable[..., Any], task: str) -> Callable[[Any, Any], Any]:
    """Return a case as a function of the weights and images, with a convolution."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    def step(_: Any, state: Any) -> Any:
        weights, x = state
        if task == "depthwise":
            return weights, jnp.clip(convolve(x, weights[0], (1, 1), x.shape[-1]), 0, 6)
        if task == "attack":
            slope = jax.grad(lambda x: loss(convolve, weights, x))(x)
            return weights, jnp.clip(x + 0.01 * jnp.sign(slope), 0, 1)
        slopes = jax.grad(lambda weights: loss(convolve, weights, x))(weights)
        return jax.tree.map(lambda one, slope: one - SMALL * slope, weights, slopes), x

    def run(weights: Any, x: Any) -> Any:
        weights, x = lax.fori_loop(0, STEPS, step, (weights, x))
        return weights[0] if task == "training" else x

    return run


def by_platform(x: Any, kernel: Any, strides: tuple[int, int], groups: int = 1) -> Any:
    """This package's convolution."""
    from jaxtheory.networks import convolution

    return convolution.convolve(x, kernel, strides=strides, groups=groups, precision="highest")


def of_xla(x: Any, kernel: Any, strides: tuple[int, int], groups: int = 1) -> Any:
    """XLA's convolution."""
    from jax import lax

    axes = ("NHWC", "HWIO", "NHWC")
    options = {"dimension_numbers": axes, "feature_group_count": groups, "precision": "highest"}
    return lax.conv_general_dilated(x, kernel, strides, "SAME", **options)


def with_jax(convolve: Callable[..., Any]) -> Callable[[str], Callable[[], Any]]:
    """Return what makes a contestant's run, with one of the convolutions."""

    def make(task: str) -> Callable[[], Any]:
        import jax

        run = jax.jit(stepped(convolve, task))
        x, weights = jax.tree.map(jax.numpy.asarray, arrays(task))
        return lambda: run(weights, x)

    return make


def with_torch(task: str) -> Callable[[], Any]:
    """PyTorch, on images whose channels come last in memory."""
    import torch
    from torch.nn import functional

    x, weights = arrays(task)
    last = torch.channels_last
    start = torch.as_tensor(x).permute(0, 3, 1, 2).contiguous(memory_format=last)
    kernels = [torch.as_tensor(one).permute(3, 2, 0, 1).contiguous(memory_format=last) for one in weights[:2]]
    dense = [torch.as_tensor(one) for one in weights[2:]]

    def total(kernels: Any, dense: Any, x: Any) -> Any:
        # With stride 2 and an even side the zeros on both sides are as many.
        maps = functional.relu(functional.conv2d(x, kernels[0], stride=2, padding=1))
        maps = functional.relu(functional.conv2d(maps, kernels[1], padding=1))
        return torch.sum((maps.permute(0, 2, 3, 1).reshape(len(x), -1) @ dense[0]) ** 2) / len(x)

    def run() -> np.ndarray:
        x = start
        if task == "depthwise":
            with torch.inference_mode():
                for _ in range(STEPS):
                    x = functional.conv2d(x, kernels[0], padding=1, groups=x.shape[1]).clamp_(0, 6)
            return x.permute(0, 2, 3, 1).numpy()
        now = [one.clone() for one in (*kernels, *dense)]
        for _ in range(STEPS):
            if task == "attack":
                x = x.detach().requires_grad_()
                [slope] = torch.autograd.grad(total(now[:2], now[2:], x), [x])
                x = (x + 0.01 * torch.sign(slope)).clamp(0, 1)
            else:
                now = [one.detach().requires_grad_() for one in now]
                slopes = torch.autograd.grad(total(now[:2], now[2:], x), now)
                now = [one - SMALL * slope for one, slope in zip(now, slopes)]
        found = now[0].permute(2, 3, 1, 0) if task == "training" else x.permute(0, 2, 3, 1)
        return found.detach().numpy()

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", with_jax(by_platform)),
    "XLA's convolution": Contestant("peer", with_jax(of_xla), install="pip install jax"),
    "PyTorch": Contestant("peer", with_torch, threads=(1, 2)),
}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time."""
    import jax

    x, weights = jax.tree.map(lambda one: jax.ShapeDtypeStruct(one.shape, one.dtype), arrays("training"))
    return {"training step of a small network": (jax.jit(stepped(by_platform, "training")), (weights, x))}
