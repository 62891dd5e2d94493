"""Dictionaries of two layers and the codes of digits are learned together, without a label.

Lecture: sparse coding, "can we simultaneously learn the dictionaries and the γ's?".
Source: Sulam, Papyan, Romano and Elad, Multilayer convolutional sparse modeling, 2018; Coates, Lee and Ng, An
analysis of single-layer networks in unsupervised feature learning, 2011.

Each draw splits the digits anew and learns all layers on its training digits, from the random dictionaries
that lead to the least objective there: from some, atoms become alike, and pursuit with them slow. Objective,
reconstruction, sparsity and errors are of its test digits. One linear classifier sees all representations, of
equal size: codes of both layers, summed over the cells of a grid, which forgives small shifts; nearness to
k-means centroids of digits, and to those of patches, whitened, at every pixel, summed over the same grid;
principal components; and pixels. The scaling of features and the penalty are chosen for each on a quarter of
the training digits, as were the model's sizes and penalties on one split. Codes to be classified are found at
smaller penalties than atoms are learned at, by few steps: after more they are sparser, and classified worse.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array
from sklearn.decomposition import PCA

from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, at_most, below, experiment, mean, plots
from jaxtheory.sparse import kmeans, learning, multilayer
from jaxtheory.statistics import linear_probe

MARGIN = 2
"""Zeros around a digit, so that strides divide it: 32 x 32 pixels."""
SEGMENT = 5
"""Steps of learning in one segment of the training."""
FEW = 1000
"""The least number of training digits with which errors are compared."""
ENCODE = jax.jit(kmeans.encode, static_argnames=("grid",))
BAR = "this project's bar; the lecture asks for sparse codes without a figure"
Mean = Callable[..., tuple[Measured, ...]]
"""The mean over the draws, whose digits overlap."""
LECTURE = "the lecture: dictionaries and codes can be learned together"


@dataclass(frozen=True)
class Config:
    kernels: Annotated[tuple[int, int], Range(1, 32)] = (6, 5)
    """Height and width of the filters of each layer."""
    atoms: Annotated[tuple[int, int], Range(1)] = (8, 40)
    """Number of atoms of each layer."""
    strides: Annotated[tuple[int, int], Range(1, 4)] = (2, 1)
    """Distance between neighboring places of an atom, in each layer."""
    penalties: Annotated[tuple[float, float], Range(0, open=True)] = (0.1, 0.3)
    """Penalty on the codes of each layer; pixels range from 0 to 1."""
    scales: Annotated[tuple[float, ...], Range(0, open=True)] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    """Multiples of the penalties at which reconstructions are compared, 1 among them."""
    training: Annotated[int, Range(40, 60_000)] = 4000
    """Number of training digits in a draw."""
    tested: Annotated[int, Range(1)] = 10_000
    """Largest number of test digits; the 5,000 embedded digits have 1,000."""
    draws: Annotated[int, Range(2)] = 5
    """Number of splits of the digits, each with dictionaries of its own; the embedded digits have five."""
    starts: Annotated[int, Range(1)] = 3
    """Number of random dictionaries in each draw; the one that is best after the trial is kept."""
    trial: Annotated[int, Range(1)] = 30
    """Number of steps of learning from each of the random dictionaries."""
    steps: Annotated[int, Range(1)] = 100
    """Number of steps of learning after the trial."""
    batch: Annotated[int, Range(1)] = 32
    """Number of digits in each step of learning."""
    pursuit: Annotated[int, Range(1)] = 60
    """Number of steps of multilayer FISTA that find the codes."""
    reading: Annotated[float, Range(0, open=True)] = 0.2
    """Multiple of the penalties at which the codes for classification are found."""
    reading_steps: Annotated[int, Range(1)] = 10
    """Number of steps in which the codes for classification are found."""
    patch: Annotated[int, Range(1, 32)] = 10
    """Height and width of the patches that k-means clusters, in addition to patches of the atoms' sizes."""
    grid: Annotated[int, Range(1, 16)] = 4
    """Number of rows and of columns of cells over which codes are summed."""
    block: Annotated[int, Range(1)] = 100
    """Number of digits that are coded in one call; as many test digits are reconstructed."""
    patches: Annotated[int, Range(0)] = 40_000
    """Number of patches that k-means clusters; with 0 only whole digits are clustered."""


