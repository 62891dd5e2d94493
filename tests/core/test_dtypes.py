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
    (weights, nothing), _ = real_arrays(optional=("mask",), weights=weights, mask=None)
    assert nothing is None
    with pytest.raises(TypeError, match=r"mask is None \(NoneType\): take an array of numbers"):
        real_arrays(weights=weights, mask=None)
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


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize(
    "number",
    [
        [1.0, 2.0],
        ((1, 2.0),),
        [np.float64(1), 2.0],
        np.array(1.0),
        np.float64(1.0),
        1.0,
        True,
        jnp.full(2, 0.5),
    ],
    ids=repr,
)
def test_numbers_do_not_decide(number, dtype, x64):
    (x, y), back = real_arrays(x=jnp.ones(2, dtype), y=number)
    assert x.dtype == y.dtype == jnp.float32
    assert back(x * y).dtype == dtype
    (y,), back = real_arrays(y=number)
    assert y.dtype == back(y).dtype == jnp.float64


def test_a_traced_number_decides_as_little_as_a_known_one():
    def scaled(x, factor):
        (x, factor), back = real_arrays(x=x, factor=factor)
        return back(factor * x)

    x = jnp.ones(2, jnp.bfloat16)
    assert jax.jit(scaled)(x, 0.5).dtype == scaled(x, 0.5).dtype == jnp.bfloat16


def test_numbers_of_a_record_do_not_decide():
    (weights, x), back = real_arrays(weights=Weights(jnp.ones(2, jnp.float16), 0.5), x=[1, 2])
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {jnp.dtype("float32")}
    assert back(x).dtype == jnp.float16


def test_results_widened_by_a_constant_come_back(x64):
    (x,), back = real_arrays(x=np.ones(2, np.float32))
    assert back(x * np.float64(2)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.ones(2, np.longdouble), "x is of dtype float128: take bfloat16, float16, float32 or float64"),
        (np.longdouble(1), "x is of dtype float128: take bfloat16"),
        (jnp.ones(2, jnp.float8_e5m2), "x is of dtype float8_e5m2: take bfloat16"),
        (np.ones(2, ml_dtypes.float8_e4m3fn), "x is of dtype float8_e4m3fn: take bfloat16"),
        (np.ones(2, np.clongdouble), "x is of dtype complex256: take complex64 or complex128"),
        (jax.random.key(0), "x is a random key: take an array of numbers"),
        (jax.random.split(jax.random.key(0), 3), "x is a random key: take an array of numbers"),
    ],
    ids=lambda value: getattr(value, "dtype", None) and str(value.dtype),
)
def test_dtypes_that_are_not_computed_in_are_refused(value, text):
    for convert in (real_arrays, as_array):
        with pytest.raises(TypeError, match=f"^{text}"):
            convert(x=value) if convert is real_arrays else convert("x", value)


def test_small_integers_are_integers():
    (x,), _ = real_arrays(x=np.ones(2, ml_dtypes.int4))
    assert x.dtype == jnp.float32


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
