"""Rows of the table of examples: distortions of images, and why other functions of data have none."""

import jax
import numpy as np

from jaxtheory.data import distortions
from tests.example_rows import Example, float32

DRAWN = {
    "vmap": "one key draws for all images: map over the keys",
    "x64": "double precision draws other numbers",
}


def _inked(rng):
    """An image of nonnegative intensities."""
    return (np.float32(rng.exponential(size=(7, 9))),)


def _keyed(rng):
    return float32(rng, 7, 9), jax.random.key(int(rng.integers(1 << 30)))


EXAMPLES: list[Example] = [
    Example(distortions.deslant, _inked),
    Example(
        distortions.displace, lambda rng: (float32(rng, 7, 9), 2 * float32(rng, 2, 7, 9)),
        leading=(0, 1), differentiable=(0, 1),
    ),
    Example(distortions.affine, _keyed, **DRAWN),
    Example(distortions.elastic, _keyed, {"sigma": 1.5}, **DRAWN),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {
    "data.imagenet.crop": "Pillow's, of one image in NumPy",
    "data.imagenet.load": "reads files",
    "data.images.describe": "reads files",
    "data.images.load": "reads files",
    "data.images.names": "names from a table",
    "data.images.patches": "cuts images of any sizes in NumPy",
    "data.mazes.draw": "draws mazes in NumPy",
    "data.mnist.load": "reads files",
    "data.mnist.prepare": "writes files",
    "data.molecules.load": "reads files",
    "data.molecules.qm9": "reads files",
}