QUICK = Config(
    atoms=(6, 10), scales=(0.5, 1.0, 2.0, 4.0), training=150, tested=50, draws=4, starts=1, trial=5,
    steps=15, batch=8, pursuit=30, reading_steps=30, grid=2, block=50, patches=0,
)  # fmt: skip


def padded(images: np.ndarray) -> np.ndarray:
    """Digits with a margin, (n, 32, 32, 1)."""
    return np.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))[..., None]


def learn(
    config: Config, digits: mnist.Digits, lab: Lab, draw: int, key: Array, rng: np.random.Generator
) -> dict[str, Any]:
    """Dictionaries of one draw, at the start and learned, and the objective as they were."""
    images = padded(digits.draw(config.training, rng, fold=draw).train_images)
    model = {"nonnegative": True, "strides": config.strides}
    learner = multilayer.learner(config.penalties, code_steps=config.pursuit, **model)
    trials = []
    for number, one in enumerate(jax.random.split(key, config.starts)):
        for_start, for_batches = jax.random.split(one)
        start = multilayer.init(for_start, config.kernels, config.atoms)

        def segment(state: Any, key: Array = for_batches) -> tuple[Any, Any]:
            return learning.run(learner, state, images, key, steps=SEGMENT, batch=config.batch)

        name, segments = f"dictionaries, draw {draw}, start {number}", -(-config.trial // SEGMENT)
        state, metrics, _ = lab.train(name, segment, learner.init(start), segments)
        trials.append((metrics["objective"], start, segment, state))
    before, start, segment, state = min(trials, key=lambda trial: trial[0][-1].mean())
    state, metrics, _ = lab.train(f"dictionaries, draw {draw}", segment, state, -(-config.steps // SEGMENT))
    layers = {"start": start, "learned": state.filters}
    found = {
        name: {str(i): np.asarray(one) for i, one in enumerate(each, 1)} for name, each in layers.items()
    }
    return found | {"objective": np.concatenate([before.ravel(), metrics["objective"].ravel()])}


def filters_of(found: xr.Dataset, dictionary: str, draw: int) -> list[np.ndarray]:
    """The filters of each layer, of a draw."""
    return [found[f"{dictionary}/{layer}"].sel(draw=draw).values for layer in (1, 2)]


@partial(jax.jit, static_argnames=("steps", "config"))
def pursued(filters: Any, images: Array, scale: Any, *, steps: int, config: Config) -> dict[str, Array]:
    """Codes of some digits, what they are summed to on the grid, and how well and sparsely they do it.

    The objective at the deepest codes; by layers, the squared error of the digit that a layer's own codes
    stand for, over the digit's energy, and the share of its codes that are not zero, both in %.
    """
    penalties = [scale * penalty for penalty in config.penalties]
    model = {"nonnegative": True, "strides": config.strides}
    found = multilayer.ml_fista(filters, images, penalties, steps=steps, **model)
    energy = jnp.sum(images**2, (1, 2, 3))
    errors, shares, whole = [], [], []
    for layer, codes in enumerate(found.codes, 1):
        whole.append(multilayer.synthesize(filters[:layer], codes, strides=config.strides[:layer])[0])
        errors.append(100 * jnp.sum((images - whole[-1]) ** 2, (1, 2, 3)) / energy)
        shares.append(100 * jnp.mean(codes != 0, (1, 2, 3)))
    return {
        "objective": found.objective,
        "error": jnp.stack(errors, -1),
        "share": jnp.stack(shares, -1),
        "images": jnp.stack(whole, 1)[..., 0],
        "features": jnp.concatenate([kmeans.pool(codes, config.grid) for codes in found.codes], -1),
    }


def reconstruct(
    config: Config, digits: mnist.Digits, found: xr.Dataset, dictionary: str, scale: float, draw: int,
    rng: np.random.Generator, *, steps: int,
) -> dict[str, Any]:  # fmt: skip
    """Objective, errors and shares of nonzero codes by layers, over some test digits of a draw."""
    images = padded(digits.draw(config.training, rng, fold=draw).test_images[: config.block])
    values = pursued(filters_of(found, dictionary, draw), images, scale, steps=steps, config=config)
    return {name: np.mean(values[name], axis=0) for name in ("objective", "error", "share")}


def blocked(function: Any, images: np.ndarray, size: int) -> np.ndarray:
    """What a function makes of digits, some at a time, a row a digit."""
    parts = [np.asarray(function(images[first : first + size])) for first in range(0, len(images), size)]
    return np.concatenate(parts).reshape(len(images), -1)


def represented(
    name: str, config: Config, filters: Any, train: np.ndarray, test: np.ndarray, key: Array
) -> list[np.ndarray]:
    """A representation of the training and of the test digits, a row a digit."""
    count = config.grid**2 * sum(config.atoms)
    inside = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    flat = [images[inside].reshape(len(images), -1) for images in (train, test)]
    if name == "codes":
        read = partial(pursued, filters, scale=config.reading, steps=config.reading_steps, config=config)
        return [blocked(lambda part: read(part)["features"], one, config.block) for one in (train, test)]
    if name == "principal components":
        model = PCA(min(count, len(train) - 1), svd_solver="full").fit(flat[0])
        return [model.transform(one) for one in flat]
    if name == "k-means of digits":
        start = (learner := kmeans.lloyd()).init(kmeans.spread(key, flat[0], count))
        centroids = learning.run(learner, start, flat[0], steps=50)[0].centroids
        return [np.asarray(kmeans.triangle(centroids, one)) for one in flat]
    if name in (sides := clustered(config)):
        # Patches of one size share the number of all atoms; of several, each has that of a layer.
        numbers = config.atoms if len(sides[name]) > 1 else [sum(config.atoms)]
        parts = []
        for number, side, one in zip(numbers, sides[name], jax.random.split(key, len(numbers))):
            encoder = kmeans.fit_encoder(one, train, number, side, patches=config.patches)
            encode = partial(ENCODE, encoder, grid=config.grid)
            parts.append([blocked(encode, images, config.block) for images in (train, test)])
        return [np.concatenate(one, -1) for one in zip(*parts)]
    return flat


def classify(
    config: Config, digits: mnist.Digits, found: xr.Dataset, representation: str, draw: int,
    key: Array, rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """Test error in % of the linear classifier on a representation, and what validation chose."""
    split, filters = digits.draw(config.training, rng, fold=draw), filters_of(found, "learned", draw)
    images = padded(split.train_images), padded(split.test_images[: config.tested])
    known, queries = represented(representation, config, filters, *images, key)
    probe = linear_probe.fit(known, split.train_labels, classes=mnist.CLASSES)
    wrong = linear_probe.predict(probe, queries) != split.test_labels[: config.tested]
    chosen = {"scaling": probe.scaling, "penalty": probe.penalty, "converged": probe.model.converged}
    return {"error": 100 * np.mean(wrong), "features": known.shape[1], **chosen}


def clustered(config: Config) -> dict[str, tuple[int, ...]]:
    """The sides of the patches that k-means clusters, by name: one, or those of the atoms of each layer."""
    start = multilayer.init(jax.random.key(0), config.kernels, config.atoms)
    sides = tuple(len(one) for one in multilayer.effective_filters(start, strides=config.strides))
    each = ((config.patch,), sides[-1:], sides) if config.patches else ()
    return {f"k-means of patches of {' and '.join(map(str, one))} pixels": one for one in each}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    # One stream of draws: whatever is compared sees the same digits.
    draws = min(config.draws, mnist.FOLDS) if digits.embedded else config.draws
    of_draw = {"draw": range(draws), "stream": "draws"}
    found = lab.sweep("dictionaries", partial(learn, config, digits, lab), **of_draw)
    rebuild = partial(reconstruct, config, digits, found)
    layers = {"dims": {"error": ("layer",), "share": ("layer",)}}
    rebuilt = lab.sweep(
        "reconstruction", partial(rebuild, steps=config.pursuit), dictionary=("start", "learned"),
        scale=config.scales, common=("dictionary", "scale"), **layers, **of_draw,
    ).assign_coords(layer=[1, 2])  # fmt: skip
    read = lab.sweep(
        "codes as classified",
        partial(rebuild, dictionary="learned", scale=config.reading, steps=config.reading_steps),
        **layers, **of_draw,
    )  # fmt: skip
    names = ("codes", "k-means of digits", *clustered(config), "principal components", "pixels")
    judged = lab.sweep(
        "classifier", partial(classify, config, digits, found), representation=names,
        common=("representation",), unit="%", **of_draw,
    )  # fmt: skip
    over_draws = partial(mean, over="draw", overlap=digits.shared)
    notes(config, rebuilt, read, judged, lab, over_draws)
    figures(config, digits, found, rebuilt, judged, lab)
    return reconstruction_claims(rebuilt, over_draws) + error_claims(config, judged.error, over_draws)


def at_equal_share(rebuilt: xr.Dataset) -> xr.DataArray:
    """Errors of the digits from the deepest codes, learned dictionaries' less the random ones', in points.

    At the share of nonzero codes that the learned ones have; the random ones' error there is interpolated
    between penalties, NaN where no penalty comes near.
    """
    deepest = rebuilt.sel(layer=2)
    start, learned = deepest.sel(dictionary="start"), deepest.sel(dictionary="learned", scale=1.0)

    def between(wanted: np.floating, shares: np.ndarray, errors: np.ndarray) -> float:
        order = np.argsort(shares)
        return np.interp(wanted, shares[order], errors[order], left=np.nan, right=np.nan)

    other = xr.apply_ufunc(
        between, learned.share, start.share, start.error, input_core_dims=[[], ["scale"], ["scale"]],
        vectorize=True,
    )  # fmt: skip
    return learned.error - other


def reconstruction_claims(rebuilt: xr.Dataset, mean: Mean) -> list[Claim]:
    """That learning helps reconstruction, and that codes are sparse."""
    plain = rebuilt.sel(scale=1.0, drop=True)
    learned, start = (plain.sel(dictionary=name, drop=True) for name in ("learned", "start"))
    return [
        Claim(
            "On test digits the objective is lower with learned dictionaries than with the random ones that "
            "learning began with.",
            below(0, source=LECTURE),
            mean(learned.objective - start.objective, paired=True),
        ),
        Claim(
            "With as many nonzero deepest codes, the learned dictionaries come nearer to test digits than "
            "the random ones.",
            below(0, unit="points", source=LECTURE),
            mean(at_equal_share(rebuilt).reset_coords(drop=True), paired=True),
        ),
        Claim(
            "At most 25 % of the codes of each layer are not zero.",
            at_most(25, unit="%", source=BAR),
            mean(learned.share),
        ),
    ]


def error_claims(config: Config, error: xr.DataArray, mean: Mean) -> list[Claim]:
    """The classifier on codes against the others."""
    claims = {
        "k-means of digits": (
            "A linear classifier errs less on the codes than on distances to as many k-means of digits.",
            "this project's bar",
        ),
        "k-means of patches": (
            "It errs less on the codes than on as many k-means features of patches, pooled alike.",
            "this project's bar; Coates and Ng 2011 compare the two",
        ),
        "principal components": (
            "It errs less on the codes than on principal components of equal size.",
            "this project's expectation: components are linear in the pixels",
        ),
    }
    apart = error.sel(representation="codes", drop=True) - error.rename(representation="against")
    need = Need(f"{FEW:,} training digits", config.training >= FEW, f"give --training {FEW} or more")
    found = []
    for kind, (statement, source) in claims.items():
        others = [name for name in apart.against.values if name.startswith(kind)]
        measured = mean(apart.sel(against=others), paired=True) if others else None
        needs = need, Need("patches for k-means", bool(others), "give --patches")
        found.append(Claim(statement, below(0, unit="points", source=source), measured, needs=needs))
    return found


def notes(
    config: Config, rebuilt: xr.Dataset, read: xr.Dataset, judged: xr.Dataset, lab: Lab, mean: Mean
) -> None:
    """Notes for the findings, on what the claims do not say."""
    plain = rebuilt.sel(scale=1.0).mean("draw")
    for layer, atoms in enumerate(config.atoms, 1):
        number = atoms * ((mnist.SIDE + 2 * MARGIN) // math.prod(config.strides[:layer])) ** 2
        one, again = plain.sel(dictionary="learned", layer=layer), read.share.isel(layer=layer - 1).mean()
        lab.note(
            f"layer {layer}: {float(one.share):.1f} % of {number:,} codes are not zero, "
            f"{float(one.share) * number / 100:,.0f} a digit, and leave {float(one.error):.1f} % of its "
            f"energy; as they are classified, {float(again):.1f} % are not zero"
        )
    left = plain.error.sel(dictionary="start", layer=2).item()
    lab.note(f"random dictionaries leave {left:.1f} % at these penalties in the deepest layer")
    for name in judged.representation.values:
        one = judged.sel(representation=name)
        (error,) = mean(one.error.reset_coords(drop=True))
        chosen = ", ".join(f"{penalty:g}" for penalty in np.unique(one.penalty))
        scalings = ", ".join(linear_probe.SCALINGS[index] for index in np.unique(one.scaling))
        lab.note(
            f"{name}: {error.text} % of test digits mistaken, with {int(one.features[0])} features, scaled "
            f"{scalings}, penalties {chosen}; {int(one.converged.sum())} fits of {one.draw.size} converged"
        )
    lab.record(**{str(one): error.values for one, error in judged.error.groupby("representation")})


def figures(
    config: Config, digits: mnist.Digits, found: xr.Dataset, rebuilt: xr.Dataset, judged: xr.Dataset, lab: Lab
) -> None:
    """The pictures."""
    filters = {name: filters_of(found, name, 0) for name in ("start", "learned")}
    tiles, atoms = {}, multilayer.effective_filters(filters["learned"], strides=config.strides)
    for layer, one in enumerate(atoms, 1):
        title = f"layer {layer}: {one.shape[-1]} atoms of {one.shape[0]} x {one.shape[1]} pixels"
        tiles[title] = np.moveaxis(one[:, :, 0], -1, 0)
    lab.figure(
        "atoms",
        plots.mosaics(tiles),
        "Learned atoms of each layer in pixels: what a single code stands for, in its own gray scale.",
    )
    split = digits.draw(config.training, lab.rng("draws", draw=0), fold=0)
    images = padded(split.test_images[: config.block])
    _, chosen = np.unique(split.test_labels[: config.block], return_index=True)
    rows = {"test digits": images[chosen, ..., 0]}
    for name, title in (("learned", ""), ("start", ",\nrandom")):
        values = pursued(filters[name], images, 1.0, steps=config.pursuit, config=config)["images"]
        rows |= {f"layer {layer}{title}": np.asarray(values)[chosen, layer - 1] for layer in (1, 2)}
    lab.figure(
        "reconstructions",
        plots.image_rows({name: row[:, MARGIN:-MARGIN, MARGIN:-MARGIN] for name, row in rows.items()}),
        "Test digits of the first draw, and what the codes of each layer stand for.",
    )
    objective = found.objective.rename("objective a digit").rename(objective_0="step")
    lab.figure(
        "learning",
        plots.panel(objective, x="step", over="draw", spread="each", ylim=(0.0, None)),
        "Mean objective of a batch before each step of learning; one thin line a draw, and their mean.",
    )
    both = rebuilt.mean("draw").assign_coords(dictionary=["random", "learned"])
    error = both.error.assign_coords(share=both.share)
    lab.figure(
        "error_and_sparsity",
        plots.panel(
            error, x="share", hue="dictionary", col="layer", log="y", xlabel="codes that are not zero (%)",
            ylabel="energy left of a digit (%)",
        ),
        "What the codes of each layer leave of test digits, by their sparsity, at penalties of "
        f"{config.scales[0]:g} to {config.scales[-1]:g} times those of learning; means over draws.",
    )  # fmt: skip
    lab.figure(
        "errors",
        plots.dots(judged.error, x="representation", horizontal=True, ylabel="test digits mistaken (%)"),
        "Test error of the linear classifier, with Student's interval over draws; dots are draws.",
    )
