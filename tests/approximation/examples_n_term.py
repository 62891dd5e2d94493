"""Rows of the table of examples: best n-term approximation."""

from jaxtheory.approximation import n_term
from tests.example_rows import Example, float32

EXAMPLES: list[Example] = [
    Example(n_term.errors, lambda rng: (float32(rng, 6),)),
    Example(n_term.largest, lambda rng: (float32(rng, 6),), {"number": 3}),
]

NOT_TRACED: dict[str, str] = {}
