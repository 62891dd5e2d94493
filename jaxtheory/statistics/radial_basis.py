r"""Networks of radial basis functions: Gaussian units about given centers, and a linear classifier on them.

The centers are an argument: those of k-means on the examples of each class are LeCun's choice, from
`sparse.kmeans`, and any other rows will do. Conventions: training examples are rows of `features` with
`labels` from 0 to `classes` - 1; labels under `jit` are traced and cannot be checked, and an example whose
label is out of range is left out.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics import labeled, least_squares
from jaxtheory.statistics.kernel_regression.kernels import squared_distances
from jaxtheory.statistics.least_squares import LinearModel


@record
class RadialBasisModel:
    """Gaussian units and a linear classifier on their responses."""

    centers: Float[Array, "centers features"]
    """The centers of the units, one per row."""
    bandwidth: Float[Array, ""] | Float[Array, " centers"]
    """The bandwidth of all units, or of each."""
    linear: LinearModel
    """The classifier on the responses."""


def fit(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    centers: Real[AnyArray, "centers features"],
    *,
    classes: int,
    bandwidth: RealScalar | Real[AnyArray, " centers"],
    penalty: RealScalar = 0.0,
) -> RadialBasisModel:
    r"""Fit the linear classifier on the responses of Gaussian units, by penalized least squares.

    The second layer is that of `least_squares.fit` on `responses`: with a penalty it is the regularized
    pseudo-inverse.

    Args:
        features: The training examples, one per row.
        labels: The class of each example, from 0 to `classes` - 1.
        centers: The centers of the units, one per row; for instance the centroids of k-means.
        classes: The number of classes, at least 1.
        bandwidth: The bandwidth of all units, or of each, in the units of the examples; positive.
        penalty: The weight of the squared weights, at least 0.

    Returns:
        The network.

    Raises:
        TypeError: If an argument is complex or the labels are not whole numbers.
        ValueError: If shapes do not match, a number is out of range, or labels (where their values are known)
            are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import radial_basis
        >>> x, labels = jnp.array([[0.0], [1.0], [5.0], [9.0]]), jnp.array([0, 0, 1, 0])
        >>> centers = jnp.array([[0.5], [5.0], [9.0]])
        >>> network = radial_basis.fit(x, labels, centers, classes=2, bandwidth=1.0, penalty=1e-3)
        >>> int(radial_basis.predict(network, jnp.array([5.5])))
        1

    References:
        Yuchun Lee, "Handwritten digit recognition using k nearest-neighbor, radial-basis function, and
        backpropagation neural networks", 1991.
        Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
        document recognition", 1998.
    """
    (features, centers, bandwidth, penalty), back = real_arrays(
        features=features, centers=centers, bandwidth=bandwidth, penalty=penalty
    )
    labels = labeled.whole_labels(labels)
    labeled.check_examples(features, labels, classes)
    _check(centers, features, bandwidth, "features")
    checks.nonnegative("penalty", penalty, one=True)
    classes = checks.count("classes", classes)
    linear = _fit(features, jnp.asarray(labels), centers, bandwidth, penalty, classes)
    return back(RadialBasisModel(centers, bandwidth, linear))


@partial(jax.jit, static_argnums=5)
def _fit(
    features: Array, labels: Array, centers: Array, bandwidth: Array, penalty: Array, classes: int
) -> LinearModel:
    found = _responses(centers, features, bandwidth)
    return least_squares.fit(found, labels, classes=classes, penalty=penalty)


def _check(centers: Array, x: Array, bandwidth: Array, name: str) -> None:
    checks.axes("centers", centers, "centers", "features")
    if len(centers) == 0:
        raise ValueError(f"centers has the shape {centers.shape}: take at least one center")
    checks.axes(name, x, "...", "features", sizes=centers.shape[-1:])
    if bandwidth.ndim:
        checks.axes("bandwidth", bandwidth, "centers", sizes=centers.shape[:1])
    checks.positive("bandwidth", bandwidth)


@jax.jit
def _responses(centers: Array, x: Array, bandwidth: Array) -> Array:
    apart = squared_distances(x.reshape(-1, x.shape[-1]), centers)
    return jnp.exp(-apart / (2 * bandwidth**2)).reshape(*x.shape[:-1], len(centers))


def responses(
    centers: Real[AnyArray, "centers features"],
    x: Real[AnyArray, "... features"],
    *,
    bandwidth: RealScalar | Real[AnyArray, " centers"],
) -> Float[Array, "... centers"]:
    r"""Return the responses $\exp(-|x - c_k|^2 / (2 \sigma_k^2))$ of Gaussian units.

    Args:
        centers: The centers $c_k$, one per row.
        x: The examples.
        bandwidth: The bandwidth of all units, or of each, in the units of the examples; positive.

    Returns:
        The responses, from 0 to 1, one for each center.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If shapes do not match, there is no center, or a bandwidth is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import radial_basis
        >>> centers = jnp.array([[0.0], [2.0], [4.0]])
        >>> radial_basis.responses(centers, jnp.array([2.0]), bandwidth=1.0).round(3).tolist()
        [0.135, 1.0, 0.135]

    References:
        David Broomhead and David Lowe, "Multivariable functional interpolation and adaptive networks", 1988.
    """
    (centers, x, bandwidth), back = real_arrays(centers=centers, x=x, bandwidth=bandwidth)
    _check(centers, x, bandwidth, "x")
    return back(_responses(centers, x, bandwidth))


def predict(network: RadialBasisModel, queries: Real[AnyArray, "... features"]) -> Int[Array, "..."]:
    """Return the class of the largest output of a network of radial basis functions.

    Args:
        network: The network, from `fit`.
        queries: The examples to classify; each takes one response of every unit.

    Returns:
        The classes, from 0; of equal outputs the lower class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the centers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import radial_basis
        >>> x, labels = jnp.array([[0.0], [1.0], [5.0], [9.0]]), jnp.array([0, 0, 1, 0])
        >>> centers = jnp.array([[0.5], [5.0], [9.0]])
        >>> network = radial_basis.fit(x, labels, centers, classes=2, bandwidth=1.0, penalty=1e-3)
        >>> int(radial_basis.predict(network, jnp.array([8.5])))
        0
    """
    (network, queries), _ = real_arrays(network=network, queries=queries)
    checks.axes("queries", queries, "...", "features", sizes=network.centers.shape[-1:])
    found = _responses(network.centers, queries, network.bandwidth)
    return least_squares.predict(network.linear, found)
