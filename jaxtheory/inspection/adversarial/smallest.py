"""Attacks that look for the smallest change after which the answer is another."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, Integers, Reals, RealScalar
from jaxtheory.inspection.adversarial import balls, parts
from jaxtheory.inspection.adversarial.problems import (
    AttackResult,
    Found,
    Limits,
    Logits,
    Norm,
    Rows,
    logits_of,
    nothing,
    odds,
    seen,
    size,
    spread,
    take,
)
from jaxtheory.inspection.ranges import Bounds

NEAREST = 5e-7
"""The distance from the bounds, in units of their width, at which a search between them begins."""
MISSED = float("inf")
"""The distance of an example whose answer no change was found to change."""


def deepfool(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "..."],
    y: Integers,
    *,
    epsilon: Reals | None = None,
    norm: Norm = 2,
    max_steps: int = 50,
    overshoot: RealScalar = 0.02,
    candidates: int = 10,
    bounds: Bounds = (0, 1),
    targets: Integers | None = None,
    chunk: int | None = None,
) -> AttackResult:
    r"""Find a small change by steps to the nearest class boundary of the linearized model.

    With the differences $f_k = z_k - z_y$ of logits and their gradients $w_k$, a step to the nearest class is
    $|f_k| w_k / \|w_k\|_2^2$ for the smallest $|f_k| / \|w_k\|_2$; in the norm of the largest entry it is
    $|f_k|\,\mathrm{sign}(w_k) / \|w_k\|_1$. Steps add up, and go beyond the boundary by a share of their sum.
    For a linear model one step leads to the nearest boundary exactly.

    Args:
        logits: The model, a function `logits(params, x)` of examples `(n, ...)` that returns `(n, classes)`.
        params: The parameters of the model.
        x: The examples, with the leading axes of `y`; their entries are within the bounds.
        y: The labels, whole numbers from 0; an example that is answered otherwise is left as it is.
        epsilon: The largest distance that counts as success, from 0 to the width of the range; one number,
            or one for each example. By default any does.
        norm: The norm of changes, `"inf"` or 2.
        max_steps: The largest number of steps, at least 1.
        overshoot: The share of the change by which it is extended, positive.
        candidates: The number of classes of the largest logits whose boundaries are looked at, at least 2.
        bounds: The least and the largest value of entries, numbers or arrays of the shape of an example;
            `None` for no bounds and no clipping.
        targets: The classes to be answered, other than the labels; by default any other answer will do.
        chunk: The number of examples that are attacked at a time, at least 1; by default 100 on processors,
            elsewhere all.

    Returns:
        The changed examples; their losses are margins, the largest other logit minus the label's. Without
        success the distance is infinite.

    Raises:
        TypeError: If an argument is not made of numbers, or classes are not whole numbers.
        ValueError: If shapes do not fit, logits are not `(n, classes)`, or a value is out of its range; of
            traced values the result's `valid` tells.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import adversarial
        >>> def linear(w, x):
        ...     return jnp.stack([x @ w, -x @ w], axis=-1)
        >>> w, x = jnp.array([3.0, 4.0]), jnp.array([[0.25, 0.0625]])
        >>> attack = adversarial.deepfool(linear, w, x, jnp.array([0]), bounds=None)
        >>> round(float(attack.distance[0]), 4)  # 1.02 times the distance 1 / 5 from the boundary
        0.204

    References:
        Seyed-Mohsen Moosavi-Dezfooli, Alhussein Fawzi and Pascal Frossard, "DeepFool: a simple and accurate
        method to fool deep neural networks", 2016.
    """
    max_steps = checks.count("max_steps", max_steps)
    candidates = checks.count("candidates", candidates, least=2)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    checks.positive("overshoot", overshoot, one=True)
    options = {"bounds": bounds, "norm": norm, "epsilon": epsilon, "targets": targets}
    problem, back = take(logits, params, x, y, **options)
    static = logits, norm, max_steps, candidates, chunk
    found = _over_boundaries(params, problem.rows, problem.limits, overshoot, static)
    return back(problem.result(found, norm, MISSED))


@partial(jax.jit, static_argnames="static")
def _over_boundaries(
    params: PyTree, rows: Rows, limits: Limits, overshoot: Any, static: tuple[Any, ...]
) -> Found:
    logits, norm, max_steps, candidates, chunk = static

    def attacked(rows: Rows, _: Found) -> Found:
        look = partial(seen, logits, params, rows, "margin")

        def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            steps, found, _ = carry
            # Where the model answers otherwise an example has arrived.
            change = jnp.where(
                spread(found.success, found.x),
                0,
                _to_boundary(logits, params, rows, found.x, norm, candidates),
            )
            # The sum of steps is what came of it within the bounds, without the overshoot.
            total = (found.x - rows.x) / (1 + overshoot) + change
            moved = limits.clip(rows.x + (1 + overshoot) * total).astype(found.x.dtype)
            moved = jnp.where(spread(found.success, moved), found.x, moved)
            return steps + 1, look(moved)[1], jnp.any(jnp.abs(change) > 0)

        def goes_on(carry: tuple[Any, ...]) -> Array:
            steps, found, moving = carry
            return (steps < max_steps) & jnp.any(~found.success) & moving

        start = (jnp.zeros((), int), look(rows.x)[1], jnp.ones((), bool))
        return lax.while_loop(goes_on, step, start)[1]

    return parts.all_of(attacked, rows, nothing, chunk)


def _to_boundary(logits: Logits, params: PyTree, rows: Rows, x: Array, norm: Norm, candidates: int) -> Array:
    """The step from each example to the nearest boundary of its linearized model."""
    z, pull = jax.vjp(partial(logits_of, logits, params), x)
    classes = z.shape[1]
    if rows.target is not None:
        others = rows.target[None]
    elif classes <= candidates:
        others = jnp.broadcast_to(jnp.arange(classes)[:, None], (classes, len(x)))
    else:
        others = lax.top_k(z, candidates)[1].T
    own = jax.nn.one_hot(rows.label, classes, dtype=z.dtype)
    differences = jax.nn.one_hot(others, classes, dtype=z.dtype) - own
    slopes = jax.vmap(lambda one: pull(one)[0])(differences)
    heights = jnp.sum(jnp.where(differences != 0, differences * z, 0), axis=-1)
    squares = jax.vmap(lambda slope: _dual(slope, norm))(slopes)
    # The label's own difference has no slope, and no boundary.
    distances = jnp.where(squares > 0, jnp.abs(heights) / jnp.where(squares > 0, squares, 1), jnp.inf)
    chosen = jnp.argmin(distances, axis=0)
    distance = jnp.take_along_axis(distances, chosen[None], axis=0)[0]
    slope = jax.vmap(lambda k, column: column[k], in_axes=(0, 1))(chosen, slopes)
    # On the boundary itself a step has no length: the smallest one leads across.
    least = jnp.finfo(x.dtype).eps
    distance = jnp.where(jnp.isfinite(distance), jnp.maximum(distance, least), 0)
    return (spread(distance, x) * balls.steepest(slope, norm)).astype(x.dtype)


def _dual(slope: Array, norm: Norm) -> Array:
    """The growth along the steepest change of norm one."""
    if norm == 2:
        return size(slope, 2)
    return jnp.sum(jnp.abs(slope), axis=tuple(range(1, slope.ndim)))


def carlini_wagner(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "..."],
    y: Integers,
    *,
    epsilon: Reals | None = None,
    steps: int = 1000,
    searches: int = 9,
    rate: RealScalar = 0.01,
    weight: RealScalar = 1e-3,
    confidence: RealScalar = 0.0,
    bounds: Bounds = (0, 1),
    targets: Integers | None = None,
    chunk: int | None = None,
) -> AttackResult:
    r"""Find a small Euclidean change by minimizing its square and a hinge of the margin.

    $\min_{x'} \|x' - x\|^2 + c \max(\kappa - m(x'), 0)$, where the margin $m$ is the largest other logit
    minus the label's, or the target's minus the largest other. Adam minimizes over $w$ with
    $x' = l + (u - l) (1 + \tanh w) / 2$ between the bounds $l$ and $u$, or over $x'$ itself where there are
    none. The weight $c$ grows tenfold until there is success, and is then searched by bisection.

    Args:
        logits: The model, a function `logits(params, x)` of examples `(n, ...)` that returns `(n, classes)`.
        params: The parameters of the model.
        x: The examples, with the leading axes of `y`; their entries are within the bounds.
        y: The labels, whole numbers from 0; an example that is answered otherwise is left as it is.
        epsilon: The largest distance that counts as success, from 0 to the width of the range; one number,
            or one for each example. By default any does.
        steps: The number of Adam's steps for each weight, at least 1.
        searches: The number of weights, at least 1.
        rate: Adam's step size, positive.
        weight: The first weight $c$, positive.
        confidence: The margin $\kappa$ that counts as success, at least 0.
        bounds: The least and the largest value of entries, numbers or arrays of the shape of an example;
            `None` for no bounds and no clipping.
        targets: The classes to be answered, other than the labels; by default any other answer will do.
        chunk: The number of examples that are attacked at a time, at least 1; by default 100 on processors,
            elsewhere all.

    Returns:
        The nearest changed examples that succeed; their losses are margins. Without success the example is
        as it was, and the distance infinite.

    Raises:
        TypeError: If an argument is not made of numbers, or classes are not whole numbers.
        ValueError: If shapes do not fit, logits are not `(n, classes)`, or a value is out of its range; of
            traced values the result's `valid` tells.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import adversarial
        >>> def linear(w, x):
        ...     return jnp.stack([x @ w, -x @ w], axis=-1)
        >>> w, x = jnp.array([3.0, 4.0]), jnp.array([[0.5, 0.25]])
        >>> attack = adversarial.carlini_wagner(linear, w, x, jnp.array([0]), bounds=None, steps=300)
        >>> round(float(attack.distance[0]), 1)  # the distance 2.5 / 5 from the boundary
        0.5

    References:
        Nicholas Carlini and David Wagner, "Towards evaluating the robustness of neural networks", 2017.
    """
    steps, searches = checks.count("steps", steps), checks.count("searches", searches)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    for name, value in (("rate", rate), ("weight", weight)):
        checks.positive(name, value, one=True)
    checks.nonnegative("confidence", confidence, one=True)
    options = {"bounds": bounds, "norm": 2, "epsilon": epsilon, "targets": targets}
    problem, back = take(logits, params, x, y, **options)
    static = logits, problem.bounded, steps, searches, chunk
    numbers = rate, weight, confidence
    found = _hinged(params, problem.rows, problem.limits, numbers, static)
    return back(problem.result(found, 2, MISSED))


@partial(jax.jit, static_argnames="static")
def _hinged(
    params: PyTree, rows: Rows, limits: Limits, numbers: tuple[Any, ...], static: tuple[Any, ...]
) -> Found:
    import optax

    logits, bounded, steps, searches, chunk = static
    rate, weight, confidence = numbers
    adam = optax.scale_by_adam()

    def attacked(rows: Rows, _: Found) -> Found:
        dtype = rows.x.dtype
        sign, classes = (1, rows.label) if rows.target is None else (-1, rows.target)
        low, width = limits.low, limits.high - limits.low

        def example(w: Array) -> Array:
            return low + width * jax.nn.sigmoid(2 * w) if bounded else w

        def look(w: Array, c: Array) -> tuple[Array, tuple[Array, Found]]:
            x = example(w)
            z = logits_of(logits, params, x)
            margin = sign * odds(z, classes, "margin")
            far = jnp.sum((x - rows.x) ** 2, axis=tuple(range(1, x.ndim)))
            cost = far + c * jnp.maximum(confidence - margin, 0)
            met = (margin > 0) & (margin >= confidence)
            return jnp.sum(cost), (far, Found(x, met, margin.astype(dtype)))

        def closer(best: tuple[Array, Found], new: tuple[Array, Found]) -> tuple[Array, Found]:
            (far, found), (other, one) = best, new
            gain = one.success & (other < far)
            return jnp.where(gain, other, far), Found(
                jnp.where(spread(gain, one.x), one.x, found.x),
                found.success | one.success,
                jnp.where(gain, one.loss, found.loss),
            )

        # At the bounds themselves the tangent's argument would be infinite. It is written as a logistic
        # function, whose slope near zero is not lost to rounding.
        inside = NEAREST + (1 - 2 * NEAREST) * (rows.x - low) / width if bounded else None
        start = jax.scipy.special.logit(inside) / 2 if bounded else rows.x

        def search(_: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            best, c, least, most = carry

            def step(_: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
                w, memory, best, met = carry
                (_, new), gradient = jax.value_and_grad(look, has_aux=True)(w, c)
                change, memory = adam.update(gradient, memory)
                w = (w - rate * change).astype(dtype)
                return w, memory, closer(best, new), met | new[1].success

            begin = (start, adam.init(start), best, jnp.zeros(len(start), bool))
            w, _, best, met = lax.fori_loop(0, steps, step, begin)
            new = look(w, c)[1]
            best, met = closer(best, new), met | new[1].success
            least, most = jnp.where(met, least, c), jnp.where(met, c, most)
            after = jnp.where(jnp.isfinite(most), (least + most) / 2, 10 * c)
            return best, after.astype(dtype), least, most

        n = len(rows.x)
        plain = seen(logits, params, rows, "margin", rows.x)[1]
        # What needs no change is at distance zero, which nothing is closer than.
        far = jnp.where(plain.success & (confidence == 0), 0, jnp.inf).astype(dtype)
        found = plain._replace(success=far == 0)
        first = jnp.full(n, weight, dtype)
        carry = ((far, found), first, jnp.zeros(n, dtype), jnp.full(n, jnp.inf, dtype))
        return lax.fori_loop(0, searches, search, carry)[0][1]

    return parts.all_of(attacked, rows, nothing, chunk)
