"""What this machine computes with: devices, versions, numbers of each device against the CPU's, kernels.

Every named problem of the benches' and kernels' `checks()` is solved on each device in float32 and compared
with the CPU's solution in float64. What is wrong comes with what to do about it.
"""

import json as json_format
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxtheory.lab import machine, words
from jaxtheory.lab.errors import LabError
from jaxtheory.lab.machines import faults, programs
from jaxtheory.lab.machines.programs import Check, Kernel
from jaxtheory.lab.record import storage

TURNS = 5
"""Calls whose median is the steady time."""
NATIVE = ("tpu_custom_call", "mosaic_gpu", "__gpu$xla.gpu.triton")
"""What a compiled kernel is called by in a lowered program."""
VERSIONS = ("jaxtheory", "jax", "jaxlib", "libtpu", "jax-cuda12-plugin", "jax-cuda13-plugin", "numpy", "flax")


def _as(tree: Any, dtype: Any) -> Any:
    """Arrays with their floating numbers in a precision, complex ones in its complex one."""
    import jax
    import jax.numpy as jnp

    def cast(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            return leaf.astype(np.result_type(dtype, np.complex64))
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(cast, tree)


def _solved(function: Callable[..., Any], arguments: Any, device: Any) -> Callable[[], Any]:
    """A call on a device, waited for."""
    import jax

    placed = jax.device_put(arguments, device)
    return lambda: jax.block_until_ready(function(*placed))


def _difference(result: Any, reference: Any) -> float:
    """The largest difference, relative to the largest value of each array."""
    import jax

    worst = 0.0
    for one, other in zip(jax.tree.leaves(result), jax.tree.leaves(reference), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        scale = np.abs(other).max(initial=0.0) or 1.0
        worst = np.maximum(worst, np.abs(one - other).max(initial=0.0) / scale)  # NaN stays NaN
    return float(worst)


def reference(check: Check) -> Any:
    """Solve a problem on the CPU in float64, from the float32 numbers that devices are given."""
    import jax

    with jax.enable_x64(True):
        wide = _as(_as(check.arguments, np.float32), np.float64)
        return jax.tree.map(np.asarray, _solved(check.function, wide, jax.devices("cpu")[0])())


def compared(check: Check, function: Callable[..., Any], expected: Any, device: Any) -> dict[str, Any]:
    """Solve a problem on a device: difference, first-call and steady seconds, or the error."""
    try:
        call = _solved(function, _as(check.arguments, np.float32), device)
        started = time.perf_counter()
        result = call()
        row = {"first_call": time.perf_counter() - started}
        turns = []
        for _ in range(TURNS):
            started = time.perf_counter()
            call()
            turns.append(time.perf_counter() - started)
        difference = _difference(result, expected)
    except Exception as error:
        return _trouble(error)
    row |= {"steady": float(np.median(turns)), "difference": difference, "tolerance": check.tolerance}
    if not difference <= check.tolerance:
        row["error"] = (
            f"differs from the CPU's float64 by {difference:.1e} of the largest value, more than "
            f"{check.tolerance:g}"
        )
        row["do"] = faults.advice(row["error"])
    return row


def _trouble(error: Exception) -> dict[str, Any]:
    text = f"{type(error).__name__}: {' '.join(str(error).split()):.300}"
    return {"error": text, "do": faults.advice(text)}


def kernel_on(kernel: Kernel, device: Any) -> list[dict[str, Any]]:
    """Run a kernel on a device: natively, interpreted or not at all; a row for each of its problems."""
    import jax
    from jax.experimental.pallas import tpu as pltpu

    rows = []
    for name, check in kernel.checks().items():
        row = {"kernel": kernel.name, "name": name, "device": str(device)}
        try:
            expected = reference(Check(partial(check.function, implementation="reference"), check.arguments))
            narrow = jax.device_put(_as(check.arguments, np.float32), device)
            text = jax.jit(check.function).lower(*narrow).as_text()
        except Exception as error:
            rows.append(row | {"runs": "not at all"} | _trouble(error))
            continue
        if any(call in text for call in NATIVE):
            row |= {"runs": "natively"} | compared(check, jax.jit(check.function), expected, device)
        else:
            with pltpu.force_tpu_interpret_mode():
                forced = jax.jit(partial(check.function, implementation="tpu"))
                row |= {"runs": "interpreted"} | compared(check, forced, expected, device)
        if "error" in row and "difference" not in row:
            row["runs"] = "not at all"
        rows.append(row)
    return rows


def examine(folders: Sequence[Path] = (), kernels: Path | None = None) -> dict[str, Any]:
    """Check everything.

    Args:
        folders: Folders with a `benchmarks/` of bench files, in place of the package's.
        kernels: A folder of kernels, in place of the package's.

    Returns:
        What `jaxtheory doctor --json` prints.
    """
    started = time.perf_counter()
    report: dict[str, Any] = {
        "machine": machine.facts(),
        "versions": {"python": platform.python_version()}
        | {name: version for name in VERSIONS if (version := faults.installed(name))},
        "memory": machine.memory(),
        "devices": [],
        "programs": [],
        "kernels": [],
        "faults": faults.of_packages(),
    }
    if not any(fault["stops"] for fault in report["faults"]):
        _compute(report, folders, kernels)
    report["seconds"] = time.perf_counter() - started
    return report


def _compute(report: dict[str, Any], folders: Sequence[Path], kernels: Path | None) -> None:
    """Fills in what needs JAX."""
    try:
        import jax

        devices = jax.local_devices()
        others = [] if devices[0].platform == "cpu" else jax.local_devices(backend="cpu")
    except Exception as error:
        text = " ".join(str(error).split())
        asked = os.environ.get("JAX_PLATFORMS")
        do = (
            f"JAX_PLATFORMS is '{asked}': unset it, or add the CPU, as '{asked},cpu'"
            if asked
            else "reinstall JAX: pip install -U --force-reinstall jax jaxlib"
        )
        report["faults"].append(faults.fault(f"JAX does not start: {text:.300}", do, stops=True))
        report["faults"] += faults.of_devices(set())
        return
    report["faults"] += faults.of_devices({device.platform for device in devices})
    for device in [*devices, *others]:
        statistics = device.memory_stats() or {}
        report["devices"].append(
            {
                "device": str(device),
                "platform": device.platform,
                "kind": device.device_kind,
                "memory": statistics.get("bytes_limit"),
                "in_use": statistics.get("bytes_in_use"),
            }
        )
    try:
        for name, check in programs.checks(folders).items():
            try:
                expected = reference(check)
            except Exception as error:
                report["programs"].append({"name": name, "device": "the CPU in float64"} | _trouble(error))
                continue
            report["programs"] += [
                {"name": name, "device": str(device)}
                | compared(check, jax.jit(check.function), expected, device)
                for device in [*devices, *others]
            ]
        kinds = {device.platform: device for device in [*others, *devices]}
        for kernel in programs.kernels(kernels):
            for device in kinds.values():
                report["kernels"] += kernel_on(kernel, device)
    except LabError as error:
        report["faults"].append(faults.fault(str(error), "mend the file that it names"))


def is_well(report: dict[str, Any]) -> bool:
    """Whether everything ran and agrees; what is harmless does not count."""
    ran = all("error" not in row for row in [*report["programs"], *report["kernels"]])
    return ran and all(fault["harmless"] for fault in report["faults"])


def text(report: dict[str, Any]) -> str:
    """Write the report in lines."""
    about = report["machine"]
    memory = f", {report['memory'] / 2**30:.0f} GiB" if report["memory"] else ""
    lines = [
        f"machine: {about['cores']} cores of {about['processor']}, {about['system']}{memory}",
        "versions: " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
        "devices:",
    ]
    for one in report["devices"]:
        limit = (
            f", {one['memory'] / 2**30:.1f} GiB, {one['in_use'] / 2**30:.1f} in use" if one["memory"] else ""
        )
        kind = f" ({one['kind']})" if one["kind"] != one["platform"] else ""
        lines.append(f"  {one['device']}{kind}{limit}")
    if not report["devices"]:
        lines.append("  none")
    lines.append("programs, in float32 against the CPU's float64:")
    lines += [f"  {row['name']}, {row['device']}: {_figures(row)}" for row in report["programs"]] or [
        "  none"
    ]
    lines.append("kernels:")
    lines += [
        f"  {row['kernel']}, {row['name']}, {row['device']}: {row['runs']}, {_figures(row)}"
        for row in report["kernels"]
    ] or ["  there are none"]
    for one in report["faults"]:
        lines.append(f"{'note' if one['harmless'] else 'FAULT'}: {one['what']}\n  {one['do']}")
    lines.append(f"{'all is well' if is_well(report) else 'NOT WELL'} ({report['seconds']:.0f} s)")
    return "\n".join(lines)


def _figures(row: dict[str, Any]) -> str:
    parts = []
    if "error" in row:
        parts.append(f"FAULT: {row['error']}\n    {row['do']}")
    elif "difference" in row:
        parts.append(f"differs by {row['difference']:.1e}")
    if "steady" in row:
        first, steady = (words.timing(row[key]) for key in ("first_call", "steady"))
        parts.append(f"first call {first}, then {steady}")
    return ", ".join(parts)


def command(*, json: bool = False, folders: Sequence[Path] = (), kernels: Path | None = None) -> int:
    """Print the report.

    Args:
        json: Whether only JSON is printed.
        folders: Folders with a `benchmarks/` of bench files, in place of the package's.
        kernels: A folder of kernels, in place of the package's.

    Returns:
        The exit status: 0, or 3 where something does not run, differs or is not used.
    """
    if "jax" not in sys.modules:
        # First calls are to compile, not to read what was compiled before.
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    report = examine(folders, kernels)
    print(json_format.dumps(storage.as_json(report), indent=1) if json else text(report))
    return 0 if is_well(report) else 3
