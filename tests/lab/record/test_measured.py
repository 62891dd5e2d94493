import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxtheory.lab import Measured, exact, proportion


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (0.000012, "1.2e-05"), (0.00012345, "0.0001234"), (1 / 3, "0.3333"),
        (999.96, "1,000"), (1000.0, "1,000"), (-1234.5, "-1,234.5"), (12345.678, "12,345.7"),
        (60_965_224, "60,965,224"), (1e9, "1e+09"), (1.5e12, "1.5e+12"), (1.23456e7, "12,345,600"),
        (12345678.9, "1.235e+07"), (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_figures_in_words(value, text):
    assert exact(value).text == text
    assert Measured(value).text == f"{text} (one draw)"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.62, 0.05, "1.620 ± 0.050"), (5.2137, 0.13, "5.21 ± 0.13"), (12345.6, 12, "12,346 ± 12"),
        (12345, 123, "12,345 ± 123"), (1.000003, 1e-9, "1.000003 ± 1e-09"),
        (1.2345e-5, 3e-8, "1.2345e-05 ± 3e-08"), (0, 1e-9, "0 ± 1e-09"), (1e12, 5e10, "1e+12 ± 5e+10"),
        (-0.0004, 0.05, "0.000 ± 0.050"), (3, 0, "3 ± 0"), (math.nan, math.nan, "nan ± nan"),
        (math.inf, 1, "inf ± 1"),
    ],
)  # fmt: skip
def test_two_digits_of_the_error_and_as_many_decimals_of_the_value(value, error, text):
    assert Measured(value, error, n=5).text == f"{text} (n = 5)"
    assert Measured(value, error, n=5, at={"size": 300}).text == f"size 300: {text} (n = 5)"


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_the_text_keeps_a_figure_to_a_twentieth_of_its_error(value, error):
    text = Measured(value, error, 2).text.removesuffix(" (n = 2)")
    figure, spread = text.replace(",", "").split(" ± ")
    assert abs(float(figure) - value) <= 0.051 * error + math.ulp(value)
    assert math.isclose(float(spread), error, rel_tol=0.051)


def test_what_is_no_standard_error_is_not_shown_as_one():
    maximum = Measured(1.738, n=1000, interval=(1.7, 1.79), of="images")
    assert maximum.text == "1.738 (1.7 to 1.79; n = 1000 images)"
    assert Measured(1.738, n=1000).text == "1.738 (n = 1000)"
    assert Measured(5.2, 0.13, n=300, of="digits").text == "5.20 ± 0.13 (n = 300 digits)"
    assert [one.kind for one in (maximum, Measured(1.7, n=10), Measured(1.7), exact(1.7))] == [
        "sampled", "sampled", "single", "exact",
    ]  # fmt: skip


def test_scalars_of_numpy_and_jax_become_pythons():
    one = Measured(np.float32(0.5), jnp.float32(0.25), np.int64(3), {"size": np.int64(300)})
    assert [type(part) for part in (one.value, one.standard_error, one.n, one.at["size"])] == [
        float, float, int, int,
    ]  # fmt: skip
    assert one.text == "size 300: 0.50 ± 0.25 (n = 3)"


def test_a_proportion_has_the_error_of_a_binomial():
    some = proportion(300, 1000, of="digits", at={"size": 4000})
    assert (some.value, some.n, some.of, some.kind, some.at) == (
        30,
        1000,
        "digits",
        "sampled",
        {"size": 4000},
    )
    assert some.standard_error == pytest.approx(100 * stats.binom(1000, 0.3).std() / 1000, rel=2e-3)
    assert proportion(300, 1000, unit="").value == 0.3
    assert proportion(0, 1000).standard_error > 0


def test_a_proportions_interval_covers_the_truth(rng):
    for share in (0.01, 0.3):
        counts = rng.binomial(1000, share, 4000)
        rows = [proportion(count, 1000) for count in counts]
        covered = np.mean([abs(one.value - 100 * share) <= 1.96 * one.standard_error for one in rows])
        assert covered >= 0.93


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Measured(1, -1, n=3), "standard_error is -1.0: take a number of 0 or more"),
        (lambda: Measured(1, 0.1), "n is 1, but one draw has no spread: say how many draws there were"),
        (lambda: Measured(1, interval=(0, 2)), "n is 1, but one draw has no spread"),
        (lambda: Measured(1, n=0), "n is 0: take the number of draws, at least 1"),
        (lambda: Measured(1, 0.1, 3, interval=(0, 2)), "standard error or an interval: give one of the two"),
        (lambda: Measured(1, n=3, interval=(2, 0)), r"interval is \(2.0, 0.0\): give its two ends, the"),
        (lambda: Measured(1, n=3, paired=True), "a paired difference of several draws has a standard error"),
        (lambda: Measured(1, kind="lucky"), "kind is 'lucky': take 'exact', 'sampled' or 'single'"),
        (lambda: Measured(1, n=3, kind="exact"), "a figure that is exact has no spread and no number of"),
        (lambda: Measured(1, 0.1, 3, kind="single"), "a figure that is single has no spread and no number"),
        (lambda: Measured(1, n=3, of=" "), "of is ' ': say what n counts, as 'draws' or 'digits'"),
        (lambda: proportion(3, 1), "n is 1: take the number of items, at least 2"),
        (lambda: proportion(30, 10), "count is 30: take a number from 0 to n, which is 10"),
        (lambda: proportion(math.nan, 10), "count is nan: take a number from 0 to n, which is 10"),
    ],
)
def test_what_was_measured_makes_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()
