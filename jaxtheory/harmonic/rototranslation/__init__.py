r"""Scattering on the group of rotations and translations of the plane: joint wavelets of position and angle.

The first layer is that of `scattering2d`: moduli $|x \star \psi_{j, \theta}|$ by position and angle. The
second convolves them along both at once, with wavelets along the angle times wavelets in position that turn
with it. What is averaged over the angles is invariant to rotations; low harmonics of the angle, by their
moduli, too.

- `filter_bank` makes a bank of filters, `paths` says what each channel holds;
- `scatter` gives the coefficients that do not change when the image turns;
- `orbits` gives them by orientation, before they are averaged over it: they turn with the image;
- `average_scales` averages coefficients over scales, against changes of scale.

Conventions: images are `(..., H, W)`, and so are results, with channels before height and width. A bank has L
angles on the half circle and results 2L orientations on the whole one, numbered as the angles of
`scattering2d` and then on: orientation `o + L` is opposite to orientation `o`. The moduli of the first layer
are the same at opposite orientations; those of the second differ, since the responses along the angle are
complex, and a turn by half a circle exchanges an angular wavelet for its conjugate.
"""

from jaxtheory.harmonic.rototranslation.banks import Bank, filter_bank
from jaxtheory.harmonic.rototranslation.channels import Path, average_scales, paths
from jaxtheory.harmonic.rototranslation.coefficients import orbits, scatter

__all__ = ["Bank", "Path", "average_scales", "filter_bank", "orbits", "paths", "scatter"]
