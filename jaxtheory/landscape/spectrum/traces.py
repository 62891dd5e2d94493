r"""The trace and the diagonal of an operator, from products with random vectors.

Hutchinson's estimator is the mean of $v^\top A v$ over vectors of random signs. XTrace takes a low-rank part
of the operator exactly and estimates what is left.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.core.types import RandomKey
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import vectors
from jaxtheory.landscape.spectrum.estimates import Estimate, standard_error

TOGETHER = 10
"""The number of probes that are multiplied at once, where nothing else is asked for."""


@record
class DiagonalEstimate:
    """The estimated diagonal of an operator, shaped like its vectors."""

    value: PyTree
    """The estimate of each entry."""
    standard_error: PyTree
    """The standard error of each entry over the probes; NaN for a single probe."""


@record
class XTraceResult:
    """The trace by XTrace."""

    value: Float[Array, ""]
    """The estimate."""
    error_estimate: Float[Array, ""]
    """An estimate of the size of the error, not a standard error: the leave-one-out values are dependent."""


def trace(operator: Operator, key: RandomKey, *, probes: int = 30, chunk: int | None = None) -> Estimate:
    r"""Estimate the trace by Hutchinson's method, $\frac1p \sum_i v_i^\top A v_i$ with random signs $v_i$.

    Its variance is $\frac2p \sum_{i \ne j} A_{ij}^2$: it is exact for diagonal operators.

    Args:
        operator: The operator.
        key: The random key of the probes; the first of many probes are those of fewer.
        probes: The number $p$ of random vectors, at least 1.
        chunk: The number of vectors that are multiplied at once, which take memory; by default ten.

    Returns:
        The trace with its standard error over the probes, NaN for one probe.

    Raises:
        TypeError: If a number is not a whole number, or the operator is none.
        ValueError: If a number is below 1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> found = spectrum.trace(curvature.Matrix(jnp.diag(jnp.arange(4.0))), jax.random.key(0), probes=8)
        >>> float(found.value), float(found.standard_error)
        (6.0, 0.0)

    References:
        Hutchinson, A stochastic estimator of the trace of the influence matrix for Laplacian smoothing
        splines, 1990.
    """
    return _trace(*_checked(operator, key), **_counts(probes, chunk))


def diagonal(
    operator: Operator, key: RandomKey, *, probes: int = 30, chunk: int | None = None
) -> DiagonalEstimate:
    r"""Estimate the diagonal by Hutchinson's method, $\frac1p \sum_i v_i \odot A v_i$ with signs $v_i$.

    The variance of entry $i$ is $\frac1p \sum_{j \ne i} A_{ij}^2$.

    Args:
        operator: The operator.
        key: The random key of the probes; the first of many probes are those of fewer.
        probes: The number $p$ of random vectors, at least 1.
        chunk: The number of vectors that are multiplied at once, which take memory; by default ten.

    Returns:
        The diagonal with its standard errors over the probes, NaN for one probe, both shaped like a vector.

    Raises:
        TypeError: If a number is not a whole number, or the operator is none.
        ValueError: If a number is below 1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> matrix = curvature.Matrix(jnp.diag(jnp.arange(4.0)))
        >>> spectrum.diagonal(matrix, jax.random.key(0), probes=8).value
        Array([0., 1., 2., 3.], dtype=float32)

    References:
        Bekas, Kokiopoulou and Saad, An estimator for the diagonal of a matrix, 2007.
    """
    return _diagonal(*_checked(operator, key), **_counts(probes, chunk))


def xtrace(operator: Operator, key: RandomKey, *, probes: int = 30) -> XTraceResult:
    r"""Estimate the trace by XTrace, which is far more exact where eigenvalues decay fast.

    The products of $p$ vectors span a subspace on which the trace is taken exactly; Hutchinson's method
    estimates the rest, in turn with each of the vectors left out of the subspace. It takes $2p$ products and
    the memory of about $4p$ vectors. Where that is the dimension or more, the trace is taken exactly.

    Args:
        operator: The operator.
        key: The random key of the probes.
        probes: The number $p$ of random vectors, from 2 to the operator's dimension.

    Returns:
        The trace with an estimate of its error, which is no standard error.

    Raises:
        TypeError: If `probes` is not a whole number, or the operator is none.
        ValueError: If `probes` is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> low_rank = curvature.Matrix(jnp.ones((50, 50)))
        >>> float(spectrum.xtrace(low_rank, jax.random.key(0), probes=4).value)
        50.0

    References:
        Epperly, Tropp and Webber, XTrace: making the most of every sample in stochastic trace estimation,
        2024.
    """
    operator, key = _checked(operator, key)
    return _xtrace(operator, key, probes=vectors.steps_within("probes", probes, operator, least=2))


def _checked(operator: Any, key: Any) -> tuple[Operator, RandomKey]:
    """The operator and the key, known to be such."""
    checks.random_key("key", key)
    return vectors.checked(operator), key


def _counts(probes: Any, chunk: Any) -> dict[str, int]:
    """The number of probes, and of those that are multiplied at once, as equal as chunks can be."""
    probes = checks.count("probes", probes)
    together = TOGETHER if chunk is None else checks.count("chunk", chunk)
    return {"probes": probes, "chunk": -(-probes // -(-probes // together))}


@partial(jax.jit, static_argnames=("probes", "chunk"))
def _trace(operator: Operator, key: RandomKey, *, probes: int, chunk: int) -> Estimate:
    """Hutchinson's estimate of the trace, in one compiled program."""

    def forms(numbers: Array) -> Array:
        signs = vectors.draw(operator, key, numbers, kind="signs")
        return vectors.dots(signs, vectors.multiply(operator, signs))

    found = lax.map(forms, _numbers(probes, chunk)).reshape(-1)[:probes]
    return Estimate(jnp.mean(found), standard_error(found))


