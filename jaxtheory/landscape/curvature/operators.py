"""Symmetric linear operators on pytrees: what a matrix is to the algorithms of `spectrum`.

An operator is itself a pytree: its arrays (parameters, batches) are leaves, its functions belong to the
structure. So a compiled program takes an operator as an argument, and neither bakes the data in nor compiles
anew for other parameters.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.records import record
from jaxtheory.core.types import RealScalar

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

LARGE = 2**16
"""The number of entries from which processors take vectors one after the other: a matrix product of several
at once then moves more memory than it saves."""


class Operator:
    """A symmetric linear map of pytrees shaped like `template`, given by its products.

    A subclass is a record with a field or property `template` and a method `apply` for one vector; it may
    have a faster `apply_many` for vectors stacked on a leading axis. Operators on vectors of one form can be
    added, subtracted and multiplied by numbers.
    """

    template: PyTree
    """A pytree whose leaves have the shapes and dtypes of a vector's."""

    __array_ufunc__ = None  # so that a NumPy number times an operator is left to the operator

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

    def flat(self, vectors: PyTree) -> Float[Array, "k n"]:
        """Return stacked vectors as the rows of a matrix."""
        leaves = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(vectors)]
        return jnp.concatenate(leaves, axis=1)

    def unflat(self, rows: Float[Array, "k n"]) -> PyTree:
        """Return the rows of a matrix as stacked vectors."""
        return jax.tree.map(lambda part, one: part.astype(one.dtype), self.split(rows), self.template)

    def split(self, rows: Float[Array, "k n"]) -> PyTree:
        """Return the rows of a matrix as stacked vectors in the dtype of the matrix."""
        like, structure = jax.tree.flatten(self.template)
        ends = np.cumsum([math.prod(jnp.shape(leaf)) for leaf in like])
        parts = jnp.split(rows, ends[:-1], axis=1)
        return structure.unflatten(part.reshape(len(rows), *jnp.shape(one)) for part, one in zip(parts, like))

    def dense(self) -> Float[Array, "n n"]:
        """Return the matrix of a small operator, for vectors in the order of their leaves."""
        return _rows(self, jnp.eye(self.dimension, dtype=self._dtype))

    def as_scipy(self) -> "LinearOperator":
        """Return the operator for SciPy's algorithms, on vectors in the order of their leaves.

        Returns:
            A `scipy.sparse.linalg.LinearOperator` on NumPy arrays; its products with a matrix take all
            columns at once.

        Example:
            >>> import jax.numpy as jnp
            >>> import scipy.sparse.linalg
            >>> from jaxtheory.landscape import curvature
            >>> operator = curvature.Matrix(jnp.diag(jnp.array([1.0, 2.0, 3.0, 4.0])))
            >>> scipy.sparse.linalg.eigsh(operator.as_scipy(), k=1, return_eigenvectors=False)
            array([4.], dtype=float32)
        """
        from scipy.sparse.linalg import LinearOperator

        def matmat(columns: np.ndarray) -> np.ndarray:
            return np.asarray(_rows(self, jnp.asarray(columns.T, self._dtype))).T

        def matvec(vector: np.ndarray) -> np.ndarray:
            # One vector alone does not pay for what several share.
            return np.asarray(_flat(self, jnp.asarray(vector.reshape(-1), self._dtype)))

        shape = (self.dimension, self.dimension)
        return LinearOperator(
            shape, matvec=matvec, rmatvec=matvec, matmat=matmat, rmatmat=matmat, dtype=np.dtype(self._dtype)
        )

    def __add__(self, other: "Operator") -> "Sum":
        if not isinstance(other, Operator):
            return NotImplemented
        return _sum(self, other, 1)

    def __sub__(self, other: "Operator") -> "Sum":
        if not isinstance(other, Operator):
            return NotImplemented
        return _sum(self, other, -1)

    def __mul__(self, factor: RealScalar) -> "Sum":
        if isinstance(factor, Operator):
            return NotImplemented
        checks.axes("factor", as_array("factor", factor))
        ours = _terms(self)
        return Sum(operators=ours.operators, factors=tuple(factor * one for one in ours.factors))

    def __rmul__(self, factor: RealScalar) -> "Sum":
        return self * factor

    def __neg__(self) -> "Sum":
        return self * -1

    @property
    def _dtype(self) -> Any:
        return jnp.result_type(*jax.tree.leaves(self.template))

    def _vector(self, vector: PyTree) -> tuple[PyTree, bool]:
        """A vector in the dtypes of the template, and whether it is several."""
        like, structure = jax.tree.flatten(self.template)
        leaves, found = jax.tree.flatten(vector)
        if found != structure:
            raise ValueError(f"vector has the structure {found}: take that of the template, {structure}")
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
                f"vector has leaves of the shapes {shapes}: take {wanted}, all with one more axis in front "
                "where there are several vectors"
            )
        return structure.unflatten(jnp.asarray(leaf, one.dtype) for leaf, one in zip(leaves, like)), several


