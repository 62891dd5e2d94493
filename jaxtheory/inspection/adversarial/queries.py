"""Attacks that take no gradient: they ask the model for its logits, or for its answer only."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, Integers, RandomKey, Reals, RealScalar
from jaxtheory.inspection.adversarial import balls, parts
from jaxtheory.inspection.adversarial.problems import (
    AttackResult,
    Found,
    Limits,
    Logits,
    Rows,
    better,
    logits_of,
    nothing,
    seen,
    size,
    spread,
    take,
)
from jaxtheory.inspection.ranges import Bounds

HALVINGS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)
"""The queries, of 10,000, at which the area of squares is halved."""
SEGMENT = 50
"""The number of queries after which the images that have fallen are put aside."""
POOL = 100
"""The number of images of noise from which the boundary is looked for."""
BISECTIONS = 15
"""The number of bisections between an image and the start."""
AROUND, TOWARDS = 0.1, 0.1
"""The first steps around the image and towards it, in units of the distance."""
EVEN, RARE = 1.1, 1.1**3
"""The factors on a step that succeeds, of which half and a quarter are wanted; others are divided by 1.1."""


def square(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "..."],
    y: Integers,
    key: RandomKey,
    *,
    epsilon: Reals,
    queries: int = 1000,
    area: RealScalar = 0.8,
    bounds: Bounds = (0, 1),
    targets: Integers | None = None,
    chunk: int | None = None,
) -> AttackResult:
    r"""Attack images by random squares of $\pm\epsilon$, which are kept where they raise the margin.

    The start has vertical stripes of $\pm\epsilon$. Each query tries one square at a random place, with one
    sign for each channel; its side falls in steps over the queries. Every 50 queries the images that have
    fallen are put aside.

    Args:
        logits: The model, a function `logits(params, x)` of images `(n, ...)` that returns `(n, classes)`;
            it need not be differentiable.
        params: The parameters of the model.
        x: The images, `(..., H, W)` or `(..., H, W, C)`, with the leading axes of `y`.
        y: The labels, whole numbers from 0.
        key: The random key; an image's draws depend on it and on the image's place.
        epsilon: The largest entry of a change, from 0 to the width of the range; one number, or one for each
            image.
        queries: The largest number of queries for each image, at least 1.
        area: The share of the image that the first squares cover, above 0 and at most 1.
        bounds: The least and the largest value of entries, numbers or arrays of the shape of an image;
            `None` for no bounds and no clipping.
        targets: The classes to be answered, other than the labels; by default any other answer will do.
        chunk: The number of images that are attacked at a time, at least 1; by default 100 on processors,
            elsewhere all.

    Returns:
        The changed images; their losses are margins, the largest other logit minus the label's.

    Raises:
        TypeError: If an argument is not made of numbers, or classes are not whole numbers.
        ValueError: If shapes do not fit, images have other than two or three axes, logits are not
            `(n, classes)`, or a value is out of its range; of traced values the result's `valid` tells.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.inspection import adversarial
        >>> def brightness(threshold, x):
        ...     above = x.mean(axis=(1, 2)) - threshold
        ...     return jnp.stack([above, -above], axis=-1)
        >>> x, key = jnp.full((1, 4, 4), 0.5), jax.random.key(0)
        >>> adversarial.square(brightness, 0.45, x, jnp.array([0]), key, epsilon=0.2).success.tolist()
        [True]

    References:
        Maksym Andriushchenko, Francesco Croce, Nicolas Flammarion and Matthias Hein, "Square attack: a
        query-efficient black-box adversarial attack via random search", 2020.
    """
    checks.random_key("key", key)
    queries = checks.count("queries", queries)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    checks.positive("area", area, one=True)
    checks.within("area", area, 0, 1)
    options = {"bounds": bounds, "norm": "inf", "epsilon": epsilon, "targets": targets}
    problem, back = take(logits, params, x, y, **options)
    if problem.rows.x.ndim not in (3, 4):
        shape = problem.rows.x.shape[1:]
        raise ValueError(f"x holds examples of shape {shape}: take images, (..., H, W) or (..., H, W, C)")
    found = _squares(params, problem.rows, problem.limits, area, key, (logits, queries, chunk))
    return back(problem.result(found, "inf"))


@partial(jax.jit, static_argnames="static")
def _squares(
    params: PyTree, rows: Rows, limits: Limits, area: Any, key: Array, static: tuple[Any, ...]
) -> Found:
    logits, queries, chunk = static
    height, width, *channels = rows.x.shape[1:]
    depth = (1,) * len(channels)

    def signs(key: Array, *shape: int) -> Array:
        return jax.random.rademacher(key, shape, rows.x.dtype)

    def tried(k: Array, rows: Rows, best: Found) -> Found:
        passed = k * (10_000 / queries)
        share = area * 2.0 ** -jnp.sum(passed > jnp.array(HALVINGS))
        side = jnp.clip(jnp.round(jnp.sqrt(share * height * width)), 1, min(height, width) - 1)
        side = jnp.maximum(side, 1).astype(int)

        def draw(key: Array) -> tuple[Array, Array]:
            top, left, sign = jax.random.split(key, 3)
            top = jax.random.randint(top, (), 0, height - side + 1)
            left = jax.random.randint(left, (), 0, width - side + 1)
            down, across = jnp.arange(height)[:, None] - top, jnp.arange(width) - left
            inside = (down >= 0) & (down < side) & (across >= 0) & (across < side)
            return inside.reshape(height, width, *depth), signs(sign, *depth[:0], 1, 1, *channels)

        inside, sign = jax.vmap(draw)(balls.keys(jax.random.fold_in(key, k + 1), rows))
        moved = limits.clip(rows.x + spread(rows.epsilon, rows.x) * sign)
        return better(best, look(rows, jnp.where(inside, moved, best.x)))

    def look(rows: Rows, x: Array) -> Found:
        return seen(logits, params, rows, "margin", x)[1]

    def started(rows: Rows, _: Found) -> Found:
        plain = look(rows, rows.x)
        stripes = jax.vmap(lambda key: signs(key, 1, width, *channels))(balls.keys(key, rows))
        start = look(rows, limits.clip(rows.x + spread(rows.epsilon, rows.x) * stripes))
        # What is answered wrongly as it is needs no change.
        kept = spread(plain.success, rows.x)
        return jax.tree.map(
            lambda one, other: jnp.where(kept.reshape(-1, *(1,) * (one.ndim - 1)), one, other), plain, start
        )

    def all_of(rows: Rows, each: int) -> Found:
        best = parts.where_standing(started, rows, nothing(rows), None, each)
        length = min(SEGMENT, queries)

        def segment(number: Array, best: Found) -> Found:
            def some(rows: Rows, best: Found) -> Found:
                first = number * length
                last = jnp.minimum(first + length, queries)
                return lax.fori_loop(first, last, lambda k, best: tried(k, rows, best), best)

            return parts.where_standing(some, rows, best, ~best.success, each)

        return lax.fori_loop(0, -(-queries // length), segment, best)

    return parts.by_platform(all_of, rows, chunk)


def boundary(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "..."],
    y: Integers,
    key: RandomKey,
    *,
    epsilon: Reals | None = None,
    steps: int = 1000,
    starts: Real[AnyArray, "..."] | None = None,
    bounds: Bounds = (0, 1),
    targets: Integers | None = None,
    chunk: int | None = None,
) -> AttackResult:
    r"""Find a small Euclidean change by a walk along the decision boundary, which asks for answers only.

    The nearest start that is answered as wanted is brought to the boundary by bisection. A step then goes in
    a random direction around the example, on the sphere through the point, and, if that is answered as
    wanted, towards the example. Both lengths adapt, so that half of the former and a quarter of the latter
    succeed. A step takes two queries.

    Args:
        logits: The model, a function `logits(params, x)` of examples `(n, ...)` that returns `(n, classes)`,
            of which only the largest entry counts.
        params: The parameters of the model.
        x: The examples, with the leading axes of `y`; their entries are within the bounds.
        y: The labels, whole numbers from 0; an example that is answered otherwise is left as it is.
        key: The random key; an example's draws depend on it and on the example's place.
        epsilon: The largest distance that counts as success, from 0 to the width of the range; one number, or
            one for each example. By default any does.
        steps: The number of steps, at least 1.
        starts: Points `(m, ...)` of the shape of an example, as other examples; each walk begins at the
            nearest that is answered as wanted. By default uniform noise of several levels.
        bounds: The least and the largest value of entries, numbers or arrays of the shape of an example;
            `None` for no bounds, where starts must be given.
        targets: The classes to be answered, other than the labels; by default any other answer will do.
        chunk: The number of examples that are attacked at a time, at least 1; by default 100 on processors,
            elsewhere all.

    Returns:
        The changed examples; their losses are margins. Without a start the example is as it was, and the
        distance infinite.

    Raises:
        TypeError: If an argument is not made of numbers, or classes are not whole numbers.
        ValueError: If shapes do not fit, logits are not `(n, classes)`, or a value is out of its range; of
            traced values the result's `valid` tells.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.inspection import adversarial
        >>> def linear(w, x):
        ...     return jnp.stack([x @ w, -x @ w], axis=-1)
        >>> w, x, key = jnp.array([3.0, -4.0]), jnp.array([[0.75, 0.25]]), jax.random.key(0)
        >>> attack = adversarial.boundary(linear, w, x, jnp.array([0]), key, steps=300)
        >>> round(float(attack.distance[0]), 2)  # the distance 1.25 / 5 from the boundary
        0.25

    References:
        Wieland Brendel, Jonas Rauber and Matthias Bethge, "Decision-based adversarial attacks: reliable
        attacks against black-box machine learning models", 2018.
    """
    checks.random_key("key", key)
    steps = checks.count("steps", steps)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    options = {"bounds": bounds, "norm": 2, "epsilon": epsilon, "targets": targets}
    problem, back = take(logits, params, x, y, **options)
    event = problem.rows.x.shape[1:]
    own, walk = jax.random.split(key)
    if starts is None:
        if not problem.bounded:
            raise ValueError("starts is None: take points to start from, or bounds for noise between them")
        starts = _noise(own, problem.limits, event)
    (starts, _), _ = real_arrays(starts=starts, x=problem.rows.x)
    checks.axes("starts", starts, "m", *("event",) * len(event), sizes=(None, *event))
    if not len(starts):
        raise ValueError("starts holds no point: take at least one")
    found = _walked(params, problem.rows, problem.limits, starts, walk, (logits, steps, chunk))
    return back(problem.result(found, 2, math.inf))


def _noise(key: Array, limits: Limits, event: tuple[int, ...]) -> Array:
    """Images of uniform noise between two levels, which differ from image to image."""
    levels, entries = jax.random.split(key)
    low, high = jnp.sort(jax.random.uniform(levels, (2, POOL, *(1,) * len(event)), limits.low.dtype), axis=0)
    part = low + (high - low) * jax.random.uniform(entries, (POOL, *event), limits.low.dtype)
    return limits.low + (limits.high - limits.low) * part


@partial(jax.jit, static_argnames="static")
def _walked(
    params: PyTree, rows: Rows, limits: Limits, starts: Array, key: Array, static: tuple[Any, ...]
) -> Found:
    logits, steps, chunk = static
    starts = limits.clip(starts.astype(rows.x.dtype))
    answers = jnp.argmax(logits_of(logits, params, starts), axis=1)

    def begun(rows: Rows) -> tuple[Array, Array]:
        """The nearest start of each example, and whether there is one."""
        wanted = answers != rows.label[:, None] if rows.target is None else answers == rows.target[:, None]
        flat, points = rows.x.reshape(len(rows.x), -1), starts.reshape(len(starts), -1)
        far = jnp.sum(flat**2, 1)[:, None] + jnp.sum(points**2, 1)
        far = far - 2 * jnp.matmul(flat, points.T, precision="highest")
        nearest = jnp.argmin(jnp.where(wanted, far, jnp.inf), axis=1)
        return starts[nearest], jnp.any(wanted, axis=1)

    def attacked(rows: Rows, _: Found) -> Found:
        def look(x: Array) -> Found:
            return seen(logits, params, rows, "margin", x)[1]

        def halved(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            near, far = ends
            middle = (near + far) / 2
            met = spread(look(middle).success, middle)
            return jnp.where(met, near, middle), jnp.where(met, middle, far)

        def step(k: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            point, around, towards = carry
            away = point - rows.x
            far = size(away, 2)
            draw = partial(jax.random.normal, shape=away.shape[1:], dtype=away.dtype)
            turn = jax.vmap(draw)(balls.keys(jax.random.fold_in(key, k), rows))
            unit = away / spread(jnp.where(far > 0, far, 1), away)
            axes = tuple(range(1, away.ndim))
            turn = turn - jnp.sum(turn * unit, axis=axes, keepdims=True) * unit
            turn = turn * spread(around * far / size(turn, 2), turn)
            # A right angle leads off the sphere, whose radius is kept.
            sphere = limits.clip(rows.x + (away + turn) / spread(jnp.sqrt(1 + around**2), away))
            stays = look(sphere).success
            left = sphere - rows.x
            length = size(left, 2)
            wish = jnp.minimum(length, far) * (1 - towards)
            closer = limits.clip(rows.x + left * spread(wish / jnp.where(length > 0, length, 1), left))
            gains = look(closer).success & stays & (size(closer - rows.x, 2) < far)
            around = jnp.clip(jnp.where(stays, around * EVEN, around / EVEN), 1e-6, 1)
            towards = jnp.where(gains, towards * RARE, jnp.where(stays, towards / EVEN, towards))
            return jnp.where(spread(gains, point), closer, point), around, jnp.clip(towards, 1e-6, 0.5)

        plain = look(rows.x)
        start, exists = begun(rows)
        point = lax.fori_loop(0, BISECTIONS, halved, (rows.x, start))[1]
        first = jnp.ones(len(rows.x), rows.x.dtype)
        point = lax.fori_loop(0, steps, step, (point, AROUND * first, TOWARDS * first))[0]
        kept = spread(plain.success | ~exists, point)
        end = look(jnp.where(kept, rows.x, point))
        return end._replace(success=end.success & (plain.success | exists))

    return parts.all_of(attacked, rows, nothing, chunk)
