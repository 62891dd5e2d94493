"""Spectra of symmetric operators: outermost eigenpairs, densities, traces and diagonals.

- `top_eigenpairs`: Lanczos' method with thick restarts;
- `density`: stochastic Lanczos quadrature; from a density, `negative_share` and `effective_rank`;
- `trace` and `diagonal` by Hutchinson's method, `xtrace`.

All take any operator of `jaxtheory.landscape.curvature`. Long computations are also triples whose state is a
pytree of arrays that can be stored: `density_init`, `density_step` and `density_result`; `eigenpairs_init`,
`eigenpairs_step` and `eigenpairs_result`.
"""

from jaxtheory.landscape.spectrum.densities import density, density_init, density_result, density_step
from jaxtheory.landscape.spectrum.eigenpairs import (
    eigenpairs_init,
    eigenpairs_result,
    eigenpairs_step,
    top_eigenpairs,
)
from jaxtheory.landscape.spectrum.estimates import Estimate
from jaxtheory.landscape.spectrum.lanczos import LanczosState
from jaxtheory.landscape.spectrum.quadrature import SpectralDensity
from jaxtheory.landscape.spectrum.restarts import EigenpairsResult, EigenpairsState
from jaxtheory.landscape.spectrum.shares import effective_rank, negative_share
from jaxtheory.landscape.spectrum.traces import DiagonalEstimate, XTraceResult, diagonal, trace, xtrace

__all__ = [
    "DiagonalEstimate",
    "EigenpairsResult",
    "EigenpairsState",
    "Estimate",
    "LanczosState",
    "SpectralDensity",
    "XTraceResult",
    "density",
    "density_init",
    "density_result",
    "density_step",
    "diagonal",
    "effective_rank",
    "eigenpairs_init",
    "eigenpairs_result",
    "eigenpairs_step",
    "negative_share",
    "top_eigenpairs",
    "trace",
    "xtrace",
]
