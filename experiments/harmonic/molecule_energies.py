"""Atomization energies of molecules from the 3-D scattering coefficients of their densities.

Lecture: harmonic analysis, energies from solid harmonic scattering of densities, which M. Hirn presents.
Source: M. Eickenberg, G. Exarchakis, M. Hirn, S. Mallat and L. Thiry, Solid harmonic wavelet scattering for
predictions of molecule properties, J. Chem. Phys. 148, 241732, 2018.

Each molecule, turned to its principal axes, is three densities: sums of Gaussians about its atoms with the
mass of the valence charge, of the core charge and of the whole one. A closed shell of 2 or 10 electrons is
the core, as in Kymatio's example. Energies are regressed on the scattering coefficients of the three by
ridge regression: linearly, or on all products of up to r = 2 or 3 of them, by the kernel
((1 + t x.y / d)^r - 1) / t of the d standardized coefficients. Beside them stand ridge regression on the
numbers of atoms by element, and kernel ridge regression on Coulomb matrices (Rupp, Tkatchenko, Müller and
von Lilienfeld 2012) with sorted rows and the Laplacian kernel. All are trained and tested on the same folds;
penalties, the weight t of products and the width of the Laplacian kernel are chosen within each training
set, by its leave-one-out errors in closed form. Folds share training data: standard errors over them are
widened as Nadeau and Bengio (2003) say for repeated splits, which holds roughly.

The grid is half as wide as Kymatio's: Gaussians of one pixel, 4.47 pixels for an angstrom. QM9 with at most
seven heavy atoms spans up to 43 x 28 x 20 pixels. So narrow a wavelet is cut off by the grid's frequencies:
with Gaussians of 1.3 pixels roots change far less as a molecule moves (a check on eight molecules).

The full form is of QM9 with at most seven heavy atoms, which `pip install 'jaxtheory[molecules]'` brings; a
folder of data with `qm7.mat` gives QM7. On an accelerator `--most-heavy 9 --molecules 10000` takes more.
The full form takes about half an hour on two cores; its coefficients are stored batch by batch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

from jaxtheory.data import molecules
from jaxtheory.data.errors import MissingDataError
from jaxtheory.data.molecules import Molecules
from jaxtheory.harmonic import deformation, scattering3d
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, at_most, below, experiment, mean, plots
from jaxtheory.lab.errors import Usage

POWERS = (0.5, 1.0, 2.0, 3.0)
"""The powers of the moduli that are integrated."""
SHELLS = (2, 10)
"""The numbers of electrons of closed shells, up to argon."""
SCATTERING = {"scattering, linear": 1, "scattering, pairs": 2, "scattering, triples": 3}
"""The regressions on scattering coefficients, and how many of them a product has at most."""
MODELS = ("counts", "Coulomb kernel", *SCATTERING)
PENALTIES = np.geomspace(1e-12, 1, 25)
"""The penalties tried, relative to the largest eigenvalue of the centered kernel."""
WIDTHS = (1.0, 4.0, 16.0, 64.0)
"""The widths of the Laplacian kernel that are tried, relative to the mean distance."""
PRODUCTS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""The weights t of products that are tried."""
MARGIN = 3
"""Widths of its Gaussian that an atom keeps from the border of the box."""
BAR = "this project's bar"
PAPER = f"{BAR}; near the state of the art in Eickenberg et al. 2018, abstract"
UNIT = "kcal/mol"
PUBLISHED = {
    "QM7: Coulomb kernel, Rupp et al. 2012, about 10": 10.0,
    "QM7: linear scattering, Kymatio's example, 2.75": 2.75,
    "QM7: trilinear scattering, Eickenberg et al. 2017, 1.2 *": 1.2,
}
"""Published mean absolute errors on QM7; the first is that of an abstract."""
SHOWN = ("counts", "Coulomb kernel", "scattering, pairs")
"""The models whose predictions are drawn."""
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Config:
    source: Literal["qm9", "g2"] = "qm9"
    """The molecules, where the folder of data does not hold those of QM7."""
    most_heavy: Annotated[int, Range(1, 9)] = 7
    """The largest number of atoms other than hydrogen, for QM9."""
    molecules: Annotated[int, Range(50, 10_000)] = 4000
    """The largest number of molecules; of more, so many are drawn at random."""
    shape: Annotated[tuple[int, int, int], Range(8)] = (64, 48, 48)
    """The sizes of the box along the principal axes in pixels, the longest first."""
    scale: Annotated[float, Range(0, open=True)] = 4.47
    """The number of pixels for an angstrom."""
    width: Annotated[float, Range(0.5)] = 1.0
    """The standard deviation of the Gaussians in pixels, and that of the finest wavelets."""
    J: Annotated[int, Range(0)] = 2
    """The largest scale of the wavelets."""
    L: Annotated[int, Range(0)] = 3
    """The largest degree of the harmonics."""
    batch: Annotated[int, Range(1)] = 32
    """The number of molecules whose coefficients are computed and stored together."""
    folds: Annotated[int, Range(3)] = 5
    """The number of folds, each of which is tested once."""
    halvings: Annotated[int, Range(2)] = 5
    """How often the training set is halved for the error by its size."""
    moved: Annotated[int, Range(2)] = 24
    """The number of molecules that are rotated and translated."""


