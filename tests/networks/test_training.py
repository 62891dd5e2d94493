"""Training: steps written out in NumPy, segments and seeds, eight devices, and a training that is killed."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from jaxtheory import networks
from jaxtheory.lab import Lab
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

SGD = optax.sgd(0.1, momentum=0.9)
ADAM = optax.adam(0.01)


class Noisy(nnx.Module):
    """A layer, batch statistics, dropout and a layer."""

    def __init__(self, rngs):
        # A bias before batch statistics has no gradient but rounding errors, which Adam makes steps of.
        self.first = nnx.Linear(3, 8, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(8, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.last = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(jnp.tanh(self.norm(self.first(x)))))


NOISY = networks.functional(Noisy)
NOISY_OBJECTIVE = training.objective(NOISY.apply, training.cross_entropy, accuracy=training.accuracy)
OPTIONS = {"objective": NOISY_OBJECTIVE, "optimizer": ADAM, "batch": 5, "gradient_norm": True}


def seen(params, state, batch, key):
    """Records the examples and the noise; the parameters move by one each step."""
    return jnp.sum(params), (state, {"batch": batch, "noise": jax.random.normal(key)})


def half_square(params, batch):
    return jnp.mean((params - batch) ** 2) / 2


@pytest.fixture
def data(rng):
    """24 points of two classes."""
    return np.float32(rng.standard_normal((24, 3))), rng.integers(0, 2, 24)


def noisy_start(seed=0, optimizer=ADAM):
    params, state = NOISY.init(jax.random.key(seed))
    return training.init(params, jax.random.key(seed + 100), optimizer=optimizer, state=state)


def recorder(key=None, optimizer=SGD):
    return training.init(jnp.zeros(()), jax.random.key(0) if key is None else key, optimizer=optimizer)


def assert_same(one, other):
    """Bit by bit."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)):
        np.testing.assert_array_equal(a, b)


def assert_close(one, other, rtol=1e-5, atol=1e-6):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def gradient_by_hand(weights, x, y):
    """Loss, accuracy and gradient of W1, b1, W2, b2: softmax cross entropy on a hidden layer of tanh."""
    W1, b1, W2, b2 = weights
    hidden = np.tanh(x @ W1 + b1)
    logits = hidden @ W2 + b2
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss = -np.mean(np.log(probabilities[np.arange(len(y)), y]))
    error = (probabilities - np.eye(logits.shape[1])[y]) / len(y)
    back = error @ W2.T * (1 - hidden**2)
    return loss, np.mean(logits.argmax(1) == y), [x.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]


def sgd_by_hand(_, moment, gradient):
    moment = 0.9 * moment + gradient
    return -0.1 * moment, moment


def adam_by_hand(count, moments, gradient):
    first, second = moments if np.ndim(moments) else (0.0, 0.0)
    first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
    corrected = first / (1 - 0.9**count), second / (1 - 0.999**count)
    return -0.01 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8), np.stack([first, second])


@pytest.mark.parametrize(("optimizer", "by_hand"), [(SGD, sgd_by_hand), (ADAM, adam_by_hand)])
def test_steps_written_out(optimizer, by_hand, rng, x64):
    network = networks.functional(partial(MLP, (3, 5, 4), activation="tanh", bias_variance=0.1))
    objective = training.objective(network.apply, training.cross_entropy, accuracy=training.accuracy)
    params, state = network.init(jax.random.key(0))
    now = training.init(params, jax.random.key(1), optimizer=optimizer, state=state)
    weights = [np.asarray(params["layers"][i][name]) for i in "01" for name in ("kernel", "bias")]
    memory = [0.0] * 4
    for count in range(1, 4):
        x, y = rng.standard_normal((7, 3)), rng.integers(0, 4, 7)
        now, metrics = training.step(
            now, (x, y), objective=objective, optimizer=optimizer, gradient_norm=True
        )
        loss, accuracy, gradient = gradient_by_hand(weights, x, y)
        norm = np.sqrt(sum(np.sum(part**2) for part in gradient))
        assert_close(metrics, {"loss": loss, "accuracy": accuracy, "gradient_norm": norm}, rtol=1e-10, atol=0)
        moves, memory = zip(*(by_hand(count, kept, part) for kept, part in zip(memory, gradient)))
        weights = [one + move for one, move in zip(weights, moves)]
        found = [now.params["layers"][i][name] for i in "01" for name in ("kernel", "bias")]
        assert_close(found, weights, rtol=1e-9, atol=1e-12)
        assert now.step == count
        assert now.params["layers"]["0"]["kernel"].dtype == np.float64


