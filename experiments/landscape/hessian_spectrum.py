"""The Hessian of a network that learns K classes has a bulk near zero, and K - 1 or K outliers beside it.

Lecture: landscape, "what does the landscape of the empirical risk look like?".
Source: Sagun, Evci, Güney, Dauphin and Bottou, Empirical analysis of the Hessian of over-parametrized neural
networks, 2017; Papyan, Measurements of three-level hierarchical structure in the outliers in the spectrum of
deepnet Hessians, ICML 2019; Ghorbani, Krishnan and Xiao, An investigation into neural net optimization via
Hessian eigenvalue density, ICML 2019.

With cross-entropy K - 1 outliers are expected, as a softmax ignores what all logits have in common; with
squared loss K. They are counted where the ratio of an eigenvalue to the next is largest, among the first 2K,
at the moment when the accuracy on all training digits first passes 95 %; it is looked at every five steps.
All networks have ten outputs, of which those of the K classes enter the loss: the others have no curvature,
so that one program serves all K. The counts depend on the setting: with hidden layers of 64 and 32 units,
tried before, some for K = 2 and 3 were off by one or two, and more of them with the mean image taken off.
The full form takes about fifteen minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure
from scipy import stats

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, at_least, at_most, experiment, mean, plots, proportion
from jaxtheory.landscape import curvature, spectrum
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.mlp import MLP

OUTPUTS = 10
"""The number of outputs of every network."""
MOST = 2 * OUTPUTS + 1
"""The number of eigenvalues that are computed: enough for the ratios of ten classes."""
LOOK = 5
"""The number of training steps between two looks at the accuracy."""
PASSED = 0.95
"""The accuracy on all training digits at which outliers are counted."""
HIDDEN = -1e9
"""The logit of an output that is not used."""
NEAR = 0.01
"""The size, in units of the largest eigenvalue, below which eigenvalues are near zero."""
MOMENTS = ("start", "95 % accuracy", "end")
LOSSES = ("cross-entropy", "squared loss")
NETWORKS: dict[str, tuple[int, float, Callable[..., Any]]] = {
    "MLP": (14, 1e-3, partial(MLP, (14 * 14, 100, 100, OUTPUTS))),
    "CNN": (14, 3e-3, partial(CNN, (14, 14), (8, 16), head=(OUTPUTS,), strides=2, window=1)),
    "small MLP": (7, 3e-3, partial(MLP, (7 * 7, 12, OUTPUTS))),
}
"""The side of the images, Adam's step size and the module of each network."""
PAPYAN = "Papyan 2019: about as many outliers as classes; the bar is this project's"


@dataclass(frozen=True)
class Config:
    networks: tuple[str, ...] = ("MLP", "CNN")
    """The networks whose outliers are counted, of MLP and CNN."""
    classes: Annotated[tuple[int, ...], Range(2, OUTPUTS)] = (2, 3, 4, 5, 6, 7, 8, 9, 10)
    """The numbers of classes: the first digits, 0 and 1, then 2, and so on."""
    draws: Annotated[int, Range(2)] = 3
    """How often digits and starting weights are drawn for each number of classes."""
    digits: Annotated[int, Range(100, 750)] = 700
    """The number of training digits, whatever the number of classes."""
    steps: Annotated[int, Range(LOOK)] = 400
    """The number of training steps, of which accuracy is looked at every fifth."""
    batch: Annotated[int, Range(1, 100)] = 100
    """The number of digits in a minibatch."""
    probes: Annotated[int, Range(2)] = 10
    """The number of random vectors of the spectral density."""
    lanczos_steps: Annotated[int, Range(2, 700)] = 40
    """The number of Lanczos steps of the spectral density."""


QUICK = Config(networks=("MLP",), classes=(3, 10), draws=2, digits=300, steps=150)


class Batch(NamedTuple):
    """Digits, their classes, which outputs are used, and whether the loss is the squared one."""

    x: Any
    y: Any
    used: Any
    squared: Any


