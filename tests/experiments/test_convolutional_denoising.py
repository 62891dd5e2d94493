"""The pieces of the experiment on noise in photographs against closed forms, and a run in miniature."""

import numpy as np
import pytest
import pywt

from jaxtheory.experiments.sparse import convolutional_denoising
from jaxtheory.lab import Lab

TINY = convolutional_denoising.Config(
    noise=(15.0, 30.0), learned_from=("china", "rocket"), tried_on=("camera", "coins", "chelsea"), largest=40,
    size=4, filters=6, parts=4, side=20, steps=2, atoms=16, patches=200, rounds=2, validation=32,
    strengths=(2.0, 3.0), draws=2,
)  # fmt: skip


def test_what_is_beyond_white_counts_as_white(rng):
    clean = rng.random((8, 9))
    found = np.clip(clean + 0.1 * rng.standard_normal(clean.shape), 0, 1)
    expected = -10 * np.log10(np.mean((found - clean) ** 2))
    np.testing.assert_allclose(convolutional_denoising.ratio(found, clean), expected)
    bright = np.where(found == 1, 3.0, found)
    np.testing.assert_allclose(convolutional_denoising.ratio(bright, clean), expected)


def test_the_middle_of_an_image():
    image = np.arange(30).reshape(5, 6)
    np.testing.assert_array_equal(convolutional_denoising.middle(image, 2), [[8, 9], [14, 15]])
    np.testing.assert_array_equal(convolutional_denoising.middle(image, 9), image)


def test_levels_are_those_that_a_part_allows():
    grid = convolutional_denoising.settings(64)
    assert {name for name, _ in grid} == set(convolutional_denoising.WAVELETS)
    for name, levels in grid:
        assert 1 <= levels <= pywt.dwt_max_level(64, name)


@pytest.mark.beyond
def test_a_small_run_measures_every_noise_and_takes_it_away(tmp_path):
    lab = Lab(tmp_path)
    claims = convolutional_denoising.run(TINY, lab)
    assert len(claims) == 2
    for claim in claims:
        assert [one.at["noise"] for one in claim.measured] == [15.0, 30.0]
        # Draws are averaged before photographs are paired.
        assert all(one.n == 3 and np.isfinite(one.value) for one in claim.measured)
    assert {figure["name"] for figure in lab.figures} == {"gain", "photograph", "atoms"}
    for noise, note in zip((15, 30), lab.notes):
        assert note.startswith(f"noise {noise}: mean PSNR in dB: noisy ")
        noisy, *methods = (float(part.split()[-1]) for part in note.split(";")[0].split(","))
        assert min(methods) > noisy + 1
