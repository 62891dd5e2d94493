"""Networks fit random labels and noise as they fit digits, in a few times the steps, and then err by chance.

Lecture: statistics, "How can deep learning generalize well without overfitting the noise?".
Source: Zhang, Bengio, Hardt, Recht and Vinyals, Understanding deep learning requires rethinking
generalization, ICLR 2017.

A perceptron of one hidden layer and a small convolutional network learn digits as they are; with half of the
labels random, or all; with their pixels in another order, the same for all or one for each; and Gaussian
noise. They do so with weight decay 5e-4 and dropout 0.5 in the last hidden layer, and without. A training
stops when all training images are classified without dropout. Trainings of a draw share digits and random
labels. With random labels, the images of one kind have a prediction in common, so that the error of the test
accuracy is that over draws of labels, not the binomial one; its mean is taken over the networks of a draw.
The memorizer is the paper's explicit network. The full form takes about ten minutes on two cores.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    above,
    at_least,
    at_most,
    exact,
    experiment,
    mean,
    plots,
)
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.mlp import MLP
from jaxtheory.statistics import capacity

SHAPE = (mnist.SIDE, mnist.SIDE)
RATE = 1e-3
"""Adam's step size."""
DECAY, DROPOUT = 5e-4, 0.5
MODES = {"plain": (0.0, 0.0), "regularized": (DECAY, DROPOUT)}
"""The weight decay and the rate of dropout."""
TRUE, RANDOM = "true labels", "random labels"
LABELS = {"half of the labels random": 0.5, RANDOM: 1.0}
"""The shares of random labels."""
IMAGES = {"shuffled pixels": "shuffled", "random pixels": "random", "Gaussian noise": "gaussian"}
"""What is done to the images."""
KINDS = (TRUE, *LABELS, *IMAGES)
BODIES: dict[str, tuple[Any, int]] = {
    "MLP": (partial(MLP, (mnist.SIDE**2, 512)), 512),
    "CNN": (partial(CNN, SHAPE, (8, 16), strides=2, window=1, head=(128,)), 128),
}
"""The networks up to their last hidden layer, and its width."""
FITTED = 0.99
"""The training accuracy that counts as fitted."""
ZHANG = "Zhang et al. 2017, table 1"
POINTS = 1000
"""The number of points of the memorizer."""


@dataclass(frozen=True)
class Config:
    networks: tuple[str, ...] = ("MLP", "CNN")
    """The networks that are trained, of MLP and CNN."""
    kinds: tuple[str, ...] = KINDS
    """The kinds of labels and images that they learn."""
    digits: Annotated[int, Range(100, 4000)] = 1000
    """The number of training digits."""
    draws: Annotated[int, Range(2)] = 10
    """The number of draws of digits, labels and networks."""
    most_epochs: Annotated[int, Range(1)] = 400
    """The largest number of epochs."""
    batch: Annotated[int, Range(1, 100)] = 100
    """The number of digits in a training step."""


QUICK = Config(networks=("MLP",), kinds=(TRUE, RANDOM, "Gaussian noise"), digits=300, draws=6, batch=50)


@cache
def network(name: str) -> tuple[Any, Any]:
    """A network's initializer, and its logits as a function that takes dropout's rate and key, if any."""
    make, width = BODIES[name]
    body, head = networks.functional(make), networks.functional(partial(MLP, (width, mnist.CLASSES)))

    def init(key: jax.Array) -> Any:
        first, second = jax.random.split(key)
        return {"body": body.init(first)[0], "head": head.init(second)[0]}

    def logits(params: Any, x: Any, rate: Any = 0.0, key: Any = None) -> jax.Array:
        x = x.reshape(len(x), -1) if name == "MLP" else x
        hidden = jax.nn.relu(body.apply(params["body"], {}, x)[0])
        if key is not None:
            kept = jax.random.bernoulli(key, 1 - rate, hidden.shape)
            hidden = jnp.where(kept, hidden / (1 - rate), 0)
        return head.apply(params["head"], {}, hidden)[0]

    return init, logits


@partial(jax.jit, static_argnames=("name", "config"))
def trained(data: Any, mode: Any, key: jax.Array, *, name: str, config: Config) -> dict[str, Any]:
    """Parameters when all training images are classified, and the training accuracy after each epoch."""
    init, logits = network(name)
    start, order = jax.random.split(key)
    steps = len(data[1]) // config.batch

    def objective(params: Any, state: Any, batch: Any, key: Any) -> Any:
        decay, rate = state
        entropies = training.cross_entropy(logits(params, batch[0], rate, key), batch[1])
        return entropies.mean() + decay / 2 * optax.tree.norm(params, squared=True), (state, {})

    def goes_on(carry: Any) -> jax.Array:
        _, accuracies, epochs = carry
        return (jnp.max(accuracies) < 1) & (epochs < config.most_epochs)

    def epoch(carry: Any) -> Any:
        state, accuracies, epochs = carry
        options = {"objective": objective, "optimizer": optimizer, "batch": config.batch, "steps": steps}
        state, _ = training.run(state, data, **options)
        reached = jnp.mean(training.accuracy(logits(state.params, data[0]), data[1]))
        return state, accuracies.at[epochs].set(reached), epochs + 1

    optimizer = optax.adam(RATE)
    begin = training.init(init(start), order, optimizer=optimizer, state=mode)
    state, accuracies, epochs = jax.lax.while_loop(goes_on, epoch, (begin, jnp.zeros(config.most_epochs), 0))
    return {"params": state.params, "accuracies": accuracies, "epochs": epochs}


