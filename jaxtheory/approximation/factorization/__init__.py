r"""Long filters as products of short ones, and dense ReLU layers as deep convolutional networks (Zhou 2020).

Conventions: a filter holds its taps in ascending order; factors, of `s + 1` taps each, lie along a leading
axis in the order in which they are applied, and include the scale. Convolutions are full: a filter of $s + 1$
taps makes a signal longer by $s$. Layers compute $h \mapsto \max(w * h + b, 0)$, and a block of layers ends
in downsampling, which keeps every $m$-th entry.

Example:
    >>> import numpy as np
    >>> from jaxtheory.approximation import factorization
    >>> factorization.factorize(np.array([1.0, 0.0, 0.0, 0.0, 4.0]), 2).shape
    (2, 3)
"""

from jaxtheory.approximation.factorization.downsampled import (
    ConvolutionalNetwork,
    apply,
    chain,
    free_parameters,
    from_dense,
    from_ridge,
    init,
)
from jaxtheory.approximation.factorization.filters import factorize, residual

__all__ = [
    "ConvolutionalNetwork",
    "apply",
    "chain",
    "factorize",
    "free_parameters",
    "from_dense",
    "from_ridge",
    "init",
    "residual",
]
