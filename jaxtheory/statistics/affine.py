r"""The nearest affine space: each class is modeled by its mean and its principal directions.

Conventions: training examples are rows of `features` with `labels` from 0 to `classes` - 1; labels under
`jit` are traced and cannot be checked, and one that is out of range belongs to no class. Distances are
squared.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray
from jaxtheory.statistics import labeled

BLOCK = 1024
"""The number of queries that are handled at once: their differences from one mean take megabytes."""

ROUNDS = 12
"""Rounds of subspace iteration: two products each, after which the spaces are stationary in float32."""


@record
class AffineModel:
    """An affine space for each class: its mean and its principal directions."""

    means: Float[Array, "classes features"]
    """The mean of each class."""
    directions: Float[Array, "classes dimension features"]
    """Orthonormal rows by falling variance; rows past a class's rank are zero."""
    variances: Float[Array, "classes dimension"]
    """The variances along the directions: sums of squares divided by the number of examples."""
    counts: Float[Array, " classes"]
    """The number of examples of each class; a class without any is infinitely far from everything."""
    residual: Float[Array, " classes"]
    """The error of the eigenvectors, the largest |C v - variance v| over the largest variance; it is NaN, as
    the means are, where a class under `jit` has more examples than `capacity`."""


def fit(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    *,
    classes: int,
    dimension: int,
    capacity: int | None = None,
    where: Bool[AnyArray, " n"] | None = None,
) -> AffineModel:
    r"""Fit an affine space of the given dimension to each class: its mean and principal components.

    Class $c$ is modeled by $\mu_c + \mathrm{span}(v_1, \ldots, v_d)$, with $\mu_c$ the mean of its examples
    and $v_k$ the eigenvectors of their covariance by falling eigenvalue. Spaces of lower dimension are nested
    in it, so one fit serves all dimensions up to `dimension`. A class of m examples has at most m - 1
    directions. The eigenvectors are those of the smaller of the covariance and the Gram matrix; where few of
    many are wanted, they come from subspace iteration, and `residual` says how exact they are.

    Args:
        features: The training examples, one per row.
        labels: The class of each example, from 0 to `classes` - 1.
        classes: The number of classes, at least 1.
        dimension: The largest dimension of the spaces, from 1 to the number of features.
        capacity: A bound on the number of examples in the largest class. By default it is counted from the
            labels; under `jit` or `vmap`, where their values are not known, it is then n, which is correct
            and slower.
        where: The examples to fit, as a mask, if not all of them; the shapes, and with them the compiled
            program, stay the same for each mask.

    Returns:
        The spaces, each direction with its largest entry positive. Under `jit` a class without examples is
        infinitely far from everything, and one of more than `capacity` examples is NaN.

    Raises:
        TypeError: If the features are complex, the labels are not whole numbers, or `where` is not a mask.
        ValueError: If shapes do not match, `dimension` or `capacity` is out of range, or labels (where their
            values are known) are out of range or without examples of a class.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import affine
        >>> line = jnp.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
        >>> model = affine.fit(line, jnp.array([0, 0, 0, 1, 1, 1]), classes=2, dimension=1)
        >>> affine.predict(model, jnp.array([[9.0, 0.4], [-9.0, 0.6]])).tolist()
        [0, 1]

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013.
    """
    (features,), back = real_arrays(features=features)
    labels = labeled.whole_labels(labels)
    where = None if where is None else as_array("where", where)
    labeled.check_examples(features, labels, classes, where)
    counts = labeled.class_counts(labels, classes, where)
    n, p = features.shape
    dimension = checks.count("dimension", dimension, most=p)
    largest = 1 if counts is None else int(counts.max())
    if capacity is None and counts is None:
        capacity = n
    elif capacity is None:
        # Rounded up to eighths of a power of two: draws with other class sizes share a compiled program.
        step = max(1, 2 ** (largest.bit_length() - 4))
        capacity = -(-largest // step) * step
    capacity = min(checks.count("capacity", capacity, least=largest), n)
    if where is not None:
        labels = jnp.where(where, labels, -1)
    return back(_fit(features, jnp.asarray(labels), classes, dimension, capacity))


@partial(jax.jit, static_argnums=(2, 3, 4))
def _fit(features: Array, labels: Array, classes: int, dimension: int, capacity: int) -> AffineModel:
    dtype = features.dtype
    order = jnp.argsort(labels)
    ends = jnp.searchsorted(labels[order], jnp.arange(classes), side="right")
    starts = jnp.searchsorted(labels[order], jnp.arange(classes), side="left")

    def of_class(start: Array, end: Array) -> tuple[Array, ...]:
        place = start + jnp.arange(capacity)
        inside = (place < end).astype(dtype)[:, None]
        count = (end - start).astype(dtype)
        rows = inside * features[order[jnp.minimum(place, features.shape[0] - 1)]]
        mean = rows.sum(0) / jnp.maximum(count, 1)
        # The sum's rounding is the same for every row: left in, it would be a direction of its own.
        rows = inside * (rows - mean)
        slip = rows.sum(0) / jnp.maximum(count, 1)
        mean, rows = mean + slip, inside * (rows - slip) * lax.rsqrt(jnp.maximum(count, 1))
        values, directions, residual = _principal(rows, dimension)
        # Below these a variance is rounding: the decomposition's, or that of the features themselves.
        eps = jnp.finfo(dtype).eps
        rank = jnp.maximum(max(rows.shape) * eps * values[0], (4 * eps) ** 2 * jnp.sum(mean**2))
        real = (values > rank) & (jnp.arange(dimension) < count - 1)
        largest = jnp.argmax(jnp.abs(directions), axis=1, keepdims=True)
        directions = directions * jnp.where(jnp.take_along_axis(directions, largest, axis=1) < 0, -1, 1)
        values, directions = jnp.where(real, values, 0), jnp.where(real[:, None], directions, 0)
        mean, residual = (jnp.where(count > capacity, jnp.nan, part) for part in (mean, residual))
        return mean, directions, values, count, residual

    return AffineModel(*lax.map(lambda bounds: of_class(*bounds), (starts, ends)))


def _principal(rows: Array, dimension: int) -> tuple[Array, Array, Array]:
    """Eigenvalues of rows^T rows, falling, their vectors as rows, zeros past the rank, and the residual."""
    capacity, p = rows.shape
    if capacity >= p:
        values, vectors, residual = _leading_eigenvectors(matmul(rows.T, rows), dimension)
        return values, vectors.T, residual
    wanted = min(dimension, capacity)
    values, vectors, residual = _leading_eigenvectors(matmul(rows, rows.T), wanted)
    # Rows' combinations have the length sqrt(value); small ones lean on large ones by rounding.
    directions = jnp.linalg.qr(matmul(rows.T, vectors))[0].T
    missing = dimension - wanted
    return jnp.pad(values, (0, missing)), jnp.pad(directions, ((0, missing), (0, 0))), residual


def _leading_eigenvectors(gram: Array, wanted: int) -> tuple[Array, Array, Array]:
    """The largest eigenvalues of a positive semidefinite matrix, falling, their vectors, and the residual."""
    size = gram.shape[0]
    spare = wanted + wanted // 4 + 8
    if 3 * spare > size or size < 512:
        values, vectors = jnp.linalg.eigh(gram)
    else:
        # A full decomposition of 2,000 x 2,000 takes three times as long as these rounds for 200 vectors.
        basis = jax.random.normal(jax.random.key(0), (size, spare), gram.dtype)
        basis = lax.fori_loop(0, ROUNDS, lambda _, q: jnp.linalg.qr(matmul(gram, matmul(gram, q)))[0], basis)
        values, vectors = jnp.linalg.eigh(matmul(basis.T, matmul(gram, basis)))
        vectors = matmul(basis, vectors)
    values, vectors = values[::-1][:wanted], vectors[:, ::-1][:, :wanted]
    lengths = jnp.linalg.norm(matmul(gram, vectors) - values * vectors, axis=0)
    return values, vectors, lengths.max() / jnp.maximum(values[0], jnp.finfo(gram.dtype).tiny)


def distances(
    model: AffineModel, queries: Real[AnyArray, "... features"]
) -> Float[Array, "... dimensions classes"]:
    r"""Return the squared distances to each class's affine space, for every dimension at once.

    Entry $(k, c)$ is $|x - \mu_c|^2 - \sum_{i \le k} \langle x - \mu_c, v_{c,i} \rangle^2$; $k = 0$ is the
    distance to the mean, the last that to the largest space that was fitted. As differences of squares they
    are exact to the rounding of $k = 0$.

    Args:
        model: The spaces, from `fit`, of up to d dimensions.
        queries: The examples whose distances are measured.

    Returns:
        The squared distances, at least 0, by dimension from 0 to d and by class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the model.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import affine
        >>> line = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
        >>> model = affine.fit(line, jnp.array([0, 0, 1, 1]), classes=2, dimension=1)
        >>> affine.distances(model, jnp.array([4.0, 0.0])).tolist()
        [[9.0, 10.0], [0.0, 1.0]]
    """
    (model, queries), back = real_arrays(model=model, queries=queries)
    checks.axes("queries", queries, "...", "features", sizes=model.means.shape[-1:])
    return back(_distances(model, queries))


@jax.jit
def _distances(model: AffineModel, queries: Array) -> Array:
    def of_class(parts: tuple[Array, Array, Array]) -> Array:
        mean, directions, count = parts
        difference = queries - mean
        shadow = matmul(difference, directions.T)
        energy = jnp.sum(difference**2, axis=-1, keepdims=True)
        left = jnp.concatenate([energy, energy - jnp.cumsum(shadow**2, axis=-1)], axis=-1)
        return jnp.where(count > 0, jnp.maximum(left, 0), jnp.inf)

    return jnp.moveaxis(lax.map(of_class, (model.means, model.directions, model.counts)), 0, -1)


def predict(
    model: AffineModel, queries: Real[AnyArray, "... features"], *, dimension: int | None = None
) -> Int[Array, "..."]:
    """Return the class whose affine space is nearest.

    Args:
        model: The spaces, from `fit`, of up to d dimensions.
        queries: The examples to classify; they are handled in blocks.
        dimension: The dimension of the spaces, from 0 (the nearest mean) to d, which is the default.

    Returns:
        The classes, from 0; of equal distances the lower class.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the model, or the dimension was not
            fitted.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import affine
        >>> line = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
        >>> model = affine.fit(line, jnp.array([0, 0, 1, 1]), classes=2, dimension=1)
        >>> affine.predict(model, jnp.array([[9.0, 0.4], [9.0, 0.6]])).tolist()
        [0, 1]
    """
    (model, queries), _ = real_arrays(model=model, queries=queries)
    checks.axes("queries", queries, "...", "features", sizes=model.means.shape[-1:])
    largest = model.directions.shape[-2]
    dimension = largest if dimension is None else checks.count("dimension", dimension, least=0, most=largest)
    return _predict(model, queries, dimension)


@partial(jax.jit, static_argnums=2)
def _predict(model: AffineModel, queries: Array, dimension: int) -> Array:
    nearest = lax.map(
        lambda x: jnp.argmin(_distances(model, x)[dimension]),
        queries.reshape(-1, model.means.shape[-1]),
        batch_size=BLOCK,
    )
    return nearest.reshape(queries.shape[:-1])


def errors(
    model: AffineModel, queries: Real[AnyArray, "n features"], labels: Int[AnyArray, " n"]
) -> Float[Array, " dimensions"]:
    """Return the share of examples that the nearest affine space misclassifies, by dimension.

    Args:
        model: The spaces, from `fit`, of up to d dimensions.
        queries: The examples to classify, one per row; they are handled in blocks.
        labels: The true class of each.

    Returns:
        The error rates, from 0 to 1, with spaces of 0 (the nearest mean) to d dimensions.

    Raises:
        TypeError: If the queries are complex or the labels are not whole numbers.
        ValueError: If shapes do not match, or there is no example.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import affine
        >>> line = jnp.array([[0.0, 0.0], [9.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
        >>> labels = jnp.array([0, 0, 1, 1])
        >>> affine.errors(affine.fit(line, labels, classes=2, dimension=1), line, labels).tolist()
        [0.25, 0.0]
    """
    (model, queries), back = real_arrays(model=model, queries=queries)
    labels = labeled.whole_labels(labels)
    checks.axes("queries", queries, "n", "features", sizes=(None, model.means.shape[-1]))
    if queries.shape[0] == 0:
        raise ValueError(f"queries has the shape {queries.shape}: take at least one example")
    checks.axes("labels", labels, "n", sizes=queries.shape[:1])
    return back(_errors(model, queries, jnp.asarray(labels)))


@jax.jit
def _errors(model: AffineModel, queries: Array, labels: Array) -> Array:
    wrong = lax.map(
        lambda part: jnp.argmin(_distances(model, part[0]), axis=-1) != part[1],
        (queries, labels),
        batch_size=BLOCK,
    )
    return wrong.astype(queries.dtype).mean(0)