@pytest.mark.beyond
def test_a_run_is_a_loop_of_steps(data):
    """Batches and noise are drawn as the documentation says."""
    x, y = data
    for batch in (None, 5):
        now = start = noisy_start()
        of_order, _ = jax.random.split(jax.random.key(100))
        expected = []
        for number in range(12):
            chosen = np.arange(24)
            if batch:
                epoch, place = divmod(number, 24 // batch)
                chosen = jax.random.permutation(jax.random.fold_in(of_order, epoch), 24)
                chosen = chosen[place * batch : (place + 1) * batch]
            now, metrics = training.step(
                now, (x[chosen], y[chosen]), objective=NOISY_OBJECTIVE, optimizer=ADAM, gradient_norm=True
            )
            expected.append(metrics)
        end, metrics = training.run(start, data, steps=12, **OPTIONS | {"batch": batch})
        assert metrics.keys() == {"loss", "accuracy", "gradient_norm"}
        assert_close(end, now, rtol=1e-4)
        assert_close(metrics, jax.tree.map(lambda *parts: np.stack(parts), *expected), rtol=1e-4)


def test_noise_is_the_second_key_with_the_step_folded_in():
    _, metrics = training.run(recorder(), np.zeros(4), objective=seen, optimizer=SGD, steps=5)
    _, of_noise = jax.random.split(jax.random.key(0))
    noise = [jax.random.normal(jax.random.fold_in(of_noise, number)) for number in range(5)]
    np.testing.assert_array_equal(metrics["noise"], noise)
    assert len(np.unique(noise)) == 5


@pytest.mark.parametrize("lengths", [(1,) * 12, (5, 1, 6)])
def test_segments_of_any_lengths_are_one_run(lengths, data):
    """Four batches an epoch: segments begin and end in the midst of epochs."""
    end, whole = training.run(noisy_start(), data, steps=12, **OPTIONS)
    now, parts = noisy_start(), []
    for length in lengths:
        now, metrics = training.run(now, data, steps=length, **OPTIONS)
        parts.append(metrics)
    assert_same(now, end)
    assert_same(jax.tree.map(lambda *pieces: np.concatenate(pieces), *parts), whole)


def test_seeds_side_by_side_are_each_alone(data):
    params, states = jax.vmap(NOISY.init)(jax.vmap(jax.random.key)(jnp.arange(3)))
    keys = jax.vmap(jax.random.key)(jnp.arange(100, 103))
    starts = jax.vmap(lambda params, key, state: training.init(params, key, optimizer=ADAM, state=state))(
        params, keys, states
    )
    together = jax.vmap(lambda start: training.run(start, data, steps=12, **OPTIONS))(starts)
    assert together[1]["loss"].shape == (3, 12)
    for seed in range(3):
        alone = training.run(noisy_start(seed), data, steps=12, **OPTIONS)
        assert_close(jax.tree.map(lambda leaf, seed=seed: leaf[seed], together), alone, rtol=1e-4)


@pytest.mark.beyond
@pytest.mark.parametrize(("n", "batch"), [(12, 3), (10, 3), (5, 5), (7, 1)])
def test_an_epoch_shows_each_example_once(n, batch):
    run = partial(training.run, data=np.arange(n), objective=seen, optimizer=SGD, batch=batch)
    per_epoch = n // batch
    end, metrics = run(recorder(), steps=6 * per_epoch)
    assert end.step == 6 * per_epoch
    epochs = np.reshape(metrics["batch"], (6, per_epoch * batch))
    for epoch in epochs:
        assert len(np.unique(epoch)) == per_epoch * batch
    assert len(np.unique(epochs, axis=0)) == 6
    # The examples that sit out change from one epoch to the next.
    assert np.array_equal(np.unique(epochs), np.arange(n))


def test_the_batch_is_a_function_of_key_and_step():
    run = partial(training.run, data=np.arange(20), objective=seen, optimizer=SGD, steps=6, batch=6)
    batches = run(recorder())[1]["batch"]
    assert_same(run(recorder())[1]["batch"], batches)
    assert_same(run(recorder(jax.random.PRNGKey(0)))[1]["batch"], batches)
    later = run(replace(recorder(), step=jnp.int32(4)))[1]["batch"]
    assert_same(later[:2], batches[4:])
    assert not np.array_equal(run(recorder(jax.random.key(1)))[1]["batch"], batches)
    other = jax.random.key(0, impl="rbg")
    assert recorder(other).implementation == "rbg"
    expected = jax.random.permutation(jax.random.fold_in(jax.random.split(other)[0], 0), 20)[:6]
    assert_same(run(recorder(other))[1]["batch"][0], expected)


def test_without_a_batch_size_all_examples_in_their_own_order():
    _, metrics = training.run(recorder(), np.arange(9), objective=seen, optimizer=SGD, steps=2)
    np.testing.assert_array_equal(metrics["batch"], [np.arange(9)] * 2)


def test_the_state_is_carried(data):
    """Batch statistics are the running means of what each step saw, at its parameters."""
    x, y = data
    start = noisy_start(optimizer=SGD)
    now, mean, var = start, np.zeros(8), np.ones(8)
    for _ in range(3):
        hidden = x @ np.asarray(now.params["first"]["kernel"])
        mean, var = 0.9 * mean + 0.1 * hidden.mean(0), 0.9 * var + 0.1 * hidden.var(0)
        now, _ = training.step(now, (x, y), objective=NOISY_OBJECTIVE, optimizer=SGD)
    end, _ = training.run(start, data, objective=NOISY_OBJECTIVE, optimizer=SGD, steps=3)
    for one in (now, end):
        np.testing.assert_allclose(one.state["norm"]["mean"], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one.state["norm"]["var"], var, rtol=1e-4)


def test_accumulated_gradients_are_those_of_a_larger_batch(rng):
    """Four batches of 5 with optax's MultiSteps are one of 20."""
    numbers = np.float32(rng.standard_normal(40))
    few, fours = optax.sgd(0.3), optax.MultiSteps(optax.sgd(0.3), 4).gradient_transformation()
    run = partial(training.run, data=numbers, objective=training.stateless(half_square))
    large, _ = run(recorder(optimizer=few), optimizer=few, steps=6, batch=20)
    small, _ = run(recorder(optimizer=fours), optimizer=fours, steps=24, batch=5)
    np.testing.assert_allclose(small.params, large.params, rtol=1e-5)


def test_half_precision_keeps_its_dtype_and_accumulates_in_single():
    x = jnp.arange(257 * 4).reshape(257, 4).astype(jnp.bfloat16) / 1028
    y = np.arange(257) % 2
    network = networks.functional(partial(MLP, (4, 6, 2), dtype=jnp.bfloat16))
    objective = training.objective(network.apply, training.cross_entropy, accuracy=training.accuracy)
    params, state = network.init(jax.random.key(0))
    start = training.init(params, jax.random.key(1), optimizer=ADAM, state=state)
    end, metrics = training.run(
        start, (x, y), objective=objective, optimizer=ADAM, steps=3, batch=64, gradient_norm=True
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(end.params)} == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in metrics.values()} == {jnp.dtype(jnp.float32)}
    # 257 rounds to 256 in bfloat16.
    plain = training.init(jnp.zeros(257, jnp.bfloat16), jax.random.key(0), optimizer=SGD)
    _, metrics = training.step(
        plain, None, objective=training.stateless(lambda p, _: p.sum()), optimizer=SGD, gradient_norm=True
    )
    np.testing.assert_allclose(metrics["gradient_norm"], np.sqrt(257), rtol=1e-6)


