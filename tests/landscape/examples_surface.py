"""Rows of the table of examples: surfaces."""

from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.landscape import surface
from tests.example_rows import Example, float32


def _loss(params, batch):
    return jnp.mean((jnp.tanh(batch @ params["w"]) - params["b"]) ** 2)


def _bound(function):
    """A function of the module whose first argument, a loss, is given."""

    @wraps(function)
    def bound(*args):
        return function(_loss, *args)

    return bound


def _params(rng):
    return {"w": float32(rng, 3, 2), "b": float32(rng, 2)}


def _drawn(rng):
    return jax.random.key(int(rng.integers(100))), _params(rng)


def _stacked(rng, length):
    return {"w": float32(rng, length, 3, 2), "b": float32(rng, length, 2)}


def _plane(rng):
    offsets = np.linspace(-1, 1, 3, dtype=np.float32)
    return _params(rng), _stacked(rng, 2), offsets, offsets, float32(rng, 4, 3)


def _line(rng):
    params, _, offsets, _, batch = _plane(rng)
    return params, _params(rng), offsets, batch


ONE = "a pytree of parameters has no leading axes: the trajectory, plane or line of one network at a time"
FLOATS = "parameters with integer leaves are refused"
OWN = "parameters of half precision give the function's own dtype; tests/landscape holds the directions'"

EXAMPLES: list[Example] = [
    Example(
        surface.random_directions, _drawn, None, (), (1,), vmap=ONE, integer=FLOATS,
        x64="random numbers of double precision are other draws; tests/landscape holds their norms",
        half="norms taken of rounded parameters and rounded again differ by more than one rounding",
    ),
    Example(
        surface.trajectory_plane, lambda rng: (_stacked(rng, 5),), None, (), vmap=ONE, integer=FLOATS,
        grad="eigenvectors of a Gram matrix that is singular by construction have no derivative",
        half="the last point is returned as it is, and coordinates in single precision",
    ),
    Example(
        surface.plane_through, lambda rng: tuple(_params(rng) for _ in range(3)), None, (), (0, 1, 2),
        vmap=ONE, integer=FLOATS, half="the coordinates are in single precision",
    ),
    Example(_bound(surface.line_values), _line, None, (), (0, 1), vmap=ONE, integer=FLOATS, half=OWN),
    Example(_bound(surface.plane_values), _plane, None, (), (0, 1), vmap=ONE, integer=FLOATS, half=OWN),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {}
