"""Linear regression on features: for every number of them, and for every penalty."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray
from jaxtheory.statistics.kernel_regression import systems
from jaxtheory.statistics.random_features.updates import interpolants


@record
class PathResult:
    """Linear regressions along a path, of growing numbers of features or of penalties."""

    coefficients: Float[Array, "path features *outputs"]
    """The coefficients of the features, zero for those that have no part."""
    norms: Float[Array, " path *outputs"]
    """The Euclidean norms of the coefficients."""
    residual: Float[Array, " path"]
    """How exact each regression is: the largest entry of the gradient of its objective over that at zero."""


def minimum_norm_path(
    features: Real[AnyArray, "n features"], y: Real[AnyArray, " n *outputs"], sizes: tuple[int, ...]
) -> PathResult:
    r"""Fit least squares of minimum norm to the first N features, for every N of a grid.

    $c_N = A_N^+ y$, where $A_N$ holds the first N columns: up to n of them the least squared error, beyond
    them the interpolant of minimum norm. All N up to n share one QR factorization, whose leading triangle
    serves; beyond, the triangular factor of $A_N^T$ takes new features as rows, which costs about
    $8 n^2$ operations each, in place of a factorization for each N.

    Args:
        features: The features of the examples, of full rank: n of them, and each number up to n, are linearly
            independent. Take double precision, as near N = n the problem is badly conditioned.
        y: The values to fit, of one output or several.
        sizes: The numbers of features, rising, from 1 to as many as there are.

    Returns:
        The coefficients for each number, their norms, and how exact they are.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, or a size is not a whole number.
        ValueError: If shapes do not match, or the sizes are out of range or not rising.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import random_features
        >>> features, y = jnp.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]), jnp.array([3.0, 6.0])
        >>> random_features.minimum_norm_path(features, y, (1, 2, 3)).coefficients.round(3).tolist()
        [[4.5, 0.0, 0.0], [3.0, 3.0, 0.0], [3.0, 3.0, 0.0]]

    References:
        Mikhail Belkin, Daniel Hsu, Siyuan Ma and Soumik Mandal, "Reconciling modern machine-learning practice
        and the classical bias-variance trade-off", 2019.
        Åke Björck, "Numerical methods for least squares problems", 1996.
    """
    (features, y), back = _arguments(features, y)
    sizes = checks.counts("sizes", sizes, each="number of features")
    if not sizes or list(sizes) != sorted(set(sizes)) or sizes[-1] > features.shape[1]:
        raise ValueError(f"sizes is {sizes}: take rising numbers from 1 to {features.shape[1]}")
    return back(_minimum_norm_path(features, y, sizes))


@partial(jax.jit, static_argnums=2)
def _minimum_norm_path(features: Array, y: Array, sizes: tuple[int, ...]) -> PathResult:
    n, most = features.shape
    columns = y.reshape(n, -1)
    few, many = tuple(size for size in sizes if size <= n), tuple(size for size in sizes if size > n)
    found = []
    if few:
        found.append(jnp.pad(_least_squares(features[:, : few[-1]], columns, few), _room(most - few[-1])))
    if many:
        after = found[0][0, 0, 0] if few else 0.0
        dual = interpolants(features, columns, many, after=after)
        taking = jnp.arange(most) < jnp.asarray(many)[:, None]
        primal = matmul(features.T, jnp.moveaxis(dual, 0, 1).reshape(n, -1)).reshape(most, len(many), -1)
        found.append(jnp.where(taking[..., None], jnp.moveaxis(primal, 1, 0), 0))
    coefficients = jnp.concatenate(found)
    taking = jnp.arange(most) < jnp.asarray(sizes)[:, None]
    # All sizes at once are one product: (n, features) times (features, sizes and outputs).
    stacked = jnp.moveaxis(coefficients, 0, 1).reshape(most, -1)
    error = matmul(features, stacked).reshape(n, len(sizes), -1) - columns[:, None]
    slope = matmul(features.T, error.reshape(n, -1)).reshape(most, len(sizes), -1)
    slope = jnp.where(taking[..., None], jnp.moveaxis(slope, 1, 0), 0)
    at_zero = jnp.where(taking[..., None], matmul(features.T, columns), 0)
    return _result(coefficients, slope, at_zero, y.shape[1:])


def _room(right: int) -> tuple[tuple[int, int], ...]:
    return ((0, 0), (0, right), (0, 0))


def _least_squares(features: Array, columns: Array, sizes: tuple[int, ...]) -> Array:
    """Least squares for every number of features up to n: leading triangles of one factorization."""
    width = features.shape[1]
    factor = jnp.linalg.qr(jnp.concatenate([features, columns], axis=1), mode="r")
    triangle, turned = factor[:width, :width], factor[:width, width:]
    # With zeros from row N on, the solution by the whole triangle is that by its first N rows and columns.
    taking = jnp.arange(width) < jnp.asarray(sizes)[:, None]
    right = jnp.moveaxis(jnp.where(taking[..., None], turned, 0), 0, 1).reshape(width, -1)
    found = solve_triangular(triangle, right).reshape(width, len(sizes), -1)
    return jnp.moveaxis(found, 1, 0)


def ridge_path(
    features: Real[AnyArray, "n features"],
    y: Real[AnyArray, " n *outputs"],
    penalties: Real[AnyArray, " penalties"] | tuple[float, ...],
) -> PathResult:
    r"""Fit ridge regression for every penalty of a grid, from one eigendecomposition.

    $\min_c \frac1n |A c - y|^2 + \lambda |c|^2$ by the eigenvectors of the smaller of $A^T A$ and $A A^T$;
    this is scikit-learn's Ridge without intercept, with $\alpha = n \lambda$.

    Args:
        features: The features of the examples.
        y: The values to fit, of one output or several.
        penalties: The weights $\lambda$ of the squared norm; positive.

    Returns:
        The coefficients for each penalty, their norms, and how exact they are.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If shapes do not match, or a penalty is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import random_features
        >>> path = random_features.ridge_path(jnp.eye(2), jnp.array([1.0, 3.0]), (0.5, 1.0))
        >>> path.coefficients.round(3).tolist()
        [[0.5, 1.5], [0.3330000042915344, 1.0]]

    References:
        Arthur Hoerl and Robert Kennard, "Ridge regression: biased estimation for nonorthogonal
        problems", 1970.
    """
    (features, y, penalties), back = _arguments(features, y, penalties=penalties)
    checks.axes("penalties", penalties, "penalties")
    checks.positive("penalties", penalties)
    return back(_ridge_path(features, y, penalties))


@jax.jit
def _ridge_path(features: Array, y: Array, penalties: Array) -> PathResult:
    n, most = features.shape
    columns = y.reshape(n, -1)
    wide = most > n
    matrix = features if wide else features.T
    values, vectors = jnp.linalg.eigh(matmul(matrix, matrix.T))
    turned = matmul(vectors.T, columns if wide else matmul(features.T, columns))
    shrunk = turned / (jnp.maximum(values, 0) + n * penalties[:, None])[..., None]
    stacked = matmul(vectors, jnp.moveaxis(shrunk, 0, 1).reshape(len(values), -1))
    stacked = matmul(features.T, stacked) if wide else stacked
    coefficients = jnp.moveaxis(stacked.reshape(most, len(penalties), -1), 1, 0)
    error = matmul(features, stacked).reshape(n, len(penalties), -1) - columns[:, None]
    slope = jnp.moveaxis(matmul(features.T, error.reshape(n, -1)).reshape(most, len(penalties), -1), 1, 0)
    slope = slope + n * penalties[:, None, None] * coefficients
    return _result(coefficients, slope, matmul(features.T, columns)[None], y.shape[1:])


def _result(coefficients: Array, slope: Array, at_zero: Array, outputs: tuple[int, ...]) -> PathResult:
    left = systems.relative_error(slope, at_zero, axis=(1, 2))
    norms = jnp.linalg.norm(coefficients, axis=1)
    path, features = coefficients.shape[:2]
    return PathResult(coefficients.reshape(path, features, *outputs), norms.reshape(path, *outputs), left)


def _arguments(features: Any, y: Any, **more: Any) -> tuple[list[Array], Callable[[Any], Any]]:
    """The arguments of a regression in one dtype, known to fit, and what gives results theirs."""
    arguments, back = real_arrays(features=features, y=y, **more)
    features, y = arguments[:2]
    checks.axes("features", features, "n", "features")
    if 0 in features.shape:
        raise ValueError(f"features has the shape {features.shape}: take at least one example and feature")
    systems.check_values(y, features.shape[0])
    return arguments, back
