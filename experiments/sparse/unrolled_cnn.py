"""Unfolding a network into a pursuit makes it classify digits better, without a parameter more.

Lecture: sparse coding, "Convolutional neural networks are layered thresholding".
Source: Sulam, Aberdam, Beck and Elad, On multi-layer basis pursuit, efficient algorithms and convolutional
neural networks, IEEE PAMI 2019, and the executed notebooks of its authors.

The forward pass of a convolutional network is the first estimate of multilayer ISTA; the paper's network for
MNIST is trained with 0, 2 and 6 unfoldings, and with 6 of multilayer FISTA. The full form trains for 11
epochs, which takes about 100 minutes with the whole MNIST on two cores; `--paper` asks for the paper's 100
epochs and its rate. The schedule of rates is stretched over the epochs.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, above, equal_to, exact, experiment, mean, plots, published
from jaxtheory.networks import training
from jaxtheory.sparse.unrolled import unfolding

NETWORKS = {
    "CNN": {"unfoldings": 0},
    "ML-ISTA, 2 unfoldings": {"unfoldings": 2},
    "ML-ISTA, 6 unfoldings": {"unfoldings": 6},
    "ML-FISTA, 6 unfoldings": {"unfoldings": 6, "accelerated": True},
}
PUBLISHED = {"CNN": 98.74, "ML-ISTA, 6 unfoldings": 99.11, "ML-FISTA, 6 unfoldings": 99.16}
"""Published test accuracies in %, the mean of the last epochs of 100."""
SOURCE = "Sulam et al. 2019, executed notebooks"
PARAMETERS = 604_909
PAPER = {"epochs": 100.0, "rate": 0.002, "longest": math.inf}
"""The paper's recipe, in which gradients are not clipped."""
SEGMENT = 20
"""The number of training steps in one segment of the training."""
AT_ONCE = 500
"""The number of digits that are classified in one call."""


@dataclass(frozen=True)
class Config:
    networks: tuple[Literal[*NETWORKS], ...] = tuple(NETWORKS)
    """The names of the networks to train."""
    draws: Annotated[int, Range(1)] = 3
    """The number of trainings of each network, each with its own initial filters and order of digits."""
    epochs: Annotated[float, Range(0, open=True)] = 11.0
    """The number of epochs of each training."""
    paper: bool = False
    """Whether to train for the paper's 100 epochs at its learning rate, without clipping gradients."""
    atoms: Annotated[tuple[int, ...], Range(1)] = (32, 64, 512)
    """The number of filters of each of the three layers."""
    rate: Annotated[float, Range(0, open=True)] = 0.01
    """The initial learning rate; at the paper's 0.002 nothing is learned for thousands of steps."""
    longest: Annotated[float, Range(0, open=True)] = 1.0
    """The norm to which gradients are clipped; without clipping, unfolded networks diverge at such rates."""
    scale: Annotated[float, Range(0, open=True)] = 0.1
    """The factor on the initial filters, N(0, scale**2 / n), where n is the number of inputs to a unit."""
    batch: Annotated[int, Range(1)] = 128
    """The number of digits in a minibatch."""


# So early the CNN is far behind; after four epochs of so few digits the two are as good.
QUICK = Config(
    networks=("CNN", "ML-ISTA, 2 unfoldings"), draws=5, epochs=1.3, atoms=(8, 16, 64), rate=0.05, scale=0.7
)


def optimizer(rate: float, steps: int, longest: float = math.inf) -> optax.GradientTransformation:
    """The paper's: momentum, a little decay, and a fifth of the rate after each 30 of 100 epochs."""
    falls = {max(1, round(share * steps)): 0.2 for share in (0.3, 0.6, 0.9)}
    schedule = optax.piecewise_constant_schedule(rate, falls)
    return optax.chain(
        optax.clip_by_global_norm(longest), optax.add_decayed_weights(1e-5), optax.sgd(schedule, momentum=0.9)
    )


def classified(params: Any, state: Any, x: Any, **options: Any) -> Any:
    """The network as the training calls it."""
    del options  # a key and whether it trains: neither matters here
    return unfolding.apply(params, x), state


OBJECTIVE = training.objective(classified, training.cross_entropy, accuracy=training.accuracy)


def init(key: jax.Array, name: str, **options: Any) -> unfolding.Parameters:
    """A network before its training."""
    return unfolding.init(key, (mnist.SIDE, mnist.SIDE), **options, **NETWORKS[name])


