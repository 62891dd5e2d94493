"""Basis pursuit against linear programming."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.optimize import linprog

from jaxtheory.sparse import pursuit
from tests.sparse.pursuit.problems import unit


def test_basis_pursuit_against_linear_programming(rng, x64):
    dictionary = unit(rng.standard_normal((40, 15)))
    signals = rng.standard_normal((12, 15))
    result = pursuit.basis_pursuit(dictionary, signals, tolerance=1e-8)
    assert result.converged.all()
    np.testing.assert_allclose(result.codes @ dictionary, signals, atol=1e-7)
    for signal, codes, gap in zip(signals, result.codes, result.gap):
        program = linprog(np.ones(80), A_eq=np.hstack([dictionary.T, -dictionary.T]), b_eq=signal)
        assert program.status == 0
        np.testing.assert_allclose(np.abs(codes).sum(), program.fun, rtol=1e-7)
        np.testing.assert_allclose(codes, program.x[:40] - program.x[40:], atol=1e-5)
        assert abs(gap) <= 1e-8 * program.fun


def test_basis_pursuit_says_where_no_codes_meet_the_signal(rng, x64):
    # The shapes of the test before: it is one program.
    dictionary = unit(rng.standard_normal((40, 15)))
    dictionary[:, 4] = 0
    signals = rng.standard_normal((12, 15))
    signals[0, 4] = 0
    signals[2] = np.nan
    result = pursuit.basis_pursuit(dictionary, signals, tolerance=1e-8)
    assert result.converged.tolist() == [True, *[False] * 11]
    np.testing.assert_allclose(result.codes[0] @ dictionary, signals[0], atol=1e-7)
    assert np.isnan(result.codes[2]).all()
    assert np.isnan(result.gap[2])


def square(rng):
    """A problem whose codes have as many nonzeros as features, and their places."""
    dictionary = unit(rng.standard_normal((9, 4)))
    signal = rng.standard_normal(4)
    codes = pursuit.basis_pursuit(dictionary, signal).codes
    places = np.flatnonzero(codes)
    assert len(places) == 4
    return jnp.asarray(dictionary), jnp.asarray(signal), places


@pytest.mark.beyond
def test_codes_have_the_derivative_of_the_inverse_on_their_support(rng, x64):
    dictionary, signal, places = square(rng)
    inverse = np.linalg.inv(dictionary[places])
    backward = jax.jacrev(lambda x: pursuit.basis_pursuit(dictionary, x).codes)(signal)
    expected = np.zeros((9, 4))
    expected[places] = inverse.T
    np.testing.assert_allclose(backward, expected, atol=1e-7)
    result, change = jax.jvp(lambda x: pursuit.basis_pursuit(dictionary, x), (signal,), (jnp.ones(4),))
    np.testing.assert_allclose(change.codes, expected.sum(1), atol=1e-7)
    np.testing.assert_allclose(change.objective, np.sign(result.codes) @ expected.sum(1), atol=1e-7)
    assert change.gap == 0


@pytest.mark.beyond
@pytest.mark.parametrize("pair", [False, True])
def test_derivatives_in_the_dictionary_and_of_second_order(pair, rng, x64):
    dictionary, signal, places = square(rng)
    weights = jnp.asarray(rng.standard_normal(9))

    def total(dictionary, signal):
        atoms = dictionary
        if pair:
            atoms = (Partial(lambda d, z: z @ d, dictionary), Partial(lambda d, x: x @ d.T, dictionary))
        return jnp.sum(weights * pursuit.basis_pursuit(atoms, signal).codes ** 2)

    def by_inverse(dictionary, signal):
        codes = jnp.linalg.solve(dictionary[places].T, signal)
        return jnp.sum(weights[places] * codes**2)

    for derivative in (partial(jax.grad, argnums=(0, 1)), partial(jax.hessian, argnums=1)):
        found, expected = (derivative(one)(dictionary, signal) for one in (total, by_inverse))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, expected)


def test_off_the_span_of_a_sparse_signal_codes_change_as_least_squares_says(rng):
    dictionary = np.float32(unit(rng.standard_normal((6, 5))))
    signal, on = 2 * dictionary[1] - dictionary[4], [1, 4]
    found = jax.jacobian(lambda x: pursuit.basis_pursuit(dictionary, x).codes)(signal)
    expected = np.zeros((6, 5))
    expected[on] = np.linalg.pinv(dictionary[on]).T
    np.testing.assert_allclose(found, expected, atol=1e-4)
