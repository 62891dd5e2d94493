"""The committed verdicts: what finished runs are compared with, so that none changes unnoticed."""

from pathlib import Path
from typing import Any

from jaxtheory.lab import runs, storage
from jaxtheory.lab.claims import Verdict
from jaxtheory.lab.discovery import Experiment
from jaxtheory.lab.errors import Failure

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
        raise Failure(f"there is no {file}: write it with `jaxtheory verdicts --write {file}`")
    committed: dict[str, dict[str, Any]] = storage.read_json(file)
    found = newest(root, experiments, "quick")
    differences = [f"{name}: committed, but there is no such experiment" for name in committed]
    differences = [
        line for line, name in zip(differences, committed) if name not in {e.id for e in experiments}
    ]
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
