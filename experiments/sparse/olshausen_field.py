"""Atoms that code patches of natural images sparsely are Gabor functions, and principal components are not.

Lecture: sparse coding, "can we simultaneously learn the dictionaries and the γ's?".
Source: Olshausen and Field, Emergence of simple-cell receptive field properties by learning a sparse code for
natural images, Nature 381, 1996.

Photographs are whitened and low-passed by the paper's filter; atoms are learned by its gradient steps. A
Gabor function, a wave of one frequency and orientation under a Gaussian whose axes lie along and across it,
is fitted to each atom by least squares. The full form takes about two minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array
from matplotlib.figure import Figure

from jaxtheory.data import images as real_images
from jaxtheory.harmonic import gabor_fit
from jaxtheory.lab import Claim, Lab, Range, above, at_least, experiment, mean, plots
from jaxtheory.sparse import dictionary_learning, learning, whitening

WELL = 0.7
"""The share of an atom's variance that a good fit explains at least."""
BORDER = 8
"""Pixels left out where the whitening filter joined opposite sides."""
LEARNED, COMPONENTS = "learned atoms", "principal components"
BAR = "this project's bar; Olshausen and Field 1996, figure 4, show localised, oriented, band-pass atoms"


@dataclass(frozen=True)
class Config:
    photographs: tuple[str, ...] = (
        "china", "flower", "astronaut", "camera", "chelsea", "coffee", "coins", "rocket", "ascent", "aero"
    )  # fmt: skip
    """Names of the photographs from which patches are cut."""
    size: Annotated[int, Range(4, 64)] = 12
    """Height and width of the patches, in pixels."""
    atoms: Annotated[int, Range(1)] = 100
    """Number of atoms that are learned."""
    patches: Annotated[int, Range(100)] = 100_000
    """Number of patches to learn from, in each draw."""
    batch: Annotated[int, Range(1)] = 100
    """Number of patches in each gradient step."""
    steps: Annotated[tuple[int, ...], Range(1)] = (6000, 6000, 6000)
    """Number of gradient steps at each of the rates."""
    rates: Annotated[tuple[float, ...], Range(0, open=True)] = (0.2, 0.1, 0.05)
    """Rates of the gradient steps, one after the other."""
    draws: Annotated[int, Range(1)] = 3
    """Number of dictionaries, each with patches and a start of its own."""


QUICK = Config(size=8, atoms=40, patches=20_000, steps=(600, 600, 600), draws=4)


def whitened(names: tuple[str, ...]) -> list[np.ndarray]:
    """Gray photographs, whitened, without their border, of unit variance."""
    found = []
    for name in names:
        x = np.asarray(whitening.whiten_images(real_images.load(name, gray=True)[..., None]))
        x = x[BORDER:-BORDER, BORDER:-BORDER, 0]
        found.append(np.float32((x - x.mean()) / x.std()))
    return found


def learn(config: Config, images: list[np.ndarray], key: Array, rng: np.random.Generator) -> dict[str, Any]:
    """Learned atoms and principal components of one draw of patches, with their Gabor fits."""
    for_start, for_batches = jax.random.split(key)
    x = real_images.patches(images, config.patches, config.size, seed=rng).reshape(config.patches, -1)
    start = jax.random.normal(for_start, (config.atoms, config.size**2))
    state = start / jnp.linalg.norm(start, axis=1, keepdims=True)
    for index, (steps, rate) in enumerate(zip(config.steps, config.rates)):
        learner = dictionary_learning.sparsenet(rate)
        state = state if index else learner.init(state)
        state, metrics = learning.run(learner, state, x, for_batches, steps=steps, batch=config.batch)
    components = np.linalg.eigh(np.cov(x.T))[1].T[::-1]
    atoms = np.concatenate([state.dictionary, np.float32(components)]).reshape(-1, config.size, config.size)
    fit = gabor_fit.fit(atoms)
    return {
        "atoms": atoms,
        "explained": fit.explained,
        "frequency": fit.frequency,
        "angle": fit.angle,
        "bandwidth": gabor_fit.bandwidth(fit.width[:, 0], fit.frequency),
        "kurtosis": np.asarray(metrics["kurtosis"])[-50:].mean(),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    lab.uses(real_images.describe(*config.photographs))
    dims = dict.fromkeys(("explained", "frequency", "angle", "bandwidth"), ("atom",))
    found = lab.sweep(
        "dictionaries",
        partial(learn, config, whitened(config.photographs)),
        dims=dims | {"atoms": ("atom", "row", "column")},
        draw=range(config.draws),
    )
    kinds = [LEARNED] * config.atoms + [COMPONENTS] * config.size**2
    found = found.assign_coords(kind=("atom", kinds))
    good = found.explained > WELL
    share = 100 * good.groupby("kind").mean()
    learned, components = (share.sel(kind=kind, drop=True) for kind in (LEARNED, COMPONENTS))
    octaves = float(found.bandwidth.where(good & (found.kind == LEARNED)).median())
    lab.record(learned=learned.values, components=components.values, bandwidth=octaves)
    lab.note(
        f"The median bandwidth of the well fitted atoms is {octaves:.2f} octaves; the mean kurtosis of the "
        f"codes is {float(found.kurtosis.mean()):.0f}, of a Gaussian 3."
    )
    first = found.isel(draw=0).sortby("explained", ascending=False)
    tiles = {}
    for kind in (LEARNED, COMPONENTS):
        title = f"{kind}: {float(share.sel(kind=kind)[0]):.0f} % with R² > {WELL}"
        tiles[title] = first.atoms[first.kind == kind]
    lab.figure(
        "mosaics",
        plots.mosaics(tiles),
        "Learned atoms and principal components, those that a Gabor function fits best first; each has its "
        "own gray scale.",
    )
    lab.figure(
        "frequency_and_orientation",
        plot_fits(found),
        "Gabor functions fitted to learned atoms: frequency and direction of the wave, and how much of an "
        "atom they explain.",
    )
    return [
        Claim(
            "At least 80 % of the learned atoms are well fitted by a Gabor function, R² > 0.7.",
            at_least(80, unit="%", source=BAR),
            mean(learned, over="draw"),
        ),
        Claim(
            "More of the learned atoms are than of the principal components of the same patches.",
            above(0, unit="points", source="Olshausen and Field 1996, figure 1: components are global"),
            mean(learned - components, over="draw", paired=True),
        ),
    ]


def plot_fits(found: xr.Dataset) -> Figure:
    """The well fitted atoms by frequency and direction, and how well all are fitted."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.add_subplot(1, 2, 1, projection="polar"), figure.add_subplot(1, 2, 2)
    good = found.stack(each=("draw", "atom"))
    good = good.isel(each=((good.kind == LEARNED) & (good.explained > WELL)).values)
    shown = {"s": 14, "cmap": "viridis", "vmin": WELL, "vmax": 1}
    points = left.scatter(good.angle, good.frequency, c=good.explained, **shown)
    left.set(xlabel="radius: cycles a pixel; angle: direction of the wave", rticks=(0.2, 0.4, 0.6))
    left.set_thetalim(0, np.pi)
    left.set_rlim(0, 0.6)
    figure.colorbar(points, ax=left, shrink=0.7, label="R²")
    of = xr.DataArray([LEARNED, COMPONENTS], {"of": [LEARNED, COMPONENTS]}, ("of",))
    plots.histogram(
        found.explained.where(found.kind == of), bins=np.linspace(0, 1, 21), hue="of",
        marks={"well fitted": WELL}, xlabel="R² of the best Gabor function", axes=right,
    )  # fmt: skip
    return figure
