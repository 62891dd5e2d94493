r"""The lasso, $\min_z \frac12 \|x - zD\|^2 + \sum_i \lambda_i |z_i|$, for one penalty and along a path.

The objective is that of scikit-learn's `sparse_encode`; its `Lasso` divides the first term by the number of
features.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import AnyArray, Reals, RealScalar
from jaxtheory.sparse import scale
from jaxtheory.sparse.pursuit import operators
from jaxtheory.sparse.pursuit.operators import Dictionary
from jaxtheory.sparse.pursuit.solver import Options, solve
from jaxtheory.sparse.results import LassoResult

REACH = 8
"""The default tolerance in units of the dtype's rounding."""


def lasso(
    dictionary: Dictionary,
    signals: Real[AnyArray, "... features"],
    penalty: Reals,
    *,
    tolerance: RealScalar | None = None,
    max_steps: int = 1000,
    nonnegative: bool = False,
) -> LassoResult:
    r"""Minimize $\frac12 \|x - zD\|^2 + \sum_i \lambda_i |z_i|$ for each signal $x$.

    A signal is done once its duality gap, which bounds how far its objective is above the minimum, is at most
    `tolerance` times its objective. The gap cannot fall below rounding, which is about the dtype's precision
    times the ratio of the largest correlation $|\langle x, d_i \rangle|$ to the penalty; a signal whose gap
    stalls at that level stops as well.

    Codes have the derivative of the exact minimizer on its support with respect to signals, dictionary and
    penalty, in both modes and to any order; the objective has that of the minimum, and the gap has derivative
    zero.

    Args:
        dictionary: The atoms, one in each row, or a pair of functions `(apply, adjoint)`.
        signals: The signals to represent.
        penalty: The weight $\lambda \ge 0$ of the sparsity term: a number, one for each atom, or anything
            that broadcasts to the codes, such as one for each signal with a last axis of 1. An infinite
            weight excludes its atom, and a weight of zero leaves it unpenalized.
        tolerance: The gap at which a signal is done, relative to its objective; 0 or more. By default it is
            what the dtype can reach, and a signal whose gap stalls at the level of rounding counts as
            converged.
        max_steps: The largest number of steps, at least 1; each takes a product with the Gram matrix.
        nonnegative: Whether codes must be nonnegative.

    Returns:
        The codes with their objectives and gaps. A signal with infinities or NaN has codes of NaN, and so has
        one whose penalty is found to be negative or NaN within a compiled program; neither is converged. Nor
        is a signal where a number that counts, such as its objective or a code, is out of the dtype's range.

    Raises:
        ValueError: If shapes do not match, there are no atoms, or a number is out of its range.
        TypeError: If an argument is complex, or is not an array of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> result = pursuit.lasso(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), 0.5)
        >>> result.codes.round(4).tolist(), bool(result.converged)
        ([2.5, 0.0, -1.5], True)

    References:
        Chen, Donoho and Saunders, Atomic decomposition by basis pursuit, 1998.
        Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems,
        2009.
        O'Donoghue and Candès, Adaptive restart for accelerated gradient schemes, 2015.
        Boyd, Parikh, Chu, Peleato and Eckstein, Distributed optimization and statistical learning via the
        alternating direction method of multipliers, 2011.
    """
    given = operators.checked(dictionary, signals, "penalty", penalty)
    operators.check_broadcasts("penalty", given.amount.shape, (*given.signals.shape[:-1], given.atoms))
    options = _options("penalty", penalty, tolerance, max_steps, nonnegative)
    found = _lasso(
        given.dictionary, given.signals, given.amount, tolerance, atoms=given.atoms, options=options
    )
    return given.back(found)


def lasso_path(
    dictionary: Dictionary,
    signals: Real[AnyArray, "... features"],
    penalties: Real[AnyArray, "number ..."],
    *,
    tolerance: RealScalar | None = None,
    max_steps: int = 1000,
    nonnegative: bool = False,
) -> LassoResult:
    r"""Solve the lasso for one penalty after another, each started at the codes of the one before.

    Penalties that fall from $\max_i |\langle x, d_i \rangle|$, above which all codes are zero, reach small
    ones in fewer steps than a lasso that starts from zero.

    Args:
        dictionary: The atoms, one in each row, or a pair of functions `(apply, adjoint)`.
        signals: The signals to represent.
        penalties: The penalties along the first axis, each of them what `lasso` takes.
        tolerance: The gap at which a signal is done, relative to its objective; 0 or more. By default it is
            what the dtype can reach, and a signal whose gap stalls at the level of rounding counts as
            converged.
        max_steps: The largest number of steps for each penalty, at least 1.
        nonnegative: Whether codes must be nonnegative.

    Returns:
        What `lasso` returns, with the penalties as a further first axis.

    Raises:
        ValueError: If shapes do not match, there are no atoms, or a number is out of its range.
        TypeError: If an argument is complex, or is not an array of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> path = pursuit.lasso_path(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), jnp.array([2.5, 1.0]))
        >>> path.codes.round(4).tolist()
        [[0.5, 0.0, 0.0], [2.0, 0.0, -1.0]]

    References:
        Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
        descent, 2010.
    """
    given = operators.checked(dictionary, signals, "penalties", penalties)
    if given.amount.ndim < 1:
        raise ValueError("penalties is one number: take an array with a first axis, or lasso for one penalty")
    codes = (*given.signals.shape[:-1], given.atoms)
    operators.check_broadcasts("penalties", given.amount.shape[1:], codes)
    options = _options("penalties", penalties, tolerance, max_steps, nonnegative)
    found = _lasso_path(
        given.dictionary, given.signals, given.amount, tolerance, atoms=given.atoms, options=options
    )
    return given.back(found)


