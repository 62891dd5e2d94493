"""Rows of the table of examples: the tuning of units."""

from functools import wraps

import jax.numpy as jnp
import numpy as np

from jaxtheory.inspection import selectivity
from tests.example_rows import Example

MEASURED = "what is best jumps from one grating to the next; a measurement is not differentiated"
ITS_OWN = "frequencies are below one: rounded to integers, they would be none"
ONE_SET = "one set of gratings at a time"


def _rectified(filters, x):
    """Three filters, rectified."""
    return jnp.maximum(jnp.einsum("nhw,fhw->nf", x, filters, precision="highest"), 0)


@wraps(selectivity.tuning)
def _tuning(frequencies):
    filters = np.float32(np.random.default_rng(1).standard_normal((3, 6, 6)))
    found = selectivity.tuning(_rectified, filters, frequencies, shape=(6, 6), angles=4, phases=4)
    return found.responses, found.circular_variance, found.modulation


EXAMPLES: list[Example] = [
    Example(
        selectivity.gratings, lambda rng: (np.float32(rng.uniform(0.1, 0.4, 3)),),
        {"shape": (4, 5), "angles": 3}, vmap=ONE_SET, integer=ITS_OWN,
    ),
    Example(selectivity.modulation, lambda rng: (np.float32(rng.uniform(1, 5, 7)),)),
    Example(selectivity.circular_variance, lambda rng: (np.float32(rng.uniform(1, 5, 7)),)),
    Example(
        _tuning,
        lambda _: (np.float32([0.1, 0.2]),),
        vmap=ONE_SET, grad=MEASURED, integer="the frequencies are below one", tolerance=1e-4,
        half="the filters are single, and decide what is returned",
    ),
    Example(
        selectivity.class_selectivity,
        lambda rng: (np.float32(rng.uniform(1, 5, (6, 2))), np.array([0, 1, 2, 0, 1, 2])), {"classes": 3},
        vmap="the leading axis is that of the examples", grad="the preferred class jumps",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {}
