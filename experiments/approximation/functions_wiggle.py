"""Functions wiggle: samples that learning takes grow by bits a dimension, unless few compositions are known.

Lecture: approximation, "the curse of dimensionality"; "when and why are deep networks better than shallow?".
Source: our own measurement; Poggio, Mhaskar, Rosasco, Miranda and Liao, Why and when can deep, but not
shallow, networks avoid the curse of dimensionality, 2017, on functions of few compositions.

Samples are uniform on [-1, 1]^d. Their number is doubled until the relative error, root mean square over the
standard deviation of the function, is one half, and interpolated between the last two; where the largest
number does not suffice, it counts as reached, which makes slopes smaller. Generic Lipschitz functions are
multilinear between random values on a lattice of four points an axis. A function of few compositions is
h(g(x_1)), whatever the dimension; a tree joins d inputs by d - 1 constituents, whose number grows. The wired
network is given what is composed of what, and learns from the same samples. Of several trainings the one that
fits its samples best counts, as some get stuck. The full form takes about ten minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import log
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from jaxtheory import networks
from jaxtheory.approximation import compositional
from jaxtheory.lab import Claim, Lab, Measured, Range, above, below, equal_to, experiment, mean, plots
from jaxtheory.networks.mlp import MLP

GENERIC, FEW, TREE = ("generic Lipschitz", "few compositions", "tree")
NEIGHBORS, KERNEL, NETWORK, WIRED = ("neighbors", "kernel", "network", "wired network")
TESTED = {GENERIC: (NEIGHBORS, KERNEL, NETWORK), FEW: (NEIGHBORS, WIRED), TREE: (NEIGHBORS, WIRED)}
"""What learns each kind of function."""
ERROR = 0.5
"""The relative error that is to be reached."""
CELLS = 3
"""The number of cells along each axis of a generic function."""
FEWEST = 2
"""The logarithm to base 2 of the first number of samples."""
CHECKED = 1000
"""The number of points at which errors are taken."""
LENGTH = 2.0
"""The length of the kernel exp(-|x - y| / length)."""
BATCH = 64
"""The number of samples in each training step."""
WIGGLE = 0.2
"""The least standard deviation of a function: waves that happen to cancel leave nothing to learn."""
TRIES = 100
"""The largest number of functions that are drawn until one varies as much."""
JUDGED = 4096
"""The largest number of samples by which trainings are judged."""
SOURCE = "the lecture's obstacle, measured here"


@dataclass(frozen=True)
class Config:
    dimensions: Annotated[tuple[int, ...], Range(1, 8)] = (1, 2, 3, 4, 5)
    """The dimensions, at least two of them."""
    largest: Annotated[int, Range(4, 20)] = 17
    """The logarithm to base 2 of the largest number of samples."""
    largest_kernel: Annotated[int, Range(4, 14)] = 13
    """The logarithm to base 2 of the largest number of samples for the kernel, whose system is dense."""
    width: Annotated[int, Range(1)] = 128
    """The width of the two hidden layers of the network; nodes of the wired one have a quarter."""
    steps: Annotated[int, Range(1)] = 2000
    """The number of training steps of a network."""
    starts: Annotated[int, Range(1)] = 3
    """The number of trainings of a network, of which the one that fits its samples best counts."""
    draws: Annotated[int, Range(2)] = 5
    """The number of functions of each kind in each dimension."""


QUICK = Config(dimensions=(1, 3), largest=11, largest_kernel=10, width=64, steps=300, starts=2, draws=5)


def graph_of(kind: str, dimension: int) -> compositional.Graph:
    """What is composed of what in a function of a kind."""
    if kind == FEW:
        return compositional.shared(dimension, ((0,),))
    if kind == TREE and dimension > 1:
        return compositional.binary_tree(dimension)
    return compositional.Graph(inputs=dimension, nodes=(tuple(range(dimension)),))


def function_of(kind: str, dimension: int, rng: np.random.Generator) -> Any:
    """A random function of a kind."""
    graph = graph_of(kind, dimension)
    if kind == GENERIC:
        values = rng.standard_normal((CELLS + 1,) * dimension)
        return compositional.Interpolant(graph, (jnp.asarray(values, jnp.float32),))
    return compositional.init(jax.random.key(int(rng.integers(2**31))), graph)


def by_neighbors(x: np.ndarray, y: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The value of the nearest sample."""
    return y[cKDTree(x).query(queries)[1]]


