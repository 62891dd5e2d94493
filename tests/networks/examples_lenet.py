"""Rows of the table of examples: LeNets."""

from jaxtheory.networks import lenet
from tests.example_rows import Example, float32

EXAMPLES: list[Example] = [Example(lenet.squash, lambda rng: (float32(rng, 5),))]

NOT_TRACED: dict[str, str] = {
    "networks.lenet.counts": "counts of layers, from their facts",
    "networks.lenet.make": "makes a module; tests/networks/test_lenet.py computes its outputs",
}
