r"""Lanczos' method from several starting vectors at once, as `init` and `step`.

Step by step the operator $A$ becomes a tridiagonal matrix $T_m = V_m^\top A V_m$ for each starting vector,
with the orthonormal Lanczos vectors $V_m$. All of them advance together, with one block
product a step.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxtheory.core.records import record, static
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import vectors


@record
class LanczosState:
    """The state of Lanczos' method for several starting vectors: arrays only, so that it can be stored."""

    basis: PyTree
    """The Lanczos vectors `(probes, steps, ...)`, zeros where none is yet. None if they are not kept."""
    previous: PyTree
    """The Lanczos vector of each probe before the current one."""
    current: PyTree
    """The Lanczos vector of each probe that is multiplied next."""
    diagonal: Float[Array, "probes steps"]
    """The diagonals of the tridiagonal matrices."""
    offdiagonal: Float[Array, "probes steps"]
    """The entries beside the diagonals; the last one is the norm of what is left."""
    step: Int[Array, ""]
    """The number of steps taken."""
    dimension: int = static()
    """The dimension of the operator."""


def start(operator: Operator, vectors_at_start: PyTree, steps: int, *, reorthogonalize: bool) -> LanczosState:
    """The state before the first step, from starting vectors `(probes, ...)` of any length but zero."""
    norms = jnp.sqrt(vectors.dots(vectors_at_start, vectors_at_start))
    current = vectors.times(1 / norms, vectors_at_start)
    probes = len(norms)
    coefficients = jnp.zeros((probes, steps), norms.dtype)
    return LanczosState(
        basis=vectors.zeros(operator, (probes, steps)) if reorthogonalize else None,
        previous=jax.tree.map(jnp.zeros_like, current),
        current=current,
        diagonal=coefficients,
        offdiagonal=coefficients,
        step=jnp.zeros((), jnp.int32),
        dimension=operator.dimension,
    )


@partial(jax.jit, static_argnames="steps")
def advance(operator: Operator, state: LanczosState, *, steps: int | None = None) -> LanczosState:
    """The state some steps later, or at the end; steps beyond the end are not taken."""
    planned = state.diagonal.shape[1]
    last = planned if steps is None else jnp.minimum(state.step + steps, planned)
    return jax.lax.fori_loop(state.step, last, lambda _, state: _step(operator, state), state)


def _step(operator: Operator, state: LanczosState) -> LanczosState:
    """The state one step later."""
    place, current = state.step, state.current
    before = jnp.where(place > 0, state.offdiagonal[:, place - 1], 0)
    product = vectors.multiply(operator, current)
    along = vectors.dots(current, product)
    rest = vectors.plus(vectors.plus(product, -along, current), -before, state.previous)
    basis = state.basis
    if basis is not None:
        basis = vectors.replaced(basis, place, current)
        rest = vectors.plus(rest, -jnp.ones_like(along), vectors.combine(vectors.inner(basis, rest), basis))
    norm = jnp.sqrt(vectors.dots(rest, rest))
    scale = jnp.maximum(jnp.abs(along), jnp.max(jnp.abs(state.diagonal), axis=1))
    # What is left of an invariant subspace is rounding: no direction to go on in.
    ended = norm <= 10 * jnp.finfo(norm.dtype).eps * jnp.maximum(scale, before)
    norm = jnp.where(ended, 0, norm)
    return replace(
        state,
        basis=basis,
        previous=current,
        current=vectors.times(jnp.where(ended, 0, 1 / jnp.where(ended, 1, norm)), rest),
        diagonal=state.diagonal.at[:, place].set(along),
        offdiagonal=state.offdiagonal.at[:, place].set(norm),
        step=place + 1,
    )


def tridiagonal(state: LanczosState) -> Float[Array, "probes steps steps"]:
    """The tridiagonal matrices; rows of steps that were not taken are zero."""
    steps = state.diagonal.shape[1]
    beside = jnp.where(jnp.arange(steps - 1) < state.step - 1, state.offdiagonal[:, :-1], 0)
    matrix: Any = jax.vmap(jnp.diag)(state.diagonal)
    if steps > 1:
        upper = jax.vmap(partial(jnp.diag, k=1))(beside)
        matrix = matrix + upper + jnp.swapaxes(upper, 1, 2)
    return matrix
