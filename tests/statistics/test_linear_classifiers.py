"""Least squares, pairwise units, quadratic features and radial basis functions, against scikit-learn."""

from functools import partial

import jax
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.multiclass import OneVsOneClassifier
from sklearn.preprocessing import PolynomialFeatures

from jaxtheory.statistics import least_squares, pairwise, quadratic, radial_basis
from tests.statistics.samples import clouds

N, P = 60, 5


def examples(rng):
    """Sixty examples in three classes, and as many queries."""
    features, labels = clouds(rng, N, P)
    return features, labels, 2 * rng.standard_normal((N, P))


def test_least_squares_is_that_of_scikit_learn(rng, x64):
    features, labels, queries = examples(rng)
    targets = np.eye(3)[labels]
    for penalty in (0.0, 0.3):
        model = least_squares.fit(features, labels, classes=3, penalty=penalty)
        peer = (Ridge(N * penalty) if penalty else LinearRegression()).fit(features, targets)
        np.testing.assert_allclose(model.weights, peer.coef_.T, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(least_squares.outputs(model, queries), peer.predict(queries), rtol=1e-9)
        found = least_squares.predict(model, queries)
        np.testing.assert_array_equal(found, peer.predict(queries).argmax(1))


def test_features_that_depend_on_each_other_have_finite_weights(rng, x64):
    features, labels, _ = examples(rng)
    features = np.column_stack([features[:, :3], features[:, 0], np.full(N, 7.0)])
    targets = np.eye(3)[labels]
    model = least_squares.fit(features, labels, classes=3)
    peer = LinearRegression().fit(features, targets)
    np.testing.assert_allclose(least_squares.outputs(model, features), peer.predict(features), rtol=1e-8)
    np.testing.assert_allclose(model.weights, peer.coef_.T, atol=0.1 * np.abs(peer.coef_).max())
    np.testing.assert_array_equal(model.weights[4], 0)


@pytest.mark.beyond
def test_an_example_of_no_class_is_left_out_where_labels_are_traced(rng):
    features, labels, _ = map(np.float32, examples(rng))
    with_others = np.where(np.arange(N) % 4 > 0, labels, -1).astype(int)
    kept = with_others >= 0
    for fit in (partial(least_squares.fit, classes=3), partial(pairwise.fit, classes=3)):
        found = jax.jit(fit)(features, with_others)
        alone = fit(features[kept], with_others[kept])
        np.testing.assert_allclose(found.weights, alone.weights, atol=1e-5)
        np.testing.assert_allclose(found.bias, alone.bias, atol=1e-5)


def test_pairwise_units_are_those_of_scikit_learn(rng, x64):
    features, labels, queries = examples(rng)
    model = pairwise.fit(features, labels, classes=3)
    # Its units say plus one for the higher class.
    peer = OneVsOneClassifier(RidgeClassifier(1e-9)).fit(features, labels)
    for unit, one in enumerate(peer.estimators_):
        np.testing.assert_allclose(model.weights[:, unit], -one.coef_.ravel(), rtol=1e-7)
        np.testing.assert_allclose(model.bias[unit], -np.ravel(one.intercept_)[0], rtol=1e-7)
    np.testing.assert_allclose(pairwise.votes(model, queries), peer.decision_function(queries), rtol=1e-7)
    np.testing.assert_array_equal(pairwise.predict(model, queries), peer.predict(queries))


def test_quadratic_features_are_those_of_scikit_learn(rng, x64):
    features, labels, queries = examples(rng)
    model = quadratic.fit(features, labels, classes=3, components=3)
    components = PCA(3, whiten=True, svd_solver="full").fit(features)
    expand = PolynomialFeatures(2, include_bias=False)
    # Its components have the variance one with n - 1 in place of n; signs are free, and do not matter.
    sizes = np.abs(components.transform(queries)) * np.sqrt(N / (N - 1))
    np.testing.assert_allclose(np.abs(quadratic.products(model, queries)[:, :3]), sizes, rtol=1e-8)
    peer = LinearRegression().fit(expand.fit_transform(components.transform(features)), np.eye(3)[labels])
    expected = peer.predict(expand.transform(components.transform(queries)))
    found = least_squares.outputs(model.linear, quadratic.products(model, queries))
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(quadratic.predict(model, queries), expected.argmax(1))


@pytest.mark.beyond
def test_components_past_the_rank_are_zero(rng):
    features, labels, _ = map(np.float32, examples(rng))
    features[:, 2:] = features[:, :1]
    model = quadratic.fit(features, labels.astype(int), classes=3, components=4)
    assert np.all(np.linalg.norm(model.directions, axis=1)[:2] > 0.1)
    np.testing.assert_array_equal(model.directions[2:], 0)
    assert np.all(np.isfinite(model.linear.weights))


def test_radial_basis_functions_are_those_of_scikit_learn(rng, x64):
    features, labels, queries = examples(rng)
    centers = features[:10] + 0.1
    network = radial_basis.fit(features, labels, centers, classes=3, bandwidth=1.5, penalty=1e-3)
    gamma = 1 / (2 * 1.5**2)
    peer = Ridge(N * 1e-3).fit(rbf_kernel(features, centers, gamma), np.eye(3)[labels])
    expected = peer.predict(rbf_kernel(queries, centers, gamma))
    found = radial_basis.responses(centers, queries, bandwidth=1.5)
    np.testing.assert_allclose(found, rbf_kernel(queries, centers, gamma), rtol=1e-10)
    np.testing.assert_allclose(least_squares.outputs(network.linear, found), expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(radial_basis.predict(network, queries), expected.argmax(1))
    each = np.linspace(0.5, 2, 10)
    one_by_one = [rbf_kernel(queries, row[None], 1 / (2 * width**2)) for row, width in zip(centers, each)]
    found = radial_basis.responses(centers, queries, bandwidth=each)
    np.testing.assert_allclose(found, np.column_stack(one_by_one), rtol=1e-10)
