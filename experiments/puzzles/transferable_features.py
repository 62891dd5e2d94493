"""Textures and photographs are told apart best by what ImageNet taught, then by wavelets, badly by pixels.

Lecture: puzzles, "Can filters be learned in an unsupervised manner? Can we characterize them mathematically?"
Source: Yosinski, Clune, Bengio and Lipson, How transferable are features in deep neural networks?, NIPS 2014;
Bruna and Mallat, Invariant scattering convolution networks, 2013.

A patch of a gray texture or photograph is to be told from those of the others, from 1, 5 or 20 examples of
each; patches to test on come from the right part of each image, examples from the rest. All patches have the
same mean and variance, before pixels are cut to the range of an image. One classifier, ridge regression on
the classes with a small penalty, is given four representations: pixels; scattering of order 2, whose filters
nobody learned; nearness to centroids of small patches, whitened, which are learned from the examples without
their classes; and the last layer of EfficientNet-Lite0, which learned a thousand classes of ImageNet and sees
the patches enlarged. Features are averages over the patch, but for pixels. The full form takes about three
minutes on two cores.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import images as real_images
from jaxtheory.harmonic import scattering2d
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, above, experiment, mean, plots
from jaxtheory.networks import efficientnet, training
from jaxtheory.sparse import kmeans
from jaxtheory.statistics import kernel_regression

PIXELS, SCATTERING, CENTROIDS, IMAGENET = "pixels", "scattering", "k-means", "ImageNet"
REPRESENTATIONS = (PIXELS, SCATTERING, CENTROIDS, IMAGENET)
PART = 0.6
"""The share of an image's width in which examples lie."""
MIDDLE, SPREAD = 0.5, 0.2
"""The mean and the standard deviation of a patch, whose pixels are then cut to [0, 1]."""
FAINT = 0.05
"""The smallest deviation that a feature is divided by, as a share of the largest one."""
BLOCK = 50
"""The number of patches whose features are computed at once."""


@dataclass(frozen=True)
class Config:
    images: tuple[str, ...] = tuple(real_images.ORIGINS)
    """The names of the textures and photographs, each a class."""
    side: Annotated[int, Range(32, 120)] = 64
    """The height and width of a patch in pixels, a multiple of 2**J."""
    examples: Annotated[tuple[int, ...], Range(1, 100)] = (1, 5, 20)
    """The numbers of examples of each class, in rising order."""
    tested: Annotated[int, Range(1)] = 20
    """The number of patches of each class to test on."""
    penalty: Annotated[float, Range(0, open=True)] = 1e-4
    """The penalty of ridge regression, for features whose squared length is about one."""
    J: Annotated[int, Range(1, 5)] = 4
    """The number of scales of scattering: wavelets reach over 2**J pixels."""
    L: Annotated[int, Range(2)] = 8
    """The number of angles of scattering."""
    centroids: Annotated[int, Range(1)] = 200
    """The number of centroids."""
    centroid_size: Annotated[int, Range(2, 16)] = 8
    """The height and width of the small patches that are clustered, in pixels."""
    patches: Annotated[int, Range(1000)] = 20_000
    """The number of small patches that are clustered."""
    enlarged: Annotated[int, Range(1, 4)] = 2
    """The factor by which patches are enlarged for the network of ImageNet."""
    draws: Annotated[int, Range(2)] = 10
    """The number of draws of patches."""


QUICK = Config(
    images=("china", "flower", "camera", "coins", "ascent", "aero", "brick", "grass", "gravel"), side=32,
    examples=(1, 5), tested=10, J=3, L=4, centroids=40, patches=3000, draws=4,
)  # fmt: skip


def equalized(patches: np.ndarray) -> np.ndarray:
    """Patches of one mean and one variance, cut to [0, 1]."""
    patches = patches - patches.mean((1, 2), keepdims=True)
    patches = patches / np.maximum(patches.std((1, 2), keepdims=True), 1e-3)
    return np.float32(np.clip(MIDDLE + SPREAD * patches, 0, 1))


