"""Attacks that climb the loss along its gradient, within a ball about each example."""

from functools import partial
from typing import Any

import jax
from jax import lax
from jaxtyping import Array, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.types import AnyArray, Integers, RandomKey, Reals
from jaxtheory.inspection.adversarial import balls, parts
from jaxtheory.inspection.adversarial.climbing import GIVEN, RELATIVE, Climb, climbed, lengths
from jaxtheory.inspection.adversarial.problems import (
    RAISED,
    AttackResult,
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
    take,
)
from jaxtheory.inspection.ranges import Bounds

PATH = 2.5
"""The length of all steps together in units of epsilon, where no step is given."""


def fgsm(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "..."],
    y: Integers,
    epsilon: Reals,
    *,
    norm: Norm = "inf",
    bounds: Bounds = (0, 1),
    targets: Integers | None = None,
    loss: Raised = "cross_entropy",
) -> AttackResult:
    r"""Attack by one step of length epsilon along the sign of the gradient, or along the gradient itself.

    $x + \epsilon\,\mathrm{sign}\,\nabla_x L(x, y)$, clipped to the bounds; in the Euclidean norm
    $x + \epsilon \nabla L / \|\nabla L\|$. For a linear model of two classes no change of that size raises
    the loss more. Where a model is certain in single precision the direction is still that of the cross
    entropy: it is computed from the logits' differences, which do not round to zero.

    Args:
        logits: The model, a function `logits(params, x)` of examples `(n, ...)` that returns `(n, classes)`.
        params: The parameters of the model.
        x: The examples, with the leading axes of `y`; their entries are within the bounds.
        y: The labels, whole numbers from 0.
        epsilon: The norm of the change, from 0 to the width of the range; one number, or one for each
            example.
        norm: The norm of changes, `"inf"` or 2.
        bounds: The least and the largest value of entries, numbers or arrays of the shape of an example;
            `None` for no bounds and no clipping.
        targets: The classes to be answered, other than the labels; by default any other answer will do.
        loss: What is raised: `"cross_entropy"`, or `"margin"`, the largest other logit minus the label's.

    Returns:
        The changed examples, whether they succeed, and their losses.

    Raises:
        TypeError: If an argument is not made of numbers, or classes are not whole numbers.
        ValueError: If shapes do not fit, logits are not `(n, classes)`, or a value is out of its range; of
            traced values the result's `valid` tells.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import adversarial
        >>> def linear(w, x):
        ...     return jnp.stack([x @ w, -x @ w], axis=-1)
        >>> w, x = jnp.array([1.0, -2.0]), jnp.array([[0.5, 0.125]])
        >>> attack = adversarial.fgsm(linear, w, x, jnp.array([0]), 0.125)
        >>> attack.x.tolist(), attack.success.tolist()
        ([[0.375, 0.25]], [True])

    References:
        Ian Goodfellow, Jonathon Shlens and Christian Szegedy, "Explaining and harnessing adversarial
        examples", 2015.
    """
    checks.one_of("loss", loss, RAISED)
    options = {"bounds": bounds, "norm": norm, "epsilon": epsilon, "targets": targets}
    problem, back = take(logits, params, x, y, **options)
    facts = Climb(logits, norm, loss, 1, GIVEN)
    return back(problem.result(_one_step(params, problem.rows, problem.limits, facts), norm))


@partial(jax.jit, static_argnames="facts")
def _one_step(params: PyTree, rows: Rows, limits: Limits, facts: Climb) -> Found:
    def step(rows: Rows, _: Found) -> Found:
        look = partial(seen, facts.logits, params, rows, facts.raised)
        gradient = jax.grad(look, has_aux=True)(rows.x)[0]
        move = spread(rows.epsilon, rows.x) * balls.steepest(gradient, facts.norm)
        return look(limits.clip(rows.x + move))[1]

    return parts.all_of(step, rows, nothing, None)


