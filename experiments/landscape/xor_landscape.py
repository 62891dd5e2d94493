"""Wider networks solve XOR from more starts; the smallest have flat minima or valleys that end at infinity.

Lecture: the landscape of the empirical risk, "What is the landscape of the empirical risk?".
Source: Hamey, XOR has no local minima: a case study in neural network error surface analysis, 1998, and his
report 95/167C, 1995; Sprinkhuizen-Kuyper and Boers, The error surface of the XOR network: the finite
stationary points, 1998, and The local minima of the error surface of the 2-2-1 XOR network, 1999.

One hidden layer, a linear output, half the mean squared error on four patterns; gradient descent in double
precision from Gaussian starts, with a step inversely proportional to the width. A start has failed if the
loss is still above 0.001. With ReLUs a minimum is certified: its gradient vanishes, no unit is on its kink at
a pattern, and each unit that is active at some pattern has an output weight other than zero. The outputs near
it are those of linear least squares in the products of input and output weights, where each minimum is
global, and moving the factors moves the products freely. With tanh, failing starts are driven on by Newton
steps that are repelled by saddles. The sources have a sigmoid at the output, too, and prove that no finite
stationary point of positive loss is a strict minimum. The full form takes about a minute on two cores.
"""

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    above,
    at_least,
    equal_to,
    experiment,
    mean,
    plots,
)
from jaxtheory.landscape import critical, surface

PATTERNS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = np.array([0.0, 1.0, 1.0, 0.0])
ACTIVATIONS = {"ReLU": jax.nn.relu, "tanh": jnp.tanh}
SMALLEST = 2
"""The number of hidden units of the smallest networks that solve XOR."""
SOLVED = 1e-3
"""The loss below which a start has succeeded."""
RISES = {"ReLU": 8, "tanh": 4}
"""The width up to which the share of starts that succeed is to rise from one width to the next."""
STEP = 0.4
"""The step of gradient descent times the width."""
RESIDUAL, LARGEST, LEAST = 1e-10, 50, 1e-8
"""A strict minimum: its gradient's norm is below the first, its weights' below the second, and its Hessian's
least eigenvalue above the third."""
MARGIN = 1e-6
"""The distance from zero of preactivations and output weights at a certified minimum."""
PICTURED, KEPT = 64, 100
"""The number of starts among which pictures are chosen, and of points of a trajectory that are kept."""
HAMEY = "Hamey 1995, abstract: no finite stationary point is a relative minimum"
BOERS = "Sprinkhuizen-Kuyper and Boers 1999, abstract: minima only where hidden units are saturated"


@dataclass(frozen=True)
class Config:
    widths: Annotated[tuple[int, ...], Range(SMALLEST)] = (2, 3, 4, 8, 16)
    """The numbers of hidden units."""
    starts: Annotated[int, Range(10)] = 200
    """The number of random starts in each draw."""
    draws: Annotated[int, Range(2)] = 10
    """The number of draws."""
    steps: Annotated[int, Range(1)] = 10_000
    """The number of steps of gradient descent."""
    newton: Annotated[int, Range(1)] = 2000
    """The largest number of Newton steps from a failing start."""
    grid: Annotated[int, Range(5)] = 61
    """The number of points along each side of a picture."""


QUICK = Config(widths=(2, 4, 16), starts=50, draws=4, steps=3000, newton=300, grid=25)


def outputs(params: Any, activation: str) -> jax.Array:
    """The outputs at the four patterns."""
    hidden = ACTIVATIONS[activation](PATTERNS @ params["input"]["kernel"] + params["input"]["bias"])
    return hidden @ params["output"]["kernel"] + params["output"]["bias"]


def relu_loss(params: Any, batch: Any) -> jax.Array:
    """Half the mean squared error with ReLUs."""
    return jnp.mean((outputs(params, "ReLU") - batch) ** 2) / 2


def tanh_loss(params: Any, batch: Any) -> jax.Array:
    """Half the mean squared error with tanh."""
    return jnp.mean((outputs(params, "tanh") - batch) ** 2) / 2


LOSSES = {"ReLU": relu_loss, "tanh": tanh_loss}


