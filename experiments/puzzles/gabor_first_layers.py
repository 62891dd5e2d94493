"""First layers that learn from photographs are Gabor-like, and pooling makes units blind to phase.

Lecture: puzzles, "What do units see?": Gabor-like first layers, simple and complex cells.
Source: Yosinski, Clune, Bengio and Lipson, How transferable are features in deep neural networks?, NIPS 2014;
Skottun et al., Classifying simple and complex cells on the basis of response modulation, 1991.

A small convolutional network learns which of some photographs a patch is from, a task that photographs give
for nothing. Patches are gray, of mean zero and variance one; those to test on come from the right part of
each photograph, those to learn from from the rest. A Gabor function is fitted to each first-layer kernel, as
`olshausen_field` fits them to atoms; and to kernels that are not trained, that learned the same task on white
noise (where there is nothing to be told) or without weight decay, and to atoms that code whitened patches
sparsely. First-layer weights start small: what is random in them decays only slowly, and would hide what is
learned. The relative modulation F1 / F0 of a unit's response to drifting gratings says how far it tells
phases: about 1.57 for a rectified linear filter, 0 for a complex cell. Units in the middle of the maps are
measured, at their best grating. The full form takes about ten minutes on two cores.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import images as real_images
from jaxtheory.harmonic import gabor_fit
from jaxtheory.inspection import selectivity
from jaxtheory.lab import Claim, Lab, Need, Range, above, below, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.sparse import dictionary_learning, learning, whitening

WELL = 0.7
"""The share of a kernel's variance that a good fit explains at least."""
SIDE = 32
"""The height and width of the patches that networks see."""
WINDOWS = (4, 2)
"""The sides of the blocks that are pooled after each convolution."""
STAGES = {
    "convolution 1": (1,),
    "blocks of 2": (2,),
    "blocks of 4": WINDOWS[:1],
    "convolution 2": (WINDOWS[0], 1),
    "pooling 2": WINDOWS,
}
"""Where units are measured: the sides of the blocks that have been pooled there, one for each layer."""
PHOTOGRAPHS, UNDECAYED = "photographs", "no weight decay"
NOISE, UNTRAINED = "white noise", "no training"
KINDS = (PHOTOGRAPHS, UNDECAYED, NOISE, UNTRAINED)
ATOMS = "sparse atoms"
FLAT = 0.02
"""What is added to a patch's standard deviation before it is divided by it; photographs have variance 1."""
BORDER = 8
"""Pixels left out where the whitening filter joined opposite sides."""
PART = 0.7
"""The share of a photograph's width in which patches to learn from lie."""
CONTRAST = 2**0.5
"""The amplitude of gratings, which have variance one as patches have."""


@dataclass(frozen=True)
class Config:
    photographs: tuple[str, ...] = (
        "china", "flower", "astronaut", "camera", "chelsea", "coffee", "coins", "rocket", "ascent", "aero"
    )  # fmt: skip
    """The names of the photographs that are told apart."""
    kinds: tuple[str, ...] = KINDS
    """The kinds of networks: photographs, no weight decay, white noise and no training."""
    kernel_size: Annotated[int, Range(11, 21)] = 11
    """The height and width of first-layer kernels and of atoms, in pixels."""
    filters: Annotated[int, Range(4)] = 32
    """The number of filters in each of the two layers."""
    atoms: Annotated[int, Range(1)] = 100
    """The number of atoms."""
    patches: Annotated[int, Range(100)] = 3000
    """The number of patches of each photograph to learn from."""
    steps: Annotated[int, Range(10)] = 1600
    """The number of steps of a training."""
    batch: Annotated[int, Range(1)] = 128
    """The number of patches in a step."""
    rate: Annotated[float, Range(0, open=True)] = 2e-3
    """Adam's step size at the start; it falls to zero along a cosine."""
    decay: Annotated[float, Range(0)] = 1.0
    """The weight decay, as a multiple of the step size."""
    start: Annotated[float, Range(0, open=True)] = 0.05
    """The size of first-layer weights at the start, as a multiple of the usual one."""
    atom_steps: Annotated[int, Range(1)] = 2000
    """The number of gradient steps on atoms, at each of three rates."""
    frequencies: Annotated[int, Range(3)] = 12
    """The number of frequencies of gratings, from 1/24 to 3/8 cycles per pixel."""
    angles: Annotated[int, Range(3)] = 12
    """The number of directions of gratings."""
    draws: Annotated[int, Range(2)] = 5
    """The number of draws of patches and networks."""


