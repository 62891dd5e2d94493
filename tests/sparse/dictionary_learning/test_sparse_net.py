"""Learning as Olshausen and Field did against dense NumPy with SciPy's codes, and independent sources."""

import re

import jax
import numpy as np
import pytest

from jaxtheory.sparse import learning
from jaxtheory.sparse.dictionary_learning import cauchy_codes, sparsenet
from tests.sparse.dictionary_learning.planted import planted, recovered
from tests.sparse.dictionary_learning.test_cauchy import scipys


def test_a_step_is_the_papers(x64, rng):
    D, x = rng.standard_normal((4, 6)), rng.standard_normal((30, 6))
    learner = sparsenet(
        0.3, penalty=0.2, scale=1.3, variance=0.5, memory=0.1, gain=0.2, tolerance=1e-15, max_steps=2000
    )
    after, metrics = learner.step(learner.init(D), x)
    best = [scipys(row, D, 0.2, 1.3) for row in x]
    a = np.stack([one.x for one in best])
    moved = D + 0.3 * a.T @ (x - a @ D) / 30
    variance = 0.9 * 0.5 + 0.1 * np.mean(a**2, 0)
    length = np.linalg.norm(D, axis=1) * (variance / 0.5) ** 0.2
    expected = moved * (length / np.linalg.norm(moved, axis=1))[:, None]
    np.testing.assert_allclose(after.variance, variance, rtol=1e-5)
    np.testing.assert_allclose(after.dictionary, expected, atol=1e-5)
    np.testing.assert_allclose(metrics["objective"], np.mean([one.fun for one in best]), rtol=1e-9)
    kurtosis = np.mean(np.mean(a**4, 0) / np.mean(a**2, 0) ** 2)
    np.testing.assert_allclose(metrics["kurtosis"], kurtosis, rtol=1e-4)


def test_it_finds_independent_sources_and_keeps_their_variance(rng):
    # Sparse sources under an orthogonal mixture: the independent components are its rows.
    mixture = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    x = np.float32(rng.laplace(size=(4000, 8)) / np.sqrt(2) @ mixture)
    learner = sparsenet(0.2)
    start = learner.init(np.float32(rng.standard_normal((8, 8))))
    learned, metrics = learning.run(learner, start, x, jax.random.key(0), steps=800, batch=100)
    unit = learned.dictionary / np.linalg.norm(learned.dictionary, axis=1, keepdims=True)
    assert recovered(mixture, unit) == 8
    # A Laplace variable has the kurtosis 6, and a sum of eight less than 4; codes are sparser than sources.
    assert metrics["kurtosis"][-50:].mean() > 6
    codes = cauchy_codes(learned.dictionary, x, 0.22, tolerance=1e-3).codes
    np.testing.assert_allclose(np.mean(codes**2, 0), 1, atol=0.15)


def test_it_lowers_the_objective_of_atoms_of_fixed_length(rng):
    x = np.float32(rng.laplace(size=(1000, 6)) @ rng.standard_normal((6, 6)))
    learner = sparsenet(0.05, gain=0.0)
    start = learner.init(np.float32(np.linalg.qr(rng.standard_normal((6, 6)))[0]))
    learned, metrics = learning.run(learner, start, x, jax.random.key(0), steps=200, batch=100)
    assert metrics["objective"][-40:].mean() < 0.9 * metrics["objective"][:10].mean()
    np.testing.assert_allclose(np.linalg.norm(learned.dictionary, axis=1), 1, atol=1e-4)


def test_segments_are_the_same_learning_and_rates_share_a_program(rng):
    x = np.float32(planted(rng, 12, 8, 300, 2)[1])
    start = sparsenet(0.1).init(np.float32(rng.standard_normal((12, 8))))

    def go_on(state, steps, rate=0.1):
        return learning.run(sparsenet(rate), state, x, jax.random.key(1), steps=steps, batch=40)[0]

    whole, parts = go_on(start, 6), go_on(go_on(start, 3), 3)
    np.testing.assert_allclose(parts.dictionary, whole.dictionary, atol=1e-5)
    assert parts.step == whole.step == 6
    assert np.abs(whole.dictionary - start.dictionary).max() > 0.01
    slower = go_on(start, 6, rate=0.05)
    assert np.abs(slower.dictionary - whole.dictionary).max() > 1e-3


def test_atoms_of_zeros_are_replaced(rng):
    x = np.float32(rng.laplace(size=(50, 4)))
    learner = sparsenet(0.1)
    state, _ = learner.step(learner.init(np.zeros((3, 4), np.float32)), x)
    worst = x[np.argsort(-np.sum(x**2, 1))[:3]]
    np.testing.assert_allclose(state.dictionary, worst / np.linalg.norm(worst, axis=1)[:, None], atol=1e-6)
    np.testing.assert_array_equal(state.variance, 1)


def test_a_signal_of_nan_is_left_out(rng):
    x = np.float32(planted(rng, 6, 5, 30, 2)[1])
    broken = np.concatenate([x, np.full((2, 5), np.nan, np.float32)])
    learner = sparsenet(0.1)
    start = learner.init(np.float32(rng.standard_normal((6, 5))))
    (whole, one), (found, other) = learner.step(start, x), learner.step(start, broken)
    np.testing.assert_allclose(found.dictionary, whole.dictionary, atol=1e-4)
    for metric in ("objective", "kurtosis"):
        np.testing.assert_allclose(other[metric], one[metric], rtol=1e-4)
    np.testing.assert_allclose([one["converged"], other["converged"]], [1, 30 / 32])


BAD = {
    "rate": (lambda: sparsenet(0.0), ValueError, "rate is 0.0: take a positive number"),
    "penalty": (lambda: sparsenet(1.0, penalty=-1.0), ValueError, "penalty is -1.0: take a positive number"),
    "scale": (lambda: sparsenet(1.0, scale=0), ValueError, "scale is 0: take a positive number"),
    "variance": (lambda: sparsenet(1.0, variance=-1.0), ValueError, "variance is -1.0: take a positive"),
    "memory": (lambda: sparsenet(1.0, memory=1.5), ValueError, "memory is 1.5: take a number from 0 to 1"),
    "gain": (lambda: sparsenet(1.0, gain=-0.1), ValueError, "gain is -0.1: take a number of 0 or more"),
    "tolerance": (lambda: sparsenet(1.0, tolerance=-1), ValueError, "tolerance is -1: take a number of 0"),
    "steps": (lambda: sparsenet(1.0, max_steps=2.0), TypeError, "max_steps is 2.0: take a whole number"),
    "batch": (
        lambda: learning.run(
            sparsenet(0.1), sparsenet(0.1).init(np.eye(3)), np.ones((6, 3)), jax.random.key(0), steps=1,
            batch=100,
        ),
        ValueError,
        "batch is 100: take a whole number from 1 to 6",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
