"""Attacks of 1,000 digits: projected gradient steps with ten restarts, and accuracy under several attacks.

The network has convolutions of 4 x 4 with stride 2 of 16 and 32 channels, and a hidden layer of 100 units. It
is trained on 4,000 digits as usual, before anything is timed. Changes have entries of at most 0.1, of which
each of 40 steps takes a tenth. What is compared is the percentage of digits that are answered wrongly, where
restarts on digits that still stand leave out those that a start before has moved; the peers restart all.
Under several attacks the figure is the percentage of digits that stand; no two lists of attacks are alike.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster
from jaxtheory.lab.machines.programs import Check

DIGITS, EPSILON, STEP, STEPS, RESTARTS = 1_000, 0.1, 0.01, 40, 10
TRAINING, EPOCHS, BATCH, RATE = 4_000, 8, 50, 2e-3
ALL = f"PGD {STEPS} x {RESTARTS}, {DIGITS:,} digits"
STANDING = f"{ALL}, restarts of digits that stand"
WORST = f"accuracy under several attacks, {DIGITS:,} digits"
CASES = [
    # To one point of success.
    Case(ALL, {"task": "all"}, [faster(1.0, aim=1.5)], tolerance=0.01),
    Case(STANDING, {"task": "standing"}, [faster(2.0)], tolerance=0.01),
    Case(WORST, {"task": "worst"}),
]


def network() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The initializer of the network, and its logits as a function of parameters and digits."""
    from jaxtheory import networks
    from jaxtheory.networks import training
    from jaxtheory.networks.cnn import CNN

    options = {"kernel_size": 4, "strides": 2, "window": 1, "head": (100, 10), "precision": "highest"}
    init, apply = networks.functional(partial(CNN, (28, 28), (16, 32), **options))
    return init, training.predictor(apply)


