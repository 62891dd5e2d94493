"""Rows of the table of examples: the loop of all learners."""

from functools import wraps

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.core.records import record
from jaxtheory.sparse import learning
from jaxtheory.sparse.learning import Learner, bind
from tests.example_rows import Example, float32


@record
class Filtered:
    """A running mean of examples, and the number of steps taken."""

    mean: jax.Array
    step: jax.Array


def _step(state, batch, *, rate):
    mean = state.mean + rate * (jnp.mean(batch, axis=0) - state.mean)
    return Filtered(mean, state.step + 1), {"mean": jnp.mean(mean)}


def _init(start):
    return Filtered(start, jnp.int32(0))


KEEPS_ITS_STATE = "a state is kept in single precision at least, whatever the signals are"


def learning_by(learner):
    """The loop with a learner, as a function of the state, the data and the key."""

    @wraps(learning.run)
    def run(state, data, key, **options):
        return learning.run(learner, state, data, key, **options)

    return run


EXAMPLES: list[Example] = [
    Example(
        learning_by(Learner(bind(_init), bind(_step, rate=np.float32(0.5)))),
        lambda rng: (_init(float32(rng, 4)), float32(rng, 6, 4), jax.random.key(0)),
        {"steps": 3, "batch": 2},
        (1,),
        vmap="the first axis is that of the examples",
        integer="what a learner does with integers is its own matter",
        half="what a learner does with half precision is its own matter",
        export=True,
    ),
]

NOT_TRACED: dict[str, str] = {
    "sparse.learning.bind": "a function with its options; `run` takes it through the forms",
}
