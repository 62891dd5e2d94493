"""The turns of a bench: each contestant in a process of its own, one after the other."""

import datetime as dt
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxtheory.lab import machine
from jaxtheory.lab.errors import Failure, LabError
from jaxtheory.lab.machines.bench import judge
from jaxtheory.lab.machines.bench.process import Lane
from jaxtheory.lab.machines.bench.spec import Bench, Case
from jaxtheory.lab.progress import Display

STARTS = 3
"""Fresh processes whose first calls are timed."""
LONG_START = 10.0
"""Seconds after which a start is not repeated."""
TRIAL = 2
"""Turns after which only the better thread setting goes on."""
PAUSE = 0.02
"""Seconds between turns, in which the threads of the one before come to rest."""


def measure(bench: Bench, *, peers: bool, repeats: int, display: Display) -> dict[str, Any]:
    """Run a bench.

    Args:
        bench: The bench.
        peers: Whether the peers take part.
        repeats: The number of turns of each contestant, at least 1.
        display: The display on which progress is shown.

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
        "machine": machine.facts(),
        "cases": [],
        "failures": [],
    }
    for case in bench.cases:
        with tempfile.TemporaryDirectory(prefix="jaxtheory-bench-") as scratch:
            race = Race(bench, case, display, peers=peers, scratch=Path(scratch))
            try:
                race.run(repeats)
            finally:
                race.stop()
            report["cases"].append(race.results())
            report["failures"] += race.failures
    report["seconds"] = (dt.datetime.now(dt.UTC) - started).total_seconds()
    return report


class Race:
    """The contestants of a case, who take turns.

    Args:
        bench: The bench.
        case: The case that they solve.
        display: The display on which progress is shown.
        peers: Whether the peers take part.
        scratch: A folder for what the processes print and return.
    """

    def __init__(self, bench: Bench, case: Case, display: Display, *, peers: bool, scratch: Path):
        self._label = f"{bench.name}, {case.name}"
        self._case = case
        self._display = display
        self._chosen = {name: one for name, one in bench.contestants.items() if peers or one.role != "peer"}
        self._lanes = [
            Lane(bench.file, case.name, name, threads, scratch)
            for name, one in self._chosen.items()
            for threads in (one.threads or (None,))
        ]
        self._away: dict[str, str] = {}
        self._tried: dict[str, list[dict[str, Any]]] = {}
        self.failures: list[str] = []

    def run(self, repeats: int) -> None:
        """Start the processes, let them take turns, and fetch the results."""
        trial = min(TRIAL, repeats)
        self._each(_start_again, "first calls", min(STARTS, repeats))
        self._each(Lane.turn, "trial turns", trial)
        self._keep_the_better_settings()
        self._each(Lane.turn, "turns", repeats - trial)
        self._each(Lane.finish, "results", 1)

    def stop(self) -> None:
        """End all processes."""
        for lane in self._lanes:
            lane.stop()

    def results(self) -> dict[str, Any]:
        """The case as plain data: its contestants and its bars."""
        ours, limit = self._first("ours"), self._first("limit")
        measured, contestants = [], []
        for name, one in self._chosen.items():
            lane = next((lane for lane in self._lanes if lane.name == name), None)
            if lane is None:
                hint = f": {one.install}" if self._away[name].endswith("is not installed") else ""
                why = f"{self._away[name]}{hint}"
                contestants.append({"name": name, "role": one.role, "unavailable": why})
                continue
            row = judge.row(lane, one.role, self._tried[name], ours=ours, limit=limit, case=self._case)
            if row.differs:
                self.failures.append(f"{self._label}, {name}: {judge.complaint(lane, ours, self._case)}")
            measured.append(row)
            contestants.append(row.as_json())
        return {
            "name": self._case.name,
            "options": dict(self._case.options),
            "contestants": contestants,
            "bars": [judge.judged(bar, measured) for bar in self._case.bars],
        }

    def _each(self, action: Callable[[Lane], None], label: str, rounds: int) -> None:
        """Let each lane act in turn, for some rounds; what cannot go on leaves."""
        with self._display.task(f"{self._label}: {label}", rounds * len(self._lanes)) as task:
            for _ in range(rounds):
                for lane in list(self._lanes):
                    try:
                        action(lane)
                        time.sleep(PAUSE)
                    except LabError as error:
                        self._leave(lane)
                        self._away[lane.name] = str(error)
                        if isinstance(error, Failure):
                            self.failures.append(f"{self._label}, {lane.name}: {error}")
                    task.advance()

    def _keep_the_better_settings(self) -> None:
        """Go on with the thread setting of each contestant that was fastest so far."""
        for name in self._chosen:
            rivals = [lane for lane in self._lanes if lane.name == name]
            medians = {lane: float(np.median(lane.turns)) for lane in rivals}
            self._tried[name] = [{"threads": lane.threads, "steady": medians[lane]} for lane in rivals]
            for worse in sorted(rivals, key=medians.get)[1:]:
                self._leave(worse)

    def _leave(self, lane: Lane) -> None:
        lane.stop()
        self._lanes.remove(lane)

    def _first(self, role: str) -> Lane | None:
        return next((lane for lane in self._lanes if self._chosen[lane.name].role == role), None)


def _start_again(lane: Lane) -> None:
    """Time another first call, unless they take long."""
    if lane.starts and lane.setups[0] + lane.starts[0] > LONG_START:
        return
    lane.stop()
    lane.start()
