"""Affine spaces against SVD and scikit-learn's principal components, in double precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from jaxtheory.statistics import affine
from tests.statistics.samples import clouds


def distances_by_pca(features, labels, queries, dimension: int):
    """Squared distances (queries, dimension + 1, classes) from scikit-learn's principal components."""
    found = []
    for label in np.unique(labels):
        model = PCA(dimension, svd_solver="full").fit(features[labels == label])
        left = []
        for k in range(dimension + 1):
            basis = model.components_[:k]
            centered = queries - model.mean_
            left.append(((centered - centered @ basis.T @ basis) ** 2).sum(-1))
        found.append(np.stack(left, -1))
    return np.stack(found, -1)


@pytest.mark.parametrize(("n", "p"), [(24, 40), (90, 12)], ids=["Gram matrix", "covariance"])
def test_affine_spaces_are_those_of_each_class_principal_components(rng, x64, n, p):
    features, labels = clouds(rng, n, p)
    model = affine.fit(features, labels, classes=3, dimension=5)
    for label in range(3):
        own = features[labels == label]
        centered = own - own.mean(0)
        _, singular, right = np.linalg.svd(centered, full_matrices=False)
        np.testing.assert_allclose(model.means[label], own.mean(0), atol=1e-14)
        np.testing.assert_allclose(model.variances[label], singular[:5] ** 2 / len(own), rtol=1e-10)
        largest = np.take_along_axis(right[:5], np.abs(right[:5]).argmax(1)[:, None], 1)
        np.testing.assert_allclose(model.directions[label], right[:5] * np.sign(largest), atol=1e-9)
        assert model.counts[label] == len(own)
    assert np.all(model.residual < 1e-13)
    queries = rng.standard_normal((2, 7, p))
    expected = distances_by_pca(features, labels, queries, 5)
    np.testing.assert_allclose(affine.distances(model, queries), expected, rtol=1e-10, atol=1e-12)
    for dimension in (None, 0, 3):
        predicted = affine.predict(model, queries, dimension=dimension)
        np.testing.assert_array_equal(
            predicted, expected[..., 5 if dimension is None else dimension, :].argmin(-1)
        )
    truth = rng.integers(0, 3, 7)
    errors = affine.errors(model, queries[0], truth)
    np.testing.assert_allclose(errors, (expected[0].argmin(-1) != truth[:, None]).mean(0), rtol=1e-15)


@pytest.mark.parametrize(("n", "p"), [(600, 700), (700, 600)], ids=["Gram matrix", "covariance"])
def test_a_few_of_many_directions_by_subspace_iteration_within_the_residual(rng, x64, n, p):
    features = rng.standard_normal((n, p)) * 0.97 ** np.arange(p)
    model = affine.fit(features, np.zeros(n, int), classes=1, dimension=20)
    covariance = np.cov(features.T, bias=True)
    variances = np.linalg.eigvalsh(covariance)[::-1]
    directions = np.asarray(model.directions[0])
    np.testing.assert_allclose(directions @ directions.T, np.eye(20), atol=1e-12)
    # For a symmetric matrix each approximate value is within its residual of a true one.
    residual = float(model.residual[0])
    lengths = np.linalg.norm(
        covariance @ directions.T - directions.T * np.asarray(model.variances[0]), axis=0
    )
    if n > p:
        np.testing.assert_allclose(lengths.max() / variances[0], residual, rtol=1e-4)
    assert 1e-14 < residual < 1e-6
    np.testing.assert_allclose(model.variances[0], variances[:20], atol=residual * variances[0])
    queries = rng.standard_normal((5, p))
    expected = distances_by_pca(features, np.zeros(n, int), queries, 20)
    gaps = -np.diff(variances[:21]).max()
    bound = 2 * residual * variances[0] / gaps * (queries**2).sum(-1).max()
    np.testing.assert_allclose(affine.distances(model, queries), expected, atol=bound)


@pytest.mark.beyond
def test_digits_in_single_precision_are_classified_as_by_pca():
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    train, test = slice(0, 1200), slice(1200, None)
    model = affine.fit(np.float32(images[train]), labels[train], classes=10, dimension=12)
    expected = distances_by_pca(images[train], labels[train], images[test], 12)
    found = affine.distances(model, np.float32(images[test]))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
    errors = affine.errors(model, np.float32(images[test]), labels[test])
    np.testing.assert_allclose(errors, (expected.argmin(-1) != labels[test][:, None]).mean(0), atol=2 / 597)


@pytest.mark.parametrize(("copies", "p"), [(5, 9), (9, 5)], ids=["Gram matrix", "covariance"])
def test_equal_points_have_no_direction(copies, p):
    point = np.float32(np.random.default_rng(1).standard_normal(p))
    features = np.concatenate([np.tile(point, (copies, 1)), np.tile(-point, (copies, 1)) + np.eye(copies, p)])
    labels = np.repeat([0, 1], copies)
    model = affine.fit(np.float32(features), labels, classes=2, dimension=3)
    np.testing.assert_array_equal(model.variances[0], np.zeros(3))
    np.testing.assert_array_equal(model.directions[0], np.zeros((3, p)))
    assert np.all(model.variances[1] > 0.1)
    queries = np.random.default_rng(2).standard_normal((6, p))
    found = affine.distances(model, np.float32(queries))[..., 0]
    np.testing.assert_allclose(found, np.repeat(cdist(queries, [point]) ** 2, 4, 1), rtol=1e-5)


