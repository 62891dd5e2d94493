"""Classifiers for fixed features: nearest affine subspace, softmax regression, nearest neighbours.

Features are rows, `(n, p)`; labels are integers from 0 to `classes` - 1. Labels under jit cannot be checked:
one outside that range belongs to no class.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key, UInt32

Features = Float[Array, "n p"] | Float[np.ndarray, "n p"]
Queries = Float[Array, "... p"] | Float[np.ndarray, "... p"]
Labels = Int[Array, " n"] | Int[np.ndarray, " n"]
Classes = Int[Array, "*#batch n"] | Int[np.ndarray, "*#batch n"]
Number = Float[Array, ""] | Float[np.floating, ""] | float

_BLOCK = 1024
"""Rows handled at once: their differences from one mean, or distances to as many others, take megabytes."""

_ROUNDS = 12
"""Rounds of subspace iteration: two products each, after which the spaces are stationary in float32."""

_CONJUGATE_STEPS = 1000
"""Of conjugate gradients at most, for the derivative of softmax regression."""

_SPARE = 8
"""Candidates beyond the k nearest: products round squared distances, and these may swap places."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AffineModel:
    """An affine space for each class: its mean and its principal directions."""

    means: Any
    """(classes, p)."""
    directions: Any
    """(classes, d, p): orthonormal rows by falling variance; zero past a class's rank."""
    variances: Any
    """(classes, d): along the directions, divided by the number of examples."""
    counts: Any
    """(classes,) examples; a class without any is infinitely far from everything."""
    residual: Any
    """(classes,) of the eigenvectors: largest |C v - variance v| / largest variance; NaN, as the means are,
    where a class under jit has more examples than `capacity`."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SoftmaxModel:
    """Softmax regression, and how far its minimisation came."""

    weights: Any
    """(p, classes)."""
    bias: Any
    """(classes,)."""
    objective: Any
    """() at these weights."""
    gradient_norm: Any
    """() largest entry of the objective's gradient."""
    steps: Any
    """() of L-BFGS, integer."""
    converged: Any
    """() whether gradient_norm came down to the tolerance, Boolean."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Neighbours:
    """The nearest training examples of each query, nearest first."""

    distances: Any
    """(..., k) squared."""
    indices: Any
    """(..., k) rows of the training features, integer."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CrossValidation:
    """Errors on the parts that were held out, for each choice that was tried."""

    errors: Any
    """(folds, ...)."""

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
        """Flat index of the choice with the least mean error; the first of equals, a NaN last."""
        return jnp.argmin(jnp.where(jnp.isnan(self.mean), jnp.inf, self.mean))


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
        The spaces, each direction with its largest entry positive. Under jit a class without examples is
        infinitely far from everything, and one of more than `capacity` examples is NaN.

    Raises:
        ValueError: shapes that do not match, `dimension` outside 1 to p, `capacity` below 1 or the largest
            class, or labels (where they have values) out of range or without examples of a class.

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
    _check_present(labels, classes)
    if not 1 <= dimension <= features.shape[1]:
        raise ValueError(
            f"dimension is {dimension}: an affine space among {features.shape[1]} features has "
            f"1 to {features.shape[1]} directions"
        )
    n = features.shape[0]
    largest = 1
    if not isinstance(labels, jax.core.Tracer):
        largest = int(np.bincount(np.asarray(labels)).max())
        if capacity is None:
            # Rounded up to eighths of a power of two: draws with other class sizes share a compiled program.
            step = max(1, 2 ** (largest.bit_length() - 4))
            capacity = -(-largest // step) * step
    capacity = n if capacity is None else min(capacity, n)
    if capacity < largest:
        raise ValueError(
            f"capacity is {capacity}, below the examples of the largest class: make it {largest} at least"
        )
    return _affine_fit(_floating(features), jnp.asarray(labels), classes, dimension, capacity)


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
        # The sum's rounding is the same for every row: left in, it would be a direction of its own.
        rows = inside * (rows - mean)
        slip = rows.sum(0) / jnp.maximum(count, 1)
        mean, rows = mean + slip, inside * (rows - slip) * lax.rsqrt(jnp.maximum(count, 1))
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
        eps = jnp.finfo(dtype).eps
        # Below these a variance is rounding: the decomposition's, or that of the features themselves.
        rank = jnp.maximum(max(capacity, p) * eps * values[0], (4 * eps) ** 2 * jnp.sum(mean**2))
        real = (values > rank) & (jnp.arange(wanted) < count - 1)
        largest = jnp.argmax(jnp.abs(directions), axis=1, keepdims=True)
        directions = directions * jnp.where(jnp.take_along_axis(directions, largest, axis=1) < 0, -1, 1)
        values, directions = jnp.where(real, values, 0), jnp.where(real[:, None], directions, 0)
        missing = dimension - wanted
        mean, residual = (jnp.where(count > capacity, jnp.nan, part) for part in (mean, residual))
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
    last that to the largest space that was fitted. Differences of squares: exact to the rounding of k = 0.

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
        >>> line = jnp.array([[0.0, 0.0], [9.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
        >>> labels = jnp.array([0, 0, 1, 1])
        >>> affine_errors(affine_fit(line, labels, classes=2, dimension=1), line, labels).tolist()
        [0.25, 0.0]
    """
    features, labels = _floating(features), jnp.asarray(labels)
    _check_queries(features, model.means.shape[-1])
    _check_labels(features, labels)
    wrong = lax.map(
        lambda part: jnp.argmin(affine_distances(model, part[0]), axis=-1) != part[1],
        (features, labels),
        batch_size=_BLOCK,
    )
    return wrong.astype(features.dtype).mean(0)


def softmax_fit(
    features: Features,
    labels: Labels,
    *,
    classes: int,
    penalty: Number,
    tolerance: Number = 1e-5,
    max_steps: int = 1000,
) -> SoftmaxModel:
    """Fit softmax regression by L-BFGS (optax's, with its line search).

    Minimises mean_i -log softmax(W^T x_i + b)[y_i] + penalty / 2 |W|^2; the bias is free. This is
    scikit-learn's LogisticRegression with C = 1 / (n penalty), and for two classes, where that has one column
    of weights (the difference of ours), C = 2 / (n penalty). Features of like scale need the fewest steps.

    Weights, bias and objective are differentiable in features and penalty, implicitly at the minimum: as
    exact as the fit has converged, and meaningful for penalty > 0, where there is one minimum.

    Args:
        features: `(n, p)`.
        labels: `(n,)`, integers from 0 to `classes` - 1; examples of other labels under jit do not count.
        classes: number of classes.
        penalty: at least 0. With 0, classes that can be separated have no minimum.
        tolerance: largest entry of the gradient at which to stop.
        max_steps: largest number of steps.

    Returns:
        The model, its objective and gradient, and whether the tolerance was met.

    Raises:
        ValueError: shapes that do not match, a penalty, tolerance or number of steps below 0, or labels
            (where they have values) out of range or without examples of a class.

    Example:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[-2.0], [-1.0], [1.0], [2.0]]), jnp.array([0, 0, 1, 1])
        >>> model = softmax_fit(x, labels, classes=2, penalty=0.1)
        >>> bool(model.converged), softmax_predict(model, x).tolist()
        (True, [0, 0, 1, 1])

    References:
        Dong Liu and Jorge Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.
    """
    _check_training(features, labels, classes)
    _check_present(labels, classes)
    for name, number in (("penalty", penalty), ("tolerance", tolerance), ("max_steps", max_steps)):
        if not isinstance(number, jax.core.Tracer) and not number >= 0:
            raise ValueError(f"{name} is {number}: take 0 or more")
    features = _floating(features)
    penalty, tolerance = (jnp.asarray(number, features.dtype) for number in (penalty, tolerance))
    return _softmax_fit(features, jnp.asarray(labels), penalty, tolerance, max_steps, classes)


@partial(jax.jit, static_argnames=("classes",))
def _softmax_fit(features, labels, penalty, tolerance, max_steps, classes: int) -> SoftmaxModel:
    # A label out of range has a row of zeros, and its example no share in the mean.
    shares = jax.nn.one_hot(labels, classes, dtype=features.dtype)
    problem = (features, shares / jnp.maximum(shares.sum(), 1), penalty)
    parameters, norm, steps = _softmax_minimum(problem, lax.stop_gradient(tolerance), max_steps)
    objective = _softmax_objective(parameters, *problem)
    return SoftmaxModel(parameters[:-1], parameters[-1], objective, norm, steps, norm <= tolerance)


def _softmax_objective(parameters, features, shares, penalty):
    weights, bias = parameters[:-1], parameters[-1]
    logits = jnp.matmul(features, weights, precision="highest") + bias
    return -jnp.sum(shares * jax.nn.log_softmax(logits)) + penalty / 2 * jnp.sum(weights**2)


@jax.custom_jvp
def _softmax_minimum(problem, tolerance, max_steps):
    """Weights above the bias, (p + 1, classes), the largest entry of the gradient, and the steps."""
    import optax

    features, shares, _ = problem
    solver = optax.lbfgs()

    def objective(parameters):
        return _softmax_objective(parameters, *problem)

    evaluate = optax.value_and_grad_from_state(objective)

    def going(progress):
        _, _, norm, steps = progress
        return (norm > tolerance) & (steps < max_steps)

    def step(progress):
        parameters, state, _, steps = progress
        value, slope = evaluate(parameters, state=state)
        updates, state = solver.update(slope, state, parameters, value=value, grad=slope, value_fn=objective)
        parameters = optax.apply_updates(parameters, updates)
        return parameters, state, jnp.max(jnp.abs(optax.tree.get(state, "grad"))), steps + 1

    # Zeros known to the compiler become one zero, and XLA's product with it on CPUs (jaxlib 0.10) is garbage.
    start = lax.optimization_barrier(jnp.zeros((features.shape[1] + 1, shares.shape[1]), features.dtype))
    initial = (start, solver.init(start), jnp.max(jnp.abs(jax.grad(objective)(start))), jnp.asarray(0))
    parameters, _, norm, steps = lax.while_loop(going, step, initial)
    return parameters, norm, steps


@_softmax_minimum.defjvp
def _softmax_minimum_jvp(primals, tangents):
    """The gradient stays zero: the Hessian times the tangent makes up for its change with the problem."""
    problem, *_ = primals
    parameters, norm, steps = _softmax_minimum(*primals)
    gradient = jax.grad(_softmax_objective)
    _, moved = jax.jvp(lambda problem: gradient(parameters, *problem), (problem,), tangents[:1])

    def hessian(direction):
        return jax.jvp(lambda parameters: gradient(parameters, *problem), (parameters,), (direction,))[1]

    def solve(product, right):
        # What all classes share changes nothing: the Hessian is singular along it, and the minimum has none.
        right = right - right.mean(-1, keepdims=True)
        accuracy = 100 * float(jnp.finfo(norm.dtype).eps)
        return jax.scipy.sparse.linalg.cg(product, right, tol=accuracy, maxiter=_CONJUGATE_STEPS)[0]

    tangent = -lax.custom_linear_solve(hessian, moved, solve, symmetric=True)
    return (parameters, norm, steps), (
        tangent,
        jnp.zeros_like(norm),
        np.zeros(steps.shape, jax.dtypes.float0),
    )


@jax.jit
def softmax_logits(model: SoftmaxModel, features: Queries) -> Float[Array, "... classes"]:
    """Logits of softmax regression, W^T x + b: the log-probabilities up to a number that the classes share.

    Args:
        model: from `softmax_fit`.
        features: `(..., p)`.

    Returns:
        `(..., classes)`.

    Raises:
        ValueError: another number of features than the model's.

    Example:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[-1.0], [1.0]]), jnp.array([0, 1])
        >>> softmax_logits(softmax_fit(x, labels, classes=2, penalty=0.5), jnp.array([0.0])).tolist()
        [0.0, 0.0]
    """
    features = jnp.asarray(features)
    _check_queries(features, model.weights.shape[-2])
    return jnp.matmul(features, model.weights, precision="highest") + model.bias


def softmax_predict(model: SoftmaxModel, features: Queries) -> Int[Array, "..."]:
    """The class of the largest logit.

    Args:
        model: from `softmax_fit`.
        features: `(..., p)`.

    Returns:
        `(...,)`, classes from 0; of equal logits the lower class.

    Raises:
        ValueError: another number of features than the model's.

    Example:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[-1.0], [1.0]]), jnp.array([0, 1])
        >>> model = softmax_fit(x, labels, classes=2, penalty=0.5)
        >>> softmax_predict(model, jnp.array([[-3.0], [4.0]])).tolist()
        [0, 1]
    """
    return jnp.argmax(softmax_logits(model, features), axis=-1)


@partial(jax.jit, static_argnames=("k", "block"))
def neighbours(train: Features, queries: Queries, *, k: int, block: int = _BLOCK) -> Neighbours:
    """The k nearest training examples of each query in the Euclidean distance, by exhaustive search.

    Candidates are found by |x|^2 - 2 <x, q>, a product of matrices; the squared distances of the best are
    then taken from the differences, so that near and equal points keep their digits. Distances are
    differentiable in both arguments, the choice of neighbours held fixed.

    Args:
        train: `(n, p)`.
        queries: `(..., p)`.
        k: number of neighbours, from 1 to n.
        block: queries and training examples handled at once: memory grows with block * (block + p).

    Returns:
        Squared distances and rows of `train`, `(..., k)`, nearest first; of equal distances the lower row (if
        no more than eight others tie with the last).

    Raises:
        ValueError: shapes that do not match, `k` outside 1 to n, or a block below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> found = neighbours(jnp.array([[0.0], [1.0], [5.0]]), jnp.array([4.0]), k=2)
        >>> found.indices.tolist(), found.distances.tolist()
        ([2, 1], [1.0, 9.0])
    """
    train, queries = _floating(train), _floating(queries)
    if train.ndim != 2 or train.shape[0] == 0:
        raise ValueError(
            f"training features have shape {train.shape}: give rows, (n, p), of one example each"
        )
    n, p = train.shape
    if queries.shape[-1:] != (p,):
        raise ValueError(f"queries have shape {queries.shape} and the training examples {p} features")
    if not 1 <= k <= n:
        raise ValueError(f"k is {k}: among {n} training examples there are 1 to {n} neighbours")
    if block < 1:
        raise ValueError(f"block is {block}: handle one row at a time at least")
    height = min(block, n)
    blocks = -(-n // height)
    # About the middle, products are smallest and round least.
    middle = lax.stop_gradient(train.mean(0))
    rows = jnp.pad(lax.stop_gradient(train) - middle, ((0, blocks * height - n), (0, 0)))
    lengths = jnp.where(jnp.arange(blocks * height) < n, jnp.sum(rows**2, axis=-1), jnp.inf)
    parts = (
        rows.reshape(blocks, height, p),
        lengths.reshape(blocks, height),
        jnp.arange(blocks * height).reshape(blocks, height),
    )
    candidates = min(n, k + _SPARE)

    def nearest(query):
        centred = lax.stop_gradient(query) - middle

        def merge(best, part):
            rows, lengths, numbers = part
            apart = lengths - 2 * jnp.matmul(rows, centred, precision="highest")
            values, places = lax.top_k(-jnp.concatenate([best[0], apart]), candidates)
            return (-values, jnp.concatenate([best[1], numbers])[places]), None

        nothing = (jnp.full(candidates, jnp.inf, train.dtype), jnp.zeros(candidates, int))
        chosen = jnp.sort(lax.scan(merge, nothing, parts)[0][1])
        distances = lax.map(lambda row: jnp.sum((train[row] - query) ** 2), chosen)
        values, places = lax.top_k(-distances, k)
        return -values, chosen[places]

    distances, indices = lax.map(nearest, queries.reshape(-1, p), batch_size=block)
    shape = (*queries.shape[:-1], k)
    return Neighbours(distances.reshape(shape), indices.reshape(shape))


def neighbours_predict(
    train: Features, labels: Labels, queries: Queries, *, classes: int, k: int, block: int = _BLOCK
) -> Int[Array, "..."]:
    """The class of most of the k nearest training examples.

    Args:
        train: `(n, p)`.
        labels: `(n,)`, integers from 0 to `classes` - 1; examples of other labels under jit have no vote.
        queries: `(..., p)`.
        classes: number of classes.
        k: number of neighbours, from 1 to n.
        block: queries and training examples handled at once.

    Returns:
        `(...,)`, classes from 0; of equally many votes the lower class, as in scikit-learn.

    Raises:
        ValueError: shapes that do not match, `k` outside 1 to n, a block below 1, or labels (where they have
            values) out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> x, labels = jnp.array([[0.0], [1.0], [5.0]]), jnp.array([1, 1, 0])
        >>> neighbours_predict(x, labels, jnp.array([[4.0], [0.4]]), classes=2, k=1).tolist()
        [0, 1]

    References:
        Thomas Cover and Peter Hart, "Nearest neighbor pattern classification", 1967.
    """
    _check_training(train, labels, classes)
    found = jnp.asarray(labels)[neighbours(train, queries, k=k, block=block).indices]
    return jnp.argmax(jax.nn.one_hot(found, classes, dtype=int).sum(-2), axis=-1)


def cross_validate(
    errors: Callable[[Int[Array, " train"], Int[Array, " held"]], Any],
    n: int,
    *,
    folds: int,
    key: Key[Array, ""] | UInt32[Array, "2"],
) -> CrossValidation:
    """Estimate errors on examples that took no part in training.

    The n examples are dealt at random into equal parts (their sizes differ by one at most); each is held out
    once, and `errors` trains on the others and tests on it.

    Args:
        errors: from the indices of training examples and of those held out to the error on the latter, or an
            array of errors, one for each choice that is tried.
        n: number of examples.
        folds: number of parts, from 2 to n; with n, one example is held out at a time.
        key: deals the examples.

    Returns:
        The errors, `(folds, ...)`, their mean, its standard error and the best choice.

    Raises:
        ValueError: `folds` outside 2 to n.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> x = jax.random.normal(jax.random.key(0), (40, 3)) * jnp.array([4.0, 4.0, 0.1])
        >>> labels = jnp.arange(40) % 2
        >>> x = x.at[:, 2].add(labels)
        >>> def errors(train, held):
        ...     model = affine_fit(x[train], labels[train], classes=2, dimension=2)
        ...     return affine_errors(model, x[held], labels[held])
        >>> int(cross_validate(errors, 40, folds=5, key=jax.random.key(1)).best)  # planes, two dimensions
        2

    References:
        Mervyn Stone, "Cross-validatory choice and assessment of statistical predictions", 1974.
    """
    if not 2 <= folds <= n:
        raise ValueError(f"folds is {folds}: {n} examples can be dealt into 2 to {n} parts")
    order = jax.random.permutation(key, n)
    ends = [n * fold // folds for fold in range(folds + 1)]
    return CrossValidation(
        jnp.stack(
            [
                jnp.asarray(errors(jnp.concatenate([order[:start], order[end:]]), order[start:end]))
                for start, end in pairwise(ends)
            ]
        )
    )


def error_rate(predicted: Classes, labels: Classes) -> Float[Array, "..."]:
    """Share of predictions that differ from the labels.

    Args:
        predicted: `(..., n)`.
        labels: `(..., n)`, the same number; leading axes broadcast.

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
        raise ValueError(
            f"predictions of shape {predicted.shape} cannot be compared with labels of shape {labels.shape}: "
            "give one prediction a label"
        )
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
        # NumPy's own array first: a constant's minimum by JAX, taken within a jit, would have no value.
        low, high = np.asarray(labels).min(), np.asarray(labels).max()
        if low < 0 or high >= classes:
            raise ValueError(
                f"labels run from {low} to {high}: with {classes} classes they are 0 to {classes - 1}"
            )


def _check_present(labels, classes: int):
    if not isinstance(labels, jax.core.Tracer):
        counts = np.bincount(np.asarray(labels), minlength=classes)
        if counts.min() == 0:
            raise ValueError(
                f"labels hold no example of class {int(counts.argmin())}: each of the {classes} classes "
                "needs one at least"
            )


def _check_queries(features, p: int):
    if features.ndim < 1 or features.shape[-1] != p:
        raise ValueError(f"features have shape {features.shape} and the model was fitted to {p} features")


def _floating(features):
    """As an array of the default backend; half precision is computed in single."""
    features = jnp.asarray(features)
    return features.astype(jnp.promote_types(features.dtype, jnp.float32))
