"""Systems in rational numbers against themselves multiplied out, and against SciPy."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize

from jaxtheory.networks import rationals


def product(matrix, numbers):
    return [sum(int(a) * one for a, one in zip(row, numbers)) for row in matrix]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (9, 9), (20, 12)])
def test_solutions_are_exact(rng, rows, columns):
    matrix = rng.integers(-9, 10, (rows, columns))
    expected = [
        Fraction(int(a), int(b)) for a, b in zip(rng.integers(-99, 99, columns), 1 + np.arange(columns))
    ]
    common = int(np.lcm.reduce(1 + np.arange(columns)))
    target = product(matrix, [int(one * common) for one in expected])
    assert rationals.solve(common * matrix, np.array(target)) == expected


def test_a_square_system_has_a_solution_with_long_fractions(rng):
    matrix, target = rng.integers(-99, 100, (30, 30)), rng.integers(-9, 10, 30)
    found = rationals.solve(matrix, target)
    assert product(matrix, found) == target.tolist()
    assert max(one.denominator for one in found) > 10**40
    np.testing.assert_allclose(np.array(found, float), np.linalg.solve(matrix, target), rtol=1e-9)


def test_whole_numbers_may_be_large():
    matrix = np.array([[10**17, 1], [1, -(10**12)]])
    found = rationals.solve(matrix, np.array([1, 0]))
    assert found == [Fraction(10**12, 10**29 + 1), Fraction(1, 10**29 + 1)]


def test_what_has_no_solution_has_none():
    assert rationals.solve(np.array([[1, 2], [2, 4]]), np.array([1, 2])) == []
    assert rationals.solve(np.array([[1], [1]]), np.array([1, 2])) == []


@pytest.mark.parametrize("seed", range(6))
def test_nonnegative_solutions_or_farkas_proof(seed):
    rng = np.random.default_rng(seed)
    matrix, target = rng.integers(-4, 5, (5, 6)), rng.integers(0, 4, 5)
    found, proof = rationals.nonnegative(matrix, target)
    peer = scipy.optimize.linprog(np.zeros(6), A_eq=matrix, b_eq=target)
    assert (peer.status == 0) == bool(found)
    if found:
        assert not proof
        assert min(found) >= 0
        assert product(matrix, found) == target.tolist()
    else:
        assert max(product(matrix.T, proof)) <= 0
        assert sum(product([target], proof)) > 0


def test_targets_below_zero_are_refused():
    with pytest.raises(ValueError, match=r"^target holds -1: take numbers of 0 or more, as rows times -1$"):
        rationals.nonnegative(np.array([[1]]), np.array([-1]))
