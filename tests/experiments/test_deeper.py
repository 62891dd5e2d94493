"""The pieces of the experiment on deeper networks: fields, claims from made-up errors, and its counts."""

import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.history import deeper as experiment
from jaxtheory.lab import Lab, Verdict

CONFIG = experiment.Config(fields=2, train=50, test=30, networks=("AlexNet", "ResNet-18"))


def made(rng, gain=1.0, spans=(7, 7)):
    """Fields of given spans and errors with a given difference."""
    gradient = np.zeros((2, 15, 15))
    for one, span in zip(gradient, spans):
        one[7 - span // 2 : 8 + span // 2, 7 - span // 2 : 8 + span // 2] = 1
    bodies = {"body": list(experiment.BODIES)}
    fields = xr.Dataset(
        {"weights": ("body", [49.0 * 4, 27.0 * 4]), "gradient": (("body", "row", "column"), gradient)}, bodies
    )
    values = 5 + 0.1 * rng.standard_normal((2, 2, 6))
    values[0] += gain
    coordinates = {**bodies, "data": ["digits", "textures"]}
    return fields, xr.DataArray(values, coordinates, ("body", "data", "draw"))


@pytest.mark.beyond
def test_claims_follow_from_fields_and_errors(rng, monkeypatch):
    monkeypatch.setattr(experiment, "PRINTED", {"VGG-11": (133, 1e6), "ResNet-20": (27, 1e4)})
    forward = xr.Dataset(
        {"logits": ("network", [1000.0, 1000.0]), "finite": ("network", [1.0, 1.0])},
        {"network": list(CONFIG.networks)},
    )
    claims = experiment.claims(CONFIG, *made(rng), forward, 0.2)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 8
    bad = experiment.claims(CONFIG, *made(rng, -1.0, (7, 5)), forward.assign(finite=0 * forward.finite), 0.2)
    assert [bad[place].verdict for place in (2, 3, 4, 7)] == [Verdict.FAILS] * 4


@pytest.mark.beyond
def test_the_field_of_three_convolutions_is_that_of_one(rng):
    found = {name: experiment.field(CONFIG, rng, name) for name in experiment.BODIES}
    for one in found.values():
        assert np.all((one["gradient"] > 0).sum((0, 1)) == 49)
    assert found[experiment.DEEP]["weights"] / found[experiment.WIDE]["weights"] == 27 / 49


def test_patches_are_of_three_textures_and_other_halves(rng):
    (x, y), (others, labels) = experiment.halves(CONFIG, rng)
    assert (x.shape, others.shape) == ((50, 14, 14), (30, 14, 14))
    assert np.bincount(labels).tolist() == [10, 10, 10]
    np.testing.assert_allclose(x.mean((1, 2)), 0, atol=1e-3)
    assert set(y) == {0, 1, 2}


def test_an_unknown_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^networks hold 'LeNet-5': take some of AlexNet, VGG-11"):
        experiment.run(experiment.Config(networks=("LeNet-5",)), Lab(tmp_path))
