"""Rows of the table of examples: reconstruction, which takes functions."""

from tests.example_rows import Example

EXAMPLES: list[Example] = []

NOT_TRACED: dict[str, str] = {
    "harmonic.reconstruction.descent": "makes a pair of functions; its tests compile the step",
    "harmonic.reconstruction.reconstruct": "takes a function; its tests run it under jit and vmap",
}
