"""Affine spaces against SVD, softmax regression and neighbours against scikit-learn, in double precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import ortho_group
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from jaxtheory.statistics import classifiers


def clouds(rng, n: int, p: int, classes: int = 3):
    """Classes about means of their own, with variances that fall from coordinate to coordinate."""
    labels = np.arange(n) % classes
    means = rng.standard_normal((classes, p))
    return means[labels] + rng.standard_normal((n, p)) * 0.9 ** np.arange(p), labels


def distances_by_pca(features, labels, queries, dimension: int):
    """Squared distances (queries, dimension + 1, classes) from scikit-learn's principal components."""
    found = []
    for label in np.unique(labels):
        model = PCA(dimension, svd_solver="full").fit(features[labels == label])
        left = []
        for k in range(dimension + 1):
            basis = model.components_[:k]
            centred = queries - model.mean_
            left.append(((centred - centred @ basis.T @ basis) ** 2).sum(-1))
        found.append(np.stack(left, -1))
    return np.stack(found, -1)


@pytest.mark.parametrize(("n", "p"), [(24, 40), (90, 12)], ids=["Gram matrix", "covariance"])
def test_affine_spaces_are_those_of_each_class_principal_components(rng, x64, n, p):
    features, labels = clouds(rng, n, p)
    model = classifiers.affine_fit(features, labels, classes=3, dimension=5)
    for label in range(3):
        own = features[labels == label]
        centred = own - own.mean(0)
        _, singular, right = np.linalg.svd(centred, full_matrices=False)
        np.testing.assert_allclose(model.means[label], own.mean(0), atol=1e-14)
        np.testing.assert_allclose(model.variances[label], singular[:5] ** 2 / len(own), rtol=1e-10)
        largest = np.take_along_axis(right[:5], np.abs(right[:5]).argmax(1)[:, None], 1)
        np.testing.assert_allclose(model.directions[label], right[:5] * np.sign(largest), atol=1e-9)
        assert model.counts[label] == len(own)
    assert np.all(model.residual < 1e-13)
    queries = rng.standard_normal((2, 7, p))
    expected = distances_by_pca(features, labels, queries, 5)
    np.testing.assert_allclose(classifiers.affine_distances(model, queries), expected, rtol=1e-10, atol=1e-12)
    for dimension in (None, 0, 3):
        predicted = classifiers.affine_predict(model, queries, dimension=dimension)
        np.testing.assert_array_equal(
            predicted, expected[..., 5 if dimension is None else dimension, :].argmin(-1)
        )
    truth = rng.integers(0, 3, 7)
    errors = classifiers.affine_errors(model, queries[0], truth)
    np.testing.assert_allclose(errors, (expected[0].argmin(-1) != truth[:, None]).mean(0), rtol=1e-15)


@pytest.mark.parametrize(("n", "p"), [(600, 700), (700, 600)], ids=["Gram matrix", "covariance"])
def test_a_few_of_many_directions_by_subspace_iteration_within_the_residual(rng, x64, n, p):
    features = rng.standard_normal((n, p)) * 0.97 ** np.arange(p)
    model = classifiers.affine_fit(features, np.zeros(n, int), classes=1, dimension=20)
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
    np.testing.assert_allclose(classifiers.affine_distances(model, queries), expected, atol=bound)


def test_digits_in_single_precision_are_classified_as_by_pca():
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    train, test = slice(0, 1200), slice(1200, None)
    model = classifiers.affine_fit(np.float32(images[train]), labels[train], classes=10, dimension=12)
    expected = distances_by_pca(images[train], labels[train], images[test], 12)
    found = classifiers.affine_distances(model, np.float32(images[test]))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
    errors = classifiers.affine_errors(model, np.float32(images[test]), labels[test])
    np.testing.assert_allclose(errors, (expected.argmin(-1) != labels[test][:, None]).mean(0), atol=2 / 597)


@pytest.mark.parametrize(("copies", "p"), [(5, 9), (9, 5)], ids=["Gram matrix", "covariance"])
def test_equal_points_have_no_direction(copies, p):
    point = np.float32(np.random.default_rng(1).standard_normal(p))
    features = np.concatenate([np.tile(point, (copies, 1)), np.tile(-point, (copies, 1)) + np.eye(copies, p)])
    labels = np.repeat([0, 1], copies)
    model = classifiers.affine_fit(np.float32(features), labels, classes=2, dimension=3)
    np.testing.assert_array_equal(model.variances[0], np.zeros(3))
    np.testing.assert_array_equal(model.directions[0], np.zeros((3, p)))
    assert np.all(model.variances[1] > 0.1)
    queries = np.random.default_rng(2).standard_normal((6, p))
    found = classifiers.affine_distances(model, np.float32(queries))[..., 0]
    np.testing.assert_allclose(found, np.repeat(cdist(queries, [point]) ** 2, 4, 1), rtol=1e-5)


