r"""Lanczos' method with thick restarts, which leads to the outermost eigenpairs of an operator.

Each new vector is made orthogonal to all that are kept, twice, so that the projection of the operator on
them, $H = V^\top A V$, is known entry by entry. When the basis is full, it shrinks to the best Ritz vectors.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt32

from jaxtheory.core.records import record, static
from jaxtheory.core.types import RandomKey
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import vectors


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
    dimension: int = static()
    """The dimension of the operator."""


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


@partial(jax.jit, static_argnames=("k", "which", "basis"))
def start(operator: Operator, key: RandomKey, *, k: int, which: str, basis: int) -> EigenpairsState:
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
        dimension=operator.dimension,
    )


@partial(jax.jit, static_argnames=("k", "which", "basis"))
def find(
    operator: Operator, key: RandomKey, tolerance: Any, max_steps: Any, *, k: int, which: str, basis: int
) -> EigenpairsResult:
    """The eigenpairs, in one program that keeps the basis once."""
    state = start(operator, key, k=k, which=which, basis=basis)
    return finish(operator, search(operator, state, tolerance, max_steps), tolerance)


@jax.jit
def search(operator: Operator, state: EigenpairsState, tolerance: Any, last: Any) -> EigenpairsState:
    """The state when the tolerance is met, after the step `last`, or where no further step is to be had."""
    return lax.while_loop(
        lambda state: (state.step < last) & ~_is_done(state, tolerance), partial(_step, operator), state
    )


def _is_done(state: EigenpairsState, tolerance: Any) -> Array:
    """Whether nothing is left to do: the tolerance is met, the whole space searched, or numbers are lost."""
    complete = (state.size == len(state.projected)) & (len(state.projected) == state.dimension)
    return complete | _is_met(state, tolerance) | ~jnp.isfinite(state.rest)


def _is_met(state: EigenpairsState, tolerance: Any) -> Array:
    """Whether the estimated residuals of all pairs are within the tolerance, and no pair is hidden."""
    basis = len(state.projected)
    values, rotation = _ritz(state)
    residuals = state.rest * jnp.abs(jnp.take(rotation[:, : state.k], jnp.maximum(state.size - 1, 0), axis=0))
    largest = jnp.max(jnp.abs(values), where=jnp.arange(basis) < state.size, initial=0)
    tolerance = jnp.finfo(largest.dtype).eps if tolerance is None else tolerance
    full = state.size == basis
    if basis == state.dimension:
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

    def once(_: Any, carry: tuple[PyTree, Array]) -> tuple[PyTree, Array]:
        one, total = carry
        along = vectors.inner(basis, one)
        return jax.tree.map(jnp.subtract, one, vectors.combine(along, basis)), total + along

    places = jax.tree.leaves(basis)[0].shape[1]
    # A loop halves what is compiled.
    return lax.fori_loop(0, 2, once, (one, jnp.zeros((1, places), vectors.dots(one, one).dtype)))


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
def finish(operator: Operator, state: EigenpairsState, tolerance: Any) -> EigenpairsResult:
    """The eigenpairs of the state, with their measured residuals."""
    _, rotation = _ritz(state)
    rows = jax.tree.map(lambda leaf: leaf[:, :-1], state.basis)
    found = jax.tree.map(lambda leaf: leaf[0], vectors.rotate(rotation[:, : state.k], rows))
    # Pairs that too few steps have not given yet are NaN, whatever rounding has left of their vectors.
    lengths = jnp.where(jnp.arange(state.k) < state.size, jnp.sqrt(vectors.dots(found, found)), jnp.nan)
    found = vectors.times(1 / lengths, found)
    found = vectors.as_template(operator, found)
    # What is measured is measured of the vectors that are returned, in half precision too.
    wide = jax.tree.map(lambda leaf: leaf.astype(vectors.dtype_of(operator)), found)
    products = vectors.multiply(operator, wide)
    values = vectors.dots(wide, products)
    rest = vectors.plus(products, -values, wide)
    return EigenpairsResult(
        values=values,
        vectors=found,
        residuals=jnp.sqrt(vectors.dots(rest, rest)),
        steps=state.step,
        converged=_is_met(state, tolerance),
    )
