"""A deep network can have exponentially many linear pieces for its neurons; random and trained ones do not.

Lecture: approximation, "When and why are deep networks better than shallow ones?".
Source: M. Telgarsky, Representation benefits of deep feedforward networks, 2015; G. Montúfar, R. Pascanu,
K. Cho and Y. Bengio, On the number of linear regions of deep neural networks, NIPS 2014; B. Hanin and
D. Rolnick, Complexity of linear regions in deep networks, ICML 2019.

Pieces are maximal intervals or plane regions on which a network is affine, and they are counted exactly.
Networks of two inputs and different depths have equal numbers of neurons. Random ones have He's weights; the
same ones are trained on a smooth function, all draws in one program.
The full form takes about three minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from jaxtheory import networks
from jaxtheory.approximation import regions, relu
from jaxtheory.lab import (
    Claim,
    Lab,
    Need,
    Range,
    at_least,
    at_most,
    between,
    equal_to,
    exact,
    experiment,
    mean,
    plots,
)  # fmt: skip
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

WINDOW = ((-1.0, 1.0), (-1.0, 1.0))
KINDS = ("random", "trained")


@dataclass(frozen=True)
class Config:
    levels: Annotated[tuple[int, ...], Range(1, 18)] = tuple(range(1, 17))
    """The numbers of hidden layers of the sawtooth networks."""
    neurons: Annotated[int, Range(8)] = 64
    """The number of neurons of a random or trained network."""
    depths: Annotated[tuple[int, ...], Range(1)] = (1, 2, 4, 8)
    """The numbers of hidden layers over which they are divided evenly."""
    bias: Annotated[float, Range(0)] = 0.3
    """The standard deviation of the biases at the start."""
    draws: Annotated[int, Range(2)] = 10
    """The number of networks of each depth."""
    points: Annotated[int, Range(2)] = 1024
    """The number of training points in the square."""
    steps: Annotated[int, Range(1)] = 3000
    """The number of training steps."""
    rate: Annotated[float, Range(0, open=True)] = 0.003
    """Adam's rate."""


QUICK = Config(levels=tuple(range(1, 11)), neurons=32, depths=(1, 4), draws=4, points=256, steps=200)


def of_sawtooth(level: int) -> dict[str, int]:
    """What the sawtooth costs and has, deep, and as a network of one hidden layer."""
    deep = relu.sawtooth(level)
    found = regions.segment(deep, [0], [1])
    knots = np.arange(2**level + 1) / 2**level
    shallow = regions.segment(relu.interpolant(knots, np.arange(2**level + 1) % 2), [0], [1])
    same = shallow.pieces == found.pieces and np.array_equal(shallow.values, found.values)
    return {
        "pieces": found.pieces,
        "neurons": relu.size(deep).neurons,
        "shallow_neurons": 2**level,
        "same": int(same),
    }


def target(x: Any) -> Any:
    """The smooth function that networks are trained on."""
    return jnp.sin(2 * jnp.pi * x[..., :1]) * jnp.cos(jnp.pi * x[..., 1:])


