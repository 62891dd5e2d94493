"""The bench of EfficientNet: what its contestants are given, and its programs."""

import numpy as np
import pytest

from jaxtheory.experiments.benchmarks import efficientnet as bench


def test_eight_photographs_are_given():
    x = bench.photographs(8)
    assert x.shape == (8, 224, 224, 3)
    assert x.dtype == np.float32
    assert 0 <= x.min() < x.max() <= 1
    assert len(np.unique(x.reshape(8, -1).mean(1))) == 8


@pytest.mark.beyond
def test_programs_are_those_of_the_cases():
    found = bench.programs()
    assert set(found) == {case.name for case in bench.CASES}
    program, arguments = found[bench.EIGHT]
    assert program.eval_shape(*arguments).shape == (8, 1000)
