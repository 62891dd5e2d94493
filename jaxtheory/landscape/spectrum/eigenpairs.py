r"""The outermost eigenpairs of an operator by Lanczos' method with thick restarts, as `init` and `step`.

Each new vector is made orthogonal to all that are kept, twice, so that the projection of the operator on
them, $H = V^\top A V$, is known entry by entry. When the basis is full, it shrinks to the best Ritz vectors.
"""

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from jaxtheory.core import checks
from jaxtheory.core.records import record, static
from jaxtheory.core.types import RandomKey, RealScalar
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import vectors

Which = Literal["largest", "smallest", "modulus"]

MAX_STEPS = 1000
"""The largest number of steps, where nothing else is asked for."""


@record
class EigenpairsState:
    """The state of the search for eigenpairs: arrays only, so that it can be stored."""

    basis: PyTree
    """The orthonormal vectors `(1, basis + 1, ...)`; zeros where none is yet."""
    projected: Float[Array, "basis basis"]
    """The operator between the vectors of the basis."""
    size: Int[Array, ""]
    """The number of vectors that have been multiplied and are kept."""
    step: Int[Array, ""]
    """The number of steps taken, of one product each."""
    rest: Float[Array, ""]
    """The norm of what the last product has outside the basis."""
    renewed: Bool[Array, ""]
    """Whether an invariant subspace was left for a new random vector since the last restart."""
    key: UInt32[Array, " words"]
    """The data of the random key from which vectors are drawn."""
    k: int = static()
    """The number of eigenpairs that are sought."""
    which: str = static()
    """Which eigenpairs are sought."""
    implementation: str = static()
    """The implementation of the key."""


@record
class EigenpairsResult:
    """The outermost eigenpairs, the outermost first."""

    values: Float[Array, " k"]
    """The eigenvalues."""
    vectors: PyTree
    """The eigenvectors, of length 1, on a leading axis of every leaf."""
    residuals: Float[Array, " k"]
    """The measured norms of Hv - λv, in the units of eigenvalues."""
    steps: Int[Array, ""]
    """The number of steps taken, of one product each."""
    converged: Bool[Array, ""]
    """Whether the estimated residuals met the tolerance."""


def top_eigenpairs(
    operator: Operator,
    k: int,
    key: RandomKey,
    *,
    which: Which = "largest",
    tolerance: RealScalar | None = None,
    max_steps: int = MAX_STEPS,
    basis: int | None = None,
) -> EigenpairsResult:
    r"""Find the outermost eigenpairs of a symmetric operator by Lanczos' method with thick restarts.

    The search ends when the estimated residuals of all $k$ pairs are at most the tolerance times the largest
    modulus of an eigenvalue; then the residuals $\|A v - \lambda v\|$ are measured by one block product. From
    one starting vector, the copies of a multiple eigenvalue are found by rounding only, and may be missed by
    a search that ends early. To store the steps and resume them, drive `eigenpairs_init` and
    `eigenpairs_step`, and end with `eigenpairs_result`.

    Args:
        operator: The operator.
        k: The number of eigenpairs, from 1 to the operator's dimension.
        key: The random key of the starting vector.
        which: Which eigenpairs are found: the `"largest"` eigenvalues, largest first; the `"smallest"` ones,
            smallest first; or those of the largest `"modulus"`, largest modulus first.
        tolerance: The residual at which the search ends, relative to the largest modulus of an eigenvalue;
            by default the dtype's rounding unit.
        max_steps: The largest number of steps, each of one product.
        basis: The number of vectors that are kept, from `k + 2` to the dimension; by default `2 * k + 20`,
            at least 40. Fewer take less memory and more steps.

    Returns:
        The eigenpairs with their measured residuals.

    Raises:
        TypeError: If a number is not a whole number, or the operator is none.
        ValueError: If a number is out of range: there are at most as many vectors as dimensions.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> matrix = curvature.Matrix(jnp.diag(jnp.arange(100.0)))
        >>> spectrum.top_eigenpairs(matrix, 2, jax.random.key(0)).values
        Array([99., 98.], dtype=float32)

    References:
        Wu and Simon, Thick-restart Lanczos method for large symmetric eigenvalue problems, 2000.
    """
    state = eigenpairs_init(operator, k, key, which=which, basis=basis)
    max_steps = checks.count("max_steps", max_steps)
    return _finish(
        operator, _search(operator, state, _tolerance(tolerance), max_steps), _tolerance(tolerance)
    )


