"""One step along the sign of the gradient makes linear and maxout classifiers of digits err on nearly all.

Lecture: "How can you trust a blackbox?", "Small but malicious perturbations can result in severe
misclassification."
Source: Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples, ICLR 2015.

Softmax regression on ten digits, logistic regression on 3 against 7 and a network of two hidden layers of
maxout units are trained, and each test digit is changed by 0.25 in every pixel along the sign of its own
gradient: as in the paper without clipping, and with pixels clipped to the range from 0 to 1. The same digits
are changed by random signs of the same size. Confidences are the mean largest probability of wrong answers.
The maxout network is trained without dropout, the regressions with a small weight decay. A draw has training
digits, initial weights and signs of its own. With the whole MNIST, where --data-dir gives it, the full form
takes about three minutes on two cores, otherwise about one.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.data import mnist
from jaxtheory.inspection import adversarial
from jaxtheory.lab import Claim, Lab, Range, at_least, at_most, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.statistics import softmax

SOFTMAX, PAIR, MAXOUT = "softmax regression", "3 against 7", "maxout network"
MODELS = (SOFTMAX, PAIR, MAXOUT)
NONE, ATTACK, SIGNS, CLIPPED, CLIPPED_SIGNS = "none", "attack", "signs", "attack, clipped", "signs, clipped"
CHANGES = (NONE, ATTACK, SIGNS, CLIPPED, CLIPPED_SIGNS)
PUBLISHED = {
    SOFTMAX: {"error": 99.9, "confidence": 79.3},
    PAIR: {"error": 99.0, "clean": 1.6},
    MAXOUT: {"error": 89.4, "confidence": 97.6, "clean": 0.94},
}
"""What Goodfellow et al. print, in percent."""
LEAST = {SOFTMAX: 99.0, PAIR: 99.0, MAXOUT: 85.0}
"""The errors that the attack is to reach, in percent."""
BATCH, RATE, SEGMENT = 100, 1e-3, 100
"""The number of digits in a training step, Adam's step size, and the steps between two checkpoints."""
SHOWN = 6
"""The number of digits in a picture."""
PAPER = "Goodfellow et al. 2015"


@dataclass(frozen=True)
class Config:
    epsilon: Annotated[float, Range(0, 1, open=True)] = 0.25
    """Change of each pixel, whose range is from 0 to 1."""
    digits: Annotated[int, Range(500, 60_000)] = 50_000
    """Number of training digits, or as many as there are."""
    units: Annotated[int, Range(1)] = 240
    """Number of maxout units in each of the two hidden layers."""
    pieces: Annotated[int, Range(2)] = 5
    """Number of linear pieces of a maxout unit."""
    epochs: Annotated[int, Range(1)] = 10
    """Number of times that the maxout network sees its digits."""
    penalty: Annotated[float, Range(0)] = 1e-4
    """Weight of the squared weights in the two regressions."""
    draws: Annotated[int, Range(1)] = 5
    """Number of draws of training digits, initial weights and random signs."""


QUICK = Config(digits=4000, units=100, pieces=3, epochs=15, draws=3)


def init(key: jax.Array, units: int, pieces: int) -> list[dict[str, jax.Array]]:
    """The parameters of a maxout network with two hidden layers."""
    sizes = ((mnist.SIDE**2, units, pieces), (units, units, pieces), (units, mnist.CLASSES, 1))
    return [
        {"kernel": jax.random.normal(one, size) / size[0] ** 0.5, "bias": jnp.zeros(size[1:])}
        for one, size in zip(jax.random.split(key, 3), sizes)
    ]


def maxout(params: Any, x: Any) -> jax.Array:
    """The logits of a maxout network: each unit is the largest of its linear pieces."""
    x = x.reshape(len(x), -1)
    for layer in params:
        x = jnp.max(jnp.tensordot(x, layer["kernel"], 1) + layer["bias"], axis=-1)
    return x


def linear(params: Any, x: Any) -> jax.Array:
    """The logits of a regression."""
    weights, bias = params
    return x.reshape(len(x), -1) @ weights + bias


