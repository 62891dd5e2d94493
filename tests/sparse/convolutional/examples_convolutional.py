"""Rows of the table of examples: convolutional sparse coding."""

from functools import wraps

import jax.numpy as jnp
import numpy as np

from jaxtheory.sparse import convolutional
from tests.example_rows import ONE_MODEL, Example, float32


def _coded(rng):
    """Two atoms of 3 x 2 pixels with two channels, and an image."""
    return float32(rng, 3, 2, 2, 2), float32(rng, 6, 5, 2)


@wraps(convolutional.learner)
def _learned(filters, images, penalty):
    """The state after a step of a learner, and its metrics."""
    learner = convolutional.learner(penalty, tolerance=1e-12, max_steps=20, filter_steps=3)
    return learner.step(learner.init(filters), images)


NO_LEADING = "all its arguments are shared; tests/sparse and the rows of `lasso` go through integers"
CLIPPED = "its step goes as far as the ball, and has no derivative there"
GAP_MAPPED = "the gap that remains is rounding: tests/sparse maps the codes"
GAP_RIGID = "the gap and the steps have no derivative: tests/sparse differentiates the codes"
STEPS_ROUNDED = "steps are counted by rounding: tests/sparse holds the codes against scikit-learn"

EXAMPLES: list[Example] = [
    Example(convolutional.analyze, _coded, None, (1,), (0, 1), export=True, devices=True),
    Example(convolutional.synthesize, _coded, {"boundary": "zero"}, (1,), (0, 1), export=True, devices=True),
    Example(
        convolutional.normalize,
        lambda rng: _coded(rng)[:1],
        None,
        (),
        (0,),
        vmap=ONE_MODEL,
        integer=NO_LEADING,
    ),
    Example(
        convolutional.lasso,
        lambda rng: (*_coded(rng), jnp.float32(1.0)),
        {"tolerance": 1e-4, "max_steps": 100},
        (1,),
        (0, 1, 2),
        vmap=GAP_MAPPED,
        grad=GAP_RIGID,
        x64=STEPS_ROUNDED,
        export=True,
        devices=True,
        tolerance=1e-4,
    ),
    Example(
        _learned,
        lambda rng: (_coded(rng)[0], float32(rng, 2, 6, 5, 2), jnp.float32(1.0)),
        None,
        (),
        vmap="one objective, over all images",
        grad=CLIPPED,
        export=True,
        integer=NO_LEADING,
        tolerance=1e-4,
    ),
    Example(
        convolutional.lowpass,
        lambda rng: (float32(rng, 6, 5, 2), jnp.float32(2.0)),
        None,
        (0,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        convolutional.denoise,
        lambda rng: (*_coded(rng), jnp.float32(0.5)),
        {"max_steps": 100},
        (1,),
        vmap=GAP_MAPPED,
        grad=GAP_RIGID,
        x64=STEPS_ROUNDED,
        export=True,
        tolerance=1e-4,
    ),
    Example(
        convolutional.inpaint,
        lambda rng: (*_coded(rng), np.float32(rng.random((6, 5, 2)) > 0.3), jnp.float32(1.0)),
        {"max_steps": 100},
        (1,),
        vmap=GAP_MAPPED,
        grad=GAP_RIGID,
        x64=STEPS_ROUNDED,
        export=True,
        tolerance=1e-4,
    ),
]

NOT_TRACED: dict[str, str] = {}
