"""Records: frozen dataclasses that are pytrees and can be exported, for parameters and results."""

import ast
import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.export

Class = TypeVar("Class", bound=type)


def static(**options: Any) -> Any:
    """A field that is not a leaf: a size, an order, a flag or a name, or tuples of them.

    Args:
        **options: The options of `dataclasses.field`, such as `default`.

    Returns:
        The field.
    """
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(static, dataclasses.field))
def record(cls: Class) -> Class:
    """Makes a class with annotated fields a frozen dataclass, a pytree, and a node that `jax.export` stores.

    Fields made by `static` belong to the structure; all others are children. JAX builds trees of the same
    form from whatever stands for arrays (shapes, shardings, axes), so a record that comes out of a
    transformation is not checked against its annotations; one that is made by its constructor is, where the
    tests check signatures.

    Args:
        cls: A class whose fields are annotated; its static fields are made of what Python writes as
            literals.

    Returns:
        The class.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.core.records import record, static
        >>> @record
        ... class Line:
        ...     slope: jax.Array
        ...     name: str = static()
        >>> jax.tree.map(lambda leaf: 2 * leaf, Line(jnp.float32(1.5), "steep"))
        Line(slope=Array(3., dtype=float32), name='steep')
    """
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    fields = dataclasses.fields(cls)
    children = [one.name for one in fields if not one.metadata.get("static")]
    facts = [one.name for one in fields if one.metadata.get("static")]

    def flatten(node: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(node, name) for name in children], tuple(getattr(node, name) for name in facts)

    def flatten_with_keys(node: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        values, structure = flatten(node)
        return [(jax.tree_util.GetAttrKey(name), value) for name, value in zip(children, values)], structure

    def unflatten(structure: Iterable[Any], values: Iterable[Any]) -> Any:
        node = object.__new__(cls)
        for name, value in (*zip(children, values), *zip(facts, structure)):
            object.__setattr__(node, name, value)
        return node

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    jax.export.register_pytree_node_serialization(
        cls,
        serialized_name=f"{cls.__module__}.{cls.__qualname__}",
        serialize_auxdata=lambda structure: repr(structure).encode(),
        deserialize_auxdata=lambda text: ast.literal_eval(text.decode()),
    )
    return cls
