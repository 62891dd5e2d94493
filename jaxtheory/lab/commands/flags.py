"""The flags of each command, with errors of one line."""

import argparse
import os
import re
import typing
from pathlib import Path
from typing import Any

from jaxtheory.lab.errors import Usage

FULL = Path("docs/verdicts_full.json")
"""Where the verdicts of the full forms are committed, below the folder of the README."""
PAGE = Path("docs/verdicts.md")
"""Where all of them are told in full."""

LARGEST_SEED = 2**32 - 1
"""The largest seed of a run."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours, and for which -1e-3 is a number."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, allow_abbrev=False, **options)
        self._negative_number_matcher = re.compile(
            r"^-(\d[\d_]*\.?\d*|\.\d+|inf)(e[+-]?\d+)?$", re.IGNORECASE
        )

    def error(self, message: str) -> typing.NoReturn:
        """Raise what is shown as one line."""
        raise Usage(f"{message}; `{self.prog} --help` shows what there is")

    def put_first(self, group: Any) -> None:
        """Show a group of flags before the others."""
        self._action_groups.remove(group)
        self._action_groups.insert(0, group)

    @property
    def flags(self) -> list[str]:
        """All flags that the help shows."""
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        return [flag for action in shown for flag in action.option_strings]


def path(text: str) -> Path:
    """Return the path of an option; the shell leaves ~ as it is after a sign of equality."""
    return Path(text).expanduser()


def seed(text: str) -> int:
    """Return a seed; JAX takes its keys from 32 bits of it, so that larger ones would repeat the smaller."""
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 0 to {LARGEST_SEED}")
    return int(text)


def parsers() -> dict[str, Parser]:
    """Return the parser of each command, by its name."""
    helping = argparse.ArgumentParser(add_help=False)
    helping.add_argument("-h", "--help", action="help", help="Show this help and exit.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="Print only JSON to the standard output.")
    common.add_argument("--traceback", action="store_true", help="Show where an error comes from.")
    common.add_argument(
        "--runs",
        type=path,
        default=Path("runs"),
        metavar="FOLDER",
        help="The folder in which runs are kept (default: ./runs).",
    )
    common.add_argument(
        "--experiments",
        type=path,
        default=os.environ.get("JAXTHEORY_EXPERIMENTS") or None,
        metavar="FOLDER",
        help="A folder of experiments that takes the place of the package's "
        "(default: the environment's JAXTHEORY_EXPERIMENTS).",
    )
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data-dir",
        type=path,
        default=os.environ.get("JAXTHEORY_DATA") or None,
        metavar="FOLDER",
        help="The folder of the data (default: the environment's JAXTHEORY_DATA).",
    )

    def parser(name: str, text: str, *parents: argparse.ArgumentParser, **options: Any) -> Parser:
        parents = [*parents, common, *([] if name == "run" else [helping])]
        return Parser(f"jaxtheory {name}", description=text, parents=parents, add_help=False, **options)

    return {
        "list": parser("list", "List the experiments by section of the lecture."),
        "run": _run(parser, data),
        "report": _report(parser),
        "bench": _bench(parser),
        "verdicts": _verdicts(parser),
        "data": _data(parser, data),
        "doctor": parser(
            "doctor",
            "Check versions, devices and kernels, compare each device's numbers with the CPU's, and say what "
            "is wrong.",
        ),
    }


def of_one() -> Parser:
    """Return the parser of `jaxtheory run NAME`, which `run --all` lacks the NAME of."""
    run = parsers()["run"]
    run.add_argument("name", metavar="NAME", help="The experiment, as `jaxtheory list` shows it.")
    return run


def _run(parser: Any, data: argparse.ArgumentParser) -> Parser:
    run = parser(
        "run",
        "Run an experiment, or resume one that was stopped, and show its verdicts. "
        "With a NAME, --help shows the experiment's fields too.",
        data,
        usage="jaxtheory run NAME [--quick] [--FIELD VALUE ...] [options]\n"
        "       jaxtheory run --all [--quick] [--jobs N] [options]",
    )
    run.add_argument(
        "-h", "--help", action="store_true", help="Show this help and exit; with a NAME, its fields too."
    )
    run.add_argument("--all", action="store_true", help="Run all experiments, each in a process of its own.")
    run.add_argument("--quick", action="store_true", help="Run the quick form, which takes seconds.")
    run.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="N",
        help="The seed of all random numbers, from 0 to 4294967295 (default: 0).",
    )
    run.add_argument("--fresh", action="store_true", help="Recompute what is already stored.")
    run.add_argument("--strict", action="store_true", help="Exit with 1 if a claim does not hold.")
    run.add_argument("--x64", action="store_true", help="Compute in double precision.")
    run.add_argument(
        "--jobs", type=int, metavar="N", help="With --all, run N experiments at a time (default: 1)."
    )
    run.add_argument("--of-all", action="store_true", help=argparse.SUPPRESS)  # a child of `run --all`
    return run


def _report(parser: Any) -> Parser:
    report = parser("report", "Write everything that was found as one page, which needs no network.")
    report.add_argument(
        "--output",
        type=path,
        default=Path("report.html"),
        metavar="FILE",
        help="The page to write (default: report.html).",
    )
    return report


def _bench(parser: Any) -> Parser:
    bench = parser("bench", "Time this package's programs, taking turns with other packages' if asked.")
    bench.add_argument("names", nargs="*", metavar="NAME", help="The benches to run (default: all of them).")
    bench.add_argument("--peers", action="store_true", help="Time other packages in the same run.")
    bench.add_argument("--case", metavar="TEXT", help="Run only the cases whose name contains TEXT.")
    bench.add_argument(
        "--repeats",
        type=int,
        default=11,
        metavar="N",
        help="The number of turns of each contestant (default: 11).",
    )
    bench.add_argument(
        "--output", type=path, metavar="FILE", help="A second file to which the JSON is written."
    )
    return bench


def _verdicts(parser: Any) -> Parser:
    verdicts = parser(
        "verdicts", "Compare the verdicts of the newest runs with committed ones, or write or show them."
    )
    action = verdicts.add_mutually_exclusive_group(required=True)
    action.add_argument(
        "--check",
        type=path,
        metavar="FILE",
        help="Exit with 1 if a verdict of the newest quick runs differs from FILE.",
    )
    action.add_argument(
        "--write", type=path, metavar="FILE", help="Write the verdicts of the newest runs to FILE."
    )
    action.add_argument(
        "--readme",
        type=path,
        metavar="FILE",
        help=f"Fill the table of FILE, a row for each experiment, and write {PAGE} beside it, a row for each "
        f"claim; both are made from {FULL}.",
    )
    verdicts.add_argument(
        "--full", action="store_true", help="With --write, take the full forms, with their figures."
    )
    return verdicts


def _data(parser: Any, data: argparse.ArgumentParser) -> Parser:
    prepare = parser("data", "Fetch and prepare data: `jaxtheory data prepare NAME`.", data)
    prepare.add_argument("action", choices=["prepare"], help="The action to take: prepare.")
    prepare.add_argument("name", metavar="NAME", help="The name of the data, such as mnist.")
    return prepare