def test_line_searches_get_the_function(rng):
    """L-BFGS solves least squares of condition 100; gradient descent does not by far, with the best step."""
    A, b = rng.standard_normal((30, 6)) * 100.0 ** (np.arange(6) / 5 - 1), np.ones(30)
    objective = training.stateless(lambda params, batch: jnp.sum((batch[0] @ params - batch[1]) ** 2) / 2)
    best = np.sum((A @ np.linalg.lstsq(A, b)[0] - b) ** 2) / 2
    eigenvalues = np.linalg.eigvalsh(A.T @ A)
    excess = []
    for optimizer in (optax.lbfgs(), optax.sgd(2 / (eigenvalues[0] + eigenvalues[-1]))):
        start = training.init(jnp.zeros(6), jax.random.key(0), optimizer=optimizer)
        data = np.float32(A), np.float32(b)
        _, metrics = training.run(start, data, objective=objective, optimizer=optimizer, steps=50)
        excess.append(metrics["loss"][-1] - best)
    assert excess[0] < 1e-4 * best
    assert excess[1] > 1e-3 * best


def test_derivatives_through_a_run_in_both_modes():
    """Gradient descent on (p - c)^2 / 2 ends at c + (1 - r)^k (p - c)."""
    descent = optax.sgd(0.25)

    def end(params, center):
        start = training.init(params, jax.random.key(0), optimizer=descent)
        objective = training.stateless(half_square)
        return training.run(start, center[None], objective=objective, optimizer=descent, steps=6)[0].params

    args = (jnp.float32(3), jnp.float32(1))
    left = 0.75**6
    np.testing.assert_allclose(end(*args), 1 + 2 * left, rtol=1e-6)
    for derivative in (jax.grad, jax.jacfwd):
        slopes = derivative(end, argnums=(0, 1))(*args)
        np.testing.assert_allclose(slopes, (left, 1 - left), rtol=1e-5)


