"""Molecules: charges and positions of their atoms, with the energies that bind them.

The molecules of the G2/97 set travel inside ASE, those of QM9 inside the package `qm9pack`; a folder gives
QM7, as the file of quantum-machine.org. Nothing is ever downloaded.

Conventions: positions are in angstroms; energies are atomization energies in kcal/mol, that of the molecule
minus those of its atoms, negative where it is bound. Molecules with fewer atoms than the largest are filled
up with atoms of charge 0 at the origin.
"""

import ast
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jaxtheory.data.errors import INSTALL, DataError, MissingDataError

BOHR = 0.529177210903
"""The atomic unit of length in angstroms (CODATA 2018)."""
HARTREE = 627.5094740631
"""The atomic unit of energy in kcal/mol (CODATA 2018, thermochemical calorie)."""
SYMBOLS = {
    "H": 1, "Li": 3, "Be": 4, "B": 5, "C": 6, "N": 7, "O": 8, "F": 9, "Na": 11, "Al": 13, "Si": 14, "P": 15,
    "S": 16, "Cl": 17,
}  # fmt: skip
"""The nuclear charges of the elements that occur."""
FREE_ATOMS = {"H": -0.500273, "C": -37.846772, "N": -54.583861, "O": -75.064579, "F": -99.718730}
"""Energies of free atoms at 0 K in atomic units, at the level of theory of QM9, as its authors give them."""

_QM7 = "qm7.mat"
_MOLECULES = "pip install 'jaxtheory[molecules]'"


@dataclass(frozen=True)
class Molecules:
    """Molecules as arrays, and which ones they are."""

    charges: Int[np.ndarray, "n atoms"]
    """The nuclear charges; 0 where there is no atom."""
    positions: Float[np.ndarray, "n atoms 3"]
    """The positions of the nuclei, in angstroms."""
    energies: Float[np.ndarray, " n"]
    """The atomization energies in kcal/mol, negative where the molecule is bound."""
    names: tuple[str, ...]
    """The name of each molecule, as the source has it."""
    description: str
    """Where the molecules are from, in a phrase for the findings."""
    digest: str
    """The SHA-256 of charges, positions and energies in their order, which identifies the molecules."""

    def __len__(self) -> int:
        return len(self.charges)

    @property
    def elements(self) -> tuple[int, ...]:
        """The nuclear charges that occur, in rising order."""
        return tuple(np.unique(self.charges[self.charges > 0]).tolist())

    def counts(self) -> Int[np.ndarray, "n elements"]:
        """Count the atoms of each element in each molecule.

        Returns:
            The numbers, in the order of `elements`.

        Example:
            >>> from jaxtheory.data import molecules
            >>> g2 = molecules.load()
            >>> dict(zip(g2.elements, g2.counts()[g2.names.index("CH4")].tolist()))[6]
            1
        """
        return np.stack([np.sum(self.charges == one, axis=1) for one in self.elements], axis=1)

    def chosen(self, indices: Int[np.ndarray, " k"]) -> "Molecules":
        """Return some of the molecules.

        Args:
            indices: The places of the molecules that are wanted, in their order.

        Returns:
            The molecules, described as so many of these, with a digest of their own.

        Raises:
            ValueError: If none are wanted.

        Example:
            >>> import numpy as np
            >>> from jaxtheory.data import molecules
            >>> molecules.load().chosen(np.array([0, 2])).names
            ('LiH', 'CH')
        """
        indices = np.asarray(indices)
        if indices.size == 0:
            raise ValueError("indices are none: take at least one molecule")
        charges = self.charges[indices]
        most = int(np.sum(charges > 0, axis=1).max())
        return _described(
            charges[:, :most],
            self.positions[indices, :most],
            self.energies[indices],
            tuple(self.names[index] for index in indices),
            f"{len(indices):,} of {self.description}",
        )


