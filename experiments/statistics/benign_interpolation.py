"""Interpolation of noisy labels harms some rules much less than others, though each fits all the noise.

Lecture: statistics, "How can deep learning generalize well without overfitting the noise?".
Source: M. Belkin, S. Ma and S. Mandal, To understand deep learning we need to understand kernel learning,
ICML 2018; N. Mallinar et al., Benign, tempered, or catastrophic: a taxonomy of overfitting, NeurIPS 2022.

A share of the training labels, 0 to 40 %, is replaced by another class each, drawn at random; test labels
are true. The excess error is the test error less that of the same rule with true labels. Rules are the
nearest neighbor, minimum-norm interpolation with several kernels (in double precision, of one-hot labels),
the singular kernel of Hilbert with several exponents, and a network that is trained until it fits all
labels. The bandwidths of the Laplacian and of the narrow Gaussian were chosen on training digits of one
split. Overfitting is benign where the excess goes to zero as the number of examples grows, tempered where
it neither does nor leaves all bounds, catastrophic where it leaves them; what theory says of each rule is
in the notes, beside the excess with the fewest and the most digits. That of some rules still falls with the
most, so that these sizes do not tell benign from tempered.
The full form takes about six minutes on two cores; --data-dir gives the whole MNIST.
"""

from collections.abc import Callable
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
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_most, below, equal_to, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP
from jaxtheory.statistics import kernel_regression, neighbors, neural_kernel

NEIGHBOR, LAPLACIAN, NARROW, TANGENT = "nearest neighbor", "Laplacian", "narrow Gaussian", "tangent kernel"
NETWORK, EARLY = "network", "network, stopped early"
PIXELS = mnist.SIDE**2
BATCH = 100
"""The number of digits in a step of the network's training."""
MISSED = 1.0
"""The share of its labels in % that a network that fits them misses at most."""
PROJECT = "this project's bar"
MALLINAR = "Mallinar et al. 2022"
POWER = (
    f"tempered in a fixed dimension, as its spectrum falls like a power ({MALLINAR}); benign in high "
    "dimensions (Barzilai and Shamir 2024)"
)
FAST = f"catastrophic in a fixed dimension ({MALLINAR}); benign in some that grow (Medvedev et al. 2024)"
SINGULAR = (
    "benign where the exponent is the data's dimension (Devroye et al. 1998); tempered above it and "
    "catastrophic below (Barzilai et al. 2025)"
)
THEORY = {
    NEIGHBOR: "tempered: in the limit it errs at most twice as often as the best rule (Cover and Hart 1967)",
    LAPLACIAN: POWER,
    TANGENT: POWER,
    NETWORK: f"tempered, by experiment ({MALLINAR})",
    EARLY: f"benign, by experiment ({MALLINAR})",
}
"""What the literature finds overfitting to be; it is FAST for Gaussians and SINGULAR for Hilbert's kernel."""


@dataclass(frozen=True)
class Config:
    noise: Annotated[tuple[float, ...], Range(0, 0.9)] = (0.0, 0.1, 0.2, 0.3, 0.4)
    """The shares of training labels that are replaced by another class, 0 among them."""
    sizes: Annotated[tuple[int, ...], Range(100, 12_000)] = (500, 1000, 2000, 4000)
    """The numbers of training digits, at most as many as the data provide."""
    draws: Annotated[int, Range(2, 5)] = 5
    """The number of random training sets, each with noise of its own; the embedded digits give five."""
    labelings: Annotated[int, Range(1)] = 4
    """The number of drawings of the noise for each training set, over which errors are averaged; the network
    sees the first."""
    tested: Annotated[int, Range(50)] = 10_000
    """The largest number of test digits; the 5,000 embedded digits have 1,000 in each draw."""
    laplacian: Annotated[float, Range(0, open=True)] = 10.0
    """The bandwidth of the Laplacian kernel, for pixels from 0 to 1."""
    narrow: Annotated[float, Range(0, open=True)] = 2.5
    """The bandwidth of the narrow Gaussian kernel, for pixels from 0 to 1."""
    wide: Annotated[tuple[float, ...], Range(0, open=True)] = (8.0, 12.0)
    """The bandwidths of the wide Gaussian kernels, for pixels from 0 to 1."""
    depth: Annotated[int, Range(1)] = 3
    """The number of hidden layers of the infinitely wide network whose tangent kernel interpolates."""
    exponents: Annotated[tuple[float, ...], Range(0, open=True)] = (5.0, 10.0, 20.0, 50.0)
    """The exponents of Hilbert's kernel that are tried beside the dimension, 784."""
    width: Annotated[int, Range(1)] = 512
    """The number of hidden units of the network."""
    rate: Annotated[float, Range(0, open=True)] = 3e-3
    """Adam's rate at the start, from which it falls to zero along a half-wave of a cosine."""
    epochs: Annotated[int, Range(1)] = 60
    """The number of times that the network goes through the digits."""
    early: Annotated[int, Range(1)] = 5
    """The number of times after which the network is also tested; less than the number of epochs."""


