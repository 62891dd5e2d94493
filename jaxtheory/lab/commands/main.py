"""The command `jaxtheory`: list, run, report, bench, verdicts, data prepare, doctor.

Exit status of every command: 0 when everything ran, whatever the verdicts; 1 when something differs that was
asked to hold (`run --strict`, `verdicts --check`); 2 for bad usage; 3 when a run, bench or preparation
failed, refused its data or is running elsewhere, which outranks 1, or the doctor found a fault; 130 when
interrupted.
"""

import argparse
import ast
import contextlib
import dataclasses
import importlib
import importlib.util
import io
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jaxtheory.lab.commands import interrupts
from jaxtheory.lab.errors import Failure, LabError, Usage
from jaxtheory.lab.record import discovery

EXTRAS = ("tyro", "rich", "matplotlib", "jinja2", "orbax")
"""What the lab itself needs of the extra [experiments]."""
LIGHT = {"list", "verdicts", "doctor"}
"""Commands that need none of it."""
FULL = Path("docs/verdicts_full.json")
"""Where the verdicts of the full forms are committed."""
CARRIED = (bool, int, float, str, type(None))
"""What a flag can carry, alone, in tuples and as alternatives."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    sys.exit(command(sys.argv[1:] if arguments is None else list(arguments)))


def command(arguments: list[str]) -> int:
    """Carries out a command and returns its exit status; whatever fails is one line on the standard error."""
    try:
        with interrupts.stopping(lambda: _last_words(arguments), _stop_children):
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
    return f"jaxtheory: stopped, and what was done is kept; this goes on:  {_repeats(arguments)}"


def _repeats(arguments: Iterable[str]) -> str:
    """The command that goes on with a run, or shows it."""
    return shlex.join(["jaxtheory", *(one for one in arguments if one != "--fresh")])


def _need_extras() -> None:
    if missing := [name for name in EXTRAS if importlib.util.find_spec(name) is None]:
        raise Failure(f"experiments need {', '.join(missing)}: pip install 'jaxtheory[experiments]'")


def _keep_compiled_programs() -> None:
    """Turns on JAX's cache of compiled programs, where its folder can be written."""
    import jax

    folder = jax.config.jax_compilation_cache_dir
    if folder is None:
        try:
            caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            folder = caches / "jaxtheory" / "compiled"
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError):  # no home, or one that cannot be written
            return
        if not os.access(folder, os.W_OK):
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _path(text: str) -> Path:
    """A path of an option, which the shell leaves as it is after a sign of equality."""
    return Path(text).expanduser()


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are ours."""

    def error(self, message: str) -> typing.NoReturn:
        raise Usage(f"{message}; `{self.prog} --help` shows what there is")


def _parsers() -> dict[str, _Parser]:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON and nothing else")
    common.add_argument("--traceback", action="store_true", help="show where an error comes from")
    common.add_argument("--runs", type=_path, default=Path("runs"), help="folder of the runs (./runs)")
    common.add_argument(
        "--experiments",
        type=_path,
        default=os.environ.get("JAXTHEORY_EXPERIMENTS") or None,
        help="folder of experiments, in place of the package's (or JAXTHEORY_EXPERIMENTS)",
    )
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data-dir",
        type=_path,
        default=os.environ.get("JAXTHEORY_DATA") or None,
        help="folder of data (or JAXTHEORY_DATA)",
    )

    def parser(name: str, text: str, *parents: argparse.ArgumentParser, **options: Any) -> _Parser:
        return _Parser(
            f"jaxtheory {name}", description=text, parents=[*parents, common], allow_abbrev=False, **options
        )

    parsers = {
        "list": parser("list", "Shows the experiments by section of the lecture."),
        "run": parser(
            "run",
            "Runs an experiment, or goes on with it, and shows its verdicts. "
            "With a NAME, --help shows the fields.",
            data,
            usage="jaxtheory run NAME [--quick] [--FIELD VALUE ...] [options]\n"
            "       jaxtheory run --all [options]",
            add_help=False,
        ),
        "report": parser("report", "Makes one page of all findings."),
        "bench": parser("bench", "Times this package's programs."),
        "verdicts": parser(
            "verdicts", "Compares the newest quick runs with committed verdicts, writes them, or shows them."
        ),
        "data": parser("data", "Prepares data: `jaxtheory data prepare NAME`.", data),
        "doctor": parser(
            "doctor", "Looks at devices, versions, numbers of each device, kernels, and faults."
        ),
    }
    run = parsers["run"]
    run.add_argument("-h", "--help", action="store_true", help="show this, and the fields of NAME")
    run.add_argument("--all", action="store_true", help="run all experiments, one process each")
    run.add_argument("--quick", action="store_true", help="the small form")
    run.add_argument("--seed", type=int, default=0, help="what random keys are folded from (0)")
    run.add_argument("--fresh", action="store_true", help="compute again what is stored")
    run.add_argument("--strict", action="store_true", help="exit with 1 if a claim does not hold")
    run.add_argument("--x64", action="store_true", help="double precision")
    run.add_argument("--jobs", type=int, help="with --all: so many at a time (1)")
    parsers["report"].add_argument(
        "--output", type=_path, default=Path("report.html"), help="the page (report.html)"
    )
    bench = parsers["bench"]
    bench.add_argument("names", nargs="*", metavar="NAME", help="which benches; none for all")
    bench.add_argument("--peers", action="store_true", help="time other packages too")
    bench.add_argument("--case", metavar="TEXT", help="only cases whose name holds this")
    bench.add_argument("--repeats", type=int, default=11, help="turns of each contestant (11)")
    bench.add_argument("--output", type=_path, help="a file for the JSON too")
    action = parsers["verdicts"].add_mutually_exclusive_group(required=True)
    action.add_argument("--check", type=_path, metavar="FILE", help="exit with 1 if a quick verdict differs")
    action.add_argument("--write", type=_path, metavar="FILE", help="write the verdicts of the newest runs")
    action.add_argument(
        "--readme", type=_path, metavar="FILE", help=f"fill its table from {FULL} in the folder beside it"
    )
    parsers["verdicts"].add_argument(
        "--full", action="store_true", help="with --write: the full forms, with figures"
    )
    parsers["data"].add_argument("action", choices=["prepare"])
    parsers["data"].add_argument("name", metavar="NAME", help="which data, as mnist")
    return parsers


def _carry_out(arguments: list[str]) -> int:
    parsers = _parsers()
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
    parser = parsers[name]
    if name == "run" and "--all" not in rest:
        parser.add_argument("name", metavar="NAME", nargs="?" if {"-h", "--help"} & set(rest) else None)
    try:
        options, left = parser.parse_known_args(rest)
    except SystemExit:  # help has been shown
        return 0
    if name == "run" and options.help and (options.all or options.name is None):
        parser.print_help()
        return 0
    if name not in LIGHT:
        _need_extras()
    if name == "run" and not options.all:
        return _run(options, left, arguments, parser)
    if left:
        near = discovery.nearest(left[0], _flags(parser))
        hint = "; it takes no NAME and no field of one experiment" if name == "run" else ""
        raise Usage(f"{parser.prog}{' --all' * bool(hint)} has no {left[0]}{near}{hint}")
    return COMMANDS[name](options)


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for action in parser._actions for flag in action.option_strings]  # noqa: SLF001 - no other way


def _list(options: argparse.Namespace) -> int:
    found = discovery.find(options.experiments)
    if options.json:
        keys = ("name", "section", "claim", "lecture", "source")
        print(json.dumps([{key: getattr(one, key) for key in keys} for one in found], indent=1))
        return 0
    if not found:
        print(f"there are no experiments in {options.experiments}")
    for section in dict.fromkeys(one.section for one in found):
        print(section)
        for one in found:
            if one.section == section:
                print(f"  {one.name}\n    {one.claim}")
    return 0


def _run(
    options: argparse.Namespace, fields: list[str], arguments: list[str], parser: argparse.ArgumentParser
) -> int:
    from jaxtheory.lab.record import runs
    from jaxtheory.lab.show.progress import Display, Silent

    chosen = discovery.choose(options.name, discovery.find(options.experiments))
    if options.jobs is not None:
        raise Usage("--jobs goes with --all: one experiment is one process")
    _keep_compiled_programs()
    if options.x64:
        import jax

        jax.config.update("jax_enable_x64", True)
    module = chosen.load()
    default = _default(chosen.id, module, quick=options.quick)
    if options.help:
        parser.print_help()
        print()
    config = configure(chosen.id, default, [*fields, *["--help"] * options.help], parser)
    if config is None:
        return 0
    as_named = config == default and options.seed == 0 and not options.x64
    form = ("quick" if options.quick else "full") if as_named else "custom"
    display = Display(Silent() if options.json else None, prefix=f"{chosen.name} · ")
    settings = runs.Options(
        runs=options.runs,
        data_dir=options.data_dir,
        seed=options.seed,
        quick=options.quick,
        form=form,
        fresh=options.fresh,
        command=_repeats(one for one in arguments if one not in ("--json", "--traceback", "--strict")),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(display.close)
        if options.json:  # what the experiment prints is no JSON
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        findings, directory = runs.conduct(chosen, module.run, config, settings, display)
    if options.json:
        print(json.dumps({**findings, "directory": str(directory)}, indent=1, ensure_ascii=False))
    else:
        _show(findings, directory)
    return _strictly(options, [findings])


def _strictly(options: argparse.Namespace, all_findings: list[dict[str, Any]]) -> int:
    from jaxtheory.lab.record.claims import Verdict

    verdicts = {claim["verdict"] for findings in all_findings for claim in findings["claims"]}
    return int(options.strict and Verdict.FAILS in verdicts)


def _default(experiment: str, module: types.ModuleType, *, quick: bool) -> Any:
    """The configuration that flags change: the full form, or the quick one."""
    for name in ("Config", "QUICK", "run"):
        if not hasattr(module, name):
            raise Failure(
                f"{experiment} has no {name}: an experiment is a Config, its QUICK form and run(config, lab)"
            )
    if not dataclasses.is_dataclass(module.Config):
        raise Failure(f"{experiment}: Config is no dataclass: put @dataclass(frozen=True) above it")
    if not isinstance(module.QUICK, module.Config):
        raise Failure(f"{experiment}: QUICK is {module.QUICK!r:.80}: make it a Config, as QUICK = Config()")
    if quick:
        return module.QUICK
    try:
        return module.Config()
    except TypeError as error:
        raise Failure(f"{experiment}: {error}: give every field of Config a default") from error


def configure(experiment: str, default: Any, arguments: list[str], parser: argparse.ArgumentParser) -> Any:
    """A configuration from its flags; None when only help was asked for.

    Args:
        experiment: Its name, for the messages.
        default: The configuration without flags.
        arguments: The flags.
        parser: The command's own flags.

    Returns:
        A configuration of the default's class.

    Raises:
        Failure: For a field whose type no flag can carry, or whose name is a flag of the command's.
        Usage: For an unknown flag or a value of the wrong type.
    """
    import tyro

    hints = typing.get_type_hints(type(default))
    known = ["--help"]
    for field in dataclasses.fields(default):
        hint = hints[field.name]
        if not _carried(hint):
            text = str(hint) if typing.get_args(hint) else getattr(hint, "__name__", str(hint))
            raise Failure(
                f"{experiment}: no flag can carry the field '{field.name}' of type {text}: "
                "use bool, int, float, str, Literal, and tuples or unions of them"
            )
        if f"--{field.name.replace('_', '-')}" in _flags(parser):
            raise Failure(f"{experiment}: the field '{field.name}' is a flag of `jaxtheory run`: rename it")
        known += [f"--{field.name}", *[f"--no_{field.name}"] * (hint is bool)]
    for one in arguments:
        flag = one.split("=", 1)[0]
        if re.match(r"--?[A-Za-z]", flag) and flag.replace("-", "_").replace("__", "--", 1) not in known:
            near = discovery.nearest(flag, [*known, *_flags(parser)])
            raise Usage(
                f"{experiment} has no flag {flag}{near}; `jaxtheory run {experiment} --help` shows all"
            )
    shown = io.StringIO()
    try:
        with contextlib.redirect_stderr(shown):
            return tyro.cli(
                type(default),
                args=arguments,
                default=default,
                prog=f"jaxtheory run {experiment}",
                use_underscores=True,
            )
    except SystemExit as error:
        if not error.code:
            return None
        raise Usage(f"{experiment}: {_first_words(shown.getvalue())}") from None


def _carried(hint: Any) -> bool:
    """Whether a flag can carry a type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return True
    if origin in (tuple, typing.Union, types.UnionType):
        return all(part is Ellipsis or _carried(part) for part in parts)
    return hint in CARRIED


