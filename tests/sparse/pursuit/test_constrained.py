"""Basis pursuit against linear programming."""

import numpy as np
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


def test_basis_pursuit_says_where_no_codes_meet_the_signal(rng):
    dictionary = np.float32(unit(rng.standard_normal((8, 5))))
    dictionary[:, 4] = 0
    signals = np.float32(rng.standard_normal((4, 5)))
    signals[0, 4] = 0
    signals[2] = np.nan
    result = pursuit.basis_pursuit(dictionary, signals)
    assert result.converged.tolist() == [True, False, False, False]
    np.testing.assert_allclose(result.codes[0] @ dictionary, signals[0], atol=1e-4)
    assert np.isnan(result.codes[2]).all()
    assert np.isnan(result.gap[2])
