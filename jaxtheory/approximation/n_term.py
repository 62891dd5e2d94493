r"""Best n-term approximation: which coefficients are kept, and how the error falls with their number.

It is nonlinear: the terms that are taken depend on the function. In an orthonormal basis the best n terms are
those of the largest coefficients, and the squared error is the sum of the others' squares.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray


def errors(coefficients: Real[AnyArray, "... terms"]) -> Float[Array, "... numbers"]:
    r"""Return the errors of the best n terms in an orthonormal basis, for each n from 0 on.

    $$\sigma_n = \Big( \sum_{k > n} |c|_{(k)}^2 \Big)^{1/2},$$ with the coefficients in falling order of size.

    Args:
        coefficients: The coefficients $c$ of a function, in any order.

    Returns:
        The errors $\sigma_0, \ldots, \sigma_N$, of which the first is the norm and the last is 0.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import n_term
        >>> n_term.errors(np.float32([0, 4, -3]))
        Array([5., 3., 0., 0.], dtype=float32)

    References:
        DeVore, Nonlinear approximation, 1998.
    """
    (coefficients,), back = real_arrays(coefficients=coefficients)
    checks.axes("coefficients", coefficients, "...", "terms")
    sizes = jnp.sort(jnp.abs(coefficients), -1)
    # Sums of squares that neither overflow nor vanish; from the smallest term on, so that none is lost.
    scale = jnp.max(sizes, -1, keepdims=True, initial=jnp.finfo(sizes.dtype).tiny)
    tails = jnp.cumsum((sizes / scale) ** 2, -1)[..., ::-1]
    tails = jnp.concatenate([tails, jnp.zeros_like(tails, shape=(*tails.shape[:-1], 1))], -1)
    # The square root has no derivative at 0, where the error is 0 whatever the coefficients.
    positive = tails > 0
    return back(jnp.where(positive, scale * jnp.sqrt(jnp.where(positive, tails, 1)), 0))


def largest(coefficients: Real[AnyArray, "... terms"], number: int) -> Float[Array, "... terms"]:
    """Return the coefficients with all but the largest set to zero.

    In an orthonormal basis this is the best approximation by so many terms.

    Args:
        coefficients: The coefficients of a function, in any order.
        number: How many are kept. Of equal ones the first are taken.

    Returns:
        The coefficients that are kept, in their places, and zeros.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If it is below 0 or above the number of coefficients.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import n_term
        >>> n_term.largest(np.float32([1, 4, -3]), 2)
        Array([ 0.,  4., -3.], dtype=float32)
    """
    (coefficients,), back = real_arrays(coefficients=coefficients)
    checks.axes("coefficients", coefficients, "...", "terms")
    number = checks.count("number", number, least=0, most=coefficients.shape[-1])
    _, places = jax.lax.top_k(jnp.abs(coefficients), number)
    kept = jnp.put_along_axis(jnp.zeros(coefficients.shape, bool), places, True, -1, inplace=False)
    return back(jnp.where(kept, coefficients, 0))
