"""Parameters and results as pytrees that can be exported."""

import ast

import jax
import jax.export


def _registered(cls: type) -> type:
    """Makes a frozen dataclass a pytree that can be exported; fields with `static` metadata are no leaves."""
    jax.tree_util.register_dataclass(cls)
    jax.export.register_pytree_node_serialization(
        cls,
        serialized_name=f"{cls.__module__}.{cls.__name__}",
        serialize_auxdata=lambda facts: repr(facts).encode(),
        deserialize_auxdata=lambda text: ast.literal_eval(text.decode()),
    )
    return cls
