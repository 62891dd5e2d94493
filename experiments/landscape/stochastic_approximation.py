"""Noisy gradients find a minimum at the rate 1/t, noisy values at t^(-2/3); back-propagation is exact.

Lecture: the landscape of the empirical risk, "How to find a good minimum efficiently?".
Source: Robbins and Monro, A stochastic approximation method, Ann. Math. Stat. 22(3), 1951; Kiefer and
Wolfowitz, Stochastic estimation of the maximum of a regression function, 23(3), 1952; Chung, On a stochastic
approximation method, 25(3), 1954; Fabian, Stochastic approximation of minima with improved asymptotic speed,
38(1), 1967.

The function to minimize is strongly convex and not quadratic: f(x) = Σ λ_j φ(y_j) with y = Qᵀ(x - x*) for a
rotation Q. There φ is the sum of y²/4 and a softplus, scaled and shifted so that φ'(0) = 0 and φ''(0) = 1, so
that the eigenvalues of the Hessian at x* are the λ_j. They are far apart, the smallest is μ = 1, and runs
start along its direction. Slopes are those of log E|x_t - x*|² against log t over the last decade, by least
squares; each draw is a group of independent runs. The gradients of a tanh network with squared loss are
computed in double precision. The full form takes about five minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure

from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Measured, Range, at_most, equal_to, experiment, mean, plots
from jaxtheory.landscape import stochastic_approximation as approximation

MINIMIZER = (1.0, -2.0)
EIGENVALUES = (1.0, 10.0)
ANGLE = 0.5
"""The angle, in radians, by which the axes of the function are turned."""
START = 0.5
"""The distance of the start from the minimizer, along the slow direction."""
NOISE = 0.1
"""The standard deviation of the noise of a gradient's entries, and of a value."""
WIDTH = 0.5
"""The width of the first differences of Kiefer and Wolfowitz."""
SCHEMES = {
    "Robbins-Monro, 2μa = 2": (2.0, -1.0),
    "Robbins-Monro, 2μa = 0.5": (0.5, -0.5),
    "Robbins-Monro, 2μa = 0.25": (0.25, -0.25),
    "Kiefer-Wolfowitz, 2μa = 2": (2.0, -2 / 3),
}
"""The schemes by name: 2 μ a, and the exponent of t that theory gives for the mean squared error."""
FAST, *SLOW, VALUES = SCHEMES
TIMES = 13
"""The number of times at which the error is taken in each decade, both ends included."""
TOLERANCE = 0.05
"""The difference from the theory's exponent that a slope may have."""
WIDTHS = (49, 16, 10)
"""The widths of the network whose gradients are compared."""
BARS = {"forward mode": 1e-12, "complex step": 1e-12, "central differences": 1e-8}
"""The largest difference from back-propagation, relative to the gradient's norm, by method."""


@dataclass(frozen=True)
class Config:
    decades: Annotated[int, Range(2, 7)] = 5
    """The runs take 10 to this power steps."""
    paths: Annotated[int, Range(2)] = 500
    """Number of independent runs in a draw, over which the squared error is averaged."""
    draws: Annotated[int, Range(2)] = 10
    """Number of draws, over which standard errors of slopes are taken; each has a network and digits, too."""
    minibatches: Annotated[int, Range(2)] = 15
    """Number of minibatches that partition the digits on which gradients are compared."""
    batch: Annotated[int, Range(1)] = 16
    """Number of digits in each of the minibatches."""


QUICK = Config(decades=4, paths=300, draws=5, minibatches=4)


def rotation() -> jax.Array:
    """The axes of the function as columns, the slow one first."""
    return jnp.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])


def profile(y: jax.Array) -> jax.Array:
    """φ: its second derivative is from 0.5 to 1.14, and one at 0, where its third is not zero."""
    share = jax.nn.sigmoid(1.0)
    softplus = jax.nn.softplus(y + 1) - share * y
    return y**2 / 4 + softplus / (2 * share * (1 - share))


