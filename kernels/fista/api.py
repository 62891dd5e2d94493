"""FISTA for many signals at once, on whatever there is."""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxtheory.kernels.fista import reference, tpu

Values = Float[Array, "..."] | Float[np.ndarray, "..."]
Amount = Values | float | int | np.floating


def gram_fista(
    gram: Values,
    correlations: Values,
    penalty: Amount,
    step_size: Amount,
    *,
    steps: int,
    nonnegative: bool = False,
    implementation: Literal["tpu", "reference"] | None = None,
) -> Float[Array, "... atoms"]:
    r"""So many steps of FISTA, from zero, for $\min_z \frac12 \|x - zD\|^2 + \sum_i \lambda_i |z_i|$.

    With $G = D D^\top$, $c = x D^\top$, the step size $s$ and $t_1 = 1$, $y_1 = z_0 = 0$:
    $z_k = S_{s \lambda}(y_k - s (y_k G - c))$ with the soft threshold $S$, then
    $y_{k+1} = z_k + \frac{t_k - 1}{t_{k+1}} (z_k - z_{k-1})$ with
    $t_{k+1} = \frac12 (1 + \sqrt{1 + 4 t_k^2})$. For $s \le 1 / \|G\|$ the objective is above its value at a
    minimiser $z^\star$ by at most $2 \|z^\star\|^2 / (s (k + 1)^2)$.

    A TPU keeps the Gram matrix and a block of codes on the chip for all steps, in float32 and with up to
    1,024 atoms; everything else takes a step at a time. There is nothing to stop it early, and no
    certificate: `sparse.pursuit.lasso` has both, and an implicit derivative. The kernel has none; its steps
    are differentiable with `implementation="reference"`.

    Args:
        gram: $G$, `(atoms, atoms)`, symmetric.
        correlations: $c$, `(..., atoms)`.
        penalty: $\lambda \ge 0$: a number, one an atom `(atoms,)`, or anything that broadcasts with the
            codes, such as one a signal, `(..., 1)`.
        step_size: $s > 0$, a number, 1 over the largest eigenvalue of the Gram matrix at most.
        steps: to take, at least 1.
        nonnegative: Whether codes must be nonnegative.
        implementation: `"tpu"` for the kernel or `"reference"` for plain JAX; by default what suits the
            platform.

    Returns:
        Codes `(..., atoms)`; those of a signal with infinities or NaN are NaN, and others do not notice.

    Raises:
        ValueError: If shapes do not match, there are no steps to take, the penalty is negative or the step
            size not positive (where they have values), or the implementation is unknown.
        NotImplementedError: For the kernel, asked for by name, with more atoms or another dtype.
        TypeError: When differentiated, unless by the reference.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.kernels.fista import api
        >>> api.gram_fista(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), 0.5, 1.0, steps=1)
        Array([ 2.5,  0. , -1.5], dtype=float32)

    References:
        Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems,
        2009.
    """
    if np.ndim(gram) != 2 or np.shape(gram) != 2 * np.shape(correlations)[-1:]:
        raise ValueError(
            f"the Gram matrix is {np.shape(gram)} and the correlations are {np.shape(correlations)}: "
            "they are (atoms, atoms) and (..., atoms)"
        )
    try:
        fits = np.broadcast_shapes(np.shape(penalty), np.shape(correlations)) == np.shape(correlations)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"the penalty is {np.shape(penalty)}, which does not broadcast to the codes "
            f"{np.shape(correlations)}: give a number, one an atom, or one a signal with a last axis of 1"
        )
    if np.ndim(step_size) != 0:
        raise ValueError(f"the step size is {np.shape(step_size)}: it is one number for all signals")
    if steps < 1:
        raise ValueError(f"steps is {steps}: take at least 1")
    if _known(penalty) and np.any(np.asarray(penalty) < 0):
        raise ValueError(f"the penalty is {np.min(penalty)}: it is no less than 0")
    if _known(step_size) and not np.asarray(step_size) > 0:
        raise ValueError(
            f"the step size is {step_size}: it is positive, and at most 1 over the largest eigenvalue of the "
            "Gram matrix"
        )
    if implementation not in (None, "tpu", "reference"):
        raise ValueError(f"implementation is {implementation!r}: take 'tpu', 'reference' or None")
    dtype = jnp.result_type(gram, correlations, jnp.bfloat16)
    # Half precision accumulates in single.
    wide = jnp.promote_types(dtype, jnp.float32)
    operands = (jnp.asarray(one, wide) for one in (gram, correlations, penalty, step_size))
    return _solve(*operands, steps, nonnegative, implementation).astype(dtype)


def _known(value: Any) -> bool:
    return not isinstance(value, jax.core.Tracer)


@partial(jax.jit, static_argnums=(4, 5, 6))
def _solve(gram, correlations, penalty, step_size, steps, nonnegative, implementation):
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


def _without_derivative(function):
    """The function, which says what to do where it is differentiated."""
    declined = jax.custom_jvp(function)

    @declined.defjvp
    def decline(*_):
        raise TypeError(
            "fista has no derivative of its own: take implementation='reference' to differentiate its steps, "
            "or sparse.pursuit.lasso for the derivative of the minimiser"
        )

    return declined
