"""Errors peak where features are as many as examples, and fall again below what fewer features reach.

Lecture: generalization, "Over-parametric models: double descent".
Source: Belkin, Hsu, Ma and Mandal, Reconciling modern machine-learning practice and the classical
bias-variance trade-off, PNAS 116(32), 2019.

The first N random Fourier features of n digits are fitted to one-hot labels by least squares of minimum norm,
for N from n/20 to 8n, in double precision: with true labels, and with a share of them replaced by other ones.
Errors are those of digits that took no part, with their true labels. Beside them are the interpolant of
minimum norm of the kernel itself, ridge regression whose penalty is chosen by five-fold cross-validation, and
networks of one hidden layer, trained by gradients on digits of 14 x 14 pixels with noisy labels; there the
number of weights is compared with that of the values to fit, ten for each digit. Each draw has digits, noise
and features of its own. The full form takes about twenty minutes on two cores, most of it for 4,000 digits.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    above,
    at_most,
    below,
    between,
    experiment,
    mean,
    plots,
)
from jaxtheory.networks import training
from jaxtheory.statistics import kernel_regression, random_features, validation

RATIOS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Numbers of features over that of digits."""
LABELS = ("true", "noisy")
AROUND = (0.8, 0.9, 1.0, 1.1, 1.2)
"""The numbers of features over that of digits at which ridge regression should not err more."""
SIDES = (0.5, 2.0)
"""Those with which they are compared."""
FOLDS = 5
ENOUGH = 1000
"""The number of digits from which the limit of many features is compared with the kernel's interpolant."""
SIDE = 14
"""The side of the networks' digits, in pixels."""
WEIGHTS = (0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0)
"""Numbers of a network's weights over that of the values that it is to fit."""
PAPER = "Belkin, Hsu, Ma and Mandal 2019"


@dataclass(frozen=True)
class Config:
    sizes: Annotated[tuple[int, ...], Range(20, 4000)] = (1000, 4000)
    """Numbers n of training digits; ridge regression and networks have the smallest of them."""
    bandwidths: Annotated[tuple[float, ...], Range(0, open=True)] = (5.0, 8.0, 12.0)
    """Bandwidths of the kernel, in pixels from 0 to 1; the claims and the largest n are about the first."""
    noise: Annotated[float, Range(0, 1)] = 0.2
    """Share of the labels that are replaced by other ones, drawn at random."""
    penalties: Annotated[tuple[float, ...], Range(0, open=True)] = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    """Penalties among which ridge regression chooses; features have a mean square of 1/N."""
    steps: Annotated[int, Range(1)] = 10_000
    """Number of steps of Adam that a network takes."""
    batch: Annotated[int, Range(1)] = 100
    """Number of digits in each of its minibatches."""
    draws: Annotated[int, Range(2, 5)] = 5
    """Number of draws, each tested on digits of its own."""


QUICK = Config(sizes=(200,), bandwidths=(5.0, 12.0), steps=2000, batch=50, draws=3)


def drawn(config: Config, lab: Lab, digits: Any, size: int, draw: int) -> dict[str, np.ndarray]:
    """Digits of a draw as rows, with true and noisy labels side by side as one-hot vectors."""
    split = digits.draw(size, lab.rng("digits", draw=draw), fold=draw)
    rng = lab.rng("noise", draw=draw)
    labels = split.train_labels
    others = (labels + rng.integers(1, 10, size)) % 10
    replaced = np.zeros(size, bool)
    replaced[rng.permutation(size)[: round(config.noise * size)]] = True
    noisy = np.where(replaced, others, labels)
    return {
        "images": split.train_images,
        "x": split.train_images.reshape(size, -1).astype(float),
        "y": np.eye(10)[np.stack([labels, noisy], axis=1)].reshape(size, -1),
        "queries": split.test_images.reshape(len(split.test_images), -1).astype(float),
        "test_images": split.test_images,
        "truth": split.test_labels,
    }


