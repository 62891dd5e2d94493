"""Atoms that are drawn from signals, and those that replace idle ones."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.sparse.dictionary_learning import sample_atoms
from jaxtheory.sparse.dictionary_learning.sampling import replace_idle


def test_sampled_atoms_are_different_signals_of_unit_length(rng):
    x = np.float32(rng.standard_normal((20, 4)))
    x[3], x[5] = 0, np.inf
    D = np.asarray(sample_atoms(jax.random.key(0), x, 18))
    np.testing.assert_allclose(np.linalg.norm(D, axis=1), 1, atol=1e-6)
    units = np.delete(x, [3, 5], 0)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    np.testing.assert_allclose(D[np.lexsort(D.T)], units[np.lexsort(units.T)], atol=1e-6)
    assert not np.any(sample_atoms(jax.random.key(0), x, 20)[18:])
    other = sample_atoms(jax.random.key(1), x, 18)
    assert np.abs(other - D).max() > 0.1


def test_idle_atoms_are_replaced_as_far_as_there_are_signals():
    D = np.float32([[9, 9], [1, 0], [8, 8], [7, 7]])
    x = np.float32([[0, 2], [3, 0], [0, 0]])
    idle = np.array([True, False, True, True])
    found, replaced = replace_idle(jnp.asarray(D), jnp.asarray(idle), jnp.asarray(x), jnp.float32([4, 9, 0]))
    np.testing.assert_array_equal(found, [[1, 0], [1, 0], [0, 1], [7, 7]])
    np.testing.assert_array_equal(replaced, [True, False, True, False])


X = np.ones((6, 3), np.float32)
BAD = {
    "too many": ((0, X, 7), ValueError, "atoms is 7: take a whole number from 1 to 6"),
    "no count": ((0, X, 2.0), TypeError, "atoms is 2.0: take a whole number from 1 to 6"),
    "no matrix": ((0, X[0], 1), ValueError, "signals has the shape (3,): take (n, features)"),
    "complex": ((0, 1j * X, 1), TypeError, "signals is complex (complex64): take real numbers"),
    "no key": ((None, X, 1), TypeError, "key is None: take one random key"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    (seed, signals, atoms), error, message = BAD[name]
    key = None if seed is None else jax.random.key(seed)
    with pytest.raises(error, match=re.escape(message)):
        sample_atoms(key, signals, atoms)
