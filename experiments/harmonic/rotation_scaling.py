"""Roto-translation scattering recognizes turned textures and digits after it has seen upright ones alone.

Lecture: harmonic analysis, "Scattering Transform", invariance to rotations and scaling.
Source: L. Sifre and S. Mallat, Rotation, scaling and deformation invariant scattering for texture
discrimination, CVPR 2013.

One linear classifier is trained on upright images, and tested on upright ones, turned ones, and ones that are
also scaled: with translation scattering, with roto-translation scattering of the same scales and window, and
with its averages over scales. Training crops of textures are from the left halves and test crops from the
right ones; their noise was chosen on crops of the left halves alone, such that translation scattering errs by
0.5 to 6 % upright (by 5 % there, as roto-translation scattering does; with less noise that errs by a point
more). Digits are those but the nine, which turned is a six; their coefficients are averaged over the whole
image, since a grid of positions turns too, and low harmonics of the orientation are kept. How far rotations
and dilations move coefficients of textures is measured as well. The published errors are of digits that the
classifier has seen turned.
The full form takes about six minutes on two cores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxtheory.data import images as real_images
from jaxtheory.data import mnist
from jaxtheory.harmonic import deformation, rototranslation, scattering2d
from jaxtheory.lab import Claim, Lab, Need, Range, at_most, below, between, experiment, mean, plots
from jaxtheory.lab.blocks import in_blocks
from jaxtheory.statistics import linear_probe

TEXTURES = ("brick", "grass", "gravel")
INPUTS = ("upright", "rotated", "rotated and scaled")
TRANSLATION, JOINT, SCALES = "translation", "roto-translation", "averaged over scales"
REPRESENTATIONS = (TRANSLATION, JOINT, SCALES)
FAINT = 1e-4
"""What is added to coefficients of textures before the logarithm; they are above a thousandth."""
LARGEST = 2**0.5
"""The largest factor by which images are scaled, up or down."""
BLOCK = 30
"""The number of images that are transformed or scattered at a time."""
CLASSES = 9
"""The number of digits without the nine."""
BORDER = ((0, 0), (10, 10), (10, 10))
"""Paper around digits, inside which they stay when they are turned and enlarged, and do not meet themselves
across a periodic border."""
HALF = "this project's bar"
SOURCE = "Bruna and Mallat 2013"
PUBLISHED = {"upright": 0.8, "rotated": 3.3, "rotated and scaled": 5.5}
"""Errors in % of digits without the nine at order 2, table 8, of 9,000 training digits that are transformed
as the test's."""
ROTATED_MNIST = 4.4
"""The error in % of rotated digits, the nine among them, at order 2, table 7, of 12,000 that are rotated."""


@dataclass(frozen=True)
class Config:
    texture: Annotated[int, Range(16, 128)] = 64
    """The height and width of the crops of textures in pixels."""
    texture_J: Annotated[int, Range(2, 6)] = 4
    """The number of scales of the wavelets for textures."""
    L: Annotated[int, Range(2)] = 8
    """The number of angles of the wavelets."""
    noise: Annotated[float, Range(0)] = 1.2
    """The standard deviation of the noise on crops of textures, over that of the texture."""
    crops: Annotated[int, Range(30)] = 300
    """The number of crops of textures in a training set; as many are tested."""
    draws: Annotated[int, Range(2)] = 8
    """The number of training and test sets of textures."""
    digit_J: Annotated[int, Range(2, 5)] = 4
    """The number of scales of the wavelets for digits."""
    digits: Annotated[int, Range(20, 60_000)] = 3000
    """The number of training digits, at most as many as are no nines."""
    tested: Annotated[int, Range(20, 10_000)] = 900
    """The number of test digits, at most as many as are no nines."""
    digit_draws: Annotated[int, Range(0, 4)] = 4
    """The number of training and test sets of digits; with none, they are left out."""
    harmonics: Annotated[int, Range(0)] = 4
    """The largest harmonic of the orientation that is kept of digits, at most the number of angles."""
    averages: bool = True
    """Whether averages over scales are classified, too."""
    octaves: Annotated[int, Range(1)] = 2
    """The number of scales in an average over scales, at most the numbers of scales of the wavelets."""
    angles: Annotated[tuple[float, ...], Range(0, 180)] = (0.0, 11.25, 22.5, 33.75, 45.0, 67.5, 90.0)
    """The angles in degrees by which crops are turned to see how far their coefficients move."""
    factors: Annotated[tuple[float, ...], Range(1, 2)] = (1.0, 1.125, 1.25, 1.414)
    """The factors by which crops are enlarged for the same."""
    measured: Annotated[int, Range(2)] = 12
    """The number of crops of each texture that are turned and enlarged."""


