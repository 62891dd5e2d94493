"""What the commands beside `run` do: list, report, bench, verdicts, data, doctor."""

import argparse
import ast
import contextlib
import importlib
import json
import shlex
import sys
from pathlib import Path

from jaxtheory.lab.commands import flags
from jaxtheory.lab.errors import Usage
from jaxtheory.lab.record import discovery
from jaxtheory.lab.words import counted


def show_list(options: argparse.Namespace) -> int:
    """List the experiments by section of the lecture."""
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


def report(options: argparse.Namespace) -> int:
    """Write the page."""
    from jaxtheory.lab.show import report

    return report.command(options.runs, options.output, json=options.json, experiments=options.experiments)


def bench(options: argparse.Namespace) -> int:
    """Run benches."""
    from jaxtheory.lab.machines.bench import main

    return main.command(
        options.names,
        peers=options.peers,
        case=options.case,
        json=options.json,
        repeats=options.repeats,
        output=options.output,
        runs=options.runs,
        folders=[options.experiments] if options.experiments else [],
    )


def verdicts(options: argparse.Namespace) -> int:
    """Compare verdicts with the committed ones, write them, or show them in the README and its page."""
    from jaxtheory.lab.show import readme, verdicts

    if options.full and not options.write:
        raise Usage("--full goes with --write: it is the quick forms that are compared")
    if options.readme:
        page, file = (options.readme.parent / one for one in (flags.PAGE, flags.FULL))
        count = readme.publish(options.readme, page, file, discovery.find(options.experiments))
        told = f"{options.readme} and {page} show the verdicts of {counted(count, 'experiment')}"
        print(json.dumps({"shown": count}) if options.json else told)
        return 0
    found = discovery.find(options.experiments)
    if options.write:
        count = verdicts.write(options.write, options.runs, found, full=options.full)
        told = f"{options.write} has the verdicts of {count} of {counted(len(found), 'experiment')}"
        print(json.dumps({"written": count}) if options.json else told)
        return 0
    differences = verdicts.compare(options.check, options.runs, found)
    if options.json:
        print(json.dumps({"differences": differences}, indent=1, ensure_ascii=False))
    else:
        same = f"no verdict of {counted(len(found), 'experiment')} differs from {options.check}"
        print("\n".join(differences) or same)
    return int(bool(differences))


def data(options: argparse.Namespace) -> int:
    """Prepare data."""
    from jaxtheory.lab.progress import Display, Silent

    folder = discovery.PACKAGE / "data"
    names = [path.stem for path in sorted(folder.glob("*.py")) if _defines(path, "prepare")]
    if options.name not in names:
        near = discovery.nearest(options.name, names) or f"; there is {', '.join(names) or 'none'}"
        raise Usage(f"no data '{options.name}' can be prepared{near}")
    directory = options.data_dir or flags.path("~/tensorflow_datasets")
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


def doctor(options: argparse.Namespace) -> int:
    """Check this machine."""
    from jaxtheory.lab.machines import doctor

    return doctor.command(json=options.json, folders=[options.experiments] if options.experiments else [])
