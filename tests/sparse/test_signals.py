"""What is taken for signals to learn from."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse import signals


def test_rows_of_all_forms(own_errors):
    for form in (
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]], ">i4"),
        jnp.array([[1, 2], [3, 4]], jnp.bfloat16),
    ):
        found = signals.rows("signals", form)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, [[1, 2], [3, 4]])


def test_rows_that_are_not_finite_become_zeros(rng):
    x = np.float32(rng.standard_normal((4, 3)))
    x[1, 2], x[3] = np.inf, np.nan
    found, finite = signals.finite_rows(jnp.asarray(x))
    np.testing.assert_array_equal(finite, [True, False, True, False])
    np.testing.assert_array_equal(found, np.where(finite[:, None], x, 0))
    values = jnp.array([1.0, np.nan, 5.0, np.inf])
    assert signals.mean_over(finite, values) == 3
    assert signals.mean_over(jnp.zeros(4, bool), values) == 0


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones((2, 3)), ValueError, "x has the shape (2, 3): take (n, 4) for (n, features)"),
        (np.ones((0, 4)), ValueError, "x has the shape (0, 4): take at least one row and one column"),
        (1j * np.ones((2, 4)), TypeError, "x is complex (complex128): take real numbers, as its real part"),
        ("words", TypeError, "x is 'words' (str): take an array of numbers"),
    ],
)
def test_what_is_refused(value, error, message, own_errors):
    with pytest.raises(error, match=re.escape(message)):
        signals.rows("x", value, 4)
