"""The bench of attacks: its small problem has a closed form, and its figures are shares of digits."""

import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import adversarial as bench


@pytest.mark.beyond
def test_the_small_problem_has_a_closed_form():
    [check] = bench.checks().values()
    weights, x = check.arguments
    slope = weights[:, 1] - weights[:, 0]
    worst = (x + 0.1 * np.sign(slope)) @ slope
    np.testing.assert_allclose(bench.small(*check.arguments), np.logaddexp(0, worst), rtol=1e-5)


def test_figures_are_percentages_whatever_the_batch():
    x = np.arange(10)

    def moved(x, y):
        return x < y

    for batch in (3, 10):
        assert bench.figure("all", moved, x, np.full(10, 4), batch)() == pytest.approx([40])
        assert bench.figure("worst", moved, x, np.full(10, 4), batch)() == pytest.approx([60])
