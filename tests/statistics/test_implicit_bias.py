"""Separators against scikit-learn and linear programs, descents against NumPy and a closed form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from sklearn.svm import SVC

from jaxtheory.statistics import implicit_bias


def symmetric(rng, n: int, p: int, gap: float = 0.4):
    """Points beside a plane through the origin, each with its mirror image in the other class."""
    normal = rng.standard_normal(p)
    rows = rng.standard_normal((n, p))
    rows += normal * (gap - np.minimum(rows @ normal, 0)[:, None] / (normal @ normal) * 1.5)
    return np.concatenate([rows, -rows]), np.repeat([1, 0], n), rows


@pytest.mark.parametrize(("n", "p"), [(30, 4), pytest.param(8, 40, marks=pytest.mark.beyond)])
def test_the_separator_is_that_of_a_support_vector_machine(rng, x64, n, p):
    # The intercept of scikit-learn's machine is zero by symmetry.
    features, labels, rows = symmetric(rng, n, p)
    found = implicit_bias.max_margin(features, labels)
    peer = SVC(kernel="linear", C=1e12, tol=1e-12).fit(features, labels)
    assert abs(peer.intercept_[0]) < 1e-6
    np.testing.assert_allclose(found.direction / found.margin, peer.coef_[0], rtol=1e-5, atol=1e-6)
    assert found.separable
    assert found.converged
    assert found.steps < 40
    # The certificate by itself: a bound that any other vector obeys, and that this one attains.
    signs = 2 * labels - 1
    beta = np.asarray(found.coefficients)
    assert beta.min() >= 0
    assert beta.sum() == pytest.approx(1)
    assert np.linalg.norm(beta * signs @ features) == pytest.approx(float(found.bound), rel=1e-12)
    assert (signs * (features @ found.direction)).min() == pytest.approx(float(found.margin), rel=1e-12)
    assert 0 <= found.bound - found.margin < 1e-11 * found.bound
    assert found.residual < 1e-9
    others = rng.standard_normal((1000, p))
    assert ((others @ rows.T).min(1) / np.linalg.norm(others, axis=1)).max() < found.margin


def test_data_that_are_not_separable_have_a_certificate(rng, x64):
    features, labels = rng.standard_normal((60, 4)), np.arange(60) % 2
    rows = (2 * labels - 1)[:, None] * features
    feasible = scipy.optimize.linprog(np.zeros(4), A_ub=-rows, b_ub=-np.ones(60), bounds=(None, None))
    assert feasible.status == 2
    found = implicit_bias.max_margin(features, labels)
    assert not found.separable
    assert found.converged
    assert found.margin <= 0
    beta = np.asarray(found.coefficients)
    assert beta.min() >= 0
    assert beta.sum() == pytest.approx(1)
    np.testing.assert_allclose(beta @ rows, 0, atol=1e-6)
    assert found.bound < 1e-6


@pytest.mark.beyond
def test_points_that_coincide_and_zeros_have_one_too(x64):
    one = np.array([[2.0, 1.0], [2.0, 1.0], [-3.0, 1.0]])
    found = implicit_bias.max_margin(one, np.array([1, 1, 0]))
    assert found.separable
    np.testing.assert_allclose(found.margin, np.sqrt(5), rtol=1e-9)
    same = implicit_bias.max_margin(one, np.array([1, 0, 0]))
    assert not same.separable
    assert same.bound < 1e-6
    zeros = implicit_bias.max_margin(np.zeros((2, 3)), np.array([0, 1]))
    assert not zeros.separable
    assert zeros.bound == 0
    assert np.isfinite(zeros.direction).all()


@pytest.mark.beyond
def test_the_separator_in_single_precision(rng):
    features, labels, _ = symmetric(rng, 30, 4)
    found = implicit_bias.max_margin(np.float32(features), labels)
    with jax.enable_x64(True):
        exact = implicit_bias.max_margin(features, labels)
    assert found.direction.dtype == np.float32
    assert found.converged
    np.testing.assert_allclose(found.margin, exact.margin, rtol=1e-3)
    np.testing.assert_allclose(found.direction, exact.direction, atol=1e-3)
    short = implicit_bias.max_margin(features, labels, max_steps=2)
    assert (short.steps, bool(short.converged)) == (2, False)


def plain(weights, rows, steps, rate, normalized):
    """Gradient descent, step by step."""
    for _ in range(steps):
        gradient = -rows.T @ (1 / (1 + np.exp(rows @ weights))) / len(rows)
        weights = weights - rate * gradient / (np.linalg.norm(gradient) if normalized else 1)
    return weights


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_descent_is_that_of_the_weights(rng, x64, shape, normalized):
    features, labels = rng.standard_normal(shape), np.arange(shape[0]) % 2
    rows, start = (2 * labels - 1)[:, None] * features, rng.standard_normal(shape[1])
    descend = partial(
        implicit_bias.gradient_descent, features=features, labels=labels, rate=0.3, normalized=normalized
    )
    found = descend(start, times=np.array([0, 3, 3, 50]))
    expected = [plain(start, rows, steps, 0.3, normalized) for steps in (0, 3, 3, 50)]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(descend(found[2], times=np.array([47]))[0], found[3], rtol=1e-10, atol=1e-12)


@pytest.mark.beyond
def test_descent_follows_its_flow(x64):
    """In one dimension the flow w' = 1 / (1 + exp(w)) from zero has w + exp(w) - 1 = t."""
    times = np.array([100, 10_000, 100_000])
    x, labels = np.array([[1.0], [-1.0]]), np.array([1, 0])
    w = implicit_bias.gradient_descent(np.zeros(1), x, labels, times=times, rate=0.01)[:, 0]
    np.testing.assert_allclose(w + np.exp(w) - 1, 0.01 * times, rtol=5e-3)


