"""Scattering spectra of stationary signals and images: correlations of wavelet responses and their moduli.

Responses of wavelets at different scales are uncorrelated, whatever they have to do with each other; with
their moduli they are not. `filter_bank` makes a bank of wavelets, `estimate` the spectra as averages over a
signal or an image, `paths` says what each coefficient is, `flatten` puts them into one vector, and `average`
makes them invariant to rotations or to scaling.

Conventions: signals are `(..., N)` and images `(..., H, W)`. A wavelet's number is `scale * L + angle`, with
one angle for signals; among wavelets, a lower number is of the same scale or of a finer one.
"""

from jaxtheory.harmonic.spectra.banks import Bank, filter_bank
from jaxtheory.harmonic.spectra.coefficients import Spectra, estimate
from jaxtheory.harmonic.spectra.reductions import average, flatten
from jaxtheory.harmonic.spectra.tables import Path, paths

__all__ = ["Bank", "Path", "Spectra", "average", "estimate", "filter_bank", "flatten", "paths"]
