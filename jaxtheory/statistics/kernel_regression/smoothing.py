"""Local averages with the singular kernel of Hilbert, which take the values that they average."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics.kernel_regression.kernels import squared_distances
from jaxtheory.statistics.kernel_regression.models import in_blocks
from jaxtheory.statistics.kernel_regression.systems import check_examples


def nadaraya_watson(
    x: Real[AnyArray, "n features"],
    y: Real[AnyArray, " n *outputs"],
    queries: Real[AnyArray, "... features"],
    exponent: RealScalar,
) -> Float[Array, "..."]:
    r"""Return averages of the values, weighted by the singular kernel of Hilbert.

    $f(q) = \sum_i |q - x_i|^{-\alpha} y_i / \sum_i |q - x_i|^{-\alpha}$, the estimate of Nadaraya and Watson
    with a kernel that is infinite at zero: it has no bandwidth and takes the value $y_i$ at $x_i$, the mean
    of them where several examples are equal. With $\alpha$ the dimension it is consistent; as $\alpha$ grows
    it becomes that of the nearest neighbor.

    Args:
        x: The examples, one per row.
        y: The values to average, of one output or several.
        queries: The points at which the average is taken; they are handled in blocks.
        exponent: The exponent $\alpha$ of the distance; positive.

    Returns:
        The averages, with the axes of the queries but the last, and then that of the outputs, if there is
        one.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If shapes do not match, there is no example, or the exponent is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import kernel_regression
        >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([1.0, 4.0])
        >>> queries = jnp.array([[1.0], [2.0]])
        >>> kernel_regression.nadaraya_watson(x, y, queries, exponent=1).round(4).tolist()
        [4.0, 3.0]

    References:
        Luc Devroye, László Györfi and Adam Krzyżak, "The Hilbert kernel regression estimate", 1998.
    """
    (x, y, queries, exponent), back = real_arrays(x=x, y=y, queries=queries, exponent=exponent)
    check_examples(x, y)
    checks.axes("queries", queries, "...", "features", sizes=x.shape[1:])
    checks.positive("exponent", exponent, one=True)
    return back(_averages(x, y, queries, exponent))


@jax.jit
def _averages(x: Array, y: Array, queries: Array, exponent: Array) -> Array:
    return in_blocks(lambda block: matmul(_weights(block, x, exponent), y), queries)


def _weights(queries: Array, x: Array, exponent: Array) -> Array:
    """The weights of all examples; logarithms, as powers of a high dimension are out of range."""
    apart = squared_distances(queries, x)
    equal = apart == 0
    logs = -exponent / 2 * jnp.log(jnp.where(equal, 1, apart))
    met = jnp.any(equal, axis=1, keepdims=True)
    shares = jax.nn.softmax(jnp.where(met, 0, logs), axis=1)
    exact = equal / jnp.maximum(jnp.sum(equal, axis=1, keepdims=True), 1)
    return jnp.where(met, exact.astype(x.dtype), shares)
