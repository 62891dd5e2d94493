r"""Pairwise linear units: one for each pair of classes, whose votes are summed.

Conventions: training examples are rows of `features` with `labels` from 0 to `classes` - 1; labels under
`jit` are traced and cannot be checked, and an example whose label is out of range is left out.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics import labeled, least_squares


@record
class PairwiseModel:
    """A linear unit for each pair of classes i < j, in the order 0/1, 0/2, ...: +1 for i, -1 for j."""

    weights: Float[Array, "features pairs"]
    """The weights, one column a unit."""
    bias: Float[Array, " pairs"]
    """The bias of each unit."""
    classes: int = static()
    """The number of classes."""


def fit(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    *,
    classes: int,
    penalty: RealScalar = 0.0,
) -> PairwiseModel:
    r"""Fit a linear unit to each pair of classes by least squares: +1 for the lower class, -1 for the other.

    Unit i/j sees the examples of the classes i and j only, and minimizes their mean of $(w^T x + b \mp 1)^2$
    plus $\lambda |w|^2$. All units are made from the means and covariances of the classes, so that the
    examples are read once. A penalty below the rounding of a covariance is replaced by it, as in
    `least_squares.normal_equations`.

    Args:
        features: The training examples, one per row.
        labels: The class of each example, from 0 to `classes` - 1.
        classes: The number of classes, at least 2.
        penalty: The weight $\lambda$ of the squared weights, at least 0.

    Returns:
        The units, `classes` (`classes` - 1) / 2 of them.

    Raises:
        TypeError: If an argument is complex or the labels are not whole numbers.
        ValueError: If shapes do not match, a number is out of range, or labels (where their values are known)
            are out of range or without examples of a class.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import pairwise
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [5.0], [8.0], [9.0]]), jnp.array([0, 0, 1, 1, 2, 2])
        >>> model = pairwise.fit(x, labels, classes=3)
        >>> pairwise.predict(model, jnp.array([4.5])).tolist()
        1

    References:
        Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
        document recognition", 1998.
    """
    (features, penalty), back = real_arrays(features=features, penalty=penalty)
    labels = labeled.whole_labels(labels)
    classes = checks.count("classes", classes, least=2)
    labeled.check_examples(features, labels, classes)
    checks.nonnegative("penalty", penalty, one=True)
    counts = labeled.class_counts(labels, classes)
    capacity = len(features) if counts is None else int(counts.max())
    return back(_fit(features, jnp.asarray(labels), penalty, classes, capacity))


@partial(jax.jit, static_argnums=(3, 4))
def _fit(features: Array, labels: Array, penalty: Array, classes: int, capacity: int) -> PairwiseModel:
    order = jnp.argsort(labels)
    ends = jnp.searchsorted(labels[order], jnp.arange(classes), side="right")
    starts = jnp.searchsorted(labels[order], jnp.arange(classes), side="left")

    def of_class(bounds: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        """The number of a class's examples, their mean, and the sum of squares about it."""
        start, end = bounds
        place = start + jnp.arange(capacity)
        inside = (place < end).astype(features.dtype)[:, None]
        rows = inside * features[order[jnp.minimum(place, len(features) - 1)]]
        count = (end - start).astype(features.dtype)
        mean = rows.sum(0) / jnp.maximum(count, 1)
        rows = inside * (rows - mean)
        return count, mean, matmul(rows.T, rows)

    counts, means, squares = lax.map(of_class, (starts, ends))

    def unit(pair: tuple[Array, Array]) -> tuple[Array, Array]:
        """The weights and the bias of a unit: means and covariance of two classes together."""
        i, j = pair
        total = jnp.maximum(counts[i] + counts[j], 1)
        one, other = counts[i] / total, counts[j] / total
        apart = means[i] - means[j]
        covariance = (squares[i] + squares[j]) / total + one * other * jnp.outer(apart, apart)
        weights = least_squares.normal_equations(covariance, 2 * one * other * apart[:, None], penalty)[:, 0]
        middle = one * means[i] + other * means[j]
        return weights, one - other - matmul(middle, weights)

    weights, bias = lax.map(unit, tuple(map(jnp.asarray, _pairs(classes))))
    return PairwiseModel(weights.T, bias, classes)


def _pairs(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the higher class of each unit."""
    return np.triu_indices(classes, 1)


def votes(model: PairwiseModel, queries: Real[AnyArray, "... features"]) -> Float[Array, "... classes"]:
    r"""Return the votes of the units for each class, and less than half a vote for how clear they are.

    Unit i/j votes for i where its output is positive, else for j. Of the outputs for a class less those
    against it, with the sum s, $s / (3 (|s| + 1))$ is added, which decides between classes of equally many
    votes, as in scikit-learn's one-against-one classifiers.

    Args:
        model: The units, from `fit`.
        queries: The examples.

    Returns:
        The votes, one for each class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the units.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import pairwise
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [5.0], [8.0], [9.0]]), jnp.array([0, 0, 1, 1, 2, 2])
        >>> model = pairwise.fit(x, labels, classes=3)
        >>> pairwise.votes(model, jnp.array([5.5])).round().tolist()
        [0.0, 2.0, 1.0]
    """
    (model, queries), back = real_arrays(model=model, queries=queries)
    checks.axes("queries", queries, "...", "features", sizes=model.weights.shape[-2:-1])
    return back(_votes(model, queries))


@jax.jit
def _votes(model: PairwiseModel, queries: Array) -> Array:
    found = matmul(queries, model.weights) + model.bias
    lower, higher = (np.eye(model.classes, dtype=found.dtype)[one] for one in _pairs(model.classes))
    won = (found > 0).astype(found.dtype)
    sums = matmul(found, lower - higher)
    return matmul(won, lower) + matmul(1 - won, higher) + sums / (3 * (jnp.abs(sums) + 1))


def predict(model: PairwiseModel, queries: Real[AnyArray, "... features"]) -> Int[Array, "..."]:
    """Return the class for which most units vote.

    Args:
        model: The units, from `fit`.
        queries: The examples to classify.

    Returns:
        The classes, from 0; of equally many votes the class of the larger outputs.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the units.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import pairwise
        >>> x, labels = jnp.array([[0.0], [1.0], [4.0], [5.0], [8.0], [9.0]]), jnp.array([0, 0, 1, 1, 2, 2])
        >>> model = pairwise.fit(x, labels, classes=3)
        >>> pairwise.predict(model, jnp.array([5.5])).tolist()
        1
    """
    return jnp.argmax(votes(model, queries), axis=-1)
