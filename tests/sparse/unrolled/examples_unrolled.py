"""Rows of the table of examples: unrolled pursuits."""

import jax
import numpy as np

from jaxtheory.sparse.unrolled import alista, convolutional_lista, lista, lista_cp, unfolding
from tests.example_rows import Example, float32


def _unrolled(make, **options):
    """Parameters of an unrolled pursuit of three layers with six atoms of four features, and a signal."""

    def of(rng):
        dictionary = float32(rng, 6, 4)
        dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
        return make(jax.random.key(0), dictionary, steps=3, **options), 2 * float32(rng, 4)

    return of


def _unrolled_convolutions(rng):
    """Parameters of a convolutional one with two filters, and an image."""
    params = convolutional_lista.init(jax.random.key(0), float32(rng, 3, 2, 2, 2), steps=3, penalty=0.3)
    return params, float32(rng, 6, 5, 2)


def _unfolded(**options):
    """Parameters of a multilayer one of two small layers, and an image of 8 x 9 pixels."""

    def of(rng):
        sizes = {"atoms": (3, 4), "kernel_size": (3, 2), "strides": (2, 1), "outputs": 3}
        params = unfolding.init(jax.random.key(0), (8, 9), scale=1.0, **sizes, **options)
        return params, float32(rng, 8, 9)

    return of


SHARED_DICTIONARY = "its dictionary is no signal; tests/sparse give it integers"
ONE_DICTIONARY = "one dictionary at a time"

EXAMPLES: list[Example] = [
    # sparse.unrolled.alista
    Example(
        alista.init,
        lambda rng: (jax.random.key(0), float32(rng, 6, 4)),
        {"steps": 3, "threshold": 0.3},
        (),
        (1,),
        vmap=ONE_DICTIONARY,
        integer=SHARED_DICTIONARY,
    ),
    Example(
        alista.apply,
        _unrolled(alista.init, threshold=0.2, selection=(0.2, 0.4)),
        {"iterates": False, "remat": True},
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        alista.analytic_weight,
        lambda rng: (float32(rng, 6, 4),),
        None,
        (),
        (0,),
        vmap=ONE_DICTIONARY,
        integer=SHARED_DICTIONARY,
    ),
    Example(
        alista.generalized_coherence,
        lambda rng: (float32(rng, 6, 4), float32(rng, 6, 4)),
        None,
        (),
        (0, 1),
        vmap=ONE_DICTIONARY,
        integer=SHARED_DICTIONARY,
    ),
    # sparse.unrolled.convolutional_lista
    Example(
        convolutional_lista.init,
        lambda rng: (jax.random.key(0), float32(rng, 3, 2, 2, 2)),
        {"steps": 3, "penalty": 0.3},
        (),
        (1,),
        vmap=ONE_DICTIONARY,
        integer=SHARED_DICTIONARY,
    ),
    Example(convolutional_lista.apply, _unrolled_convolutions, None, (1,), (0, 1), export=True, devices=True),
    Example(
        convolutional_lista.reconstruct,
        lambda rng: (_unrolled_convolutions(rng)[0], float32(rng, 6, 5, 2)),
        None,
        (1,),
        (0, 1),
    ),
    # sparse.unrolled.lista
    Example(
        lista.init,
        lambda rng: (jax.random.key(0), float32(rng, 6, 4)),
        {"steps": 3, "penalty": 0.2},
        (),
        (1,),
        vmap=ONE_DICTIONARY,
        integer=SHARED_DICTIONARY,
    ),
    Example(lista.apply, _unrolled(lista.init, penalty=0.2), None, (1,), (0, 1), export=True, devices=True),
    Example(
        lista.apply,
        _unrolled(lista.init, penalty=0.2, tied=False),
        {"remat": True},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        name="untied",
    ),
    # sparse.unrolled.lista_cp
    Example(
        lista_cp.init,
        lambda rng: (jax.random.key(0), float32(rng, 6, 4)),
        {"steps": 3, "penalty": 0.2},
        (),
        (1,),
        vmap=ONE_DICTIONARY,
        integer=SHARED_DICTIONARY,
    ),
    Example(
        lista_cp.apply,
        _unrolled(lista_cp.init, penalty=0.2, tied=True),
        None,
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        lista_cp.apply,
        _unrolled(lista_cp.init, penalty=0.2, selection=(0.2, 0.4)),
        {"remat": True},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        name="selection",
    ),
    Example(
        lista_cp.selective_threshold,
        lambda rng: (float32(rng, 6), np.float32(rng.uniform(0.2, 0.6, 1))),
        {"selected": 2},
        (0, 1),
    ),
    # sparse.unrolled.unfolding
    Example(
        unfolding.init,
        lambda _: (jax.random.key(0),),
        {"shape": (28, 28), "unfoldings": 1},
        vmap="one key, one draw: map over the keys",
        grad="a draw has no derivative in its key",
        x64="double precision draws other numbers",
        integer="it takes no array but a key",
        half="it takes no array but a key",
    ),
    Example(unfolding.apply, _unfolded(unfoldings=0), None, (1,), (0, 1), export=True, devices=True),
    Example(
        unfolding.apply,
        _unfolded(unfoldings=3, accelerated=True),
        {"remat": True},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        name="accelerated",
    ),
    Example(unfolding.encode, _unfolded(unfoldings=2), None, (1,), (0, 1), devices=True),
]

SHARED = "shared by `init` and `apply` of these modules, whose rows go through it"

NOT_TRACED: dict[str, str] = {
    "sparse.unrolled.layers.as_dictionary": SHARED,
    "sparse.unrolled.layers.applied": SHARED,
    "sparse.unrolled.layers.is_shape": SHARED,
    "sparse.unrolled.layers.repeat": SHARED,
    "sparse.unrolled.layers.safe_norm": SHARED,
    "sparse.unrolled.layers.unroll": SHARED,
    "sparse.unrolled.selection.select": SHARED,
    "sparse.unrolled.selection.trusted_counts": SHARED,
}
