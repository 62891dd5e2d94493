"""What two-dimensional scattering says of input that it cannot use."""

import re

import numpy as np
import pytest

from jaxtheory.harmonic import scattering2d, wavelets

BANK = scattering2d.filter_bank((16, 24), J=2, L=2, boundary="periodic")
IMAGE = np.zeros((16, 24), np.float32)


@pytest.fixture(params=["scatter", "propagate", "cascade"])
def program(request, own_errors):
    function = getattr(scattering2d, request.param)
    return (lambda bank, x: function(bank, x, order=1)) if request.param == "cascade" else function


def test_complex_images(program):
    with pytest.raises(TypeError, match=r"^x is complex \(complex64\): take real numbers, as its real part$"):
        program(BANK, IMAGE.astype(np.complex64))


def test_what_is_no_image(program):
    with pytest.raises(TypeError, match=r"^x is 'image' \(str\): take an array of numbers$"):
        program(BANK, "image")


def test_what_is_no_bank(program):
    with pytest.raises(TypeError, match=r"^bank is a ndarray: take a bank, from scattering2d\.filter_bank$"):
        program(IMAGE, IMAGE)


@pytest.mark.parametrize("shape", [(), (24,), (24, 16), (3, 16, 23)])
def test_images_of_another_shape(program, shape):
    wanted = r": take \(\.\.\., 16, 24\) for \(\.\.\., H, W\)$"
    with pytest.raises(ValueError, match=rf"^x has the shape {re.escape(str(shape))}{wanted}"):
        program(BANK, np.zeros(shape, np.float32))


@pytest.mark.parametrize("chunk", [0, -3])
def test_chunks_of_nothing(own_errors, chunk):
    message = rf"^chunk is {chunk}: take a whole number at least 1$"
    with pytest.raises(ValueError, match=message):
        scattering2d.scatter(BANK, IMAGE, chunk=chunk)
    with pytest.raises(ValueError, match=message):
        scattering2d.cascade(BANK, IMAGE, order=1, chunk=chunk)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"wavelet": "haar"},
            TypeError,
            r"^wavelet is 'haar': take a function that makes filters, as wavelets",
        ),
        (
            {"wavelet": lambda shape, J, L: wavelets.morlet(shape, J, L + 1)},
            ValueError,
            r"^wavelet makes filters of the shape \(18, 24, 32\): take one that makes \(16, 24, 32\)$",
        ),
        ({"boundary": "zero"}, ValueError, "^boundary is 'zero': take 'reflect' or 'periodic'$"),
        ({"J": 0}, ValueError, "^J is 0: take a whole number at least 1$"),
        ({"J": 2.0}, TypeError, r"^J is 2\.0: take a whole number at least 1$"),
        ({"L": -1}, ValueError, "^L is -1: take a whole number at least 1$"),
        ({"order": 3}, ValueError, "^order is 3: take a whole number from 0 to 2$"),
        ({"order": -1}, ValueError, "^order is -1: take a whole number from 0 to 2$"),
        ({"shape": (32, 32, 3)}, ValueError, r"^shape is \(32, 32, 3\): take \(height, width\)$"),
        ({"shape": (32, 32.0)}, TypeError, r"^shape is 32\.0: take a whole number at least 1$"),
        (
            {"J": 5},
            ValueError,
            r"^shape is \(16, 24\): take at least 2\^J = 32 in height and width, or a low",
        ),
        (
            {"shape": (32, 26), "boundary": "periodic"},
            ValueError,
            r"^shape is \(32, 26\): take multiples of 2\^J = 4 with a periodic boundary, a lower J, or",
        ),
        ({"L": 1, "wavelet": wavelets.spline}, ValueError, "^L is 1: take a whole number at least 2$"),
    ],
)
def test_banks_that_cannot_be(own_errors, changed, error, message):
    with pytest.raises(error, match=message):
        scattering2d.filter_bank(**{"shape": (16, 24), "J": 2} | changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"order": -1}, "^order is -1: take a whole number from 0 to 10$"),
        ({"order": 11}, "^order is 11: take a whole number from 0 to 10$"),
        ({"paths": "increasing"}, "^paths is 'increasing': take 'all' or 'decreasing'$"),
        (
            {"bank": scattering2d.filter_bank((16, 24), J=2, L=3, boundary="periodic"), "order": 10},
            "^order is 10: with J = 2, L = 3 and paths = 'all' these are 72,559,410 paths: take at",
        ),
        (
            {"bank": scattering2d.filter_bank((16, 24), J=2, L=2)},
            "^bank has the boundary 'reflect': take one that filter_bank makes with boundary='periodic', as",
        ),
    ],
)
def test_cascades_that_cannot_be(own_errors, changed, message):
    with pytest.raises(ValueError, match=message):
        scattering2d.cascade(**{"bank": BANK, "x": IMAGE, "order": 2, "paths": "all"} | changed)
