r"""Lanczos' method from several starting vectors at once, as `init` and `step`.

Step by step the operator $A$ becomes a tridiagonal matrix $T_m = V_m^\top A V_m$ for each starting vector,
with the orthonormal Lanczos vectors $V_m$. All of them advance together, with one block product a
step.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxtheory.core.records import record, static
from jaxtheory.core.types import RandomKey
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import vectors

BLOCK = 20
"""The number of Lanczos vectors that are kept in one array."""


@record
class LanczosState:
    """The state of Lanczos' method for several starting vectors: arrays only, so that it can be stored."""

    basis: tuple[PyTree, ...]
    """The Lanczos vectors in blocks `(probes, block, ...)`, zeros where none is yet; () if none is kept."""
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


@partial(jax.jit, static_argnames=("probes", "steps", "reorthogonalize"))
def start(
    operator: Operator, key: RandomKey, *, probes: int, steps: int, reorthogonalize: bool
) -> LanczosState:
    """The state before the first step, from vectors of random signs."""
    signs = vectors.draw(operator, key, jnp.arange(probes), kind="signs")
    norms = jnp.sqrt(vectors.dots(signs, signs))
    current = vectors.times(1 / norms, signs)
    coefficients = jnp.zeros((probes, steps), norms.dtype)
    return LanczosState(
        basis=tuple(
            vectors.zeros(operator, (probes, min(BLOCK, steps - first)))
            for first in (range(0, steps, BLOCK) if reorthogonalize else ())
        ),
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
    basis = []
    for number, block in enumerate(state.basis):
        block = _with_row(block, place - number * BLOCK, current)
        basis.append(block)
        # Blocks that are still empty are not read: the reading is what reorthogonalization costs.
        rest = jax.lax.cond(place >= number * BLOCK, _outside, lambda _, rest: rest, block, rest)
    norm = jnp.sqrt(vectors.dots(rest, rest))
    scale = jnp.maximum(jnp.abs(along), jnp.max(jnp.abs(state.diagonal), axis=1))
    # What is left of an invariant subspace is rounding: no direction to go on in.
    ended = norm <= 10 * jnp.finfo(norm.dtype).eps * jnp.maximum(scale, before)
    norm = jnp.where(ended, 0, norm)
    return replace(
        state,
        basis=tuple(basis),
        previous=current,
        current=vectors.times(jnp.where(ended, 0, 1 / jnp.where(ended, 1, norm)), rest),
        diagonal=state.diagonal.at[:, place].set(along),
        offdiagonal=state.offdiagonal.at[:, place].set(norm),
        step=place + 1,
    )


def _with_row(block: PyTree, place: Array, current: PyTree) -> PyTree:
    """The block with vectors at a place, if the place is in it."""

    def of_leaf(block: Array, current: Array) -> Array:
        rows = block.shape[1]
        within = jnp.clip(place, 0, rows - 1)
        held = jax.lax.dynamic_index_in_dim(block, within, 1, False)
        row = jnp.where((place >= 0) & (place < rows), current, held)
        return jax.lax.dynamic_update_index_in_dim(block, row, within, 1)

    return jax.tree.map(of_leaf, block, current)


def _outside(block: PyTree, rest: PyTree) -> PyTree:
    """What vectors have outside the span of a block."""
    return jax.tree.map(jnp.subtract, rest, vectors.combine(vectors.inner(block, rest), block))


def tridiagonal(state: LanczosState) -> Float[Array, "probes steps steps"]:
    """The tridiagonal matrices; rows of steps that were not taken are zero."""
    steps = state.diagonal.shape[1]
    beside = jnp.where(jnp.arange(steps - 1) < state.step - 1, state.offdiagonal[:, :-1], 0)
    matrix: Any = jax.vmap(jnp.diag)(state.diagonal)
    if steps > 1:
        upper = jax.vmap(partial(jnp.diag, k=1))(beside)
        matrix = matrix + upper + jnp.swapaxes(upper, 1, 2)
    return matrix
