"""Scattering tells textures from copies that have the same spectrum, and so does its second order alone.

Lecture: harmonic analysis, "Scattering Transform", textures of equal power spectrum.
Source: J. Bruna and S. Mallat, Invariant scattering convolution networks, IEEE PAMI 35(8), 2013, section 2.3.

An image, made periodic, is compared with random copies of itself: with the same spectrum, and with the same
pixels and nearly the same spectrum. Features are coefficients averaged over the image: all of order 1, or
those of order 2 over those of order 1 before them. The least distance of the image from a copy is divided by
the largest distance between two copies. Power in the bands of wavelets cannot tell an image from copies of
the same spectrum. Images that are no textures are shown, and nothing is claimed of them.
The full form takes about twelve minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.data import images as real_images
from jaxtheory.harmonic import scattering2d, surrogates
from jaxtheory.lab import Claim, Lab, Measured, Range, at_least, at_most, exact, experiment, mean, plots

TEXTURES = ("brick", "grass", "gravel")
OTHERS = ("moon", "cell")
KINDS = ("same spectrum", "same spectrum and pixels")
FEATURES = ("order 1", "order 2 over order 1")
BAR = "Bruna and Mallat 2013, section 2.3, show two such pairs; the factor is ours"
Photograph = Literal[*real_images.ORIGINS]


@dataclass(frozen=True)
class Config:
    size: Annotated[int, Range(64, 512)] = 256
    """The height and width of the images in pixels, a multiple of 2**J."""
    J: Annotated[int, Range(2)] = 5
    """The number of scales: wavelets reach over 2**J pixels."""
    L: Annotated[int, Range(1)] = 8
    """The number of angles of the wavelets."""
    copies: Annotated[int, Range(2)] = 20
    """The number of copies of an image that are compared with it and with each other."""
    draws: Annotated[int, Range(2)] = 5
    """How many times copies are drawn."""
    steps: Annotated[int, Range(1)] = 100
    """The number of steps that match pixels and spectrum."""
    others: tuple[Photograph, ...] = OTHERS
    """The names of images that are no textures, of which the figures are shown."""


QUICK = Config(L=4, copies=4, draws=2, steps=20, others=())


def image_of(name: str, size: int) -> np.ndarray:
    """The middle of an image, periodic, of mean 0 and variance 1."""
    x = np.float64(real_images.load(name, gray=True))
    down, right = ((side - size) // 2 for side in x.shape)
    x = x[down : down + size, right : right + size]
    with jax.enable_x64(True):
        x = np.asarray(surrogates.periodic_component(x))
    return (x - x.mean()) / x.std()


def copies_of(config: Config, x: np.ndarray, kind: str, key: jax.Array) -> tuple[np.ndarray, float]:
    """Copies of an image, and the error of their spectrum relative to its own, the largest."""
    keys = jax.random.split(key, config.copies)
    modulus = np.abs(np.fft.fft2(x))
    with jax.enable_x64(True):
        if kind == KINDS[0]:
            copies = np.stack([np.asarray(surrogates.same_spectrum(one, x)) for one in keys])
        else:
            matched = partial(surrogates.same_spectrum_and_histogram, steps=config.steps)
            copies = np.stack([np.asarray(matched(one, x)[0]) for one in keys])
    errors = np.linalg.norm(np.abs(np.fft.fft2(copies)) - modulus, axis=(1, 2)) / np.linalg.norm(modulus)
    return copies, errors.max()


@jax.jit
def features(bank: scattering2d.Bank, x: Any) -> dict[str, jax.Array]:
    """Averages over images: of order 1, and of order 2 over what they are made of."""
    found = jnp.mean(scattering2d.scatter(bank, x), (-2, -1))
    table = scattering2d.paths(bank)
    first = [i for i, path in enumerate(table) if path.order == 1]
    second = [i for i, path in enumerate(table) if path.order == 2]
    at = {(table[i].scales, table[i].angles): i for i in first}
    before = [at[table[i].scales[:1], table[i].angles[:1]] for i in second]
    of_second = found[..., jnp.array(second)] / found[..., jnp.array(before)]
    return dict(zip(FEATURES, (found[..., jnp.array(first)], of_second)))


def compared(
    config: Config, bank: scattering2d.Bank, image: str, kind: str, key: jax.Array
) -> dict[str, Any]:
    """How many times farther an image is from its copies than they are from each other, by features."""
    x = image_of(image, config.size)
    copies, error = copies_of(config, x, kind, key)
    found = {name: np.asarray(one) for name, one in features(bank, np.float32([x, *copies])).items()}
    ratios = []
    for name in FEATURES:
        own, *others = found[name]
        apart = max(np.linalg.norm(one - other) for one, other in combinations(others, 2))
        ratios.append(min(np.linalg.norm(own - other) for other in others) / apart)
    return {"ratio": np.array(ratios), "error": error}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    lab.uses(real_images.describe(*TEXTURES, *config.others))
    bank = scattering2d.filter_bank((config.size,) * 2, config.J, config.L, boundary="periodic")
    found = lab.sweep(
        "images", partial(compared, config, bank), image=(*TEXTURES, *config.others), kind=KINDS,
        draw=range(config.draws), dims={"ratio": ("features",)},
    ).assign_coords(features=list(FEATURES))  # fmt: skip
    errors = found.error.sel(kind=KINDS[1]).max("draw")
    listed = ", ".join(f"{float(one):.1g} ({one.image.item()})" for one in errors)
    lab.note(f"Copies of the same pixels err in their spectrum by at most {listed}.")
    for image in config.others:
        ratios = found.ratio.sel(image=image).mean("draw")
        words = "; ".join(
            f"{kind}: "
            + ", ".join(f"{float(one):.2f} ({one.features.item()})" for one in ratios.sel(kind=kind))
            for kind in KINDS
        )
        lab.note(f"{image}, no texture, is farther from its copies than they are apart by {words}.")
    lab.figure(
        "ratios",
        draw_ratios(found),
        "How many times farther an image is from its copies than they are from each other; dots are draws.",
    )
    lab.figure("copies", draw_copies(config, lab), "Textures, and one copy of each kind.")
    return claims(found)


def claims(found: xr.Dataset) -> list[Claim]:
    ratio = found.ratio.sel(image=list(TEXTURES))

    def of(features: str, kind: str) -> tuple[Measured, ...]:
        return mean(ratio.sel(features=features, kind=kind).reset_coords(drop=True), over="draw")

    order_1, order_2 = FEATURES
    return [
        Claim(
            "Copies have the spectrum of the image: the largest relative error.",
            at_most(1e-12, source="rounding in double precision"),
            exact(float(found.error.sel(kind=KINDS[0]).max())),
        ),
        *(
            Claim(
                f"{statement} tells textures from copies with the {kind}: the distance over the largest "
                "between two copies.",
                at_least(2, source=BAR),
                of(features, kind),
            )
            for features, kind, statement in (
                (order_1, KINDS[0], "Order 1"),
                (order_2, KINDS[0], "Order 2 over order 1"),
                (order_2, KINDS[1], "Order 2 over order 1"),
            )
        ),
    ]


def draw_ratios(found: xr.Dataset) -> Figure:
    """The ratios by image, kind of copies and features."""
    figure, (axes,) = plots.canvas(len(KINDS), size=(4.6, 3.2))
    for ax, kind in zip(axes, KINDS):
        for place, name in enumerate(FEATURES):
            one = found.ratio.sel(kind=kind, features=name)
            at = np.arange(one.image.size) + 0.3 * (place - 0.5)
            ax.bar(at, one.mean("draw"), 0.28, color=plots.PALETTE[place], label=name)
            ax.plot(np.repeat(at, one.draw.size), one.transpose("image", "draw").values.ravel(), "k.", ms=3)
        ax.axhline(1, color="black", lw=1, ls="--", label="as far as copies")
        ax.set_xticks(np.arange(found.image.size), found.image.values)
        ax.set_title(kind, fontsize=10)
        ax.set(ylabel="distance over that of copies", ylim=(0, 1.3 * float(found.ratio.sel(kind=kind).max())))
        ax.legend(fontsize=8, loc="upper right")
    return figure


def draw_copies(config: Config, lab: Lab) -> Figure:
    """The textures and a copy of each kind."""
    rows: dict[str, list[np.ndarray]] = {"texture": [], **{kind: [] for kind in KINDS}}
    for image in TEXTURES:
        x = image_of(image, config.size)
        rows["texture"].append(x)
        key = lab.key("pictures", image=image)
        with jax.enable_x64(True):
            rows[KINDS[0]].append(np.asarray(surrogates.same_spectrum(key, x)))
            matched, _ = surrogates.same_spectrum_and_histogram(key, x, steps=config.steps)
        rows[KINDS[1]].append(np.asarray(matched))
    # Pictures range from 0 to 1: here from 2.5 standard deviations below the mean to as many above it.
    return plots.image_rows({name: np.clip(np.stack(ones) / 5 + 0.5, 0, 1) for name, ones in rows.items()})
