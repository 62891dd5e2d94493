"""Benches: ours and the peers in one run, in turns, each in a process of its own.

Any file of `experiments/benchmarks/` is a bench. It says what is measured in the first sentence of its
docstring and holds `CASES` and `CONTESTANTS`; `programs()` and `checks()`, if they are there, name programs
to compile ahead of time and small problems to check devices with (`jaxtheory.lab.machines.programs`):

    CASES = [Case("1000 numbers", {"n": 1000}, [faster(2.0, than="numpy", aim=3.0)], tolerance=1e-6)]
    CONTESTANTS = {
        "jaxtheory": Contestant("ours", ours),
        "numpy": Contestant("peer", numpy_sort, threads=(1, 2)),
        "a copy": Contestant("limit", copy),
    }

`ours(**case.options)` imports what it needs, makes its inputs and returns a function of no argument, which
is what is timed. What that returns is compared with ours, so that nobody is timed at something else.
"""

import contextlib
import datetime as dt
import importlib.util
import json as json_format
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxtheory import __version__
from jaxtheory.lab.errors import Failure, LabError, Usage
from jaxtheory.lab.record.discovery import PACKAGE, nearest
from jaxtheory.lab.record.storage import slug, write_json
from jaxtheory.lab.show.progress import Display, Silent

PEERS = "the fastest peer"
"""A name for `than=`: whichever peer turns out to be the fastest."""
ROLES = ("ours", "peer", "limit")
STARTS = 3
"""Fresh processes whose first calls are timed."""
LONG_START = 10.0
"""Seconds after which a start is not repeated."""
TRIAL = 2
"""Turns after which only the better thread setting goes on."""
PAUSE = 0.02
"""Seconds between turns, in which the threads of the one before come to rest."""

Run = Callable[[], Any]


@dataclass(frozen=True)
class Bar:
    """What is expected of ours, written down before it is measured: made by `faster` and `within`."""

    quantity: str  # "steady" or "first call"
    times: float | None = None  # how many times less than `than` ours takes at least
    than: str = ""
    seconds: float | None = None  # or how many seconds ours takes at most
    aim: float | None = None

    def __post_init__(self):
        if self.quantity not in ("steady", "first call"):
            raise ValueError(f'a bar is on "steady" or "first call", found {self.quantity!r}')

    @property
    def text(self) -> str:
        """The bar in words."""
        if self.seconds is not None:
            return f"{self.quantity} within {seconds_text(self.seconds)}"
        aim = f" (aim {self.aim:g}x)" if self.aim else ""
        return f"{self.quantity} at least {self.times:g}x as fast as {self.than}{aim}"


def faster(times: float, than: str = PEERS, *, aim: float | None = None, quantity: str = "steady") -> Bar:
    """Ours is to be at least so many times as fast as a contestant, in its steady state or its first call."""
    return Bar(quantity, float(times), than, None, aim)


def within(seconds: float, quantity: str = "first call") -> Bar:
    """Ours is to take so many seconds at most."""
    return Bar(quantity, seconds=float(seconds))


@dataclass(frozen=True)
class Case:
    """One problem that every contestant solves."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)  # what the makers are called with
    bars: Sequence[Bar] = ()
    tolerance: float | None = None  # largest difference from ours, relative to the largest value; None: any


@dataclass(frozen=True)
class Contestant:
    """One way to solve the cases.

    `make` may raise `NotImplementedError` with the reason why it does not do a case.
    """

    role: str  # "ours", "peer" or "limit"; the first of ours is what the others are compared with
    make: Callable[..., Run]
    threads: Sequence[int] = ()  # settings of OMP_NUM_THREADS to try, of which the best one counts
    install: str = 'pip install "jaxtheory[bench]"'

    def __post_init__(self):
        if self.role not in ROLES:
            raise ValueError(f"a contestant's role is one of {', '.join(ROLES)}, found {self.role!r}")


@dataclass(frozen=True)
class Bench:
    """A bench file, read."""

    name: str
    file: Path
    sentence: str  # what is measured
    cases: tuple[Case, ...]
    contestants: Mapping[str, Contestant]
    programs: Callable[[], Mapping[str, tuple[Callable[..., Any], tuple[Any, ...]]]]
    """Names programs to compile ahead of time: each a function and its arguments, as shapes and dtypes."""
    checks: Callable[[], Mapping[str, Any]] = dict
    """Names small problems, each a `Check`, that are solved on every device."""


def find(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The bench files of the package's experiments, or of other folders with a `benchmarks/`, by name."""
    folders = folders or [PACKAGE / "experiments"]
    files = [file for folder in folders for file in sorted((folder / "benchmarks").glob("*.py"))]
    return {file.stem: file.absolute() for file in files if not file.name.startswith("_")}


