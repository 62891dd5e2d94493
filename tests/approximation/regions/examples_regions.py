"""Rows of the table of examples: linear regions."""

from tests.example_rows import Example

BY_VALUE = "how many regions there are depends on values: computed in NumPy"

EXAMPLES: list[Example] = []

NOT_TRACED: dict[str, str] = {
    "approximation.regions.bounds.lower_bound": "takes whole numbers",
    "approximation.regions.bounds.upper_bound": "takes whole numbers",
    "approximation.regions.linear.segment": BY_VALUE,
    "approximation.regions.planar.plane": BY_VALUE,
    "approximation.regions.planar.polygons": BY_VALUE,
}
