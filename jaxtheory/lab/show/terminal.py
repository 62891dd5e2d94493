"""Findings on the standard output: a table of verdicts in a terminal, lines elsewhere."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtheory.lab.record.claims import Verdict
from jaxtheory.lab.show import outline
from jaxtheory.lab.words import counted, duration

COLORS = {Verdict.HOLDS: "green", Verdict.FAILS: "red", Verdict.TIE: "yellow"}

Findings = dict[str, Any]


def show(findings: Findings, directory: Path) -> None:
    """Print what an experiment found: its claim, its data and notes, the verdicts, and where figures lie."""
    took = duration(findings["seconds"])
    print(f"\n{findings['experiment']} ({findings['form']}, {took}): {findings['claim']}")
    for label, lines in (("data", findings["data"]), ("note", findings["notes"])):
        for line in lines:
            print(f"{label}: {line}")
    claims = findings["claims"]
    tested = [one for one in claims if outline.verdict(one["verdict"]) != Verdict.UNTESTED]
    rows = [
        (one["statement"], _expectation(one), one["measured_text"], outline.verdict(one["verdict"]))
        for one in tested
    ]
    if sys.stdout.isatty():
        broken = [(one, two, "\n".join(outline.lines(text)), last) for one, two, text, last in rows]
        _table(("claim", "expected", "measured", "verdict"), broken)
    else:
        for statement, expected, measured, verdict in rows:
            print(f"  {verdict}: {statement}\n    expected {expected}\n    measured {measured}")
    for line in outline.untested(claims):
        print(f"not tested: {line}")
    print(f"verdicts: {outline.score(claims)}")
    print(f"figures: {directory / 'figures'}" if findings["figures"] else f"findings: {directory}")


def summarize(all_findings: Sequence[Findings], failed: Sequence[str]) -> None:
    """Print a table of experiments and verdicts, and a line for each reason why claims are not tested."""
    ordered = sorted(all_findings, key=lambda one: outline.place(one["section"], one["experiment"]))
    rows = []
    for one in ordered:
        counts = outline.tally(one["claims"])
        name = f"{one['section']}/{one['experiment']}"
        rows.append((name, *(str(counts[verdict] or "") for verdict in Verdict), duration(one["seconds"])))
    rows += [(name, *[""] * len(Verdict), "failed") for name in failed]
    print()
    if sys.stdout.isatty():
        _table(("experiment", *map(str, Verdict), "time"), rows)
    else:
        for findings in ordered:
            took = duration(findings["seconds"])
            score = outline.score(findings["claims"])
            print(f"  {findings['section']}/{findings['experiment']}: {score} ({took})")
    claims = [claim for one in ordered for claim in one["claims"]]
    for line in outline.untested(claims):
        print(f"not tested: {line}")
    if claims:
        print(f"verdicts: {outline.score(claims)}")
    print(f"{len(ordered)} of {counted(len(ordered) + len(failed), 'experiment')} ran")


def _expectation(claim: dict[str, Any]) -> str:
    return f"{claim['expected']['text']} ({claim['expected']['source']})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table whose verdicts, in the last column or as the heads of columns, have their colors."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_lines=heads[-1] == "verdict")
    for head in heads:
        is_count = head in set(Verdict) or head == "time"
        table.add_column(head, justify="right" if is_count else "left", style=COLORS.get(head, ""))
    for *cells, last in rows:
        table.add_row(*map(Text, cells), Text(str(last), COLORS.get(last, "")))
    Console().print(table)
