"""Neighbors against scikit-learn, in double precision."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from jaxtheory.statistics import neighbors
from tests.statistics.samples import clouds


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_neighbors_are_those_of_scikit_learn(rng, x64, block):
    train, queries = rng.standard_normal((53, 6)), rng.standard_normal((3, 5, 6))
    found = neighbors.search(train, queries, neighbors=4, block=block)
    distances, indices = NearestNeighbors(n_neighbors=4).fit(train).kneighbors(queries.reshape(-1, 6))
    np.testing.assert_array_equal(found.indices.reshape(-1, 4), indices)
    np.testing.assert_allclose(found.distances.reshape(-1, 4), distances**2, rtol=1e-12)


def test_neighbors_far_from_the_origin_keep_their_digits(rng):
    train = np.float32(1000 + rng.standard_normal((200, 10)))
    queries = np.float32(train[:20] + 0.01 * rng.standard_normal((20, 10)))
    found = neighbors.search(train, queries, neighbors=1)
    exact = cdist(np.float64(queries), np.float64(train)) ** 2
    np.testing.assert_array_equal(found.indices[:, 0], exact.argmin(1))
    np.testing.assert_allclose(found.distances[:, 0], exact.min(1), rtol=1e-5)


def test_all_training_examples_are_neighbors_in_order(rng):
    train = np.float32(rng.permutation(9))[:, None]
    found = neighbors.search(train, np.float32([0.4]), neighbors=9, block=4)
    np.testing.assert_array_equal(train[found.indices, 0], np.arange(9))


def test_of_equal_points_the_lower_rows_are_nearer(rng):
    train = np.float32(np.tile(rng.standard_normal((2, 3)), (5, 1)))
    found = neighbors.search(train, train[1], neighbors=7, block=3)
    np.testing.assert_array_equal(found.indices, [1, 3, 5, 7, 9, 0, 2])
    np.testing.assert_array_equal(found.distances[:5], np.zeros(5))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_votes_are_those_of_scikit_learn(rng, x64, k):
    features, labels = clouds(rng, 80, 4)
    queries = rng.standard_normal((200, 4))
    peer = KNeighborsClassifier(k).fit(features, labels)
    votes = peer.predict_proba(queries)
    found = neighbors.predict(features, labels, queries, classes=3, neighbors=k)
    np.testing.assert_array_equal(found, peer.predict(queries))
    if k == 2:
        assert np.mean((votes == votes.max(1, keepdims=True)).sum(1) > 1) > 0.1  # there are ties to break


def test_a_class_without_examples_has_no_votes():
    train = np.float32([[0.0], [1.0], [2.0]])
    found = neighbors.predict(train, np.array([2, 0, 2]), train, classes=3, neighbors=3)
    np.testing.assert_array_equal(found, [2, 2, 2])


def test_a_mask_leaves_examples_out(rng, x64):
    features, queries = rng.standard_normal((30, 4)), rng.standard_normal((7, 4))
    mask = np.arange(30) % 3 > 0
    found = neighbors.search(features, queries, neighbors=4, block=8, where=mask)
    distances, indices = NearestNeighbors(n_neighbors=4).fit(features[mask]).kneighbors(queries)
    np.testing.assert_array_equal(found.indices, np.flatnonzero(mask)[indices])
    np.testing.assert_allclose(found.distances, distances**2, rtol=1e-12)
    few = neighbors.search(features, queries, neighbors=4, where=np.arange(30) < 2)
    assert np.all(np.isfinite(few.distances) == [True, True, False, False])
    labels = np.arange(30) % 3
    voted = neighbors.predict(features, labels, queries, classes=3, neighbors=4, where=np.arange(30) == 2)
    np.testing.assert_array_equal(voted, np.full(7, 2))


def test_no_queries_have_no_neighbors():
    found = neighbors.search(np.zeros((3, 2), np.float32), np.zeros((0, 2), np.float32), neighbors=2)
    assert found.distances.shape == found.indices.shape == (0, 2)
