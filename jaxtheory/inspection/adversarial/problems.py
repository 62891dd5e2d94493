"""What every attack begins and ends with: examples, checked once; what is raised; and what was found."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxtheory.core import checks, trees
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record
from jaxtheory.inspection import ranges
from jaxtheory.inspection.ranges import Bounds

Logits = Callable[[Any, Any], Any]
"""A function of parameters and examples, `(n, ...)`, that returns their logits, `(n, classes)`."""

Norm = Literal["inf", 2]
"""The norm in which a change of an example is measured: the largest entry, or the Euclidean norm."""

Raised = Literal["cross_entropy", "margin"]
"""What an attack raises: the cross entropy of the label, or the largest other logit minus the label's."""

RAISED = ("cross_entropy", "margin")
"""What can be raised."""


@record
class AttackResult:
    """What an attack found for each example."""

    x: Float[Array, "..."]
    """The changed examples."""
    success: Bool[Array, "..."]
    """Whether the model's answer is another than the label, or is the target."""
    loss: Float[Array, "..."]
    """What the attack raises, at the changed example: of a targeted attack minus the target's loss."""
    distance: Float[Array, "..."]
    """The norm of the change, in the norm of the attack."""
    valid: Bool[Array, "..."]
    """Whether the example, its label, its target and its epsilon are in their ranges; if not, there is no
    success."""


class Rows(NamedTuple):
    """Examples on one leading axis, each with what belongs to it."""

    x: Array
    """The examples, (n, *event)."""
    label: Array
    """The labels, (n,)."""
    target: Array | None
    """The targets, (n,)."""
    epsilon: Array | None
    """The largest norm of a change, (n,)."""
    number: Array
    """The numbers of the examples, which their random draws are folded from."""


class Limits(NamedTuple):
    """The bounds of each entry of an example, infinite where there are none."""

    low: Array
    high: Array

    def clip(self, x: Array) -> Array:
        """Return the nearest examples within the bounds."""
        return jnp.clip(x, self.low, self.high)


class Found(NamedTuple):
    """The best change that an attack has come to, of each example."""

    x: Array
    success: Array
    loss: Array


class Problem(NamedTuple):
    """The examples that an attack was given, checked."""

    rows: Rows
    limits: Limits
    valid: Array
    """Whether each example is in its ranges, (n,)."""
    batch: tuple[int, ...]
    """The leading axes of the examples."""
    bounded: bool
    """Whether there are bounds."""

    def result(self, found: Found, norm: Norm, missed: float | None = None) -> AttackResult:
        """Return what was found, with the leading axes of the examples.

        Args:
            found: The best change of each example.
            norm: The norm in which changes are measured.
            missed: The distance of what was not found, for attacks that look for the smallest change, which
                succeed up to epsilon; by default the one that was gone.

        Returns:
            The result.
        """
        success = found.success & self.valid
        distance = size(found.x - self.rows.x, norm)
        if missed is not None:
            distance = jnp.where(success, distance, missed)
            if self.rows.epsilon is not None:
                success &= distance <= self.rows.epsilon
        loss = found.loss.astype(found.x.dtype)
        leaves = found.x, success, loss, distance, self.valid
        return AttackResult(*(leaf.reshape(*self.batch, *leaf.shape[1:]) for leaf in leaves))


def size(change: Array, norm: Norm) -> Array:
    """Return the norm of each change, (n,)."""
    flat = change.reshape(len(change), math.prod(change.shape[1:]))
    if norm == "inf":
        return jnp.max(jnp.abs(flat), axis=1, initial=0)
    # Scaled by the largest entry, the squares of small changes do not underflow.
    largest = jnp.max(jnp.abs(flat), axis=1, keepdims=True, initial=0)
    scale = jnp.where(largest > 0, largest, 1)
    return scale[:, 0] * jnp.sqrt(jnp.sum((flat / scale) ** 2, axis=1))


def spread(numbers: Array, like: Array) -> Array:
    """Return one number for each example with as many axes as the examples have."""
    return numbers.reshape(-1, *(1,) * (like.ndim - 1))


