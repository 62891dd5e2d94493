"""What the coherence of a dictionary guarantees holds without exception, and random supports allow far more.

Lecture: sparse coding, "Theoretical guarantees": thresholding, orthogonal matching pursuit, basis pursuit.
Source: Donoho and Elad, Optimally sparse representation in general (nonorthogonal) dictionaries via l1
minimization, PNAS 100(5), 2003; Tropp, Greed is good, IEEE Trans. Information Theory 50(10), 2004, and Just
relax, 52(3), 2006; Donoho, Elad and Temlyakov, Stable recovery of sparse overcomplete representations in the
presence of noise, 52(1), 2006; Papyan, Romano and Elad, JMLR 18(83), 2017.

Codes have random supports and signs; their sizes run from a smallest to a largest one. Noise has a random
direction and a norm in proportion to the smallest. Each trial is held against the hypothesis of each bound.
With noise, orthogonal matching pursuit stops at its norm, and basis pursuit is the lasso with a penalty of
four times its norm.
The full form takes about ten minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    at_least,
    at_most,
    equal_to,
    exact,
    experiment,
    mean,
    plots,
)  # fmt: skip
from jaxtheory.sparse import coherence, pursuit

ALGORITHMS = ("thresholding", "OMP", "basis pursuit")
HADAMARD, GRASSMANNIAN, GAUSSIAN = DICTIONARIES = ("Hadamard and Dirac", "Grassmannian", "Gaussian")
LASSO = 4.0
"""The lasso's penalty, over the noise's norm; its largest error is at most 7.5 of those norms."""
EXACT = 0.01
"""Without noise, the largest error over the smallest entry at which codes count as found."""
STEPS = 60
"""The largest number of steps for each of a basis pursuit's problems: where it fails, more do not help."""
FAST = 256
"""The least number of features for which the fast transform takes the place of a matrix."""
SOURCES = {
    "thresholding": "Papyan, Romano and Elad 2017: s < (1 + min/(μ max))/2 - ε/(μ max)",
    "OMP": "Tropp 2004: s < (1 + 1/μ)/2; Donoho, Elad and Temlyakov 2006, with noise: - ε/(μ min)",
    "basis pursuit": "Donoho and Elad 2003: s < (1 + 1/μ)/2; Tropp 2006, with noise: s ≤ (1 + 1/μ)/3",
}


@dataclass(frozen=True)
class Config:
    features: Annotated[int, Range(4)] = 1024
    """Number of features of the Hadamard basis with the unit vectors; it is a power of two."""
    frame: Annotated[tuple[int, int], Range(2)] = (256, 128)
    """Numbers of atoms and of features of the Grassmannian and the Gaussian dictionary."""
    alternations: Annotated[int, Range(1)] = 1000
    """Number of alternating projections toward a Grassmannian frame."""
    noise: Annotated[float, Range(1e-6, 1)] = 0.1
    """Norm of the noise, relative to the smallest entry of a code."""
    guaranteed: Annotated[tuple[int, ...], Range(1)] = tuple(range(1, 17))
    """Sparsities at which the bounds are tested on the Hadamard basis with the unit vectors."""
    guaranteed_ratios: Annotated[tuple[float, ...], Range(1e-3, 1)] = (1.0, 0.5)
    """Ratios of the smallest to the largest entry at which the bounds are tested."""
    guaranteed_trials: Annotated[int, Range(1)] = 512
    """Number of trials of each sparsity, ratio and noise with which the bounds are tested."""
    sparsities: Annotated[tuple[int, ...], Range(1)] = (4, 8, 16, 24, 32, 48, 64, 128, 192, 256, 384)
    """Sparsities of the phase diagram of the Hadamard basis with the unit vectors."""
    frame_sparsities: Annotated[tuple[int, ...], Range(1)] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
    """Sparsities of the phase diagrams of the Grassmannian and the Gaussian dictionary."""
    ratios: Annotated[tuple[float, ...], Range(1e-3, 1)] = (1.0, 0.3, 0.1)
    """Ratios of the smallest to the largest entry in the phase diagrams, in decreasing order."""
    draws: Annotated[int, Range(1)] = 10
    """Number of groups of trials in the phase diagrams, over which standard errors are taken."""
    trials: Annotated[int, Range(1)] = 10
    """Number of trials in a group, for each sparsity, ratio and noise."""


QUICK = Config(
    features=64, frame=(128, 64), alternations=200, guaranteed=(1, 2, 3, 4), guaranteed_trials=64,
    sparsities=(2, 4, 8, 16), frame_sparsities=(1, 2, 4, 8), ratios=(1.0, 0.1), draws=8, trials=8,
)  # fmt: skip


