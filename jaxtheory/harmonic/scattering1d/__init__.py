"""The scattering transform of signals: wavelet moduli, averaged.

The conventions (reflection at the ends, unpadding, filters, order of the channels) are those of Kymatio 0.3's
`Scattering1D`. `filter_bank` makes a bank of filters, `scatter` the coefficients, `propagate` the moduli
before they are averaged, and `paths` says what each channel holds. `scatter_recording` transforms what is too
long for one array, block by block; `stream` is the pair of functions beneath.

Conventions: signals are `(..., N)`, and so are results, with channels before time. Frequencies are in cycles
per sample.
"""

from jaxtheory.harmonic.scattering1d.banks import Bank, filter_bank, littlewood_paley
from jaxtheory.harmonic.scattering1d.coefficients import Path, paths, propagate, scatter
from jaxtheory.harmonic.scattering1d.recordings import Stream, StreamState, scatter_recording, stream

__all__ = [
    "Bank",
    "Path",
    "Stream",
    "StreamState",
    "filter_bank",
    "littlewood_paley",
    "paths",
    "propagate",
    "scatter",
    "scatter_recording",
    "stream",
]
