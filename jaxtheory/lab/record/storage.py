"""Files that appear whole or not at all: pytrees of arrays as npz, records as JSON, lines of a log."""

import contextlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from jaxtheory.lab.errors import Broken, Failure

STRUCTURE = "structure"
"""The member of an npz file that says how its arrays make up a pytree."""
KEYS = (str, int, float, type(None))
"""What the keys of a stored dict may be: JSON gives them back as they were."""
PLAIN = "biufcmMSU"
"""Kinds of arrays that NumPy's format stores as they are: numbers, times and texts."""
ADDED = 2
"""What `isbuiltin` is for a type that a library added to NumPy's."""
ASIDE = ".aside-"
"""What the name of a file begins with until it is whole."""


def slug(name: str) -> str:
    """Return a file name for a name: its own text where it can be, with a hash where others could share it.

    Some file systems take capitals for small letters, so a name with capitals gets a hash.

    Args:
        name: Any text that is not empty.

    Returns:
        A name of at most 69 letters, digits, dots, dashes and underscores.

    Raises:
        ValueError: If the name is empty.
    """
    if not name.strip():
        raise ValueError("what is stored needs a name, got an empty one")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:60]
    return plain if plain == name.lower() else f"{plain}-{sha256(name.encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def failing_clearly(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one line that names the file.

    Args:
        path: The file that is written within the block.

    Yields:
        Nothing.

    Raises:
        Failure: If the file system refuses.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "a file stands where a folder of it should be"
        raise Failure(
            f"cannot write {path}: {reason}; what was stored before is kept, "
            "and the same command goes on from there"
        ) from error


