"""Rows of the table of examples: deformations."""

import jax

from jaxtheory.harmonic import deformation
from tests.example_rows import Example, float32

A_KEY = "it takes a key and two numbers, and no arrays"

EXAMPLES: list[Example] = [
    Example(
        deformation.warp,
        lambda rng: (float32(rng, 9, 12), 2 * float32(rng, 2, 9, 12)),
        leading=(0, 1),
    ),
    Example(
        deformation.warp,
        lambda rng: (float32(rng, 9, 12), 2 * float32(rng, 2, 9, 12)),
        {"boundary": "reflect"},
        leading=(0, 1),
        name="reflect",
    ),
    Example(deformation.translate, lambda rng: (float32(rng, 9, 12), float32(rng, 2)), leading=(0, 1)),
    Example(deformation.dilate, lambda rng: (float32(rng, 9, 12), float32(rng)), leading=(0, 1)),
    Example(deformation.rotate, lambda rng: (float32(rng, 9, 12), float32(rng)), leading=(0, 1)),
    Example(deformation.dilation, lambda rng: (float32(rng),), {"shape": (9, 12)}),
    Example(deformation.rotation, lambda rng: (float32(rng),), {"shape": (9, 12)}),
    Example(deformation.warp_signal, lambda rng: (float32(rng, 9), float32(rng, 9)), leading=(0, 1)),
    Example(deformation.translate_signal, lambda rng: (float32(rng, 9), float32(rng)), leading=(0, 1)),
    Example(deformation.dilate_signal, lambda rng: (float32(rng, 9), float32(rng)), leading=(0, 1)),
    Example(deformation.rotation_matrix, lambda rng: (float32(rng, 3),)),
    Example(
        deformation.rotate_positions, lambda rng: (float32(rng, 4, 3), float32(rng, 3, 3)), leading=(0, 1)
    ),
    Example(
        deformation.rotate_density, lambda rng: (float32(rng, 3, 4, 5), float32(rng, 3, 3)), leading=(0, 1)
    ),
    Example(
        deformation.translate_density, lambda rng: (float32(rng, 3, 4, 5), float32(rng, 3)), leading=(0, 1)
    ),
    Example(deformation.displacement_norms, lambda rng: (float32(rng, 2, 9, 12),), {"boundary": "periodic"}),
    Example(
        deformation.displacement_norms,
        lambda rng: (float32(rng, 2, 9, 12),),
        {"boundary": "reflect"},
        name="differences",
    ),
    Example(
        deformation.random_displacement,
        lambda rng: (jax.random.key(int(rng.integers(1 << 30))),),
        {"shape": (9, 12), "smoothness": 2.0, "max_gradient": 0.25},
        vmap="one key, one draw: map over the keys",
        grad="a draw has no derivative in its key",
        x64="double precision draws other numbers",
        integer=A_KEY,
        half=A_KEY,
    ),
]

PART_OF_SCATTERING = "a part of the scattering transforms, which have their rows"

NOT_TRACED: dict[str, str] = {
    "harmonic.chunks.by_platform": PART_OF_SCATTERING,
    "harmonic.chunks.in_parts": PART_OF_SCATTERING,
    "harmonic.chunks.in_steps": PART_OF_SCATTERING,
    "harmonic.chunks.side_by_side": PART_OF_SCATTERING,
    "harmonic.magnitudes.modulus": PART_OF_SCATTERING,
    "harmonic.magnitudes.scaled": PART_OF_SCATTERING,
    "harmonic.interpolation.displaced": "a part of warp, which has its rows",
    "harmonic.interpolation.spline_coefficients": "a part of warp, which has its rows",
    "harmonic.interpolation.translated": "a part of translate, which has its rows",
}
