import html
import json
import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxtheory.lab import (
    Claim,
    Claims,
    Measured,
    Need,
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
from jaxtheory.lab.record import storage
from jaxtheory.lab.record.claims import SHOWN

HOSTILE = "<script>alert('no')</script> \" & <td title='x'>"
ORDER = (Verdict.HOLDS, Verdict.TIE, Verdict.FAILS)
MNIST = Need("the whole MNIST", False, "give its folder as --data-dir")
T4 = stats.t(4).isf(0.025)
"""Student's quantile for five draws."""
finite = st.floats(-1e6, 1e6)
errors = st.none() | st.floats(0, 1e3)


def claim(expected, *measured):
    return Claim("It is so.", expected, list(measured))


@given(finite, finite, finite, errors, st.booleans())
def test_verdicts_are_monotone_in_the_value(limit, one, other, error, paired):
    low, high = sorted((one, other))

    def rank(expected, value):
        row = exact(value) if error is None else Measured(value, error, 3, paired=paired)
        return ORDER.index(claim(expected, row).verdict)

    for expected in (at_most(limit, source="x"), below(limit, source="x")):
        assert rank(expected, low) <= rank(expected, high)
    for expected in (at_least(limit, source="x"), above(limit, source="x")):
        assert rank(expected, high) <= rank(expected, low)


def test_a_paired_difference_within_students_quantile_is_a_tie():
    expected = below(0, source="x")
    for value, verdict in (
        (-1.01 * T4, "holds"),
        (-0.99 * T4, "tie"),
        (0.0, "tie"),
        (0.99 * T4, "tie"),
        (1.01 * T4, "does not hold"),
    ):
        assert claim(expected, Measured(value, 1.0, 5, paired=True)).verdict == verdict
    assert claim(expected, Measured(-2.0, 1.0, 5)).verdict == "holds"
    assert claim(expected, Measured(0.0, 0.0, 5, paired=True)).verdict == "tie"
    # Three equal differences of whole numbers come about by chance.
    assert claim(expected, Measured(-1.0, 0.0, 3, paired=True)).verdict == "tie"


def test_one_draw_of_something_random_decides_nothing():
    expected = below(0, source="x")
    for rows in (
        [Measured(-5.0)],
        [Measured(-5.0, paired=True)],
        [Measured(5.0)],
        [Measured(-5.0), exact(-1)],
        [Measured(-5.0), Measured(7, 0.1, 5)],
        [Measured(math.nan)],
    ):
        one = claim(expected, *rows)
        assert (one.verdict, one.close, one.reason) == ("not tested", False, "one draw of something random")
    assert claim(expected, Measured(-5.0)).measured_text == "-5 (one draw)"
    assert claim(expected, exact(-5)).verdict == "holds"


@pytest.mark.parametrize(
    "row",
    [
        exact(math.nan),
        exact(-math.inf),
        Measured(-5, math.nan, 5),
        Measured(-5, math.nan, 5, paired=True),
        Measured(-5, math.inf, 5, paired=True),
        Measured(-math.inf, 1, 5, paired=True),
        Measured(-5, n=5, interval=(-math.inf, 0)),
        Measured(-5, n=5, interval=(math.nan, math.nan)),
    ],
)
def test_what_is_not_finite_never_holds(row):
    for expected in (below(0, source="x"), published(50, n=100, unit="%", source="x", side="at most")):
        one = claim(expected, exact(-7), row)
        assert (one.verdict, one.close) == ("does not hold", False)


@given(st.lists(st.sampled_from([-5.0, 0.5, 9.0]), min_size=1, max_size=8))
def test_the_verdict_is_the_worst_of_the_measurements(values):
    whole = claim(below(0, source="x"), *(Measured(value, 1.0, 5, paired=True) for value in values))
    worst = {-5.0: Verdict.HOLDS, 0.5: Verdict.TIE, 9.0: Verdict.FAILS}[max(values)]
    assert whole.verdict == worst


def test_a_claim_of_several_rows_fails_at_the_level_of_all_of_them():
    def verdict(value, rows):
        many = [Measured(-100, 1.0, 5, paired=True)] * (rows - 1)
        return claim(below(0, source="x"), Measured(value, 1.0, 5, paired=True), *many).verdict

    for rows in (1, 6):
        edge = stats.t(4).isf(0.025 / rows)
        assert verdict(0.99 * edge, rows) == "tie"
        assert verdict(1.01 * edge, rows) == "does not hold"
        assert verdict(-1.01 * T4, rows) == "holds"


@pytest.mark.parametrize(
    ("measured", "close"),
    [
        ([(1 - 0.99 * T4 * 0.05, 0.05)], True),  # holds, but by less than luck may give
        ([(1 - 1.01 * T4 * 0.05, 0.05)], False),
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
    rows = [exact(value) if error is None else Measured(value, error, 5) for value, error in measured]
    assert claim(at_most(1, source="x"), *rows).close == close


def test_a_figure_with_an_interval_is_close_if_a_limit_lies_in_it():
    row = Measured(1.74, n=1000, interval=(1.70, 1.79))
    assert [claim(at_most(limit, source="x"), row).verdict for limit in (1.7, 1.78)] == [
        "does not hold", "holds",
    ]  # fmt: skip
    for limit, close in ((1.69, False), (1.71, True), (1.78, True), (1.80, False)):
        assert claim(at_most(limit, source="x"), row).close == close


def test_what_a_claim_needs_and_has_not_makes_it_untested():
    expected = at_most(1, source="x")
    one = Claim("It is so.", expected, None, needs=MNIST)
    assert (one.verdict, one.close, one.measurements) == ("not tested", False, ())
    assert one.measured_text == "needs the whole MNIST"
    assert one.reason == "needs the whole MNIST: give its folder as --data-dir"
    gpu = Need("a GPU", False, "run it where there is one")
    there = Need("an extra", True, "install it")
    both = Claim("It is so.", expected, exact(0.5), needs=(MNIST, there, gpu))
    assert (both.verdict, both.unmet) == ("not tested", (MNIST, gpu))
    assert both.measured_text == "needs the whole MNIST and a GPU"
    assert Claim("It is so.", expected, exact(0.5), needs=[there]).verdict == "holds"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Need(" ", True, "x"),
            ValueError,
            r"what of a need is ' ': give a text, as Need\('the whole",
        ),
        (lambda: Need("a GPU", True, ""), ValueError, "todo of a need is '': give a text"),
        (lambda: Need("a GPU", None, "x"), TypeError, "met of the need 'a GPU' is None: take True or False"),
    ],
)
def test_needs_that_say_nothing_are_refused(make, error, message, own_errors):
    with pytest.raises(error, match=message):
        make()