def _first_words(box: str) -> str:
    """The message inside of the box that tyro draws."""
    lines = [re.sub(r"[│╭╮╰╯─]|^[\s-]+$", "", line).strip() for line in box.splitlines()[1:]]
    told = (
        " ".join(lines).strip()
        if not any(lines)
        else next(" ".join(group) for group in _groups(lines) if group)
    )
    return told or "its flags cannot be read"


def _groups(lines: list[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for line in lines:
        if line:
            groups[-1].append(line)
        else:
            groups.append([])
    return groups


def _show(findings: dict[str, Any], directory: Path) -> None:
    """The table of verdicts, and where the figures lie."""
    from jaxtheory.lab.show.progress import duration

    took = duration(findings["seconds"])
    print(f"\n{findings['experiment']} ({findings['form']}, {took}): {findings['claim']}")
    for label, lines in (("data", findings["data"]), ("note", findings["notes"])):
        for line in lines:
            print(f"{label}: {line}")
    rows = [
        (claim["statement"], _expectation(claim), claim["measured_text"], claim["verdict"])
        for claim in findings["claims"]
    ]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(show_lines=True)
        for head in ("claim", "expected", "measured", "verdict"):
            table.add_column(head)
        colours = {"holds": "green", "does not hold": "red", "tie": "yellow"}
        for *cells, verdict in rows:
            table.add_row(*map(Text, cells), Text(verdict, colours.get(verdict, "")))
        Console().print(table)
    else:
        for statement, expected, measured, verdict in rows:
            print(f"  {verdict}: {statement}\n    expected {expected}\n    measured {measured}")
    print(f"figures: {directory / 'figures'}" if findings["figures"] else f"findings: {directory}")


def _expectation(claim: dict[str, Any]) -> str:
    return f"{claim['expected']['text']} ({claim['expected']['source']})"


_children: set[subprocess.Popen] = set()
_starting = threading.Lock()


def _stop_children() -> None:
    _starting.acquire()  # for good: a child that is stopped must not make room for the next
    for child in list(_children):
        child.kill()  # as safe as Ctrl-C is: files appear whole or not at all


def _run_all(options: argparse.Namespace) -> int:
    jobs = 1 if options.jobs is None else options.jobs
    if jobs < 1:
        raise Usage(f"--jobs must be at least 1, got {jobs}")
    found = discovery.find(options.experiments)
    if not found:
        raise Usage(f"there are no experiments in {options.experiments}")
    switches = ("quick", "fresh", "strict", "x64", "json", "traceback")
    flags = [f"--{name}" for name in switches if getattr(options, name)]
    for name, default in (("runs", Path("runs")), ("seed", 0), ("experiments", None), ("data_dir", None)):
        if (value := getattr(options, name)) != default:
            flags += [f"--{name.replace('_', '-')}", str(value)]
    printing = threading.Lock()

    def one(experiment: discovery.Experiment) -> tuple[int, str]:
        # Bars of several processes would overwrite each other; a dumb terminal gets lines. OpenBLAS's threads
        # spin while they wait: processes that share the cores would hold each other up many times over.
        threads = str(max(1, (os.cpu_count() or 1) // jobs))
        beside = {"TERM": "dumb", "OPENBLAS_NUM_THREADS": threads} if jobs > 1 else {}
        with _starting:
            # -P: no file of the folder that one stands in takes the place of a module.
            child = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-P", "-m", "jaxtheory.lab.commands.main", "run", experiment.id, *flags],
                stdout=subprocess.PIPE,
                env={**os.environ, **beside},
                text=True,
            )
            _children.add(child)
        output, _ = child.communicate()
        _children.discard(child)
        if not options.json:
            with printing:
                print(output, end="", flush=True)
        return child.returncode, output

    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(one, found))
    ran = {0, 1} if options.strict else {0}
    failed = [experiment.id for experiment, (status, _) in zip(found, results) if status not in ran]
    if options.json:
        print(f"[{','.join(output for _, output in results if output.strip())}]")
    else:
        print(f"\n{len(found) - len(failed)} of {len(found)} experiments ran")
    if failed:
        raise Failure(f"{len(failed)} of {len(found)} experiments failed: {', '.join(failed)}")
    return max((status for status, _ in results), default=0)


def _report(options: argparse.Namespace) -> int:
    from jaxtheory.lab.show import report

    return report.command(options.runs, options.output, json=options.json, experiments=options.experiments)


def _bench(options: argparse.Namespace) -> int:
    from jaxtheory.lab.machines import bench

    return bench.command(
        options.names,
        peers=options.peers,
        case=options.case,
        json=options.json,
        repeats=options.repeats,
        output=options.output,
        runs=options.runs,
        folders=[options.experiments] if options.experiments else [],
    )


def _verdicts(options: argparse.Namespace) -> int:
    from jaxtheory.lab.show import verdicts

    if options.full and not options.write:
        raise Usage("--full goes with --write: it is the quick forms that are compared")
    if options.readme:
        count = verdicts.fill(options.readme, options.readme.parent / FULL)
        told = f"{options.readme} shows the verdicts of {count} experiments"
        print(json.dumps({"shown": count}) if options.json else told)
        return 0
    found = discovery.find(options.experiments)
    if options.write:
        count = verdicts.write(options.write, options.runs, found, full=options.full)
        print(
            json.dumps({"written": count})
            if options.json
            else f"{count} of {len(found)} experiments in {options.write}"
        )
        return 0
    differences = verdicts.compare(options.check, options.runs, found)
    if options.json:
        print(json.dumps({"differences": differences}, indent=1, ensure_ascii=False))
    else:
        print("\n".join(differences) or f"{len(found)} experiments have the verdicts of {options.check}")
    return int(bool(differences))


def _data(options: argparse.Namespace) -> int:
    from jaxtheory.lab.show.progress import Display, Silent

    folder = discovery.PACKAGE / "data"
    names = [path.stem for path in sorted(folder.glob("*.py")) if _defines(path, "prepare")]
    if options.name not in names:
        near = discovery.nearest(options.name, names) or f"; there is {', '.join(names) or 'none'}"
        raise Usage(f"no data '{options.name}' can be prepared{near}")
    directory = options.data_dir or _path("~/tensorflow_datasets")
    module = importlib.import_module(f"jaxtheory.data.{options.name}")
    with contextlib.ExitStack() as stack:
        if options.json:
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        display = Display(Silent() if options.json else None)
        task = stack.enter_context(display.task(f"preparing {options.name}"))
        prepared = module.prepare(directory, task)
    used = f"{options.name} is prepared: use it with --data-dir {shlex.quote(str(prepared))}"
    print(json.dumps({"data": options.name, "directory": str(prepared)}) if options.json else used)
    return 0


def _defines(path: Path, function: str) -> bool:
    tree = ast.parse(path.read_bytes())
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)


def _doctor(options: argparse.Namespace) -> int:
    from jaxtheory.lab.machines import doctor

    return doctor.command(json=options.json, folders=[options.experiments] if options.experiments else [])


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "run": _run_all,
    "report": _report,
    "bench": _bench,
    "verdicts": _verdicts,
    "data": _data,
    "doctor": _doctor,
}

if __name__ == "__main__":
    main()