def load(file: Path) -> Bench:
    """Reads a bench file.

    Raises:
        Failure: If it cannot be imported, or lacks what a bench has.
    """
    name = f"jaxtheory_bench_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Failure(f"bench {file.stem} cannot be imported: {type(error).__name__}: {error}") from error
    return _checked(module, file)


def _checked(module: types.ModuleType, file: Path) -> Bench:
    cases, contestants = getattr(module, "CASES", ()), getattr(module, "CONTESTANTS", {})
    if not module.__doc__:
        raise Failure(f"bench {file.stem} has no docstring: begin it with a sentence on what is measured")
    if not cases or not contestants:
        raise Failure(f"bench {file.stem} needs CASES, a list of Case, and CONTESTANTS, a dict of Contestant")
    if not any(one.role == "ours" for one in contestants.values()):
        raise Failure(f'bench {file.stem} has no contestant whose role is "ours"')
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise Failure(f"bench {file.stem} has two cases of the same name: {', '.join(sorted(names))}")
    for bar in [bar for case in cases for bar in case.bars]:
        if bar.than and bar.than != PEERS and bar.than not in contestants:
            raise Failure(
                f"bench {file.stem} has a bar against '{bar.than}', which is no contestant: "
                f"the contestants are {', '.join(contestants)}"
            )
    sentence = " ".join(module.__doc__.split("\n\n")[0].split())
    hooks = (getattr(module, name, dict) for name in ("programs", "checks"))
    return Bench(file.stem, file, sentence, tuple(cases), contestants, *hooks)