@cache
def functions(network: str) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """A network, and its loss and accuracy as functions of parameters and digits."""
    functional = networks.functional(NETWORKS[network][2])
    predict = training.predictor(functional.apply)

    def loss(params: Any, batch: Batch) -> jax.Array:
        outputs = predict(params, batch.x)
        targets = jax.nn.one_hot(batch.y, OUTPUTS, dtype=outputs.dtype)
        errors = training.squared_error(jnp.where(batch.used, outputs, 0), targets)
        entropies = training.cross_entropy(jnp.where(batch.used, outputs, HIDDEN), batch.y)
        return jnp.mean(jnp.where(batch.squared, errors, entropies))

    def accuracy(params: Any, batch: Batch) -> jax.Array:
        outputs = jnp.where(batch.used, predict(params, batch.x), HIDDEN)
        return jnp.mean(training.accuracy(outputs, batch.y))

    return functional, loss, accuracy


def draw(digits: mnist.Digits, config: Config, network: str, classes: int, squared: bool, rng: Any) -> Batch:
    """Training digits of the first classes, their pixels averaged over squares."""
    side = NETWORKS[network][0]
    chosen = rng.permutation(np.flatnonzero(digits.train_labels < classes))[: config.digits]
    if len(chosen) < config.digits:
        raise ValueError(
            f"digits is {config.digits}: take at most {len(chosen)}, as there are of {classes} classes"
        )
    block = mnist.SIDE // side
    x = digits.train_images[chosen].reshape(-1, side, block, side, block).mean((2, 4))
    used = np.broadcast_to(np.arange(OUTPUTS) < classes, (len(x), OUTPUTS))
    return Batch(
        x if network == "CNN" else x.reshape(len(x), -1),
        digits.train_labels[chosen],
        used,
        np.full(len(x), squared),
    )


