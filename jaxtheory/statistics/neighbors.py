r"""The nearest training examples, by exhaustive search, and their majority class.

Conventions: training examples are rows of `features` with `labels` from 0 to `classes` - 1; labels under
`jit` are traced and cannot be checked, and one that is out of range has no vote. Distances are squared.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray
from jaxtheory.statistics import labeled

BLOCK = 1024
"""The number of rows that are handled at once: distances to as many others take megabytes."""

SPARE = 8
"""Candidates beyond the nearest: products round squared distances, and these may swap places."""


@record
class Neighbors:
    """The nearest training examples of each query, nearest first."""

    distances: Float[Array, "... neighbors"]
    """The squared distances."""
    indices: Int[Array, "... neighbors"]
    """The rows of the training examples."""


def search(
    features: Real[AnyArray, "n features"],
    queries: Real[AnyArray, "... features"],
    *,
    neighbors: int,
    block: int = BLOCK,
    where: Bool[AnyArray, " n"] | None = None,
) -> Neighbors:
    r"""Find the nearest training examples of each query in the Euclidean distance, by exhaustive search.

    Candidates are found by $|x|^2 - 2 \langle x, q \rangle$, a product of matrices; the squared distances of
    the best are then taken from the differences, so that near and equal points keep their digits. Distances
    are differentiable in both arguments, the choice of neighbors held fixed.

    Args:
        features: The training examples, one per row.
        queries: The examples whose neighbors are found.
        neighbors: The number of neighbors, from 1 to n.
        block: The number of queries and of training examples handled at once, at least 1; memory grows with
            block * (block + features).
        where: The training examples to search, as a mask, if not all of them. Where they are fewer than
            `neighbors`, the missing neighbors are infinitely far.

    Returns:
        Squared distances and rows, nearest first; of equal distances the lower row, if no more than eight
        others tie with the last.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, or `where` is not a mask.
        ValueError: If shapes do not match, or `neighbors` or `block` is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import neighbors
        >>> found = neighbors.search(jnp.array([[0.0], [1.0], [5.0]]), jnp.array([4.0]), neighbors=2)
        >>> found.indices.tolist(), found.distances.tolist()
        ([2, 1], [1.0, 9.0])
    """
    (features, queries), back = real_arrays(features=features, queries=queries)
    checks.axes("features", features, "n", "features")
    n, p = features.shape
    if n == 0:
        raise ValueError(f"features has the shape {features.shape}: take at least one example")
    checks.axes("queries", queries, "...", "features", sizes=(p,))
    neighbors = checks.count("neighbors", neighbors, most=n)
    block = checks.count("block", block)
    mask = np.ones(n, bool) if where is None else as_array("where", where)
    labeled.check_mask(mask, n)
    return back(_search(features, queries, jnp.asarray(mask), neighbors, block))


@partial(jax.jit, static_argnums=(3, 4))
def _search(features: Array, queries: Array, mask: Array, neighbors: int, block: int) -> Neighbors:
    n, p = features.shape
    height = min(block, n)
    blocks = -(-n // height)
    # About the middle, products are smallest and round least.
    middle = lax.stop_gradient(features.mean(0))
    rows = jnp.pad(lax.stop_gradient(features) - middle, ((0, blocks * height - n), (0, 0)))
    taken = jnp.pad(mask, (0, blocks * height - n))
    lengths = jnp.where(taken, jnp.sum(rows**2, axis=-1), jnp.inf)
    parts = (
        rows.reshape(blocks, height, p),
        lengths.reshape(blocks, height),
        jnp.arange(blocks * height).reshape(blocks, height),
    )
    candidates = min(n, neighbors + SPARE)

    def nearest(query: Array) -> tuple[Array, Array]:
        centered = lax.stop_gradient(query) - middle

        def merge(best: tuple[Array, Array], part: tuple[Array, ...]) -> tuple[tuple[Array, Array], None]:
            rows, lengths, numbers = part
            apart = lengths - 2 * matmul(rows, centered)
            values, places = lax.top_k(-jnp.concatenate([best[0], apart]), candidates)
            return (-values, jnp.concatenate([best[1], numbers])[places]), None

        nothing = (jnp.full(candidates, jnp.inf, features.dtype), jnp.zeros(candidates, int))
        apart, found = lax.scan(merge, nothing, parts)[0]
        order = jnp.argsort(found)
        chosen, missing = found[order], jnp.isinf(apart)[order]
        exact = lax.map(lambda row: jnp.sum((features[row] - query) ** 2), chosen)
        values, places = lax.top_k(-jnp.where(missing, jnp.inf, exact), neighbors)
        return -values, chosen[places]

    distances, indices = lax.map(nearest, queries.reshape(-1, p), batch_size=block)
    shape = (*queries.shape[:-1], neighbors)
    return Neighbors(distances.reshape(shape), indices.reshape(shape))


def predict(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    queries: Real[AnyArray, "... features"],
    *,
    classes: int,
    neighbors: int,
    block: int = BLOCK,
    where: Bool[AnyArray, " n"] | None = None,
) -> Int[Array, "..."]:
    """Return the majority class of the nearest training examples.

    Args:
        features: The training examples, one per row.
        labels: The class of each example, from 0 to `classes` - 1.
        queries: The examples to classify.
        classes: The number of classes, at least 1.
        neighbors: The number of neighbors, from 1 to n.
        block: The number of queries and of training examples handled at once, at least 1.
        where: The training examples to search, as a mask, if not all of them; where they are fewer than
            `neighbors`, only they vote.

    Returns:
        The classes, from 0; of equally many votes the lower class, as in scikit-learn.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, or `where` is not a mask.
        ValueError: If shapes do not match, `neighbors` or `block` is out of range, or labels (where their
            values are known) are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import neighbors
        >>> x, labels = jnp.array([[0.0], [1.0], [5.0]]), jnp.array([1, 1, 0])
        >>> neighbors.predict(x, labels, jnp.array([[4.0], [0.4]]), classes=2, neighbors=1).tolist()
        [0, 1]

    References:
        Thomas Cover and Peter Hart, "Nearest neighbor pattern classification", 1967.
    """
    labels = labeled.whole_labels(labels)
    labeled.check_examples(as_array("features", features), labels, classes)
    found = search(features, queries, neighbors=neighbors, block=block, where=where)
    classes_of = jnp.where(jnp.isinf(found.distances), -1, jnp.asarray(labels)[found.indices])
    return jnp.argmax(jax.nn.one_hot(classes_of, classes, dtype=int).sum(-2), axis=-1)
