"""Rows of the table of examples: paths and alignment."""

from functools import wraps

import jax.numpy as jnp
import numpy as np

from jaxtheory.landscape import connectivity
from tests.example_rows import Example, float32

GROUPS = {"first": (None, "hidden"), "second": ("hidden", None)}
ORDER = np.array([2, 0, 3, 1])


def _params(rng):
    return {"first": float32(rng, 3, 4), "second": float32(rng, 4, 2)}


def _stacked(rng, length):
    return {"first": float32(rng, length, 3, 4), "second": float32(rng, length, 4, 2)}


def _loss(params, batch):
    return jnp.mean((jnp.tanh(batch @ params["first"]) @ params["second"]) ** 2)


def _path(rng):
    return connectivity.Path(_stacked(rng, 3), "bezier")


def _at(rng):
    return _path(rng), np.float32(rng.uniform())


def _along(rng):
    return _path(rng), np.linspace(0, 1, 4, dtype=np.float32), float32(rng, 5, 3)


@wraps(connectivity.path_values)
def _path_values(*args):
    """Values of a loss, which is its first argument."""
    return connectivity.path_values(_loss, *args)


ONE = "a pytree of parameters has no leading axes: the path of one pair of networks at a time"
FLOATS = "parameters with integer leaves are refused"
OWN = "parameters of half precision give the function's own dtype"

EXAMPLES: list[Example] = [
    Example(
        connectivity.straight_path, lambda rng: (_params(rng), _params(rng)), {"bends": 2}, (), (0, 1),
        vmap=ONE, integer=FLOATS, half="bends are computed in the dtype of the ends, the caller's choice",
    ),
    Example(
        connectivity.path_between, lambda rng: (_stacked(rng, 2), _stacked(rng, 1)), None, (), (0, 1),
        vmap=ONE, integer=FLOATS,
    ),
    Example(
        connectivity.point_at, _at, None, (1,), (0, 1),
        integer="positions lie between two integers",
    ),
    Example(
        _path_values, _along, None, (), (0,), vmap=ONE, integer=FLOATS, half=OWN,
    ),
    Example(connectivity.barrier, lambda rng: (float32(rng, 6),)),
    Example(
        connectivity.permute_units, lambda rng: (_params(rng),),
        {"groups": GROUPS, "permutations": {"hidden": ORDER}}, (), (0,), vmap=ONE, integer=FLOATS,
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {
    "landscape.connectivity.paths.path_objective": "it returns a function; tests/landscape trains with it",
    "landscape.connectivity.alignment.layer_groups": "it reads the structure of parameters, no numbers",
    "landscape.connectivity.alignment.match_weights": "SciPy finds the permutations on the host",
}
