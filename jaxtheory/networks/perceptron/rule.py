"""Rosenblatt's rule, plain, averaged and with a pocket, and the bound on its mistakes."""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Integer, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar

Variant = Literal["last", "average", "pocket"]
"""Which weights are kept: those at the end, their mean, or those with the fewest errors."""


@record
class PerceptronResult:
    """What Rosenblatt's rule ends with."""

    weights: Float[Array, " features"]
    """The weights."""
    bias: Float[Array, ""]
    """The bias."""
    mistakes: Int[Array, ""]
    """The number of mistakes, each of which changed the weights."""
    passes: Int[Array, ""]
    """The number of passes through the examples, the last one without a mistake where it converged."""
    converged: Bool[Array, ""]
    """Whether a whole pass went without a mistake."""


def fit(
    x: Real[AnyArray, "n features"],
    y: Int[AnyArray, " n"],
    *,
    rows: Integer[AnyArray, " presented"] | None = None,
    variant: Variant = "last",
    max_passes: Int[Array, ""] | int = 1000,
) -> PerceptronResult:
    r"""Train a perceptron by Rosenblatt's rule: add the example, with its sign, at each mistake.

    $(w, b) \leftarrow (w, b) + y_i (x_i, 1)$ whenever $y_i (w \cdot x_i + b) \le 0$, from zero on. It stops
    after a pass without a mistake, which comes after at most $(R/\gamma)^2$ mistakes if the classes can be
    separated, and never if they cannot.

    Args:
        x: The examples, one per row.
        y: The class of each example, -1 and 1 or 0 and 1.
        rows: The rows in the order in which a pass presents them; by default each once, from the first on.
        variant: The weights that are returned: "last" are those at the end; "average" is their mean over all
            examples presented; "pocket" are those with the fewest errors on the examples, which are counted
            whenever a run of right answers is longer than that of the weights kept so far.
        max_passes: The largest number of passes, at least 1.

    Returns:
        The weights, and what it took.

    Raises:
        TypeError: If an argument is complex, or classes or rows are not whole numbers.
        ValueError: If shapes do not match, or an option, a class or a row (where known) is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.networks import perceptron
        >>> x = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> found = perceptron.fit(x, jnp.array([0, 0, 0, 1]))  # and
        >>> found.weights.tolist(), float(found.bias), int(found.mistakes)
        ([3.0, 2.0], -4.0, 18)
        >>> bool(perceptron.fit(x, jnp.array([0, 1, 1, 0])).converged)  # exclusive or
        False

    References:
        Frank Rosenblatt, "Principles of neurodynamics", 1962.
        Stephen Gallant, "Perceptron-based learning algorithms", 1990.
        Yoav Freund and Robert Schapire, "Large margin classification using the perceptron algorithm", 1999.
    """
    (x,), back = real_arrays(x=x)
    signs = signs_of(x, y)
    checks.one_of("variant", variant, ("last", "average", "pocket"))
    if checks.known(max_passes):
        max_passes = checks.count("max_passes", max_passes)
    rows = np.arange(x.shape[0]) if rows is None else as_array("rows", rows)
    checks.axes("rows", rows, "presented")
    if not jnp.issubdtype(rows.dtype, jnp.integer):
        raise TypeError(f"rows are {rows.dtype}: take whole numbers")
    if checks.known(rows):
        numbers = np.asarray(rows)
        if not numbers.size or numbers.min() < 0 or numbers.max() >= x.shape[0]:
            raise ValueError(f"rows are not all of x: take numbers from 0 to {len(x) - 1}")
    return back(_fit(x, signs, jnp.asarray(rows), variant, max_passes))


