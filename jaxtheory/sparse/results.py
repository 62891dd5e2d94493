"""Results of sparse solvers, whatever form their dictionary has.

Conventions: `...` are the leading axes of the signals. Codes of a matrix dictionary are `(..., atoms)`, those
of filters `(..., H, W, atoms)` or `(..., length, atoms)`; every other field has one entry for each signal.
"""

from jaxtyping import Array, Bool, Float, Int

from jaxtheory.core.records import record


@record
class LassoResult:
    """Sparse codes that minimize a penalized objective, with a certificate of how good they are."""

    codes: Float[Array, "..."]
    """The coefficients of the atoms."""
    objective: Float[Array, "..."]
    """The value of the objective at the codes."""
    gap: Float[Array, "..."]
    """The duality gap, which bounds how far the objective is above its minimum."""
    steps: Int[Array, "..."]
    """The number of steps taken."""
    converged: Bool[Array, "..."]
    """Whether the gap came down to the tolerance."""


@record
class GreedyResult:
    """Codes that are built from one atom after another."""

    codes: Float[Array, "... atoms"]
    """The coefficients of the atoms."""
    support: Int[Array, "... chosen"]
    """The chosen atoms in the order of their choice; -1 where no atom was chosen."""
    residual: Float[Array, "..."]
    """The norm of the part of the signal that the codes leave unexplained."""
    steps: Int[Array, "..."]
    """The number of atoms chosen."""
    in_range: Bool[Array, "..."]
    """Whether the signal is finite, and the dtype holds it, the atoms, the codes and the residual."""