QUICK = Config(noise=(0.0, 0.2, 0.4), sizes=(1000,), wide=(12.0,), exponents=(10.0,), width=128, rate=4e-3)


@cache
def tangent_kernel(depth: int) -> Callable[..., jax.Array]:
    """The tangent kernel of infinitely wide ReLU networks, the same function for each depth."""

    def kernel(x: jax.Array, y: jax.Array) -> jax.Array:
        return neural_kernel.relu(x, y, depth).ntk

    return kernel


def kernels(config: Config) -> dict[str, Any]:
    """The kernels by the names of their rules."""
    wide = {f"Gaussian of bandwidth {one:g}": kernel_regression.gaussian(one) for one in config.wide}
    return {
        LAPLACIAN: kernel_regression.laplacian(config.laplacian),
        NARROW: kernel_regression.gaussian(config.narrow),
        TANGENT: tangent_kernel(config.depth),
        **wide,
    }


def hilbert(exponent: float | int) -> str:
    """The name of the rule of Hilbert's kernel with an exponent."""
    return f"Hilbert, exponent {exponent:g}"


def averages(config: Config) -> dict[str, float]:
    """The exponents of Hilbert's kernel by the names of their rules, the dimension among them."""
    return {hilbert(one): one for one in (*config.exponents, float(PIXELS))}


