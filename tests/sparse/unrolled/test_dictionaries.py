"""Dictionaries as unrolled pursuits take them: integers, sizes of random ones, and what is refused."""

import re
from functools import partial

import jax
import numpy as np
import pytest

from jaxtheory.sparse.unrolled import alista, convolutional_lista, lista, lista_cp

KEY = jax.random.key(0)
MAKERS = {
    "lista": (partial(lista.init, KEY, steps=2, penalty=0.2), (5, 4)),
    "lista_cp": (partial(lista_cp.init, KEY, steps=2, penalty=0.2), (5, 4)),
    "alista": (partial(alista.init, KEY, steps=2, threshold=0.2), (5, 4)),
    "weight": (alista.analytic_weight, (5, 4)),
    "coherence": (lambda dictionary: alista.generalized_coherence(dictionary, dictionary), (5, 4)),
    "convolutional": (partial(convolutional_lista.init, KEY, steps=2, penalty=0.2), (3, 1, 2)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_integers_are_taken_as_floats(name, rng):
    make, shape = MAKERS[name]
    dictionary = rng.integers(1, 9, shape)
    for found, expected in zip(*(jax.tree.leaves(make(one)) for one in (dictionary, np.float32(dictionary)))):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("init", [partial(lista.init, penalty=0.2), partial(alista.init, threshold=0.2)])
def test_errors_say_what_to_do(init, own_errors):
    for dictionary, message in (
        ((5,), "dictionary is (5,): take (atoms, features)"),
        ((5, 0), "dictionary is 0: take a whole number at least 1"),
        (np.ones((0, 4)), "dictionary has the shape (0, 4): take no empty axes"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            init(KEY, dictionary, steps=2)
    with pytest.raises(TypeError, match="key is 0: take one random key"):
        init(0, (5, 4), steps=2)
