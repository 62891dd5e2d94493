"""Batches beyond the gradient noise scale cost examples and save no steps; the full gradient is far beyond.

Lecture: the landscape of the empirical risk, "How to find a good minimum efficiently?".
Source: McCandlish, Kaplan, Amodei and the OpenAI Dota Team, An empirical model of large-batch training,
arXiv 1812.06162, 2018; Zhang et al., Which algorithmic choices matter at which batch sizes?, NeurIPS 2019.

A perceptron learns digits of 14 x 14 pixels until the loss of all training digits comes down to a target.
For each batch size and each method, the step sizes of a grid with the factor 2 run side by side, and the
first that arrives counts; examples of a batch are drawn with replacement. The knee B* is that of the fit
steps = S (1 + B* / B). The noise scale is the sum of tr Σ over the sum of |G|² along the runs of stochastic
gradient descent, both of them exact, as the training digits are the whole population that batches are drawn
from. The full form takes about five minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy import optimize

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_most, between, experiment, mean, plots
from jaxtheory.landscape import dynamics
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

METHODS = ("SGD", "momentum", "Adam")
FACTOR = "McCandlish et al. 2018: the noise scale predicts the useful batch; the factor 3 is this project's"
DECAY, SQUARES, TINY = 0.9, 0.999, 1e-8
"""The decay of momentum and of Adam's mean, that of Adam's mean of squares, and the term beside its root."""
STEP_SIZES = {"SGD": range(-4, 6), "momentum": range(-6, 4), "Adam": range(-9, 1)}
"""The powers of 2 that are tried as step sizes."""
RATIO = 1.03
"""The ratio of consecutive numbers of steps at which the loss of all training digits is looked at."""
POINTS = 32
"""The number of points along a run at which noise and signal of the gradient are summed."""
CHUNK = 50
"""The number of examples whose gradients are computed at once; it divides the number of digits."""


@dataclass(frozen=True)
class Config:
    digits: Annotated[int, Range(100, 4000)] = 2000
    """Number of training digits; it is rounded down to a multiple of 50."""
    width: Annotated[int, Range(1)] = 32
    """Number of hidden units."""
    target: Annotated[float, Range(0, 2, open=True)] = 0.2
    """The training loss, in nats, to which all runs go."""
    batches: Annotated[tuple[int, ...], Range(1)] = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
    """Numbers of examples in a minibatch, of which there are at least three."""
    most_steps: Annotated[int, Range(1)] = 50_000
    """The number of steps after which a run that has not reached the target is given up."""
    draws: Annotated[int, Range(1)] = 8
    """Number of draws of digits, initial networks and orders."""


QUICK = Config(digits=500, batches=(8, 32, 128), most_steps=5000, draws=3)


def network(config: Config) -> tuple[Any, Any]:
    """The network's initializer, and its loss as a plain function."""
    init, apply = networks.functional(partial(MLP, (196, config.width, 10)))
    return init, training.loss(apply, training.cross_entropy)


def small(images: np.ndarray) -> np.ndarray:
    """Digits (n, 28, 28) as vectors of 14 x 14 means of blocks, with the mean digit taken away."""
    vectors = images.reshape(len(images), 14, 2, 14, 2).mean((2, 4)).reshape(len(images), -1)
    return vectors - vectors.mean(0)


def moved(params: Any, memory: Any, gradient: Any, t: Any, rate: Any, method: Any) -> tuple[Any, Any]:
    """Parameters and memory after step t + 1 of the method with this number; all methods in one program."""
    decay = jnp.where(method == METHODS.index("SGD"), 0.0, DECAY)
    is_adam = method == METHODS.index("Adam")
    first = jax.tree.map(lambda m, g: decay * m + g, memory[0], gradient)
    second = jax.tree.map(lambda v, g: SQUARES * v + (1 - SQUARES) * g**2, memory[1], gradient)
    unbiased = (1 - DECAY) / (1 - DECAY ** (t + 1.0)), 1 / (1 - SQUARES ** (t + 1.0))

    def direction(m: jax.Array, v: jax.Array) -> jax.Array:
        return jnp.where(is_adam, unbiased[0] * m / (jnp.sqrt(unbiased[1] * v) + TINY), m)

    after = jax.tree.map(lambda p, m, v: p - rate * direction(m, v), params, first, second)
    return after, (first, second)


def chosen(data: Any, batch: int, t: Any, key: jax.Array) -> Any:
    """The minibatch of step t, drawn with replacement; all examples where the batch is as large."""
    size = len(jax.tree.leaves(data)[0])
    if batch >= size:
        return data
    places = jax.random.randint(jax.random.fold_in(key, t), (batch,), 0, size)
    return jax.tree.map(lambda leaf: leaf[places], data)


