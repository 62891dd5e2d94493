"""Wired as the tree of a compositional function, networks of equal size err less than dense or shallow ones.

Lecture: approximation, "When and why are deep networks better than shallow ones?".
Source: Mhaskar and Poggio, Deep vs. shallow networks: an approximation theory perspective, 2016; Poggio,
Mhaskar, Rosasco, Miranda and Liao, Why and when can deep, but not shallow, networks avoid the curse of
dimensionality, 2017: for constituents of smoothness m, shallow networks need O(ε^(-d/m)) numbers, networks
wired as a binary tree O((d - 1) ε^(-2/m)); "best possible" is over all functions of the class.

By construction: multilinear interpolants of each constituent, or of the whole function on a tensor grid, and
the numbers with which an error is certified. Constituents are sums of triangle waves (m = 1) or of cosines
(m = 2). By training: functions of eight inputs, networks of equal size, fresh points at every step; smooth
constituents have one scale, rough ones six, with amplitudes in proportion to wavelengths. Errors are root
mean squares over the standard deviation of the function. The rate is tuned for each network and size on two
other functions, in a quarter of the steps. A node of the tree passes a quarter as many numbers as it has
neurons. Functions h(g_1, ..., g_l) with few constituents of few inputs follow, as the number of inputs grows.
The full form takes about twenty minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise, product
from math import log10
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax.flatten_util import ravel_pytree

from jaxtheory.approximation import compositional, relu
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, at_most, below, equal_to, experiment, mean, plots

SMOOTHNESS = {2: "cosine", 1: "triangle"}
"""The smoothness m of constituents in constructions, and the form of their waves."""
SMOOTH, ROUGH = "smooth", "rough"
TRAINED: dict[str, dict[str, Any]] = {SMOOTH: {}, ROUGH: {"smoothness": 1.0, "scales": 6}}
"""The constituents of the functions that are learned."""
INPUTS = 8
"""The number of inputs of the functions that are learned."""
TREE, LINK, DEEP, SHALLOW, WRONG = "tree", "one number a link", "dense deep", "shallow", "wrongly wired"
GRID = "tensor grid"
CERTIFY = {TREE: compositional.certified_error, GRID: compositional.certified_tensor_error}
NETWORKS = (TREE, LINK, DEEP, SHALLOW, WRONG)
GRAPH = compositional.binary_tree(INPUTS)
CROSSED = (0, 4, 2, 6, 1, 5, 3, 7)
"""The order of inputs in which a tree joins first what the function joins last."""
LAYERS = 3
"""The hidden layers of dense deep networks: as many as the tree has levels."""
SETS = ((0, 1), (1, 2), (2, 3))
"""The sets S_1, ..., S_l of h(g_1(x_S1), ..., g_l(x_Sl))."""
PAIRS = 2
"""The number of functions on which rates are tuned."""
CHECKED = 4096
"""The number of points at which errors are taken."""
RATE = 0.01
"""Adam's rate where the width of dense networks is varied."""
CERTIFIED = 0.1
"""The error that is certified for h(g_1, ..., g_l)."""
THEOREM = "Mhaskar and Poggio 2016; Poggio et al. 2017, theorems 1 and 2"
TRAINING = f"{THEOREM}, of which training need not make use; our own bar"


@dataclass(frozen=True)
class Config:
    inputs: Annotated[tuple[int, ...], Range(2, 32)] = (2, 4, 8, 16)
    """The numbers of inputs of the constructions."""
    errors: Annotated[tuple[float, ...], Range(1e-9, 1)] = (1e-2, 1e-3, 1e-4, 1e-5)
    """The errors to be certified; exponents are those of the last two."""
    cells: Annotated[tuple[int, ...], Range(1, 64)] = (8, 32)
    """The numbers of cells along each axis at which errors of constructions are measured."""
    sizes: Annotated[tuple[int, ...], Range(100)] = (200, 630, 2000, 6300, 20_000)
    """The numbers of parameters of trained networks."""
    rates: Annotated[tuple[float, ...], Range(0, open=True)] = (0.001, 0.004, 0.015, 0.06)
    """The rates of Adam among which the best is taken for each network and size."""
    steps: Annotated[int, Range(4)] = 8000
    """The number of training steps."""
    batch: Annotated[int, Range(1)] = 256
    """The number of fresh points in each step."""
    draws: Annotated[int, Range(2)] = 5
    """The number of functions."""
    dimensions: Annotated[tuple[int, ...], Range(4)] = (8, 16, 32, 64)
    """The numbers of inputs of h(g_1, ..., g_l), at least two of them."""
    widths: Annotated[tuple[int, ...], Range(1)] = (4, 8, 16, 32, 64)
    """The widths among which a dense network needs one."""
    reached: Annotated[float, Range(0, 1, open=True)] = 0.2
    """The relative error that it has to reach."""


