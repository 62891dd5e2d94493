"""The pieces of the MNIST experiment; CI runs its quick form as a whole against the committed verdicts."""

import numpy as np
import pytest
from scipy.fft import dct
from sklearn.svm import SVC

from jaxtheory.experiments.harmonic import scattering_mnist as experiment
from jaxtheory.lab import Measured, Sweep


def digits(*, embedded, training=40, total=50):
    return experiment.Digits({}, np.arange(total) % 10, embedded, training)


def test_a_split_of_the_embedded_digits_is_new_at_each_draw_and_shares_nothing():
    train, test = digits(embedded=True).split(30, 0)
    assert (len(train), len(test)) == (30, 10)
    assert not set(train) & set(test)
    assert set(test) != set(digits(embedded=True).split(30, 1)[1])


def test_the_whole_mnist_keeps_its_own_test_digits():
    train, test = digits(embedded=False).split(30, 3)
    assert test.tolist() == list(range(40, 50))
    assert max(train) < 40


def test_larger_training_sets_contain_the_smaller_ones_of_the_same_draw():
    few, many = (digits(embedded=True).split(size, 2)[0] for size in (10, 40))
    assert set(few) < set(many)


def test_the_lower_half_holds_a_constant_and_drops_an_alternation(rng):
    weights = rng.standard_normal((2, 1, 3))
    constant = np.broadcast_to(weights, (2, 8, 3))
    alternating = constant * (-1.0) ** np.arange(8)[:, None]
    energy = (experiment.lower_half(constant, (1,)) ** 2).sum()
    assert energy == pytest.approx((constant**2).sum())
    spectrum = dct(alternating, axis=1, norm="ortho")
    kept = experiment.lower_half(alternating, (1,))
    np.testing.assert_allclose(kept, spectrum[:, :4])
    assert (kept**2).sum() < 0.1 * (alternating**2).sum()


def test_half_of_the_paths_is_kept(rng):
    J, L = 3, 6
    coefficients = rng.standard_normal((2, 1 + J * L + L * L * J * (J - 1) // 2, 16))
    order_1, order_2 = experiment.by_order(coefficients, J, L)
    assert order_1.shape == (2, 1 + 9, 16)
    assert order_2.shape == (2, 1 + 9 + 54, 16)
    np.testing.assert_array_equal(order_2[:, :10], order_1)


def test_the_pairs_of_scales_are_found_in_the_order_of_the_channels():
    J, L = 3, 2
    from jaxtheory.harmonic import scattering2d

    table = scattering2d.paths(scattering2d.filter_bank((16, 16), J, L))
    marked = np.array([float(path.scales == (0, 2)) for path in table])[None, :, None]
    _, order_2 = experiment.by_order(marked, J, L)
    # One pair of three carries all the energy of order 2: L * L coefficients of one, of which half is kept.
    constant = np.zeros((1, 3, L, L, 1))
    constant[:, 1] = 1
    np.testing.assert_allclose(order_2[:, -6:], experiment.lower_half(constant, (1, 2, 3)), atol=1e-12)


def test_the_svm_agrees_with_libsvm_on_rescaled_features(rng):
    labels = rng.integers(0, 3, 90)
    features = rng.standard_normal((90, 4, 2)) + labels[:, None, None]
    train, test = features[:60], features[60:]
    predicted, error = experiment.svm(train, labels[:60], test, folds=3, tuning=60)
    low, high = train.min(axis=0), train.max(axis=0)
    scaled = [((part - low) * 2 / (high - low) - 1).reshape(len(part), -1) for part in (train, test)]
    answers = [
        SVC(C=experiment.SLACK, gamma=width / 8).fit(scaled[0], labels[:60]).predict(scaled[1])
        for width in experiment.WIDTHS
    ]
    assert any((predicted == answer).all() for answer in answers)
    assert 0 <= error <= 100


def test_the_affine_classifier_separates_affine_classes(rng):
    labels = np.arange(200) % 10
    centres = 5 * rng.standard_normal((10, 6, 4))
    features = (centres[labels] + 0.1 * rng.standard_normal((200, 6, 4))).astype(np.float32)
    predicted, error = experiment.affine(features[:150], labels[:150], features[150:], folds=3, tuning=150)
    assert (predicted == labels[150:]).all()
    assert error == 0


def test_one_draw_is_paired_over_the_test_digits():
    def sweep(wrong):
        wrong = np.array(wrong)[None, None]
        return Sweep("", {"size": (9,), "draw": (0,)}, {"error": 100 * wrong.mean(-1), "wrong": wrong})

    measured = experiment.difference(sweep([True, False, False, False]), sweep([True, True, False, True]))
    assert measured.value == pytest.approx(-50)
    assert measured.standard_error == pytest.approx(100 * np.std([0, -1, 0, -1], ddof=1) / 2)
    assert measured.paired


def test_the_allowance_is_two_standard_errors_or_0_15_points():
    exact = Measured(0.7, None)
    assert experiment.allowance(0.7, exact, 10_000) == pytest.approx(
        200 * np.sqrt(2 * 0.007 * 0.993 / 10_000)
    )
    assert experiment.allowance(0.7, exact, 10_000_000) == 0.15
