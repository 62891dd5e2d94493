"""Accuracy under the worst of several attacks."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Integers, RandomKey
from jaxtheory.inspection.adversarial import parts
from jaxtheory.inspection.adversarial.problems import Logits, Rows, logits_of, spread, take
from jaxtheory.inspection.ranges import Bounds

Attack = Callable[..., Any]
"""A function `attack(logits, params, x, y)`, or with a further argument `key`, that returns an
`AttackResult`, as `partial(adversarial.pgd, epsilon=0.3)`."""


@record
class RobustAccuracy:
    """The examples that a model still answers rightly under several attacks, per example the worst."""

    accuracy: Float[Array, ""]
    """The share of examples that stand under all attacks."""
    accuracies: Float[Array, " attacks_and_one"]
    """The share without an attack, and after each of them in turn."""
    standing: Bool[Array, "..."]
    """Whether an example stands under all attacks."""
    x: Float[Array, "..."]
    """The examples, changed by the first attack that succeeded; as they were if none did."""


def robust_accuracy(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "..."],
    y: Integers,
    attacks: Sequence[Attack],
    key: RandomKey,
    *,
    bounds: Bounds = (0, 1),
    chunk: int | None = None,
) -> RobustAccuracy:
    """Return the share of examples that a model answers rightly whichever of several attacks is tried.

    Each attack is tried on those examples that stood under all before it, some at a time, so that the
    cheapest goes first and the strongest last. What an attack's result calls a success is taken as one only
    where the model's answer at its point, computed anew, is another than the label.

    Args:
        logits: The model, a function `logits(params, x)` of examples `(n, ...)` that returns `(n, classes)`.
        params: The parameters of the model.
        x: The examples, with the leading axes of `y`; their entries are within the bounds.
        y: The labels, whole numbers from 0.
        attacks: Functions `attack(logits, params, x, y)`, or with a further argument `key`, as
            `partial(adversarial.pgd, epsilon=0.3)`; they are static, so keep them for the next call.
        key: The random key, which the number of the attack and of its part of the examples are folded into.
        bounds: The least and the largest value of entries, numbers or arrays of the shape of an example;
            `None` for no bounds.
        chunk: The number of examples that are attacked at a time, at least 1; by default 100 on processors,
            elsewhere all.

    Returns:
        The accuracy, that after each attack, and which examples stand.

    Raises:
        TypeError: If an argument is not made of numbers, classes are not whole numbers, or an attack is not a
            function.
        ValueError: If shapes do not fit, logits are not `(n, classes)`, or a value is out of its range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from functools import partial
        >>> from jaxtheory.inspection import adversarial
        >>> def linear(w, x):
        ...     return jnp.stack([x @ w, -x @ w], axis=-1)
        >>> w, x = jnp.array([1.0, -1.0]), jnp.array([[0.5, 0.25], [0.9, 0.1], [0.3, 0.4]])
        >>> attacks = (partial(adversarial.fgsm, epsilon=0.2), partial(adversarial.pgd, epsilon=0.2))
        >>> found = adversarial.robust_accuracy(linear, w, x, jnp.zeros(3, int), attacks, jax.random.key(0))
        >>> [round(float(one), 2) for one in found.accuracies]
        [0.67, 0.33, 0.33]
    """
    checks.random_key("key", key)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    attacks = checks.entries("attacks", attacks, "a sequence of functions, as (partial(pgd, epsilon=0.3),)")
    for attack in attacks:
        if not callable(attack):
            raise TypeError(f"attacks holds a {type(attack).__name__}: take functions (logits, params, x, y)")
    problem, back = take(logits, params, x, y, bounds=bounds, norm="inf")
    accuracies, standing, changed = _stood(params, problem.rows, key, (logits, attacks, chunk))
    shape = problem.batch
    found = changed.reshape(*shape, *changed.shape[1:])
    return back(RobustAccuracy(accuracies[-1], accuracies, standing.reshape(shape), found))


@partial(jax.jit, static_argnames="static")
def _stood(params: PyTree, rows: Rows, key: Array, static: tuple[Any, ...]) -> tuple[Array, Array, Array]:
    logits, attacks, chunk = static

    def right(x: Array, rows: Rows) -> Array:
        return jnp.argmax(logits_of(logits, params, x), axis=1) == rows.label

    def all_of(rows: Rows, each: int) -> tuple[Array, Array, Array]:
        def first(rows: Rows, _: Array) -> Array:
            return right(rows.x, rows)

        standing = parts.where_standing(first, rows, jnp.zeros(len(rows.x), bool), None, each)
        x, accuracies = rows.x, [_share(standing)]
        for number, attack in enumerate(attacks):
            own = jax.random.fold_in(key, number)
            tried = partial(_tried, logits, params, attack, own, right)
            x, standing = parts.where_standing(tried, rows, (x, standing), standing, each)
            accuracies.append(_share(standing))
        return jnp.stack(accuracies), standing, x

    return parts.by_platform(all_of, rows, chunk)


def _share(standing: Array) -> Array:
    """The share of examples that stand; of none, all do."""
    return jnp.mean(standing.astype(float)) if standing.size else jnp.ones(())


def _tried(
    logits: Logits,
    params: PyTree,
    attack: Attack,
    key: Array,
    right: Callable[..., Array],
    rows: Rows,
    state: tuple[Array, Array],
) -> tuple[Array, Array]:
    """The examples and whether they stand, after one more attack."""
    x, standing = state
    arguments = {}
    if "key" in inspect.signature(attack).parameters:
        # Another part of the examples has other draws.
        arguments["key"] = jax.random.fold_in(key, rows.number[0])
    found = attack(logits, params, rows.x, rows.label, **arguments)
    fallen = standing & found.success & ~right(found.x, rows)
    return jnp.where(spread(fallen, x), found.x, x), standing & ~fallen
