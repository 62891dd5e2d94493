"""Operators that are means over batches of data."""

import dataclasses
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from jaxtheory.core.types import Precision
from jaxtheory.landscape.curvature import losses, parameters
from jaxtheory.landscape.curvature.batches import Batch, Batches
from jaxtheory.landscape.curvature.kept import Keep, keep
from jaxtheory.landscape.curvature.operators import Operator


class Mean(Operator):
    """The mean over batches of an operator of each; a subclass is a record with these fields and functions.

    Vectors are shaped like `params`. Only one batch is held at a time, and what does not depend on the vector
    is computed once for several.
    """

    params: PyTree
    """The parameters that vary."""
    fixed: PyTree
    """The parameters that are held fixed."""
    batches: Batches | None
    """The data."""
    precision: Precision
    """How accelerators multiply float32 matrices."""

    @property
    def template(self) -> PyTree:
        """The parameters that vary."""
        return self.params

    def on_batch(self, one: Batch, vector: PyTree) -> PyTree:
        """Multiply one vector by the operator of one batch."""
        raise NotImplementedError

    def value(self, one: Batch) -> Array:
        """A number of one batch that is finite where the operator is."""
        raise NotImplementedError

    def apply(self, vector: PyTree) -> PyTree:
        """Multiply one vector."""
        shared = self.without_batches()
        with precise(self.precision):
            return self.batches.mean(lambda one, shared, vector: shared.on_batch(one, vector), shared, vector)

    def restricted(self, part: PyTree) -> "Mean":
        """Return the block of the operator that belongs to a part of the parameters.

        Args:
            part: True for the parameters that vary on: a pytree of truth values like `params`, or the upper
                part of one.

        Returns:
            The operator on vectors that have `None` in place of the other parameters.

        Raises:
            ValueError: If no parameter is left.
        """
        params, more = parameters.split(self.params, part)
        return dataclasses.replace(self, params=params, fixed=parameters.merge(more, self.fixed))

    def without_batches(self) -> "Mean":
        """Return the operator with everything but its data, which all batches share."""
        return dataclasses.replace(self, batches=None)

    def with_params(self, params: PyTree) -> PyTree:
        """Return all parameters, with others in place of those that vary."""
        return parameters.merge(params, self.fixed)


def precise(precision: Precision) -> Any:
    """Multiply matrices at a precision within, where a function does not name one itself."""
    name = precision.name if isinstance(precision, jax.lax.Precision) else precision
    return jax.default_matmul_precision(name.lower())


def made(operator: Mean, name: str, kept: Keep) -> Operator:
    """Return an operator as its user gets it: on its devices, known to be finite, linearized if asked for.

    Args:
        operator: The operator.
        name: What its `value` is called in an error.
        kept: Whether to linearize it once, or the largest number of bytes to keep.

    Returns:
        The operator.

    Raises:
        ValueError: If its value is not finite on a batch.
    """
    mesh = operator.batches.mesh
    if mesh is not None:
        operator = dataclasses.replace(
            jax.device_put(operator.without_batches(), NamedSharding(mesh, PartitionSpec())),
            batches=operator.batches,
        )
    if losses.known(operator):
        losses.finite(name, operator.batches, _values(operator))
    return keep(operator, kept)


@jax.jit
def _values(operator: Mean) -> list[Array]:
    shared = operator.without_batches()
    with precise(operator.precision):
        return operator.batches.map(lambda one, shared: shared.value(one), shared)