def test_equal_calls_are_compiled_once(data):
    traced = []

    def counted(params, state, batch, key):
        traced.append(1)
        return jnp.sum(params**2), (state, {})

    run = partial(training.run, data=data, objective=counted, optimizer=ADAM, steps=3, batch=5)
    now, _ = run(training.init(jnp.ones(3), jax.random.key(0), optimizer=ADAM))
    after_the_first = len(traced)
    for _ in range(3):
        now, _ = run(now)
    assert now.step == 12
    assert after_the_first == len(traced) >= 1


def test_a_donated_state_is_updated_in_place(data):
    run = partial(training.run, data=data, steps=12, **OPTIONS)
    start = noisy_start()
    end = jax.jit(run, donate_argnums=0)(start)
    assert_close(end, run(noisy_start()))
    large = [leaf for leaf in jax.tree.leaves(start) if leaf.size > 1 and leaf.dtype == np.float32]
    assert len(large) == 3 * 5 + 2
    assert all(leaf.is_deleted() for leaf in large)


def test_export_and_back(data):
    named_tuples = {
        type(node)
        for node in jax.tree.leaves(ADAM.init(0.0), is_leaf=lambda node: hasattr(node, "_fields"))
        if hasattr(node, "_fields")
    }
    assert len(named_tuples) == 2
    for one in named_tuples:
        jax.export.register_namedtuple_serialization(one, serialized_name=f"tests.{one.__name__}")
    run = partial(training.run, steps=12, **OPTIONS)
    text = jax.export.export(jax.jit(run))(noisy_start(), data).serialize()
    end, metrics = jax.export.deserialize(text).call(noisy_start(), data)
    assert isinstance(end, training.TrainingState)
    assert end.implementation == "threefry2x32"
    assert_close((end, metrics), run(noisy_start(), data))


def averaged(params, state, batch, key):
    """The noisy network's objective, averaged over devices; batch statistics are those of all devices."""
    loss, (state, metrics) = NOISY_OBJECTIVE(params, state, batch, key)
    return jax.lax.pmean((loss, (state, metrics)), "data")


@pytest.fixture
def eight():
    assert jax.device_count() == 8
    return Mesh(np.array(jax.devices()), ("data",))


def over_devices(mesh, objective, **options):
    return jax.jit(
        jax.shard_map(
            partial(training.run, objective=objective, **options),
            mesh=mesh,
            in_specs=(PartitionSpec(), PartitionSpec("data")),
            out_specs=PartitionSpec(),
        )
    )


