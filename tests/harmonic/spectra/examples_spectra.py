"""Rows of the table of examples: scattering spectra."""

from jaxtheory.harmonic import spectra
from tests.example_rows import Example, float32


def field(rng, *shape, **facts):
    """A bank with a field of its shape."""
    return spectra.filter_bank(shape, **{"J": 1, "L": 2} | facts), float32(rng, *shape)


def found(rng):
    """Spectra of a field."""
    return (spectra.estimate(*field(rng, 8, 6)),)


COMPLEX = "correlations are complex numbers, of which there are none of half precision"
FLOATS = "it takes spectra only, which are no whole numbers"

EXAMPLES: list[Example] = [
    Example(
        spectra.estimate,
        lambda rng: field(rng, 8, 6),
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        half=COMPLEX,
    ),
    Example(
        spectra.estimate,
        lambda rng: field(rng, 24, J=2, window="interior"),
        {"chunk": 2},
        leading=(1,),
        differentiable=(0, 1),
        export="the row of images has it",
        devices="the row of images has it",
        half=COMPLEX,
        name="windowed signals",
    ),
    Example(
        spectra.flatten,
        found,
        grad="its argument is complex, and real differences see but half of the gradient",
        integer=FLOATS,
        half=COMPLEX,
    ),
    Example(spectra.average, found, {"over": "angles"}, integer=FLOATS, half=COMPLEX),
]

NOT_TRACED: dict[str, str] = {
    "harmonic.spectra.banks.filter_bank": "makes filters from sizes",
    "harmonic.spectra.tables.paths": "a table of what the coefficients are",
}
