"""Rosenblatt's rule makes at most (R/γ)² mistakes where classes can be separated, and never stops on XOR.

Lecture: history, "Perceptron", "XOR problem" and "Back-propagation".
Source: A. Novikoff, On convergence proofs on perceptrons, 1962; M. Minsky and S. Papert, Perceptrons, 1969;
Y. Freund and R. Schapire, Large margin classification using the perceptron algorithm, 1999.

Digits 0 against 1 and 3 against 5 are presented in many random orders, again and again until a pass goes
without a mistake, in double precision. R is the longest digit, and γ the largest margin there is, both with
the constant 1 appended; the separator comes with a bound on all margins. On XOR all 24 orders are gone
through: weights are whole numbers there, and where they are at the end of a pass what they were at the end of
an earlier one, the rule goes round for ever. That no other rule finds a separator is certified in rational
numbers. Then networks of two hidden units are trained from random starts.
The full form takes about a minute.
"""

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.data import mnist
from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    above,
    at_most,
    equal_to,
    exact,
    experiment,
    plots,
    proportion,
)
from jaxtheory.networks import perceptron
from jaxtheory.statistics import implicit_bias

PAIRS = {"0 and 1": (0, 1), "3 and 5": (3, 5)}
"""The classes that are told apart, by name."""
PATTERNS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
XOR = np.array([0, 1, 1, 0])
ROUNDS = 40
"""The number of passes through XOR among which the rule's weights are looked for again."""
RANDOM = 5000
"""The number of patterns, at random, among which the pocket finds its weights."""
RATE = 0.5
"""The step size of gradient descent."""
NOVIKOFF = "Novikoff 1962"
MINSKY = "Minsky and Papert 1969"


@dataclass(frozen=True)
class Config:
    digits: Annotated[int, Range(20, 600)] = 300
    """The number of training digits of two classes."""
    orders: Annotated[int, Range(2)] = 100
    """The number of orders in which they are presented."""
    passes: Annotated[int, Range(1)] = 1000
    """The largest number of passes through them."""
    starts: Annotated[int, Range(10)] = 1000
    """The number of random starts of networks with two hidden units."""
    steps: Annotated[int, Range(1)] = 5000
    """The number of steps of their training."""


QUICK = Config(digits=200, orders=20, starts=200, steps=1000)


