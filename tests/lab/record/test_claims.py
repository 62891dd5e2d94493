import html
import json
import math
from decimal import Decimal
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.lab.record import storage
from jaxtheory.lab.record.claims import (
    SHOWN,
    Claim,
    Claims,
    Expected,
    Measured,
    Verdict,
    above,
    at_least,
    at_most,
    below,
    between,
    equal_to,
)

HOSTILE = "<script>alert('no')</script> \" & <td title='x'>"
ORDER = (Verdict.HOLDS, Verdict.TIE, Verdict.FAILS)
finite = st.floats(-1e6, 1e6)
errors = st.none() | st.floats(0, 1e3)


def claim(expected, *measured):
    return Claim("It is so.", expected, list(measured))


@pytest.mark.parametrize(
    ("expected", "holds", "fails"),
    [
        (at_most(2, source="x"), (2, -math.inf), (np.nextafter(2, 3), math.inf)),
        (at_least(2, source="x"), (2, math.inf), (np.nextafter(2, 1), -math.inf)),
        (below(2, source="x"), (np.nextafter(2, 1),), (2, 3)),
        (above(2, source="x"), (np.nextafter(2, 3),), (2, 1)),
        (between(1, 2, source="x"), (1, 1.5, 2), (0.999, 2.001)),
        (equal_to(2, tolerance=0.5, source="x"), (1.5, 2, 2.5), (1.4, 2.6)),
        (equal_to(2, tolerance=0, source="x"), (2,), (np.nextafter(2, 3),)),
    ],
)
def test_limits_belong_to_the_band_but_for_below_and_above(expected, holds, fails):
    assert [claim(expected, Measured(value)).verdict for value in holds] == [Verdict.HOLDS] * len(holds)
    assert [claim(expected, Measured(value)).verdict for value in fails] == [Verdict.FAILS] * len(fails)
    assert claim(expected, Measured(math.nan)).verdict == Verdict.FAILS


@given(finite, finite, finite, errors, st.booleans())
def test_verdicts_are_monotone_in_the_value(limit, one, other, error, paired):
    low, high = sorted((one, other))
    for expected in (at_most(limit, source="x"), below(limit, source="x")):
        ranks = [
            ORDER.index(claim(expected, Measured(v, error, 3, paired=paired)).verdict) for v in (low, high)
        ]
        assert ranks == sorted(ranks)
    for expected in (at_least(limit, source="x"), above(limit, source="x")):
        ranks = [
            ORDER.index(claim(expected, Measured(v, error, 3, paired=paired)).verdict) for v in (high, low)
        ]
        assert ranks == sorted(ranks)


@given(st.decimals(-1000, 1000, places=3), st.decimals(0, 100, places=3))
def test_a_tolerance_reaches_to_the_decimals_that_were_written(middle, tolerance):
    expected = equal_to(float(middle), tolerance=float(tolerance), source="x")
    for end in (middle - tolerance, middle + tolerance):
        assert expected.allows(float(end))
    assert not expected.allows(float(middle + tolerance + Decimal("0.0001")))
    assert not expected.allows(float(middle - tolerance - Decimal("0.0001")))


def test_a_paired_difference_within_two_standard_errors_is_a_tie():
    expected = below(0, source="x")
    for value, verdict in (
        (-2.5, "holds"),
        (-2.0, "tie"),
        (0.0, "tie"),
        (2.0, "tie"),
        (2.5, "does not hold"),
    ):
        assert claim(expected, Measured(value, 1.0, 5, paired=True)).verdict == verdict
    assert claim(expected, Measured(-2.0, 1.0, 5)).verdict == "holds"
    assert claim(expected, Measured(0.0, 0.0, 5, paired=True)).verdict == "tie"
    assert claim(expected, Measured(-1e-9, None, paired=True)).verdict == "holds"


@given(st.lists(st.sampled_from([-3.0, 0.5, 3.0]), min_size=1, max_size=8))
def test_the_verdict_is_the_worst_of_the_measurements(values):
    whole = claim(below(0, source="x"), *(Measured(value, 1.0, 5, paired=True) for value in values))
    worst = {-3.0: Verdict.HOLDS, 0.5: Verdict.TIE, 3.0: Verdict.FAILS}[max(values)]
    assert whole.verdict == worst


@pytest.mark.parametrize(
    ("measured", "close"),
    [
        ([(0.9, 0.06)], True),  # holds, but 0.1 is less than two standard errors
        ([(0.9, 0.05 - 1e-9)], False),
        ([(0.9, None)], False),
        ([(1.0, 0.0)], False),  # at the limit, but every draw gave it
        ([(0.5, 0.01), (0.9, 0.06)], True),  # one doubtful measurement can spoil it
        ([(1.1, 0.06)], True),
        ([(1.1, 0.06), (2.0, 0.01)], False),  # fails without the doubtful one
        ([(1.1, 0.06), (0.5, 0.01)], True),
        ([(math.nan, 0.1)], False),
    ],
)
def test_close_says_that_another_draw_may_give_another_verdict(measured, close):
    whole = claim(at_most(1, source="x"), *(Measured(value, error, 5) for value, error in measured))
    assert whole.close == close


def test_what_was_not_measured_is_not_tested_and_says_why():
    untested = Claim("It is so.", at_most(1, source="x"), None, reason="needs 60,000 digits")
    assert (untested.verdict, untested.measured_text) == ("not tested at this size", "needs 60,000 digits")
    assert not untested.close
    assert untested.measurements == ()


@pytest.mark.parametrize("source", ["", "  \n"])
def test_a_claim_without_a_source_is_refused(source):
    with pytest.raises(
        ValueError, match=r"needs a source, but the expectation 'at most 1.6 %' has none: say"
    ):
        at_most(1.6, unit="%", source=source)


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