def loss(params: Any, batch: Any) -> jax.Array:
    return jnp.mean(training.cross_entropy(maxout(params, batch[0]), batch[1]))


@cache
def adam(steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(RATE, steps))


OBJECTIVE = training.stateless(loss)


def regression(
    images: np.ndarray, labels: np.ndarray, chosen: np.ndarray, classes: int, penalty: float
) -> Any:
    """The weights and biases of softmax regression on the digits that are chosen."""
    flat = images.reshape(len(images), -1)
    options = {"penalty": penalty, "tolerance": 1e-3, "max_steps": 300, "where": chosen}
    model = softmax.fit(flat, labels, classes=classes, **options)
    return model.weights, model.bias


def network(config: Config, lab: Lab, name: str, data: Any, key: jax.Array) -> Any:
    """The parameters of a trained maxout network."""
    begin, order = jax.random.split(key)
    segments = max(1, config.epochs * len(data[1]) // BATCH // SEGMENT)
    optimizer = adam(segments * SEGMENT)
    data = tuple(map(jnp.asarray, data))

    def segment(state: Any) -> Any:
        options = {"objective": OBJECTIVE, "optimizer": optimizer, "steps": SEGMENT, "batch": BATCH}
        return training.run(state, data, **options)

    start = training.init(init(begin, config.units, config.pieces), order, optimizer=optimizer)
    return lab.train(name, segment, start, segments).state.params


def of_pair(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The digits 3 and 7 as the classes 0 and 1, and which digits these are."""
    return np.int32(labels == 7), np.isin(labels, (3, 7))


def attacked(
    logits: Any, params: Any, x: Any, y: Any, chosen: np.ndarray, key: jax.Array, epsilon: float
) -> dict[str, Any]:
    """Errors and confidences in percent for each change, and some digits with their answers."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    signs = epsilon * jax.random.rademacher(key, x.shape, x.dtype)
    free, within = (adversarial.fgsm(logits, params, x, y, epsilon, bounds=one).x for one in (None, (0, 1)))
    changed = {
        NONE: x,
        ATTACK: free,
        SIGNS: x + signs,
        CLIPPED: within,
        CLIPPED_SIGNS: jnp.clip(x + signs, 0, 1),
    }
    errors, confidences = zip(*(judged(logits(params, changed[one])[chosen], y[chosen]) for one in CHANGES))
    shown = jnp.stack([changed[one][:SHOWN] for one in (NONE, CLIPPED, CLIPPED_SIGNS)])
    answers = jnp.stack([jnp.argmax(logits(params, one), axis=1) for one in shown])
    return {
        "error": np.array(errors),
        "confidence": np.array(confidences),
        "shown": np.asarray(shown),
        "answers": np.asarray(answers),
    }


def judged(z: Any, labels: Any) -> tuple[float, float]:
    """The error, and the mean largest probability of wrong answers, in percent; of none it is NaN."""
    wrong = np.asarray(jnp.argmax(z, axis=1) != labels)
    largest = np.asarray(jnp.max(jax.nn.softmax(z), axis=1))
    return 100 * float(wrong.mean()), 100 * float(largest[wrong].mean()) if wrong.any() else np.nan


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    draws = min(config.draws, mnist.FOLDS) if digits.embedded else config.draws

    def point(model: str, draw: int, key: jax.Array) -> dict[str, Any]:
        size, fold = min(config.digits, len(digits.train_labels)), draw if digits.embedded else 0
        split = digits.draw(size, lab.rng("digits", draw=draw), fold=fold)
        labels, answers = split.train_labels, split.test_labels
        kept, tested = np.ones(len(labels), bool), np.ones(len(answers), bool)
        weights, signs = jax.random.split(key)
        if model == MAXOUT:
            data = split.train_images, labels
            params, logits = network(config, lab, f"network, draw {draw}", data, weights), maxout
        else:
            if model == PAIR:
                (labels, kept), (answers, tested) = of_pair(labels), of_pair(answers)
            classes = 2 if model == PAIR else mnist.CLASSES
            params = regression(split.train_images, labels, kept, classes, config.penalty)
            logits = linear
        return attacked(logits, params, split.test_images, answers, tested, signs, config.epsilon)

    changes = ("change",)
    names = ("row", "digit", "height", "width")
    dims = {"error": changes, "confidence": changes, "shown": names, "answers": names[:2]}
    found = lab.sweep("attacks", point, model=MODELS, draw=range(draws), dims=dims)
    found = found.assign_coords(change=list(CHANGES))
    notes(found, lab)
    lab.figure(
        "errors",
        plot_errors(found),
        f"Errors after changes of {config.epsilon:g} in each pixel, along the sign of the gradient and by "
        "random signs.",
    )
    lab.figure(
        "digits",
        plot_digits(found, config),
        "Digits after the attack of the maxout network and after random signs, both clipped; gray is no "
        "change. Above, the network's answers before, after the attack, and after random signs.",
    )
    return claims(found, digits.shared)


def claims(found: xr.Dataset, shared: float) -> list[Claim]:
    def measured(model: str) -> Any:
        one = found["error"].sel(model=model, change=ATTACK).drop_vars(("model", "change"))
        return mean(one, over="draw", overlap=shared)

    def moved(model: str, words: str) -> Claim:
        source = f"our own bar; {PAPER} print {PUBLISHED[model]['error']:g} %"
        expected = at_least(LEAST[model], unit="%", source=source)
        return Claim(f"One step without clipping misleads {words}: the error.", expected, measured(model))

    errors = found["error"].sel(model=MAXOUT).drop_vars("model")
    ratio = errors.sel(change=SIGNS, drop=True) / errors.sel(change=ATTACK, drop=True)
    return [
        moved(SOFTMAX, SOFTMAX),
        moved(PAIR, f"logistic regression on {PAIR}"),
        moved(MAXOUT, f"a {MAXOUT}"),
        Claim(
            f"Random signs of that size do far less to a {MAXOUT}: their error over that of the attack.",
            at_most(0.1, source="our own bar"),
            mean(ratio, over="draw", overlap=shared),
        ),
    ]


def notes(found: xr.Dataset, lab: Lab) -> None:
    """Notes for the findings: errors and confidences of each model beside the published ones."""
    for model in MODELS:
        means = found.sel(model=model)[["error", "confidence"]].mean("draw")
        pairs = [(change, means.sel(change=change)) for change in CHANGES]
        told = "; ".join(
            f"{change} {float(one.error):.2f} % at {float(one.confidence):.1f} %" for change, one in pairs
        )
        paper = ", ".join(f"{name} {value:g} %" for name, value in PUBLISHED[model].items())
        lab.note(f"{model}, error at confidence by change, means over draws: {told}. {PAPER}: {paper}.")


def plot_errors(found: xr.Dataset) -> Figure:
    values = found["error"].assign_attrs(unit="%", long_name="error").rename("error")
    figure, (panels,) = plots.canvas(len(MODELS), size=(4.2, 3.4), share="y")
    for ax, model in zip(panels, MODELS):
        level = {"published, attack": PUBLISHED[model]["error"]}
        plots.dots(values.sel(model=model, drop=True), x="change", levels=level, horizontal=True, axes=ax)
        ax.set_title(model, fontsize=10)
        ax.label_outer()
    return figure


def plot_digits(found: xr.Dataset, config: Config) -> Figure:
    one = found.sel(model=MAXOUT).isel(draw=0)
    images, answers = one["shown"].values, one["answers"].values.astype(int)
    rows = {
        "digit": images[0],
        "what the attack adds": 0.5 + (images[1] - images[0]) / (2 * config.epsilon),
        "attacked": images[1],
        f"random signs of {config.epsilon:g}": images[2],
    }
    titles = ["{}, {}, {}".format(*column) for column in answers.T]
    return plots.image_rows(rows, titles=titles, size=1.1)
