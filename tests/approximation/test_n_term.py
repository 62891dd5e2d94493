"""Errors of the best terms against all choices of terms, and against a basis of wavelets."""

from itertools import combinations

import numpy as np
import pytest
import pywt
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.approximation import n_term


def test_no_other_choice_of_terms_is_better(rng, x64):
    coefficients = rng.standard_normal(6)
    found = np.asarray(n_term.errors(coefficients))
    for number in range(7):
        errors = [
            np.linalg.norm(np.delete(coefficients, list(kept))) for kept in combinations(range(6), number)
        ]
        assert found[number] == pytest.approx(min(errors), abs=1e-14)
        assert np.linalg.norm(coefficients - n_term.largest(coefficients, number)) == pytest.approx(
            found[number], abs=1e-14
        )


def test_in_an_orthonormal_basis_it_is_the_error_of_the_function(rng, x64):
    f = np.cumsum(rng.standard_normal(64))
    coefficients, slices = pywt.coeffs_to_array(pywt.wavedec(f, "db4", mode="periodization"))
    kept = np.asarray(n_term.largest(coefficients, 10))
    again = pywt.waverec(pywt.array_to_coeffs(kept, slices, "wavedec"), "db4", mode="periodization")
    assert np.linalg.norm(f - again) == pytest.approx(float(n_term.errors(coefficients)[10]), rel=1e-10)


@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False), min_size=8, max_size=8),
    st.integers(0, 8),
)
def test_as_many_are_kept_as_are_asked_for(values, number):
    values = np.float32(values)
    kept = np.asarray(n_term.largest(values, number))
    assert np.count_nonzero(kept) == min(number, np.count_nonzero(values))
    errors = np.asarray(n_term.errors(values))
    assert (np.diff(errors) <= 0).all()
    assert np.isfinite(errors).all()
    assert errors[-1] == 0


def test_squares_that_would_overflow_do_not():
    np.testing.assert_allclose(n_term.errors(np.float32([3e30, 4e30])), [5e30, 3e30, 0], rtol=1e-6)
    np.testing.assert_allclose(n_term.errors(np.float32([3e-30, 4e-30])), [5e-30, 3e-30, 0], rtol=1e-6)


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    with pytest.raises(ValueError, match="number is 4: take a whole number from 0 to 3"):
        n_term.largest(np.zeros(3), 4)
    with pytest.raises(TypeError, match=r"number is 1\.5"):
        n_term.largest(np.zeros(3), 1.5)
    with pytest.raises(ValueError, match=r"coefficients has the shape \(\): take \(\.\.\., terms\)"):
        n_term.errors(1.0)
