"""Sharing weights makes a network commute with shifts, and it errs less with as many units.

Lecture: history, "Convolutional neural networks: shift invariances and locality".
Source: LeCun, Generalization and network design strategies, technical report CRG-TR-89-4, University of
Toronto, 1989.

Three networks of two hidden layers have as many units: one is convolutional, in one each unit sees as large
a square of the layer below through weights of its own, and in one it sees all of it. They learn the same
digits in the same order, until they make hardly an error on them. The gradient by a shared kernel is the sum
over places of the gradients by kernels that are not shared, so that sharing is a constraint on the same
network. Test digits are shifted by whole pixels before they are averaged to 14 x 14, up, down, left and
right. In a second task all digits, those of training too, are moved at random, as MNIST's are centered. The
full form takes about seven minutes of processor time.
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
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_most, equal_to, exact, experiment, mean, plots
from jaxtheory.lab.blocks import minibatches
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.locally_connected import LocallyConnected
from jaxtheory.networks.mlp import MLP

SIDE = mnist.SIDE // 2
CHANNELS, KERNEL, STRIDE = (8, 16), 5, 2
UNITS = (7 * 7 * CHANNELS[0], 4 * 4 * CHANNELS[1])
"""The units of the hidden layers of all three networks."""
SHARED, LOCAL, FULL = "convolutional", "locally connected", "fully connected"
OPTIONS = {"head": (mnist.CLASSES,), "kernel_size": KERNEL, "strides": STRIDE}
MAKERS = {
    SHARED: partial(CNN, (SIDE, SIDE), CHANNELS, window=1, **OPTIONS),
    LOCAL: partial(LocallyConnected, (SIDE, SIDE), CHANNELS, **OPTIONS),
    FULL: partial(MLP, (SIDE**2, *UNITS, mnist.CLASSES)),
}
RATE = 5e-3
"""Adam's step size at the start; it falls to zero along a cosine."""
DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1)]
BLOCK = 1000
"""The number of digits that networks answer for at once."""
IMAGES = 4
"""The number of digits whose maps are compared at all shifts."""
LECUN = "LeCun 1989, abstract: fewer free parameters and shift-invariant detectors generalize better"


@dataclass(frozen=True)
class Config:
    sizes: Annotated[tuple[int, ...], Range(50, 4000)] = (320, 1000)
    """The numbers of training digits."""
    shifts: Annotated[tuple[int, ...], Range(0, 8)] = (0, 1, 2, 3, 4)
    """The distances by which test digits are shifted, in pixels of the digits' 28 x 28."""
    moved: Annotated[int, Range(1, 8)] = 4
    """The largest distance by which all digits of the second task are moved, in pixels of the 28 x 28."""
    draws: Annotated[int, Range(2)] = 10
    """The number of draws of digits and networks."""
    steps: Annotated[int, Range(1)] = 800
    """The number of training steps."""
    batch: Annotated[int, Range(1, 50)] = 50
    """The number of digits in a training step."""


QUICK = Config(sizes=(320,), shifts=(0, 3), draws=3, steps=60)


@cache
def network(name: str) -> networks.bridge.Functional:
    """A network as a pair of functions."""
    return networks.functional(MAKERS[name])


def start(name: str, rng: np.random.Generator, dtype: type = np.float32) -> Any:
    """The parameters of a network before its training, of the variance 2 / n for n inputs to a unit."""

    def drawn(path: Any, leaf: Any) -> np.ndarray:
        if path[-1].key == "bias":
            return np.zeros(leaf.shape, dtype)
        inputs = np.prod(leaf.shape[-4:-1])
        return rng.normal(0, np.sqrt(2 / inputs), leaf.shape).astype(dtype)

    shapes = jax.eval_shape(network(name).init, jax.random.key(0))[0]
    return jax.tree_util.tree_map_with_path(drawn, shapes)


def outputs(name: str, params: Any, x: Any) -> jax.Array:
    """The outputs of a network for images."""
    return network(name).apply(params, {}, x.reshape(len(x), -1) if name == FULL else x)[0]


