r"""The linear classifier by least squares, and the normal equations that others solve with it.

Conventions: training examples are rows of `features` with `labels` from 0 to `classes` - 1; labels under
`jit` are traced and cannot be checked, and an example whose label is out of range is left out.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics import labeled

ROUNDING = 4
"""The least penalty, in roundings of the covariance's trace: what is below it is not in the covariance."""


@record
class LinearModel:
    """A linear classifier: one weighted sum for each class."""

    weights: Float[Array, "features classes"]
    """The weights, one column a class."""
    bias: Float[Array, " classes"]
    """The bias of each class."""


def normal_equations(
    covariance: Real[AnyArray, "... features features"],
    cross: Real[AnyArray, "... features outputs"],
    penalty: RealScalar,
) -> Float[Array, "... features outputs"]:
    r"""Solve the normal equations $(C + \lambda I) W = B$ of least squares.

    Where the penalty is smaller than the rounding of the covariance, that is taken in its place: four
    roundings of the trace. Features without variance, as pixels that are always white, thus get the weight
    zero, and features that depend on each other get finite weights near those of the least norm.

    Args:
        covariance: The covariance C of the features, positive semidefinite.
        cross: The covariance B of features and targets.
        penalty: The penalty $\lambda$, at least 0.

    Returns:
        The weights W, one column for each target.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If shapes do not match, or the penalty is below 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import least_squares
        >>> least_squares.normal_equations(3 * jnp.eye(2), jnp.ones((2, 1)), 1.0).tolist()
        [[0.25], [0.25]]
    """
    (covariance, cross, penalty), back = real_arrays(covariance=covariance, cross=cross, penalty=penalty)
    checks.axes("cross", cross, "...", "features", "outputs")
    size = cross.shape[-2]
    checks.axes("covariance", covariance, "...", "features", "features", sizes=(size, size))
    checks.nonnegative("penalty", penalty, one=True)
    return back(_solution(covariance, cross, penalty))


@jax.jit
def _solution(covariance: Array, cross: Array, penalty: Array) -> Array:
    trace = jnp.trace(covariance, axis1=-2, axis2=-1)
    limits = jnp.finfo(covariance.dtype)
    level = jnp.maximum(penalty, jnp.maximum(ROUNDING * limits.eps * trace, limits.tiny))
    regular = covariance + level[..., None, None] * jnp.eye(cross.shape[-2], dtype=covariance.dtype)
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(regular), True), cross)


def fit(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    *,
    classes: int,
    penalty: RealScalar = 0.0,
) -> LinearModel:
    r"""Fit a linear classifier by least squares, with the target 1 for the class and 0 for all others.

    $\min_{W, b} \frac1n \sum_i |W^T x_i + b - e_{y_i}|^2 + \lambda |W|^2$; the bias is free. A penalty below
    the rounding of the features' covariance is replaced by it, as `normal_equations` says. Model and
    predictions are differentiable in features and penalty.

    Args:
        features: The training examples, one per row.
        labels: The class of each example, from 0 to `classes` - 1.
        classes: The number of classes, at least 1.
        penalty: The weight $\lambda$ of the squared weights, at least 0.

    Returns:
        The classifier.

    Raises:
        TypeError: If an argument is complex or the labels are not whole numbers.
        ValueError: If shapes do not match, the penalty is below 0, or labels (where their values are known)
            are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import least_squares
        >>> x, labels = jnp.array([[-2.0], [-1.0], [1.0], [2.0]]), jnp.array([0, 0, 1, 1])
        >>> model = least_squares.fit(x, labels, classes=2)
        >>> model.weights.round(3).tolist(), model.bias.tolist()
        ([[-0.3, 0.3]], [0.5, 0.5])

    References:
        Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
        document recognition", 1998.
    """
    (features, penalty), back = real_arrays(features=features, penalty=penalty)
    labels = labeled.whole_labels(labels)
    labeled.check_examples(features, labels, classes)
    checks.nonnegative("penalty", penalty, one=True)
    return back(_fit(features, jnp.asarray(labels), penalty, checks.count("classes", classes)))


@partial(jax.jit, static_argnums=3)
def _fit(features: Array, labels: Array, penalty: Array, classes: int) -> LinearModel:
    targets = jax.nn.one_hot(labels, classes, dtype=features.dtype)
    taken = targets.sum(-1, keepdims=True)
    count = jnp.maximum(taken.sum(), 1)
    mean, shares = jnp.sum(taken * features, axis=0) / count, targets.sum(0) / count
    rows = taken * (features - mean)
    weights = normal_equations(
        matmul(rows.T, rows) / count, matmul(rows.T, targets - shares) / count, penalty
    )
    return LinearModel(weights, shares - matmul(mean, weights))


def outputs(model: LinearModel, queries: Real[AnyArray, "... features"]) -> Float[Array, "... classes"]:
    r"""Return the weighted sums $W^T x + b$ of a linear classifier.

    Args:
        model: The classifier, from `fit`.
        queries: The examples.

    Returns:
        The sums, one for each class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the classifier.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import least_squares
        >>> x, labels = jnp.array([[-2.0], [-1.0], [1.0], [2.0]]), jnp.array([0, 0, 1, 1])
        >>> least_squares.outputs(least_squares.fit(x, labels, classes=2), jnp.array([0.0])).tolist()
        [0.5, 0.5]
    """
    (model, queries), back = real_arrays(model=model, queries=queries)
    checks.axes("queries", queries, "...", "features", sizes=model.weights.shape[-2:-1])
    return back(matmul(queries, model.weights) + model.bias)


def predict(model: LinearModel, queries: Real[AnyArray, "... features"]) -> Int[Array, "..."]:
    """Return the class of the largest weighted sum.

    Args:
        model: The classifier, from `fit`.
        queries: The examples to classify.

    Returns:
        The classes, from 0; of equal sums the lower class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the classifier.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import least_squares
        >>> x, labels = jnp.array([[-2.0], [-1.0], [1.0], [2.0]]), jnp.array([0, 0, 1, 1])
        >>> model = least_squares.fit(x, labels, classes=2)
        >>> int(least_squares.predict(model, jnp.array([4.0])))
        1
    """
    return jnp.argmax(outputs(model, queries), axis=-1)
