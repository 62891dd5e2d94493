r"""Basis pursuit: the codes of least $\|z\|_1$ that represent a signal exactly."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import conjugate_gradients
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.sparse.pursuit import operators
from jaxtheory.sparse.pursuit.operators import Dictionary
from jaxtheory.sparse.pursuit.solver import Options, solve
from jaxtheory.sparse.results import LassoResult

ROUNDS = 100
"""The largest number of lasso problems that one basis pursuit solves."""

FIRST_PENALTY = 0.1
"""The first penalty, relative to the one above which all codes are zero."""

DECAY = 0.7
"""Each penalty relative to the one before: a small one ends sooner, and is harder to start with."""

LEAST_PENALTY = 16
"""The smallest penalty in units of the root of the dtype's rounding: dual points round by its inverse."""

REACH = 1 / 500
"""The default tolerance in units of the cube root of the dtype's rounding (measured)."""


def basis_pursuit(
    dictionary: Dictionary,
    signals: Real[AnyArray, "... features"],
    *,
    tolerance: RealScalar | None = None,
    max_steps: int = 1000,
) -> LassoResult:
    r"""Minimize $\|z\|_1$ over the codes that represent the signal exactly: $zD = x$.

    It is solved as lasso problems of falling penalties. To each of them the residual of the one before, in
    proportion to the penalties, is added back to the signal (Bregman iteration), which ends after finitely
    many problems. A signal is done once its residual is at most `tolerance` times its norm and its gap at
    most `tolerance` times $\|z\|_1$.

    Codes have the derivative of the representation on their support with respect to signals and dictionary,
    in both modes and to any order. It is that of the minimizer where as many codes are nonzero as there are
    features; where fewer are, up to the default tolerance, least squares leaves out what changes off the span
    of their atoms. The objective has the derivative of $\|z\|_1$, and the gap has derivative zero.

    Args:
        dictionary: The atoms, one in each row, or a pair of functions `(apply, adjoint)`.
        signals: The signals to represent.
        tolerance: The residual relative to the signal's norm, and the gap relative to $\|z\|_1$, at which a
            signal is done; 0 or more. By default it is what the dtype can reach, 1e-5 in single precision and
            1e-8 in double.
        max_steps: The largest number of steps for one lasso problem, at least 1.

    Returns:
        The codes; the objective is $\|z\|_1$, and the gap is how far it is above the value of a dual point. A
        signal outside what the atoms span is not converged, nor is one with numbers out of the dtype's range.

    Raises:
        ValueError: If shapes do not match, there are no atoms, or a number is out of its range.
        TypeError: If an argument is complex, or is not an array of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> dictionary = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> pursuit.basis_pursuit(dictionary, jnp.array([1.2, 1.6])).codes.round(4).tolist()
        [0.0, 0.0, 2.0]

    References:
        Chen, Donoho and Saunders, Atomic decomposition by basis pursuit, 1998.
        Yin, Osher, Goldfarb and Darbon, Bregman iterative algorithms for l1-minimization, 2008.
    """
    given = operators.checked(dictionary, signals, "tolerance", tolerance)
    max_steps = checks.count("max_steps", max_steps)
    if tolerance is not None:
        operators.check_tolerance(tolerance)
    return given.back(
        _basis_pursuit(
            given.dictionary,
            given.signals,
            given.amount,
            atoms=given.atoms,
            options=Options(max_steps, False),
        )
    )


