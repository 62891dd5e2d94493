"""Molecules of G2, of QM9's package and of a file of QM7; files that are broken."""

import re
import sys

import numpy as np
import pytest
from ase.data import g2
from scipy.io import savemat

from jaxtheory.data import molecules
from jaxtheory.data.errors import DataError, MissingDataError


@pytest.fixture(scope="module")
def of_g2():
    return molecules.load()


def test_the_molecules_of_g2_are_as_ase_has_them(of_g2):
    assert len(of_g2) == len(of_g2.names) == len(g2.molecule_names)
    for index, name in enumerate(of_g2.names):
        there = of_g2.charges[index] > 0
        np.testing.assert_array_equal(of_g2.positions[index, there], g2.data[name]["positions"])
        assert not of_g2.positions[index, ~there].any()
        distances = np.linalg.norm(
            of_g2.positions[index, there, None] - of_g2.positions[index, there], axis=-1
        )
        # Bonds are not shorter than that of hydrogen.
        assert distances[~np.eye(there.sum(), dtype=bool)].min() > 0.7


def test_energies_of_g2_are_those_that_ase_extrapolates(of_g2):
    for name in ("H2O", "CH4", "LiF", "C6H6"):
        atoms = -of_g2.energies[of_g2.names.index(name)]
        if name in g2.molecule_names_g2_1:
            assert atoms == pytest.approx(g2.get_atomization_energy(name))
    # Measured atomization energies at 0 K with the zero-point energy taken out, to a kcal/mol.
    assert of_g2.energies[of_g2.names.index("H2")] == pytest.approx(-109.5, abs=1)
    assert of_g2.energies[of_g2.names.index("H2O")] == pytest.approx(-232.6, abs=1)
    assert of_g2.energies[of_g2.names.index("CH4")] == pytest.approx(-420.1, abs=1)
    assert (of_g2.energies < 0).all()


def test_elements_are_counted(of_g2):
    water = of_g2.counts()[of_g2.names.index("H2O")]
    assert dict(zip(of_g2.elements, water.tolist()))[1] == 2
    assert dict(zip(of_g2.elements, water.tolist()))[8] == 1
    assert water.sum() == 3


def test_some_molecules_have_a_digest_of_their_own(of_g2):
    some = of_g2.chosen(np.array([1, 4]))
    assert some.names == (of_g2.names[1], of_g2.names[4])
    assert some.charges.shape[1] == max((of_g2.charges[[1, 4]] > 0).sum(1))
    assert some.description == "2 of 148 molecules of the G2/97 set, from ASE"
    assert some.digest != of_g2.digest == molecules.load().digest
    with pytest.raises(ValueError, match=r"^indices are none: take at least one molecule$"):
        of_g2.chosen(np.array([], int))


HYDROGEN, METHANE = 1.4, 2.06


def of_qm7(**changed):
    """What a file of QM7 holds, with two molecules."""
    charges = np.array([[1, 1, 0, 0, 0], [6, 1, 1, 1, 1]], np.float32)
    positions = np.zeros((2, 5, 3), np.float32)
    positions[0, 1, 0] = HYDROGEN
    positions[1, 1:] = METHANE / np.sqrt(3) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    return {"Z": charges, "R": positions, "T": np.array([[-109.5, -420.1]], np.float32)} | changed


def test_qm7_is_read_in_angstroms(tmp_path):
    savemat(tmp_path / "qm7.mat", of_qm7())
    found = molecules.load(tmp_path)
    assert (len(found), found.elements, found.description) == (2, (1, 6), "2 molecules of QM7")
    assert found.positions[0, 1, 0] == pytest.approx(0.741, abs=1e-3)
    np.testing.assert_allclose(found.energies, [-109.5, -420.1], rtol=1e-6)
    assert molecules.load(tmp_path / "qm7.mat").digest == found.digest


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"T": np.zeros((1, 3))},
            r"qm7\.mat has charges \(2, 5\), positions \(2, 5, 3\) and 3 energies: QM7",
        ),
        ({"R": np.zeros((2, 4, 3))}, r"qm7\.mat has charges \(2, 5\), positions \(2, 4, 3\) and 2 energies"),
        ({"R": np.full((2, 5, 3), np.nan)}, r"qm7\.mat holds what is not a finite number: fetch it again$"),
        ({"Z": np.full((2, 5), 43)}, r"qm7\.mat has the charge 43, which is that of none of H, Li, "),
    ],
)
def test_files_of_qm7_that_are_something_else(tmp_path, changed, message):
    savemat(tmp_path / "qm7.mat", of_qm7(**changed))
    with pytest.raises(DataError, match=message):
        molecules.load(tmp_path)


