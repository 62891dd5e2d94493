r"""Deformations of signals, images and densities, and how large they are: $L_\tau x(u) = x(u - \tau(u))$.

`warp` moves the pixels of images by any displacement, `translate`, `dilate` and `rotate` by those of their
names; `displacement_norms` measures a displacement, and `random_displacement` draws one. `warp_signal`,
`translate_signal` and `dilate_signal` do the same in time. `translate_density` and `rotate_density` move
densities of three dimensions, `rotate_positions` the atoms of a molecule, and `rotation_matrix` turns about
an axis.

Conventions: signals are `(..., N)`, images `(..., H, W)`, densities `(..., M, N, O)`, positions
`(..., atoms, 3)`; a displacement $\tau$ of an image is `(..., 2, H, W)` in pixels. Leading axes broadcast.
What lies between pixels or samples is the cubic spline through them; a translation of what is periodic is
exact.
"""

from jaxtheory.harmonic.deformation.densities import (
    rotate_density,
    rotate_positions,
    rotation_matrix,
    translate_density,
)
from jaxtheory.harmonic.deformation.displacements import (
    DisplacementNorms,
    displacement_norms,
    random_displacement,
)
from jaxtheory.harmonic.deformation.signals import dilate_signal, translate_signal, warp_signal
from jaxtheory.harmonic.deformation.warps import dilate, dilation, rotate, rotation, translate, warp

__all__ = [
    "DisplacementNorms",
    "dilate",
    "dilate_signal",
    "dilation",
    "displacement_norms",
    "random_displacement",
    "rotate",
    "rotate_density",
    "rotate_positions",
    "rotation",
    "rotation_matrix",
    "translate",
    "translate_density",
    "translate_signal",
    "warp",
    "warp_signal",
]
