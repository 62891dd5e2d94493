"""The outermost eigenpairs of an operator: as one call, and as `init`, `step` and `result`."""

from typing import Any, Literal

from jaxtheory.core import checks
from jaxtheory.core.types import RandomKey, RealScalar
from jaxtheory.landscape.curvature.operators import Operator
from jaxtheory.landscape.spectrum import restarts, vectors
from jaxtheory.landscape.spectrum.restarts import EigenpairsResult, EigenpairsState

Which = Literal["largest", "smallest", "modulus"]

MAX_STEPS = 1000
"""The largest number of steps, where nothing else is asked for."""


def top_eigenpairs(
    operator: Operator,
    k: int,
    key: RandomKey,
    *,
    which: Which = "largest",
    tolerance: RealScalar | None = None,
    max_steps: int = MAX_STEPS,
    basis: int | None = None,
) -> EigenpairsResult:
    r"""Find the outermost eigenpairs of a symmetric operator by Lanczos' method with thick restarts.

    The search ends when the estimated residuals of all $k$ pairs are at most the tolerance times the largest
    modulus of an eigenvalue; then the residuals $\|A v - \lambda v\|$ are measured by one block product. From
    one starting vector, the copies of a multiple eigenvalue are found by rounding only, and may be missed by
    a search that ends early. To store the steps and resume them, drive `eigenpairs_init` and
    `eigenpairs_step`, and end with `eigenpairs_result`.

    Args:
        operator: The operator.
        k: The number of eigenpairs, from 1 to the operator's dimension.
        key: The random key of the starting vector.
        which: Which eigenpairs are found: the `"largest"` eigenvalues, largest first; the `"smallest"` ones,
            smallest first; or those of the largest `"modulus"`, largest modulus first.
        tolerance: The residual at which the search ends, relative to the largest modulus of an eigenvalue;
            by default the dtype's rounding unit.
        max_steps: The largest number of steps, each of one product.
        basis: The number of vectors that are kept, from `k + 2` to the dimension; by default `2 * k + 20`,
            at least 40. Fewer take less memory and more steps.

    Returns:
        The eigenpairs with their measured residuals.

    Raises:
        TypeError: If a number is not a whole number, or the operator is none.
        ValueError: If a number is out of range: there are at most as many vectors as dimensions.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> matrix = curvature.Matrix(jnp.diag(jnp.arange(100.0)))
        >>> spectrum.top_eigenpairs(matrix, 2, jax.random.key(0)).values
        Array([99., 98.], dtype=float32)

    References:
        Wu and Simon, Thick-restart Lanczos method for large symmetric eigenvalue problems, 2000.
    """
    options = _checked(operator, k, key, which, basis)
    return restarts.find(
        operator, key, _tolerance(tolerance), checks.count("max_steps", max_steps), **options
    )


def eigenpairs_init(
    operator: Operator, k: int, key: RandomKey, *, which: Which = "largest", basis: int | None = None
) -> EigenpairsState:
    """Return the state of a search for eigenpairs before its first step.

    Args:
        operator: The operator.
        k: The number of eigenpairs, from 1 to the operator's dimension.
        key: The random key of the starting vector.
        which: Which eigenpairs are found: `"largest"`, `"smallest"` or those of the largest `"modulus"`.
        basis: The number of vectors that are kept, from `k + 2` to the dimension; by default `2 * k + 20`,
            at least 40.

    Returns:
        The state, a pytree of arrays that can be stored.

    Raises:
        TypeError: If a number is not a whole number, or the operator is none.
        ValueError: If a number is out of range: there are at most as many vectors as dimensions.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> state = spectrum.eigenpairs_init(curvature.Matrix(jnp.eye(9)), 2, jax.random.key(0))
        >>> state.projected.shape, int(state.step)
        ((9, 9), 0)
    """
    return restarts.start(operator, key, **_checked(operator, k, key, which, basis))


def eigenpairs_step(
    operator: Operator, state: EigenpairsState, *, steps: int = 1, tolerance: RealScalar | None = None
) -> EigenpairsState:
    """Take steps of a search for eigenpairs, of one product each, unless the tolerance is met before.

    Under `jit` with `donate_argnums=1` the state is updated in place.

    Args:
        operator: The operator that the state was made for.
        state: The state before.
        steps: The number of steps, at least 1.
        tolerance: The residual at which the search ends, relative to the largest modulus of an eigenvalue;
            by default the dtype's rounding unit.

    Returns:
        The state after.

    Raises:
        TypeError: If `steps` is not a whole number, or the operator is none.
        ValueError: If a number is out of range, or the operator has another dimension than the state.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> matrix = curvature.Matrix(jnp.diag(jnp.arange(9.0)))
        >>> state = spectrum.eigenpairs_init(matrix, 2, jax.random.key(0))
        >>> int(spectrum.eigenpairs_step(matrix, state, steps=5).step)
        5
    """
    vectors.fitting(operator, state)
    last = state.step + checks.count("steps", steps)
    return restarts.search(operator, state, _tolerance(tolerance), last)


def eigenpairs_result(
    operator: Operator, state: EigenpairsState, *, tolerance: RealScalar | None = None
) -> EigenpairsResult:
    """Return the eigenpairs that the steps taken so far give, with their residuals by one block product.

    Args:
        operator: The operator that the state was made for.
        state: The state, after at least as many steps as eigenpairs are sought; what fewer steps do not give
            is NaN.
        tolerance: The tolerance that decides `converged`, relative to the largest modulus of an eigenvalue;
            by default the dtype's rounding unit.

    Returns:
        The eigenpairs with their measured residuals.

    Raises:
        TypeError: If the operator is none.
        ValueError: If the tolerance is not positive, or the operator has another dimension than the state.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature, spectrum
        >>> matrix = curvature.Matrix(jnp.diag(jnp.arange(9.0)))
        >>> state = spectrum.eigenpairs_init(matrix, 2, jax.random.key(0))
        >>> state = spectrum.eigenpairs_step(matrix, state, steps=9)
        >>> bool(jnp.allclose(spectrum.eigenpairs_result(matrix, state).values, jnp.array([8.0, 7.0])))
        True
    """
    vectors.fitting(operator, state)
    return restarts.finish(operator, state, _tolerance(tolerance))


def _checked(operator: Any, k: Any, key: Any, which: Any, basis: Any) -> dict[str, Any]:
    """The static options of a search, known to be allowed."""
    vectors.checked(operator)
    checks.random_key("key", key)
    checks.one_of("which", which, ("largest", "smallest", "modulus"))
    k = vectors.steps_within("k", k, operator)
    if basis is None:
        basis = min(max(2 * k + 20, 40), operator.dimension)
    else:
        basis = vectors.steps_within("basis", basis, operator, least=min(k + 2, operator.dimension))
    return {"k": k, "which": which, "basis": basis}


def _tolerance(tolerance: Any) -> Any:
    """The tolerance, known to be a positive number if there is one."""
    if tolerance is not None:
        checks.axes("tolerance", tolerance)
        checks.positive("tolerance", tolerance)
    return tolerance