def starts(key: jax.Array, number: int, width: int) -> Any:
    """Random starts: standard normal, but for output weights of variance 1 / width."""
    drawn = np.asarray(jax.random.normal(key, (number, 4 * width + 1), jnp.float64))
    kernel, bias, output, last = np.split(drawn, [2 * width, 3 * width, 4 * width], axis=1)
    return {
        "input": {"kernel": kernel.reshape(number, 2, width), "bias": bias},
        "output": {"kernel": output / width**0.5, "bias": last[:, 0]},
    }


@partial(jax.jit, static_argnames=("activation", "steps", "kept"))
def descend(params: Any, activation: str, *, steps: int, kept: int = 1) -> Any:
    """Gradient descent from many starts: the points after each `kept`-th part of the steps."""
    gradient = jax.vmap(jax.grad(LOSSES[activation]), (0, None))
    rate = STEP / params["input"]["bias"].shape[-1]

    def step(_: Any, params: Any) -> Any:
        return jax.tree.map(lambda leaf, slope: leaf - rate * slope, params, gradient(params, TARGETS))

    def part(params: Any, _: None) -> Any:
        params = jax.lax.fori_loop(0, steps // kept, step, params)
        return params, params

    return jax.lax.scan(part, params, length=kept)[1]


@partial(jax.jit, static_argnames="activation")
def slopes(params: Any, activation: str) -> tuple[jax.Array, Any]:
    """The losses of many networks and their gradients."""
    return jax.vmap(jax.value_and_grad(LOSSES[activation]), (0, None))(params, TARGETS)


def losses(params: Any, activation: str) -> np.ndarray:
    """The losses of many networks."""
    return np.asarray(slopes(params, activation)[0])


def descended(config: Config, activation: str, width: int, key: jax.Array) -> Any:
    """The ends of gradient descent from the random starts of a key."""
    found = descend(starts(key, config.starts, width), activation, steps=config.steps)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], found)


def solved(config: Config, activation: str, width: int, key: jax.Array) -> float:
    """The share of starts that succeed, in percent."""
    with jax.enable_x64(True):
        return 100 * float(np.mean(losses(descended(config, activation, width, key), activation) < SOLVED))


def preactivations(params: Any) -> np.ndarray:
    """What hidden units receive, `(networks, patterns, units)`."""
    return PATTERNS @ np.asarray(params["input"]["kernel"]) + np.asarray(params["input"]["bias"])[:, None]


def certified(params: Any) -> np.ndarray:
    """Which ReLU networks are at a local minimum for certain, of a row of them."""
    gradient = slopes(params, "ReLU")[1]
    sizes = [np.abs(np.reshape(leaf, (len(leaf), -1))).max(1) for leaf in jax.tree.leaves(gradient)]
    received = preactivations(params)
    off_kinks, idle = (np.abs(received) > MARGIN).all((1, 2)), (received < 0).all(1)
    free = (idle | (np.abs(np.asarray(params["output"]["kernel"])) > MARGIN)).all(1)
    return (np.max(sizes, axis=0) < RESIDUAL) & off_kinks & free


@partial(jax.jit, static_argnames="steps")
def driven(params: Any, *, steps: int) -> critical.CriticalPoint:
    """Where Newton steps that are repelled by saddles take many networks with tanh."""
    search = partial(critical.saddle_free_newton, tanh_loss, max_steps=steps, tolerance=RESIDUAL / 100)
    return jax.vmap(search, (0, None))(params, TARGETS)


def taken(params: Any, chosen: Any) -> Any:
    """Some of a row of networks."""
    return jax.tree.map(lambda leaf: leaf[chosen], params)


def failures(config: Config, key: jax.Array) -> dict[str, Any]:
    """What becomes of the failing starts of the smallest networks."""
    found: dict[str, Any] = {}
    with jax.enable_x64(True):
        for name in ACTIVATIONS:
            ends = descended(config, name, SMALLEST, key)
            failing = losses(ends, name) >= SOLVED
            found[f"{name}/failing"] = int(failing.sum())
            if name == "ReLU":
                sure = certified(ends) & failing
                newton = jax.vmap(partial(critical.classify, relu_loss), (0, None))(ends, TARGETS)
                found[f"{name}/certified"] = int(sure.sum())
                found[f"{name}/strict"] = int((sure & (np.asarray(newton.nullity) == 0)).sum())
                continue
            # All starts at once, and so one program; those that succeeded are done at once.
            newton = driven(ends, steps=config.newton)
            left = failing & (np.asarray(newton.loss) >= SOLVED)
            still = left & (np.asarray(newton.residual) < RESIDUAL)
            sizes = [np.square(leaf).reshape(len(leaf), -1).sum(1) for leaf in jax.tree.leaves(newton.params)]
            strict = still & (np.sum(sizes, 0) < LARGEST**2) & (np.asarray(newton.eigenvalues)[:, 0] > LEAST)
            for part, chosen in (("left", left), ("still", still), ("strict", strict)):
                found[f"{name}/{part}"] = int(chosen.sum())
    return found


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    shares = lab.sweep(
        "share of starts that succeed", partial(solved, config), activation=tuple(ACTIVATIONS),
        width=sorted(set(config.widths)), draw=range(config.draws), unit="%",
    )  # fmt: skip
    ends = lab.sweep("failing starts", partial(failures, config), draw=range(config.draws)).sum("draw")
    figures(config, shares, lab)
    return claims(config, shares, ends, lab)


