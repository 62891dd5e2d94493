"""What roto-translation scattering says of input that it cannot use."""

import re

import numpy as np
import pytest

from jaxtheory.harmonic import rototranslation, scattering2d

BANK = rototranslation.filter_bank((16, 24), J=2, L=2, boundary="periodic")
IMAGE = np.zeros((16, 24), np.float32)


@pytest.fixture(params=["scatter", "orbits"])
def program(request, own_errors):
    return getattr(rototranslation, request.param)


def test_complex_images(program):
    with pytest.raises(TypeError, match=r"^x is complex \(complex64\): take real numbers, as its real part$"):
        program(BANK, IMAGE.astype(np.complex64))


def test_what_is_no_image(program):
    with pytest.raises(TypeError, match=r"^x is 'image' \(str\): take an array of numbers$"):
        program(BANK, "image")


def test_what_is_no_bank(program):
    with pytest.raises(TypeError, match=r"^bank is a Bank: take a bank, from rototranslation\.filter_bank$"):
        program(scattering2d.filter_bank((16, 24), J=2, L=2), IMAGE)


@pytest.mark.parametrize("shape", [(), (24,), (24, 16), (3, 16, 23)])
def test_images_of_another_shape(program, shape):
    wanted = r": take \(\.\.\., 16, 24\) for \(\.\.\., H, W\)$"
    with pytest.raises(ValueError, match=rf"^x has the shape {re.escape(str(shape))}{wanted}"):
        program(BANK, np.zeros(shape, np.float32))


def test_chunks_of_nothing(program):
    with pytest.raises(ValueError, match=r"^chunk is 0: take a whole number at least 1$"):
        program(BANK, IMAGE, chunk=0)


@pytest.mark.parametrize(("harmonics", "error"), [(-1, ValueError), (3, ValueError), (1.0, TypeError)])
def test_harmonics_that_there_are_none_of(own_errors, harmonics, error):
    message = rf"^harmonics is {re.escape(str(harmonics))}: take a whole number from 0 to 2$"
    with pytest.raises(error, match=message):
        rototranslation.scatter(BANK, IMAGE, harmonics=harmonics)
    with pytest.raises(error, match=message):
        rototranslation.paths(BANK, harmonics=harmonics)


def test_coefficients_of_other_channels(own_errors):
    message = r"^coefficients has the shape \(8, 4, 6\): take \(\.\.\., 7, h, w\) for \(\.\.\., C, h, w\)$"
    with pytest.raises(ValueError, match=message):
        rototranslation.average_scales(BANK, np.zeros((8, 4, 6)))
    with pytest.raises(TypeError, match=r"^coefficients is complex \(complex128\): take real numbers"):
        rototranslation.average_scales(BANK, np.zeros((7, 4, 6), complex))


@pytest.mark.parametrize("octaves", [0, 3])
def test_octaves_that_there_are_none_of(own_errors, octaves):
    with pytest.raises(ValueError, match=rf"^octaves is {octaves}: take a whole number from 1 to 2$"):
        rototranslation.average_scales(BANK, np.zeros((7, 4, 6)), octaves=octaves)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"L": 1}, ValueError, "^L is 1: take a whole number at least 2$"),
        ({"L": 8.0}, TypeError, r"^L is 8\.0: take a whole number at least 2$"),
        ({"K": 0}, ValueError, "^K is 0: take a whole number from 1 to 3$"),
        ({"K": 4}, ValueError, "^K is 4: take a whole number from 1 to 3$"),
        ({"L": 7, "K": 3}, ValueError, "^K is 3: take a whole number from 1 to 2$"),
        ({"J": 0}, ValueError, "^J is 0: take a whole number at least 1$"),
        ({"order": 3}, ValueError, "^order is 3: take a whole number from 0 to 2$"),
        ({"boundary": "zero"}, ValueError, "^boundary is 'zero': take 'reflect' or 'periodic'$"),
        ({"wavelet": "haar"}, TypeError, "^wavelet is 'haar': take a function that makes filters"),
        (
            {"J": 5},
            ValueError,
            r"^shape is \(16, 24\): take at least 2\^J = 32 in height and width, or a lower J$",
        ),
    ],
)
def test_banks_that_cannot_be(own_errors, changed, error, message):
    with pytest.raises(error, match=message):
        rototranslation.filter_bank(**{"shape": (16, 24), "J": 2} | changed)