@pytest.mark.beyond
def test_eight_devices_are_one(eight, rng):
    network = networks.functional(partial(MLP, (3, 16, 2)))
    plain = training.objective(network.apply, training.cross_entropy, accuracy=training.accuracy)

    def objective(*args):
        return jax.lax.pmean(plain(*args), "data")

    x, y = np.float32(rng.standard_normal((64, 3))), rng.integers(0, 2, 64)
    params, state = network.init(jax.random.key(0))
    start = training.init(params, jax.random.key(1), optimizer=ADAM, state=state)
    options = {"optimizer": ADAM, "steps": 10, "gradient_norm": True}
    program = over_devices(eight, objective, **options)
    assert_close(program(start, (x, y)), training.run(start, (x, y), objective=plain, **options), rtol=1e-4)
    assert "all-gather" not in program.lower(start, (x, y)).compile().as_text()

    # Minibatches of 3 a device are those of 24 which they make up together.
    found = over_devices(eight, objective, batch=3, **options)(start, (x, y))
    now, expected = start, []
    for number in range(10):
        order = jax.random.permutation(
            jax.random.fold_in(jax.random.split(jax.random.key(1))[0], number // 2), 8
        )
        chosen = np.add.outer(8 * np.arange(8), order[number % 2 * 3 :][:3]).ravel()
        now, metrics = training.step(
            now, (x[chosen], y[chosen]), objective=plain, optimizer=ADAM, gradient_norm=True
        )
        expected.append(metrics)
    assert_close(found[0], now, rtol=1e-4)
    assert_close(found[1], jax.tree.map(lambda *parts: np.stack(parts), *expected), rtol=1e-4)


def test_batch_statistics_over_eight_devices(eight, rng):
    """Running means of means over devices are those of one device with all examples."""
    x, y = np.float32(rng.standard_normal((64, 3))), rng.integers(0, 2, 64)
    end, _ = over_devices(eight, averaged, optimizer=SGD, steps=1)(noisy_start(optimizer=SGD), (x, y))
    alone, _ = training.run(
        noisy_start(optimizer=SGD), (x, y), objective=NOISY_OBJECTIVE, optimizer=SGD, steps=1
    )
    np.testing.assert_allclose(end.state["norm"]["mean"], alone.state["norm"]["mean"], rtol=1e-4, atol=1e-6)


def test_objectives_and_plain_functions(data):
    x, y = data
    params, state = NOISY.init(jax.random.key(0))
    key = jax.random.key(5)
    value, (after, metrics) = NOISY_OBJECTIVE(params, state, data, key)
    outputs, trained = NOISY.apply(params, state, x, key=key, train=True)
    rows = scipy.special.log_softmax(np.float64(outputs), axis=1)
    np.testing.assert_allclose(value, -rows[np.arange(24), y].mean(), rtol=1e-5)
    assert metrics.keys() == {"accuracy"}
    np.testing.assert_allclose(metrics["accuracy"], np.mean(np.argmax(outputs, 1) == y), rtol=1e-6)
    assert_same(after, trained)

    evaluated, _ = NOISY.apply(params, state, x)
    assert_same(training.predictor(NOISY.apply, state)(params, x), evaluated)
    rows = scipy.special.log_softmax(np.float64(evaluated), axis=1)
    plain = training.loss(NOISY.apply, training.cross_entropy, state)
    np.testing.assert_allclose(plain(params, data), -rows[np.arange(24), y].mean(), rtol=1e-5)

    quiet = networks.functional(partial(MLP, (3, 2)))
    params, state = quiet.init(jax.random.key(0))
    assert state == {}
    product = x @ params["layers"]["0"]["kernel"]
    assert_close(training.predictor(quiet.apply)(params, x), product, rtol=1e-4)
    half = training.loss(quiet.apply, training.squared_error)(params, (x, np.zeros_like(product)))
    np.testing.assert_allclose(half, np.mean(np.sum(product**2, 1)) / 2, rtol=1e-5)


def test_a_plain_loss_as_objective():
    objective = training.stateless(half_square)
    state = {"kept": jnp.float32(7)}
    value, (after, metrics) = objective(jnp.float32(1), state, np.float32([0, 3]), jax.random.key(0))
    assert (float(value), after, metrics) == (1.25, state, {})


def test_cross_entropy(rng):
    logits = np.float32(10 * rng.standard_normal((3, 5, 7)))
    labels = rng.integers(0, 7, (3, 5))
    found = training.cross_entropy(logits, labels)
    rows = scipy.special.log_softmax(np.float64(logits), axis=-1)
    # A difference of numbers of size 30: their rounding errors stay.
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=4e-6)
    close(found, -np.take_along_axis(rows, labels[..., None], -1)[..., 0])
    close(found, optax.softmax_cross_entropy_with_integer_labels(logits, labels))
    close(training.cross_entropy(logits[0, 0], 3), -rows[0, 0, 3])
    half = jnp.asarray(logits, jnp.bfloat16)
    rows = scipy.special.log_softmax(np.asarray(half, np.float64), axis=-1)
    found = training.cross_entropy(half, labels)
    assert found.dtype == np.float32
    close(found, -np.take_along_axis(rows, labels[..., None], -1)[..., 0])


def test_cross_entropy_at_its_limits():
    large = np.float32([[1e4, -1e4], [-1e4, 1e4]])
    np.testing.assert_array_equal(training.cross_entropy(large, np.array([0, 0])), [0, 2e4])
    beyond = training.cross_entropy(np.zeros((3, 2), np.float32), np.array([2, -1, 1]))
    np.testing.assert_array_equal(np.isnan(beyond), [True, True, False])


def test_squared_error_and_accuracy(rng):
    one, other = np.float32(rng.standard_normal((2, 4, 6, 3)))
    np.testing.assert_allclose(
        training.squared_error(one, other), optax.l2_loss(one, other).sum(-1), rtol=1e-6
    )
    np.testing.assert_allclose(
        training.squared_error(one, other), np.linalg.norm(one - other, axis=-1) ** 2 / 2, rtol=1e-5
    )
    # 1000 squares of 1/2 in bfloat16, whose sum would round.
    half = jnp.full(1001, 1.0, jnp.bfloat16)
    assert training.squared_error(half, 0 * half) == 500.5
    labels = rng.integers(0, 3, (4, 6))
    np.testing.assert_array_equal(training.accuracy(one, labels), one.argmax(-1) == labels)
    ties = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(training.accuracy(ties, np.array([0, 1])), [1, 0])
    assert training.accuracy(jnp.zeros((2, 3), jnp.bfloat16), np.array([0, 1])).dtype == np.float32


def run_badly(**changes):
    options = {"data": np.arange(4.0), "objective": training.stateless(half_square), "optimizer": SGD}
    return training.run(recorder(), **{**options, "steps": 2, **changes})


def measures_too(name):
    def objective(params, state, batch, key):
        return jnp.sum(params), (state, {name: jnp.sum(params)})

    return objective


def step_badly(objective):
    return training.step(recorder(), np.ones(2), objective=objective, optimizer=SGD)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: training.init({"w": [np.ones(2), np.arange(2)]}, jax.random.key(0), optimizer=SGD),
            TypeError,
            r"^params\['w'\]\[1\] is int32: take real floating-point parameters, and the rest as state$",
        ),
        (
            lambda: training.init(np.complex64(1j), jax.random.key(0), optimizer=SGD),
            TypeError,
            "^params is complex64: take real floating-point parameters",
        ),
        (
            lambda: training.init({"w": np.ones(2, np.longdouble)}, jax.random.key(0), optimizer=SGD),
            TypeError,
            r"^params\['w'\] is of dtype float128: take bfloat16",
        ),
        (lambda: recorder(3), TypeError, r"^key is 3: take one random key, as jax\.random\.key\(0\)$"),
        (
            lambda: recorder(jax.random.split(jax.random.key(0), 4)),
            TypeError,
            r"^key is .* of shape \(4,\): take one random key, as jax\.random\.key\(0\)$",
        ),
        (
            lambda: step_badly(half_square),
            TypeError,
            r"^objective has other arguments: .*stateless",
        ),
        (lambda: run_badly(objective=half_square), TypeError, "training.objective of a network"),
        (
            lambda: step_badly(measures_too("loss")),
            ValueError,
            "^objective has a metric named 'loss': take another name, as a step measures this itself",
        ),
        (
            lambda: run_badly(objective=measures_too("gradient_norm")),
            ValueError,
            "^objective has a metric named 'gradient_norm'",
        ),
        (lambda: run_badly(steps=0), ValueError, "^steps is 0: take a whole number at least 1"),
        (lambda: run_badly(batch=5), ValueError, "^batch is 5: take a whole number from 1 to 4"),
        (lambda: run_badly(batch=0), ValueError, "^batch is 0: take a whole number from 1 to 4"),
        (
            lambda: run_badly(data=(np.ones((4, 2)), np.ones(3))),
            ValueError,
            r"^data have the shapes \[\(4, 2\), \(3,\)\]: take arrays with one leading axis of at least one",
        ),
        (lambda: run_badly(data=np.ones((0, 2))), ValueError, r"^data have the shapes \[\(0, 2\)\]"),
        (lambda: run_badly(data=np.float32(1)), ValueError, r"^data have the shapes \[\(\)\]"),
        (lambda: run_badly(data=()), ValueError, r"^data have the shapes \[\]"),
        (
            lambda: training.cross_entropy(np.zeros((2, 3)), np.eye(3)[:2]),
            TypeError,
            "^labels are float32: take whole numbers from 0, as argmax of one-hot rows$",
        ),
        (
            lambda: training.accuracy(np.zeros((2, 3)), np.arange(3)),
            ValueError,
            r"^labels has the shape \(3,\): take \(2,\), one label for each row of logits$",
        ),
        (
            lambda: training.squared_error(np.zeros((2, 3)), np.zeros(3)),
            ValueError,
            r"^targets has the shape \(3,\): take \(2, 3\), that of the outputs$",
        ),
    ],
)
def test_errors(call, error, message, own_errors):
    with pytest.raises(error, match=message):
        call()


SCRIPT = """
import sys
from functools import partial

import jax
import numpy as np
import optax

from jaxtheory import lab, networks
from jaxtheory.lab.record import laboratory
from jaxtheory.networks import training
from jaxtheory.networks.mlp import MLP

SEGMENTS = 25


def start_and_segment():
    rng = np.random.default_rng(0)
    data = np.float32(rng.standard_normal((100, 4))), rng.integers(0, 3, 100)
    network = networks.functional(partial(MLP, (4, 16, 3)))
    objective = training.objective(network.apply, training.cross_entropy, accuracy=training.accuracy)
    optimizer = optax.adam(0.01)
    params, state = network.init(jax.random.key(0))
    start = training.init(params, jax.random.key(1), optimizer=optimizer, state=state)
    options = {"objective": objective, "optimizer": optimizer, "batch": 30}
    return start, partial(training.run, data=data, steps=7, **options)


def main(directory):
    laboratory.BETWEEN_CHECKPOINTS = 0.0
    start, run = start_and_segment()

    def segment(now):
        print(int(now.step), flush=True)
        return run(now)

    end, metrics, _ = lab.Lab(directory).train("digits", segment, start, SEGMENTS)
    leaves = jax.tree.leaves((end, metrics))
    np.savez(f"{directory}/end.npz", *leaves)


if __name__ == "__main__":
    main(sys.argv[1])
"""


def test_losses_of_integers_and_halves_are_those_of_floats(rng, own_errors):
    whole, labels = rng.integers(-5, 5, (4, 3)), rng.integers(0, 3, 4)
    for function, second in (
        (training.cross_entropy, labels),
        (training.accuracy, labels),
        (training.squared_error, rng.integers(0, 3, (4, 3))),
    ):
        expected = function(np.float32(whole), second)
        for same in (whole, whole.tolist(), jnp.asarray(whole, jnp.bfloat16), whole.astype(">f8")):
            found = function(same, second)
            assert found.dtype == jnp.float32
            np.testing.assert_array_equal(found, expected)
        with pytest.raises(TypeError, match=r"is complex \(complex128\): take real numbers"):
            function(whole + 0j, second)


@pytest.mark.beyond
def test_a_training_that_is_killed_ends_the_same(tmp_path, monkeypatch):
    """Killed three times at random moments, by a signal that no process can handle."""
    script = tmp_path / "killed_training.py"
    script.write_text(SCRIPT)
    directory = tmp_path / "kept"
    chance = random.Random(0)
    first_steps = []
    for kill in (True, True, True, False):
        with subprocess.Popen(
            [sys.executable, script, directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            lines = iter(process.stdout.readline, "")
            first_steps.append(int(next(lines)))
            if kill:
                for _ in range(chance.randrange(1, 4)):
                    next(lines)
                time.sleep(chance.uniform(0, 0.1))
                os.kill(process.pid, signal.SIGKILL)
            _, said = process.communicate()
        assert process.returncode == (-signal.SIGKILL if kill else 0), said
    # Each went on from where the one before had come to, in whole segments.
    assert first_steps[0] == 0
    assert first_steps == sorted(set(first_steps))
    assert all(step % 7 == 0 for step in first_steps)
    with np.load(directory / "end.npz") as kept:
        found = list(kept.values())

    monkeypatch.syspath_prepend(tmp_path)
    import killed_training

    start, segment = killed_training.start_and_segment()
    end, metrics, _ = Lab(tmp_path / "undisturbed").train("digits", segment, start, killed_training.SEGMENTS)
    assert metrics["loss"].shape == (25, 7)
    assert end.step == 175
    assert_same(found, jax.tree.leaves((end, metrics)))
    whole, steps = segment(start, steps=175)
    assert_same(end, whole)
    assert_same(metrics["loss"].ravel(), steps["loss"])
