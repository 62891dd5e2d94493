"""The solid harmonic scattering transform of densities: wavelet moduli that turn with them, integrated.

The conventions (filters, their normalization, order of the channels) are those of Kymatio 0.3's
`HarmonicScattering3D`. `filter_bank` makes a bank of filters, `scatter` the coefficients, and `paths` says
what each channel holds; `density` makes densities of molecules.

Conventions: densities are `(..., M, N, O)` and periodic, and coefficients `(..., C, powers)`. Widths and
positions are in pixels.
"""

from jaxtheory.harmonic.scattering3d.banks import Bank, filter_bank
from jaxtheory.harmonic.scattering3d.coefficients import Path, paths, scatter
from jaxtheory.harmonic.scattering3d.densities import density

__all__ = ["Bank", "Path", "density", "filter_bank", "paths", "scatter"]
