"""Rows of the table of examples: residual networks."""

from tests.example_rows import Example

EXAMPLES: list[Example] = []

NOT_TRACED: dict[str, str] = {
    "networks.resnet.make": "makes a module; tests/networks/test_resnet.py computes its outputs",
    "networks.resnet.make_small": "makes a module; tests/networks/test_resnet.py computes its outputs",
}