def test_claims_that_say_nothing_are_refused(own_errors):
    expected = at_most(1, source="x")
    with pytest.raises(ValueError, match="a claim needs a statement, got an empty one"):
        Claim(" ", expected, exact(1))
    met = Need("a GPU", True, "run it where there is one")
    for measured, needs in ((None, ()), ([], ()), (None, met)):
        with pytest.raises(ValueError, match=r"'It is so.' has no measurement: say what it needs, as needs="):
            Claim("It is so.", expected, measured, needs)
    for wrong in (0.3, [0.3], "0.3"):
        with pytest.raises(TypeError, match=r"'It is so.' was measured as .*: give a Measured, as exact\("):
            Claim("It is so.", expected, wrong)
    with pytest.raises(TypeError, match=r"'It is so.' expects 3: give an expectation, as below\(0, source="):
        Claim("It is so.", 3, exact(1))
    for wrong in ("the whole MNIST", ["the whole MNIST"], {MNIST.what: True}, True):
        with pytest.raises(TypeError, match=r"'It is so.' has needs=.*: give a Need or a tuple of them"):
            Claim("It is so.", expected, exact(1), wrong)
    with pytest.raises(ValueError, match=r"'It is so.' names a need twice: the whole MNIST, the whole MNIST"):
        Claim("It is so.", expected, exact(1), (MNIST, MNIST))


def test_a_claim_counts_one_thing():
    rows = [Measured(1, 0.1, 5), Measured(1, 0.1, 10_000, of="digits")]
    with pytest.raises(ValueError, match=r"'It is so.' counts digits and draws as n: one claim counts one"):
        claim(at_most(1, source="x"), *rows)
    assert claim(at_most(1, source="x"), rows[0], exact(0)).verdict == "holds"
    assert claim(at_most(1, source="x"), rows[1]).measured_text == "1.00 ± 0.10 (n = 10000 digits)"


@given(finite, st.integers(-3, 3) | finite)
def test_an_exact_figure_is_shown_on_its_side_of_the_limit(limit, step):
    value = limit + step * math.ulp(limit) if isinstance(step, int) else step
    one = claim(at_most(limit, source="x"), exact(value))
    shown = float(one.measured_text.replace(",", ""))
    if value != limit:
        assert (shown <= limit) == (one.verdict == Verdict.HOLDS)


