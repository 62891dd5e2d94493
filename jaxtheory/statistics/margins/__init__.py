r"""Margins of classifiers, and the bound on their risk that counts margins in units of a spectral complexity.

The margin of an example is the logit of its class less the largest of the others. It grows with the weights
of a network, so that it says something about other examples only in units of what the weights can do: the
spectral complexity of Bartlett, Foster and Telgarsky (2017), times the norm of the data over their number.

- `distributions`: margins, and margins so normalized;
- `norms`: spectral and (2,1) norms of the layers of a network, of linear functions by products alone;
- `bounds`: the spectral complexity, and the bound on the risk.

Conventions: `logits(params, x)` is any function that returns `(n, classes)`; `x` has a leading axis of
examples, `y` their classes, numbered from 0. Dense layers multiply by their weights from the right,
`(inputs, outputs)`. The bound is about networks without biases.

Example:
    >>> import jax.numpy as jnp
    >>> from jaxtheory.statistics import margins
    >>> x, y = jnp.array([[2.0, 0.0], [0.0, 1.0]]), jnp.array([0, 1])
    >>> linear = lambda params, x: x @ params["kernel"]
    >>> params = {"kernel": jnp.array([[3.0, 0.0], [0.0, 1.0]])}
    >>> margins.raw(linear, params, x, y).tolist()
    [6.0, 1.0]
    >>> margins.normalized(linear, params, x, y).round(3)
    Array([1.342, 0.224], dtype=float32)
"""

from jaxtheory.statistics.margins.bounds import MarginBound, bound, spectral_complexity
from jaxtheory.statistics.margins.distributions import normalized, raw
from jaxtheory.statistics.margins.norms import LayerNorms, dense_norms, spectral_norm, two_one_norm

__all__ = [
    "LayerNorms",
    "MarginBound",
    "bound",
    "dense_norms",
    "normalized",
    "raw",
    "spectral_complexity",
    "spectral_norm",
    "two_one_norm",
]
