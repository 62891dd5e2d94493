"""Rows of the table of examples: what is proved of ALISTA."""

from jaxtheory.sparse.unrolled import recovery
from tests.example_rows import Example, float32

EXAMPLES: list[Example] = [
    Example(
        recovery.alista_guarantee,
        lambda rng: (float32(rng, 5, 4), float32(rng, 5, 4) / 8, float32(rng, 6, 5)),
        {"layers": 2},
        leading=(),
        differentiable=(0, 1, 2),
        vmap="thresholds are for all codes at once",
        integer="no argument has leading axes; test_recovery takes lists of integers",
    ),
]

NOT_TRACED: dict[str, str] = {}
