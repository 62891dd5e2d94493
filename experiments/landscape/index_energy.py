"""The index of a critical point rises with its loss: the higher, the more directions lead down.

Lecture: the landscape of the empirical risk, "Saddle points, not local minima".
Source: Dauphin, Pascanu, Gulcehre, Cho, Ganguli and Bengio, Identifying and attacking the saddle point
problem in high-dimensional non-convex optimization, NeurIPS 2014; Pennington and Bahri, Geometry of neural
network loss surfaces via random matrix theory, ICML 2017; Frye, Simon, Wadia, Ligeralde, DeWeese and
Bouchard, Critical point-finding methods reveal gradient-flat regions of deep network losses, Neural
Computation 33(6), 2021.

Small tanh networks with biases are to fit random signs of normal inputs, by squared loss. Levenberg-Marquardt
steps on the gradient search for critical points, from points at which gradient descent was stopped early,
moved by noise. Points with an eigenvalue within 1e-6 of zero are degenerate. So are most of those to which
searches from random starts lead: they lie far from where training goes, in families of nearly the same loss.
Most searches end where the gradient is close to the kernel of the Hessian, in gradient-flat regions.
The full form takes about six minutes on two cores.
"""

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy import stats

from jaxtheory import networks
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, above, below, experiment, plots
from jaxtheory.landscape import critical
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

RESIDUAL = 1e-8
"""The norm of the gradient at which a point counts as critical."""
TOLERANCE = 1e-11
"""The norm of the gradient at which a search ends."""
DEGENERATE = 1e-6
"""The distance from zero within which an eigenvalue counts as zero."""
FLAT = 0.01
"""The ratio ‖Hg‖ / (‖H‖ ‖g‖) below which a point without a small gradient counts as gradient-flat."""
FEWEST, MANY = 8, 100
"""The numbers of points below which no correlation is given, and below which two are not compared."""
ENDS = (0.025, 0.975)
"""The quantiles of the resamples between which an interval lies."""
RESAMPLES = 4000
"""The number of bootstrap resamples."""
DESCENDED, RANDOM = STARTS = ("stopped descent", "random")
KINDS = ("all", "nondegenerate")
SOURCE = "Dauphin et al. 2014 and Pennington and Bahri 2017"


@dataclass(frozen=True)
class Config:
    shapes: tuple[str, ...] = ("6-5-2", "4-6-1")
    """Numbers of inputs, hidden units and outputs of each network."""
    examples: Annotated[int, Range(2)] = 60
    """Number of examples that a network is to fit."""
    groups: Annotated[int, Range(1)] = 14
    """Number of groups of searches for each network and kind of start, each group stored when it is done."""
    starts: Annotated[int, Range(1)] = 50
    """Number of searches in a group."""
    max_steps: Annotated[int, Range(1)] = 1000
    """Largest number of steps of a search."""
    rate: Annotated[float, Range(0, 1)] = 0.05
    """Step size of the gradient descent whose points are starts."""
    descent: Annotated[tuple[int, int], Range(1)] = (100, 8000)
    """Fewest and most steps after which the descent is stopped; their logarithms are uniform."""
    noise: Annotated[tuple[float, float], Range(0, 10, open=True)] = (0.01, 0.5)
    """Least and largest standard deviation of the noise on a start; their logarithms are uniform."""


QUICK = Config(shapes=("6-5-2",), examples=30, groups=1, starts=140, max_steps=250)


class Network(NamedTuple):
    """A network and what it is to fit."""

    init: Any
    loss: Any
    batch: tuple[np.ndarray, np.ndarray]


def problem(shape: str, config: Config, lab: Lab) -> Network:
    """A network with random inputs and random signs as targets."""
    if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*){2,}", shape):
        raise ValueError(f"--shapes holds '{shape}': take at least three widths, as 6-4-3")
    widths = tuple(int(width) for width in shape.split("-"))
    network = networks.functional(partial(MLP, widths, activation="tanh"))
    _, state = network.init(lab.key("state"))
    rng = lab.rng("data", shape=shape)
    batch = (
        rng.standard_normal((config.examples, widths[0])),
        rng.choice([-1.0, 1.0], (config.examples, widths[-1])),
    )
    return Network(network.init, training.loss(network.apply, training.squared_error, state), batch)


