"""What `jaxtheory bench` does."""

import json as json_format
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.machines.bench import spec, table
from jaxtheory.lab.machines.bench.measurement import measure
from jaxtheory.lab.progress import Display, Silent
from jaxtheory.lab.record.discovery import nearest
from jaxtheory.lab.record.storage import write_json


def command(
    names: Sequence[str] = (),
    *,
    peers: bool = False,
    case: str | None = None,
    json: bool = False,
    repeats: int = 11,
    output: Path | None = None,
    runs: Path = Path("runs"),
    folders: Sequence[Path] = (),
) -> int:
    """Run benches, print their tables and store what was measured.

    Args:
        names: The names of the benches; none for all.
        peers: Whether the peers take part.
        case: The text that the names of the cases contain; None for all cases.
        json: Whether only JSON is printed to the standard output.
        repeats: The number of turns of each contestant, at least 1.
        output: A file for the JSON, beside the one under `runs`.
        runs: The folder of the runs; each bench stores `benchmarks/<name>/<time>.json` there.
        folders: Folders with a `benchmarks/` of bench files, in place of the package's experiments.

    Returns:
        The exit status: 0, or 3 where something failed.

    Raises:
        Usage: For an unknown name, a folder without benches, a text that no case holds, or less than one
            repeat.
    """
    found = spec.find(folders)
    if repeats < 1:
        raise Usage(f"--repeats is {repeats}: take a whole number of at least 1")
    for name in names:
        if name not in found:
            raise Usage(f"there is no bench '{name}'{nearest(name, found)}; there are {', '.join(found)}")
    if not found:
        raise Usage(f"there is no bench in {', '.join(str(folder / 'benchmarks') for folder in folders)}")
    display = Display(Silent() if json else None)
    reports, failures, others = [], [], []
    try:
        for name in names or found:
            try:
                one = spec.load(found[name])
                cases = tuple(each for each in one.cases if case is None or case in each.name)
                if not cases:
                    others += [each.name for each in one.cases]
                    continue
                report = measure(replace(one, cases=cases), peers=peers, repeats=repeats, display=display)
            except Failure as error:
                failures.append(str(error))
                continue
            failures += report["failures"]
            reports.append(report)
            stamp = report["started"].translate(str.maketrans("", "", "-:")).split("+")[0]
            write_json(runs / "benchmarks" / name / f"{stamp}Z.json", report)
            if not json:
                print(table.markdown(report), end="\n\n")
    finally:
        display.close()
    if others and not reports and not failures:
        raise Usage(f"no case has '{case}' in its name; there are {'; '.join(others)}")
    if output is not None:
        write_json(output, reports)
    if json:
        print(json_format.dumps(reports, indent=1))
    for failure in failures:
        print(f"jaxtheory bench: {failure}", file=sys.stderr)
    return 3 if failures else 0
