"""Rows of the table of examples: AlexNet, VGG, their layers, and published weights."""

from jaxtheory.networks import layers
from tests.example_rows import Example, float32

EXAMPLES: list[Example] = [Example(layers.local_response, lambda rng: (float32(rng, 2, 7),))]

NOT_TRACED: dict[str, str] = {
    "networks.alexnet.make": "makes a module; tests/networks/test_published.py compares its logits",
    "networks.layers.averaged": "part of networks; tests/networks/test_published.py compares it",
    "networks.layers.colored": "part of networks; tests/networks/test_published.py compares their outputs",
    "networks.layers.dense": "makes a layer",
    "networks.layers.dense_tensors": "names of arrays; tests/networks/test_published.py compares the weights",
    "networks.layers.draw": "fills a module; tests/networks/test_resnet.py reads the variances",
    "networks.layers.largest": "part of networks; tests/networks/test_published.py compares it",
    "networks.published.load": "reads a file",
    "networks.safetensors.read": "reads a file",
    "networks.vgg.make": "makes a module; tests/networks/test_published.py compares its logits",
}
