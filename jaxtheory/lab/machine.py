"""The machine that something was computed on, in words that name no host."""

import contextlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int | None:
    """Return the bytes of main memory, or None where the system does not say."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def in_words() -> str:
    """Return the machine as '2-core x86-64, 24 GiB', with its accelerators before that."""
    import jax

    words = f"{cores()}-core {platform.machine().replace('_', '-')}"
    if size := memory():
        words += f", {size / 2**30:.0f} GiB"
    devices = jax.devices()
    return words if devices[0].platform == "cpu" else f"{len(devices)} x {devices[0].device_kind}, {words}"


def facts() -> dict[str, Any]:
    """Return the processor, cores, system, load and the versions that a measurement depends on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    versions = {"python": platform.python_version()}
    for library in ("jaxtheory", "jax", "jaxlib", "numpy", "torch", "kymatio"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    return {
        "processor": model,
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }
