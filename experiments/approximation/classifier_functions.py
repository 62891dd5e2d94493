"""Networks of fixed depth approximate classifiers at the best rate that the smoothness of boundaries allows.

Lecture: approximation, "Theory of deep learning": classifier functions (Petersen).
Source: P. Petersen and F. Voigtlaender, Optimal approximation of piecewise smooth functions using deep ReLU
neural networks, Neural Networks 108, 2018.

The functions are horizon functions 1[x_1 + γ(x_2) ≥ 0] on the unit square. The network interpolates the
boundary γ linearly at n + 1 knots and has a ramp where the function jumps; its squared L² error has a closed
form across the boundary and is averaged along it. Boundaries of smoothness 1/2 and 3/2 are equally rough
everywhere, so that their rates are those of the worst case; those of smoothness 2 are smooth. Lipschitz ones
are left out: one fixed boundary that is Lipschitz is approximated faster than its class. Beside the
constructions stand networks of the same wiring whose weights are trained.
The full form takes about five minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.approximation import cartoon, relu
from jaxtheory.lab import Claim, Lab, Range, at_most, below, equal_to, exact, experiment, mean, plots

SMOOTHNESS = (0.5, 1.5, 2.0)
PETERSEN = "Petersen and Voigtlaender 2018: β / (2 (d - 1)) with d = 2"
DEPTH = "Petersen and Voigtlaender 2018, abstract: a fixed number of layers"
TERMS = {0.5: 32, 1.5: 32, 2.0: 3}
"""The numbers of terms of the series: many for what is rough, three for what is smooth."""
HEIGHT = 0.4
"""The largest height of a boundary, which stays within the square."""
RAMP = 0.01
"""The ramp's width, over n^-β."""
FIRST_RAMP = 0.3
"""The ramp's width before training."""
SHOWN = 12
"""The number of pieces of the networks that are shown."""


@dataclass(frozen=True)
class Config:
    pieces: Annotated[tuple[int, ...], Range(2)] = (67, 131, 257, 521, 1031, 2053, 4099)
    """The numbers of pieces of the boundaries; primes are in step with no oscillation."""
    draws: Annotated[int, Range(2)] = 6
    """The number of boundaries of each smoothness."""
    rows: Annotated[int, Range(16)] = 2**18
    """The number of points along a boundary at which the error is evaluated."""
    trained: Annotated[tuple[int, ...], Range(2)] = (4, 8, 16, 32, 64)
    """The numbers of pieces of the boundaries of trained networks."""
    steps: Annotated[int, Range(1)] = 5000
    """The number of training steps."""
    batch: Annotated[int, Range(1)] = 1024
    """The number of fresh points in each training step."""
    rate: Annotated[float, Range(0, open=True)] = 0.01
    """Adam's rate at the start, from which it falls to zero."""


QUICK = Config(pieces=(67, 257, 1031), rows=2**15, trained=(8,), steps=200, batch=256)


def heights(x: Any, phases: Any, smoothness: Any) -> jax.Array:
    """The boundary γ at points."""
    return HEIGHT * cartoon.weierstrass(x, phases, smoothness)


def phases_of(key: jax.Array, smoothness: float) -> np.ndarray:
    """The phases of a random boundary."""
    return np.asarray(jax.random.uniform(key, (TERMS[smoothness],), minval=0, maxval=2 * np.pi))


def along(number: int) -> np.ndarray:
    """Points in the middle of equal parts of the boundary."""
    return (np.arange(number) + 0.5) / number - 0.5


def constructed(smoothness: float, pieces: int, phases: np.ndarray) -> relu.Network:
    """The network: the boundary's linear interpolant at equal steps, and a ramp."""
    knots = np.linspace(-0.5, 0.5, pieces + 1)
    with jax.enable_x64(True):
        values = np.asarray(heights(knots, phases, smoothness))
    return relu.horizon(relu.interpolant(knots, values), width=RAMP * pieces**-smoothness)


