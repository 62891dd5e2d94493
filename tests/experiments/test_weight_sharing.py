"""The pieces of the experiment on shared weights, its identities, verdicts of made-up errors, a small run."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.experiments.history import weight_sharing as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(sizes=(50, 60), shifts=(0, 2), draws=2, steps=3, batch=20)
IDENTITIES = {"gradient": 1e-15, "integers/different": 0, "reals/largest": 1e-16}


def test_shifts_move_digits_and_leave_zeros(rng):
    images = np.float32(rng.random((3, 28, 28)))
    np.testing.assert_allclose(
        experiment.shifted(images, 0, 0), images.reshape(3, 14, 2, 14, 2).mean((2, 4)), rtol=1e-6
    )
    moved, still = experiment.shifted(images, 2, -4), experiment.shifted(images, 0, 0)
    np.testing.assert_allclose(moved[:, 1:, :-2], still[:, :-1, 2:], rtol=1e-6)
    assert np.all(moved[:, 0] == 0)
    assert np.all(moved[:, :, -2:] == 0)


def test_networks_have_as_many_units():
    convolutions = [14, *(-(-14 // 2**k) for k in (1, 2))]
    assert (
        tuple(side**2 * maps for side, maps in zip(convolutions[1:], experiment.CHANNELS)) == experiment.UNITS
    )


def test_each_image_is_moved_by_its_own_shift(rng):
    images = np.float32(rng.random((2, 28, 28)))
    found = experiment.shifted(images, [2, 0], [0, -3])
    for one, image, by in zip(found, images, ((2, 0), (0, -3))):
        np.testing.assert_allclose(one, experiment.shifted(image[None], *by)[0], rtol=1e-6)


def measured(rng, local=1.0, full=1.0, flat=3.0):
    """Errors in which networks differ by known amounts, and rise with shifts by known amounts."""
    base = 8 + rng.normal(0, 0.5, (8, 2))
    noise = rng.normal(0, 0.05, (3, 2, 8, 3))
    errors = base.T[None, ..., None] + np.array([0, local, local + full])[:, None, None, None]
    rise = np.array([0.0, flat, flat])[:, None, None, None] + 10
    test = errors + rise * np.arange(3) + noise
    return xr.Dataset(
        {
            "test": (("network", "size", "draw", "shift"), test),
            "train": (("network", "size", "draw"), 0 * test[..., 0]),
        },
        {"network": list(experiment.MAKERS), "size": [320, 1000], "shift": [0, 1, 2]},
    )


def anywhere(rng, local=1.0, full=1.0):
    """Errors on digits that are moved at random."""
    return measured(rng, local, full).isel(shift=0, drop=True)


def test_claims_follow_from_errors(rng):
    config = experiment.Config(sizes=(320, 1000), shifts=(0, 1, 2))
    claims = experiment.claims(config, measured(rng), anywhere(rng), IDENTITIES, 0.2)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 9
    assert [len(claim.measurements) for claim in claims] == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert claims[3].measurements[0].value == pytest.approx(1, abs=0.1)
    assert claims[7].measurements[1].value == pytest.approx(6, abs=0.2)
    wrong = {"gradient": 1e-9, "integers/different": 1, "reals/largest": 1e-9}
    claims = experiment.claims(config, measured(rng, -1.0, -1.0, -3.0), anywhere(rng, -1.0, -1.0), wrong, 0.2)
    assert [claim.verdict for claim in claims] == [Verdict.FAILS] * 9


def test_what_is_not_shifted_or_not_far_is_not_tested(rng):
    found = measured(rng)
    for shifts, untested in (
        ((1, 2), [True, True, False, False, True, True]),
        ((0, 1), [False] * 4 + [True] * 2),
    ):
        some = found.sel(shift=list(shifts))
        claims = experiment.claims(experiment.Config(shifts=shifts), some, anywhere(rng), IDENTITIES, 0.2)
        assert [claim.verdict == Verdict.UNTESTED for claim in claims[3:]] == untested


@pytest.mark.beyond
def test_identities_hold(rng):
    digits = mnist.load()
    assert experiment.gradients(digits, rng) < 1e-13
    maps = experiment.moved_maps(digits, rng)
    assert maps["integers/different"] == maps["integers/largest"] == 0
    assert maps["reals/largest"] < 1e-13


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert {figure["name"] for figure in lab.figures} == {"errors", "shifts"}
    assert "5,994 parameters" in lab.notes[0]
