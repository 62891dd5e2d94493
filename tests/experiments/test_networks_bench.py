"""The bench of classical networks: what its contestants are given, and its programs."""

import jax
import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import networks as bench


def test_batches_are_those_of_an_epoch():
    x, y = bench.noise()
    assert x.shape == (937, 64, 28, 28)
    assert y.shape == (937, 64)
    np.testing.assert_allclose(bench.parts(np.arange(200.0)), 2 * np.arange(100) + 0.5)


@pytest.mark.beyond
def test_programs_are_those_of_the_cases():
    found = bench.programs()
    assert set(found) == {case.name for case in bench.CASES} - {bench.BACKWARD}
    program, arguments = found[bench.FORWARD]
    assert jax.eval_shape(program, *arguments).shape == (8, 1000)
    program, arguments = found[bench.EPOCH]
    assert jax.eval_shape(program, *arguments).shape == (937,)
