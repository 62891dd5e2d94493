"""Finding experiments as files and reading their docstrings, without importing them."""

import ast
import difflib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import jaxtheory
from jaxtheory.lab.errors import Failure, Usage

PACKAGE = Path(jaxtheory.__file__).parent
NO_EXPERIMENTS = {"benchmarks"}
"""Folders beside the sections of the lecture."""


@dataclass(frozen=True)
class Experiment:
    """A file with an experiment, and what its docstring says."""

    name: str  # the file's
    section: str  # its folder's
    path: Path
    claim: str  # the docstring's first paragraph
    lecture: str  # where the lecture makes the claim
    source: str  # where the figures are from

    @property
    def id(self) -> str:
        """Section and name."""
        return f"{self.section}/{self.name}"

    def load(self) -> ModuleType:
        """Import the experiment.

        Returns:
            Its module.

        Raises:
            Failure: If importing it fails.
        """
        inside = self.path.is_relative_to(PACKAGE)
        try:
            if inside:
                parts = self.path.relative_to(PACKAGE.parent).with_suffix("").parts
                return importlib.import_module(".".join(parts))
            spec = importlib.util.spec_from_file_location(f"experiment_{self.name}", self.path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module  # dataclasses look their module up
            spec.loader.exec_module(module)
        except Exception as error:
            raise Failure(f"{self.id} cannot be imported: {type(error).__name__}: {error}") from error
        return module


def find(folder: Path | None = None) -> list[Experiment]:
    """Return the experiments of the package, or of another folder, by section.

    Args:
        folder: A folder with files, or with folders (the sections) of files.

    Returns:
        One entry for each file, in order; a file that cannot be parsed says so in place of its claim.

    Raises:
        Usage: If there is no such folder.
    """
    folder = PACKAGE / "experiments" if folder is None else folder.expanduser().resolve()
    if not folder.is_dir():
        raise Usage(f"there is no folder {folder} to find experiments in")
    files = sorted(path for pattern in ("*.py", "*/*.py") for path in folder.glob(pattern))
    return [
        _read(path)
        for path in files
        # Editors keep files and folders of their own, whose names begin with a dot.
        if not any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts)
        and path.parent.name not in NO_EXPERIMENTS
    ]


def choose(name: str, experiments: list[Experiment]) -> Experiment:
    """Return the experiment with a given name.

    Args:
        name: The name, which may have its section before it.
        experiments: The experiments to choose from.

    Returns:
        The experiment.

    Raises:
        Usage: If none or several have this name; the error names the nearest ones.
    """
    found = [one for one in experiments if name in (one.name, one.id)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Usage(f"'{name}' may be {' or '.join(one.id for one in found)}: name the section too")
    names = [one.name for one in experiments]
    near = nearest(Path(name).name, names)
    raise Usage(f"there is no experiment '{name}'{near}; `jaxtheory list` shows all {len(names)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the names that a wrong one may have meant, as the end of a sentence."""
    close = difflib.get_close_matches(name, list(names), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _read(path: Path) -> Experiment:
    try:
        text = ast.get_docstring(ast.parse(path.read_bytes())) or "(no docstring says what it claims)"
    except SyntaxError as error:
        text = f"(line {error.lineno} of the file cannot be parsed: {error.msg})"
    except (OSError, ValueError) as error:  # no right to read it, or bytes that are no text
        text = f"(the file cannot be read: {error})"
    paragraphs = re.split(r"\n\s*\n", text.strip())
    claim = " ".join(paragraphs[0].split())
    return Experiment(
        path.stem, path.parent.name, path, claim, _entry("Lecture", text), _entry("Source", text)
    )


def _entry(label: str, text: str) -> str:
    """What follows a label at the start of a line, up to the next label or an empty line."""
    found = re.search(rf"^{label}:(.*?)(?=^\w+:|^\s*$|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""
