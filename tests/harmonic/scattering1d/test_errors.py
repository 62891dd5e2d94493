"""What one-dimensional scattering says of input that it cannot use."""

import re

import numpy as np
import pytest

from jaxtheory.harmonic import scattering1d

BANK = scattering1d.filter_bank(32, J=2, boundary="periodic")
SIGNAL = np.zeros(32, np.float32)


@pytest.fixture(params=["scatter", "propagate"])
def program(request, own_errors):
    return getattr(scattering1d, request.param)


def test_complex_signals(program):
    with pytest.raises(TypeError, match=r"^x is complex \(complex64\): take real numbers, as its real part$"):
        program(BANK, SIGNAL.astype(np.complex64))


def test_what_is_no_signal(program):
    with pytest.raises(TypeError, match=r"^x is 'song' \(str\): take an array of numbers$"):
        program(BANK, "song")


def test_what_is_no_bank(program):
    message = r"^bank is a ndarray: take a bank, from scattering1d\.filter_bank$"
    with pytest.raises(TypeError, match=message):
        program(SIGNAL, SIGNAL)
    with pytest.raises(TypeError, match=message):
        scattering1d.stream(SIGNAL)


@pytest.mark.parametrize("shape", [(), (31,), (32, 3)])
def test_signals_of_another_length(program, shape):
    wanted = r": take \(\.\.\., 32\) for \(\.\.\., N\)$"
    with pytest.raises(ValueError, match=rf"^x has the shape {re.escape(str(shape))}{wanted}"):
        program(BANK, np.zeros(shape, np.float32))


@pytest.mark.parametrize("chunk", [0, -3])
def test_chunks_of_nothing(own_errors, chunk):
    with pytest.raises(ValueError, match=rf"^chunk is {chunk}: take a whole number at least 1$"):
        scattering1d.scatter(BANK, SIGNAL, chunk=chunk)


OF_T = r": take a number from 1 to the length, 64, or 'global'"


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"length": 15, "J": 4}, ValueError, r"^length is 15: take at least 2\^J = 16, or a lower J$"),
        ({"length": 64.0}, TypeError, r"^length is 64\.0: take a whole number at least 1$"),
        ({"J": 0}, ValueError, "^J is 0: take a whole number at least 1$"),
        ({"J": 2.0}, TypeError, r"^J is 2\.0: take a whole number at least 1$"),
        ({"Q": 0}, ValueError, "^Q is 0: take a whole number at least 1$"),
        ({"Q": 0.5}, TypeError, r"^Q is 0\.5: take a whole number at least 1$"),
        ({"Q": (4, 0)}, ValueError, "^Q is 0: take a whole number at least 1$"),
        ({"Q": (4, 2, 1)}, ValueError, r"^Q is \(4, 2, 1\): take one number, or a pair for the two layers$"),
        ({"Q": ()}, ValueError, r"^Q is \(\): take one number, or a pair for the two layers$"),
        (
            {"Q": 16},
            ValueError,
            "^Q is 16: take a lower one, as 16 wavelets an octave need a higher J than 3$",
        ),
        ({"T": 0}, ValueError, f"^T is 0{OF_T}; propagate averages nothing$"),
        ({"T": 0.5}, ValueError, rf"^T is 0\.5{OF_T}; propagate averages nothing$"),
        ({"T": 65}, ValueError, f"^T is 65{OF_T}; propagate averages nothing$"),
        ({"T": float("nan")}, ValueError, f"^T is nan{OF_T}; propagate averages nothing$"),
        ({"T": "all"}, TypeError, f"^T is 'all'{OF_T}$"),
        ({"T": True}, TypeError, f"^T is True{OF_T}$"),
        ({"order": 3}, ValueError, "^order is 3: take a whole number from 0 to 2$"),
        ({"boundary": "zero"}, ValueError, "^boundary is 'zero': take 'reflect' or 'periodic'$"),
        ({"folding": "max"}, ValueError, "^folding is 'max': take 'mean' or 'sum'$"),
        (
            {"length": 68, "boundary": "periodic"},
            ValueError,
            "^length is 68: take a multiple of 8 with a periodic boundary, or boundary='reflect'$",
        ),
    ],
)
def test_banks_that_cannot_be(own_errors, changed, error, message):
    with pytest.raises(error, match=message):
        scattering1d.filter_bank(**{"length": 64, "J": 3} | changed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"boundary": "reflect"},
            "^bank has the boundary 'reflect': take one that filter_bank makes with boundary='periodic', as",
        ),
        ({"T": "global"}, "^bank has T = 'global': take a number, as a stream has no end$"),
        ({"J": 4}, "^bank is for windows of 256 samples: take 448 or more, as filters reach 208 to either"),
    ],
)
def test_banks_that_are_none_for_a_stream(own_errors, options, message):
    bank = scattering1d.filter_bank(**{"length": 256, "J": 3, "boundary": "periodic"} | options)
    for function in (scattering1d.stream, lambda bank: scattering1d.scatter_recording(bank, [])):
        with pytest.raises(ValueError, match=message):
            function(bank)


def test_recordings_and_blocks_of_the_wrong_length(own_errors):
    bank = scattering1d.filter_bank(512, 3, boundary="periodic")
    init, step, head, _ = scattering1d.stream(bank)
    with pytest.raises(
        ValueError, match=rf"^blocks hold 99 samples: take at least {head}, or scatter with a"
    ):
        list(scattering1d.scatter_recording(bank, [np.zeros(40), np.zeros(59)]))
    with pytest.raises(ValueError, match=r"^first has the shape \(7,\): take "):
        init(np.zeros(7))
    with pytest.raises(ValueError, match=r"^new has the shape \(7,\): take "):
        step(bank, init(np.zeros(head)), np.zeros(7))
    with pytest.raises(TypeError, match=r"^blocks is 'x' \(str\): take an array of numbers$"):
        list(scattering1d.scatter_recording(bank, ["x"]))
