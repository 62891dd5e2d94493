"""Learnt dictionaries, of patches and convolutional, take noise from photographs better than wavelets do.

Lecture: sparse coding, "can we simultaneously learn the dictionaries and the γ's?".
Source: Elad and Aharon, Image denoising via sparse and redundant representations over learned dictionaries,
IEEE TIP 15(12), 2006, for patches; Wohlberg, Efficient algorithms for convolutional sparse representations,
IEEE TIP 25(1), 2016, for images as a whole; Chang, Yu and Vetterli, Adaptive wavelet thresholding for image
denoising and compression, IEEE TIP 9(9), 2000, for wavelets (BayesShrink, as scikit-image has it).

Dictionaries are learnt from some photographs without noise and tried on others. What else can be chosen, the
wavelet and its levels and the strength of the convolutional penalty, is chosen for each noise by the mean
PSNR on parts of the first photographs; patches take the paper's numbers. All methods are told the noise's
deviation, and all results are clipped to the range of intensities. The full form takes about ten minutes on
two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pywt
from skimage.restoration import denoise_wavelet

from jaxtheory.data import images as real_images
from jaxtheory.lab import Claim, Lab, Sweep, above, experiment, paired_difference
from jaxtheory.lab.show.mosaics import mosaic
from jaxtheory.sparse import convolutional, dictionary

WHITE = 255
"""The intensity in whose units noise is given."""
SMOOTHNESS = 5.0
"""Of the part that filters do not code, in squared pixels."""
FIDELITY = 30.0
"""Over the noise: the weight of a pixel itself beside its patches (Elad and Aharon)."""
USES = 5
"""Atoms of a patch while they are learnt."""
WAVELETS = ("db2", "db4", "sym4", "sym8", "coif3")
METHODS = {"wavelets": "#999999", "convolutional": "#0072b2", "patches": "#d55e00"}
BAR = "this project's bar"


@dataclass(frozen=True)
class Config:
    noise: tuple[float, ...] = (10.0, 25.0, 50.0)
    """Standard deviations of the noise, white being 255."""
    learnt_from: tuple[str, ...] = ("china", "flower", "rocket", "aero")
    """Photographs for the dictionaries and whatever is chosen."""
    tried_on: tuple[str, ...] = ("astronaut", "camera", "chelsea", "coffee", "coins", "ascent")
    """Other photographs."""
    largest: int = 512
    """Photographs are tried on in their middle part of so many pixels a side, at most."""
    size: int = 8
    """Height and width of filters and patches, in pixels."""
    filters: int = 48
    """Filters of the convolutional dictionary."""
    penalty: float = 0.1
    """With which they are learnt."""
    parts: int = 40
    """Parts of photographs that they are learnt from."""
    side: int = 64
    """Height and width of those, in pixels."""
    steps: int = 100
    """Steps of their learning."""
    atoms: int = 256
    """Atoms of the patches' dictionary."""
    patches: int = 20_000
    """Patches that they are learnt from."""
    rounds: int = 30
    """Steps of K-SVD."""
    validation: int = 160
    """Height and width of the parts on which settings are chosen, one a photograph, in pixels."""
    strengths: tuple[float, ...] = (1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.25)
    """Of the convolutional penalty, to choose from."""
    draws: int = 2
    """Dictionaries, each with noise of its own."""


