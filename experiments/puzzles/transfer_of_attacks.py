"""What fools one classifier fools others, of other kinds and of other training digits.

Lecture: puzzles, "Malicious examples generalize across different architectures".
Source: Papernot, McDaniel and Goodfellow, Transferability in machine learning: from phenomena to black-box
attacks using adversarial samples, 2016, arXiv:1605.07277.

A convolutional network, logistic regression, a linear support vector machine, a decision tree, nearest
neighbors and their majority vote learn the same digits. Test digits are changed to fool each of the first
five, and shown to all six. The first three are attacked by the sign of their gradient; the tree, as in the
paper, by the change that leads to a leaf of another class that is near in the tree; nearest neighbors by the
sign of the gradient of a soft vote, of all training digits with weights exp(-distance^2). Each change is
compared with random signs, clipped like it and scaled to its l2 norm. Attacks and classifiers differ from the
paper's in strength, so that single cells of its table are context. A second network and two perceptrons learn
each half of the digits. Draws of the whole MNIST (--data-dir) share neither training nor test digits, and the
full form then takes about five minutes on two cores; of the embedded digits, fewer are taken.
"""

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from scipy import stats
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.inspection import adversarial
from jaxtheory.lab import Claim, Lab, Measured, Range, above, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.mlp import MLP
from jaxtheory.statistics import neighbors, softmax

SOURCES = ("network", "logistic regression", "support vectors", "tree", "neighbors")
WITH_GRADIENTS = SOURCES[:3]
TARGETS = (*SOURCES, "ensemble")
PUBLISHED = xr.DataArray(
    [
        [38.27, 23.02, 64.32, 79.31, 8.36, 20.72],
        [6.31, 91.64, 91.43, 87.42, 11.29, 44.14],
        [2.51, 36.56, 100.0, 80.03, 5.19, 15.67],
        [0.82, 12.22, 8.85, 89.29, 3.31, 5.11],
        [11.75, 42.89, 82.16, 82.95, 41.65, 31.92],
    ],
    [("source", list(SOURCES)), ("target", list(TARGETS))],
)
"""The paper's shares of adversarial examples that are misclassified, in %."""
PAPER = "Papernot et al. 2016, cross-technique transferability"
KINDS = ("CNN", "MLP")
RATE, BATCH = 1e-3, 50
"""Adam's first step size, and the number of digits in a training step."""
PENALTY, SLACK = 1e-4, 0.01
"""The weight decay of logistic regression, and the support vector machine's C."""
NEIGHBORS = 5
OFFSET = 1e-3
"""How far beyond a threshold of a tree a pixel is set, where there is room."""
HALVINGS = 30
"""How often the interval in which the scale of the noise lies is halved."""


@dataclass(frozen=True)
class Config:
    digits: Annotated[int, Range(100, 30_000)] = 6000
    """The number of training digits in each half; the matrix is that of the first half."""
    attacked: Annotated[int, Range(10, 10_000)] = 2000
    """The number of test digits that are attacked in each draw."""
    draws: Annotated[int, Range(2, 10)] = 5
    """The number of draws of digits and networks."""
    epsilon: Annotated[float, Range(0, 1, open=True)] = 0.3
    """The largest change of a pixel, in units of its range, but for the tree."""
    epochs: Annotated[int, Range(1)] = 10
    """The number of epochs for which networks are trained."""


QUICK = Config(digits=500, attacked=150, draws=3, epochs=8)


@cache
def network(kind: str) -> tuple[Any, Any]:
    """A network's initializer, and its logits."""
    if kind == "CNN":
        options = {"kernel_size": 5, "head": (64, mnist.CLASSES)}
        make = partial(CNN, (mnist.SIDE, mnist.SIDE), (8, 16), **options)
    else:
        make = partial(MLP, (mnist.SIDE**2, 200, mnist.CLASSES))
    functional = networks.functional(make)
    predict = training.predictor(functional.apply)

    def logits(params: Any, x: Any) -> jax.Array:
        return predict(params, x if kind == "CNN" else x.reshape(len(x), -1))

    return functional.init, logits


