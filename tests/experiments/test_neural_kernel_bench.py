"""The bench of tangent kernels: its small problems, its contestants, and the memory that blocks bound."""

import jax
import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import neural_kernel as bench
from tests.statistics.neural_kernel.networks import jacobian_kernel


@pytest.mark.beyond
def test_the_small_problems_are_solved(x64):
    perceptron, points = bench.checks().values()
    params, x, y = jax.tree.map(np.float64, perceptron.arguments)
    expected = np.trace(jacobian_kernel(bench.apply, params, x, y), axis1=2, axis2=3)
    np.testing.assert_allclose(perceptron.function(params, x, y), expected, rtol=1e-12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "digits", lambda *_: points.arguments[0])
        recursion = bench.numpy_recursion("analytic")()
    np.testing.assert_allclose(points.function(*points.arguments), recursion, rtol=1e-12)


def test_contestants_leave_out_what_they_do_not_do():
    with pytest.raises(NotImplementedError, match="is about the closed form"):
        bench.numpy_recursion("empirical")


@pytest.mark.beyond
def test_blocks_bound_the_memory_of_both_programs():
    (empirical, arguments), (analytic, points) = bench.programs().values()
    # A hundredth of the Jacobians: 1,000 examples, ten outputs and 669,706 parameters.
    temporary = empirical.lower(*arguments).compile().memory_analysis().temp_size_in_bytes
    assert temporary < 4 * 1000 * 10 * 669_706 / 100
    # Beside one more kernel of the size of the result, a few rows of blocks.
    temporary = analytic.lower(*points).compile().memory_analysis().temp_size_in_bytes
    assert temporary < 4 * bench.POINTS * (bench.POINTS + 16 * 256)
