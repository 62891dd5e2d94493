"""Sums of ridge functions are approximated at a rate that no dimension slows; other atoms do not share it.

Lecture: approximation, "ridge functions and their sums".
Source: DeVore and Temlyakov, Some remarks on greedy algorithms, Advances in Computational Mathematics 5,
1996; Barron, Universal approximation bounds for superpositions of a sigmoidal function, IEEE Trans.
Information Theory 39(3), 1993.

A target is a sum of a quarter of the ReLU ridge functions of a dictionary, centered and of unit norm, with
coefficients of random sign and of size 1/j. The bound of the orthogonal greedy algorithm, A^2 / (n + 1) with
A the sum of these sizes, says something where it is below the squared norm of the target, and is tested
there. Norms, errors and greedy steps are on the same points, which are standard normal. The control projects
on as many random cosines. The full form takes about two minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxtheory import networks
from jaxtheory.approximation import ridge
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, above, at_most, experiment, plots
from jaxtheory.networks.mlp import MLP

SUM, RADIAL, PRODUCT = TARGETS = ("ridge sum", "radial", "product of signs")
HIGH = 8
"""The dimension from which on the control is expected to break the bound."""
FIRST = 8
"""The first number of atoms through which lines of slopes are drawn."""
NEURONS = 16
"""The width of the first layer of the network that is taken apart."""
GREEDY = "DeVore and Temlyakov 1996"
OFFSET = 2.0
"""The largest offset of a ridge function, in standard deviations of the points."""


@dataclass(frozen=True)
class Config:
    dimensions: Annotated[tuple[int, ...], Range(2)] = (2, 4, 8, 16, 32, 64)
    """The dimensions of the points."""
    points: Annotated[int, Range(100)] = 4000
    """The number of points on which functions are given."""
    atoms: Annotated[int, Range(40)] = 4000
    """The number of ridge functions in the dictionary, of which a quarter makes the target."""
    steps: Annotated[int, Range(FIRST + 2)] = 200
    """The number of greedy steps, and of random cosines."""
    draws: Annotated[int, Range(2)] = 5
    """The number of draws of points, dictionary and target in each dimension."""


QUICK = Config(dimensions=(2, 8, 32), points=600, atoms=800, steps=80, draws=3)


def normalized(values: Any) -> Any:
    """Functions (..., points), centered and of unit norm; constant ones are dead and become zero."""
    centered = values - values.mean(-1, keepdims=True)
    norms = jnp.sqrt((centered**2).mean(-1, keepdims=True))
    return jnp.where(norms > 1e-5, centered / jnp.where(norms > 1e-5, norms, 1), 0)


def targets(
    x: jax.Array, dictionary: jax.Array, rng: np.random.Generator
) -> tuple[dict[str, jax.Array], float]:
    """The functions to approximate, by name, and the sum of the sizes of the ridge sum's coefficients."""
    alive = np.flatnonzero(np.asarray(dictionary).any(1))
    chosen = rng.permutation(alive)[: len(dictionary) // 4]
    sizes = 1 / np.arange(1, len(chosen) + 1)
    codes = np.float32(rng.choice([-1.0, 1.0], len(chosen)) * sizes)
    return {
        SUM: jnp.matmul(codes, dictionary[chosen], precision="highest"),
        RADIAL: normalized(jnp.exp(-(x**2).mean(1) / 2)),
        PRODUCT: normalized(jnp.sign(x).prod(1)),
    }, float(sizes.sum())


@jax.jit
def projected(atoms: jax.Array, target: jax.Array) -> jax.Array:
    """The mean squared errors of projections on the first n atoms, for all n from none on."""
    basis = jnp.linalg.qr(atoms.T)[0]
    parts = jnp.matmul(target, basis, precision="highest") ** 2 / len(target)
    return jnp.maximum(jnp.mean(target**2) - jnp.concatenate([jnp.zeros(1), jnp.cumsum(parts)]), 0)


def largest_ratio(errors: np.ndarray, size: float) -> float:
    """The largest ratio of a squared error and A^2 / (n + 1), where this is below the squared norm."""
    bound = size**2 / np.arange(1, len(errors) + 1)
    tested = (bound < errors[0]) & (np.arange(len(errors)) > 0)
    return float((errors[tested] / bound[tested]).max()) if tested.any() else np.nan


def approximate(config: Config, dimension: int, rng: np.random.Generator) -> dict[str, Any]:
    """Errors of greedy and of random approximants of the targets in a dimension, with what bounds them."""
    x = jnp.asarray(rng.standard_normal((config.points, dimension)), jnp.float32)
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))))
    params = ridge.init(keys[0], dimension, terms=config.atoms, radius=OFFSET)
    dictionary = normalized(ridge.features(params, x).T)
    functions, size = targets(x, dictionary, rng)
    greedy = [ridge.greedy(dictionary, one, steps=config.steps).squared_errors for one in functions.values()]
    frequencies = jax.random.normal(keys[1], (config.steps, dimension))
    phases = jnp.asarray(rng.uniform(0, 2 * np.pi, config.steps), jnp.float32)
    cosines = normalized(jnp.cos(jnp.matmul(frequencies, x.T, precision="highest") + phases[:, None]))
    random = np.asarray(projected(cosines, functions[SUM]))
    errors = np.stack(greedy)
    number = np.arange(FIRST, config.steps + 1)
    with np.errstate(divide="ignore"):
        slopes = np.polyfit(np.log(number), np.log(np.maximum(errors[:, number], 1e-12)).T, 1)[0]
    return {
        "errors": errors,
        "cosines": random,
        "ratio": largest_ratio(errors[0], size),
        "ratio of cosines": largest_ratio(random, size),
        "norm": errors[0, 0],
        "slope": slopes,
        "radius": float(jnp.linalg.norm(x, axis=1).max()),
        "spread": float(jnp.exp(-(x**2).mean(1) / 2).std()),
    }


def taken_apart(lab: Lab) -> dict[str, float]:
    """How far a network's layers are from ridge functions and their sums, in double precision."""
    rng = lab.rng("network")
    with jax.enable_x64(True):
        # The outputs of two layers are what the third one's activation would be given.
        init, apply = networks.functional(partial(MLP, (5, NEURONS, 8), bias_variance=1.0, dtype=np.float64))
        params, state = init(lab.key("network"))
        first, second = (params["layers"][place] for place in "01")
        x = rng.standard_normal((200, 5))
        outputs = np.asarray(apply(params, state, x)[0])
        parts = [
            ridge.RidgeSum(
                first["kernel"].T,
                -first["bias"],
                second["kernel"][:, k],
                second["bias"][k],
                activation="relu",
            )
            for k in range(outputs.shape[1])
        ]
        sums = np.stack([np.asarray(ridge.apply(one, x)) for one in parts], axis=-1)
        across = rng.standard_normal((NEURONS, 200, 5))
        directions = np.asarray(first["kernel"]).T[:, None]
        across -= (
            (across * directions).sum(-1, keepdims=True) / (directions**2).sum(-1, keepdims=True) * directions
        )
        here, there = (
            np.stack([np.asarray(ridge.features(parts[0], x + move))[:, j] for j, move in enumerate(moves)])
            for moves in (np.zeros_like(across), across)
        )
    scale = np.abs(outputs).max()
    return {"sums": float(np.abs(outputs - sums).max() / scale), "ridges": float(np.abs(here - there).max())}