def seen(config: Config, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Patches of each class to learn from, (classes, examples, side, side), and to test on."""
    found = ([], [])
    for name in config.images:
        x = real_images.load(name, gray=True)
        edge = int(PART * x.shape[1])
        numbers = (max(config.examples), config.tested)
        for ones, part, number in zip(found, (x[:, :edge], x[:, edge:]), numbers):
            ones.append(equalized(real_images.patches([part], number, config.side, seed=rng)))
    return np.stack(found[0]), np.stack(found[1])


@jax.jit
def scattered(bank: scattering2d.Bank, x: jax.Array) -> jax.Array:
    """Scattering coefficients, averaged over each patch."""
    return scattering2d.scatter(bank, x).mean((-2, -1))


@jax.jit
def encoded(encoder: kmeans.Encoder, x: jax.Array) -> jax.Array:
    """Nearness of the small patches at all places to centroids, summed over each patch."""
    return kmeans.encode(encoder, x[..., None], grid=1)[..., 0, 0, :]


@cache
def imagenet(side: int) -> Any:
    """The features of the network of ImageNet, and its parameters; None if its weights are not there."""
    try:
        params, state = efficientnet.pretrained()
    except FileNotFoundError:
        return None
    body = partial(efficientnet.EfficientNet, "lite0", returns="features")
    predict = training.predictor(networks.functional(body).apply, state)

    @jax.jit
    def features(params: Any, x: jax.Array) -> jax.Array:
        larger = jax.image.resize(x, (len(x), side, side), "cubic")
        return predict(params, jnp.repeat(larger[..., None], 3, -1))

    return features, params


def represented(config: Config, name: str, x: np.ndarray, examples: np.ndarray, key: jax.Array) -> np.ndarray:
    """Features of patches, one row each; centroids are learned from examples without their classes."""
    if name == PIXELS:
        return x.reshape(len(x), -1)
    if name == SCATTERING:
        features = scattered
        given = scattering2d.filter_bank((config.side, config.side), config.J, config.L)
    elif name == CENTROIDS:
        features, size = encoded, config.centroid_size
        options = {"patches": config.patches, "contrast": 0.01}
        given = kmeans.fit_encoder(key, examples[..., None], config.centroids, size, **options)
    else:
        features, given = imagenet(config.enlarged * config.side)
    padded = np.pad(x, ((0, -len(x) % BLOCK), (0, 0), (0, 0)))
    blocks = padded.reshape(-1, BLOCK, *x.shape[1:])
    return np.concatenate([np.asarray(features(given, block)) for block in blocks])[: len(x)]


def linear(x: Any, y: Any) -> jax.Array:
    """The linear kernel."""
    return jnp.matmul(x, y.T, precision="highest")


def error(train: np.ndarray, test: np.ndarray, penalty: float) -> float:
    """The share of test patches that ridge regression misclassifies, in percent."""
    classes, each = train.shape[:2]
    features = train.reshape(classes * each, -1)
    center, scale = features.mean(0), features.std(0)
    scale = np.maximum(scale, FAINT * scale.max()) * np.sqrt(features.shape[1])
    targets = np.repeat(np.eye(classes, dtype=np.float32), each, 0)
    x, queries = (np.float32((one.reshape(-1, len(center)) - center) / scale) for one in (features, test))
    model = kernel_regression.fit(linear, x, targets, penalty=penalty)
    predicted = np.argmax(kernel_regression.predict(model, queries), 1)
    return 100 * float(np.mean(predicted != np.repeat(np.arange(classes), test.shape[1])))


def errors(config: Config, name: str, key: jax.Array, rng: np.random.Generator) -> np.ndarray:
    """Errors of one representation, by the number of examples."""
    train, test = seen(config, rng)
    shape = (config.side, config.side)
    every = np.concatenate([train.reshape(-1, *shape), test.reshape(-1, *shape)])
    features = represented(config, name, every, train.reshape(-1, *shape), key)
    learn, ask = np.split(features, [train.shape[0] * train.shape[1]])
    learn, ask = learn.reshape(*train.shape[:2], -1), ask.reshape(*test.shape[:2], -1)
    return np.array([error(learn[:, :each], ask, config.penalty) for each in config.examples])


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    lab.uses(real_images.describe(*config.images))
    there = imagenet(config.enlarged * config.side) is not None
    names = REPRESENTATIONS if there else REPRESENTATIONS[:-1]

    def point(representation: str, key: jax.Array, rng: np.random.Generator) -> np.ndarray:
        return errors(config, representation, key, rng)

    found = lab.sweep(
        "errors", point, representation=names, draw=range(config.draws), common="representation",
        dims=("examples",), unit="%",
    ).assign_coords(examples=list(config.examples))  # fmt: skip
    for name in names:
        means = found.sel(representation=name).mean("draw")
        listed = ", ".join(f"{float(one):.1f} % with {int(one.examples)}" for one in means)
        lab.note(f"{name} errs on {listed} of each of {len(config.images)} classes.")
    lab.figure(
        "errors",
        plots.panel(
            found.rename("test error"), x="examples", hue="representation", over="draw", log="x",
            xlabel="examples of each class", levels={"chance": 100 - 100 / len(config.images)},
        ),
        "Errors of one classifier on several representations, mean over the draws of patches and its error.",
    )  # fmt: skip
    return claims(found)


def claims(found: xr.DataArray) -> list[Claim]:
    there = Need(
        "the published weights", IMAGENET in found.representation, "pip install 'jaxtheory[imagenet]'"
    )

    def less(one: str, other: str) -> tuple[Measured, ...]:
        difference = found.sel(representation=other, drop=True) - found.sel(representation=one, drop=True)
        return mean(difference, over="draw", paired=True)

    return [
        Claim(
            "Scattering, whose filters nobody learned, errs less than pixels: the difference.",
            above(0, unit="points", source="Bruna and Mallat 2013: filters that mathematics gives"),
            less(SCATTERING, PIXELS),
        ),
        Claim(
            "Centroids of patches, learned without classes, err less than pixels: the difference.",
            above(0, unit="points", source="Coates, Lee and Ng 2011: filters learned without supervision"),
            less(CENTROIDS, PIXELS),
        ),
        Claim(
            "Features that were learned on ImageNet err less than pixels: the difference.",
            above(0, unit="points", source="Yosinski et al. 2014: features transfer to distant tasks"),
            less(IMAGENET, PIXELS) if there.met else None,
            there,
        ),
        Claim(
            "Features that were learned on ImageNet err less than scattering: the difference.",
            above(
                0, unit="points", source="the lecture's question, whether filters must be learned; no figure"
            ),
            less(IMAGENET, SCATTERING) if there.met else None,
            there,
        ),
    ]
