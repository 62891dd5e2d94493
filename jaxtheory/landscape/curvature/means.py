"""Operators that are means over batches of data."""

import dataclasses

import jax
from jaxtyping import Array, PyTree

from jaxtheory.landscape.curvature import losses
from jaxtheory.landscape.curvature.batches import Batch, Batches
from jaxtheory.landscape.curvature.operators import Operator


class Mean(Operator):
    """The mean over batches of an operator of each; a subclass is a record with these fields.

    Vectors are shaped like `params`. Only one batch is held at a time, and what does not depend on the vector
    is computed once for several.
    """

    params: PyTree
    """The parameters that vary."""
    fixed: PyTree
    """The parameters that are held fixed."""
    batches: Batches
    """The data."""

    @property
    def template(self) -> PyTree:
        """The parameters that vary."""
        return self.params

    def on_batch(self, one: Batch, vector: PyTree) -> PyTree:
        """Multiply one vector by the operator of one batch."""
        raise NotImplementedError

    def value(self, one: Batch) -> Array:
        """The loss of one batch."""
        raise NotImplementedError

    def apply(self, vector: PyTree) -> PyTree:
        shared = self.without_batches()
        return self.batches.mean(lambda one, shared, vector: shared.on_batch(one, vector), shared, vector)

    def without_batches(self) -> "Mean":
        """The operator with everything but its data, which all batches share."""
        return _replaced(self, None)


def _replaced(operator: Mean, batches: Batches | None) -> Mean:
    return dataclasses.replace(operator, batches=batches)


@jax.jit
def _values(operator: Mean) -> list[Array]:
    shared = operator.without_batches()
    return operator.batches.map(lambda one, shared: shared.value(one), shared)


def finite(name: str, operator: Mean) -> Mean:
    """Return the operator, once its loss is known to be finite on every batch."""
    if losses.known(operator):
        losses.finite(name, operator.batches, _values(operator))
    return operator
