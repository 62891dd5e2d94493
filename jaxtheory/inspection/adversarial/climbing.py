"""One way up the loss from a start: steps along gradients or their averages, and back to the ball."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.inspection.adversarial import balls
from jaxtheory.inspection.adversarial.problems import (
    Found,
    Limits,
    Logits,
    Norm,
    Raised,
    Rows,
    better,
    nothing,
    seen,
    spread,
)

GIVEN, RELATIVE = "given", "relative to epsilon"
"""Step rules: lengths as they are given, and lengths in units of epsilon."""


class Climb(NamedTuple):
    """What is static in an attack."""

    logits: Logits
    norm: Norm
    raised: Raised
    steps: int
    rule: Any
    """What the lengths of steps are, or one of optax's optimizers."""
    momentum: bool = False
    """Whether gradients are averaged over the steps."""


def lengths(step: Any, steps: int, path: float) -> tuple[Array, Any]:
    """Return the length of each step, and the rule that says what they are.

    Args:
        step: A number, one for each step, an optimizer of optax's, or `None`.
        steps: The number of steps.
        path: The length of all steps together in units of epsilon, where none is given.

    Returns:
        The lengths, (steps,), and the rule.

    Raises:
        TypeError: If the lengths are not real numbers.
        ValueError: If there are other numbers of them than steps, or one is not positive.
    """
    if hasattr(step, "init") and hasattr(step, "update"):
        return jnp.zeros(steps), step
    if step is None:
        return jnp.full(steps, path / steps), RELATIVE
    (step,), _ = real_arrays(step=step)
    if step.shape not in ((), (steps,)):
        raise ValueError(
            f"step has the shape {step.shape}: take one number, or ({steps},), one for each step"
        )
    checks.positive("step", step)
    return jnp.broadcast_to(step, (steps,)), GIVEN


def climbed(
    params: Any, rows: Rows, limits: Limits, start: Array, sizes: Array, decay: Any, facts: Climb
) -> Found:
    """Return the best of the points that one way up goes through.

    Args:
        params: The parameters of the model.
        rows: The examples.
        limits: The bounds.
        start: The points to start from.
        sizes: The length of each step.
        decay: The factor on the average of gradients before, where there is one.
        facts: What is static.

    Returns:
        The best point of each example, which is one of the largest loss among those that succeed.
    """
    look = partial(seen, facts.logits, params, rows, facts.raised)
    climb = jax.value_and_grad(look, has_aux=True)
    move = _mover(sizes.astype(start.dtype), rows, decay, facts)

    def step(k: Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, memory, best = carry
        (_, found), gradient = climb(x)
        change, memory = move(k, x, gradient, memory)
        return balls.nearest(x + change, rows, limits, facts.norm), memory, better(best, found)

    memory = None
    if facts.rule not in (GIVEN, RELATIVE):
        memory = jax.vmap(facts.rule.init)(start)
    elif facts.momentum:
        memory = jnp.zeros_like(start)
    x, _, best = lax.fori_loop(0, facts.steps, step, (start, memory, nothing(rows)))
    return better(best, look(x)[1])


def _mover(sizes: Array, rows: Rows, decay: Any, facts: Climb) -> Callable[..., tuple[Array, Any]]:
    """The function of step, place, gradient and memory that returns a change and the memory after it."""

    def along(k: Array, _: Array, gradient: Array, memory: Any) -> tuple[Array, Any]:
        if facts.momentum:
            axes = tuple(range(1, gradient.ndim))
            length = jnp.sum(jnp.abs(gradient), axis=axes, keepdims=True)
            unit = jnp.where(length > 0, gradient / jnp.where(length > 0, length, 1), 0)
            gradient = memory = (decay * memory + unit).astype(unit.dtype)
        length = sizes[k] * rows.epsilon if facts.rule == RELATIVE else sizes[k]
        return spread(length, gradient) * balls.steepest(gradient, facts.norm), memory

    def updated(_: Array, x: Array, gradient: Array, memory: Any) -> tuple[Array, Any]:
        # Each example has an optimizer of its own, which goes down.
        return jax.vmap(facts.rule.update)(-gradient, memory, x)

    return along if facts.rule in (GIVEN, RELATIVE) else updated
