"""FISTA for many signals at once, on any device."""

from functools import partial
from typing import Any, Literal

import jax
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, Reals, RealScalar
from jaxtheory.kernels.fista import reference, tpu


def gram_fista(
    gram: Real[AnyArray, "atoms atoms"],
    correlations: Real[AnyArray, "... atoms"],
    penalty: Reals,
    step_size: RealScalar,
    *,
    steps: int,
    nonnegative: bool = False,
    implementation: Literal["tpu", "reference"] | None = None,
) -> Float[Array, "... atoms"]:
    r"""Take a fixed number of steps of FISTA, from zero, for the lasso with a given Gram matrix.

    The problem is $\min_z \frac12 \|x - zD\|^2 + \sum_i \lambda_i |z_i|$. With $G = D D^\top$,
    $c = x D^\top$, the step size $s$ and $t_1 = 1$, $y_1 = z_0 = 0$ a step is
    $z_k = S_{s \lambda}(y_k - s (y_k G - c))$ with the soft threshold $S$, then
    $y_{k+1} = z_k + \frac{t_k - 1}{t_{k+1}} (z_k - z_{k-1})$ with
    $t_{k+1} = \frac12 (1 + \sqrt{1 + 4 t_k^2})$. For $s \le 1 / \|G\|$ the objective is above its value at a
    minimizer $z^\star$ by at most $2 \|z^\star\|^2 / (s (k + 1)^2)$.

    A TPU keeps the Gram matrix and a block of codes on the chip for all steps, in float32 and with up to
    1,024 atoms; on other devices each step is a product of its own. Nothing stops the steps early, and there
    is no certificate: `sparse.pursuit.lasso` has both, and an implicit derivative. The kernel has no
    derivative; the steps are differentiable with `implementation="reference"`.

    Args:
        gram: The symmetric Gram matrix $G$.
        correlations: The inner products $c$ of each signal with the atoms.
        penalty: The weight $\lambda \ge 0$ of the sparsity term: a number, one for each atom, or anything
            that broadcasts to the codes, such as one for each signal with a last axis of 1.
        step_size: The step size $s > 0$, at most 1 over the largest eigenvalue of the Gram matrix.
        steps: The number of steps, at least 1.
        nonnegative: Whether codes must be nonnegative.
        implementation: `"tpu"` for the kernel or `"reference"` for plain JAX; by default what suits the
            platform.

    Returns:
        The codes after the last step. Those of a signal with infinities or NaN are NaN; other signals are
        unaffected.

    Raises:
        ValueError: If shapes do not match, a number is out of its range, or the implementation is unknown.
        NotImplementedError: If the kernel is asked for by name with more atoms or another dtype.
        TypeError: If an argument is complex or not an array of numbers, or the kernel is differentiated.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.kernels.fista import api
        >>> api.gram_fista(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), 0.5, 1.0, steps=1)
        Array([ 2.5,  0. , -1.5], dtype=float32)

    References:
        Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems,
        2009.
    """
    (gram, correlations, weight, size), back = real_arrays(
        gram=gram, correlations=correlations, penalty=penalty, step_size=step_size
    )
    checks.axes("correlations", correlations, "...", "atoms")
    atoms = correlations.shape[-1]
    checks.axes("gram", gram, "atoms", "atoms", sizes=(atoms, atoms))
    try:
        fits = np.broadcast_shapes(weight.shape, correlations.shape) == correlations.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"penalty has the shape {weight.shape}, which does not broadcast to that of the codes "
            f"{correlations.shape}: take a number, one for each atom ({atoms},), or one for each signal with "
            "a last axis of 1"
        )
    if size.ndim:
        raise ValueError(f"step_size has the shape {size.shape}: take one number for all signals")
    steps = checks.count("steps", steps)
    checks.nonnegative("penalty", penalty)
    checks.positive("step_size", step_size, one=True)
    if implementation is not None:
        checks.one_of("implementation", implementation, ("tpu", "reference"))
    return back(
        _solve(
            gram, correlations, weight, size, steps, checks.flag("nonnegative", nonnegative), implementation
        )
    )


@partial(jax.jit, static_argnums=(4, 5, 6))
def _solve(
    gram: Array,
    correlations: Array,
    penalty: Array,
    step_size: Array,
    steps: int,
    nonnegative: bool,
    implementation: str | None,
) -> Array:
    """Takes the steps by the implementation that suits the platform, or that was asked for."""
    operands = (gram, correlations, penalty, step_size)
    plain = partial(reference.gram_fista, steps=steps, nonnegative=nonnegative)
    if implementation == "reference":
        return plain(*operands)
    fused = _without_derivative(partial(tpu.gram_fista, steps=steps, nonnegative=nonnegative))
    if implementation == "tpu":
        return fused(*operands)
    try:
        jax.eval_shape(fused, *operands)
    except NotImplementedError:
        return plain(*operands)
    return lax.platform_dependent(*operands, tpu=fused, default=plain)


def _without_derivative(function: Any) -> Any:
    """The function, with an error that says what to do if it is differentiated."""
    declined = jax.custom_jvp(function)

    @declined.defjvp
    def decline(*_: Any) -> Any:
        raise TypeError(
            "gram_fista has no derivative of its own: take implementation='reference' to differentiate its "
            "steps, or sparse.pursuit.lasso for the derivative of the minimizer"
        )

    return declined
