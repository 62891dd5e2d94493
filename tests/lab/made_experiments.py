"""Experiments written to a folder, and commands on them."""

import os
import subprocess
import sys
from pathlib import Path

HEAD = '''"""{claim}

Lecture: puzzles, "A slide".
Source: Somebody, 2013.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxtheory.lab import Claim, Lab, Measured, above, exact, experiment, mean

LOG = Path(__file__).with_suffix(".log")


def log(line):
    with LOG.open("a") as file:
        file.write(f"{{line}}\\n")

'''

POWERS = '''
@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = (1, 2, 3)
    """Which numbers."""
    power: float = 2.0
    """What they are raised to."""


QUICK = Config(sizes=(1, 2))


@experiment
def run(config, lab):
    def power(size):
        log(size)
        return size**config.power

    powers = lab.sweep("power", power, size=config.sizes)
    return [Claim("Powers grow.", above(3.0, source="arithmetic"), exact(powers.max()))]
'''

FAITHLESS = '''
@dataclass(frozen=True)
class Config:
    size: int = 1
    """A number."""


QUICK = Config()


@experiment
def run(config, lab):
    one = Claim("One is one.", above(0, source="arithmetic"), exact(1))
    {body}
'''


def write(
    folder: Path, name: str, body: str = POWERS, section: str = "puzzles", claim: str = "Powers grow."
) -> Path:
    """The file of an experiment; what it logs is beside it."""
    file = folder / section / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(HEAD.format(claim=claim) + body)
    return file


def faithless(body: str) -> str:
    """The text of an experiment that has one claim and then does something else."""
    return FAITHLESS.format(body=body)


def logged(file: Path) -> list[str]:
    """What an experiment has computed."""
    log = file.with_suffix(".log")
    return log.read_text().split() if log.exists() else []


def environment(home: Path) -> dict[str, str]:
    """What a process of its own sees: no settings of ours, a home of its own, one device."""
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if key in os.environ}
    compiled = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(home / "compiled"))
    return kept | {
        "HOME": str(home),
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": compiled,
        "MPLBACKEND": "agg",
    }


def start(folder: Path, *arguments: object, prelude: str = "", **options: object) -> subprocess.Popen:
    """The command in a process of its own, as from the shell, standing in a folder."""
    code = f"import sys\n{prelude}\nfrom jaxtheory.lab.commands.main import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def shell(folder: Path, *arguments: object, prelude: str = "") -> tuple[int, str, str]:
    """Status, output and errors of such a command."""
    with start(folder, *arguments, prelude=prelude) as process:
        output, errors = process.communicate(timeout=100)
    return process.returncode, output, errors