def pgd(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "..."],
    y: Integers,
    key: RandomKey,
    *,
    epsilon: Reals,
    step: Any = None,
    steps: int = 40,
    restarts: int = 1,
    norm: Norm = "inf",
    bounds: Bounds = (0, 1),
    targets: Integers | None = None,
    loss: Raised = "cross_entropy",
    only_standing: bool = True,
    chunk: int | None = None,
) -> AttackResult:
    r"""Attack by projected gradient steps from random points of the ball.

    $x_{k+1} = P(x_k + \alpha_k\,\mathrm{sign}\,\nabla_x L(x_k, y))$, in the Euclidean norm
    $P(x_k + \alpha_k \nabla L / \|\nabla L\|)$, where $P$ goes back to the ball of radius $\epsilon$ and to
    the bounds. Of all points that are visited, the one of the largest loss among those that succeed is kept.
    An example's random draws depend on the key, the restart and the example's place only.

    Args:
        logits: The model, a function `logits(params, x)` of examples `(n, ...)` that returns `(n, classes)`.
        params: The parameters of the model.
        x: The examples, with the leading axes of `y`; their entries are within the bounds.
        y: The labels, whole numbers from 0.
        key: The random key of the starts.
        epsilon: The largest norm of a change, from 0 to the width of the range; one number, or one for each
            example.
        step: The length of a step, as a number or one for each of the `steps`; or one of optax's optimizers,
            whose updates take the place of steps. By default 2.5 epsilon / steps.
        steps: The number of steps from each start, at least 1.
        restarts: The number of random starts, at least 0; with 0 the only start is the example itself.
        norm: The norm of changes, `"inf"` or 2.
        bounds: The least and the largest value of entries, numbers or arrays of the shape of an example;
            `None` for no bounds and no clipping.
        targets: The classes to be answered, other than the labels; by default any other answer will do.
        loss: What is raised: `"cross_entropy"`, or `"margin"`, the largest other logit minus the label's.
        only_standing: Whether a restart attacks only the examples for which no start before succeeded. The
            successes are the same without, and losses larger.
        chunk: The number of examples that are attacked at a time, at least 1; by default 100 on processors,
            elsewhere all.

    Returns:
        The changed examples, whether they succeed, and their losses.

    Raises:
        TypeError: If an argument is not made of numbers, or classes are not whole numbers.
        ValueError: If shapes do not fit, logits are not `(n, classes)`, or a value is out of its range; of
            traced values the result's `valid` tells.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.inspection import adversarial
        >>> def linear(w, x):
        ...     return jnp.stack([x @ w, -x @ w], axis=-1)
        >>> w, x, y = jnp.array([1.0, -2.0]), jnp.array([[0.5, 0.125]]), jnp.array([0])
        >>> attack = adversarial.pgd(linear, w, x, y, jax.random.key(0), epsilon=0.125, restarts=2)
        >>> attack.x.tolist(), attack.distance.tolist()
        ([[0.375, 0.25]], [0.125])

    References:
        Aleksander Madry, Aleksandar Makelov, Ludwig Schmidt, Dimitris Tsipras and Adrian Vladu, "Towards
        deep learning models resistant to adversarial attacks", 2018.
    """
    checks.one_of("loss", loss, RAISED)
    checks.random_key("key", key)
    steps = checks.count("steps", steps)
    restarts = checks.count("restarts", restarts, least=0)
    only_standing = checks.flag("only_standing", only_standing)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    options = {"bounds": bounds, "norm": norm, "epsilon": epsilon, "targets": targets}
    problem, back = take(logits, params, x, y, **options)
    sizes, rule = lengths(step, steps, PATH)
    facts = Climb(logits, norm, loss, steps, rule)
    static = facts, restarts, only_standing, chunk
    found = _from_starts(params, problem.rows, problem.limits, sizes, key, static)
    return back(problem.result(found, norm))


@partial(jax.jit, static_argnames="static")
def _from_starts(
    params: PyTree, rows: Rows, limits: Limits, sizes: Array, key: Array, static: tuple[Any, ...]
) -> Found:
    facts, restarts, only_standing, chunk = static

    def all_of(rows: Rows, each: int) -> Found:
        def restart(number: Any, best: Found) -> Found:
            def attacked(rows: Rows, best: Found) -> Found:
                start = rows.x
                if restarts:
                    own = jax.random.fold_in(key, number)
                    start = balls.random_points(own, rows, limits, facts.norm)
                return better(best, climbed(params, rows, limits, start, sizes, 0.0, facts))

            standing = ~best.success if restarts > 1 and only_standing else None
            return parts.where_standing(attacked, rows, best, standing, each)

        if restarts < 2:
            return restart(0, nothing(rows))
        return lax.fori_loop(0, restarts, restart, nothing(rows))

    return parts.by_platform(all_of, rows, chunk)


