"""Windows cannot tell connected mazes from others, deep networks can in small ones, and time can in all.

Lecture: history, "Locality or sparsity of computation".
Source: Minsky and Papert, Perceptrons: an introduction to computational geometry, 1969.

The mazes come in pairs, one of them connected, that differ in the place of one passage and show all windows
of 3 x 3 pixels equally often. A perceptron, a convolutional network of fixed depth and a linear classifier
on counts of windows learn from mazes of one size and are tested on others of it, one of each pair. A
recurrent network of one unit a pixel, which sees 3 x 3 units and pixels, floods the figure from its first
cell with weights that are set; and with weights that are learned on mazes of 8 x 8 cells, one step at a time
from what is flooded before it and after. A maze counts as connected if all of its figure is reached. Test
mazes are drawn anew in each draw.
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
from jaxtheory.data import mazes
from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    above,
    at_most,
    equal_to,
    exact,
    experiment,
    mean,
    plots,
)
from jaxtheory.lab.blocks import minibatches
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.mlp import MLP

WINDOWS, PERCEPTRON, CONVOLUTIONAL = "counts of windows", "MLP", "CNN"
SET, LEARNED = "recurrent, set weights", "recurrent, learned weights"
DEEP = (PERCEPTRON, CONVOLUTIONAL)
UNITS, CHANNELS = (256, 256), (16,) * 5
"""The hidden layers of the perceptron and of the convolutional network."""
RATES = {PERCEPTRON: 1e-3, CONVOLUTIONAL: 1e-3}
"""Adam's step size at the start; it falls to zero along a cosine."""
BATCH = 50
SHORT = 8
"""Cycles of up to so many cells count as short ones."""
CROSS = np.float32([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
FLOOD = {
    "state": 20 * CROSS,
    "image": 120 * np.float32([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "bias": np.float32(-130),
}
"""Weights that set a unit where the pixel is in the figure and a unit beside it, or itself, was set."""
SIZE, LESSONS = 8, 100
"""The cells along a side of the mazes that the recurrent network learns from, and their pairs."""
LONGEST = 40
"""The number of steps of flooding of which the recurrent network is shown one at a time."""
RATE = 1.0
"""Adam's step size for the recurrent network at the start."""
MINSKY = "Minsky and Papert 1969: connectedness is not diameter-limited"


@dataclass(frozen=True)
class Config:
    cells: Annotated[tuple[int, ...], Range(mazes.FEWEST, 24)] = (6, 8, 12, 16)
    """The numbers of cells along a side."""
    pairs: Annotated[int, Range(50)] = 6000
    """The number of pairs of mazes to train with."""
    tested: Annotated[int, Range(50)] = 1000
    """The number of pairs of mazes of which one is tested."""
    epochs: Annotated[int, Range(1)] = 8
    """The number of times that a network sees all mazes, each time flipped or turned at random."""
    steps: Annotated[int, Range(1)] = 2000
    """The number of training steps of the recurrent network."""
    draws: Annotated[int, Range(2)] = 3
    """The number of draws of mazes and networks."""


QUICK = Config(cells=(6,), pairs=300, tested=200, epochs=2, steps=1000)


def counts(images: np.ndarray) -> np.ndarray:
    """How often an image shows each of the windows, by the number that its pixels write."""
    side = mazes.WINDOW
    windows = np.lib.stride_tricks.sliding_window_view(images.astype(np.int32), (side, side), (1, 2))
    codes = windows.reshape(len(images), -1, side * side) @ (1 << np.arange(side * side))
    found = np.zeros((len(images), 1 << side * side), np.int32)
    np.add.at(found, (np.arange(len(images))[:, None], codes), 1)
    return found


def one_of_each(pairs: mazes.Mazes, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One maze of each pair by chance, and whether it is connected."""
    labels = rng.integers(0, 2, len(pairs.cycles)).astype(np.int32)
    return np.where(labels[:, None, None] == 1, pairs.connected, pairs.disconnected), labels


def both_of_each(pairs: mazes.Mazes) -> tuple[np.ndarray, np.ndarray]:
    """All mazes, and whether they are connected."""
    number = len(pairs.cycles)
    return np.concatenate([pairs.connected, pairs.disconnected]), np.repeat(np.int32([1, 0]), number)


def of_windows(train: Any, test: np.ndarray) -> np.ndarray:
    """The answers of a linear classifier on counts of windows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(counts(train[0]), train[1]).predict(counts(test))


@cache
def network(name: str, cells: int) -> networks.bridge.Functional:
    """A network as a pair of functions."""
    side = 2 * cells - 1
    if name == PERCEPTRON:
        return networks.functional(partial(MLP, (side**2, *UNITS, 2)))
    strides = (2,) + (1,) * (len(CHANNELS) - 1)
    return networks.functional(partial(CNN, (side, side), CHANNELS, strides=strides, window=1, head=(64, 2)))


def outputs(name: str, params: Any, x: Any) -> jax.Array:
    """The outputs of a network for images."""
    apply = network(name, (x.shape[-1] + 1) // 2).apply
    return apply(params, {}, (x.reshape(len(x), -1) if name == PERCEPTRON else x) - 0.5)[0]


def start(name: str, cells: int, rng: np.random.Generator) -> Any:
    """The parameters of a network before its training, of the variance 2 / n for n inputs to a unit."""

    def drawn(path: Any, leaf: Any) -> np.ndarray:
        spread = 0 if path[-1].key == "bias" else np.sqrt(2 / np.prod(leaf.shape[-4:-1]))
        return np.float32(rng.normal(0, spread, leaf.shape))

    shapes = jax.eval_shape(network(name, cells).init, jax.random.key(0))[0]
    return jax.tree_util.tree_map_with_path(drawn, shapes)


def batches(number: int, steps: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The mazes of each training step, all of them in each epoch, and how they are flipped and turned."""
    return minibatches(number, BATCH, steps, rng), rng.integers(0, 2, (steps, 3, BATCH)) > 0


def turned(ways: Any, x: Any) -> jax.Array:
    """Images flipped and turned, each in one of the eight ways."""
    down, right, across = ways[..., None, None]
    x = jnp.where(down, x[:, ::-1], x)
    x = jnp.where(right, x[:, :, ::-1], x)
    return jnp.where(across, x.swapaxes(1, 2), x)


@partial(jax.jit, static_argnames="name")
def trained(params: Any, data: Any, order: Any, *, name: str) -> tuple[Any, jax.Array]:
    """The parameters of a network after its training, and the accuracy at each step."""

    def objective(params: Any, state: Any, batch: Any, _: Any) -> Any:
        found = outputs(name, params, batch[0])
        told = {"accuracy": training.accuracy(found, batch[1]).mean()}
        return training.cross_entropy(found, batch[1]).mean(), (state, told)

    # One vector of all parameters makes a smaller program.
    optimizer = optax.flatten(optax.adam(optax.cosine_decay_schedule(RATES[name], len(order[0]))))

    def step(state: Any, now: Any) -> Any:
        chosen, ways = now
        batch = turned(ways, data[0][chosen]), data[1][chosen]
        return training.step(state, batch, objective=objective, optimizer=optimizer)

    begin = training.init(params, jax.random.key(0), optimizer=optimizer)
    end, metrics = jax.lax.scan(step, begin, order)
    return end.params, metrics["accuracy"]


@partial(jax.jit, static_argnames="name")
def best(params: Any, x: Any, *, name: str) -> jax.Array:
    """The classes of the largest outputs."""
    return jnp.argmax(outputs(name, params, x), -1)


def spread(x: Any, weights: Any) -> jax.Array:
    """Sums of pixels around each pixel, zeros beyond the border."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1)))
    height, width = x.shape[1:]
    return sum(
        weights[row, column] * padded[:, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
    )


def stepped(params: Any, x: Any) -> Any:
    """The start of the recurrent network, whose first unit is set, and its step."""
    drive = spread(x, params["image"]) + params["bias"]
    return jnp.zeros_like(x).at[:, 0, 0].set(1), lambda h: spread(h, params["state"]) + drive


@jax.jit
def after(params: Any, x: Any, steps: jax.Array | int) -> jax.Array:
    """The units of the recurrent network after a number of steps."""
    start, inputs = stepped(params, x)
    return jax.lax.fori_loop(0, steps, lambda _, h: jax.nn.sigmoid(inputs(h)), start)


@jax.jit
def flooded(params: Any, x: Any) -> tuple[jax.Array, jax.Array]:
    """Whether all of the figure is reached, and the steps after which no unit changes sides any more."""
    start, inputs = stepped(params, x)
    last = x.shape[1] * x.shape[2]

    def goes_on(carry: Any) -> jax.Array:
        _, changed, steps = carry
        return changed & (steps < last)

    def step(carry: Any) -> Any:
        h, _, steps = carry
        moved = jax.nn.sigmoid(inputs(h))
        return moved, jnp.any((moved > 0.5) != (h > 0.5)), steps + 1

    h, _, steps = jax.lax.while_loop(goes_on, step, (start, jnp.array(True), 0))
    return jnp.all((h > 0.5) | (x == 0), (1, 2)), steps


@jax.jit
def taught(params: Any, x: jax.Array, order: Any) -> Any:
    """The weights of the recurrent network that has learned single steps of flooding."""
    start, inputs = stepped(FLOOD, x)

    def flood(h: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return jnp.round(jax.nn.sigmoid(inputs(h))), h

    states = jax.lax.scan(flood, start, length=LONGEST + 1)[1]

    def loss(params: Any, batch: Any) -> jax.Array:
        x, before, after = batch
        return optax.sigmoid_binary_cross_entropy(stepped(params, x)[1](before), after).mean()

    optimizer = optax.flatten(optax.adam(optax.cosine_decay_schedule(RATE, len(order[0]))))
    facts = {"objective": training.stateless(loss), "optimizer": optimizer}

    def step(state: Any, now: Any) -> Any:
        chosen, time = now
        batch = x[chosen], states[time, chosen], states[time + 1, chosen]
        return training.step(state, batch, **facts)[0], None

    begin = training.init(params, jax.random.key(0), optimizer=optimizer)
    return jax.lax.scan(step, begin, order)[0].params


def learned(config: Config, lab: Lab, draw: int) -> dict[str, Any]:
    """How often the recurrent network with learned weights is right, by the size of mazes."""
    rng = lab.rng("recurrent", draw=draw)
    x, _ = both_of_each(mazes.draw(SIZE, LESSONS, rng))
    begin = {name: np.float32(rng.normal(0, 0.3, np.shape(leaf))) for name, leaf in FLOOD.items()}
    shape = config.steps, BATCH // 2
    params = taught(begin, x, (rng.integers(0, len(x), shape), rng.integers(0, LONGEST, shape)))
    right = []
    for cells in sorted(set(config.cells)):
        tests, connected = both_of_each(mazes.draw(cells, config.tested, rng))
        right.append(100 * np.mean(np.asarray(flooded(params, tests)[0]) == connected))
    return {"right": np.array(right)}


def trainings(config: Config, lab: Lab, cells: int, draw: int) -> dict[str, Any]:
    """Whether each classifier is right about each test maze, the cycles of its pairs, and its training."""
    rng = lab.rng("mazes", cells=cells, draw=draw)
    train, test = mazes.draw(cells, config.pairs, rng), mazes.draw(cells, config.tested, rng)
    x, labels = one_of_each(test, rng)
    told = [of_windows(one_of_each(train, rng), x)]
    data = both_of_each(train)
    steps = config.epochs * len(data[1]) // BATCH
    accuracies = [np.nan]
    for name in DEEP:
        order = batches(len(data[1]), steps, lab.rng("order", cells=cells, draw=draw))
        begin = start(name, cells, lab.rng("start", draw=draw))
        params, accuracy = trained(begin, data, order, name=name)
        told.append(best(params, x, name=name))
        accuracies.append(100 * float(accuracy[-steps // 10 :].mean()))
    everything, connected = both_of_each(test)
    reached, steps = flooded(FLOOD, everything)
    first, second = (counts(one) for one in (test.connected, test.disconnected))
    return {
        "right": 100 * (np.array(told) == labels).astype(float),
        "train": np.array(accuracies),
        "cycle": test.cycles,
        "windows": int(np.sum(first != second)),
        "flooding": {"errors": int(np.sum(np.asarray(reached) != connected)), "steps": int(steps)},
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    def point(cells: int, draw: int) -> dict[str, Any]:
        return trainings(config, lab, cells, draw)

    def lesson(draw: int) -> dict[str, Any]:
        return learned(config, lab, draw)

    found = lab.sweep(
        "mazes", point, cells=sorted(set(config.cells)), draw=range(config.draws),
        dims={"right": ("classifier", "maze"), "train": ("classifier",), "cycle": ("maze",)},
    ).assign_coords(classifier=[WINDOWS, *DEEP])  # fmt: skip
    recurrent = lab.sweep(
        "recurrent", lesson, draw=range(config.draws), dims={"right": ("cells",)}
    ).assign_coords(cells=found.cells)
    notes(found, recurrent, lab)
    figures(found, recurrent, lab)
    return claims(found)


def by_length(found: xr.Dataset) -> xr.DataArray:
    """Accuracies in mazes whose cycles are short and long, of the smallest mazes."""
    one = found.isel(cells=0)
    short = one.cycle <= SHORT
    parts = [one.right.where(part).mean("maze") for part in (short, ~short)]
    return xr.concat(parts, xr.Variable("length", ["short", "long"])).rename("accuracy")


def claims(found: xr.Dataset) -> list[Claim]:
    few, many = (int(found.cells[place]) for place in (0, -1))
    several = Need("mazes of two sizes", few < many, "give --cells")
    accuracy, lengths = found.right.mean("maze"), by_length(found)
    tested = found.right.sel(classifier=WINDOWS)
    distance = abs(float(tested.mean()) - 50) / (50 / tested.size**0.5)
    stay = partial(mean, over="draw", paired=True)

    def fall(name: str) -> Claim:
        one = accuracy.sel(classifier=name, drop=True)
        return Claim(
            f"The {name} is right about fewer mazes the larger they are: accuracy at {few} cells less "
            f"that at {many}.",
            above(0, unit="points", source="Minsky and Papert 1969: order grows with the retina"),
            stay(one.isel(cells=0, drop=True) - one.isel(cells=-1, drop=True)) if several.met else None,
            several,
        )

    def longer(name: str) -> Claim:
        one = lengths.sel(classifier=name, drop=True)
        return Claim(
            f"The {name} is right about fewer mazes where the cycle has more than {SHORT} cells: accuracy at "
            f"shorter ones less that at longer ones, at {few} cells.",
            above(0, unit="points", source=MINSKY),
            stay(one.sel(length="short", drop=True) - one.sel(length="long", drop=True).drop_vars("cells")),
        )

    return [
        Claim(
            "Both mazes of a pair show the same windows equally often: counts that differ.",
            equal_to(0, tolerance=0, source=MINSKY),
            exact(int(found.windows.sum())),
        ),
        Claim(
            "A linear classifier on counts of windows is at chance: the distance of its accuracy from 50 %.",
            at_most(2, unit="standard errors", source="two standard errors"),
            Measured(distance, n=tested.size, of="mazes"),
        ),
        *(claim(name) for claim in (fall, longer) for name in DEEP),
        Claim(
            "A local recurrent network with shared weights that are set is right about every maze of every "
            "size: its errors.",
            equal_to(0, tolerance=0, source="Minsky and Papert 1969: connectedness is easy in sequence"),
            exact(int(found["flooding/errors"].sum())),
        ),
    ]


def notes(found: xr.Dataset, recurrent: xr.Dataset, lab: Lab) -> None:
    """Accuracies, and the steps of the recurrent network."""
    accuracy = found.right.mean(("maze", "draw"))
    for cells in found.cells.values:
        one = found.sel(cells=cells)
        told = ", ".join(
            f"{name} {float(accuracy.sel(cells=cells, classifier=name)):.1f} %"
            + (
                f" ({float(one.train.sel(classifier=name).mean()):.1f} % as it learned)"
                if name in DEEP
                else ""
            )
            for name in found.classifier.values
        )
        lab.note(
            f"{cells} x {cells} cells: {told}; the recurrent network is done after "
            f"{int(one['flooding/steps'].max())} steps at most, and with weights learned at {SIZE} x "
            f"{SIZE} cells it is right about {float(recurrent.right.sel(cells=cells).mean()):.1f} %."
        )


def figures(found: xr.Dataset, recurrent: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    accuracy = found.right.mean("maze").rename("accuracy").assign_attrs(unit="%")
    accuracy.cells.attrs["long_name"] = "cells along a side"
    flood = 100 * (1 - found["flooding/errors"] / (2 * found.sizes["maze"]))
    flood = flood.expand_dims(classifier=[SET]).rename("accuracy")
    figure, (axes,) = plots.canvas(2, size=(4.6, 3.5))
    taught = recurrent.right.expand_dims(classifier=[LEARNED]).rename("accuracy")
    every = xr.concat([accuracy, flood, taught], "classifier").assign_attrs(unit="%")
    plots.panel(every, x="cells", hue="classifier", over="draw", levels={"chance": 50}, axes=[axes[0]])
    steps = found["flooding/steps"].rename("steps of the recurrent network")
    steps.cells.attrs["long_name"] = "cells along a side"
    plots.panel(steps, x="cells", over="draw", log="xy", axes=[axes[1]])
    lab.figure("accuracy", figure, "Accuracy on test mazes by their size, and the time that flooding takes.")
    lengths = by_length(found).sel(classifier=list(DEEP)).assign_attrs(unit="%")
    cells = int(found.cells[0])
    lab.figure(
        "length",
        plots.dots(lengths.drop_vars("cells"), x="length", hue="classifier", levels={"chance": 50}),
        f"Accuracy at {cells} x {cells} cells where the cycle of the pair has up to {SHORT} cells, and more.",
    )
    largest = int(found.cells[-1])
    pair = mazes.draw(largest, 1, lab.rng("pictures"))
    rows = {}
    for name, maze in (("connected", pair.connected), ("disconnected", pair.disconnected)):
        reached = [after(FLOOD, maze, steps)[0] > 0.5 for steps in (largest, 4 * largest, 40 * largest)]
        rows[name] = np.stack([maze[0] / 2, *((maze[0] + np.asarray(one)) / 2 for one in reached)])
    lab.figure(
        "flooding",
        plots.image_rows(rows),
        f"A pair of mazes, and what the recurrent network has reached after {largest}, {4 * largest} and "
        f"{40 * largest} steps.",
    )
