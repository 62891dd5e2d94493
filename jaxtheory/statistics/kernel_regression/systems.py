"""The positive definite systems of kernel regression, and what is said where one is not."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import cho_solve
from jaxtyping import Array

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.statistics.kernel_regression.kernels import as_kernel, values
from jaxtheory.statistics.kernel_regression.models import KernelModel

SAMPLE = 128
"""The number of examples whose kernel matrix is always looked at: a negative pivot of it is proof."""

ROUNDINGS = 100
"""Roundings of the largest entry, for each example, within which a negative eigenvalue is no proof."""


def taken(kernel: Any, x: Any, y: Any, penalty: Any) -> tuple[list[Any], Any]:
    """Return the arguments of a regression in one dtype, and the function that gives results theirs.

    Args:
        kernel: The kernel, as the caller gave it.
        x: The examples.
        y: The values to fit.
        penalty: The penalty.

    Returns:
        The arguments, and the function.

    Raises:
        TypeError: If one is complex or not an array of numbers, or the kernel is not a function.
        ValueError: If the shapes do not match, there is no example, or the penalty is negative.
    """
    (kernel, x, y, penalty), back = real_arrays(kernel=as_kernel(kernel), x=x, y=y, penalty=penalty)
    check_examples(x, y)
    checks.nonnegative("penalty", penalty, one=True)
    return [kernel, x, y, penalty], back


def check_examples(x: Any, y: Any) -> None:
    """Refuse examples and values whose shapes do not fit.

    Args:
        x: The examples, one per row.
        y: The values, of one output or several.

    Raises:
        ValueError: If there is no example, or the values are not as many.
    """
    checks.axes("x", x, "n", "features")
    n = x.shape[0]
    if n == 0:
        raise ValueError(f"x has the shape {x.shape}: take at least one example")
    check_values(y, n)


def check_values(y: Any, n: int) -> None:
    """Refuse values that are not those of n examples.

    Args:
        y: The values, of one output or several.
        n: The number of examples.

    Raises:
        ValueError: If they have another shape.
    """
    if y.ndim not in (1, 2) or y.shape[0] != n:
        raise ValueError(f"y has the shape {y.shape}: take ({n},), or ({n}, outputs), for {n} examples")


def solution(matrix: Array, right: Array) -> Array:
    """Return the solution of a positive definite system, NaN where it is not; its derivative is implicit.

    Args:
        matrix: The matrix, of which the lower triangle is read.
        right: The right-hand sides, one a column.

    Returns:
        The solutions.
    """
    factor = lax.linalg.cholesky(lax.stop_gradient(matrix), symmetrize_input=False)
    return lax.custom_linear_solve(
        lambda z: matmul(matrix, z), right, lambda _, b: cho_solve((factor, True), b), symmetric=True
    )


def slack(matrix: Array) -> Array:
    """Return how negative the smallest eigenvalue of a symmetric matrix may be by rounding."""
    return ROUNDINGS * len(matrix) * jnp.finfo(matrix.dtype).eps * jnp.max(jnp.abs(matrix))


def relative_error(error: Array, right: Array, axis: tuple[int, ...] | None = None) -> Array:
    """Return the largest entry of an error over that of the right-hand sides, infinite where one is NaN.

    Args:
        error: The error.
        right: The right-hand sides.
        axis: The axes over which the largest entries are taken; `None` stands for all of them.

    Returns:
        The quotient.
    """
    largest = jnp.maximum(jnp.max(jnp.abs(right), axis), jnp.finfo(right.dtype).tiny)
    # XLA's maximum on processors (jaxlib 0.10) passes over NaN.
    return jnp.max(jnp.where(jnp.isfinite(error), jnp.abs(error), jnp.inf), axis) / largest


def of_sample(matrix: Array) -> Array:
    """Return whether the matrix of the first examples is positive semidefinite, up to rounding.

    Args:
        matrix: The kernel's values at the examples.

    Returns:
        Whether all pivots are positive. They are those of an elimination of our own: on processors (jaxlib
        0.10) two batched factorizations at a time can wait for each other's threads forever, and this one
        would go on beside that of the system under `vmap`.
    """
    few = lax.stop_gradient(matrix[:SAMPLE, :SAMPLE])
    size = len(few)
    few = few + slack(few) * jnp.eye(size, dtype=few.dtype)

    def eliminate(place: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        left, sound = carry
        pivot = left[place, place]
        left = left - left[:, place, None] * (left[place] / jnp.where(pivot > 0, pivot, 1))
        return left, sound & (pivot > 0)

    return lax.fori_loop(0, size, eliminate, (few, jnp.array(True)))[1]


def refuse_unsolved(model: KernelModel, penalty: Array | float) -> KernelModel:
    """Refuse a model whose equations were not solved, where that is known, and name the eigenvalue.

    Args:
        model: The model.
        penalty: The penalty, for the error.

    Returns:
        The model.

    Raises:
        ValueError: If the kernel is not positive semidefinite, or the penalty too small for the dtype.
    """
    if not checks.known(model.solved) or bool(np.all(model.solved)):
        return model
    few = model.x[:SAMPLE]
    matrix = values(model.kernel, few, few)
    smallest = jnp.linalg.eigvalsh(matrix)[0]
    if smallest >= -slack(matrix):
        matrix = values(model.kernel, model.x, model.x)
        smallest = jnp.linalg.eigvalsh(matrix)[0]
    if smallest < -slack(matrix):
        raise ValueError(
            f"kernel has the eigenvalue {float(smallest):.3g} on the examples: "
            "take a positive semidefinite kernel"
        )
    raise ValueError(
        f"penalty is {float(penalty):.3g}, and the kernel's smallest eigenvalue on the examples is "
        f"{float(smallest):.3g}: take a larger penalty, double precision, or interpolate"
    )
