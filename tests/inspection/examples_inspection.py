"""Rows of the table of examples: what the rooms of inspection share."""

from tests.example_rows import Example

EXAMPLES: list[Example] = []

NOT_TRACED: dict[str, str] = {
    "inspection.ranges.check_ends": "checks shapes",
    "inspection.ranges.check_epsilon": "checks known values",
    "inspection.ranges.check_inside": "checks known values",
    "inspection.ranges.ends": "returns what it was given",
}
