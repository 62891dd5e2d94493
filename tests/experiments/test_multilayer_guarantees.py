"""The dictionaries of the experiment on layered pursuits against linear algebra, and a run in miniature."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.sparse import multilayer_guarantees as guarantees
from jaxtheory.lab import Lab, Verdict
from jaxtheory.sparse import multilayer

TINY = guarantees.Config(channels=10, places=64, entries=3, noises=(1e-4, 1e-6), signals=6, batches=2)


@pytest.mark.beyond
def test_the_model_is_as_coherent_as_it_was_asked_to_be(x64):
    dictionaries, strides = guarantees.model(guarantees.Config(), jax.random.key(0))
    found = multilayer.coherences(dictionaries, strides=strides)
    np.testing.assert_allclose(found, [0.01, 1 / 16], rtol=1e-3)
    for filters in dictionaries:
        np.testing.assert_allclose(np.linalg.norm(filters, axis=(0, 1)), 1)


@pytest.mark.beyond
def test_signals_are_as_designed(x64):
    dictionaries, strides = guarantees.model(TINY, jax.random.key(0))
    _, codes, sparsity, designed = guarantees.drawn(
        dictionaries, jax.random.key(1), strides=strides, config=TINY
    )
    assert np.all(designed)
    for z in codes:
        sizes = np.where(z == 0, np.nan, np.abs(z))
        assert np.all(np.nanmax(sizes, (1, 2)) <= 1.3 * np.nanmin(sizes, (1, 2)))
    assert np.all((codes[1] != 0).sum((1, 2)) == 3)
    assert np.all((codes[0] != 0).sum((1, 2)) == 30)
    assert np.all(sparsity.stripes >= 2)
    assert np.all(sparsity.stripes.max(-1) >= 3)


def test_what_is_left_of_an_error_is_a_ratio_of_medians_over_signals_that_count():
    error = np.array([[[4.0, 5.0, 9.0]], [[2.0, 2.0, 2.0]], [[0.5, 1.0, 1.0]]])
    met = np.array([[[True, True, False]], [[True, True, True]], [[False, True, True]]])
    axes = ("noise", "batch", "signal")
    found = xr.Dataset(
        {"error": ((*axes, "layer"), np.stack([0 * error, error], -1)), "met": (axes, met)},
        {"noise": [1e-3, 1e-4, 1e-5], "layer": [1, 2]},
    )
    np.testing.assert_allclose(guarantees.left_of_error(found), [1 / 4.5])


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = guarantees.run(TINY, lab)
    assert claims[0].verdict == Verdict.UNTESTED
    assert [len(claim.measurements) for claim in claims[1:]] == [2, 2, 2, 3, 1, 2]
    assert all(np.isfinite(one.value) for claim in claims[1:] for one in claim.measurements)
    assert all(0 < one.value <= 1 for claim in claims[1:4] for one in claim.measurements)
    assert claims[4].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"error_by_noise", "bound_over_error", "draw"}
