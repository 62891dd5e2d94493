"""What a bench file is made of, and how it is found and read."""

import importlib.util
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtheory.lab import words
from jaxtheory.lab.errors import Failure
from jaxtheory.lab.record.discovery import PACKAGE

PEERS = "the fastest peer"
"""The name that `than=` has by default: whichever peer turns out to be the fastest."""
ROLES = ("ours", "peer", "limit")
"""What a contestant can be."""

Run = Callable[[], Any]


@dataclass(frozen=True)
class Bar:
    """What is expected of ours, written down before it is measured; `faster` and `within` make one."""

    quantity: str
    """Either "steady", a call once everything is compiled, or "first call"."""
    times: float | None = None
    """The least ratio of the other's time to ours."""
    than: str = ""
    """The contestant that ours is compared with."""
    seconds: float | None = None
    """The largest number of seconds that ours may take, where it is not compared."""
    aim: float | int | None = None
    """The ratio that is hoped for."""

    def __post_init__(self):
        if self.quantity not in ("steady", "first call"):
            raise ValueError(f'a bar is on "steady" or "first call", found {self.quantity!r}')

    @property
    def text(self) -> str:
        """The bar in words."""
        if self.seconds is not None:
            return f"{self.quantity} within {words.timing(self.seconds)}"
        aim = f" (aim {self.aim:g}x)" if self.aim else ""
        return f"{self.quantity} at least {self.times:g}x as fast as {self.than}{aim}"


def faster(
    times: float | int, than: str = PEERS, *, aim: float | int | None = None, quantity: str = "steady"
) -> Bar:
    """Expect ours to be a number of times as fast as another contestant.

    Args:
        times: The least ratio of the other's time to ours; below 1 ours may be slower by that much.
        than: The other contestant's name, whatever its role; by default the fastest peer.
        aim: The ratio that is hoped for, which is shown and not judged.
        quantity: The time that is compared: "steady" or "first call".

    Returns:
        The bar.
    """
    return Bar(quantity, float(times), than, None, aim)


def within(seconds: float | int, quantity: str = "first call") -> Bar:
    """Expect ours to take a number of seconds at most.

    Args:
        seconds: The largest number of seconds.
        quantity: The time that is meant: "steady" or "first call".

    Returns:
        The bar.
    """
    return Bar(quantity, seconds=float(seconds))


@dataclass(frozen=True)
class Case:
    """One problem that every contestant solves."""

    name: str
    """The name in tables and on the command line."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The keyword arguments that each contestant's `make` is called with."""
    bars: Sequence[Bar] = ()
    """The bars that ours must reach."""
    tolerance: float | None = None
    """The largest difference of a result from ours, relative to the largest value; None allows any."""


@dataclass(frozen=True)
class Contestant:
    """One way to solve the cases."""

    role: str
    """Either "ours", "peer" or "limit"; the others are compared with the first of ours."""
    make: Callable[..., Run]
    """Returns what is timed; raises `NotImplementedError` with the reason where it does not do a case."""
    threads: Sequence[int] = ()
    """The settings of OMP_NUM_THREADS that are tried, of which the best one counts."""
    install: str = 'pip install "jaxtheory[bench]"'
    """What installs the library that it needs."""

    def __post_init__(self):
        if self.role not in ROLES:
            raise ValueError(f"a contestant's role is one of {', '.join(ROLES)}, found {self.role!r}")


@dataclass(frozen=True)
class Bench:
    """A bench file, read."""

    name: str
    file: Path
    sentence: str
    """What is measured."""
    cases: tuple[Case, ...]
    contestants: Mapping[str, Contestant]
    programs: Callable[[], Mapping[str, tuple[Callable[..., Any], tuple[Any, ...]]]]
    """Names programs to compile ahead of time: each a function and its arguments, as shapes and dtypes."""
    checks: Callable[[], Mapping[str, Any]] = dict
    """Names small problems, each a `Check`, that are solved on every device."""


def find(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Find the bench files of the package's experiments, or of other folders with a `benchmarks/`."""
    folders = folders or [PACKAGE / "experiments"]
    files = [file for folder in folders for file in sorted((folder / "benchmarks").glob("*.py"))]
    return {file.stem: file.absolute() for file in files if not file.name.startswith("_")}


def load(file: Path) -> Bench:
    """Read a bench file.

    Args:
        file: The bench file.

    Returns:
        The bench.

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
    ours = next((name for name, one in contestants.items() if one.role == "ours"), None)
    if ours is None:
        raise Failure(f'bench {file.stem} has no contestant whose role is "ours"')
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise Failure(f"bench {file.stem} has two cases of the same name: {', '.join(sorted(names))}")
    for bar in [bar for case in cases for bar in case.bars if bar.than not in ("", PEERS)]:
        if bar.than not in contestants:
            raise Failure(
                f"bench {file.stem} has a bar against '{bar.than}', which is no contestant: "
                f"the contestants are {', '.join(contestants)}"
            )
        if bar.than == ours:
            raise Failure(f"bench {file.stem} has a bar against '{ours}', which is ours itself: name another")
    sentence = " ".join(module.__doc__.split("\n\n")[0].split())
    hooks = (getattr(module, name, dict) for name in ("programs", "checks"))
    return Bench(file.stem, file, sentence, tuple(cases), contestants, *hooks)