def between(limits: tuple[float | int, float | int], count: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers whose logarithms are uniform."""
    return np.exp(rng.uniform(*np.log(limits), count))


@partial(jax.jit, static_argnames="loss")
def descended(loss: Any, params: Any, batch: Any, rate: Any, steps: Any) -> Any:
    """The points of gradient descent after so many steps, which differ from start to start."""

    def of(one: Any, steps: Any) -> Any:
        return critical.gradient_descent(loss, one, batch, rate=rate, max_steps=steps).params

    return jax.vmap(of)(params, steps)


@partial(jax.jit, static_argnames=("loss", "max_steps"))
def searched(loss: Any, params: Any, batch: Any, max_steps: int) -> dict[str, Any]:
    """The points at which searches end."""

    def of(one: Any) -> dict[str, Any]:
        end = critical.levenberg_marquardt(
            loss, one, batch, max_steps=max_steps, tolerance=TOLERANCE, cutoff=DEGENERATE
        )
        size = sum(leaf.size for leaf in jax.tree.leaves(one))
        return {
            "loss": end.loss,
            "residual": end.residual,
            "index": end.index / size,
            "zeros": end.nullity,
            "slope": end.slope,
        }

    return jax.vmap(of)(params)


def search(
    made: dict[str, Network], config: Config, shape: str, start: str, rng: np.random.Generator, key: jax.Array
) -> dict[str, np.ndarray]:
    """The points to which a group of starts leads."""
    network, count = made[shape], config.starts
    with jax.enable_x64(True):
        drawn = jax.vmap(lambda one: network.init(one)[0])(jax.random.split(key, count))
        params = jax.tree.map(lambda leaf: np.asarray(leaf, float), drawn)
        noise = np.ones(count)
        if start == DESCENDED:
            steps = between(config.descent, count, rng).astype(int)
            params = descended(network.loss, params, network.batch, config.rate, steps)
            noise = between(config.noise, count, rng)
        else:
            params = jax.tree.map(np.zeros_like, params)
        moved = jax.tree.map(
            lambda leaf: leaf + noise.reshape(-1, *[1] * (leaf.ndim - 1)) * rng.standard_normal(leaf.shape),
            params,
        )
        return jax.tree.map(np.asarray, searched(network.loss, moved, network.batch, config.max_steps))


def resampled(points: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Spearman's correlation of index and loss in bootstrap resamples of the points."""
    pairs = np.stack([points["index"], points["loss"]])
    drawn = rng.integers(0, pairs.shape[1], (RESAMPLES, pairs.shape[1]))
    ranks = stats.rankdata(pairs[:, drawn], axis=-1)
    ranks -= ranks.mean(-1, keepdims=True)
    spread = np.sqrt((ranks**2).sum(-1)).prod(0)
    return ranks.prod(0).sum(-1) / np.where(spread > 0, spread, np.inf)


def correlation(points: dict[str, np.ndarray]) -> float:
    """Spearman's correlation of index and loss."""
    return float(stats.spearmanr(points["index"], points["loss"]).statistic)


def chosen(found: xr.Dataset, shape: str, start: str) -> dict[str, dict[str, np.ndarray]]:
    """All critical points of a network and kind of start, and those that are not degenerate."""
    here = found.sel(shape=shape, start=start)
    points = {name: values.values.reshape(-1) for name, values in here.data_vars.items()}
    kept = points["residual"] <= RESIDUAL
    chosen = dict(zip(KINDS, (kept, kept & (points["zeros"] == 0))))
    return {kind: {name: values[of] for name, values in points.items()} for kind, of in chosen.items()}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    made = {shape: problem(shape, config, lab) for shape in config.shapes}
    found = lab.sweep(
        "search", partial(search, made, config), shape=config.shapes, start=STARTS, group=range(config.groups)
    )
    points = {
        (shape, start, kind): of
        for shape in config.shapes for start in STARTS for kind, of in chosen(found, shape, start).items()
    }  # fmt: skip
    enough = {place: of for place, of in points.items() if len(of["loss"]) >= FEWEST}
    draws = {place: resampled(of, lab.rng("bootstrap", place=str(place))) for place, of in enough.items()}
    for shape in config.shapes:
        for start in STARTS:
            place = (shape, start, "all")
            lab.note(told(found.sel(shape=shape, start=start), shape, start))
            if place in enough:
                low, high = np.quantile(draws[place], ENDS)
                lab.note(
                    f"{shape}, {start} starts: Spearman's correlation {correlation(enough[place]):.2f}, 95 % "
                    f"interval {low:.2f} to {high:.2f}."
                )
    lab.figure("index_energy", picture(config, points), CAPTION)

    def positive(kind: str) -> list[Measured]:
        """The lower ends of the intervals."""
        rows = []
        for shape in config.shapes:
            if (place := (shape, DESCENDED, kind)) in enough:
                at = {"network": shape, "correlation": f"{correlation(enough[place]):.2f}"}
                low, _ = np.quantile(draws[place], ENDS)
                rows.append(Measured(low, n=len(enough[place]["loss"]), of="points", at=at))
        return rows

    def lower() -> list[Measured]:
        """The upper ends of the intervals of the differences."""
        rows = []
        for shape in config.shapes:
            other, here = (shape, RANDOM, "all"), (shape, DESCENDED, "all")
            if other in enough and here in enough and len(enough[other]["loss"]) >= MANY:
                difference = correlation(enough[other]) - correlation(enough[here])
                _, high = np.quantile(draws[other] - draws[here], ENDS)
                at = {"network": shape, "difference": f"{difference:.2f}"}
                rows.append(Measured(high, n=len(enough[other]["loss"]), of="points", at=at))
        return rows

    def need(rows: list[Measured], number: int) -> Need:
        met = len(rows) == len(config.shapes)
        return Need(f"{number} critical points of each network", met, "raise --groups")

    every, regular, random = positive("all"), positive("nondegenerate"), lower()
    return [
        Claim(
            "Near the paths of training the index rises with the loss: Spearman's correlation is positive, "
            "here the lower end of its 95 % bootstrap interval.",
            above(0.0, source=SOURCE, looked_up=True),
            every,
            need(every, FEWEST),
        ),
        Claim(
            "It rises over the points that are not degenerate, too: the interval's lower end is positive.",
            above(0.0, source=SOURCE, looked_up=True),
            regular,
            need(regular, FEWEST),
        ),
        Claim(
            "From random starts it rises less: the difference of the correlations is negative, here the "
            "upper end of its 95 % bootstrap interval.",
            below(0.0, source="this project's searches; Frye et al. 2021 warn of what they find"),
            random,
            need(random, MANY),
        ),
    ]


def told(points: xr.Dataset, shape: str, start: str) -> str:
    """How searches ended, in words."""
    residual, zeros, slope = (points[name].values.reshape(-1) for name in ("residual", "zeros", "slope"))
    kept = residual <= RESIDUAL
    flat = (~kept & (slope < FLAT)).sum()
    low, high = stats.binomtest(int(kept.sum()), len(kept)).proportion_ci()
    return (
        f"{shape}, {start} starts: {kept.sum()} of {len(kept)} searches, {100 * kept.mean():.1f} % (Clopper "
        f"and Pearson's 95 % interval {100 * low:.1f} to {100 * high:.1f} %), reach a residual of "
        f"{RESIDUAL:g}; {(kept & (zeros > 0)).sum()} of these points are degenerate. Of the other searches "
        f"{flat} end where ‖Hg‖ is below {FLAT:g} ‖H‖ ‖g‖, in a gradient-flat region."
    )


CAPTION = (
    "The share of negative eigenvalues at critical points against their loss; pale points are degenerate. "
    "Searches from random starts end at high losses in degenerate families, where the order is lost."
)


def picture(config: Config, points: dict[tuple[str, ...], dict[str, np.ndarray]]) -> Figure:
    """Index against loss."""
    figure, grid = plots.canvas(len(config.shapes), size=(4.6, 3.6))
    for ax, shape in zip(grid.flat, config.shapes):
        for start, color in zip(STARTS, plots.PALETTE):
            for kind, alpha in zip(KINDS, (0.3, 1.0)):
                of = points[shape, start, kind]
                label = f"{start} starts" if kind == KINDS[1] else None
                ax.plot(of["loss"], of["index"], ".", color=color, alpha=alpha, label=label)
        ax.set(xlabel="loss", ylabel="share of negative eigenvalues", title=shape)
    grid.flat[0].legend(fontsize=8)
    return figure