QUICK = Config(
    inputs=(2, 8), errors=(1e-3, 1e-4), cells=(8,), sizes=(1000,), rates=(0.015,), steps=600, batch=128,
    draws=3, dimensions=(8, 16), widths=(2, 8, 32), reached=0.7,
)  # fmt: skip


def certified(construction: str, m: int, inputs: int, error: float, key: jax.Array) -> float:
    """The decimal logarithm of the number of values with which an error is certified."""
    target = compositional.init(key, compositional.binary_tree(inputs), wave=SMOOTHNESS[m])
    cells = compositional.cells_needed(target, error, certify=CERTIFY[construction])
    # A tensor grid's number of values may be beyond all floats.
    return log10((inputs - 1) * (cells + 1) ** 2) if construction == TREE else inputs * log10(cells + 1)


def exponents(logarithms: xr.DataArray) -> xr.DataArray:
    """The exponents of 1/ε between the two smallest errors, over the predicted 2/m, or d/m on a grid."""
    smaller, small = (logarithms.sortby("error").isel(error=k) for k in (0, 1))
    octaves = float(np.log2(small.error / smaller.error))
    slopes = (smaller.drop_vars("error") - small.drop_vars("error")) * np.log2(10) / octaves
    return slopes * slopes.m / xr.where(slopes.construction == TREE, 2, slopes.inputs)


def over_certified(construction: str, m: int, inputs: int, cells: int, key: jax.Array) -> float:
    """The largest error of a construction at random points, over the certified one."""
    with jax.enable_x64(True):
        target = compositional.init(key, compositional.binary_tree(inputs), wave=SMOOTHNESS[m])
        x = jax.random.uniform(jax.random.fold_in(key, 1), (CHECKED, inputs), minval=-1, maxval=1)
        found = (compositional.interpolate if construction == TREE else compositional.tensor)(target, cells)
        error = jnp.abs(compositional.apply(found, x) - compositional.apply(target, x)).max()
    return float(error) / CERTIFY[construction](target, cells)


def start(widths: tuple[int, ...], number: int, key: jax.Array) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights of dense networks, drawn as those of wired ones: He's, and biases that spread kinks."""
    rng, layers = np.random.default_rng(np.asarray(jax.random.key_data(key))), []
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        is_last = place == len(widths) - 2
        kernel = rng.standard_normal((number, inputs, outputs)) * ((1 if is_last else 2) / inputs) ** 0.5
        bias = rng.uniform(-1, 1, (number, outputs)) * (0 if is_last else 2 / inputs) ** 0.5
        layers.append((np.float32(kernel), np.float32(bias)))
    return layers


def dense(layers: Any, x: jax.Array) -> jax.Array:
    """The values of a dense network."""
    return relu.apply(relu.Network(*zip(*layers)), x)[..., 0]


def of_size(network: str, size: int) -> tuple[Callable[[int, jax.Array], Any], Callable[..., jax.Array]]:
    """A network of eight inputs with about as many parameters: what draws several, and its `apply`."""
    if network in (DEEP, SHALLOW):
        layers = LAYERS if network == DEEP else 1
        width = compositional.equal_width(INPUTS, size, layers=layers)
        return partial(start, (INPUTS, *[width] * layers, 1)), dense

    # Four nodes take two inputs, three take two nodes, and all but the last pass several numbers: the size
    # is linear in the width, which is about four times the number of channels.
    channels = 1 if network == LINK else max(round((size / 48) ** 0.5 - 0.7), 2)
    width = max(round((size - 6 * channels - 1) / (16 + 12 * channels)), 1)
    init = partial(compositional.init_network, graph=GRAPH, width=width, channels=channels)
    return lambda number, key: jax.vmap(init)(jax.random.split(key, number)), compositional.apply