def eigenpairs_init(
    operator: Operator, k: int, key: RandomKey, *, which: Which = "largest", basis: int | None = None
) -> EigenpairsState:
    """Return the state of a search for eigenpairs before its first step.

    Args:
        operator: The operator.
        k: The number of eigenpairs, from 1 to the operator's dimension.
        key: The random key of the starting vector.
        which: Which eigenpairs are found: `"largest"`, `"smallest"` or those of the largest `"modulus"`.
        basis: The number of vectors that are kept, from `k + 2` to the dimension; by default `2 * k + 20`,
            at least 40.

    Returns:
        The state, a pytree of arrays that can be stored.

    Raises:
        TypeError: If a number is not a whole number, or the operator is none.
        ValueError: If a number is out of range: there are at most as many vectors as dimensions.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> state = spectrum.eigenpairs_init(curvature.Matrix(jnp.eye(9)), 2, jax.random.key(0))
        >>> state.projected.shape, int(state.step)
        ((9, 9), 0)
    """
    vectors.checked(operator)
    checks.random_key("key", key)
    checks.one_of("which", which, ("largest", "smallest", "modulus"))
    k = vectors.steps_within("k", k, operator)
    if basis is None:
        basis = min(max(2 * k + 20, 40), operator.dimension)
    else:
        basis = vectors.steps_within("basis", basis, operator, least=min(k + 2, operator.dimension))
    return _init(operator, key, k=k, which=which, basis=basis)


@partial(jax.jit, static_argnames=("k", "which", "basis"))
def _init(operator: Operator, key: RandomKey, *, k: int, which: str, basis: int) -> EigenpairsState:
    """The state before the first step, in one compiled program."""
    first = vectors.draw(operator, key, jnp.zeros(1, jnp.int32), kind="normal")
    first = vectors.times(1 / jnp.sqrt(vectors.dots(first, first)), first)
    dtype = vectors.dtype_of(operator)
    return EigenpairsState(
        basis=vectors.replaced(vectors.zeros(operator, (1, basis + 1)), 0, first),
        projected=jnp.zeros((basis, basis), dtype),
        size=jnp.zeros((), jnp.int32),
        step=jnp.zeros((), jnp.int32),
        rest=jnp.ones((), dtype),
        renewed=jnp.zeros((), bool),
        key=jax.random.key_data(key),
        k=k,
        which=which,
        implementation=str(jax.random.key_impl(key)),
    )


def eigenpairs_step(
    operator: Operator, state: EigenpairsState, *, steps: int = 1, tolerance: RealScalar | None = None
) -> EigenpairsState:
    """Take steps of a search for eigenpairs, of one product each, unless the tolerance is met before.

    Under `jit` with `donate_argnums=1` the state is updated in place.

    Args:
        operator: The operator that the state was made for.
        state: The state before.
        steps: The number of steps, at least 1.
        tolerance: The residual at which the search ends, relative to the largest modulus of an eigenvalue;
            by default the dtype's rounding unit.

    Returns:
        The state after.

    Raises:
        TypeError: If `steps` is not a whole number, or the operator is none.
        ValueError: If a number is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> matrix = curvature.Matrix(jnp.diag(jnp.arange(9.0)))
        >>> state = spectrum.eigenpairs_init(matrix, 2, jax.random.key(0))
        >>> int(spectrum.eigenpairs_step(matrix, state, steps=5).step)
        5
    """
    vectors.checked(operator)
    last = state.step + checks.count("steps", steps)
    return _search(operator, state, _tolerance(tolerance), last)


def eigenpairs_result(
    operator: Operator, state: EigenpairsState, *, tolerance: RealScalar | None = None
) -> EigenpairsResult:
    """Return the eigenpairs that the steps taken so far give, with their residuals by one block product.

    Args:
        operator: The operator that the state was made for.
        state: The state, after at least as many steps as eigenpairs are sought; what fewer steps do not give
            is NaN.
        tolerance: The tolerance that decides `converged`, relative to the largest modulus of an eigenvalue;
            by default the dtype's rounding unit.

    Returns:
        The eigenpairs with their measured residuals.

    Raises:
        TypeError: If the operator is none.
        ValueError: If the tolerance is not positive.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> matrix = curvature.Matrix(jnp.diag(jnp.arange(9.0)))
        >>> state = spectrum.eigenpairs_init(matrix, 2, jax.random.key(0))
        >>> state = spectrum.eigenpairs_step(matrix, state, steps=9)
        >>> bool(jnp.allclose(spectrum.eigenpairs_result(matrix, state).values, jnp.array([8.0, 7.0])))
        True
    """
    vectors.checked(operator)
    return _finish(operator, state, _tolerance(tolerance))


def _tolerance(tolerance: Any) -> Any:
    """The tolerance, known to be a positive number if there is one."""
    if tolerance is not None:
        checks.axes("tolerance", tolerance)
        checks.positive("tolerance", tolerance)
    return tolerance


@jax.jit
def _search(operator: Operator, state: EigenpairsState, tolerance: Any, last: Any) -> EigenpairsState:
    """The state when the tolerance is met, after the step `last`, or where no further step is to be had."""

    def goes_on(carry: tuple[EigenpairsState, Array]) -> Array:
        state, done = carry
        return ~done & (state.step < last)

    def advance(carry: tuple[EigenpairsState, Array]) -> tuple[EigenpairsState, Array]:
        state = _step(operator, carry[0])
        return state, _is_done(state, tolerance)

    return lax.while_loop(goes_on, advance, (state, _is_done(state, tolerance)))[0]


def _is_done(state: EigenpairsState, tolerance: Any) -> Array:
    """Whether nothing is left to do: the tolerance is met, the whole space searched, or numbers are lost."""
    complete = (state.size == len(state.projected)) & _spans(state)
    return complete | _is_met(state, tolerance) | ~jnp.isfinite(state.rest)


def _spans(state: EigenpairsState) -> bool:
    """Whether the basis has room for the whole space."""
    return len(state.projected) == vectors.entries(state.basis) // (len(state.projected) + 1)


def _is_met(state: EigenpairsState, tolerance: Any) -> Array:
    """Whether the estimated residuals of all pairs are within the tolerance, and no pair is hidden."""
    basis = len(state.projected)
    values, rotation = _ritz(state)
    residuals = state.rest * jnp.abs(jnp.take(rotation[:, : state.k], jnp.maximum(state.size - 1, 0), axis=0))
    largest = jnp.max(jnp.abs(values), where=jnp.arange(basis) < state.size, initial=0)
    tolerance = jnp.finfo(largest.dtype).eps if tolerance is None else tolerance
    full = state.size == basis
    if _spans(state):
        # Where the basis is the whole space, multiple eigenvalues are found with all of their copies.
        return full
    # After an invariant subspace, what the new vector leads to must have had the rest of the basis to show.
    fair = ~state.renewed | full
    return fair & (state.size >= state.k) & jnp.all(residuals <= tolerance * largest)


def _ritz(state: EigenpairsState) -> tuple[Array, Array]:
    """Ritz values in the order that is sought, and the rotations to Ritz vectors; empty places come last."""
    basis = len(state.projected)
    filled = jnp.arange(basis) < state.size
    bound = jnp.max(jnp.sum(jnp.abs(state.projected), axis=1))
    bound = jnp.where(bound > 0, bound, 1)
    # Empty places get an eigenvalue that no other reaches, of a size that costs no accuracy.
    values, rotation = jnp.linalg.eigh(state.projected + jnp.diag(jnp.where(filled, 0, 2 * bound)))
    rank = {"largest": -values, "smallest": values, "modulus": -jnp.abs(values)}[state.which]
    order = jnp.argsort(jnp.where(values > 1.5 * bound, jnp.inf, rank))
    return values[order], rotation[:, order]


