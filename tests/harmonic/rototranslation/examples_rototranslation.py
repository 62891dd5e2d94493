"""Rows of the table of examples: roto-translation scattering."""

from jaxtheory.harmonic import rototranslation
from tests.example_rows import Example, float32


def oriented(rng, *shape, **facts):
    """A bank with an image of its shape."""
    return rototranslation.filter_bank(shape, **{"J": 2, "L": 2} | facts), float32(rng, *shape)


def with_coefficients(rng):
    """A bank with coefficients as it gives them."""
    bank = rototranslation.filter_bank((8, 8), J=3, L=2)
    return bank, float32(rng, len(rototranslation.paths(bank, harmonics=1)), 1, 1)


EXAMPLES: list[Example] = [
    Example(
        rototranslation.scatter,
        lambda rng: oriented(rng, 8, 12, boundary="periodic"),
        {"harmonics": 1, "chunk": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        rototranslation.orbits,
        lambda rng: oriented(rng, 6, 8),
        leading=(1,),
        grad="scatter, a mean of it, is differentiated",
        export="scatter has its program, and is exported",
        devices="scatter has its program, and runs on eight devices",
    ),
    Example(
        rototranslation.average_scales,
        with_coefficients,
        {"harmonics": 1},
        leading=(1,),
    ),
]


NOT_TRACED: dict[str, str] = {
    "harmonic.rototranslation.banks.filter_bank": "makes filters from sizes",
    "harmonic.rototranslation.channels.paths": "a table of what the channels hold",
}
