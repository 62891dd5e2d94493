"""Rows of the table of examples: sums of ridge functions, and how they are found."""

import jax

from jaxtheory.approximation import ridge
from tests.example_rows import Example, float32

PARAMS = ridge.init(jax.random.key(0), 3, terms=5)
NO_HALVES = "norms and systems of rounded values are others"
ONE_FUNCTION = "one function at a time, on all of its points"


def _at_points(rng):
    """Points and values."""
    return float32(rng, 40, 3), float32(rng, 40)


EXAMPLES: list[Example] = [
    Example(ridge.features, lambda rng: (PARAMS, float32(rng, 3)), leading=(1,)),
    Example(ridge.apply, lambda rng: (PARAMS, float32(rng, 3)), leading=(1,), export=True, devices=True),
    Example(
        ridge.path_norm,
        lambda rng: (ridge.init(jax.random.key(rng.integers(1000)), 3, terms=5),),
        vmap="one sum at a time",
        integer="parameters are not whole",
    ),
    Example(
        ridge.greedy,
        lambda rng: (float32(rng, 12, 30), float32(rng, 30)),
        {"steps": 4},
        leading=(1,),
        vmap=ONE_FUNCTION,
        half=NO_HALVES,
        tolerance=1e-4,
    ),
    Example(
        ridge.random_features,
        lambda rng: (PARAMS, *_at_points(rng)),
        leading=(2,),
        vmap=ONE_FUNCTION,
        half=NO_HALVES,
        tolerance=1e-3,
    ),
    Example(
        ridge.projection_pursuit,
        lambda rng: (*_at_points(rng), jax.random.key(0)),
        {"stages": 2, "knots": 3, "candidates": 4, "steps": 2},
        leading=(0, 1),
        vmap=ONE_FUNCTION,
        grad="which step is taken is a decision",
        x64="the random directions are others",
        integer="integers tie where a decision is taken",
        half=NO_HALVES,
        tolerance=1e-3,
    ),
]

NOT_TRACED: dict[str, str] = {
    "approximation.ridge.sums.init": "a sum of a size, from a key",
    "approximation.ridge.sums.spectral_moment": "an integral of a function, from a key",
}