def widths(neurons: int, depth: int) -> tuple[int, ...]:
    """The widths of a network of two inputs and one output."""
    return (2, *[neurons // depth] * depth, 1)


def trained(config: Config, depth: int, keys: jax.Array) -> dict[str, Any]:
    """Networks before and after training, with a leading axis for the keys, and their mean squared errors."""
    make = partial(MLP, widths(config.neurons, depth), bias_variance=config.bias**2)
    network = networks.functional(make)
    objective = training.objective(network.apply, training.squared_error)
    optimizer = optax.adam(config.rate)

    @jax.jit
    @jax.vmap
    def of(key: jax.Array) -> Any:
        start, order, place = jax.random.split(key, 3)
        x = jax.random.uniform(place, (config.points, 2), minval=-1.0)
        params, state = network.init(start)
        begun = training.init(params, order, optimizer=optimizer, state=state)
        options = {"objective": objective, "optimizer": optimizer, "steps": config.steps}
        ended, metrics = training.run(begun, (x, target(x)), **options)
        return params, ended.params, 2 * metrics["loss"][-1]

    random, ended, loss = jax.tree.map(np.asarray, of(keys))
    return {"random": random, "trained": ended, "loss": loss}


def network_of(trainings: dict[str, Any], depth: int, kind: str, draw: int) -> relu.Network:
    """One of the networks."""
    return relu.from_mlp(jax.tree.map(lambda leaf: leaf[draw], trainings[str(depth)][kind]))


def counted(trainings: dict[str, Any], depth: int, kind: str, draw: int) -> dict[str, int]:
    """The linear pieces of a network in the square, and along its middle line."""
    network = network_of(trainings, depth, kind, draw)
    return {
        "plane": regions.plane(network, WINDOW).pieces,
        "line": regions.segment(network, [-1, 0], [1, 0]).pieces,
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    depths = tuple(depth for depth in config.depths if config.neurons // depth >= 2)
    sawtooth = lab.sweep("sawtooth", of_sawtooth, level=config.levels)
    trainings = lab.cached(
        "trainings",
        lambda: {
            str(depth): trained(
                config, depth, jax.random.split(lab.key("trainings", depth=depth), config.draws)
            )
            for depth in depths
        },
    )
    axes = {"depth": depths, "kind": KINDS, "draw": range(config.draws)}
    pieces = lab.sweep("pieces", partial(counted, trainings), **axes)
    hidden = [widths(config.neurons, depth)[:-1] for depth in depths]
    least, most = (
        xr.DataArray([float(bound(one)) for one in hidden], {"depth": list(depths)}, ("depth",))
        for bound in (regions.lower_bound, regions.upper_bound)
    )
    lab.figure(
        "pieces",
        draw_pieces(sawtooth, pieces, least, most),
        "Left: pieces of the sawtooth by its neurons, and of networks of one hidden layer. Right: linear "
        f"regions of networks of {config.neurons} neurons in a square by depth; some weights reach at least "
        "the dashed number, none more than the dotted one.",
    )
    lab.figure(
        "regions",
        draw_regions(trainings, depths),
        "Linear regions of the first network of the smallest and the largest depth, random and trained, in "
        "colors of their gradients' directions.",
    )
    words = ", ".join(f"{trainings[str(depth)]['loss'].mean():.2g} (depth {depth})" for depth in depths)
    lab.note(f"Mean squared errors of the trained networks, of a function of mean square 1/4: {words}.")
    shallow = pieces.line.sel(depth=1) if 1 in depths else None
    deep = [depth for depth in depths if depth > 1]
    shares = (pieces.plane / most).max(("kind", "draw"))
    return [
        Claim(
            "The sawtooth of L hidden layers of two neurons has 2^L linear pieces on [0, 1]: counted over "
            "2^L.",
            equal_to(1, tolerance=0, source="Telgarsky 2015: lemma on compositions of sawtooth functions"),
            [
                exact(float(count) / 2.0**level, at={"level": level})
                for level, count in zip(config.levels, sawtooth.pieces.values)
            ],
        ),
        Claim(
            "One hidden layer needs 2^L - 1 neurons for as many pieces, and with one more it is the same "
            "function: neurons beyond 2^L - 1 of the network that is.",
            between(0, 1, source="n neurons of one hidden layer bend at n places"),
            [
                exact(float(count - 2**level + 1) if same else np.inf, at={"level": level})
                for level, count, same in zip(
                    config.levels, sawtooth.shallow_neurons.values, sawtooth.same.values
                )
            ],
        ),
        Claim(
            "Networks of one hidden layer have at most one piece more than neurons along a line: how many "
            "more at most.",
            at_most(1, source="n neurons of one hidden layer bend at n places"),
            None if shallow is None else exact(float(shallow.max()) - config.neurons),
            Need("networks of one hidden layer", shallow is not None, "take 1 among --depths"),
        ),
        Claim(
            "No network has more regions than its architecture allows: counted over the upper bound.",
            at_most(1, source="Zaslavsky 1975 for each layer; Montúfar 2017"),
            [exact(shares.sel(depth=depth), at={"depth": depth}) for depth in depths],
        ),
        Claim(
            "Random and trained networks stay far below what depth allows: regions that some weights reach, "
            "over theirs.",
            at_least(50, unit="times", source="Montúfar et al. 2014, theorem 5; the factor is ours"),
            mean(least.sel(depth=deep) / pieces.plane.sel(depth=deep), over="draw") if deep else None,
            Need("networks of two hidden layers or more", bool(deep), "take more --depths"),
        ),
    ]  # fmt: skip


def draw_pieces(sawtooth: xr.Dataset, pieces: xr.Dataset, least: xr.DataArray, most: xr.DataArray) -> Figure:
    figure, ((left, right),) = plots.canvas(2, size=(5, 4))
    left.plot(sawtooth.neurons, sawtooth.pieces, "o-", ms=4, label="sawtooth, L layers of 2 neurons")
    neurons = np.geomspace(2, float(sawtooth.neurons.max()), 50)
    left.plot(neurons, neurons + 1, "--", label="most for one hidden layer")
    left.set(yscale="log", xlabel="neurons", ylabel="pieces on [0, 1]")
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    beside = {"reached by some weights": least, "bound for all weights": most}
    values = pieces.plane.rename("linear regions")
    labels = {"xlabel": "hidden layers", "log": "xy"}
    plots.panel(
        values, x="depth", hue="kind", over="draw", spread="band", beside=beside, axes=right, **labels
    )
    return figure


def draw_regions(trainings: dict[str, Any], depths: tuple[int, ...]) -> Figure:
    shown = (min(depths), max(depths))
    figure, grid = plots.canvas(2, 2, size=(4, 4))
    for row, kind in zip(grid, KINDS):
        for ax, depth in zip(row, shown):
            found = regions.plane(network_of(trainings, depth, kind, 0), WINDOW)
            x, y = found.gradients[..., 0].T
            collection = PolyCollection(regions.polygons(found), lw=0.3, edgecolors="white", cmap="twilight")
            collection.set_array(np.arctan2(y, x))
            collection.set_clim(-np.pi, np.pi)
            ax.add_collection(collection)
            ax.set(xlim=WINDOW[0], ylim=WINDOW[1], aspect="equal", xticks=(), yticks=())
            ax.set_title(f"{kind}, depth {depth}: {found.pieces:,} regions", fontsize=10)
    return figure
