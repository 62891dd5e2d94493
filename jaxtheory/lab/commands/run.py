"""`jaxtheory run NAME`: one experiment with its flags."""

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxtheory.lab import processes
from jaxtheory.lab.commands import fields, flags
from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.record import discovery

UNKEPT = {"--json", "--traceback", "--strict", "--of-all", "--fresh"}
"""Flags that are left out of the command that resumes a run or shows it."""


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    """Run or resume an experiment, and show its verdicts.

    Args:
        options: The flags of the command.
        arguments: All words typed after `jaxtheory`.

    Returns:
        The exit status: 0, or 1 where --strict was given and a claim does not hold.

    Raises:
        Usage: For flags that the experiment does not have, or values that they do not take.
    """
    from jaxtheory.lab.progress import Display, Silent
    from jaxtheory.lab.record import runs
    from jaxtheory.lab.show import terminal

    if options.jobs is not None:
        raise Usage("--jobs goes with --all: one experiment is one process")
    if options.of_all:
        processes.end_with_parent()
    chosen = discovery.choose(options.name, discovery.find(options.experiments))
    # Figures are drawn without a backend; a notebook's would be missed by an experiment that imports pyplot.
    os.environ["MPLBACKEND"] = "agg"
    keep_compiled_programs()
    if options.x64:
        import jax

        jax.config.update("jax_enable_x64", True)
    module = chosen.load()
    default = default_of(chosen.id, module, quick=options.quick)
    config = configure(chosen.id, default, arguments[1:])
    if config is None:
        return 0
    as_named = config == default and options.seed == 0 and not options.x64
    form = ("quick" if options.quick else "full") if as_named else "custom"
    silent = options.json and not options.of_all
    display = Display(Silent() if silent else None, prefix=f"{chosen.name} · ")
    settings = runs.Options(
        runs=options.runs,
        data_dir=options.data_dir,
        seed=options.seed,
        quick=options.quick,
        form=form,
        fresh=options.fresh,
        command=repeated(arguments),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(display.close)
        if options.json:  # what the experiment prints is no JSON
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        findings, directory = runs.conduct(chosen, module.run, config, settings, display)
    if options.json:
        print(json.dumps({**findings, "directory": str(directory)}, indent=1, ensure_ascii=False))
    else:
        terminal.show(findings, directory)
    return strictly(options, [findings])


def strictly(options: argparse.Namespace, all_findings: Iterable[dict[str, Any]]) -> int:
    """Return the exit status of findings: 1 where --strict was given and a claim does not hold, else 0."""
    from jaxtheory.lab.record.claims import Verdict

    verdicts = {claim["verdict"] for findings in all_findings for claim in findings["claims"]}
    return int(options.strict and Verdict.FAILS in verdicts)


def repeated(arguments: Iterable[str]) -> str:
    """Write the command that resumes a run, or shows it."""
    return shlex.join(["jaxtheory", *(one for one in arguments if one not in UNKEPT)])


def default_of(experiment: str, module: types.ModuleType, *, quick: bool) -> Any:
    """Return the configuration that flags change: the full form, or the quick one.

    Raises:
        Failure: If the module lacks what an experiment has.
    """
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


def configure(experiment: str, default: Any, arguments: list[str]) -> Any:
    """Read a configuration from the flags of the command and of the experiment's fields.

    Args:
        experiment: The experiment's name, for messages.
        default: The configuration without flags.
        arguments: All words typed after `jaxtheory run`.

    Returns:
        A configuration of the default's class; None when only help was asked for, which is shown.

    Raises:
        Usage: For a flag that does not exist, or a value that it does not take.
    """
    parser = flags.of_one()
    fields.add(parser, experiment, default)
    options, left = parser.parse_known_args(fields.spelled(arguments, default))
    if options.help:
        parser.print_help()
        return None
    if left:
        if not left[0].startswith("--"):
            raise Usage(
                f"{experiment}: unexpected argument {left[0]}; `jaxtheory run {experiment} --help` shows all"
            )
        flag = left[0].split("=", 1)[0]
        near = discovery.nearest(flag, parser.flags)
        raise Usage(f"{experiment} has no flag {flag}{near}; `jaxtheory run {experiment} --help` shows all")
    return fields.configuration(experiment, default, options)


def keep_compiled_programs() -> None:
    """Turn on JAX's cache of compiled programs, where its folder can be written."""
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
