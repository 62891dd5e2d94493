"""Rows of the table of examples: proximal operators."""

import numpy as np

from jaxtheory.sparse import proximal
from tests.example_rows import Example, float32


def _thresholded(rng):
    """Three numbers, some of them beyond the threshold beside them."""
    return float32(rng, 3), np.float32(rng.uniform(0.2, 0.6, 1))


EXAMPLES: list[Example] = [
    Example(proximal.soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.nonnegative_soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.hard_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.group_soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.l0_ball, lambda rng: (float32(rng, 6),), {"sparsity": 2}),
    Example(
        proximal.elastic_net,
        lambda rng: (*_thresholded(rng), np.float32(rng.uniform(size=1))),
        leading=(0, 1, 2),
    ),
]

NOT_TRACED: dict[str, str] = {}
