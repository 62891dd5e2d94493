"""Kernel ridge regression."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Real

from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics.kernel_regression import systems
from jaxtheory.statistics.kernel_regression.kernels import values
from jaxtheory.statistics.kernel_regression.models import KernelModel


def fit(
    kernel: Any,
    x: Real[AnyArray, "n features"],
    y: Real[AnyArray, " n *outputs"],
    penalty: RealScalar,
) -> KernelModel:
    r"""Fit kernel ridge regression: the least mean squared error with a penalty on the norm.

    $\min_f \frac1n \sum_i |f(x_i) - y_i|^2 + \lambda \|f\|^2$ over the space of the kernel, which is
    $f = \sum_i c_i\, k(\cdot, x_i)$ with $(K + n \lambda I)\, c = y$; this is scikit-learn's KernelRidge with
    $\alpha = n \lambda$. The system is solved by its Cholesky factor; coefficients are differentiable in all
    arguments, implicitly.

    Args:
        kernel: The kernel, a function of two matrices of examples that returns the matrix of its values, as
            `gaussian` makes one; symmetric and positive semidefinite.
        x: The examples, one per row.
        y: The values to fit, of one output or several.
        penalty: The weight $\lambda$ of the squared norm, at least 0; with 0 the matrix must be positive
            definite, and `interpolate` is what does not need that.

    Returns:
        The function, the error of its equations, and whether they were solved.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, or the kernel is not a function.
        ValueError: If shapes do not match, the penalty is negative or, where values are known, the kernel is
            not positive semidefinite or the penalty too small for the dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import kernel_regression
        >>> x, y = jnp.array([[0.0], [1.0], [2.0]]), jnp.array([0.0, 1.0, 0.0])
        >>> model = kernel_regression.fit(kernel_regression.gaussian(0.1), x, y, penalty=1 / 3)
        >>> model.coefficients.round(4).tolist()  # far from each other, each is shrunk to its half
        [0.0, 0.5, 0.0]

    References:
        Craig Saunders, Alexander Gammerman and Volodya Vovk, "Ridge regression learning algorithm in dual
        variables", 1998.
    """
    (kernel, x, y, penalty), back = systems.taken(kernel, x, y, penalty)
    return back(systems.refuse_unsolved(_fit(kernel, x, y, penalty), penalty))


@jax.jit
def _fit(kernel: Any, x: Array, y: Array, penalty: Array) -> KernelModel:
    matrix = values(kernel, x, x)
    sound = systems.of_sample(matrix)
    columns = y.reshape(len(y), -1)
    weight = len(x) * penalty
    coefficients = systems.solution(matrix + weight * jnp.eye(len(x), dtype=x.dtype), columns)
    error = matmul(matrix, coefficients) + weight * coefficients - columns
    residual = systems.relative_error(error, columns)
    solved = sound & jnp.isfinite(residual)
    return KernelModel(kernel, x, coefficients.reshape(y.shape), residual, solved)
