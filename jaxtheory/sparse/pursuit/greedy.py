"""Greedy pursuits: codes that are built from one atom after another.

Selecting atoms has no derivative: the codes of `thresholding` and `orthogonal_matching_pursuit` have that of
least squares on their support, those of `matching_pursuit` that of their steps. A residual at the level of
rounding counts as zero: the atoms that would be chosen from it are chosen by rounding.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Bool, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.sparse import scale
from jaxtheory.sparse.pursuit import operators
from jaxtheory.sparse.pursuit.batching import Solver, with_batches
from jaxtheory.sparse.pursuit.operators import Dictionary
from jaxtheory.sparse.results import GreedyResult

EXACT = 8
"""A residual is zero at this multiple of rounding, relative to the signal's norm."""

DEPENDENT = 100
"""An atom depends on others if its squared distance from their span is at most this multiple of rounding."""


def thresholding(
    dictionary: Dictionary, signals: Real[AnyArray, "... features"], *, sparsity: int
) -> GreedyResult:
    r"""Represent each signal by least squares on the atoms that correlate most with it.

    The atoms are those of the largest $|\langle x, d_i \rangle| / \|d_i\|$, chosen all at once.

    Args:
        dictionary: The atoms, one in each row, or a pair of functions `(apply, adjoint)`.
        signals: The signals to represent.
        sparsity: The number of atoms to choose, from 1 to their number; atoms that depend on those chosen
            before give way to the next.

    Returns:
        The codes, the support with the most correlated atom first, and the residual's norm. A signal with
        infinities or NaN has no support.

    Raises:
        ValueError: If shapes do not match, there are no atoms, or the sparsity is out of range.
        TypeError: If an argument is complex or not an array of numbers, or the sparsity is not a whole
            number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> pursuit.thresholding(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), sparsity=2).codes.tolist()
        [3.0, 0.0, -2.0]

    References:
        Elad, Sparse and redundant representations, 2010, section 3.1.4.
    """
    given = operators.checked(dictionary, signals, "tolerance", None)
    sparsity = checks.count("sparsity", sparsity, most=given.atoms)
    found = _orthogonal(
        given.dictionary, given.signals, 0.0, atoms=given.atoms, sparsity=sparsity, at_once=True
    )
    return given.back(found)


def orthogonal_matching_pursuit(
    dictionary: Dictionary,
    signals: Real[AnyArray, "... features"],
    *,
    sparsity: int,
    tolerance: RealScalar = 0.0,
) -> GreedyResult:
    r"""Represent each signal by one atom after another, with least squares on those chosen so far.

    Each step chooses the atom of the largest $|\langle r, d_i \rangle| / \|d_i\|$ with the residual $r$, and
    takes the part of it that is orthogonal to the atoms chosen before out of the residual. A Cholesky
    factorization of the chosen atoms' Gram matrix gives the codes, which are differentiable on their support.

    Args:
        dictionary: The atoms, one in each row, or a pair of functions `(apply, adjoint)`.
        signals: The signals to represent.
        sparsity: The largest number of atoms, from 1 to their number.
        tolerance: The norm of the residual, 0 or more, at which a signal is done; it is done as well when the
            residual is at the level of rounding.

    Returns:
        The codes, the support in the order of choice, and the residual's norm. A signal with infinities or
        NaN has no support.

    Raises:
        ValueError: If shapes do not match, there are no atoms, or a number is out of its range.
        TypeError: If an argument is complex or not an array of numbers, or the sparsity is not a whole
            number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> dictionary = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> result = pursuit.orthogonal_matching_pursuit(dictionary, jnp.array([1.2, 1.6]), sparsity=1)
        >>> result.codes.round(4).tolist(), result.support.tolist()
        ([0.0, 0.0, 2.0], [2])

    References:
        Pati, Rezaiifar and Krishnaprasad, Orthogonal matching pursuit, 1993.
        Rubinstein, Zibulevsky and Elad, Efficient implementation of the K-SVD algorithm using batch
        orthogonal matching pursuit, 2008.
    """
    given = operators.checked(dictionary, signals, "tolerance", tolerance)
    sparsity = checks.count("sparsity", sparsity, most=given.atoms)
    operators.check_tolerance(tolerance)
    found = _orthogonal(
        given.dictionary, given.signals, given.amount, atoms=given.atoms, sparsity=sparsity, at_once=False
    )
    return given.back(found)