def parameters(name: str) -> int:
    """How many numbers a network of the paper's size learns."""
    shapes = jax.eval_shape(partial(init, name=name), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def accuracy(params: Any, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of digits that are classified correctly, in %."""
    starts = range(0, len(images), AT_ONCE)
    predicted = [np.argmax(unfolding.apply(params, images[i : i + AT_ONCE]), axis=-1) for i in starts]
    return 100 * float(np.mean(np.concatenate(predicted) == labels))


def trained(
    digits: mnist.Digits, config: Config, lab: Lab, descent: optax.GradientTransformation, steps: int,
    network: str, draw: int, key: jax.Array,
) -> dict[str, Any]:  # fmt: skip
    """Test accuracy in % of a network after its training, and the loss of its segments."""
    filters, order = jax.random.split(key)
    params = init(filters, network, atoms=config.atoms, scale=config.scale)
    data = (jnp.asarray(digits.train_images), jnp.asarray(digits.train_labels))
    options = {"objective": OBJECTIVE, "optimizer": descent, "steps": SEGMENT, "batch": config.batch}
    segment = partial(training.run, data=data, **options)
    start = training.init(params, order, optimizer=descent)
    found = lab.train(f"{network}, draw {draw}", segment, start, -(-steps // SEGMENT))
    return {
        "accuracy": accuracy(found.state.params, digits.test_images, digits.test_labels),
        "loss": found.metrics["loss"].mean(axis=1),
        "seconds": found.seconds,
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if config.paper:
        config = replace(config, **PAPER)
    digits = lab.load(mnist)
    steps = max(1, round(config.epochs * (len(digits.train_labels) // config.batch)))
    descent = optimizer(config.rate, steps, config.longest)
    # Networks of one draw begin with the same filters and see the digits in the same order.
    found = lab.sweep(
        "training",
        partial(trained, digits, config, lab, descent, steps),
        network=config.networks,
        draw=range(config.draws),
        common=("network",),
        dims={"loss": ("step",)},
    )
    accuracies = found["accuracy"].assign_attrs(unit="%", long_name="test accuracy")
    for name, one in zip(config.networks, mean(accuracies, over="draw")):
        beside = f", published {PUBLISHED[name]} % after 100" if name in PUBLISHED else ""
        seconds = float(found["seconds"].sel(network=name).mean())
        lab.note(f"{one.text} % after {config.epochs:g} epochs, {seconds:.0f} s each{beside}")
    lab.figure(
        "accuracy",
        plots.dots(accuracies, x="network", published=PUBLISHED if config.paper else None),
        f"The test accuracy of each training after {config.epochs:g} epochs, and the mean of each network"
        f"{'; dashed, the published one' if config.paper else ''}.",
    )
    loss = found["loss"].isel(draw=0).assign_coords(step=SEGMENT * (np.arange(found.sizes["step"]) + 0.5))
    labels = {"xlabel": "training step", "ylabel": "cross entropy (nats)"}
    panel = plots.panel(loss, x="step", hue="network", log="y", **labels)
    lab.figure("loss", panel, "The loss as it was trained, of the first draw.")
    return [count_claim(), help_claim(accuracies), *published_claims(accuracies, config, lab)]


def count_claim() -> Claim:
    return Claim(
        "Networks of any number of unfoldings have the same number of parameters.",
        equal_to(PARAMETERS, tolerance=0, source=f"{SOURCE}, counted layer by layer"),
        [exact(parameters(name), at={"network": name}) for name in NETWORKS],
    )


def help_claim(accuracies: xr.DataArray) -> Claim:
    """Unfolded networks against the plain one, paired over draws."""
    names = accuracies["network"].values.tolist()
    unfolded = [name for name in names if name != "CNN"]
    both = "CNN" in names and unfolded
    gain = accuracies.sel(network=unfolded) - accuracies.sel(network="CNN", drop=True) if both else None
    return Claim(
        "Unfolding helps: trained alike, each unfolded network classifies more test digits than the CNN.",
        above(0, unit="points", source=f"{SOURCE}: 0.37 for ML-ISTA and 0.42 for ML-FISTA"),
        mean(gain, over="draw", paired=True) if both else None,
        needs=Need("the CNN and an unfolded network", bool(both), "name both as --networks"),
    )


def published_claims(accuracies: xr.DataArray, config: Config, lab: Lab) -> list[Claim]:
    """The paper's figures, where its recipe was followed."""
    needs = (
        Need("the paper's recipe", config.paper, "add --paper"),
        Need("the whole MNIST", lab.data_dir is not None, "give its folder as --data-dir"),
    )
    claims = []
    for name, figure in PUBLISHED.items():
        is_there = name in accuracies["network"]
        claims.append(
            Claim(
                f"With the paper's recipe, {name} reaches its test accuracy.",
                published(figure, n=10_000, unit="%", slack=0.15, source=SOURCE),
                mean(accuracies.sel(network=name), over="draw") if is_there else None,
                needs=(*needs, Need("this network", is_there, "name it in --networks")),
            )
        )
    return claims