def by_kernel(x: np.ndarray, y: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The interpolant of the kernel exp(-|x - y| / length)."""
    gram = np.exp(-cdist(x, x) / LENGTH) + 1e-8 * np.eye(len(x))
    weights = cho_solve(cho_factor(gram, overwrite_a=True), y - y.mean())
    return y.mean() + np.exp(-cdist(queries, x) / LENGTH) @ weights


@partial(jax.jit, static_argnames=("apply", "steps"))
def learned(
    apply: Callable[..., jax.Array], starts: Any, x: Any, y: Any, number: Any, queries: Any, key: Any,
    steps: int,
) -> jax.Array:  # fmt: skip
    """What the best of trainings on the first samples predicts, by Adam with a rate that falls to zero."""
    optimizer = optax.adam(optax.cosine_decay_schedule(0.01, steps))
    spread = jnp.std(y)
    shown = jnp.arange(min(len(y), JUDGED)) < number

    def errors(params: Any, chosen: jax.Array) -> jax.Array:
        return ((apply(params, x[chosen]) - y[chosen]) / spread) ** 2

    def step(carry: Any, key: Any) -> tuple[Any, None]:
        params, state = carry
        chosen = jax.random.randint(key, (BATCH,), 0, number)
        gradient = jax.grad(lambda params: jnp.mean(errors(params, chosen)))(params)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    def one(start: Any) -> tuple[jax.Array, jax.Array]:
        carry = start, optimizer.init(start)
        (params, _), _ = jax.lax.scan(step, carry, jax.random.split(key, steps))
        return apply(params, queries), jnp.sum(errors(params, jnp.arange(len(shown))) * shown)

    predicted, loss = jax.vmap(one)(starts)
    return predicted[jnp.argmin(loss)]


def dense(width: int, dimension: int) -> tuple[Callable[..., Any], Callable[..., jax.Array]]:
    """A network with two hidden layers: its `init` and `apply` as plain functions."""
    init, apply = networks.functional(partial(MLP, (dimension, width, width, 1)))
    return lambda key: init(key)[0], lambda params, x: apply(params, {}, x)[0][..., 0]


def needed(errors: Callable[[int], float], largest: int) -> float:
    """The logarithm to base 2 of the number of samples that reach the error, or of the largest number."""
    before = None
    for exponent in range(FEWEST, largest + 1):
        error = errors(2**exponent)
        if error < ERROR:
            return exponent - (0.0 if before is None else log(ERROR / error) / log(before / error))
        before = error
    return float(largest)


def samples(config: Config, dense_networks: Any, kind: str, learner: str, dimension: int, rng: Any) -> float:
    """The logarithm to base 2 of the number of samples that a learner needs for a random function."""
    largest = limit(config, learner)
    # Functions come first: in every dimension a draw of few compositions is the same one.
    generators = iter(rng.spawn(TRIES))
    drawn = np.float32(rng.uniform(-1, 1, (CHECKED + 2**largest, dimension)))
    values = np.zeros(1)
    while values.std() < WIGGLE:
        values = np.asarray(compositional.apply(function_of(kind, dimension, next(generators)), drawn))
    (queries, x), (expected, y) = (np.split(one, [CHECKED]) for one in (drawn, values))
    seeds = jax.random.split(jax.random.key(int(rng.integers(2**31))))
    if learner == WIRED:
        options = {"width": max(config.width // 4, 1), "channels": 4}
        init = partial(compositional.init_network, graph=graph_of(kind, dimension), **options)
        apply = compositional.apply
    elif learner == NETWORK:
        init, apply = dense_networks[dimension]

    def predicted(number: int) -> np.ndarray:
        if learner in (NEIGHBORS, KERNEL):
            learn = by_neighbors if learner == NEIGHBORS else by_kernel
            return learn(x[:number], y[:number], queries)
        starts = jax.vmap(init)(jax.random.split(seeds[0], config.starts))
        return np.asarray(learned(apply, starts, x, y, number, queries, seeds[1], config.steps))

    def error(number: int) -> float:
        return float(np.sqrt(np.mean((predicted(number) - expected) ** 2)) / expected.std())

    return needed(error, largest)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    dense_networks = {d: dense(config.width, d) for d in config.dimensions}
    found = {}
    for kind, learners in TESTED.items():
        found[kind] = lab.sweep(
            kind, partial(samples, config, dense_networks, kind), learner=learners,
            dimension=config.dimensions, draw=range(config.draws), common=("learner", "dimension"),
        ).rename("samples, log2")  # fmt: skip
    censored = {
        f"{learner}, {kind}": int((found[kind].sel(learner=learner) >= limit(config, learner)).sum())
        for kind, learners in TESTED.items()
        for learner in learners
    }
    lab.note(
        "Functions for which the largest number of samples did not suffice: "
        + (", ".join(f"{count} ({name})" for name, count in censored.items() if count) or "none")
    )
    figure, (panels,) = plots.canvas(len(TESTED), share="y")
    for (kind, values), axes in zip(found.items(), panels):
        plots.panel(values, x="dimension", hue="learner", over="draw", spread="each", axes=axes)
        axes.set_title(kind)
    caption = f"Samples for a relative error of {ERROR:g}, as logarithms to base 2, by dimension."
    lab.figure("samples", figure, caption)
    return claims({kind: slope(values) for kind, values in found.items()})


def limit(config: Config, learner: str) -> int:
    """The logarithm to base 2 of the largest number of samples that a learner is given."""
    return config.largest_kernel if learner == KERNEL else config.largest


def slope(values: xr.DataArray) -> xr.DataArray:
    """The bits a dimension: the slope of the logarithm to base 2 of the number of samples."""
    return values.polyfit("dimension", 1)["polyfit_coefficients"].sel(degree=1, drop=True)


def claims(slopes: dict[str, xr.DataArray]) -> list[Claim]:
    few, tree = (slopes[kind].sel(learner=WIRED, drop=True) for kind in (FEW, TREE))
    error = float(few.std("draw", ddof=1)) / few.sizes["draw"] ** 0.5
    beside = {kind: slopes[kind].sel(learner=NEIGHBORS, drop=True) for kind in (FEW, TREE)}
    return [
        Claim(
            "On generic Lipschitz functions the logarithm of the number of samples grows with the dimension.",
            above(0, unit="bits a dimension", source=SOURCE),
            mean(slopes[GENERIC], over="draw", paired=True),
        ),
        Claim(
            "On functions of few compositions it grows for neighbors, too.",
            above(0, unit="bits a dimension", source=SOURCE),
            mean(slopes[FEW].sel(learner=NEIGHBORS), over="draw", paired=True),
        ),
        Claim(
            "There it does not grow for the wired network: its slope is zero, up to two standard errors.",
            equal_to(
                0, tolerance=2, unit="standard errors", source="Poggio et al. 2017; two are our own bar"
            ),
            Measured(float(few.mean()) / max(error, 1e-12), n=few.sizes["draw"], of="draws"),
        ),
        *(
            Claim(
                statement,
                below(0, unit="bits a dimension", source="Poggio et al. 2017"),
                mean(ours - beside[kind], over="draw", paired=True),
            )
            for kind, ours, statement in (
                (FEW, few, "It grows less for the wired network than for neighbors."),
                (TREE, tree, "On trees, too, it grows less for the wired network than for neighbors."),
            )
        ),
    ]
