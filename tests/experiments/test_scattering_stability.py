"""The pieces of the experiment on stability against closed forms, and a run in miniature."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.harmonic import scattering_stability as stability
from jaxtheory.harmonic import deformation
from jaxtheory.lab import Lab

TINY = stability.Config(
    size=32,
    J=2,
    L=4,
    octaves=2,
    groups=2,
    deformations=2,
    photographs=("camera", "brick"),
    digits=2,
    scales=(1, 2),
)


def grid(size):
    return jnp.indices((size, size)).astype(jnp.float32)


def test_packets_have_their_frequencies_an_octave_apart():
    x = np.asarray(stability.packets(grid(128), 0.0, 0.0, octaves=3))
    assert x.shape == (4, 128, 128)
    column = np.abs(np.fft.rfft(x[:, :, 64]))
    peak = 2 * np.pi * column.argmax(-1) / 128
    np.testing.assert_allclose(peak, 0.6 * np.pi / 2.0 ** np.arange(4), atol=np.pi / 128)


def test_packets_at_moved_coordinates_are_moved_packets():
    tau = jnp.asarray([3.0, -2.0])[:, None, None]
    moved = stability.packets(grid(64) - tau, 0.3, 0.1, octaves=2)
    x = stability.packets(grid(64), 0.3, 0.1, octaves=2)
    np.testing.assert_allclose(moved, jnp.roll(x, (3, -2), (-2, -1)), atol=3e-3)


@pytest.mark.parametrize("kind", stability.MAPS)
def test_displacements_keep_to_the_range_of_sizes(kind):
    config = replace(TINY, deformations=12, smallest=0.01)
    tau, size = stability.displacements(config, 3, kind, jax.random.key(0), np.random.default_rng(0))
    assert tau.shape == (12, 2, 32, 32)
    norms = deformation.displacement_norms(tau, boundary="periodic" if kind == "random" else "reflect")
    drawn = norms.displacement / 8 if kind == "translation" else norms.gradient
    assert drawn.min() >= 0.01 * (1 - 1e-4)
    assert drawn.max() <= 0.5 * (1 + 1e-4)
    assert drawn.max() > 4 * drawn.min()
    np.testing.assert_allclose(size, norms.displacement / 8 + norms.gradient + norms.hessian, rtol=1e-6)
    other = stability.displacements(config, 3, kind, jax.random.key(1), np.random.default_rng(1))[0]
    assert np.abs(other - tau).max() > 0.01


def test_a_warped_image_is_zero_where_nothing_came_from():
    x = jnp.ones((1, 9, 9))
    moved = stability.inside_warp(x, jnp.broadcast_to(jnp.asarray([2.0, 0.0])[:, None, None], (1, 2, 9, 9)))
    np.testing.assert_allclose(moved[0, :2], 0)
    np.testing.assert_allclose(moved[0, 2:], 1, atol=1e-6)


def test_distances_are_those_of_the_full_transforms(rng):
    bank = stability.filter_bank(TINY, 2)
    x, moved = rng.standard_normal((2, 3, 32, 32)).astype(np.float32)
    scattered = stability.coefficients(bank, x)
    found = stability.distances(bank, x, scattered, moved)
    length = np.linalg.norm(x, axis=(1, 2))
    np.testing.assert_allclose(found[1], np.linalg.norm(moved - x, axis=(1, 2)) / length, rtol=1e-5)
    spectra = np.abs(np.fft.fft2(moved)) - np.abs(np.fft.fft2(x))
    np.testing.assert_allclose(found[2], np.linalg.norm(spectra, axis=(1, 2)) / 32 / length, rtol=1e-5)
    shifted = stability.distances(bank, x, scattered, np.roll(x, 5, -1))
    np.testing.assert_allclose(shifted[2], 0, atol=1e-5)


def test_coefficients_weigh_as_the_pixels_that_they_stand_for():
    bank = stability.filter_bank(TINY, 2)
    constant = np.full((3, 32, 32), 1.5, np.float32)
    scattered = stability.coefficients(bank, constant)
    # The low-pass filter is 3e-5 too large, as Kymatio's is.
    np.testing.assert_allclose(stability.norm(scattered, 3), stability.norm(constant, 2), rtol=1e-4)


def test_factors_and_growths_come_with_what_other_draws_would_give(tmp_path):
    ratio = np.ones((1, 3, 2, 4))
    ratio[0, 1, 0] = [2.0, 8.0, 1.0, 4.0]
    flat = ratio.reshape(-1, 4)
    assert stability.factor(flat) == 8.0
    assert stability.growth(flat) == 2.0
    ratio = xr.DataArray(ratio, dims=("kind", "group", "deformation", "subject"))
    found = stability.measured(stability.factor, ratio, Lab(tmp_path), over="packets")
    # Of six draws, the one that stands out is missing in (5/6)^6, a third, of all samples.
    assert (found.value, found.n, found.of, found.at) == (8.0, 6, "deformations", {"over": "packets"})
    assert found.interval == (1.0, 8.0)


def test_falls_are_paired_over_images():
    distance = xr.DataArray(
        [[3.0, 5.0], [2.0, 3.0], [2.0, 3.0]], {"J": [1, 2, 4]}, ("J", "digit"), name="digits"
    )
    first, second = stability.falls(distance)
    assert first.value == -1.5
    assert first.standard_error == pytest.approx(0.5)
    assert dict(first.at) == {"subject": "digits", "J": "1 to 2"}
    assert (first.of, first.paired) == ("images", True)
    assert (second.value, second.standard_error) == (0.0, 0.0)


def test_prepared_images_fade_and_have_mean_zero(rng):
    x = stability.prepared(rng.uniform(size=(2, 32, 32)))
    np.testing.assert_allclose(x[:, 0], 0, atol=1e-6)
    np.testing.assert_allclose(x[:, :, -1], 0, atol=1e-6)
    np.testing.assert_allclose(x.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose((x**2).mean((1, 2)), 1, rtol=1e-5)


@pytest.mark.beyond
def test_a_shift_moves_coarse_coefficients_less():
    x = stability.prepared(np.random.default_rng(0).standard_normal((3, 32, 32)))
    coarse, fine = (stability.shifted(TINY, {"noise": x}, J)["noise"] for J in (3, 1))
    assert (coarse < fine).all()
    moved = deformation.translate(x, np.float32([4, 4]) / np.sqrt(np.float32(2)))
    bank = stability.filter_bank(TINY, 1)
    found = stability.distances(bank, x, stability.coefficients(bank, x), moved)
    np.testing.assert_allclose(found[0], fine, rtol=1e-5)


def test_digits_are_magnified_in_place(tmp_path):
    x = stability.magnified_digits(stability.Config(size=64, digits=3), Lab(tmp_path))
    assert x.shape == (3, 64, 64)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:, :4], 0)
    assert 0.95 < x.max() < 1.3


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = stability.run(TINY, lab)
    assert len(claims) == 5
    assert [len(claim.measurements) for claim in claims] == [2, 4, 4, 1, 2]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert claims[0].measurements[0].n == 16
    assert {figure["name"] for figure in lab.figures} == {
        "ratio_by_frequency",
        "distance_by_size",
        "distance_by_scale",
    }
    assert len(list(tmp_path.glob("figures/*.png"))) == 3