def test_claims_that_say_nothing_are_refused(own_errors):
    expected = at_most(1, source="x")
    with pytest.raises(ValueError, match="a claim needs a statement, got an empty one"):
        Claim(" ", expected, Measured(1))
    with pytest.raises(ValueError, match=r"'It is so.' has no measurement: say why in reason="):
        Claim("It is so.", expected, None)
    with pytest.raises(ValueError, match=r"empty list of measurements: give measured=None and a reason"):
        Claim("It is so.", expected, [])
    with pytest.raises(
        TypeError, match=r"'It is so.' was measured as 0.3: give a Measured, as Measured\(0.3"
    ):
        Claim("It is so.", expected, 0.3)
    with pytest.raises(ValueError, match=r"a standard error is no less than 0, got -1.0"):
        Measured(1, -1)


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
    assert Measured(value).text == text


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
    assert Measured(value, error).text == text
    assert Measured(value, error, n=5, at={"size": 300}).text == f"size 300: {text} (n = 5)"


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_the_text_keeps_a_figure_to_a_twentieth_of_its_error(value, error):
    figure, spread = Measured(value, error).text.replace(",", "").split(" ± ")
    assert abs(float(figure) - value) <= 0.051 * error + math.ulp(value)
    assert math.isclose(float(spread), error, rel_tol=0.051)


@given(finite, st.integers(-3, 3) | finite)
def test_an_exact_figure_is_shown_on_its_side_of_the_limit(limit, step):
    value = limit + step * math.ulp(limit) if isinstance(step, int) else step
    one = claim(at_most(limit, source="x"), Measured(value))
    shown = float(one.measured_text.replace(",", ""))
    if value != limit:
        assert (shown <= limit) == (one.verdict == Verdict.HOLDS)


def test_a_figure_just_beyond_the_limit_does_not_look_like_it():
    assert claim(at_most(1, source="x"), Measured(1.000003)).measured_text == "1.000003"
    assert claim(equal_to(1, tolerance=1e-5, source="x"), Measured(1.000003)).measured_text == "1"
    assert claim(equal_to(1, tolerance=1e-5, source="x"), Measured(1.00002)).measured_text == "1.00002"


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
    ],
)
def test_expectations_in_words(expected, text):
    assert expected.text == text


def test_of_few_measurements_all_are_told_of_many_the_worst():
    def told(expected, values, **more):
        return claim(
            expected, *(Measured(v, at={"k": k}, **more) for k, v in enumerate(values))
        ).measured_text

    expected = at_most(10, unit="%", source="x")
    assert told(expected, [1.0, 2.0]) == "k 0: 1 %; k 1: 2 %"
    many = [float(k) for k in range(SHOWN + 1)]
    assert told(expected, many) == "k 6: 6 % is the worst of 7"
    assert told(expected, [*many, 11.0, 14.0, 12.0]) == "k 8: 14 % is the worst of 10"
    assert told(expected, [*many, 11.0, math.nan, 12.0]) == "k 8: nan % is the worst of 10"
    ties = [-9.0, 0.5, -0.5, 1.5, 1.0, -1.5, -9.0]
    assert told(below(0, source="x"), ties, standard_error=1.0, paired=True).startswith(
        "k 3: 1.5 ± 1.0 is the"
    )


def test_scalars_of_numpy_and_jax_become_pythons():
    one = Measured(np.float32(0.5), jnp.float32(0.25), np.int64(3), {"size": np.int64(300)})
    assert [type(part) for part in (one.value, one.standard_error, one.n, one.at["size"])] == [
        float, float, int, int,
    ]  # fmt: skip
    assert one.text == "size 300: 0.50 ± 0.25 (n = 3)"


def test_findings_hold_all_of_a_claim(tmp_path):
    whole = claim(
        between(0, 1, unit="%", source="table 4", looked_up=True),
        Measured(math.nan, math.inf, 2, {"layers": (1, 2)}, paired=True),
    )
    storage.write_json(tmp_path / "claim.json", whole.as_json())
    found = json.loads((tmp_path / "claim.json").read_text())
    assert found == {
        "statement": "It is so.",
        "expected": {
            "kind": "between", "low": 0.0, "high": 1.0, "unit": "%", "source": "table 4", "looked_up": True,
            "text": "between 0 and 1 %",
        },
        "measured": [
            {"value": None, "standard_error": None, "n": 2, "at": {"layers": [1, 2]}, "paired": True}
        ],
        "measured_text": "layers (1, 2): nan ± inf (n = 2) %",
        "verdict": "does not hold",
        "close": False,
        "reason": "",
    }  # fmt: skip


class Cells(HTMLParser):
    """The elements of a text and what they hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.titles, self.cells = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def test_a_notebook_shows_claims_as_a_table_with_their_text_escaped():
    hostile = Claim(HOSTILE, at_most(1, unit=HOSTILE, source=HOSTILE), Measured(0.5, at={HOSTILE: HOSTILE}))
    untested = Claim("Another.", Expected("at most", None, 1.0, "y", looked_up=True), None, reason=HOSTILE)
    shown = Cells(Claims([hostile, untested])._repr_html_())
    assert shown.tags == ["table", "thead", "tr", *["th"] * 4, "tbody", *(["tr", *["td"] * 4] * 2)]
    assert shown.cells == [
        HOSTILE, f"at most 1 {HOSTILE}", f"{HOSTILE} {HOSTILE}: 0.5 {HOSTILE}", "holds",
        "Another.", "at most 1", HOSTILE, "not tested at this size",
    ]  # fmt: skip
    assert shown.titles == [f"{HOSTILE} (not looked up)", "y"]
    assert html.escape(HOSTILE) in Claims([hostile])._repr_html_()