def test_points_in_a_plane_have_two_directions(rng, x64):
    plane = np.repeat(rng.standard_normal((4, 2)), 3, 0) @ rng.standard_normal((2, 30)) + 5
    model = classifiers.affine_fit(plane, np.zeros(12, int), classes=1, dimension=6)
    assert np.count_nonzero(model.variances[0]) == 2
    np.testing.assert_array_equal(model.directions[0, 2:], np.zeros((4, 30)))
    np.testing.assert_allclose(classifiers.affine_distances(model, plane)[:, 2:], 0, atol=1e-10)


def test_one_example_is_a_point():
    model = classifiers.affine_fit(np.eye(2, 3, dtype=np.float32), np.array([0, 1]), classes=2, dimension=2)
    np.testing.assert_array_equal(model.variances, np.zeros((2, 2)))
    distances = classifiers.affine_distances(model, np.array([1, 0, 2], np.float32))
    np.testing.assert_array_equal(distances, [[4, 6]] * 3)


def test_of_equal_distances_the_lower_class():
    model = classifiers.affine_fit(np.float32([[1, 0], [-1, 0]]), np.array([1, 0]), classes=2, dimension=1)
    assert classifiers.affine_predict(model, np.float32([0, 3])) == 0


def test_affine_fit_under_jit_equals_eager(rng, x64):
    features, labels = clouds(rng, 40, 15)
    fit = partial(classifiers.affine_fit, classes=3, dimension=4)
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
    fit = partial(classifiers.affine_fit, classes=3, dimension=4)
    expected = fit(features[kept], labels[kept])
    found = jax.jit(fit)(features, masked)
    np.testing.assert_allclose(found.means, expected.means, atol=1e-12)
    np.testing.assert_allclose(found.directions, expected.directions, atol=1e-10)
    softmax = partial(classifiers.softmax_fit, classes=3, penalty=0.1, tolerance=1e-10)
    np.testing.assert_allclose(
        jax.jit(softmax)(features, masked).weights, softmax(features[kept], labels[kept]).weights, atol=1e-8
    )


def test_under_jit_a_class_without_examples_is_never_nearest(rng):
    features, labels = clouds(rng, 20, 6, classes=2)
    features = np.float32(features)
    model = jax.jit(partial(classifiers.affine_fit, classes=3, dimension=2))(features, 2 * labels)
    assert np.all(np.isinf(classifiers.affine_distances(model, features)[..., 1]))
    assert set(np.unique(classifiers.affine_predict(model, features))) == {0, 2}


def test_under_jit_a_class_above_capacity_is_not_a_number():
    features, labels = (
        np.float32(np.random.default_rng(0).standard_normal((9, 4))),
        np.array([0] * 6 + [1] * 3),
    )
    model = jax.jit(partial(classifiers.affine_fit, classes=2, dimension=2, capacity=4))(features, labels)
    assert np.isnan(model.residual[0])
    assert np.all(np.isnan(classifiers.affine_distances(model, features)[..., 0]))
    np.testing.assert_allclose(model.means[1], features[6:].mean(0), atol=1e-6)


@given(st.integers(0, 2**31), st.sampled_from([(12, 9), (40, 5)]))
def test_distances_are_invariant_and_fall_with_the_dimension(seed, shape):
    rng = np.random.default_rng(seed)
    features, labels = clouds(rng, *shape, classes=2)
    queries = rng.standard_normal((4, shape[1]))
    turn, shift = ortho_group.rvs(shape[1], random_state=seed), 3 * rng.standard_normal(shape[1])
    with jax.enable_x64(True):
        fit = partial(classifiers.affine_fit, classes=2, dimension=4)
        distances = np.asarray(classifiers.affine_distances(fit(features, labels), queries))
        moved = classifiers.affine_distances(fit(features @ turn + shift, labels), queries @ turn + shift)
        np.testing.assert_allclose(moved, distances, rtol=1e-8, atol=1e-10)
    assert np.all(np.diff(distances, axis=-2) <= 0)
    assert np.all(distances >= 0)


