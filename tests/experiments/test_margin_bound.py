"""The pieces of the experiment on the margin bound against made-up margins, and a run in miniature."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jaxtheory.experiments.statistics import margin_bound as experiment
from jaxtheory.lab import Lab, Verdict

TINY = experiment.Config(digits=100, widths=(16,), draws=2, loss=0.1, batch=20)
CONFIG = experiment.Config(draws=5)


def measured(rng, falls=(4.0, 2.0, 1.5, 1.0), tenth=0.4, loss=0.009):
    """Margins whose normalized median has given values, and complexities that rise with the share."""
    shares, draws = CONFIG.shares, CONFIG.draws
    noise = 1 + 0.01 * rng.random((4, draws, 1))
    raw = 5 + 3 * experiment.QUANTILES + tenth * np.arange(4)[:, None, None] * noise
    normalized = np.array(falls)[:, None, None] * noise * (0.5 + experiment.QUANTILES)
    complexity = 10 / np.array(falls)[:, None, None] * noise * [1, 2]
    dims = ("share", "draw")
    return xr.Dataset(
        {
            "raw": ((*dims, "quantile"), raw),
            "normalized": ((*dims, "reference", "quantile"), np.stack([normalized, normalized / 2], 2)),
            "complexity": ((*dims, "reference"), complexity),
            "bound": ((*dims, "reference"), 100 * complexity),
            "loss": (dims, np.full((4, draws), loss)),
            "epochs": (dims, np.full((4, draws), 30.0)),
            "test error": (dims, np.full((4, draws), 20.0)),
        },
        {
            "share": list(shares),
            "draw": range(draws),
            "quantile": experiment.QUANTILES,
            "reference": list(experiment.REFERENCES),
        },
    )


def test_claims_follow_from_margins(rng):
    claims = experiment.claims(CONFIG, measured(rng), 0.2)
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 5
    assert claims[0].measurements[0].value == pytest.approx(1.2, abs=0.05)
    assert claims[1].measurements[0].value == pytest.approx(4, rel=0.02)
    assert claims[2].measurements[0].value == pytest.approx(np.log(2), abs=0.02)
    assert [row.n for row in claims[3].measurements] == [20, 20]
    # The least of the shares: 100 times the complexity of true labels.
    assert claims[4].measurements[0].value == pytest.approx(250, rel=0.02)
    bad = experiment.claims(CONFIG, measured(rng, (2.0, 2.4, 2.8, 3.0), -0.4), 0.2)
    assert [claim.verdict for claim in bad] == [Verdict.FAILS] * 4 + [Verdict.HOLDS]
    unstopped = experiment.claims(CONFIG, measured(rng, loss=0.02), 0.2)
    assert [claim.verdict for claim in unstopped] == [Verdict.UNTESTED] * 4 + [Verdict.HOLDS]


def test_rank_correlations_and_their_interval(rng):
    found = measured(rng).complexity.isel(reference=0)
    one = experiment.ranked(found.copy(data=rng.standard_normal(found.shape)))
    values = found.copy(data=np.random.default_rng(0).standard_normal(found.shape))
    expected = stats.spearmanr(np.repeat(CONFIG.shares, 5), values.values.ravel()).statistic
    assert experiment.ranked(values).value == pytest.approx(expected)
    low, high = one.interval
    assert -1 < low < one.value < high < 1
    assert (np.arctanh(high) - np.arctanh(low)) / 2 == pytest.approx(
        1.96 * np.sqrt((1 + one.value**2 / 2) / 17), rel=1e-3
    )


@pytest.mark.beyond
def test_a_run_in_miniature_measures_every_claim(tmp_path):
    lab = Lab(tmp_path)
    claims = experiment.run(TINY, lab)
    assert [len(claim.measurements) for claim in claims] == [1, 1, 3, 2, 2]
    assert all(np.isfinite(row.value) for claim in claims for row in claim.measurements)
    assert claims[2].measurements[0].value > 0
    assert claims[4].verdict == Verdict.HOLDS
    assert {figure["name"] for figure in lab.figures} == {"margins", "complexity"}
    assert lab.notes[0].startswith("Share 0: ")
