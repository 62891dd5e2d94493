"""Unfolding a network into a pursuit makes it classify digits better, without a parameter more.

Lecture: sparse coding, "Convolutional neural networks are layered thresholding".
Source: Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
neural networks, IEEE PAMI 2019, and the executed notebooks of its authors.

The forward pass of a convolutional network is the first estimate of multilayer ISTA; the paper's network for
MNIST is trained with 0, 2 and 6 unfoldings, and with 6 of multilayer FISTA. The full form times a step first
and trains all networks for as many epochs as fit its time, at most the paper's 100, which `--paper` asks
for; the schedule of rates is stretched over the epochs.
"""

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxtheory.data import mnist
from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Sweep,
    above,
    equal_to,
    experiment,
    paired_difference,
)
from jaxtheory.networks import training
from jaxtheory.sparse.unrolled import ml_ista

NETWORKS = {
    "CNN": {"unfoldings": 0},
    "ML-ISTA, 2 unfoldings": {"unfoldings": 2},
    "ML-ISTA, 6 unfoldings": {"unfoldings": 6},
    "ML-FISTA, 6 unfoldings": {"unfoldings": 6, "accelerated": True},
}
PUBLISHED = {"CNN": 98.74, "ML-ISTA, 6 unfoldings": 99.11, "ML-FISTA, 6 unfoldings": 99.16}
"""Test accuracy in %, the mean of the last epochs of 100."""
SOURCE = "Sulam et al. 2019, executed notebooks"
PARAMETERS = 604_909
EPOCHS, RATE = 100, 0.002
"""The paper's."""
SEEDS = 3
"""Needed at least to say that unfolding helps."""
SEGMENT = 20
"""Training steps between two looks of the lab, and those that are timed."""
AT_ONCE = 500
"""Digits classified in one call."""


@dataclass(frozen=True)
class Config:
    networks: tuple[str, ...] = tuple(NETWORKS)
    """Which networks to train."""
    seeds: int = 3
    """Trainings of each network, each from its own draw of the filters and in its own order of digits."""
    minutes: float = 100.0
    """What all trainings may take together: as many epochs as fit."""
    epochs: float = 0.0
    """How many epochs instead, if above 0."""
    paper: bool = False
    """Train for the paper's 100 epochs and at its learning rate, whatever it takes."""
    atoms: tuple[int, ...] = (32, 64, 512)
    """Filters of the three layers."""
    rate: float = 0.01
    """The learning rate at the start; with the paper's, 0.002, nothing is learnt for thousands of steps."""
    longest: float = 1.0
    """Gradients are shortened to this: at such rates unfolded networks diverge without; not the paper's."""
    scale: float = 0.1
    """Filters start as N(0, scale**2 / n), with n the number of inputs to a unit."""
    batch: int = 128
    """Digits in a minibatch."""


QUICK = Config(
    networks=("CNN", "ML-ISTA, 2 unfoldings"), seeds=1, epochs=1.3, atoms=(8, 16, 64), rate=0.05, scale=0.7
)


def optimiser(rate: float, steps: int, longest: float = math.inf) -> optax.GradientTransformation:
    """The paper's: momentum, a little decay, and a fifth of the rate after each 30 of 100 epochs."""
    schedule = optax.piecewise_constant_schedule(
        rate, {max(1, round(share * steps)): 0.2 for share in (0.3, 0.6, 0.9)}
    )
    return optax.chain(
        optax.clip_by_global_norm(longest), optax.add_decayed_weights(1e-5), optax.sgd(schedule, momentum=0.9)
    )


def classified(params: Any, state: Any, x: Any, *, key: Any, train: bool) -> Any:
    """`ml_ista.apply` as the training calls a network."""
    del key, train
    return ml_ista.apply(params, x), state


OBJECTIVE = training.objective(classified, training.cross_entropy, accuracy=training.accuracy)


