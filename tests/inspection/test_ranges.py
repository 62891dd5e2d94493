"""The range of entries: its ends, and what is refused."""

import jax
import numpy as np
import pytest

from jaxtheory.inspection import ranges


def test_ends_are_as_given_or_infinite():
    assert ranges.ends((0, 1)) == (0, 1)
    assert ranges.ends(None) == (-np.inf, np.inf)
    low, high = jax.jit(ranges.ends)((np.float32(1), np.float32(0)))  # traced: their order is not known
    assert (low, high) == (1, 0)


def test_ends_that_are_none():
    with pytest.raises(ValueError, match=r"^bounds has 3 entries: take the least and the largest value"):
        ranges.ends((0, 1, 2))
    with pytest.raises(ValueError, match=r"^bounds is \(1, 1\): take the least value first, below the l"):
        ranges.ends((1, 1))
    with pytest.raises(ValueError, match=r"^bounds is .*: take the least value first"):
        ranges.ends((np.zeros(2), np.array([1.0, np.nan])))
    with pytest.raises(TypeError, match=r"^bounds is 1: take the least and the largest value, as "):
        ranges.ends(1)
    with pytest.raises(ValueError, match=r"^the upper of bounds has the shape \(3,\): take one number, or "):
        ranges.check_ends(np.zeros(2), np.ones(3), (4, 2))


def test_values_outside():
    ranges.check_inside(np.ones(3), 0, np.ones(3))
    ranges.check_epsilon(0.5, np.inf)
    with pytest.raises(ValueError, match=r"^x holds 2: take numbers from 0 to 1, or give their range"):
        ranges.check_inside(np.array([0.5, 2.0]), 0, 1)
    with pytest.raises(ValueError, match=r"^x holds nan: take numbers that are finite$"):
        ranges.check_inside(np.nan, -np.inf, np.inf)
    with pytest.raises(
        ValueError, match=r"^epsilon is 1.5: take a number from 0 to 1, the width of the rang"
    ):
        ranges.check_epsilon(1.5, 1)
    with pytest.raises(ValueError, match=r"^epsilon is -1: take a number of 0 or more$"):
        ranges.check_epsilon(-1, np.inf)
