"""Kernel ridge regression on parts of the examples, and the average of the functions found."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics.kernel_regression import systems
from jaxtheory.statistics.kernel_regression.kernels import values
from jaxtheory.statistics.kernel_regression.models import KernelModel


def distributed(
    kernel: Any,
    x: Real[AnyArray, "n features"],
    y: Real[AnyArray, " n *outputs"],
    penalty: RealScalar,
    parts: int,
    *,
    mesh: Mesh | None = None,
) -> KernelModel:
    r"""Fit kernel ridge regression to each of several parts of the examples, and average the functions.

    $\bar f = \frac1m \sum_{j=1}^m f_j$, where $f_j$ minimizes $\frac1{n_j} \sum_{i \in S_j} |f(x_i) - y_i|^2
    + \lambda \|f\|^2$ on the $j$-th part: `fit` with the same penalty, which is chosen for all n examples.
    The average is $\sum_i c_i\, k(\cdot, x_i)$ with a coefficient for each example, so it is a model like any
    other. Parts are consecutive rows, and their sizes differ by at most one: shuffle examples that have an
    order. Each part takes about $m^{-3}$ of the time that all examples take.

    Args:
        kernel: The kernel, a function of two matrices of examples that returns the matrix of its values.
        x: The examples, one per row, in random order.
        y: The values to fit, of one output or several.
        penalty: The weight $\lambda$ of the squared norm, at least 0.
        parts: The number m of parts, from 1 to n.
        mesh: The devices among which the parts are divided, whose number divides that of the parts; by
            default one device fits all of them.

    Returns:
        The average; its `residual` is the largest error of the parts' equations.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, `parts` is not a whole number, or
            the kernel is not a function.
        ValueError: If shapes do not match, there are more parts than examples, the devices do not divide the
            parts, the penalty is negative or, where values are known, the kernel is not positive semidefinite
            or the penalty too small for the dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import kernel_regression
        >>> x, y = jnp.array([[0.0], [1.0], [2.0], [3.0]]), jnp.array([0.0, 1.0, 0.0, 1.0])
        >>> kernel = kernel_regression.gaussian(0.1)
        >>> kernel_regression.distributed(kernel, x, y, 0.5, parts=2).coefficients.round(4).tolist()
        [0.0, 0.25, 0.0, 0.25]

    References:
        Yuchen Zhang, John Duchi and Martin Wainwright, "Divide and conquer kernel ridge regression: a
        distributed algorithm with minimax optimal rates", 2015.
    """
    (kernel, x, y, penalty), back = systems.taken(kernel, x, y, penalty)
    n = x.shape[0]
    parts = checks.count("parts", parts)
    if parts > n:
        raise ValueError(f"parts is {parts}, more than the {n} examples: take a whole number from 1 to {n}")
    if mesh is not None and parts % mesh.size:
        raise ValueError(f"parts is {parts}: take a multiple of the {mesh.size} devices of the mesh")
    return back(systems.refuse_unsolved(_distributed(kernel, x, y, penalty, parts, mesh), penalty))


@partial(jax.jit, static_argnums=(4, 5))
def _distributed(
    kernel: Any, x: Array, y: Array, penalty: Array, parts: int, mesh: Mesh | None
) -> KernelModel:
    n = x.shape[0]
    ends = n * np.arange(parts + 1) // parts
    size = int(np.diff(ends).max())
    # A part that is smaller by one repeats its last example, which its equations leave out.
    rows = np.minimum(ends[:-1, None] + np.arange(size), ends[1:, None] - 1)
    inside = ends[:-1, None] + np.arange(size) < ends[1:, None]
    columns = y.reshape(n, -1)

    def of_parts(kernel: Any, penalty: Array, x: Array, y: Array, inside: Array) -> tuple[Array, ...]:
        # One after the other: on processors (jaxlib 0.10) batched factorizations, of several devices or of
        # two programs, can wait for each other's threads forever.
        return lax.map(lambda part: _of_part(kernel, penalty, *part), (x, y, inside))

    if mesh is not None:
        whole, spread = PartitionSpec(), PartitionSpec(mesh.axis_names)
        of_parts = jax.shard_map(
            of_parts,
            mesh=mesh,
            in_specs=(whole, whole, spread, spread, spread),
            out_specs=spread,
            check_vma=False,
        )
    found, errors, sound = of_parts(kernel, penalty, x[rows], columns[rows], jnp.asarray(inside))
    coefficients = found[inside] / parts
    residual = systems.relative_error(errors, columns)
    solved = jnp.all(sound) & jnp.isfinite(residual)
    return KernelModel(kernel, x, coefficients.reshape(y.shape), residual, solved)


def _of_part(kernel: Any, penalty: Array, x: Array, y: Array, inside: Array) -> tuple[Array, Array, Array]:
    """The coefficients on one part, the errors of its equations, and whether its kernel is sound."""
    both = inside[:, None] & inside
    matrix = jnp.where(both, values(kernel, x, x), 0)
    sound = systems.of_sample(matrix)
    weight = jnp.where(inside, jnp.sum(inside) * penalty, 1)
    right = jnp.where(inside[:, None], y, 0)
    coefficients = systems.solution(matrix + jnp.diag(weight), right)
    error = matmul(matrix, coefficients) + weight[:, None] * coefficients - right
    return coefficients, error, sound
