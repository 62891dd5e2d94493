"""A deformation moves scattering coefficients in proportion to its size, whatever the image's frequencies.

Lecture: harmonic analysis, "Scattering Transform: Mallat '12", stability to deformations.
Source: Mallat, Group invariant scattering, Communications on Pure and Applied Mathematics 65(10), 2012,
theorem 2.12: ‖S L_τ x - S x‖ ≤ C ‖x‖ (2^-J |τ|_∞ + |∇τ|_∞ + |Hτ|_∞).

Pixels and the modulus of the Fourier transform have no such bound: a dilation by ε moves a wave of
frequency ω by εω. The full form takes about three minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from scipy import ndimage, signal

from jaxtheory.data import images as real_images
from jaxtheory.data import mnist
from jaxtheory.harmonic import deformation, scattering2d, wavelets
from jaxtheory.lab import Claim, Lab, Measured, Range, at_least, at_most, below, experiment, mean, plots

MAPS = ("translation", "dilation", "rotation", "random")
IMAGE = {"photographs": "photograph", "digits": "digit"}
"""The axis of the images of each subject."""
REPRESENTATIONS = ("scattering", "pixels", "Fourier modulus")
Photograph = Literal[*real_images.ORIGINS]
HIGHEST = 0.6 * np.pi
"""The frequency of the highest packet: shrunk by a half, the largest deformation, it is still below pi."""
BATCH = 8
"""The number of images scattered in one call: always the same, so that the program compiles once."""
RESAMPLED = 500
"""The number of times that deformations are resampled, for the spread of a maximum."""
THEOREM = "Mallat 2012, theorem 2.12: one constant for all images; the factor is this project's"
NO_BOUND = "Mallat 2012, section 1; fourfold is two of the octaves"


@dataclass(frozen=True)
class Config:
    size: Annotated[int, Range(32, 300)] = 256
    """The height and width of packets and images, in pixels."""
    J: Annotated[int, Range(1)] = 6
    """The number of scales: coefficients are averaged over 2**J pixels."""
    L: Annotated[int, Range(1)] = 8
    """The number of angles of the wavelets."""
    wavelet: Literal["morlet", "spline"] = "morlet"
    """The family of wavelets; the bank of splines is unitary, as the theorem asks."""
    octaves: Annotated[int, Range(1)] = 5
    """The number of times that the packets' frequency of 0.6 pi is halved."""
    groups: Annotated[int, Range(1)] = 10
    """The number of groups of deformations for each of the four maps; each group moves another packet."""
    deformations: Annotated[int, Range(2)] = 25
    """The number of deformations in a group."""
    smallest: Annotated[float, Range(1e-6, 0.5)] = 0.002
    """The smallest supremum of the gradient of a deformation, or of the length of a translation over 2**J."""
    photographs: tuple[Photograph, ...] = ("china", "flower", "brick", "grass", "gravel", "camera", "coins")
    """The names of the photographs that are deformed."""
    digits: Annotated[int, Range(2)] = 50
    """The number of digits, which are magnified to the size of the images."""
    shift: Annotated[float, Range(0)] = 4.0
    """The length of the fixed shift, in pixels."""
    scales: Annotated[tuple[int, ...], Range(1)] = (1, 2, 3, 4, 5, 6)
    """The numbers J of scales at which images are shifted, in increasing order."""


QUICK = Config(size=128, J=5, L=4, octaves=4, groups=3, deformations=4, digits=12, scales=(2, 5))