def momentum(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "..."],
    y: Integers,
    *,
    epsilon: Reals,
    step: Any = None,
    steps: int = 10,
    decay: Reals = 1.0,
    norm: Norm = "inf",
    bounds: Bounds = (0, 1),
    targets: Integers | None = None,
    loss: Raised = "cross_entropy",
    chunk: int | None = None,
) -> AttackResult:
    r"""Attack by steps along an average of gradients, whose changes carry over to other models better.

    $g_{k+1} = \mu g_k + \nabla L(x_k, y) / \|\nabla L(x_k, y)\|_1$, with steps from the example itself along
    $\mathrm{sign}\,g$, or in the Euclidean norm along $g / \|g\|$, and back to the ball and the bounds. Of
    all points that are visited, the one of the largest loss among those that succeed is kept.

    Args:
        logits: The model, a function `logits(params, x)` of examples `(n, ...)` that returns `(n, classes)`.
        params: The parameters of the model.
        x: The examples, with the leading axes of `y`; their entries are within the bounds.
        y: The labels, whole numbers from 0.
        epsilon: The largest norm of a change, from 0 to the width of the range; one number, or one for each
            example.
        step: The length of a step, as a number or one for each of the `steps`; by default epsilon / steps.
        steps: The number of steps, at least 1.
        decay: The factor on the average of gradients before, at least 0.
        norm: The norm of changes, `"inf"` or 2.
        bounds: The least and the largest value of entries, numbers or arrays of the shape of an example;
            `None` for no bounds and no clipping.
        targets: The classes to be answered, other than the labels; by default any other answer will do.
        loss: What is raised: `"cross_entropy"`, or `"margin"`, the largest other logit minus the label's.
        chunk: The number of examples that are attacked at a time, at least 1; by default 100 on processors,
            elsewhere all.

    Returns:
        The changed examples, whether they succeed, and their losses.

    Raises:
        TypeError: If an argument is not made of numbers, or classes are not whole numbers.
        ValueError: If shapes do not fit, logits are not `(n, classes)`, or a value is out of its range; of
            traced values the result's `valid` tells.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import adversarial
        >>> def linear(w, x):
        ...     return jnp.stack([x @ w, -x @ w], axis=-1)
        >>> w, x, y = jnp.array([1.0, -2.0]), jnp.array([[0.5, 0.125]]), jnp.array([0])
        >>> adversarial.momentum(linear, w, x, y, epsilon=0.125, steps=4).x.tolist()
        [[0.375, 0.25]]

    References:
        Yinpeng Dong, Fangzhou Liao, Tianyu Pang, Hang Su, Jun Zhu, Xiaolin Hu and Jianguo Li, "Boosting
        adversarial attacks with momentum", 2018.
    """
    checks.one_of("loss", loss, RAISED)
    steps = checks.count("steps", steps)
    checks.nonnegative("decay", decay, one=True)
    chunk = None if chunk is None else checks.count("chunk", chunk)
    options = {"bounds": bounds, "norm": norm, "epsilon": epsilon, "targets": targets}
    problem, back = take(logits, params, x, y, **options)
    sizes, rule = lengths(step, steps, 1.0)
    if rule not in (GIVEN, RELATIVE):
        raise TypeError("step is an optimizer: take the length of a step, or give the optimizer to pgd")
    facts = Climb(logits, norm, loss, steps, rule, momentum=True)
    found = _averaged(params, problem.rows, problem.limits, sizes, decay, (facts, chunk))
    return back(problem.result(found, norm))


@partial(jax.jit, static_argnames="static")
def _averaged(
    params: PyTree, rows: Rows, limits: Limits, sizes: Array, decay: Any, static: tuple[Climb, int | None]
) -> Found:
    facts, chunk = static

    def attacked(rows: Rows, _: Found) -> Found:
        return climbed(params, rows, limits, rows.x, sizes, decay, facts)

    return parts.all_of(attacked, rows, nothing, chunk)
