r"""Kernels as pytrees that can be called, and squared distances between all rows of two matrices."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.roots import root
from jaxtheory.core.types import AnyArray, RealScalar

ROUNDING = 8
"""Squared distances of less than this many roundings of the squared lengths are zero."""


def squared_distances(x: Float[Array, "n features"], y: Float[Array, "m features"]) -> Float[Array, "n m"]:
    r"""Return $|x_i|^2 - 2 \langle x_i, y_j \rangle + |y_j|^2$ about the mean of y, where it rounds least.

    Args:
        x: The rows of the first matrix.
        y: The rows of the second.

    Returns:
        The squared distances. Those that are nothing but rounding are zero, so that a point's distance from
        itself is exact.
    """
    middle = lax.stop_gradient(y.mean(0))
    x, y = x - middle, y - middle
    lengths = jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1)
    apart = lengths - 2 * matmul(x, y.T)
    return jnp.where(apart > ROUNDING * jnp.finfo(x.dtype).eps * lengths, apart, 0)


@record
class _Gaussian:
    """The kernel exp(-|x - y|^2 / (2 bandwidth^2))."""

    bandwidth: RealScalar

    def __call__(
        self, x: Real[AnyArray, "n features"], y: Real[AnyArray, "m features"]
    ) -> Float[Array, "n m"]:
        (kernel, x, y), back = _arguments(self, x, y)
        return back(jnp.exp(-squared_distances(x, y) / (2 * kernel.bandwidth**2)))


@record
class _Laplacian:
    """The kernel exp(-|x - y| / bandwidth)."""

    bandwidth: RealScalar

    def __call__(
        self, x: Real[AnyArray, "n features"], y: Real[AnyArray, "m features"]
    ) -> Float[Array, "n m"]:
        (kernel, x, y), back = _arguments(self, x, y)
        return back(jnp.exp(-root(squared_distances(x, y)) / kernel.bandwidth))


@record
class _Function:
    """A function as a kernel without parameters."""

    function: Callable[..., Any] = static()

    def __call__(self, x: Array, y: Array) -> Array:
        return self.function(x, y)


def gaussian(bandwidth: RealScalar) -> _Gaussian:
    r"""Return the Gaussian kernel $\exp(-|x - y|^2 / (2 \sigma^2))$.

    It is scikit-learn's `rbf` with $\gamma = 1 / (2 \sigma^2)$, and what random Fourier features approximate.

    Args:
        bandwidth: The bandwidth $\sigma$, in the units of the examples; positive.

    Returns:
        The kernel, a function of two matrices of examples.

    Raises:
        TypeError: If the bandwidth is not a real number.
        ValueError: If it is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import kernel_regression
        >>> kernel = kernel_regression.gaussian(1.0)
        >>> jnp.log(kernel(jnp.array([[0.0]]), jnp.array([[2.0], [4.0]]))).round(4).tolist()
        [[-2.0, -8.0]]
    """
    return _Gaussian(_bandwidth(bandwidth))


def laplacian(bandwidth: RealScalar) -> _Laplacian:
    r"""Return the Laplacian kernel $\exp(-|x - y| / \sigma)$ of Euclidean distances.

    Scikit-learn's kernel of this name takes the sum of the absolute differences as its distance.

    Args:
        bandwidth: The bandwidth $\sigma$, in the units of the examples; positive.

    Returns:
        The kernel, a function of two matrices of examples.

    Raises:
        TypeError: If the bandwidth is not a real number.
        ValueError: If it is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import kernel_regression
        >>> kernel = kernel_regression.laplacian(2.0)
        >>> jnp.log(kernel(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0], [0.0, 2.0]]))).round(4).tolist()
        [[-2.5, -1.0]]

    References:
        Mikhail Belkin, Siyuan Ma and Soumik Mandal, "To understand deep learning we need to understand kernel
        learning", 2018.
    """
    return _Laplacian(_bandwidth(bandwidth))


def as_kernel(kernel: Any) -> Any:
    """Return a kernel as a record, which `real_arrays` takes and programs are compiled for.

    Args:
        kernel: The kernel, as the caller gave it.

    Returns:
        A kernel of this module as it is, and any other function as one without parameters.

    Raises:
        TypeError: If it cannot be called.
    """
    if isinstance(kernel, _Gaussian | _Laplacian | _Function):
        return kernel
    if not callable(kernel):
        raise TypeError(f"kernel is a {type(kernel).__name__}: take a function of two matrices of examples")
    return _Function(kernel)


def values(kernel: Any, x: Array, y: Array) -> Array:
    """Return the matrix of a kernel's values, known to have the shape and the dtype that it should.

    Args:
        kernel: The kernel, from `as_kernel`.
        x: The examples of its rows.
        y: The examples of its columns.

    Returns:
        The matrix.

    Raises:
        ValueError: If the kernel returned another shape.
    """
    found = jnp.asarray(as_array("kernel(x, y)", kernel(x, y)))
    wanted = (x.shape[0], y.shape[0])
    if found.shape != wanted:
        raise ValueError(
            f"kernel returned the shape {found.shape} for {wanted[0]} and {wanted[1]} examples: take {wanted}"
        )
    return found.astype(x.dtype)


def _bandwidth(bandwidth: Any) -> Any:
    """A positive number; one of Python's stays one, so that it does not decide the dtype."""
    if not isinstance(bandwidth, bool | int | float):
        (_,), _ = real_arrays(bandwidth=bandwidth)
        bandwidth = as_array("bandwidth", bandwidth)
    checks.positive("bandwidth", bandwidth, one=True)
    return bandwidth


def _arguments(kernel: Any, x: Any, y: Any) -> Any:
    """The kernel and the examples in one dtype."""
    (kernel, x, y), back = real_arrays(kernel=kernel, x=x, y=y)
    checks.axes("x", x, "n", "features")
    checks.axes("y", y, "m", "features", sizes=(None, x.shape[1]))
    return (kernel, x, y), back