def drawn(config: Config, digits: mnist.Digits, lab: Lab, kind: str, draw: int) -> tuple[Any, Any]:
    """Images and labels of one kind to train with, and to test on."""
    split = digits.draw(config.digits, lab.rng("digits", draw=draw), fold=draw % mnist.FOLDS)
    train, test = (split.train_images, split.train_labels), (split.test_images, split.test_labels)
    (x, y), (queries, answers) = (tuple(map(jnp.asarray, one)) for one in (train, test))
    key = lab.key("noise", draw=draw)
    if kind in LABELS:
        y = capacity.random_labels(y, key, classes=mnist.CLASSES, share=LABELS[kind])
    if kind in IMAGES:
        # One order of pixels holds for both; what is drawn for each image is another for the test images.
        other = key if kind == "shuffled pixels" else jax.random.fold_in(key, 1)
        x = capacity.random_images(x, key, kind=IMAGES[kind])
        queries = capacity.random_images(queries, other, kind=IMAGES[kind])
    return (x, y), (queries, answers)


def fitted(
    config: Config, digits: mnist.Digits, lab: Lab, network_name: str, mode: str, kind: str, draw: int
) -> dict[str, Any]:
    """Accuracies of one training in percent, and the steps until it fits."""
    data, (queries, answers) = drawn(config, digits, lab, kind, draw)
    key = lab.key("training", network=network_name, draw=draw)
    found = trained(data, MODES[mode], key, name=network_name, config=config)
    accuracies = np.asarray(found["accuracies"])
    passed = np.flatnonzero(accuracies >= FITTED)
    predicted = np.argmax(network(network_name)[1](found["params"], queries), axis=1)
    return {
        "train": 100 * accuracies[int(found["epochs"]) - 1],
        "test": 100 * np.mean(predicted == np.asarray(answers)),
        "steps": float((passed[0] + 1) * (config.digits // config.batch)) if passed.size else np.nan,
        "curve": 100 * np.where(np.arange(config.most_epochs) < int(found["epochs"]), accuracies, np.nan),
    }


def memorized(digits: mnist.Digits, rng: np.random.Generator) -> dict[str, float]:
    """The largest error of the memorizer on digits with normal values, and its weights beyond 2 n + d."""
    x = digits.train_images[:POINTS].reshape(POINTS, -1).astype(float)
    with jax.enable_x64(True):
        y = rng.standard_normal(POINTS)
        params = capacity.memorizer(x, y)
        error = float(jnp.abs(capacity.apply(params, x) - y).max())
    weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    return {"error": error, "beyond": float(weights - 2 * x.shape[0] - x.shape[1])}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    for name, chosen, allowed in (("networks", config.networks, BODIES), ("kinds", config.kinds, KINDS)):
        if unknown := set(chosen) - set(allowed):
            raise ValueError(f"{name} holds {min(unknown)!r}: take of {', '.join(allowed)}")
    digits = lab.load(mnist)

    def point(network: str, mode: str, kind: str, draw: int) -> dict[str, Any]:
        return fitted(config, digits, lab, network, mode, kind, draw)

    found = lab.sweep(
        "trainings", point, network=config.networks, mode=tuple(MODES), kind=config.kinds,
        draw=range(config.draws), dims={"curve": ("epoch",)}, unit="%",
    ).assign_coords(epoch=np.arange(1, config.most_epochs + 1))  # fmt: skip
    explicit = lab.sweep("memorizer", partial(memorized, digits), draw=range(config.draws))
    notes(config, found, lab)
    figures(config, found, lab)
    return claims(config, found, explicit, digits.shared)


def claims(config: Config, found: xr.Dataset, explicit: xr.Dataset, overlap: float) -> list[Claim]:
    both = Need("true and random labels", {TRUE, RANDOM} <= set(config.kinds), "take both among --kinds")
    noise = Need(RANDOM, RANDOM in config.kinds, "take them among --kinds")
    several = Need("five draws", config.draws >= 5, "raise --draws")
    kinds = "digits, random labels and noise"
    ratio = found.steps.sel(kind=RANDOM) / found.steps.sel(kind=TRUE) if both.met else None
    return [
        *(fits(name, found, kinds) for name in BODIES),
        Claim(
            "After wholly random labels the test accuracy is chance: the distance of its mean from 10 %.",
            at_most(2, unit="standard errors", source="two standard errors over draws of labels"),
            distance(found.test.sel(kind=RANDOM)) if noise.met and several.met else None,
            (noise, several),
        ),
        Claim(
            "Random labels need more steps than true ones until 99 % are fitted: the ratio.",
            above(1, unit="times", source="Zhang et al. 2017: slower by a constant factor"),
            mean(ratio, over="draw", paired=True, overlap=overlap) if both.met else None,
            both,
        ),
        Claim(
            f"The explicit network fits normal values at {POINTS:,} digits: its largest error, in double "
            "precision.",
            at_most(1e-6, source="this project's bar"),
            Measured(float(explicit.error.max()), n=config.draws),
        ),
        Claim(
            "It has no more than 2 n + d weights: those beyond.",
            at_most(0, source="Zhang et al. 2017, theorem 1", looked_up=True),
            exact(float(explicit.beyond.max())),
        ),
    ]  # fmt: skip


def fits(name: str, found: xr.Dataset, kinds: str) -> Claim:
    """The claim that a network fits everything."""
    present = name in found.network
    accuracy = found.train.sel(network=name).drop_vars("network") if present else None
    return Claim(
        f"The {name} fits {kinds}, with weight decay and dropout and without: training accuracy.",
        at_least(100 * FITTED, unit="%", source=f"{ZHANG}, on CIFAR-10: 99.3 % or more", looked_up=True),
        mean(accuracy, over="draw") if present else None,
        Need(f"the {name}", present, f"take {name} among --networks"),
    )


def distance(accuracy: xr.DataArray) -> Measured:
    """The distance of an accuracy from chance in standard errors over draws, over which it is averaged."""
    draws = accuracy.mean(("network", "mode")).values
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    return Measured(abs(draws.mean() - 100 / mnist.CLASSES) / error, n=len(draws), of="draws of labels")


def notes(config: Config, found: xr.Dataset, lab: Lab) -> None:
    """Notes for the findings: test accuracies and steps by kind, and the paper's table beside them."""
    for name in config.networks:
        for mode in MODES:
            one = found.sel(network=name, mode=mode)
            told = [
                f"{kind} {float(one.test.sel(kind=kind).mean()):.1f} % after "
                f"{float(one.steps.sel(kind=kind).mean()):.0f} steps"
                for kind in config.kinds
            ]
            lab.note(f"{name}, {mode}, test accuracy and steps until 99 % are fitted: {', '.join(told)}.")
    if RANDOM in config.kinds:
        draws = found.test.sel(kind=RANDOM).mean(("network", "mode"))
        error = float(draws.std(ddof=1)) / len(draws) ** 0.5
        lab.note(f"Test accuracy after random labels: {float(draws.mean()):.2f} ± {error:.2f} %.")
    lab.note(
        f"{ZHANG}, on CIFAR-10, which is another data set: an MLP with one hidden layer of 512 units reaches "
        "training and test accuracies of 100 and 50.51 %, with weight decay 99.80 and 50.39 %, and after "
        "random labels 99.34 and 10.61 %; a small AlexNet 100 and 76.07 %, after random labels 99.82 and "
        "9.86 %."
    )


def figures(config: Config, found: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    # A training that has stopped has fitted everything.
    curve = found.curve.fillna(100).mean("draw").rename("training accuracy").assign_attrs(unit="%")
    last = int(found.curve.notnull().any([one for one in found.curve.dims if one != "epoch"]).sum())
    figure, grid = plots.canvas(len(MODES), len(config.networks), size=(4.6, 3.2), share="xy")
    for row, name in zip(grid, config.networks):
        for ax, mode in zip(row, MODES):
            one = curve.sel(network=name, mode=mode).isel(epoch=slice(max(2, last)))
            plots.panel(one, x="epoch", hue="kind", log="x", axes=[ax])
            ax.set_title(f"{name}, {mode}", fontsize=10)
            ax.label_outer()
    lab.figure(
        "training",
        figure,
        "Accuracy on the training images without dropout, mean over the draws; what has fitted all stays so.",
    )
    test = found.test.rename("test accuracy").assign_attrs(unit="%")
    figure, (panels,) = plots.canvas(len(config.networks), size=(5.2, 3.4))
    for ax, name in zip(panels, config.networks):
        one = test.sel(network=name)
        plots.dots(one, x="kind", hue="mode", horizontal=True, levels={"chance": 10}, axes=ax)
        ax.set_title(name, fontsize=10)
    lab.figure("test", figure, "Accuracy on test images of the same kind with their true labels, by draws.")
