r"""Critical points of any index: minima, saddles and maxima of a loss, where its gradient vanishes.

- `points`: what is known of a point: loss, gradient, eigenvalues of the Hessian, index;
- `dense`: searches with the Hessian as a matrix, for some hundred parameters;
- `krylov`: Newton's method with MINRES, which takes products with the Hessian only;
- `descent`: gradient descent, whose points are good starts.

A search starts at one point; `jax.vmap` takes it over many. Residuals below $10^{-6}$ want double precision,
`jax.enable_x64(True)`.
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
