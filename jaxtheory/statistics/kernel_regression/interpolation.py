"""The interpolant of minimum norm in the space of a kernel."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Real

from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray
from jaxtheory.statistics.kernel_regression import systems
from jaxtheory.statistics.kernel_regression.kernels import values
from jaxtheory.statistics.kernel_regression.models import KernelModel


def interpolate(
    kernel: Any, x: Real[AnyArray, "n features"], y: Real[AnyArray, " n *outputs"]
) -> KernelModel:
    r"""Return the function of minimum norm in the space of a kernel that takes the given values.

    $\min \|f\|$ subject to $f(x_i) = y_i$, which is $f = \sum_i c_i\, k(\cdot, x_i)$ with $K c = y$: kernel
    ridge regression as the penalty goes to zero. Where the matrix is singular to working precision, as with
    equal points or a wide kernel, it is the function of minimum norm among those of least squares, where
    eigenvalues of $n \epsilon \lambda_{\max}$ and less count as zero; `residual` says how far from the values
    it is.

    Args:
        kernel: The kernel, a function of two matrices of examples that returns the matrix of its values, as
            `gaussian` makes one; symmetric and positive semidefinite.
        x: The examples, one per row.
        y: The values to take, of one output or several.

    Returns:
        The function, its largest error at the examples over the largest value, and whether the kernel is
        positive semidefinite there.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, or the kernel is not a function.
        ValueError: If shapes do not match or, where values are known, the kernel is not positive
            semidefinite.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import kernel_regression
        >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([1.0, 3.0])
        >>> model = kernel_regression.interpolate(kernel_regression.laplacian(1.0), x, y)
        >>> kernel_regression.predict(model, x).round(4).tolist()
        [1.0, 3.0]

    References:
        Mikhail Belkin, Siyuan Ma and Soumik Mandal, "To understand deep learning we need to understand kernel
        learning", 2018.
    """
    (kernel, x, y, _), back = systems.taken(kernel, x, y, 0.0)
    return back(systems.refuse_unsolved(_interpolate(kernel, x, y), 0.0))


@jax.jit
def _interpolate(kernel: Any, x: Array, y: Array) -> KernelModel:
    matrix = values(kernel, x, x)
    columns = y.reshape(len(y), -1)
    direct = systems.solution(matrix, columns)
    error = systems.relative_error(matmul(matrix, direct) - columns, columns)
    # A factor without a negative pivot may still be that of a matrix of another rank.
    exact = error <= len(x) * jnp.sqrt(jnp.finfo(x.dtype).eps) / 100
    # Under `vmap` both branches are taken: this one then waits for the factor of the first.
    other = jnp.where(exact, jnp.eye(len(x), dtype=x.dtype), matrix)
    coefficients, sound = lax.cond(
        exact, lambda *_: (direct, systems.of_sample(matrix)), _least_squares, other, columns
    )
    error = systems.relative_error(matmul(matrix, coefficients) - columns, columns)
    return KernelModel(kernel, x, coefficients.reshape(y.shape), error, sound)


def _least_squares(matrix: Array, columns: Array) -> tuple[Array, Array]:
    """The solution of minimum norm, and whether no eigenvalue is below zero by more than rounding."""
    eigenvalues, vectors = jnp.linalg.eigh(matrix)
    cutoff = len(matrix) * jnp.finfo(matrix.dtype).eps * jnp.max(jnp.abs(eigenvalues))
    kept = eigenvalues > cutoff
    inverse = jnp.where(kept, 1 / jnp.where(kept, eigenvalues, 1), 0)
    found = matmul(vectors, inverse[:, None] * matmul(vectors.T, columns))
    return found, eigenvalues[0] >= -systems.ROUNDINGS * cutoff