QUICK = Config(
    kinds=(PHOTOGRAPHS, UNTRAINED), filters=16, atoms=16, patches=300, steps=220, batch=48, rate=5e-3,
    atom_steps=40, frequencies=5, angles=8, draws=3,
)  # fmt: skip


def standardized(x: np.ndarray) -> np.ndarray:
    """An image of mean zero and variance one."""
    return np.float32((x - x.mean()) / x.std())


def normalized(patches: np.ndarray) -> np.ndarray:
    """Patches of mean zero and, but for flat ones, variance one."""
    patches = patches - patches.mean((1, 2), keepdims=True)
    return patches / (patches.std((1, 2), keepdims=True) + FLAT)


def seen(config: Config, kind: str, rng: np.random.Generator) -> tuple[Any, Any]:
    """Patches with the numbers of their photographs, to learn from and to test on."""
    found = ([], [])
    for name in config.photographs:
        x = standardized(real_images.load(name, gray=True))
        # Drawn in every kind, so that all have the same places.
        noise = np.float32(rng.standard_normal(x.shape))
        x = noise if kind == NOISE else x
        edge = int(PART * x.shape[1])
        for ones, part, number in zip(found, (x[:, :edge], x[:, edge:]), (config.patches, 200)):
            ones.append(normalized(real_images.patches([part], number, SIDE, seed=rng)))
    return tuple(
        (jnp.asarray(np.concatenate(ones)), jnp.repeat(jnp.arange(len(ones)), len(ones[0]))) for ones in found
    )