QUICK = Config(
    texture=48, texture_J=3, L=6, noise=0.8, crops=120, draws=3, averages=False, digit_draws=0,
    angles=(45.0, 90.0), factors=(1.189, 1.414), measured=3,
)  # fmt: skip


def transformed(x: np.ndarray, angles: np.ndarray, factors: np.ndarray, *, boundary: str) -> np.ndarray:
    """Images turned by angles in radians and enlarged by factors, about their middles."""

    def program(x: np.ndarray, angles: np.ndarray, factors: np.ndarray) -> Any:
        turn = deformation.rotation(angles, x.shape[-2:]) / factors[:, None, None, None]
        moves = turn + deformation.dilation(1 - 1 / factors, x.shape[-2:])
        return deformation.warp(x, moves, boundary=boundary)

    return in_blocks(program, x, np.float32(angles), np.float32(factors), each=BLOCK)


def middle(x: np.ndarray, size: int) -> np.ndarray:
    start = (x.shape[-1] - size) // 2
    return x[..., start : start + size, start : start + size]


def inputs_of(x: np.ndarray, rng: np.random.Generator, *, size: int, boundary: str) -> list[np.ndarray]:
    """The middles of images: upright, turned, and turned and scaled."""
    angles = rng.uniform(0, 2 * np.pi, (2, len(x)))
    factors = LARGEST ** rng.uniform(-1, 1, len(x))
    turned = transformed(x, angles[0], np.ones(len(x)), boundary=boundary)
    scaled = transformed(x, angles[1], factors, boundary=boundary)
    return [middle(one, size) for one in (x, turned, scaled)]


def patches(
    pictures: Sequence[np.ndarray], labels: np.ndarray, half: int, side: int, rng: np.random.Generator
) -> np.ndarray:
    """Random crops of one half of pictures."""
    crops = []
    for label in labels:
        x = pictures[label]
        width = x.shape[1] // 2
        down = rng.integers(x.shape[0] - side + 1)
        right = half * width + rng.integers(width - side + 1)
        crops.append(x[down : down + side, right : right + side])
    return np.float32(crops)


def textures() -> list[np.ndarray]:
    """The textures, each of mean 0 and variance 1."""
    pictures = [np.float64(real_images.load(name, gray=True)) for name in TEXTURES]
    return [(x - x.mean()) / x.std() for x in pictures]


def coefficients(
    x: np.ndarray,
    J: int,
    L: int,
    *,
    octaves: int,
    boundary: str = "reflect",
    harmonics: int = 0,
    logarithms: bool = False,
) -> list[np.ndarray]:
    """Coefficients averaged over the image, or their logarithms, but for order 0, by representation."""
    shape = x.shape[-2:]
    flat = scattering2d.filter_bank(shape, J, L, boundary=boundary)
    bank = rototranslation.filter_bank(shape, J, L, boundary=boundary)
    found = [
        in_blocks(program, x, each=BLOCK).mean((-2, -1), keepdims=True)
        for program in (
            partial(scattering2d.scatter, flat),
            partial(rototranslation.scatter, bank, harmonics=harmonics),
        )
    ]
    if logarithms:
        found = [np.log(np.maximum(one, 0) + FAINT) for one in found]
    scales = rototranslation.average_scales(bank, found[-1], octaves=octaves, harmonics=harmonics)
    return [one[..., 1:, 0, 0] for one in (*found, np.asarray(scales))]