def fresh(key: jax.Array, step: Any, number: int, active: jax.Array) -> jax.Array:
    """The points of a step, (number, inputs), of which some inputs are zero."""
    key = jax.random.fold_in(key, step)
    return active * jax.random.uniform(key, (number, len(active)), minval=-1, maxval=1)


@partial(jax.jit, static_argnames=("steps", "batch"))
def samples(
    targets: compositional.Target, active: jax.Array, key: jax.Array, *, steps: int, batch: int
) -> dict[str, jax.Array]:
    """The values of several functions at the points of all steps and at others, of unit variance there."""
    queries = fresh(key, steps, CHECKED, active)
    of_all = jax.vmap(compositional.apply, (0, None))
    expected = of_all(targets, queries)
    middle, spread = expected.mean(1, keepdims=True), expected.std(1, keepdims=True)
    y = jax.lax.map(lambda step: of_all(targets, fresh(key, step, batch, active)), jnp.arange(steps))
    y, expected = ((values - middle) / spread for values in (y, expected))
    return {"y": y, "queries": queries, "expected": expected, "active": active}


@partial(jax.jit, static_argnames="apply")
def trained(
    apply: Callable[..., jax.Array], starts: Any, rates: Any, order: Any, data: dict[str, jax.Array], key: Any
) -> jax.Array:
    """Relative errors (functions, variants) after training from starts (functions, variants, ...) by Adam."""
    steps, _, batch = data["y"].shape
    optimizer, fall = optax.scale_by_adam(), optax.cosine_decay_schedule(1.0, steps)

    def one(start: Any, rate: jax.Array, y: jax.Array, expected: jax.Array) -> jax.Array:
        # As one vector, parameters take one program of Adam's rather than one for each array.
        start, unravel = ravel_pytree(start)

        def loss(params: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
            return jnp.mean((apply(unravel(params), x[:, order]) - y) ** 2)

        def step(carry: Any, at: Any) -> tuple[Any, None]:
            (params, state), (k, values) = carry, at
            gradient = jax.grad(loss)(params, fresh(key, k, batch, data["active"]), values)
            move, state = optimizer.update(gradient, state)
            return (params - rate * fall(k) * move, state), None

        carry = start, optimizer.init(start)
        (params, _), _ = jax.lax.scan(step, carry, (jnp.arange(steps), y))
        return jnp.sqrt(loss(params, data["queries"], expected))

    variants = jax.vmap(one, (0, 0, None, None))
    return jax.vmap(variants, (0, None, 1, 0))(starts, rates, data["y"], data["expected"])


def learn(
    config: Config, data: Callable[..., Any], constituents: str, network: str, size: int, key: jax.Array
) -> dict[str, Any]:
    """The relative errors for all functions at the rate that is best for others, and the rate."""
    several, apply = of_size(network, size)
    order = np.array(CROSSED if network == WRONG else range(INPUTS))
    rates = np.float32(config.rates)
    if len(rates) > 1:
        starts = several(PAIRS, jax.random.fold_in(key, 1))
        starts = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(rates), 1), starts)
        logs = np.log(trained(apply, starts, rates, order, *data(constituents, tuning=True)))
        rates = rates[[np.nan_to_num(logs, nan=np.inf).mean(0).argmin()]]
    starts = jax.tree.map(lambda leaf: leaf[:, None], several(config.draws, key))
    found = trained(apply, starts, rates, order, *data(constituents, tuning=False))
    return {"error": np.asarray(found)[:, 0], "rate": rates[0]}


def by_width(config: Config, dimension: int, key: jax.Array) -> np.ndarray:
    """Relative errors (functions, widths) of dense networks on h(g_1, ..., g_l)."""
    of_functions, of_starts, of_points = jax.random.split(key, 3)
    largest, widest = max(config.dimensions), max(config.widths)
    graph = compositional.shared(largest, SETS)
    keys = jax.random.split(of_functions, config.draws)
    targets = jax.vmap(lambda key: compositional.init(key, graph))(keys)
    # One program serves all: inputs that are zero, and neurons without weights, have no gradients.
    active = jnp.float32(jnp.arange(largest) < dimension)
    data = samples(targets, active, of_points, steps=config.steps, batch=config.batch)

    def drawn(inputs: int, width: int) -> Any:
        return start((inputs, width, width, 1), config.draws, of_starts)

    def padded(leaf: np.ndarray, wide: np.ndarray) -> np.ndarray:
        return np.pad(leaf, [(0, n - m) for n, m in zip(wide.shape, leaf.shape)])

    wide = drawn(largest, widest)
    each = [jax.tree.map(padded, drawn(dimension, width), wide) for width in config.widths]
    starts = jax.tree.map(lambda *leaves: np.stack(leaves, 1), *each)
    rates = np.full(len(config.widths), RATE, np.float32)
    return np.asarray(trained(dense, starts, rates, np.arange(largest), data, of_points))


