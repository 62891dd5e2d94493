"""ResNet-18 on eight images of 224 x 224, forward and with backward, and an epoch of LeNet-5.

ResNet-18 is compared with torchvision's on the same drawn weights: its logits, and the derivatives of their
mean square by the first kernels, with batch statistics as in a training. In double precision these differ
by 5e-14 of the largest (four images of 96 x 96); in single precision either library's are at times 2 % away
from those in double precision, where a unit falls on the other side of zero. LeNet-5 goes once through 60,000
images of noise in batches of 64, 937 steps of descent on the cross-entropy; what is compared are the mean
losses of hundredths of the epoch, as a PyTorch network of the same layers has them. torchvision beside a
PyTorch for processors imports once two operators, which nothing here calls, are declared.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster

FORWARD = "ResNet-18, 8 images of 224 x 224"
BACKWARD = f"{FORWARD}, with backward"
EPOCH = "LeNet-5, an epoch of 60,000 digits"
CASES = [
    Case(FORWARD, {"task": "forward"}, [faster(0.75, aim=0.8)], tolerance=1e-4),
    Case(BACKWARD, {"task": "backward"}, [faster(0.5, aim=0.8)], tolerance=0.05),
    Case(EPOCH, {"task": "epoch"}, [faster(0.8, aim=1.0)], tolerance=1e-3),
]
SIDE, CLASSES = 224, 1000
DIGITS, BATCH, RATE, PARTS = 60_000, 64, 1e-5, 100
"""What an epoch of LeNet-5 has, the step of descent, and the parts whose losses are compared."""
INSTALL = "pip install torch torchvision"


def images() -> np.ndarray:
    """Eight images of noise."""
    return np.random.default_rng(0).random((8, SIDE, SIDE, 3), np.float32)


def noise() -> tuple[np.ndarray, np.ndarray]:
    """Batches of images of noise that stand for digits, and their labels."""
    rng = np.random.default_rng(0)
    steps = DIGITS // BATCH
    return rng.random((steps, BATCH, 28, 28), np.float32), np.int32(rng.integers(10, size=(steps, BATCH)))


def like(tree: Any) -> Any:
    """Drawn arrays of the shapes of a tree; variances are positive, and scales near 1."""
    import jax

    rng = np.random.default_rng(0)

    def drawn(path: Any, leaf: Any) -> np.ndarray:
        value = rng.standard_normal(leaf.shape) / np.sqrt(max(1, np.prod(leaf.shape[:-1])))
        if leaf.ndim == 1:
            value = 0.1 * value
        near = path[-1].key in ("var", "scale", "coefficient")
        return np.float32(np.abs(1 + value) if near else value)

    return jax.tree_util.tree_map_with_path(drawn, tree)


def shapes(task: str) -> Any:
    """Parameters and state, as shapes and dtypes."""
    import jax

    return jax.eval_shape(functional(task).init, jax.eval_shape(lambda: jax.random.key(0)))


def functional(task: str) -> Any:
    """The network of a task."""
    from jaxtheory import networks
    from jaxtheory.networks import lenet, resnet

    made = lenet.make(5) if task == "epoch" else resnet.make(18, CLASSES)
    return networks.functional(made)


def program(task: str) -> Callable[..., Any]:
    """What is computed of parameters, state and images, or batches of them with labels."""
    import jax
    import jax.numpy as jnp

    apply = functional(task).apply
    if task == "forward":
        return lambda params, state, x: apply(params, state, x)[0]
    if task == "backward":

        def square(params: Any, state: Any, x: Any) -> Any:
            return jnp.mean(apply(params, state, x, train=True)[0] ** 2)

        return jax.grad(square)

    def loss(params: Any, x: Any, y: Any) -> Any:
        logs = jax.nn.log_softmax(apply(params, {}, x)[0])
        return -jnp.mean(jnp.take_along_axis(logs, y[:, None], 1))

    def step(params: Any, batch: Any) -> Any:
        value, slopes = jax.value_and_grad(loss)(params, *batch)
        return jax.tree.map(lambda one, slope: one - RATE * slope, params, slopes), value

    return lambda params, _, batches: jax.lax.scan(step, params, batches)[1]


def ours(task: str) -> Callable[[], np.ndarray]:
    """The network of this package."""
    import jax

    params, state = jax.device_put(like(shapes(task)))
    x = jax.device_put(noise() if task == "epoch" else images())
    compiled = jax.jit(program(task)).lower(params, state, x).compile()

    def run() -> np.ndarray:
        found = compiled(params, state, x)
        if task == "epoch":
            return parts(np.asarray(found))
        return np.asarray(
            found if task == "forward" else jax.block_until_ready(found)["stem"]["convolution"]["kernel"]
        )

    return run


def parts(losses: np.ndarray) -> np.ndarray:
    """Mean losses of hundredths of an epoch."""
    return np.array([one.mean() for one in np.array_split(losses, PARTS)])


def torch(task: str, last: bool = False) -> Callable[[], np.ndarray]:
    """PyTorch and torchvision's network; with channels last, if so."""
    import torch as library

    if task == "epoch":
        return torch_epoch()
    declared = library.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.models import resnet18

    network = resnet18().eval()
    network.load_state_dict(named(), strict=False)
    mean, deviation = (np.float32(one) for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    order = library.channels_last if last else library.contiguous_format
    x = library.as_tensor((images() - mean) / deviation).permute(0, 3, 1, 2).contiguous(memory_format=order)
    network = network.to(memory_format=order)

    def run() -> np.ndarray:
        if task == "forward":
            with library.inference_mode():
                return network(x).numpy()
        network.train()
        network.zero_grad()
        network(x).square().mean().backward()
        return network.conv1.weight.grad.permute(2, 3, 1, 0).numpy()

    return run


def named() -> dict[str, Any]:
    """The drawn weights by torchvision's names."""
    import torch as library
    from flax import nnx

    from jaxtheory.networks import resnet

    module = nnx.eval_shape(lambda: resnet.make(18, CLASSES)(nnx.Rngs(0)))
    trees = like(shapes("forward"))
    found = {}
    for name, (path, _) in module.tensors().items():
        one = trees[path[-1] in ("mean", "var")]
        for part in path:
            one = one[part]
        turned = one.transpose(3, 2, 0, 1) if one.ndim == 4 else one.T
        found[name] = library.as_tensor(np.ascontiguousarray(turned))
    return found


def torch_epoch() -> Callable[[], np.ndarray]:
    """LeNet-5 in PyTorch, layer by layer as here."""
    import torch as library
    from torch.nn import functional as layers

    from jaxtheory.networks import lenet

    given = like(shapes("epoch"))[0]
    x, y = (library.as_tensor(one) for one in noise())
    x = layers.pad(1.275 * x - 0.1, (2, 2, 2, 2), value=-0.1)[:, :, None]
    y = y.long()
    centers = library.as_tensor(np.float32(lenet.PROTOTYPES))
    above = [one for one, seen in enumerate(lenet.TABLES[5]) for _ in seen]
    below = [one for seen in lenet.TABLES[5] for one in seen]

    def squash(one: Any) -> Any:
        return 1.7159 * library.tanh(one * (2 / 3))

    def subsampled(one: Any, coefficient: Any, bias: Any) -> Any:
        sums = 4 * layers.avg_pool2d(one, 2)
        return squash(sums * coefficient[:, None, None] + bias[:, None, None])

    def outputs(p: list[Any], x: Any) -> Any:
        x = subsampled(squash(layers.conv2d(x, p[0], p[1])), p[4], p[5])
        kernel = library.zeros(16, 6, 5, 5).index_put((at[0], at[1]), p[2])
        x = subsampled(squash(layers.conv2d(x, kernel, p[3])), p[6], p[7])
        # Our dense layer sees channels last.
        x = x.permute(0, 2, 3, 1).reshape(len(x), -1)
        for place in (8, 10):
            x = squash(layers.linear(x, p[place], p[place + 1]))
        return -((x[:, None] - centers) ** 2).sum(-1)

    at = library.tensor(above), library.tensor(below)
    first, second, dense = given["first"], given["second"], given["dense"]
    start = [first["kernel"].transpose(2, 0, 1)[:, None], first["bias"], second["kernel"].transpose(2, 0, 1)]
    start += [second["bias"]]
    start += [given["subsampled"][one][name] for one in "01" for name in ("coefficient", "bias")]
    for one in "01":
        start += [dense[one]["kernel"].T, dense[one]["bias"]]

    def run() -> np.ndarray:
        params = [library.as_tensor(np.ascontiguousarray(one)).clone().requires_grad_() for one in start]
        optimizer = library.optim.SGD(params, RATE)
        losses = []
        for images, labels in zip(x, y):
            optimizer.zero_grad()
            loss = layers.cross_entropy(outputs(params, images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return parts(np.array(losses))

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    "torch": Contestant("peer", torch, threads=(1, 2), install=INSTALL),
    "torch, channels last": Contestant("peer", partial(torch, last=True), threads=(1, 2), install=INSTALL),
}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time."""
    import jax

    x = jax.ShapeDtypeStruct((8, SIDE, SIDE, 3), np.float32)
    steps = DIGITS // BATCH
    batches = (
        jax.ShapeDtypeStruct((steps, BATCH, 28, 28), np.float32),
        jax.ShapeDtypeStruct((steps, BATCH), np.int32),
    )
    # The program with backward is left out: libtpu's compiler for v6e runs out of stack on it (for v5e it
    # compiles), whatever the limit of the stack.
    return {
        case.name: (jax.jit(program(task)), (*shapes(task), batches if task == "epoch" else x))
        for case in CASES
        for task in case.options.values()
        if case.name != BACKWARD
    }


def checks() -> dict[str, Any]:
    """Small problems to check devices with."""
    from jaxtheory.lab.machines.programs import Check

    x = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    return {"logits of ResNet-18": Check(program("forward"), (*like(shapes("forward")), x))}