def trained(epochs: int = EPOCHS) -> tuple[Callable[..., Any], Any, np.ndarray, np.ndarray]:
    """The logits, the parameters, and digits that were not trained with, with their labels."""
    import jax
    import optax

    from jaxtheory.data import mnist
    from jaxtheory.networks import training

    digits = mnist.load()
    init, logits = network()

    def loss(params: Any, batch: Any) -> Any:
        return training.cross_entropy(logits(params, batch[0]), batch[1]).mean()

    optimizer = optax.adam(RATE)
    start = training.init(init(jax.random.key(0))[0], jax.random.key(1), optimizer=optimizer)
    data = jax.device_put((digits.train_images, digits.train_labels))
    options = {"objective": training.stateless(loss), "optimizer": optimizer, "batch": BATCH}
    params = training.run(start, data, steps=epochs * TRAINING // BATCH, **options)[0].params
    return logits, params, digits.test_images[:DIGITS], digits.test_labels[:DIGITS]


def aimed(shift: int, logits: Any, params: Any, x: Any, y: Any, key: Any) -> Any:
    """An attack that aims at one of the other classes, whose number is the label's and a shift."""
    from jaxtheory.inspection import adversarial

    options = {"epsilon": EPSILON, "step": 2.5 * STEP / 4, "steps": STEPS, "loss": "margin"}
    return adversarial.pgd(logits, params, x, y, key, targets=(y + shift) % 10, **options)


def attacks() -> tuple[Callable[..., Any], ...]:
    """The list of attacks, the cheapest first."""
    from jaxtheory.inspection import adversarial

    pgd = partial(adversarial.pgd, epsilon=EPSILON, step=STEP, steps=STEPS)
    return (
        partial(adversarial.fgsm, epsilon=EPSILON),
        partial(adversarial.momentum, epsilon=EPSILON),
        partial(pgd, restarts=5),
        partial(pgd, loss="margin", step=STEP / 4, steps=100, restarts=4),
        *(partial(aimed, shift) for shift in range(1, 10)),
        partial(adversarial.square, epsilon=EPSILON, queries=1000),
    )


def ours(task: str) -> Callable[[], np.ndarray]:
    """The attacks of this package."""
    import jax

    from jaxtheory.inspection import adversarial

    logits, params, x, y = trained()
    x, y, key, chosen = jax.device_put(x), jax.device_put(y), jax.random.key(0), attacks()
    options = {"epsilon": EPSILON, "step": STEP, "steps": STEPS, "restarts": RESTARTS}

    def run() -> np.ndarray:
        if task == "worst":
            found = adversarial.robust_accuracy(logits, params, x, y, chosen, key)
            return np.array([100 * float(found.accuracy)])
        standing = task == "standing"
        found = adversarial.pgd(logits, params, x, y, key, only_standing=standing, **options)
        return np.array([100 * float(np.mean(found.success))])

    return run


def of_torch() -> tuple[Any, Any, Any]:
    """The network, the digits with an axis of channels, and their labels, for PyTorch."""
    import torch

    _, params, x, y = trained()
    first, second = (params["convolutions"][name] for name in ("0", "1"))
    hidden, last = (params["head"]["layers"][name] for name in ("0", "1"))
    layers = [
        torch.nn.Conv2d(1, 16, 4, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 4, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(7 * 7 * 32, 100),
        torch.nn.ReLU(),
        torch.nn.Linear(100, 10),
    ]
    # PyTorch puts channels first, in kernels and where maps become vectors.
    flat = np.asarray(hidden["kernel"]).reshape(7, 7, 32, 100).transpose(3, 2, 0, 1).reshape(100, -1)
    kernels = [np.asarray(one["kernel"]).transpose(3, 2, 0, 1) for one in (first, second)]
    weights = [*kernels, flat, np.asarray(last["kernel"]).T]
    with torch.no_grad():
        for layer, kernel, one in zip(layers[::2][:2] + layers[5::2], weights, (first, second, hidden, last)):
            layer.weight.copy_(torch.as_tensor(np.array(kernel)))
            layer.bias.copy_(torch.as_tensor(np.array(one["bias"])))
    model = torch.nn.Sequential(*layers).eval()
    return model, torch.as_tensor(np.array(x))[:, None], torch.as_tensor(np.array(y)).long()


def in_batches(attack: Callable[..., Any], x: Any, y: Any, batch: int) -> np.ndarray:
    """Whether each digit was moved, `batch` digits at a time."""
    parts = [attack(x[k : k + batch], y[k : k + batch]) for k in range(0, len(x), batch)]
    return np.concatenate([np.asarray(part) for part in parts])


def foolbox(task: str, library: str, batch: int) -> Callable[[], np.ndarray]:
    """Foolbox on a model of PyTorch's or JAX's, with its own repetition of attacks."""
    import foolbox as fb

    if library == "torch":
        model, x, y = of_torch()
        wrapped = fb.PyTorchModel(model, bounds=(0, 1), device="cpu")
    else:
        import jax

        logits, params, x, y = trained()
        x, y = jax.device_put(x), jax.device_put(y)
        wrapped = fb.JAXModel(jax.jit(partial(logits, params)), bounds=(0, 1))
    pgd = fb.attacks.LinfPGD(abs_stepsize=STEP, steps=STEPS, random_start=True).repeat(RESTARTS)
    list_of = [fb.attacks.LinfFastGradientAttack(), pgd, fb.attacks.LinfDeepFoolAttack()]
    chosen = list_of if task == "worst" else [pgd]

    def moved(x: Any, y: Any) -> np.ndarray:
        found = [np.asarray(attack(wrapped, x, y, epsilons=EPSILON)[2]) for attack in chosen]
        return np.any(found, axis=0)

    return figure(task, moved, x, y, batch)


def torchattacks(task: str, batch: int) -> Callable[[], np.ndarray]:
    """Torchattacks: its PGD from ten starts, all of which are tried; or its AutoAttack."""
    import torch

    # Torchvision beside PyTorch's build for processors lacks these operators.
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchattacks as ta

    model, x, y = of_torch()
    if task == "worst":
        chosen = [ta.AutoAttack(model, eps=EPSILON, n_classes=10, seed=0)]
    else:
        chosen = RESTARTS * [ta.PGD(model, eps=EPSILON, alpha=STEP, steps=STEPS)]

    def moved(x: Any, y: Any) -> np.ndarray:
        found = [model(attack(x, y)).argmax(1) != y for attack in chosen]
        return np.asarray(torch.stack(found).any(0))

    return figure(task, moved, x, y, batch)


def figure(task: str, moved: Callable[..., Any], x: Any, y: Any, batch: int) -> Callable[[], np.ndarray]:
    """What is timed: the percentage of digits that are moved, or that stand under several attacks."""

    def run() -> np.ndarray:
        share = 100 * in_batches(moved, x, y, batch).mean()
        return np.array([100 - share if task == "worst" else share])

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    **{
        f"{name}, {batch:,} at once": Contestant("peer", partial(make, batch=batch), threads=(1, 2))
        for batch in (100, DIGITS)
        for name, make in (
            ("foolbox, PyTorch", partial(foolbox, library="torch")),
            ("foolbox, JAX", partial(foolbox, library="jax")),
            ("torchattacks", torchattacks),
        )
    },
}


def attacked(params: Any, x: Any, y: Any, key: Any) -> Any:
    """Digits that were attacked, as one function of arrays."""
    from jaxtheory.inspection import adversarial

    logits = network()[1]
    options = {"epsilon": EPSILON, "step": STEP, "steps": STEPS, "restarts": RESTARTS}
    return adversarial.pgd(logits, params, x, y, key, **options)


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time."""
    import jax

    key = jax.eval_shape(lambda: jax.random.key(0))
    params = jax.eval_shape(lambda key: network()[0](key)[0], key)
    x, y = jax.ShapeDtypeStruct((DIGITS, 28, 28), np.float32), jax.ShapeDtypeStruct((DIGITS,), np.int32)
    return {ALL: (jax.jit(attacked), (params, x, y, key))}


def small(weights: Any, x: Any) -> Any:
    """Losses of a linear model at the worst points, found from its logits alone."""
    import jax
    import jax.numpy as jnp

    from jaxtheory.inspection import adversarial

    def linear(weights: Any, x: Any) -> Any:
        return jnp.matmul(x, weights, precision="highest")

    labels, key = jnp.zeros(len(x), int), jax.random.key(0)
    options = {"epsilon": 0.1, "step": 0.1, "steps": 3, "bounds": None}
    return adversarial.pgd(linear, weights, x, labels, key, **options).loss


def checks() -> dict[str, Check]:
    """Small problems to check devices with."""
    rng = np.random.default_rng(0)
    return {"steps of a linear model": Check(small, (rng.standard_normal((8, 2)), rng.random((10, 8))))}
