"""Error rates, and their estimates by cross-validation."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RandomKey


@record
class CrossValidationResult:
    """The errors on the parts that were held out, for each choice that was tried."""

    errors: Float[Array, "folds ..."]
    """The mean loss on each part."""
    counts: Int[Array, " folds"]
    """The number of examples in each part."""

    @property
    def mean(self) -> Float[Array, "..."]:
        """The mean loss of each choice over all examples."""
        shares = (self.counts / self.counts.sum()).astype(self.errors.dtype)
        return jnp.tensordot(shares, self.errors, 1, precision="highest")

    @property
    def standard_error(self) -> Float[Array, "..."]:
        """The standard error of the mean, a rough one as the parts share training data."""
        return self.errors.std(0, ddof=1) / math.sqrt(self.errors.shape[0])

    @property
    def best(self) -> Int[Array, ""]:
        """The flat index of the choice with the least mean; the first of equals, and NaN last."""
        return jnp.argmin(jnp.where(jnp.isnan(self.mean), jnp.inf, self.mean))


def cross_validate(
    losses: Callable[[Bool[Array, " n"], Int[Array, " held"]], AnyArray],
    n: int,
    key: RandomKey,
    *,
    folds: int,
) -> CrossValidationResult:
    """Estimate errors on examples that took no part in training.

    The n examples are split at random into parts whose sizes differ by at most one. Each part is held out
    once: `losses` trains on the others and is asked for the loss of each example that is held out. It is
    given arrays of the same shapes each time, so that one compiled program serves all folds.

    Args:
        losses: A function from a mask of the n examples, true for those to train on, and the indices of
            ceil(n / folds) examples that are held out. It returns the loss of each of these, or an array of
            losses for each, one for every choice that is tried. A part that is smaller by one repeats its
            last example, whose second loss is not counted.
        n: The number of examples, at least 2.
        key: The random key by which the examples are split.
        folds: The number of parts, from 2 to n; with n, one example is held out at a time.

    Returns:
        The errors by part, with their mean, its standard error and the best choice.

    Raises:
        TypeError: If `n` or `folds` is not a whole number, or `key` is not a random key.
        ValueError: If `n` or `folds` is out of range, or `losses` returns another number of losses.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import affine, validation
        >>> x = jax.random.normal(jax.random.key(0), (40, 3)) * jnp.array([4.0, 4.0, 0.1])
        >>> labels = jnp.arange(40) % 2
        >>> x = x.at[:, 2].add(labels)
        >>> @jax.jit
        ... def losses(training, held):
        ...     model = affine.fit(x, labels, classes=2, dimension=2, where=training)
        ...     predicted = jnp.argmin(affine.distances(model, x[held]), axis=-1)  # (held, dimensions)
        ...     return predicted != labels[held, None]
        >>> int(validation.cross_validate(losses, 40, jax.random.key(1), folds=5).best)  # planes
        2

    References:
        Mervyn Stone, "Cross-validatory choice and assessment of statistical predictions", 1974.
    """
    n = checks.count("n", n, least=2)
    folds = checks.count("folds", folds, least=2, most=n)
    checks.random_key("key", key)
    order = jax.random.permutation(key, n)
    rank = jnp.argsort(order)
    size = -(-n // folds)
    errors, ends = [], [n * fold // folds for fold in range(folds + 1)]
    for start, end in pairwise(ends):
        found = jnp.asarray(losses(*_part(order, rank, start, end, size)))
        if found.shape[:1] != (size,):
            raise ValueError(
                f"losses returned the shape {found.shape}: take one row for each of the {size} examples "
                "that are held out"
            )
        errors.append(_mean(found, end - start))
    return CrossValidationResult(jnp.stack(errors), jnp.asarray(np.diff(ends)))


@partial(jax.jit, static_argnums=4)
def _part(order: Array, rank: Array, start: Array | int, end: Array | int, size: int) -> tuple[Array, Array]:
    """Which examples to train on, and the places of the others, the last of them repeated if need be."""
    return (rank < start) | (rank >= end), order[jnp.minimum(start + jnp.arange(size), end - 1)]


@jax.jit
def _mean(losses: Array, count: Array | int) -> Array:
    """The mean of the first rows."""
    rows = losses.reshape(len(losses), -1).astype(jnp.result_type(losses.dtype, float))
    counted = jnp.arange(len(rows)) < count
    return (jnp.sum(jnp.where(counted[:, None], rows, 0), 0) / count).reshape(losses.shape[1:])


def error_rate(predicted: Int[AnyArray, "... n"], labels: Int[AnyArray, "... n"]) -> Float[Array, "..."]:
    """Return the share of predictions that differ from the labels.

    Args:
        predicted: The predictions.
        labels: The true classes, as many; leading axes broadcast.

    Returns:
        The share, from 0 to 1.

    Raises:
        TypeError: If an argument is not an array of numbers.
        ValueError: If the numbers of predictions and labels differ.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import validation
        >>> float(validation.error_rate(jnp.array([3, 1, 4, 1]), jnp.array([3, 1, 4, 2])))
        0.25
    """
    predicted, labels = as_array("predicted", predicted), as_array("labels", labels)
    checks.axes("predicted", predicted, "...", "n")
    checks.axes("labels", labels, "...", "n", sizes=predicted.shape[-1:])
    return jnp.mean(jnp.asarray(predicted) != jnp.asarray(labels), axis=-1, dtype=float)
