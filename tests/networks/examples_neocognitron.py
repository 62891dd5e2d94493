"""Rows of the table of examples: the neocognitron."""

import numpy as np

from jaxtheory.networks import neocognitron
from tests.example_rows import Example

SMALL = neocognitron.init((12, 12), planes=3)
PRESENTED = (
    "images are presented one after the other: networks are mapped over with vmap, as tests/networks do"
)


def _seen(rng):
    """A network that has seen some images, and another image."""
    images = np.float32(rng.random((4, 12, 12)))
    return neocognitron.run(SMALL, images[:3]), images[3]


EXAMPLES: list[Example] = [
    Example(
        neocognitron.apply,
        _seen,
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(neocognitron.responses, _seen, leading=(1,)),
    Example(neocognitron.step, _seen, leading=(1,), differentiable=(0, 1), vmap=PRESENTED),
    Example(
        neocognitron.run,
        lambda rng: (SMALL, np.float32(rng.random((2, 12, 12)))),
        leading=(1,),
        vmap=PRESENTED,
    ),
]

NOT_TRACED: dict[str, str] = {"networks.neocognitron.init": "makes parameters of numbers"}