def of_construction(rows: int, smoothness: float, pieces: int, key: jax.Array) -> dict[str, float]:
    """The L² error of a construction, what is certified of it, its size, and how far it is from its form."""
    phases, width = phases_of(key, smoothness), RAMP * pieces**-smoothness
    network = constructed(smoothness, pieces, phases)
    x, knots = along(rows), np.linspace(-0.5, 0.5, pieces + 1)
    with jax.enable_x64(True):
        both = np.asarray(heights(np.concatenate([knots, x]), phases, smoothness))
        approximate = np.interp(x, knots, both[: pieces + 1])
        gap = both[pieces + 1 :] - approximate
        squared = np.asarray(cartoon.jump_error(gap, width)).mean()
        # The network itself, across the ramp at some of the points, where it changes fastest.
        some = slice(None, None, rows // 16)
        across = width * np.linspace(-1, 2, 7)[:, None]
        points = np.stack(np.broadcast_arrays(across - approximate[some], x[some]), -1)
        outputs = np.asarray(relu.apply(network, points))[..., 0]
    size = relu.size(network)
    return {
        "error": np.sqrt(squared),
        "certified": np.sqrt(np.abs(gap).mean() + width),
        "layers": size.layers,
        "weights": size.weights,
        "difference": np.abs(outputs - np.clip(across / width, 0, 1)).max(),
    }


@partial(jax.jit, static_argnames=("pieces", "steps", "batch"))
def fit(
    keys: jax.Array, phases: jax.Array, smoothness: Any, rate: Any, *, pieces: int, steps: int, batch: int
) -> Any:
    """The parameters of networks of the same wiring, trained on the boundaries of all rows of phases."""
    optimizer = optax.adam(optax.cosine_decay_schedule(1.0, steps))

    def loss(params: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        outputs = jnp.clip((x[:, 0] + boundary(params, x[:, 1])) / jnp.exp(params["log_width"]), 0, 1)
        return jnp.mean((outputs - labels) ** 2)

    def one(key: jax.Array, phases: jax.Array) -> Any:
        start, points = jax.random.split(key)
        bends = jax.random.uniform(start, (pieces,), minval=-0.5, maxval=0.5)
        params = {
            "slope": jnp.ones(pieces),
            "bias": -bends,
            "bend": jnp.zeros(pieces),
            "height": jnp.zeros(()),
            "log_width": jnp.log(FIRST_RAMP),
        }

        def step(carry: Any, place: jax.Array) -> tuple[Any, None]:
            params, state = carry
            x = jax.random.uniform(jax.random.fold_in(points, place), (batch, 2), minval=-0.5, maxval=0.5)
            labels = x[:, 0] + heights(x[:, 1], phases, smoothness) >= 0
            updates, state = optimizer.update(jax.grad(loss)(params, x, labels), state)
            return (optax.apply_updates(params, jax.tree.map(lambda u: rate * u, updates)), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(steps))[0][0]

    return jax.vmap(one)(keys, phases)


def boundary(params: Any, x: Any) -> Any:
    """The boundary of a trained network, with one hidden layer."""
    hidden = jnp.maximum(x[..., None] * params["slope"] + params["bias"], 0)
    return hidden @ params["bend"] + params["height"]


def of_training(config: Config, smoothness: float, pieces: int, key: jax.Array) -> dict[str, np.ndarray]:
    """The L² errors of trained networks, one for each key, and their numbers of weights."""
    phases = np.stack([phases_of(one, smoothness) for one in key])
    options = {"pieces": pieces, "steps": config.steps, "batch": config.batch}
    params = fit(key, jnp.asarray(phases), smoothness, config.rate, **options)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    x, errors = along(min(config.rows, 2**14)), []
    for draw in range(len(key)):
        one = jax.tree.map(lambda leaf, draw=draw: leaf[draw], params)
        with jax.enable_x64(True):
            gap = heights(x, phases[draw], smoothness) - boundary(one, x)
            errors.append(float(jnp.sqrt(cartoon.jump_error(gap, np.exp(one["log_width"])).mean())))
    weights = relu.size(constructed(smoothness, pieces, phases[0])).weights
    return {"error": np.array(errors), "weights": np.full(len(key), weights)}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    axes = {"smoothness": SMOOTHNESS, "draw": range(config.draws), "common": "pieces", "stream": "boundaries"}
    made = lab.sweep("constructions", partial(of_construction, config.rows), pieces=config.pieces, **axes)
    trained = lab.sweep(
        "trainings", partial(of_training, config), pieces=config.trained, together="draw", **axes
    )
    # The same boundaries, at the sizes of the trained networks.
    small = lab.sweep("small", partial(of_construction, config.rows), pieces=config.trained, **axes)
    weights = np.log(made.weights.isel(draw=0, smoothness=0, drop=True).values.astype(float))
    fitted = np.log(made.error).assign_coords(pieces=weights).polyfit("pieces", 1)
    rates = -fitted["polyfit_coefficients"].sel(degree=1, drop=True)
    expected = xr.DataArray(np.array(SMOOTHNESS) / 2, {"smoothness": list(SMOOTHNESS)}, ("smoothness",))
    lab.figure(
        "error_by_weights",
        draw_errors(made, trained, expected),
        "L² error by the number of nonzero weights: constructions (filled), and networks of the same wiring "
        "that were trained (hollow). Dashed: the rates of the theorem.",
    )
    lab.figure(
        "boundaries",
        draw_boundaries(lab),
        "A horizon function of each smoothness, exact in each row, and its network of few pieces.",
    )
    behind = (trained.error / small.error).isel(pieces=-1).mean("draw")
    words = ", ".join(f"{ratio:.3g} (β = {beta})" for beta, ratio in zip(SMOOTHNESS, behind.values))
    lab.note(f"Errors of the largest trained networks over those of constructions of their size: {words}.")
    least, most = made.layers.min(), made.layers.max()
    return [
        Claim(
            "The L² error falls like the number of nonzero weights to the power -β/2: measured exponent less "
            "β/2.",
            equal_to(0, tolerance=0.03, source=f"{PETERSEN}; the tolerance is ours"),
            mean(rates - expected, over="draw"),
        ),
        Claim(
            "The depth is the same at every accuracy: affine maps of all networks.",
            equal_to(3, tolerance=0, source=DEPTH, looked_up=True),
            [exact(one, at={"of": name}) for name, one in (("the least", least), ("the most", most))],
        ),
        Claim(
            "No error exceeds what is certified, (∫ |γ - γ~| + δ)^(1/2): the largest ratio.",
            at_most(1, source="the ramp's integral; this project's bound"),
            exact(float((made.error / made.certified).max())),
        ),
        Claim(
            "Networks compute what the closed form of their error assumes: the largest difference on ramps.",
            below(1e-3, source="rounding over the narrowest ramp"),
            exact(float(made.difference.max())),
        ),
    ]  # fmt: skip


def draw_errors(made: xr.Dataset, trained: xr.Dataset, expected: xr.DataArray) -> Figure:
    figure, ((ax,),) = plots.canvas(1, size=(6, 4.5))
    for beta, color in plots.colors_of(SMOOTHNESS).items():
        for sweep, look in ((made, {"marker": "o"}), (trained, {"marker": "s", "mfc": "none", "ls": ":"})):
            one = sweep.sel(smoothness=beta)
            label = f"β = {beta:g}" if sweep is made else None
            weights = one.weights.isel(draw=0)
            ax.plot(weights, one.error.mean("draw"), color=color, ms=5, label=label, **look)
        one = made.sel(smoothness=beta).isel(draw=0)
        rate, ends = float(expected.sel(smoothness=beta)), one.weights.values[[0, -1]]
        line = 0.7 * one.error.values[0] * (ends / ends[0]) ** -rate
        ax.plot(ends, line, "--", color=color, lw=1)
        ax.text(ends[-1], 0.8 * line[-1], f"rate {rate:g}", color=color, ha="right", va="top", fontsize=8)
    ax.set(xscale="log", yscale="log", xlabel="nonzero weights", ylabel="L² error")
    ax.legend(fontsize=8)
    ax.grid(alpha=0.3)
    return figure


def draw_boundaries(lab: Lab) -> Figure:
    figure, grid = plots.canvas(len(SMOOTHNESS), 2, size=(3, 3))
    ends = np.linspace(-0.5, 0.5, 257)
    for column, beta in zip(grid.T, SMOOTHNESS):
        phases = phases_of(lab.key("boundaries", smoothness=beta, draw=0), beta)
        exact_heights = np.asarray(heights(np.float32(ends), np.float32(phases), beta))
        knots = np.linspace(-0.5, 0.5, SHOWN + 1)
        values = np.asarray(heights(np.float32(knots), np.float32(phases), beta))
        pictures = (exact_heights, np.interp(ends, knots, values))
        for ax, picture, title in zip(column, pictures, (f"β = {beta:g}", f"{SHOWN} pieces")):
            image = np.asarray(cartoon.horizon_image(np.float32(picture), 256))
            ax.imshow(image.T, cmap="gray", origin="lower", extent=(-0.5, 0.5, -0.5, 0.5))
            ax.set_title(title, fontsize=10)
            ax.set(xticks=(), yticks=())
    return figure