def displacements(
    config: Config, J: int, kind: str, key: jax.Array, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (n, 2, H, W) of one kind, evenly spread in size, and the bound less its constant."""
    shape, number = (config.size, config.size), config.deformations
    first, second, third = rng.uniform(size=(3, number))
    size, sign = config.smallest * (0.5 / config.smallest) ** first, np.where(second < 0.5, -1, 1)
    if kind == "translation":
        shift = 2**J * size * np.stack([np.cos(2 * np.pi * second), np.sin(2 * np.pi * second)])
        tau = np.float32(shift.T)[:, :, None, None] * np.ones(shape, np.float32)
    elif kind == "dilation":
        tau = deformation.dilation(np.float32(sign * size), shape)
    elif kind == "rotation":
        tau = deformation.rotation(np.float32(sign * 2 * np.arcsin(size / 2)), shape)
    else:
        smoothness = np.float32(config.size / 32 * 4**third)
        draw = partial(deformation.random_displacement, shape=shape)
        tau = jax.vmap(lambda key, one, other: draw(key, smoothness=one, max_gradient=other))(
            jax.random.split(key, number), smoothness, np.float32(size)
        )
    boundary = "periodic" if kind == "random" else "reflect"
    norms = deformation.displacement_norms(tau, boundary=boundary)
    return np.asarray(tau), np.asarray(norms.displacement / 2**J + norms.gradient + norms.hessian)


@partial(jax.jit, static_argnames=("octaves",))
def packets(at: Any, angle: Any, phase: Any, *, octaves: int) -> jax.Array:
    """Waves under a Gaussian at coordinates (..., 2, H, W), highest first: (..., octaves + 1, H, W)."""
    size = at.shape[-1]
    down, right = at[..., 0, :, :] - (size - 1) / 2, at[..., 1, :, :] - (size - 1) / 2
    envelope = jnp.exp(-(down**2 + right**2) / (2 * (size / 10) ** 2))
    along = (jnp.cos(angle) * down + jnp.sin(angle) * right)[..., None, :, :]
    frequencies = jnp.asarray(HIGHEST / 2.0 ** np.arange(octaves + 1), along.dtype)[:, None, None]
    return envelope[..., None, :, :] * jnp.cos(frequencies * along + phase)


@jax.jit
def inside_warp(x: Any, tau: Any) -> jax.Array:
    """The warp of images that vanish beyond their border."""
    size = x.shape[-1]
    at = jnp.indices((size, size)) - tau
    inside = ((at >= 0) & (at <= size - 1)).all(-3)
    return jnp.where(inside, deformation.warp(x, tau), 0)


def coefficients(bank: scattering2d.Bank, x: Any) -> np.ndarray:
    """Scattering coefficients of images (..., H, W), weighted so that norms compare with those of pixels."""
    x = np.asarray(x)
    flat = x.reshape(-1, *x.shape[-2:])
    padded = np.concatenate([flat, np.zeros((-len(flat) % BATCH, *x.shape[-2:]), x.dtype)])
    parts = [scattering2d.scatter(bank, padded[i : i + BATCH]) for i in range(0, len(padded), BATCH)]
    # Each coefficient stands for the 4**J pixels of its cell.
    scattered = 2.0**bank.J * np.concatenate(parts)[: len(flat)]
    return scattered.reshape(*x.shape[:-2], *scattered.shape[1:])


def norm(x: Any, event: int) -> np.ndarray:
    """The Euclidean norm over the last axes."""
    return np.sqrt(np.square(np.asarray(x)).sum(tuple(range(-event, 0))))


def distances(bank: scattering2d.Bank, x: Any, scattered: np.ndarray, moved: Any) -> np.ndarray:
    """Relative distances of images (..., H, W) to their deformed form, (representations, ...)."""
    x, moved = np.asarray(x), np.asarray(moved)
    modulus = [np.abs(np.fft.fft2(image, norm="ortho")) for image in (moved, x)]
    apart = [
        norm(coefficients(bank, moved) - scattered, 3),
        norm(moved - x, 2),
        norm(modulus[0] - modulus[1], 2),
    ]
    return np.stack(apart) / norm(x, 2)


def deformed(
    config: Config, bank: scattering2d.Bank, images: dict[str, Any], scattered: dict[str, np.ndarray],
    kind: str, group: int, key: jax.Array, rng: np.random.Generator,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The sizes (n,) of a group's deformations, and how far each moves packets and an image of each kind."""
    angle, phase = np.float32(rng.uniform(size=2) * [np.pi, 2 * np.pi])
    tau, size = displacements(config, bank.J, kind, key, rng)
    grid = np.float32(np.indices((config.size, config.size)))
    x, moved = (packets(at, angle, phase, octaves=config.octaves) for at in (grid, grid - tau))
    found = [distances(bank, x, coefficients(bank, x), moved)]
    for subject, x in images.items():
        chosen = (group * len(tau) + np.arange(len(tau))) % len(x)
        moved = inside_warp(x[chosen], tau)
        found.append(distances(bank, x[chosen], scattered[subject][chosen], moved)[..., None])
    return {"size": size, "distance": np.concatenate(found, -1)}


def prepared(x: np.ndarray) -> np.ndarray:
    """Images (n, H, W) without their mean, fading to zero over the outer quarters, of mean square one.

    They are blurred by a pixel: finer detail is lost when an image is moved by fractions of a pixel, which
    would add to the distance something that is not deformation.
    """
    x = ndimage.gaussian_filter(np.asarray(x, float), (0, 1, 1), mode="wrap")
    window = np.multiply.outer(*[signal.windows.tukey(x.shape[-1])] * 2)
    x = (x - (x * window).sum((-2, -1), keepdims=True) / window.sum()) * window
    return np.float32(x / np.sqrt((x**2).mean((-2, -1), keepdims=True)))


def photographs(config: Config, lab: Lab) -> np.ndarray:
    """The middles of photographs (n, size, size)."""
    lab.uses(real_images.describe(*config.photographs))
    gray = [Image.fromarray(np.float32(real_images.load(name, gray=True))) for name in config.photographs]
    fitted = [ImageOps.fit(one, (config.size, config.size), Image.Resampling.BOX) for one in gray]
    return prepared(np.stack([np.asarray(one) for one in fitted]))


def magnified_digits(config: Config, lab: Lab) -> np.ndarray:
    """Digits (n, size, size), an eighth of the size left empty around them."""
    x = lab.load(mnist).train_images[: config.digits]
    factor = config.size * 7 / 8 / x.shape[-1]
    x = ndimage.zoom(x, (1, factor, factor), order=3, mode="grid-constant", grid_mode=True)
    spare = config.size - x.shape[-1]
    return np.pad(x, ((0, 0), *[(spare // 2, spare - spare // 2)] * 2))


def factor(ratio: np.ndarray) -> float:
    """Largest over smallest among the subjects (last axis), of the largest ratio of each."""
    largest = ratio.max(0)
    return float(largest.max() / largest.min())


def growth(ratio: np.ndarray) -> float:
    """The largest ratio of any octave over that of the lowest: beyond its peak it saturates."""
    largest = ratio.max(0)
    return float(largest.max() / largest[-1])


def measured(statistic: Callable[[np.ndarray], float], ratio: xr.DataArray, lab: Lab, **at: str) -> Measured:
    """A statistic of ratios (..., subject), with its quantiles over resampled deformations."""
    ratio = ratio.values.reshape(-1, ratio.sizes["subject"])
    places = lab.rng("drawn again").integers(len(ratio), size=(RESAMPLED, len(ratio)))
    interval = np.quantile([statistic(ratio[some]) for some in places], [0.025, 0.975])
    return Measured(statistic(ratio), n=len(ratio), of="deformations", interval=tuple(interval), at=at)


def filter_bank(config: Config, J: int) -> scattering2d.Bank:
    options = {"boundary": "periodic", "wavelet": getattr(wavelets, config.wavelet)}
    return scattering2d.filter_bank((config.size, config.size), J, config.L, **options)


def shifted(config: Config, images: dict[str, np.ndarray], J: int) -> dict[str, np.ndarray]:
    """Relative scattering distances (n,) of images and digits to themselves shifted by a fixed amount."""
    bank = filter_bank(config, J)
    shift = np.float32(config.shift / np.sqrt(2)) * np.ones(2, np.float32)
    return {
        subject: distances(bank, x, coefficients(bank, x), deformation.translate(x, shift))[0]
        for subject, x in images.items()
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    bank = filter_bank(config, config.J)
    images = {"photographs": photographs(config, lab), "digits": magnified_digits(config, lab)}
    scattered = {subject: coefficients(bank, x) for subject, x in images.items()}
    found = lab.sweep(
        "deformations",
        partial(deformed, config, bank, images, scattered),
        kind=MAPS,
        group=range(config.groups),
        dims={"size": ("deformation",), "distance": ("representation", "deformation", "subject")},
    ).assign_coords(representation=list(REPRESENTATIONS))
    ratios = found["distance"] / found["size"]
    of_packets = ratios.isel(subject=slice(config.octaves + 1))
    shifts = lab.sweep(
        "shifts",
        partial(shifted, config, images),
        J=config.scales,
        dims={subject: (image,) for subject, image in IMAGE.items()},
    )
    lab.figure(
        "ratio_by_frequency",
        plot_ratios(of_packets),
        "The largest ratio of the relative distance to the size of the deformation, by packet frequency.",
    )
    lab.figure(
        "distance_by_size",
        plot_distances(found, config.octaves),
        "The relative distance against the size of the deformation; each point is one deformation.",
    )
    lab.figure(
        "distance_by_scale",
        plot_shifts(shifts, config),
        "The relative scattering distance under a fixed shift; thin lines are single images.",
    )

    def each_map(statistic: Callable[[np.ndarray], float], representation: str) -> list[Measured]:
        one = of_packets.sel(representation=representation)
        return [measured(statistic, one.sel(kind=kind), lab, map=kind) for kind in MAPS]

    scattering = {"packets": of_packets, "packets and images": ratios}
    return [
        Claim(
            "Over all deformations and octaves of frequency, and with images and digits too, the largest "
            "ratio of scattering distance to bound varies by at most a factor 3.",
            at_most(3.0, source=THEOREM),
            [
                measured(factor, one.sel(representation="scattering"), lab, over=name)
                for name, one in scattering.items()
            ],
        ),
        Claim(
            "So it does for translations, dilations, rotations and random deformations apart.",
            at_most(3.0, source=THEOREM),
            each_map(factor, "scattering"),
        ),
        Claim(
            "From the lowest octave on, the ratio of pixels grows at least fourfold before it saturates, for "
            "every map.",
            at_least(4.0, source=NO_BOUND),
            each_map(growth, "pixels"),
        ),
        Claim(
            "So does that of the Fourier modulus, for dilations.",
            at_least(4.0, source=NO_BOUND),
            each_map(growth, "Fourier modulus")[MAPS.index("dilation")],
        ),
        Claim(
            "Under a fixed shift the scattering distance falls as 2^J grows, on average over images.",
            below(0.0, source="Mallat 2012, proposition 2.9 and theorem 2.10"),
            [one for subject in images for one in falls(shifts[subject])],
        ),
    ]


def falls(distance: xr.DataArray) -> tuple[Measured, ...]:
    """The change of the mean distance (J, images) from each scale to the next."""
    names = [f"{one} to {other}" for one, other in pairwise(distance["J"].values.tolist())]
    change = distance.diff("J").assign_coords(J=names, subject=distance.name)
    return mean(change, over=IMAGE[distance.name], paired=True, of="images")


def plot_ratios(ratios: xr.DataArray) -> Figure:
    octaves = np.arange(ratios.sizes["subject"])
    shown = ratios.max(("group", "deformation")).assign_coords(subject=HIGHEST / 2.0**octaves)
    # A translation leaves the modulus of the Fourier transform as it is, but for rounding.
    is_zero = (shown["representation"] == "Fourier modulus") & (shown["kind"] == "translation")
    return plots.panel(
        shown.where(~is_zero).rename("largest distance / bound"),
        x="subject",
        hue="kind",
        col="representation",
        log="xy",
        xlabel="packet frequency (rad/pixel)",
    )


def plot_distances(found: xr.Dataset, octaves: int) -> Figure:
    names = {octaves: "lowest packet", 0: "highest packet", -2: "photographs", -1: "digits"}
    shown = found.set_coords("size")["distance"].isel(subject=list(names), representation=[0, 1])
    line = [float(found["size"].min()), float(found["size"].max())]
    return plots.panel(
        shown.assign_coords(subject=list(names.values())).rename("relative distance"),
        x="size",
        hue="subject",
        col="representation",
        lines=False,
        beside={"distance = size": xr.DataArray(line, {"size": line}, "size")},
        log="xy",
        ylim=(line[0] / 20, 4),
        xlabel=r"$2^{-J}|\tau|_\infty+|\nabla\tau|_\infty+|H\tau|_\infty$",
    )


def plot_shifts(shifts: xr.Dataset, config: Config) -> Figure:
    figure, (panels,) = plots.canvas(len(shifts), share="y")
    for axes, (subject, distance) in zip(panels, shifts.items()):
        shown = distance.rename("relative distance")
        plots.panel(shown, x="J", over=IMAGE[subject], spread="each", log="y", axes=axes)
        axes.set_title(f"{subject}, shifted by {config.shift:g} pixels", fontsize=10)
    return figure
