"""`jaxtheory run --all`: every experiment in a process of its own, some at a time."""

import argparse
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jaxtheory.lab import machine
from jaxtheory.lab.commands.run import strictly
from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.record import discovery
from jaxtheory.lab.record.discovery import Experiment

SWITCHES = ("quick", "fresh", "strict", "x64", "traceback")
"""Flags that are handed on to the children."""
VALUES = (("runs", Path("runs")), ("seed", 0), ("experiments", None), ("data_dir", None))
"""Options that are handed on where they differ from these."""

_children: set[subprocess.Popen[str]] = set()
_starting = threading.Lock()


def run_all(options: argparse.Namespace) -> int:
    """Run every experiment, show each one's verdicts when it ends, and a table of all at the end.

    Args:
        options: The flags of `jaxtheory run --all`.

    Returns:
        The exit status: 0, or 1 where --strict was given and a claim does not hold.

    Raises:
        Usage: For less than one job, or a folder without experiments.
        Failure: If an experiment fails; the others are run first.
    """
    from jaxtheory.lab.show import terminal

    jobs = 1 if options.jobs is None else options.jobs
    if jobs < 1:
        raise Usage(f"--jobs is {jobs}: take a whole number of at least 1")
    found = discovery.find(options.experiments)
    if not found:
        raise Usage(f"there are no experiments in {options.experiments}")
    flags = [f"--{name}" for name in SWITCHES if getattr(options, name)]
    for name, default in VALUES:
        if (value := getattr(options, name)) != default:
            flags += [f"--{name.replace('_', '-')}", str(value)]
    # Bars of several processes would overwrite each other; a dumb terminal gets lines. OpenBLAS's threads
    # spin while they wait: processes that share the cores would hold each other up many times over.
    threads = str(max(1, machine.cores() // jobs))
    beside = {"TERM": "dumb", "OPENBLAS_NUM_THREADS": threads} if jobs > 1 else {}
    printing = threading.Lock()

    def one(experiment: Experiment) -> dict[str, Any] | None:
        status, output = _in_a_process(experiment, flags, beside)
        if status not in (0, 1) or not output.strip():
            return None
        findings = json.loads(output)
        if not options.json:
            with printing:
                terminal.show(findings, Path(findings["directory"]))
        return findings

    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(one, found))
    finished = [findings for findings in results if findings is not None]
    failed = [experiment.id for experiment, findings in zip(found, results) if findings is None]
    if options.json:
        print(json.dumps(finished, indent=1, ensure_ascii=False))
    else:
        terminal.summarize(finished, failed)
    if failed:
        raise Failure(f"{len(failed)} of {len(found)} experiments failed: {', '.join(failed)}")
    return strictly(options, finished)


def _in_a_process(experiment: Experiment, flags: list[str], beside: dict[str, str]) -> tuple[int, str]:
    """The exit status and the JSON of an experiment; its errors and its progress go where ours go."""
    with _starting:
        # -P: no file of the folder that one stands in takes the place of a module.
        program = [sys.executable, "-P", "-m", "jaxtheory.lab.commands.main"]
        child = subprocess.Popen(  # noqa: S603 - this very program
            [*program, "run", experiment.id, *flags, "--json", "--of-all"],
            stdout=subprocess.PIPE,
            env={**os.environ, **beside},
            text=True,
            errors="surrogateescape",  # names of files may hold bytes that are no text
        )
        _children.add(child)
    output, _ = child.communicate()
    _children.discard(child)
    return child.returncode, output


def stop_children() -> None:
    """End all children at once, and start no more."""
    _starting.acquire()  # for good: a child that is stopped must not make room for the next
    for child in list(_children):
        child.kill()  # as safe as Ctrl-C is: files appear whole or not at all
