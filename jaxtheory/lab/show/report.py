"""The report: of each experiment the run that is shown, and of each bench the newest measurement."""

import datetime as dt
import json as json_format
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jaxtheory import __version__
from jaxtheory.lab.errors import Broken, Failure, Usage
from jaxtheory.lab.record import discovery
from jaxtheory.lab.record import runs as lab_runs
from jaxtheory.lab.record.discovery import Experiment
from jaxtheory.lab.record.pictures import FIGURE_LIMIT
from jaxtheory.lab.record.storage import read_json, write
from jaxtheory.lab.show import outline, page
from jaxtheory.lab.words import counted

FORMS = ("full", "custom", "quick")
"""The forms of a run, in the order in which one is shown in place of the others."""

MEASURED = {"name", "sentence", "started", "repeats", "peers", "machine", "cases"}
"""What the measurement of a bench holds."""


def collect(runs: Path, experiments: Iterable[Experiment]) -> dict[str, Any]:
    """Gather what the report holds.

    Args:
        runs: The folder of the runs.
        experiments: All experiments, to tell what is stale and what has not been run.

    Returns:
        Plain data, as `jaxtheory report --json` prints it; figures are paths below `runs`.

    Raises:
        Failure: If a figure is too large, or a run cannot be read.
        Usage: If there is nothing to report.
    """
    known = {(one.section, one.name): one for one in experiments}
    by_experiment: dict[tuple[str, str], list[tuple[dict[str, Any], Path]]] = {}
    unreadable: list[str] = []
    for findings, directory in lab_runs.finished(runs, unreadable.append):
        place = findings["section"], findings["experiment"]
        by_experiment.setdefault(place, []).append((findings, directory))
    benches = _newest_benches(runs, unreadable.append)
    if not by_experiment and not benches:
        also = f"; {unreadable[0]}" if unreadable else ""
        raise Usage(
            f"there is no finished run in {runs}: make some with `jaxtheory run --all --quick`, "
            f"or name their folder with --runs{also}"
        )
    shown = [_shown(by_experiment[key], known.get(key), runs) for key in sorted(by_experiment, key=_order)]
    claims = [claim for one in shown for claim in one["claims"]]
    return {
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "verdicts": {str(verdict): count for verdict, count in outline.tally(claims).items()},
        "needs": outline.untested(claims),
        "experiments": shown,
        "not_run": [f"{section}/{name}" for section, name in known if (section, name) not in by_experiment],
        "unreadable": unreadable,
        "benches": benches,
    }


def _order(key: tuple[str, str]) -> tuple[int, str, str]:
    return outline.place(*key)


def _shown(
    found: list[tuple[dict[str, Any], Path]], experiment: Experiment | None, runs: Path
) -> dict[str, Any]:
    """The run of an experiment that is shown, out of all that are finished, the newest first."""
    rank = {form: position for position, form in enumerate(FORMS)}
    found = sorted(found, key=lambda one: rank.get(one[0]["form"], len(rank)))
    states = [_state(directory, experiment) for _, directory in found]
    findings, directory = found[0]
    others = [
        {
            "form": other["form"],
            "finished": other["finished"],
            "directory": _below(runs, path),
            "state": state,
        }
        for (other, path), state in list(zip(found, states))[1:]
    ]
    figures = [
        figure | {"file": _below(runs, _checked_figure(directory / "figures" / Path(figure["file"]).name))}
        for figure in findings["figures"]
    ]
    return findings | {
        "state": states[0],
        "directory": _below(runs, directory),
        "config": _read(directory / "config.json"),
        "environment": _read(directory / "environment.json"),
        "figures": figures,
        "others": others,
    }


def _state(directory: Path, experiment: Experiment | None) -> str:
    """Whether the run is of the present source."""
    if experiment is None:
        return "gone"
    return "stale" if lab_runs.is_stale(directory, experiment) else "current"


def _checked_figure(path: Path) -> Path:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise Failure(
            f"the figure {path} cannot be read ({error.strerror}): run the experiment --fresh"
        ) from error
    if size > FIGURE_LIMIT:
        raise Failure(
            f"the figure {path} takes {size // 1000:,} kB, more than {FIGURE_LIMIT // 1000} kB: "
            "store it with lab.figure, which makes it small enough"
        )
    return path


def _below(runs: Path, path: Path) -> str:
    return path.relative_to(runs).as_posix()


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (OSError, Broken):
        return {}


def _newest_benches(runs: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The newest measurement of each bench, one with peers before one without."""
    newest = []
    for folder in sorted((runs / "benchmarks").glob("*")):
        stored = []
        for file in sorted(folder.glob("*.json")):
            try:
                one = read_json(file)
            except (OSError, Broken) as error:
                say(f"{error}: it is left out")
                continue
            if isinstance(one, dict) and one.keys() >= MEASURED:
                stored.append(one)
            else:
                say(f"{file} is of another version of jaxtheory: it is left out, and a new bench replaces it")
        if stored:
            newest.append(max(stored, key=lambda one: (one["peers"], one["started"])))
    return newest


def command(
    runs: Path = Path("runs"),
    output: Path = Path("report.html"),
    *,
    json: bool = False,
    experiments: Path | None = None,
) -> int:
    """Write the report, or print what it holds.

    Findings that cannot be read are named, a line each, and the others are reported.

    Args:
        runs: The folder of the runs.
        output: The page that is written.
        json: Whether the content is printed as JSON instead.
        experiments: A folder of experiments, in place of the package's.

    Returns:
        The exit status, 0.

    Raises:
        Failure: If a figure is too large, or a file cannot be read or written.
        Usage: If there is nothing to report.
    """
    content = collect(runs, discovery.find(experiments))
    for line in content["unreadable"]:
        print(f"jaxtheory report: {line}", file=sys.stderr)
    if json:
        print(json_format.dumps(content, indent=1, ensure_ascii=False))
        return 0
    text = page.html(content, runs).encode(errors="replace")
    write(output, lambda file: file.write(text))
    claims = counted(sum(content["verdicts"].values()), "claim")
    told = counted(len(content["experiments"]), "experiment")
    print(f"{output}: {claims} of {told}, {len(text) / 1e6:.1f} MB")
    return 0
