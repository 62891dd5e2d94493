"""Rows of the table of examples: wavelets."""

import jax.numpy as jnp

from jaxtheory.harmonic import wavelets
from tests.example_rows import Example, scattered


def _wave(rng):
    """Frequency, width, angle and slant of a wavelet, as arrays: numbers give filters in NumPy."""
    return tuple(jnp.float32(value + 0.05 * rng.standard_normal()) for value in (1.8, 1.2, 0.5, 0.7))


ONE_BANK = "one bank at a time: its filters are those of one shape and one set of scales"

EXAMPLES: list[Example] = [
    Example(wavelets.gabor_2d, _wave, {"shape": (8, 12)}, (), (0, 1, 2, 3), vmap=ONE_BANK),
    Example(wavelets.morlet_2d, _wave, {"shape": (8, 12)}, (), (0, 1, 2, 3), vmap=ONE_BANK),
    Example(
        wavelets.morlet_bank,
        lambda _: (wavelets.morlet_parameters(2, 3),),
        {"shape": (8, 12), "J": 2, "L": 3},
        (),
        (0,),
        vmap=ONE_BANK,
    ),
    Example(wavelets.low_pass_2d, lambda rng: scattered(rng, 8, 12)[:1], None, (), (0,), vmap=ONE_BANK),
    Example(wavelets.littlewood_paley, lambda rng: scattered(rng, 8, 12)[:1], None, (), (0,), vmap=ONE_BANK),
]

NOT_TRACED: dict[str, str] = {
    "harmonic.wavelets.morlet_parameters": "numbers for a count of scales and angles",
    "harmonic.wavelets.padded_shape": "sizes from sizes",
    "harmonic.wavelets.spline_bank": "makes filters from sizes",
}