@partial(jax.jit, static_argnames=("loss", "batch"))
def race(
    loss: Any, params: Any, data: Any, key: jax.Array, target: Any, most: Any, *, batch: int
) -> tuple[jax.Array, jax.Array]:
    """For each method, the steps to the target with the step size that arrives first, and its place."""
    rates = jnp.array([[2.0**power for power in STEP_SIZES[name]] for name in METHODS])
    methods = jnp.broadcast_to(jnp.arange(len(METHODS))[:, None], rates.shape)

    def step(t: jax.Array, carry: Any) -> Any:
        examples = chosen(data, batch, t, key)

        def one(params: Any, memory: Any, rate: Any, method: Any) -> Any:
            return moved(params, memory, jax.grad(loss)(params, examples), t, rate, method)

        return jax.vmap(jax.vmap(one))(*carry, rates, methods)

    def segment(carry: Any) -> Any:
        params, memory, t, steps, best = carry
        later = jnp.minimum(jnp.maximum(t + 1, (RATIO * t).astype(int)), most)
        params, memory = jax.lax.fori_loop(t, later, step, (params, memory))
        losses = jax.vmap(jax.vmap(lambda params: loss(params, data)))(params)
        losses = jnp.where(jnp.isfinite(losses), losses, jnp.inf)
        arrives = (steps < 0) & (losses.min(1) <= target)
        steps, best = jnp.where(arrives, later, steps), jnp.where(arrives, losses.argmin(1), best)
        return params, memory, later, steps, best

    params = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*rates.shape, *leaf.shape)), params)
    zeros = jax.tree.map(jnp.zeros_like, params)
    none = -jnp.ones(len(METHODS), int)
    start = (params, (zeros, zeros), jnp.zeros((), int), none, none)
    end = jax.lax.while_loop(lambda carry: jnp.any(carry[3] < 0) & (carry[2] < most), segment, start)
    return end[3], end[4]


@partial(jax.jit, static_argnames=("loss", "batch"))
def along(
    loss: Any, params: Any, data: Any, key: jax.Array, rate: Any, steps: Any, *, batch: int
) -> tuple[jax.Array, jax.Array]:
    """The traces of Σ and the values of |G|² at points along a run of stochastic gradient descent."""
    singles = jax.tree.map(lambda leaf: leaf[:, None], data)
    size = len(singles[0])

    def step(t: jax.Array, params: Any) -> Any:
        gradient = jax.grad(loss)(params, chosen(data, batch, t, key))
        return jax.tree.map(lambda p, g: p - rate * g, params, gradient)

    def point(params: Any, number: jax.Array) -> Any:
        noise = dynamics.gradient_noise(loss, params, singles, chunk=CHUNK)
        # Of a population that is known as a whole: its own covariance, and its mean without a correction.
        exact = (1 - 1 / size) * noise.trace, noise.squared_norm + noise.trace / size
        first, last = number * steps // POINTS, (number + 1) * steps // POINTS
        return jax.lax.fori_loop(first, last, step, params), exact

    return jax.lax.scan(point, params, jnp.arange(POINTS))[1]


def knee(batches: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    """The fit steps = S (1 + B* / B) by least squares of the logarithms: B* and S."""
    known = np.isfinite(steps)
    if known.sum() < 3:
        return np.nan, np.nan

    def logarithm(of_knee: float) -> np.ndarray:
        return np.log(steps[known]) - np.log1p(np.exp(of_knee) / batches[known])

    found = optimize.minimize_scalar(lambda one: np.var(logarithm(one)), bounds=(-5, 15), method="bounded")
    return float(np.exp(found.x)), float(np.exp(logarithm(found.x).mean()))


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    number = config.digits // CHUNK * CHUNK
    init, loss = network(config)
    minibatches = [batch for batch in sorted(set(config.batches)) if batch < number]

    def of_batch(batch: int, draw: int) -> dict[str, Any]:
        split = digits.draw(number, lab.rng("digits", draw=draw))
        data = jnp.asarray(small(split.train_images)), jnp.asarray(split.train_labels)
        params, key = init(lab.key("network", draw=draw))[0], lab.key("order", draw=draw)
        options = {"batch": batch, "loss": loss, "params": params, "data": data, "key": key}
        steps, best = map(np.asarray, race(target=config.target, most=config.most_steps, **options))
        noise = signal = np.full(POINTS, np.nan)
        if steps[0] > 0:
            noise, signal = along(rate=2.0 ** STEP_SIZES["SGD"][best[0]], steps=steps[0], **options)
        steps = np.where(steps > 0, steps, np.nan)
        return {"steps": steps, "best": best, "noise": np.asarray(noise), "signal": np.asarray(signal)}

    dims = {"steps": ("optimizer",), "best": ("optimizer",), "noise": ("point",), "signal": ("point",)}
    axes = {"batch": (*minibatches, number), "draw": range(config.draws)}
    found = lab.sweep("steps to the target", of_batch, dims=dims, **axes).assign_coords(
        optimizer=list(METHODS)
    )
    stochastic = found.sel(batch=minibatches)
    knees, floors = xr.apply_ufunc(
        knee, stochastic.batch, stochastic.steps, input_core_dims=[["batch"]] * 2, output_core_dims=[[], []],
        vectorize=True,
    )  # fmt: skip
    sums = (stochastic[name].transpose("draw", "batch", "point").values for name in ("noise", "signal"))
    noise, signal = (part.reshape(config.draws, -1) for part in sums)
    scale = xr.DataArray(dynamics.noise_scale(noise, signal).value, {"draw": found.draw}, ("draw",))
    notes(stochastic, knees, scale, lab)
    lab.figure(
        "steps_by_batch",
        plot(found, knees, floors, scale),
        "Steps and examples to the target by batch size; the last point is the full gradient. Dashed: the "
        "fit S (1 + B* / B). Dotted: the gradient noise scale.",
    )
    return claims(found, knees, scale)


def claims(found: xr.Dataset, knees: xr.DataArray, scale: xr.DataArray) -> list[Claim]:
    arrived = bool(np.isfinite(found.steps).all())
    needs = (
        Need("runs that all reach the target", arrived, "raise --target or --most_steps"),
        Need("three sizes of minibatches", found.sizes["batch"] > 3, "give more in --batches"),
    )
    examples = found.steps * found.batch
    share = examples.isel(batch=0, drop=True) / examples.isel(batch=-1, drop=True)
    octaves = np.log2(knees.sel(optimizer="Adam", drop=True) / knees.sel(optimizer="momentum", drop=True))
    return [
        Claim(
            "For SGD and momentum, the knee B* of the steps by batch size lies within a factor 3 of the "
            "gradient noise scale.",
            between(1 / 3, 3, unit="times", source=FACTOR),
            mean((knees / scale).sel(optimizer=["SGD", "momentum"]), over="draw"),
            needs=needs,
        ),
        Claim(
            "Adam makes use of larger batches than momentum does: its knee lies further out.",
            above(0, unit="octaves", source="Zhang et al. 2019, abstract", looked_up=True),
            mean(octaves, over="draw", paired=True),
            needs=needs,
        ),
        Claim(
            "The full gradient, far beyond the knee, costs at least twice the examples of the smallest "
            "minibatches, with each method: the share that these take.",
            at_most(0.5, source="McCandlish et al. 2018, E = E_min (1 + B / B*); the half is this project's"),
            mean(share, over="draw"),
            needs=needs,
        ),
    ]


def notes(found: xr.Dataset, knees: xr.DataArray, scale: xr.DataArray, lab: Lab) -> None:
    """Notes for the findings: the knees, the noise scales by batch size, and step sizes at a grid's end."""
    told = [f"{knees.sel(optimizer=name).median():.0f} ({name})" for name in METHODS]
    by_batch = dynamics.noise_scale(found.noise.values, found.signal.values).value
    middle = [
        f"{value:.0f} (B = {batch})" for batch, value in zip(found.batch.values, np.median(by_batch, 1))
    ]
    lab.note(
        f"Medians over the draws: knees B* {', '.join(told)}; the gradient noise scale of all runs of SGD "
        f"together {scale.median():.0f}, and of those of one batch size {', '.join(middle)}."
    )
    last = xr.DataArray([len(STEP_SIZES[name]) - 1 for name in METHODS], {"optimizer": list(METHODS)})
    at_end = int((((found.best == 0) | (found.best == last)) & np.isfinite(found.steps)).sum())
    lab.note(f"In {at_end} of {found.best.size} races the step size that arrives first is the grid's end.")


def plot(found: xr.Dataset, knees: xr.DataArray, floors: xr.DataArray, scale: xr.DataArray) -> Figure:
    figure, (panels,) = plots.canvas(2)
    fit = (floors * (1 + knees / found.batch)).median("draw")
    marks = {"gradient noise scale": float(scale.median())}
    for factor, name, axes in ((1, "steps", panels[0]), (found.batch, "examples", panels[1])):
        values = (found.steps * factor).assign_attrs(long_name=f"{name} to the target")
        options = {"x": "batch", "hue": "optimizer", "over": "draw", "log": "xy", "xlabel": "batch size"}
        beside = {"fit": fit * factor}
        plots.panel(values, beside=beside, marks=marks, axes=axes, **options)
    return figure
