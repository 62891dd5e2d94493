"""A deep ReLU network for x² has exponentially small error in its size, which no network of one layer has.

Lecture: approximation, "When and why are deep networks better than shallow ones?".
Source: D. Yarotsky, Error bounds for approximations with deep ReLU networks, Neural Networks 94, 2017.

The construction is evaluated in double precision where its error is largest: at the points halfway between
those at which it interpolates. Against it stand networks of one hidden layer with as many neurons: the lower
bound by their number of pieces, an explicit one that nearly reaches it, and the best of many trained ones.
Networks of the deep shape are trained, too. Their errors are exact suprema, from their linear pieces.
The full form takes about eight minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.approximation import regions, relu
from jaxtheory.lab import (
    Claim,
    Lab,
    Need,
    Range,
    at_least,
    at_most,
    below,
    equal_to,
    exact,
    experiment,
    mean,
    plots,
)  # fmt: skip

YAROTSKY = "Yarotsky 2017"
PRODUCT = "Yarotsky 2017 for three squares; two are this project's"
PIECES = "n neurons make at most n + 1 pieces, and the longest errs by 1/(8 (n + 1)²) at least"
LATE = 7
"""The number of sawtooth functions from which on shallow networks are claimed to be ten times worse."""
EARLY = 4
"""The number up to which they are claimed to be better."""
POWER = 8
"""Trainings minimize this norm of the error, which is close to its supremum."""


@dataclass(frozen=True)
class Config:
    levels: Annotated[tuple[int, ...], Range(1, 13)] = tuple(range(1, 14))
    """The numbers of sawtooth functions of the constructions."""
    shallow: Annotated[tuple[int, ...], Range(1, 13)] = tuple(range(1, 11))
    """The numbers m for which networks of one hidden layer of 3 m neurons are trained."""
    deep: Annotated[tuple[int, ...], Range(1, 13)] = (1, 2, 3, 4, 5, 6)
    """The numbers m for which networks of m hidden layers of 3 neurons are trained."""
    draws: Annotated[int, Range(2)] = 5
    """The number of groups of trainings, of each of which the best network is taken."""
    seeds: Annotated[int, Range(1)] = 16
    """The number of trainings in a group."""
    steps: Annotated[int, Range(1)] = 4000
    """The number of training steps."""
    points: Annotated[int, Range(2)] = 512
    """The number of training points on [0, 1]."""
    rate: Annotated[float, Range(0, open=True)] = 0.01
    """Adam's rate at the start, from which it falls to zero."""


QUICK = Config(
    levels=(1, 2, 4, 7, 10, 13), shallow=(4, 7), deep=(3,), draws=3, seeds=4, steps=300, points=128
)


def of_square(level: int) -> dict[str, Any]:
    """The supremum of the error of the construction in double and in single precision, and its size."""
    x = (np.arange(2**level) + 0.5) / 2**level
    with jax.enable_x64(True):
        network = relu.square(level)
        double = np.asarray(relu.apply(network, x[:, None]))[:, 0]
    single = np.asarray(relu.apply(network, np.float32(x[:, None])), np.float64)[:, 0]
    size = relu.size(network)
    return {
        "double": np.abs(double - x**2).max(),
        "single": np.abs(single - np.float32(x).astype(float) ** 2).max(),
        "neurons": size.neurons,
        "weights": size.weights,
    }


def of_product(level: int, squares: int) -> float:
    """The supremum of the error of a product, at points that hold the worst ones of both constructions."""
    odd = (2 * np.arange(2 ** (level - 1)) + 1) / 2**level
    # Two equal factors whose mean is halfway between knots, and two that are, and sum to a knot.
    points = np.concatenate([np.stack([odd / 2, odd / 2], 1), np.stack([odd, odd[::-1]], 1)])
    spread = 2 * (np.arange(4096)[:, None] * np.sqrt([2, 3]) % 1) - 1
    points = np.concatenate([points, spread])
    with jax.enable_x64(True):
        found = np.asarray(relu.apply(relu.product(level, squares=squares), points))[:, 0]
    return np.abs(found - points.prod(1)).max()


