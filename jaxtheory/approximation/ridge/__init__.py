r"""Sums of ridge functions, $f(x) = c_0 + \sum_j c_j \, \sigma(\xi_j \cdot x - b_j)$: shallow networks.

Conventions: a point is `(..., inputs)` and gives one number. Norms of functions are empirical: the root mean
square over the points at which they are given.

Example:
    >>> import jax
    >>> from jaxtheory.approximation import ridge
    >>> params = ridge.init(jax.random.key(0), 3, terms=5)
    >>> ridge.apply(params, jax.numpy.ones((7, 3))).shape
    (7,)
"""

from jaxtheory.approximation.ridge.fitting import (
    GreedyResult,
    PursuitResult,
    greedy,
    projection_pursuit,
    random_features,
)
from jaxtheory.approximation.ridge.sums import (
    MomentResult,
    RidgeSum,
    apply,
    features,
    init,
    path_norm,
    spectral_moment,
)

__all__ = [
    "GreedyResult",
    "MomentResult",
    "PursuitResult",
    "RidgeSum",
    "apply",
    "features",
    "greedy",
    "init",
    "path_norm",
    "projection_pursuit",
    "random_features",
    "spectral_moment",
]
