"""The pieces of the experiment on networks of few edges against transforms by hand and sampled errors."""

import jax
import numpy as np
import pytest
import pywt

from jaxtheory.approximation import relu
from jaxtheory.experiments.approximation import sparse_connectivity as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(side=64, draws=2, numbers=3, built=6, curved=64, scales=(3,))


@pytest.fixture(scope="module")
def image():
    return experiment.image_of(jax.random.key(3), 64)


@pytest.mark.beyond
def test_images_are_those_of_a_boundary(image):
    assert image.min() == 0
    assert image.max() == 1
    # Along x_1, the columns, they rise once, over few pixels.
    assert (np.diff(image, axis=1) >= 0).all()
    assert 64 <= ((image > 0) & (image < 1)).sum() < 64 * 8


def test_wavelets_are_orthonormal_and_the_largest_come_first(image):
    found = experiment.wavelets_of(image)
    assert (found.coefficients**2).sum() == pytest.approx((image**2).mean(), rel=1e-12)
    assert (np.diff(np.abs(found.coefficients)) <= 1e-15).all()
    array, slices = pywt.coeffs_to_array(pywt.wavedec2(image, "haar", mode="periodization"))
    least = np.abs(found.coefficients[29]) * 64 * (1 - 1e-12)
    kept = pywt.array_to_coeffs(np.where(np.abs(array) >= least, array, 0), slices, "wavedec2")
    best = pywt.waverec2(kept, "haar", mode="periodization")
    count = int((np.abs(array) >= least).sum())
    tail = np.sqrt((found.coefficients[count:] ** 2).sum())
    assert np.sqrt(np.mean((image - best) ** 2)) == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize(("kind", "boxes"), [("a", 1), ("h", 2), ("v", 2), ("d", 4)])
def test_quarters_of_one_sign_are_one_box(kind, boxes):
    signs = np.array(experiment.QUADRANTS[kind])
    found, painted = experiment.merged(signs), np.zeros((2, 2))
    assert len(found) == boxes
    for start, shape, sign in found:
        painted[start[0] : start[0] + shape[0], start[1] : start[1] + shape[1]] += sign
    np.testing.assert_array_equal(painted, signs)


def test_a_network_is_the_sum_of_its_wavelets_but_for_its_ramps(image, rng):
    found, number, width = experiment.wavelets_of(image), 12, 2.0**-9
    network = experiment.network_of(found, number, 64, width)
    narrow = experiment.network_of(found, number, 64, 2.0**-30)
    x = rng.uniform(-0.5, 0.5, (20_000, 2))
    with jax.enable_x64(True):
        values, sharp = (np.asarray(relu.apply(one, x))[:, 0] for one in (network, narrow))
    error = np.sqrt(np.mean((values - sharp) ** 2))
    bound = experiment.strips_of(found, 64)[:number].sum() * np.sqrt(width)
    assert 0 < error < bound
    measured = experiment.of_network(TINY, jax.random.key(3))
    assert measured["difference"] < 1e-12
    assert 0.9 < measured["edges"] <= 1
    assert measured["layers"] == 3


def test_rounding_costs_what_is_allowed():
    found = experiment.approximated(TINY, np.array([8, 32]), jax.random.key(3))
    assert (found["rounded"] > found["error"]).all()
    assert (found["rounded"] <= (1 + 2 * experiment.SHARE) * found["error"]).all()
    assert (np.diff(found["edges"]) > 24 * experiment.PER_BOX).all()
    assert (found["bits"] < 64).all()


def test_all_curvelets_are_the_whole_image():
    found = experiment.of_curvelets(64, np.array([64, 100_000]), 3, jax.random.split(jax.random.key(0)))
    assert found.shape == (2, 2)
    assert (found[:, 1] < 1e-12).all()
    assert (found[:, 0] > 1e-3).all()


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1] * 5
    assert all(claim.verdict == Verdict.HOLDS for claim in (claims[1], *claims[3:]))
    assert [figure["name"] for figure in lab.figures][:1] == ["error_by_edges"]
    assert len(lab.notes) == 2
