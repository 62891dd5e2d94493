"""Examples that are attacked some at a time, as suits the platform, and only while they still stand."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

State = TypeVar("State")

CHUNK = 100
"""The number of examples that a processor attacks at a time: what a small network computes of them stays in
its cache."""


def by_platform(program: Callable[[Any, int], Any], rows: Any, chunk: int | None) -> Any:
    """Run a program with the number of examples to attack at a time, by default that of the platform.

    Args:
        program: A function of the examples and that number.
        rows: The examples, a pytree of arrays with one leading axis.
        chunk: The number, at least 1; by default `CHUNK` on processors, elsewhere all.

    Returns:
        What the program returns.
    """
    n = len(jax.tree.leaves(rows)[0])
    if chunk is not None:
        return program(rows, min(chunk, max(n, 1)))
    if n <= CHUNK:
        return program(rows, max(n, 1))
    # The platform is known at lowering only: ahead of time it is not the process's own.
    return lax.platform_dependent(
        rows, cpu=lambda rows: program(rows, CHUNK), default=lambda rows: program(rows, n)
    )


def all_of(
    function: Callable[[Any, State], State], rows: Any, begin: Callable[[Any], State], chunk: int | None
) -> State:
    """Run a function on all examples, some at a time, as suits the platform.

    Args:
        function: A function of a part of the examples and of their state, which returns the new state.
        rows: The examples, a pytree of arrays with one leading axis.
        begin: The function of the examples that returns their state before.
        chunk: The number of examples at a time, as `by_platform` takes it.

    Returns:
        The state of all.
    """

    def program(rows: Any, each: int) -> State:
        return where_standing(function, rows, begin(rows), None, each)

    return by_platform(program, rows, chunk)


def where_standing(
    function: Callable[[Any, State], State], rows: Any, state: State, standing: Array | None, each: int
) -> State:
    """Renew the state of those examples that stand, some at a time, and keep that of all others.

    Those that stand are put together first, so that the work is that of as many parts as they fill.

    Args:
        function: A function of a part of the examples and of their state, which returns the new state.
        rows: The examples, a pytree of arrays with one leading axis.
        state: What is known of them, a pytree of arrays with the same leading axis.
        standing: Whether each of them stands; `None` for all.
        each: The largest number of examples in a part; parts are of one size.

    Returns:
        The state of all.
    """
    n = len(jax.tree.leaves(rows)[0])
    if standing is None and n <= each:
        return function(rows, state)
    if standing is None:
        each = -(-n // -(-n // each))
        order, number = jnp.arange(n), -(-n // each)
    else:
        each = min(each, n)
        order = jnp.argsort(~standing, stable=True)
        number = -(-jnp.sum(standing) // each)
    order = jnp.pad(order, (0, -n % each), constant_values=n)

    def take(tree: Any, places: Array) -> Any:
        return jax.tree.map(lambda leaf: leaf.at[places].get(mode="clip"), tree)

    def part(k: Array, state: State) -> State:
        places = lax.dynamic_slice_in_dim(order, k * each, each)
        new = function(take(rows, places), take(state, places))
        if standing is not None:
            # The last part is filled up with others, whose state stays.
            places = jnp.where(take(standing, places), places, n)
        return jax.tree.map(lambda leaf, one: leaf.at[places].set(one, mode="drop"), state, new)

    return lax.fori_loop(0, number, part, state)
