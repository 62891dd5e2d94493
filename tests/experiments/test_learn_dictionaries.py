"""The pieces of the experiment on dictionaries learned with codes, and a run in miniature that is resumed."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.sparse import learn_dictionaries as experiment
from jaxtheory.lab import Lab, Verdict, mean

TINY = experiment.Config(
    atoms=(2, 3), scales=(0.5, 1.0, 4.0), training=60, tested=20, draws=2, starts=2, trial=5, steps=5,
    batch=4, pursuit=4, reading_steps=4, grid=2, block=20, patches=300,
)  # fmt: skip
MEAN = partial(mean, over="draw", overlap=0.2)


@pytest.mark.beyond
def test_patches_are_as_large_as_what_atoms_cover():
    config = experiment.Config()
    assert list(experiment.clustered(config).values()) == [(10,), (14,), (6, 14)]
    config = replace(config, kernels=(3, 5), strides=(1, 2))
    assert list(experiment.clustered(config)) == [
        f"k-means of patches of {sides} pixels" for sides in ("10", "7", "3 and 7")
    ]
    assert not experiment.clustered(replace(config, patches=0))


def rebuilt(start, learned, spread=0.0):
    """Reconstructions of two draws in which errors of random dictionaries fall with the share.

    Errors of learned ones differ by the spread, as equal differences decide nothing.
    """
    scales = experiment.Config().scales
    pair = np.stack([np.array(start, float), np.full((2, len(scales)), np.array(learned)[:, None])], 1)
    share, error = (
        xr.DataArray(
            np.broadcast_to(one[:, :, None, None], (2, len(scales), 2, 2)),
            {"dictionary": ["start", "learned"], "scale": list(scales), "draw": [0, 1], "layer": [1, 2]},
            ("dictionary", "scale", "draw", "layer"),
        )
        for one in pair
    )
    apart = xr.DataArray([[0, 0], [-spread, spread]], {"dictionary": ["start", "learned"], "draw": [0, 1]})
    error = error + apart
    return xr.Dataset({"share": share, "error": error, "objective": error.sel(layer=1, drop=True)})


def test_reconstructions_are_compared_at_equal_shares():
    start = ([70, 60, 50, 40, 30, 20, 10], [10, 20, 30, 40, 50, 60, 70])
    np.testing.assert_allclose(experiment.at_equal_share(rebuilt(start, (25, 12))), -43)
    assert np.isnan(experiment.at_equal_share(rebuilt(start, (5, 12)))).all()
    claims = experiment.reconstruction_claims(rebuilt(start, (25, 12), 1e-3), MEAN)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3
    claims = experiment.reconstruction_claims(rebuilt(start, (26, 62), 1e-3), MEAN)
    assert [claim.verdict for claim in claims] == [Verdict.FAILS] * 3
    claims = experiment.reconstruction_claims(rebuilt(start, (5, 12), 1e-3), MEAN)
    assert claims[1].verdict != Verdict.HOLDS


def test_codes_are_compared_with_each_of_the_others():
    apart = {
        "codes": 0, "k-means of digits": [0.9, 1, 1.1], "k-means of patches of 6 pixels": [-1, 0, 1],
        "principal components": [1.9, 2, 2.1], "pixels": -9,
    }  # fmt: skip
    rows = [np.array([3.0, 4.0, 5.0]) + one for one in apart.values()]
    axes = {"representation": list(apart), "draw": [0, 1, 2]}
    error = xr.DataArray(rows, axes, ("representation", "draw"))
    claims = experiment.error_claims(experiment.Config(), error, MEAN)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS, Verdict.TIE, Verdict.HOLDS]
    assert [one.value for claim in claims for one in claim.measurements] == pytest.approx([-1, 0, -2])
    assert claims[1].measurements[0].standard_error == pytest.approx(np.sqrt(1 / 3 + 0.25))
    without = experiment.error_claims(replace(TINY, training=1000, patches=0), error[[0, 1, 3, 4]], MEAN)
    assert [claim.verdict for claim in without] == [Verdict.HOLDS, Verdict.UNTESTED, Verdict.HOLDS]
    claims = experiment.error_claims(replace(TINY, training=500), error, MEAN)
    assert {claim.verdict for claim in claims} == {Verdict.UNTESTED}


@pytest.mark.beyond
def test_a_run_in_miniature_is_resumed(tmp_path, monkeypatch):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims[:3]] == [1, 1, 2]
    assert np.isfinite(claims[0].measurements[0].value)
    assert {claim.verdict for claim in claims[3:]} == {Verdict.UNTESTED}
    assert len(lab.figures) == 5
    assert len(lab.notes) == 3 + 7
    monkeypatch.setattr(experiment.learning, "run", None)
    monkeypatch.setattr(experiment.linear_probe, "fit", None)
    again = Lab(tmp_path)
    experiment.run(TINY, again)
    assert again.notes == lab.notes
