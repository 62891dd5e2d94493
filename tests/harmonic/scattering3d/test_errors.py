"""What solid harmonic scattering says of input that it cannot use."""

import re

import numpy as np
import pytest

from jaxtheory.harmonic import scattering3d

BANK = scattering3d.filter_bank((4, 4, 6), J=0, L=1)
DENSITY = np.zeros((4, 4, 6), np.float32)


def test_complex_densities(own_errors):
    with pytest.raises(TypeError, match=r"^x is complex \(complex64\): take real numbers, as its real part$"):
        scattering3d.scatter(BANK, DENSITY.astype(np.complex64))


def test_what_is_no_density(own_errors):
    with pytest.raises(TypeError, match=r"^x is 'cloud' \(str\): take an array of numbers$"):
        scattering3d.scatter(BANK, "cloud")


def test_what_is_no_bank(own_errors):
    message = r"^bank is a ndarray: take a bank, from scattering3d\.filter_bank$"
    with pytest.raises(TypeError, match=message):
        scattering3d.scatter(DENSITY, DENSITY)


@pytest.mark.parametrize("shape", [(), (4, 6), (4, 4, 4), (6, 4, 4)])
def test_densities_of_another_shape(own_errors, shape):
    wanted = r": take \(\.\.\., 4, 4, 6\) for \(\.\.\., M, N, O\)$"
    with pytest.raises(ValueError, match=rf"^x has the shape {re.escape(str(shape))}{wanted}"):
        scattering3d.scatter(BANK, np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("powers", "error", "message"),
    [
        ((), ValueError, r"^powers is \(\): take at least one positive number$"),
        ((1, 0), ValueError, r"^powers is 0: take a positive number$"),
        ((-0.5,), ValueError, r"^powers is -0\.5: take a positive number$"),
        (2, TypeError, r"^powers is 2: take a sequence of numbers, as \(0\.5, 1\.0, 2\.0\)$"),
        (("one",), TypeError, r"^powers is 'one' \(str\): take an array of numbers$"),
    ],
)
def test_powers_that_cannot_be(own_errors, powers, error, message):
    with pytest.raises(error, match=message):
        scattering3d.scatter(BANK, DENSITY, powers)


@pytest.mark.parametrize("chunk", [0, -3])
def test_chunks_of_nothing(own_errors, chunk):
    with pytest.raises(ValueError, match=rf"^chunk is {chunk}: take a whole number at least 1$"):
        scattering3d.scatter(BANK, DENSITY, chunk=chunk)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"shape": (8, 7, 8), "J": 3},
            ValueError,
            r"^shape is \(8, 7, 8\): take at least 2\^J sigma_0 = 8 along each axis, or a lower J$",
        ),
        (
            {"sigma_0": 2.5, "J": 2},
            ValueError,
            r"^shape is \(8, 8, 8\): take at least 2\^J sigma_0 = 10 along each axis, or a lower J$",
        ),
        ({"shape": (8, 8)}, ValueError, r"^shape is \(8, 8\): take \(M, N, O\)$"),
        ({"shape": 8}, TypeError, r"^shape is 8: take \(M, N, O\)$"),
        ({"shape": (8, 8, 8.0)}, TypeError, r"^shape is 8\.0: take a whole number at least 1$"),
        ({"J": -1}, ValueError, "^J is -1: take a whole number at least 0$"),
        ({"L": -1}, ValueError, "^L is -1: take a whole number at least 0$"),
        ({"L": 1.5}, TypeError, r"^L is 1\.5: take a whole number at least 0$"),
        ({"sigma_0": 0}, ValueError, "^sigma_0 is 0: take a positive number$"),
        ({"sigma_0": float("nan")}, ValueError, "^sigma_0 is nan: take a positive number$"),
        ({"sigma_0": float("inf")}, ValueError, "^sigma_0 is inf: take a positive number$"),
        ({"sigma_0": "wide"}, TypeError, r"^sigma_0 is 'wide' \(str\): take an array of numbers$"),
        ({"order": 3}, ValueError, "^order is 3: take a whole number from 0 to 2$"),
    ],
)
def test_banks_that_cannot_be(own_errors, changed, error, message):
    with pytest.raises(error, match=message):
        scattering3d.filter_bank(**{"shape": (8, 8, 8), "J": 1} | changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"positions": np.array([[0, 0, 0], [0, 0, 4.5]])},
            r"^positions hold 4\.5 along axis 2: take numbers from -3\.5 to 3\.5, as the box has 8 pixels$",
        ),
        (
            {"positions": np.array([[0, np.nan, 0], [0, 0, 0]])},
            r"^positions hold nan along axis 1: take numbers from -3\.5 to 3\.5, as the box has 8 pixels$",
        ),
        (
            {"charges": np.ones(3)},
            r"^positions has the shape \(2, 3\): take \(\.\.\., 3, 3\) for \(\.\.\., atoms, 3\)$",
        ),
        (
            {"positions": np.zeros((2, 2))},
            r"^positions has the shape \(2, 2\): take \(\.\.\., 2, 3\) for \(\.\.\., atoms, 3\)$",
        ),
        ({"charges": np.float64(1)}, r"^charges has the shape \(\): take \(\.\.\., atoms\)"),
        ({"width": 0}, "^width is 0: take a positive number$"),
    ],
)
def test_molecules_that_make_no_density(own_errors, changed, message):
    arguments = {"charges": np.ones(2), "positions": np.zeros((2, 3)), "shape": (8, 8, 8)} | changed
    with pytest.raises(ValueError, match=message):
        scattering3d.density(**arguments)


def test_atoms_without_charge_may_lie_anywhere():
    far = np.array([[0, 0, 0], [0, 0, 99.0]])
    rho = scattering3d.density(np.array([1.0, 0.0]), far, (8, 8, 8))
    assert float(rho.sum()) == pytest.approx(1, abs=2e-3)