def test_files_of_qm7_that_are_broken_or_missing(tmp_path):
    with pytest.raises(MissingDataError, match=r"does not hold qm7\.mat: correct the folder, or fetch the"):
        molecules.load(tmp_path)
    with pytest.raises(MissingDataError, match="no such folder; name one with"):
        molecules.load(tmp_path / "nowhere")
    file = tmp_path / "qm7.mat"
    for content in (b"", b"no file of MATLAB", b"\x80\x04\x95" + bytes(200)):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"qm7\.mat is no whole file of MATLAB \(.+\): fetch it again$"):
            molecules.load(tmp_path)
    savemat(file, of_qm7())
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(DataError, match=r"qm7\.mat (is no whole file of MATLAB|lacks )"):
        molecules.load(tmp_path)
    savemat(file, {"Z": of_qm7()["Z"]})
    with pytest.raises(
        DataError, match=r"qm7\.mat lacks R and T: QM7 has charges Z, positions R and energies T$"
    ):
        molecules.load(tmp_path)


HEADER = "XYZ_file,Index,Elements,XYZ_Ang,InternalEnergy_0K_au\n"
ROWS = (
    "a.xyz,1,\"['C','H','H','H','H']\",\"[[0,0,0],[1,1,1],[1,-1,-1],[-1,1,-1],[-1,-1,1]]\",-40.47893\n",
    "b.xyz,3,\"['O','H','H']\",\"[[0,0,0.12],[0,0.76,-0.47],[0,-0.76,-0.47]]\",-76.404702\n",
    "c.xyz,7,\"['C','C']\",\"[[0,0,0],[0,0,1.2]]\",-75.9\n",
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with the files of QM9's, that fails when it is imported."""
    folder = tmp_path / "qm9pack"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('it needs pkg_resources')")
    for part, row in enumerate(ROWS, start=1):
        (folder / "data" / f"qm9_part{part}.csv").write_text(HEADER + row)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "qm9pack", raising=False)
    return folder / "data"


def test_qm9_is_read_as_it_lies(package):
    found = molecules.qm9()
    assert found.names == ("QM9 1", "QM9 3", "QM9 7")
    assert found.charges.tolist() == [[6, 1, 1, 1, 1], [8, 1, 1, 0, 0], [6, 6, 0, 0, 0]]
    np.testing.assert_array_equal(found.positions[1, 1], [0, 0.76, -0.47])
    # Published with the data: methane's atomization energy at 0 K, zero-point energy included.
    assert found.energies[0] == pytest.approx(-395.999, abs=0.01)
    few = molecules.qm9(most_heavy=1)
    assert len(few) == 2
    assert few.description == "2 molecules of QM9 with at most 1 heavy atoms, from qm9pack"
    assert "qm9pack" not in sys.modules


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('d,9,"[\'C\']","[[0,0]]",-3\n', "ValueError: cannot reshape"),
        ('d,9,"[\'C\'","[[0,0,0]]",-3\n', "SyntaxError"),
        ('d,9,"[\'Xe\']","[[0,0,0]]",-3\n', "KeyError: 'Xe'"),
        ("d,9\n", "ValueError|TypeError"),
    ],
)
def test_rows_of_qm9_that_are_broken(package, row, message):
    with (package / "qm9_part2.csv").open("a") as file:
        file.write(row)
    with pytest.raises(DataError, match=rf"qm9_part2\.csv, line 3, holds no molecule of QM9 \(.*({message})"):
        molecules.qm9()


def test_energies_of_qm9_that_are_no_numbers(package):
    with (package / "qm9_part2.csv").open("a") as file:
        file.write(ROWS[2].replace("-75.9", "nan"))
    with pytest.raises(DataError, match=r"qm9_part2\.csv, line 3, holds what is not a finite number: pip"):
        molecules.qm9()


def test_files_of_qm9_that_are_missing(package, monkeypatch):
    with pytest.raises(ValueError, match=r"^most_heavy is 0: take a whole number from 1 to 9$"):
        molecules.qm9(most_heavy=0)
    (package / "qm9_part3.csv").unlink()
    with pytest.raises(MissingDataError, match=re.escape("qm9pack lacks qm9_part3.csv: pip install")):
        molecules.qm9()
    monkeypatch.setattr(molecules, "find_spec", lambda _: None)
    with pytest.raises(
        MissingDataError, match=r"^QM9 comes with qm9pack, which is not installed: pip install"
    ):
        molecules.qm9()


def test_without_ase_there_are_no_molecules(monkeypatch):
    monkeypatch.setitem(sys.modules, "ase.data", None)
    with pytest.raises(
        MissingDataError, match=r"^the molecules of G2 come with ASE, which cannot be imported"
    ):
        molecules.load()
