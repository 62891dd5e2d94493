"""The committed verdicts: what finished runs are compared with, so that none changes unnoticed."""

from pathlib import Path
from typing import Any

from jaxtheory.lab.errors import Broken, Failure, Usage
from jaxtheory.lab.record import runs, storage
from jaxtheory.lab.record.claims import Verdict
from jaxtheory.lab.record.discovery import Experiment
from jaxtheory.lab.show import outline

Findings = dict[str, Any]

QUICK = {"verdict", "close"}
"""What is committed of each claim of a quick form."""
FULL = {"expected", "source", "measured", "verdict"}
"""What is committed of each claim of a full form."""
RUN = {"date", "machine", "seconds", "data", "claims"}
"""What is committed of each run of a full form."""


def newest(root: Path, experiments: list[Experiment], form: str) -> dict[str, list[tuple[Findings, Path]]]:
    """Return each experiment's finished runs in one form by its present source, the newest first."""
    wanted = {(one.section, one.name): one for one in experiments}
    found: dict[str, list[tuple[Findings, Path]]] = {}
    for findings, directory in runs.finished(root):
        experiment = wanted.get((findings["section"], findings["experiment"]))
        fits = experiment is not None and findings["form"] == form
        if fits and not runs.is_stale(directory, experiment):
            found.setdefault(experiment.id, []).append((findings, directory))
    return found


def compare(file: Path, root: Path, experiments: list[Experiment]) -> list[str]:
    """Compare the committed quick verdicts with those of the newest runs.

    Args:
        file: The committed verdicts.
        root: The folder of the runs.
        experiments: All experiments.

    Returns:
        A line for each difference.

    Raises:
        Usage: If the file is missing, or holds full forms.
    """
    if not file.is_file():
        raise Usage(f"there is no {file}: write it with `jaxtheory verdicts --write {file}`")
    committed = read(file, full=False)
    found = newest(root, experiments, "quick")
    gone = committed.keys() - {experiment.id for experiment in experiments}
    differences = [f"{name}: committed, but there is no such experiment" for name in sorted(gone)]
    for experiment in experiments:
        if experiment.id not in found:
            differences.append(f"{experiment.id}: no finished quick run of its present source in {root}")
        elif experiment.id not in committed:
            differences.append(f"{experiment.id}: its verdicts are not committed")
        else:
            lines = _changes(committed[experiment.id], _quick(found[experiment.id][0][0]))
            differences += [f"{experiment.id}: {line}" for line in lines]
    return differences


def read(file: Path, *, full: bool) -> dict[str, Any]:
    """Read committed verdicts.

    Args:
        file: The file.
        full: Whether it is to hold full forms; else quick ones.

    Returns:
        What is committed of each experiment.

    Raises:
        Usage: If it holds the other forms.
        Broken: If it is damaged or of another version.
    """
    committed = storage.read_json(file)
    broken = Broken(
        f"{file} is of another version: remove it, and write it with `jaxtheory verdicts --write`"
    )
    if not isinstance(committed, dict):
        raise broken
    if any(isinstance(one, list) != full for one in committed.values()):
        held, asked = ("quick", "full") if full else ("full", "quick")
        raise Usage(f"{file} holds {held} forms: the {asked} ones have a file of their own")
    several = [one for entries in committed.values() for one in entries] if full else []
    if not all(isinstance(one, dict) and one.keys() >= RUN for one in several):
        raise broken
    groups = [one["claims"] for one in several] if full else committed.values()
    claims = [claim for group in groups if isinstance(group, dict) for claim in group.values()]
    wanted = FULL if full else QUICK
    if not all(isinstance(one, dict) and one.keys() >= wanted for one in claims):
        raise broken
    return committed


def _changes(committed: dict[str, Any], found: dict[str, Any]) -> list[str]:
    lines = [f"committed, but no longer claimed: {claim}" for claim in committed if claim not in found]
    lines += [f"claimed, but not committed: {claim}" for claim in found if claim not in committed]
    for claim in committed.keys() & found.keys():
        before, now = committed[claim], found[claim]
        either_way = before["close"] and Verdict.UNTESTED not in (
            outline.verdict(before["verdict"]),
            outline.verdict(now["verdict"]),
        )
        if before["verdict"] != now["verdict"] and not either_way:
            lines.append(f"'{before['verdict']}' became '{now['verdict']}': {claim}")
    return sorted(lines)


def write(file: Path, root: Path, experiments: list[Experiment], *, full: bool) -> int:
    """Write the verdicts of the newest runs, and keep what the file has of experiments without one.

    Of full forms the newest run with each data is kept, and the first figure of the one that tests the most
    claims, in the folder `images` beside the file.

    Args:
        file: The file of verdicts.
        root: The folder of the runs.
        experiments: All experiments.
        full: Whether full forms are written, with their figures; else quick ones.

    Returns:
        The number of experiments that the newest runs tell of.

    Raises:
        Usage: If the file holds the other forms.
        Failure: If a figure cannot be read.
    """
    found = newest(root, experiments, "full" if full else "quick")
    before = read(file, full=full) if file.is_file() else {}
    kept = {one.id: before[one.id] for one in experiments if one.id in before}
    for name, several in found.items():
        if full:
            entries = [_full(*one) for one in several] + kept.get(name, [])
            of_data = {tuple(one["data"]): one for one in reversed(entries)}
            kept[name] = sorted(of_data.values(), key=lambda one: one["data"])
            _keep_picture(picture(file, name), several)
        else:
            kept[name] = _quick(several[0][0])
    storage.write_json(file, dict(sorted(kept.items())))
    return len(found)


def picture(file: Path, name: str) -> Path:
    """Return where the picture of an experiment is kept, beside the file of verdicts."""
    return file.parent / "images" / f"{name.replace('/', '-')}.png"


def _keep_picture(target: Path, several: list[tuple[Findings, Path]]) -> None:
    """Copy the first figure of the run that tests the most claims, of equals the newest."""

    def tested(run: tuple[Findings, Path]) -> int:
        claims = run[0]["claims"]
        return len(claims) - outline.tally(claims)[Verdict.UNTESTED]

    if with_figures := [run for run in several if run[0]["figures"]]:
        findings, directory = max(with_figures, key=tested)
        source = directory / "figures" / Path(findings["figures"][0]["file"]).name
        try:
            content = source.read_bytes()
        except OSError as error:
            raise Failure(f"cannot read the figure {source}: {error.strerror or error}") from error
        storage.write(target, lambda place: place.write(content))


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
            **({"needs": unmet} if (unmet := _unmet(claim)) else {}),
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


def _unmet(claim: dict[str, Any]) -> list[dict[str, Any]]:
    return [need for need in claim.get("needs", ()) if not need["met"]]
