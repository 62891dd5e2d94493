r"""Softmax regression, differentiable at its minimum.

Conventions: training examples are rows of `features` with `labels` from 0 to `classes` - 1; labels under
`jit` are traced and cannot be checked, and one that is out of range belongs to no class.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import CONJUGATE_STEPS, matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics import labeled


@record
class SoftmaxModel:
    """Softmax regression, and how far its minimization came."""

    weights: Float[Array, "features classes"]
    """The weights, one column a class."""
    bias: Float[Array, " classes"]
    """The bias of each class."""
    objective: Float[Array, ""]
    """The objective at these weights."""
    gradient_norm: Float[Array, ""]
    """The largest entry of the objective's gradient."""
    steps: Int[Array, ""]
    """The number of steps taken."""
    converged: Bool[Array, ""]
    """Whether `gradient_norm` came down to the tolerance."""


def fit(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    *,
    classes: int,
    penalty: RealScalar,
    tolerance: RealScalar | None = None,
    max_steps: int = 1000,
    where: Bool[AnyArray, " n"] | None = None,
) -> SoftmaxModel:
    r"""Fit softmax regression by L-BFGS (optax's, with its line search).

    $\min_{W, b} \frac1n \sum_i -\log \mathrm{softmax}(W^T x_i + b)_{y_i} + \frac\lambda2 \|W\|^2$; the bias
    is free. This is scikit-learn's LogisticRegression with $C = 1 / (n \lambda)$, and for two classes, where
    that has one column of weights (the difference of ours), $C = 2 / (n \lambda)$. Features of similar scale
    need the fewest steps. Weights, bias and objective are differentiable in features and penalty, implicitly
    at the minimum: as exact as the fit has converged, and meaningful for a positive penalty, where there is
    one minimum.

    Args:
        features: The training examples, one per row.
        labels: The class of each example, from 0 to `classes` - 1.
        classes: The number of classes, at least 1.
        penalty: The weight $\lambda$ of the squared weights, at least 0. With 0, classes that can be
            separated have no minimum.
        tolerance: The largest entry of the gradient at which to stop, at least 0. `None` is what the dtype
            can reach, 1e-5 in float32 and 1e-11 in float64.
        max_steps: The largest number of steps, at least 1.
        where: The examples to fit, as a mask, if not all of them; the shapes, and with them the compiled
            program, stay the same for each mask.

    Returns:
        The model, its objective and gradient, and whether the tolerance was met.

    Raises:
        TypeError: If an argument is complex, the labels are not whole numbers, or `where` is not a mask.
        ValueError: If shapes do not match, a penalty, tolerance or number of steps is out of range, or labels
            (where their values are known) are out of range or without examples of a class.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import softmax
        >>> x, labels = jnp.array([[-2.0], [-1.0], [1.0], [2.0]]), jnp.array([0, 0, 1, 1])
        >>> model = softmax.fit(x, labels, classes=2, penalty=0.1)
        >>> bool(model.converged), softmax.predict(model, x).tolist()
        (True, [0, 0, 1, 1])

    References:
        Dong Liu and Jorge Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.
    """
    (features, penalty, tolerance), back = real_arrays(
        optional=("tolerance",), features=features, penalty=penalty, tolerance=tolerance
    )
    labels = labeled.whole_labels(labels)
    where = None if where is None else as_array("where", where)
    labeled.check_examples(features, labels, classes, where)
    labeled.class_counts(labels, classes, where)
    checks.nonnegative("penalty", penalty, one=True)
    if tolerance is None:
        tolerance = jnp.asarray(float(jnp.finfo(features.dtype).eps) ** 0.7, features.dtype)
    checks.nonnegative("tolerance", tolerance, one=True)
    max_steps = checks.count("max_steps", max_steps)
    if where is not None:
        labels = jnp.where(where, labels, -1)
    return back(_fit(features, jnp.asarray(labels), penalty, tolerance, max_steps, classes))


@partial(jax.jit, static_argnames="classes")
def _fit(
    features: Array, labels: Array, penalty: Array, tolerance: Array, max_steps: Array | int, classes: int
) -> SoftmaxModel:
    # A label out of range has a row of zeros, and its example no share in the mean.
    shares = jax.nn.one_hot(labels, classes, dtype=features.dtype)
    problem = (features, shares / jnp.maximum(shares.sum(), 1), penalty)
    parameters, norm, steps = _minimum(problem, lax.stop_gradient(tolerance), max_steps)
    objective = _objective(parameters, *problem)
    return SoftmaxModel(parameters[:-1], parameters[-1], objective, norm, steps, norm <= tolerance)


