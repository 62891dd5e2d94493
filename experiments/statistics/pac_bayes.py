"""A network with more weights than digits has a certificate of its error, unless its labels are random.

Lecture: statistics, "How can deep learning generalize well without overfitting the noise?".
Source: Dziugaite and Roy, Computing nonvacuous generalization bounds for deep (stochastic) neural networks
with many more parameters than training data, UAI 2017.

A network of one hidden layer tells digits 0-4 from 5-9. It is trained, and then the bound of Dziugaite and
Roy is minimized over the mean and the deviation of each weight and over the variance of the prior, whose
center are the random initial weights. In place of the error, training takes the probability of the wrong
class at thrice the logits; the certificate counts errors, of 20,000 weights that are drawn, with Chernoff's
bound, and holds with probability 0.965. Digits with random labels are fitted as well: by a Gaussian that is
so narrow that it keeps the trained network's fit, and by one that minimizes the bound. Each draw has digits,
initial weights and orders of its own. The whole MNIST is used where --data-dir gives it, and then the full
form takes about fifteen minutes on two cores; otherwise about four.
"""

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_least, at_most, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP
from jaxtheory.statistics import pac_bayes

BATCH = 100
"""The number of digits in a batch, of training and of the certificate, where each has weights of its own."""
SEGMENT = 200
"""The number of steps between two looks at the clock, and to checkpoints."""
RATE = 1e-3
"""Adam's step size at the start; it falls to zero by a cosine."""
SHARPNESS = 3.0
"""The factor on the logits at which the probability of the wrong class stands for the error."""
DEVIATION, VARIANCE = 0.05, float(np.exp(-5.5))
"""The deviation of each weight and the variance of the prior from which the bound is minimized."""
NARROW = 1e-3
"""The deviation of each weight of the Gaussian that keeps the fit of a trained network."""
LARGEST = 0.09
"""The largest variance of the prior of that Gaussian; the bound is for those below 0.1."""
RANDOM, ALL = "random labels", "all digits"
WHOLE = 60_000
"""The number of training digits of the whole MNIST."""
PAPER = "Dziugaite and Roy 2017"


@dataclass(frozen=True)
class Config:
    digits: Annotated[int, Range(200, 4000)] = 4000
    """Number of training digits of the small case and of random labels; it is rounded down to hundreds."""
    width: Annotated[int, Range(1)] = 100
    """Number of hidden units."""
    passes: Annotated[int, Range(1)] = 5
    """Number of times that the network sees its digits before the bound is minimized."""
    fitting: Annotated[int, Range(1)] = 200
    """Number of times that the network sees digits with random labels before the bound is minimized."""
    steps: Annotated[int, Range(1)] = 6000
    """Number of steps in which the bound is minimized; it is rounded up to multiples of 200."""
    whole_steps: Annotated[int, Range(1)] = 60_000
    """Number of such steps with all digits of the whole MNIST."""
    weights: Annotated[int, Range(100)] = 20_000
    """Number of weights that are drawn for a certificate; it is rounded up to whole passes."""
    draws: Annotated[int, Range(1)] = 3
    """Number of draws of digits, initial weights and orders."""


QUICK = Config(width=50, passes=3, fitting=60, steps=600, weights=1000, draws=2)


def error(logits: Any, labels: Any) -> jax.Array:
    return 1 - training.accuracy(logits, labels)


def smooth_error(logits: Any, labels: Any) -> jax.Array:
    """The probability of the wrong class at logits that are multiplied by `SHARPNESS`."""
    return -jnp.expm1(-training.cross_entropy(SHARPNESS * logits, labels))


