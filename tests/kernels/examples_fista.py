"""Rows of the table of examples: the kernel of FISTA."""

import numpy as np

from jaxtheory.kernels.fista import api as fista
from tests.example_rows import Example, float32


def _correlated(rng):
    """The Gram matrix of four atoms, a signal's correlations with them, a penalty and a step size."""
    dictionary = float32(rng, 4, 6)
    return dictionary @ dictionary.T / 6, dictionary @ float32(rng, 6), np.float32(0.2), np.float32(0.3)


EXAMPLES: list[Example] = [
    Example(
        fista.gram_fista,
        _correlated,
        {"steps": 6},
        (1,),
        grad="declines: tests/kernels reads what it says, and the row below differentiates the steps",
        export=True,
        devices=True,
    ),
    Example(
        fista.gram_fista,
        _correlated,
        {"steps": 6, "nonnegative": True, "implementation": "reference"},
        (1,),
        (0, 1, 2, 3),
        name="reference",
    ),
]

NOT_TRACED: dict[str, str] = {
    "kernels.fista.reference.extrapolate": "a line of the steps; taken through api.gram_fista",
    "kernels.fista.reference.gram_fista": "taken through api.gram_fista, which checks what it is given",
    "kernels.fista.reference.shrink": "a line of the steps; taken through api.gram_fista",
    "kernels.fista.specs.checks": "small problems by name",
    "kernels.fista.specs.operands": "shapes and dtypes of a size",
    "kernels.fista.specs.problem": "arrays of a size",
    "kernels.fista.specs.programs": "programs by name",
    "kernels.fista.tpu.block_size": "a size from a size",
    "kernels.fista.tpu.bytes_moved": "a number of sizes",
    "kernels.fista.tpu.gram_fista": "tests/kernels holds it against the reference",
    "kernels.fista.tpu.padded_atoms": "a size from a size",
}