def claims(config: Config, shares: xr.DataArray, ends: xr.Dataset, lab: Lab) -> list[Claim]:
    rises, last = [], shares.isel(width=-1)
    for name, most in RISES.items():
        one = shares.sel(activation=name, width=slice(None, most))
        for before, after in itertools.pairwise(one.width.values.tolist()):
            step = one.sel(width=after, drop=True) - one.sel(width=before, drop=True)
            rises += mean(step.assign_coords(units=f"{before} to {after}"), over="draw", paired=True)
    number = config.draws * config.starts
    stuck, minima = int(ends["ReLU/failing"]), int(ends["ReLU/certified"])
    parts = ("failing", "left", "still", "strict")
    failing, left, still, strict = (int(ends[f"tanh/{part}"]) for part in parts)
    lab.note(
        f"2-2-1: {stuck:,} of {number:,} starts fail with ReLUs, {minima:,} of them at certified minima, and "
        f"{failing:,} with tanh. Of these, Newton steps leave {left:,} above a loss of {SOLVED:g}, {still:,} "
        f"with a gradient below {RESIDUAL:g} and units that are saturated to rounding."
    )
    return [
        Claim(
            "The share of starts that solve XOR rises with the number of hidden units, with ReLUs up to 8 "
            "and with tanh up to 4.",
            above(0, unit="points", source="this project's bar"),
            rises or None,
            needs=Need("two widths up to 4", bool(rises), "give --widths"),
        ),
        Claim(
            f"With {int(last.width)} hidden units nearly every start succeeds.",
            at_least(97, unit="%", source="this project's bar"),
            mean(last.drop_vars("width"), over="draw"),
            needs=Need("16 hidden units", int(last.width) >= 16, "give --widths with 16 or more"),
        ),
        Claim(
            "2-2-1 with ReLUs has local minima of positive loss: how many starts end at certified ones.",
            at_least(1, source="this project's certificate"),
            Measured(minima, n=number, of="starts"),
        ),
        Claim(
            "They are flat: how many of them have a Hessian without an eigenvalue of zero.",
            equal_to(0, tolerance=0, source="rescaling a unit leaves the function as it is"),
            Measured(int(ends["ReLU/strict"]), n=max(minima, 2), of="minima"),
            needs=Need("certified minima", minima > 1, "raise --starts"),
        ),
        Claim(
            "2-2-1 with tanh has no strict minimum of positive loss: how many failing starts end at one.",
            equal_to(0, tolerance=0, source=f"{HAMEY}; {BOERS}", looked_up=True),
            Measured(strict, n=max(failing, 2), of="failing starts"),
            needs=Need("failing starts", failing > 1, "raise --starts"),
        ),
    ]