def supremum(network: relu.Network) -> float:
    """The exact supremum of the distance from x² on [0, 1]: at an end of a piece, or where slopes agree."""
    found = regions.segment(network, [0], [1])
    ends, values, slopes = found.breakpoints, found.values[:, 0], found.slopes[:, 0]
    turning = np.clip(slopes / 2, ends[:-1], ends[1:])
    between = values[:-1] + slopes * (turning - ends[:-1]) - turning**2
    return float(max(np.abs(values - ends**2).max(), np.abs(between).max()))


def equal_pieces(neurons: int) -> relu.Network:
    """The best network of one hidden layer whose pieces begin at its neurons: equal ones, lowered by half."""
    knots = np.arange(neurons + 1) / neurons
    return relu.interpolant(knots, knots**2 - 1 / (8 * neurons**2))


def start(widths: tuple[int, ...], key: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
    """Weights of a training: He's, and neurons of the first layer that bend within [0, 1]."""
    layers = []
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        of_kernel, of_bias = jax.random.split(jax.random.fold_in(key, place))
        kernel = jax.random.normal(of_kernel, (inputs, outputs)) * jnp.sqrt(2 / inputs)
        bias = -kernel[0] * jax.random.uniform(of_bias, (outputs,))
        layers.append((kernel, bias if place == 0 else jnp.zeros(outputs)))
    return layers


@partial(jax.jit, static_argnames=("widths", "steps", "points"))
def fit(keys: jax.Array, rate: float | jax.Array, *, widths: tuple[int, ...], steps: int, points: int) -> Any:
    """The layers of networks trained on x², with a leading axis for the keys."""
    x = jnp.linspace(0, 1, points)[:, None]
    optimizer = optax.adam(optax.cosine_decay_schedule(1.0, steps))

    def loss(layers: Any) -> jax.Array:
        error = jnp.abs(relu.apply(relu.Network(*zip(*layers)), x) - x**2)
        # In units of the largest error, powers do not underflow.
        unit = jax.lax.stop_gradient(error.max())
        return jnp.log(jnp.mean((error / unit) ** POWER)) / POWER + jnp.log(unit)

    def step(carry: Any, _: None) -> tuple[Any, None]:
        layers, state = carry
        updates, state = optimizer.update(jax.grad(loss)(layers), state)
        return (optax.apply_updates(layers, jax.tree.map(lambda one: rate * one, updates)), state), None

    def one(key: jax.Array) -> Any:
        layers = start(widths, key)
        return jax.lax.scan(step, (layers, optimizer.init(layers)), length=steps)[0][0]

    return jax.vmap(one)(keys)


def trained(config: Config, shape: str, level: int, key: jax.Array) -> np.ndarray:
    """The exact errors of a group of trained networks."""
    widths = (1, *[3] * level, 1) if shape == "deep" else (1, 3 * level, 1)
    keys = jax.random.split(key, config.seeds)
    options = {"widths": widths, "steps": config.steps, "points": config.points}
    layers = jax.tree.map(np.asarray, fit(keys, config.rate, **options))
    return np.array([
        supremum(relu.Network(*zip(*[(kernel[k], bias[k]) for kernel, bias in layers])))
        for k in range(config.seeds)
    ])  # fmt: skip


def by_pieces(neurons: Any) -> Any:
    """The lower bound of the error of one hidden layer, by its number of pieces."""
    return 1 / (8 * (neurons + 1) ** 2)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    axes = {"draw": range(config.draws), "dims": ("seed",)}
    square = lab.sweep("square", of_square, level=config.levels)
    products = lab.sweep("product", of_product, level=config.levels, squares=(2, 3))
    explicit = lab.sweep("explicit", lambda level: supremum(equal_pieces(3 * level)), level=config.levels)
    shallow, deep = (
        lab.sweep(f"{shape}, trained", partial(trained, config, shape), level=levels, **axes).min("seed")
        for shape, levels in (("shallow", config.shallow), ("deep", config.deep))
    )
    certified = 0.25 ** (square.level + 1.0)
    bound = by_pieces(3.0 * square.level)
    picture = draw(square, certified, bound, explicit, shallow, deep)
    lab.figure(
        "error_by_size",
        picture,
        "Left: the largest error on [0, 1] with 3 m neurons, of constructions and of trained networks, the "
        "best of each group. Right: the errors of the construction, which interpolates x² between more and "
        "more points.",
    )
    late = [level for level in config.shallow if level >= LATE]
    stuck = (deep / 0.25 ** (deep.level + 1.0)).mean("draw")
    ratios = ", ".join(f"{ratio:.3g} (m = {level})" for level, ratio in zip(stuck.level.values, stuck.values))
    lab.note(f"Trained networks of the deep shape, the best of each group, over the construction: {ratios}.")
    last = int(max(config.levels))
    return [
        Claim(
            "The network of m sawtooth functions for x² errs by exactly 2^(-2m-2): measured over predicted.",
            equal_to(1, tolerance=1e-6, source=YAROTSKY),
            every(square.double / certified),
        ),
        Claim(
            "Single precision cannot express the error of the largest m: measured over predicted.",
            at_least(2, source="the rounding unit of float32 is 2^-24; the factor is this project's"),
            exact(float((square.single / certified).sel(level=last)), at={"level": last}),
            Need("an error below the rounding unit", last >= 12, "take 12 or 13 among --levels"),
        ),
        Claim(
            "A product by two squares errs as one square does, by three squares four times as much: measured "
            "over predicted.",
            equal_to(1, tolerance=1e-6, source=PRODUCT),
            every(products / certified / xr.DataArray([1, 4], {"squares": [2, 3]}, ("squares",))),
        ),
        Claim(
            "Size grows like the logarithm of 1/ε: neurons for each binary digit of accuracy.",
            at_most(1.5, source=f"{YAROTSKY}: depth and size O(ln 1/ε); 3 m over 2 m + 2 here"),
            every(square.neurons / -np.log2(square.double)),
        ),
        Claim(
            f"From m = {LATE} on, no network of one hidden layer of 3 m neurons comes within a factor ten: "
            "its lower bound over the construction's error.",
            at_least(10, unit="times", source=PIECES),
            every((bound / certified).sel(level=[one for one in config.levels if one >= LATE])),
            Need(f"m of {LATE} or more", last >= LATE, "take more --levels"),
        ),
        Claim(
            f"Nor does the best of many trained ones, from m = {LATE} on.",
            at_least(10, unit="times", source="this project's bar"),
            mean((shallow / 0.25 ** (shallow.level + 1.0)).sel(level=late), over="draw") if late else None,
            Need(f"trainings with m of {LATE} or more", bool(late), "take more --shallow"),
        ),
        Claim(
            f"Up to m = {EARLY} depth does not pay: an explicit network of one hidden layer of as many "
            "neurons errs less than the construction.",
            below(1, unit="times", source="1/(8 (3m)²) against 2^(-2m-2)"),
            every((explicit / certified).sel(level=[one for one in config.levels if one <= EARLY])),
            Need(f"m of {EARLY} or less", min(config.levels) <= EARLY, "take fewer --levels"),
        ),
    ]  # fmt: skip


def every(values: xr.DataArray) -> list[Any]:
    """Each value of what is not random, where it stands."""
    points = product(*(values[axis].values for axis in values.dims))
    return [exact(value, at=dict(zip(values.dims, at))) for at, value in zip(points, values.values.ravel())]


def draw(
    square: xr.Dataset,
    certified: xr.DataArray,
    bound: xr.DataArray,
    explicit: xr.DataArray,
    shallow: xr.DataArray,
    deep: xr.DataArray,
) -> Figure:
    """The errors by size, and those of the construction along the interval."""
    figure, ((left, right),) = plots.canvas(2, size=(5.2, 4))
    names = ["one hidden layer, trained", "3 neurons a layer, trained"]
    both = xr.concat([shallow, deep], "network", join="outer").assign_coords(network=names)
    beside = {
        "construction": certified,
        "construction, float32": square.single,
        "one hidden layer, explicit": explicit,
    }
    both = both.rename("largest error")
    plots.panel(
        both,
        x="level",
        hue="network",
        over="draw",
        spread="band",
        beside=beside,
        log="y",
        xlabel="m",
        axes=left,
    )
    left.plot(bound.level, bound, color="black", lw=0.8, label="one hidden layer, lower bound")
    left.legend(fontsize=7)
    x = np.linspace(0, 1, 513)
    for level in (1, 2, 3):
        error = np.asarray(relu.apply(relu.square(level), np.float32(x[:, None])))[:, 0] - x**2
        right.plot(x, error, label=f"m = {level}")
    right.set(xlabel="x", ylabel="construction - x²")
    right.legend(fontsize=8)
    right.grid(alpha=0.3)
    return figure