QUICK = Config(
    noise=(25.0,), learnt_from=("china", "rocket"), tried_on=("camera", "chelsea", "ascent"), largest=128,
    size=6, filters=24, parts=10, side=40, steps=15, atoms=64, patches=3000, rounds=6, validation=96,
    strengths=(2.25, 2.75), draws=1,
)  # fmt: skip


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """The middle part of an image, of so many pixels a side or what there is."""
    return image[tuple(slice(max(0, n - side) // 2, max(0, n - side) // 2 + side) for n in image.shape)]


def psnr(found, clean: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, for intensities from 0 to 1."""
    return -10 * float(np.log10(np.mean((np.clip(found, 0, 1) - clean) ** 2)))


def learn_filters(
    config: Config, photographs: list[np.ndarray], lab: Lab, draw: int, key
) -> dict[str, np.ndarray]:
    """Convolutional filters learnt from parts of photographs without their smooth part."""
    for_parts, for_start = jax.random.split(key)
    rest = [x - np.asarray(convolutional.lowpass(x[..., None], SMOOTHNESS))[..., 0] for x in photographs]
    seed = np.asarray(jax.random.key_data(for_parts))
    parts = jnp.asarray(real_images.patches(rest, config.parts, config.side, seed=seed))[..., None]
    start = jax.random.normal(for_start, (config.size, config.size, 1, config.filters))

    def segment(state):
        state = convolutional.learn_step(state, parts, config.penalty, boundary="zero")
        return state, state.objective

    state, objective = lab.train(
        f"filters, draw {draw}", segment, convolutional.learn_init(start), config.steps
    )
    return {"filters": np.asarray(state.filters), "objective": objective}


def learn_patches(
    config: Config, photographs: list[np.ndarray], lab: Lab, draw: int, key
) -> dict[str, np.ndarray]:
    """Atoms learnt from patches of photographs without their means."""
    for_patches, for_start = jax.random.split(key)
    seed = np.asarray(jax.random.key_data(for_patches))
    x = real_images.patches(photographs, config.patches, config.size, seed=seed, centred=True)
    x = jnp.asarray(x.reshape(config.patches, -1))
    start = dictionary.ksvd_init(dictionary.sample_atoms(for_start, x, config.atoms))
    step = partial(dictionary.ksvd_step, signals=x, sparsity=USES)
    state, metrics = lab.train(f"patches, draw {draw}", step, start, config.rounds)
    return {"atoms": np.asarray(state.dictionary), "error": metrics["error"]}


def by_wavelets(noisy: np.ndarray, sigma: float, wavelet: str, levels: int) -> np.ndarray:
    return denoise_wavelet(
        noisy, sigma=sigma, wavelet=wavelet, wavelet_levels=levels, method="BayesShrink", mode="soft",
        rescale_sigma=False,
    )  # fmt: skip


def by_filters(noisy: np.ndarray, sigma: float, filters: np.ndarray, strength: float):
    return convolutional.denoise(filters, noisy[..., None], sigma, strength=strength, smoothness=SMOOTHNESS)


def by_patches(noisy: np.ndarray, sigma: float, atoms: np.ndarray) -> np.ndarray:
    size = (int(np.sqrt(atoms.shape[1])),) * 2
    return np.asarray(dictionary.denoise(atoms, noisy, sigma, size, fidelity=FIDELITY / (WHITE * sigma)))


def choose(
    config: Config, parts: list[np.ndarray], filters: np.ndarray, noise: float, draw: int, key
) -> dict[str, np.ndarray]:
    """Mean PSNR on parts of photographs, for each wavelet and level and for each strength."""
    del draw  # it only separates the keys
    sigma = noise / WHITE
    noisy = [x + sigma * np.asarray(jax.random.normal(jax.random.fold_in(key, i), x.shape))
             for i, x in enumerate(parts)]  # fmt: skip

    def mean(method) -> float:
        return np.mean([psnr(method(y), x) for x, y in zip(parts, noisy)])

    def strength(c: float) -> float:
        return mean(lambda y: np.asarray(by_filters(y, sigma, filters, c).images)[..., 0])

    wavelets = [mean(partial(by_wavelets, sigma=sigma, wavelet=name, levels=levels))
                for name, levels in settings(len(parts[0]))]  # fmt: skip
    return {"wavelets": np.array(wavelets), "strengths": np.array([strength(c) for c in config.strengths])}


def settings(side: int) -> list[tuple[str, int]]:
    """Wavelets with numbers of levels that parts of this size allow."""
    return [
        (name, levels) for name in WAVELETS for levels in range(1, min(5, pywt.dwt_max_level(side, name)) + 1)
    ]


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    lab.uses(real_images.describe(*config.learnt_from, *config.tried_on))
    first = [real_images.load(name, grey=True) for name in config.learnt_from]
    draws = range(config.draws)
    filters = lab.sweep("filters", partial(learn_filters, config, first, lab), draw=draws)
    patches = lab.sweep("patches", partial(learn_patches, config, first, lab), draw=draws)
    parts = [middle(x, config.validation) for x in first]
    chosen = lab.sweep(
        "settings",
        lambda noise, draw, key: choose(config, parts, filters.values["filters"][draw], noise, draw, key),
        noise=config.noise,
        draw=draws,
    )
    grid = settings(config.validation)

    def denoised(noise: float, photograph: str, draw: int, key) -> dict[str, Any]:
        clean = middle(real_images.load(photograph, grey=True), config.largest)
        sigma = noise / WHITE
        noisy = clean + sigma * np.asarray(jax.random.normal(key, clean.shape))
        place = (config.noise.index(noise), draw)
        wavelet, levels = grid[int(np.argmax(chosen.values["wavelets"][place]))]
        strength = config.strengths[int(np.argmax(chosen.values["strengths"][place]))]
        convolved = by_filters(noisy, sigma, filters.values["filters"][draw], strength)
        found = {
            "wavelets": by_wavelets(noisy, sigma, wavelet, levels),
            "convolutional": np.asarray(convolved.images)[..., 0],
            "patches": by_patches(noisy, sigma, patches.values["atoms"][draw]),
        }
        shown = {"clean": clean, "noisy": noisy, **found}
        return (
            {name: psnr(image, clean) for name, image in {"noisy": noisy, **found}.items()}
            | {f"{name} part": np.float32(middle(image, SHOWN)) for name, image in shown.items()}
            | {
                "used": np.mean(convolved.codes.codes != 0),
                "converged": np.asarray(convolved.codes.converged),
            }
        )

    found = lab.sweep(
        "denoised", denoised, unit="dB", noise=config.noise, photograph=config.tried_on, draw=draws
    )
    report(config, lab, found, chosen, grid)
    lab.figure(
        "gain",
        plot_gain(found, config),
        "PSNR above that of wavelets with BayesShrink, on each photograph and their mean.",
    )
    lab.figure(
        "photograph",
        plot_photograph(found, config),
        f"The middle of {config.tried_on[0]} with noise of deviation {middle_of(config.noise):g}.",
    )
    lab.figure(
        "atoms",
        plot_atoms(filters.values["filters"][0], patches.values["atoms"][0]),
        "Learnt filters and atoms of patches, each with its own grey scale.",
    )
    names = {
        "convolutional": "A learnt convolutional dictionary",
        "patches": "A learnt dictionary of patches",
    }
    return [
        Claim(
            f"{words} takes noise from photographs better than wavelets with BayesShrink, at each noise.",
            above(0, unit="dB", source=BAR),
            paired_difference(over_draws(found[name]), over_draws(found["wavelets"]), over="photograph"),
        )
        for name, words in names.items()
    ]


def over_draws(sweep: Sweep) -> Sweep:
    """The mean over draws: what differs is the photographs."""
    axes = {name: points for name, points in sweep.axes.items() if name != "draw"}
    return Sweep(sweep.name, axes, sweep.numbers().mean(axis=-1), sweep.unit)


def report(config: Config, lab: Lab, found: Sweep, chosen: Sweep, grid: list[tuple[str, int]]) -> None:
    """Mean PSNR of all methods with what was chosen, and whether pursuits came to their end."""
    for place, noise in enumerate(config.noise):
        means = ", ".join(f"{name} {found[name].at(noise=noise).value:.2f}" for name in ("noisy", *METHODS))
        options = {"wavelets": [f"{name} with {levels} levels" for name, levels in grid]}
        options["strengths"] = [f"{c:g}" for c in config.strengths]
        wavelets, strengths = (
            " or ".join(sorted({words[best] for best in np.argmax(chosen.values[name][place], axis=-1)}))
            for name, words in options.items()
        )
        lab.note(
            f"noise {noise:g}: mean PSNR in dB: {means}; chosen: {wavelets}, strength "
            f"{strengths}; {100 * found['used'].at(noise=noise).value:.2g} % of codes are used"
        )
    late = int(np.sum(~found.values["converged"].astype(bool)))
    if late:
        lab.note(f"{late} of {found.values['converged'].size} pursuits stopped short of their tolerance")


SHOWN = 128
"""Pixels a side of the pictures."""


def middle_of(values: tuple[float, ...]) -> float:
    return values[len(values) // 2]


def plot_gain(found: Sweep, config: Config):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    wavelets = over_draws(found["wavelets"]).values
    for shift, (name, colour) in zip((0, -0.12, 0.12), METHODS.items()):
        gain = over_draws(found[name]).values - wavelets
        if name == "wavelets":
            axes.axhline(0, color=colour, lw=1.5, label="wavelets, BayesShrink")
            continue
        places = np.arange(len(config.noise)) + shift
        axes.plot(np.repeat(places, gain.shape[1]), gain.ravel(), "o", ms=4, alpha=0.45, color=colour)
        axes.plot(places, gain.mean(axis=1), "_", ms=26, mew=3, color=colour, label=name)
    axes.set_xticks(range(len(config.noise)), [f"{noise:g}" for noise in config.noise])
    axes.set_xlim(-0.5, len(config.noise) - 0.5)
    axes.set_xlabel("standard deviation of the noise, white being 255")
    axes.set_ylabel("PSNR above wavelets' (dB)")
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize=8, markerscale=0.5)
    return figure


def plot_photograph(found: Sweep, config: Config):
    from matplotlib.figure import Figure

    place = (config.noise.index(middle_of(config.noise)), 0, 0)
    clean = found.values["clean part"][place]
    figure = Figure(figsize=(11, 2.7), layout="constrained")
    for axes, name in zip(figure.subplots(1, 5), ("clean", "noisy", *METHODS)):
        part = found.values[f"{name} part"][place]
        axes.imshow(part, cmap="gray", vmin=0, vmax=1)
        label = "" if name == "clean" else f"\n{psnr(part, clean):.1f} dB here"
        axes.set_title(name + label, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def plot_atoms(filters: np.ndarray, atoms: np.ndarray):
    from matplotlib.figure import Figure

    size = len(filters)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    shown = {
        f"{filters.shape[-1]} convolutional filters": np.moveaxis(filters[:, :, 0], -1, 0),
        f"{len(atoms)} atoms of patches": atoms.reshape(-1, size, size),
    }
    for axes, (title, tiles) in zip(figure.subplots(1, 2), shown.items()):
        axes.imshow(mosaic(tiles), cmap="gray", vmin=-1, vmax=1)
        axes.set_title(f"{title} of {size}×{size} pixels", fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure
