"""The loop of all learners: exact resumption, minibatches, pytrees of examples, numbers of compilations."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.core.records import record
from jaxtheory.sparse import convolutional, dictionary_learning, learning
from jaxtheory.sparse.learning import Learner, bind


@record
class Line:
    """The coefficients of a line, and the number of steps taken."""

    slope: jax.Array
    offset: jax.Array
    step: jax.Array


def begin(start):
    return Line(jnp.float32(start), jnp.float32(0), jnp.int32(0))


TRACES = []


def descend(state, batch, *, rate, momentum, order):
    """A step of least squares on (x, y); it notes each time that it is traced."""
    TRACES.append(order)
    x, y = batch
    left = y - state.slope * x**order - state.offset
    slope = state.slope + rate * jnp.mean(left * x**order)
    offset = state.offset + rate * jnp.mean(left) * momentum
    return Line(slope, offset, state.step + 1), {"error": jnp.mean(left**2)}


def line(rate=0.1, momentum=1.0, order=1):
    return Learner(bind(begin), bind(descend, static={"order": order}, rate=rate, momentum=momentum))


@pytest.fixture
def data(rng):
    x = np.float32(rng.standard_normal(50))
    return x, 3 * x - 1


@pytest.mark.parametrize("batch", [None, 7])
def test_ten_steps_are_four_and_then_six(batch, data):
    learner, key = line(), jax.random.key(3)
    start = learner.init(0.0)
    whole, metrics = learning.run(learner, start, data, key, steps=10, batch=batch)
    half, first = learning.run(learner, start, data, key, steps=4, batch=batch)
    rest, last = learning.run(learner, half, data, key, steps=6, batch=batch)
    assert half.step == 4
    assert rest.step == whole.step == 10
    assert metrics["error"].shape == (10,)
    np.testing.assert_array_equal(rest.slope, whole.slope)
    np.testing.assert_array_equal(np.concatenate([first["error"], last["error"]]), metrics["error"])


def test_steps_are_those_taken_one_by_one(data):
    learner, key = line(), jax.random.key(3)
    x, y = data
    state, errors = learner.init(0.5), []
    for t in range(5):
        chosen = jax.random.randint(jax.random.fold_in(key, t), (8,), 0, 50, jnp.int32)
        state, metrics = learner.step(state, (x[chosen], y[chosen]))
        errors.append(metrics["error"])
    found, metrics = learning.run(learner, learner.init(0.5), data, key, steps=5, batch=8)
    np.testing.assert_allclose(found.slope, state.slope, rtol=1e-6)
    np.testing.assert_allclose(metrics["error"], errors, rtol=1e-6)
    other, _ = learning.run(learner, learner.init(0.5), data, jax.random.key(4), steps=5, batch=8)
    assert abs(other.slope - found.slope) > 1e-4


def test_all_examples_come_to_the_least_squares(data):
    state, _ = learning.run(line(0.5), line().init(0.0), data, steps=100)
    np.testing.assert_allclose([state.slope, state.offset], [3, -1], atol=1e-4)


def test_numbers_are_traced_and_options_compiled(data):
    def go(**options):
        learner = line(**options)
        return learning.run(learner, learner.init(0.0), data, steps=3)[0].slope

    first = go(rate=0.125)
    before = len(TRACES)
    assert go(rate=0.25) != first
    assert go(rate=0.5, momentum=0.0) != first
    assert len(TRACES) == before
    go(order=2)
    assert len(TRACES) > before
    before = len(TRACES)
    go(order=2, rate=0.3)
    assert len(TRACES) == before


def test_a_learner_goes_through_transformations(data):
    def slope(learner):
        return learning.run(learner, learner.init(0.0), data, steps=3)[0].slope

    rates = jnp.array([0.1, 0.2])
    mapped = jax.vmap(lambda rate: slope(line(rate)))(rates)
    np.testing.assert_allclose(mapped, [slope(line(float(rate))) for rate in rates], rtol=1e-6)
    np.testing.assert_allclose(jax.jit(slope)(line(0.2)), mapped[1], rtol=1e-6)
    keys = jax.random.split(jax.random.key(0), 2)
    learner = line()
    seeds = jax.vmap(lambda key: learning.run(learner, learner.init(0.0), data, key, steps=3, batch=4)[0])(
        keys
    )
    assert seeds.step.tolist() == [3, 3]
    assert seeds.slope[0] != seeds.slope[1]


def test_plain_functions_make_a_learner_too(data):
    learner = Learner(begin, lambda state, batch: descend(state, batch, rate=0.1, momentum=1.0, order=1))
    found, _ = learning.run(learner, learner.init(0.0), data, steps=3)
    same, _ = learning.run(line(), line().init(0.0), data, steps=3)
    np.testing.assert_allclose(found.slope, same.slope, rtol=1e-6)


def test_forms_of_data(data):
    x, y = data
    learner = line()
    expected = learning.run(learner, learner.init(0.0), data, steps=2)[0].slope
    for form in ({0: x.astype(">f4"), 1: y}, {0: memoryview(x), 1: jnp.asarray(y)}):
        found = learning.run(learner, learner.init(0.0), tuple(form.values()), steps=2)[0].slope
        np.testing.assert_array_equal(found, expected)
    taking = Learner(
        begin, lambda state, batch: (Line(state.slope + batch.sum(), state.offset, state.step + 1), {})
    )
    rows, _ = learning.run(taking, begin(0.0), [[1, 2], [3, 4]], steps=2)
    assert rows.slope == 20


@pytest.mark.parametrize("batch", [None, 7])
def test_a_state_keeps_its_dtypes(batch, data, x64):
    learner, key = line(), jax.random.key(3)
    wide = tuple(np.float64(one) for one in data)
    states = {
        name: learning.run(learner, Line(*start, jnp.int32(0)), wide, key, steps=5, batch=batch)[0]
        for name, start in {"single": jnp.zeros(2, jnp.float32), "double": jnp.zeros(2)}.items()
    }
    assert states["single"].slope.dtype == states["single"].offset.dtype == jnp.float32
    assert states["double"].slope.dtype == jnp.float64
    assert states["single"].step.dtype == jnp.int32
    np.testing.assert_allclose(states["single"].slope, states["double"].slope, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, jnp.bfloat16])
def test_the_learners_of_dictionaries_keep_theirs(dtype, rng, x64):
    signals = (3 * rng.standard_normal((12, 4))).astype(dtype)
    cases = [
        (dictionary_learning.online(0.1), np.float32(signals[:3]), signals),
        (convolutional.learner(0.1), np.float32(rng.standard_normal((3, 1, 2))), signals.reshape(3, 16, 1)),
    ]
    for learner, start, data in cases:
        state = learner.init(start)
        after, _ = jax.eval_shape(partial(learning.run, learner, steps=2), state, data)
        dtypes = [leaf.dtype for leaf in jax.tree.leaves(after)]
        assert dtypes == [leaf.dtype for leaf in jax.tree.leaves(state)]
        assert set(dtypes) == {jnp.dtype("float32"), jnp.dtype("int32")}


def test_a_state_of_another_structure_is_named(data):
    wrong = Learner(begin, lambda state, _: ((state, state), {}))
    with pytest.raises(TypeError, match="carry output must have the same pytree structure"):
        learning.run(wrong, begin(0.0), data, steps=1)


BAD = {
    "steps": ({"steps": 0}, ValueError, "steps is 0: take a whole number at least 1"),
    "half a step": ({"steps": 1.5}, TypeError, "steps is 1.5: take a whole number at least 1"),
    "batch": ({"batch": 7}, ValueError, "batch is 7: take a whole number from 1 to 6"),
    "no key": ({"batch": 2, "key": None}, TypeError, "key is None: take one random key"),
    "an idle key": ({"key": 7}, TypeError, "key is 7: take one random key"),
    "two lengths": (
        {"data": (np.ones(6), np.ones(5))},
        ValueError,
        "data has arrays of shape (6,), (5,): take first axes of one length, at least 1",
    ),
    "empty": ({"data": np.ones((0, 3))}, ValueError, "data has arrays of shape (0, 3): take"),
    "nothing": ({"data": ()}, ValueError, "data has arrays of shape (0,): take first axes"),
    "words": ({"data": ["a", "b"]}, TypeError, "data is 'a' (str): take an array of numbers"),
    "state": ({"state": np.ones(3)}, TypeError, "state is a ndarray: take what the learner's init returned"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    change, error, message = BAD[name]
    arguments = {"state": begin(0.0), "data": np.ones(6), "key": jax.random.key(0), "steps": 1} | change
    with pytest.raises(error, match=re.escape(message)):
        learning.run(line(), arguments.pop("state"), arguments.pop("data"), arguments.pop("key"), **arguments)
