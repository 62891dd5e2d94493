"""The pieces of the experiment on rotation and scaling, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.harmonic import rotation_scaling as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    texture=16, texture_J=2, L=2, crops=30, draws=2, digit_J=2, digits=100, tested=100, digit_draws=2,
    averages=False, harmonics=1, angles=(0.0, 90.0), factors=(1.0, 1.25), measured=2,
)  # fmt: skip


@pytest.mark.beyond
def test_images_are_turned_and_enlarged_about_their_middles(rng):
    x = np.float32(rng.standard_normal((2, 9, 9)))
    found = experiment.transformed(x, np.array([np.pi / 2, 0]), np.ones(2), boundary="periodic")
    np.testing.assert_allclose(found, [np.rot90(x[0]), x[1]], atol=1e-4)
    # A blob of deviation 2 becomes one of deviation 3.
    down, right = np.indices((32, 32)) - 15.5
    blob, large = (np.exp(-(down**2 + right**2) / (2 * size**2)) for size in (2, 3))
    found = experiment.transformed(np.float32(blob[None]), np.zeros(1), np.full(1, 1.5), boundary="reflect")
    np.testing.assert_allclose(found[0], large, atol=1e-3)


def test_inputs_are_upright_turned_and_scaled(rng):
    x = np.float32(rng.standard_normal((5, 32, 32)))
    upright, turned, scaled = experiment.inputs_of(x, rng, size=16, boundary="reflect")
    np.testing.assert_array_equal(upright, x[:, 8:24, 8:24])
    assert turned.shape == scaled.shape == (5, 16, 16)
    assert all(abs(a - b).max() > 0.1 for a, b in ((upright, turned), (turned, scaled)))


def test_patches_are_of_one_half_of_each_texture(rng):
    # Textures that say which of them and which half a pixel is from.
    textures = [np.kron([[10 * i, 10 * i + 1]], np.ones((64, 32))) for i in range(3)]
    labels = np.array([2, 0, 1])
    for half in range(2):
        found = experiment.patches(textures, labels, half, 16, rng)
        np.testing.assert_array_equal(found, np.ones((3, 16, 16)) * (10 * labels + half)[:, None, None])


@pytest.mark.beyond
def test_coefficients_leave_order_0_out(monkeypatch, rng):
    monkeypatch.setattr(experiment, "BLOCK", 3)
    x = np.float32(rng.standard_normal((3, 16, 16)))
    flat, joint, averaged = experiment.coefficients(x, 2, 2, octaves=2)
    # Of order 1 and 2: by angle, averaged over it, and over scales as well.
    assert (flat.shape, joint.shape, averaged.shape) == ((3, 4 + 4), (3, 2 + 4), (3, 1 + 4))
    np.testing.assert_allclose(flat[:, :4].reshape(3, 2, 2).mean(2), joint[:, :2], rtol=1e-5)
    np.testing.assert_allclose(joint[:, :2].mean(1), averaged[:, 0], rtol=1e-5)
    logs = experiment.coefficients(x, 2, 2, octaves=2, logarithms=True)[1]
    np.testing.assert_allclose(logs, np.log(joint + experiment.FAINT), rtol=1e-4)


def test_digits_are_those_but_the_nine(rng):
    labels = np.array([9, 0, 1, 9, 8, 7])
    x, known = experiment.without_nine(rng.random((6, 28, 28)), labels, 3)
    assert known.tolist() == [0, 1, 8]
    assert x.shape == (3, 48, 48)
    assert x[:, :10].max() == x[..., -10:].max() == 0


@pytest.mark.beyond
def test_errors_are_by_representation_and_input():
    # The second representation tells the classes apart in the first input alone.
    known = wanted = np.arange(40) % 2
    good, bad = np.stack([known, known], 1) - 0.5, np.zeros((40, 2))
    sets = [[bad, good], [bad, good], [bad, -good]]
    found = experiment.errors_of([[np.float32(one) for one in each] for each in sets], known, wanted)
    assert found.tolist() == [[50, 50], [0, 100]]


def made(upright, rotated):
    """Errors by representation, with a spread that is mostly common to all of a draw."""
    rows = np.array([upright, rotated, rotated], float).T
    rng = np.random.default_rng(0)
    draws = rng.normal(0, 0.5, (5, 1, 1)) + rng.normal(0, 0.01, (5, 3, 3)) + rows
    at = {"draw": range(5), "representation": list(experiment.REPRESENTATIONS), "input": experiment.INPUTS}
    return xr.DataArray(draws, {name: list(points) for name, points in at.items()}, tuple(at))


def test_claims_on_errors_are_paired():
    good, bad = made((3, 3, 3), (30, 10, 10)), made((9, 12, 12), (30, 20, 20))
    claims = experiment.texture_claims(good)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3
    assert [claim.measurements[0].paired for claim in claims] == [False, True, True]
    assert claims[1].measurements[0].value == pytest.approx(-5, abs=0.3)
    assert [claim.verdict for claim in experiment.texture_claims(bad)] == [Verdict.FAILS] * 3


def test_without_draws_digits_are_not_claimed(tmp_path):
    config = experiment.Config(digit_draws=0)
    assert experiment.digit_claim(config, Lab(tmp_path)).verdict == Verdict.UNTESTED


def test_claims_on_moves_leave_what_stands_still_out():
    noise = np.random.default_rng(1).normal(0, 1e-3, (2, 3, 6))
    rows = np.array([[0.0, 0, 0], [0.5, 0.1, 0.1]])[:, :, None] + noise
    at = {"angle": [0, 45], "representation": list(experiment.REPRESENTATIONS), "crop": range(6)}
    turned = xr.DataArray(rows, at, tuple(at))
    enlarged = xr.DataArray(
        np.array([[0.0, 0, 0], [0.5, 0.5, 0.2]])[:, :, None] + noise,
        {"factor": [1, 1.4]} | {name: at[name] for name in ("representation", "crop")},
        ("factor", "representation", "crop"),
    )
    claims = experiment.moves(turned, enlarged)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 2
    assert [claim.measurements[0].value for claim in claims] == pytest.approx([-0.15, -0.3], abs=2e-3)
    assert experiment.moves(2 * turned, enlarged.isel(representation=[2, 1, 0]).assign_coords(
        representation=at["representation"]))[1].verdict == Verdict.FAILS  # fmt: skip


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    claims = experiment.run(TINY, Lab(tmp_path))
    assert len(claims) == 6
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measured)
    figures = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert figures == {"textures", "digits", "turned", "enlarged", "inputs"}
