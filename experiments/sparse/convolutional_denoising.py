"""Learned dictionaries, of patches and convolutional, take noise from photographs better than wavelets do.

Lecture: sparse coding, "can we simultaneously learn the dictionaries and the γ's?".
Source: Elad and Aharon, Image denoising via sparse and redundant representations over learned dictionaries,
IEEE TIP 15(12), 2006, for patches; Wohlberg, Efficient algorithms for convolutional sparse representations,
IEEE TIP 25(1), 2016, for images as a whole; Chang, Yu and Vetterli, Adaptive wavelet thresholding for image
denoising and compression, IEEE TIP 9(9), 2000, for wavelets (BayesShrink, as scikit-image has it).

Dictionaries are learned from some photographs without noise and tried on others. What else can be chosen, the
wavelet and its levels and the strength of the convolutional penalty, is chosen for each noise by the mean
PSNR on parts of the first photographs; patches take the paper's numbers. All methods are told the noise's
deviation, and all results are clipped to the range of intensities. The full form takes about ten minutes on
two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import numpy as np
import pywt
import xarray as xr
from jaxtyping import Array
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_wavelet

from jaxtheory.data import images as real_images
from jaxtheory.lab import Claim, Lab, Range, above, experiment, mean, plots
from jaxtheory.sparse import convolutional, dictionary_learning, learning, patches

WHITE = 255
"""The intensity in whose units noise is given."""
SMOOTHNESS = 5.0
"""Smoothness of the part of an image that filters do not code, in squared pixels."""
FIDELITY = 30.0
"""The weight of a pixel itself beside its patches, over the noise (Elad and Aharon)."""
USES = 5
"""The number of atoms of a patch while they are learned."""
WAVELETS = ("db2", "db4", "sym4", "sym8", "coif3")
METHODS = {
    "convolutional": "A learned convolutional dictionary",
    "patches": "A learned dictionary of patches",
}
SHOWN = ("clean", "noisy", "wavelets", *METHODS)
SIDE = 128
"""Height and width of the pictures, in pixels."""


@dataclass(frozen=True)
class Config:
    noise: Annotated[tuple[float, ...], Range(0.1, 255)] = (10.0, 25.0, 50.0)
    """Standard deviations of the noise, white being 255."""
    learned_from: tuple[str, ...] = ("china", "flower", "rocket", "aero")
    """Names of the photographs from which dictionaries are learned and settings chosen."""
    tried_on: tuple[str, ...] = ("astronaut", "camera", "chelsea", "coffee", "coins", "ascent")
    """Names of the photographs that are denoised."""
    largest: Annotated[int, Range(16)] = 512
    """Largest height and width of the middle parts of the photographs that are denoised, in pixels."""
    size: Annotated[int, Range(2, 16)] = 8
    """Height and width of filters and patches, in pixels."""
    filters: Annotated[int, Range(1)] = 48
    """Number of filters of the convolutional dictionary."""
    penalty: Annotated[float, Range(0, open=True)] = 0.1
    """Penalty with which the filters are learned."""
    parts: Annotated[int, Range(1)] = 40
    """Number of parts of photographs from which the filters are learned."""
    side: Annotated[int, Range(16)] = 64
    """Height and width of the parts from which the filters are learned, in pixels."""
    steps: Annotated[int, Range(1)] = 100
    """Number of steps in which the filters are learned."""
    atoms: Annotated[int, Range(1)] = 256
    """Number of atoms of the patches' dictionary."""
    patches: Annotated[int, Range(1)] = 20_000
    """Number of patches that the atoms are learned from."""
    rounds: Annotated[int, Range(1)] = 30
    """Number of steps of K-SVD."""
    validation: Annotated[int, Range(16)] = 160
    """Height and width of the parts on which settings are chosen, one per photograph, in pixels."""
    strengths: Annotated[tuple[float, ...], Range(0, open=True)] = tuple(np.arange(1.5, 3.5, 0.25).tolist())
    """Strengths of the convolutional penalty to choose from."""
    draws: Annotated[int, Range(1)] = 2
    """Number of dictionaries, each with noise of its own."""


