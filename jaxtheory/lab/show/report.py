"""One page of all that was found: every claim with what was expected, what was measured, and a picture."""

import base64
import datetime as dt
import functools
import io
import json as json_format
import secrets
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxtheory import __version__
from jaxtheory.lab.errors import Broken, Failure, Usage
from jaxtheory.lab.machines import bench
from jaxtheory.lab.record import discovery
from jaxtheory.lab.record import runs as lab_runs
from jaxtheory.lab.record.claims import Verdict
from jaxtheory.lab.record.discovery import Experiment
from jaxtheory.lab.record.pictures import FIGURE_LIMIT
from jaxtheory.lab.record.storage import read_json, write
from jaxtheory.lab.show.progress import duration

SECTIONS = ("history", "puzzles", "harmonic", "sparse", "approximation", "landscape", "statistics")
"""The lecture's sections in its order; others follow."""
FORMS = ("full", "custom", "quick")
"""Which run of an experiment is shown, the first of these that there is."""
SYMBOLS = {Verdict.HOLDS: "✓", Verdict.FAILS: "✗", Verdict.TIE: "≈", Verdict.UNTESTED: "–"}
ROOM = 5_500_000
"""Bytes that all figures may take together: in a page of text they become a third more."""
LEAST_ROOM = 12_000
"""Bytes that a figure may take however many there are."""
QUALITIES = (90, 75, 60, 40, 20)
THUMBNAIL = (220, 150)


