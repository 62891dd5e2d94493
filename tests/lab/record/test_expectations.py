import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxtheory.lab import (
    Claim,
    Measured,
    Verdict,
    above,
    at_least,
    at_most,
    below,
    between,
    equal_to,
    exact,
    published,
)


@pytest.mark.parametrize(
    ("expected", "holds", "fails"),
    [
        (at_most(2, source="x"), (2, -1e300), (np.nextafter(2, 3), math.inf)),
        (at_least(2, source="x"), (2, 1e300), (np.nextafter(2, 1), -math.inf)),
        (below(2, source="x"), (np.nextafter(2, 1),), (2, 3)),
        (above(2, source="x"), (np.nextafter(2, 3),), (2, 1)),
        (between(1, 2, source="x"), (1, 1.5, 2), (0.999, 2.001)),
        (equal_to(2, tolerance=0.5, source="x"), (1.5, 2, 2.5), (1.4, 2.6)),
        (equal_to(2, tolerance=0, source="x"), (2,), (np.nextafter(2, 3),)),
    ],
)
def test_limits_belong_to_the_band_but_for_below_and_above(expected, holds, fails):
    def verdicts(values):
        return [Claim("It is so.", expected, exact(value)).verdict for value in values]

    assert verdicts(holds) == [Verdict.HOLDS] * len(holds)
    assert verdicts(fails) == [Verdict.FAILS] * len(fails)
    assert verdicts((math.nan, math.inf, -math.inf)) == [Verdict.FAILS] * 3


@given(st.decimals(-1000, 1000, places=3), st.decimals(0, 100, places=3))
def test_a_tolerance_reaches_to_the_decimals_that_were_written(middle, tolerance):
    expected = equal_to(float(middle), tolerance=float(tolerance), source="x")
    for end in (middle - tolerance, middle + tolerance):
        assert expected.allows(float(end))
    assert not expected.allows(float(middle + tolerance + Decimal("0.0001")))
    assert not expected.allows(float(middle - tolerance - Decimal("0.0001")))


@pytest.mark.parametrize("source", ["", "  \n"])
def test_a_claim_without_a_source_is_refused(source):
    with pytest.raises(
        ValueError, match=r"needs a source, but the expectation 'at most 1.6 %' has none: say"
    ):
        at_most(1.6, unit="%", source=source)
    with pytest.raises(ValueError, match=r"needs a source, but the expectation '4.70 %' has none: say"):
        published("4.70", n=100, unit="%", source=source)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: between(2, 1, source="x"), "between 2 and 1"),
        (lambda: equal_to(1, tolerance=-0.1, source="x"), "1 ± -0.1"),
        (lambda: at_most(math.nan, source="x"), "at most nan"),
        (lambda: at_most(math.inf, source="x"), "at most inf"),
        (lambda: between(0, math.inf, source="x"), "between 0 and inf"),
    ],
)
def test_limits_are_finite_numbers_in_order(make, text):
    with pytest.raises(ValueError, match=f"nothing can be expected '{text}': the limits must be finite"):
        make()


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (at_most(1.6, unit="%", source="x"), "at most 1.6 %"),
        (at_least(60_000, source="x"), "at least 60,000"),
        (below(0, unit="points", source="x"), "below 0 points"),
        (above(-0.25, source="x"), "above -0.25"),
        (between(0.3, 0.5, source="x"), "between 0.3 and 0.5"),
        (equal_to(0.7, tolerance=0.1, source="x"), "0.7 ± 0.1"),
        (equal_to(1, tolerance=1e-5, source="x"), "1 ± 1e-05"),
        (equal_to(60_965_224, tolerance=0, unit="parameters", source="x"), "60,965,224 parameters"),
        (published(4.7, n=10_000, unit="%", source="x"), "4.7 %"),
        (published(" 4.70 ", n=10_000, unit="%", source="x"), "4.70 %"),
        (published("1,024", n=10_000, source="x", side="at least"), "at least 1,024"),
        (published(4.7, n=10_000, unit="%", slack=0.15, source="x", side="at most"), "at most 4.7 %"),
    ],
)
def test_expectations_in_words(expected, text):
    assert expected.text == text


def test_a_published_percentage_has_the_error_of_a_binomial():
    expected = published(4.7, n=10_000, unit="%", source="x")
    assert expected.standard_error == pytest.approx(100 * stats.binom(10_000, 0.047).std() / 10_000)
    assert published(4.7, n=10_000, source="x").standard_error == 0
    assert at_most(4.7, unit="%", source="x").standard_error == 0


