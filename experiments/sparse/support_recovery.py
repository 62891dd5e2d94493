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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax.tree_util import Partial

from jaxtheory.lab import Claim, Lab, Measured, Sweep, at_least, at_most, equal_to, experiment
from jaxtheory.sparse import coherence, pursuit

ALGORITHMS = ("thresholding", "OMP", "basis pursuit")
HADAMARD, GRASSMANNIAN, GAUSSIAN = DICTIONARIES = ("Hadamard and Dirac", "Grassmannian", "Gaussian")
LASSO = 4.0
"""The lasso's penalty, over the noise's norm; its largest error is 7.5 of those at most."""
EXACT = 0.01
"""Without noise, the largest error over the smallest entry at which codes count as found."""
STEPS = 60
"""Steps for each of a basis pursuit's problems at most: where it fails, more would not find the support."""
BOOTSTRAPS = 200
"""Draws of trials for a standard error."""
SOURCES = {
    "thresholding": "Papyan, Romano and Elad 2017: s < (1 + min/(μ max))/2 - ε/(μ max)",
    "OMP": "Tropp 2004: s < (1 + 1/μ)/2; Donoho, Elad and Temlyakov 2006, with noise: - ε/(μ min)",
    "basis pursuit": "Donoho and Elad 2003: s < (1 + 1/μ)/2; Tropp 2006, with noise: s ≤ (1 + 1/μ)/3",
}


@dataclass(frozen=True)
class Config:
    features: int = 1024
    """Of the Hadamard basis with the unit vectors, a power of two."""
    frame: tuple[int, int] = (256, 128)
    """Atoms and features of the other dictionaries."""
    alternations: int = 1000
    """Steps towards a Grassmannian frame."""
    noise: float = 0.1
    """Norm of the noise, over the smallest entry of a code."""
    guaranteed: tuple[int, ...] = tuple(range(1, 17))
    """Sparsities at which the bounds are tested on the Hadamard basis with the unit vectors."""
    guaranteed_ratios: tuple[float, ...] = (1.0, 0.5)
    """There, the smallest entry over the largest."""
    guaranteed_draws: int = 512
    """Trials of each sparsity, ratio and noise there."""
    sparsities: tuple[int, ...] = (4, 8, 16, 24, 32, 48, 64, 128, 192, 256, 384)
    """Sparsities of the phase diagram of the Hadamard basis with the unit vectors."""
    frame_sparsities: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
    """Those of the others."""
    ratios: tuple[float, ...] = (1.0, 0.3, 0.1)
    """In the phase diagrams, the smallest entry over the largest."""
    draws: int = 50
    """Trials of each sparsity, ratio and noise."""


QUICK = Config(
    features=64,
    frame=(64, 32),
    alternations=200,
    guaranteed=(1, 2, 3, 4),
    guaranteed_draws=64,
    sparsities=(2, 4, 8, 16),
    frame_sparsities=(1, 2, 4, 8),
    ratios=(1.0, 0.1),
    draws=64,
)


def _transform(left, right, x):
    """The Hadamard transform of the last axis, unitary."""
    square = x.reshape(*x.shape[:-1], len(left), len(right))
    spectrum = jnp.einsum("ij,...jk,kl->...il", left, square, right, precision="highest")
    return spectrum.reshape(x.shape)


def _apply(left, right, codes):
    one, other = jnp.split(codes, 2, axis=-1)
    return one + _transform(left, right, other)


def _adjoint(left, right, signals):
    return jnp.concatenate([signals, _transform(left, right, signals)], axis=-1)