@partial(jax.jit, static_argnames=("probes", "chunk"))
def _diagonal(operator: Operator, key: RandomKey, *, probes: int, chunk: int) -> DiagonalEstimate:
    """Hutchinson's estimate of the diagonal, in one compiled program."""

    def add(carry: Any, numbers: Array) -> tuple[Any, None]:
        count, mean, scatter = carry
        signs = vectors.draw(operator, key, numbers, kind="signs")
        draws = jax.tree.map(jnp.multiply, signs, vectors.multiply(operator, signs))
        is_new = (numbers < probes).astype(vectors.dtype_of(operator))
        new = jnp.sum(is_new)
        own = jax.tree.map(lambda leaf: jnp.sum(vectors.scaled(is_new, leaf), 0) / new, draws)
        # Means and sums of squares about them are merged: a difference of large sums would cancel.
        scatter = jax.tree.map(
            lambda scatter, leaf, own, mean: (
                scatter
                + jnp.sum(vectors.scaled(is_new, (leaf - own) ** 2), 0)
                + (own - mean) ** 2 * count * new / (count + new)
            ),
            scatter, draws, own, mean,
        )  # fmt: skip
        mean = jax.tree.map(lambda mean, own: mean + (own - mean) * new / (count + new), mean, own)
        return (count + new, mean, scatter), None

    nothing = vectors.zeros(operator, ())
    start = (jnp.zeros((), vectors.dtype_of(operator)), nothing, nothing)
    (_, mean, scatter), _ = lax.scan(add, start, _numbers(probes, chunk))
    error = jax.tree.map(
        lambda leaf: jnp.sqrt(leaf / (probes - 1) / probes) if probes > 1 else jnp.full_like(leaf, jnp.nan),
        scatter,
    )
    return DiagonalEstimate(vectors.as_template(operator, mean), vectors.as_template(operator, error))


@partial(jax.jit, static_argnames="probes")
def _xtrace(operator: Operator, key: RandomKey, *, probes: int) -> XTraceResult:
    """XTrace, by matfree, in one compiled program."""
    from matfree import stochtrace

    if 2 * probes >= operator.dimension:
        units = operator.split(jnp.eye(operator.dimension, dtype=vectors.dtype_of(operator)))
        exact = jnp.sum(vectors.dots(units, vectors.multiply(operator, units)))
        return XTraceResult(exact, jnp.zeros_like(exact))

    @jax.custom_batching.custom_vmap
    def product(operator: Operator, vector: PyTree) -> PyTree:
        return jax.tree.map(
            lambda leaf: leaf[0], vectors.multiply(operator, jax.tree.map(lambda leaf: leaf[None], vector))
        )

    @product.def_vmap
    def products(axis_size: int, is_batched: Any, operator: Operator, many: PyTree) -> tuple[PyTree, Any]:
        # matfree multiplies one vector at a time under `vmap`; here they share their block product.
        del axis_size, is_batched
        found = vectors.multiply(operator, many)
        return found, jax.tree.map(lambda _: True, found)

    samples = vectors.draw(operator, key, jnp.arange(probes), kind="normal")
    values = stochtrace.leave_one_out_xtrace()(lambda vector: product(operator, vector), samples)
    return XTraceResult(jnp.mean(values), standard_error(values))


def _numbers(probes: int, chunk: int) -> Array:
    """The numbers of the probes in chunks; those beyond the last are not counted."""
    return jnp.arange(-(-probes // chunk) * chunk).reshape(-1, chunk)
