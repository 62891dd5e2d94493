r"""Functions in the space of a kernel, $f(x) = \sum_i c_i\, k(x, x_i)$, and their values."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray
from jaxtheory.statistics.kernel_regression.kernels import values

BLOCK = 1024
"""The number of queries that are handled at once: the kernel's values at them take megabytes."""


@record
class KernelModel:
    """A function in the space of a kernel, of one or several outputs, and how exactly it was found."""

    kernel: PyTree
    """The kernel."""
    x: Float[Array, "n features"]
    """The examples at which the kernel is centered."""
    coefficients: Float[Array, " n *outputs"]
    """The coefficients of the kernel at each example."""
    residual: Float[Array, ""]
    """The largest error of the equations that were solved, over the largest value to fit."""
    solved: Bool[Array, ""]
    """Whether the equations were solved; not where the kernel is not positive semidefinite, or the penalty is
    below what the dtype can tell from zero."""


def predict(model: KernelModel, queries: Real[AnyArray, "... features"]) -> Float[Array, "..."]:
    r"""Return the values $\sum_i c_i\, k(q, x_i)$ of a function in the space of a kernel.

    Args:
        model: The function, from `fit`, `distributed` or `interpolate`.
        queries: The points at which it is evaluated; they are handled in blocks.

    Returns:
        The values, with the axes of the queries but the last, and then that of the outputs, if there is one.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the model.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import kernel_regression
        >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([1.0, 3.0])
        >>> model = kernel_regression.interpolate(kernel_regression.gaussian(1.0), x, y)
        >>> kernel_regression.predict(model, jnp.array([1.0])).round(4).item()
        3.0
    """
    (model, queries), back = real_arrays(model=_without_flags(model), queries=queries)
    checks.axes("queries", queries, "...", "features", sizes=model.x.shape[-1:])
    return back(_predict(model, queries))


@record
class _Expansion:
    """What values need of a model."""

    kernel: PyTree
    x: Float[Array, "n features"]
    coefficients: Float[Array, " n *outputs"]


def _without_flags(model: Any) -> _Expansion:
    checks.instance("model", model, KernelModel, "a model, from kernel_regression.fit")
    return _Expansion(model.kernel, model.x, model.coefficients)


@jax.jit
def _predict(model: _Expansion, queries: Array) -> Array:
    def of_block(block: Array) -> Array:
        return matmul(values(model.kernel, block, model.x), model.coefficients)

    return in_blocks(of_block, queries)


def in_blocks(function: Callable[[Array], Array], queries: Array) -> Array:
    """Return a function's values at queries, taken in blocks of equal size, the last of them padded.

    Args:
        function: The function from rows `(block, features)` to values with a leading axis.
        queries: The queries `(..., features)`.

    Returns:
        The values, with the queries' leading axes.
    """
    rows = queries.reshape(-1, queries.shape[-1])
    n = rows.shape[0]
    height = max(1, min(BLOCK, n))
    blocks = -(-n // height)
    padded = jnp.pad(rows, ((0, blocks * height - n), (0, 0))).reshape(blocks, height, rows.shape[1])
    found = lax.map(function, padded)
    outputs = found.shape[2:]
    return found.reshape(blocks * height, *outputs)[:n].reshape(*queries.shape[:-1], *outputs)
