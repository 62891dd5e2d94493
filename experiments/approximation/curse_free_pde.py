"""Networks of moderate size learn solutions of partial differential equations in a hundred dimensions.

Lecture: approximation, "the curse of dimensionality".
Source: Grohs, Hornung, Jentzen and von Wurstemberger, A proof that artificial neural networks overcome the
curse of dimensionality in the numerical approximation of Black-Scholes partial differential equations,
Memoirs of the AMS 284, 2023 (that such networks exist); Beck, Becker, Grohs, Jaafari and Jentzen, Solving the
Kolmogorov PDE by means of deep learning, Journal of Scientific Computing 88, 2021 (how they are learned).

By the formula of Feynman and Kac, the solution at x is the mean of the initial values at the ends of random
paths from x, and so the function of x that is closest in the mean square to these values. A network with two
hidden layers is trained on fresh starts in a region and averages over antithetic pairs of paths, for a fixed
number of steps; it never sees the solution, which closed forms give. Errors are root mean squares over the
standard deviation of the solution in the region: the best constant errs by 100 %. Two of the solutions depend
on few directions, the third on all coordinates alike. The full form takes about ten minutes on two cores, of
which the largest dimension takes three.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import log
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import norm

from jaxtheory import networks
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_most, below, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

WAVE, BASKET, SQUARE = ("heat, cosine", "geometric basket call", "heat, |x|²")
BARRED = (WAVE, BASKET)
"""The problems for which the bar is claimed in every dimension."""
BAR = 10
"""The largest error that is allowed, in percent of the solution's standard deviation."""
FAR = 25
"""The largest dimension in which the bar is claimed for |x|²."""
WAVE_TIME, SQUARE_TIME = 0.25, 0.1
"""The times at which the solutions of the heat equation are sought."""
RATE, VOLATILITY, CORRELATION, STRIKE, MATURITY = 0.05, 0.2, 0.5, 100.0, 0.5
"""The interest, the volatility and correlation of assets, the strike and the maturity in years."""
OURS = "this project's bar"
PROVED = "Grohs et al. 2023 prove that networks of polynomial size suffice; the bar is this project's"


class Problem(NamedTuple):
    """A region, and what becomes of its points."""

    starts: Callable[[Any], Any]
    """Points (..., dimension) in the region, by uniform numbers (..., dimension + 1)."""
    middle: float
    """The middle of the region along each axis."""
    spread: float
    """About the standard deviation of a coordinate in the region."""
    values: Callable[..., jax.Array]
    """The values at the ends of paths, by starts, normal numbers (..., dimension) and a direction."""
    solution: Callable[..., np.ndarray]
    """The exact solution in double precision, by starts (..., dimension) and a direction."""


def prices(uniform: Any) -> Any:
    """Prices of assets: a common one from 80 to 120, and each within 2 % of it."""
    return (80 + 40 * uniform[..., :1]) * (0.98 + 0.04 * uniform[..., 1:])


def wave(x: jax.Array, z: jax.Array, direction: jax.Array) -> jax.Array:
    """The cosine along a direction at the end of a path of the heat equation."""
    return jnp.cos(jnp.matmul(x + (2 * WAVE_TIME) ** 0.5 * z, direction, precision="highest"))


def square(x: jax.Array, z: jax.Array, direction: jax.Array) -> jax.Array:
    """The squared length of the end of a path of the heat equation."""
    del direction
    return jnp.sum((x + (2 * SQUARE_TIME) ** 0.5 * z) ** 2, -1)


def correlated(z: jax.Array) -> jax.Array:
    """Normal numbers of unit variance whose correlations are all equal, of independent ones."""
    own, all_alike = (1 - CORRELATION) ** 0.5, (1 + CORRELATION * (z.shape[-1] - 1)) ** 0.5
    return own * z + (all_alike - own) * z.mean(-1, keepdims=True)


def call(x: jax.Array, z: jax.Array, direction: jax.Array) -> jax.Array:
    """The discounted payoff of a call on the geometric mean of the assets."""
    del direction
    growth = (RATE - VOLATILITY**2 / 2) * MATURITY + VOLATILITY * MATURITY**0.5 * correlated(z)
    basket = jnp.exp(jnp.mean(jnp.log(x) + growth, -1))
    return jnp.exp(-RATE * MATURITY) * jnp.maximum(basket - STRIKE, 0)


