"""Rows of the table of examples: the scattering transform."""

from jaxtheory.harmonic import scattering2d, wavelets
from tests.example_rows import Example, scattered

ONE_BANK = "one bank at a time: its filters are those of one shape and one set of scales"
NO_IMAGES = "it takes filters only, which are no whole numbers"

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
        lambda rng: scattered(rng, 8, 12, boundary="periodic", wavelet=wavelets.spline),
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
        lambda rng: scattered(rng, 8, 8, boundary="periodic"),
        {"order": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering2d.cascade,
        lambda rng: scattered(rng, 8, 8, boundary="periodic", wavelet=wavelets.spline),
        {"order": 2, "paths": "decreasing"},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="decreasing",
    ),
    Example(
        scattering2d.low_pass_2d,
        lambda rng: scattered(rng, 8, 12)[:1],
        leading=(),
        differentiable=(0,),
        vmap=ONE_BANK,
        integer=NO_IMAGES,
    ),
    Example(
        scattering2d.littlewood_paley,
        lambda rng: scattered(rng, 8, 12)[:1],
        leading=(),
        differentiable=(0,),
        vmap=ONE_BANK,
        integer=NO_IMAGES,
    ),
]


NOT_TRACED: dict[str, str] = {
    "harmonic.scattering2d.banks.filter_bank": "makes filters from sizes; wavelets.morlet has its row",
    "harmonic.scattering2d.banks.padded_shape": "sizes from sizes",
    "harmonic.scattering2d.coefficients.paths": "a table of what the channels hold",
}