class Atoms(NamedTuple):
    """A dictionary, as a matrix and as pursuits take it, which may be a pair of functions; its coherence."""

    matrix: np.ndarray
    solved: Any
    mu: float


def dictionary(name: str, config: Config, lab: Lab) -> Atoms:
    """A dictionary of a kind."""
    if name == HADAMARD:
        matrix = solved = np.asarray(coherence.hadamard_dirac(config.features))
        if config.features >= FAST:
            solved = coherence.hadamard_dirac_operators(config.features)
    elif name == GRASSMANNIAN:
        make = partial(coherence.grassmannian, lab.key(name), *config.frame, steps=config.alternations)
        matrix = solved = lab.cached("grassmannian", make)
    else:
        matrix = solved = np.asarray(coherence.gaussian(lab.key(name), *config.frame))
    return Atoms(matrix.astype(np.float64), solved, float(coherence.mutual_coherence(matrix)))


def sure_sparsity(mu: float, noise: float, ratio: np.ndarray) -> xr.DataArray:
    """What each bound promises when all that is known of the noise is its norm, over the smallest entry."""
    ratio = np.asarray(ratio, float)
    by_size = coherence.thresholding_sparsity(mu, ratio, 1.0, noise * ratio)
    convex = (1 + 1 / mu) / 3 if noise else coherence.uniqueness_sparsity(mu)
    bounds = [np.full(len(ratio), one) for one in (by_size, coherence.omp_sparsity(mu, 1.0, noise), convex)]
    return xr.DataArray(bounds, {"algorithm": list(ALGORITHMS), "ratio": ratio})


def hypotheses(mu: float, noise: float, smallest: float, seen: np.ndarray, sparsity: int) -> list[np.ndarray]:
    """Which trials meet the hypothesis of each bound; `seen` is how much of the noise the atoms see."""
    eps = noise * smallest
    if noise:
        by_omp = sparsity <= float(coherence.omp_sparsity(mu, smallest, eps))
        by_lasso = sparsity <= (1 + 1 / mu) / 3 and smallest > 7.5 * eps
    else:
        by_omp = by_lasso = sparsity < float(coherence.uniqueness_sparsity(mu))
    by_size = sparsity < np.asarray(coherence.thresholding_sparsity(mu, smallest, 1.0, seen))
    return [by_size, np.full(len(seen), by_omp), np.full(len(seen), by_lasso)]


def most_steps(sparsity: int) -> int:
    """Steps that a greedy pursuit may take: few numbers, since each is a program of its own."""
    return next((steps for steps in (4, 16, 64) if sparsity <= steps), sparsity)


def draw(
    rng: np.random.Generator, number: int, atoms: int, features: int, sparsity: int
) -> tuple[np.ndarray, ...]:
    """Supports, signs and sizes in [0, 1], both ends among them, and noise of unit norm."""
    size = rng.random((number, sparsity))
    size[:, :1], size[:, 1:2] = 0, 1
    noise = rng.standard_normal((number, features))
    support = rng.random((number, atoms)).argpartition(sparsity - 1, axis=1)[:, :sparsity]
    sign = rng.choice([-1.0, 1.0], (number, sparsity))
    return support, sign, size, noise / np.linalg.norm(noise, axis=1, keepdims=True)


