import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record

HALF = (jnp.bfloat16, jnp.float16)


@record
class Weights:
    matrix: jax.Array
    bias: jax.Array


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_computed_in_float32_and_given_back(dtype):
    (x, y), back = real_arrays(x=jnp.ones(3, dtype), y=np.ones(3, dtype))
    assert x.dtype == y.dtype == jnp.float32
    result = back({"sum": x + y, "steps": jnp.int32(3)})
    assert (result["sum"].dtype, result["steps"].dtype) == (dtype, jnp.int32)


def test_half_beside_single_is_single():
    (x, y), back = real_arrays(x=jnp.ones(3, jnp.bfloat16), y=jnp.ones(3, jnp.float32))
    assert x.dtype == y.dtype == back(x).dtype == jnp.float32


@pytest.mark.parametrize("value", [np.arange(3), [[1, 2]], 3, np.int8(4), np.array([True])])
def test_integers_become_the_default_float(value):
    (x,), back = real_arrays(x=value)
    assert x.dtype == back(x).dtype == jnp.float32


def test_integers_and_numbers_follow_the_floats():
    (x, size), _ = real_arrays(x=jnp.ones(3, jnp.bfloat16), size=np.float64(0.5))
    assert (x.dtype, size.dtype) == (jnp.float32, jnp.float32)
    _, back = real_arrays(x=jnp.ones(3, jnp.bfloat16), number=np.arange(3), penalty=0.5)
    assert back(jnp.ones(2)).dtype == jnp.bfloat16


def test_double_precision_where_it_is_on(x64):
    (x, y), back = real_arrays(x=np.ones(2), y=jnp.ones(2, jnp.float32))
    assert x.dtype == y.dtype == back(x).dtype == jnp.float64
    (x,), _ = real_arrays(x=np.arange(2))
    assert x.dtype == jnp.float64


def test_double_precision_where_it_is_off():
    (x,), back = real_arrays(x=np.ones(2))
    assert x.dtype == back(x).dtype == jnp.float32


def test_records_and_none():
    weights = Weights(jnp.ones((2, 2), jnp.bfloat16), np.zeros(2, np.float32))
    (weights, nothing), _ = real_arrays(weights=weights, mask=None)
    assert nothing is None
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {jnp.dtype("float32")}


def test_foreign_byte_order():
    big = np.arange(3, dtype=">f4")
    assert as_array("x", big).dtype.isnative
    (x,), _ = real_arrays(x=big)
    np.testing.assert_array_equal(x, [0, 1, 2])


class Tensor:
    """What another library's tensor offers NumPy."""

    def __array__(self, dtype=None, copy=None):
        return np.arange(3, dtype=dtype or np.float32)


def test_what_numpy_converts_is_taken():
    (x,), _ = real_arrays(x=Tensor())
    np.testing.assert_array_equal(x, [0, 1, 2])
    (y,), _ = real_arrays(y=np.ones(2, ml_dtypes.bfloat16))
    assert y.dtype == jnp.float32


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", r"x is 'a' \(str\): take an array of numbers"),
        ([[1], [2, 3]], r"x is \[\[1\], \[2, 3\]\] \(list\): take an array of numbers"),
        (object(), "x is a object: take an array of numbers|x is <object"),
        ({"a": 1}, r"x is \{'a': 1\} \(dict\): take an array of numbers"),
        ([list(range(200)), [1]], "x is a list: take an array of numbers"),
    ],
)
def test_the_rest_is_refused_in_a_line(value, text):
    with pytest.raises(TypeError, match=text):
        real_arrays(x=value)


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match=r"x is complex \(complex64\): take real numbers"):
        real_arrays(x=jnp.ones(2, jnp.complex64))
    with pytest.raises(TypeError, match="x is complex"):
        jax.jit(lambda x: real_arrays(x=x)[0])(jnp.ones(2, jnp.complex64))