def objective(parameters, features, labels, penalty):
    """Mean cross-entropy with half the penalty times the squared weights, in NumPy."""
    weights, bias = parameters[:-1], parameters[-1]
    logits = features @ weights + bias
    misfit = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return misfit.mean() + penalty / 2 * (weights**2).sum()


@pytest.mark.parametrize("penalty", [0.3, 0.003])
def test_softmax_regression_is_that_of_scikit_learn(rng, x64, penalty):
    features, labels = clouds(rng, 60, 5)
    model = classifiers.softmax_fit(features, labels, classes=3, penalty=penalty, tolerance=1e-10)
    peer = LogisticRegression(C=1 / (60 * penalty), tol=1e-10, max_iter=10_000).fit(features, labels)
    np.testing.assert_allclose(model.weights, peer.coef_.T, atol=1e-6)
    np.testing.assert_allclose(model.bias, peer.intercept_ - peer.intercept_.mean(), atol=1e-6)
    theirs = np.vstack([peer.coef_.T, peer.intercept_])
    np.testing.assert_allclose(model.objective, objective(theirs, features, labels, penalty), rtol=1e-12)
    assert model.converged
    queries = rng.standard_normal((2, 9, 5))
    logits = classifiers.softmax_logits(model, queries)
    probabilities = peer.predict_proba(queries.reshape(-1, 5)).reshape(2, 9, 3)
    np.testing.assert_allclose(jax.nn.softmax(logits), probabilities, atol=1e-6)
    np.testing.assert_array_equal(classifiers.softmax_predict(model, queries), probabilities.argmax(-1))


def test_two_classes_have_twice_the_c_of_scikit_learn(rng, x64):
    features, labels = clouds(rng, 50, 4, classes=2)
    model = classifiers.softmax_fit(features, labels, classes=2, penalty=0.05, tolerance=1e-10)
    peer = LogisticRegression(C=2 / (50 * 0.05), tol=1e-10, max_iter=10_000).fit(features, labels)
    np.testing.assert_allclose(model.weights[:, 1] - model.weights[:, 0], peer.coef_[0], atol=1e-6)
    np.testing.assert_allclose(model.bias[1] - model.bias[0], peer.intercept_[0], atol=1e-6)


def test_softmax_tells_how_far_it_came(rng, x64):
    features, labels = clouds(rng, 60, 5)
    fit = partial(classifiers.softmax_fit, features, labels, classes=3, penalty=0.003)

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
    idle = fit(max_steps=0)
    np.testing.assert_allclose(idle.objective, np.log(3), rtol=1e-12)
    assert (idle.steps, idle.converged) == (0, False)


def test_softmax_in_single_precision(rng):
    features, labels = clouds(rng, 60, 5)
    model = classifiers.softmax_fit(np.float32(features), labels, classes=3, penalty=0.01)
    peer = LogisticRegression(C=1 / (60 * 0.01), tol=1e-8, max_iter=10_000).fit(features, labels)
    assert model.weights.dtype == jnp.float32
    assert model.converged
    np.testing.assert_allclose(model.weights, peer.coef_.T, atol=2e-3)


@pytest.mark.parametrize("n", [2000, 3000])
def test_softmax_starts_well_with_many_examples_and_features(rng, n):
    # At this size XLA's product of the features with weights that it knew to be zero was not finite.
    labels = np.arange(n) % 10
    features = np.float32(rng.standard_normal((n, 1024)))
    start = classifiers.softmax_fit(features, labels, classes=10, penalty=0.1, max_steps=0)
    residual = 0.1 - np.eye(10)[labels]
    slopes = np.vstack([features.T @ residual, residual.sum(0)])
    np.testing.assert_allclose(start.gradient_norm, np.abs(slopes).max() / n, rtol=1e-4)
    assert not start.converged
    assert classifiers.softmax_fit(features, labels, classes=10, penalty=0.1, max_steps=20).objective < 2


def test_softmax_over_penalties_at_once(rng, x64):
    features, labels = clouds(rng, 60, 5)
    penalties = jnp.array([1.0, 0.1, 0.001])
    fit = partial(classifiers.softmax_fit, features, labels, classes=3, tolerance=1e-9)
    together = jax.jit(jax.vmap(lambda penalty: fit(penalty=penalty)))(penalties)
    assert np.all(together.converged)
    assert together.steps[0] < together.steps[2]
    for k, penalty in enumerate(penalties):
        peer = LogisticRegression(C=1 / (60 * float(penalty)), tol=1e-10, max_iter=10_000).fit(
            features, labels
        )
        np.testing.assert_allclose(together.weights[k], peer.coef_.T, atol=1e-5)
        assert together.steps[k] == fit(penalty=penalty).steps


