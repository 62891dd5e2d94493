"""Powers of two, and numbers below the smallest normal one, against NumPy, which keeps those."""

import jax
import numpy as np
import pytest

from jaxtheory.sparse import scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_of_two_bring_the_largest_entries_near_one(dtype, rng, x64):
    limit = np.finfo(dtype).maxexp - 2
    sizes = np.ldexp(dtype(1), rng.integers(-limit, limit, 40)).astype(dtype)
    x = (rng.uniform(1, 2, (40, 1)) * sizes[:, None]).astype(dtype)
    exponents = scale.exponent(x, (1,))
    np.testing.assert_array_equal(exponents, np.frexp(sizes)[1] - 1)
    small = scale.shifted(x, -exponents[:, None])
    assert small.dtype == dtype
    assert np.all((small >= 1) & (small < 2))
    np.testing.assert_array_equal(scale.shifted(small, exponents[:, None]), x)


def test_zeros_and_what_is_not_finite_are_not_scaled():
    assert scale.exponent(np.float32([[0, 0], [1, np.inf], [np.nan, 2]]), (1,)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_taken_for_zero_is_known_by_its_bits(dtype, x64):
    tiny, eps = np.finfo(dtype).tiny, np.finfo(dtype).eps
    cases = {
        "zeros": ([0, -0.0], False),
        "normal": ([tiny, -1], False),
        "subnormal": ([0, -tiny / 2], True),
        "the least": ([np.finfo(dtype).smallest_subnormal, 0], True),
        "beside a small one": ([tiny / 2, -tiny / eps / 2], True),
        "beside a large one": ([tiny / 2, -tiny / eps], False),
    }
    values = np.array([value for value, _ in cases.values()], dtype)
    found = jax.jit(lambda x: scale.flushed(x, (1,)))(values)
    assert dict(zip(cases, found.tolist())) == {name: lost for name, (_, lost) in cases.items()}
    assert not scale.flushed(np.zeros((3, 0), dtype), (1,)).any()