def _options(
    name: str, penalty: Reals, tolerance: RealScalar | None, max_steps: int, nonnegative: bool
) -> Options:
    """Checks the numbers that the solver takes, and says which program solves the problem."""
    checks.nonnegative(name, penalty)
    if tolerance is not None:
        operators.check_tolerance(tolerance)
    unpenalized = not checks.known(penalty) or bool(np.any(np.asarray(as_array(name, penalty)) == 0))
    return Options(checks.count("max_steps", max_steps), checks.flag("nonnegative", nonnegative), unpenalized)


class _Prepared(NamedTuple):
    """What the lasso shares for all penalties."""

    signals: Float[Array, "... features"]
    rows: Float[Array, "n features"]
    finite: Bool[Array, " n"]
    whole: Bool[Array, " n"]
    """Whether processors read the signal, and the dictionary, without taking small entries for zeros."""
    dictionary: Any
    units: operators.Units
    curvature: Float[Array, ""]
    tolerance: Float[Array, ""]
    slack: Float[Array, ""]

    def solved(self, options: Options, start: Array, penalty: Array) -> tuple[Array, LassoResult]:
        """The codes in the solver's units, and the result in those of the caller."""
        leading, atoms, dtype = self.signals.shape[:-1], start.shape[1], start.dtype
        penalty = _for_each_signal(penalty, (*leading, atoms))
        allowed = jnp.all(penalty >= 0, axis=1)
        weight = self.units.penalties(jnp.where(allowed[:, None], penalty, 1))
        # A penalty that vanishes beside the signal would leave its atom unpenalized.
        held = self.whole & ~scale.flushed(penalty, (1,)) & ~jnp.any((weight == 0) & (penalty > 0), axis=1)
        one = solve(
            options, self.dictionary, self.rows, weight, start, self.tolerance, self.slack, self.curvature
        )
        known = self.finite & allowed
        objective, gap = self.units.squares(one.objective), self.units.squares(one.gap)
        held &= _in_range(objective) | ~jnp.any(one.codes != 0, axis=1)
        nan = jnp.asarray(jnp.nan, dtype)
        codes, kept = self.units.codes(one.codes)
        held &= kept
        codes = jnp.where(known[:, None], codes, nan)
        return lax.stop_gradient(one.codes), LassoResult(
            codes=codes.reshape(*leading, atoms),
            objective=jnp.where(known, objective, nan).reshape(leading),
            gap=jnp.where(known, gap, nan).reshape(leading),
            steps=one.steps.reshape(leading),
            converged=(one.converged & known & held).reshape(leading),
        )


def _prepared(dictionary: Any, signals: Array, tolerance: Any, atoms: int) -> tuple[_Prepared, Array]:
    """What the lasso shares for all penalties, and codes of zero to start from."""
    rows, finite = operators.finite_rows(signals)
    dtype = rows.dtype
    slack = jnp.asarray(tolerance is None, dtype)
    if tolerance is None:
        tolerance = REACH * jnp.finfo(dtype).eps
    whole = operators.read_whole(dictionary, rows)
    dictionary, rows, units = operators.in_units(dictionary, rows, atoms)
    curvature = operators.gram_curvature(lax.stop_gradient(dictionary), atoms, dtype)
    tolerance = jnp.asarray(tolerance, dtype)
    shared = _Prepared(signals, rows, finite, whole, dictionary, units, curvature, tolerance, slack)
    return shared, jnp.zeros((len(rows), atoms), dtype)


@partial(jax.jit, static_argnames=("atoms", "options"))
def _lasso(
    dictionary: Any, signals: Array, penalty: Array, tolerance: Any, *, atoms: int, options: Options
) -> LassoResult:
    """The lasso for one penalty."""
    prepared, start = _prepared(dictionary, signals, tolerance, atoms)
    return prepared.solved(options, start, penalty)[1]


@partial(jax.jit, static_argnames=("atoms", "options"))
def _lasso_path(
    dictionary: Any, signals: Array, penalties: Array, tolerance: Any, *, atoms: int, options: Options
) -> LassoResult:
    """The lasso for each of the penalties, from the codes of the one before."""
    prepared, start = _prepared(dictionary, signals, tolerance, atoms)
    return lax.scan(partial(prepared.solved, options), start, penalties)[1]


def _in_range(values: Float[Array, " n"]) -> Bool[Array, " n"]:
    """Whether numbers have neither overflowed nor underflowed."""
    return jnp.isfinite(values) & (values >= jnp.finfo(values.dtype).tiny)


def _for_each_signal(penalty: Array, codes: tuple[int, ...]) -> Float[Array, "n last"]:
    """The penalty as `(signals, 1 or atoms)`, for codes with leading axes."""
    last = penalty.shape[-1] if penalty.ndim else 1
    return jnp.broadcast_to(penalty, (*codes[:-1], last)).reshape(-1, last)
