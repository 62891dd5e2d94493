"""The square root that has a derivative everywhere."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.core.roots import root


def test_the_root_and_its_derivative_are_zero_where_nothing_is_left_but_rounding():
    squares = jnp.array([4.0, 0.0, -1e-9])
    np.testing.assert_array_equal(root(squares), [2, 0, 0])
    np.testing.assert_array_equal(jax.vmap(jax.grad(root))(squares), [0.25, 0, 0])