def _step(operator: Operator, state: EigenpairsState) -> EigenpairsState:
    """The state one product later."""
    basis = len(state.projected)
    state = lax.cond(state.size == basis, _restarted, lambda state: state, state)
    place = state.size
    current = jax.tree.map(lambda leaf: lax.dynamic_index_in_dim(leaf, place, 1, False), state.basis)
    rest, along = _orthogonal(state.basis, vectors.multiply(operator, current))
    column = along[0, :basis]
    projected = state.projected.at[:, place].set(column).at[place].set(column)
    norm = jnp.sqrt(vectors.dots(rest, rest))
    scale = jnp.max(jnp.abs(projected))
    ended = (norm <= 10 * jnp.finfo(norm.dtype).eps * scale)[0]
    key = jax.random.wrap_key_data(state.key, impl=state.implementation)

    def renewed() -> PyTree:
        fresh = vectors.draw(operator, key, state.step[None] + 1, kind="normal")
        fresh, _ = _orthogonal(state.basis, fresh)
        return vectors.times(1 / jnp.sqrt(vectors.dots(fresh, fresh)), fresh)

    following = lax.cond(ended, renewed, lambda: vectors.times(1 / jnp.where(ended, 1, norm), rest))
    return replace(
        state,
        basis=vectors.replaced(state.basis, place + 1, following),
        projected=projected,
        size=place + 1,
        step=state.step + 1,
        rest=jnp.where(ended, 0, norm[0]),
        renewed=state.renewed | ended,
    )


def _orthogonal(basis: PyTree, one: PyTree) -> tuple[PyTree, Array]:
    """What a vector has outside the basis, and its inner products with the basis; twice is enough."""
    along = vectors.inner(basis, one)
    one = jax.tree.map(jnp.subtract, one, vectors.combine(along, basis))
    again = vectors.inner(basis, one)
    return jax.tree.map(jnp.subtract, one, vectors.combine(again, basis)), along + again


def _restarted(state: EigenpairsState) -> EigenpairsState:
    """The state whose basis has shrunk to the best Ritz vectors and the vector that follows."""
    basis = len(state.projected)
    kept = min((basis + state.k) // 2, basis - 1)
    values, rotation = _ritz(state)
    chosen = jnp.arange(basis) < kept
    # Columns beyond the kept ones are zero, but for the vector that follows, which comes after them.
    turn = jnp.zeros((basis + 1, basis + 1), rotation.dtype)
    turn = turn.at[:basis, :basis].set(jnp.where(chosen, rotation, 0)).at[basis, kept].set(1)
    return replace(
        state,
        basis=vectors.rotate(turn, state.basis),
        projected=jnp.diag(jnp.where(chosen, values, 0)),
        size=jnp.asarray(kept, state.size.dtype),
        renewed=jnp.zeros((), bool),
    )


@jax.jit
def _finish(operator: Operator, state: EigenpairsState, tolerance: Any) -> EigenpairsResult:
    """The eigenpairs of the state, with their measured residuals."""
    _, rotation = _ritz(state)
    rows = jax.tree.map(lambda leaf: leaf[:, :-1], state.basis)
    found = jax.tree.map(lambda leaf: leaf[0], vectors.rotate(rotation[:, : state.k], rows))
    found = vectors.times(1 / jnp.sqrt(vectors.dots(found, found)), found)
    found = vectors.as_template(operator, found)
    products = vectors.multiply(operator, found)
    wide = jax.tree.map(jnp.asarray, found)
    values = vectors.dots(wide, products)
    rest = vectors.plus(products, -values, wide)
    return EigenpairsResult(
        values=values,
        vectors=found,
        residuals=jnp.sqrt(vectors.dots(rest, rest)),
        steps=state.step,
        converged=_is_met(state, tolerance),
    )
