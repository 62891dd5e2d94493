"""Codes with a heavy-tailed prior against SciPy's minimum."""

import re

import numpy as np
import pytest
import scipy.optimize

from jaxtheory.sparse.dictionary_learning import cauchy_codes


def cauchy(a, x, D, penalty, scale):
    """The objective and its gradient."""
    value = np.sum((x - a @ D) ** 2) / 2 + penalty * np.sum(np.log1p((a / scale) ** 2))
    return value, (a @ D - x) @ D.T + 2 * penalty * a / (scale**2 + a**2)


def scipys(x, D, penalty, scale):
    """The minimum of a convex objective by SciPy."""
    arguments = (x, D, penalty, scale)
    return scipy.optimize.minimize(
        cauchy, np.zeros(len(D)), arguments, jac=True, method="BFGS", options={"gtol": 1e-9}
    )


def test_codes_are_scipys_minimum(x64, rng):
    D, x = rng.standard_normal((5, 6)), 2 * rng.standard_normal((7, 6))
    # So little penalty that the objective is convex: its second derivative is at least -penalty / 4 sigma^2.
    penalty, scale = 0.2, 1.3
    assert np.linalg.eigvalsh(D @ D.T)[0] > penalty / (4 * scale**2)
    found = cauchy_codes(D, x, penalty, scale)
    assert np.all(found.converged)
    for row, a, objective in zip(x, found.codes, found.objective):
        best = scipys(row, D, penalty, scale)
        np.testing.assert_allclose(a, best.x, atol=1e-5)
        np.testing.assert_allclose(objective, best.fun, rtol=1e-12)


def test_codes_go_down_to_a_stationary_point_where_there_are_many(x64, rng):
    D, x = rng.standard_normal((20, 6)), 2 * rng.standard_normal((9, 6))
    values = []
    for steps in (1, 4, 16, 2000):
        found = cauchy_codes(D, x, 1.5, 0.5, tolerance=1e-15, max_steps=steps)
        values.append(found.objective)
    assert np.all(np.diff(values, axis=0) <= 1e-12)
    assert np.all(found.converged)
    assert np.all(found.steps < 2000)
    for row, a, objective in zip(x, found.codes, found.objective):
        value, slope = cauchy(np.asarray(a), row, D, 1.5, 0.5)
        np.testing.assert_allclose(objective, value, rtol=1e-12)
        assert np.abs(slope).max() < 1e-5
        assert value < np.sum(row**2) / 2


def test_the_default_tolerance_is_met_in_single_precision(rng):
    D, x = np.float32(rng.standard_normal((30, 20))), np.float32(rng.standard_normal((60, 20)))
    found = cauchy_codes(D, x, 0.22)
    assert np.all(found.converged)
    assert found.steps.max() < 500
    for row in (0, 1):
        np.testing.assert_array_equal(cauchy_codes(D, x[row], 0.22).converged, True)
        np.testing.assert_allclose(cauchy_codes(D, x[row], 0.22).codes, found.codes[row], atol=2e-3)


def test_too_few_steps_are_flagged(rng):
    D, x = np.float32(rng.standard_normal((8, 6))), np.float32(rng.standard_normal((2, 6)))
    x[1] = 0
    found = cauchy_codes(D, x, 0.1, tolerance=1e-6, max_steps=2)
    np.testing.assert_array_equal(found.converged, [False, True])
    np.testing.assert_array_equal(found.steps, [2, 0])


def test_a_signal_of_nan_has_no_codes_and_others_do(rng):
    x = np.float32(rng.standard_normal((30, 5)))
    broken = np.concatenate([x, np.full((2, 5), np.nan, np.float32)])
    D = np.float32(rng.standard_normal((6, 5)))
    found = cauchy_codes(D, broken, 0.1, tolerance=1e-3)
    np.testing.assert_array_equal(found.converged, [True] * 30 + [False] * 2)
    np.testing.assert_array_equal(np.isnan(found.codes).all(1), [False] * 30 + [True] * 2)
    np.testing.assert_allclose(found.codes[:30], cauchy_codes(D, x, 0.1, tolerance=1e-3).codes, atol=1e-5)


def test_no_signals_have_no_codes_and_atoms_of_zeros_are_not_used(rng):
    D = np.float32(rng.standard_normal((6, 5)))
    empty = cauchy_codes(D, np.zeros((0, 5), np.float32), 0.1)
    assert empty.codes.shape == (0, 6)
    assert empty.converged.shape == (0,)
    x = np.float32(rng.standard_normal((4, 5)))
    found = cauchy_codes(0 * D, x, 0.1)
    assert not np.any(found.codes)
    assert np.all(found.converged)
    np.testing.assert_allclose(found.objective, np.sum(x**2, 1) / 2, rtol=1e-6)


EYE = np.eye(3, dtype=np.float32)
X = np.ones((6, 3), np.float32)
BAD = {
    "penalty": (lambda: cauchy_codes(EYE, X, 0.0), ValueError, "penalty is 0.0: take a positive number"),
    "penalties": (
        lambda: cauchy_codes(EYE, X, np.ones(3)),
        ValueError,
        "penalty has the shape (3,): take one number",
    ),
    "scale": (lambda: cauchy_codes(EYE, X, 1.0, 0.0), ValueError, "scale is 0.0: take a positive number"),
    "tolerance": (
        lambda: cauchy_codes(EYE, X, 1.0, tolerance=-1.0),
        ValueError,
        "tolerance is -1.0: take a number of 0 or more",
    ),
    "steps": (
        lambda: cauchy_codes(EYE, X, 1.0, max_steps=0),
        ValueError,
        "max_steps is 0: take a whole number at least 1",
    ),
    "features": (
        lambda: cauchy_codes(EYE, X[:, :2], 1.0),
        ValueError,
        "signals has the shape (6, 2): take (..., 3) for (..., features)",
    ),
    "no atoms": (
        lambda: cauchy_codes(EYE[:0], X, 1.0),
        ValueError,
        "dictionary has the shape (0, 3): take at least one atom and feature",
    ),
    "complex": (
        lambda: cauchy_codes(EYE, X.astype(np.complex64), 1.0),
        TypeError,
        "signals is complex (complex64): take real numbers",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_to_do(name, own_errors):
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        call()
