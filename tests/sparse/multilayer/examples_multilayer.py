"""Rows of the table of examples: multilayer sparse models."""

import numpy as np

from jaxtheory.sparse import multilayer
from tests.example_rows import AT_THE_MINIMUM, CUT_SHORT, ONE_MODEL, Example, float32


def _layered(rng):
    """Dictionaries of two layers, a signal of eight samples, and a number for each layer."""
    dictionaries = (float32(rng, 3, 1, 2), float32(rng, 2, 2, 3))
    return dictionaries, float32(rng, 8, 1), (np.float32(0.4), np.float32(rng.uniform(0.2, 0.3)))


def _one_layer(rng):
    """The first of the two layers alone."""
    dictionaries, x, numbers = _layered(rng)
    return dictionaries[:1], x, numbers[:1]


def _unit_layers(rng):
    """Dictionaries of two layers, atoms of unit norm."""
    return (tuple(d / np.linalg.norm(d.reshape(-1, d.shape[-1]), axis=0) for d in _layered(rng)[0]),)


def _promised(rng):
    """Coherences, figures of sparse codes and noise for which guarantees hold."""
    figures = [np.float32(rng.uniform(*ends, 2)) for ends in ((2, 3), (2, 4), (1, 1.1), (1.1, 1.3))]
    return np.float32([0.01, 0.02]), multilayer.Sparsity(*figures), np.float32(rng.uniform(0.001, 0.002))


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
    Example(multilayer.coherences, _unit_layers, None, (), (0,), vmap=ONE_MODEL),
    Example(
        multilayer.squared_norms, lambda rng: _layered(rng)[:1], {"size": (8,)}, (), (0,), vmap=ONE_MODEL
    ),
    Example(multilayer.patch_norm, lambda rng: (float32(rng, 6, 5, 2),), {"kernel": (2, 3)}),
    Example(
        multilayer.sparsity,
        lambda rng: (_layered(rng)[0], (float32(rng, 8, 2), float32(rng, 8, 3))),
        None,
        (1,),
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
    Example(multilayer.uniqueness_guarantee, lambda rng: _promised(rng)[:2], None, (1,), (0,)),
    Example(multilayer.stability_guarantee, _promised, None, (1, 2), (0, 1, 2)),
    Example(multilayer.thresholding_guarantee, _promised, {"kind": "hard"}, (1, 2), (0, 1, 2)),
    Example(multilayer.basis_pursuit_guarantee, _promised, None, (1, 2), (0, 1, 2)),
    Example(
        multilayer.learn_init,
        lambda rng: _layered(rng)[:1],
        None,
        (),
        vmap=ONE_MODEL,
        grad="its objective is infinite as long as there is none",
    ),
    Example(
        multilayer.learn_step,
        lambda rng: (multilayer.learn_init(_layered(rng)[0]), float32(rng, 4, 8, 1), _layered(rng)[2]),
        {"code_steps": 5},
        (),
        vmap="one objective, over all images",
        grad=HALVED,
    ),
    Example(
        multilayer.learn,
        lambda rng: (_layered(rng)[0], float32(rng, 4, 8, 1), _layered(rng)[2]),
        {"steps": 3, "code_steps": 5},
        (),
        vmap="one objective, over all images",
        grad=HALVED,
    ),
]

NOT_TRACED: dict[str, str] = {
    "sparse.multilayer.init": "arrays of given sizes, from a key",
    "sparse.multilayer.sample": "draws from a key; tests/sparse maps it over keys",
}
