"""The pieces of the experiment on index and energy against SciPy, and a run in miniature."""

import jax
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jaxtheory.experiments.landscape import index_energy as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(shapes=("2-2-1",), examples=8, groups=2, starts=15, max_steps=150, descent=(5, 50))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run in miniature: its lab and its claims."""
    lab = Lab(tmp_path_factory.mktemp("run"))
    return lab, experiment.run(TINY, lab)


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(finished):
    lab, claims = finished
    assert len(claims) == 3
    assert claims[2].verdict == Verdict.UNTESTED
    assert "100 critical points of each network" in claims[2].reason
    assert all(np.isfinite(one.value) for claim in claims for one in claim.measurements)
    assert [figure["name"] for figure in lab.figures] == ["index_energy"]
    assert "of 30 searches" in lab.notes[0]


@pytest.mark.beyond
def test_a_stopped_run_is_finished_by_another(finished):
    lab, claims = finished
    again = experiment.run(TINY, Lab(lab.directory))
    assert [claim.as_json() for claim in again] == [claim.as_json() for claim in claims]


@pytest.mark.beyond
@pytest.mark.parametrize("start", experiment.STARTS)
def test_critical_points_are_no_worse_than_saying_nothing(start, rng):
    made = {"2-2-1": experiment.problem("2-2-1", TINY, Lab())}
    found = experiment.search(made, TINY, "2-2-1", start, rng, jax.random.key(0))
    assert {of.shape for of in found.values()} == {(15,)}
    kept = found["residual"] <= experiment.RESIDUAL
    assert kept.sum() >= 3
    # Half the mean square of the signs: the scale of the output layer cannot be improved.
    assert np.all(found["loss"][kept] <= 0.5 + 1e-9)
    # Of nine parameters.
    np.testing.assert_allclose(9 * found["index"], np.rint(9 * found["index"]), atol=1e-12)
    assert np.all(found["zeros"] + 9 * found["index"] <= 9)


def test_stops_and_noise_are_uniform_in_their_logarithms(rng):
    drawn = experiment.between((100, 8000), 4000, rng)
    expected = stats.uniform(np.log(100), np.log(80))
    assert stats.kstest(np.log(drawn), expected.cdf).pvalue > 0.01


def test_the_bootstrap_is_scipys(rng):
    loss = rng.standard_normal(40)
    index = np.rint(2 * (loss + rng.standard_normal(40)))
    points = {"index": index, "loss": loss}
    assert experiment.correlation(points) == pytest.approx(stats.spearmanr(index, loss).statistic)
    low, high = np.quantile(experiment.resampled(points, rng), experiment.ENDS)
    scipys = stats.bootstrap(
        (index, loss), lambda a, b: stats.spearmanr(a, b).statistic, paired=True, vectorized=False,
        n_resamples=1000, method="percentile", rng=rng,
    ).confidence_interval  # fmt: skip
    assert (low, high) == pytest.approx((scipys.low, scipys.high), abs=0.05)
    same = experiment.resampled({"index": np.zeros(5), "loss": loss[:5]}, rng)
    assert not np.any(same)


def sweep(rng, sign, number=150):
    """A sweep in which the index rises with the loss, and from random starts by the given sign."""
    loss = rng.uniform(0.2, 1, (1, 2, 1, number))
    slope = np.array([1.0, sign])[:, None, None]
    index = np.rint(20 * (0.5 + slope * (loss - 0.6)) + rng.standard_normal(loss.shape)) / 40
    points = {
        "loss": loss, "index": index, "residual": np.where(rng.random(loss.shape) < 0.9, 1e-12, 1e-3),
        "zeros": np.broadcast_to(np.arange(number) % 2, loss.shape), "slope": np.full(loss.shape, 1e-4),
    }  # fmt: skip
    axes = ("shape", "start", "group", "search")
    return xr.Dataset(
        {name: (axes, of) for name, of in points.items()},
        {"shape": list(TINY.shapes), "start": list(experiment.STARTS), "group": [0]},
    )


@pytest.mark.parametrize(("sign", "verdict"), [(-1, Verdict.HOLDS), (1, Verdict.FAILS)])
def test_verdicts_follow_the_intervals(sign, verdict, rng, monkeypatch):
    found = sweep(rng, sign)
    monkeypatch.setattr(Lab, "sweep", lambda *_, **__: found)
    lab = Lab()
    claims = experiment.run(TINY, lab)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS, Verdict.HOLDS, verdict]
    kept = found.residual.values[0, 0, 0] <= experiment.RESIDUAL
    assert claims[0].measurements[0].n == kept.sum()
    assert claims[1].measurements[0].n == (kept & (np.arange(150) % 2 == 0)).sum()
    assert f"{kept.sum()} of 150 searches" in lab.notes[0]
    assert f"{(~kept).sum()} end where" in lab.notes[0]


def test_too_few_points_decide_nothing(rng, monkeypatch):
    monkeypatch.setattr(Lab, "sweep", lambda *_, **__: sweep(rng, 1, number=6))
    claims = experiment.run(TINY, Lab())
    assert all(claim.verdict == Verdict.UNTESTED for claim in claims)


@pytest.mark.parametrize("shape", ["6-4", "6--3", "6-0-3", "wide"])
def test_a_shape_has_three_widths(shape):
    with pytest.raises(ValueError, match=f"--shapes holds '{shape}': take at least three widths, as 6-4-3"):
        experiment.problem(shape, TINY, Lab())
