"""Data in batches, and means over them in memory that does not grow with their number."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray


class Batch(NamedTuple):
    """One batch, or several of one size that are stacked on a leading axis of every leaf."""

    data: PyTree
    """What the loss takes as its batch."""
    number: Array
    """The number of the batch among all, from 0."""
    start: Array
    """The number of its first example among all, from 0."""


@record
class Batches:
    """Batches in groups of one size each, and the devices over which they are spread."""

    groups: tuple[Batch, ...]
    """The batches of each size, stacked."""
    spread: tuple[bool, ...] = static()
    """Whether each group is divided among the devices of the mesh; the others are on all of them."""
    mesh: Any = static(default=None)
    """The mesh of devices, or None where there is none."""

    @property
    def examples(self) -> int:
        """The number of examples in all batches."""
        return sum(math.prod(_sizes(group)) for group in self.groups)

    def first(self) -> PyTree:
        """The shapes and dtypes of one batch."""
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), self.groups[0])

    def mean(self, function: Callable[..., PyTree], like: PyTree, *shared: PyTree) -> PyTree:
        """Average a function of a batch, each batch taken with its number of examples.

        Args:
            function: The function `function(batch, *shared)`; the arrays that it needs are given in `shared`.
            like: A pytree with the shapes and dtypes of its value.
            *shared: What all batches share.

        Returns:
            The mean, summed in single precision at least and returned in the dtypes of `like`.
        """
        weights = [_sizes(group)[1] / self.examples for group in self.groups]
        devices = 1 if self.mesh is None else self.mesh.size

        def local(groups: tuple[Batch, ...], shared: tuple[PyTree, ...]) -> PyTree:
            total = None
            for group, weight, spread in zip(groups, weights, self.spread):
                # What stands on every device is summed by every device.
                weight = weight if spread else weight / devices
                part = _scaled(_sum(lambda one: function(one, *shared), like, group), weight)
                total = part if total is None else jax.tree.map(jnp.add, total, part)
            return total if self.mesh is None else jax.lax.psum(total, self.mesh.axis_names)

        total = self._on_devices(local, PartitionSpec())(self.groups, shared)
        return jax.tree.map(lambda leaf, one: leaf.astype(one.dtype), total, like)

    def map(self, function: Callable[..., PyTree], *shared: PyTree) -> list[PyTree]:
        """Return the values of a function of a batch, stacked for each group of batches.

        Args:
            function: The function `function(batch, *shared)`.
            *shared: What all batches share.

        Returns:
            The values for each group.
        """

        def local(groups: tuple[Batch, ...], shared: tuple[PyTree, ...]) -> list[PyTree]:
            return [jax.lax.map(lambda one: function(one, *shared), group) for group in groups]

        return self._on_devices(local, [self._place(spread) for spread in self.spread])(self.groups, shared)

    def _on_devices(self, local: Callable[..., PyTree], results: PyTree) -> Callable[..., PyTree]:
        """A function of the groups and of what they share, run by each device on its own batches."""
        if self.mesh is None:
            return local
        groups = tuple(self._place(spread) for spread in self.spread)
        # Gradients within are each device's own: what is not checked is not summed over the devices either.
        return jax.shard_map(
            local, mesh=self.mesh, in_specs=(groups, PartitionSpec()), out_specs=results, check_vma=False
        )

    def _place(self, spread: bool) -> PartitionSpec:
        return PartitionSpec(self.mesh.axis_names) if spread else PartitionSpec()


def take(batches: Any, mesh: Mesh | None = None) -> Batches:
    """Return batches as the operators take them, spread over the devices of a mesh if there is one.

    Args:
        batches: A pytree of arrays with leading axes (batches, examples), a list of batches of any size, or
            what `in_batches` returned.
        mesh: The devices among which the batches are divided.

    Returns:
        The batches in groups of one size.

    Raises:
        TypeError: If a leaf is not an array of numbers.
        ValueError: If there is no batch, or if the batches are of unequal structure.
    """
    if isinstance(batches, Batches):
        found = batches
    else:
        found = _grouped(_from_list(batches) if isinstance(batches, list) else [_from_stack(batches)])
    return found if mesh is None or found.mesh == mesh else _spread(found, mesh)


def in_batches(data: PyTree, examples: int) -> Batches:
    """Divide data into batches of so many examples, the last of which may be smaller.

    Args:
        data: A pytree of arrays with one leading axis of examples.
        examples: The number of examples in a batch, at least 1.

    Returns:
        The batches, as the curvature operators take them.

    Raises:
        TypeError: If a leaf is not an array of numbers, or `examples` is not a whole number.
        ValueError: If the arrays have no common leading axis, or `examples` is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> batches = curvature.in_batches({"x": jnp.ones((25, 3)), "y": jnp.ones(25)}, 10)
        >>> [group.data["x"].shape for group in batches.groups], batches.examples
        ([(2, 10, 3), (1, 5, 3)], 25)
    """
    data = _arrays(data, "data")
    examples = checks.count("examples", examples)
    shapes = [leaf.shape for leaf in jax.tree.leaves(data)]
    if len({shape[:1] for shape in shapes}) > 1 or shapes[0][:1] in ((), (0,)):
        raise ValueError(
            f"data have the shapes {_listed(shapes)}: take arrays with one leading axis of examples, "
            "at least one"
        )
    whole = shapes[0][0] // examples
    even = jax.tree.map(lambda leaf: leaf[: whole * examples].reshape(whole, examples, *leaf.shape[1:]), data)
    rest = jax.tree.map(lambda leaf: leaf[None, whole * examples :], data)
    return _grouped([stack for stack in (even, rest) if 0 not in _sizes(stack)])


def _grouped(stacks: list[PyTree]) -> Batches:
    """Stacks of batches with the numbers of the batches and of their first examples."""
    groups, begun, start = [], 0, 0
    for data in stacks:
        count, examples = _sizes(data)
        numbers = np.arange(count, dtype=np.int32)
        group = Batch(data, begun + numbers, start + examples * numbers)
        groups.append(jax.tree.map(jnp.asarray, group))
        begun, start = begun + count, start + count * examples
    return Batches(groups=tuple(groups), spread=(False,) * len(groups))


def _from_stack(batches: PyTree) -> PyTree:
    """A pytree of arrays with two leading axes in common."""
    data = _arrays(batches, "batches")
    shapes = [leaf.shape for leaf in jax.tree.leaves(data)]
    if any(len(shape) < 2 for shape in shapes) or len({shape[:2] for shape in shapes}) > 1:
        raise ValueError(
            f"batches have the shapes {_listed(shapes)}: take arrays with the same two leading axes "
            "(batches, examples), or a list of batches"
        )
    if 0 in shapes[0][:2]:
        raise ValueError(f"batches have the shapes {_listed(shapes)}: take at least one example")
    return data


def _from_list(batches: Sequence[PyTree]) -> list[PyTree]:
    """Stacks of those batches that follow each other and are of one size."""
    if not batches:
        raise ValueError("batches is an empty list: take at least one batch")
    taken = [_arrays(batch, f"batches[{number}]") for number, batch in enumerate(batches)]
    for number, batch in enumerate(taken):
        shapes = [leaf.shape for leaf in jax.tree.leaves(batch)]
        lengths = {shape[:1] for shape in shapes}
        if len(lengths) > 1 or lengths & {(), (0,)}:
            raise ValueError(
                f"batches[{number}] has arrays of the shapes {_listed(shapes)}: take one leading axis of "
                "examples, at least one"
            )
        first, other = _form(taken[0]), _form(batch)
        if first != other:
            raise ValueError(
                f"batches[{number}] is {_described(batch)}, and batches[0] is {_described(taken[0])}: take "
                "batches of one structure, which differ in their numbers of examples only"
            )
    runs: list[list[PyTree]] = []
    for batch in taken:
        if not runs or len(jax.tree.leaves(runs[-1][0])[0]) != len(jax.tree.leaves(batch)[0]):
            runs.append([])
        runs[-1].append(batch)
    return [jax.tree.map(_stacked, *run) for run in runs]


def _stacked(*leaves: AnyArray) -> AnyArray:
    """Arrays on a new leading axis; NumPy's need no program to be compiled."""
    return (np if all(isinstance(leaf, np.ndarray) for leaf in leaves) else jnp).stack(leaves)


def _arrays(tree: PyTree, name: str) -> PyTree:
    """The same tree of arrays in JAX's dtypes; there is at least one."""
    if not jax.tree.leaves(tree):
        raise ValueError(f"{name} holds no array: take a pytree of arrays")
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: _array(name + jax.tree_util.keystr(path), leaf), tree
    )


def _array(name: str, leaf: Any) -> AnyArray:
    """An array in the dtype that JAX gives it."""
    array = as_array(name, leaf)
    dtype = jax.dtypes.canonicalize_dtype(array.dtype) if isinstance(array, np.ndarray) else array.dtype
    return array.astype(dtype) if array.dtype != dtype else array


def _form(batch: PyTree) -> tuple[Any, ...]:
    """What batches have in common, whatever their number of examples."""
    leaves, structure = jax.tree.flatten(batch)
    return structure, tuple((leaf.shape[1:], leaf.dtype) for leaf in leaves)


def _described(batch: PyTree) -> str:
    """A batch in a few words."""
    return str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", batch)).replace("'", "")


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes)


def _sizes(group: PyTree) -> tuple[int, int]:
    """How many batches are stacked, and how many examples each of them has."""
    data = group.data if isinstance(group, Batch) else group
    return jax.tree.leaves(data)[0].shape[:2]


def _sum(function: Callable[[Batch], PyTree], like: PyTree, group: Batch) -> PyTree:
    """The sum of a function over stacked batches, one after the other."""

    def value(one: Batch) -> PyTree:
        return jax.tree.map(_wide, function(one))

    def add(total: PyTree, one: Batch) -> tuple[PyTree, None]:
        return jax.tree.map(jnp.add, total, value(one)), None

    if _sizes(group)[0] == 1:
        return value(jax.tree.map(lambda leaf: leaf[0], group))
    start = jax.tree.map(lambda leaf: _wide(jnp.zeros(leaf.shape, leaf.dtype)), like)
    return jax.lax.scan(add, start, group)[0]


def _wide(leaf: Array) -> Array:
    """A number in the dtype in which it is summed."""
    return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))


def _scaled(tree: PyTree, factor: float) -> PyTree:
    return tree if factor == 1 else jax.tree.map(lambda leaf: factor * leaf, tree)


def _spread(batches: Batches, mesh: Mesh) -> Batches:
    """The batches on the devices: what does not divide among them stands on all."""
    groups, spread = [], []

    def stand(group: Batch, axes: tuple[str, ...], low: int, high: int) -> None:
        if low < high:
            whole = high - low == _sizes(group)[0]
            part = group if whole else jax.tree.map(lambda leaf: leaf[low:high], group)
            groups.append(jax.device_put(part, NamedSharding(mesh, PartitionSpec(axes or None))))
            spread.append(bool(axes))

    for group in batches.groups:
        count = _sizes(group)[0]
        divided = count - count % mesh.size
        stand(group, tuple(mesh.axis_names), 0, divided)
        stand(group, (), divided, count)
    return Batches(groups=tuple(groups), spread=tuple(spread), mesh=mesh)
