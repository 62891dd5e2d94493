"""Rows of the table of examples: inversion, which takes functions."""

from tests.example_rows import Example

EXAMPLES: list[Example] = []

NOT_TRACED: dict[str, str] = {
    "inspection.inversion.descent": "makes a pair of functions; its tests compile the step",
    "inspection.inversion.invert": "takes a function; its tests run it under jit and vmap",
}
