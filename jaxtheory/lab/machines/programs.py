"""Programs and kernels by name: what the benches and the kernels' `specs.py` list, found as files.

A bench in `experiments/benchmarks/` may hold

- `programs()`: names to `Program`s, or to pairs of a function and its arguments as shapes and dtypes, at the
  sizes that are compiled ahead of time;
- `checks()`: names to `Check`s, small problems that `jaxtheory doctor` solves on every device.

A kernel's `specs.py` holds the same two. Its functions take `implementation=`, of which `"tpu"` is the Pallas
form whatever the platform; its programs are expected to hold the kernel.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from jaxtheory.lab.errors import Failure
from jaxtheory.lab.machines.bench import spec as benches
from jaxtheory.lab.record.discovery import PACKAGE


class Program(NamedTuple):
    """A jitted function with its arguments, as shapes and dtypes."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    kernel: str | None = None
    """The kernel that it is expected to hold on a TPU."""


@dataclass(frozen=True)
class Check:
    """A small problem whose solution on a device is compared with the CPU's in float64."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    """Pytrees of arrays: floating ones are taken in the precision that is asked for."""
    tolerance: float = 1e-4
    """Largest difference, relative to the largest value."""


@dataclass(frozen=True)
class Kernel:
    """A kernel's folder."""

    name: str
    file: Path
    """Its `specs.py`."""

    def programs(self) -> dict[str, Program]:
        """Return its programs at real shapes, each of which is expected to hold it."""
        return {
            name: Program(*value)._replace(kernel=self.name)
            for name, value in _called(
                getattr(self._specs(), "programs", dict), f"programs() of kernel {self.name}"
            ).items()
        }

    def checks(self) -> dict[str, Check]:
        """Return its small problems, which it gives as tuples: a kernel imports nothing of the lab."""
        found = _called(getattr(self._specs(), "checks", dict), f"checks() of kernel {self.name}")
        return {name: value if isinstance(value, Check) else Check(*value) for name, value in found.items()}

    def _specs(self) -> ModuleType:
        try:
            if self.file.is_relative_to(PACKAGE):
                parts = self.file.relative_to(PACKAGE.parent).with_suffix("").parts
                return importlib.import_module(".".join(parts))
            spec = importlib.util.spec_from_file_location(f"kernel_{self.name}_specs", self.file)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except Exception as error:
            raise Failure(
                f"kernel {self.name} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        return module


def _called(hook: Callable[[], Mapping[str, Any]], owner: str) -> dict[str, Any]:
    try:
        return dict(hook())
    except Exception as error:
        raise Failure(f"{owner} fails: {type(error).__name__}: {error}") from error


def kernels(folder: Path | None = None) -> list[Kernel]:
    """Find the kernels of the package or of another folder: its folders that hold a `specs.py`."""
    folder = PACKAGE / "kernels" if folder is None else folder.absolute()
    return [Kernel(file.parent.name, file) for file in sorted(folder.glob("*/specs.py"))]


def _of_benches(folders: Sequence[Path], hook: str) -> dict[str, Any]:
    return {
        f"{name}: {one}": value
        for name, file in benches.find(folders).items()
        for one, value in _called(getattr(benches.load(file), hook), f"{hook}() of bench {name}").items()
    }


def programs(folders: Sequence[Path] = ()) -> dict[str, Program]:
    """Return the programs that the benches list, by the bench's name and their own."""
    return {name: Program(*value) for name, value in _of_benches(folders, "programs").items()}


def checks(folders: Sequence[Path] = ()) -> dict[str, Check]:
    """Return the small problems that the benches list, by the bench's name and their own."""
    return _of_benches(folders, "checks")
