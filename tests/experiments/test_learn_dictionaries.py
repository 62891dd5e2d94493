"""The pieces of the experiment on dictionaries learnt with codes, and a run in miniature that is resumed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import convolve2d
from scipy.spatial.distance import cdist
from sklearn.datasets import load_iris

from jaxtheory.experiments.sparse import learn_dictionaries as experiment
from jaxtheory.lab import Lab, Sweep, Verdict

TINY = experiment.Config(
    atoms=(2, 3), training=60, tested=20, draws=2, starts=2, trial=5, steps=5, batch=4, pursuit=4,
    reading_steps=4, grid=2, block=20, patches=300,
)  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    images = np.zeros((5000, 32, 32, 1), np.float32)
    images[:40, 8:24, 8:24] = rng.uniform(size=(40, 16, 16, 1))
    return experiment.Digits(images, np.arange(5000) % 10, True, 4000)


def test_embedded_digits_are_split_anew_and_others_are_tested_on_their_own(digits):
    config = replace(TINY, training=4000, tested=10_000)
    one, other = (digits.split(config, draw) for draw in (0, 1))
    for train, test in (one, other):
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(5000))
    assert np.intersect1d(one[1], other[1]).size < 300
    train, test = replace(digits, embedded=False).split(replace(config, training=100), 3)
    np.testing.assert_array_equal(test, np.arange(4000, 5000))
    assert len(set(train)) == 100
    assert train.max() < 4000


def test_sums_over_cells():
    maps = np.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(experiment.summed(maps, 2)[0, ..., 0], [[10, 18], [42, 50]])


def test_the_triangle_activation(rng):
    points, centroids = rng.standard_normal((7, 5)), rng.standard_normal((4, 5))
    distances = cdist(points, centroids)
    expected = np.maximum(0, distances.mean(1, keepdims=True) - distances)
    np.testing.assert_allclose(experiment.triangle(points, centroids), expected, atol=1e-6)


def test_patches_that_are_a_centroid_are_nearest_to_it_in_their_cell(digits):
    config = replace(TINY, atoms=(1, 3))
    train, test = np.arange(40), np.arange(40, 44)
    known, empty = experiment.patch_centroids(config, digits, (5,), train, test)
    assert known.shape == (40, 16)
    # Without ink all cells are alike but for nothing at all, and with it they differ.
    np.testing.assert_allclose(empty, np.broadcast_to(empty[:1, :4], (4, 4, 4)).reshape(4, 16), rtol=1e-4)
    assert np.ptp(known.reshape(40, 4, 4), axis=1).min() > 0
    both, _ = experiment.patch_centroids(config, digits, (3, 5), train, test)
    assert both.shape == (40, 16)


def test_what_an_atom_covers_and_what_it_is_in_pixels(rng):
    config = experiment.Config()
    assert experiment.receptive_fields(config) == (6, 14)
    assert experiment.receptive_fields(replace(config, kernels=(3, 5), strides=(1, 2))) == (3, 7)
    first, second = rng.standard_normal((6, 6, 1, 8)), rng.standard_normal((5, 5, 8, 40))
    dictionaries = [np.float32(first), np.float32(second)]
    np.testing.assert_array_equal(
        experiment.effective_atoms(config, dictionaries, 1)[3], dictionaries[0][..., 0, 3]
    )
    found = experiment.effective_atoms(config, dictionaries, 2)
    assert found.shape == (40, 14, 14)
    # A filter of the second layer, its entries two pixels apart, and every one a filter of the first.
    spread = np.zeros((9, 9, 8))
    spread[::2, ::2] = second[..., 7]
    expected = sum(convolve2d(spread[..., k], first[..., 0, k]) for k in range(8))
    np.testing.assert_allclose(found[7], expected, atol=1e-4)


def test_scaled_features():
    known, queries = np.array([[1.0, -4.0], [3.0, 16.0]]), np.array([[5.0, 6.0]])
    each, every = experiment.scaled("each", known, queries)
    np.testing.assert_allclose(each, [[-1, -1], [1, 1]])
    np.testing.assert_allclose(every[-1], [3, 0])
    together, _ = experiment.scaled("together", known, queries)
    np.testing.assert_allclose(together[:, 1] / together[:, 0], [10, 10])
    np.testing.assert_allclose(np.mean(together**2), 1)
    roots, every = experiment.scaled("roots", known, queries)
    np.testing.assert_allclose(roots, [[-1, -1], [1, 1]])
    np.testing.assert_allclose(every[-1, 1], (np.sqrt(6) - 1) / 3, rtol=1e-6)


def test_the_classifier_chooses_on_training_digits_and_errs_on_test_digits():
    flowers = load_iris()
    images = np.zeros((150, 32, 32, 1), np.float32)
    digits = experiment.Digits(images, flowers.target, False, 100)
    order = np.random.default_rng(0).permutation(150)
    digits = replace(digits, labels=flowers.target[order])
    seen = flowers.data[order]
    found = experiment.classified(
        lambda train, test: (seen[train], seen[test]), replace(TINY, training=100, tested=50), digits, 0
    )
    assert found["error"] <= 6
    assert found["validated"] <= 8
    assert found["features"] == 4
    # Labels that have nothing to do with the features cannot be guessed.
    noise = replace(digits, labels=np.random.default_rng(1).integers(0, 3, 150))
    found = experiment.classified(
        lambda train, test: (seen[train], seen[test]), replace(TINY, training=100, tested=50), noise, 0
    )
    assert found["error"] > 40


def rebuilt(start, learnt):
    """A sweep of reconstructions in which errors of random dictionaries fall with the share."""
    shape = (2, len(experiment.SCALES), 2)
    share, error = np.zeros(shape), np.zeros(shape)
    share[0], error[0] = np.array(start[0])[:, None], np.array(start[1])[:, None]
    share[1], error[1] = learnt
    values = {"share 1": share, "error 1": error, "share 2": share, "error 2": error, "objective": error}
    axes = {"dictionary": ("start", "learnt"), "scale": experiment.SCALES, "draw": (0, 1)}
    return Sweep("reconstruction", axes, values)


def test_reconstructions_are_compared_at_equal_shares():
    start = ([70, 60, 50, 40, 30, 20, 10], [10, 20, 30, 40, 50, 60, 70])
    np.testing.assert_allclose(experiment.at_equal_share(TINY, rebuilt(start, (25, 12))), -43)
    assert np.isnan(experiment.at_equal_share(TINY, rebuilt(start, (5, 12)))).all()
    claims = experiment.reconstruction_claims(TINY, rebuilt(start, (25, 12)))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3
    claims = experiment.reconstruction_claims(TINY, rebuilt(start, (26, 62)))
    assert [claim.verdict for claim in claims] == [Verdict.FAILS] * 3
    claims = experiment.reconstruction_claims(TINY, rebuilt(start, (5, 12)))
    assert claims[1].verdict == Verdict.FAILS


def test_codes_are_compared_with_each_of_the_others():
    names = ("codes", "k-means of digits", "k-means of patches", "principal components", "pixels")
    errors = {
        name: Sweep(name, {"draw": (0, 1, 2)}, {"error": np.array([3.0, 4.0, 5.0]) + apart})
        for name, apart in zip(names, (0, 1, [-1.0, 0.0, 1.0], 2, -9))
    }
    claims = experiment.error_claims(experiment.Config(), errors)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS, Verdict.TIE, Verdict.HOLDS]
    assert [one.value for claim in claims for one in claim.measurements] == pytest.approx([-1, 0, -2])
    assert claims[1].measurements[0].standard_error == pytest.approx(1 / np.sqrt(3))
    without = experiment.error_claims(experiment.Config(), {"codes": errors["codes"]})
    assert {claim.verdict for claim in without} == {Verdict.UNTESTED}
    claims = experiment.error_claims(replace(TINY, training=500), errors)
    assert {claim.verdict for claim in claims} == {Verdict.UNTESTED}


def test_a_run_in_miniature_is_resumed(tmp_path, monkeypatch):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1, 2, 0, 0, 0]
    assert np.isfinite(claims[0].measurements[0].value)
    assert len(lab.figures) == 5
    assert len(lab.notes) == 3 + 7
    monkeypatch.setattr(experiment, "segment", None)
    monkeypatch.setattr(experiment, "predicted", None)
    again = Lab(tmp_path)
    experiment.run(TINY, again)
    assert again.notes == lab.notes