def recover(
    dictionaries: dict[str, Atoms], number: int, dictionary: str, noise: float, sparsity: int, ratio: float,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:  # fmt: skip
    """What each algorithm makes of trials: whether it finds the support, and its error over the bound's."""
    atoms = dictionaries[dictionary]
    support, sign, size, direction = draw(rng, number, *atoms.matrix.shape, sparsity)
    sizes, count = ratio**size, len(atoms.matrix)
    # A single entry is the largest.
    smallest = float(sizes.min())
    eps = noise * smallest
    codes = np.zeros((number, count))
    np.put_along_axis(codes, support, sign * sizes, axis=1)
    error, truth = eps * direction, codes != 0
    signals = np.asarray(codes @ atoms.matrix + error, jnp.result_type(float))
    correlations = np.abs(signals @ atoms.matrix.T)
    by_size = correlations >= -np.partition(-correlations, sparsity - 1, axis=1)[:, sparsity - 1 : sparsity]
    greedy = pursuit.orthogonal_matching_pursuit(
        atoms.solved, signals, sparsity=min(most_steps(sparsity), count), tolerance=max(eps, 1e-3 * smallest)
    )
    of_greedy = np.linalg.norm(np.asarray(greedy.codes) - codes, axis=1)
    if noise:
        convex = pursuit.lasso(atoms.solved, signals, LASSO * eps)
        bounds = float(coherence.omp_error(atoms.mu, sparsity, eps)), 7.5 * eps
    else:
        convex = pursuit.basis_pursuit(atoms.solved, signals, max_steps=STEPS)
        # Without noise the bound is zero, but for rounding.
        bounds = EXACT * smallest, EXACT * smallest
    of_convex = np.abs(np.asarray(convex.codes) - codes).max(1)
    supports = [by_size, np.asarray(greedy.codes) != 0, np.asarray(convex.codes) != 0]
    found = [(one == truth).all(1) for one in supports]
    if not noise:
        found[2] = of_convex <= bounds[1]
    seen = np.abs(error @ atoms.matrix.T).max(1)
    return {
        "met": np.stack(hypotheses(atoms.mu, noise, smallest, seen, sparsity)),
        "found": np.stack(found),
        "error": np.stack([np.zeros(number), of_greedy / bounds[0], of_convex / bounds[1]]),
        "unfinished": ~np.asarray(convex.converged),
    }


def reach(rates: xr.DataArray) -> xr.DataArray:
    """The sparsity at which half of the trials succeed, between two sparsities or at an end."""

    def of(rates: np.ndarray, sparsities: np.ndarray) -> float:
        known = np.isfinite(rates)
        rates, sparsities = rates[known], sparsities[known]
        below = np.flatnonzero(rates < 0.5)
        if not len(below) or below[0] == 0:
            return float(sparsities[0 if len(below) else -1])
        pair = slice(below[0] - 1, below[0] + 1)
        return float(np.interp(-0.5, -rates[pair], sparsities[pair]))

    return xr.apply_ufunc(of, rates, rates.sparsity, input_core_dims=[["sparsity"]] * 2, vectorize=True)


def failures(sweeps: list[xr.Dataset], algorithm: str) -> list[Measured]:
    """Trials that meet the hypothesis of a bound and fail, in their support or in their error."""
    measured = []
    for noise, word in zip(sweeps[0].noise.values, ("without", "with")):
        total = failed = 0
        for sweep in sweeps:
            one = sweep.sel(noise=noise, algorithm=algorithm)
            met = one.met == 1
            total += int(met.sum())
            failed += int((met & ~((one.found == 1) & (one.error <= 1))).sum())
        measured.append(exact(failed, at={"noise": word, "trials": f"{total:,}"}))
    return measured


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    noises = (0.0, config.noise)
    atoms = {name: dictionary(name, config, lab) for name in DICTIONARIES}
    dims = dict.fromkeys(("met", "found", "error"), ("algorithm", "trial")) | {"unfinished": ("trial",)}
    common = {"dims": dims, "common": ("ratio",)}
    guaranteed = lab.sweep(
        "guaranteed", partial(recover, atoms, config.guaranteed_trials, HADAMARD), noise=noises,
        sparsity=config.guaranteed, ratio=config.guaranteed_ratios, **common,
    ).assign_coords(algorithm=list(ALGORITHMS))  # fmt: skip
    grids = dict.fromkeys(DICTIONARIES, config.frame_sparsities) | {HADAMARD: config.sparsities}
    points = [
        {"dictionary": name, "noise": noise, "sparsity": sparsity, "ratio": ratio}
        for name in DICTIONARIES for noise in noises for sparsity in grids[name] for ratio in config.ratios
    ]  # fmt: skip
    trials = partial(recover, atoms, config.draws * config.trials)
    phases = lab.sweep("phases", trials, points=points, **common).sortby("sparsity")
    phases = phases.assign_coords(algorithm=list(ALGORITHMS))
    sweeps = [guaranteed, phases]
    notes(atoms, sweeps, lab)
    figures(config, atoms, guaranteed, phases, lab)
    found = phases.found.sel(noise=0.0, drop=True)
    by_draw = {"trial": config.trials}
    reached = reach(found.coarsen(by_draw).mean().rename(trial="draw"))
    sure = xr.concat([sure_sparsity(one.mu, 0.0, np.ones(1)) for one in atoms.values()], phases.dictionary)
    equal, unequal = ({"ratio": config.ratios[place], "drop": True} for place in (0, -1))
    by_size = reached.sel(algorithm="thresholding", dictionary=[HADAMARD, GRASSMANNIAN], drop=True)
    convex = found.sel(algorithm="basis pursuit", drop=True)
    changed = np.abs(convex.sel(**equal) - convex.sel(**unequal)).mean("sparsity")
    return [
        *(
            Claim(
                f"Of the trials that meet the hypothesis of its bound, {name} fails in none.",
                equal_to(0, tolerance=0, unit="fail", source=SOURCES[name]),
                failed := failures(sweeps, name),
                Need(
                    "trials that meet the hypothesis, with and without noise",
                    all(one.at["trials"] != "0" for one in failed),
                    "lower --noise, or raise --guaranteed_trials",
                ),
            )
            for name in ALGORITHMS
        ),
        Claim(
            "Bounds are pessimistic: without noise and with entries of equal size, half of all random "
            "supports are still found at a multiple of the sparsity that is guaranteed.",
            at_least(1.0, unit="times", source="the bounds; by how much is for experiment to say"),
            mean(reached.sel(**equal) / sure.sel(ratio=1.0, drop=True), over="draw"),
        ),
        Claim(
            "Thresholding depends on the sizes of the entries: where the smallest is "
            f"{config.ratios[-1]:g} of the largest, it reaches half of the sparsity at most.",
            at_least(2.0, unit="times", source="Papyan, Romano and Elad 2017; twice is this project's"),
            mean(by_size.sel(**equal) / by_size.sel(**unequal), over="draw"),
        ),
        Claim(
            "Basis pursuit does not: whether it succeeds is decided by support and signs.",
            at_most(0.005, source="Fuchs 2004, theorem 2: conditions on signs; the share is rounding's"),
            mean(changed.coarsen(by_draw).mean().rename(trial="draw"), over="draw"),
        ),
    ]


def notes(atoms: dict[str, Atoms], sweeps: list[xr.Dataset], lab: Lab) -> None:
    """Notes for the findings, on what the claims do not say."""
    for name, one in atoms.items():
        count, features = one.matrix.shape
        lab.note(
            f"{name}: {count:,} atoms, {features:,} features, coherence {one.mu:.4f} (Welch's bound "
            f"{coherence.welch_bound(count, features):.4f}): sparsity below "
            f"{float(coherence.uniqueness_sparsity(one.mu)):.2f} is guaranteed without noise."
        )
    unfinished = sum(int(one.unfinished.sum()) for one in sweeps)
    solved = sum(int(one.unfinished.count()) for one in sweeps)
    lab.note(f"Of {solved:,} convex problems {unfinished:,} ended short of their tolerance.")
    noisy = sweeps[0].isel(noise=1)
    _, omp, convex = noisy.error.where(noisy.met).max(("sparsity", "ratio", "trial")).values
    lab.note(
        f"With noise, the largest error of a trial that meets its hypothesis is {omp:.2f} of the bound for "
        f"OMP and {convex:.2f} for the lasso."
    )


def figures(
    config: Config, atoms: dict[str, Atoms], guaranteed: xr.Dataset, phases: xr.Dataset, lab: Lab
) -> None:
    """The pictures."""
    rates = phases.found.mean("trial").rename("share of supports found")
    rates.ratio.attrs["long_name"] = "smallest / largest"
    places = np.linspace(0, len(config.ratios) - 1, 101)
    fine = np.interp(places, range(len(config.ratios)), config.ratios)
    axes = {"x": "sparsity", "y": "ratio", "col": "algorithm", "row": "dictionary"}
    for noise, word in ((0.0, "without"), (config.noise, "with")):
        bound = xr.concat([sure_sparsity(one.mu, noise, fine) for one in atoms.values()], phases.dictionary)
        lab.figure(
            f"phases_{word}_noise",
            plots.phase_diagram(rates.sel(noise=noise), guarantee=bound, **axes),
            f"Share of trials whose support is found, {word} noise, by sparsity and by the smallest entry "
            "over the largest. Red: the bound.",
        )
    figure, ((left, right),) = plots.canvas(2, size=(4.75, 3.6))
    rates = rates.sel(dictionary=HADAMARD, noise=0.0, ratio=config.ratios[0]).dropna("sparsity")
    sure = {"guaranteed": float(coherence.uniqueness_sparsity(atoms[HADAMARD].mu))}
    plots.panel(rates, x="sparsity", hue="algorithm", marks=sure, log="x", axes=left)
    noisy = guaranteed.sel(noise=config.noise, algorithm=list(ALGORITHMS[1:]))
    errors = noisy.error.where(noisy.met.all(("ratio", "trial"))).dropna("sparsity", how="all")
    both = xr.concat([errors.max(("ratio", "trial")), errors.median(("ratio", "trial"))], "statistic")
    plots.panel(
        both.assign_coords(statistic=["largest", "median"]).rename("error / bound"), x="sparsity",
        hue="algorithm", style="statistic", colors=plots.colors_of(ALGORITHMS), levels={"bound": 1},
        ylim=(0.0, 1.4), axes=right,
    )  # fmt: skip
    lab.figure(
        "recovery_and_error",
        figure,
        f"{HADAMARD}. Left: supports found, entries of equal size, without noise. Right: with noise, the "
        "errors of trials over their bounds: OMP's in the Euclidean norm, the lasso's in its largest entry.",
    )
