"""Networks that are linear in their parameters, trained by gradient flow on the squared loss."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, Reals


def predict(
    kernel: Real[AnyArray, "n n"] | Real[AnyArray, "n n outputs outputs"],
    across: Real[AnyArray, "m n"] | Real[AnyArray, "m n outputs outputs"],
    targets: Real[AnyArray, "n outputs"],
    time: Reals,
    *,
    fitted: Real[AnyArray, "n outputs"] | None = None,
    start: Real[AnyArray, "m outputs"] | None = None,
) -> Float[Array, "... m outputs"]:
    r"""Predict the outputs of a linearized network, trained by gradient flow for any time.

    The flow descends the loss $\frac12 \sum_i |f(x_i) - y_i|^2$. With the kernel $\Theta$ of the training
    points and $\Theta_\ast$ across from the queries to them, the outputs at the queries are

    $$f_t = f_0 + \Theta_\ast \Theta^{-1} (I - e^{-\Theta t}) (Y - F_0),$$

    and for infinite time the interpolant of least change. Gradient descent with the step $\eta$ is at
    $t = \eta k$ after $k$ steps while $\eta$ is small; where its loss is a mean over n points, at
    $t = \eta k / n$.

    Args:
        kernel: The kernel of the training points, (n, n), positive semidefinite and the same for all outputs;
            or (n, n, outputs, outputs), as `empirical` gives it with `outputs="full"`.
        across: The kernel of the queries with the training points, (m, n) or (m, n, outputs, outputs).
        targets: The targets $Y$.
        time: The times, at least 0 and of any shape; infinity is allowed.
        fitted: The outputs $F_0$ of the initial network at the training points; by default zero.
        start: Its outputs $f_0$ at the queries; by default zero.

    Returns:
        The outputs at the queries, for each time. Directions in which the kernel vanishes, up to rounding,
        are never learned.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If shapes do not match, a time is negative, or the kernel (where its values are known) has
            a negative eigenvalue beyond rounding.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import neural_kernel
        >>> kernel, across, targets = jnp.array([[2.0]]), jnp.array([[1.0]]), jnp.array([[3.0]])
        >>> neural_kernel.predict(kernel, across, targets, jnp.array([0.0, jnp.inf])).tolist()
        [[[0.0]], [[1.5]]]

    References:
        Jaehoon Lee, Lechao Xiao, Samuel Schoenholz, Yasaman Bahri, Roman Novak, Jascha Sohl-Dickstein and
        Jeffrey Pennington, "Wide neural networks of any depth evolve as linear models under gradient
        descent", 2019.
    """
    (kernel, across, targets, time, fitted, start), back = real_arrays(
        optional=("fitted", "start"),
        kernel=kernel,
        across=across,
        targets=targets,
        time=time,
        fitted=fitted,
        start=start,
    )
    checks.axes("targets", targets, "n", "outputs")
    (n, outputs), m = targets.shape, across.shape[0] if across.ndim else 0
    axes, sizes = ("rows", "columns"), (n,)
    if kernel.ndim == 4:
        axes, sizes = (*axes, "outputs", "outputs"), (n, outputs, outputs)
    checks.axes("kernel", kernel, *axes, sizes=(n, *sizes))
    checks.axes("across", across, *axes, sizes=(m, *sizes))
    for name, values, rows in (("fitted", fitted, n), ("start", start, m)):
        if values is not None:
            checks.axes(name, values, "rows", "outputs", sizes=(rows, outputs))
    checks.nonnegative("time", time)
    fitted = jnp.zeros_like(targets) if fitted is None else fitted
    start = jnp.zeros((m, outputs), targets.dtype) if start is None else start
    eigenvalues, found = _predict(kernel, across, targets, time, fitted, start)
    if checks.known(eigenvalues):
        lowest, highest = np.asarray(eigenvalues)[[0, -1]]
        if lowest < -_cutoff(eigenvalues) * abs(highest):
            raise ValueError(
                f"kernel has the eigenvalue {lowest:.3g} beside {highest:.3g}: take one that is positive "
                "semidefinite"
            )
    return back(found)


def _cutoff(eigenvalues: Array) -> float:
    """The eigenvalue, relative to the largest, below which all is rounding."""
    return len(eigenvalues) * float(jnp.finfo(eigenvalues.dtype).eps)


@jax.jit
def _predict(
    kernel: Array, across: Array, targets: Array, time: Array, fitted: Array, start: Array
) -> tuple[Array, Array]:
    """The kernel's eigenvalues, and the outputs at all times."""
    missing = targets - fitted
    if kernel.ndim == 4:
        kernel, across = _flat(kernel), _flat(across)
        missing = missing.reshape(-1, 1)
    eigenvalues, vectors = jnp.linalg.eigh((kernel + kernel.T) / 2)
    alive = eigenvalues > _cutoff(eigenvalues) * eigenvalues[-1]
    rates = jnp.where(alive, eigenvalues, 1)
    # Of a vanishing eigenvalue, what is finite is the time itself, which rounding would multiply.
    learned = jnp.where(alive, -jnp.expm1(-rates * time[..., None]) / rates, 0)
    parts = matmul(vectors.T, missing)
    change = matmul(matmul(across, vectors), learned[..., :, None] * parts)
    return eigenvalues, start + change.reshape(*time.shape, *start.shape)


def _flat(kernel: Array) -> Array:
    """A kernel of all outputs as a matrix."""
    rows, columns, outputs, _ = kernel.shape
    return kernel.swapaxes(1, 2).reshape(rows * outputs, columns * outputs)