def matching_pursuit(
    dictionary: Dictionary, signals: Real[AnyArray, "... features"], *, steps: int
) -> GreedyResult:
    r"""Represent each signal by one atom after another, each with the part of the residual along it.

    A step adds $\langle r, d_i \rangle / \|d_i\|^2$ to the code of the atom of the largest
    $|\langle r, d_i \rangle| / \|d_i\|$; an atom may be chosen again.

    Args:
        dictionary: The atoms, one in each row, or a pair of functions `(apply, adjoint)`.
        signals: The signals to represent.
        steps: The largest number of steps, at least 1; a signal is done when its residual is at the level of
            rounding.

    Returns:
        The codes, the atoms in the order of choice, and the residual's norm. A signal with infinities or NaN
        has no support.

    Raises:
        ValueError: If shapes do not match, there are no atoms, or there are no steps to take.
        TypeError: If an argument is complex or not an array of numbers, or the number of steps is not a whole
            number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> result = pursuit.matching_pursuit(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), steps=2)
        >>> result.codes.tolist(), result.support.tolist()
        ([3.0, 0.0, -2.0], [0, 2])

    References:
        Mallat and Zhang, Matching pursuits with time-frequency dictionaries, 1993.
    """
    given = operators.checked(dictionary, signals, "tolerance", None)
    steps = checks.count("steps", steps)
    return given.back(_matching(given.dictionary, given.signals, atoms=given.atoms, steps=steps))


@partial(jax.jit, static_argnames=("atoms", "sparsity", "at_once"))
def _orthogonal(
    dictionary: Any,
    signals: Float[Array, "... features"],
    tolerance: Any,
    *,
    atoms: int,
    sparsity: int,
    at_once: bool,
) -> GreedyResult:
    """Least squares on supports that are chosen atom after atom, or all at once."""
    rows, finite = operators.finite_rows(signals)
    whole = finite & operators.read_whole(dictionary, rows, each=True)
    dictionary, rows, units = operators.in_units(dictionary, rows, atoms, each=True)
    dtype, count = rows.dtype, len(rows)
    goal = scale.shifted(jnp.asarray(tolerance, dtype), -units.signals[:, 0])
    selected = partial(_selected, (atoms, sparsity, at_once))
    if not isinstance(dictionary, tuple):
        selected = _selector(atoms, sparsity, at_once)
    support, steps = selected(*lax.stop_gradient(((dictionary,), (rows, goal))))

    def at(chosen: Int[Array, " n"]) -> Array:
        atom = operators.take_atoms(dictionary, chosen, atoms, dtype)
        return jnp.where(chosen[:, None] < 0, 0, atom)

    chosen = lax.map(at, support.T).transpose(1, 0, 2)
    gram = jnp.einsum("nkf,nlf->nkl", chosen, chosen, precision="highest")
    gram = gram + (support < 0)[..., None] * jnp.eye(sparsity, dtype=dtype)
    correlations = jnp.einsum("nkf,nf->nk", chosen, rows, precision="highest")
    factor = cho_factor(gram, lower=True)
    values = cho_solve(factor, correlations[..., None])[..., 0]
    codes = jnp.zeros((count, atoms), dtype)
    codes = codes.at[jnp.arange(count)[:, None], support].add(jnp.where(support < 0, 0, values))
    residual = rows - jnp.einsum("nk,nkf->nf", values, chosen, precision="highest")
    return _finished(signals, (finite, whole), units, codes, support, residual, steps)


@cache
def _selector(atoms: int, sparsity: int, at_once: bool) -> Solver:
    """The choice of atoms, with a rule for batches."""
    return with_batches(partial(_selected, (atoms, sparsity, at_once)))


def _selected(
    options: tuple[int, int, bool], shared: tuple[Any], rows: tuple[Array, Array]
) -> tuple[Int[Array, "n sparsity"], Int[Array, " n"]]:
    """The atoms in the order of their choice, -1 where there is none, and how many there are."""
    atoms, sparsity, at_once = options
    (dictionary,), (signals, goal) = shared, rows
    count, dtype = len(signals), signals.dtype
    eps = jnp.finfo(dtype).eps
    _, adjoint = operators.functions(dictionary)
    inverse_norms = _inverse_norms(dictionary, atoms, dtype)
    every = jnp.arange(count)
    norm = jnp.linalg.norm(signals, axis=1)
    # Thresholding takes its atoms whatever is left.
    goal = jnp.zeros_like(goal) if at_once else jnp.maximum(goal, EXACT * eps * norm)

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        k, basis, support, residual, steps, barred, live = carry
        merit = jnp.where(barred, -1, inverse_norms * jnp.abs(adjoint(signals if at_once else residual)))
        best = jnp.argmax(merit, axis=1)
        new = operators.take_atoms(dictionary, best, atoms, dtype) * inverse_norms[best][:, None]
        for _ in range(2):  # the second time takes out what rounding left in
            within = jnp.einsum("nkf,nf->nk", basis, new, precision="highest")
            new = new - jnp.einsum("nk,nkf->nf", within, basis, precision="highest")
        left = jnp.sum(new**2, axis=1)
        # What is left of an atom that depends on the others is rounding.
        takes = live & (left > DEPENDENT * eps) & (merit[every, best] > 0)
        unit = jnp.where(takes, 1 / jnp.sqrt(jnp.where(takes, left, 1)), 0)[:, None] * new
        residual = residual - jnp.sum(residual * unit, axis=1, keepdims=True) * unit
        # All at once, an atom that depends on others only gives way to the next.
        goes_on = at_once | (takes & (jnp.linalg.norm(residual, axis=1) > goal))
        return (
            k + 1,
            basis.at[:, k].set(unit),
            support.at[:, k].set(jnp.where(takes, best, -1)),
            residual,
            steps + takes,
            barred.at[every, best].set(True),
            live & goes_on,
        )

    start = (
        jnp.zeros((), int),
        jnp.zeros((count, sparsity, signals.shape[1]), dtype),
        jnp.full((count, sparsity), -1),
        signals,
        jnp.zeros(count, int),
        jnp.zeros((count, atoms), bool),
        norm > goal,
    )
    carry = lax.while_loop(lambda carry: (carry[0] < sparsity) & jnp.any(carry[-1]), step, start)
    return carry[2], carry[4]


