"""The bench of regressions: its contestants agree on a small problem."""

import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import kernel_regression as bench


@pytest.mark.beyond
def test_contestants_agree_on_a_small_problem(monkeypatch):
    monkeypatch.setattr(bench, "DIGITS", 60)
    found = bench.ours("ridge", 60)()
    np.testing.assert_allclose(found, bench.scikit_learn("ridge", 60)(), atol=1e-9 * np.abs(found).max())
    path = bench.ours("features", 60)()
    assert path.shape == (2, 39)
    for driver in ("gelsd", "gelsy"):
        peer = bench.least_squares(driver, "features", 60)()
        np.testing.assert_allclose(path, peer, atol=1e-6 * path.max())
