"""Full-batch gradient descent sharpens until the sharpness reaches 2/η, and then stays just above it.

Lecture: the landscape of the empirical risk, "How to find a good minimum efficiently?".
Source: Cohen, Kaur, Li, Kolter and Talwalkar, Gradient descent on neural networks typically occurs at the
edge of stability, ICLR 2021.

A tanh network learns centered digits of 14 x 14 pixels; the squared loss is half the squared distance to
one-hot labels. A run of small steps, down to a given loss, finds the sharpness s0 at the start and its
maximum s*, which depends on how far the run goes. Three more runs have step sizes η with 2/η from 1.3 s0 to
0.7 s*. With cross-entropy, there is a run of small steps, and one with 2/η at 0.7 of the largest sharpness.
Each draw has digits and a network of its own. The full form takes about six minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_least, at_most, between, experiment, mean, plots
from jaxtheory.landscape import dynamics
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

SIDE = 14
"""The side of the digits, in pixels."""
LEVELS = ("1.3 s0", "between", "0.7 s*")
"""The values of 2/η: the middle one is the geometric mean of the others."""
LOW, HIGH = 1.3, 0.7
STEPS = ("small steps", "large steps")
SQUARED, ENTROPY = "squared loss", "cross-entropy"
BATCHES = 2
"""The number of batches over which the Hessian is summed."""
LANCZOS = 12
"""The number of Lanczos steps of each measurement, from the eigenvector that was found last."""
VARIANCE = 1 / 3
"""The variance of the initial weights, times the number of inputs to a unit."""
WINDOWS = 20
"""The number of windows of a run over which the loss should fall."""
FALLS = {
    "falls": "It falls in the long run nevertheless, from the first to the last step of a window, each a "
    "twentieth of the run: the share of windows.",
    "mean falls": "Its mean over a window, which does not depend on where in an oscillation the window ends, "
    "falls from one window to the next: the share of windows.",
}
"""Two readings of a loss that falls over windows, by the name of their figure."""
PAPER = "Cohen et al. 2021, introduction"


@dataclass(frozen=True)
class Config:
    digits: Annotated[int, Range(10, 4000)] = 1000
    """Number of training digits; an odd number is rounded down."""
    widths: Annotated[tuple[int, ...], Range(1)] = (32, 32)
    """Numbers of hidden units of the layers."""
    small_step: Annotated[float, Range(0, open=True)] = 0.1
    """Step size of the runs of small steps."""
    target: Annotated[float, Range(0, open=True)] = 0.05
    """Squared loss to which the runs of small steps go."""
    most_steps: Annotated[int, Range(100)] = 15_000
    """The largest number of small steps."""
    steps: Annotated[int, Range(100)] = 5000
    """Number of steps of each other run."""
    every: Annotated[int, Range(1)] = 5
    """Number of steps from one measurement of the sharpness to the next."""
    draws: Annotated[int, Range(1)] = 5
    """Number of draws of digits and networks."""


QUICK = Config(digits=200, target=0.07, most_steps=2500, steps=2500, every=20, draws=2)


def network(config: Config) -> tuple[Any, dict[str, Any]]:
    """The network's initializer, and its losses by name."""
    widths = (SIDE**2, *config.widths, 10)
    init, apply = networks.functional(partial(MLP, widths, activation="tanh", weight_variance=VARIANCE))
    criteria = {SQUARED: training.squared_error, ENTROPY: one_hot_entropy}
    return init, {name: training.loss(apply, criterion) for name, criterion in criteria.items()}


def prepared(images: np.ndarray, labels: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Digits as centered vectors of 14 x 14 means of blocks, and their labels as one-hot vectors."""
    block = images.shape[1] // SIDE
    vectors = images.reshape(-1, SIDE, block, SIDE, block).mean((2, 4)).reshape(len(images), -1)
    return jnp.asarray(vectors - vectors.mean(axis=0)), jax.nn.one_hot(labels, 10)


def one_hot_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    return training.cross_entropy(logits, jnp.argmax(targets, axis=-1))


@partial(jax.jit, static_argnames=("loss", "measurements", "every"))
def descend(
    loss: Any,
    params: Any,
    data: Any,
    key: jax.Array,
    rate: Any,
    target: Any,
    *,
    measurements: int,
    every: int,
) -> dict[str, jax.Array]:
    """Losses of all steps and, every so often, the sharpness; NaN once the target is reached."""
    batches = jax.tree.map(lambda leaf: leaf.reshape(BATCHES, -1, *leaf.shape[1:]), data)
    probe = dynamics.probe(loss, steps=LANCZOS)

    def step(params: Any, _: None) -> tuple[Any, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(params, data)
        return jax.tree.map(lambda p, g: p - rate * g, params, gradient), value

    def segment(carry: Any) -> Any:
        params, state, _ = carry
        state, found = probe.measure(state, params, batches)
        params, losses = jax.lax.scan(step, params, length=every)
        told = {"loss": losses, "sharpness": found.sharpness, "residual": found.residual}
        return (params, state, jnp.min(losses) <= target), told

    def measured(carry: Any, _: None) -> Any:
        _, shapes = jax.eval_shape(segment, carry)
        nothing = jax.tree.map(lambda one: jnp.full(one.shape, jnp.nan, one.dtype), shapes)
        return jax.lax.cond(carry[-1], lambda carry: (carry, nothing), segment, carry)

    start = (params, probe.init(params, key), jnp.array(False))
    found = jax.lax.scan(measured, start, length=measurements)[1]
    return found | {"loss": found["loss"].reshape(-1)}


def at_the_edge(losses: np.ndarray, sharpness: np.ndarray, threshold: float) -> dict[str, float]:
    """What happens at 2/η, the threshold: NaN where the sharpness does not arrive there."""
    arrived = np.flatnonzero(sharpness >= threshold)
    first = arrived[0] if len(arrived) else len(sharpness)
    later = sharpness[(first + len(sharpness)) // 2 :]
    windows = losses[: len(losses) // WINDOWS * WINDOWS].reshape(WINDOWS, -1)
    return {
        "arrival": first / len(sharpness) if len(arrived) else np.nan,
        "ratio": later.mean() / threshold if len(arrived) else np.nan,
        "rises": 100 * np.mean(np.diff(losses) > 0),
        "falls": 100 * np.mean(windows[:, -1] < windows[:, 0]),
        "mean falls": 100 * np.mean(np.diff(windows.mean(axis=1)) < 0),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    init, losses = network(config)

    def descent(loss: str, draw: int, rate: float, steps: int, target: float = -np.inf) -> dict[str, Any]:
        split = digits.draw(config.digits // BATCHES * BATCHES, lab.rng("digits", draw=draw))
        data, params = (
            prepared(split.train_images, split.train_labels),
            init(lab.key("network", draw=draw))[0],
        )
        options = {"measurements": max(1, steps // config.every), "every": config.every}
        found = descend(losses[loss], params, data, lab.key("start", draw=draw), rate, target, **options)
        return {name: np.asarray(one) for name, one in found.items()}

    def small_steps(draw: int) -> dict[str, Any]:
        found = descent(SQUARED, draw, config.small_step, config.most_steps, config.target)
        reached = np.nanmin(found["loss"]) <= config.target
        star = np.nanmax(found["sharpness"]) if reached else np.nan
        return found | {"start": found["sharpness"][0], "star": star}

    def large_steps(level: str, draw: int) -> dict[str, Any]:
        ends = LOW * float(gentle.start.sel(draw=draw)), HIGH * float(gentle.star.sel(draw=draw))
        threshold = float(np.geomspace(*ends, len(LEVELS))[LEVELS.index(level)])
        found = descent(SQUARED, draw, 2 / threshold, config.steps)
        return found | {"threshold": threshold} | at_the_edge(found["loss"], found["sharpness"], threshold)

    def cross_entropy(draw: int) -> dict[str, Any]:
        found = descent(ENTROPY, draw, config.small_step, config.steps)
        threshold = HIGH * float(found["sharpness"].max())
        large = descent(ENTROPY, draw, 2 / threshold, config.steps)
        stacked = {name: np.stack([found[name], large[name]]) for name in found}
        largest = stacked["sharpness"].max(axis=1)
        return stacked | {"threshold": threshold, "left": stacked["sharpness"][:, -1] / largest}

    draws, dims = {"draw": range(config.draws)}, {"loss": ("t",), "sharpness": ("k",), "residual": ("k",)}
    gentle = lab.sweep("small steps", small_steps, dims=dims, **draws)
    edge = lab.sweep("large steps", large_steps, dims=dims, level=LEVELS, **draws)
    dims = {name: ("steps", *axes) for name, axes in dims.items()} | {"left": ("steps",)}
    entropy = lab.sweep("cross-entropy", cross_entropy, dims=dims, **draws)
    entropy = entropy.assign_coords(steps=list(STEPS))
    notes(gentle, edge, entropy, lab)
    lab.figure(
        "edge_of_stability",
        plot(config, edge.isel(draw=0), "level"),
        "Squared loss and sharpness along gradient descent with three step sizes, in one draw. Dashed: 2/η.",
    )
    lab.figure(
        "cross_entropy",
        plot(config, entropy.isel(draw=0), "steps"),
        "The same with cross-entropy. Dashed: 2/η of the large steps.",
    )
    return claims(gentle, edge, entropy)


def claims(gentle: xr.Dataset, edge: xr.Dataset, entropy: xr.Dataset) -> list[Claim]:
    growth = gentle.star / gentle.start
    reached = Need("small steps that reach the target", bool(np.isfinite(growth).all()), "raise --most_steps")
    doubled = Need(
        "a sharpness that doubles at small steps",
        bool((growth >= 2).all()),
        "lower --target, so that it does",
    )
    return [
        Claim(
            "At small steps, squared loss makes the sharpness rise: its maximum over its value at the start.",
            above(1, source=f"{PAPER}: progressive sharpening", looked_up=True, unit="times"),
            mean(growth, over="draw"),
            needs=reached,
        ),
        Claim(
            "At larger steps the sharpness stays at 2/η or just above it: its mean over 2/η, over the second "
            "half of what follows its arrival.",
            between(0.98, 1.1, source=f"{PAPER}; the band is this project's", looked_up=True, unit="times"),
            mean(edge.ratio, over="draw"),
            needs=(reached, doubled),
        ),
        Claim(
            "The loss does not fall at every step there: the share of steps at which it rises.",
            at_least(10, source=f"{PAPER}; the tenth is this project's", looked_up=True, unit="%"),
            mean(edge.rises, over="draw"),
            needs=(reached, doubled),
        ),
        *(
            Claim(
                statement,
                at_least(
                    75, source=f"{PAPER}; the three quarters are this project's", looked_up=True, unit="%"
                ),
                mean(edge[name], over="draw"),
                needs=(reached, doubled),
            )
            for name, statement in FALLS.items()
        ),
        Claim(
            "With cross-entropy the sharpness comes down again, at small steps and at large ones: what is "
            "left of its maximum at the end.",
            at_most(0.5, source="Cohen et al. 2021, on cross-entropy; the half is this project's"),
            mean(entropy.left, over="draw"),
        ),
    ]


def notes(gentle: xr.Dataset, edge: xr.Dataset, entropy: xr.Dataset, lab: Lab) -> None:
    """Notes for the findings: sharpness and arrivals, and how exact the sharpness is."""
    steps = np.isfinite(gentle.loss).sum("t")
    lab.note(
        f"At small steps the sharpness goes from {gentle.start.mean():.2f} to {gentle.star.mean():.2f} in "
        f"{steps.mean():,.0f} steps (means over the draws)."
    )
    arrivals = [f"{100 * edge.arrival.sel(level=level).mean():.0f} % ({level})" for level in LEVELS]
    lab.note(f"It arrives at 2/η after these shares of the steps: {', '.join(arrivals)}.")
    worst = max(float((one.residual / one.sharpness).quantile(0.99)) for one in (gentle, edge, entropy))
    lab.note(f"The residual of the sharpness is below {worst:.1e} of it in 99 % of the measurements.")


def plot(config: Config, found: xr.Dataset, hue: str) -> Figure:
    figure, (panels,) = plots.canvas(2)
    at = config.every * np.arange(found.sizes["k"])
    loss = found.loss.isel(t=slice(None, None, config.every)).rename(t="step").assign_coords(step=at)
    sharpness = found.sharpness.rename(k="step").assign_coords(step=at)
    level = found.threshold.broadcast_like(sharpness)
    level = level if hue in found.threshold.dims else level.isel({hue: 0}, drop=True)
    plots.panel(loss, x="step", hue=hue, log="y", axes=panels[0])
    plots.panel(sharpness, x="step", hue=hue, beside={"2/η": level}, axes=panels[1])
    return figure
