"""Rows of the table of examples: classifiers and validation."""

import numpy as np

from jaxtheory.statistics import affine, linear_probe, neighbors, softmax, validation
from tests.example_rows import Example, float32


def _labeled(rng):
    """Twenty rows of four features, and their labels in three classes."""
    return float32(rng, 20, 4), np.arange(20) % 3


def _affine(rng):
    """Affine spaces of up to two dimensions, and one row."""
    return affine.fit(*_labeled(rng), classes=3, dimension=2), float32(rng, 4)


def _softmax(rng):
    """Softmax regression, and one row."""
    return softmax.fit(*_labeled(rng), classes=3, penalty=0.1), float32(rng, 4)


def _probe(rng):
    """A linear classifier on scaled features, and one row."""
    return linear_probe.fit(*_labeled(rng), classes=3), float32(rng, 4)


CLASSES = "classes are integers: they have no derivative"
ONE_TRAINING_SET = "one training set, a row an example; tests/statistics maps it"

EXAMPLES: list[Example] = [
    Example(
        affine.fit,
        _labeled,
        {"classes": 3, "dimension": 2, "capacity": 7},
        vmap=ONE_TRAINING_SET,
        grad="eigenvectors have no derivative where variances are equal, as those beyond a class's rank are",
        x64="its residual is the rounding itself; tests/statistics holds its spaces against SVD",
        export=True,
    ),
    Example(affine.distances, _affine, None, (1,), (0, 1), export=True, devices=True),
    Example(affine.predict, _affine, {"dimension": 1}, (1,), grad=CLASSES, devices=True),
    Example(
        affine.errors,
        lambda rng: (*_affine(rng)[:1], *_labeled(rng)),
        None,
        (1,),
        vmap="one rate over all rows",
        grad="a share of examples is piecewise constant",
    ),
    Example(
        softmax.fit,
        _labeled,
        {"classes": 3, "penalty": 0.1, "tolerance": 0.0, "max_steps": 60},
        vmap=ONE_TRAINING_SET,
        x64="its gradient is the rounding itself; tests/statistics holds its weights against scikit-learn",
        export=True,
    ),
    # The model counts the steps of its fit: as a whole it has no derivative.
    Example(softmax.logits, _softmax, None, (1,), export=True, devices=True),
    Example(softmax.predict, _softmax, None, (1,), grad=CLASSES, devices=True),
    Example(
        linear_probe.fit,
        _labeled,
        {"classes": 3, "penalties": (0.1, 1.0), "tolerance": 0.0, "max_steps": 60},
        vmap=ONE_TRAINING_SET,
        grad="a choice among a few scalings and penalties has no derivative",
        x64="its gradient is the rounding itself; tests/statistics holds its choice against scikit-learn",
        export=True,
    ),
    Example(linear_probe.predict, _probe, None, (1,), grad=CLASSES, devices=True),
    Example(
        neighbors.search,
        lambda rng: (float32(rng, 30, 4), float32(rng, 4)),
        {"neighbors": 3, "block": 16},
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        neighbors.predict,
        lambda rng: (*_labeled(rng), float32(rng, 4)),
        {"classes": 3, "neighbors": 4},
        (2,),
        grad=CLASSES,
        devices=True,
    ),
    Example(
        validation.error_rate,
        lambda rng: (rng.integers(0, 3, 20), rng.integers(0, 3, 20)),
        None,
        (0, 1),
        grad="integers have no derivative",
        integer="it takes integers only",
        half="it takes integers only",
    ),
]

NOT_TRACED: dict[str, str] = {
    "statistics.validation.cross_validate": "calls a function once a fold; tests/statistics maps over keys",
    "statistics.labeled.whole_labels": "a conversion of arguments; tests/statistics reads its errors",
    "statistics.labeled.check_examples": "a check of arguments; tests/statistics reads its errors",
    "statistics.labeled.check_mask": "a check of arguments; tests/statistics reads its errors",
    "statistics.labeled.class_counts": "a check of arguments; tests/statistics reads its errors",
}
