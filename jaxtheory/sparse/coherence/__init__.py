r"""Coherence of dictionaries, and what it guarantees: uniqueness, recovery and stability of sparse codes.

Conventions: a dictionary is `(..., atoms, features)`, one atom per row of unit norm, real or complex; filters
are `(height, width, channels, atoms)` or `(length, channels, atoms)`, and real. The mutual coherence $\mu$ is
the largest $|\langle d_i, d_j \rangle|$ of two atoms, from 0 to 1.

Example:
    >>> from jaxtheory.sparse import coherence
    >>> mu = coherence.mutual_coherence(coherence.hadamard_dirac(256))
    >>> coherence.uniqueness_sparsity(mu)
    Array(8.5, dtype=float32)
"""

from jaxtheory.sparse.coherence.cosines import (
    babel,
    mutual_coherence,
    shift_coherence,
    spark_bound,
    stripe_sparsity,
)
from jaxtheory.sparse.coherence.frames import (
    gaussian,
    grassmannian,
    hadamard_dirac,
    hadamard_dirac_operators,
    welch_bound,
)
from jaxtheory.sparse.coherence.guarantees import (
    basis_pursuit_error,
    omp_error,
    omp_sparsity,
    stability_error,
    thresholding_sparsity,
    uniqueness_sparsity,
)

__all__ = [
    "babel",
    "basis_pursuit_error",
    "gaussian",
    "grassmannian",
    "hadamard_dirac",
    "hadamard_dirac_operators",
    "mutual_coherence",
    "omp_error",
    "omp_sparsity",
    "shift_coherence",
    "spark_bound",
    "stability_error",
    "stripe_sparsity",
    "thresholding_sparsity",
    "uniqueness_sparsity",
    "welch_bound",
]