def take(
    logits: Logits,
    params: Any,
    x: Any,
    y: Any,
    *,
    bounds: Bounds,
    norm: Norm,
    epsilon: Any = None,
    targets: Any = None,
) -> tuple[Problem, Callable[[Any], Any]]:
    """Return the examples of an attack, checked, and a function that gives results their dtype.

    What depends on values is an error where they are known, and else a flag of the problem.

    Args:
        logits: The model.
        params: Its parameters.
        x: The examples, (*batch, *event).
        y: Their labels, (*batch).
        bounds: The range of the entries.
        norm: The norm of changes.
        epsilon: The largest norm of a change, one or one for each example; `None` where there is none.
        targets: The classes that are aimed at, one or one for each example.

    Returns:
        The problem, and the function.

    Raises:
        TypeError: If an argument is not made of numbers, or classes are not whole numbers.
        ValueError: If shapes do not fit, or a value is out of its range.
    """
    if isinstance(norm, bool) or norm not in ("inf", 2):
        raise ValueError(f"norm is {norm!r:.40}: take 'inf' or 2")
    trees.check_numbers("params", params)
    low, high = ranges.ends(bounds)
    (x, low, high, epsilon), back = real_arrays(
        x=x, low=low, high=high, epsilon=epsilon, optional=("epsilon",)
    )
    y = _classes("y", y)
    batch, event = y.shape, x.shape[y.ndim :]
    if x.shape[: y.ndim] != batch:
        raise ValueError(f"y has the shape {batch}: take that of the leading axes of x, {x.shape}")
    ranges.check_ends(low, high, event)
    rows = Rows(
        x.reshape(y.size, *event),
        y.reshape(-1),
        None if targets is None else _each("targets", _classes("targets", targets), batch),
        None if epsilon is None else _each("epsilon", epsilon, batch),
        jnp.arange(y.size, dtype=jnp.uint32),
    )
    limits, width = Limits(low, high), _width(low, high, event, norm)
    number = _number_of_classes(logits, params, rows.x)
    given = (x, y, rows.target, epsilon, low, high)
    if all(checks.known(one) for one in given):
        _check_values(rows, limits, width, number)
    return Problem(rows, limits, _valid(rows, limits, width, number), batch, bounds is not None), back


def logits_of(logits: Logits, params: Any, x: Array) -> Array:
    """Return the logits of examples in at least the precision of the examples."""
    z = logits(params, x)
    return z.astype(jnp.promote_types(z.dtype, x.dtype))


def odds(z: Array, classes: Array, raised: Raised) -> Array:
    """Return by how much the other logits exceed that of a class: their logsumexp, or the largest.

    The cross entropy is the softplus of the former, and has its gradient times a number from 0 to 1, which
    vanishes in single precision where a model is certain. The former's does not.

    Args:
        z: The logits, (n, classes).
        classes: A class of each example, (n,).
        raised: What an attack raises.

    Returns:
        One number for each example.
    """
    chosen = classes[:, None] == jnp.arange(z.shape[1])
    others = jnp.where(chosen, -jnp.inf, z)
    rest = jax.nn.logsumexp(others, axis=1) if raised == "cross_entropy" else jnp.max(others, axis=1)
    return rest - jnp.sum(jnp.where(chosen, z, 0), axis=1)


def seen(logits: Logits, params: Any, rows: Rows, raised: Raised, x: Array) -> tuple[Array, Found]:
    """Return the sum of what an attack climbs, and the examples as a candidate for the best change.

    Args:
        logits: The model.
        params: Its parameters.
        rows: The examples.
        raised: What the attack raises.
        x: The changed examples.

    Returns:
        One number, whose gradient is that of each example on its own, and the candidate.
    """
    z = logits_of(logits, params, x)
    sign, classes = (1, rows.label) if rows.target is None else (-1, rows.target)
    height = odds(z, classes, raised)
    loss = sign * (jax.nn.softplus(height) if raised == "cross_entropy" else height)
    met = jnp.argmax(z, axis=1) == classes
    # A logit that is not a number is no answer.
    success = (~met if rows.target is None else met) & ~jnp.isnan(jnp.sum(z, axis=1))
    return jnp.sum(sign * height), Found(x, success, loss)


