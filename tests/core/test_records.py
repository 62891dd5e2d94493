import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from beartype import beartype
from jaxtyping import Array, Float, TypeCheckError, jaxtyped

from jaxtheory.core.records import record, static


@record
class Line:
    slope: Float[Array, ""]
    offset: Float[Array, ""]
    name: str = static()
    sizes: tuple[int, ...] = static(default=(1, 2))


def line(slope=1.5) -> Line:
    return Line(jnp.float32(slope), jnp.float32(-1), "steep")


def test_leaves_are_the_fields_that_are_not_static():
    leaves, structure = jax.tree.flatten_with_path(line())
    assert [(jax.tree_util.keystr(path), float(leaf)) for path, leaf in leaves] == [
        (".slope", 1.5),
        (".offset", -1.0),
    ]
    again = jax.tree.unflatten(structure, [leaf for _, leaf in leaves])
    assert (again.name, again.sizes) == ("steep", (1, 2))
    with pytest.raises(AttributeError):
        again.name = "flat"


def test_a_record_goes_through_transformations():
    def loss(params, x):
        return (params.slope * x + params.offset) ** 2

    gradient = jax.jit(jax.grad(loss))(line(), 2.0)
    assert (float(gradient.slope), float(gradient.offset), gradient.name) == (8.0, 4.0, "steep")
    mapped = jax.vmap(line)(jnp.arange(3.0))
    assert mapped.slope.shape == (3,)
    axes = jax.vmap(loss, in_axes=(Line(0, None, "steep"), None))
    np.testing.assert_allclose(axes(Line(jnp.arange(3.0), jnp.float32(0), "steep"), 1.0), [0, 1, 4])


def test_the_constructor_is_checked_and_the_transformations_are_not():
    @jaxtyped(typechecker=beartype)
    @record
    class Checked:
        x: Float[Array, " n"]

    assert jax.tree.map(lambda _: None, Checked(jnp.ones(2))).x is None
    with pytest.raises(TypeCheckError, match="x"):
        Checked("wrong")


def test_a_record_is_exported():
    exported = jax.export.export(jax.jit(lambda params: jax.tree.map(lambda leaf: 2 * leaf, params)))(line())
    again = jax.export.deserialize(exported.serialize())
    result = again.call(line())
    assert (float(result.slope), result.name, result.sizes) == (3.0, "steep", (1, 2))
