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

from jaxtheory.core.dtypes import as_array
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
            The products, shaped like `vector`, in the dtypes of `template`.

        Raises:
            TypeError: If a leaf of the vector is not an array of real numbers.
            ValueError: If the vector has another structure or other shapes than `template`.
        """
        vector, several = self._vector(vector)
        return _apply_many(self, vector) if several else _apply(self, vector)

    def _vector(self, vector: PyTree) -> tuple[PyTree, bool]:
        """A vector in the dtypes of the template, and whether it is several."""
        like, structure = jax.tree.flatten(self.template)
        leaves, found = jax.tree.flatten(vector)
        if found != structure:
            raise ValueError(
                f"vector has the structure {found}: take {structure}, as the operator's template"
            )
        leaves = [as_array("vector", leaf) for leaf in leaves]
        for leaf in leaves:
            if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
                raise TypeError(f"vector is complex ({leaf.dtype}): take real numbers, as its real part")
        wanted = [jnp.shape(leaf) for leaf in like]
        shapes = [leaf.shape for leaf in leaves]
        several = shapes != wanted
        ahead = {shape[:1] for shape in shapes}
        if several and ([shape[1:] for shape in shapes] != wanted or len(ahead) > 1 or () in ahead):
            raise ValueError(
                f"vector has leaves of the shapes {shapes}: take {wanted}, each with the same leading axis where "
                "there are several vectors"
            )
        return structure.unflatten(jnp.asarray(leaf, one.dtype) for leaf, one in zip(leaves, like)), several


@jax.jit
def _apply(operator: Operator, vector: PyTree) -> PyTree:
    return operator.apply(vector)


@jax.jit
def _apply_many(operator: Operator, vectors: PyTree) -> PyTree:
    return operator.apply_many(vectors)


@record
class Matrix(Operator):
    """A symmetric matrix as an operator on arrays of one axis."""

    matrix: Float[Array, "n n"]

    @property
    def template(self) -> Any:
        return jax.ShapeDtypeStruct(self.matrix.shape[:1], self.matrix.dtype)

    def apply(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        return jnp.matmul(self.matrix, vector, precision="highest")
