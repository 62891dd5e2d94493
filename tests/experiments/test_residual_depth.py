"""The pieces of the experiment on depth, verdicts of made-up errors, and a run in miniature."""

import jax
import numpy as np
import pytest
import xarray as xr

from jaxtheory.experiments.history import residual_depth as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(
    depths=(8,), digits=100, epochs=2, draws=2, batch=50, normalizations=(experiment.WITH,)
)


def test_images_are_halved_and_have_no_mean(rng):
    images = np.float32(rng.random((3, 28, 28)))
    small = experiment.halved(images)
    assert small.shape == (3, 14, 14, 1)
    assert small.mean() == pytest.approx(0, abs=1e-6)
    assert small[1, 2, 3, 0] - small[0, 0, 0, 0] == pytest.approx(
        images[1, 4:6, 6:8].mean() - images[0, :2, :2].mean(), abs=1e-5
    )


def measured(rng, plain=30.0, residual=-1.0, grown=1.0, without=20.0):
    """Training errors that rise by known amounts from 20 to 56 layers, and gradients that grow."""
    depth, depths = np.array([0, 0, 0.5, 1.0]), [8, 20, 32, 56]
    rises = np.array([[plain, residual], [without, residual]])
    last = 10 + rises[..., None, None] * depth[:, None] + rng.normal(0, 0.05, (2, 2, 4, 5))
    gradient = 10 ** (grown * depth[:, None] + rng.normal(0, 0.01, (2, 2, 4, 5)))
    axes = ("normalization", "kind", "depth", "draw")
    return xr.Dataset(
        {"train": ((*axes, "epoch"), np.stack([last + 5, last], -1)), "gradient": (axes, gradient)},
        {"normalization": list(experiment.RATES), "kind": list(experiment.SKIPS), "depth": depths},
    )


def test_claims_follow_from_errors(rng):
    claims = experiment.claims(measured(rng), 0.2)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 5
    values = [claim.measurements[0].value for claim in claims]
    np.testing.assert_allclose(values, [30, -1, 31, 1, 20], atol=0.2)
    claims = experiment.claims(measured(rng, -30.0, 1.0, -1.0, -20.0), 0.2)
    assert [claim.verdict for claim in claims] == [Verdict.FAILS] * 5


def test_what_is_not_there_is_not_tested(rng):
    found = measured(rng).sel(depth=[8, 20])
    told = [claim.verdict == Verdict.UNTESTED for claim in experiment.claims(found, 0.2)]
    assert told == [True, True, False, False, True]
    found = measured(rng).sel(normalization=[experiment.WITHOUT])
    told = [claim.verdict == Verdict.UNTESTED for claim in experiment.claims(found, 0.2)]
    assert told == [True] * 4 + [False]


def test_unknown_normalizations_are_refused():
    with pytest.raises(ValueError, match=r"^normalizations holds 'some': take of with normalization,"):
        experiment.run(experiment.Config(normalizations=("some",)), Lab())


def test_parameters_start_as_the_network_s_own(rng):
    params, state = experiment.drawn(20, experiment.WITH, experiment.PLAIN, rng)
    shapes = jax.eval_shape(experiment.network(20, experiment.WITH).init, jax.random.key(0))
    assert jax.tree.map(np.shape, (params, state)) == jax.tree.map(np.shape, shapes)
    kernel = params["stages"]["2"]["rest"]["layers"]["1"]["convolution"]["kernel"]
    assert abs(9 * 16 / 2 * kernel.var() - 1) < 4 * np.sqrt(2 / kernel.size)
    norm = params["stem"]["normalization"], state["stem"]["normalization"]
    assert [np.unique(one[name]).tolist() for one in norm for name in sorted(one)] == [[0], [1], [0], [1]]
    assert state["skips"] == 0


@pytest.mark.beyond
def test_a_run_in_miniature_measures_what_it_can(tmp_path, monkeypatch):
    def trained(start, train, test, order, *, depth, normalization):
        assert order.shape == (4, 50)
        assert (depth, normalization, len(train[0])) == (8, experiment.WITH, 100)
        return {"accuracy": np.linspace(0, 0.5, 4) + 0.1 * start[1]["skips"], "test": 0.2, "gradient": 1.0}

    monkeypatch.setattr(experiment, "trained", trained)
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [0, 0, 1, 0, 0]
    assert {figure["name"] for figure in lab.figures} == {"training", "depth"}
    assert len(lab.notes) == 2