def test_softmax_derivatives_in_the_penalty_against_finite_differences(rng, x64):
    features, labels = clouds(rng, 30, 4)
    weights, bias = rng.standard_normal((4, 3)), rng.standard_normal(3)

    def scalar(penalty):
        model = classifiers.softmax_fit(features, labels, classes=3, penalty=penalty, tolerance=1e-12)
        return jnp.sum(weights * model.weights) + bias @ model.bias + model.objective

    slope, curvature = jax.jvp(jax.grad(scalar), (0.05,), (1.0,))
    step = 1e-4
    before, here, after = (float(scalar(0.05 + k * step)) for k in (-1, 0, 1))
    np.testing.assert_allclose(slope, (after - before) / (2 * step), rtol=1e-4)
    np.testing.assert_allclose(curvature, (after - 2 * here + before) / step**2, rtol=1e-3)
    np.testing.assert_allclose(jax.jvp(scalar, (0.05,), (1.0,))[1], slope, rtol=1e-8)


def test_the_derivative_of_the_softmax_objective_is_half_the_squared_weights(rng, x64):
    features, labels = clouds(rng, 30, 4)
    fit = partial(classifiers.softmax_fit, features, labels, classes=3, tolerance=1e-11)
    slope = jax.grad(lambda penalty: fit(penalty=penalty).objective)(0.1)
    np.testing.assert_allclose(slope, (fit(penalty=0.1).weights ** 2).sum() / 2, rtol=1e-8)


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_neighbours_are_those_of_scikit_learn(rng, x64, block):
    train, queries = rng.standard_normal((53, 6)), rng.standard_normal((3, 5, 6))
    found = classifiers.neighbours(train, queries, k=4, block=block)
    distances, indices = NearestNeighbors(n_neighbors=4).fit(train).kneighbors(queries.reshape(-1, 6))
    np.testing.assert_array_equal(found.indices.reshape(-1, 4), indices)
    np.testing.assert_allclose(found.distances.reshape(-1, 4), distances**2, rtol=1e-12)


def test_neighbours_far_from_the_origin_keep_their_digits(rng):
    train = np.float32(1000 + rng.standard_normal((200, 10)))
    queries = np.float32(train[:20] + 0.01 * rng.standard_normal((20, 10)))
    found = classifiers.neighbours(train, queries, k=1)
    exact = cdist(np.float64(queries), np.float64(train)) ** 2
    np.testing.assert_array_equal(found.indices[:, 0], exact.argmin(1))
    np.testing.assert_allclose(found.distances[:, 0], exact.min(1), rtol=1e-5)


def test_all_training_examples_are_neighbours_in_order(rng):
    train = np.float32(rng.permutation(9))[:, None]
    found = classifiers.neighbours(train, np.float32([0.4]), k=9, block=4)
    np.testing.assert_array_equal(train[found.indices, 0], np.arange(9))


def test_of_equal_points_the_lower_rows_are_nearer(rng):
    train = np.float32(np.tile(rng.standard_normal((2, 3)), (5, 1)))
    found = classifiers.neighbours(train, train[1], k=7, block=3)
    np.testing.assert_array_equal(found.indices, [1, 3, 5, 7, 9, 0, 2])
    np.testing.assert_array_equal(found.distances[:5], np.zeros(5))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_votes_are_those_of_scikit_learn(rng, x64, k):
    features, labels = clouds(rng, 80, 4)
    queries = rng.standard_normal((200, 4))
    peer = KNeighborsClassifier(k).fit(features, labels)
    votes = peer.predict_proba(queries)
    found = classifiers.neighbours_predict(features, labels, queries, classes=3, k=k)
    np.testing.assert_array_equal(found, peer.predict(queries))
    if k == 2:
        assert np.mean((votes == votes.max(1, keepdims=True)).sum(1) > 1) > 0.1  # there are ties to break


def test_a_class_without_examples_has_no_votes():
    train = np.float32([[0.0], [1.0], [2.0]])
    found = classifiers.neighbours_predict(train, np.array([2, 0, 2]), train, classes=3, k=3)
    np.testing.assert_array_equal(found, [2, 2, 2])