def _objective(parameters: Array, features: Array, shares: Array, penalty: Array) -> Array:
    weights, bias = parameters[:-1], parameters[-1]
    logits = matmul(features, weights) + bias
    return -jnp.sum(shares * jax.nn.log_softmax(logits)) + penalty / 2 * jnp.sum(weights**2)


@jax.custom_jvp
def _minimum(problem: Any, tolerance: Array, max_steps: Array | int) -> tuple[Array, Array, Array]:
    """Weights above the bias, (features + 1, classes), the largest entry of the gradient, and the steps."""
    import optax

    features, shares, _ = problem
    solver = optax.lbfgs()

    def objective(parameters: Array) -> Array:
        return _objective(parameters, *problem)

    evaluate = optax.value_and_grad_from_state(objective)

    def goes_on(progress: Any) -> Array:
        _, _, norm, steps = progress
        return (norm > tolerance) & (steps < max_steps)

    def step(progress: Any) -> Any:
        parameters, state, _, steps = progress
        value, slope = evaluate(parameters, state=state)
        updates, state = solver.update(slope, state, parameters, value=value, grad=slope, value_fn=objective)
        parameters = optax.apply_updates(parameters, updates)
        return parameters, state, jnp.max(jnp.abs(optax.tree.get(state, "grad"))), steps + 1

    # Zeros known to the compiler become one zero, and XLA's product with it on CPUs (jaxlib 0.10) is garbage.
    start = lax.optimization_barrier(jnp.zeros((features.shape[1] + 1, shares.shape[1]), features.dtype))
    initial = (start, solver.init(start), jnp.max(jnp.abs(jax.grad(objective)(start))), jnp.asarray(0))
    parameters, _, norm, steps = lax.while_loop(goes_on, step, initial)
    return parameters, norm, steps


@_minimum.defjvp
def _minimum_jvp(primals: Any, tangents: Any) -> Any:
    """The gradient stays zero: the Hessian times the tangent makes up for its change with the problem."""
    problem, *_ = primals
    parameters, norm, steps = _minimum(*primals)
    gradient = jax.grad(_objective)
    _, moved = jax.jvp(lambda problem: gradient(parameters, *problem), (problem,), tangents[:1])

    def hessian(direction: Array) -> Array:
        return jax.jvp(lambda parameters: gradient(parameters, *problem), (parameters,), (direction,))[1]

    def solve(product: Callable[[Array], Array], right: Array) -> Array:
        # What all classes share changes nothing: the Hessian is singular along it, and the minimum has none.
        right = right - right.mean(-1, keepdims=True)
        accuracy = 100 * float(jnp.finfo(norm.dtype).eps)
        return jax.scipy.sparse.linalg.cg(product, right, tol=accuracy, maxiter=CONJUGATE_STEPS)[0]

    tangent = -lax.custom_linear_solve(hessian, moved, solve, symmetric=True)
    no_tangent = np.zeros(steps.shape, jax.dtypes.float0)
    return (parameters, norm, steps), (tangent, jnp.zeros_like(norm), no_tangent)


def logits(model: SoftmaxModel, queries: Real[AnyArray, "... features"]) -> Float[Array, "... classes"]:
    r"""Return the logits $W^T x + b$: the log-probabilities up to a number that the classes share.

    Args:
        model: The model, from `fit`.
        queries: The examples whose logits are computed.

    Returns:
        The logits, one for each class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the model.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import softmax
        >>> x, labels = jnp.array([[-1.0], [1.0]]), jnp.array([0, 1])
        >>> softmax.logits(softmax.fit(x, labels, classes=2, penalty=0.5), jnp.array([0.0])).tolist()
        [0.0, 0.0]
    """
    (queries, weights, bias), back = real_arrays(queries=queries, weights=model.weights, bias=model.bias)
    checks.axes("queries", queries, "...", "features", sizes=weights.shape[-2:-1])
    return back(matmul(queries, weights) + bias)


def predict(model: SoftmaxModel, queries: Real[AnyArray, "... features"]) -> Int[Array, "..."]:
    """Return the class of the largest logit.

    Args:
        model: The model, from `fit`.
        queries: The examples to classify.

    Returns:
        The classes, from 0; of equal logits the lower class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the model.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import softmax
        >>> x, labels = jnp.array([[-1.0], [1.0]]), jnp.array([0, 1])
        >>> model = softmax.fit(x, labels, classes=2, penalty=0.5)
        >>> softmax.predict(model, jnp.array([[-3.0], [4.0]])).tolist()
        [0, 1]
    """
    (queries, weights, bias), _ = real_arrays(queries=queries, weights=model.weights, bias=model.bias)
    checks.axes("queries", queries, "...", "features", sizes=weights.shape[-2:-1])
    return jnp.argmax(matmul(queries, weights) + bias, axis=-1)