def edge(expected, error, n, allowed, *, rows=1):
    """How far above and below the figure a claim still has one of the verdicts allowed, by bisection."""

    def holds(value):
        row = exact(value) if error is None else Measured(value, error, n)
        return Claim("So.", expected, (row,) * rows).verdict in allowed

    ends = []
    for side in (1, -1):
        low, high = 0.0, 60.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(50 + side * middle) else (low, middle)
        ends.append(low)
    return ends


@pytest.mark.parametrize(
    ("slack", "error", "n", "rows"),
    [(0, None, 1, 1), (0, 2.0, 5, 1), (0, 2.0, 5, 6), (4, 1e-9, 5, 1), (30, 2.0, 5, 1), (0, 0.5, 1000, 1)],
)
def test_a_published_figure_allows_for_the_errors_of_both_measurements_or_its_slack(slack, error, n, rows):
    expected = published(50, n=400, unit="%", slack=slack, source="table 4")
    theirs = 2.5  # sqrt(50 * 50 / 400)
    band = max(slack, stats.norm.isf(0.025) * theirs)
    ours = 0 if error is None else stats.t(n - 1).isf(0.025 / rows) * error
    np.testing.assert_allclose(edge(expected, error, n, ["holds"], rows=rows), [band, band], rtol=1e-6)
    wanted = [band + ours, band + ours]
    np.testing.assert_allclose(edge(expected, error, n, ["holds", "tie"], rows=rows), wanted, rtol=1e-6)
    assert expected.text == "50 %"


def test_two_draws_do_not_make_a_published_figure_hold():
    expected = published(4.7, n=10_000, unit="%", slack=0.15, side="at most", source="table 4")
    assert Claim("So.", expected, Measured(9.0, 0.4, n=2)).verdict == "tie"
    assert Claim("So.", expected, Measured(9.0, 0.4, n=10)).verdict == "does not hold"
    assert Claim("So.", expected, Measured(4.0, 0.4, n=2)).verdict == "holds"


def test_a_published_figure_on_one_side():
    worse, better = exact(60.0), exact(3.0)
    for side, verdicts in (
        ("at most", ["does not hold", "holds"]),
        ("at least", ["holds", "does not hold"]),
        ("either", ["does not hold", "does not hold"]),
    ):
        expected = published(50, n=400, unit="%", side=side, source="table 4")
        assert [Claim("So.", expected, one).verdict for one in (worse, better)] == verdicts


def test_a_reproduced_figure_fails_in_at_most_one_of_20_repetitions(rng):
    trials, n, items = 4000, 5, 400
    theirs = rng.binomial(items, 0.3, trials) / items * 100
    ours = rng.normal(30, 3, (trials, n))
    errors = ours.std(axis=1, ddof=1) / math.sqrt(n)
    found = [
        Claim("So.", published(a, n=items, unit="%", source="x"), Measured(b, c, n)).verdict
        for a, b, c in zip(theirs[:1000], ours.mean(axis=1), errors)
    ]
    assert np.mean([one == "does not hold" for one in found]) <= 0.05
    assert np.mean([one == "holds" for one in found]) >= 0.8


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"value": "4.7 %"}, ValueError, "the published figure is '4.7 %': take a finite number, as 4.7"),
        ({"value": math.nan}, ValueError, "the published figure is nan: take a finite number"),
        ({"value": 104.0}, ValueError, "the published figure is 104 %: take a share between 0 and 100 %"),
        ({"value": -1}, ValueError, "the published figure is -1 %: take a share between 0 and 100 %"),
        ({"n": 0}, ValueError, "n is 0: take the number of items that 4.7 was measured on, at least 1"),
        ({"n": 1e4}, TypeError, "n is 10000.0: take the whole number of items that 4.7 was measured on"),
        ({"slack": -0.1}, ValueError, "slack is -0.1: take a finite number of 0 or more"),
        ({"slack": math.nan}, ValueError, "slack is nan: take a finite number of 0 or more"),
        ({"side": "above"}, ValueError, "side is 'above': take 'either', 'at most' or 'at least'"),
    ],
)
def test_a_published_figure_that_makes_no_sense_is_refused(options, error, message, own_errors):
    arguments = {"value": 4.7, "n": 10_000, "unit": "%", "source": "table 4"} | options
    with pytest.raises(error, match=message):
        published(arguments.pop("value"), **arguments)