def load(source: Path | str | None = None) -> Molecules:
    """Read QM7 from a folder, or the molecules of the G2/97 set that ASE carries.

    Those of G2 have experimental energies, from enthalpies of formation with computed corrections, and
    geometries of MP2. Single atoms are left out.

    Args:
        source: A folder with `qm7.mat` of quantum-machine.org: 7,165 molecules with atomization energies of
            PBE0, whose positions are in atomic units there. `None` stands for G2.

    Returns:
        The molecules.

    Raises:
        DataError: If the file is damaged or is not what its name says.
        MissingDataError: If there is no such folder or file, or ASE is not installed.

    Example:
        >>> from jaxtheory.data import molecules
        >>> g2 = molecules.load()
        >>> len(g2), g2.description
        (148, '148 molecules of the G2/97 set, from ASE')

    References:
        Larry A. Curtiss, Krishnan Raghavachari, Paul C. Redfern and John A. Pople, "Assessment of Gaussian-2
        and density functional theories for the computation of enthalpies of formation", 1997.
        Matthias Rupp, Alexandre Tkatchenko, Klaus-Robert Müller and O. Anatole von Lilienfeld, "Fast and
        accurate modeling of molecular atomization energies with machine learning", 2012.
    """
    if source is None:
        return _g2()
    folder = Path(source).expanduser()
    if not folder.exists():
        raise MissingDataError(f"{folder}: no such folder; name one with {_QM7} or none")
    file = folder / _QM7 if folder.is_dir() else folder
    if not file.is_file():
        raise MissingDataError(f"{folder} does not hold {_QM7}: correct the folder, or fetch the file")
    return _qm7(file)


def _g2() -> Molecules:
    try:
        from ase.data import g2
        from ase.symbols import string2symbols
    except ImportError as error:
        raise MissingDataError(
            f"the molecules of G2 come with ASE, which cannot be imported ({error}): {INSTALL}, or name a "
            f"folder with {_QM7}"
        ) from error
    charges, positions, energies, names = [], [], [], []
    for name in g2.molecule_names:
        entry = g2.data[name]
        symbols = string2symbols(entry["symbols"])
        # From 298 K down to 0 K, without the energy of the zero-point motion.
        energy = entry["enthalpy"] - entry["ZPE"] - entry["thermal correction"]
        energy -= sum(g2.data[one]["enthalpy"] - g2.data[one]["thermal correction"] for one in symbols)
        charges.append([SYMBOLS[one] for one in symbols])
        positions.append(np.array(entry["positions"]))
        energies.append(energy)
        names.append(name)
    origin = f"{len(names):,} molecules of the G2/97 set, from ASE"
    return _described(*_padded(charges, positions), np.array(energies), tuple(names), origin)


