"""Our end of a contestant's process, which `worker` is the other end of."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from jaxtheory.lab.errors import Failure, LabError
from jaxtheory.lab.record.storage import slug


class Unavailable(LabError):
    """A contestant does not take part, which is not a failure."""


class Lane:
    """A contestant at one thread setting, with its process and what was measured of it.

    Args:
        file: The bench file.
        case: The case's name.
        name: The contestant's name.
        threads: The number of OpenMP threads; None leaves it to the library.
        scratch: A folder for what the process prints and returns.
    """

    def __init__(self, file: Path, case: str, name: str, threads: int | None, scratch: Path):
        self.name = name
        self.threads = threads
        self._arguments = [str(file), case, name]
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
        """Start a fresh process and time its first call."""
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
                [sys.executable, "-m", "jaxtheory.lab.machines.bench.worker", *self._arguments],
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
        """Time a turn."""
        if self.calls == 0:
            self.calls = self.ask("turn", 0)["calls"]
        self.turns.append(self.ask("turn", self.calls)["seconds"])

    def finish(self) -> None:
        """Fetch what the process took, and its result."""
        self.memory = self.ask("memory", True)
        self.ask("result", str(self._stored))
        self.result = np.load(self._stored)

    def ask(self, request: str, argument: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({request: argument}), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            said = self._errors.read_text(errors="replace").strip().splitlines()
            ended = f"by signal {-status}" if status < 0 else f"with status {status}"
            memory = ", most likely for lack of memory" if status == -9 else ""
            raise Failure(f"its process ended {ended}{memory}{': ' + said[-1] if said else ''}")
        answer = json.loads(line)
        if "missing" in answer and not str(answer["missing"]).startswith("jaxtheory"):
            raise Unavailable(f"{answer['missing']} is not installed")
        if "declined" in answer:
            raise Unavailable(answer["declined"])
        if "traceback" in answer:
            raise Failure(answer.get("error", f"{answer.get('missing')} cannot be imported"))
        return answer

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            # It has no more to say, and a call that still goes on would not listen.
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.stdout.close()
            self._process = None