def shifted(images: np.ndarray, down: Any, right: Any) -> np.ndarray:
    """Images moved by whole pixels, zeros behind them, averaged to half of their side."""
    size = int(max(np.abs(down).max(), np.abs(right).max()))
    padded = np.pad(images, ((0, 0), (size, size), (size, size)))
    rows, columns = (size - np.reshape(by, (-1, 1)) + np.arange(mnist.SIDE) for by in (down, right))
    number = np.arange(len(images))[:, None, None]
    moved = padded[number, rows[:, :, None], columns[:, None, :]]
    return moved.reshape(len(images), SIDE, 2, SIDE, 2).mean((2, 4))


@partial(jax.jit, static_argnames="name")
def trained(params: Any, data: Any, order: Any, *, name: str) -> Any:
    """The parameters of a network after its training on the digits of each step."""

    def loss(params: Any, batch: Any) -> jax.Array:
        return training.cross_entropy(outputs(name, params, batch[0]), batch[1]).mean()

    # One vector of all parameters makes a smaller program.
    optimizer = optax.flatten(optax.adam(optax.cosine_decay_schedule(RATE, len(order))))
    facts = {"objective": training.stateless(loss), "optimizer": optimizer}

    def step(state: Any, chosen: jax.Array) -> Any:
        return training.step(state, jax.tree.map(lambda leaf: leaf[chosen], data), **facts)[0], None

    begin = training.init(params, jax.random.key(0), optimizer=optimizer)
    return jax.lax.scan(step, begin, order)[0].params


@partial(jax.jit, static_argnames="name")
def best(params: Any, x: Any, *, name: str) -> jax.Array:
    """The classes of the largest outputs."""
    return jnp.argmax(outputs(name, params, x), -1)


def error(name: str, params: Any, x: np.ndarray, labels: np.ndarray) -> float:
    """The share of digits that are misclassified, in percent."""
    padded = np.pad(x, ((0, -len(x) % BLOCK), (0, 0), (0, 0)))
    found = [best(params, padded[one : one + BLOCK], name=name) for one in range(0, len(x), BLOCK)]
    return 100 * float(np.mean(np.concatenate(found)[: len(x)] != labels))


def learned(config: Config, lab: Lab, data: Any, network: str, draw: int) -> Any:
    """The parameters of a network that has learned digits."""
    order = minibatches(len(data[1]), config.batch, config.steps, lab.rng("order", draw=draw))
    return trained(start(network, lab.rng("start", draw=draw)), data, order, name=network)


def errors(
    config: Config, digits: mnist.Digits, lab: Lab, network: str, size: int, draw: int
) -> dict[str, Any]:
    """A network's error on training digits, and on test digits by how far they are shifted."""
    split = digits.draw(size, lab.rng("digits", draw=draw), fold=draw % mnist.FOLDS)
    data = shifted(split.train_images, 0, 0), split.train_labels
    params = learned(config, lab, data, network, draw)
    test = []
    for shift in config.shifts:
        ways = DIRECTIONS if shift else [(0, 0)]
        x = np.concatenate([shifted(split.test_images, shift * one, shift * two) for one, two in ways])
        test.append(error(network, params, x, np.tile(split.test_labels, len(ways))))
    return {"train": error(network, params, *data), "test": np.array(test)}


def errors_anywhere(
    config: Config, digits: mnist.Digits, lab: Lab, network: str, size: int, draw: int
) -> dict[str, float]:
    """A network's errors on training and test digits all of which are moved at random."""
    split = digits.draw(size, lab.rng("digits", draw=draw), fold=draw % mnist.FOLDS)
    rng = lab.rng("places", draw=draw)
    data, test = (
        (shifted(images, *rng.integers(-config.moved, config.moved + 1, (2, len(images)))), labels)
        for images, labels in (
            (split.train_images, split.train_labels),
            (split.test_images, split.test_labels),
        )
    )
    params = learned(config, lab, data, network, draw)
    return {"train": error(network, params, *data), "test": error(network, params, *test)}