def hadamard_dirac(features: int) -> tuple[Partial, Partial]:
    """The dictionary `coherence.hadamard_dirac` as a pair of functions, made of small products."""
    exponent = features.bit_length() - 1
    sizes = (1 << exponent // 2, 1 << exponent - exponent // 2)
    left, right = (jnp.asarray(scipy.linalg.hadamard(size) / np.sqrt(size), float) for size in sizes)
    return Partial(_apply, left, right), Partial(_adjoint, left, right)


def draw(key, *, atoms: int, features: int, sparsity: int, number: int) -> dict[str, np.ndarray]:
    """Supports, signs and sizes in [0, 1], both ends among them, and noise of unit norm."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    size = rng.random((number, sparsity))
    size[:, :1], size[:, 1:2] = 0, 1
    noise = rng.standard_normal((number, features))
    return {
        "support": rng.random((number, atoms)).argpartition(sparsity - 1, axis=1)[:, :sparsity],
        "sign": rng.choice([-1.0, 1.0], (number, sparsity)),
        "size": size,
        "noise": noise / np.linalg.norm(noise, axis=1, keepdims=True),
    }


def most_steps(sparsity: int) -> int:
    """Steps that a greedy pursuit may take: few numbers, since each is a program of its own."""
    return next((steps for steps in (4, 16, 64) if sparsity <= steps), sparsity)


class Atoms(NamedTuple):
    """A dictionary."""

    matrix: np.ndarray  # (atoms, features)
    solved: Any  # what pursuits take: the matrix, or a pair of functions
    coherence: float


def dictionary(name: str, config: Config, lab: Lab) -> Atoms:
    """A dictionary of a kind."""
    if name == HADAMARD:
        matrix = np.asarray(coherence.hadamard_dirac(config.features))
        solved = hadamard_dirac(config.features)
    elif name == GRASSMANNIAN:
        make = partial(coherence.grassmannian, jax.random.key(0), *config.frame, steps=config.alternations)
        matrix = solved = lab.cached("grassmannian", make)
    else:
        matrix = solved = np.asarray(coherence.gaussian(jax.random.key(1), *config.frame))
    return Atoms(matrix.astype(np.float64), solved, float(coherence.mutual_coherence(matrix)))


def sure_sparsity(mu: float, noise: float, ratio) -> dict[str, Any]:
    """What each bound promises when all that is known of the noise is its norm, over the smallest entry."""
    eps = noise * ratio
    basis_pursuit = (1 + 1 / mu) / 3 if noise else float(coherence.uniqueness_sparsity(mu))
    return {
        "thresholding": coherence.thresholding_sparsity(mu, ratio, 1.0, eps),
        "OMP": float(coherence.omp_sparsity(mu, 1.0, noise)),
        "basis pursuit": basis_pursuit,
    }


def met(mu: float, noise: float, smallest: float, eps: float, seen: np.ndarray, sparsity: int):
    """Which trials meet the hypothesis of each bound; `seen` is how much of the noise the atoms see."""
    if noise:
        by_omp = sparsity <= float(coherence.omp_sparsity(mu, smallest, eps))
        by_lasso = sparsity <= (1 + 1 / mu) / 3 and smallest > 7.5 * eps
    else:
        by_omp = by_lasso = sparsity < float(coherence.uniqueness_sparsity(mu))
    by_size = sparsity < np.asarray(coherence.thresholding_sparsity(mu, smallest, 1.0, seen))
    return {
        "thresholding": by_size,
        "OMP": np.full(len(seen), by_omp),
        "basis pursuit": np.full(len(seen), by_lasso),
    }


def marked(support: np.ndarray, atoms: int) -> np.ndarray:
    """Supports (n, k), filled up with -1, as a mask (n, atoms)."""
    mask = np.zeros((len(support), atoms + 1), bool)
    np.put_along_axis(mask, np.where(support < 0, atoms, support), True, axis=1)
    return mask[:, :atoms]


def recover(atoms: Atoms, drawn: dict[str, np.ndarray], ratio: float, noise: float) -> dict[str, np.ndarray]:
    """What each algorithm makes of trials: whether it finds the support, and its error over the bound's."""
    number, sparsity = drawn["support"].shape
    mu, count = atoms.coherence, len(atoms.matrix)
    sizes = ratio ** drawn["size"]
    # A single entry is the largest.
    smallest = float(sizes.min())
    eps = noise * smallest
    codes = np.zeros((number, count))
    np.put_along_axis(codes, drawn["support"], drawn["sign"] * sizes, axis=1)
    error = eps * drawn["noise"]
    signals = np.asarray(codes @ atoms.matrix + error, jnp.result_type(float))
    truth = codes != 0

    correlations = np.abs(signals @ atoms.matrix.T)
    strongest = np.argpartition(-correlations, sparsity - 1, axis=1)[:, :sparsity]
    greedy = pursuit.orthogonal_matching_pursuit(
        atoms.solved, signals, sparsity=min(most_steps(sparsity), count), tolerance=max(eps, 1e-3 * smallest)
    )
    of_greedy = np.linalg.norm(np.asarray(greedy.codes) - codes, axis=1)
    if noise:
        found = pursuit.lasso(atoms.solved, signals, LASSO * eps)
        of_convex = np.abs(np.asarray(found.codes) - codes).max(1) / (7.5 * eps)
        of_greedy /= float(coherence.omp_error(mu, sparsity, eps))
        convex = np.asarray(found.codes) != 0
    else:
        found = pursuit.basis_pursuit(atoms.solved, signals, max_steps=STEPS)
        # Without noise the bound is zero, but for rounding.
        of_convex = np.abs(np.asarray(found.codes) - codes).max(1) / (EXACT * smallest)
        of_greedy /= EXACT * smallest
        convex = np.where((of_convex <= 1)[:, None], truth, ~truth)
    masks = {
        "thresholding": marked(strongest, count),
        "OMP": marked(np.asarray(greedy.support), count),
        "basis pursuit": convex,
    }
    seen = np.abs(error @ atoms.matrix.T).max(1)
    hypothesis = met(mu, noise, smallest, eps, seen, sparsity)
    none = np.zeros(number)
    errors = {"thresholding": none, "OMP": of_greedy, "basis pursuit": of_convex}
    return {
        f"{what}, {name}": values[name]
        for what, values in (
            ("met", hypothesis),
            ("found", {name: (mask == truth).all(1) for name, mask in masks.items()}),
            ("error", errors),
        )
        for name in ALGORITHMS
    } | {"unfinished": ~np.asarray(found.converged)}


def trials(
    atoms: Atoms, number: int, noise: float, sparsity: int, ratio: Sequence[float], key
) -> dict[str, np.ndarray]:
    """What `recover` finds, (ratios, trials): for all ratios of the same supports, signs and noise."""
    count, features = atoms.matrix.shape
    drawn = draw(key[0], atoms=count, features=features, sparsity=sparsity, number=number)
    each = [recover(atoms, drawn, one, noise) for one in ratio]
    return {name: np.stack([one[name] for one in each]) for name in each[0]}


def failures(sweeps: Sequence[Sweep], name: str, noisy: int) -> Measured:
    """Trials that meet the hypothesis of a bound and fail: in their support, or in their error."""
    total = failed = 0
    for sweep in sweeps:
        hypothesis = sweep[f"met, {name}"].values[noisy]
        good = sweep[f"found, {name}"].values[noisy] & (sweep[f"error, {name}"].values[noisy] <= 1)
        total += int(hypothesis.sum())
        failed += int((hypothesis & ~good).sum())
    return Measured(failed, at={"by": name, "trials": f"{total:,}", "noise": ("without", "with")[noisy]})


def reach(sparsities: Sequence[int], found: np.ndarray) -> float:
    """The sparsity at which half of the trials (sparsities, n) succeed, between two or at an end."""
    rates = found.mean(1)
    if rates[0] < 0.5:
        return float(sparsities[0])
    below = np.flatnonzero(rates < 0.5)
    if not len(below):
        return float(sparsities[-1])
    i = below[0]
    share = (rates[i - 1] - 0.5) / (rates[i - 1] - rates[i])
    return float(sparsities[i - 1] + share * (sparsities[i] - sparsities[i - 1]))


def measured_reach(statistic, *found: np.ndarray, **at) -> Measured:
    """A statistic of successes, each (sparsities, n), with its bootstrap standard error."""
    rng = np.random.default_rng(0)
    number = found[0].shape[1]
    again = [
        statistic(*(one[:, chosen] for one in found))
        for chosen in rng.integers(0, number, (BOOTSTRAPS, number))
    ]
    return Measured(statistic(*found), np.std(again, ddof=1), number, at=at)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    noises = (0.0, config.noise)
    dictionaries = {name: dictionary(name, config, lab) for name in DICTIONARIES}
    guaranteed = lab.sweep(
        "guaranteed",
        partial(trials, dictionaries[HADAMARD], config.guaranteed_draws),
        together=("ratio",),
        noise=noises,
        sparsity=config.guaranteed,
        ratio=config.guaranteed_ratios,
    )
    grids = {
        name: config.sparsities if name == HADAMARD else config.frame_sparsities for name in DICTIONARIES
    }
    phases = {
        name: lab.sweep(
            f"phase, {name}",
            partial(trials, atoms, config.draws),
            together=("ratio",),
            noise=noises,
            sparsity=grids[name],
            ratio=config.ratios,
        )
        for name, atoms in dictionaries.items()
    }
    sweeps = [guaranteed, *phases.values()]
    for name, atoms in dictionaries.items():
        sure = sure_sparsity(atoms.coherence, 0.0, 1.0)["OMP"]
        count, features = atoms.matrix.shape
        welch = coherence.welch_bound(count, features)
        lab.note(
            f"{name}: {count:,} atoms, {features:,} features, coherence {atoms.coherence:.4f} (Welch's bound "
            f"{welch:.4f}): sparsity below {sure:.2f} is guaranteed without noise."
        )
    unfinished = sum(int(sweep["unfinished"].values.sum()) for sweep in sweeps)
    solved = sum(sweep["unfinished"].values.size for sweep in sweeps)
    lab.note(f"Of {solved:,} convex problems {unfinished:,} ended short of their tolerance.")
    used = [largest_error(guaranteed, name) for name in ("OMP", "basis pursuit")]
    lab.note(
        f"With noise, the largest error of a trial that meets its hypothesis is {used[0]:.2f} of the bound "
        f"for OMP and {used[1]:.2f} for the lasso."
    )
    for noisy, word in enumerate(("without", "with")):
        lab.figure(
            f"phases_{word}_noise",
            plot_phases(phases, dictionaries, grids, config, noisy),
            caption=f"Share of trials whose support is found, {word} noise, by sparsity and by the smallest "
            "entry over the largest. Red: the bound.",
        )
    lab.figure(
        "recovery_and_error",
        plot_recovery(phases[HADAMARD], guaranteed, dictionaries[HADAMARD].coherence, config),
        caption=f"{HADAMARD}. Left: supports found, entries of equal size, without noise; dotted: what is "
        "guaranteed. Right: with noise, the errors of trials over their bounds, largest and median.",
    )

    def successes(name: str, algorithm: str, ratio: int) -> np.ndarray:
        return phases[name][f"found, {algorithm}"].values[0, :, ratio]

    def pessimism(name: str, algorithm: str) -> Measured:
        sure = float(sure_sparsity(dictionaries[name].coherence, 0.0, 1.0)[algorithm])
        return measured_reach(
            lambda found: reach(grids[name], found) / sure, successes(name, algorithm, 0),
            of=name, by=algorithm,
        )  # fmt: skip

    def shrinkage(name: str) -> Measured:
        return measured_reach(
            lambda one, other: reach(grids[name], one) / reach(grids[name], other),
            successes(name, "thresholding", 0), successes(name, "thresholding", -1),
            of=name,
        )  # fmt: skip

    def changed(name: str) -> Measured:
        one, other = (successes(name, "basis pursuit", ratio) for ratio in (0, -1))
        return Measured(float((one != other).mean()), at={"of": name, "trials": f"{one.size:,}"})

    return [
        *(
            Claim(
                f"Of the trials that meet the hypothesis of its bound, {name} fails in none.",
                expected=equal_to(0, tolerance=0, unit="fail", source=SOURCES[name]),
                measured=[failures(sweeps, name, noisy) for noisy in (0, 1)],
            )
            for name in ALGORITHMS
        ),
        Claim(
            "Bounds are pessimistic: without noise and with entries of equal size, half of all random "
            "supports are still found at a multiple of the sparsity that is guaranteed.",
            expected=at_least(1.0, unit="times", source="the bounds; by how much is for experiment to say"),
            measured=[pessimism(name, algorithm) for name in DICTIONARIES for algorithm in ALGORITHMS],
        ),
        Claim(
            f"Thresholding depends on the sizes of the entries: where the smallest is {config.ratios[-1]:g} "
            "of the largest, it reaches half of the sparsity at most.",
            expected=at_least(
                2.0, unit="times", source="Papyan, Romano and Elad 2017; twice is this project's"
            ),
            measured=[shrinkage(name) for name in (HADAMARD, GRASSMANNIAN)],
        ),
        Claim(
            "Basis pursuit does not: whether it succeeds is decided by support and signs.",
            expected=at_most(
                0.005, source="Fuchs 2004, theorem 2: conditions on signs; the share is rounding's"
            ),
            measured=[changed(name) for name in DICTIONARIES],
        ),
    ]


def largest_error(sweep: Sweep, name: str) -> float:
    """The largest error with noise over its bound, of the trials that meet the hypothesis."""
    hypothesis = sweep[f"met, {name}"].values[1]
    return float(sweep[f"error, {name}"].values[1][hypothesis].max(initial=0))


COLOURS = {"thresholding": "#d55e00", "OMP": "#0072b2", "basis pursuit": "#009e73"}


def plot_phases(phases, dictionaries, grids, config: Config, noisy: int):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.6), layout="constrained")
    panels = figure.subplots(len(DICTIONARIES), len(ALGORITHMS), squeeze=False)
    noise = (0.0, config.noise)[noisy]
    fine = np.linspace(0, len(config.ratios) - 1, 101)
    # Rows of the picture are ratios, one apart; so are columns, of sparsities.
    ratios = np.interp(fine, np.arange(len(config.ratios)), config.ratios)
    for row, (name, sparsities) in zip(panels, grids.items()):
        places = np.arange(len(sparsities))
        for panel, algorithm in zip(row, ALGORITHMS):
            rates = phases[name][f"found, {algorithm}"].values[noisy].mean(-1)
            shown = panel.imshow(rates.T, cmap="gray", vmin=0, vmax=1, aspect="auto", origin="upper")
            sure = sure_sparsity(dictionaries[name].coherence, noise, ratios)[algorithm]
            at = np.interp(np.broadcast_to(sure, ratios.shape), sparsities, places, left=-0.5)
            panel.plot(at, fine, color="#e41a1c", lw=2)
            panel.set_xticks(places, sparsities, fontsize=7)
            panel.set_yticks(range(len(config.ratios)), config.ratios, fontsize=8)
            panel.set_xlim(-0.5, len(sparsities) - 0.5)
            panel.set_title(f"{name}: {algorithm}", fontsize=9)
    for panel in panels[-1]:
        panel.set_xlabel("sparsity")
    for row in panels:
        row[0].set_ylabel("smallest / largest")
    figure.colorbar(shown, ax=panels, label="share of supports found", shrink=0.6)
    return figure


