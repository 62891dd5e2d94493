"""Rows of the table of examples: the scattering transform."""

from jaxtheory.harmonic import scattering2d
from tests.example_rows import Example, scattered

EXAMPLES: list[Example] = [
    Example(
        scattering2d.scatter,
        lambda rng: scattered(rng, 10, 12),
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering2d.scatter,
        lambda rng: scattered(rng, 8, 12, padding="periodic", wavelet="spline"),
        {"chunk": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="spline",
    ),
    Example(
        scattering2d.propagate,
        lambda rng: scattered(rng, 10, 12),
        leading=(1,),
        differentiable=(0, 1),
        export="its result is keyed by scales, and exported dictionaries are keyed by strings",
        devices=True,
    ),
    Example(
        scattering2d.cascade,
        lambda rng: scattered(rng, 8, 8, padding="periodic"),
        {"order": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering2d.cascade,
        lambda rng: scattered(rng, 8, 8, padding="periodic", wavelet="spline"),
        {"order": 2, "paths": "decreasing"},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="decreasing",
    ),
]

NOT_TRACED: dict[str, str] = {
    "harmonic.scattering2d.filter_bank": "makes filters from sizes; morlet_bank makes them from arrays",
    "harmonic.scattering2d.paths": "a table of what the channels hold",
}
