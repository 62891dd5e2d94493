"""Layers learned on some digits serve other digits: better than random ones, most of all with few examples.

Lecture: puzzles, "Transfer of first layers".
Source: Yosinski, Clune, Bengio and Lipson, How transferable are features in deep neural networks?, NIPS 2014.

A network of two convolutions and two dense layers learns one set of digits. Its first layers are copied into
a new network, which learns another set from few or many examples: the copies stay as they are, or are tuned
with the rest; or the first layers stay as they were drawn. A control takes frozen layers from a network that
learned the same examples as the new one, so that what frozen layers cost in themselves is told apart from
what other digits cost. So do the paper's networks with halves of ImageNet. Here the digits 0 to 4 lead to 5
to 9, and MNIST's digits to scikit-learn's, which other people wrote and another device read. MNIST's are
averaged to 14 x 14 pixels; the others have 8 x 8, and are enlarged to the same box. All networks of a draw
see the same examples, as often, and share what is drawn at random. Test digits are those of five folds. The
full form takes about ten minutes on two cores.
"""

import hashlib
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.inspection import transfer
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_most, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN

Pair = Literal["0-4 to 5-9", "MNIST to 8 x 8"]
HALVES, DEVICES = "0-4 to 5-9", "MNIST to 8 x 8"
CLASSES = {HALVES: 5, DEVICES: mnist.CLASSES}
"""The classes of either set of digits."""
CHANNELS, UNITS = (8, 16), 64
LAYERS = 3
"""The layers below the output."""
SHARE = 0.7
"""The share of the digits of a class, were classes equally many, that are taken of the first set."""
RATE = 5e-3
"""Adam's step size at the start; it falls to zero along a cosine."""
FROZEN, TUNED, RANDOM = transfer.PROTOCOLS
OWN = "its own, frozen"
"""The control: the first layers of a network that learned the same examples."""
KINDS = (*transfer.PROTOCOLS, OWN)
SIDE, BOX, MARGIN = 14, 10, 2
"""The side of an image in pixels, that of the box in which MNIST's digits lie, and the margin around it."""
YOSINSKI = "Yosinski et al. 2014, abstract"


@dataclass(frozen=True)
class Config:
    pairs: tuple[Pair, ...] = (HALVES, DEVICES)
    """The pairs of sets of digits: the first teaches the layers that the second takes over."""
    examples: Annotated[tuple[int, ...], Range(1, 100)] = (5, 20, 100)
    """The numbers of training examples of each class in the second set, in rising order."""
    source: Annotated[int, Range(100, 4000)] = 4000
    """The number of digits drawn for the first set, of which a half has its classes in the first pair."""
    draws: Annotated[int, Range(2)] = 10
    """The number of draws, whose test digits are one of five folds."""
    repeats: Annotated[int, Range(1)] = 3
    """The number of times that examples and networks are drawn in each draw, and errors averaged."""
    source_steps: Annotated[int, Range(1)] = 800
    """The number of steps on the first set."""
    steps: Annotated[int, Range(1)] = 300
    """The number of steps on the second set."""
    batch: Annotated[int, Range(1, 50)] = 50
    """The number of digits in a step, or all if there are fewer."""


QUICK = Config(
    pairs=(HALVES,), examples=(5, 40), source=2000, draws=5, repeats=1, source_steps=200, steps=100
)


