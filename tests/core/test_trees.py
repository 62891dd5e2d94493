"""Pytrees of parameters: inner products against NumPy's on the flat vectors, and the errors."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.core import trees


def flat(tree, leading=0):
    return np.concatenate([np.reshape(leaf, (*leaf.shape[:leading], -1)) for leaf in tree.values()], axis=-1)


def test_inner_products_are_those_of_flat_vectors(rng):
    one, other = (
        {"a": jnp.asarray(rng.standard_normal((4, 3, 2)), jnp.float32), "b": jnp.ones((4, 5))}
        for _ in range(2)
    )
    assert float(trees.inner(one, other)) == pytest.approx(flat(one) @ flat(other), rel=1e-5)
    rows = flat(one, 1)
    np.testing.assert_allclose(trees.gram(one), rows @ rows.T, rtol=1e-5)


def test_inner_products_of_half_precision_are_accumulated_in_single():
    ones = jnp.ones(3000, jnp.bfloat16)
    assert float(trees.inner(ones, ones)) == 3000
    assert trees.gram(ones[None]).dtype == np.float32


def test_leaves_become_arrays_of_jax():
    assert trees.real_leaves("params", {"w": [1.0, 2.0]})["w"][0].dtype == np.float32
    assert trees.same_form("other", {"w": np.ones((4, 2))}, {"w": jnp.ones(2)}, leading=4)["w"].shape == (
        4,
        2,
    )
    assert trees.leading_length("batch", [jnp.ones((3, 2)), jnp.ones(3)], least=1) == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: trees.real_leaves("params", {"w": np.arange(2)}),
            TypeError,
            "params['w'] is int64: take real floating-point parameters",
        ),
        (
            lambda: trees.real_leaves("params", {"w": "text"}),
            TypeError,
            "params['w'] is 'text' (str): take an array of numbers",
        ),
        (
            lambda: trees.real_leaves("params", []),
            ValueError,
            "params holds no array: take a pytree of parameters",
        ),
        (
            lambda: trees.same_form("end", {"w": jnp.ones(2)}, [jnp.ones(2)]),
            ValueError,
            "end is PyTreeDef({'w': *}): take the structure of the parameters, PyTreeDef([*])",
        ),
        (
            lambda: trees.same_form("end", jnp.ones(2), jnp.ones(3)),
            ValueError,
            "end has the shape (2,): take (3,)",
        ),
        (
            lambda: trees.leading_length("batch", [jnp.ones(2), jnp.ones(())], least=1),
            ValueError,
            "batch has leaves of the shapes [(2,), ()]: take one leading axis in common, of at least 1",
        ),
    ],
)
def test_errors_say_what_was_found_and_what_is_allowed(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
