"""The pieces of the experiment on depth and invariance, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.harmonic import invariance_depth as experiment
from jaxtheory.harmonic import scattering2d
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(size=32, scales=(1, 2), L=2, crops=1, all_paths=1, texture=16, training=30, draws=2)


@pytest.mark.beyond
def test_energies_add_up(rng):
    images = np.float32(rng.standard_normal((2, 32, 32)))
    found = experiment.energies(TINY, images, 2)
    # A unitary bank of two scales: along decreasing paths there is nothing beyond order 2.
    assert found["share"].shape == found["left"].shape == (2, experiment.ORDER + 1)
    np.testing.assert_array_equal(found["share"][:, 3:], 0)
    assert (found["share"].sum(1) < 100 + 1e-3).all()
    # What order 0 averages and what it passes on are the whole image.
    np.testing.assert_allclose(found["share"][:, 0] + found["left"][:, 0], 100, rtol=1e-5)
    # Along all paths more is kept, and no more than there is.
    everything = experiment.along_all_paths(TINY, images, 2)
    assert found["share"][0, :4].sum() < everything[0] < 100 + 1e-3


@pytest.mark.beyond
def test_a_shift_moves_fine_coefficients_more(rng):
    images = np.float32(rng.standard_normal((2, 32, 32)))
    fine, coarse = (experiment.moved(experiment.Config(size=32, L=2, shift=1.0), images, J) for J in (1, 4))
    assert (coarse < fine).all()
    assert experiment.moved(experiment.Config(size=32, L=2, shift=0.0), images, 1).max() < 1e-5


def test_crops_are_of_one_half_and_of_each_texture(monkeypatch, rng):
    # Textures that say which of them and which half a pixel is from.
    pictures = {name: np.kron([[10 * i, 10 * i + 1]], np.ones((64, 32))) for i, name in enumerate("abc", 1)}
    pictures = {name: x + rng.standard_normal(x.shape) * 1e-3 for name, x in pictures.items()}
    monkeypatch.setattr(experiment, "TEXTURES", tuple(pictures))
    monkeypatch.setattr(experiment.real_images, "load", lambda name, **_: pictures[name])
    config = experiment.Config(texture=16, training=30, noise=0.0)
    for half in range(2):
        crops, labels = experiment.textures(config, half, rng)
        assert sorted(np.bincount(labels)) == [10, 10, 10]
        # Normalized, the left half of each is at -1 and the right one at 1.
        np.testing.assert_allclose(crops.mean((1, 2)), 2 * half - 1, atol=0.01)


@pytest.mark.beyond
def test_averages_leave_order_0_out(rng):
    bank = scattering2d.filter_bank((16, 16), J=2, L=2)
    x = np.float32(rng.standard_normal((3, 16, 16)))
    expected = np.log(np.asarray(scattering2d.scatter(bank, x)).mean((-2, -1))[:, 1:] + experiment.FAINT)
    np.testing.assert_allclose(experiment.averages(bank, x), expected, rtol=1e-5)


def test_claims_are_of_what_they_say():
    rng = np.random.default_rng(0)
    axes = {"J": [2, 3], "image": range(6)}
    rows = np.array([[80.0, 18, 1.4, 0.1, 0], [70, 26, 3.4, 0.2, 0]])[:, None] + rng.normal(
        0, 0.01, (2, 6, 5)
    )
    left = np.array([[20.0, 2, 0.2, 0.02, 0.001], [30, 4, 0.4, 0.04, 0.001]])[:, None] * np.ones((2, 6, 5))
    found = xr.Dataset(
        {
            "share": xr.DataArray(rows, axes | {"order": range(5)}, ("J", "image", "order")),
            "left": xr.DataArray(left, axes | {"order_left": range(5)}, ("J", "image", "order_left")),
        }
    )
    assert [claim.verdict for claim in experiment.energy_claims(found)] == [Verdict.HOLDS] * 4
    swapped = found.assign_coords(J=[3, 2]).sortby("J")
    swapped["share"] = swapped.share - 2.5
    swapped["left"] = swapped.left**0.25
    assert [claim.verdict for claim in experiment.energy_claims(swapped)] == [Verdict.FAILS] * 4
    distances = xr.DataArray(np.array([[0.5], [0.4]]) + rng.normal(0, 0.01, (2, 6)), axes, ("J", "image"))
    names = ["order 1", "orders 1 and 2"]
    errors = xr.DataArray(
        np.array([15.0, 10.0]) + rng.normal(0, 0.3, (5, 2)),
        {"draw": range(5), "features": names}, ("draw", "features"),
    )  # fmt: skip
    claims = experiment.invariance_claims(distances, errors)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3
    claims = experiment.invariance_claims(-distances, 40 - errors)
    assert [claim.verdict for claim in claims] == [Verdict.FAILS] * 3


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    claims = experiment.run(TINY, Lab(tmp_path))
    assert len(claims) == 7
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measured)
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"energies", "shifts", "textures"}
