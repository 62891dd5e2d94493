"""Tangent kernels of digits: of a perceptron at hand, and of an infinitely wide ReLU network.

The perceptron is 784-512-512-10; its kernel between 500 digits and 500 others is traced over the outputs.
The peer is the contraction of Jacobians by torch.func, one output after the other: all Jacobians at once
would take 27 GB. The analytic kernel of three hidden layers, between 4,000 digits, is compared with the
recursion on whole matrices in NumPy; neural-tangents 0.6.5 does not import under this JAX. The limit is made
of `jnp.dot` on the shapes of the products that ours cannot do without.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster
from jaxtheory.lab.machines.programs import Check

WIDTHS = (784, 512, 512, 10)
EXAMPLES, POINTS, DEPTH = 500, 4_000, 3
EMPIRICAL = f"empirical kernel, {'-'.join(map(str, WIDTHS))}, {EXAMPLES} x {EXAMPLES} digits"
ANALYTIC = f"analytic kernel, depth {DEPTH}, {POINTS:,} x {POINTS:,} digits"
CASES = [
    Case(EMPIRICAL, {"task": "empirical"}, [faster(5)], tolerance=1e-4),
    Case(ANALYTIC, {"task": "analytic"}, tolerance=1e-4),
]


def digits(start: int, stop: int) -> np.ndarray:
    """Digits as vectors."""
    from jaxtheory.data import mnist

    images = mnist.load().images[start:stop]
    return images.reshape(len(images), -1)


def weights(widths: tuple[int, ...] = WIDTHS) -> list[dict[str, np.ndarray]]:
    """The parameters of each layer."""
    rng = np.random.default_rng(0)
    return [
        {"bias": np.zeros(m, np.float32), "kernel": np.float32(rng.standard_normal((n, m)) * np.sqrt(2 / n))}
        for n, m in pairwise(widths)
    ]


def apply(params: Any, x: Any) -> Any:
    """The outputs of a perceptron."""
    import jax

    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
    return x @ params[-1]["kernel"] + params[-1]["bias"]


def empirical(params: Any, x: Any, y: Any) -> Any:
    """The kernel of a perceptron, as a function of arrays."""
    from jaxtheory.statistics import neural_kernel

    return neural_kernel.empirical(apply, params, x, y)


def analytic(x: Any) -> Any:
    """The tangent kernel of an infinitely wide network, as a function of arrays."""
    from jaxtheory.statistics import neural_kernel

    return neural_kernel.relu(x, x, DEPTH).ntk


def ours(task: str) -> Callable[[], Any]:
    """Kernels of this package."""
    import jax

    if task == "empirical":
        arguments = jax.device_put((weights(), digits(0, EXAMPLES), digits(EXAMPLES, 2 * EXAMPLES)))
        return lambda: empirical(*arguments)
    x = jax.device_put(digits(0, POINTS))
    return lambda: analytic(x)


def bare_products(task: str) -> Callable[[], Any]:
    """The products of matrices that ours cannot do without, each a call of its own."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    multiply = jax.jit(jnp.dot)

    def draw(*shape: int) -> Any:
        return jax.device_put(np.float32(rng.standard_normal(shape)))

    if task == "analytic":
        factors = [(draw(POINTS, WIDTHS[0]), draw(WIDTHS[0], POINTS))]
    else:
        n, outputs = EXAMPLES, WIDTHS[-1]
        factors = []
        for layer, (i, o) in enumerate(pairwise(WIDTHS)):
            factors += 2 * [(draw(n, i), draw(i, o))]
            # The gradients of the last layer's outputs are the identity, and the input needs none.
            factors += 2 * [(draw(n * outputs, o), draw(o, i))] if layer > 0 else []
            factors += [(draw(n, i), draw(i, n)), (draw(n, o * outputs), draw(o * outputs, n))]

    def run() -> Any:
        return jax.block_until_ready([multiply(*pair) for pair in factors])[-1]

    return run


def torch_contraction(task: str) -> Callable[[], Any]:
    """torch.func: gradients of all examples at once, contracted, one output after the other."""
    import torch
    from torch.func import functional_call, grad, vmap

    if task == "analytic":
        raise NotImplementedError("has no analytic kernels")
    layers = []
    for layer in weights():
        linear = torch.nn.Linear(*layer["kernel"].shape)
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(layer["kernel"].T))
            linear.bias.copy_(torch.as_tensor(layer["bias"]))
        layers += [linear, torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    params = {name: one.detach() for name, one in network.named_parameters()}
    x, y = (torch.as_tensor(digits(k * EXAMPLES, (k + 1) * EXAMPLES)) for k in (0, 1))

    def output(params: Any, one: Any, place: int) -> Any:
        return functional_call(network, params, (one,))[place]

    def run() -> np.ndarray:
        total = torch.zeros(len(x), len(y))
        for place in range(WIDTHS[-1]):
            gradients = vmap(grad(partial(output, place=place)), (None, 0))
            rows, columns = gradients(params, x), gradients(params, y)
            for name in params:
                total += rows[name].flatten(1) @ columns[name].flatten(1).T
        return total.numpy()

    return run


def numpy_recursion(task: str) -> Callable[[], Any]:
    """NumPy: the closed form, layer by layer on whole matrices."""
    if task == "empirical":
        raise NotImplementedError("is about the closed form")
    x = digits(0, POINTS)

    def run() -> np.ndarray:
        nngp = ntk = 2 * (x @ x.T) / x.shape[1]
        for _ in range(DEPTH):
            scale = np.sqrt(np.outer(nngp.diagonal(), nngp.diagonal()))
            cosine = np.clip(nngp / scale, -1, 1)
            np.fill_diagonal(cosine, 1)
            angle = np.arccos(cosine)
            nngp = scale / np.pi * (np.sin(angle) + (np.pi - angle) * cosine)
            ntk = nngp + (np.pi - angle) / np.pi * ntk
        return ntk

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    "torch.func, Jacobians contracted": Contestant("peer", torch_contraction, threads=(1, 2)),
    "numpy, whole matrices": Contestant("peer", numpy_recursion, threads=(1, 2)),
    "bare products of matrices": Contestant("limit", bare_products),
}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time."""
    import jax

    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), weights())
    points, many = (jax.ShapeDtypeStruct((n, WIDTHS[0]), np.float32) for n in (EXAMPLES, POINTS))
    return {
        EMPIRICAL: (jax.jit(empirical), (params, points, points)),
        ANALYTIC: (jax.jit(analytic), (many,)),
    }


def checks() -> dict[str, Check]:
    """Small problems to check devices with."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 6)), rng.standard_normal((4, 6))
    return {
        "the kernel of a small perceptron": Check(empirical, (weights((6, 5, 3)), x, y)),
        "the analytic kernel of a few points": Check(analytic, (x,)),
    }