def test_every_example_is_held_out_once(rng):
    seen = []

    def errors(train, held):
        assert set(train.tolist()) | set(held.tolist()) == set(range(11))
        assert len(train) + len(held) == 11
        seen.append(held.tolist())
        return len(held) * jnp.array([2.0, 1.0, jnp.nan])

    found = classifiers.cross_validate(errors, 11, folds=3, key=jax.random.key(0))
    assert sorted(map(len, seen)) == [3, 4, 4]
    dealt = [index for held in seen for index in held]
    assert sorted(dealt) == list(range(11))
    assert dealt != sorted(dealt)
    sizes = np.array([len(held) for held in seen])
    np.testing.assert_allclose(found.mean[:2], [2 * 11 / 3, 11 / 3], rtol=1e-6)
    np.testing.assert_allclose(found.standard_error[1], sizes.std(ddof=1) / np.sqrt(3), rtol=1e-6)
    assert found.best == 1


def test_cross_validation_takes_arrays_of_choices_and_keys_at_once(rng, x64):
    target = rng.standard_normal(12)
    shrink = np.linspace(0, 1, 6).reshape(2, 3)

    def errors(train, held):
        left = jnp.asarray(target)[held, None, None] - shrink * jnp.asarray(target)[train].mean()
        return (left**2).mean(0)

    keys = jax.random.split(jax.random.key(0), 4)
    many = jax.vmap(lambda key: classifiers.cross_validate(errors, 12, folds=12, key=key).errors)(keys)
    assert many.shape == (4, 12, 2, 3)
    # With one example held out at a time the deal does not matter, and the others' mean is known.
    others = (target.sum() - target) / 11
    expected = ((target[:, None, None] - shrink * others[:, None, None]) ** 2).mean(0)
    np.testing.assert_allclose(many.mean(1), np.broadcast_to(expected, (4, 2, 3)), rtol=1e-12)
    one = classifiers.cross_validate(errors, 12, folds=12, key=keys[0])
    assert one.best == expected.argmin()


def test_cross_validation_finds_the_dimension(rng):
    basis = rng.standard_normal((2, 3, 20))
    labels = np.arange(120) % 2
    features = np.einsum("nk,nkp->np", rng.standard_normal((120, 3)), basis[labels])
    features = np.float32(features + 0.3 * rng.standard_normal((120, 20)))

    def errors(train, held):
        model = classifiers.affine_fit(features[train], labels[train], classes=2, dimension=6)
        return classifiers.affine_errors(model, features[held], labels[held])

    found = classifiers.cross_validate(errors, 120, folds=4, key=jax.random.key(0))
    assert found.errors.shape == (4, 7)
    assert found.mean[0] > 0.3
    assert found.mean[found.best] < 0.02
    assert found.best >= 3


def test_error_rate_is_a_mean_over_the_last_axis(rng):
    labels, predicted = rng.integers(0, 3, 40), rng.integers(0, 3, (2, 5, 40))
    found = classifiers.error_rate(predicted, labels)
    np.testing.assert_allclose(found, (predicted != labels).mean(-1), rtol=1e-6)