def gradients(digits: mnist.Digits, rng: np.random.Generator) -> float:
    """The distance of a shared kernel's gradient from the sum over places, relative, worst of all leaves."""
    x, y = np.float64(shifted(digits.train_images[:50], 0, 0)), digits.train_labels[:50]
    params = start(SHARED, rng, np.float64)
    like = jax.eval_shape(network(LOCAL).init, jax.random.key(0))[0]["layers"]
    layers = jax.tree.map(lambda one, leaf: np.broadcast_to(leaf, one.shape), like, params["convolutions"])
    spread = {"layers": layers, "head": params["head"]}

    @partial(jax.jit, static_argnames="name")
    def slope(at: Any, name: str) -> Any:
        return jax.grad(lambda at: training.cross_entropy(outputs(name, at, x), y).mean())(at)

    with jax.enable_x64(True):
        shared, local = slope(params, SHARED)["convolutions"], slope(spread, LOCAL)["layers"]
    pairs = [
        (np.asarray(one), np.asarray(other).sum((0, 1)))
        for one, other in zip(jax.tree.leaves(shared), jax.tree.leaves(local))
    ]
    return max(float(np.abs(one - other).max() / np.abs(one).max()) for one, other in pairs)


def moved_maps(digits: mnist.Digits, rng: np.random.Generator) -> dict[str, float]:
    """What shifts before and after two layers of periodic convolution differ in, of all shifts."""
    layers = partial(CNN, (SIDE, SIDE), CHANNELS, kernel_size=KERNEL, window=1, boundary="periodic")
    apply = jax.jit(networks.functional(layers).apply)
    x = np.float64(shifted(digits.train_images[:IMAGES], 0, 0))
    real = {"convolutions": start(SHARED, rng, np.float64)["convolutions"]}
    shifts = [(down, right) for down in range(SIDE) for right in range(SIDE)]
    found = {}
    for name, params, images in (
        ("integers", jax.tree.map(lambda leaf: np.round(20 * leaf), real), np.round(100 * x)),
        ("reals", real, x),
    ):
        with jax.enable_x64(True):
            maps = apply(params, {}, np.stack([np.roll(images, one, (1, 2)) for one in shifts]))[0]
        maps = np.asarray(maps)
        after = np.stack([np.roll(maps[0], one, (1, 2)) for one in shifts])
        found[f"{name}/largest"] = float(np.abs(maps - after).max() / np.abs(after).max())
        found[f"{name}/different"] = int(np.sum(maps != after))
    return found


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)

    def point(network: str, size: int, draw: int) -> dict[str, Any]:
        return errors(config, digits, lab, network, size, draw)

    def point_anywhere(network: str, size: int, draw: int) -> dict[str, Any]:
        return errors_anywhere(config, digits, lab, network, size, draw)

    identities = {"gradient": gradients(digits, lab.rng("gradients"))}
    identities |= moved_maps(digits, lab.rng("maps"))
    axes = {"network": tuple(MAKERS), "size": config.sizes, "draw": range(config.draws), "unit": "%"}
    found = lab.sweep("errors", point, **axes, dims={"test": ("shift",)})
    found = found.assign_coords(shift=list(config.shifts))
    anywhere = lab.sweep("anywhere", point_anywhere, **axes)
    notes(config, found, anywhere, lab)
    figures(found, anywhere, lab)
    return claims(config, found, anywhere, identities, digits.shared)


