"""Rows of the table of examples: tangent kernels."""

import jax.numpy as jnp
import numpy as np

from jaxtheory.statistics import neural_kernel
from tests.example_rows import Example, float32

TIMES = np.float32([0.1, 0.5])
TWO_SETS = "two sets of points, of which every pair counts; tests/statistics maps it"
OPTIONS = {"depth": 2, "bias_variance": 0.1}
ITS_OWN_DTYPE = "the network is the caller's, and computes in the dtype of its parameters"


def _perceptron(params, x):
    hidden = jnp.tanh(jnp.matmul(x, params["first"]))
    return jnp.matmul(hidden, params["last"]) + params["bias"]


def _empirical(params, x, y: np.ndarray | None):
    return neural_kernel.empirical(_perceptron, params, x, y)


# By its own signature, whose places are those of the row, under the name of what it calls.
_empirical.__module__, _empirical.__name__ = neural_kernel.empirical.__module__, "empirical"


def _network(rng):
    params = {"first": float32(rng, 3, 4), "last": float32(rng, 4, 2), "bias": float32(rng, 2)}
    return params, float32(rng, 2, 3), float32(rng, 3, 3)


def _points(rng):
    return float32(rng, 2, 3), float32(rng, 3, 3)


def _trained(rng):
    """Kernels of three points and of two queries, targets and times."""
    points, queries = float32(rng, 3, 4), float32(rng, 2, 4)
    return points @ points.T + np.eye(3, dtype=np.float32), queries @ points.T, float32(rng, 3, 2), TIMES


def _images(rng):
    return float32(rng, 1, 3, 2, 1), float32(rng, 2, 3, 2, 1)


EXAMPLES: list[Example] = [
    Example(neural_kernel.relu, _points, OPTIONS, (0, 1), vmap=TWO_SETS, export=True),
    Example(neural_kernel.erf, _points, OPTIONS, (0, 1), vmap=TWO_SETS),
    Example(neural_kernel.convolutional, _images, {"depth": 2}, (0, 1), vmap=TWO_SETS, export=True),
    Example(
        _empirical,
        _network,
        None,
        (1, 2),
        (0, 1, 2),
        vmap=TWO_SETS,
        half=ITS_OWN_DTYPE,
        export=True,
    ),
    Example(neural_kernel.predict, _trained, None, (2,), (0, 1, 2, 3), vmap=TWO_SETS, export=True),
]

NOT_TRACED: dict[str, str] = {}