def chosen(
    images: np.ndarray, labels: np.ndarray, classes: tuple[int, int], most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The first digits of two classes as vectors in double precision, with labels 0 and 1."""
    of_classes = np.flatnonzero(np.isin(labels, classes))[:most]
    vectors = images[of_classes].reshape(len(of_classes), -1).astype(np.float64)
    return vectors, (labels[of_classes] == classes[1]).astype(np.int32)


def bounded(digits: mnist.Digits, size: int, pair: str) -> dict[str, float]:
    """The bounds that the largest margin and the separator of linear programming prove."""
    x, y = chosen(digits.train_images, digits.train_labels, PAIRS[pair], size)
    with jax.enable_x64(True):
        found = implicit_bias.max_margin(np.column_stack([x, np.ones(len(x))]), y)
        plane = np.asarray(found.direction)
        bound = float(perceptron.mistake_bound(x, y, plane[:-1], plane[-1]))
        by_program = perceptron.separate(x, y)
        other = float(perceptron.mistake_bound(x, y, by_program.weights, by_program.bias))
    return {
        "bound": bound,
        "other bound": other,
        "separable": by_program.separable and bool(found.separable),
        "gap": float((found.bound - found.margin) / found.bound),
    }


def presented(digits: mnist.Digits, config: Config, pair: str, key: jax.Array) -> dict[str, np.ndarray]:
    """Mistakes until the rule stops, and errors on test digits, for each of several keys."""
    classes = PAIRS[pair]
    x, y = chosen(digits.train_images, digits.train_labels, classes, config.digits)
    queries, answers = chosen(digits.test_images, digits.test_labels, classes)
    rows = jax.vmap(lambda one: jax.random.permutation(one, len(x)))(key)
    found = {}
    with jax.enable_x64(True):
        for variant in ("last", "average"):
            fit = partial(perceptron.fit, x, y, variant=variant, max_passes=config.passes)
            trained = jax.vmap(lambda order, fit=fit: fit(rows=order))(rows)
            outputs = queries @ np.asarray(trained.weights).T + np.asarray(trained.bias)
            found[f"error/{variant}"] = 100 * np.mean((outputs > 0) != (answers == 1)[:, None], axis=0)
    return found | {
        "mistakes": np.asarray(trained.mistakes),
        "passes": np.asarray(trained.passes),
        "converged": np.asarray(trained.converged),
    }


def recurring() -> dict[str, np.ndarray]:
    """The period of the rule's weights, in passes, for each order of the patterns of XOR."""
    orders = np.array(list(itertools.permutations(range(len(XOR)))))

    def after(passes: Any, order: Any) -> perceptron.PerceptronResult:
        return perceptron.fit(PATTERNS, XOR, rows=order, max_passes=passes)

    both = jax.jit(jax.vmap(jax.vmap(after, (None, 0)), (0, None)))
    found = both(jnp.arange(1, ROUNDS + 1), orders)
    states = np.concatenate([np.asarray(found.weights), np.asarray(found.bias)[..., None]], axis=-1)
    last = states[-1]
    # The number of passes after which the weights at the end were there before.
    same = (states[:-1] == last).all(-1)[::-1]
    period = np.where(same.any(0), 1 + same.argmax(0), np.nan)
    period[np.asarray(found.converged).any(0)] = np.nan
    return {"period": period}


def pocketed(rng: np.random.Generator) -> int:
    """On how many patterns of XOR the weights in the pocket are right, once random ones were presented."""
    order = rng.integers(0, len(XOR), RANDOM)
    found = perceptron.fit(PATTERNS, XOR, rows=order, max_passes=1, variant="pocket")
    values = PATTERNS @ np.asarray(found.weights) + float(found.bias)
    return int(np.sum((2 * XOR - 1) * values > 0))


def outputs(params: dict[str, Any], x: Any) -> jax.Array:
    """The output of a network of two hidden units, whose sign is its answer."""
    return jnp.tanh(x @ params["kernel"] + params["bias"]) @ params["output"] + params["last"]


def loss(params: dict[str, Any]) -> jax.Array:
    """The mean logistic loss on XOR."""
    return jnp.mean(jax.nn.softplus(-(2 * XOR - 1) * outputs(params, PATTERNS)))


@partial(jax.jit, static_argnames=("starts", "steps"))
def trained(key: jax.Array, *, starts: int, steps: int) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Which networks solve XOR after gradient descent from standard normal parameters, and these."""
    drawn = jax.random.normal(key, (starts, 9))
    kernel, bias, output, last = jnp.split(drawn, (4, 6, 8), axis=1)
    params = {"kernel": kernel.reshape(-1, 2, 2), "bias": bias, "output": output, "last": last[:, 0]}

    def step(_: Any, params: Any) -> Any:
        return jax.tree.map(lambda leaf, slope: leaf - RATE * slope, params, jax.vmap(jax.grad(loss))(params))

    params = jax.lax.fori_loop(0, steps, step, params)
    answers = jax.vmap(outputs, (0, None))(params, PATTERNS) > 0
    return jnp.all(answers == (XOR == 1), axis=1), params


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    bounds = lab.sweep("bounds", partial(bounded, digits, config.digits), pair=tuple(PAIRS))
    found = lab.sweep(
        "mistakes", partial(presented, digits, config), together="order", pair=tuple(PAIRS),
        order=range(config.orders),
    )  # fmt: skip
    cycles = lab.cached("cycles", recurring)
    options = {"starts": config.starts, "steps": config.steps}
    solved, params = lab.cached("networks", lambda: list(trained(lab.key("networks"), **options)))
    certificate = perceptron.separate(PATTERNS, XOR).certificate
    notes(bounds, found, cycles, lab)
    lab.figure(
        "mistakes",
        draw_mistakes(bounds, found),
        "Mistakes until the rule stops, over orders of presentation, and the bound (R/γ)² of the separator "
        "of the largest margin and of that of linear programming.",
    )
    if solved.any():
        lab.figure(
            "exclusive_or",
            draw_network(jax.tree.map(lambda leaf: leaf[np.argmax(solved)], params)),
            "A network of two hidden units that solves XOR: the sign of its output.",
        )
    return claims(config, bounds, found, cycles, certificate, solved)


def claims(
    config: Config,
    bounds: xr.Dataset,
    found: xr.Dataset,
    cycles: dict[str, np.ndarray],
    certificate: perceptron.Certificate | None,
    solved: np.ndarray,
) -> list[Claim]:
    separable = Need("separable digits", bool(bounds["separable"].all()), "take fewer, as --digits")
    number = config.orders
    shares = (found["mistakes"] / bounds["bound"]).max("order")
    return [
        Claim(
            "The rule makes at most (R/γ)² mistakes: the most in any order of presentation, over the bound.",
            at_most(1, source=NOVIKOFF),
            [
                Measured(share, n=number, of="orders", at={"digits": pair})
                for pair, share in zip(found.pair.values.tolist(), shares.values)
            ],
            needs=separable,
        ),
        Claim(
            "It stops in every order of presentation: in how many it does not.",
            equal_to(0, tolerance=0, source=NOVIKOFF),
            [
                Measured(float((~found["converged"].sel(pair=pair).astype(bool)).sum()), n=number,
                         of="orders", at={"digits": pair})
                for pair in found.pair.values.tolist()
            ],
            needs=separable,
        ),
        Claim(
            "On XOR it never stops: the orders, of 24, in which its weights come back to what they were.",
            equal_to(24, tolerance=0, source=f"{MINSKY}: the cycling theorem"),
            exact(np.isfinite(cycles["period"]).sum()),
        ),
        Claim(
            "No plane separates XOR: a convex combination of its patterns with their signs, in rational "
            "numbers, is zero in each coordinate and in the constant: its largest entry.",
            equal_to(0, tolerance=0, source=MINSKY),
            exact(certificate.residual if certificate is not None and certificate.exact else 1),
        ),
        Claim(
            "A network of two hidden units solves XOR: the share of random starts from which training does.",
            above(0, unit="%", source='the lecture: "MLP classifies XOR"'),
            proportion(solved.sum(), len(solved), of="starts"),
        ),
    ]  # fmt: skip


def notes(bounds: xr.Dataset, found: xr.Dataset, cycles: dict[str, np.ndarray], lab: Lab) -> None:
    """Notes for the findings: figures without a bar."""
    for pair in PAIRS:
        bound, one = bounds.sel(pair=pair), found.sel(pair=pair)
        lab.note(
            f"{pair}: {one['mistakes'].min():.0f} to {one['mistakes'].max():.0f} mistakes in up to "
            f"{one['passes'].max():.0f} passes; (R/γ)² is {bound['bound']:,.0f}, that of linear "
            f"programming's separator {bound['other bound']:,.0f}; the relative gap of the largest margin is "
            f"{bound['gap']:.0e}. Error on test digits: last weights {one['error/last'].mean():.2f} %, "
            f"averaged ones {one['error/average'].mean():.2f} % (Freund and Schapire 1999)."
        )
    periods = cycles["period"][np.isfinite(cycles["period"])]
    lab.note(
        f"On XOR weights come back after {periods.min():.0f} to {periods.max():.0f} passes; over patterns at "
        f"random, the pocket ends with weights that are right on {pocketed(lab.rng('pocket'))} of the four."
    )


def draw_mistakes(bounds: xr.Dataset, found: xr.Dataset) -> Figure:
    figure, (panels,) = plots.canvas(len(PAIRS))
    for pair, axes in zip(PAIRS, panels):
        bound = bounds.sel(pair=pair)
        marks = {
            "(R/γ)², largest margin": float(bound["bound"]),
            "(R/γ)², linear program": float(bound["other bound"]),
        }
        mistakes = found["mistakes"].sel(pair=pair, drop=True).astype(float)
        bins = np.geomspace(1, 1.5 * max(marks.values()), 60)
        plots.histogram(mistakes, bins=bins, marks=marks, log="x", xlabel="mistakes", axes=axes)
        axes.set_title(f"digits {pair}", fontsize=10)
    return figure


def draw_network(params: dict[str, Any]) -> Figure:
    places = np.linspace(-0.5, 1.5, 101)
    plane = np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1)
    values = np.tanh(np.asarray(outputs(params, plane)) / 2)
    values = xr.DataArray(values, {"x": places, "y": places}, ("x", "y"), name="output")
    paths = {f"{one} xor {other} = {label}": [(one, other)] for (one, other), label in zip(PATTERNS, XOR)}
    labels = {"xlabel": "first input", "ylabel": "second input"}
    return plots.surface(values, x="x", y="y", span=(-1, 1), paths=paths, **labels)