@partial(jax.jit, static_argnames=("atoms", "steps"))
def _matching(
    dictionary: Any, signals: Float[Array, "... features"], *, atoms: int, steps: int
) -> GreedyResult:
    """The steps of matching pursuit."""
    rows, finite = operators.finite_rows(signals)
    whole = finite & operators.read_whole(dictionary, rows, each=True)
    dictionary, rows, units = operators.in_units(dictionary, rows, atoms, each=True)
    dtype, count = rows.dtype, len(rows)
    _, adjoint = operators.functions(dictionary)
    inverse_norms = _inverse_norms(lax.stop_gradient(dictionary), atoms, dtype)
    every = jnp.arange(count)
    exact = (EXACT * jnp.finfo(dtype).eps) ** 2 * jnp.sum(lax.stop_gradient(rows) ** 2, axis=1)

    def step(k: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        codes, support, residual, taken = carry
        fixed = lax.stop_gradient(residual)
        merit = inverse_norms * jnp.abs(adjoint(fixed))
        best = jnp.argmax(merit, axis=1)
        takes = (merit[every, best] > 0) & (jnp.sum(fixed**2, axis=1) > exact)
        atom = operators.take_atoms(dictionary, best, atoms, dtype)
        square = jnp.where(takes, jnp.sum(atom**2, axis=1), 1)
        value = jnp.where(takes, jnp.sum(residual * atom, axis=1) / square, 0)
        codes = codes.at[every, best].add(value)
        support = support.at[:, k].set(jnp.where(takes, best, -1))
        return codes, support, residual - value[:, None] * atom, taken + takes

    start = (jnp.zeros((count, atoms), dtype), jnp.full((count, steps), -1), rows, jnp.zeros(count, int))
    codes, support, residual, taken = lax.fori_loop(0, steps, step, start)
    return _finished(signals, (finite, whole), units, codes, support, residual, taken)


def _inverse_norms(dictionary: Any, atoms: int, dtype: Any) -> Float[Array, " atoms"]:
    """One over the norms of the atoms, and zero for an atom of zeros."""
    norms = operators.atom_norms(dictionary, atoms, dtype)
    return jnp.where(norms > 0, 1 / jnp.where(norms > 0, norms, 1), 0)


def _finished(
    signals: Float[Array, "... features"],
    known: tuple[Bool[Array, " n"], Bool[Array, " n"]],
    units: operators.Units,
    codes: Array,
    support: Array,
    residual: Array,
    steps: Array,
) -> GreedyResult:
    """The result in the units and leading axes of the signals."""
    leading, (finite, whole) = signals.shape[:-1], known
    squared_norm = jnp.sum(residual**2, axis=1)
    # The derivative of a norm of zero is taken for zero.
    norm = jnp.sqrt(jnp.where(squared_norm > 0, squared_norm, 1)) * (squared_norm > 0)
    codes, held = units.codes(codes)
    left = scale.shifted(norm, units.signals[:, 0])
    held &= whole & jnp.isfinite(left) & ((left != 0) == (norm != 0))
    return GreedyResult(
        codes=jnp.where(finite[:, None], codes, jnp.nan).reshape(*leading, codes.shape[1]),
        support=jnp.where(finite[:, None], support, -1).reshape(*leading, support.shape[1]),
        residual=jnp.where(finite, left, jnp.nan).reshape(leading),
        steps=jnp.where(finite, steps, 0).reshape(leading),
        in_range=held.reshape(leading),
    )
