"""Rows of the table of examples: priors of images."""

import jax
import numpy as np

from jaxtheory.inspection import priors
from tests.example_rows import Example, float32


def _image(rng):
    return (float32(rng, 5, 4, 2),)


def _patches(rng):
    return 0.5 * float32(rng, 3, 8), float32(rng, 4, 3, 2)


def _shifted(rng):
    return jax.random.key(3), float32(rng, 4, 3, 1)


EXAMPLES: list[Example] = [
    Example(priors.lp_norm, _image, {"p": 3}),
    Example(priors.total_variation, _image, {"exponent": 1.5}),
    Example(
        priors.patch_energy, _patches, {"patch_size": 2, "penalty": np.float32(0.3), "steps": 400},
        (1,), (0, 1), tolerance=1e-4,
    ),
    Example(
        priors.jitter, _shifted, {"pixels": 1}, (1,),
        x64="the shift is drawn anew where integers are wider",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {}
