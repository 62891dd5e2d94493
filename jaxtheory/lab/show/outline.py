"""The order of the lecture, and what page, terminal and README say of claims alike."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from jaxtheory.lab.record.claims import Verdict
from jaxtheory.lab.words import counted

SECTIONS = {
    "history": "History",
    "puzzles": "Puzzles",
    "harmonic": "Harmonic analysis",
    "sparse": "Sparse coding",
    "approximation": "Approximation",
    "landscape": "Optimization landscape",
    "statistics": "Statistics",
}
"""The lecture's sections in its order, by the folders of their experiments; other folders follow."""
SYMBOLS = {Verdict.HOLDS: "✓", Verdict.FAILS: "✗", Verdict.TIE: "≈", Verdict.UNTESTED: "–"}

JSON = Mapping[str, Any]


def place(section: str, name: str = "") -> tuple[int, str, str]:
    """Return the place of an experiment in the lecture's order, to sort by."""
    order = list(SECTIONS)
    return order.index(section) if section in order else len(order), section, name


def title(section: str) -> str:
    """Return what a section is called on a page."""
    return SECTIONS.get(section, section.replace("_", " ").capitalize())


def verdict(text: str) -> Verdict:
    """Return a stored verdict; what another version called otherwise counts as not tested."""
    try:
        return Verdict(text)
    except ValueError:
        return Verdict.UNTESTED


def tally(claims: Iterable[JSON]) -> dict[Verdict, int]:
    """Count the claims of each verdict."""
    counts = Counter(verdict(claim["verdict"]) for claim in claims)
    return {one: counts[one] for one in Verdict}


def score(claims: Iterable[JSON]) -> str:
    """Write how many of the tested claims hold, as '3 of 5 hold, 1 tie, 2 not tested'."""
    counts = tally(claims)
    ties, missing = counts[Verdict.TIE], counts[Verdict.UNTESTED]
    tested = sum(counts.values()) - missing
    parts = [f"{counts[Verdict.HOLDS]} of {tested} hold"] * bool(tested)
    parts += [counted(ties, "tie")] * bool(ties) + [f"{missing} not tested"] * bool(missing)
    return ", ".join(parts)


def lines(measured: str) -> list[str]:
    """Split the text of several measurements; what stands in parentheses stays together."""
    return re.split(r"; (?![^(]*\))", measured)


def untested(claims: Iterable[JSON]) -> list[str]:
    """Write a line for each reason why claims are not tested.

    Returns:
        The lines, as '10 claims need the whole MNIST: give its folder as --data-dir', the most claims first.
    """
    needed: Counter[tuple[str, str]] = Counter()
    others: Counter[str] = Counter()
    for claim in claims:
        if verdict(claim["verdict"]) != Verdict.UNTESTED:
            continue
        unmet = [need for need in claim.get("needs", ()) if not need["met"]]
        needed.update((need["what"], need["todo"]) for need in unmet)
        if not unmet:
            others[claim.get("reason") or claim.get("measured_text", "")] += 1
    lines = [
        f"{counted(n, 'claim')} need{'s' if n == 1 else ''} {what}: {todo}"
        for (what, todo), n in needed.most_common()
    ]
    return lines + [
        f"{counted(n, 'claim')} {'is' if n == 1 else 'are'} not tested: {reason or 'no reason is given'}"
        for reason, n in others.most_common()
    ]
