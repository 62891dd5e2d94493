"""Rows of the table of examples: layers of large networks, and residual networks."""

from tests.example_rows import Example

EXAMPLES: list[Example] = []

NOT_TRACED: dict[str, str] = {
    "networks.layers.colored": "part of networks; tests/networks compares their outputs",
    "networks.layers.dense": "makes a layer",
    "networks.layers.draw": "fills a module; tests/networks/test_resnet.py reads the variances",
    "networks.layers.largest": "part of networks; tests/networks compares it",
    "networks.resnet.make": "makes a module; tests/networks/test_resnet.py computes its outputs",
    "networks.resnet.make_small": "makes a module; tests/networks/test_resnet.py computes its outputs",
}