def collect(runs: Path, experiments: Iterable[Experiment]) -> dict[str, Any]:
    """What the report holds: for each experiment the run that is shown, and the newest of each bench.

    Args:
        runs: Folder of the runs.
        experiments: The experiments that there are, to tell what is stale and what has not been run.

    Returns:
        Plain data, as `jaxtheory report --json` prints it; figures are paths below `runs`.

    Raises:
        Failure: If a figure is too large, or a run cannot be read.
        Usage: If there is nothing to report.
    """
    known = {(one.section, one.name): one for one in experiments}
    by_experiment: dict[tuple[str, str], list[tuple[dict[str, Any], Path]]] = {}
    for findings, directory in lab_runs.finished(runs):
        by_experiment.setdefault((findings["section"], findings["experiment"]), []).append(
            (findings, directory)
        )
    benches = _newest_benches(runs)
    if not by_experiment and not benches:
        raise Usage(
            f"there is no finished run in {runs}: make some with `jaxtheory run --all --quick`, "
            "or name their folder with --runs"
        )
    order = {section: position for position, section in enumerate(SECTIONS)}
    shown = [
        _shown(found, known.get(key), runs)
        for key, found in sorted(
            by_experiment.items(), key=lambda item: (order.get(item[0][0], len(order)), item[0])
        )
    ]
    counts = Counter(claim["verdict"] for one in shown for claim in one["claims"])
    return {
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "verdicts": {str(verdict): counts[verdict] for verdict in Verdict},
        "experiments": shown,
        "not_run": [f"{section}/{name}" for section, name in known if (section, name) not in by_experiment],
        "benches": benches,
    }


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
    return findings | {
        "state": states[0],
        "directory": _below(runs, directory),
        "config": _read(directory / "config.json"),
        "environment": _read(directory / "environment.json"),
        "figures": [
            figure
            | {"file": _below(runs, _checked_figure(directory / "figures" / Path(figure["file"]).name))}
            for figure in findings["figures"]
        ],
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


def _newest_benches(runs: Path) -> list[dict[str, Any]]:
    """The newest measurement of each bench, one with peers before one without."""
    newest = []
    for folder in sorted((runs / "benchmarks").glob("*")):
        stored = [read_json(file) for file in sorted(folder.glob("*.json"))]
        if stored:
            newest.append(max(stored, key=lambda one: (one["peers"], one["started"])))
    return newest


def page(content: Mapping[str, Any], runs: Path) -> str:
    """The report as one HTML file that needs nothing else.

    Args:
        content: From `collect`.
        runs: Folder of the runs, where the figures are.

    Returns:
        The file's text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    number = sum(len(one["figures"]) for one in content["experiments"])
    room = max(LEAST_ROOM, ROOM // max(1, number))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "seconds": bench.seconds_text,
        "ratio": bench.ratio_text,
        "plain": _plain,
        "embedded": lambda file: _embedded((runs / file).read_bytes(), room),
        # A row for each claim shows the same one.
        "thumbnail": functools.cache(lambda file: _thumbnail((runs / file).read_bytes())),
        "pixels": lambda file: _pixels((runs / file).read_bytes()),
        "gauge": _gauge,
        "symbol": lambda verdict: SYMBOLS[Verdict(verdict)],
        "kind": lambda verdict: Verdict(verdict).name.lower(),
        "bar_line": bench.bar_line,
    }
    return environment.get_template("report.html").render(
        content,
        sections=list(dict.fromkeys(one["section"] for one in content["experiments"])),
        # Text that slipped in as a script would lack it.
        nonce=secrets.token_urlsafe(16),
    )


def _plain(value: Any) -> str:
    """A value of a configuration or environment as text."""
    return value if isinstance(value, str) else json_format.dumps(value, ensure_ascii=False)


def _embedded(png: bytes, room: int) -> str:
    """A figure as a data URI: as it is if there is room, or packed without loss, or with little."""
    if len(png) <= room:
        return _uri("png", png)
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    ways = [{"quality": quality, "method": 2} for quality in QUALITIES]
    if len(png) <= 2 * room:  # more is not saved without loss
        ways.insert(0, {"lossless": True, "quality": 50, "method": 0})
    for how in ways:
        packed = io.BytesIO()
        image.save(packed, "webp", **how)
        if packed.tell() <= room:
            break
    return _uri("webp", packed.getvalue())


def _thumbnail(png: bytes) -> str:
    from PIL import Image

    image, small = Image.open(io.BytesIO(png)).convert("RGB"), io.BytesIO()
    image.thumbnail(THUMBNAIL)
    image.save(small, "webp", quality=75)
    return _uri("webp", small.getvalue())


def _pixels(png: bytes) -> tuple[int, int]:
    """Width and height, with which a page keeps room for a figure before it is there."""
    return struct.unpack(">II", png[16:24])


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _gauge(claim: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the expected band and the measured figures lie on a line from 0 to 100."""
    expected = claim["expected"]
    limits = [limit for limit in (expected["low"], expected["high"]) if limit is not None]
    measured = [
        (one["value"], 2 * (one["standard_error"] or 0.0))
        for one in claim["measured"]
        if one["value"] is not None
    ]
    if not limits or not measured:
        return None
    ends = [*limits, *(end for value, spread in measured for end in (value - spread, value + spread))]
    low, high = min(ends), max(ends)
    width = (high - low) or abs(high) or 1.0

    def place(value: float) -> float:
        return round(8 + 84 * (value - low) / width, 2)

    return {
        "from": 0.0 if expected["low"] is None else place(expected["low"]),
        "to": 100.0 if expected["high"] is None else place(expected["high"]),
        "limits": [place(limit) for limit in limits],
        "points": [
            {"x": place(value), "from": place(value - spread), "to": place(value + spread)}
            for value, spread in measured
        ],
    }


def command(
    runs: Path = Path("runs"),
    output: Path = Path("report.html"),
    *,
    json: bool = False,
    experiments: Path | None = None,
) -> int:
    """Writes the report, or prints what it holds.

    Args:
        runs: Folder of the runs.
        output: The page.
        json: Print the content as JSON instead.
        experiments: A folder of experiments, in place of the package's.

    Returns:
        The exit status, 0.

    Raises:
        Failure: If a figure is too large, or a file cannot be read or written.
        Usage: If there is nothing to report.
    """
    content = collect(runs, discovery.find(experiments))
    if json:
        print(json_format.dumps(content, indent=1, ensure_ascii=False))
        return 0
    text = page(content, runs).encode()
    write(output, lambda file: file.write(text))
    claims = sum(content["verdicts"].values())
    print(
        f"{output}: {claims} {'claim' if claims == 1 else 'claims'} of {len(content['experiments'])} "
        f"{'experiment' if len(content['experiments']) == 1 else 'experiments'}, {len(text) / 1e6:.1f} MB"
    )
    return 0
