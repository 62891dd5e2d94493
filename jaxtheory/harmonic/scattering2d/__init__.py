"""The scattering transform of images: wavelet moduli, averaged, and their energies along paths of any order.

The conventions (reflection at the border, unpadding, filters, order of the channels) are those of Kymatio
0.3's `Scattering2D`. `filter_bank` makes a bank of filters, `scatter` the coefficients, `propagate` the
moduli before they are averaged, `paths` says what each channel holds, and `cascade` sums energies.

Conventions: images are `(..., H, W)`, and so are results, with channels before height and width.
"""

from jaxtheory.harmonic.scattering2d.banks import (
    Bank,
    filter_bank,
    littlewood_paley,
    low_pass_2d,
    padded_shape,
)
from jaxtheory.harmonic.scattering2d.coefficients import Path, paths, propagate, scatter
from jaxtheory.harmonic.scattering2d.energies import CascadeResult, cascade

__all__ = [
    "Bank",
    "CascadeResult",
    "Path",
    "cascade",
    "filter_bank",
    "littlewood_paley",
    "low_pass_2d",
    "padded_shape",
    "paths",
    "propagate",
    "scatter",
]