ROWS, LABELS = np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: classifiers.affine_fit(ROWS[0], LABELS, classes=2, dimension=1),
            r"features have shape \(3,\): give rows, \(n, p\), of one example each",
        ),
        (
            lambda: classifiers.softmax_fit(ROWS[:0], LABELS[:0], classes=2, penalty=1.0),
            r"features have shape \(0, 3\): give rows",
        ),
        (
            lambda: classifiers.affine_fit(ROWS, LABELS[:3], classes=2, dimension=1),
            r"features of shape \(4, 3\) need 4 labels, one a row, and labels have shape \(3,\)",
        ),
        (
            lambda: classifiers.neighbours_predict(ROWS, LABELS, ROWS, classes=0, k=1),
            "classes is 0: there is one at least",
        ),
        (
            lambda: classifiers.affine_fit(ROWS, LABELS - 1, classes=2, dimension=1),
            "labels run from -1 to 0: with 2 classes they are 0 to 1",
        ),
        (
            lambda: classifiers.neighbours_predict(ROWS, LABELS, ROWS, classes=1, k=1),
            "labels run from 0 to 1: with 1 classes they are 0 to 0",
        ),
        (
            lambda: classifiers.affine_fit(ROWS, 2 * LABELS, classes=3, dimension=1),
            "labels hold no example of class 1: each of the 3 classes needs one at least",
        ),
        (
            lambda: classifiers.softmax_fit(ROWS, LABELS, classes=3, penalty=1.0),
            "labels hold no example of class 2",
        ),
        (
            lambda: classifiers.affine_fit(ROWS, LABELS, classes=2, dimension=0),
            "dimension is 0: an affine space among 3 features has 1 to 3 directions",
        ),
        (lambda: classifiers.affine_fit(ROWS, LABELS, classes=2, dimension=4), "dimension is 4"),
        (
            lambda: classifiers.affine_fit(ROWS, LABELS, classes=2, dimension=1, capacity=1),
            "capacity is 1, below the examples of the largest class: make it 2 at least",
        ),
        (
            lambda: jax.jit(partial(classifiers.affine_fit, classes=2, dimension=1, capacity=0))(
                ROWS, LABELS
            ),
            "capacity is 0, below the examples of the largest class: make it 1 at least",
        ),
        (
            lambda: classifiers.softmax_fit(ROWS, LABELS, classes=2, penalty=-1.0),
            "penalty is -1.0: take 0 or more",
        ),
        (
            lambda: classifiers.softmax_fit(ROWS, LABELS, classes=2, penalty=float("nan")),
            "penalty is nan: take 0 or more",
        ),
        (
            lambda: classifiers.softmax_fit(ROWS, LABELS, classes=2, penalty=1.0, tolerance=-1e-3),
            "tolerance is -0.001: take 0 or more",
        ),
        (
            lambda: classifiers.softmax_fit(ROWS, LABELS, classes=2, penalty=1.0, max_steps=-1),
            "max_steps is -1: take 0 or more",
        ),
        (
            lambda: classifiers.neighbours(ROWS[0], ROWS, k=1),
            r"training features have shape \(3,\): give rows, \(n, p\), of one example each",
        ),
        (
            lambda: classifiers.neighbours(ROWS, ROWS[:, :2], k=1),
            r"queries have shape \(4, 2\) and the training examples 3 features",
        ),
        (
            lambda: classifiers.neighbours(ROWS, ROWS, k=5),
            "k is 5: among 4 training examples there are 1 to 4 neighbours",
        ),
        (lambda: classifiers.neighbours(ROWS, ROWS, k=0), "k is 0"),
        (
            lambda: classifiers.neighbours(ROWS, ROWS, k=1, block=0),
            "block is 0: handle one row at a time at least",
        ),
        (
            lambda: classifiers.cross_validate(lambda *_: 0.0, 4, folds=1, key=jax.random.key(0)),
            "folds is 1: 4 examples can be dealt into 2 to 4 parts",
        ),
        (
            lambda: classifiers.cross_validate(lambda *_: 0.0, 4, folds=5, key=jax.random.key(0)),
            "folds is 5",
        ),
        (
            lambda: classifiers.error_rate(LABELS, LABELS[:3]),
            r"predictions of shape \(4,\) cannot be compared with labels of shape \(3,\): give one",
        ),
    ],
)
def test_messages(own_errors, call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("query", [classifiers.affine_distances, classifiers.affine_predict])
def test_messages_of_affine_queries(own_errors, query):
    model = classifiers.affine_fit(np.eye(4, 3, dtype=np.float32), LABELS, classes=2, dimension=1)
    with pytest.raises(
        ValueError, match=r"features have shape \(4, 2\) and the model was fitted to 3 features"
    ):
        query(model, ROWS[:, :2])
    with pytest.raises(ValueError, match=r"features have shape \(\) and the model"):
        query(model, np.float32(1))


def test_messages_of_affine_errors_and_dimensions(own_errors):
    model = classifiers.affine_fit(np.eye(4, 3, dtype=np.float32), LABELS, classes=2, dimension=1)
    with pytest.raises(ValueError, match="dimension is 2 and the model has spaces of 0 to 1 dimensions"):
        classifiers.affine_predict(model, ROWS, dimension=2)
    with pytest.raises(ValueError, match="dimension is -1 and the model"):
        classifiers.affine_predict(model, ROWS, dimension=-1)
    with pytest.raises(ValueError, match=r"features of shape \(4, 3\) need 4 labels"):
        classifiers.affine_errors(model, ROWS, LABELS[:2])
    with pytest.raises(ValueError, match=r"features have shape \(4, 2\) and the model"):
        classifiers.affine_errors(model, ROWS[:, :2], LABELS)


@pytest.mark.parametrize("query", [classifiers.softmax_logits, classifiers.softmax_predict])
def test_messages_of_softmax_queries(own_errors, query):
    model = classifiers.softmax_fit(np.eye(4, 3, dtype=np.float32), LABELS, classes=2, penalty=1.0)
    with pytest.raises(
        ValueError, match=r"features have shape \(4, 2\) and the model was fitted to 3 features"
    ):
        query(model, ROWS[:, :2])
