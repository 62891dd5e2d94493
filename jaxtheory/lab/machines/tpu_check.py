"""Compiling every listed program and kernel for TPUs, on a machine without one.

`python -m jaxtheory.lab.machines.tpu_check [NAME ...]` needs libtpu, and is what `tpu_setup.sh --check` runs
in an environment of its own: where libtpu can be imported and no TPU is there, JAX prints errors when it
starts.
Each chip has a process of its own. Exit status: 0, 2 for bad usage, 3 where a program does not compile, does
not fit into the chip's memory, or lacks the kernel that it is expected to hold.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from jaxtheory.lab.errors import Failure, LabError, Usage
from jaxtheory.lab.machines import operations, programs
from jaxtheory.lab.machines.programs import Program
from jaxtheory.lab.record.discovery import nearest

GIB = 2**30
KERNEL = "tpu_custom_call"
"""What a compiled Pallas kernel is called by."""
EFFORT = "O0"
"""The compiler's effort, unless JAX_OPTIMIZATION_LEVEL says otherwise: a tenth of the ordinary one's time. It
keeps no arrays on the chip from one operation to the next, so that temporaries are an upper bound."""


class Chip(NamedTuple):
    """A kind of TPU."""

    accelerator: str  # what libtpu is told that it runs on
    topology: str
    memory: int  # bytes


CHIPS = {
    "v5e": Chip("v5litepod-4", "v5e:2x2", 16 * GIB),
    "v6e": Chip("v6e-4", "v6e:2x2", 32 * GIB),
}


def environment(chip: Chip) -> dict[str, str]:
    """Return what must stand in a process's environment before it imports JAX."""
    return {
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        "TPU_ACCELERATOR_TYPE": chip.accelerator,
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_SKIP_MDS_QUERY": "1",
        # One process a chip, and no chip that they could fight over.
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_MIN_LOG_LEVEL": "3",
        "TPU_STDERR_LOG_LEVEL": "3",
    }


def listed(folders: Sequence[Path], kernels: Path | None, names: Sequence[str]) -> dict[str, Program]:
    """Find the programs of the benches and kernels, or those whose name begins with one of `names`.

    Args:
        folders: Folders with a `benchmarks/` of bench files, in place of the package's.
        kernels: A folder of kernels, in place of the package's.
        names: The beginnings of the names of the programs; empty for all.

    Returns:
        The programs by name.

    Raises:
        Usage: If there are none, or none with such a name.
    """
    found = dict(programs.programs(folders))
    for kernel in programs.kernels(kernels):
        found |= {f"{kernel.name}: {name}": program for name, program in kernel.programs().items()}
    if not found:
        raise Usage("no bench and no kernel lists a program: give one a programs()")
    for name in names:
        if not any(one.startswith(name) for one in found):
            raise Usage(f"there is no program '{name}'{nearest(name, found)}; there are {', '.join(found)}")
    return {name: one for name, one in found.items() if not names or name.startswith(tuple(names))}


def compiled(name: str, program: Program, place: Callable[[Any], Any], memory: int) -> dict[str, Any]:
    """Compile a program and say what it costs, or what is wrong with it.

    Args:
        name: The program's name.
        program: The program.
        place: A function that puts an argument's shapes on the device that is compiled for.
        memory: The device's memory in bytes.

    Returns:
        Figures, and `fault` where there is one.
    """
    import jax

    row: dict[str, Any] = {"name": name, "kernel": program.kernel}
    started, processor = time.perf_counter(), time.process_time()
    try:
        function = program.function if hasattr(program.function, "lower") else jax.jit(program.function)
        executable = function.lower(*jax.tree.map(place, program.arguments)).compile()
        row |= {
            "seconds": time.perf_counter() - started,
            "processor_seconds": time.process_time() - processor,
        }
        sizes = executable.memory_analysis()
        cost = operations.count(function, *program.arguments)
        text = executable.as_text()
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return row | {"fault": f"does not compile: {type(error).__name__}: {lines[0][:300]}"}
    row |= {
        "temporaries": sizes.temp_size_in_bytes,
        "arguments": sizes.argument_size_in_bytes,
        "results": sizes.output_size_in_bytes,
        "share": (sizes.temp_size_in_bytes + sizes.argument_size_in_bytes + sizes.output_size_in_bytes)
        / memory,
        "flops": cost.flops,
        "unknown_loops": cost.unknown_loops,
        "holds_kernel": KERNEL in text,
    }
    if row["share"] > 1:
        row["fault"] = f"takes {row['share']:.1f} times the chip's memory"
    elif program.kernel and not row["holds_kernel"]:
        row["fault"] = f"no longer holds the kernel {program.kernel}: there is no {KERNEL} in it"
    return row