QUICK = Config(source="g2", molecules=148, shape=(32, 32, 20), scale=3.0, L=2, batch=37, halvings=2, moved=6)


def channels(charges: np.ndarray) -> np.ndarray:
    """The charges (..., atoms) by channel, (..., channels, atoms): those in closed shells are the core."""
    core = np.max([np.where(charges > shell, shell, 0) for shell in SHELLS], axis=0)
    return np.stack([charges - core, core, charges], axis=-2)


def principal(charges: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Positions (atoms, 3) along principal axes, the longest first, about the middle of what they span."""
    there = charges > 0
    atoms = positions[there] - positions[there].mean(axis=0)
    axes = np.linalg.eigh(atoms.T @ atoms)[1][:, ::-1]
    # A reflection would turn a molecule into its mirror image, which has the same energy but is another.
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    turned = atoms @ axes
    found = np.zeros_like(positions)
    found[there] = turned - (turned.min(axis=0) + turned.max(axis=0)) / 2
    return found


def scattered(config: Config, charges: np.ndarray, positions: np.ndarray, shape: tuple) -> np.ndarray:
    """Coefficients of molecules, (n, channels, paths, powers), from positions in pixels."""
    charges, positions = np.float32(channels(charges)), np.float32(positions)[:, None]
    x = scattering3d.density(charges, positions, shape, width=config.width)
    bank = scattering3d.filter_bank(shape, config.J, config.L, config.width)
    return np.asarray(scattering3d.scatter(bank, x, POWERS))


def in_batches(config: Config, lab: Lab, charges: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The coefficients of all molecules, (n, features), stored batch by batch."""
    number = len(charges)
    batches = -(-number // config.batch)
    # The last batch is filled up with the first molecules: equal shapes are compiled once.
    places = np.arange(batches * config.batch).reshape(batches, -1) % number

    def one(batch: int) -> np.ndarray:
        some = places[batch]
        return scattered(config, charges[some], positions[some], config.shape).reshape(len(some), -1)

    found = lab.sweep("coefficients", one, batch=range(batches), dims=("molecule", "feature"))
    return np.asarray(found).reshape(batches * config.batch, -1)[:number]


def coulomb(charges: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Coulomb matrices in atomic units, (n, pairs): rows sorted by their norms, then the upper triangles."""
    number, atoms = charges.shape
    distances = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1) / molecules.BOHR
    apart = ~np.eye(atoms, dtype=bool) & (charges[:, :, None] * charges[:, None] > 0)
    found = np.where(apart, charges[:, :, None] * charges[:, None] / np.where(apart, distances, 1), 0.0)
    found[:, np.arange(atoms), np.arange(atoms)] = 0.5 * charges**2.4
    order = np.argsort(-np.linalg.norm(found, axis=2), axis=1, kind="stable")
    every = np.arange(number)[:, None, None]
    return found[every, order[:, :, None], order[:, None]][:, *np.triu_indices(atoms)]


def kernels(model: str, features: np.ndarray, train: np.ndarray, test: np.ndarray) -> Iterator[Pair]:
    """The kernels that a model chooses from, between training molecules and from test to training ones."""
    if model == "Coulomb kernel":
        own, others = (cdist(features[one], features[train], "cityblock") for one in (train, test))
        middle = own.mean()
        for width in WIDTHS:
            yield np.exp(-own / (width * middle)), np.exp(-others / (width * middle))
        return
    spread = features[train].std(axis=0)
    # What does not vary among the training molecules says nothing.
    kept = spread > 1e-6 * np.abs(features[train]).max(axis=0)
    x = (features[:, kept] - features[train][:, kept].mean(axis=0)) / spread[kept]
    own, others = (x[one] @ x[train].T / x.shape[1] for one in (train, test))
    degree = SCATTERING.get(model, 1)

    def multiplied(q: np.ndarray, t: float) -> np.ndarray:
        # Term by term: for a small t the one that is subtracted would take digits along.
        return sum(math.comb(degree, k) * t ** (k - 1) * q**k for k in range(1, degree + 1))

    for t in PRODUCTS if degree > 1 else (1.0,):
        yield multiplied(own, t), multiplied(others, t)


def ridge(own: np.ndarray, others: np.ndarray, energies: np.ndarray) -> tuple[float, np.ndarray]:
    """Kernel ridge regression with a free constant, by the penalty that errs least when one is left out.

    Returns the mean absolute leave-one-out error and the predictions for the others.
    """
    number, middle = len(own), own.mean(axis=0)
    centered = own - middle - middle[:, None] + middle.mean()
    values, vectors = eigh(centered, driver="evd", overwrite_a=True, check_finite=False)
    values = np.clip(values, 0, None)
    weights = vectors.T @ (energies - energies.mean())
    squares, best, kept = vectors**2, math.inf, np.zeros(number)
    for penalty in PENALTIES * values[-1]:
        shrunk = 1 / (values + penalty)
        # What the constant and the kernel leave of an energy, over what they leave of a unit vector.
        left = penalty * (vectors @ (shrunk * weights))
        own_share = penalty * (squares @ shrunk) - 1 / number
        error = np.abs(left / np.maximum(own_share, np.finfo(float).eps)).mean()
        if error < best:
            best, kept = float(error), vectors @ (shrunk * weights)
    passed = others - others.mean(axis=1, keepdims=True) - middle + middle.mean()
    return best, energies.mean() + passed @ kept


def errors_of(
    data: Molecules, features: dict[str, np.ndarray], order: np.ndarray, folds: int,
    fold: int, training: int, model: str,
) -> dict[str, Any]:  # fmt: skip
    """The error of a model on a fold, from the first molecules of the others in their order."""
    tested = np.arange(len(order)) // (len(order) // folds) == fold
    train, test = order[~tested][:training], order[tested]
    known, used = data.energies[test], features.get(model, features["scattering"])
    tried = [ridge(*pair, data.energies[train]) for pair in kernels(model, used, train, test)]
    found = min(tried, key=lambda one: one[0])[1]
    return {"error": np.abs(found - known).mean(), "predicted": found, "true": known}


def changes(
    config: Config, charges: np.ndarray, positions: np.ndarray, side: int, order: np.ndarray, molecule: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The largest relative change of a coefficient of a molecule by power, for each of three moves."""
    atoms, axis = positions[order[molecule]], rng.standard_normal(3)
    turn = deformation.rotation_matrix(axis / np.linalg.norm(axis) * rng.uniform(0, np.pi))
    moves = {
        "rotated": np.asarray(deformation.rotate_positions(atoms, turn)),
        "shifted": atoms + rng.uniform(-0.5, 0.5, 3),
        "whole": atoms + rng.integers(1, 3, 3),
    }
    own, places = charges[order[[molecule] * 4]], np.stack([atoms, *moves.values()])
    still, *moved = scattered(config, own, places, (side,) * 3)
    # A molecule without a core has coefficients of zero.
    known = still > 0
    return {
        name: np.max(np.abs(one - still) / np.where(known, still, 1), axis=(0, 1), where=known, initial=0)
        for name, one in zip(moves, moved)
    }


def chosen(config: Config, lab: Lab) -> tuple[Molecules, Need]:
    """The molecules, and whether they are those that were asked for."""
    met = True
    if lab.data_dir and (lab.data_dir / "qm7.mat").is_file():
        data = molecules.load(lab.data_dir)
    elif config.source == "g2":
        data = molecules.load()
    else:
        try:
            data = molecules.qm9(most_heavy=config.most_heavy)
        except MissingDataError:
            data, met = molecules.load(), False
    if len(data) > config.molecules:
        data = data.chosen(lab.rng("chosen").permutation(len(data))[: config.molecules])
    return data, Need("QM9 or QM7", met, "pip install 'jaxtheory[molecules]'")


def placed(config: Config, lab: Lab, data: Molecules) -> tuple[Molecules, np.ndarray]:
    """The molecules that fit into the box, and the positions of their atoms in pixels."""
    positions = config.scale * np.stack([principal(*one) for one in zip(data.charges, data.positions)])
    half = (np.array(config.shape) - 1) / 2 - MARGIN * config.width
    fits = (np.abs(positions) <= half).all(axis=(1, 2))
    needed = 2 * (np.abs(positions).max(axis=(0, 1)) + MARGIN * config.width) + 1
    asked = f"a shape of at least {' x '.join(f'{math.ceil(one)}' for one in needed)}"
    if fits.sum() < len(data) / 2:
        raise Usage(f"most molecules do not fit into --shape: all of them take {asked}")
    if fits.all():
        return data, positions
    lab.note(f"{np.sum(~fits)} molecules do not fit into the box and are left out: they take {asked}.")
    some = data.chosen(np.flatnonzero(fits))
    return some, positions[fits, : some.charges.shape[1]]


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    data, need = chosen(config, lab)
    data, positions = placed(config, lab, data)
    lab.uses(f"{data.description} (SHA-256 {data.digest[:12]})")
    features = {
        "counts": data.counts().astype(float),
        "Coulomb kernel": coulomb(data.charges, data.positions),
        "scattering": in_batches(config, lab, data.charges, positions).astype(float),
    }
    # A cube in which each molecule can turn, out of reach of its periodic copies.
    radius = np.linalg.norm(positions, axis=-1).max() + MARGIN * config.width * 2**config.J
    side = 8 * math.ceil(radius / 4)
    number = lab.rng("moved").permutation(len(data))[: config.moved]
    moved = lab.sweep(
        "moves", partial(changes, config, data.charges, positions, side, number),
        molecule=range(len(number)), dims=dict.fromkeys(("rotated", "shifted", "whole"), ("power",)),
    ).assign_coords(power=list(POWERS))  # fmt: skip
    order = lab.rng("folds").permutation(len(data))
    order = order[: len(order) // config.folds * config.folds]
    train = len(order) // config.folds * (config.folds - 1)
    sizes = [train // 2**halving for halving in range(config.halvings, -1, -1)]
    found = lab.sweep(
        "errors", partial(errors_of, data, features, order, config.folds),
        fold=range(config.folds), training=sizes, model=MODELS,
        dims={"predicted": ("tested",), "true": ("tested",)}, unit=UNIT,
    )  # fmt: skip
    notes(lab, data, features["scattering"].shape[1], found.error)
    pictures(lab, found)
    return [*energy_claims(found.error, need), *invariance_claims(moved)]


def lines(errors: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Slopes of the lines through the logarithms of errors by those of sizes, and largest departures in %."""
    logs, sizes = np.log(errors), np.log(errors.training)
    middle = sizes - sizes.mean()
    slope = (logs * middle).sum("training") / (middle**2).sum()
    left = logs - logs.mean("training") - slope * middle
    return slope, 100 * np.expm1(np.abs(left).max("training"))


def energy_claims(errors: xr.DataArray, need: Need) -> list[Claim]:
    # Folds are repeated splits, each of which tests this share.
    over_folds = partial(mean, over="fold", overlap=1 / errors.sizes["fold"])
    last = errors.isel(training=-1, drop=True)
    slope, bend = lines(errors.sel(model=list(SCATTERING)))
    linear, *products = SCATTERING
    less, falls = below(0, unit=UNIT, source=PAPER), below(0, source=BAR)

    def change(one: str | list[str], other: str) -> tuple[Measured, ...]:
        return over_folds(last.sel(model=one) - last.sel(model=other, drop=True), paired=True)

    rows = [
        ("Regressions on scattering coefficients err less than one on numbers of atoms: the change of error.",
         less, change(list(SCATTERING), "counts")),
        ("Linear regression on scattering coefficients errs less than the kernel of Coulomb matrices.",
         less, change(linear, "Coulomb kernel")),
        ("So do regressions on products of them.", less, change(products, "Coulomb kernel")),
        ("Products of two coefficients err less than the coefficients alone.",
         less, change(products[0], linear)),
        ("The error of scattering falls with the number of training molecules: the slope in logarithms.",
         falls, over_folds(slope, paired=True)),
        ("It falls along a straight line in logarithms: the largest departure, for products.",
         at_most(10, unit="%", source=BAR), over_folds(bend.sel(model=products))),
    ]  # fmt: skip
    return [Claim(*row, needs=need) for row in rows]


def invariance_claims(moved: xr.Dataset) -> list[Claim]:
    turns = (
        "Rotations and translations by less than a pixel change no coefficient much: the largest change, of"
    )
    whole = "Translations by whole pixels change none beyond rounding: the largest change, of"
    above, roots = POWERS[1:], POWERS[:1]
    rows = [
        (f"{turns} powers of 1 and more.", 3e-3, ("rotated", "shifted"), above),
        (f"{turns} roots.", 1e-2, ("rotated", "shifted"), roots),
        (f"{whole} powers of 1 and more.", 1e-4, ("whole",), above),
        (f"{whole} roots.", 1e-4, ("whole",), roots),
    ]
    largest, several = moved.max("molecule"), {"n": moved.sizes["molecule"], "of": "molecules"}
    return [
        Claim(told, at_most(bar, source=BAR), [
            Measured(largest[move].sel(power=power), at={"move": move, "power": power}, **several)
            for move in moves for power in powers
        ])
        for told, bar, moves, powers in rows
    ]  # fmt: skip


def notes(lab: Lab, data: Molecules, features: int, errors: xr.DataArray) -> None:
    """Notes for the findings: errors and slopes by model, and published figures."""
    last, slope = errors.isel(training=-1).mean("fold"), lines(errors)[0].mean("fold")
    told = [f"{one} {float(last.sel(model=one)):.2f} ({float(slope.sel(model=one)):.2f})" for one in MODELS]
    deviation = data.energies.std()
    lab.note(
        f"Mean absolute errors in {UNIT} from {int(errors.training[-1]):,} training molecules (slopes by "
        f"their number, in logarithms): {', '.join(told)}. The energies' deviation is {deviation:.0f}."
    )
    pairs, triples = (math.comb(features + degree, degree) - 1 for degree in (2, 3))
    lab.note(f"{features} coefficients, {pairs:,} products of up to two and {triples:,} of up to three.")
    lab.note(
        f"Published, of other molecules or splits: {'; '.join(PUBLISHED)}; QM9: multilinear scattering, "
        "Eickenberg et al. 2018, 0.5 to 0.6 * (*: not looked up)."
    )


def pictures(lab: Lab, found: xr.Dataset) -> None:
    errors = found.error.assign_attrs(long_name="mean absolute error", unit=UNIT)
    _, axes = plots.canvas(size=(7.5, 5))
    lab.figure(
        "errors",
        plots.panel(
            errors, x="training", hue="model", over="fold", spread="error", log="xy", levels=PUBLISHED,
            xlabel="training molecules", ylim=(None, 12 * float(errors.max())), axes=axes,
        ),
        "Mean absolute errors on held-out molecules by the number of training molecules, with Student's "
        "interval over folds; horizontal lines: published, of other molecules (*: not looked up).",
    )  # fmt: skip
    last = found.isel(training=-1, drop=True).sel(model=list(SHOWN))
    lab.figure(
        "predictions",
        plots.panel(
            (last.predicted - last.true).assign_coords(true=last.true), x="true", col="model", lines=False,
            xlabel=f"atomization energy ({UNIT})", ylabel=f"predicted - true ({UNIT})",
        ),
        "Errors of the predicted energies of held-out molecules, from the largest training sets.",
    )  # fmt: skip