def function(x: jax.Array) -> jax.Array:
    """f, the function to minimize."""
    y = jnp.matmul(x - jnp.array(MINIMIZER), rotation(), precision="highest")
    return jnp.sum(jnp.array(EIGENVALUES) * profile(y))


def noisy_gradient(x: jax.Array, key: jax.Array) -> jax.Array:
    return jax.grad(function)(x) + NOISE * jax.random.normal(key, x.shape, x.dtype)


def noisy_value(x: jax.Array, key: jax.Array) -> jax.Array:
    return function(x) + NOISE * jax.random.normal(key, (), x.dtype)


def named(name: str) -> approximation.Scheme:
    """The scheme of a name, with the gain that the name says."""
    gain = SCHEMES[name][0] / (2 * min(EIGENVALUES))
    if name == VALUES:
        return approximation.kiefer_wolfowitz(noisy_value, gain=gain, width=WIDTH)
    return approximation.robbins_monro(noisy_gradient, gain=gain)


def times(decades: int) -> np.ndarray:
    """The times at which errors are taken: evenly in the logarithm, and whole."""
    return np.unique(np.geomspace(1, 10**decades, (TIMES - 1) * decades + 1).round().astype(int))


def errors(scheme: str, key: jax.Array, *, decades: int, paths: int) -> np.ndarray:
    """The mean squared distance from the minimizer, over independent runs, at all times."""
    start = jnp.array(MINIMIZER) + START * rotation()[:, 0]
    follow = partial(approximation.iterates, named(scheme), start, times=times(decades).tolist())
    iterates = jax.vmap(follow)(jax.random.split(key, paths))
    return np.asarray(jnp.sum((iterates - jnp.array(MINIMIZER)) ** 2, axis=-1).mean(axis=0))


def slopes(found: xr.DataArray) -> xr.DataArray:
    """The slopes of the errors over the last decade, in logarithms."""
    last = np.log(found.sel(t=slice(found.t[-1] / 10, None)))
    fit = last.assign_coords(t=np.log(last.t)).polyfit("t", 1)["polyfit_coefficients"]
    return fit.sel(degree=1, drop=True)


def risk(params: Any, batch: Any) -> jax.Array:
    """The mean squared error of a tanh network, analytic in its parameters."""
    x, targets = batch
    for weight, bias in params[:-1]:
        x = jnp.tanh(x @ weight + bias)
    weight, bias = params[-1]
    return jnp.sum((x @ weight + bias - targets) ** 2) / (2 * len(targets))


@jax.jit
def gradients(params: Any, data: Any) -> dict[str, jax.Array]:
    """The gradient of the risk by each method, as a vector."""

    def on_all(params: Any) -> jax.Array:
        return risk(params, data)

    found = {
        "back-propagation": jax.grad(on_all)(params),
        "forward mode": approximation.forward_gradient(on_all, params),
        "complex step": approximation.complex_step_gradient(on_all, params),
        "central differences": approximation.central_gradient(on_all, params),
    }
    return {name: ravel_pytree(one)[0] for name, one in found.items()}


@jax.jit
def of_minibatches(params: Any, data: Any, order: jax.Array) -> jax.Array:
    """The mean of the gradients of minibatches, whose examples are the rows of the order."""

    def one(rows: jax.Array) -> jax.Array:
        return ravel_pytree(jax.grad(risk)(params, jax.tree.map(lambda leaf: leaf[rows], data)))[0]

    return jax.lax.map(one, order).mean(axis=0)