@cache
def network(filters: int, kernel_size: int, classes: int) -> tuple[Any, Any, Any]:
    """The initializer, the logits, and the units in the middle of each stage's maps, one after the other."""

    def body(windows: tuple[int, ...], head: tuple[int, ...]) -> Any:
        layers = len(windows)
        options = {"kernel_size": (kernel_size, 3)[:layers], "strides": (2, 1)[:layers], "window": windows}
        return networks.functional(partial(CNN, (SIDE, SIDE), (filters,) * layers, head=head, **options))

    whole = body(WINDOWS, (classes,))
    maps = [(len(one), training.predictor(body(one, ()).apply)) for one in STAGES.values()]

    def units(params: Any, x: Any) -> jax.Array:
        kernels = params["convolutions"]
        found = [one({"convolutions": {str(k): kernels[str(k)] for k in range(n)}}, x) for n, one in maps]
        return jnp.stack([one[:, one.shape[1] // 2, one.shape[2] // 2] for one in found], 1)

    return lambda key: whole.init(key)[0], training.predictor(whole.apply), units


@partial(jax.jit, static_argnames="config")
def trained(data: Any, params: Any, decay: Any, key: jax.Array, *, config: Config) -> Any:
    """Parameters after a training."""
    _, logits, _ = network(config.filters, config.kernel_size, len(config.photographs))
    schedule = optax.cosine_decay_schedule(config.rate, config.steps)
    optimizer = optax.adamw(schedule, weight_decay=decay)

    def loss(params: Any, batch: Any) -> jax.Array:
        return training.cross_entropy(logits(params, batch[0]), batch[1]).mean()

    options = {"objective": training.stateless(loss), "optimizer": optimizer}
    start = training.init(params, key, optimizer=optimizer)
    return training.run(start, data, batch=config.batch, steps=config.steps, **options)[0].params


def measured(config: Config, kind: str, key: jax.Array, rng: np.random.Generator) -> dict[str, Any]:
    """Kernels of one network, their Gabor fits, the modulation of its units, and its test accuracy."""
    init, logits, units = network(config.filters, config.kernel_size, len(config.photographs))
    for_start, order = jax.random.split(key)
    params = init(for_start)
    data, (x, y) = seen(config, kind, rng)
    if kind != UNTRAINED:
        params["convolutions"]["0"]["kernel"] *= config.start
        decay = 0.0 if kind == UNDECAYED else config.decay
        params = trained(data, params, decay, order, config=config)
    kernels = jnp.moveaxis(params["convolutions"]["0"]["kernel"][:, :, 0], -1, 0)
    frequencies = np.geomspace(1 / 24, 3 / 8, config.frequencies)
    options = {"shape": (SIDE, SIDE), "angles": config.angles, "contrast": CONTRAST}
    tuning = selectivity.tuning(units, params, frequencies, **options)
    # A unit that no grating excites has no phase to tell.
    answers = tuning.responses.max((0, 1)) > 0
    return {
        "kernels": kernels,
        "explained": gabor_fit.fit(kernels).explained,
        "modulation": np.where(answers, tuning.modulation, np.nan),
        "circular_variance": np.where(answers, tuning.circular_variance, np.nan),
        "accuracy": 100 * float(training.accuracy(logits(params, x), y).mean()),
    }


def coded(config: Config, key: jax.Array, rng: np.random.Generator) -> dict[str, Any]:
    """Atoms that code whitened patches sparsely, and their Gabor fits."""
    whitened = [
        np.asarray(whitening.whiten_images(real_images.load(name, gray=True)[..., None]))[..., 0]
        for name in config.photographs
    ]
    inner = [standardized(x[BORDER:-BORDER, BORDER:-BORDER]) for x in whitened]
    size = config.kernel_size
    x = real_images.patches(inner, 100 * config.atom_steps, size, seed=rng).reshape(-1, size**2)
    for_start, for_batches = jax.random.split(key)
    start = jax.random.normal(for_start, (config.atoms, size**2))
    state = start / jnp.linalg.norm(start, axis=1, keepdims=True)
    for index, rate in enumerate((0.2, 0.1, 0.05)):
        learner = dictionary_learning.sparsenet(rate)
        state = state if index else learner.init(state)
        state, _ = learning.run(learner, state, x, for_batches, steps=config.atom_steps, batch=100)
    atoms = state.dictionary.reshape(-1, size, size)
    return {"kernels": atoms, "explained": gabor_fit.fit(atoms).explained}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if unknown := set(config.kinds) - set(KINDS):
        raise ValueError(f"kinds holds {min(unknown)!r}: take of {', '.join(KINDS)}")
    lab.uses(real_images.describe(*config.photographs))

    def point(kind: str, key: jax.Array, rng: np.random.Generator) -> dict[str, Any]:
        return measured(config, kind, key, rng)

    tiles = {"kernels": ("filter", "row", "column"), "explained": ("filter",)}
    stages = dict.fromkeys(("modulation", "circular_variance"), ("stage", "filter"))
    found = lab.sweep(
        "networks", point, kind=config.kinds, draw=range(config.draws), common="kind", dims=tiles | stages
    ).assign_coords(stage=list(STAGES))
    atoms = lab.sweep("atoms", partial(coded, config), draw=range(config.draws), dims=tiles)
    share = 100 * (found.explained > WELL).mean("filter")
    of_atoms = 100 * (atoms.explained > WELL).mean("filter")
    modulation = found.modulation.median("filter")
    notes(config, found, share, of_atoms, modulation, lab)
    figures(found, atoms, share, of_atoms, lab)
    return claims(config, share, of_atoms, modulation)


def claims(
    config: Config, share: xr.DataArray, of_atoms: xr.DataArray, modulation: xr.DataArray
) -> list[Claim]:
    present = share.kind.values
    needed = {
        kind: Need(kind, kind in present, "take them among --kinds") for kind in (PHOTOGRAPHS, *others())
    }
    learned = share.sel(kind=PHOTOGRAPHS, drop=True) if needed[PHOTOGRAPHS].met else None
    average = partial(mean, over="draw", paired=True)
    compared = []
    for kind, source in others().items():
        needs = (needed[PHOTOGRAPHS], needed[kind])
        met = all(one.met for one in needs)
        compared.append(
            Claim(
                f"More first-layer filters are Gabor functions, R² > {WELL}, after learning from photographs "
                f"than with {kind}: the difference in share.",
                above(0, unit="points", source=source, looked_up=kind != UNDECAYED),
                average(learned - share.sel(kind=kind, drop=True)) if met else None,
                needs,
            )
        )
    told = needed[PHOTOGRAPHS]
    enough = Need(
        "an atom for every two pixels at least", 2 * config.atoms >= config.kernel_size**2, "raise --atoms"
    )
    changes = pooled = None
    if told.met:
        one = modulation.sel(kind=PHOTOGRAPHS, drop=True).isel(stage=slice(3))
        changes = average(one.diff("stage"))
        pooled = mean(one.isel(stage=2), over="draw")
    return [
        *compared,
        Claim(
            "Atoms of sparse codes are Gabor functions more often than first-layer filters are: the "
            "difference in share.",
            above(0, unit="points", source="Olshausen and Field 1996, figure 4; the comparison is ours"),
            average(of_atoms - learned) if told.met and enough.met else None,
            (told, enough),
        ),
        Claim(
            "Pooling makes units blind to phase: the median F1 / F0, less that with smaller blocks.",
            below(0, source="Hubel and Wiesel's complex cells; F1 / F0 of Skottun et al. 1991"),
            changes,
            told,
        ),
        Claim(
            "After the first pooling half of the units, and more, are complex cells: the median F1 / F0.",
            below(1, source="the criterion of Skottun et al. 1991"),
            pooled,
            told,
        ),
    ]


def others() -> dict[str, str]:
    """The kinds with which photographs are compared, and what leads one to expect the difference."""
    learned = "Yosinski et al. 2014, abstract: first layers learn features similar to Gabor filters"
    return {
        UNTRAINED: learned,
        NOISE: learned,
        UNDECAYED: "what is random at the start hides what is learned",
    }


def notes(
    config: Config,
    found: xr.Dataset,
    share: xr.DataArray,
    of_atoms: xr.DataArray,
    modulation: xr.DataArray,
    lab: Lab,
) -> None:
    """Notes for the findings: shares, fits, accuracies, modulations."""
    chance = 100 / len(config.photographs)
    for kind in found.kind.values:
        one = found.sel(kind=kind)
        ratios = ", ".join(f"{float(value):.2f}" for value in modulation.sel(kind=kind).mean("draw"))
        oriented = one.circular_variance.isel(stage=0).median()
        lab.note(
            f"{kind}: {float(share.sel(kind=kind).mean()):.0f} % of the filters have R² > {WELL}, the median "
            f"is {float(one.explained.median()):.2f}; {float(one.accuracy.mean()):.0f} % of the patches to "
            f"test on are told, by chance {chance:.0f} %. The median F1 / F0 by stages: {ratios}; the median "
            f"circular variance of first-layer units: {float(oriented):.2f}."
        )
    lab.note(f"{ATOMS}: {float(of_atoms.mean()):.0f} % of the atoms have R² > {WELL}.")


def figures(
    found: xr.Dataset, atoms: xr.Dataset, share: xr.DataArray, of_atoms: xr.DataArray, lab: Lab
) -> None:
    """The pictures."""
    tiles = {}
    for name, one, shares in (
        *((kind, found.sel(kind=kind), share.sel(kind=kind)) for kind in found.kind.values),
        (ATOMS, atoms, of_atoms),
    ):
        first = one.isel(draw=0)
        order = np.argsort(-first.explained.values)
        tiles[f"{name}: {float(shares[0]):.0f} % with R² > {WELL}"] = first.kernels.values[order]
    lab.figure(
        "kernels",
        plots.mosaics(tiles),
        "First-layer kernels of one draw, and atoms; those that a Gabor function fits best first, each with "
        "its own gray scale.",
    )
    # Numbered, as there are other numbers of filters and of atoms.
    numbered = [one.assign_coords(filter=np.arange(one.sizes["filter"])) for one in (found, atoms)]
    every = xr.concat(
        [numbered[0].explained, numbered[1].explained.expand_dims(kind=[ATOMS])], "kind", join="outer"
    )
    drawing, (axes,) = plots.canvas(2, size=(5.2, 3.6))
    plots.histogram(
        every, bins=np.linspace(0, 1, 21), hue="kind", marks={"well fitted": WELL},
        xlabel="R² of the best Gabor function", axes=axes[0],
    )  # fmt: skip
    of_stages = found.modulation.rename("F1 / F0, median over units").median("filter")
    plots.dots(of_stages, x="stage", hue="kind", levels={"rectified": np.pi / 2, "simple": 1}, axes=axes[1])
    axes[1].tick_params(axis="x", labelsize=8)
    axes[1].set_ylim(-0.1, 2.3)
    lab.figure(
        "fits_and_phases",
        drawing,
        "How much of kernels and atoms Gabor functions explain; and relative modulation by stages, each draw "
        "a dot: above 1 cells are called simple, below it complex.",
    )
