"""Rows of the table of examples: cosine transforms of scattering coefficients."""

from jaxtheory.harmonic import decorrelation
from tests.example_rows import Example, float32

EXAMPLES: list[Example] = [
    Example(decorrelation.cosines, lambda rng: (float32(rng, 9, 2, 3),), {"J": 2, "L": 2}),
    Example(
        decorrelation.cosines,
        lambda rng: (float32(rng, 9, 2, 3),),
        {"J": 2, "L": 4, "order": 1},
        name="order 1",
    ),
]

NOT_TRACED: dict[str, str] = {}
