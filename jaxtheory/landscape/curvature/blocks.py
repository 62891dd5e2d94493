"""Operators block by block: each layer of a network by itself."""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import PyTree

from jaxtheory.core.records import record
from jaxtheory.landscape.curvature import parameters
from jaxtheory.landscape.curvature.kept import Kept
from jaxtheory.landscape.curvature.means import Mean
from jaxtheory.landscape.curvature.operators import Operator


@record
class BlockDiagonal(Operator):
    """An operator without the blocks off its diagonal."""

    blocks: dict[str, Any]
    """The block of each part of the parameters, by name."""

    @property
    def template(self) -> PyTree:
        """The templates of all blocks in one tree."""
        return _together([block.template for block in self.blocks.values()])

    def apply(self, vector: PyTree) -> PyTree:
        """Multiply one vector."""
        return _together([block.apply(_own(block, vector)) for block in self.blocks.values()])

    def apply_many(self, vectors: PyTree) -> PyTree:
        """Multiply vectors that are stacked on a leading axis of every leaf."""
        return _together([block.apply_many(_own(block, vectors)) for block in self.blocks.values()])


def block_diagonal(operator: Operator, parts: Mapping[str, PyTree] | None = None) -> BlockDiagonal:
    """Return the blocks of a curvature operator, by default one for each layer, as an operator.

    Its `blocks` are operators themselves, by the layers' names; their vectors have `None` in place of the
    other parameters.

    Args:
        operator: A Hessian, Gauss-Newton matrix, Fisher information or gradient covariance.
        parts: The parts of the parameters by name, each as `part=` takes it, which cover every parameter
            once; by default `layers` of the parameters.

    Returns:
        The operator of all blocks.

    Raises:
        TypeError: If the operator has no parameters, as a sum has none.
        ValueError: If the parts do not fit or do not cover every parameter once.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> loss = lambda params, batch: jnp.mean(batch) * (params["a"] + params["b"]) ** 2 / 2
        >>> whole = curvature.hessian(loss, {"a": jnp.ones(()), "b": jnp.ones(())}, [jnp.ones(5)])
        >>> [float(one) for one in whole.matvec({"a": 1.0, "b": 2.0}).values()]
        [3.0, 3.0]
        >>> [float(one) for one in curvature.block_diagonal(whole).matvec({"a": 1.0, "b": 2.0}).values()]
        [1.0, 2.0]
    """
    if not isinstance(operator, Mean | Kept) or not hasattr(operator, "restricted"):
        raise TypeError(f"operator is a {type(operator).__name__}: take a curvature operator of parameters")
    parts = parameters.layers(operator.template) if parts is None else parts
    blocks = {name: operator.restricted(part) for name, part in parts.items()}
    covered = sum(block.dimension for block in blocks.values())
    together = jax.tree.structure(_together([block.template for block in blocks.values()]))
    if covered != operator.dimension or together != jax.tree.structure(operator.template):
        raise ValueError(
            f"parts cover {covered} parameters of {operator.dimension}: take parts that cover each once"
        )
    return BlockDiagonal(blocks=blocks)


def _own(block: Operator, vector: PyTree) -> PyTree:
    """What of a vector belongs to a block."""
    return jax.tree.map(
        lambda like, leaf: None if like is None else leaf,
        block.template,
        vector,
        is_leaf=lambda leaf: leaf is None,
    )


def _together(trees: list[PyTree]) -> PyTree:
    """One tree of trees of which one has what the others lack."""
    whole = trees[0]
    for tree in trees[1:]:
        whole = parameters.merge(whole, tree)
    return whole