class _Lane:
    """A contestant at one thread setting, with its process and what was measured of it."""

    def __init__(self, bench: Bench, case: Case, name: str, threads: int | None, scratch: Path):
        self.name = name
        self.threads = threads
        self._arguments = [str(bench.file), case.name, name]
        self._errors = scratch / f"{slug(name)}-{threads}.txt"
        self._stored = scratch / f"{slug(name)}-{threads}.npy"
        self._process: subprocess.Popen[str] | None = None
        self.setups: list[float] = []
        self.starts: list[float] = []
        self.turns: list[float] = []
        self.calls = 0
        self.memory: dict[str, Any] = {}
        self.result: np.ndarray | None = None

    def start(self) -> None:
        """Starts a fresh process and times its first call."""
        environment = os.environ | {
            # A first call is to compile, not to read what a run before has compiled.
            "JAX_ENABLE_COMPILATION_CACHE": "false",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            # Threads sleep while it is the others' turn.
            "OMP_WAIT_POLICY": "PASSIVE",
            "KMP_BLOCKTIME": "0",
        }
        if self.threads is not None:
            for library in ("OMP", "MKL", "OPENBLAS"):
                environment[f"{library}_NUM_THREADS"] = str(self.threads)
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own module with a bench's own names
                [sys.executable, "-m", "jaxtheory.lab.machines.bench_worker", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                # Ctrl-C is the parent's to handle.
                start_new_session=True,
            )
        self.setups.append(self._answer()["setup"])
        self.starts.append(self.ask("first", True)["seconds"])

    def turn(self) -> None:
        """Times a turn."""
        if self.calls == 0:
            self.calls = self.ask("turn", 0)["calls"]
        self.turns.append(self.ask("turn", self.calls)["seconds"])

    def finish(self) -> None:
        """Fetches what the process took, and its result."""
        self.memory = self.ask("memory", True)
        self.ask("result", str(self._stored))
        self.result = np.load(self._stored)

    def ask(self, request: str, argument: Any) -> dict[str, Any]:
        """Sends a request and waits for the answer."""
        with contextlib.suppress(BrokenPipeError):
            print(json_format.dumps({request: argument}), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            said = self._errors.read_text(errors="replace").strip().splitlines()
            ended = f"by signal {-status}" if status < 0 else f"with status {status}"
            memory = ", most likely for lack of memory" if status == -9 else ""
            raise Failure(f"its process ended {ended}{memory}{': ' + said[-1] if said else ''}")
        answer = json_format.loads(line)
        if "missing" in answer and not str(answer["missing"]).startswith("jaxtheory"):
            raise _Unavailable(f"{answer['missing']} is not installed")
        if "declined" in answer:
            raise _Unavailable(answer["declined"])
        if "traceback" in answer:
            raise Failure(answer.get("error", f"{answer.get('missing')} cannot be imported"))
        return answer

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            # It has no more to say, and a call that still goes on would not listen.
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.stdout.close()
            self._process = None


class _Unavailable(LabError):
    """A contestant does not take part, which is no failure."""


def measure(bench: Bench, *, peers: bool, repeats: int, display: Display) -> dict[str, Any]:
    """Runs a bench.

    Args:
        bench: The bench.
        peers: Whether the peers take part.
        repeats: Turns of each contestant, at least 1.
        display: Where the progress is shown.

    Returns:
        What the JSON file holds: cases with their contestants and bars, and what failed.
    """
    started = dt.datetime.now(dt.UTC)
    report = {
        "name": bench.name,
        "sentence": bench.sentence,
        "started": started.isoformat(timespec="seconds"),
        "repeats": repeats,
        "peers": peers,
        "machine": machine(),
        "cases": [],
        "failures": [],
    }
    for case in bench.cases:
        with tempfile.TemporaryDirectory(prefix="jaxtheory-bench-") as scratch:
            measured = _measure_case(
                bench, case, peers=peers, repeats=repeats, display=display, scratch=Path(scratch)
            )
        report["failures"] += measured.pop("failures")
        report["cases"].append(measured)
    report["seconds"] = (dt.datetime.now(dt.UTC) - started).total_seconds()
    return report


def _measure_case(
    bench: Bench, case: Case, *, peers: bool, repeats: int, display: Display, scratch: Path
) -> dict[str, Any]:
    chosen = {name: one for name, one in bench.contestants.items() if peers or one.role != "peer"}
    lanes = [
        _Lane(bench, case, name, threads, scratch)
        for name, one in chosen.items()
        for threads in (one.threads or (None,))
    ]
    away: dict[str, str] = {}
    failures: list[str] = []

    def each(action: Callable[[_Lane], None], label: str, rounds: int) -> None:
        """Lets each lane act in turn, so many times; what cannot go on leaves."""
        with display.task(f"{bench.name}, {case.name}: {label}", rounds * len(lanes)) as task:
            for _ in range(rounds):
                for lane in list(lanes):
                    try:
                        action(lane)
                        time.sleep(PAUSE)
                    except LabError as error:
                        lane.stop()
                        lanes.remove(lane)
                        if isinstance(error, Failure):
                            failures.append(f"{bench.name}, {case.name}, {lane.name}: {error}")
                        away[lane.name] = str(error)
                    task.advance()

    def start_again(lane: _Lane) -> None:
        if lane.starts and lane.setups[0] + lane.starts[0] > LONG_START:
            return
        lane.stop()
        lane.start()

    tried: dict[str, list[dict[str, Any]]] = {}
    try:
        each(start_again, "first calls", min(STARTS, repeats))
        trial = min(TRIAL, repeats)
        each(_Lane.turn, "trial turns", trial)
        for name in chosen:
            rivals = [lane for lane in lanes if lane.name == name]
            tried[name] = [
                {"threads": lane.threads, "steady": float(np.median(lane.turns))} for lane in rivals
            ]
            for worse in sorted(rivals, key=lambda lane: np.median(lane.turns))[1:]:
                worse.stop()
                lanes.remove(worse)
        each(_Lane.turn, "turns", repeats - trial)
        each(_Lane.finish, "results", 1)
    finally:
        for lane in lanes:
            lane.stop()
    ours = next((lane for lane in lanes if chosen[lane.name].role == "ours"), None)
    limit = next((lane for lane in lanes if chosen[lane.name].role == "limit"), None)
    rows = []
    for name, one in chosen.items():
        row = {"name": name, "role": one.role}
        lane = next((lane for lane in lanes if lane.name == name), None)
        if lane is None:
            hint = f": {one.install}" if away[name].endswith("is not installed") else ""
            rows.append(row | {"unavailable": f"{away[name]}{hint}"})
            continue
        row |= {
            "threads": lane.threads,
            "tried": tried[name] if len(tried[name]) > 1 else [],
            "setup": _spread(lane.setups),
            "first_call": _spread(lane.starts),
            "steady": _spread(lane.turns) | {"calls_per_turn": lane.calls},
            "ours_is_faster": _spread(np.divide(lane.turns, ours.turns))
            if ours not in (None, lane)
            else None,
            "times_the_limit": _spread(np.divide(lane.turns, limit.turns))
            if limit not in (None, lane)
            else None,
            "memory": lane.memory,
            "difference": None,
        }
        rows.append(row)
        if ours not in (None, lane) and one.role != "limit":
            difference = _difference(lane.result, ours.result)
            row["difference"] = difference if math.isfinite(difference) else None
            # NaN is no small difference.
            if case.tolerance is not None and not difference <= case.tolerance:
                row["differs"] = True
                failures.append(
                    f"{bench.name}, {case.name}, {name}: its result, of shape {lane.result.shape}, differs "
                    f"from ours, of shape {ours.result.shape}, by {difference:.1e} of the largest value, "
                    f"more than {case.tolerance:g}: their times do not compare"
                )
    return {
        "name": case.name,
        "options": dict(case.options),
        "contestants": rows,
        "bars": [_judged(bar, rows) for bar in case.bars],
        "failures": failures,
    }


def _difference(result: np.ndarray, ours: np.ndarray) -> float:
    """How far a result is from ours, relative to the largest value of ours."""
    if result.shape != ours.shape:
        return math.inf
    return float(np.abs(result - ours).max(initial=0) / (np.abs(ours).max(initial=0) or 1.0))


def _spread(values: Any) -> dict[str, Any]:
    """Median and quartiles."""
    low, median, high = np.percentile(values, [25, 50, 75])
    values = [float(value) for value in values]
    spread = {"median": float(median), "low": float(low), "high": float(high)}
    return spread | {"n": len(values), "values": values}


def _judged(bar: Bar, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A bar with what was measured, and whether it was reached."""
    measured, against, reached = None, "", None
    present = [row for row in rows if "steady" in row]
    ours = next((row for row in present if row["role"] == "ours"), None)
    key = "steady" if bar.quantity == "steady" else "first_call"
    if ours and bar.seconds is not None:
        measured = ours[key]["median"]
        reached = measured <= bar.seconds
    elif ours:
        rivals = [row for row in present if row["role"] == "peer" if bar.than in (PEERS, row["name"])]
        if rivals:
            rival = min(rivals, key=lambda row: row["steady"]["median"])
            against = rival["name"]
            measured = (
                rival["ours_is_faster"]["median"]
                if key == "steady"
                else rival[key]["median"] / ours[key]["median"]
            )
            reached = measured >= bar.times
    return {
        "text": bar.text, "quantity": bar.quantity, "times": bar.times, "than": bar.than,
        "seconds": bar.seconds, "aim": bar.aim, "measured": measured, "against": against, "reached": reached,
    }  # fmt: skip


def machine() -> dict[str, Any]:
    """The machine in words, the versions that matter, and how busy it is."""
    from importlib import metadata

    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    versions = {"python": platform.python_version(), "jaxtheory": __version__}
    for library in ("jax", "jaxlib", "numpy", "torch", "kymatio"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }


def table(report: Mapping[str, Any]) -> str:
    """What was measured as Markdown."""
    about = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    parts = [
        f"## {report['name']}",
        report["sentence"],
        (
            f"{report['started'][:10]}; {about['cores']} cores of {about['processor']}, {about['system']}; "
            f"{versions}. Medians of {report['repeats']} turns with quartiles; ours and the others in turns."
        ),
    ]
    if about["load"] is not None and about["load"] > about["cores"] / 2:
        parts.append(
            f"The machine was busy when the bench began (load {about['load']} on {about['cores']} cores): "
            "ratios say more than seconds."
        )
    for case in report["cases"]:
        parts += [f"### {case['name']}", _case_table(case)]
        if case["bars"]:
            parts.append("\n".join(f"- {bar_line(bar)}" for bar in case["bars"]))
    return "\n\n".join(parts)


def _case_table(case: Mapping[str, Any]) -> str:
    heads = [
        "contestant", "first call", "steady", "quartiles", "ours is faster by", "times the limit",
        "peak memory", "of it calls", "differs by",
    ]  # fmt: skip
    lines = [heads]
    for row in case["contestants"]:
        if "unavailable" in row:
            lines.append([row["name"], row["unavailable"], *[""] * 7])
            continue
        ours, limit, memory = row["ours_is_faster"], row["times_the_limit"], row["memory"]
        calls = memory["peak"] - memory["before"] if memory["before"] is not None else None
        lines.append(
            [
                row["name"] + (f" ({row['threads']} threads)" if row["threads"] else ""),
                seconds_text(row["first_call"]["median"]),
                seconds_text(row["steady"]["median"]),
                f"{seconds_text(row['steady']['low'])} to {seconds_text(row['steady']['high'])}",
                ratio_text(ours) if ours else "",
                ratio_text(limit) if limit else "",
                f"{(memory['accelerator'] or memory)['peak']:,.0f} MB",
                "" if calls is None else f"{calls:,.0f} MB",
                f"{row['difference']:.1e}" if row["difference"] is not None else "",
            ]
        )
    # A reason why a contestant is away may stand out.
    widths = [max(len(line[i]) for line in lines if i == 0 or line[2]) for i in range(len(heads))]
    rows = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths))} |" for line in lines]
    rows.insert(1, f"| {' | '.join('-' * width for width in widths)} |")
    return "\n".join(rows)


def bar_line(bar: Mapping[str, Any]) -> str:
    """A bar and whether it was reached, in words."""
    if bar["reached"] is None:
        return f"{bar['text']}: not measured"
    figure = seconds_text(bar["measured"]) if bar["seconds"] is not None else f"{bar['measured']:.2f}x"
    against = f" ({bar['against']})" if bar["against"] and bar["against"] != bar["than"] else ""
    return f"{bar['text']}: {'reached' if bar['reached'] else 'MISSED'}, {figure}{against}"


def ratio_text(spread: Mapping[str, Any]) -> str:
    """A ratio's median and quartiles."""
    return f"{spread['median']:.2f}x ({spread['low']:.2f}-{spread['high']:.2f})"


def seconds_text(seconds: float) -> str:
    """Three digits of a time, with a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


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
    """Runs benches, prints their tables and stores what was measured.

    Args:
        names: Which benches; none for all.
        peers: Whether the peers take part.
        case: Only cases whose name holds this text; None for all.
        json: Print JSON, and nothing else, to the standard output.
        repeats: Turns of each contestant, at least 1.
        output: A file for the JSON, beside the one under `runs`.
        runs: Folder of the runs; each bench stores `benchmarks/<name>/<time>.json` there.
        folders: Folders with a `benchmarks/` of bench files, in place of the package's experiments.

    Returns:
        The exit status: 0, or 3 where something failed.

    Raises:
        Usage: For an unknown name, a folder without benches, a text that no case holds, or less than one
            repeat.
    """
    found = find(folders)
    if repeats < 1:
        raise Usage(f"--repeats must be at least 1, found {repeats}")
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
                one = load(found[name])
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
                print(table(report), end="\n\n")
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