def claims(
    config: Config,
    found: xr.Dataset,
    anywhere: xr.Dataset,
    identities: dict[str, float],
    overlap: float,
) -> list[Claim]:
    average = partial(mean, over="draw", paired=True, overlap=overlap)
    test = {name: found.test.sel(network=name, drop=True) for name in MAKERS}
    still = Need("test digits that are not shifted", 0 in config.shifts, "give --shifts with 0")
    moved = Need("shifts of 2 pixels or more", max(config.shifts) >= 2, "give --shifts")
    plain = {name: one.sel(shift=0, drop=True) for name, one in test.items()} if still.met else {}
    rises = {name: test[name].sel(shift=slice(2, None)) - plain[name] for name in plain} if moved.met else {}
    both = (still, moved)
    placed = {name: anywhere.test.sel(network=name, drop=True) for name in MAKERS}
    random = f"digits that are all moved at random by up to {config.moved} pixels"
    return [
        Claim(
            "A shared kernel's gradient is the sum over places of that of kernels that are not shared: the "
            "largest relative difference, in double precision.",
            at_most(1e-12, source="the chain rule; LeCun 1989"),
            exact(identities["gradient"]),
        ),
        Claim(
            "Periodic convolutions commute with shifts: entries of maps that differ on integers, at all "
            "shifts of two layers.",
            equal_to(0, tolerance=0, source="sums of products are the same sums"),
            exact(identities["integers/different"]),
        ),
        Claim(
            "Periodic convolutions commute with shifts of real digits to rounding: the largest relative "
            "difference, in double precision.",
            at_most(1e-12, source="sums of products are the same sums"),
            exact(identities["reals/largest"]),
        ),
        Claim(
            "With as many units, the convolutional network errs less than the locally connected one: the "
            "difference.",
            above(0, unit="points", source=LECUN, looked_up=True),
            average(plain[LOCAL] - plain[SHARED]) if still.met else None,
            still,
        ),
        Claim(
            "With as many units, the locally connected network errs less than the fully connected one: the "
            "difference.",
            above(0, unit="points", source=LECUN, looked_up=True),
            average(plain[FULL] - plain[LOCAL]) if still.met else None,
            still,
        ),
        Claim(
            f"Of {random} the convolutional network errs in fewer than the locally connected one: the "
            "difference.",
            above(0, unit="points", source=LECUN, looked_up=True),
            average(placed[LOCAL] - placed[SHARED]),
        ),
        Claim(
            f"Of {random} the locally connected network errs in fewer than the fully connected one: the "
            "difference.",
            above(0, unit="points", source=LECUN, looked_up=True),
            average(placed[FULL] - placed[LOCAL]),
        ),
        Claim(
            "Shifts of the test digits by 2 pixels or more raise the error of the convolutional network less "
            "than that of the locally connected one: the difference.",
            above(0, unit="points", source=LECUN, looked_up=True),
            average(rises[LOCAL] - rises[SHARED]) if rises else None,
            both,
        ),
        Claim(
            "They raise it less than that of the fully connected one: the difference.",
            above(0, unit="points", source=LECUN, looked_up=True),
            average(rises[FULL] - rises[SHARED]) if rises else None,
            both,
        ),
    ]


def notes(config: Config, found: xr.Dataset, anywhere: xr.Dataset, lab: Lab) -> None:
    """The numbers of weights, errors by network, and what the differences come from."""
    for name in MAKERS:
        weights = jax.eval_shape(network(name).init, jax.random.key(0))[0]
        number = sum(leaf.size for leaf in jax.tree.leaves(weights))
        one, two = (each.sel(network=name).mean("draw") for each in (found, anywhere))
        told = "; ".join(
            f"{int(size):,} digits: training {float(one.train.sel(size=size)):.2f} %, test by shift "
            + ", ".join(
                f"{int(shift)}: {float(one.test.sel(size=size, shift=shift)):.1f}" for shift in one["shift"]
            )
            + f" %; moved at random by up to {config.moved} pixels, training "
            f"{float(two.train.sel(size=size)):.2f} %, test {float(two.test.sel(size=size)):.1f} %"
            for size in one["size"]
        )
        lab.note(f"{name}, {sum(UNITS):,} hidden units and {number:,} parameters. {told}.")
    lab.note(
        "Only the hidden layers of the convolutional network commute with shifts, and with steps of two "
        "pixels twice only with those by multiples of eight pixels of the 28 x 28; its last layer is dense "
        "and has learned where the maps of centered digits are."
    )


def figures(found: xr.Dataset, anywhere: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    test = found.test.rename("test error").assign_attrs(unit="%")
    test["size"].attrs["long_name"] = "training digits"
    test["shift"].attrs.update(long_name="shift of test digits", unit="pixels")
    placed = anywhere.test.rename("test error").assign_attrs(unit="%")
    placed["size"].attrs["long_name"] = "training digits"
    by_size = {"x": "size", "hue": "network", "over": "draw", "log": "xy"}
    figure, (axes,) = plots.canvas(2, size=(4.6, 3.5))
    for one, where, title in zip((test.isel(shift=0), placed), axes, ("centered", "moved at random")):
        plots.panel(one, **by_size, axes=[where])
        where.set_title(title)
    lab.figure(
        "errors",
        figure,
        "Test errors of three networks with as many units, means over the draws: digits as they are, and all "
        "digits moved at random.",
    )
    figure = plots.panel(test.isel(size=-1), x="shift", hue="network", over="draw")
    lab.figure(
        "shifts",
        figure,
        "Test errors by how far the test digits are shifted, mean over four directions: networks learned "
        f"{int(test['size'][-1]):,} digits that are not shifted.",
    )