def write(path: Path, fill: Callable[[BufferedIOBase], Any]) -> None:
    """Write a temporary file and rename it, so that it is there whole or not at all."""
    aside = path.with_name(f"{ASIDE}{os.getpid()}-{path.name}")
    with failing_clearly(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                fill(file)
            aside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON; a number that JSON lacks (NaN, infinity) becomes null."""
    text = json.dumps(as_json(value), indent=1, ensure_ascii=False, allow_nan=False)
    write(path, lambda file: file.write(encoded(text) + b"\n"))


def encoded(text: str) -> bytes:
    """Return a text as UTF-8; bytes of a folder's name that are not become escapes, as JSON reads them."""
    return text.encode(errors="backslashreplace")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        Broken: If it is not a complete JSON file.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise Broken(f"{path} is no whole JSON file") from error


def pack(file: BufferedIOBase, tree: Any, about: Mapping[str, Any] | None = None) -> None:
    """Write a pytree of arrays made of dicts, tuples and lists as npz, with facts about it."""
    arrays: list[np.ndarray] = []
    structure = json.dumps({"tree": _describe(tree, arrays), "about": as_json(about or {})})
    members = {f"a{i}": array for i, array in enumerate(arrays)}
    members[STRUCTURE] = np.frombuffer(structure.encode(), np.uint8)
    np.savez(file, allow_pickle=False, **members)


def unpack(file: BufferedIOBase, about: Mapping[str, Any] | None = None) -> Any:
    """Return the tree that `pack` wrote.

    Args:
        file: The file in which it was written.
        about: The facts that were written with it.

    Returns:
        The tree, of NumPy arrays.

    Raises:
        Broken: If the file is damaged, or about something else.
    """
    expected = as_json(about or {})
    try:
        with np.load(file, allow_pickle=False) as members:
            structure = json.loads(members[STRUCTURE].tobytes())
            found = structure["about"]
            tree = _rebuild(structure["tree"], members) if found == expected else None
    except Exception as error:  # damage shows as whatever zip, npy and JSON readers stumble over
        raise Broken(f"is damaged ({error!s:.80})") from error
    if found != expected:
        raise Broken(f"holds {found} where {expected} was expected")
    return tree


def read_tree(path: Path, about: Mapping[str, Any] | None = None) -> Any:
    """Return the tree that `write_tree` stored.

    Args:
        path: The file.
        about: The facts that were written with it.

    Returns:
        The tree, of NumPy arrays.

    Raises:
        Broken: If the file, which is named, is damaged or about something else.
    """
    with path.open("rb") as file:
        try:
            return unpack(file, about)
        except Broken as error:
            raise Broken(f"{path} {error}") from error


def write_tree(path: Path, tree: Any, about: Mapping[str, Any] | None = None) -> None:
    """Store a pytree in a file that is there whole or not at all."""
    write(path, lambda file: pack(file, tree, about))


def as_read(tree: Any) -> Any:
    """Return a pytree as it comes back from a file: of NumPy arrays that may be written to."""
    arrays: list[np.ndarray] = []
    description = _describe(tree, arrays)
    members = {f"a{i}": np.require(array, requirements="W") for i, array in enumerate(arrays)}
    return _rebuild(description, members)


def append_line(path: Path, line: str) -> None:
    """Add a line to a log in one write, after cutting off a line that a kill left unfinished."""
    with failing_clearly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
            file.write(encoded(line) + b"\n")


def read_lines(path: Path) -> list[str]:
    """Return the whole lines of a log.

    Args:
        path: The log, which need not be there.

    Returns:
        Its lines without their ends.

    Raises:
        Failure: If it cannot be read.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror or error}") from error
    # Not `splitlines`, which would break a text at its other separators.
    return text.decode(errors="replace").split("\n")[:-1]


def _describe(tree: Any, arrays: list[np.ndarray]) -> Any:
    """The structure of a tree as JSON, its leaves being appended to the arrays."""
    if tree is None:
        return {"none": True}
    if type(tree) is dict:
        for key in tree:
            if not isinstance(key, KEYS):
                raise TypeError(f"a dict that is stored has texts and numbers as keys, not {key!r:.80}")
        return {"dict": [[key, _describe(part, arrays)] for key, part in tree.items()]}
    if type(tree) in (tuple, list):
        return {type(tree).__name__: [_describe(part, arrays) for part in tree]}
    array = np.asarray(tree) if np.isscalar(tree) or hasattr(tree, "__array__") else None
    if array is None:
        raise TypeError(
            f"only arrays in dicts, tuples and lists are stored, and this holds a {type(tree).__name__}: "
            "give its arrays in a dict"
        )
    added = array.dtype.isbuiltin == ADDED and hasattr(ml_dtypes, array.dtype.name)
    if not added and array.dtype.kind not in PLAIN:
        raise TypeError(f"arrays of numbers and texts are stored, and this holds one of {array.dtype}")
    # NumPy's format has no name for a type that was added to it (bfloat16): it is stored as its bytes.
    arrays.append(array.view(f"V{array.itemsize}") if added else array)
    return {"array": f"a{len(arrays) - 1}", "dtype": array.dtype.name}


def _rebuild(description: Any, members: Mapping[str, np.ndarray]) -> Any:
    [(kind, parts), *_] = description.items()
    if kind == "none":
        return None
    if kind == "dict":
        return {key: _rebuild(part, members) for key, part in parts}
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(_rebuild(part, members) for part in parts)
    array = members[parts]
    if array.dtype.kind == "V":
        array = array.view(getattr(ml_dtypes, description["dtype"]))
    return array


def as_json(value: Any) -> Any:
    """Return a record as JSON can hold it: arrays as lists, NaN and infinity as None.

    Args:
        value: Numbers, texts, arrays, and lists and dictionaries of them.

    Returns:
        The same of Python's numbers, texts, lists and dictionaries.

    Raises:
        TypeError: For anything else.
    """
    if isinstance(value, Mapping):
        return {str(key): as_json(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(part) for part in value]
    if hasattr(value, "tolist"):
        return as_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a record holds numbers, texts, arrays, lists and dicts, not a {type(value).__name__}")