QUICK = Config(
    noise=(25.0,), learned_from=("china", "rocket"), largest=128, size=6, filters=24, parts=10, side=40,
    steps=30, atoms=64, patches=3000, rounds=6, validation=128, strengths=(2.25, 2.75), draws=1,
)  # fmt: skip


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """The middle part of an image, of this many pixels a side or what there is."""
    return image[tuple(slice(max(0, n - side) // 2, max(0, n - side) // 2 + side) for n in image.shape)]


def ratio(found: np.ndarray, clean: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, for intensities from 0 to 1."""
    return peak_signal_noise_ratio(clean, np.clip(found, 0, 1), data_range=1)


def learn_filters(
    config: Config, photographs: list[np.ndarray], lab: Lab, draw: int, key: Array, rng: np.random.Generator
) -> np.ndarray:
    """Convolutional filters learned from parts of photographs without their smooth part."""
    rest = [x - np.asarray(convolutional.lowpass(x[..., None], SMOOTHNESS))[..., 0] for x in photographs]
    parts = real_images.patches(rest, config.parts, config.side, seed=rng)[..., None]
    start = jax.random.normal(key, (config.size, config.size, 1, config.filters))
    learner = convolutional.learner(config.penalty, boundary="zero")
    one = partial(learning.run, learner, data=parts, steps=1)
    training = lab.train(f"filters, draw {draw}", one, learner.init(start), config.steps)
    return np.asarray(training.state.filters)


def learn_atoms(
    config: Config, photographs: list[np.ndarray], lab: Lab, draw: int, key: Array, rng: np.random.Generator
) -> np.ndarray:
    """Atoms learned from patches of photographs without their means."""
    x = real_images.patches(photographs, config.patches, config.size, seed=rng, centered=True)
    x = x.reshape(config.patches, -1)
    learner = dictionary_learning.ksvd(USES)
    start = learner.init(dictionary_learning.sample_atoms(key, x, config.atoms))
    one = partial(learning.run, learner, data=x, steps=1)
    return np.asarray(lab.train(f"patches, draw {draw}", one, start, config.rounds).state.dictionary)


def by_wavelets(noisy: np.ndarray, sigma: float, wavelet: str, levels: int) -> np.ndarray:
    return denoise_wavelet(
        noisy, sigma=sigma, wavelet=wavelet, wavelet_levels=levels, method="BayesShrink", mode="soft",
        rescale_sigma=False,
    )  # fmt: skip


def by_filters(noisy: np.ndarray, sigma: float, filters: np.ndarray, strength: float) -> Any:
    return convolutional.denoise(filters, noisy[..., None], sigma, strength=strength, smoothness=SMOOTHNESS)


def by_patches(noisy: np.ndarray, sigma: float, atoms: np.ndarray) -> np.ndarray:
    size = int(np.sqrt(atoms.shape[1]))
    weight = FIDELITY / (WHITE * sigma)
    return np.asarray(patches.denoise(atoms, noisy[..., None], sigma, size, fidelity=weight))[..., 0]


def settings(side: int) -> list[tuple[str, int]]:
    """Wavelets with numbers of levels that parts of this size allow."""
    return [
        (name, levels) for name in WAVELETS for levels in range(1, min(5, pywt.dwt_max_level(side, name)) + 1)
    ]


def validated(
    config: Config, parts: list[np.ndarray], dictionaries: xr.DataArray, noise: float, draw: int,
    rng: np.random.Generator,
) -> dict[str, list[float]]:  # fmt: skip
    """Mean PSNR on parts of photographs, for each wavelet and level and for each strength."""
    sigma, filters = noise / WHITE, dictionaries.sel(draw=draw).values
    noisy = [np.float32(x + sigma * rng.standard_normal(x.shape)) for x in parts]

    def average(method: Callable[..., np.ndarray], *options: Any) -> float:
        return np.mean([ratio(method(y, sigma, *options), x) for x, y in zip(parts, noisy)])

    def by_strength(y: np.ndarray, sigma: float, strength: float) -> np.ndarray:
        return np.asarray(by_filters(y, sigma, filters, strength).images)[..., 0]

    return {
        "wavelets": [average(by_wavelets, *one) for one in settings(config.validation)],
        "strengths": [average(by_strength, one) for one in config.strengths],
    }


def denoised(
    config: Config, filters: xr.DataArray, atoms: xr.DataArray, chosen: xr.Dataset, noise: float,
    photograph: str, draw: int, rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """The PSNR of each method on a photograph, and the middle of what it makes of it."""
    clean, sigma = middle(real_images.load(photograph, gray=True), config.largest), noise / WHITE
    noisy = np.float32(clean + sigma * rng.standard_normal(clean.shape))
    best = chosen.sel(noise=noise, draw=draw)
    wavelet, levels = settings(config.validation)[int(best.wavelets)]
    convolved = by_filters(noisy, sigma, filters.sel(draw=draw).values, float(best.strengths))
    found = {
        "noisy": noisy,
        "wavelets": by_wavelets(noisy, sigma, wavelet, levels),
        "convolutional": np.asarray(convolved.images)[..., 0],
        "patches": by_patches(noisy, sigma, atoms.sel(draw=draw).values),
    }
    return {
        "psnr": {name: ratio(image, clean) for name, image in found.items()},
        "part": {name: np.float32(middle(image, SIDE)) for name, image in {"clean": clean, **found}.items()},
        "used": 100 * np.mean(convolved.codes.codes != 0),
        "converged": bool(convolved.codes.converged),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    lab.uses(real_images.describe(*config.learned_from, *config.tried_on))
    first = [real_images.load(name, gray=True) for name in config.learned_from]
    draws = range(config.draws)
    filters = lab.sweep("filters", partial(learn_filters, config, first, lab), draw=draws)
    atoms = lab.sweep("patches", partial(learn_atoms, config, first, lab), draw=draws)
    parts = [middle(x, config.validation) for x in first]
    scores = lab.sweep(
        "settings",
        partial(validated, config, parts, filters),
        dims={"wavelets": ("setting",), "strengths": ("strength",)},
        unit="dB",
        noise=config.noise,
        draw=draws,
    ).assign_coords(strength=list(config.strengths))
    chosen = xr.Dataset(
        {"wavelets": scores.wavelets.argmax("setting"), "strengths": scores.strengths.idxmax("strength")}
    )
    found = lab.sweep(
        "denoised", partial(denoised, config, filters, atoms, chosen), unit="dB", noise=config.noise,
        photograph=config.tried_on, draw=draws,
    )  # fmt: skip
    notes(config, found, chosen, lab)
    # What differs is the photographs.
    gains = [(found[f"psnr/{name}"] - found["psnr/wavelets"]).mean("draw") for name in METHODS]
    gain = xr.concat(gains, "learned").assign_coords(learned=list(METHODS))
    lab.figure(
        "gain",
        plots.dots(
            gain, x="noise", hue="learned", over="photograph", levels={"wavelets, BayesShrink": 0},
            xlabel="standard deviation of the noise, white being 255", ylabel="PSNR above wavelets' (dB)",
        ),
        "PSNR above that of wavelets with BayesShrink, on each photograph (dots), and its mean.",
    )  # fmt: skip
    noise = config.noise[len(config.noise) // 2]
    part = {name: found[f"part/{name}"].sel(noise=noise).values[0, 0] for name in SHOWN}
    decibels = [f"{name}\n{ratio(part[name], part['clean']):.1f} dB here" for name in SHOWN[1:]]
    lab.figure(
        "photograph",
        plots.image_rows({"": list(part.values())}, titles=["clean", *decibels], cmap="gray", size=2.1),
        f"The middle of {config.tried_on[0]} with noise of deviation {noise:g}.",
    )
    tiles = {
        f"{config.filters} convolutional filters": np.moveaxis(filters.values[0, :, :, 0], -1, 0),
        f"{config.atoms} atoms of patches": atoms.values[0].reshape(-1, config.size, config.size),
    }
    lab.figure(
        "atoms",
        plots.mosaics({f"{name} of {config.size}×{config.size} pixels": one for name, one in tiles.items()}),
        "Learned filters and atoms of patches, each with its own gray scale.",
    )
    return [
        Claim(
            f"{words} takes noise from photographs better than wavelets with BayesShrink, at each noise.",
            above(0, unit="dB", source="this project's bar"),
            mean(gain.sel(learned=name, drop=True), over="photograph", paired=True),
        )
        for name, words in METHODS.items()
    ]


def notes(config: Config, found: xr.Dataset, chosen: xr.Dataset, lab: Lab) -> None:
    """Mean PSNR of all methods with what was chosen, and whether pursuits came to their end."""
    grid = settings(config.validation)
    for noise in config.noise:
        here, best = found.sel(noise=noise).mean(("photograph", "draw")), chosen.sel(noise=noise)
        means = ", ".join(f"{name} {float(here[f'psnr/{name}']):.2f}" for name in SHOWN[1:])
        wavelets = " or ".join("{} with {} levels".format(*grid[k]) for k in np.unique(best.wavelets))
        strengths = " or ".join(f"{strength:g}" for strength in np.unique(best.strengths))
        lab.note(
            f"noise {noise:g}: mean PSNR in dB: {means}; chosen: {wavelets}, strength {strengths}; "
            f"{float(here.used):.2g} % of codes are used"
        )
    late = int((~found.converged.astype(bool)).sum())
    if late:
        lab.note(f"{late} of {found.converged.size} pursuits stopped short of their tolerance")
