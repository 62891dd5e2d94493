"""Rows of the table of examples: the classifiers of LeCun's table."""

import numpy as np

from jaxtheory.statistics import least_squares, pairwise, quadratic, radial_basis, tangent_distance
from tests.example_rows import Example, float32
from tests.statistics.examples_statistics import CLASSES, ONE_TRAINING_SET

LABELS = np.arange(20) % 3
VOTES = "votes are counted: they have no derivative"


def _labeled(rng):
    """Twenty rows of four features, and their labels in three classes."""
    return float32(rng, 20, 4), LABELS


def _equations(rng):
    """A covariance that stays positive when it is rounded, the covariance with two targets, and a penalty."""
    part = 0.2 * float32(rng, 3, 3)
    return np.float32(4 * np.eye(3)) + part @ part.T, float32(rng, 3, 2), np.float32(0.5)


def _linear(rng):
    return least_squares.fit(*_labeled(rng), classes=3), float32(rng, 4)


def _units(rng):
    return pairwise.fit(*_labeled(rng), classes=3), float32(rng, 4)


def _polynomial(rng):
    return quadratic.fit(*_labeled(rng), classes=3, components=2), float32(rng, 4)


def _network(rng):
    return radial_basis.fit(*_labeled(rng), float32(rng, 3, 4), classes=3, bandwidth=2.0), float32(rng, 4)


def _planes(rng):
    """The planes of six images, and one image."""
    return tangent_distance.planes(float32(rng, 6, 5, 4)), float32(rng, 5, 4)


EXAMPLES: list[Example] = [
    Example(least_squares.normal_equations, _equations, None, (0, 1), (0, 1, 2)),
    Example(least_squares.fit, _labeled, {"classes": 3}, vmap=ONE_TRAINING_SET, export=True),
    Example(least_squares.outputs, _linear, None, (1,), (0, 1)),
    Example(least_squares.predict, _linear, None, (1,), grad=CLASSES, devices=True),
    Example(pairwise.fit, _labeled, {"classes": 3}, vmap=ONE_TRAINING_SET, export=True),
    Example(pairwise.votes, _units, None, (1,), grad=VOTES),
    Example(pairwise.predict, _units, None, (1,), grad=CLASSES, devices=True),
    Example(
        quadratic.fit,
        _labeled,
        {"classes": 3, "components": 2},
        vmap=ONE_TRAINING_SET,
        grad="eigenvectors have no derivative where variances are equal",
        export=True,
    ),
    Example(quadratic.products, _polynomial, None, (1,), (0, 1)),
    Example(quadratic.predict, _polynomial, None, (1,), grad=CLASSES, devices=True),
    Example(
        radial_basis.fit,
        lambda rng: (*_labeled(rng), float32(rng, 3, 4)),
        {"classes": 3, "bandwidth": 2.0, "penalty": 0.1},
        differentiable=(0, 2),
        vmap=ONE_TRAINING_SET,
        export=True,
    ),
    Example(
        radial_basis.responses,
        lambda rng: (float32(rng, 3, 4), float32(rng, 4)),
        {"bandwidth": 2.0},
        (1,),
        (0, 1),
    ),
    Example(radial_basis.predict, _network, None, (1,), grad=CLASSES, devices=True),
    Example(tangent_distance.tangent_vectors, lambda rng: (float32(rng, 5, 4),)),
    Example(tangent_distance.planes, lambda rng: (float32(rng, 5, 4),), {"spring": 0.1}, export=True),
    Example(tangent_distance.distances, _planes, None, (1,), (0, 1), export=True, devices=True),
    Example(
        tangent_distance.search,
        _planes,
        {"neighbors": 2, "candidates": 4},
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        tangent_distance.predict,
        lambda rng: (_planes(rng)[0], np.arange(6) % 3, float32(rng, 5, 4)),
        {"classes": 3, "neighbors": 3},
        (2,),
        grad=CLASSES,
    ),
]

NOT_TRACED: dict[str, str] = {
    "statistics.boosting.fit": "calls functions once a network; tests/statistics watches what they are given",
    "statistics.boosting.outputs": "a sum of what the caller's function returns",
}