def start(name: str, config: Config, optimizer: Any, seed: int) -> training.TrainingState:
    """A network before its training; networks of one seed begin with the same filters."""
    draw, order = jax.random.split(jax.random.key(seed))
    params = ml_ista.init(
        draw, (mnist.SIDE, mnist.SIDE), atoms=config.atoms, scale=config.scale, **NETWORKS[name]
    )
    return training.init(params, order, optimizer=optimizer)


def epochs_that_fit(data: Any, config: Config, lab: Lab) -> np.ndarray:
    """Seconds of a step of each network, and the epochs of all that the time is enough for."""
    optimizer = optimiser(config.rate, 1, config.longest)
    seconds = []
    with lab.progress("timing a step", len(config.networks)) as progress:
        for name in config.networks:
            state = start(name, config, optimizer, 0)
            segment = partial(
                training.run,
                data=data,
                objective=OBJECTIVE,
                optimizer=optimizer,
                steps=SEGMENT,
                batch=config.batch,
            )
            jax.block_until_ready(segment(state))
            begun = time.perf_counter()
            jax.block_until_ready(segment(state))
            seconds.append((time.perf_counter() - begun) / SEGMENT)
            progress.advance()
    epoch = config.seeds * sum(seconds) * (len(data[1]) // config.batch)
    return np.asarray([*seconds, float(np.clip(np.floor(60 * config.minutes / epoch), 1, EPOCHS))])


def trained(
    data: Any, test: Any, config: Config, lab: Lab, epochs: float, network: str, seed: int
) -> dict[str, Any]:
    """Test accuracy in % of a network after its training, and the loss of its segments."""
    steps = max(1, round(epochs * (len(data[1]) // config.batch)))
    optimizer = optimiser(config.rate, steps, config.longest)
    segment = partial(
        training.run, data=data, objective=OBJECTIVE, optimizer=optimizer, steps=SEGMENT, batch=config.batch
    )
    state, metrics = lab.train(
        f"{network}, seed {seed}", segment, start(network, config, optimizer, seed), -(-steps // SEGMENT)
    )
    return {"accuracy": accuracy(state.params, *test), "loss": metrics["loss"].mean(axis=1)}


def accuracy(params: Any, images: np.ndarray, labels: np.ndarray) -> float:
    """Of a network on some digits, in %."""
    predicted = [
        np.argmax(ml_ista.apply(params, images[first : first + AT_ONCE]), axis=-1)
        for first in range(0, len(images), AT_ONCE)
    ]
    return 100 * float(np.mean(np.concatenate(predicted) == labels))


def parameters(name: str) -> int:
    """How many numbers a network of the paper's size learns."""
    shape = (mnist.SIDE, mnist.SIDE)
    tree = jax.eval_shape(partial(ml_ista.init, shape=shape, **NETWORKS[name]), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if config.paper:
        config = replace(config, rate=RATE, longest=math.inf)
    digits = mnist.load(lab.data_dir)
    lab.uses(f"{digits.description} (SHA-256 {digits.digest[:12]})")
    data = (jnp.asarray(digits.train_images), jnp.asarray(digits.train_labels))
    test = (digits.test_images, digits.test_labels)
    epochs = float(EPOCHS) if config.paper else config.epochs
    if epochs <= 0:
        *seconds, epochs = lab.cached("epochs that fit", partial(epochs_that_fit, data, config, lab)).tolist()
        steps = ", ".join(f"{name} {1000 * one:.0f} ms" for name, one in zip(config.networks, seconds))
        lab.note(f"a step takes: {steps}; {epochs:g} epochs fit {config.minutes:g} minutes")
    accuracies = {
        name: lab.sweep(
            name,
            partial(trained, data, test, config, lab, epochs, name),
            unit="%",
            seed=range(config.seeds),
        )
        for name in config.networks
    }
    for name, sweep in accuracies.items():
        beside = f", published {PUBLISHED[name]} % after {EPOCHS}" if name in PUBLISHED else ""
        lab.note(f"{name}: {sweep['accuracy'].at().text} % after {epochs:g} epochs{beside}")
    lab.figure(
        "accuracy",
        plot_accuracies(accuracies, epochs),
        "Test accuracy of each training, and each network's mean; dashed, the paper's after 100 epochs.",
    )
    lab.figure("loss", plot_losses(accuracies), "The loss as it was trained, of the first seed.")
    return [count_claim(), help_claim(accuracies, config), *published_claims(accuracies, config, lab)]


def count_claim() -> Claim:
    return Claim(
        "Networks of any number of unfoldings have the same number of parameters.",
        equal_to(PARAMETERS, tolerance=0, source=f"{SOURCE}, counted layer by layer"),
        [Measured(parameters(name), at={"network": name}) for name in NETWORKS],
    )


def help_claim(accuracies: dict[str, Sweep], config: Config) -> Claim:
    """Unfolded networks against the plain one, paired over seeds."""
    statement = (
        "Unfolding helps: trained alike, each unfolded network classifies more test digits than the CNN."
    )
    expected = above(0, unit="points", source=f"{SOURCE}: 0.37 for ML-ISTA and 0.42 for ML-FISTA")
    if config.seeds < SEEDS:
        return Claim(statement, expected, None, f"fewer than {SEEDS} seeds were trained")
    if set(accuracies) != set(NETWORKS):
        return Claim(statement, expected, None, "not all networks were trained")
    plain = accuracies["CNN"]["accuracy"]
    measured = []
    for name in list(NETWORKS)[1:]:
        (one,) = paired_difference(accuracies[name]["accuracy"], plain, over="seed")
        measured.append(Measured(one.value, one.standard_error, one.n, {"network": name}, paired=True))
    return Claim(statement, expected, measured)


def published_claims(accuracies: dict[str, Sweep], config: Config, lab: Lab) -> list[Claim]:
    """The paper's figures, where its recipe was followed."""
    reason = ""
    if not config.paper:
        reason = f"trained for fewer than the paper's {EPOCHS} epochs"
    elif lab.data_dir is None:
        reason = "trained on fewer than the 60,000 digits"
    claims = []
    for name, published in PUBLISHED.items():
        one = accuracies[name]["accuracy"].at() if name in accuracies else None
        claims.append(
            Claim(
                f"With the paper's recipe, {name} reaches its test accuracy.",
                equal_to(published, tolerance=0.15, unit="%", source=SOURCE),
                None if reason else one,
                (f"{one.text} %: {reason}" if one else "not trained") if reason or not one else "",
            )
        )
    return claims


COLOURS = dict(zip(NETWORKS, ("#999999", "#56b4e9", "#0072b2", "#d55e00")))


def plot_accuracies(accuracies: dict[str, Sweep], epochs: float):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, (name, sweep) in enumerate(accuracies.items()):
        values = sweep["accuracy"].numbers()
        axes.plot(np.full(values.size, place), values, "o", ms=4, alpha=0.5, color=COLOURS[name])
        axes.plot([place - 0.2, place + 0.2], [values.mean()] * 2, color=COLOURS[name], lw=3)
        if name in PUBLISHED:
            label = "published" if place == 0 else None
            axes.plot([place - 0.4, place + 0.4], [PUBLISHED[name]] * 2, "k--", lw=1, label=label)
    axes.set_xticks(range(len(accuracies)), [name.replace(", ", "\n") for name in accuracies])
    axes.set_ylabel("test accuracy (%)")
    axes.set_title(f"{epochs:g} epochs", fontsize=10)
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize=8)
    return figure


def plot_losses(accuracies: dict[str, Sweep]):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, sweep in accuracies.items():
        loss = sweep.values["loss"][0]
        axes.semilogy(SEGMENT * (np.arange(loss.size) + 0.5), loss, color=COLOURS[name], label=name)
    axes.set_xlabel("training step")
    axes.set_ylabel("cross entropy (nats)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