def wave_solution(x: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The cosine, which decays with the squared length of its frequency."""
    return np.exp(-WAVE_TIME * np.sum(direction**2)) * np.cos(x @ direction)


def square_solution(x: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The squared length, which grows alike everywhere."""
    del direction
    return np.sum(x**2, -1) + 2 * x.shape[-1] * SQUARE_TIME


def call_solution(x: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The formula of Black and Scholes for the geometric mean, whose logarithm is normal."""
    del direction
    dimension = x.shape[-1]
    middle = np.log(x).mean(-1) + (RATE - VOLATILITY**2 / 2) * MATURITY
    deviation = VOLATILITY * np.sqrt(MATURITY * (1 + CORRELATION * (dimension - 1)) / dimension)
    reached = (middle - np.log(STRIKE)) / deviation
    worth = np.exp(middle + deviation**2 / 2) * norm.cdf(reached + deviation) - STRIKE * norm.cdf(reached)
    return np.exp(-RATE * MATURITY) * worth


PROBLEMS = {
    WAVE: Problem(lambda uniform: 6 * uniform[..., 1:] - 3, 0.0, 3**0.5, wave, wave_solution),
    BASKET: Problem(prices, 100.0, 11.6, call, call_solution),
    SQUARE: Problem(lambda uniform: 2 * uniform[..., 1:] - 1, 0.0, 3**-0.5, square, square_solution),
}


@dataclass(frozen=True)
class Config:
    dimensions: Annotated[tuple[int, ...], Range(1)] = (1, 5, 10, 25, 50, 100)
    """The dimensions of space."""
    width: Annotated[int, Range(1)] = 50
    """The number of neurons that each of the two hidden layers has beyond the dimension."""
    steps: Annotated[int, Range(1)] = 10_000
    """The number of training steps, the same in every dimension."""
    batch: Annotated[int, Range(1)] = 256
    """The number of fresh starts in each training step."""
    pairs: Annotated[int, Range(1)] = 8
    """The number of antithetic pairs of paths from each start."""
    rate: Annotated[float, Range(0, open=True)] = 0.3
    """Adam's rate at the start, from which it falls to zero, times the width of the hidden layers."""
    tested: Annotated[int, Range(200)] = 10_000
    """The number of points at which errors are taken; it is ten for each dimension if that is more."""
    draws: Annotated[int, Range(2)] = 4
    """The number of networks for each problem and dimension, each with its own direction, start and paths."""


QUICK = Config(dimensions=(1, 5), steps=2000, batch=64, tested=2000, draws=3)


def averaged(problem: str, key: Any, direction: Any, number: int, pairs: int) -> tuple[jax.Array, jax.Array]:
    """Starts, and the means of the values at the ends of antithetic pairs of paths from each."""
    of_starts, of_paths = jax.random.split(key)
    starts, _, _, values, _ = PROBLEMS[problem]
    x = starts(jax.random.uniform(of_starts, (number, len(direction) + 1)))
    z = jax.random.normal(of_paths, (pairs, *x.shape))
    return x, jnp.mean(values(x, z, direction) + values(x, -z, direction), 0) / 2


def network_of(width: int, dimension: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A network with two hidden layers that are wider than the input by a number: `init` and `apply`."""
    hidden = dimension + width
    return networks.functional(partial(MLP, (dimension, hidden, hidden, 1), activation="gelu"))


@partial(jax.jit, static_argnames=("problem", "apply", "config"))
def learned(
    params: Any, key: Any, direction: Any, queries: Any, *, problem: str, apply: Any, config: Config
) -> jax.Array:
    """What a network, trained on paths from these parameters on, predicts at queries (number, dimension)."""
    _, middle, spread, values, _ = PROBLEMS[problem]
    predict = training.predictor(apply)
    # One path from each query tells the mean and the spread to which outputs are scaled.
    noise, run = jax.random.split(key)
    outcomes = values(queries, jax.random.normal(noise, queries.shape), direction)
    center, scale = outcomes.mean(), outcomes.std()

    def scaled(params: Any, x: jax.Array) -> jax.Array:
        return predict(params, (x - middle) / spread)[..., 0]

    def objective(params: Any, state: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        del batch
        x, y = averaged(problem, key, direction, config.batch, config.pairs)
        return jnp.mean((scaled(params, x) - (y - center) / scale) ** 2), (state, {})

    rate = config.rate / (len(direction) + config.width)
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, config.steps))
    step = partial(training.step, objective=objective, optimizer=optimizer)
    state = training.init(params, run, optimizer=optimizer)
    state, _ = jax.lax.scan(lambda state, _: (step(state, ())[0], None), state, length=config.steps)
    return center + scale * scaled(state.params, queries)


def linear_fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The best affine function of points (number, dimension), fitted to the solution itself."""
    design = np.column_stack([np.ones(len(x)), x - x.mean(0)])
    return design @ np.linalg.lstsq(design, y, rcond=None)[0]


def compare(config: Config, made: dict[int, Any], problem: str, dimension: int, rng: Any) -> dict[str, float]:
    """Errors of a network and of the best linear fit in percent, over the spread or size of the solution."""
    direction = rng.standard_normal(dimension)
    direction /= np.linalg.norm(direction)
    x = PROBLEMS[problem].starts(rng.random((max(config.tested, 10 * dimension), dimension + 1)))
    exact = PROBLEMS[problem].solution(x, direction)
    start, run = jax.random.split(jax.random.key(int(rng.integers(2**31))))
    init, apply = made[dimension]
    options = {"problem": problem, "apply": apply, "config": config}
    predicted = learned(init(start)[0], run, np.float32(direction), np.float32(x), **options)
    error = 100 * np.sqrt(np.mean((np.asarray(predicted, float) - exact) ** 2))
    return {
        "network": error / exact.std(),
        "best linear fit": 100 * np.sqrt(np.mean((linear_fit(x, exact) - exact) ** 2)) / exact.std(),
        "of its size": error / np.sqrt(np.mean(exact**2)),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    made = {dimension: network_of(config.width, dimension) for dimension in config.dimensions}
    found = lab.sweep(
        "errors", partial(compare, config, made), problem=tuple(PROBLEMS), dimension=config.dimensions,
        draw=range(config.draws), unit="%",
    )  # fmt: skip
    shapes = {d: jax.eval_shape(made[d].init, jax.random.key(0))[0] for d in config.dimensions}
    sizes = xr.DataArray(
        [sum(leaf.size for leaf in jax.tree.leaves(shapes[d])) for d in config.dimensions],
        {"dimension": list(config.dimensions)},
        name="parameters",
    )
    notes(lab, found, sizes)
    caption = "Errors over the standard deviation of the solution by dimension, and the size of the networks."
    lab.figure("errors", drawn(found, sizes), caption)
    return claims(config, found)


def notes(lab: Lab, found: xr.Dataset, sizes: xr.DataArray) -> None:
    """Notes for the findings, on what the claims do not say."""
    numbers = {int(d): int(one) for d, one in zip(sizes.dimension, sizes)}
    powers = [log(numbers[b] / numbers[a]) / log(b / a) for a, b in pairwise(sorted(numbers))]
    growth = f"; between two of them they grow by at most the power {max(powers):.2f} of d" if powers else ""
    lab.note(
        f"Parameters of the networks: {', '.join(f'{n:,} (d = {d})' for d, n in numbers.items())}{growth}."
    )
    square = found.sel(problem=SQUARE, drop=True)
    listed = ", ".join(one.text for one in mean(square["network"], over="draw"))
    lab.note(f"Errors for |x|², in percent of the standard deviation of the solution: {listed}.")
    size = square["of its size"].mean("draw")
    listed = ", ".join(f"{float(one):.2g} (d = {int(one.dimension)})" for one in size)
    lab.note(f"In percent of its root mean square, from which it strays little in many dimensions: {listed}.")


def drawn(found: xr.Dataset, sizes: xr.DataArray) -> Figure:
    """The errors of each problem by dimension, and the sizes of the networks."""
    figure, (panels,) = plots.canvas(len(PROBLEMS) + 1)
    errors = found[["network", "best linear fit"]].to_dataarray("method").rename("error over deviation")
    plots.panel(
        errors, x="dimension", hue="method", col="problem", over="draw", log="xy", ylim=(0.2, 150),
        levels={"best constant": 100, "bar": BAR}, axes=panels[:-1],
    )  # fmt: skip
    squares = sizes[-1].item() * (sizes.dimension / sizes.dimension[-1].item()) ** 2
    plots.panel(sizes, x="dimension", log="xy", beside={"d²": squares}, axes=panels[-1])
    return figure


def claims(config: Config, found: xr.Dataset) -> list[Claim]:
    barred = found.sel(problem=list(BARRED))
    linear = mean(barred["best linear fit"], over="draw")
    near = [d for d in config.dimensions if d <= FAR]
    counts = Need(
        f"solutions that the best linear fit misses by more than {BAR} %",
        all(one.value > BAR for one in linear),
        "take regions on which the solutions bend",
    )
    square = found["network"].sel(problem=SQUARE, dimension=near)
    return [
        Claim(
            "The cosine and the call are not linear on their regions: errors of the best linear fit.",
            above(BAR, unit="%", source=f"{OURS}, without which the next claims say nothing"),
            linear,
        ),
        Claim(
            "Networks of polynomial size, trained on paths for a fixed number of steps, come within a tenth "
            "of the standard deviation of the cosine and the call in every dimension.",
            at_most(BAR, unit="%", source=PROVED),
            mean(barred["network"], over="draw"),
            needs=counts,
        ),
        Claim(
            "They err less than the best linear fit.",
            below(0, unit="points", source=OURS),
            mean(barred["network"] - barred["best linear fit"], over="draw", paired=True),
            needs=counts,
        ),
        Claim(
            f"For |x|² they come within a tenth of the standard deviation up to dimension {FAR}.",
            at_most(BAR, unit="%", source=PROVED),
            mean(square, over="draw") if near else None,
            needs=Need(f"dimensions up to {FAR}", bool(near), "add 10 to --dimensions"),
        ),
    ]
