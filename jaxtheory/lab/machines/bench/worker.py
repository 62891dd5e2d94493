"""A contestant of a bench in a process of its own, which talks JSON lines over its standard streams.

`python -m jaxtheory.lab.machines.bench.worker FILE CASE CONTESTANT` makes the contestant's run for one case,
says so, and then answers requests until its input ends:

- `{"first": true}`: the seconds of the first call, and how many calls make a turn;
- `{"turn": n}`: the mean seconds of n calls;
- `{"result": path}`: stores the result of the last call as npy, for the comparison with ours;
- `{"memory": true}`: the peak of the process's memory, and what it held before the first call.
"""

import contextlib
import json
import math
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import spec
from jaxtheory.lab.processes import end_with_parent

TURN = 0.25
"""The least seconds of a turn: a shorter call is made several times, after one that warms the caches."""


def _megabytes(name: str) -> float | None:
    """A line of the process's status, where the system has it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None


def _peak() -> float:
    """The most memory that the process has held, in MB."""
    # Linux hands the parent's peak down in ru_maxrss; the status file's figure is the process's own.
    peak = _megabytes("VmHWM")
    if peak is not None:
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _accelerator() -> dict[str, Any] | None:
    """The accelerator that JAX has used, and the most memory that was taken on it, in MB."""
    if "jax" not in sys.modules:
        return None
    device = sys.modules["jax"].local_devices()[0]
    statistics = device.memory_stats()
    return {"kind": device.device_kind, "peak": statistics["peak_bytes_in_use"] / 1e6} if statistics else None


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds of one call, and its result once it is there."""
    start = time.perf_counter()
    result = run()
    if "jax" in sys.modules:
        result = sys.modules["jax"].block_until_ready(result)
    return time.perf_counter() - start, result


class Contestant:
    """One contestant at one case."""

    def __init__(self, file: Path, case: str, contestant: str):
        start = time.perf_counter()
        found = spec.load(file)
        case = next(one for one in found.cases if one.name == case)
        self._run = found.contestants[contestant].make(**case.options)
        self.setup = time.perf_counter() - start
        # The peak is that of the calls; making the inputs may have taken more.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._before = _megabytes("VmRSS")
        self._result: Any = None

    def first(self, _: bool) -> dict[str, Any]:
        """Time the first call, which compiles what there is to compile."""
        seconds, self._result = _timed(self._run)
        return {"seconds": seconds}

    def turn(self, calls: int) -> dict[str, Any]:
        """Time some calls, and give their mean; 0 asks how many make a turn."""
        if calls == 0:
            seconds, self._result = _timed(self._run)
            return {"calls": max(1, math.ceil(TURN / max(seconds, 1e-9))) if seconds < TURN else 1}
        if calls > 1:
            _timed(self._run)  # to its end: JAX returns before, and the next call would wait for this one
        return {"seconds": sum(_timed(self._run)[0] for _ in range(calls)) / calls}

    def result(self, path: str) -> dict[str, Any]:
        """Store the last result."""
        with Path(path).open("wb") as file:
            np.save(file, np.asarray(self._result), allow_pickle=False)
        return {}

    def memory(self, _: bool) -> dict[str, Any]:
        """Return what the process took."""
        return {"peak": _peak(), "before": self._before, "accelerator": _accelerator()}


def main(file: str, case: str, contestant: str) -> None:
    """Answer requests until there are no more."""
    # What libraries print goes to the standard error; the answers have the standard output for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    end_with_parent()

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        one = Contestant(Path(file), case, contestant)
        answer({"setup": one.setup})
        for line in sys.stdin:
            [(request, argument)] = json.loads(line).items()
            answer(getattr(one, request)(argument))
    except ModuleNotFoundError as error:
        answer({"missing": error.name, "traceback": traceback.format_exc()})
    except NotImplementedError as error:
        answer({"declined": str(error)})
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})
    # A library's threads may not end by themselves.
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
