"""Deep linear networks have no bad minima: each critical point is a global minimum or a saddle, by a subset.

Lecture: the landscape of the empirical risk, "No poor local minima for linear networks".
Source: Kawaguchi, Deep learning without poor local minima, NeurIPS 2016, theorem 2.3; Baldi and Hornik,
Neural networks and principal component analysis, Neural Networks 2, 1989.

Inputs are normal, targets a linear map of them with noise, and the theorem's hypotheses are checked. Critical
points of any index are found by Levenberg-Marquardt steps on the gradient from N(0, 1) starts.
Representatives of every subset of eigenvectors are constructed, with middle layers of the least and of full
rank: balanced ones, others whose hidden units are recombined at random, and others whose first layer is a
hundred times as large and the second as much smaller. A point without a negative eigenvalue counts as a
saddle if a lower point lies within 0.01. A product has full rank if its least singular value exceeds a
hundred roots of the residual, as a critical point with idle units may be so far from a point of that
residual. The full form takes about a minute on two cores.
"""

import itertools
import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy import stats

from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    at_least,
    at_most,
    equal_to,
    exact,
    experiment,
    plots,
)
from jaxtheory.landscape import critical, linear_networks
from jaxtheory.landscape.linear_networks import Moments

RESIDUAL = 1e-8
"""The norm of the gradient at which a point counts as critical."""
TOLERANCE = 1e-12
"""The norm of the gradient at which a search ends, so that ranks and signs are clear."""
RADIUS = 1e-2
"""The distance within which a lower point makes a saddle."""
SAME, NEGATIVE = 1e-6, 1e-10
"""The relative difference up to which maps and losses are the same, and the size of an eigenvalue, over the
largest modulus, from which its sign is not rounding."""
RANK = 100.0
"""A singular value counts as zero below this many roots of the residual."""
SCALE = 100.0
"""The factor on the first layer of a scaled representative, and the divisor of the second."""
OPTIMAL = 1e-6
"""The distance of the loss from the optimum at which gradient descent has arrived."""
GLOBAL, FULL, LOWER = KINDS = (
    "global minimum",
    "saddle, middle of full rank",
    "saddle, middle of lower rank",
)
THEOREM = "Kawaguchi 2016, theorem 2.3"


@dataclass(frozen=True)
class Config:
    shapes: tuple[str, ...] = ("6-4-3", "6-3-3-3", "6-5-2-4", "4-3-3-3-2")
    """Numbers of inputs, hidden units and outputs of each network, with no more outputs than inputs."""
    examples: Annotated[int, Range(10)] = 100
    """Number of examples from which the moments are taken."""
    noise: Annotated[float, Range(0)] = 0.5
    """Standard deviation of the noise in the targets."""
    groups: Annotated[int, Range(1)] = 20
    """Number of groups of searches for each network, each group stored when it is done."""
    starts: Annotated[int, Range(1)] = 50
    """Number of starts in a group, of searches or of runs of gradient descent."""
    max_steps: Annotated[int, Range(1)] = 1000
    """Largest number of steps of a search."""
    descents: Annotated[int, Range(1)] = 6
    """Number of groups of runs of gradient descent for each network."""
    descent_steps: Annotated[int, Range(1)] = 100_000
    """Largest number of steps of gradient descent."""
    rate: Annotated[float, Range(0, 1)] = 0.05
    """Step size of gradient descent."""


QUICK = Config(
    shapes=("6-4-3", "6-3-3-3"), groups=1, starts=100, max_steps=300, descents=3, descent_steps=10_000
)


class Network(NamedTuple):
    """A network and its problem."""

    widths: tuple[int, ...]
    moments: Moments
    subsets: np.ndarray  # (subsets, outputs)
    losses: np.ndarray  # (subsets,)


Points = dict[str, np.ndarray]
"""What `examined` finds of points, each an array with one axis."""


def problem(shape: str, config: Config, lab: Lab) -> Network:
    """A network with data that are drawn for it."""
    if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*){2,}", shape):
        raise ValueError(f"--shapes holds '{shape}': take at least three widths, as 6-4-3")
    widths = tuple(int(width) for width in shape.split("-"))
    rng = lab.rng("data", shape=shape)
    x = rng.standard_normal((config.examples, widths[0]))
    noise = config.noise * rng.standard_normal((config.examples, widths[-1]))
    targets = x @ rng.standard_normal((widths[0], widths[-1])) / np.sqrt(widths[0]) + noise
    with jax.enable_x64(True):
        moments = jax.tree.map(np.asarray, linear_networks.moments(x, targets))
        subsets = linear_networks.subsets(widths[-1], min(widths[1:-1]))
        return Network(widths, moments, subsets, np.asarray(linear_networks.subset_loss(moments, subsets)))


