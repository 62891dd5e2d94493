"""Rows of the table of examples: classifiers."""

import numpy as np

from jaxtheory.statistics import classifiers
from tests.example_rows import Example, float32


def _labelled(rng):
    """Twenty rows of four features, and their labels in three classes."""
    return float32(rng, 20, 4), np.arange(20) % 3


def _affine(rng):
    """Affine spaces of up to two dimensions, and one row."""
    return classifiers.affine_fit(*_labelled(rng), classes=3, dimension=2), float32(rng, 4)


def _softmax(rng):
    """Softmax regression, and one row."""
    return classifiers.softmax_fit(*_labelled(rng), classes=3, penalty=0.1), float32(rng, 4)


CLASSES = "classes are integers: they have no derivative"
ONE_TRAINING_SET = "one training set, a row an example; tests/statistics maps it"

EXAMPLES: list[Example] = [
    Example(
        classifiers.affine_fit,
        _labelled,
        {"classes": 3, "dimension": 2, "capacity": 7},
        vmap=ONE_TRAINING_SET,
        grad="eigenvectors have no derivative where variances are equal, as those beyond a class's rank are",
        x64="its residual is the rounding itself; tests/statistics holds its spaces against SVD",
    ),
    Example(classifiers.affine_distances, _affine, None, (1,), (0, 1), devices=True),
    Example(classifiers.affine_predict, _affine, {"dimension": 1}, (1,), grad=CLASSES, devices=True),
    Example(
        classifiers.affine_errors,
        lambda rng: (*_affine(rng)[:1], *_labelled(rng)),
        vmap="one rate over all rows",
        grad="a share of examples: constant but where it jumps",
    ),
    Example(
        classifiers.softmax_fit,
        _labelled,
        {"classes": 3, "penalty": 0.1, "tolerance": 0.0, "max_steps": 60},
        vmap=ONE_TRAINING_SET,
        x64="its gradient is the rounding itself; tests/statistics holds its weights against scikit-learn",
    ),
    # The model counts the steps of its fit: as a whole it has no derivative.
    Example(classifiers.softmax_logits, _softmax, None, (1,), devices=True),
    Example(classifiers.softmax_predict, _softmax, None, (1,), grad=CLASSES, devices=True),
    Example(
        classifiers.neighbours,
        lambda rng: (float32(rng, 30, 4), float32(rng, 4)),
        {"k": 3, "block": 16},
        (1,),
        (0, 1),
        devices=True,
    ),
    Example(
        classifiers.neighbours_predict,
        lambda rng: (*_labelled(rng), float32(rng, 4)),
        {"classes": 3, "k": 4},
        (2,),
        grad=CLASSES,
        devices=True,
    ),
    Example(
        classifiers.error_rate,
        lambda rng: (rng.integers(0, 3, 20), rng.integers(0, 3, 20)),
        None,
        (0, 1),
        grad="integers have no derivative",
    ),
]

NOT_TRACED: dict[str, str] = {
    "statistics.classifiers.cross_validate": "calls a function once a fold; tests/statistics maps over keys",
}
