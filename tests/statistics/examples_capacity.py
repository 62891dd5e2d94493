"""Rows of the table of examples: what a class of functions can fit."""

import jax
import numpy as np

from jaxtheory.statistics import capacity
from tests.example_rows import Example, float32

KEY = jax.random.key(0)
ONE_SAMPLE = "all points at once, of which one network or one number is made"


def _of_key(function):
    """A function whose second argument is a fixed key, as a function of the first alone."""
    from functools import wraps

    @wraps(function)
    def fixed(x, **options):
        return function(x, KEY, **options)

    return fixed


def _network(rng):
    return capacity.Memorizer(float32(rng, 3), np.sort(float32(rng, 5)), float32(rng, 5)), float32(rng, 3)


EXAMPLES: list[Example] = [
    Example(
        _of_key(capacity.random_labels),
        lambda rng: (rng.integers(0, 3, 20),),
        {"classes": 3, "share": 0.5},
        vmap="one set of labels, a label an example",
        grad="labels are whole numbers",
        integer="it takes integers only",
        half="it takes integers only",
    ),
    Example(
        _of_key(capacity.random_images),
        lambda rng: (float32(rng, 4, 3, 3),),
        {"kind": "random"},
        vmap="a set of images at once, of whose pixels Gaussian noise has the mean",
        x64="keys draw other numbers in double precision",
    ),
    Example(
        capacity.memorizer,
        lambda rng: (float32(rng, 6, 3), float32(rng, 6)),
        None,
        (0, 1),
        vmap=ONE_SAMPLE,
        x64="its directions are drawn in the dtype of the points, and others in double precision",
        integer="points of small whole numbers are not distinct",
        half="weights are differences of slopes: tests/statistics fits in double precision",
        tolerance=1e-4,
    ),
    Example(capacity.apply, _network, None, (1,), (0, 1), export=True, devices=True),
    Example(
        _of_key(capacity.rademacher),
        lambda rng: (float32(rng, 6, 3),),
        {"probes": 4, "radius": 2.0},
        vmap=ONE_SAMPLE,
        export=True,
    ),
]

NOT_TRACED: dict[str, str] = {}
