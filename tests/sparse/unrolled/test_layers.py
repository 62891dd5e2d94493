"""What all unrolled pursuits of matrices share: ISTA at the start, their arguments, and their errors."""

import re
from functools import partial

import jax
import numpy as np
import pytest

from jaxtheory.sparse.unrolled import alista, convolutional_lista, lista, lista_cp, unfolding
from tests.sparse.unrolled import dense

KEY = jax.random.key(0)
NETWORKS = {
    "lista": (partial(lista.init, steps=3, penalty=0.2), lista.apply),
    "lista_cp": (partial(lista_cp.init, steps=3, penalty=0.2), lista_cp.apply),
    "alista": (partial(alista.init, steps=3, threshold=0.2), alista.apply),
}
TIED = pytest.mark.parametrize("tied", [True, False])
ISTA = pytest.mark.parametrize("network", [lista, lista_cp])
EACH = pytest.mark.parametrize("name", NETWORKS)


@TIED
@ISTA
def test_at_the_start_it_is_ista(network, problem, tied, x64):
    dictionary, x = problem
    params = network.init(KEY, dictionary, steps=5, penalty=0.2, tied=tied)
    expected = dense.ista(dictionary, x, 0.2, 5)
    assert 0.1 < np.mean(expected[-1] == 0) < 0.9
    found = network.apply(params, x, iterates=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(np.asarray(found) == 0, expected == 0)
    np.testing.assert_allclose(network.apply(params, x), expected[-1], rtol=1e-12, atol=1e-13)


@TIED
@ISTA
def test_a_dictionary_of_zeros_has_codes_of_zero(network, tied, rng):
    params = network.init(KEY, np.zeros((5, 4), np.float32), steps=3, penalty=0.1, tied=tied)
    found = network.apply(params, np.float32(rng.standard_normal((2, 4))))
    np.testing.assert_array_equal(found, np.zeros((2, 5)))


@EACH
def test_what_numpy_converts_is_taken_and_empty_batches_are_empty(name, problem, own_errors):
    (init, apply), (dictionary, x) = NETWORKS[name], problem
    expected = apply(init(KEY, np.float32(dictionary)), np.float32(x))
    for convert in (np.ndarray.tolist, lambda one: one.astype(">f8")):
        found = apply(init(KEY, convert(dictionary)), convert(x))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert apply(init(KEY, dictionary), x[:0]).shape == (0, 3, 12)


@EACH
def test_errors(name, problem, own_errors):
    (init, apply), (dictionary, x) = NETWORKS[name], problem
    params = init(KEY, dictionary)
    weight = next(word for word in ("penalty", "threshold") if word in init.keywords)
    for call, error, message in (
        (lambda: init(KEY, dictionary, steps=0), ValueError, "steps is 0: take a whole number at least 1"),
        (lambda: init(KEY, dictionary, steps=3.0), TypeError, "steps is 3.0: take a whole number"),
        (lambda: init(KEY, dictionary, **{weight: 0.0}), ValueError, "is 0.0: take a positive number"),
        (lambda: init(KEY, dictionary, **{weight: -0.5}), ValueError, "is -0.5: take a positive number"),
        (
            lambda: init(KEY, dictionary, **{weight: [1.0, 2.0]}),
            ValueError,
            "has the shape (2,): take one number",
        ),
        (lambda: init(KEY, dictionary[0]), ValueError, "has the shape (7,): take (atoms, features)"),
        (lambda: init(KEY, "a"), TypeError, "dictionary is 'a'"),
        (lambda: apply(params, x[..., :6]), ValueError, "x has the shape (2, 3, 6): take (..., 7)"),
        (lambda: apply(params, x + 1j), TypeError, "x is complex"),
        (lambda: apply(params, x, iterates="no"), TypeError, "iterates is 'no': take True or False"),
        (lambda: apply(params, x, remat=1), TypeError, "remat is 1: take True or False"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            call()


INITS = {name: (init, (8, 5), np.ones((8, 5))) for name, (init, _) in NETWORKS.items()} | {
    "convolutional": (partial(convolutional_lista.init, steps=3, penalty=0.2), (3, 1, 2), np.ones((3, 1, 2))),
}


@pytest.mark.parametrize("name", INITS)
@pytest.mark.parametrize(
    "key", [0, None, "a", np.ones(2), jax.random.split(KEY)], ids=["0", "None", "a", "floats", "two"]
)
def test_a_key_is_a_random_key_whether_it_is_needed_or_not(name, key, own_errors):
    init, shape, dictionary = INITS[name]
    for given in (shape, dictionary):
        with pytest.raises(TypeError, match=r"key is .*: take one random key"):
            init(key, given)


@pytest.mark.parametrize("name", INITS)
def test_sizes_are_whole_numbers_of_any_kind(name, own_errors):
    init, shape, _ = INITS[name]
    expected = init(KEY, shape)
    for same in (tuple(map(np.int64, shape)), (np.int64(shape[0]), *shape[1:])):
        found = init(KEY, same)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected)):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(TypeError, match=r"(dictionary|filters) is 5\.0: take a whole number at least 1"):
        init(KEY, (*shape[:-1], 5.0))
    with pytest.raises(ValueError, match=r"(dictionary|filters) is 0: take a whole number at least 1"):
        init(KEY, (*shape[:-1], 0))


def test_sizes_of_an_unfolded_network_are_sequences(own_errors):
    for change, message in (
        ({"atoms": 8}, "atoms is 8: take a whole number for each layer"),
        ({"kernel_size": "a"}, "kernel_size is 'a': take a whole number for each layer"),
        ({"strides": (2.0, 2, 1)}, "strides is 2.0: take a whole number at least 1"),
        ({"shape": 28}, "shape is 28: take (H, W) or (H, W, channels)"),
    ):
        arguments = {"shape": (28, 28), "unfoldings": 1} | change
        with pytest.raises(TypeError, match=re.escape(message)):
            unfolding.init(KEY, **arguments)
