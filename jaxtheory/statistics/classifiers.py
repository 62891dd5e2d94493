"""Classifiers for fixed features: nearest affine subspace, softmax regression, nearest neighbours.

Features are rows, `(n, p)`; labels are integers from 0 to `classes` - 1. Labels under jit cannot be checked:
one outside that range belongs to no class.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

Features = Float[Array, "n p"] | Float[np.ndarray, "n p"]
Queries = Float[Array, "... p"] | Float[np.ndarray, "... p"]
Labels = Int[Array, " n"] | Int[np.ndarray, " n"]
Number = Float[Array, ""] | Float[np.floating, ""] | float

_BLOCK = 1024
"""Queries handled at once: their differences from one class's mean stay at some megabytes."""

_ROUNDS = 12
"""Rounds of subspace iteration: two products each, after which the spaces are stationary in float32."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["means", "directions", "variances", "counts", "residual"],
    meta_fields=[],
)
@dataclass(frozen=True)
class AffineModel:
    """An affine space for each class: its mean and its principal directions."""

    means: Float[Array, "classes p"]
    directions: Float[Array, "classes d p"]  # orthonormal rows by falling variance; zero past a class's rank
    variances: Float[Array, "classes d"]  # along the directions, divided by the number of examples
    counts: Float[Array, " classes"]  # examples; a class without any is infinitely far from everything
    residual: Float[Array, " classes"]  # of the eigenvectors: largest |C v - variance v| / largest variance


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["weights", "bias", "objective", "gradient_norm", "steps", "converged"],
    meta_fields=[],
)
@dataclass(frozen=True)
class SoftmaxModel:
    """Softmax regression, and how far its minimisation came."""

    weights: Float[Array, "p classes"]
    bias: Float[Array, " classes"]
    objective: Float[Array, ""]
    gradient_norm: Float[Array, ""]  # largest entry of the objective's gradient
    steps: Int[Array, ""]
    converged: Bool[Array, ""]  # whether gradient_norm came down to the tolerance


@partial(jax.tree_util.register_dataclass, data_fields=["errors"], meta_fields=[])
@dataclass(frozen=True)
class CrossValidation:
    """Errors on the parts that were held out, for each choice that was tried."""

    errors: Float[Array, "folds ..."]

    @property
    def mean(self) -> Float[Array, "..."]:
        """The error of each choice over the folds."""
        return self.errors.mean(0)

    @property
    def standard_error(self) -> Float[Array, "..."]:
        """Of the mean, from the spread over the folds (which share training data: a rough figure)."""
        return self.errors.std(0, ddof=1) / math.sqrt(self.errors.shape[0])

    @property
    def best(self) -> Int[Array, ""]:
        """Flat index of the choice with the least mean error; the first of equals."""
        return jnp.argmin(self.mean)


def affine_fit(
    features: Features,
    labels: Labels,
    *,
    classes: int,
    dimension: int,
    capacity: int | None = None,
) -> AffineModel:
    """Fit an affine space of the given dimension to each class: its mean and principal components.

    Class c is modelled by mu_c + span(v_1, ..., v_d), mu_c the mean of its examples and v_k the eigenvectors
    of their covariance by falling eigenvalue. Spaces of lower dimension are nested in it, so one fit serves
    all dimensions up to `dimension`. A class of m examples has m - 1 directions at most.

    The eigenvectors are those of the smaller of the covariance and the Gram matrix; where few of many are
    wanted, by subspace iteration (`residual` tells how exactly).

    Args:
        features: `(n, p)`.
        labels: `(n,)`, integers from 0 to `classes` - 1.
        classes: number of classes.
        dimension: largest dimension of the spaces, from 1 to p.
        capacity: at least the number of examples in the largest class. Counted from the labels; under jit or
            vmap, where they have no values, it is n unless given, which is correct and slower.

    Returns:
        The spaces. Under jit a class without examples is infinitely far from everything.

    Raises:
        ValueError: shapes that do not match, `dimension` outside 1 to p, `capacity` below the largest class,
            or labels (where they have values) out of range or without examples of a class.

    Example:
        >>> import jax.numpy as jnp
        >>> line = jnp.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
        >>> model = affine_fit(line, jnp.array([0, 0, 0, 1, 1, 1]), classes=2, dimension=1)
        >>> affine_predict(model, jnp.array([[9.0, 0.4], [-9.0, 0.6]])).tolist()
        [0, 1]

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013.
    """
    _check_training(features, labels, classes)
    if not 1 <= dimension <= features.shape[1]:
        raise ValueError(
            f"dimension is {dimension}: an affine space among {features.shape[1]} features has "
            f"1 to {features.shape[1]} directions"
        )
    n = features.shape[0]
    if not isinstance(labels, jax.core.Tracer):
        counts = np.bincount(np.asarray(labels), minlength=classes)
        if counts.min() == 0:
            raise ValueError(
                f"labels hold no example of class {int(counts.argmin())}: each of the {classes} classes "
                "needs one at least"
            )
        if capacity is not None and capacity < counts.max():
            raise ValueError(f"capacity is {capacity} and the largest class has {counts.max()} examples")
        if capacity is None:
            # Rounded up to eighths of a power of two: draws with other class sizes share a compiled program.
            step = max(1, 2 ** (int(counts.max()).bit_length() - 4))
            capacity = -(-int(counts.max()) // step) * step
    return _affine_fit(jnp.asarray(features), jnp.asarray(labels), classes, dimension, min(capacity or n, n))


@partial(jax.jit, static_argnums=(2, 3, 4))
def _affine_fit(features, labels, classes: int, dimension: int, capacity: int) -> AffineModel:
    p = features.shape[1]
    dtype = features.dtype
    order = jnp.argsort(labels)
    ends = jnp.searchsorted(labels[order], jnp.arange(classes), side="right")
    starts = jnp.searchsorted(labels[order], jnp.arange(classes), side="left")

    def fit(start, end):
        place = start + jnp.arange(capacity)
        inside = (place < end).astype(dtype)[:, None]
        count = (end - start).astype(dtype)
        rows = inside * features[order[jnp.minimum(place, features.shape[0] - 1)]]
        mean = rows.sum(0) / jnp.maximum(count, 1)
        rows = inside * (rows - mean) * lax.rsqrt(jnp.maximum(count, 1))
        multiply = partial(jnp.matmul, precision="highest")
        if capacity < p:
            wanted = min(dimension, capacity)
            values, vectors, residual = _leading_eigenvectors(multiply(rows, rows.T), wanted)
            # Rows' combinations have the length sqrt(value); small ones lean on large ones by rounding.
            directions = jnp.linalg.qr(multiply(rows.T, vectors))[0].T
        else:
            wanted = dimension
            values, vectors, residual = _leading_eigenvectors(multiply(rows.T, rows), wanted)
            directions = vectors.T
        rank = max(capacity, p) * jnp.finfo(dtype).eps * values[0]
        real = (values > rank) & (jnp.arange(wanted) < count - 1)
        values, directions = jnp.where(real, values, 0), jnp.where(real[:, None], directions, 0)
        missing = dimension - wanted
        return AffineModel(
            mean, jnp.pad(directions, ((0, missing), (0, 0))), jnp.pad(values, (0, missing)), count, residual
        )

    return lax.map(lambda bounds: fit(*bounds), (starts, ends))


def _leading_eigenvectors(gram, wanted: int):
    """The largest eigenvalues of a positive semidefinite matrix, falling, their vectors, and the residual."""
    size = gram.shape[0]
    multiply = partial(jnp.matmul, precision="highest")
    spare = wanted + wanted // 4 + 8
    if 3 * spare > size or size < 512:
        values, vectors = jnp.linalg.eigh(gram)
    else:
        # A full decomposition of 2,000 x 2,000 takes three times as long as these rounds for 200 vectors.
        basis = jax.random.normal(jax.random.key(0), (size, spare), gram.dtype)
        basis = lax.fori_loop(
            0, _ROUNDS, lambda _, q: jnp.linalg.qr(multiply(gram, multiply(gram, q)))[0], basis
        )
        values, vectors = jnp.linalg.eigh(multiply(basis.T, multiply(gram, basis)))
        vectors = multiply(basis, vectors)
    values, vectors = values[::-1][:wanted], vectors[:, ::-1][:, :wanted]
    lengths = jnp.linalg.norm(multiply(gram, vectors) - values * vectors, axis=0)
    return values, vectors, lengths.max() / jnp.maximum(values[0], jnp.finfo(gram.dtype).tiny)


@jax.jit
def affine_distances(model: AffineModel, features: Queries) -> Float[Array, "... dimensions classes"]:
    """Squared distances to each class's affine space, for every dimension at once.

    Entry (k, c) is |x - mu_c|^2 - sum_{i <= k} <x - mu_c, v_ci>^2; k = 0 is the distance to the mean, the
    last that to the largest space that was fitted.

    Args:
        model: from `affine_fit`, with spaces of up to d dimensions.
        features: `(..., p)`.

    Returns:
        `(..., d + 1, classes)`, at least 0.

    Raises:
        ValueError: another number of features than the model's.

    Example:
        >>> import jax.numpy as jnp
        >>> line = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
        >>> model = affine_fit(line, jnp.array([0, 0, 1, 1]), classes=2, dimension=1)
        >>> affine_distances(model, jnp.array([4.0, 0.0])).tolist()
        [[9.0, 10.0], [0.0, 1.0]]
    """
    features = jnp.asarray(features)
    _check_queries(features, model.means.shape[-1])

    def distances(parts):
        mean, directions, count = parts
        difference = features - mean
        shadow = jnp.einsum("...p,dp->...d", difference, directions, precision="highest")
        energy = jnp.sum(difference**2, axis=-1, keepdims=True)
        left = jnp.concatenate([energy, energy - jnp.cumsum(shadow**2, axis=-1)], axis=-1)
        return jnp.where(count > 0, jnp.maximum(left, 0), jnp.inf)

    return jnp.moveaxis(lax.map(distances, (model.means, model.directions, model.counts)), 0, -1)


@partial(jax.jit, static_argnames=("dimension",))
def affine_predict(
    model: AffineModel, features: Queries, *, dimension: int | None = None
) -> Int[Array, "..."]:
    """The class whose affine space is nearest.

    Args:
        model: from `affine_fit`, with spaces of up to d dimensions.
        features: `(..., p)`; taken in blocks.
        dimension: of the spaces, from 0 (nearest mean) to d; d if not given.

    Returns:
        `(...,)`, classes from 0; of equal distances the lower class.

    Raises:
        ValueError: another number of features than the model's, or a dimension that was not fitted.

    Example:
        >>> import jax.numpy as jnp
        >>> line = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
        >>> model = affine_fit(line, jnp.array([0, 0, 1, 1]), classes=2, dimension=1)
        >>> affine_predict(model, jnp.array([[9.0, 0.4], [9.0, 0.6]])).tolist()
        [0, 1]
    """
    features = jnp.asarray(features)
    _check_queries(features, model.means.shape[-1])
    largest = model.directions.shape[-2]
    dimension = largest if dimension is None else dimension
    if not 0 <= dimension <= largest:
        raise ValueError(f"dimension is {dimension} and the model has spaces of 0 to {largest} dimensions")
    nearest = lax.map(
        lambda x: jnp.argmin(affine_distances(model, x)[dimension]),
        features.reshape(-1, features.shape[-1]),
        batch_size=_BLOCK,
    )
    return nearest.reshape(features.shape[:-1])


@jax.jit
def affine_errors(model: AffineModel, features: Features, labels: Labels) -> Float[Array, " dimensions"]:
    """Share of the examples that the nearest affine space takes for another class, for every dimension.

    Args:
        model: from `affine_fit`, with spaces of up to d dimensions.
        features: `(n, p)`; taken in blocks.
        labels: `(n,)`.

    Returns:
        `(d + 1,)`: error rates with spaces of 0 (nearest mean) to d dimensions.

    Raises:
        ValueError: shapes that do not match.

    Example:
        >>> import jax.numpy as jnp
        >>> line, labels = jnp.array([[0.0, 0.0], [9.0, 0.0], [0.0, 1.0], [2.0, 1.0]]), jnp.array([0, 0, 1, 1])
        >>> affine_errors(affine_fit(line, labels, classes=2, dimension=1), line, labels).tolist()
        [0.25, 0.0]
    """
    features, labels = jnp.asarray(features), jnp.asarray(labels)
    _check_queries(features, model.means.shape[-1])
    _check_labels(features, labels)
    wrong = lax.map(
        lambda part: jnp.argmin(affine_distances(model, part[0]), axis=-1) != part[1],
        (features, labels),
        batch_size=_BLOCK,
    )
    return wrong.astype(features.dtype).mean(0)


def error_rate(
    predicted: Int[Array, "... n"] | Int[np.ndarray, "... n"], labels: Int[Array, "... n"] | Int[np.ndarray, "... n"]
) -> Float[Array, "..."]:
    """Share of predictions that differ from the labels.

    Args:
        predicted: `(..., n)`.
        labels: `(..., n)`, the same number.

    Returns:
        `(...)`, from 0 to 1.

    Raises:
        ValueError: numbers that differ.

    Example:
        >>> import jax.numpy as jnp
        >>> float(error_rate(jnp.array([3, 1, 4, 1]), jnp.array([3, 1, 4, 2])))
        0.25
    """
    if predicted.shape[-1:] != labels.shape[-1:]:
        raise ValueError(f"{predicted.shape[-1]} predictions cannot be compared with {labels.shape[-1]} labels")
    return jnp.mean(jnp.asarray(predicted) != jnp.asarray(labels), axis=-1, dtype=float)


def _check_labels(features, labels):
    if features.shape[:1] != labels.shape:
        raise ValueError(
            f"features of shape {features.shape} need {features.shape[0]} labels, one a row, and labels have "
            f"shape {labels.shape}"
        )


def _check_training(features, labels, classes: int):
    if features.ndim != 2 or features.shape[0] == 0:
        raise ValueError(f"features have shape {features.shape}: give rows, (n, p), of one example each")
    _check_labels(features, labels)
    if classes < 1:
        raise ValueError(f"classes is {classes}: there is one at least")
    if not isinstance(labels, jax.core.Tracer):
        low, high = np.min(labels), np.max(labels)
        if low < 0 or high >= classes:
            raise ValueError(
                f"labels run from {low} to {high}: with {classes} classes they are 0 to {classes - 1}"
            )


def _check_queries(features, p: int):
    if features.ndim < 1 or features.shape[-1] != p:
        raise ValueError(f"features have shape {features.shape} and the model was fitted to {p} features")