@pytest.mark.beyond
def test_normalized_descent_goes_on_where_the_gradient_underflows(rng, x64):
    features, labels, rows = symmetric(rng, 10, 4)
    separator = implicit_bias.max_margin(features, labels)
    times = np.array([10, 1000, 20_000])
    kept = implicit_bias.gradient_descent(
        np.zeros(4), features, labels, times=times, rate=0.2, normalized=True
    )
    found = implicit_bias.progress(kept, features, labels, separator.direction)
    margins = np.asarray(kept[-1]) @ rows.T
    assert margins.min() > 750
    assert np.exp(-margins).max() == 0
    assert np.all(np.diff(found.deviation) < 0)
    assert found.deviation[-1] < 1e-6
    assert 0 <= found.gap[-1] < np.log(10) / found.norm[-1]
    # The loss has underflowed, its logarithm has not.
    log_loss = np.log(np.exp(margins.min() - margins).sum() / 10) - margins.min()
    np.testing.assert_allclose(found.log_loss[-1], log_loss, rtol=1e-12)


def test_progress_against_numpy(rng, x64):
    features, labels = rng.standard_normal((7, 3)), np.arange(7) % 2
    weights, direction = 4 * rng.standard_normal((2, 5, 3)), rng.standard_normal(3)
    found = implicit_bias.progress(weights, features, labels, 5 * direction)
    rows = (2 * labels - 1)[:, None] * features
    norm = np.linalg.norm(weights, axis=-1)
    np.testing.assert_allclose(found.norm, norm)
    np.testing.assert_allclose(found.margin, (weights @ rows.T).min(-1) / norm)
    unit = direction / np.linalg.norm(direction)
    np.testing.assert_allclose(found.gap + found.margin, (rows @ unit).min())
    np.testing.assert_allclose(found.deviation, 1 - weights @ unit / norm, atol=1e-12)
    np.testing.assert_allclose(found.log_loss, np.log(np.log1p(np.exp(-weights @ rows.T)).mean(-1)))


X = np.eye(3)
ONES = np.array([1, 0, 1])


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "labels run from 0 to 2: take 0 to 1 for 2 classes",
         lambda: implicit_bias.max_margin(X, np.array([0, 1, 2]))),
        (ValueError, "labels hold no example of class 0",
         lambda: implicit_bias.max_margin(X, np.ones(3, int))),
        (TypeError, "labels are float64: take whole numbers",
         lambda: implicit_bias.max_margin(X, np.ones(3))),
        (ValueError, "tolerance is 0.0: take a positive number",
         lambda: implicit_bias.max_margin(X, ONES, tolerance=0.0)),
        (ValueError, "max_steps is 0: take a whole number at least 1",
         lambda: implicit_bias.max_margin(X, ONES, max_steps=0)),
        (ValueError, r"weights has the shape \(2,\): take \(3,\) for \(features,\)",
         lambda: implicit_bias.gradient_descent(np.ones(2), X, ONES, times=np.array([1]), rate=1.0)),
        (ValueError, "rate is -1.0: take a positive number",
         lambda: implicit_bias.gradient_descent(np.ones(3), X, ONES, times=np.array([1]), rate=-1.0)),
        (TypeError, "times are float64: take whole numbers of steps",
         lambda: implicit_bias.gradient_descent(np.ones(3), X, ONES, times=np.array([1.0]), rate=1.0)),
        (ValueError, r"times are \[5, 2\]: take numbers from 0 that do not fall",
         lambda: implicit_bias.gradient_descent(np.ones(3), X, ONES, times=np.array([5, 2]), rate=1.0)),
        (TypeError, "normalized is 1: take True or False",
         lambda: implicit_bias.gradient_descent(
             np.ones(3), X, ONES, times=np.array([5]), rate=1.0, normalized=1)),
        (ValueError, r"direction has the shape \(2,\): take \(3,\)",
         lambda: implicit_bias.progress(np.ones(3), X, ONES, np.ones(2))),
    ],
)  # fmt: skip
def test_errors(error, message, call, own_errors):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.beyond
def test_under_jit_labels_are_traced():
    found = jax.jit(implicit_bias.max_margin)(jnp.eye(3), jnp.array([1, 0, 1]))
    assert found.separable
    np.testing.assert_allclose(found.margin, 3**-0.5, rtol=1e-5)