def width_needed(widths: tuple[int, ...], reached: float, errors: np.ndarray) -> float:
    """The logarithm to base 2 of the width that reaches an error, between two widths; NaN outside of them."""
    falling = np.minimum.accumulate(errors)
    if not falling[-1] <= reached < falling[0]:
        return np.nan
    return float(np.interp(-np.log(reached), -np.log(falling), np.log2(widths)))


def dense_size(dimension: Any, width: Any) -> Any:
    """The number of parameters of a dense network with two hidden layers."""
    return (dimension + 1) * width + (width + 1) * width + width + 1


def interpolant_size(dimension: int, key: jax.Array) -> int:
    """The number of values of the interpolant of h(g_1, ..., g_l), with a certified error."""
    target = compositional.init(key, compositional.shared(dimension, SETS))
    cells = compositional.cells_needed(target, CERTIFIED)
    return sum((cells + 1) ** len(taken) for taken in target.graph.nodes)


class Found(NamedTuple):
    """What was measured."""

    logs: xr.DataArray  # decimal logarithms of numbers of values with which errors are certified
    ratios: xr.DataArray  # errors of constructions over certified ones
    errors: xr.DataArray  # relative errors of trained networks
    needed: xr.DataArray  # logarithms to base 2 of widths
    values: xr.DataArray  # numbers of values of interpolants of h(g_1, ..., g_l)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    axes = {"m": tuple(SMOOTHNESS), "inputs": config.inputs, "draw": range(config.draws)}
    options = {"construction": (TREE, GRID), "error": config.errors, "common": ("construction", "error")}
    logs = lab.sweep("certified", certified, **axes, **options)
    points = [
        dict(zip((*axes, "cells", "construction"), point))
        for point in product(*axes.values(), config.cells, (TREE, GRID))
        if point[-1] == TREE or (point[-2] + 1) ** point[1] < 2**17
    ]
    ratios = lab.sweep("over certified", over_certified, points=points)

    @cache
    def data(constituents: str, *, tuning: bool) -> tuple[dict[str, jax.Array], jax.Array]:
        key = lab.key("functions", constituents=constituents, tuning=tuning)
        number, steps = (PAIRS, config.steps // 4) if tuning else (config.draws, config.steps)
        keys = jax.random.split(key, number)
        targets = jax.vmap(lambda key: compositional.init(key, GRAPH, **TRAINED[constituents]))(keys)
        points = lab.key("points")
        return samples(targets, jnp.ones(INPUTS), points, steps=steps, batch=config.batch), points

    axes = {"size": config.sizes, "network": NETWORKS, "constituents": tuple(TRAINED)}
    options = {"common": tuple(axes), "dims": {"error": ("draw",)}}
    learned = lab.sweep("training", partial(learn, config, data), **axes, **options)
    options = {"dimension": config.dimensions, "common": "dimension"}
    widths = lab.sweep("width", partial(by_width, config), **options, dims=("draw", "width"))
    values = lab.sweep("interpolant", interpolant_size, **options, draw=range(config.draws))
    of_errors = partial(width_needed, config.widths, config.reached)
    needed = xr.apply_ufunc(of_errors, widths, input_core_dims=[["width"]], vectorize=True)
    for constituents in TRAINED:
        factors = 2 ** -octaves(learned.error).sel(constituents=constituents).isel(size=-1).mean("draw")
        told = ", ".join(f"{float(factor):.2f} ({factor.network.item()})" for factor in factors)
        lab.note(f"Errors over the tree's at the largest size, {constituents} constituents: {told}.")
    found = Found(logs, ratios, learned.error, needed, values)
    show(lab, found)
    return claims(found)


def octaves(errors: xr.DataArray) -> xr.DataArray:
    """The logarithms to base 2 of the tree's errors over those of the others, at the three largest sizes."""
    logs = np.log2(errors.sortby("size").isel(size=slice(-3, None)))
    return logs.sel(network=TREE, drop=True) - logs.drop_sel(network=TREE)


def claims(found: Found) -> list[Claim]:
    """The claims."""
    ahead, needed, values = octaves(found.errors), found.needed.sortby("dimension"), found.values
    sizes, dimensions = np.log2(dense_size(needed.dimension, 2**needed)), needed.dimension.values
    growth = (sizes.isel(dimension=-1) - sizes.isel(dimension=0)) / np.log2(dimensions[-1] / dimensions[0])
    spread = needed.max("dimension") - needed.min("dimension")
    bracketed = bool(np.isfinite(needed).all())
    between = Need("widths on both sides of the one needed", bracketed, "take other --widths or --reached")
    return [
        Claim(
            "Values for a certified error grow as 1/ε to the power 2/m for the tree, d/m for a tensor grid: "
            "the exponent over the predicted one.",
            equal_to(1, tolerance=0.03, source=f"{THEOREM}; the tolerance is ours"),
            mean(exponents(found.logs), over="draw"),
        ),
        Claim(
            "No construction errs by more than is certified: the largest ratio of errors.",
            at_most(1, source="the bounds of compositional.certified_error and certified_tensor_error"),
            Measured(float(found.ratios.max()), n=int(found.ratios.computed.sum()), of="constructions"),
        ),
        *(
            Claim(
                f"With {constituents} constituents, a network wired as the tree errs less than the {other} "
                "one of equal size.",
                below(0, unit="octaves", source=TRAINING),
                mean(ahead.sel(constituents=constituents, network=other), over="draw", paired=True),
            )
            for constituents in TRAINED
            for other in (DEEP, SHALLOW, WRONG)
        ),
        Claim(
            "With smooth constituents, the tree that passes many numbers a link errs less than with one.",
            below(0, unit="octaves", source="our own bar"),
            mean(ahead.sel(constituents=SMOOTH, network=LINK), over="draw", paired=True),
        ),
        Claim(
            "The interpolant of h(g_1, ..., g_l) that is wired as it has as many values for any number of "
            "inputs: most over fewest.",
            equal_to(1, tolerance=0, source="Poggio et al. 2017, theorem 3"),
            Measured(float((values.max("dimension") / values.min("dimension")).max()), kind="exact"),
        ),
        Claim(
            "The widths that a dense network needs for it differ by at most a factor two: largest over "
            "smallest.",
            at_most(1, unit="octaves", source="our own bar"),
            mean(spread, over="draw") if bracketed else None,
            between,
        ),
        Claim(
            "So its parameters grow at most linearly in the number of inputs: the exponent.",
            at_most(1, source="our own bar"),
            mean(growth, over="draw") if bracketed else None,
            between,
        ),
    ]


def show(lab: Lab, found: Found) -> None:
    """The pictures."""
    figure = plots.panel(
        found.logs.rename("values, log10"), x="error", xlabel="certified error", hue="inputs",
        style="construction", col="m", titles={m: f"m = {m}" for m in SMOOTHNESS}, over="draw", log="x",
    )  # fmt: skip
    lab.figure("values_by_error", figure, "Numbers of values with which an error is certified.")
    options = {"hue": "network", "col": "constituents", "over": "draw", "spread": "band", "log": "xy"}
    figure = plots.panel(found.errors.rename("relative error"), x="size", xlabel="parameters", **options)
    lab.figure("error_by_size", figure, "Errors of trained networks: medians and quantiles over functions.")
    figure, ((left, right),) = plots.canvas(2)
    width, options = 2**found.needed, {"x": "dimension", "xlabel": "inputs", "over": "draw"}
    plots.panel(width.rename("width needed"), **options, spread="each", log="x", axes=left)
    names = xr.DataArray(["dense, trained", "wired, certified"], dims="network", name="network")
    both = [dense_size(width.dimension, width), found.values.astype(float)]
    both = xr.concat(both, names, join="override").rename("parameters")
    plots.panel(both, **options, hue="network", log="xy", axes=right)
    caption = (
        "Left: widths that dense networks need for h(g_1, ..., g_l), each function and the mean. Right: "
        f"their parameters, and the values of interpolants with a certified error of {CERTIFIED:g}."
    )
    lab.figure("parameters_by_inputs", figure, caption)