def test_a_figure_just_beyond_the_limit_does_not_look_like_it():
    assert claim(at_most(1, source="x"), exact(1.000003)).measured_text == "1.000003"
    assert claim(equal_to(1, tolerance=1e-5, source="x"), exact(1.000003)).measured_text == "1"
    assert claim(equal_to(1, tolerance=1e-5, source="x"), exact(1.00002)).measured_text == "1.00002"


def test_of_few_measurements_all_are_told_of_many_the_worst():
    def told(expected, values, make=exact):
        return claim(expected, *(make(v, at={"k": k}) for k, v in enumerate(values))).measured_text

    def paired(value, at):
        return Measured(value, 1.0, 5, at, paired=True)

    expected = at_most(10, unit="%", source="x")
    assert told(expected, [1.0, 2.0]) == "k 0: 1 %; k 1: 2 %"
    many = [float(k) for k in range(SHOWN + 1)]
    assert told(expected, many) == "k 6: 6 % is the worst of 7"
    assert told(expected, [*many, 11.0, 14.0, 12.0]) == "k 8: 14 % is the worst of 10"
    assert told(expected, [*many, 11.0, math.nan, 12.0]) == "k 8: nan % is the worst of 10"
    ties = [-9.0, 0.5, -0.5, 1.5, 1.0, -1.5, -9.0]
    assert told(below(0, source="x"), ties, paired).startswith("k 3: 1.5 ± 1.0 (n = 5) is the")


def test_findings_hold_all_of_a_claim(tmp_path):
    whole = Claim(
        "It is so.",
        between(0, 1, unit="%", source="table 4", looked_up=True),
        [
            Measured(math.nan, math.inf, 2, {"layers": (1, 2)}, paired=True),
            Measured(0.5, n=3, interval=(0, 1)),
        ],
        Need("an extra", True, "install it"),
    )
    storage.write_json(tmp_path / "claim.json", whole.as_json())
    found = json.loads((tmp_path / "claim.json").read_text())
    assert found == {
        "statement": "It is so.",
        "expected": {
            "kind": "between", "low": 0.0, "high": 1.0, "unit": "%", "source": "table 4", "looked_up": True,
            "figure": "", "n": 0, "slack": 0.0, "text": "between 0 and 1 %",
        },
        "measured": [
            {"value": None, "standard_error": None, "interval": None, "n": 2, "of": "draws",
             "kind": "sampled", "at": {"layers": [1, 2]}, "paired": True},
            {"value": 0.5, "standard_error": None, "interval": [0.0, 1.0], "n": 3, "of": "draws",
             "kind": "sampled", "at": {}, "paired": False},
        ],
        "measured_text": "layers (1, 2): nan ± inf (n = 2) %; 0.5 (0 to 1; n = 3) %",
        "verdict": "does not hold",
        "close": False,
        "needs": [{"what": "an extra", "met": True, "todo": "install it"}],
        "reason": "",
    }  # fmt: skip
    of_a_paper = claim(published("4.70", n=10_000, unit="%", slack=0.1, source="y"), exact(4.6)).as_json()
    assert of_a_paper["expected"] == {
        "kind": "published", "low": 4.7, "high": 4.7, "unit": "%", "source": "y", "looked_up": False,
        "figure": "4.70", "n": 10_000, "slack": 0.1, "text": "4.70 %",
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
    hostile = Claim(HOSTILE, at_most(1, unit=HOSTILE, source=HOSTILE), exact(0.5, at={HOSTILE: HOSTILE}))
    known = at_most(1.0, source="y", looked_up=True)
    untested = Claim("Another.", known, None, needs=Need(HOSTILE, False, "nothing"))
    shown = Cells(Claims([hostile, untested])._repr_html_())
    assert shown.tags == ["table", "thead", "tr", *["th"] * 4, "tbody", *(["tr", *["td"] * 4] * 2)]
    assert shown.cells == [
        HOSTILE, f"at most 1 {HOSTILE}", f"{HOSTILE} {HOSTILE}: 0.5 {HOSTILE}", "holds",
        "Another.", "at most 1", f"needs {HOSTILE}", "not tested",
    ]  # fmt: skip
    assert shown.titles == [f"{HOSTILE} (not looked up)", "y"]
    assert html.escape(HOSTILE) in Claims([hostile])._repr_html_()
