"""Softmax regression against scikit-learn, in double precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from jaxtheory.statistics import softmax
from tests.statistics.samples import clouds


def objective(parameters, features, labels, penalty):
    """Mean cross-entropy with half the penalty times the squared weights, in NumPy."""
    weights, bias = parameters[:-1], parameters[-1]
    logits = features @ weights + bias
    misfit = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return misfit.mean() + penalty / 2 * (weights**2).sum()


@pytest.mark.parametrize("penalty", [0.3, 0.003])
def test_softmax_regression_is_that_of_scikit_learn(rng, x64, penalty):
    features, labels = clouds(rng, 60, 5)
    model = softmax.fit(features, labels, classes=3, penalty=penalty, tolerance=1e-10)
    peer = LogisticRegression(C=1 / (60 * penalty), tol=1e-10, max_iter=10_000).fit(features, labels)
    np.testing.assert_allclose(model.weights, peer.coef_.T, atol=1e-6)
    np.testing.assert_allclose(model.bias, peer.intercept_ - peer.intercept_.mean(), atol=1e-6)
    theirs = np.vstack([peer.coef_.T, peer.intercept_])
    np.testing.assert_allclose(model.objective, objective(theirs, features, labels, penalty), rtol=1e-12)
    assert model.converged
    queries = rng.standard_normal((2, 9, 5))
    logits = softmax.logits(model, queries)
    probabilities = peer.predict_proba(queries.reshape(-1, 5)).reshape(2, 9, 3)
    np.testing.assert_allclose(jax.nn.softmax(logits), probabilities, atol=1e-6)
    np.testing.assert_array_equal(softmax.predict(model, queries), probabilities.argmax(-1))


def test_two_classes_have_twice_the_c_of_scikit_learn(rng, x64):
    features, labels = clouds(rng, 50, 4, classes=2)
    model = softmax.fit(features, labels, classes=2, penalty=0.05, tolerance=1e-10)
    peer = LogisticRegression(C=2 / (50 * 0.05), tol=1e-10, max_iter=10_000).fit(features, labels)
    np.testing.assert_allclose(model.weights[:, 1] - model.weights[:, 0], peer.coef_[0], atol=1e-6)
    np.testing.assert_allclose(model.bias[1] - model.bias[0], peer.intercept_[0], atol=1e-6)


def test_softmax_tells_how_far_it_came(rng, x64):
    features, labels = clouds(rng, 60, 5)
    fit = partial(softmax.fit, features, labels, classes=3, penalty=0.003)

    def gradient(model):
        parameters = np.vstack([model.weights, model.bias])
        return scipy.optimize.approx_fprime(
            parameters.ravel(), lambda flat: objective(flat.reshape(6, 3), features, labels, 0.003), 1e-7
        )

    short, whole = fit(tolerance=1e-8, max_steps=3), fit(tolerance=1e-8)
    assert (short.steps, short.converged) == (3, False)
    assert 3 < whole.steps < 100
    assert whole.converged
    assert whole.gradient_norm <= 1e-8
    np.testing.assert_allclose(short.gradient_norm, np.abs(gradient(short)).max(), rtol=1e-5)
    np.testing.assert_allclose(gradient(whole), 0, atol=1e-6)
    parameters = np.vstack([short.weights, short.bias])
    np.testing.assert_allclose(short.objective, objective(parameters, features, labels, 0.003), rtol=1e-12)
    assert whole.objective < short.objective
    idle = fit(tolerance=1e9)
    np.testing.assert_allclose(idle.objective, np.log(3), rtol=1e-12)
    assert (idle.steps, idle.converged) == (0, True)


def test_softmax_in_single_precision(rng):
    features, labels = clouds(rng, 60, 5)
    model = softmax.fit(np.float32(features), labels, classes=3, penalty=0.01)
    peer = LogisticRegression(C=1 / (60 * 0.01), tol=1e-8, max_iter=10_000).fit(features, labels)
    assert model.weights.dtype == jnp.float32
    assert model.converged
    np.testing.assert_allclose(model.weights, peer.coef_.T, atol=2e-3)


@pytest.mark.parametrize("n", [2000, 3000])
def test_softmax_starts_well_with_many_examples_and_features(rng, n):
    # At this size XLA's product of the features with weights that it knew to be zero was not finite.
    labels = np.arange(n) % 10
    features = np.float32(rng.standard_normal((n, 1024)))
    start = softmax.fit(features, labels, classes=10, penalty=0.1, tolerance=1e9)
    residual = 0.1 - np.eye(10)[labels]
    slopes = np.vstack([features.T @ residual, residual.sum(0)])
    np.testing.assert_allclose(start.gradient_norm, np.abs(slopes).max() / n, rtol=1e-4)
    assert start.steps == 0
    assert softmax.fit(features, labels, classes=10, penalty=0.1, max_steps=20).objective < 2


def test_softmax_over_penalties_at_once(rng, x64):
    features, labels = clouds(rng, 60, 5)
    penalties = jnp.array([1.0, 0.1, 0.001])
    fit = partial(softmax.fit, features, labels, classes=3, tolerance=1e-9)
    together = jax.jit(jax.vmap(lambda penalty: fit(penalty=penalty)))(penalties)
    assert np.all(together.converged)
    assert together.steps[0] < together.steps[2]
    for k, penalty in enumerate(penalties):
        peer = LogisticRegression(C=1 / (60 * float(penalty)), tol=1e-10, max_iter=10_000).fit(
            features, labels
        )
        np.testing.assert_allclose(together.weights[k], peer.coef_.T, atol=1e-5)
        assert together.steps[k] == fit(penalty=penalty).steps


@pytest.mark.beyond
def test_softmax_derivatives_in_the_penalty_against_finite_differences(rng, x64):
    features, labels = clouds(rng, 30, 4)
    weights, bias = rng.standard_normal((4, 3)), rng.standard_normal(3)

    def scalar(penalty):
        model = softmax.fit(features, labels, classes=3, penalty=penalty, tolerance=1e-12)
        return jnp.sum(weights * model.weights) + bias @ model.bias + model.objective

    slope, curvature = jax.jvp(jax.grad(scalar), (0.05,), (1.0,))
    step = 1e-4
    before, here, after = (float(scalar(0.05 + k * step)) for k in (-1, 0, 1))
    np.testing.assert_allclose(slope, (after - before) / (2 * step), rtol=1e-4)
    np.testing.assert_allclose(curvature, (after - 2 * here + before) / step**2, rtol=1e-3)
    np.testing.assert_allclose(jax.jvp(scalar, (0.05,), (1.0,))[1], slope, rtol=1e-8)


@pytest.mark.beyond
def test_the_derivative_of_the_softmax_objective_is_half_the_squared_weights(rng, x64):
    features, labels = clouds(rng, 30, 4)
    fit = partial(softmax.fit, features, labels, classes=3, tolerance=1e-11)
    slope = jax.grad(lambda penalty: fit(penalty=penalty).objective)(0.1)
    np.testing.assert_allclose(slope, (fit(penalty=0.1).weights ** 2).sum() / 2, rtol=1e-8)


def test_under_jit_a_label_out_of_range_takes_no_part(rng, x64):
    features, labels = clouds(rng, 40, 15)
    kept = np.arange(40) % 4 > 0
    masked = np.where(kept, labels, np.where(np.arange(40) % 8 > 0, -1, 3))
    fit = partial(softmax.fit, classes=3, penalty=0.1, tolerance=1e-10)
    np.testing.assert_allclose(
        jax.jit(fit)(features, masked).weights, fit(features[kept], labels[kept]).weights, atol=1e-8
    )


def test_a_mask_leaves_examples_out(rng, x64):
    features, labels = clouds(rng, 60, 5)
    mask = np.arange(60) % 5 > 0
    fit = partial(softmax.fit, classes=3, penalty=0.1, tolerance=1e-10)
    expected = fit(features[mask], labels[mask])
    np.testing.assert_allclose(fit(features, labels, where=mask).weights, expected.weights, atol=1e-8)


def test_by_default_it_stops_at_what_the_dtype_can_reach(rng):
    features, labels = clouds(rng, 60, 5)
    fit = partial(softmax.fit, classes=3, penalty=0.01)
    single = fit(np.float32(features), labels)
    with jax.enable_x64(True):
        double = fit(features, labels)
        assert double.converged
        assert double.gradient_norm < 2e-11
    assert single.converged
    assert single.gradient_norm < 2e-5
