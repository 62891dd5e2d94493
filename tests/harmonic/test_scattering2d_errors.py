"""What two-dimensional scattering says of input that it cannot use."""

import re

import numpy as np
import pytest

from jaxtheory.harmonic import scattering2d

BANK = scattering2d.filter_bank((16, 24), J=2, L=2, padding="periodic")
IMAGE = np.zeros((16, 24), np.float32)


@pytest.fixture(params=["scatter", "propagate", "cascade"])
def program(request, own_errors):
    function = getattr(scattering2d, request.param)
    return (lambda bank, x: function(bank, x, order=1)) if request.param == "cascade" else function


def test_integer_images(program):
    with pytest.raises(TypeError, match=r"x must be of a floating type, found uint8: .*astype\('float32'\)"):
        program(BANK, IMAGE.astype(np.uint8))


def test_images_of_truth_values(program):
    with pytest.raises(TypeError, match="x must be of a floating type, found bool"):
        program(BANK, IMAGE > 0)


def test_complex_images(program):
    with pytest.raises(TypeError, match=r"x must be real, found complex64: .*x\.real and x\.imag"):
        program(BANK, IMAGE.astype(np.complex64))


@pytest.mark.parametrize("shape", [(), (24,)])
def test_too_few_axes(program, shape):
    with pytest.raises(ValueError, match=r"x must have the axes \(\.\.\., height, width\), found shape \("):
        program(BANK, np.zeros(shape, np.float32))


@pytest.mark.parametrize("shape", [(24, 16), (3, 16, 23)])
def test_images_of_another_shape(program, shape):
    wanted = re.escape(f"filter_bank({shape[-2:]}, ...)")
    with pytest.raises(ValueError, match=rf"x must end in the bank's shape \(16, 24\), found .*{wanted}"):
        program(BANK, np.zeros(shape, np.float32))


@pytest.mark.parametrize("chunk", [0, -3])
def test_chunks_of_nothing(own_errors, chunk):
    message = f"chunk must be at least 1, found {chunk}: leave it out"
    with pytest.raises(ValueError, match=message):
        scattering2d.scatter(BANK, IMAGE, chunk=chunk)
    with pytest.raises(ValueError, match=message):
        scattering2d.cascade(BANK, IMAGE, order=1, chunk=chunk)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"wavelet": "haar"}, 'wavelet must be "morlet" or "spline", found \'haar\''),
        ({"padding": "zero"}, 'padding must be "reflect" or "periodic", found \'zero\''),
        ({"J": 0}, "J must be at least 1, found J = 0"),
        ({"L": -1}, "L must be at least 1, found L = -1"),
        ({"order": 3}, "order must be 0, 1 or 2, found order = 3: scattering2d.cascade walks deeper paths"),
        ({"J": 5}, r"shape must be at least 2\^J = 32 in height and width, found \(16, 24\): lower J = 5"),
    ],
)
def test_banks_that_cannot_be(own_errors, changed, message):
    with pytest.raises(ValueError, match=message):
        scattering2d.filter_bank(**{"shape": (16, 24), "J": 2} | changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"order": -1}, "order must be 0 to 10, found order = -1"),
        ({"order": 11}, "order must be 0 to 10, found order = 11"),
        ({"paths": "increasing"}, 'paths must be "all" or "decreasing", found \'increasing\''),
        (
            {"bank": scattering2d.filter_bank((16, 24), J=2, L=3, padding="periodic"), "order": 10},
            "J = 2, L = 3 and paths = 'all' has 72,559,410 paths, more than 20,000,000: lower the order",
        ),
        (
            {"bank": scattering2d.filter_bank((16, 24), J=2, L=2)},
            "bank must have periodic padding, found padding = 'reflect': .*padding=\"periodic\"",
        ),
    ],
)
def test_cascades_that_cannot_be(own_errors, changed, message):
    with pytest.raises(ValueError, match=message):
        scattering2d.cascade(**{"bank": BANK, "x": IMAGE, "order": 2, "paths": "all"} | changed)