def in_batches(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Digits as vectors, (batches, `BATCH`, 784), with labels; what is left over is dropped."""
    number = len(labels) // BATCH
    vectors = images[: number * BATCH].reshape(number, BATCH, -1)
    return vectors, labels[: number * BATCH].reshape(number, BATCH)


@cache
def network(width: int) -> tuple[Any, dict[str, Any]]:
    """The initializer of a network with one hidden layer and two classes, and mean losses by name.

    It is made once, as are optimizers and objectives, so that all draws share what is compiled.
    """
    init, apply = networks.functional(partial(MLP, (mnist.SIDE**2, width, 2)))
    criteria = {"error": error, "smooth": smooth_error, "entropy": training.cross_entropy}
    losses = {name: training.loss(apply, criterion) for name, criterion in criteria.items()}
    return init, losses | {"entropy": training.stateless(losses["entropy"])}


@cache
def adam(steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(RATE, steps))


@cache
def bound(width: int, n: int) -> Any:
    return pac_bayes.objective(network(width)[1]["smooth"], n)


def minimized(
    lab: Lab, name: str, params: Any, data: Any, objective: Any, steps: int, key: jax.Array, prior: Any = None
) -> tuple[Any, np.ndarray, float]:
    """Parameters after Adam's steps on batches, in segments that the lab stores; losses; and seconds."""
    segments = -(-steps // SEGMENT)
    optimizer = adam(segments * SEGMENT)
    options = {"objective": objective, "optimizer": optimizer, "steps": SEGMENT, "batch": BATCH}
    segment = partial(training.run, data=data, **options)
    start = training.init(params, key, optimizer=optimizer, state=prior)
    found = lab.train(name, segment, start, segments)
    return found.state.params, np.asarray(found.metrics["loss"]).mean(axis=1), found.seconds


def certified(
    config: Config, lab: Lab, name: str, split: mnist.Split, steps: int, key: jax.Array, passes: int
) -> dict[str, Any]:
    """The certificate of a network on the digits of a split, and how it errs on them and on others."""
    init, losses_of = network(config.width)
    errors, entropy = losses_of["error"], losses_of["entropy"]
    initial, order, noise, *sampled = jax.random.split(key, 6)
    batches = in_batches(split.train_images, split.train_labels)
    tested = in_batches(split.test_images, split.test_labels)
    data = jax.tree.map(lambda leaf: jnp.asarray(np.concatenate(leaf)), batches)
    number, prior = len(batches[1]), init(initial)[0]
    params, _, first = minimized(lab, f"{name}, weights", prior, data, entropy, passes * number, order)
    start = pac_bayes.init(params, deviation=DEVIATION, variance=VARIANCE)
    objective = bound(config.width, number * BATCH)
    posterior, losses, second = minimized(lab, f"{name}, bound", start, data, objective, steps, noise, prior)
    variance = min(closest_variance(params, prior), LARGEST)
    narrow = pac_bayes.init(params, deviation=NARROW, variance=variance)
    draws = -(-config.weights // number)
    certify = partial(pac_bayes.certify, errors, prior=prior, batches=batches, draws=draws)
    best, close = certify(posterior, key=sampled[0]), certify(narrow, key=sampled[1])
    test = pac_bayes.sampled_risk(errors, posterior, tested, sampled[2], draws=10)
    return {
        "bound": 100 * float(best.bound),
        "training error": 100 * float(best.risk),
        "test error": 100 * float(test),
        "divergence": float(best.divergence),
        "plain test error": 100 * float(errors(params, jax.tree.map(np.concatenate, tested))),
        "narrow bound": 100 * float(close.bound),
        "narrow error": 100 * float(close.risk),
        "objective": 100 * losses,
        "seconds": first + second,
    }


def closest_variance(params: Any, prior: Any) -> float:
    """The variance of the prior from which the narrow Gaussian about weights diverges least."""
    squares = jax.tree.map(lambda one, other: (one - other).ravel() ** 2, params, prior)
    return float(jnp.mean(jnp.concatenate(jax.tree.leaves(squares)))) + NARROW**2


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    small = config.digits // BATCH * BATCH
    draws = min(config.draws, mnist.FOLDS) if digits.embedded else config.draws

    def split_of(size: int, draw: int) -> mnist.Split:
        fold = draw if digits.embedded else 0
        split = digits.draw(size, lab.rng(f"{size} digits", draw=draw), fold=fold)
        groups = (np.int32(labels >= 5) for labels in (split.train_labels, split.test_labels))
        return replace(split, **dict(zip(("train_labels", "test_labels"), groups)))

    def of_digits(name: str, size: int, steps: int, draw: int, key: jax.Array) -> dict[str, Any]:
        return certified(config, lab, f"{name}, draw {draw}", split_of(size, draw), steps, key, config.passes)

    def of_random_labels(draw: int, key: jax.Array, rng: np.random.Generator) -> dict[str, Any]:
        split = split_of(small, draw)
        train, test = (
            rng.integers(0, 2, len(labels), np.int32) for labels in (split.train_labels, split.test_labels)
        )
        split = replace(split, train_labels=train, test_labels=test)
        return certified(config, lab, f"{RANDOM}, draw {draw}", split, config.steps, key, config.fitting)

    few = f"{small:,} digits"
    axes = {"draw": range(draws), "dims": {"objective": ("segment",)}}
    found = {
        few: lab.sweep(few, partial(of_digits, few, small, config.steps), **axes),
        RANDOM: lab.sweep(RANDOM, of_random_labels, **axes),
    }
    whole = len(digits.train_labels)
    if whole >= WHOLE:
        found[ALL] = lab.sweep(ALL, partial(of_digits, ALL, whole, config.whole_steps), **axes)
    notes(config, found, lab)
    lab.figure(
        "bounds",
        plot_bounds(found),
        "The bound on the error of the network with random weights, and its errors on the digits with which "
        "it was trained and on others.",
    )
    lab.figure(
        "minimization",
        plot_minimization(found),
        f"What is minimized: the bound with a smooth stand-in for the error, means over {SEGMENT} steps.",
    )
    return claims(found, few, digits.shared)


def claims(found: dict[str, xr.Dataset], few: str, shared: float) -> list[Claim]:
    needs = Need("the whole MNIST", ALL in found, "give its folder as --data-dir")
    over_draws = partial(mean, over="draw", overlap=shared)
    labeled = {name: one["bound"] - one["test error"] for name, one in found.items() if name != RANDOM}
    random = {"fits": found[RANDOM]["narrow bound"], "minimizes": found[RANDOM]["bound"]}
    whole = over_draws(found[ALL]["bound"]) if ALL in found else None
    return [
        Claim(
            f"{few} certify a network with random weights: the bound on its error.",
            at_most(60, unit="%", source="our own bar; chance is 50 %, a bound of 100 % says nothing"),
            over_draws(found[few]["bound"]),
        ),
        Claim(
            "So do all digits of MNIST, more closely.",
            at_most(25, unit="%", source="our own bar"),
            whole,
            needs=needs,
        ),
        Claim(
            "With all of them the bound is no larger than the paper's.",
            at_most(16.1, unit="%", source=f"{PAPER}, table 1, as others quote it"),
            whole,
            needs=needs,
        ),
        Claim(
            "The certificates tell the truth: the bound minus the error on test digits.",
            above(0, unit="points", source=f"{PAPER}, theorem"),
            over_draws(beside("case", labeled), paired=True),
        ),
        Claim(
            "With random labels no valid bound is below chance: those of the Gaussian that fits them and of "
            "the one that minimizes the bound.",
            at_least(50, unit="%", source="the error of any classifier on random labels"),
            over_draws(beside("Gaussian that", random)),
        ),
    ]


def beside(axis: str, values: dict[str, xr.DataArray]) -> xr.DataArray:
    """Values of several cases on an axis that names them."""
    return xr.concat(list(values.values()), xr.IndexVariable(axis, list(values)))


def notes(config: Config, found: dict[str, xr.Dataset], lab: Lab) -> None:
    """Notes for the findings: errors beside the bounds, divergences and seconds."""
    weights = (mnist.SIDE**2 + 1) * config.width + (config.width + 1) * 2
    lab.note(f"The network has {weights:,} weights. All figures are means over the draws.")
    for name, one in found.items():
        at = {key: float(value.mean()) for key, value in one.items()}
        lab.note(
            f"{name}: bound {at['bound']:.1f} %, errors {at['training error']:.1f} % in training and "
            f"{at['test error']:.1f} % in the test, where the network without noise has "
            f"{at['plain test error']:.1f} %; divergence {at['divergence']:,.0f} nats; "
            f"{at['seconds']:.0f} s of training. The narrow Gaussian about the trained network errs in "
            f"{at['narrow error']:.2f} % of the training digits, and its bound is {at['narrow bound']:.1f} %."
        )


def plot_bounds(found: dict[str, xr.Dataset]) -> Figure:
    names = ["training error", "test error", "bound"]
    values = beside("digits", {name: one[names].to_dataarray("figure") for name, one in found.items()})
    values = values.assign_attrs(unit="%", long_name="error").rename("error")
    return plots.dots(values, x="digits", hue="figure", levels={"chance": 50})


def plot_minimization(found: dict[str, xr.Dataset]) -> Figure:
    figure, (panels,) = plots.canvas(len(found))
    for (name, one), axes in zip(found.items(), panels):
        steps = SEGMENT * (1 + np.arange(one.sizes["segment"]))
        values = one["objective"].clip(max=100).rename(segment="step").assign_coords(step=steps)
        values = values.assign_attrs(unit="%", long_name="smooth bound")
        plots.panel(values, x="step", over="draw", spread="each", log="x", axes=axes)
        axes.set_title(name, fontsize=10)
    return figure