@partial(jax.jit, static_argnames=("network", "steps", "batch"))
def train(key: jax.Array, data: Batch, *, network: str, steps: int, batch: int) -> tuple[Any, jax.Array]:
    """Parameters at the start, when accuracy first passes 95 % and at the end; accuracies of all looks."""
    functional, loss, accuracy = functions(network)
    first, second = jax.random.split(key)
    params, _ = functional.init(first)
    options = {"objective": training.stateless(loss), "optimizer": optax.adam(NETWORKS[network][1])}

    def look(carry: Any, _: None) -> tuple[Any, jax.Array]:
        state, kept, passed = carry
        state, _ = training.run(state, data, steps=LOOK, batch=batch, **options)
        reached = accuracy(state.params, data)
        kept = jax.tree.map(lambda new, old: jnp.where(passed, old, new), state.params, kept)
        return (state, kept, passed | (reached > PASSED)), reached

    start = training.init(params, second, optimizer=options["optimizer"])
    (state, kept, _), accuracies = jax.lax.scan(look, (start, params, False), length=steps // LOOK)
    return (params, kept, state.params), accuracies


def outliers(values: np.ndarray, classes: int) -> int:
    """The place of the largest ratio of an eigenvalue to the next, among the first `2 * classes`."""
    # What is not positive does not count as a neighbor.
    following = np.maximum(values[1 : 2 * classes + 1], 1e-6 * values[0])
    return int(np.argmax(values[: 2 * classes] / following)) + 1


def counted(
    digits: mnist.Digits, config: Config, network: str, loss: str, classes: int, key: Any, rng: Any
) -> dict[str, Any]:
    """Leading eigenvalues and numbers of outliers at the three moments, and when the second one was."""
    data = draw(digits, config, network, classes, loss == "squared loss", rng)
    found, accuracies = train(key, data, network=network, steps=config.steps, batch=config.batch)
    batches = jax.tree.map(lambda leaf: leaf[None], data)
    values = []
    for params in found:
        operator = curvature.hessian(functions(network)[1], params, batches)
        top = spectrum.top_eigenpairs(operator, MOST, jax.random.fold_in(key, 1), tolerance=1e-4)
        values.append(np.asarray(top.values))
    passed = np.flatnonzero(np.asarray(accuracies) > PASSED)
    return {
        "values": np.array(values),
        "outliers": np.array([outliers(one, classes) for one in values]),
        "step": float(LOOK * (passed[0] + 1)) if passed.size else np.nan,
        "accuracy": float(accuracies[-1]),
    }


def compared(digits: mnist.Digits, config: Config, key: Any, rng: Any) -> dict[str, Any]:
    """The density of a small network's Hessian against the eigenvalues of the dense one."""
    network = "small MLP"
    data = draw(digits, config, network, OUTPUTS, False, rng)
    (_, params, _), _ = train(key, data, network=network, steps=config.steps, batch=config.batch)
    flat, back = ravel_pytree(params)
    loss = functions(network)[1]
    dense = jax.jit(jax.hessian(lambda flat, data: loss(back(flat), data)))(flat, data)
    exact = np.linalg.eigvalsh(np.asarray(dense, float))
    operator = curvature.hessian(loss, params, jax.tree.map(lambda leaf: leaf[None], data))
    options = {"probes": config.probes, "steps": config.lanczos_steps, "width": 0.01 * exact[-1]}
    density = spectrum.density(operator, jax.random.fold_in(key, 1), **options)
    nodes, weights = np.ravel(density.nodes), np.ravel(density.weights)
    distance = stats.wasserstein_distance(nodes, exact, weights, None)
    return {
        "distance": 100 * distance / exact[-1],
        "to_mean": 100 * distance / np.abs(exact).mean(),
        "near": 100 * np.mean(np.abs(exact) < NEAR * exact[-1]),
        "exact": exact,
        "grid": np.asarray(density.grid),
        "density": np.asarray(density.density),
        "error": np.asarray(density.standard_error),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if unknown := set(config.networks) - {"MLP", "CNN"}:
        raise ValueError(f"networks holds {min(unknown)!r}: take of MLP and CNN")
    digits = lab.load(mnist)
    found = lab.sweep(
        "outliers", partial(counted, digits, config), network=config.networks, loss=LOSSES,
        classes=config.classes, draw=range(config.draws), common=("loss",),
        dims={"values": ("moment", "rank"), "outliers": ("moment",), "step": (), "accuracy": ()},
    ).assign_coords(moment=list(MOMENTS), rank=range(1, MOST + 1))  # fmt: skip
    small = lab.sweep(
        "density", partial(compared, digits, config), draw=range(config.draws),
        dims={"exact": ("eigenvalue",)} | dict.fromkeys(("grid", "density", "error"), ("point",)),
    )  # fmt: skip
    expected = found.classes - xr.DataArray([1, 0], {"loss": list(LOSSES)}, "loss")
    missed = (found.outliers - expected).transpose("network", "loss", "moment", "classes", "draw")
    notes(found, missed, small, lab)
    figures(config, found, missed, small, lab)
    passing = missed.sel(moment=MOMENTS[1]).where(np.isfinite(found.step))
    return [
        *count_claims(passing, "MLP", LOSSES[0], 90),
        *count_claims(passing, "CNN", LOSSES[0], 90),
        *count_claims(passing, "MLP", LOSSES[1], 75),
        Claim(
            "Ten probes and forty Lanczos steps give the spectrum of a network of 730 parameters within "
            "0.5 % of its largest eigenvalue, in Wasserstein distance to that of the dense Hessian.",
            at_most(0.5, unit="% of λ₁", source="this project's bar; Ghorbani et al. 2019 for the method"),
            mean(small.distance, over="draw"),
        ),
        Claim(
            "The bulk is near zero: most of its eigenvalues are below a hundredth of the largest in size.",
            at_least(
                50,
                unit="%",
                source="Sagun et al. 2017, abstract; what counts as near is ours",
                looked_up=True,
            ),
            mean(small.near, over="draw"),
        ),
    ]


def count_claims(missed: xr.DataArray, network: str, loss: str, bar: int) -> list[Claim]:
    """The claims on the numbers of outliers of a network with a loss, when it passes 95 %."""
    number = {"cross-entropy": "K - 1", "squared loss": "K"}[loss]
    present = network in missed.network
    need = Need(f"the {network}", present, f"take {network} among --networks")
    shares: list[Any] = [None, None]
    if present:
        off = np.abs(missed.sel(network=network, loss=loss).values)
        # Where 95 % is never reached there is NaN, which is within no bound.
        shares = [proportion((off <= most).sum(), off.size, of="pairs") for most in (0, 1)]
    where = f"{network}, {loss}: "
    return [
        Claim(
            f"{where}the number of outliers is {number} for most pairs of K and draw.",
            at_least(bar, unit="%", source=PAPYAN),
            shares[0],
            need,
        ),
        Claim(
            f"{where}it is within one of {number} for all.",
            at_least(100, unit="%", source=PAPYAN),
            shares[1],
            need,
        ),
    ]


def notes(found: xr.Dataset, missed: xr.DataArray, small: xr.Dataset, lab: Lab) -> None:
    """Notes for the findings, on what the claims do not say."""
    for network in found.network.values:
        for loss in LOSSES:
            off = missed.sel(network=network, loss=loss)
            right = [f"{int((off.sel(moment=one) == 0).sum())} ({one})" for one in MOMENTS]
            worst = int(np.abs(off.sel(moment=MOMENTS[1])).max())
            step = found.step.sel(network=network, loss=loss)
            lab.note(
                f"{network}, {loss}: of {off[0].size} counts as expected are {', '.join(right)}; at 95 % "
                f"they are off by at most {worst}. It is passed after {float(step.min()):.0f} to "
                f"{float(step.max()):.0f} steps; {int(np.isnan(step).sum())} trainings never pass it."
            )
    lab.note(
        "Over the mean absolute eigenvalue, the distance of the densities is "
        f"{float(small.to_mean.mean()):.0f} %."
    )


def figures(config: Config, found: xr.Dataset, missed: xr.DataArray, small: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    most = max(config.classes)
    at = found["values"].sel(classes=most, moment=MOMENTS[1])
    relative = (at / at.isel(rank=0)).clip(1e-4).rename("eigenvalue / largest")
    marks = {f"K - 1 = {most - 1}": most - 0.5, f"K = {most}": most + 0.5}
    options = {"hue": "loss", "col": "network", "over": "draw"}
    lab.figure(
        "leading_eigenvalues",
        plots.panel(relative, x="rank", log="y", spread="each", marks=marks, **options),
        f"The leading eigenvalues for {most} classes, when training accuracy passes 95 %. The lines stand "
        "behind the last outlier that is expected.",
    )
    figure, grid = plots.canvas(3, len(missed.network), size=(3.6, 2.9), share="xy")
    for row, network in zip(grid, missed.network.values):
        for ax, moment in zip(row, MOMENTS):
            part = missed.sel(network=network, moment=moment).rename("counted less expected")
            plots.panel(part, x="classes", hue="loss", over="draw", spread="each", axes=[ax])
            ax.set_title(f"{network}, {moment}", fontsize=10)
            ax.label_outer()
    lab.figure(
        "counts", figure, "Outliers counted less those expected, K - 1 or K, in the course of training."
    )
    lab.figure(
        "density",
        plot_density(small.isel(draw=0)),
        "The smoothed density of a small network's Hessian, with two standard errors over the probes, "
        "against the dense Hessian's eigenvalues, smoothed alike.",
    )


def plot_density(one: xr.Dataset) -> Figure:
    """The density of one draw with that of the dense Hessian."""
    figure, ((ax,),) = plots.canvas(size=(6.5, 3.8))
    grid, exact = one.grid.values, one.exact.values
    smooth = stats.norm.pdf(grid[:, None], exact, 0.01 * exact[-1]).mean(1)
    ax.plot(grid, smooth, color="black", lw=1, ls="--", label="dense Hessian")
    ax.plot(grid, one.density, color=plots.PALETTE[0], label="Lanczos quadrature")
    low, high = (one.density.values + sign * 2 * one.error.values for sign in (-1, 1))
    ax.fill_between(grid, np.maximum(low, 1e-12), high, color=plots.PALETTE[0], alpha=0.25, lw=0)
    # One eigenvalue, smoothed, is the least that there is to see.
    least = 0.1 * stats.norm.pdf(0) / (0.01 * exact[-1] * len(exact))
    ax.set(xlabel="eigenvalue", ylabel="density", yscale="log", ylim=(least, 3 * smooth.max()))
    ax.plot(exact[-OUTPUTS:], np.full(OUTPUTS, 1.3 * least), "|", color="black", ms=8, label="largest ten")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure
