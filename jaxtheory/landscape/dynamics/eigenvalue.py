"""The sharpness: the largest eigenvalue of an operator by a few Lanczos steps from a given vector."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks, trees
from jaxtheory.core.records import record
from jaxtheory.landscape.curvature import Operator


@record
class SharpnessResult:
    """An approximate largest eigenvalue with its eigenvector."""

    value: Float[Array, ""]
    """The Ritz value, which is at most the largest eigenvalue."""
    residual: Float[Array, ""]
    r"""The norm $\|H v - \lambda v\|$: an eigenvalue is at most this far away."""
    vector: PyTree
    """The eigenvector, of Euclidean norm one."""


def sharpness(operator: Operator, start: PyTree, *, steps: int = 10) -> SharpnessResult:
    r"""Return the largest eigenvalue of an operator by a few Lanczos steps from a given vector.

    The result is the largest Ritz pair of the Krylov space $\mathrm{span}(s, H s, \dots, H^{k-1} s)$, whose
    basis is kept orthogonal. Along a training, the eigenvector found last is a good start, and a few steps
    are enough; `spectrum.top_eigenpairs` iterates until a tolerance is met, from any start.

    Args:
        operator: The symmetric operator, such as `curvature.hessian(loss, params, batches)`.
        start: The start $s$, a pytree like a vector of the operator; its length does not matter.
        steps: The number $k$ of Lanczos steps, each of one product, from 1 to the operator's dimension. The
            memory is that of $k$ vectors.

    Returns:
        The eigenvalue, its residual, and the eigenvector. All are NaN for a start of zero.

    Raises:
        ValueError: If `steps` is out of range, or the start is of another structure than a vector.
        TypeError: If `steps` is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import dynamics
        >>> from jaxtheory.landscape.curvature import Matrix
        >>> found = dynamics.sharpness(Matrix(jnp.diag(jnp.array([5.0, 2.0, 1.0]))), jnp.ones(3), steps=3)
        >>> round(float(found.value), 5)
        5.0

    References:
        Lanczos, An iteration method for the solution of the eigenvalue problem, 1950.
    """
    trees.check_numbers("start", start)
    return _sharpness(operator, start, steps=steps)


@partial(jax.jit, static_argnames="steps")
def _sharpness(operator: Operator, start: PyTree, *, steps: int) -> SharpnessResult:
    steps = checks.count("steps", steps, most=operator.dimension)
    found, wanted = jax.tree.structure(start), jax.tree.structure(operator.template)
    if found != wanted:
        raise ValueError(f"start has the structure {found}: take {wanted}, that of the operator's vectors")
    start = jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), start, operator.template)
    flat, unravel = ravel_pytree(start)
    dtype = jnp.promote_types(flat.dtype, jnp.float32)

    def product(vector: Array) -> Array:
        return ravel_pytree(operator.apply(unravel(vector.astype(flat.dtype))))[0].astype(dtype)

    def project(basis: Array, vector: Array) -> Array:
        """Remove what lies in the span of the basis; twice, as once leaves a remainder of rounding."""
        for _ in range(2):
            parts = jnp.matmul(basis, vector, precision="highest")
            vector = vector - jnp.matmul(parts, basis, precision="highest")
        return vector

    def advance(carry: tuple[Array, ...], k: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        basis, vector, alive, size = carry
        basis = basis.at[k].set(vector)
        image = product(vector)
        diagonal = jnp.vdot(vector, image, precision="highest")
        size = jnp.maximum(size, jnp.linalg.norm(image))
        rest = project(basis, image)
        beta = jnp.linalg.norm(rest)
        # A remainder of rounding would be a random direction: the space is invariant, and ends here.
        going = alive & (beta > 10 * jnp.finfo(dtype).eps * size)
        following = jnp.where(going, rest / jnp.where(going, beta, 1), 0)
        return (basis, following, going, size), (diagonal, jnp.where(going, beta, 0), alive)

    first = flat.astype(dtype) / jnp.linalg.norm(flat.astype(dtype))
    begin = (jnp.zeros((steps, flat.size), dtype), first, jnp.array(True), jnp.zeros((), dtype))
    (basis, *_), (diagonal, beta, alive) = lax.scan(advance, begin, jnp.arange(steps))
    # Beyond the end of the space there is no Ritz value: what stands there lies below all others.
    lowest = jnp.min(jnp.where(alive, diagonal, jnp.inf)) - 2 * jnp.sum(beta) - 1
    diagonal = jnp.where(alive, diagonal, lowest)
    inner = jnp.diag(diagonal) + jnp.diag(beta[:-1], 1) + jnp.diag(beta[:-1], -1)
    values, vectors = jnp.linalg.eigh(inner)
    combined = jnp.matmul(vectors[:, -1], basis, precision="highest")
    residual = jnp.abs(beta[-1] * vectors[-1, -1])
    unit = combined / jnp.linalg.norm(combined)
    return SharpnessResult(values[-1], residual, unravel(unit.astype(flat.dtype)))
