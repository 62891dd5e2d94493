"""The linear classifier for representations: scalings by hand, choice and fit against scikit-learn's."""

import jax
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from jaxtheory.statistics import linear_probe
from tests.statistics.samples import clouds

PENALTIES = (0.003, 0.1)


def scaled_by_hand(features, scaling):
    """Features as each scaling leaves them, in NumPy."""
    if scaling == "roots":
        features = np.sign(features) * np.sqrt(np.abs(features))
    features = features - features.mean(0)
    deviation = features.std(0)
    if scaling == "together":
        return features / np.sqrt(np.mean(deviation**2))
    return features / np.maximum(deviation, 0.05 * deviation.max())


def expected(features, labels, queries):
    """The choice, the error on held-out examples and the predictions, with scikit-learn's regression."""
    held = np.arange(len(features)) % 4 == 0
    every = np.concatenate([features, queries])

    def predict(scaling, penalty, known, asked):
        source = np.sign(every) * np.sqrt(np.abs(every)) if scaling == "roots" else every
        # Queries are scaled with the training examples' means and deviations: the same straight lines.
        table = scaled_by_hand(features, scaling)
        lines = [np.polyfit(source[: len(features), k], table[:, k], 1) for k in range(features.shape[1])]
        scaled = np.stack([np.polyval(line, source[:, k]) for k, line in enumerate(lines)], -1)
        model = LogisticRegression(C=1 / (known.sum() * penalty), max_iter=5000, tol=1e-8)
        return model.fit(scaled[: len(features)][known], labels[known]).predict(scaled)[asked]

    choices = [(scaling, penalty) for scaling in linear_probe.SCALINGS for penalty in PENALTIES]
    places = np.flatnonzero(held)
    errors = [np.mean(predict(*choice, ~held, places) != labels[held]) for choice in choices]
    best = int(np.argmin(errors))
    asked = np.arange(len(features), len(every))
    return choices[best], errors[best], predict(*choices[best], np.ones(len(features), bool), asked)


@pytest.mark.parametrize("power", [1, 3])
def test_choice_error_and_predictions_are_those_of_scikit_learn(power, rng, x64):
    x, labels = clouds(rng, 160, 5)
    # To the third power, roots make features even again.
    x = np.sign(x) * np.abs(x) ** power
    probe = linear_probe.fit(
        x[:120], labels[:120], classes=3, penalties=PENALTIES, tolerance=1e-7, max_steps=500
    )
    (scaling, penalty), error, predictions = expected(x[:120], labels[:120], x[120:])
    assert linear_probe.SCALINGS[int(probe.scaling)] == scaling
    assert float(probe.penalty) == penalty
    np.testing.assert_allclose(probe.error, error)
    roots = np.sign(x) * np.sqrt(np.abs(x)) if scaling == "roots" else x
    scaled = (roots[:120] - probe.center) / probe.scale
    np.testing.assert_allclose(scaled, scaled_by_hand(x[:120], scaling), atol=1e-12)
    np.testing.assert_array_equal(linear_probe.predict(probe, x[120:]), predictions)


@pytest.mark.beyond
def test_flowers_are_told_apart_and_labels_without_meaning_are_not():
    flowers = load_iris()
    order = np.random.default_rng(0).permutation(150)
    seen, labels = np.float32(flowers.data[order]), flowers.target[order]
    probe = linear_probe.fit(seen[:100], labels[:100], classes=3)
    assert np.mean(linear_probe.predict(probe, seen[100:]) != labels[100:]) <= 0.06
    assert probe.error <= 0.08
    noise = np.random.default_rng(1).integers(0, 3, 150)
    probe = linear_probe.fit(seen[:100], noise[:100], classes=3)
    assert np.mean(linear_probe.predict(probe, seen[100:]) != noise[100:]) > 0.4


def test_classes_without_examples_and_constant_features_do_no_harm(rng):
    x, labels = clouds(rng, 40, 4)
    x = np.float32(x)
    x[:, 2] = 7
    probe = linear_probe.fit(x, labels, classes=5)
    assert np.all(np.isfinite(probe.model.weights))
    assert set(np.asarray(linear_probe.predict(probe, x))) <= {0, 1, 2}
    nothing = linear_probe.fit(np.full((40, 4), 7, np.float32), labels, classes=5)
    np.testing.assert_array_equal(nothing.scale, 1)


@pytest.mark.beyond
def test_training_sets_can_be_mapped(rng):
    pairs = [clouds(rng, 40, 4) for _ in range(2)]
    x, labels = (np.stack(part) for part in zip(*pairs))
    both = jax.vmap(lambda x, labels: linear_probe.fit(x, labels, classes=3))(np.float32(x), labels)
    for place in range(2):
        one = linear_probe.fit(np.float32(x[place]), labels[place], classes=3)
        assert one.scaling == both.scaling[place]
        np.testing.assert_allclose(one.error, both.error[place])
        np.testing.assert_allclose(one.model.weights, both.model.weights[place], atol=2e-2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"penalties": ()}, ValueError, "penalties is empty: take at least one number of 0 or more"),
        ({"penalties": (0.1, -1.0)}, ValueError, "penalties holds -1.0: take numbers of 0 or more"),
        ({"parts": 1}, ValueError, "parts is 1: take a whole number from 2 to 8"),
        ({"parts": 9}, ValueError, "parts is 9: take a whole number from 2 to 8"),
        ({"max_steps": 0}, ValueError, "max_steps is 0: take a whole number at least 1"),
        ({"tolerance": -1.0}, ValueError, "tolerance is -1.0: take a number of 0 or more"),
        ({"classes": 2}, ValueError, "labels run from 0 to 2: take 0 to 1 for 2 classes"),
        ({"labels": np.ones(8)}, TypeError, "labels are float64: take whole numbers"),
        ({"features": np.ones((8, 2), complex)}, TypeError, "features is complex"),
        ({"features": np.ones((7, 2))}, ValueError, "labels has the shape"),
    ],
)
def test_wrong_arguments_are_refused(change, error, message, own_errors):
    given = {"features": np.ones((8, 2)), "labels": np.arange(8) % 3, "classes": 3} | change
    with pytest.raises(error, match=message):
        linear_probe.fit(given.pop("features"), given.pop("labels"), **given)


def test_queries_of_another_number_of_features_are_refused(rng, own_errors):
    x, labels = clouds(rng, 20, 4)
    probe = linear_probe.fit(np.float32(x), labels, classes=3)
    with pytest.raises(ValueError, match=r"queries has the shape \(3,\): take \(\.\.\., 4\)"):
        linear_probe.predict(probe, np.ones(3))