def figures(config: Config, shares: xr.DataArray, lab: Lab) -> None:
    """The pictures."""
    shares.width.attrs["long_name"] = "hidden units"
    shares.attrs["long_name"] = "starts that succeed"
    lab.figure(
        "success_by_width",
        plots.panel(shares, x="width", hue="activation", over="draw", log="x"),
        "The share of starts from which gradient descent solves XOR.",
    )
    with jax.enable_x64(True):
        points = starts(lab.key("pictures"), PICTURED, SMALLEST)
        paths = {name: descend(points, name, steps=config.steps, kept=KEPT) for name in ACTIVATIONS}
        paths = jax.tree.map(np.asarray, paths)
        ends = {name: taken(path, -1) for name, path in paths.items()}
        solutions = [around(config, name, ends[name], lab.key("directions")) for name in ACTIVATIONS]
        names = xr.Variable("network", [f"2-2-1, {name}" for name in ACTIVATIONS])
        lab.figure(
            "solutions",
            plots.surface(
                xr.concat(solutions, names), x="x", y="y", col="network", style="relief", span=(0, 0.5),
                xlabel="first direction", ylabel="second direction",
            ),
            "The loss around a solution, along two random directions scaled to the weights of each unit.",
        )  # fmt: skip
        minima = certified(ends["ReLU"]) & (losses(ends["ReLU"], "ReLU") >= SOLVED)
        # A unit that is active at some pattern has a valley; one that is idle at all has a plain.
        valleys = minima[:, None] & (preactivations(ends["ReLU"]) > 0).any(1)
        if valleys.any():
            start, unit = np.argwhere(valleys)[0].tolist()
            lab.figure(
                "flat_minimum",
                valley(config, taken(ends["ReLU"], start), unit),
                "A certified minimum of positive loss with ReLUs, in the plane of one unit's weights: its "
                "input weights times a factor and its output weight over it are the same function.",
            )
        figure, grid = plots.canvas(2, size=(4.6, 3.9))
        found = losses(ends["tanh"], "tanh")
        for ax, start in zip(grid.flat, (np.argmin(found), np.argmax(found))):
            descent(config, taken(jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), paths["tanh"]), start), ax)
    lab.figure(
        "trajectories",
        figure,
        "Gradient descent of 2-2-1 with tanh from a start that succeeds and one that fails, in the plane of "
        "their principal directions.",
    )


def around(config: Config, activation: str, ends: Any, key: jax.Array) -> xr.DataArray:
    """The loss around the best of a row of networks."""
    best = taken(ends, np.argmin(losses(ends, activation)))
    offsets = np.linspace(-1.5, 1.5, config.grid)
    directions = surface.random_directions(key, best, biases=True)
    values = surface.plane_values(LOSSES[activation], best, directions, offsets, offsets, TARGETS, chunk=64)
    return xr.DataArray(np.asarray(values), {"x": offsets, "y": offsets}, ("x", "y"), name="loss")


def valley(config: Config, minimum: Any, unit: int) -> Figure:
    """The loss over factors of a unit's input weights and of its output weight."""
    zero = jax.tree.map(np.zeros_like, minimum)
    both = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), zero)
    for name, leaf in minimum["input"].items():
        both["input"][name][0][..., unit] = leaf[..., unit]
    both["output"]["kernel"][1][unit] = minimum["output"]["kernel"][unit]
    factors = np.linspace(0.2, 4, config.grid)
    values = surface.plane_values(relu_loss, minimum, both, factors - 1, factors - 1, TARGETS, chunk=64)
    values = xr.DataArray(np.asarray(values), {"x": factors, "y": factors}, ("x", "y"), name="loss")
    orbit = np.stack([np.linspace(0.25, 4, 100), 1 / np.linspace(0.25, 4, 100)], 1)
    low = float(relu_loss(minimum, TARGETS))
    return plots.surface(
        values, x="x", y="y", span=(low * (1 - 1e-9), 3 * low), paths={"the same function": orbit},
        xlabel="factor of the input weights", ylabel="factor of the output weight",
    )  # fmt: skip


def descent(config: Config, path: Any, ax: Axes) -> None:
    """A trajectory of descent over the plane of its principal directions."""
    plane = surface.trajectory_plane(path)
    places = np.asarray(plane.coordinates)
    room = 0.2 * np.ptp(places, axis=0).max()
    first, second = (np.linspace(side.min() - room, side.max() + room, config.grid) for side in places.T)
    values = surface.plane_values(tanh_loss, plane.origin, plane.directions, first, second, TARGETS, chunk=64)
    values = xr.DataArray(np.asarray(values), {"x": first, "y": second}, ("x", "y"), name="loss")
    plots.surface(
        values, x="x", y="y", log=True, span=(max(1e-4, float(values.min())), float(values.max())),
        paths={"descent": places, "end": places[-1:]}, axes=ax,
        xlabel=f"first direction ({100 * float(plane.explained[0]):.0f} % of the variance)",
        ylabel=f"second direction ({100 * float(plane.explained[1]):.0f} %)",
    )  # fmt: skip
