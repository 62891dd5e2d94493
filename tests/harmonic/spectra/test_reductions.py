"""Vectors of scattering spectra, and their averages over symmetries."""

import numpy as np
import pytest

from jaxtheory.harmonic import spectra


def named(bank, found, over=()):
    """The numbers of a vector by kind, wavelets and part."""
    values = np.asarray(spectra.flatten(found), float)
    table = spectra.paths(bank, over)
    assert len(table) == values.shape[-1]
    named = {(one.kind, one.wavelets, one.part): value for one, value in zip(table, values)}
    assert len(named) == len(table)
    return named


def test_paths_name_the_numbers(rng):
    bank = spectra.filter_bank((16, 16), J=2, L=2)
    found = spectra.estimate(bank, np.float32(rng.standard_normal((16, 16))))
    values = named(bank, found)
    assert values["mean", (), "real"] == pytest.approx(float(found.mean))
    assert values["power", (3,), "real"] == pytest.approx(float(found.power[3]))
    assert values["sparsity", (2,), "real"] == pytest.approx(float(found.sparsity[2]))
    # Before the modulus of wavelet 1 in the band of wavelet 2 are the pairs of the first scale, and (0, 2).
    assert values["phases", (1, 2), "imaginary"] == pytest.approx(float(found.phases[5].imag))
    assert values["envelopes", (0, 1, 1), "real"] == pytest.approx(float(found.envelopes[4].real))
    (path,) = [one for one in spectra.paths(bank) if one.wavelets == (1, 2) and one.part == "real"]
    assert path == spectra.Path("phases", (1, 2), (0, 1), (1, 0), "real")


def test_averages_are_means_of_their_members(rng):
    bank = spectra.filter_bank((16, 16), J=2, L=2)
    found = spectra.estimate(bank, np.float32(rng.standard_normal((16, 16)) ** 2))
    raw = named(bank, found)
    angles = named(bank, spectra.average(found, "angles"), "angles")
    members = [raw["envelopes", (a, b, c), "real"] for a, b, c in ((0, 2, 2), (1, 3, 3))]
    assert angles["envelopes", (0, 2, 2), "real"] == pytest.approx(np.mean(members))
    powers = [raw["power", (number,), "real"] for number in (2, 3)]
    assert angles["power", (2,), "real"] == pytest.approx(np.mean(powers))
    scales = named(bank, spectra.average(found, ("scales",)), "scales")
    members = [raw["phases", pair, "imaginary"] for pair in ((0, 1), (2, 3))]
    assert scales["phases", (0, 1), "imaginary"] == pytest.approx(np.mean(members))
    assert scales["power", (3,), "real"] == raw["power", (3,), "real"]
    both = named(bank, spectra.average(found, ("scales", "angles")), ("angles", "scales"))
    members = [raw["phases", pair, "real"] for pair in ((1, 0), (0, 1), (3, 2), (2, 3))]
    assert both["phases", (1, 0), "real"] == pytest.approx(np.mean(members))


def test_nothing_is_averaged_over_nothing(rng):
    found = spectra.estimate(spectra.filter_bank((8,), J=1), np.float32(rng.standard_normal(8)))
    assert spectra.average(found, ()) is found


@pytest.mark.beyond
def test_brownian_motion_has_phases_and_envelopes_that_do_not_depend_on_the_scale():
    # Its law is that of its dilations, up to a factor; power doubles from an octave to the next.
    x = np.cumsum(np.random.default_rng(0).standard_normal((200, 1024)), axis=1)
    bridge = np.float32(x - np.linspace(0, 1, 1024) * x[:, -1:])
    bank = spectra.filter_bank((1024,), J=4)
    found = spectra.estimate(bank, bridge)
    ratios = np.mean(found.power, 0)[1:] / np.mean(found.power, 0)[:-1]
    np.testing.assert_allclose(ratios[1:], 2, rtol=0.1)
    table = [one for one in spectra.paths(bank) if one.part == "real" and one.kind == "envelopes"]
    kept = np.asarray(found.envelopes).real
    averages = np.asarray(spectra.average(found, "scales").envelopes).real
    own = [one.wavelets == (2, 2, 3) for one in table]
    firsts = [one for one in spectra.paths(bank, "scales") if one.part == "real" and one.kind == "envelopes"]
    (place,) = [k for k, one in enumerate(firsts) if one.wavelets == (0, 0, 1)]
    assert kept[:, own].mean() == pytest.approx(averages[:, place].mean(), rel=0.05)