def judged(values: Any, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Errors in percent and squared errors of values (queries, ..., 20): for true and for noisy labels."""
    values = np.moveaxis(np.asarray(values).reshape(*values.shape[:-1], len(LABELS), 10), 0, -2)
    return {
        "error": 100 * np.mean(values.argmax(axis=-1) != truth, axis=-1),
        "squared": ((values - np.eye(10)[truth]) ** 2).sum(axis=-1).mean(axis=-1),
    }


def descent(config: Config, lab: Lab, digits: Any, size: int, bandwidth: float, draw: int) -> dict[str, Any]:
    """Errors and norms for every number of features, and the errors of the kernel's interpolant."""
    data = drawn(config, lab, digits, size, draw)
    with jax.enable_x64(True):
        numbers = tuple(round(ratio * size) for ratio in RATIOS)
        made = random_features.fourier(
            lab.key("features", draw=draw), data["x"].shape[1], numbers[-1], bandwidth=bandwidth
        )
        path = random_features.minimum_norm_path(random_features.apply(made, data["x"]), data["y"], numbers)
        tests = random_features.apply(made, data["queries"])
        values = jnp.tensordot(tests, path.coefficients, (1, 1), precision="highest")
        kernel = kernel_regression.gaussian(bandwidth)
        limit = kernel_regression.predict(
            kernel_regression.interpolate(kernel, data["x"], data["y"]), data["queries"]
        )
        norms = np.linalg.norm(np.asarray(path.norms).reshape(len(RATIOS), len(LABELS), 10), axis=-1)
    limits = {f"limit {name}": one for name, one in judged(limit, data["truth"]).items()}
    return (
        judged(values, data["truth"]) | limits | {"norm": norms, "residual": np.asarray(path.residual).max()}
    )


def ridge(config: Config, lab: Lab, digits: Any, draw: int) -> dict[str, Any]:
    """Errors with noisy labels and the penalty that cross-validation chooses, for numbers of features."""
    size = min(config.sizes)
    data = drawn(config, lab, digits, size, draw)
    key, ratios = lab.key("features", draw=draw), (*AROUND, *SIDES)
    found = []
    with jax.enable_x64(True):
        most = round(max(ratios) * size)
        made = random_features.fourier(key, data["x"].shape[1], most, bandwidth=config.bandwidths[0])
        features, tests = (random_features.apply(made, data[name]) for name in ("x", "queries"))
        y, penalties = jnp.asarray(data["y"][:, 10:]), jnp.asarray(config.penalties)
        for ratio in ratios:
            number = round(ratio * size)
            # Features beyond the number are zero, so that one program serves for all of them.
            some = jnp.where(jnp.arange(most) < number, features, 0) / np.sqrt(number)
            losses = partial(held_out, some, y, penalties)
            chosen = validation.cross_validate(losses, size, lab.key("folds", draw=draw), folds=FOLDS).best
            fitted = random_features.ridge_path(some, y, penalties).coefficients[chosen]
            found.append(np.asarray(tests @ fitted) / np.sqrt(number))
    wrong = [np.mean(values.argmax(axis=-1) != data["truth"]) for values in found]
    return {"error": 100 * np.array(wrong)}


@jax.jit
def held_out(features: Any, y: Any, penalties: Any, training: Any, held: Any) -> Any:
    """Squared errors on digits held out, for every penalty; rows of zeros take no part in a fit."""
    path = random_features.ridge_path(features * training[:, None], y * training[:, None], penalties)
    values = jnp.einsum("hf,pfo->hpo", features[held], path.coefficients, precision="highest")
    return jnp.sum((values - y[held, None]) ** 2, axis=-1)


def widths(config: Config) -> list[int]:
    """Numbers of hidden units, by the number of weights over that of the values to fit."""
    values = 10 * min(config.sizes)
    return [max(1, round((ratio * values - 10) / (SIDE**2 + 11))) for ratio in WEIGHTS]


def outputs(params: Any, x: Any) -> Any:
    return jax.nn.relu(x @ params["in"] + params["bias"]) @ params["out"] + params["shift"]


def squared_loss(params: Any, batch: Any) -> Any:
    x, y = batch
    return jnp.mean(jnp.sum((outputs(params, x) - y) ** 2, axis=-1))


OBJECTIVE, OPTIMIZER = training.stateless(squared_loss), optax.adam(1e-3)


@partial(jax.jit, static_argnames=("steps", "batch"))
def trained(key: Any, units: Any, data: Any, *, steps: int, batch: int) -> Any:
    """Networks of several widths in one program: units beyond a width have no weights, and get none."""
    most = units.shape[1]
    of_in, of_out, of_order = jax.random.split(key, 3)

    def one(taking: Any) -> Any:
        params = {
            "in": jax.random.normal(of_in, (SIDE**2, most)) * np.sqrt(2) / SIDE * taking,
            "bias": jnp.zeros(most),
            "out": jax.random.normal(of_out, (most, 10)) * taking[:, None] / jnp.sqrt(taking.sum()),
            "shift": jnp.zeros(10),
        }
        start = training.init(params, of_order, optimizer=OPTIMIZER)
        options = {"objective": OBJECTIVE, "optimizer": OPTIMIZER, "steps": steps, "batch": batch}
        return training.run(start, data, **options)[0].params

    return jax.vmap(one)(units)


def networks(config: Config, lab: Lab, digits: Any, draw: int) -> dict[str, Any]:
    """Errors of trained networks by width, on digits that took part and on others."""
    data = drawn(config, lab, digits, min(config.sizes), draw)
    block = mnist.SIDE // SIDE
    x, queries = (
        images.reshape(-1, SIDE, block, SIDE, block).mean((2, 4)).reshape(len(images), -1)
        for images in (data["images"], data["test_images"])
    )
    y = np.float32(data["y"][:, 10:])
    units = np.float32(np.arange(max(widths(config))) < np.array(widths(config))[:, None])
    options = {"steps": config.steps, "batch": min(config.batch, len(x))}
    params = trained(lab.key("network", draw=draw), units, (x, y), **options)
    test = jax.vmap(lambda one: squared_loss(one, (queries, jnp.eye(10)[data["truth"]])))(params)
    train = jax.vmap(lambda one: squared_loss(one, (x, y)))(params)
    return {"test": np.asarray(test), "train": np.asarray(train)}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    first, smallest = config.bandwidths[0], min(config.sizes)
    points = [
        {"size": size, "bandwidth": bandwidth, "draw": draw}
        for size in config.sizes
        for bandwidth in config.bandwidths
        for draw in range(config.draws)
        if size == smallest or bandwidth == first
    ]
    dims = dict.fromkeys(("error", "squared", "norm"), ("ratio", "labels"))
    dims |= {"limit error": ("labels",), "limit squared": ("labels",)}
    found = lab.sweep("features", partial(descent, config, lab, digits), points=points, dims=dims)
    found = found.assign_coords(ratio=list(RATIOS), labels=list(LABELS))
    draws = {"draw": range(config.draws)}
    ridges = lab.sweep("ridge", partial(ridge, config, lab, digits), dims={"error": ("ratio",)}, **draws)
    ridges = ridges.assign_coords(ratio=[*AROUND, *SIDES])
    dims = {"test": ("weights",), "train": ("weights",)}
    nets = lab.sweep("networks", partial(networks, config, lab, digits), dims=dims, **draws)
    nets = nets.assign_coords(weights=list(WEIGHTS))
    lab.note(f"The gradient that is left is {float(found.residual.max()):.1e} of that at zero, or less.")
    show(found, ridges, nets, lab)
    return claims(config, found, ridges, nets, digits.shared)


def claims(
    config: Config, found: xr.Dataset, ridges: xr.Dataset, nets: xr.Dataset, shared: float
) -> list[Claim]:
    draws = {"over": "draw", "overlap": shared}
    main = found.sel(bandwidth=config.bandwidths[0])
    peaks = xr.concat(
        [main[name].idxmax("ratio") for name in ("error", "squared", "norm")], "quantity"
    ).transpose("quantity", "size", "labels", "draw")
    peaks = peaks.assign_coords(quantity=["error", "squared", "norm"])
    few, many = (main.error.where(side, drop=True) for side in (main.ratio < 1, main.ratio > 1))
    # The best number is that of the means over draws, and the same in all of them.
    best = [one.sel(ratio=one.mean("draw").idxmin("ratio")).drop_vars("ratio") for one in (few, many)]
    limit = main.error.sel(ratio=max(RATIOS)) - main["limit error"]
    enough = Need(f"{ENOUGH} digits", max(config.sizes) >= ENOUGH, "give --sizes")
    beyond = main.squared.sel(ratio=1.1)
    noise = beyond.sel(labels="noisy") - beyond.sel(labels="true")
    near = nets.test.sel(weights=slice(*SIDES)).mean("weights")
    fits = bool((nets.train.sel(weights=max(WEIGHTS)) < 0.1).all())
    fitted = (
        Need(f"{ENOUGH} digits for the networks", min(config.sizes) >= ENOUGH, "give --sizes"),
        Need("wide networks that fit their labels", fits, "raise --steps"),
    )
    return [
        Claim(
            "Error, squared error and norm of the coefficients are largest where features are as many as "
            "digits: their number over n.",
            between(0.9, 1.1, source=f"{PAPER}: at N = n; the tenth is this project's"),
            mean(peaks, **draws),
        ),
        Claim(
            "The best number of features above n errs less than the best below n, with true labels and with "
            "noisy ones: the difference.",
            below(0, source=f"{PAPER}, on true labels", unit="points"),
            mean(best[1] - best[0], **draws, paired=True),
        ),
        *(
            Claim(
                f"With eight features for each of {ENOUGH} digits or more, the error with {name} labels is "
                "within a point of that of the kernel's interpolant.",
                between(-1, 1, source=f"{PAPER}: it tends to it; the point is this project's", unit="points"),
                mean(limit.sel(labels=name).isel(size=limit["size"].values >= ENOUGH), **draws)
                if enough.met
                else None,
                needs=enough,
            )
            for name in LABELS
        ),
        Claim(
            "Just beyond the peak, at N = 1.1 n, noise in the labels makes the squared error larger, with "
            "the same features: by how much.",
            above(0, source="the variance of least squares near N = n"),
            mean(noise, **draws, paired=True),
        ),
        Claim(
            "With ridge regression, whose penalty is chosen by cross-validation, no number of features "
            "within 20 % of n is worse than both n/2 and 2n: the most standard errors that one is.",
            at_most(2, source="Nakkiran, Venkat, Kakade and Ma 2021, on the best penalty"),
            worst(ridges.error, shared),
        ),
        Claim(
            "One hidden layer trained by gradients peaks as well: its squared error is largest where weights "
            "are as many as values to fit, up to a factor of two: their number over that of the values.",
            between(*SIDES, source=f"{PAPER}: at as many; the factor is this project's"),
            mean(nets.test.idxmax("weights"), **draws),
            needs=fitted,
        ),
        Claim(
            "With eight times as many weights as values to fit it errs less than with half to twice as many, "
            "on average over these: the difference of the squared errors.",
            below(0, source=f"{PAPER}, on networks of one hidden layer"),
            mean(nets.test.sel(weights=max(WEIGHTS)) - near, **draws, paired=True),
            needs=fitted,
        ),
    ]


def worst(errors: xr.DataArray, shared: float) -> Measured:
    """By how many standard errors a number of features near n is worse than both sides, at the most."""
    found = []
    for ratio in AROUND:
        excess = [errors.sel(ratio=ratio, drop=True) - errors.sel(ratio=side, drop=True) for side in SIDES]
        apart = [mean(one, over="draw", overlap=shared)[0] for one in excess]
        found.append(min(float(one.value) / max(float(one.standard_error), 1e-9) for one in apart))
    return Measured(max(found), n=errors.sizes["draw"])


def show(found: xr.Dataset, ridges: xr.Dataset, nets: xr.Dataset, lab: Lab) -> None:
    """The pictures: errors, squared errors and norms by the number of features, and the networks."""
    smallest = found.sel(size=min(found["size"].values))
    marks, over = {"N = n": 1.0}, "features over digits, N/n"
    figure, rows = plots.canvas(3, 2)
    for row, labels in zip(rows, LABELS):
        for axes, name, told in zip(
            row, ("error", "squared", "norm"), ("error (%)", "squared error", "norm of the coefficients")
        ):
            part = smallest[name].sel(labels=labels, drop=True)
            log = "x" if name == "error" else "xy"
            plots.panel(
                part, x="ratio", hue="bandwidth", over="draw", log=log, marks=marks,
                xlabel=over, ylabel=f"{told}, {labels} labels", axes=axes,
            )  # fmt: skip
    lab.figure("descent", figure, "Random Fourier features: errors and norms around N = n.")
    first = found.isel(bandwidth=0)
    figure, (panels,) = plots.canvas(2)
    noisy = first.error.sel(labels="noisy", drop=True)
    limit = first["limit error"].sel(labels="noisy", drop=True).mean("draw")
    plots.panel(
        noisy, x="ratio", hue="size", over="draw", log="x", marks=marks, xlabel=over,
        ylabel="error with noisy labels (%)", axes=panels[0],
        beside={
            "the kernel's interpolant": limit.expand_dims(ratio=noisy.ratio),
            "ridge regression, smallest n": ridges.error.mean("draw").sortby("ratio"),
        },
    )  # fmt: skip
    plots.panel(
        nets.test, x="weights", over="draw", log="xy", marks={"values to fit": 1.0},
        beside={"on the training digits": nets.train.mean("draw")},
        xlabel="weights over values to fit", ylabel="squared error of a network", axes=panels[1],
    )  # fmt: skip
    lab.figure("limits", figure, "Left: what the errors tend to, and ridge regression. Right: networks.")
