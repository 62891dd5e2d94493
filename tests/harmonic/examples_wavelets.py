"""Rows of the table of examples: wavelets."""

from functools import wraps

import jax.numpy as jnp

from jaxtheory.harmonic import wavelets
from tests.example_rows import Example


def _wave(rng):
    """Frequency, width, angle and slant of a wavelet, as arrays: numbers give filters in NumPy."""
    return tuple(jnp.float32(value + 0.05 * rng.standard_normal()) for value in (1.8, 1.2, 0.5, 0.7))


@wraps(wavelets.morlet)
def _learned(parameters):
    """The filters of traced parameters."""
    return wavelets.morlet((8, 12), 2, 3, parameters=parameters)


ONE_BANK = "one bank at a time: its filters are those of one shape and one set of scales"
PARAMETERS = "its parameters have no leading axes; tests/harmonic holds numbers against closed forms"

EXAMPLES: list[Example] = [
    Example(
        wavelets.gabor_2d, _wave, {"shape": (8, 12)}, (), (0, 1, 2, 3), vmap=ONE_BANK, integer=PARAMETERS
    ),
    Example(
        wavelets.morlet_2d, _wave, {"shape": (8, 12)}, (), (0, 1, 2, 3), vmap=ONE_BANK, integer=PARAMETERS
    ),
    Example(
        _learned,
        lambda _: (wavelets.morlet_parameters(2, 3),),
        None,
        (),
        (0,),
        vmap=ONE_BANK,
        integer=PARAMETERS,
        export=True,
    ),
]

NOT_TRACED: dict[str, str] = {
    "harmonic.wavelets.morlet_parameters": "numbers for a count of scales and angles",
    "harmonic.wavelets.spline": "makes filters from sizes",
}