def noisy(labels: np.ndarray, shares: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Labels of which shares are replaced by another class, (shares, n), the larger with the smaller."""
    chance, shift = rng.random(len(labels)), rng.integers(1, mnist.CLASSES, len(labels))
    changed = chance < np.array(shares)[:, None]
    return np.where(changed, (labels + shift) % mnist.CLASSES, labels)


def data_of(
    config: Config, digits: mnist.Digits, size: int, draw: int, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Training digits as vectors, their labels (labelings * noise, n), and test digits with true labels."""
    split = digits.draw(size, rng, fold=draw)
    labels = np.concatenate([noisy(digits.labels, config.noise, rng) for _ in range(config.labelings)])
    labels = labels[:, split.train_indices]
    test = split.test_images[: config.tested], split.test_labels[: config.tested]
    return split.train_images.reshape(size, -1), labels, test[0].reshape(len(test[0]), -1), test[1]


def one_hot(labels: np.ndarray) -> np.ndarray:
    """One column for each row of labels and each class, (n, rows * classes)."""
    return np.eye(mnist.CLASSES)[labels.T].reshape(labels.shape[1], -1)


def classes_of(outputs: Any) -> np.ndarray:
    """The class of the largest output, (rows, n)."""
    return np.asarray(outputs).reshape(len(outputs), -1, mnist.CLASSES).argmax(-1).T


def nearest(labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The label of the nearest training digit, (rows, m)."""
    return labels[:, np.asarray(neighbors.search(train, test, neighbors=1).indices)[:, 0]]


def ruled(
    config: Config, digits: mnist.Digits, rule: str, size: int, draw: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Test errors in % by noise, how far the fit is from the labels, and which answers are the neighbor's."""
    train, labels, test, wanted = data_of(config, digits, size, draw, rng)
    neighbor, residual = nearest(labels, train, test), 0.0
    if rule == NEIGHBOR:
        found = neighbor
    else:
        # A wide kernel's matrix is singular in single precision.
        with jax.enable_x64(True):
            train, test, targets = train.astype(np.float64), test.astype(np.float64), one_hot(labels)
            if rule in kernels(config):
                model = kernel_regression.interpolate(kernels(config)[rule], train, targets)
                outputs, residual = kernel_regression.predict(model, test), float(model.residual)
            else:
                exponent = averages(config)[rule]
                outputs = kernel_regression.nadaraya_watson(train, targets, test, exponent)
            found = classes_of(outputs)

    def share(wrong: np.ndarray) -> np.ndarray:
        return 100 * wrong.reshape(config.labelings, len(config.noise), -1).mean((0, 2))

    return {
        "error": share(found != wanted),
        "residual": np.float64(residual),
        "different": share(found != neighbor),
    }


@cache
def trainer(config: Config, batch: int, steps: int) -> tuple[Any, Any, Any, Any]:
    """The network's start, and its outputs, its optimizer and an epoch for all shares of noise at once."""
    init, apply = networks.functional(partial(MLP, (PIXELS, config.width, mnist.CLASSES)))
    optimizer = optax.adam(optax.cosine_decay_schedule(config.rate, config.epochs * steps))
    objective = training.objective(apply, training.cross_entropy)
    options = {"objective": objective, "optimizer": optimizer, "batch": batch, "steps": steps}

    def epoch(state: Any, train: jax.Array, labels: jax.Array) -> Any:
        return training.run(state, (train, labels), **options)[0]

    predict = jax.vmap(training.predictor(apply), (0, None))
    return init, jax.jit(predict), optimizer, jax.jit(jax.vmap(epoch, (0, None, 0)))


def trained(
    config: Config, digits: mnist.Digits, size: int, draw: int, key: jax.Array, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Test errors in %, (rule, noise), of networks early and at the end, and their errors on the labels."""
    train, labels, test, wanted = data_of(config, digits, size, draw, rng)
    labels, batch = labels[: len(config.noise)], min(BATCH, size)
    init, predict, optimizer, epoch = trainer(config, batch, size // batch)
    # All shares of noise begin with the same network and see the digits in the same order.
    start = training.init(init(key)[0], key, optimizer=optimizer)
    state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(labels), *jnp.shape(leaf))), start)
    errors = []
    for number in range(1, config.epochs + 1):
        state = epoch(state, train, labels)
        if number in (config.early, config.epochs):
            errors.append(100 * (np.asarray(predict(state.params, test)).argmax(-1) != wanted).mean(-1))
    missed = 100 * (np.asarray(predict(state.params, train)).argmax(-1) != labels).mean(-1)
    return {"error": np.stack(errors), "missed": missed}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if 0 not in config.noise or len(config.noise) < 2:
        raise ValueError(f"noise is {config.noise}: take 0 and at least one share more")
    if config.early >= config.epochs:
        raise ValueError(f"early is {config.early}: take less than epochs, which are {config.epochs}")
    digits = lab.load(mnist)
    most = len(digits.train_labels)
    sizes = sorted({size for size in config.sizes if size <= most})
    if not sizes:
        raise ValueError(f"sizes are {config.sizes}: take at least one that is at most {most:,}")
    drawn = {"draw": range(config.draws), "stream": "digits"}
    along = {"error": ("noise",), "different": ("noise",)}
    rules = (NEIGHBOR, *kernels(config), *averages(config))
    # All rules see the same digits and the same noise, and larger sets contain the smaller ones of a draw.
    found = lab.sweep(
        "rules", partial(ruled, config, digits), rule=rules, size=sizes, common=("rule", "size"), dims=along,
        **drawn,
    ).assign_coords(noise=list(config.noise))  # fmt: skip
    learned = lab.sweep(
        "network", partial(trained, config, digits), size=[max(sizes)], common=("size",),
        dims={"error": ("rule", "noise"), "missed": ("noise",)}, **drawn,
    ).assign_coords(rule=[EARLY, NETWORK], noise=list(config.noise))  # fmt: skip
    over_draws = partial(mean, over="draw", overlap=digits.shared)
    errors = xr.concat([found.error, learned.error], "rule", join="outer").assign_attrs(unit="%")
    excess = errors - errors.sel(noise=0.0, drop=True)
    notes(excess, learned, over_draws, lab)
    figures(config, errors, excess, lab)
    largest = {"size": max(sizes), "drop": True}
    fits = float(learned.missed.max()) <= MISSED
    return claims(config, errors.sel(**largest), found.sel(**largest), fits, over_draws)


def notes(excess: xr.DataArray, learned: xr.Dataset, mean: Any, lab: Lab) -> None:
    """What theory says of each rule, and the excess beside it."""
    noise, sizes = float(excess.noise.max()), excess["size"].values
    for rule in excess.rule.values:
        one = excess.sel(rule=rule, noise=noise, drop=True)
        told = [
            f"{found.value:.1f} ± {found.standard_error:.1f} points with {size:,} digits"
            for size in sorted({min(sizes), max(sizes)})
            for found in mean(one.sel(size=size, drop=True))
            if np.isfinite(found.value)
        ]
        kind = THEORY.get(rule, SINGULAR if rule.startswith("Hilbert") else FAST)
        lab.note(f"{rule}: an excess at {100 * noise:g} % noise of {', '.join(told)}; theory: {kind}")
    missed = ", ".join(f"{one:.2g}" for one in learned.missed.max(("draw", "size")).values)
    lab.note(f"network: it misses at most {missed} % of its training labels at the end, by noise")


def claims(config: Config, errors: xr.DataArray, found: xr.Dataset, fits: bool, mean: Any) -> list[Claim]:
    """The verdicts with the most digits, from the errors of all rules and what else was found of some."""
    most = float(max(config.noise))
    excess = (errors - errors.sel(noise=0.0, drop=True)).sel(noise=[one for one in config.noise if one])
    ratio = excess / excess.sel(rule=NEIGHBOR, drop=True)
    gentle = [LAPLACIAN, NARROW, TANGENT]
    wide = [one for one in kernels(config) if one not in gentle]
    gain = excess.sel(rule=EARLY, noise=most, drop=True) - excess.sel(rule=NETWORK, noise=most, drop=True)
    return [
        Claim(
            "The excess error of the nearest neighbor is about nine tenths of the noise: their ratio.",
            equal_to(0.9, tolerance=0.1, source=f"{PROJECT}: a wrong label errs unless the digit did before"),
            mean(excess.sel(rule=NEIGHBOR, drop=True) / (100 * excess.noise)),
        ),
        Claim(
            "Each minimum-norm interpolant takes the noisy labels exactly: the largest error of the fit.",
            at_most(1e-6, source=PROJECT),
            mean(found.residual.sel(rule=[*gentle, *wide])),
        ),
        Claim(
            "With the Laplacian, a narrow Gaussian and the tangent kernel, the excess error is at most half "
            "of the nearest neighbor's: their ratio.",
            at_most(0.5, source=PROJECT),
            mean(ratio.sel(rule=gentle), paired=True),
        ),
        *(
            Claim(
                f"With a wide Gaussian, of bandwidth {width:g}, it is more than half: their ratio.",
                above(0.5, source=PROJECT),
                mean(ratio.sel(rule=rule, drop=True), paired=True),
            )
            for width, rule in zip(config.wide, wide)
        ),
        Claim(
            "The Laplacian and the tangent kernel, tempered in theory, have an excess error left at the "
            "largest noise.",
            above(0, unit="points", source=f"{MALLINAR}, abstract", looked_up=True),
            mean(excess.sel(rule=[LAPLACIAN, TANGENT], noise=most, drop=True), paired=True),
        ),
        Claim(
            "A network that is stopped early has less excess error at the largest noise than one that fits "
            "the noise: the difference.",
            below(0, unit="points", source=f"{MALLINAR}, abstract: early it is benign", looked_up=True),
            mean(gain, paired=True),
            needs=Need("a network that fits its labels", fits, "raise --width, --rate or --epochs"),
        ),
        Claim(
            "Hilbert's kernel with the dimension as its exponent is the nearest neighbor: the test digits "
            "that it classifies otherwise.",
            at_most(0.1, unit="%", source=f"{PROJECT}: distances to the power of {PIXELS}"),
            mean(found.different.sel(rule=hilbert(PIXELS), drop=True)),
        ),
    ]


def figures(config: Config, errors: xr.DataArray, excess: xr.DataArray, lab: Lab) -> None:
    """The pictures."""
    shares = {"noise": 100 * errors.noise.values}
    largest = errors.sel(size=errors["size"].max(), drop=True).assign_coords(shares)
    noise = float(excess.noise.max())
    by_size = excess.sel(noise=noise, drop=True).rename("excess error").assign_attrs(unit="points")
    of_noise = largest.rename("test error"), {"x": "noise", "xlabel": "wrong labels (%)"}
    of_size = by_size, {"x": "size", "log": "x", "xlabel": "training digits"}
    learned = {"noise": [NETWORK, EARLY], "size": []}
    captions = {
        "noise": "Test error with the most digits by the share of wrong training labels: of rules that fit "
        "all labels, but for the network that is stopped early; and of Hilbert's kernel by its exponent.",
        "size": f"The excess error at {100 * noise:g} % noise by the number of training digits.",
    }
    for (values, options), name in zip((of_noise, of_size), captions):
        figure, ((left, right),) = plots.canvas(2, size=(4.8, 3.8), share="y")
        for ax, rules in ((left, [*kernels(config), *learned[name]]), (right, [*averages(config)])):
            colors = {NEIGHBOR: "black"} | plots.colors_of(rules)
            shown = values.sel(rule=[NEIGHBOR, *rules])
            plots.panel(shown, hue="rule", over="draw", colors=colors, axes=ax, **options)
        lab.figure(f"error_by_{name}", figure, captions[name])