def better(one: Found, other: Found) -> Found:
    """Return for each example the change that succeeds, and of two such the one of the larger loss."""
    gain = (other.success & ~one.success) | ((other.success == one.success) & (other.loss > one.loss))
    return Found(
        jnp.where(spread(gain, one.x), other.x, one.x),
        one.success | other.success,
        jnp.where(gain, other.loss, one.loss),
    )


def nothing(rows: Rows) -> Found:
    """Return the examples as they are, as a change that any other is better than."""
    n = len(rows.x)
    return Found(rows.x, jnp.zeros(n, bool), jnp.full(n, -jnp.inf, rows.x.dtype))


def _classes(name: str, value: Any) -> Array:
    value = as_array(name, value)
    if not jnp.issubdtype(value.dtype, jnp.integer):
        raise TypeError(f"{name} is {value.dtype}: take whole numbers from 0, as argmax of one-hot rows")
    return jnp.asarray(value)


def _each(name: str, value: Array, batch: tuple[int, ...]) -> Array:
    """One value for each example, on one axis."""
    if value.shape not in ((), batch):
        raise ValueError(f"{name} has the shape {value.shape}: take one number, or that of y, {batch}")
    return jnp.broadcast_to(value, batch).reshape(-1)


def _width(low: Array, high: Array, event: tuple[int, ...], norm: Norm) -> Array:
    """The largest distance between two examples within the bounds."""
    sides = jnp.broadcast_to(high - low, event)
    # Infinite ones have no largest entry to scale by.
    return jnp.max(sides, initial=0) if norm == "inf" else jnp.sqrt(jnp.sum(sides**2))


def _number_of_classes(logits: Logits, params: Any, x: Array) -> int:
    z = jax.eval_shape(logits, params, x)
    shape = getattr(z, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != len(x) or shape[1] < 2:
        found = f"a {type(z).__name__}" if shape is None else f"an array of shape {shape}"
        raise ValueError(
            f"logits gives {found} for examples of shape {x.shape}: take a function that gives "
            f"({len(x)}, classes), one number for each of at least two classes"
        )
    if not jnp.issubdtype(z.dtype, jnp.floating):
        raise TypeError(f"logits gives {z.dtype}: take a function that gives real floating-point logits")
    return shape[1]


def _valid(rows: Rows, limits: Limits, width: Array, number: int) -> Array:
    axes = tuple(range(1, rows.x.ndim))
    inside = (limits.low <= rows.x) & (rows.x <= limits.high) & jnp.isfinite(rows.x)
    valid = jnp.all(inside, axis=axes) & (rows.label >= 0) & (rows.label < number)
    if rows.epsilon is not None:
        valid &= (rows.epsilon >= 0) & (rows.epsilon <= width)
    if rows.target is not None:
        valid &= (rows.target >= 0) & (rows.target < number) & (rows.target != rows.label)
    return valid


def _check_values(rows: Rows, limits: Limits, width: Array, number: int) -> None:
    """Refuse values that are out of their range."""
    ranges.check_inside(rows.x, *limits)
    for name, classes in (("y", rows.label), ("targets", rows.target)):
        if classes is not None:
            found = np.asarray(classes)
            wrong = (found < 0) | (found >= number)
            if wrong.any():
                raise ValueError(f"{name} holds {found[wrong][0]}: take classes from 0 to {number - 1}")
    if rows.target is not None:
        same = np.flatnonzero(np.asarray(rows.target == rows.label))
        if same.size:
            raise ValueError(
                f"targets holds {int(rows.target[same[0]])} for example {same[0]}, which is its label: take "
                "another class"
            )
    if rows.epsilon is not None:
        ranges.check_epsilon(rows.epsilon, width)
