"""What is missing, too old or not used on this machine, each with what to do about it."""

import contextlib
import os
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

Fault = dict[str, Any]
"""What is wrong and what to do; `stops` if nothing can then be computed, `harmless` if it may be intended."""

TPUS = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}
"""Device numbers of the TPUs on the PCI bus, as JAX knows them."""
GOOGLE = "0x1ae0"
PCI = Path("/sys/bus/pci/devices")
NVIDIA = Path("/dev/nvidiactl")


def installed(name: str) -> str | None:
    """Return a package's version, or None."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return None


def _has_tpu() -> bool:
    """Whether a TPU is on the bus, whatever JAX makes of it."""
    for device in PCI.glob("*"):
        with contextlib.suppress(OSError):
            vendor, number = ((device / name).read_text().strip() for name in ("vendor", "device"))
            if vendor == GOOGLE and number in TPUS:
                return True
    return False


def _has_gpu() -> bool:
    """Whether an NVIDIA GPU with its driver is here, whatever JAX makes of it."""
    return NVIDIA.exists() or shutil.which("nvidia-smi") is not None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])


def _requirements(extra: str | None) -> list[tuple[str, str]]:
    """Names and lowest versions of what the package requires, or of what an extra adds."""
    found = []
    for text in metadata.requires("jaxtheory") or []:
        needed, _, condition = text.partition(";")
        belongs = re.search(r"extra\s*==\s*['\"](\w+)['\"]", condition)
        if (belongs[1] if belongs else None) == extra:
            name = re.match(r"[\w.-]+", needed)[0]
            lowest = re.search(r">=\s*([\d.]+)", needed)
            found.append((name, lowest[1] if lowest else "0"))
    return found


def of_packages() -> list[Fault]:
    """Find the packages that are missing or too old."""
    faults = []
    for name, lowest in _requirements(None):
        version = installed(name)
        stops = name == "jax"
        if version is None:
            faults.append(fault(f"{name} is not installed", f"pip install '{name}>={lowest}'", stops=stops))
        elif _numbers(version) < _numbers(lowest):
            faults.append(
                fault(
                    f"{name} {version} is older than {lowest}, the oldest that is supported",
                    f"pip install -U '{name}>={lowest}', and restart what had imported it",
                    stops=stops,
                )
            )
    missing = [name for name, _ in _requirements("experiments") if installed(name) is None]
    if missing:
        what = f"what experiments need is not installed: {', '.join(missing)}"
        faults.append(fault(what, "pip install 'jaxtheory[experiments]'", harmless=True))
    return faults


def fault(what: str, do: str, *, stops: bool = False, harmless: bool = False) -> Fault:
    """Describe a fault."""
    return {"what": what, "do": do, "stops": stops, "harmless": harmless}


def of_devices(platforms: set[str]) -> list[Fault]:
    """Find the accelerators that are here and that JAX does not use.

    Args:
        platforms: The platforms of JAX's devices.

    Returns:
        The faults.
    """
    faults = []
    asked = os.environ.get("JAX_PLATFORMS", "")
    elsewhere = f"JAX_PLATFORMS is '{asked}'" if asked else ""
    for kind, here, plugins, extra, reason in (
        (
            "tpu",
            _has_tpu(),
            ("libtpu",),
            "tpu",
            "another process may hold it: stop that one, or its notebook",
        ),
        (
            "gpu",
            _has_gpu(),
            ("jax-cuda12-plugin", "jax-cuda13-plugin"),
            "cuda12",
            "its driver may be too old for the plugin: compare `nvidia-smi` with jax.dev's installation page",
        ),
    ):
        if not here or kind in platforms:
            continue
        name = kind.upper()
        if not any(installed(plugin) for plugin in plugins):
            what = f"there is a {name}, and {' or '.join(plugins)} is not installed: JAX computes on the CPU"
            also = " (or cuda13, after the driver)" if kind == "gpu" else ""
            faults.append(fault(what, f"pip install 'jaxtheory[{extra}]'{also}"))
        elif asked and kind not in asked and not (kind == "gpu" and "cuda" in asked):
            what = f"there is a {name}, and {elsewhere}, so that JAX does not look for it"
            faults.append(fault(what, "unset JAX_PLATFORMS, if that was not meant", harmless=True))
        else:
            faults.append(fault(f"there is a {name} and its plugin, and JAX sees none", reason))
    return faults


def advice(error: str) -> str:
    """Say what to do about a problem that does not run, or whose result differs."""
    if "RESOURCE_EXHAUSTED" in error:
        return "another process holds the device's memory: stop it, or restart the notebook that does"
    if "UNIMPLEMENTED" in error or "NotImplementedError" in error:
        return "this device or this JAX lacks an operation: pip install -U jax, with the extra for the device"
    return (
        "pip install -U jax, with the extra for the device; if it stays, report it with what "
        "`jaxtheory doctor --json` prints"
    )
