"""Greedy pursuits against scikit-learn and least squares."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import orthogonal_mp

from jaxtheory.sparse import pursuit
from tests.sparse.pursuit.problems import unit


@pytest.mark.parametrize("sparsity", [1, 5, 8])
def test_orthogonal_matching_pursuit_against_scikit_learn(problem, sparsity, x64):
    dictionary, signals = problem
    result = pursuit.orthogonal_matching_pursuit(dictionary, signals, sparsity=sparsity)
    expected = orthogonal_mp(dictionary.T, signals.T, n_nonzero_coefs=sparsity).T
    np.testing.assert_allclose(result.codes, expected, atol=1e-10)
    left = np.linalg.norm(signals - expected @ dictionary, axis=1)
    np.testing.assert_allclose(result.residual, left, atol=1e-10)
    assert (np.sort(result.support, axis=1) == [np.flatnonzero(codes) for codes in expected]).all()
    assert (result.steps == sparsity).all()


def test_orthogonal_matching_pursuit_down_to_a_residual(problem, x64):
    dictionary, signals = problem
    result = pursuit.orthogonal_matching_pursuit(dictionary, signals, sparsity=20, tolerance=0.3)
    # Its tolerance is of the squared norm.
    expected = orthogonal_mp(dictionary.T, signals.T, tol=0.09).T
    np.testing.assert_allclose(result.codes, expected, atol=1e-10)
    assert (result.residual <= 0.3).all()
    np.testing.assert_array_equal(result.steps, np.count_nonzero(expected, axis=1))
    np.testing.assert_array_equal((result.support >= 0).sum(1), result.steps)
    assert len(set(result.steps.tolist())) > 3


def test_atoms_need_not_have_length_one(problem, rng, x64):
    dictionary, signals = problem
    lengths = rng.uniform(0.2, 5, 30)
    for function in (
        partial(pursuit.orthogonal_matching_pursuit, sparsity=5),
        partial(pursuit.thresholding, sparsity=5),
        partial(pursuit.matching_pursuit, steps=40),
    ):
        expected = function(dictionary, signals)
        found = function(dictionary * lengths[:, None], signals)
        np.testing.assert_array_equal(found.support, expected.support)
        np.testing.assert_allclose(found.codes * lengths, expected.codes, atol=1e-10)


def test_thresholding_is_least_squares_on_the_largest_correlations(problem, x64):
    dictionary, signals = problem
    result = pursuit.thresholding(dictionary, signals, sparsity=5)
    for signal, codes, support, left in zip(signals, result.codes, result.support, result.residual):
        largest = np.argsort(-np.abs(dictionary @ signal))[:5]
        np.testing.assert_array_equal(support, largest)
        values, rest, _, _ = np.linalg.lstsq(dictionary[largest].T, signal)
        expected = np.zeros(30)
        expected[largest] = values
        np.testing.assert_allclose(codes, expected, atol=1e-10)
        np.testing.assert_allclose(left**2, rest[0], atol=1e-10)


def test_matching_pursuit_step_by_step(problem, x64):
    dictionary, signals = problem
    result = pursuit.matching_pursuit(dictionary, signals, steps=40)
    for signal, codes, support, left in zip(signals, result.codes, result.support, result.residual):
        expected, rest = np.zeros(30), signal.copy()
        for atom in support:
            c = dictionary @ rest
            assert atom == np.argmax(np.abs(c))
            expected[atom] += c[atom]
            rest = rest - c[atom] * dictionary[atom]
        np.testing.assert_allclose(codes, expected, atol=1e-10)
        np.testing.assert_allclose(left, np.linalg.norm(rest), atol=1e-10)


@pytest.mark.beyond
def test_greedy_codes_have_the_derivative_of_their_support(problem, rng, x64):
    dictionary, signals = (jnp.asarray(array) for array in problem)
    weights = jnp.asarray(rng.standard_normal((50, 30)))
    direction = [jnp.asarray(rng.standard_normal(array.shape)) for array in (dictionary, signals)]
    for function in (
        partial(pursuit.orthogonal_matching_pursuit, sparsity=5),
        partial(pursuit.thresholding, sparsity=5),
        partial(pursuit.matching_pursuit, steps=7),
    ):

        def scalar(step, function=function):
            moved = (array + step * d for array, d in zip((dictionary, signals), direction))
            return jnp.sum(weights * function(*moved).codes)

        expected = (scalar(1e-6) - scalar(-1e-6)) / 2e-6
        np.testing.assert_allclose(jax.grad(scalar)(0.0), expected, rtol=1e-6)


def test_atoms_that_depend_on_others_are_left_out(x64):
    dictionary = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    result = pursuit.orthogonal_matching_pursuit(dictionary, np.array([[2.0, 1, 1]]), sparsity=3)
    assert result.steps.tolist() == [2]
    assert result.support[0, 2] == -1
    np.testing.assert_allclose(result.codes @ dictionary, [[2, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(result.residual, [1.0])
    every = pursuit.thresholding(dictionary, np.array([2.0, 1, 1]), sparsity=3)
    assert every.steps == 2
    np.testing.assert_allclose(every.codes @ dictionary, [2, 1, 0], atol=1e-12)


def test_an_exact_fit_ends_a_greedy_pursuit(rng):
    dictionary = np.float32(unit(rng.standard_normal((20, 10))))
    signal = 2 * dictionary[3] - dictionary[7]
    result = pursuit.orthogonal_matching_pursuit(dictionary, signal, sparsity=6)
    theirs = orthogonal_mp(np.float64(dictionary.T), np.float64(signal), n_nonzero_coefs=2)
    assert result.steps == 2
    assert sorted(result.support.tolist()) == [-1, -1, -1, -1, 3, 7]
    np.testing.assert_allclose(result.codes, theirs, atol=1e-5)
    many = pursuit.orthogonal_matching_pursuit(dictionary, np.stack([signal, 1e-9 * signal]), sparsity=6)
    assert many.steps.tolist() == [2, 2]
    once = pursuit.matching_pursuit(dictionary, 3 * dictionary[5], steps=6)
    assert once.steps == 1
    assert once.support.tolist() == [5, -1, -1, -1, -1, -1]


def test_a_signal_near_the_largest_number_has_its_codes():
    dictionary, signal = np.eye(3, dtype=np.float32), np.float32([3e38, 0, 0])
    result = pursuit.orthogonal_matching_pursuit(dictionary, signal, sparsity=2)
    np.testing.assert_allclose(result.codes, [3e38, 0, 0], rtol=1e-6)
    assert result.steps == 1
