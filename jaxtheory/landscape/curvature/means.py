"""Operators that are means over batches of data."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from jaxtheory.core.types import Precision
from jaxtheory.landscape.curvature import losses, parameters
from jaxtheory.landscape.curvature.batches import Batch, Batches
from jaxtheory.landscape.curvature.kept import Keep, keep
from jaxtheory.landscape.curvature.operators import Operator, several


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

    def value(self, one: Batch) -> Any:
        """A number of one batch that is finite where the operator is."""
        raise NotImplementedError

    def apply(self, vector: PyTree) -> PyTree:
        """Multiply one vector."""
        return self._mean(lambda one, shared, vector: shared.on_batch(one, vector), vector)

    def apply_many(self, vectors: PyTree) -> PyTree:
        """Multiply vectors that are stacked on a leading axis of every leaf, with one linearization."""
        return self._mean(
            lambda one, shared, vectors: several(shared.linearized(one), vectors, self.dimension), vectors
        )

    def linearized(self, one: Batch) -> Callable[[PyTree], PyTree]:
        """Return the operator of one batch as a function of the vector, the rest of it computed."""
        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), self.params)
        return jax.linearize(lambda vector: self.on_batch(one, vector), start)[1]

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

    def _mean(self, function: Callable[..., PyTree], vectors: PyTree) -> PyTree:
        with precise(self.precision):
            return self.batches.mean(function, vectors, self.without_batches(), vectors)

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


def value_shape(operator: Mean) -> Any:
    """Return the shape and dtype of an operator's value on one batch."""
    return jax.eval_shape(_value, operator.without_batches(), operator.batches.first())


@jax.jit
def _value(operator: Mean, one: Batch) -> Any:
    return operator.value(one)


@jax.jit
def _values(operator: Mean) -> list[Array]:
    shared = operator.without_batches()
    with precise(operator.precision):
        return operator.batches.map(lambda one, shared: shared.value(one), shared)
