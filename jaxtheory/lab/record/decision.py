"""How measurements decide a claim: Student's t, with the error rate bounded for the claim as a whole.

A claim of several rows holds if each row is inside its limits by more than t(0.975, n - 1) standard
errors: as all must be, no correction is due (an intersection-union test). It fails if one row is outside by
more than t(1 - 0.025 / rows, n - 1) standard errors (Bonferroni). If neither is so, it is a tie. So a claim
whose true differences are zero is decided in at most 5 % of all cases, 2.5 % a side.

A claim that a measurement agrees with a published figure holds if each row is within the figure's own
allowance (its slack or its sampling error), and fails if one is outside by more than t standard errors.
"""

import enum

import numpy as np
from jaxtyping import Real

Numbers = Real[np.ndarray, "..."] | int | float
"""Real numbers of any shape, or one number."""

LEVEL = 0.025
"""The probability that chance alone puts a claim on one side."""


class Verdict(enum.StrEnum):
    """What the measurement says of the claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    TIE = "tie"
    UNTESTED = "not tested"


def quantile(n: Numbers, rows: int = 1) -> np.ndarray:
    """Return Student's quantile at 1 - `LEVEL` / rows, with n - 1 degrees of freedom.

    Args:
        n: Numbers of draws; with fewer than two the normal quantile is returned.
        rows: The number of rows that share the level.

    Returns:
        The quantiles, in the shape of `n`.
    """
    from scipy import special

    n, upper = np.asarray(n), 1 - LEVEL / rows
    return np.where(n > 1, special.stdtrit(np.maximum(n - 1, 1), upper), special.ndtri(upper))


def decide(room: Numbers, standard_error: Numbers, n: Numbers, *, strict: bool = True) -> np.ndarray:
    """Return the verdicts of claims of paired differences, or of agreement with published figures.

    Args:
        room: `(..., rows)`, the distance of each row from its nearest limit, negative outside.
        standard_error: `(..., rows)`, its standard error. An error of 0 decides nothing: where differences
            are whole numbers, a few of them are often equal by chance.
        n: `(..., rows)`, the number of pairs.
        strict: Whether a row must be inside by more than its error for the claim to hold; otherwise it is
            enough that it is inside.

    Returns:
        `(...,)`: 1 where the claim holds, -1 where it fails, 0 for a tie.
    """
    room, error, n = np.broadcast_arrays(room, standard_error, n)
    inside = (room > quantile(n) * error) & (error > 0) if strict else room >= 0
    outside = (-room > quantile(n, room.shape[-1]) * error) & (error > 0)
    return np.where(inside.all(-1), 1, np.where(outside.any(-1), -1, 0))