def errors_of(sets: Sequence[Sequence[np.ndarray]], known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Test errors in %, (representation, input), of a linear classifier of the first set on the others."""
    errors = []
    for train, *tests in zip(*sets):
        probe = linear_probe.fit(train, known, classes=int(known.max()) + 1)
        predicted = [np.asarray(linear_probe.predict(probe, x)) for x in tests]
        errors.append([100 * np.mean(one != wanted) for one in predicted])
    return np.array(errors)


def classified(config: Config) -> list[str]:
    """The representations that are classified."""
    return list(REPRESENTATIONS if config.averages else REPRESENTATIONS[:2])


def of_textures(config: Config, rng: np.random.Generator) -> np.ndarray:
    """Test errors in % on textures, (representation, input)."""
    pictures, size = textures(), config.texture
    known, wanted = (rng.permutation(np.arange(config.crops) % len(TEXTURES)) for _ in range(2))
    # A turned and enlarged crop reaches as far as one of twice the size.
    train = middle(patches(pictures, known, 0, 2 * size, rng), size)
    tests = inputs_of(patches(pictures, wanted, 1, 2 * size, rng), rng, size=size, boundary="reflect")
    noisy = [x + config.noise * np.float32(rng.standard_normal(x.shape)) for x in (train, *tests)]
    options = {"octaves": config.octaves, "logarithms": True}
    sets = [coefficients(x, config.texture_J, config.L, **options) for x in noisy]
    return errors_of([one[: len(classified(config))] for one in sets], known, wanted)


def without_nine(x: np.ndarray, labels: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The first digits that are no nines, with paper around them."""
    places = np.flatnonzero(labels < CLASSES)[:most]
    return np.pad(x[places], BORDER), labels[places]


def of_digits(config: Config, digits: mnist.Digits, draw: int, rng: np.random.Generator) -> np.ndarray:
    """Test errors in % on digits, (representation, input)."""
    split = digits.draw(len(digits.train_labels), rng, fold=draw)
    train, known = without_nine(split.train_images, split.train_labels, config.digits)
    order = rng.permutation(len(split.test_labels))
    test, wanted = without_nine(split.test_images[order], split.test_labels[order], config.tested)
    tests = inputs_of(test, rng, size=test.shape[-1], boundary="periodic")
    options = {"octaves": config.octaves, "harmonics": config.harmonics, "boundary": "periodic"}
    sets = [coefficients(x, config.digit_J, config.L, **options) for x in (train, *tests)]
    return errors_of([one[: len(classified(config))] for one in sets], known, wanted)


def moved(config: Config, crops: np.ndarray, angle: float = 0.0, factor: float = 1.0) -> np.ndarray:
    """How far turned or enlarged crops have moved, relative to their coefficients, (representation, crop)."""
    still = middle(crops, config.texture)
    angles, factors = (np.full(len(crops), one) for one in (np.radians(angle), factor))
    after = middle(transformed(crops, angles, factors, boundary="reflect"), config.texture)
    both = (coefficients(x, config.texture_J, config.L, octaves=config.octaves) for x in (still, after))
    found = [
        np.linalg.norm(later - before, axis=1) / np.linalg.norm(before, axis=1)
        for before, later in zip(*both)
    ]
    return np.stack(found)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    lab.uses(real_images.describe(*TEXTURES))
    names = {"representation": classified(config), "input": list(INPUTS)}
    found = lab.sweep(
        "textures", partial(of_textures, config), draw=range(config.draws), dims=tuple(names), unit="%"
    ).assign_coords(names)
    lab.figure(
        "textures",
        plots.dots(found, x="input", hue="representation", ylabel="test crops mistaken (%)"),
        "Test errors on textures after training on upright ones, with Student's interval; dots are draws.",
    )
    claims = [*texture_claims(found), digit_claim(config, lab)]
    rng = lab.rng("crops")
    labels = np.arange(config.measured * len(TEXTURES)) % len(TEXTURES)
    crops = patches(textures(), labels, 0, 2 * config.texture, rng)
    axes = {"dims": ("representation", "crop")}
    changes = {
        "turned": lab.sweep("turned", partial(moved, config, crops), angle=config.angles, **axes),
        "enlarged": lab.sweep("enlarged", partial(moved, config, crops), factor=config.factors, **axes),
    }
    for name, values in changes.items():
        changes[name] = values.assign_coords(representation=list(REPRESENTATIONS))
        options = {"x": values.dims[0], "hue": "representation", "over": "crop", "spread": "band"}
        xlabel = "turned by (degrees)" if name == "turned" else "enlarged by"
        panel = plots.panel(changes[name], xlabel=xlabel, ylabel="distance over the norm", **options)
        lab.figure(name, panel, f"How far coefficients of textures move when they are {name}.")
    lab.figure("inputs", pictures(config, lab), "What is tested; textures without their noise.")
    return [*claims, *moves(**changes)]


def digit_claim(config: Config, lab: Lab) -> Claim:
    """The claim on digits, with its figure and what it does not say."""
    there = Need("several draws of digits", config.digit_draws > 1, "give --digit-draws 4")
    difference = None
    if there.met:
        digits = lab.load(mnist)
        names = {"representation": classified(config), "input": list(INPUTS)}
        # By the test digits of draw 0 the scales, the harmonics and the border were chosen.
        function, draws = partial(of_digits, config, digits), range(1, config.digit_draws + 1)
        found = lab.sweep("digits", function, draw=draws, dims=tuple(names), unit="%").assign_coords(names)
        lab.figure(
            "digits",
            plots.dots(
                found,
                x="input",
                hue="representation",
                ylabel="test digits mistaken (%)",
                published=PUBLISHED,
            ),
            "Test errors on digits but the nine after training on upright ones; dashed: published errors of "
            "translation scattering after training on digits that are transformed as those of the test.",
        )
        flat, joint = (found.sel(representation=name, drop=True) for name in (TRANSLATION, JOINT))
        lab.note(
            "On upright digits roto-translation scattering loses "
            f"{float((joint - flat).sel(input='upright').mean()):.1f} points. Published at order 2, where "
            "digits are transformed in training, too: "
            + ", ".join(f"{error} % ({name})" for name, error in PUBLISHED.items())
            + f" without the nine ({SOURCE}, table 8), {ROTATED_MNIST} % rotated with it (table 7)."
        )
        difference = mean(
            (joint - flat / 2).sel(input="rotated", drop=True),
            over="draw",
            paired=True,
            overlap=digits.shared,
        )
    return Claim(
        "On rotated digits roto-translation scattering errs at most half as often: its error less half that "
        "of translation scattering.",
        at_most(0, unit="%", source=HALF),
        difference,
        needs=there,
    )


def pictures(config: Config, lab: Lab) -> Figure:
    """Textures without noise, and digits: upright, turned, and turned and scaled."""
    rng, size = lab.rng("pictures"), min(config.texture, 48)
    crops = patches(textures(), np.arange(len(TEXTURES)), 1, 2 * size, rng)
    # Dark is 1: textures from 2.5 standard deviations above the mean to as many below it.
    columns = [[np.clip(0.5 - one / 5, 0, 1) for one in inputs_of(crops, rng, size=size, boundary="reflect")]]
    if config.digit_draws:
        digits, _ = without_nine(mnist.load().images, mnist.load().labels, len(TEXTURES))
        columns.append(inputs_of(digits, rng, size=size, boundary="periodic"))
    return plots.image_rows({name: np.concatenate(both) for name, *both in zip(INPUTS, *columns)})


def texture_claims(errors: xr.DataArray) -> list[Claim]:
    flat, joint = (errors.sel(representation=name, drop=True) for name in (TRANSLATION, JOINT))
    return [
        Claim(
            "On upright textures translation scattering errs, but seldom.",
            between(0.5, 6, unit="%", source="this project's choice of noise"),
            mean(flat.sel(input="upright", drop=True), over="draw"),
        ),
        Claim(
            "On rotated textures roto-translation scattering errs at most half as often: its error less half "
            "that of translation scattering.",
            at_most(0, unit="%", source=f"{HALF}; Sifre and Mallat 2013 see it gain on rotated textures"),
            mean((joint - flat / 2).sel(input="rotated", drop=True), over="draw", paired=True),
        ),
        Claim(
            "On upright textures that costs at most one point.",
            at_most(1, unit="%", source="this project's bar"),
            mean((joint - flat).sel(input="upright", drop=True), over="draw", paired=True),
        ),
    ]


def moves(turned: xr.DataArray, enlarged: xr.DataArray) -> list[Claim]:
    """What rotations and dilations change, on average over all that there are."""
    turned, enlarged = turned.sel(angle=turned.angle > 0), enlarged.sel(factor=enlarged.factor > 1)

    def of(values: xr.DataArray, representation: str, axis: str) -> xr.DataArray:
        return values.sel(representation=representation, drop=True).mean(axis)

    turns = of(turned, JOINT, "angle") - of(turned, TRANSLATION, "angle") / 2
    scales = of(enlarged, SCALES, "factor") - of(enlarged, JOINT, "factor")
    return [
        Claim(
            "A rotation moves roto-translation coefficients of textures at most half as far as those of "
            "translation scattering: the distance less half the other.",
            at_most(0, source="this project's bar; Sifre and Mallat 2013: invariant to rotations"),
            mean(turns, over="crop", paired=True),
        ),
        Claim(
            "A dilation moves averages over scales less: the change of the distance.",
            below(0, source="Sifre and Mallat 2013: averages over scales for invariance to scaling"),
            mean(scales, over="crop", paired=True),
        ),
    ]