@partial(jax.jit, static_argnames=("kind", "config"))
def trained(x: Any, y: Any, key: jax.Array, *, kind: str, config: Config) -> Any:
    """The parameters of a network after its training."""
    init, logits = network(kind)
    start, order = jax.random.split(key)
    steps = config.epochs * (len(y) // BATCH)
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def loss(params: Any, batch: Any) -> jax.Array:
        return jnp.mean(training.cross_entropy(logits(params, batch[0]), batch[1]))

    state = training.init(init(start)[0], order, optimizer=optimizer)
    options = {"objective": training.stateless(loss), "optimizer": optimizer}
    return training.run(state, (x, y), steps=steps, batch=BATCH, **options)[0].params


def flat(x: Any) -> Any:
    return x.reshape(len(x), -1)


def regression_logits(params: Any, x: Any) -> jax.Array:
    return softmax.logits(params, flat(x))


def machine_logits(params: Any, x: Any) -> jax.Array:
    """The decision function of a linear support vector machine, one against the rest."""
    weights, offsets = params
    return jnp.matmul(flat(x), weights, precision="highest") + offsets


def soft_votes(params: Any, x: Any) -> jax.Array:
    """Logarithms of the votes of all training digits with weights exp(-|x - z|^2), by class."""
    features, members = params
    squares = jnp.sum(flat(x) ** 2, 1)[:, None] + jnp.sum(features**2, 1)
    apart = squares - 2 * jnp.matmul(flat(x), features.T, precision="highest")
    return jnp.stack([jax.nn.logsumexp(jnp.where(one, -apart, -jnp.inf), axis=1) for one in members.T], 1)


def leaf_boxes(tree: Any) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The lower and upper ends, beyond the former and up to the latter, of the pixels in each leaf."""
    found = {}
    pixels = mnist.SIDE**2
    waiting = [(0, np.full(pixels, -np.inf), np.full(pixels, np.inf))]
    while waiting:
        node, low, high = waiting.pop()
        if tree.children_left[node] < 0:
            found[node] = (low, high)
            continue
        feature, threshold = tree.feature[node], tree.threshold[node]
        for child, ends in ((tree.children_left[node], 1), (tree.children_right[node], 0)):
            pair = [low.copy(), high.copy()]
            pair[ends][feature] = threshold
            waiting.append((int(child), *pair))
    return found


def other_leaves(tree: Any) -> dict[int, int]:
    """For each leaf the first one of another class below the lowest ancestor that has one beside the leaf."""
    left, right = tree.children_left.tolist(), tree.children_right.tolist()
    parents = {child: node for node in range(len(left)) for child in (left[node], right[node])}
    classes = tree.value[:, 0].argmax(1)

    def leaves(node: int) -> Any:
        """The leaves below a node, depth first."""
        waiting = [node]
        while waiting:
            node = waiting.pop()
            if left[node] < 0:
                yield node
            else:
                waiting += [right[node], left[node]]

    found = {}
    for leaf in (node for node, child in enumerate(left) if child < 0):
        node, other = leaf, None
        while other is None and node in parents:
            parent = parents[node]
            beside = right[parent] if left[parent] == node else left[parent]
            other = next((one for one in leaves(beside) if classes[one] != classes[leaf]), None)
            node = parent
        found[leaf] = leaf if other is None else other
    return found


def flipped(model: DecisionTreeClassifier, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Digits that a tree classifies, changed in as few pixels as lead to the other leaf."""
    boxes, others = leaf_boxes(model.tree_), other_leaves(model.tree_)
    changed = flat(x).copy()
    leaves, right = model.apply(changed), model.predict(changed) == y
    for k in np.flatnonzero(right):
        row, (low, high) = changed[k], boxes[others[int(leaves[k])]]
        # The middle where there is little room; thresholds themselves are rounded to either side.
        beyond = np.minimum(low + OFFSET, (low + np.minimum(high, 1)) / 2)
        below = np.maximum(high - OFFSET, (high + np.maximum(low, 0)) / 2)
        row[:] = np.where(row <= low, beyond, np.where(row > high, below, row))
    return changed.reshape(x.shape)


def noisy(x: np.ndarray, changed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Digits with random signs in all pixels, clipped, with changes of the same l2 norms as given ones."""
    signs = rng.choice([-1.0, 1.0], x.shape)
    norms = np.linalg.norm(flat(changed - x), axis=1)
    low, high = np.zeros(len(x)), np.ones(len(x))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        moved = np.clip(x + middle[:, None, None] * signs, 0, 1) - x
        short = np.linalg.norm(flat(moved), axis=1) < norms
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.clip(x + high[:, None, None] * signs, 0, 1).astype(np.float32)


def available(config: Config, digits: mnist.Digits) -> Config:
    """The configuration with no more draws and digits than there are."""
    draws = min(config.draws, mnist.FOLDS) if digits.embedded else config.draws
    # Folds of the embedded digits share training digits; draws of the whole MNIST share none.
    parts = 1 if digits.embedded else draws
    most, tested = len(digits.train_labels) // (2 * parts), len(digits.test_labels) // parts
    attacked = min(config.attacked, tested)
    return replace(config, digits=min(config.digits, most), attacked=attacked, draws=draws)


def drawn(config: Config, digits: mnist.Digits, lab: Lab, draw: int) -> list[np.ndarray]:
    """Both halves of the training digits of a draw, one after the other, and its test digits."""
    size, tested = 2 * config.digits, config.attacked
    if digits.embedded:
        split = digits.draw(size, lab.rng("digits", draw=draw), fold=draw)
        test = (split.test_images[:tested], split.test_labels[:tested])
        return [split.train_images, split.train_labels, *test]
    rng, parts = lab.rng("digits"), []
    for name, each in (("train", size), ("test", tested)):
        images, labels = getattr(digits, f"{name}_images"), getattr(digits, f"{name}_labels")
        chosen = rng.permutation(len(labels))[draw * each : (draw + 1) * each]
        parts += [images[chosen], labels[chosen]]
    return parts


def transferred(
    config: Config, digits: mnist.Digits, lab: Lab, draw: int, key: jax.Array, rng: np.random.Generator
) -> dict[str, Any]:
    """Errors in % of all targets on clean digits, on digits changed for all sources, and on noise."""
    images, labels, x, y = drawn(config, digits, lab, draw)
    n, answers = config.digits, jnp.asarray(y)
    halves = [(jnp.asarray(images[part]), jnp.asarray(labels[part])) for part in (slice(n), slice(n, 2 * n))]
    keys = jax.random.split(key)
    trainings = {
        f"{kind} {half}": (network(kind)[1], trained(*halves[half], keys[half], kind=kind, config=config))
        for kind in KINDS
        for half in range(2)
    }
    features, classes = flat(images[:n]), labels[:n]
    machine = LinearSVC(C=SLACK, random_state=0).fit(features, classes)
    tree = DecisionTreeClassifier(random_state=0).fit(features, classes)
    options = {"classes": mnist.CLASSES, "penalty": PENALTY, "tolerance": 1e-4, "max_steps": 300}
    weights = (jnp.asarray(machine.coef_.T, jnp.float32), jnp.asarray(machine.intercept_, jnp.float32))
    smooth = {
        "network": trainings["CNN 0"],
        "logistic regression": (regression_logits, softmax.fit(features, classes, **options)),
        "support vectors": (machine_logits, weights),
        "neighbors": (soft_votes, (features, np.eye(mnist.CLASSES, dtype=bool)[classes])),
    }
    votes = partial(neighbors.predict, features, classes, classes=mnist.CLASSES, neighbors=NEIGHBORS)
    predictions = {
        name: lambda x, model=model: np.argmax(model[0](model[1], x), axis=1)
        for name, model in smooth.items()
    } | {"tree": lambda x: tree.predict(flat(x)), "neighbors": lambda x: np.asarray(votes(flat(x)))}

    def made(logits: Any, params: Any) -> np.ndarray:
        return np.asarray(adversarial.fgsm(logits, params, x, answers, config.epsilon).x)

    def wrong(x: np.ndarray) -> np.ndarray:
        """Errors of the five and of their vote, of equally many votes for the lower class."""
        found = np.stack([predictions[name](x) for name in SOURCES])
        counts = (found[:, :, None] == np.arange(mnist.CLASSES)).sum(0)
        return 100 * np.mean(np.vstack([found, counts.argmax(1)]) != y, axis=1)

    changed = [flipped(tree, x, y) if name == "tree" else made(*smooth[name]) for name in SOURCES]
    noise = [noisy(x, one, rng) for one in changed]
    return {
        "clean": wrong(x),
        "attacked": np.stack([wrong(one) for one in changed]),
        "noise": np.stack([wrong(one) for one in noise]),
        "norm": np.array([np.linalg.norm(flat(one - x), axis=1).mean() for one in changed]),
        **across(trainings, made, x, y, rng),
    }


def across(trainings: Any, made: Any, x: np.ndarray, y: np.ndarray, rng: Any) -> dict[str, np.ndarray]:
    """Errors in % of networks on what fools networks that were trained on the other half, and on noise."""
    errors = np.zeros((2, len(KINDS), len(KINDS)))
    for i, source in enumerate(KINDS):
        for half in range(2):
            changed = made(*trainings[f"{source} {half}"])
            for k, images in enumerate((changed, noisy(x, changed, rng))):
                for j, target in enumerate(KINDS):
                    logits, params = trainings[f"{target} {1 - half}"]
                    errors[k, i, j] += 50 * np.mean(np.argmax(logits(params, images), axis=1) != y)
    return {"networks": errors[0], "networks on noise": errors[1]}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    config = available(config, digits)
    found = lab.sweep(
        "transfer", partial(transferred, config, digits, lab), draw=range(config.draws), unit="%",
        dims={"clean": ("target",), "norm": ("source",)}
        | dict.fromkeys(("attacked", "noise"), ("source", "target"))
        | dict.fromkeys(("networks", "networks on noise"), ("made on", "shown to")),
    )  # fmt: skip
    kinds = {axis: list(KINDS) for axis in ("made on", "shown to")}
    found = found.assign_coords(source=list(SOURCES), target=list(TARGETS), **kinds)
    lab.note(f"Halves of {config.digits} training digits, {config.attacked} test digits in each draw.")
    notes(found, lab, digits.shared)
    figures(found, lab)
    return claims(found, digits.shared)


def ranked(attacked: xr.DataArray) -> Measured:
    """Spearman's correlation of the cells with the published ones, and its interval.

    The interval is Fisher's with the variance of Bonett and Wright (2000), as if cells were independent.
    """
    cells = attacked.mean("draw").transpose("source", "target").values.ravel()
    found = stats.spearmanr(cells, PUBLISHED.values.ravel()).statistic
    half = stats.norm.ppf(0.975) * np.sqrt((1 + found**2 / 2) / (cells.size - 3))
    ends = np.tanh(np.arctanh(np.clip(found, -1 + 1e-9, 1 - 1e-9)) + np.array([-half, half]))
    return Measured(found, interval=tuple(ends), n=cells.size, of="cells")


def claims(found: xr.Dataset, overlap: float) -> list[Claim]:
    options = {"over": "draw", "paired": True, "overlap": overlap}
    gained = found.attacked - found.noise
    return [
        Claim(
            "The shares that are misclassified rank as in the published matrix: correlation of the cells.",
            above(0, source=PAPER),
            ranked(found.attacked),
        ),
        *(
            Claim(
                f"What fools {source} is misclassified more often than noise of the same norm, by every "
                "classifier: the difference.",
                above(0, unit="points", source=PAPER),
                mean(gained.sel(source=source, drop=True), **options),
            )
            for source in WITH_GRADIENTS
        ),
        Claim(
            "What fools a network fools networks that were trained on other digits, of its own kind and of "
            "another, more than noise of the same norm: the difference.",
            above(0, unit="points", source="Goodfellow et al. 2015, section 8; Papernot et al. 2016"),
            mean(found.networks - found["networks on noise"], **options),
        ),
    ]


def notes(found: xr.Dataset, lab: Lab, overlap: float) -> None:
    """Notes for the findings: the matrix beside the published one, and what noise of the same norm does."""
    means = found.mean("draw")
    clean = [f"{name} {float(means.clean.sel(target=name)):.1f} %" for name in TARGETS]
    lab.note(f"Errors on clean digits: {', '.join(clean)}.")
    pairs = [
        f"{one} to {other} {float(means.networks.sel({'made on': one, 'shown to': other})):.1f} %"
        for one in KINDS
        for other in KINDS
    ]
    lab.note(f"Errors of networks on what fools networks of other digits: {', '.join(pairs)}.")
    for source in SOURCES:
        one, cells = means.sel(source=source), []
        for target in TARGETS:
            at = one.sel(target=target)
            published = float(PUBLISHED.sel(source=source, target=target))
            cells.append(f"{target} {float(at.attacked):.1f}, {float(at.noise):.1f}, {published:.1f} %")
        gained = (found.attacked - found.noise).sel(source=source, drop=True)
        rows = mean(gained, over="draw", paired=True, overlap=overlap)
        more = [row.at["target"] for row in rows if Claim("-", above(0, source="-"), row).verdict == "holds"]
        lab.note(
            f"Made on {source}, changes of norm {float(one['norm']):.2f}: errors, those after noise, and "
            f"published ones: {'; '.join(cells)}. Above noise: {', '.join(more) or 'none'}."
        )


def figures(found: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    figure, (panels,) = plots.canvas(3, size=(4.6, 4.2))
    shown = (found.attacked.mean("draw"), found.noise.mean("draw"), PUBLISHED)
    for ax, title, cells in zip(panels, ("measured", "noise", "published"), shown):
        values = cells.transpose("source", "target").values
        ax.imshow(values, vmin=0, vmax=100, cmap="viridis", aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            color = "w" if value < 60 else "k"
            ax.text(j, i, f"{value:.0f}", ha="center", va="center", color=color, fontsize=9)
        ax.set_xticks(range(len(TARGETS)), TARGETS, rotation=35, ha="right", fontsize=8)
        ax.set_yticks(range(len(SOURCES)), SOURCES if ax is panels[0] else [""] * len(SOURCES), fontsize=8)
        ax.set_title(title, fontsize=10)
    lab.figure(
        "matrix", figure,
        "The share, in %, of what was made to fool a classifier (rows) that others (columns) misclassify; "
        "noise of the same norm; and the paper's figures.",
    )  # fmt: skip