def test_points_in_a_plane_have_two_directions(rng, x64):
    plane = np.repeat(rng.standard_normal((4, 2)), 3, 0) @ rng.standard_normal((2, 30)) + 5
    model = affine.fit(plane, np.zeros(12, int), classes=1, dimension=6)
    assert np.count_nonzero(model.variances[0]) == 2
    np.testing.assert_array_equal(model.directions[0, 2:], np.zeros((4, 30)))
    np.testing.assert_allclose(affine.distances(model, plane)[:, 2:], 0, atol=1e-10)


def test_one_example_is_a_point():
    model = affine.fit(np.eye(2, 3, dtype=np.float32), np.array([0, 1]), classes=2, dimension=2)
    np.testing.assert_array_equal(model.variances, np.zeros((2, 2)))
    distances = affine.distances(model, np.array([1, 0, 2], np.float32))
    np.testing.assert_array_equal(distances, [[4, 6]] * 3)


def test_of_equal_distances_the_lower_class():
    model = affine.fit(np.float32([[1, 0], [-1, 0]]), np.array([1, 0]), classes=2, dimension=1)
    assert affine.predict(model, np.float32([0, 3])) == 0


def test_affine_fit_under_jit_equals_eager(rng, x64):
    features, labels = clouds(rng, 40, 15)
    fit = partial(affine.fit, classes=3, dimension=4)
    eager, jitted = fit(features, labels), jax.jit(fit)(features, labels)
    for name in ("means", "directions", "variances", "counts"):
        np.testing.assert_allclose(getattr(jitted, name), getattr(eager, name), atol=1e-10)
    both = jax.vmap(fit)(np.stack([features, 2 * features]), np.stack([labels, labels]))
    np.testing.assert_allclose(both.means[1], 2 * eager.means, atol=1e-12)
    np.testing.assert_allclose(both.variances[1], 4 * eager.variances, rtol=1e-10)


def test_under_jit_a_label_out_of_range_takes_no_part(rng, x64):
    features, labels = clouds(rng, 40, 15)
    kept = np.arange(40) % 4 > 0
    masked = np.where(kept, labels, np.where(np.arange(40) % 8 > 0, -1, 3))
    fit = partial(affine.fit, classes=3, dimension=4)
    expected = fit(features[kept], labels[kept])
    found = jax.jit(fit)(features, masked)
    np.testing.assert_allclose(found.means, expected.means, atol=1e-12)
    np.testing.assert_allclose(found.directions, expected.directions, atol=1e-10)


def test_under_jit_a_class_without_examples_is_never_nearest(rng):
    features, labels = clouds(rng, 20, 6, classes=2)
    features = np.float32(features)
    model = jax.jit(partial(affine.fit, classes=3, dimension=2))(features, 2 * labels)
    assert np.all(np.isinf(affine.distances(model, features)[..., 1]))
    assert set(np.unique(affine.predict(model, features))) == {0, 2}


def test_under_jit_a_class_above_capacity_is_not_a_number():
    features, labels = (
        np.float32(np.random.default_rng(0).standard_normal((9, 4))),
        np.array([0] * 6 + [1] * 3),
    )
    model = jax.jit(partial(affine.fit, classes=2, dimension=2, capacity=4))(features, labels)
    assert np.isnan(model.residual[0])
    assert np.all(np.isnan(affine.distances(model, features)[..., 0]))
    np.testing.assert_allclose(model.means[1], features[6:].mean(0), atol=1e-6)


@given(st.integers(0, 2**31), st.sampled_from([(12, 9), (40, 5)]))
def test_distances_are_invariant_and_fall_with_the_dimension(seed, shape):
    rng = np.random.default_rng(seed)
    features, labels = clouds(rng, *shape, classes=2)
    queries = rng.standard_normal((4, shape[1]))
    turn, shift = ortho_group.rvs(shape[1], random_state=seed), 3 * rng.standard_normal(shape[1])
    with jax.enable_x64(True):
        fit = partial(affine.fit, classes=2, dimension=4)
        distances = np.asarray(affine.distances(fit(features, labels), queries))
        moved = affine.distances(fit(features @ turn + shift, labels), queries @ turn + shift)
        np.testing.assert_allclose(moved, distances, rtol=1e-8, atol=1e-10)
    assert np.all(np.diff(distances, axis=-2) <= 0)
    assert np.all(distances >= 0)


def test_a_mask_leaves_examples_out(rng, x64):
    features, labels = clouds(rng, 40, 15)
    mask = np.arange(40) % 4 > 0
    expected = affine.fit(features[mask], labels[mask], classes=3, dimension=4)
    found = affine.fit(features, labels, classes=3, dimension=4, where=mask)
    np.testing.assert_allclose(found.means, expected.means, atol=1e-12)
    np.testing.assert_allclose(found.directions, expected.directions, atol=1e-10)
    np.testing.assert_array_equal(found.counts, expected.counts)


def test_no_queries_have_no_distances(rng):
    features, labels = clouds(rng, 12, 5)
    model = affine.fit(features, labels, classes=3, dimension=2)
    assert affine.distances(model, features[:0]).shape == (0, 3, 3)
    assert affine.predict(model, features[:0]).shape == (0,)