@partial(jax.jit, static_argnames=("atoms", "options"))
def _basis_pursuit(
    dictionary: Any, signals: Float[Array, "... features"], tolerance: Any, *, atoms: int, options: Options
) -> LassoResult:
    """Bregman iteration for all signals at once."""
    rows, finite = operators.finite_rows(signals)
    dtype, leading = rows.dtype, signals.shape[:-1]
    if tolerance is None:
        tolerance = REACH * jnp.cbrt(jnp.finfo(dtype).eps)
    whole = operators.read_whole(dictionary, rows)
    dictionary, rows, units = operators.in_units(dictionary, rows, atoms)
    codes, gap, steps, done = _iterated((atoms, options), dictionary, rows, lax.stop_gradient(tolerance))
    (codes, held), (gap, _) = units.codes(codes), units.codes(gap[:, None])
    gap, objective = gap[:, 0], jnp.sum(jnp.abs(codes), axis=1)
    held &= whole & jnp.isfinite(objective)
    return LassoResult(
        codes=jnp.where(finite[:, None], codes, jnp.nan).reshape(*leading, atoms),
        objective=jnp.where(finite, objective, jnp.nan).reshape(leading),
        gap=jnp.where(finite, gap, jnp.nan).reshape(leading),
        steps=steps.reshape(leading),
        converged=(done & finite & held).reshape(leading),
    )


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _iterated(
    facts: tuple[int, Options], dictionary: Any, rows: Float[Array, "n features"], tolerance: Array
) -> tuple[Array, Array, Array, Array]:
    """The codes, their gaps and numbers of steps, and which signals are done, of a problem near one."""
    (atoms, options), dtype = facts, rows.dtype
    root = jnp.sqrt(jnp.finfo(dtype).eps)
    apply, adjoint = operators.functions(dictionary)
    curvature = operators.gram_curvature(dictionary, atoms, dtype)
    largest = jnp.max(jnp.abs(adjoint(rows)), axis=1)
    largest = jnp.where(largest > 0, largest, 1)[:, None]
    norm = jnp.linalg.norm(rows, axis=1)
    # Each problem is solved down to rounding: a gap bounds only the square of the residual.
    zero = jnp.zeros((), dtype)

    def one_problem(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        count, codes, dual, gap, steps, done = carry
        penalty = jnp.maximum(FIRST_PENALTY * DECAY ** count.astype(dtype), LEAST_PENALTY * root) * largest
        target = jnp.where(done[:, None], 0, rows + penalty * dual)
        start = jnp.where(done[:, None], 0, codes)
        new = solve(options, dictionary, target, penalty, start, zero, zero, curvature)
        left = target - apply(new.codes)
        dual = left / jnp.maximum(penalty, jnp.max(jnp.abs(adjoint(left)), axis=1, keepdims=True))
        length = jnp.sum(jnp.abs(new.codes), axis=1)
        distance = length - jnp.sum(rows * dual, axis=1)
        missing = jnp.linalg.norm(rows - apply(new.codes), axis=1)
        near = (jnp.abs(distance) <= tolerance * length) & (missing <= tolerance * norm)
        codes = jnp.where(done[:, None], codes, new.codes)
        gap, steps = jnp.where(done, gap, distance), steps + jnp.where(done, 0, new.steps)
        return count + 1, codes, dual, gap, steps, done | near

    def goes_on(carry: tuple[Array, ...]) -> Array:
        return (carry[0] < ROUNDS) & ~jnp.all(carry[-1])

    zeros = jnp.zeros(len(rows), dtype)
    start = (
        jnp.zeros((), int),
        jnp.zeros((len(rows), atoms), dtype),
        jnp.zeros_like(rows),
        zeros,
        jnp.zeros(len(rows), int),
        norm == 0,
    )
    _, codes, _, gap, steps, done = lax.while_loop(goes_on, one_problem, start)
    return codes, gap, steps, done


@_iterated.defjvp
def _iterated_jvp(
    facts: tuple[int, Options], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    """Differentiates what holds on the support, where codes represent the signal, by least squares."""
    codes, *rest = _iterated(facts, *primals)
    sizes = jnp.abs(lax.stop_gradient(codes))
    # Codes smaller than what is told from zero would make a support of rounding.
    on = sizes > REACH * jnp.cbrt(jnp.finfo(codes.dtype).eps) * jnp.sum(sizes, axis=1, keepdims=True)

    def misfit(dictionary: Any, rows: Array) -> Array:
        return rows - operators.functions(dictionary)[0](codes)

    _, target = jax.jvp(misfit, primals[:2], tangents[:2])
    _, adjoint = operators.functions(primals[0])
    product = operators.gram_product(primals[0], len(codes))

    def within(v: Array) -> Array:
        return jnp.where(on, product(jnp.where(on, v, 0)), v)

    target = jnp.where(on, adjoint(target), 0)
    moved = lax.custom_linear_solve(within, target, conjugate_gradients, symmetric=True)
    gap, *counts = rest
    still = [np.zeros(leaf.shape, jax.dtypes.float0) for leaf in counts]
    return (codes, *rest), (moved, jnp.zeros_like(gap), *still)
