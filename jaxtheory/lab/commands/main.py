"""The command `jaxtheory`: list, run, report, bench, verdicts, data prepare, doctor.

Exit status of every command: 0 when everything ran, whatever the verdicts; 1 when something differs that was
asked to hold (`run --strict`, `verdicts --check`); 2 for bad usage; 3 when a run, bench or preparation
failed, refused its data or is running elsewhere, which outranks 1, or the doctor found a fault; 130 when
interrupted, by Ctrl-C, SIGTERM or the end of the terminal.
"""

import argparse
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from jaxtheory.lab.commands import flags, interrupts, run, run_all, tools
from jaxtheory.lab.errors import Failure, LabError, Usage
from jaxtheory.lab.record import discovery

EXTRAS = ("rich", "matplotlib", "jinja2", "orbax")
"""What the lab itself needs of the extra [experiments]."""
LIGHT = {"list", "verdicts", "doctor"}
"""Commands that need none of it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the console script."""
    # Names of files may hold bytes that are no text: they are printed as they are.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape")
    sys.exit(command(sys.argv[1:] if arguments is None else list(arguments)))


def command(arguments: list[str]) -> int:
    """Carry out a command and return its exit status; whatever fails is one line on the standard error.

    Args:
        arguments: The words typed after `jaxtheory`.

    Returns:
        The exit status.
    """
    try:
        with interrupts.stopping(lambda: _last_words(arguments), run_all.stop_children):
            status = _carry_out(arguments)
            sys.stdout.flush()  # what cannot be printed fails here, not when the interpreter ends
            return status
    except KeyboardInterrupt:
        print(f"\n{_last_words(arguments)}", file=sys.stderr)
        return interrupts.INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        kind = "" if _is_plain(error) else f"{type(error).__name__}: "
        print(f"jaxtheory: {kind}{' '.join(str(error).split())}", file=sys.stderr)
        return getattr(error, "status", Failure.status)


def _is_plain(error: Exception) -> bool:
    """Whether an error's text says all that its kind would."""
    from jaxtheory.data.errors import DataError

    return isinstance(error, LabError | DataError)


def _last_words(arguments: list[str]) -> str:
    return f"jaxtheory: stopped; what was done is kept. To continue:  {run.repeated(arguments)}"


def _need_extras() -> None:
    if missing := [name for name in EXTRAS if importlib.util.find_spec(name) is None]:
        raise Failure(f"experiments need {', '.join(missing)}: pip install 'jaxtheory[experiments]'")


def _carry_out(arguments: list[str]) -> int:
    parsers = flags.parsers()
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print("jaxtheory COMMAND [options]\n")
        for one in parsers.values():
            print(f"  {one.prog:20} {one.description}")
        print("\n`jaxtheory COMMAND --help` shows the options of one.")
        return 0
    if name not in parsers:
        near = discovery.nearest(name, parsers)
        raise Usage(f"there is no command '{name}'{near}; there are {', '.join(parsers)}")
    one = name == "run" and "--all" not in rest
    parser = flags.of_one() if one else parsers[name]
    try:
        options, left = parser.parse_known_args(rest)
    except SystemExit:  # help has been shown
        return 0
    except Usage:
        if not (one and {"-h", "--help"} & set(rest)):
            raise
        parsers[name].print_help()  # of no experiment
        return 0
    if name == "run" and not one and options.help:
        parser.print_help()
        return 0
    if name not in LIGHT:
        _need_extras()
    if one:
        return run.run(options, arguments)
    if left:
        near = discovery.nearest(left[0], parser.flags)
        if name == "run":
            raise Usage(
                f"jaxtheory run --all takes no NAME and no field of an experiment: found {left[0]}{near}"
            )
        if left[0].startswith("-"):
            raise Usage(f"{parser.prog} has no flag {left[0]}{near}")
        raise Usage(f"{parser.prog} has an unexpected argument: {left[0]}")
    return COMMANDS[name](options)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": tools.show_list,
    "run": run_all.run_all,
    "report": tools.report,
    "bench": tools.bench,
    "verdicts": tools.verdicts,
    "data": tools.data,
    "doctor": tools.doctor,
}

if __name__ == "__main__":
    main()
