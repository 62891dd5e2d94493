from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.core import checks


@pytest.mark.parametrize("value", [3, np.int32(3), jnp.int32(3)])
def test_whole_numbers(value):
    assert checks.count("steps", value) == 3


@pytest.mark.parametrize(
    ("value", "options", "error", "text"),
    [
        (0, {}, ValueError, "steps is 0: take a whole number at least 1"),
        (5, {"most": 4}, ValueError, "steps is 5: take a whole number from 1 to 4"),
        (8.0, {}, TypeError, "steps is 8.0: take a whole number at least 1"),
        ("a", {}, TypeError, "steps is 'a': take a whole number at least 1"),
        (True, {}, TypeError, "steps is True: take"),
        (np.ones((100, 100)), {}, TypeError, "steps is a ndarray: take"),
    ],
)
def test_counts_are_refused(value, options, error, text):
    with pytest.raises(error, match=text):
        checks.count("steps", value, **options)


@pytest.mark.parametrize(
    ("check", "value", "text"),
    [
        (checks.positive, 0.0, "rate is 0.0: take a positive number"),
        (checks.positive, [1.0, -2.0], "rate holds -2.0: take positive numbers"),
        (checks.positive, np.nan, "rate is nan: take a positive number"),
        (checks.nonnegative, -1, "rate is -1: take a number of 0 or more"),
        (partial(checks.within, low=0, high=1), [0.5, 2], "rate holds 2.0: take numbers from 0 to 1"),
    ],
)
def test_ranges_are_refused(check, value, text):
    with pytest.raises(ValueError, match=text):
        check("rate", value)


def test_ranges_are_allowed():
    checks.positive("rate", [1, 2])
    checks.nonnegative("rate", 0)
    checks.within("rate", jnp.ones(3), 0, 1)


def test_traced_values_are_not_looked_at():
    @jax.jit
    def double(x):
        checks.positive("x", x)
        return 2 * x

    assert float(double(-1.0)) == -2.0


@pytest.mark.parametrize("check", [checks.positive, checks.nonnegative])
def test_what_is_no_number_is_refused(check):
    with pytest.raises(TypeError, match=r"rate is 'a' \(str\): take an array of numbers"):
        check("rate", "a")
    with pytest.raises(TypeError, match="rate is complex"):
        check("rate", 1j)


@pytest.mark.parametrize(
    "check", [checks.positive, checks.nonnegative, partial(checks.within, low=0, high=9)]
)
def test_one_number_is_one(check):
    for value in (2, np.array(2.0), jnp.float32(2), True):
        check("rate", value, one=True)
    for several in ([1.0, 2.0], np.ones((2, 1))):
        with pytest.raises(ValueError, match=r"rate has the shape \(2.*\): take one number"):
            check("rate", several, one=True)
    with pytest.raises(ValueError, match=r"rate has the shape \(2,\): take one number"):
        jax.jit(lambda rate: check("rate", rate, one=True))(jnp.ones(2))


IMAGE, SIGNAL = ("height", "width"), ("length",)


@pytest.mark.parametrize("value", [(3, 4), [3, 4], np.array([3, 4]), (np.int64(3), jnp.int32(4))])
def test_sizes(value):
    found = checks.sizes("shape", value, IMAGE)
    assert found == (3, 4)
    assert all(type(one) is int for one in found)
    assert checks.sizes("shape", value, IMAGE, SIGNAL, square=True) == (3, 4)


def test_sizes_of_squares_and_signals():
    for value in (3, np.int64(3), np.array(3)):
        assert checks.sizes("patch_size", value, IMAGE, square=True) == (3, 3)
    assert checks.sizes("patch_size", (3,), IMAGE, SIGNAL, square=True) == (3,)


