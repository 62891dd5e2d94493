"""Rows of the table of examples: the solid harmonic scattering transform."""

import numpy as np

from jaxtheory.harmonic import scattering3d
from tests.example_rows import Example, float32


def scattered_densities(rng):
    """A bank with a density of its shape."""
    return scattering3d.filter_bank((6, 5, 4), 1, 1), float32(rng, 6, 5, 4)


def atoms(rng):
    """Charges and positions of some atoms."""
    return np.float32(rng.integers(1, 9, 3)), np.float32(rng.uniform(-1, 1, (3, 3)))


EXAMPLES: list[Example] = [
    Example(
        scattering3d.scatter,
        scattered_densities,
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering3d.density,
        atoms,
        {"shape": (6, 5, 4)},
        leading=(0, 1),
        integer="positions are no whole numbers",
    ),
]


NOT_TRACED: dict[str, str] = {
    "harmonic.scattering3d.banks.filter_bank": "makes filters from sizes",
    "harmonic.scattering3d.coefficients.paths": "a table of what the channels hold",
}
