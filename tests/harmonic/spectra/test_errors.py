"""What scattering spectra say of input that they cannot use."""

import re

import numpy as np
import pytest

from jaxtheory.harmonic import spectra
from jaxtheory.harmonic.wavelets import Filters

BANK = spectra.filter_bank((16,), J=2)
SIGNAL = np.zeros(16, np.float32)

SIZES = r"take \(length,\) or \(height, width\)$"


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"shape": (2, 16)},
            ValueError,
            r"^shape is \(2, 16\): take at least 2\^J = 4 along each axis, or a",
        ),
        ({"shape": (8, 8, 8)}, ValueError, rf"^shape is \(8, 8, 8\): {SIZES}"),
        ({"shape": 16}, TypeError, rf"^shape is 16: {SIZES}"),
        ({"shape": (16.0,)}, TypeError, r"^shape is 16\.0: take a whole number at least 1$"),
        ({"J": 0}, ValueError, "^J is 0: take a whole number at least 1$"),
        ({"L": 0}, ValueError, "^L is 0: take a whole number at least 1$"),
        ({"wavelet": "morlet"}, TypeError, r"^wavelet is 'morlet': take a function that makes filters, as "),
        (
            {"wavelet": lambda shape, *_: Filters(np.ones(shape), np.ones((3, *shape)))},
            ValueError,
            r"^wavelet makes filters of the shape \(3, 16, 16\): take one that makes \(8, 16, 16\)$",
        ),
        ({"window": "hann"}, ValueError, "^window is 'hann': take 'interior'$"),
        (
            {"shape": (8, 64), "window": "interior"},
            ValueError,
            r"^shape is \(8, 64\): take more than 2\^\(J \+ 1\) = 8 along each axis for the interior, or a",
        ),
        (
            {"window": np.ones(16)},
            ValueError,
            r"^window has the shape \(16,\): take \(16, 16\) for \(H, W\)$",
        ),
        ({"window": -np.ones((16, 16))}, ValueError, "^window holds -1.0: take numbers of 0 or more$"),
        (
            {"window": np.zeros((16, 16))},
            ValueError,
            "^window is zero everywhere: take weights of which some",
        ),
        ({"window": np.ones((16, 16), complex)}, TypeError, r"^window is complex \(complex128\): take real"),
        ({"window": object()}, TypeError, r"^window is .*: take an array of numbers$"),
    ],
)
def test_banks(own_errors, changed, error, message):
    with pytest.raises(error, match=message):
        spectra.filter_bank(**{"shape": (16, 16), "J": 2} | changed)


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (SIGNAL + 0j, {}, TypeError, r"^x is complex \(complex64\): take real numbers, as its real part$"),
        ("song", {}, TypeError, r"^x is 'song' \(str\): take an array of numbers$"),
        (
            SIGNAL[:15],
            {},
            ValueError,
            rf"^x has the shape {re.escape('(15,): take (..., 16) for (..., N)')}$",
        ),
        (SIGNAL, {"power": np.ones(3)}, ValueError, r"^power has the shape \(3,\): take \(\.\.\., 2\) for "),
        (SIGNAL, {"power": -np.ones(2)}, ValueError, "^power holds -1.0: take numbers of 0 or more$"),
        (SIGNAL, {"chunk": 0}, ValueError, "^chunk is 0: take a whole number at least 1$"),
    ],
)
def test_fields(own_errors, x, options, error, message):
    with pytest.raises(error, match=message):
        spectra.estimate(BANK, x, **options)


def test_what_is_no_bank(own_errors):
    for function in (lambda: spectra.estimate(SIGNAL, SIGNAL), lambda: spectra.paths(SIGNAL)):
        with pytest.raises(TypeError, match=r"^bank is a ndarray: take a bank, from spectra\.filter_bank$"):
            function()


def test_what_are_no_spectra(own_errors):
    for function in (lambda: spectra.flatten(SIGNAL), lambda: spectra.average(SIGNAL, "scales")):
        with pytest.raises(TypeError, match=r"^spectra is a ndarray: take spectra, from spectra\.estimate$"):
            function()


@pytest.mark.parametrize(
    ("over", "error", "message"),
    [
        ("phases", ValueError, "^over is 'phases': take 'angles' or 'scales'$"),
        ("angles", ValueError, "^over is 'angles': take 'scales' for signals, which have no angles$"),
        (3, TypeError, "^over is 3: take 'angles', 'scales' or both$"),
    ],
)
def test_symmetries(own_errors, over, error, message):
    found = spectra.estimate(BANK, SIGNAL)
    for function in (lambda: spectra.average(found, over), lambda: spectra.paths(BANK, over)):
        with pytest.raises(error, match=message):
            function()


def test_averages_of_averages(own_errors):
    found = spectra.average(spectra.estimate(BANK, SIGNAL), "scales")
    with pytest.raises(ValueError, match=r"^spectra are averages over scales: take those of estimate$"):
        spectra.average(found, "scales")
