"""Many signals in blocks that fit a processor's cache: sorted, worked on, and sorted again.

A block stops with its slowest signal. Signals that need about the same work therefore stand together, and
those that are done cost nothing. Nothing in here knows what is computed: a state is a tree of arrays with one
row for each signal, and a function advances a block of rows.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

BLOCK = 256
"""The largest number of signals in a block."""

State = TypeVar("State")
Work = Callable[[Int[Array, " block"], State], State]
"""Takes the indices of a block's signals and the whole state, and returns the state."""


def block_size(signals: int) -> int:
    """The number of signals in each block."""
    return min(BLOCK, signals)


def padded(array: Float[Array, "n axis"], value: int = 0) -> Float[Array, "padded axis"]:
    """Adds rows up to a whole number of blocks."""
    count = len(array)
    return jnp.pad(array, ((0, -count % block_size(count)), (0, 0)), constant_values=value)


def rows(state: State, chosen: Int[Array, " block"]) -> State:
    """The rows of a block."""
    return jax.tree.map(lambda leaf: leaf[chosen], state)


def with_rows(state: State, chosen: Int[Array, " block"], new: State) -> State:
    """The state with the rows of a block replaced."""
    return jax.tree.map(lambda leaf, value: leaf.at[chosen].set(value), state, new)


def once(work: Work, state: State, order: Int[Array, " n"], blocks: Array | int | None = None) -> State:
    """Works on the first blocks of signals in an order, one after the other; by default on all."""
    size = block_size(len(order))

    def on_block(i: Array, state: State) -> State:
        return work(lax.dynamic_slice_in_dim(order, i * size, size), state)

    return lax.fori_loop(0, len(order) // size if blocks is None else blocks, on_block, state)


def until_done(
    work: Work,
    state: State,
    priority: Callable[[State], Float[Array, " n"]],
    *,
    rounds: int | None = None,
) -> State:
    """Works on all signals that are not done, in rounds, sorting them before each.

    Args:
        work: Advances a block of signals.
        state: The state of all signals.
        priority: A number for each signal, by which they are sorted, largest first; negative when it is done.
        rounds: The largest number of rounds; `None` for no limit.

    Returns:
        The state when all signals are done, or the rounds are used up.
    """

    def one_round(carry: tuple[Array, State]) -> tuple[Array, State]:
        count, state = carry
        urgent = priority(state)
        size = block_size(len(urgent))
        blocks = -(-jnp.sum(urgent >= 0) // size)
        return count + 1, once(work, state, jnp.argsort(-urgent), blocks)

    def goes_on(carry: tuple[Array, State]) -> Array:
        left = jnp.any(priority(carry[1]) >= 0)
        return left if rounds is None else left & (carry[0] < rounds)

    return lax.while_loop(goes_on, one_round, (jnp.zeros((), int), state))[1]
