"""Ensembles: 64 perceptrons that learn side by side, each from examples of its own, by Adam.

The weights, the examples and the rate are the same for all contestants, and so are the losses: half the
squared error, averaged over a batch. What is compared are the last losses of all networks. PyTorch's
`torch.func.vmap` takes the gradients of all networks in one call; the loop trains them one after the other.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster

NETWORKS = 64
RATE = 1e-3
VMAP, LOOP = "torch.func.vmap", "torch, one by one"
NARROW = "8-32-32-1, batches of 64"
DEEP = "2-64-64-64-64-1, batches of 256"
CASES = [
    Case(
        NARROW,
        {"widths": (8, 32, 32, 1), "batch": 64, "steps": 20},
        [faster(2.0, VMAP), faster(10.0, LOOP)],
        tolerance=1e-3,
    ),
    Case(
        DEEP,
        {"widths": (2, 64, 64, 64, 64, 1), "batch": 256, "steps": 5},
        [faster(2.0, VMAP), faster(3.0, LOOP)],
        tolerance=1e-3,
    ),
]
Layers = list[tuple[np.ndarray, np.ndarray]]


def weights(widths: tuple[int, ...]) -> Layers:
    """He's weights of all networks, and biases of zero, with a leading axis."""
    rng = np.random.default_rng(0)
    return [
        (
            np.float32(rng.standard_normal((NETWORKS, n, m)) * np.sqrt(2 / n)),
            np.zeros((NETWORKS, m), np.float32),
        )
        for n, m in pairwise(widths)
    ]


def examples(widths: tuple[int, ...], batch: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The batches of all networks, (networks, steps, batch, features), and the sines that they learn."""
    x = np.random.default_rng(1).uniform(-1, 1, (NETWORKS, steps, batch, widths[0]))
    return np.float32(x), np.float32(np.sin(2 * x.sum(-1, keepdims=True)))


def make(widths: tuple[int, ...]) -> tuple[Any, Callable[..., Any]]:
    """The states at the start, and the program that trains all networks."""
    import jax
    import optax

    from jaxtheory import networks
    from jaxtheory.networks import training
    from jaxtheory.networks.mlp import MLP

    network = networks.functional(partial(MLP, widths))
    optimizer = optax.adam(RATE)
    objective = training.objective(network.apply, training.squared_error)
    advance = partial(training.step, objective=objective, optimizer=optimizer)

    @jax.jit
    def run(states: Any, x: Any, y: Any) -> tuple[Any, Any]:
        def one(state: Any, batches: Any) -> Any:
            state, metrics = jax.lax.scan(advance, state, batches)
            return state, metrics["loss"][-1]

        return jax.vmap(one)(states, (x, y))

    def start(params: Any, key: Any) -> Any:
        return training.init(params, key, optimizer=optimizer)

    params = {
        "layers": {
            str(place): {"bias": bias, "kernel": kernel}
            for place, (kernel, bias) in enumerate(weights(widths))
        }
    }
    return jax.vmap(start)(params, jax.random.split(jax.random.key(0), NETWORKS)), run


def ours(widths: tuple[int, ...], batch: int, steps: int) -> Callable[[], np.ndarray]:
    """`networks.training` of this package under `vmap`, in one program."""
    import jax

    states, run = make(widths)
    batches = jax.device_put(examples(widths, batch, steps))
    return lambda: np.asarray(run(states, *batches)[1])


def of_torch(widths: tuple[int, ...]) -> list[Any]:
    """The networks as modules of PyTorch."""
    import torch

    modules = []
    for number in range(NETWORKS):
        layers = []
        for kernel, bias in weights(widths):
            linear = torch.nn.Linear(*kernel.shape[1:])
            with torch.no_grad():
                linear.weight.copy_(torch.as_tensor(kernel[number].T))
                linear.bias.copy_(torch.as_tensor(bias[number]))
            layers += [linear, torch.nn.ReLU()]
        modules.append(torch.nn.Sequential(*layers[:-1]))
    return modules


def half_square(outputs: Any, targets: Any) -> Any:
    """Half the squared error of PyTorch's outputs."""
    return ((outputs - targets) ** 2).mean() / 2


def torch_vmap(widths: tuple[int, ...], batch: int, steps: int) -> Callable[[], np.ndarray]:
    """PyTorch's gradients of all networks in one call, and one Adam for their stacked parameters."""
    import torch
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap

    modules = of_torch(widths)
    stacked = {name: one.detach() for name, one in stack_module_state(modules)[0].items()}
    skeleton = modules[0]
    x, y = map(torch.as_tensor, examples(widths, batch, steps))

    def loss(params: Any, x: Any, y: Any) -> Any:
        return half_square(functional_call(skeleton, params, (x,)), y)

    gradients = vmap(grad_and_value(loss))

    def run() -> np.ndarray:
        params = {name: one.clone() for name, one in stacked.items()}
        optimizer = torch.optim.Adam(params.values(), lr=RATE)
        for step in range(steps):
            slopes, losses = gradients(params, x[:, step], y[:, step])
            for name, one in params.items():
                one.grad = slopes[name]
            optimizer.step()
        return losses.numpy()

    return run


def torch_loop(widths: tuple[int, ...], batch: int, steps: int) -> Callable[[], np.ndarray]:
    """PyTorch's networks one after the other, as most scripts do."""
    import torch

    start = [{name: one.clone() for name, one in module.state_dict().items()} for module in of_torch(widths)]
    module = of_torch(widths)[0]
    x, y = map(torch.as_tensor, examples(widths, batch, steps))

    def run() -> np.ndarray:
        losses = []
        for number in range(NETWORKS):
            module.load_state_dict(start[number])
            optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
            for step in range(steps):
                optimizer.zero_grad()
                loss = half_square(module(x[number, step]), y[number, step])
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
        return np.array(losses)

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    VMAP: Contestant("peer", torch_vmap, threads=(1, 2), install="pip install torch"),
    LOOP: Contestant("peer", torch_loop, threads=(1, 2), install="pip install torch"),
}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time."""
    import jax

    found = {}
    for case in CASES:
        widths, batch, steps = (case.options[name] for name in ("widths", "batch", "steps"))
        states, run = make(widths)
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), states)
        data = [jax.ShapeDtypeStruct((NETWORKS, steps, batch, size), np.float32) for size in (widths[0], 1)]
        found[case.name] = (run, (shapes, *data))
    return found
