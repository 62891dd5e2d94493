r"""A linear classifier on quadratic features of principal components.

Conventions: training examples are rows of `features` with `labels` from 0 to `classes` - 1; labels under
`jit` are traced and cannot be checked, and an example whose label is out of range has no part in the
classifier, but in the components.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics import labeled, least_squares
from jaxtheory.statistics.least_squares import LinearModel


@record
class QuadraticModel:
    """Principal components of unit variance, and a linear classifier on them and their products."""

    mean: Float[Array, " features"]
    """The mean of the training examples."""
    directions: Float[Array, "components features"]
    """The principal directions by falling variance, each divided by its standard deviation."""
    linear: LinearModel
    """The classifier on components and products."""


def fit(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    *,
    classes: int,
    components: int = 40,
    penalty: RealScalar = 0.0,
) -> QuadraticModel:
    """Fit a polynomial of degree two in the first principal components to each class, by least squares.

    Args:
        features: The training examples, one per row.
        labels: The class of each example, from 0 to `classes` - 1.
        classes: The number of classes, at least 1.
        components: The number k of principal components, from 1 to the number of features.
        penalty: The penalty on the squared coefficients, as in `least_squares.fit`; the components that it
            meets have unit variance.

    Returns:
        The components and the classifier, which has k (k + 3) / 2 features.

    Raises:
        TypeError: If an argument is complex or the labels are not whole numbers.
        ValueError: If shapes do not match, a number is out of range, or labels (where their values are known)
            are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import quadratic
        >>> x = jnp.array([[-2.0, -1.0], [-2.0, 1.0], [2.0, -1.0], [2.0, 1.0]])
        >>> model = quadratic.fit(x, jnp.array([0, 1, 1, 0]), classes=2, components=2)  # XOR
        >>> int(quadratic.predict(model, x[1]))
        1

    References:
        Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
        document recognition", 1998.
    """
    (features, penalty), back = real_arrays(features=features, penalty=penalty)
    labels = labeled.whole_labels(labels)
    labeled.check_examples(features, labels, classes)
    checks.nonnegative("penalty", penalty, one=True)
    components = checks.count("components", components, most=features.shape[1])
    classes = checks.count("classes", classes)
    return back(_fit(features, jnp.asarray(labels), penalty, classes, components))


@partial(jax.jit, static_argnums=(3, 4))
def _fit(features: Array, labels: Array, penalty: Array, classes: int, components: int) -> QuadraticModel:
    mean = features.mean(0)
    rows = features - mean
    variances, vectors = jnp.linalg.eigh(matmul(rows.T, rows) / len(rows))
    variances, directions = variances[::-1][:components], vectors.T[::-1][:components]
    largest = jnp.argmax(jnp.abs(directions), axis=1, keepdims=True)
    directions = directions * jnp.where(jnp.take_along_axis(directions, largest, axis=1) < 0, -1, 1)
    # Past the rank, variances are rounding, and the components are left at zero.
    real = variances > max(rows.shape) * jnp.finfo(rows.dtype).eps * variances[0]
    scales = jnp.where(real, jax.lax.rsqrt(jnp.where(real, variances, 1)), 0)
    directions = directions * scales[:, None]
    linear = least_squares.fit(
        _products(mean, directions, features), labels, classes=classes, penalty=penalty
    )
    return QuadraticModel(mean, directions, linear)


@jax.jit
def _products(mean: Array, directions: Array, x: Array) -> Array:
    found = matmul(x - mean, directions.T)
    one, other = np.triu_indices(len(directions))
    return jnp.concatenate([found, found[..., one] * found[..., other]], axis=-1)


def products(
    model: QuadraticModel, x: Real[AnyArray, "... features"]
) -> Float[Array, "... quadratic_features"]:
    r"""Return the principal components $z$ and all products $z_i z_j$ with $i \le j$.

    Args:
        model: The components, from `fit`.
        x: The examples.

    Returns:
        The k components, by falling variance, and the products, by i and then by j.

    Raises:
        TypeError: If the examples are complex or not an array of numbers.
        ValueError: If they have another number of features than the model.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import quadratic
        >>> x = jnp.array([[-2.0, -1.0], [-2.0, 1.0], [2.0, -1.0], [2.0, 1.0]])
        >>> model = quadratic.fit(x, jnp.array([0, 1, 1, 0]), classes=2, components=2)
        >>> quadratic.products(model, x[1]).round(3).tolist()
        [-1.0, 1.0, 1.0, -1.0, 1.0]
    """
    (model, x), back = real_arrays(model=model, x=x)
    checks.axes("x", x, "...", "features", sizes=model.mean.shape[-1:])
    return back(_products(model.mean, model.directions, x))


def predict(model: QuadraticModel, queries: Real[AnyArray, "... features"]) -> Int[Array, "..."]:
    """Return the class of the largest polynomial.

    Args:
        model: The components and the classifier, from `fit`.
        queries: The examples to classify.

    Returns:
        The classes, from 0; of equal values the lower class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the model.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import quadratic
        >>> x = jnp.array([[-2.0, -1.0], [-2.0, 1.0], [2.0, -1.0], [2.0, 1.0]])
        >>> model = quadratic.fit(x, jnp.array([0, 1, 1, 0]), classes=2, components=2)
        >>> int(quadratic.predict(model, jnp.array([3.0, -0.5])))
        1
    """
    (model, queries), _ = real_arrays(model=model, queries=queries)
    checks.axes("queries", queries, "...", "features", sizes=model.mean.shape[-1:])
    return least_squares.predict(model.linear, _products(model.mean, model.directions, queries))
