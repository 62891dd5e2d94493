"""Scales of problems have no rows of their own."""

from tests.example_rows import Example

EXAMPLES: list[Example] = []

PART = "a part of the solvers, whose rows reach it"
NOT_TRACED: dict[str, str] = {
    "sparse.scale.exponent": PART,
    "sparse.scale.flushed": PART,
    "sparse.scale.shifted": PART,
}