def _qm7(file: Path) -> Molecules:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(file, variable_names=("Z", "R", "T"))
    except (MatReadError, ValueError, TypeError, NotImplementedError, OSError, EOFError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{file} is no whole file of MATLAB ({reason[0]}): fetch it again") from error
    missing = [name for name in ("Z", "R", "T") if name not in content]
    if missing:
        raise DataError(
            f"{file} lacks {' and '.join(missing)}: QM7 has charges Z, positions R and energies T"
        )
    charges, positions, energies = content["Z"], content["R"], np.ravel(content["T"])
    wanted = (*np.shape(charges), 3)
    if charges.ndim != 2 or np.shape(positions) != wanted or len(energies) != len(charges):
        raise DataError(
            f"{file} has charges {np.shape(charges)}, positions {np.shape(positions)} and {len(energies)} "
            "energies: QM7 has charges (n, atoms), positions (n, atoms, 3) and n energies"
        )
    numeric = all(np.issubdtype(one.dtype, np.number) for one in (charges, positions, energies))
    if not numeric or not all(np.isfinite(one).all() for one in (charges, positions, energies)):
        raise DataError(f"{file} holds what is not a finite number: fetch it again")
    known = {0, *SYMBOLS.values()}
    strange = set(np.unique(charges).tolist()) - known
    if strange:
        raise DataError(
            f"{file} has the charge {min(strange):g}, which is that of none of {', '.join(SYMBOLS)}"
        )
    names = tuple(f"QM7 {index}" for index in range(len(charges)))
    return _described(
        charges.astype(np.int32),
        positions * BOHR,
        energies.astype(float),
        names,
        f"{len(names):,} molecules of QM7",
    )


def qm9(*, most_heavy: int = 9) -> Molecules:
    """Read the molecules of QM9 from the files of the installed package `qm9pack`, which is not imported.

    They are 130,831 molecules of H, C, N, O and F, without those that its authors could not relax, with
    geometries and internal energies at 0 K of B3LYP/6-31G(2df,p).

    Args:
        most_heavy: The largest number of atoms other than hydrogen, from 1 to 9.

    Returns:
        The molecules with at most so many.

    Raises:
        ValueError: If the number is out of its range.
        DataError: If a file is damaged.
        MissingDataError: If the package is not installed, or lacks a file.

    References:
        Raghunathan Ramakrishnan, Pavlo O. Dral, Matthias Rupp and O. Anatole von Lilienfeld, "Quantum
        chemistry structures and properties of 134 kilo molecules", 2014.
    """
    if not 1 <= most_heavy <= 9:
        raise ValueError(f"most_heavy is {most_heavy}: take a whole number from 1 to 9")
    package = find_spec("qm9pack")
    if package is None or package.origin is None:
        raise MissingDataError(f"QM9 comes with qm9pack, which is not installed: {_MOLECULES}")
    folder = Path(package.origin).parent / "data"
    charges, positions, energies, names = [], [], [], []
    for file in (folder / f"qm9_part{part}.csv" for part in (1, 2, 3)):
        for symbols, where, energy, name in _rows(file, most_heavy):
            charges.append([SYMBOLS[one] for one in symbols])
            positions.append(where)
            energies.append(energy)
            names.append(name)
    few = "" if most_heavy == 9 else f" with at most {most_heavy} heavy atoms"
    origin = f"{len(names):,} molecules of QM9{few}, from qm9pack"
    return _described(*_padded(charges, positions), np.array(energies), tuple(names), origin)


def _rows(file: Path, most_heavy: int) -> Iterator[tuple[list[str], np.ndarray, float, str]]:
    """Elements, positions, atomization energy and name of the molecules in a file of qm9pack."""
    if not file.is_file():
        raise MissingDataError(f"qm9pack lacks {file.name}: {_MOLECULES} --force-reinstall")
    with file.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                # Literals of Python, and no JSON.
                symbols = ast.literal_eval(row["Elements"])
                if sum(one != "H" for one in symbols) > most_heavy:
                    continue
                where = np.array(ast.literal_eval(row["XYZ_Ang"]), float).reshape(len(symbols), 3)
                energy = float(row["InternalEnergy_0K_au"])
                energy -= sum(FREE_ATOMS[one] for one in symbols)
            except (KeyError, TypeError, ValueError, SyntaxError) as error:
                raise DataError(
                    f"{file}, line {number}, holds no molecule of QM9 ({type(error).__name__}: {error}): "
                    f"{_MOLECULES} --force-reinstall"
                ) from error
            if not (np.isfinite(where).all() and np.isfinite(energy)):
                raise DataError(
                    f"{file}, line {number}, holds what is not a finite number: {_MOLECULES} "
                    "--force-reinstall"
                )
            yield symbols, where, energy * HARTREE, f"QM9 {row['Index']}"


def _padded(
    charges: list[list[int]], positions: list[np.ndarray]
) -> tuple[Int[np.ndarray, "n atoms"], Float[np.ndarray, "n atoms 3"]]:
    """Molecules of different sizes in one array, filled up with zeros."""
    most = max(map(len, charges))
    padded = np.zeros((len(charges), most), np.int32)
    places = np.zeros((len(charges), most, 3))
    for index, (one, where) in enumerate(zip(charges, positions)):
        padded[index, : len(one)] = one
        places[index, : len(one)] = where
    return padded, places


def _described(
    charges: np.ndarray, positions: np.ndarray, energies: np.ndarray, names: tuple[str, ...], description: str
) -> Molecules:
    charges = np.asarray(charges, np.int32)
    digest = hashlib.sha256(str(charges.shape).encode())
    for part in (charges, positions, energies):
        digest.update(np.ascontiguousarray(part))
    return Molecules(charges, positions, energies, names, description, digest.hexdigest())