def barron(dimension: int, lab: Lab) -> float:
    """Barron's constant of the radial function, whose transform is the density of N(0, I / d)."""

    def transform(w: jax.Array) -> jax.Array:
        return jnp.exp(-dimension * jnp.sum(w**2, -1) / 2) * (dimension / (2 * jnp.pi)) ** (dimension / 2)

    key = lab.key("frequencies", dimension=dimension)
    scale = dimension**-0.5
    return float(ridge.spectral_moment(transform, key, inputs=dimension, scale=scale, samples=4000).value)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    parts = taken_apart(lab)
    dims = {"errors": ("target", "atoms"), "cosines": ("atoms",), "slope": ("target",)}
    found = lab.sweep(
        "approximation", partial(approximate, config), dimension=config.dimensions,
        draw=range(config.draws), dims=dims,
    ).assign_coords(target=list(TARGETS), atoms=range(config.steps + 1))  # fmt: skip
    size = sum(1 / j for j in range(1, config.atoms // 4 + 1))
    notes(config, lab, found, size)
    errors = found["errors"].sel(atoms=slice(1, None))
    bound = xr.DataArray(size**2 / (errors.atoms + 1.0), {"atoms": errors.atoms})
    figure, ((left, right),) = plots.canvas(2)
    plots.panel(
        errors.sel(target=SUM), x="atoms", hue="dimension", over="draw", spread="none", log="xy",
        beside={"bound": bound, "random cosines": found["cosines"].sel(atoms=slice(1, None)).mean("draw")},
        ylabel="squared error of the ridge sum", axes=left,
    )  # fmt: skip
    last = errors.isel(atoms=-1, drop=True)
    plots.panel(
        last, x="dimension", hue="target", over="draw", spread="each", log="xy",
        ylabel=f"squared error after {config.steps} steps", axes=right,
    )  # fmt: skip
    lab.figure(
        "errors",
        figure,
        "Left: squared errors of greedy approximants of ridge sums by their number of atoms; dashed the "
        "bound A^2 / (n + 1), dotted random cosines. Right: what is left of the ridge sum and of functions "
        "of unit norm.",
    )
    return claims(config, found, parts)


def notes(config: Config, lab: Lab, found: xr.Dataset, size: float) -> None:
    """Notes for the findings, on what the claims do not say."""
    from_on = np.ceil(size**2 / found["norm"].min("draw") - 1).astype(int).values.tolist()
    lab.note(
        f"A = {size:.2f}: the bound is tested from {min(from_on)} to {max(from_on)} atoms on, by dimension; "
        f"the largest ratio of any draw is {float(found['ratio'].max()):.3f}."
    )
    for target in TARGETS:
        slopes = found["slope"].sel(target=target).mean("draw")
        listed = ", ".join(f"{float(one):.2f} (d = {int(one.dimension)})" for one in slopes)
        lab.note(f"Slopes of the logarithm of the squared error, {target}: {listed}.")
    says = []
    for dimension in config.dimensions:
        one = found.sel(dimension=dimension)
        needed = (2 * one["radius"] * barron(dimension, lab) / one["spread"]) ** 2
        says.append(f"{float(needed.mean()):,.0f} (d = {dimension})")
    lab.note(
        "Barron's bound for the radial function, (2 r C_f)^2 / n with r the largest length of a point, is "
        "below its squared norm, and would be tested, from this number of ridge functions on: "
        f"{', '.join(says)}."
    )


def extreme(ratios: xr.DataArray, draws: xr.DataArray, dimension: int) -> Measured:
    """The extreme ratio of a dimension's draws."""
    at = {"dimension": dimension}
    return Measured(float(ratios.sel(at)), n=int(draws.sel(at)), at=at)


def claims(config: Config, found: xr.Dataset, parts: dict[str, float]) -> list[Claim]:
    # Where terms happen to cancel, the squared norm of a draw may stay below the bound at all steps.
    draws = found["ratio"].notnull().sum("draw")
    told = bool((draws >= 2).all())
    enough = Need("steps at which the bound is below the squared norm", told, "raise --steps")
    high = [d for d in config.dimensions if d >= HIGH]
    needs_high = Need(f"dimensions of {HIGH} and more", bool(high), f"add {HIGH} to --dimensions")
    tests = {"n": 200, "of": "points"}
    return [
        Claim(
            "The second layer of a network is given sums of ridge functions: the largest difference.",
            at_most(1e-12, source="an identity"),
            Measured(parts["sums"], **tests),
        ),
        Claim(
            "The outputs of its first layer are ridge functions: they do not change across their directions.",
            at_most(1e-12, source="an identity"),
            Measured(parts["ridges"], **tests),
        ),
        Claim(
            "The orthogonal greedy algorithm keeps its bound in every dimension: the largest squared error "
            "over A^2 / (n + 1), where that is below the squared norm, of any draw.",
            at_most(1, source=GREEDY),
            [extreme(found["ratio"].max("draw"), draws, d) for d in config.dimensions] if told else None,
            needs=enough,
        ),
        Claim(
            f"As many random cosines break it from dimension {HIGH} on: the ratio of their best draw.",
            above(1, source="our own control"),
            [extreme(found["ratio of cosines"].min("draw"), draws, d) for d in high]
            if high and told
            else None,
            needs=(enough, needs_high),
        ),
    ]