def plot_recovery(phase: Sweep, guaranteed: Sweep, mu: float, config: Config):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, colour in COLOURS.items():
        rates = phase[f"found, {name}"].values[0, :, 0].mean(-1)
        left.semilogx(config.sparsities, rates, "o-", ms=4, color=colour, label=name)
    left.axvline(sure_sparsity(mu, 0.0, 1.0)["OMP"], color="black", ls=":")
    left.set(xlabel="sparsity", ylabel="share of supports found")
    left.set_xticks(config.sparsities, config.sparsities, fontsize=7, rotation=60)
    left.minorticks_off()
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    for name, label in (("OMP", "OMP, Euclidean norm"), ("basis pursuit", "lasso, largest entry")):
        hypothesis = guaranteed[f"met, {name}"].values[1].all((1, 2))
        error = guaranteed[f"error, {name}"].values[1]
        chosen = np.asarray(config.guaranteed)[hypothesis]
        shown = {"color": COLOURS[name], "ms": 4}
        right.plot(chosen, error[hypothesis].max((1, 2)), "o-", label=f"{label}: largest", **shown)
        right.plot(chosen, np.median(error[hypothesis], (1, 2)), "s--", mfc="none", label="median", **shown)
    right.axhline(1, color="black", ls=":")
    right.set(xlabel="sparsity", ylabel="error / bound", ylim=(0, 1.05))
    right.xaxis.get_major_locator().set_params(integer=True)
    right.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 0.97))
    right.grid(alpha=0.3)
    return figure
