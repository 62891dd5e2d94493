"""Symmetric linear operators on pytrees: what a matrix is to the algorithms of `spectrum`.

An operator is itself a pytree: its arrays (parameters, batches) are leaves, its functions belong to the
structure. So a compiled program takes an operator as an argument, and neither bakes the data in nor compiles
anew for other parameters.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxtheory.core.records import record


class Operator:
    """A symmetric linear map of pytrees shaped like `template`, given by its products.

    A subclass is a record with a field or property `template` and a method `apply` for one vector; it may
    have a faster `apply_many` for vectors stacked on a leading axis.
    """

    template: PyTree
    """A pytree whose leaves have the shapes and dtypes of a vector's."""

    def apply(self, vector: PyTree) -> PyTree:
        """Multiply one vector."""
        raise NotImplementedError

    def apply_many(self, vectors: PyTree) -> PyTree:
        """Multiply vectors that are stacked on a leading axis of every leaf."""
        return jax.vmap(self.apply)(vectors)

    @property
    def dimension(self) -> int:
        """The number of entries of a vector."""
        return sum(math.prod(jnp.shape(leaf)) for leaf in jax.tree.leaves(self.template))

    def matvec(self, vector: PyTree) -> PyTree:
        """Multiply a vector, or several that are stacked on one leading axis of every leaf.

        Args:
            vector: A pytree like `template`; every leaf may have one more axis in front, of the same length.

        Returns:
            The products, shaped like `vector`.
        """
        here = jax.tree.leaves(self.template)[0]
        if jnp.ndim(jax.tree.leaves(vector)[0]) == jnp.ndim(here):
            return self.apply(vector)
        return self.apply_many(vector)


@record
class Matrix(Operator):
    """A symmetric matrix as an operator on arrays of one axis."""

    matrix: Float[Array, "n n"]

    @property
    def template(self) -> Any:
        return jax.ShapeDtypeStruct(self.matrix.shape[:1], self.matrix.dtype)

    def apply(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.matmul(self.matrix, vector, precision="highest")
