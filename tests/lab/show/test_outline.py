"""Counts and lines of claims, and the lecture's order."""

import pytest

from jaxtheory.lab.record.claims import Verdict
from jaxtheory.lab.show import outline
from tests.lab import finished_runs as fake

CLAIMS = [claim.as_json() for claim in fake.claims()]


def untested(reason="", **need):
    needs = [{"what": "the whole MNIST", "met": False, "todo": "give its folder"} | need] if need else []
    return {"verdict": "not tested", "needs": needs, "reason": reason}


def test_claims_are_counted_by_verdict():
    assert outline.tally(CLAIMS) == {
        Verdict.HOLDS: 2, Verdict.FAILS: 1, Verdict.TIE: 1, Verdict.UNTESTED: 1,
    }  # fmt: skip
    # What another version called a verdict is no test.
    assert outline.tally([{"verdict": "not tested at this size"}])[Verdict.UNTESTED] == 1


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ("holds holds", "2 of 2 hold"),
        ("fails", "0 of 1 hold"),
        ("holds tie tie", "1 of 3 hold, 2 ties"),
        ("untested", "1 not tested"),
        ("", ""),
    ],
)
def test_a_score_in_words(verdicts, text):
    claims = [{"verdict": str(Verdict[name.upper()])} for name in verdicts.split()]
    assert outline.score(claims) == text


def test_each_need_has_one_line_with_what_to_do():
    claims = [
        *(untested(what="the whole MNIST") for _ in range(3)),
        untested(what="a GPU", todo="run it on one"),
        *(untested("one draw of something random") for _ in range(2)),
        *CLAIMS[:4],
    ]
    claims[0]["needs"].append({"what": "a size", "met": True, "todo": "nothing"})
    assert outline.untested(claims) == [
        "3 claims need the whole MNIST: give its folder",
        "1 claim needs a GPU: run it on one",
        "2 claims are not tested: one draw of something random",
    ]
    assert outline.untested(CLAIMS[:4]) == []


def test_sections_have_the_lectures_order_and_titles():
    sections = ["zoo", "statistics", "harmonic", "history", "art"]
    assert sorted(sections, key=outline.place) == ["history", "harmonic", "statistics", "art", "zoo"]
    assert [outline.title(one) for one in ("sparse", "modern_art")] == ["Sparse coding", "Modern art"]