def _compile_all(chip: str, folders: Sequence[Path], kernels: Path | None, names: Sequence[str]) -> None:
    """What the process of a chip does: a line of JSON for each program."""
    import jax
    from jax.experimental import topologies
    from jax.sharding import SingleDeviceSharding

    if "JAX_OPTIMIZATION_LEVEL" not in os.environ:
        jax.config.update("jax_optimization_level", EFFORT)
    topology = topologies.get_topology_desc(platform="tpu", topology_name=CHIPS[chip].topology)
    sharding = SingleDeviceSharding(topology.devices[0])

    def place(leaf: Any) -> Any:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    for name, program in listed(folders, kernels, names).items():
        print(json.dumps(compiled(name, program, place, CHIPS[chip].memory)), flush=True)


def line(row: Mapping[str, Any]) -> str:
    """Write a program's figures in a line."""
    if "holds_kernel" not in row:
        return f"{row['chip']}  {row['name']}: FAULT: {row['fault']}"
    kernel = f", {KERNEL}" if row["holds_kernel"] else ""
    loops = f", {row['unknown_loops']} loops of unknown length counted once" if row["unknown_loops"] else ""
    fault = f": FAULT: {row['fault']}" if "fault" in row else ""
    return (
        f"{row['chip']}  {row['name']}: compiled in {row['seconds']:.1f} s "
        f"({row['processor_seconds']:.1f} s of a processor), "
        f"temporaries {row['temporaries'] / 1e6:,.1f} MB, in all {row['share']:.2%} of the memory, "
        f"{row['flops'] / 1e9:,.2f} GFLOP{kernel}{loops}{fault}"
    )


def check(
    chips: Sequence[str],
    names: Sequence[str] = (),
    *,
    folders: Sequence[Path] = (),
    kernels: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Compile for some chips, each in a process of its own.

    Args:
        chips: The chips to compile for.
        names: The beginnings of the names of the programs; empty for all.
        folders: Folders with a `benchmarks/` of bench files, in place of the package's.
        kernels: A folder of kernels, in place of the package's.
        say: A function that takes a line for each program.

    Returns:
        A row for each chip and program.

    Raises:
        Usage: For programs that do not exist.
        Failure: If libtpu is missing, or a process ends prematurely.
    """
    expected = list(listed(folders, kernels, names))
    if find_spec("libtpu") is None:
        raise Failure("libtpu is not installed here: run `bash tpu_setup.sh --check`, which keeps it apart")
    arguments = [*names, *(word for folder in folders for word in ("--experiments", str(folder)))]
    arguments += ["--kernels", str(kernels)] if kernels else []
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    speaking = threading.Lock()
    children = []

    def follow(chip: str, child: subprocess.Popen[str]) -> None:
        said = []
        for answer in child.stdout:
            if not answer.startswith("{"):
                said.append(answer.strip())
                continue
            row = {"chip": chip, **json.loads(answer)}
            with speaking:
                rows.append(row)
                say(line(row))
        if child.wait() or len([row for row in rows if row["chip"] == chip]) < len(expected):
            last = next((words for words in reversed(said) if words), "nothing")
            failures.append(f"the compiler's process for {chip} ended with status {child.returncode}: {last}")

    threads = []
    try:
        for chip in chips:
            child = subprocess.Popen(  # noqa: S603 - this very module
                [sys.executable, "-m", "jaxtheory.lab.machines.tpu_check", "--child", chip, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=os.environ | environment(CHIPS[chip]),
            )
            children.append(child)
            threads.append(threading.Thread(target=follow, args=(chip, child), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()
    finally:
        for child in children:
            child.kill()
            child.wait()
            child.stdout.close()
    if failures:
        raise Failure("; ".join(failures))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser("tpu_setup.sh --check", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="The beginning of the names of the programs to compile (default: all).",
    )
    parser.add_argument(
        "--chip",
        action="append",
        choices=list(CHIPS),
        help="A chip to compile for; may be given several times (default: all).",
    )
    parser.add_argument("--json", action="store_true", help="Print only JSON to the standard output.")
    parser.add_argument("--experiments", action="append", type=Path, default=[], help=argparse.SUPPRESS)
    parser.add_argument("--kernels", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", choices=list(CHIPS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        _compile_all(options.child, options.experiments, options.kernels, options.names)
        return 0
    started = time.perf_counter()
    try:
        rows = check(
            options.chip or list(CHIPS),
            options.names,
            folders=options.experiments,
            kernels=options.kernels,
            say=(lambda _: None) if options.json else print,
        )
    except LabError as error:
        print(f"tpu_check: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130
    faults = [row for row in rows if "fault" in row]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print(
            f"{len(rows) - len(faults)} of {len(rows)} programs compile as they should, "
            f"in {time.perf_counter() - started:.0f} s"
        )
    for row in faults:
        print(f"tpu_check: {row['chip']}, {row['name']}: {row['fault']}", file=sys.stderr)
    return 3 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