@record
class Matrix(Operator):
    """A symmetric matrix as an operator on arrays of one axis."""

    matrix: Float[Array, "n n"]

    @property
    def template(self) -> Any:
        """The shape and dtype of a vector."""
        return jax.ShapeDtypeStruct(self.matrix.shape[:1], self.matrix.dtype)

    def apply(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        """Multiply one vector."""
        return jnp.matmul(self.matrix, vector, precision="highest")


@record
class Sum(Operator):
    """A linear combination of operators on vectors of one form."""

    operators: tuple[Any, ...]
    """The operators."""
    factors: tuple[Any, ...]
    """The number by which each is multiplied."""

    @property
    def template(self) -> PyTree:
        """The template that all have in common."""
        return self.operators[0].template

    def apply(self, vector: PyTree) -> PyTree:
        """Multiply one vector."""
        return self._combined([one.apply(vector) for one in self.operators])

    def apply_many(self, vectors: PyTree) -> PyTree:
        """Multiply vectors that are stacked on a leading axis of every leaf."""
        return self._combined([one.apply_many(vectors) for one in self.operators])

    def _combined(self, products: list[PyTree]) -> PyTree:
        def combine(*leaves: Array) -> Array:
            return sum(jnp.asarray(factor, leaf.dtype) * leaf for factor, leaf in zip(self.factors, leaves))

        return jax.tree.map(combine, *products)


def several(function: Callable[[PyTree], PyTree], vectors: PyTree, dimension: int) -> PyTree:
    """Return a function's values at stacked vectors, together or one after the other, as is faster.

    Args:
        function: The function of one vector.
        vectors: The vectors, stacked on a leading axis of every leaf.
        dimension: The number of entries of a vector.

    Returns:
        The values, stacked.
    """
    together = jax.vmap(function)
    if dimension < LARGE:
        return together(vectors)
    return jax.lax.platform_dependent(
        vectors, cpu=lambda vectors: jax.lax.map(function, vectors), default=together
    )


def _terms(operator: Operator) -> Sum:
    """An operator as a sum."""
    return operator if isinstance(operator, Sum) else Sum(operators=(operator,), factors=(1,))


def _sum(one: Operator, other: Operator, sign: int) -> Sum:
    """A sum or difference, once both are known to be of one form."""

    def form(operator: Operator) -> Any:
        leaves, structure = jax.tree.flatten(operator.template)
        return structure, [(jnp.shape(leaf), leaf.dtype) for leaf in leaves]

    if form(one) != form(other):
        raise ValueError(
            f"operators are on vectors of the forms {form(one)} and {form(other)}: take operators on vectors "
            "of one form"
        )
    left, right = _terms(one), _terms(other)
    factors = (*left.factors, *(sign * factor for factor in right.factors))
    return Sum(operators=(*left.operators, *right.operators), factors=factors)


@jax.jit
def _apply(operator: Operator, vector: PyTree) -> PyTree:
    return operator.apply(vector)


@jax.jit
def _apply_many(operator: Operator, vectors: PyTree) -> PyTree:
    return operator.apply_many(vectors)


@jax.jit
def _rows(operator: Operator, rows: Array) -> Array:
    return operator.flat(operator.apply_many(operator.unflat(rows)))


@jax.jit
def _flat(operator: Operator, vector: Array) -> Array:
    one = jax.tree.map(lambda leaf: leaf[0], operator.unflat(vector[None]))
    return operator.flat(jax.tree.map(lambda leaf: leaf[None], operator.apply(one)))[0]
