"""The committed verdicts: what finished runs are compared with, so that none changes unnoticed."""

import re
from pathlib import Path
from typing import Any

from jaxtheory.lab import runs, storage
from jaxtheory.lab.claims import Verdict
from jaxtheory.lab.discovery import Experiment
from jaxtheory.lab.errors import Usage

MARKED = re.compile(r"(<!-- verdicts: begin\b.*?-->\n).*?(<!-- verdicts: end -->)", re.DOTALL)
"""What stands in a page between two comments."""
SPECIAL = re.compile(r"([\\|*_`<\[\]])")
"""What Markdown takes for something else in the cell of a table."""

Findings = dict[str, Any]


def newest(root: Path, experiments: list[Experiment], form: str) -> dict[str, tuple[Findings, Path]]:
    """The newest finished run of each experiment in one form that its present source made, by experiment."""
    wanted = {(one.section, one.name): one for one in experiments}
    found: dict[str, tuple[Findings, Path]] = {}
    for findings, directory in runs.finished(root):
        experiment = wanted.get((findings["section"], findings["experiment"]))
        fits = experiment is not None and findings["form"] == form and experiment.id not in found
        if fits and not runs.is_stale(directory, experiment):
            found[experiment.id] = findings, directory
    return found


def compare(file: Path, root: Path, experiments: list[Experiment]) -> list[str]:
    """What differs between the committed quick verdicts and those of the newest runs, a line each."""
    if not file.is_file():
        raise Usage(f"there is no {file}: write it with `jaxtheory verdicts --write {file}`")
    committed: dict[str, dict[str, Any]] = storage.read_json(file)
    if any("claims" in one for one in committed.values()):
        raise Usage(f"{file} holds full forms: compare with the file of the quick ones")
    found = newest(root, experiments, "quick")
    gone = committed.keys() - {experiment.id for experiment in experiments}
    differences = [f"{name}: committed, but there is no such experiment" for name in sorted(gone)]
    for experiment in experiments:
        if experiment.id not in found:
            differences.append(f"{experiment.id}: no finished quick run of its present source in {root}")
        elif experiment.id not in committed:
            differences.append(f"{experiment.id}: its verdicts are not committed")
        else:
            lines = _changes(committed[experiment.id], _quick(found[experiment.id][0]))
            differences += [f"{experiment.id}: {line}" for line in lines]
    return differences


def _changes(committed: dict[str, Any], found: dict[str, Any]) -> list[str]:
    lines = [f"committed, but no longer claimed: {claim}" for claim in committed if claim not in found]
    lines += [f"claimed, but not committed: {claim}" for claim in found if claim not in committed]
    for claim in committed.keys() & found.keys():
        before, now = committed[claim], found[claim]
        either_way = before["close"] and Verdict.UNTESTED not in (before["verdict"], now["verdict"])
        if before["verdict"] != now["verdict"] and not either_way:
            lines.append(f"'{before['verdict']}' became '{now['verdict']}': {claim}")
    return sorted(lines)


def write(file: Path, root: Path, experiments: list[Experiment], *, full: bool) -> int:
    """Writes the verdicts of the newest runs, and keeps what the file has of experiments without one.

    Returns:
        How many experiments the newest runs tell of.
    """
    found = newest(root, experiments, "full" if full else "quick")
    before = storage.read_json(file) if file.is_file() else {}
    kept = {one.id: before[one.id] for one in experiments if one.id in before}
    new = {name: _full(*one) if full else _quick(one[0]) for name, one in found.items()}
    storage.write_json(file, dict(sorted({**kept, **new}.items())))
    return len(new)


def _quick(findings: Findings) -> dict[str, Any]:
    return {
        claim["statement"]: {"verdict": claim["verdict"], "close": claim["close"]}
        for claim in findings["claims"]
    }


def _full(findings: Findings, directory: Path) -> dict[str, Any]:
    environment = storage.read_json(directory / "environment.json")
    claims = {
        claim["statement"]: {
            "expected": claim["expected"]["text"],
            "source": claim["expected"]["source"],
            "measured": claim["measured_text"],
            "verdict": claim["verdict"],
        }
        for claim in findings["claims"]
    }
    return {
        "date": findings["finished"][:10],
        "machine": environment["machine"],
        "seconds": findings["seconds"],
        "data": findings["data"],
        "claims": claims,
    }


def fill(page: Path, file: Path) -> int:
    """Puts the committed verdicts of the full forms into a page of Markdown, between its two comments.

    Returns:
        Of how many experiments the table tells.
    """
    from jaxtheory.lab.report import SECTIONS

    if not file.is_file():
        raise Usage(f"there is no {file}: write it with `jaxtheory verdicts --write {file} --full`")
    if not page.is_file():
        raise Usage(f"there is no {page} to put the verdicts into")
    text = page.read_text()
    if not MARKED.search(text):
        raise Usage(
            f"{page} has no place for the verdicts: put the lines <!-- verdicts: begin --> and "
            "<!-- verdicts: end --> where the table belongs"
        )
    committed = storage.read_json(file)

    def place(name: str) -> tuple[int, str]:
        section, _, _ = name.partition("/")
        return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS), name

    rows = [("experiment", "claim", "expected", "measured", "verdict"), ("---",) * 5]
    for name in sorted(committed, key=place):
        heading = f"`{name}`"
        for statement, claim in committed[name]["claims"].items():
            cells = (statement, claim["expected"], claim["measured"], claim["verdict"])
            rows.append((heading, *(SPECIAL.sub(r"\\\1", " ".join(cell.split())) for cell in cells)))
            heading = ""  # once for all claims of an experiment
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    link = file.relative_to(page.parent).as_posix()
    told = f"\nSources, data, machines, dates and durations: [{file.name}]({link}).\n"
    filled = MARKED.sub(lambda marks: f"{marks[1]}{table}{told}{marks[2]}", text).encode()
    storage.write(page, lambda target: target.write(filled))
    return len(committed)