@pytest.mark.parametrize(
    ("value", "options", "error", "text"),
    [
        (8, {}, TypeError, r"^shape is 8: take \(height, width\)$"),
        (8.0, {"square": True}, TypeError, r"^shape is 8\.0: take a whole number at least 1$"),
        ("a", {"square": True}, TypeError, r"^shape is 'a': take \(.*\), or one number for a square$"),
        (None, {}, TypeError, r"^shape is None: take \(height, width\)$"),
        ("ab", {}, TypeError, r"^shape is 'ab': take \(height, width\)$"),
        ((8, 5.0), {}, TypeError, r"^shape is 5\.0: take a whole number at least 1$"),
        ((8, 0), {}, ValueError, r"^shape is 0: take a whole number at least 1$"),
        ((8, 8, 3), {}, ValueError, r"^shape is \(8, 8, 3\): take \(height, width\)$"),
        ((), {}, ValueError, r"^shape is \(\): take \(height, width\)$"),
        (-1, {"square": True}, ValueError, r"^shape is -1: take a whole number at least 1$"),
    ],
)
def test_sizes_are_refused(value, options, error, text):
    with pytest.raises(error, match=text):
        checks.sizes("shape", value, IMAGE, **options)
    with pytest.raises(ValueError, match=r"shape is \(1, 2, 3\): take \(height, width\) or \(length,\)$"):
        checks.sizes("shape", (1, 2, 3), IMAGE, SIGNAL)


def test_counts_of_each():
    assert checks.counts("atoms", np.array([3, 4]), each="layer") == (3, 4)
    assert checks.counts("atoms", (), each="layer") == ()
    for wrong in (3, None, "34", {3: 4}):
        with pytest.raises(TypeError, match=r"atoms is .*: take a whole number for each layer"):
            checks.counts("atoms", wrong, each="layer")
    with pytest.raises(TypeError, match=r"atoms is 4\.0: take a whole number at least 1"):
        checks.counts("atoms", (3, 4.0), each="layer")


def test_words():
    checks.one_of("boundary", "zero", ("periodic", "zero"))
    with pytest.raises(ValueError, match="boundary is 'circular': take 'periodic', 'zero' or 'reflect'"):
        checks.one_of("boundary", "circular", ("periodic", "zero", "reflect"))
    with pytest.raises(ValueError, match="boundary is 3: take 'zero'"):
        checks.one_of("boundary", 3, ("zero",))


def test_flags():
    assert checks.flag("nonnegative", np.True_) is True
    for wrong in ("no", 1, None):
        with pytest.raises(TypeError, match=r"nonnegative is .*: take True or False"):
            checks.flag("nonnegative", wrong)


def test_random_keys():
    checks.random_key("key", jax.random.key(0))
    checks.random_key("key", jax.random.PRNGKey(0))
    for wrong in (0, jax.random.split(jax.random.key(0)), None, np.ones(2)):
        with pytest.raises(TypeError, match=r"key is .*: take one random key"):
            checks.random_key("key", wrong)


def test_instances():
    checks.instance("bank", 3, int, "a bank, from filter_bank")
    with pytest.raises(TypeError, match=r"^bank is a list: take a bank, from filter_bank$"):
        checks.instance("bank", [], int, "a bank, from filter_bank")


def test_axes():
    checks.axes("signals", np.ones((2, 3, 4)), "...", "features", sizes=(4,))
    checks.axes("dictionary", np.ones((3, 4)), "atoms", "features")
    with pytest.raises(
        ValueError, match=r"signals has the shape \(2, 3\): take \(..., 4\) for \(..., features\)"
    ):
        checks.axes("signals", np.ones((2, 3)), "...", "features", sizes=(4,))
    with pytest.raises(ValueError, match=r"dictionary has the shape \(3,\): take \(atoms, 4\)"):
        checks.axes("dictionary", np.ones(3), "atoms", "features", sizes=(None, 4))
    checks.axes("penalty", 2.0)
    with pytest.raises(ValueError, match=r"penalty has the shape \(2,\): take one number"):
        checks.axes("penalty", np.ones(2))
