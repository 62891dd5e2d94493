"""What is maximized and how, with its checks: features, parameters, priors, bounds, places of units."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, PyTree

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.inspection import priors

Place = Literal["center"] | Sequence[int] | None
"""The place in a map at which a unit is taken; `None` for the average over all."""


class Problem(NamedTuple):
    """What is maximized: a pytree."""

    features: Partial
    """The function of parameters and one input."""
    params: PyTree
    """Its parameters."""
    prior: Partial
    """The function of one input that is subtracted."""
    bounds: tuple[Any, Any]
    """The least and the largest value of an input."""


class Facts(NamedTuple):
    """What programs are compiled for."""

    place: Place
    """The place in a map at which a unit is taken."""
    jitter: int
    """The largest shift before a step, in pixels."""
    optimizer: Any
    """One of optax's optimizers."""


def no_prior(x: Array) -> Array:
    """The prior that is zero."""
    return jnp.zeros((), x.dtype)


def as_partial(name: str, function: Any, takes: str) -> Partial:
    """A function as a pytree, so that the arrays in it can stay out of a compiled program."""
    if not callable(function):
        raise TypeError(f"{name} is a {type(function).__name__}: take a function of {takes}")
    return function if isinstance(function, Partial) else Partial(function)


def checked_start(
    problem: Problem, facts: Facts, x: Any, units: Any, key: Any
) -> tuple[Array, Array, Array, Callable[[Any], Any]]:
    """Inputs, units that the features have, and a random key."""
    (x,), back = real_arrays(x=x)
    units = as_array("units", units)
    if not jnp.issubdtype(units.dtype, jnp.integer):
        raise TypeError(f"units is of dtype {units.dtype}: take whole numbers from 0")
    if x.shape[: units.ndim] != units.shape:
        raise ValueError(
            f"x has the shape {x.shape}: take {units.shape} in front of an input's axes, one for each unit"
        )
    if facts.jitter and x.ndim - units.ndim != 3:
        raise ValueError(f"jitter is {facts.jitter}, but x has the shape {x.shape}: take images (H, W, C)")
    one = jax.ShapeDtypeStruct(x.shape[units.ndim :], x.dtype)
    found = jax.eval_shape(problem.features, problem.params, one)
    if not hasattr(found, "shape") or not found.shape:
        raise ValueError(f"features returns {found}: take a function that returns an array (..., channels)")
    if checks.known(units):
        worst = np.asarray(units)[(np.asarray(units) < 0) | (np.asarray(units) >= found.shape[-1])]
        if worst.size:
            raise ValueError(f"units holds {worst[0]}: take whole numbers from 0 to {found.shape[-1] - 1}")
    if isinstance(facts.place, tuple):
        inside = len(facts.place) == len(found.shape) - 1
        if not inside or not all(0 <= one < size for one, size in zip(facts.place, found.shape)):
            raise ValueError(f"place is {facts.place}: take one within a map of {found.shape[:-1]}")
    key = jax.random.key(0) if key is None else key
    checks.random_key("key", key)
    return x, jnp.asarray(units), key, back


def _activation(facts: Facts, found: Array, unit: Array) -> Array:
    """The answer of one unit, at the place or averaged over the map."""
    if facts.place is not None:
        center = tuple(size // 2 for size in found.shape[:-1])
        found = found[center if isinstance(facts.place, str) else facts.place]
    return jnp.mean(jnp.take(found, unit, axis=-1))


def objective(
    problem: Problem, facts: Facts, x: Array, unit: Array, key: Array | None
) -> tuple[Array, Array]:
    """The prior less the activation, and the activation, of one input."""
    shifted = priors.jitter(key, x, facts.jitter) if facts.jitter and key is not None else x
    found = _activation(facts, problem.features(problem.params, shifted), unit).astype(x.dtype)
    return jnp.asarray(problem.prior(x), x.dtype) - found, found