@partial(jax.jit, static_argnames="variant")
def _fit(x: Array, signs: Array, rows: Array, variant: str, max_passes: Array | int) -> PerceptronResult:
    vectors = _signed(x, signs)
    zero, start = jnp.zeros((), int), jnp.zeros(vectors.shape[1], x.dtype)

    def right(weights: Array) -> Array:
        return jnp.sum(matmul(vectors, weights) > 0)

    def present(state: dict[str, Array], row: Array) -> tuple[dict[str, Array], None]:
        weights, vector = state["weights"], vectors[row]
        wrong = jnp.vdot(weights, vector, precision="highest") <= 0
        after = {
            "weights": jnp.where(wrong, weights + vector, weights),
            "mistakes": state["mistakes"] + wrong,
        }
        if variant == "average":
            # The mean of the weights as they are when an example has been presented.
            count = state["presented"] + 1
            after["kept"] = state["kept"] + (after["weights"] - state["kept"]) / count
            after["presented"] = count
        if variant == "pocket":
            run = jnp.where(wrong, 0, state["run"] + 1)
            found = lax.cond(run > state["longest"], right, lambda _: zero, weights)
            is_best = found > state["right"]
            after |= {"run": run, "longest": jnp.where(is_best, run, state["longest"])}
            after["kept"] = jnp.where(is_best, weights, state["kept"])
            after["right"] = jnp.where(is_best, found, state["right"])
        return after, None

    def one_pass(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        state, passes, _ = carry
        after, _ = lax.scan(present, state, rows)
        return after, passes + 1, after["mistakes"] == state["mistakes"]

    def goes_on(carry: tuple[Any, ...]) -> Array:
        return ~carry[2] & (carry[1] < max_passes)

    state = {"weights": start, "mistakes": zero}
    state |= {"kept": start} if variant != "last" else {}
    state |= {"presented": zero} if variant == "average" else {}
    state |= {"run": zero, "longest": zero, "right": zero} if variant == "pocket" else {}
    state, passes, converged = lax.while_loop(goes_on, one_pass, (state, zero, jnp.asarray(False)))
    weights = state["weights"] if variant == "last" else state["kept"]
    return PerceptronResult(weights[:-1], weights[-1], state["mistakes"], passes, converged)


def mistake_bound(
    x: Real[AnyArray, "n features"],
    y: Int[AnyArray, " n"],
    weights: Real[AnyArray, " features"],
    bias: RealScalar,
) -> Float[Array, ""]:
    r"""Return the bound on the mistakes of Rosenblatt's rule that a separating hyperplane proves.

    $(R / \gamma)^2$ with $R = \max_i |(x_i, 1)|$ and $\gamma = \min_i y_i (w \cdot x_i + b) / |(w, b)|$, for
    any order of presentation, however often; the hyperplane of the largest $\gamma$ gives the smallest.

    Args:
        x: The examples, one per row.
        y: The class of each example, -1 and 1 or 0 and 1.
        weights: The weights of a hyperplane.
        bias: Its bias.

    Returns:
        The bound; infinite where the hyperplane does not separate the classes.

    Raises:
        TypeError: If an argument is complex, or the classes are not whole numbers.
        ValueError: If shapes do not match, or a class (where known) is neither of the two.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.networks import perceptron
        >>> x = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> bound = perceptron.mistake_bound(x, jnp.array([0, 0, 0, 1]), jnp.array([2.0, 2.0]), -3.0)
        >>> round(float(bound), 3)
        51.0

    References:
        Albert Novikoff, "On convergence proofs on perceptrons", 1962.
    """
    (x, weights, bias), back = real_arrays(x=x, weights=weights, bias=bias)
    signs = signs_of(x, y)
    checks.axes("weights", weights, "features", sizes=x.shape[1:])
    checks.axes("bias", bias)
    vectors, plane = _signed(x, signs), jnp.append(weights, bias)
    longest = jnp.max(jnp.sum(vectors**2, axis=1))
    least = jnp.min(matmul(vectors, plane))
    bound = longest * jnp.sum(plane**2) / jnp.where(least > 0, least, 1) ** 2
    return back(jnp.where(least > 0, bound, jnp.inf))


def signs_of(x: Array | np.ndarray, y: Any) -> Array:
    """Return classes of -1 and 1, or 0 and 1, as signs, once they are known to fit the examples.

    Args:
        x: The examples.
        y: Their classes, as the caller gave them.

    Returns:
        The signs.

    Raises:
        TypeError: If the classes are not whole numbers.
        ValueError: If shapes do not fit, or a class (where known) is neither of the two.
    """
    checks.axes("x", x, "n", "features")
    if x.shape[0] == 0:
        raise ValueError(f"x has the shape {x.shape}: take at least one example")
    y = as_array("y", y)
    checks.axes("y", y, "n", sizes=x.shape[:1])
    if not (jnp.issubdtype(y.dtype, jnp.integer) or y.dtype == bool):
        raise TypeError(f"y is {y.dtype}: take whole numbers, -1 and 1 or 0 and 1")
    if checks.known(y):
        found = np.unique(np.asarray(y)).tolist()
        if not (set(found) <= {-1, 1} or set(found) <= {0, 1}):
            raise ValueError(f"y holds {', '.join(map(str, found[:4]))}: take -1 and 1, or 0 and 1")
    return jnp.where(jnp.asarray(y) > 0, 1, -1)


def _signed(x: Array, signs: Array) -> Array:
    """The examples with the constant 1 appended, times their signs."""
    return jnp.concatenate([x, jnp.ones((x.shape[0], 1), x.dtype)], axis=1) * signs[:, None].astype(x.dtype)