def enlarged() -> tuple[np.ndarray, np.ndarray]:
    """The digits of scikit-learn in the box of MNIST's, and their labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.float32(found.images / 16)
    larger = np.asarray(jax.image.resize(images, (len(images), BOX, BOX), "linear"))
    return np.pad(larger, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))), np.int32(found.target)


def describe(images: np.ndarray) -> str:
    """The digits of scikit-learn in a phrase, for the findings."""
    digest = hashlib.sha256(images.tobytes()).hexdigest()[:12]
    return (
        f"{len(images):,} digits of E. Alpaydin and C. Kaynak, 8 x 8 pixels (scikit-learn) (SHA-256 {digest})"
    )


def fold_of(images: np.ndarray, labels: np.ndarray, fold: int) -> tuple[Any, Any]:
    """Digits to train with, and the fifth of them to test on that belongs to a fold."""
    order = np.random.default_rng(0).permutation(len(labels))
    test = np.array_split(order, mnist.FOLDS)[fold]
    train = np.setdiff1d(order, test)
    return (images[train], labels[train]), (images[test], labels[test])


def half(images: np.ndarray, labels: np.ndarray, low: int) -> tuple[Any, Any]:
    """Five classes of digits, numbered from 0; the labels of all others are -1."""
    return images, np.where((labels >= low) & (labels < low + 5), labels - low, -1)


def sets(
    config: Config, digits: mnist.Digits, pair: Pair, rng: np.random.Generator, draw: int
) -> tuple[Any, Any]:
    """The first set, to train with and to test on, and the second."""
    fold = draw % mnist.FOLDS
    split = digits.draw(config.source, rng, fold=fold)
    whole = [
        (halved(images), labels)
        for images, labels in (
            (split.train_images, split.train_labels), (split.test_images, split.test_labels),
        )
    ]  # fmt: skip
    if pair == DEVICES:
        return tuple(whole), fold_of(*enlarged(), fold)
    return tuple(tuple(half(*one, low) for one in whole) for low in (0, 5))


def halved(images: np.ndarray) -> np.ndarray:
    """Images of 14 x 14 pixels, from means over squares."""
    return images.reshape(len(images), SIDE, 2, SIDE, 2).mean((2, 4))


def balanced(data: Any, each: int, classes: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """As many examples of each class, in a random order."""
    x, y = data
    chosen = [rng.permutation(np.flatnonzero(y == k))[:each] for k in range(classes)]
    if len(found := min(chosen, key=len)) < each:
        raise ValueError(
            f"examples holds {each}, but a class has {len(found)}: take fewer, or a larger source"
        )
    chosen = rng.permutation(np.concatenate(chosen))
    return jnp.asarray(x[chosen]), jnp.asarray(y[chosen])


@cache
def network(classes: int) -> tuple[Any, Any]:
    """The initializer and the logits of the network that all trainings have."""
    body = partial(
        CNN, (SIDE, SIDE), CHANNELS, kernel_size=(5, 3), strides=2, window=1, head=(UNITS, classes)
    )
    init, apply = networks.functional(body)
    return lambda key: init(key)[0], training.predictor(apply)


@partial(jax.jit, static_argnames=("classes", "steps", "batch"))
def trained(
    data: Any, params: Any, frozen: Any, key: jax.Array, *, classes: int, steps: int, batch: int
) -> Any:
    """Parameters after a training that leaves a part of them as it is."""
    _, logits = network(classes)
    optimizer = transfer.freeze(optax.adam(optax.cosine_decay_schedule(RATE, steps)), frozen)

    def loss(params: Any, batch: Any) -> jax.Array:
        return training.cross_entropy(logits(params, batch[0]), batch[1]).mean()

    start = training.init(params, key, optimizer=optimizer)
    options = {"objective": training.stateless(loss), "optimizer": optimizer, "steps": steps, "batch": batch}
    return training.run(start, data, **options)[0].params


@partial(jax.jit, static_argnames="classes")
def error(params: Any, data: Any, *, classes: int) -> jax.Array:
    """The share of digits with a class that are misclassified, in percent."""
    predicted = jnp.argmax(network(classes)[1](params, data[0]), -1)
    return 100 * jnp.sum((predicted != data[1]) & (data[1] >= 0)) / jnp.sum(data[1] >= 0)


def begun(protocol: str, source: Any, params: Any) -> list[tuple[Any, Any]]:
    """Parameters at the start and what of them is frozen, for each number of layers."""
    parts = [transfer.first(params, number) for number in range(1, LAYERS + 1)]
    return [transfer.begin(protocol, source, params, part) for part in parts]


def errors(
    config: Config, digits: mnist.Digits, pair: Pair, draw: int, key: jax.Array, rng: np.random.Generator
) -> dict[str, Any]:
    """Test errors of one draw in percent, by the number of examples, protocol and number of layers."""
    classes = CLASSES[pair]
    (base, base_test), (data, test) = sets(config, digits, pair, rng, draw)
    base_test, test = (tuple(map(jnp.asarray, one)) for one in (base_test, test))
    # As many digits in each draw, so that one program serves all.
    base = balanced(base, int(SHARE * config.source / mnist.CLASSES), classes, rng)
    for_source, for_target, for_own, order, again = jax.random.split(key, 5)
    init, _ = network(classes)
    start, target, other = (init(one) for one in (for_source, for_target, for_own))
    nothing = transfer.first(start, 0)
    options = {"classes": classes, "batch": config.batch}
    source = trained(base, start, nothing, order, steps=config.source_steps, **options)
    scratch, found = [], []
    for each in config.examples:
        few = balanced(data, each, classes, rng)
        options["batch"] = min(config.batch, each * classes)
        learned = partial(trained, few, key=again, steps=config.steps, **options)
        own = learned(other, nothing)
        begins = [one for name in transfer.PROTOCOLS for one in begun(name, source, target)]
        begins += begun(FROZEN, own, target)
        measured = partial(error, data=test, classes=classes)
        scratch.append(float(measured(learned(target, nothing))))
        ends = [float(measured(learned(*one))) for one in begins]
        found.append(np.reshape(ends, (len(KINDS), LAYERS)))
    at_source = float(error(source, base_test, classes=classes))
    return {"scratch": np.array(scratch), "error": np.array(found), "source": at_source}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    if DEVICES in config.pairs:
        lab.uses(describe(enlarged()[0]))

    def point(pair: Pair, draw: int, key: jax.Array, rng: np.random.Generator) -> dict[str, Any]:
        return errors(config, digits, pair, draw, key, rng)

    found = lab.sweep(
        "errors", point, pair=config.pairs, draw=range(config.draws), repeat=range(config.repeats), unit="%",
        dims={"scratch": ("examples",), "error": ("examples", "protocol", "layers")},
    ).assign_coords(
        examples=list(config.examples), protocol=list(KINDS), layers=range(1, LAYERS + 1)
    ).mean("repeat")  # fmt: skip
    for pair in config.pairs:
        one = found.sel(pair=pair).mean("draw")
        lab.note(
            f"{pair}: the network of the first set errs on {float(one.source):.1f} % of its test digits. "
            + " ".join(told(one.sel(examples=each)) for each in config.examples)
        )
    lab.figure(
        "errors",
        figure(found),
        "Test errors by the number of first layers that are copied or frozen: mean over the draws and its "
        "error; without any, the network is trained from scratch.",
    )
    return claims(config, found, digits.shared)


def told(one: xr.Dataset) -> str:
    """The errors with one number of examples, in a sentence."""
    listed = "; ".join(
        f"{protocol} {', '.join(f'{float(value):.1f}' for value in one.error.sel(protocol=protocol))} %"
        for protocol in KINDS
    )
    return f"With {int(one.examples)} a class, from scratch {float(one.scratch):.1f} %; by layers: {listed}."


def claims(config: Config, found: xr.Dataset, overlap: float) -> list[Claim]:
    few, many = config.examples[0], config.examples[-1]
    several = Need("few and many examples", few < many, "take several numbers, --examples")
    average = partial(mean, over="draw", paired=True, overlap=overlap)
    of = {name: found.error.sel(protocol=name, drop=True) for name in KINDS}
    gain = found.scratch - of[TUNED].mean("layers")
    cost = of[FROZEN] - of[OWN]
    return [
        Claim(
            "With few examples, networks whose first layers are copied and tuned err less than one trained "
            "from scratch: the difference, mean over the number of layers.",
            above(0, unit="points", source=f"{YOSINSKI}: a boost that lingers after tuning", looked_up=True),
            average(gain.sel(examples=few)),
        ),
        Claim(
            "With many examples, networks whose first layers are copied and tuned still err less than one "
            "trained from scratch: the difference, mean over the number of layers.",
            above(0, unit="points", source=f"{YOSINSKI}: a boost that lingers after tuning", looked_up=True),
            average(gain.sel(examples=many)) if several.met else None,
            several,
        ),
        Claim(
            "Frozen layers that were learned on other digits err less than random ones, from the second on: "
            "the difference.",
            above(0, unit="points", source=f"{YOSINSKI}: better than random features", looked_up=True),
            average((of[RANDOM] - of[FROZEN]).sel(layers=slice(2, None))),
        ),
        Claim(
            "The first layer is general: with many examples, a frozen one from other digits costs little "
            "beyond one of the same digits.",
            at_most(1, unit="points", source="Yosinski et al. 2014: first layers are general; our bar"),
            average(cost.sel(examples=many, layers=1)) if several.met else None,
            several,
        ),
        Claim(
            "Later layers are specific: with many examples, three frozen ones from other digits cost more "
            "than one.",
            above(0, unit="points", source=f"{YOSINSKI}: from general to specific", looked_up=True),
            average((cost.sel(layers=LAYERS, drop=True) - cost.sel(layers=1, drop=True)).sel(examples=many))
            if several.met
            else None,
            several,
        ),
    ]


def figure(found: xr.Dataset) -> Any:
    """Errors by layers, a row for each pair and a panel for each number of examples."""
    scratch = found.scratch.expand_dims(layers=[0], protocol=found.protocol.values)
    every = xr.concat([scratch, found.error], "layers").rename("test error").assign_attrs(unit="%")
    drawing, grid = plots.canvas(found.sizes["examples"], found.sizes["pair"], size=(3.2, 3.0))
    for row, pair in zip(grid, found.pair.values):
        for ax, each in zip(row, found.examples.values):
            one = every.sel(pair=pair, examples=each)
            plots.panel(one, x="layers", hue="protocol", over="draw", xlabel="first layers", axes=[ax])
            ax.set_title(f"{pair}, {each} a class", fontsize=9)
            ax.set_xticks(range(LAYERS + 1))
    return drawing
