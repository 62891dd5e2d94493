"""Operators that are linearized once: what does not depend on the vector is kept from product to product."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.landscape.curvature.operators import Operator, several

Keep = bool | int
"""Whether to linearize once; a number of bytes does so where no more of them are kept."""


@record
class Kept(Operator):
    """An operator with all that its products have in common, computed once."""

    operator: Any
    """The operator."""
    linear: Callable[[PyTree], PyTree]
    """The product as a function whose arrays, a pytree's leaves, are what was kept."""

    @property
    def template(self) -> PyTree:
        """The operator's template."""
        return self.operator.template

    def apply(self, vector: PyTree) -> PyTree:
        """Multiply one vector."""
        return self.linear(vector)

    def apply_many(self, vectors: PyTree) -> PyTree:
        """Multiply vectors that are stacked on a leading axis of every leaf."""
        return several(self.linear, vectors, self.dimension)

    def restricted(self, part: PyTree) -> "Kept":
        """Return the operator restricted to a part of the parameters, linearized for these."""
        return keep(self.operator.restricted(part), True)


def residual_bytes(operator: Operator) -> int:
    """Return how many bytes are kept where an operator is linearized once.

    Args:
        operator: A curvature operator.

    Returns:
        The number of bytes, which grows with the number of examples; nothing is computed.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> loss = lambda params, batch: jnp.mean(jnp.tanh(batch @ params))
        >>> few, many = (curvature.hessian(loss, jnp.ones(3), [jnp.ones((n, 3))]) for n in (10, 1000))
        >>> curvature.residual_bytes(few) < curvature.residual_bytes(many)
        True
    """
    leaves = jax.tree.leaves(jax.eval_shape(_linearized, operator))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def keep(operator: Operator, kept: Keep) -> Operator:
    """Return an operator linearized once, if that is asked for or its residuals are within a limit.

    Args:
        operator: The operator.
        kept: True, False, or the largest number of bytes to keep.

    Returns:
        The operator, kept or as it is.

    Raises:
        TypeError: If `kept` is neither a truth value nor a whole number.
        ValueError: If it is negative.
    """
    if kept is False:
        return operator
    if kept is not True and residual_bytes(operator) > checks.count("keep", kept, least=0):
        return operator
    return Kept(operator=operator, linear=_linearized(operator))


@jax.jit
def _linearized(operator: Operator) -> Callable[[PyTree], PyTree]:
    start = jax.tree.map(lambda leaf: jnp.zeros(jnp.shape(leaf), leaf.dtype), operator.template)
    return jax.linearize(operator.apply, start)[1]