def normal(widths: tuple[int, ...], count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Normal matrices, with a leading axis of networks."""
    return tuple(rng.standard_normal((count, b, a)) for a, b in itertools.pairwise(widths))


@jax.jit
def examined(params: Any, moments: Moments, subsets: Any, losses: Any) -> dict[str, Any]:
    """What the claims are about, of points with a leading axis."""

    def of(one: Any) -> dict[str, Any]:
        found = critical.classify(linear_networks.moment_loss, one, moments)
        nearest = linear_networks.assign(moments, linear_networks.end_to_end(one), subsets)
        cut = RANK * jnp.sqrt(found.residual)
        singular = jnp.linalg.svd(linear_networks.middle(one), compute_uv=False)
        least = singular[min(len(w) for w in one[:-1]) - 1]
        lower = linear_networks.lower_point(moments, one, RADIUS, tolerance=jnp.maximum(cut, SAME))
        moved = jnp.sqrt(sum(jnp.sum((a - b) ** 2) for a, b in zip(one, lower)))
        drop = found.loss - linear_networks.moment_loss(lower, moments)
        real = drop > 16 * jnp.finfo(drop.dtype).eps * found.loss  # more than rounding
        return {
            "residual": found.residual,
            "loss": found.loss,
            "position": nearest.position,
            "distance": nearest.distance,
            "difference": jnp.abs(found.loss - losses[nearest.position]) / losses[0],
            "curvature": found.eigenvalues[0] / jnp.max(jnp.abs(found.eigenvalues)).clip(1e-300),
            "middle": least,
            "full": least > cut,
            "descends": (moved <= RADIUS * (1 + SAME)) & real,
            "norm": jnp.sqrt(sum(jnp.sum(w**2) for w in one)),
        }

    return jax.vmap(of)(params)


def examine(params: Any, network: Network) -> Points:
    """What the claims are about, as NumPy's arrays."""
    return jax.tree.map(np.asarray, examined(params, network.moments, network.subsets, network.losses))


def search(
    networks: dict[str, Network], config: Config, scale: float, shape: str, rng: np.random.Generator
) -> Points:
    """The points to which a group of normal starts leads."""
    network = networks[shape]
    with jax.enable_x64(True):
        starts = tuple(scale * w for w in normal(network.widths, config.starts, rng))
        options = {"max_steps": config.max_steps, "tolerance": TOLERANCE}
        find = partial(critical.levenberg_marquardt, linear_networks.moment_loss, **options)
        return examine(jax.vmap(lambda start: find(start, network.moments).params)(starts), network)


def construct(network: Network, config: Config, key: jax.Array) -> Points:
    """Representatives of every subset: balanced, mixed and scaled; middles of the least and of full rank."""
    ranks = (None, min(network.widths[1:-1])) if len(network.widths) > 3 else (None,)

    @jax.jit
    @jax.vmap
    def make(key: Any, subset: Any) -> list[Any]:
        made = []
        for rank in ranks:
            facts = network.moments, network.widths, subset
            first, second, *others = balanced = linear_networks.representative(*facts, middle_rank=rank)
            scaled = (SCALE * first, second / SCALE, *others)
            made += [balanced, linear_networks.unbalanced(key, balanced, spread=0.5), scaled]
        return made

    with jax.enable_x64(True):
        made = make(jax.random.split(key, len(network.subsets)), network.subsets)
        points = jax.tree.map(lambda *parts: np.concatenate(parts), *made)
        count, group = len(points[0]), config.starts
        # In groups as the searches have them, so that one program serves both.
        parts = [
            examine(tuple(np.resize(w[at : at + group], (group, *w.shape[1:])) for w in points), network)
            for at in range(0, count, group)
        ]
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def descend(networks: dict[str, Network], config: Config, shape: str, rng: np.random.Generator) -> Points:
    """Where gradient descent ends from N(0, 1/width) starts."""
    network = networks[shape]
    with jax.enable_x64(True):
        starts = tuple(w / np.sqrt(w.shape[-1]) for w in normal(network.widths, config.starts, rng))
        target = network.losses.min() + OPTIMAL
        options = {"rate": config.rate, "max_steps": config.descent_steps, "target": target}
        go = partial(critical.gradient_descent, linear_networks.moment_loss, **options)
        ends = jax.vmap(lambda start: go(start, network.moments, tolerance=RESIDUAL))(starts)
        arrived = np.asarray(ends.loss <= target)
        return {"arrived": arrived, "stuck": ~arrived & np.asarray(ends.converged)}


def sort_out(points: Points, network: Network) -> Points:
    """Which points are critical and of which kind, and at which theory and measurement disagree."""
    found = points["residual"] <= RESIDUAL
    same = (points["distance"] <= SAME) & (points["difference"] <= SAME)
    lowest = found & (points["position"] == network.losses.argmin()) & same
    negative, saddle = points["curvature"] < -NEGATIVE, found & ~lowest
    return {
        "critical": found,
        GLOBAL: lowest,
        FULL: saddle & points["full"],
        LOWER: saddle & ~points["full"],
        "elsewhere": found & ~same,
        "neither": saddle & ~negative & ~points["descends"],
        "not strict": saddle & points["full"] & ~negative,
        "flat": saddle & ~negative & points["descends"],
    }


def flattened(sweep: xr.Dataset) -> Points:
    """The points of all groups on one axis."""
    return {name: values.values.reshape(-1) for name, values in sweep.data_vars.items()}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    networks = {shape: problem(shape, config, lab) for shape in config.shapes}
    shapes, at = config.shapes, partial(search, networks, config)
    sweeps = {
        "found": lab.sweep("search", partial(at, 1.0), shape=shapes, group=range(config.groups)),
        "small": lab.sweep("search near the origin", partial(at, 0.3), shape=shapes),
        "runs": lab.sweep(
            "descent", partial(descend, networks, config), shape=shapes, group=range(config.descents)
        ),
    }
    points = {
        name: {shape: flattened(sweep.sel(shape=shape)) for shape in shapes} for name, sweep in sweeps.items()
    }
    points["constructed"] = {
        shape: lab.cached(f"constructed {shape}", partial(construct, one, config, lab.key("mixed")))
        for shape, one in networks.items()
    }
    figure, grid = plots.canvas(len(networks), 2, size=(3.4, 3.3))
    for column, (shape, one) in zip(grid.T, networks.items()):
        lab.note(told(shape, one, points))
        draw(column, shape, one, points)
    grid[0, 0].legend(fontsize=6)
    lab.figure("critical_points", figure, CAPTION)
    return claims(config, networks, points)


def claims(config: Config, networks: dict[str, Network], points: dict[str, dict[str, Points]]) -> list[Claim]:
    """What the theorem says, counted."""
    parts = {
        (shape, word): sort_out(points[word][shape], networks[shape])
        for shape in networks for word in ("found", "constructed")
    }  # fmt: skip
    for shape in networks:  # all that is constructed is to be critical
        parts[shape, "constructed"]["elsewhere"] |= ~parts[shape, "constructed"]["critical"]

    def count(fault: str, *kinds: str) -> list[Measured]:
        """The points at fault, and among how many of those kinds."""
        rows = []
        for (shape, word), of in parts.items():
            total = sum(int(of[kind].sum()) for kind in kinds)
            if total or of[fault].any():
                rows.append(exact(of[fault].sum(), at={"network": shape, "points": f"{total:,} {word}"}))
        return rows

    none = partial(equal_to, 0, tolerance=0)
    missed, bounds, flat = [], [], []
    for shape, one in networks.items():
        hit = np.unique(points["found"][shape]["position"][parts[shape, "found"]["critical"]])
        missed.append(exact(len(one.losses) - len(hit), at={"network": shape, "subsets": len(one.losses)}))
        stuck = points["runs"][shape]["stuck"]
        fewer, total = int(stuck.sum()), len(stuck)
        bound = 100 * stats.beta.ppf(0.95, fewer + 1, total - fewer) if fewer < total else 100
        bounds.append(Measured(bound, n=total, of="runs", at={"network": shape, "stuck": fewer}))
        if len(one.widths) > 3:
            flat.append(exact(parts[shape, "constructed"]["flat"].sum(), at={"network": shape}))
    margins = [min(map(float, linear_networks.margins(one.moments))) for one in networks.values()]
    given = Need("data that meet the theorem's hypotheses", min(margins) > 1e-3, "take another --seed")
    deep = Need("a network of three matrices", bool(flat), "name one in --shapes, as 6-3-3-3")
    many = Need("1,000 searches", config.groups * config.starts >= 1000, "raise --groups")
    return [
        Claim(
            "At every critical point map and loss are those of a subset of the eigenvectors of Σ.",
            none(unit="others", source=f"{THEOREM}, proof"),
            count("elsewhere", *KINDS),
            given,
        ),
        Claim(
            "N(0, 1) starts lead to all subsets.", none(unit="missed", source="this project"), missed, many
        ),
        Claim(
            "Every critical point is a global minimum or a saddle, which a negative eigenvalue or a lower "
            f"point within {RADIUS:g} tells.",
            none(unit="neither", source=f"{THEOREM} (ii, iii)", looked_up=True),
            count("neither", *KINDS),
            given,
        ),
        Claim(
            "Every saddle whose middle matrices have a product of full rank has a negative eigenvalue.",
            none(unit="without", source=f"{THEOREM} (iv)"),
            count("not strict", FULL),
            given,
        ),
        Claim(
            "With three or more matrices there are saddles without a negative eigenvalue.",
            at_least(1, unit="saddles", source="Kawaguchi 2016, abstract", looked_up=True),
            flat,
            (given, deep),
        ),
        Claim(
            "Gradient descent from N(0, 1/width) starts is not stuck away from the optimum: the share of "
            "such runs is small, here its upper bound by Clopper and Pearson at 95 %.",
            at_most(1.0, unit="%", source="this project's bar: 0 of 300 runs bound the share by 0.99 %"),
            bounds,
        ),
    ]


def told(shape: str, network: Network, points: dict[str, dict[str, Points]]) -> str:
    """What the claims do not say of a network."""
    found, small, runs = (points[name][shape] for name in ("found", "small", "runs"))
    kinds = sort_out(found, network)
    counts = ", ".join(f"{kind}: {kinds[kind].sum():,}" for kind in KINDS)
    zero = (small["position"] == 0) & (small["residual"] <= RESIDUAL)
    inputs, cross, gap = linear_networks.margins(network.moments)
    slow = (~runs["arrived"] & ~runs["stuck"]).sum()
    largest = [points[word][shape]["norm"].max() for word in ("found", "constructed")]
    share, least = 100 * kinds["critical"].mean(), small["norm"][zero].min(initial=np.inf)
    return (
        f"{shape}: {share:.1f} % of {len(found['norm']):,} searches reach a residual of {RESIDUAL:g} "
        f"({counts}). Norms go up to {largest[0]:.3g}, of constructed points to {largest[1]:.3g}. From "
        f"N(0, 0.3²) starts {zero.sum()} of {len(zero)} end with a map of zero, at norms from {least:.2g}. "
        f"{slow} of {len(runs['stuck'])} descents were still on their way. Least over largest eigenvalue of "
        f"XXᵀ {inputs:.2g}, singular value of XYᵀ {cross:.2g}; least gap of Σ's eigenvalues {gap:.2g} of the "
        "largest."
    )


CAPTION = (
    "Top: critical points found, by the norm of their weights; lines are the losses of the subsets. Bottom: "
    "saddles found (dots) and constructed (crosses), by the least singular value of their middle product: "
    "their most negative eigenvalue over the largest modulus. It vanishes only where the middle loses rank."
)


def draw(column: Any, shape: str, network: Network, points: dict[str, dict[str, Points]]) -> None:
    """Losses against norms; negative curvature against the least singular value of the middle product."""
    top, bottom = column
    for loss in network.losses:
        top.axhline(loss, color="0.8", linewidth=0.8)
    for word, mark in (("found", "."), ("constructed", "x")):
        of, kinds = points[word][shape], sort_out(points[word][shape], network)
        for kind, color in zip(KINDS, plots.PALETTE):
            at = kinds[kind]
            if word == "found":
                top.plot(of["norm"][at], of["loss"][at], mark, color=color, label=kind)
            if kind != GLOBAL:
                curvature = (-of["curvature"][at]).clip(1e-18)
                bottom.plot(of["middle"][at].clip(1e-18), curvature, mark, color=color)
    top.set(xlabel="norm of the weights", ylabel="loss", title=shape)
    labels = {"xlabel": "least singular value of the middle", "ylabel": "negative curvature"}
    bottom.set(xscale="log", yscale="log", **labels)