def compare(images: np.ndarray, labels: np.ndarray, batch: int, rng: np.random.Generator) -> dict[str, float]:
    """Differences of gradients from back-propagation's on all digits, relative to its norm."""
    pixels = images.reshape(len(images), 7, 4, 7, 4).mean((2, 4)).reshape(len(images), -1)
    with jax.enable_x64(True):
        data = jnp.asarray(pixels, float), jax.nn.one_hot(labels, 10, dtype=float)
        params = [
            (jnp.asarray(rng.normal(0, m**-0.5, (m, n))), jnp.asarray(rng.normal(0, 0.1, n)))
            for m, n in pairwise(WIDTHS)
        ]
        found = gradients(params, data)
        whole = found.pop("back-propagation")
        order = rng.permutation(len(images)).reshape(-1, batch)
        found["minibatches"] = of_minibatches(params, data, order)
        size = jnp.linalg.norm(whole)
        return {name: float(jnp.linalg.norm(one - whole) / size) for name, one in found.items()}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    at = partial(errors, decades=config.decades, paths=config.paths)
    axes = {"scheme": tuple(SCHEMES), "draw": range(config.draws)}
    found = lab.sweep("squared errors", at, dims=("t",), **axes)
    found = found.assign_coords(t=times(config.decades))
    slope = slopes(found)

    def of_gradients(rng: np.random.Generator) -> dict[str, float]:
        split = digits.draw(config.minibatches * config.batch, rng)
        return compare(split.train_images, split.train_labels, config.batch, rng)

    apart = lab.sweep("gradients", of_gradients, draw=range(config.draws))
    lab.figure(
        "error_by_step",
        plot(found),
        "Mean squared distance from the minimizer by the number of steps. Dashed: the power of t that theory "
        "gives, through the last point.",
    )
    return claims(config, slope, apart)


def claims(config: Config, slope: xr.DataArray, apart: xr.Dataset) -> list[Claim]:
    def as_theory(statement: str, name: str, source: str, looked_up: bool = False) -> Claim:
        expected = equal_to(SCHEMES[name][1], tolerance=TOLERANCE, source=source, looked_up=looked_up)
        return Claim(statement, expected, mean(slope.sel(scheme=name, drop=True), over="draw"))

    def largest(name: str) -> Measured:
        return Measured(float(apart[name].max()), n=config.draws, of="networks")

    return [
        as_theory(
            "With noisy gradients and steps a/t, 2μa = 2, the squared error falls like 1/t: the exponent.",
            FAST,
            "Chung 1954: x_t - x* is of order t^(-1/2) where 2μa > 1",
        ),
        *(
            as_theory(
                f"With a gain as small as 2μa = {SCHEMES[name][0]:g}, it falls like t^(-2μa): the exponent.",
                name,
                "Chung 1954: the case of 2μa < 1",
            )
            for name in SLOW
        ),
        as_theory(
            "With noisy values and two-sided differences of the width t^(-1/6), it falls like t^(-2/3): the "
            "exponent.",
            VALUES,
            "Fabian 1967, as stated by Dippon and Renz, SIAM J. Control Optim. 35(5), 1997, introduction",
            looked_up=True,
        ),
        *(
            Claim(
                f"Back-propagation gives what {name} {verb}: the largest difference, relative to its norm.",
                at_most(bar, source="the chain rule, which is exact; the bar is this project's"),
                largest(name),
            )
            for (name, bar), verb in zip(BARS.items(), ("gives", "gives", "give"))
        ),
        Claim(
            "Gradients of the minibatches that partition the data average to the full gradient: the largest "
            "difference, relative to it.",
            at_most(1e-12, source="linearity of the mean; the bar is this project's"),
            largest("minibatches"),
        ),
    ]


def plot(found: xr.DataArray) -> Figure:
    power = xr.DataArray([SCHEMES[name][1] for name in SCHEMES], {"scheme": list(SCHEMES)}, ("scheme",))
    last = found.sel(t=slice(found.t[-1] / 10, None))
    theory = last.mean("draw").isel(t=-1, drop=True) * (last.t / last.t[-1]) ** power
    labels = {"xlabel": "steps", "ylabel": "mean squared error"}
    return plots.panel(
        found, x="t", hue="scheme", over="draw", spread="band", log="xy", beside={"theory": theory}, **labels
    )
