r"""Critical points of any index: minima, saddles and maxima of a loss, where its gradient vanishes.

- `points`: what is known of a point: loss, gradient, eigenvalues of the Hessian, index;
- `dense`: searches with the Hessian as a matrix, for some hundred parameters;
- `krylov`: Newton's method with MINRES, which takes products with the Hessian only;
- `descent`: gradient descent, whose points are good starts.

A search starts at one point; `jax.vmap` takes it over many. Residuals below $10^{-6}$ want double precision,
`jax.enable_x64(True)`.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.landscape import critical
    >>> def wells(w, _):
    ...     return jnp.sum((w**2 - 1) ** 2) / 4
    >>> starts = jax.random.normal(jax.random.key(0), (100, 2))
    >>> found = jax.vmap(lambda start: critical.levenberg_marquardt(wells, start))(starts)
    >>> jnp.unique(found.index[found.converged]).tolist()
    [0, 1, 2]
"""

from jaxtheory.landscape.critical.dense import levenberg_marquardt, saddle_free_newton
from jaxtheory.landscape.critical.descent import gradient_descent
from jaxtheory.landscape.critical.krylov import MinresResult, minres, newton_minres
from jaxtheory.landscape.critical.points import CriticalPoint, classify

__all__ = [
    "CriticalPoint",
    "MinresResult",
    "classify",
    "gradient_descent",
    "levenberg_marquardt",
    "minres",
    "newton_minres",
    "saddle_free_newton",
]
