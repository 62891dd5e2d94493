"""The pieces of the experiment on the kernel regime against what is known, and a run in miniature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.statistics import kernel_regime as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    widths=(16, 64), layers=(1,), draws=3, compared=10, trainings=2, digits=20, steps=30, regression=100,
    width=16, usual_steps=10, folds=2,
)  # fmt: skip


def test_slopes_are_those_of_powers():
    width = np.array([4, 16, 64])
    values = np.stack([3.0 * width**-0.5, 0.1 * width**-1.25], axis=1)
    found = experiment.slopes(xr.DataArray(values, {"width": width, "draw": range(2)}, ("width", "draw")))
    np.testing.assert_allclose(found, [-0.5, -1.25], rtol=1e-12)
    values[1, 0] = np.nan
    found = experiment.slopes(xr.DataArray(values, {"width": width, "draw": range(2)}, ("width", "draw")))
    assert np.isnan(found[0])


@pytest.mark.beyond
def test_networks_keep_the_second_moment():
    params = experiment.initial(jax.random.key(0), 512, 2, 400, inputs=30)
    assert [one.shape for one in params] == [(30, 512), (512, 512), (512, 400)]
    x = jnp.ones((1, 30))
    outputs = experiment.apply(params, x)
    # The second moment is that of the first layer, twice the input's, and the error that of 400 outputs.
    assert float(jnp.mean(outputs**2)) == pytest.approx(2, abs=0.6)
    manual = np.maximum(np.ones((1, 30)) @ np.asarray(params[0]) * np.sqrt(2 / 30), 0)
    manual = np.maximum(manual @ np.asarray(params[1]) * np.sqrt(2 / 512), 0)
    np.testing.assert_allclose(
        outputs, manual @ np.asarray(params[2]) * np.sqrt(2 / 512), rtol=1e-3, atol=1e-4
    )


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1, 1]
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert all(claim.verdict != Verdict.UNTESTED for claim in claims)
    assert {figure["name"] for figure in lab.figures} == {"deviation", "training", "regression"}
    assert len(lab.notes) == 2


def test_one_width_has_no_slope():
    deviations = xr.DataArray(
        np.ones((1, 1, 2)), {"layers": [1], "width": [8], "draw": [0, 1]}, ("layers", "width", "draw")
    )
    moved = xr.Dataset({name: deviations.isel(layers=0, drop=True) for name in ("change", "distance")})
    claims = experiment.claims(experiment.Config(widths=(8,)), deviations, moved)
    assert [claim.verdict for claim in claims] == 3 * [Verdict.UNTESTED]
    assert claims[0].reason == "needs several widths: give more --widths"
