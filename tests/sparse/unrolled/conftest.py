"""A dictionary with signals, for the networks of matrices."""

import pytest

from tests.sparse.unrolled import dense


@pytest.fixture
def problem(rng):
    return dense.unit(rng.standard_normal((12, 7))), rng.standard_normal((2, 3, 7))
