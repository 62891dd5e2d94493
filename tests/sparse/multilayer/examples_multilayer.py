"""Rows of the table of examples: multilayer sparse models."""

from functools import wraps

import numpy as np

from jaxtheory.sparse import multilayer
from tests.example_rows import AT_THE_MINIMUM, CUT_SHORT, ONE_MODEL, Example, float32


def _layered(rng):
    """Dictionaries of two layers, a signal of eight samples, and a number for each layer."""
    filters = (float32(rng, 3, 1, 2), float32(rng, 2, 2, 3))
    return filters, float32(rng, 8, 1), (np.float32(0.4), np.float32(rng.uniform(0.2, 0.3)))


def _one_layer(rng):
    """The first of the two layers alone."""
    filters, x, numbers = _layered(rng)
    return filters[:1], x, numbers[:1]


def _unit_layers(rng):
    """Dictionaries of two layers, atoms of unit norm."""
    return (tuple(d / np.linalg.norm(d.reshape(-1, d.shape[-1]), axis=0) for d in _layered(rng)[0]),)


def _promised(rng):
    """Coherences, figures of sparse codes and noise for which guarantees hold."""
    figures = [np.float32(rng.uniform(*ends, 2)) for ends in ((2, 3), (2, 4), (1, 1.1), (1.1, 1.3))]
    return np.float32([0.01, 0.02]), multilayer.Sparsity(*figures), np.float32(rng.uniform(0.001, 0.002))


def _layered_batch(rng):
    """The layers with a batch of signals."""
    filters, _, numbers = _layered(rng)
    return filters, float32(rng, 4, 8, 1), numbers


@wraps(multilayer.learner)
def _learned(filters, images, penalties):
    """The state after a step of a learner, and its metrics."""
    learner = multilayer.learner(penalties, code_steps=5)
    return learner.step(learner.init(filters), images)


FIGURES = "its leading axes are those of a record of figures"
NO_LEADING = "no one argument is the signal"
UNIT = "atoms that are rounded to bfloat16 have not unit norm"
FILTERS_ALONE = "its one argument is a tuple of filters; the rows of `ml_ista` go through integers"
HALVED = "the size of its step is found by halving, and has no derivative"

EXAMPLES: list[Example] = [
    Example(
        multilayer.synthesize,
        lambda rng: (_layered(rng)[0], float32(rng, 4, 3)),
        {"strides": (2, 1)},
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        multilayer.coherences, _unit_layers, None, (), (0,), vmap=ONE_MODEL, integer=FILTERS_ALONE, half=UNIT
    ),
    Example(
        multilayer.squared_norms,
        lambda rng: _layered(rng)[:1],
        {"shape": (8,)},
        (),
        (0,),
        vmap=ONE_MODEL,
        integer=FILTERS_ALONE,
    ),
    Example(multilayer.patch_norm, lambda rng: (float32(rng, 6, 5, 2),), {"patch_size": (2, 3)}),
    Example(
        multilayer.sparsity,
        lambda rng: (_layered(rng)[0], (float32(rng, 8, 2), float32(rng, 8, 3))),
        None,
        (1,),
        integer="its codes are a tuple; it counts entries, whatever their dtype",
    ),
    Example(
        multilayer.layered_thresholding,
        _layered,
        {"strides": (2, 1)},
        (1,),
        (0, 1, 2),
        export=True,
        devices=True,
    ),
    Example(
        multilayer.layered_basis_pursuit,
        _one_layer,
        {"max_steps": 4},
        (1,),
        grad=CUT_SHORT,
        x64="the size of its steps is an estimate; tests/sparse holds it in double precision",
        devices=True,
    ),
    Example(
        multilayer.layered_basis_pursuit,
        _one_layer,
        {"tolerance": 1e-14},
        (1,),
        (0, 1, 2),
        jit=AT_THE_MINIMUM,
        vmap=AT_THE_MINIMUM,
        x64=AT_THE_MINIMUM,
        name="minimum",
    ),
    Example(multilayer.ml_ista, _layered, {"steps": 4}, (1,), (0, 1, 2), export=True, devices=True),
    Example(multilayer.ml_fista, _layered, {"steps": 4}, (1,), (0, 1, 2), export=True, devices=True),
    Example(
        multilayer.uniqueness_guarantee, lambda rng: _promised(rng)[:2], None, (1,), (0,), integer=FIGURES
    ),
    Example(multilayer.stability_guarantee, _promised, None, (1, 2), (0, 1, 2)),
    Example(multilayer.thresholding_guarantee, _promised, {"kind": "hard"}, (1, 2), (0, 1, 2)),
    Example(multilayer.basis_pursuit_guarantee, _promised, None, (1, 2), (0, 1, 2)),
    Example(
        _learned,
        _layered_batch,
        None,
        (),
        vmap="one objective, over all images",
        grad=HALVED,
        export=True,
        integer=NO_LEADING,
    ),
]

NOT_TRACED: dict[str, str] = {
    "sparse.multilayer.model.init": "arrays of given sizes, from a key",
    "sparse.multilayer.model.sample": "draws from a key; tests/sparse maps it over keys",
}
