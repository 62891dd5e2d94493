"""The algebra of vectors that are pytrees, several at a time: leading axes count them.

Nothing is flattened, so that leaves that are sharded over devices stay where they are: inner products end in
a sum of a few numbers over the devices.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks
from jaxtheory.core.types import RandomKey
from jaxtheory.landscape.curvature.operators import Operator


def checked(operator: Any) -> Operator:
    """The operator, known to be one on real vectors with at least one entry."""
    words = "an Operator, as curvature.Matrix makes of a matrix and curvature.hessian of a loss"
    checks.instance("operator", operator, Operator, words)
    leaves = jax.tree.leaves(operator.template)
    if not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
        found = ", ".join(sorted({str(leaf.dtype) for leaf in leaves}))
        raise TypeError(f"operator acts on vectors of {found}: take one on real floating-point vectors")
    if not operator.dimension:
        raise ValueError("operator acts on vectors without entries: take one of dimension 1 or more")
    return operator


def fitting(operator: Any, state: Any) -> None:
    """Refuse an operator that has another dimension than the one that a state was made for."""
    if checked(operator).dimension != state.dimension:
        raise ValueError(
            f"operator has dimension {operator.dimension}: take one of dimension {state.dimension}, that of "
            "the state"
        )


def dtype_of(operator: Operator) -> Any:
    """The dtype of the computation: the widest of the vector's, and at least float32."""
    leaves = jax.tree.leaves(operator.template)
    return jnp.result_type(jnp.float32, *(leaf.dtype for leaf in leaves))


def draw(operator: Operator, key: RandomKey, numbers: Array, *, kind: str) -> PyTree:
    """Random vectors, one for each of the numbers: the same ones whatever others are drawn beside them.

    Args:
        operator: The operator whose vectors they are.
        key: The random key.
        numbers: The numbers of the vectors, shape `(p,)`.
        kind: The distribution of the entries, `"signs"` or `"normal"`.

    Returns:
        The vectors, with a leading axis of `p`, in the dtype of the computation.
    """
    dtype, size = dtype_of(operator), operator.dimension
    sample = _signs if kind == "signs" else jax.random.normal
    # One draw for all leaves: each further one costs the compiler as much again.
    return operator.split(
        jax.vmap(lambda number: sample(jax.random.fold_in(key, number), (size,), dtype))(numbers)
    )


def _signs(key: RandomKey, shape: tuple[int, ...], dtype: Any) -> Array:
    """Random signs, the same ones in every dtype."""
    return 1 - 2 * (jax.random.bits(key, shape, jnp.uint8) & 1).astype(dtype)


def multiply(operator: Operator, vectors: PyTree) -> PyTree:
    """The products of vectors on a leading axis, which enter and leave in the dtype of the computation."""
    dtype = dtype_of(operator)
    narrow = as_template(operator, vectors)
    if jax.tree.leaves(vectors)[0].shape[0] == 1:
        single = operator.apply(jax.tree.map(lambda leaf: leaf[0], narrow))
        products = jax.tree.map(lambda leaf: leaf[None], single)
    else:
        products = operator.apply_many(narrow)
    return jax.tree.map(lambda leaf: leaf.astype(dtype), products)


def as_template(operator: Operator, vectors: PyTree) -> PyTree:
    """The vectors in the dtypes of the operator's own."""
    return jax.tree.map(lambda vector, leaf: vector.astype(leaf.dtype), vectors, operator.template)


def dots(one: PyTree, other: PyTree) -> Float[Array, " p"]:
    """The inner products of vectors `(p, ...)` with others, pair by pair."""
    return inner(jax.tree.map(lambda leaf: leaf[:, None], one), other)[:, 0]


def inner(rows: PyTree, vectors: PyTree) -> Float[Array, "p r"]:
    """The inner products of rows `(p, r, ...)` with vectors `(p, ...)`."""

    def of_leaf(rows: Array, vectors: Array) -> Array:
        along = (tuple(range(2, rows.ndim)), tuple(range(1, vectors.ndim)))
        return lax.dot_general(rows, vectors, (along, ((0,), (0,))), precision="highest")

    return sum(jax.tree.leaves(jax.tree.map(of_leaf, rows, vectors)))


def combine(coefficients: Float[Array, "p r"], rows: PyTree) -> PyTree:
    """The sums of rows `(p, r, ...)` with coefficients, `(p, ...)`."""
    contracted = (((1,), (1,)), ((0,), (0,)))
    return jax.tree.map(
        lambda rows: lax.dot_general(coefficients, rows, contracted, precision="highest"), rows
    )


def rotate(matrix: Float[Array, "r s"], rows: PyTree) -> PyTree:
    """The combinations `(1, s, ...)` of rows `(1, r, ...)` with the columns of a matrix as coefficients."""
    contracted = (((0,), (1,)), ((), ()))
    return jax.tree.map(
        lambda rows: jnp.swapaxes(lax.dot_general(matrix, rows, contracted, precision="highest"), 0, 1), rows
    )


def plus(vectors: PyTree, factors: Array, others: PyTree) -> PyTree:
    """Vectors `(p, ...)` plus others, each times its factor."""
    return jax.tree.map(lambda one, other: one + scaled(factors, other), vectors, others)


def times(factors: Array, vectors: PyTree) -> PyTree:
    """Vectors `(p, ...)`, each times its factor."""
    return jax.tree.map(lambda leaf: scaled(factors, leaf), vectors)


def scaled(factors: Array, leaf: Array) -> Array:
    """A leaf `(p, ...)` times factors `(p,)`."""
    return factors.reshape(-1, *[1] * (leaf.ndim - 1)) * leaf


def zeros(operator: Operator, leading: Sequence[int]) -> PyTree:
    """Vectors of zeros with leading axes."""
    dtype = dtype_of(operator)
    return jax.tree.map(lambda leaf: jnp.zeros((*leading, *jnp.shape(leaf)), dtype), operator.template)


def replaced(rows: PyTree, place: Array | int, vectors: PyTree) -> PyTree:
    """Rows `(p, r, ...)` of which one has become the vectors `(p, ...)`."""
    return jax.tree.map(
        lambda rows, vectors: lax.dynamic_update_index_in_dim(rows, vectors, place, 1), rows, vectors
    )


def steps_within(name: str, value: Any, operator: Operator, *, least: int = 1) -> int:
    """A number of Lanczos steps or vectors, of which there are at most as many as dimensions."""
    value = checks.count(name, value, least=least)
    if value > operator.dimension:
        raise ValueError(
            f"{name} is {value}: take at most {operator.dimension}, the dimension of the operator, beyond "
            "which there is no further Lanczos vector"
        )
    return value
