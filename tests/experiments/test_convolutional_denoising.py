"""The pieces of the experiment on noise in photographs against closed forms, and a run in miniature."""

import numpy as np
import pytest
import pywt
from skimage.metrics import peak_signal_noise_ratio

from jaxtheory.experiments.sparse import convolutional_denoising
from jaxtheory.lab import Lab, Sweep

TINY = convolutional_denoising.Config(
    noise=(15.0, 30.0), learnt_from=("china", "rocket"), tried_on=("camera", "coins", "chelsea"), largest=40,
    size=4, filters=6, parts=4, side=20, steps=2, atoms=16, patches=200, rounds=2, validation=32,
    strengths=(2.0, 3.0), draws=2,
)  # fmt: skip


def test_the_ratio_is_that_of_scikit_image(rng):
    clean = rng.random((8, 9))
    found = np.clip(clean + 0.1 * rng.standard_normal(clean.shape), 0, 1)
    expected = peak_signal_noise_ratio(clean, found, data_range=1.0)
    np.testing.assert_allclose(convolutional_denoising.psnr(found, clean), expected)
    # What is beyond white counts as white.
    np.testing.assert_allclose(
        convolutional_denoising.psnr(np.where(found == 1, 3.0, found), clean), expected
    )


def test_the_middle_of_an_image():
    image = np.arange(30).reshape(5, 6)
    np.testing.assert_array_equal(convolutional_denoising.middle(image, 2), [[8, 9], [14, 15]])
    np.testing.assert_array_equal(convolutional_denoising.middle(image, 9), image)


def test_levels_are_those_that_a_part_allows():
    grid = convolutional_denoising.settings(64)
    assert {name for name, _ in grid} == set(convolutional_denoising.WAVELETS)
    for name, levels in grid:
        assert 1 <= levels <= pywt.dwt_max_level(64, name)


def test_draws_are_averaged_before_photographs_are_paired():
    sweep = Sweep(
        "x", {"noise": (1,), "photograph": ("a", "b"), "draw": (0, 1)}, np.array([[[1, 3], [5, 9]]])
    )
    mean = convolutional_denoising.over_draws(sweep)
    assert dict(mean.axes) == {"noise": (1,), "photograph": ("a", "b")}
    np.testing.assert_array_equal(mean.values, [[2, 7]])


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("denoising"))
    lab.claims = convolutional_denoising.run(TINY, lab)
    return lab


def test_a_small_run_measures_every_noise(lab):
    assert len(lab.claims) == 2
    for claim in lab.claims:
        assert [one.at["noise"] for one in claim.measured] == [15.0, 30.0]
        assert all(one.paired and one.n == 3 and np.isfinite(one.value) for one in claim.measured)
    assert {figure["name"] for figure in lab.figures} == {"gain", "photograph", "atoms"}


def test_denoised_photographs_are_better_than_noisy_ones(lab):
    for noise, note in zip((15, 30), lab.notes):
        assert note.startswith(f"noise {noise}: mean PSNR in dB: noisy ")
        noisy, *methods = (float(part.split()[-1]) for part in note.split(";")[0].split(","))
        assert min(methods) > noisy + 1
