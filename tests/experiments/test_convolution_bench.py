"""The bench of convolutions: its contestants that need no other library do the same steps."""

import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import convolution as bench


@pytest.mark.beyond
@pytest.mark.parametrize("case", bench.CASES, ids=lambda case: case.options["task"])
def test_steps_are_those_with_xlas_convolution(case, monkeypatch):
    monkeypatch.setattr(bench, "STEPS", 2)
    ours, xla = (
        np.asarray(bench.with_jax(one)(**case.options)()) for one in (bench.by_platform, bench.of_xla)
    )
    x, weights = bench.arrays(**case.options)
    start = weights[0] if case.options["task"] == "training" else x
    assert ours.shape == start.shape
    assert np.abs(ours - start).max() > 1e-4 * np.abs(start).max()
    assert np.abs(ours - xla).max() <= case.tolerance * np.abs(xla).max()
