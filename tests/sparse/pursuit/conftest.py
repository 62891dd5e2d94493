"""The problem that most tests of pursuits solve."""

import pytest

from tests.sparse.pursuit.problems import unit


@pytest.fixture
def problem(rng):
    """Thirty atoms of twenty features, and signals of a few atoms with noise."""
    dictionary = unit(rng.standard_normal((30, 20)))
    codes = rng.standard_normal((50, 30)) * (rng.uniform(size=(50, 30)) < 0.15)
    return dictionary, codes @ dictionary + 0.05 * rng.standard_normal((50, 20))
