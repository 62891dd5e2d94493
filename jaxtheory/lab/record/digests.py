"""What a run depends on, as hashes: the source that computes, and the files of its data.

Of source the syntax counts, without docstrings, comments and annotations: of the experiment and of the
theories, data, kernels and the ground floor that it reaches by imports. The lab keeps and shows what they
compute, and does not count.
"""

import ast
import functools
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from jaxtheory.lab.errors import Failure
from jaxtheory.lab.record.discovery import PACKAGE

WHOLE = 1 << 26
"""Bytes up to which a file of data is read whole for its hash."""
SAMPLE = 1 << 16
"""Bytes at either end that tell a longer one from others of its length."""
IGNORED = {
    ast.arg: {"annotation", "type_comment"},
    ast.FunctionDef: {"returns", "type_comment", "type_params"},
    ast.AsyncFunctionDef: {"returns", "type_comment", "type_params"},
    ast.ClassDef: {"type_params"},
    ast.AnnAssign: {"annotation"},
    ast.Assign: {"type_comment"},
    ast.For: {"type_comment"},
    ast.With: {"type_comment"},
    ast.Constant: {"kind"},
}
"""Fields of the syntax that say nothing of what is computed."""


def source_digest(file: Path) -> str:
    """Return a hash of what a file computes, and all modules that it reaches by imports, the lab left out."""
    sources = {file.name: syntax(file)}
    missing = set(imported(file))
    while missing:
        path = missing.pop()
        name = str(path.relative_to(PACKAGE))
        if name not in sources:
            sources[name] = syntax(path)
            missing |= imported(path)
    return sha256(repr(sorted(sources.items())).encode()).hexdigest()[:16]


def imported(file: Path) -> frozenset[Path]:
    """Return the package's files that a file imports, with packages on the way and without the lab."""
    return _read(file, file.stat().st_mtime_ns)[1]


def syntax(file: Path) -> str:
    """Return a hash of a file's syntax without docstrings, comments, annotations and errors' texts."""
    return _read(file, file.stat().st_mtime_ns)[0]


@functools.cache
def _read(file: Path, _changed: int) -> tuple[str, frozenset[Path]]:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise Failure(f"{file}, line {error.lineno}, cannot be parsed: {error.msg}") from error
    return sha256("".join(_told(tree)).encode(errors="surrogatepass")).hexdigest(), _imports(tree)


def _told(node: Any) -> Iterator[str]:
    """The syntax as text, the same for all Pythons: fields without content are left out."""
    if isinstance(node, ast.Raise):
        words = [one for one in ast.walk(node) if _is_text(one)]
        for one in words:
            one.value = ""  # an error's text
    if isinstance(node, ast.AST):
        yield type(node).__name__
        ignored = IGNORED.get(type(node), ())
        for name, part in ast.iter_fields(node):
            if name in ignored or (part is None and name != "value") or part == []:
                continue
            yield f" {name}="
            yield from _told(part)
        yield ";"
    elif isinstance(node, list):
        for one in node:
            # A text that stands alone is a docstring, of a module, class, function or field.
            if not (isinstance(one, ast.Expr) and _is_text(one.value)):
                yield from _told(one)
        yield ","
    else:
        yield repr(node)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _imports(tree: ast.AST) -> frozenset[Path]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # What is imported may be a module or a name in one.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = set()
    for name in names:
        package, *parts = name.split(".")
        if package != "jaxtheory" or parts[:1] == ["lab"]:
            continue
        for depth in range(len(parts) + 1):
            place = PACKAGE.joinpath(*parts[:depth])
            files |= {path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()}
    return frozenset(files)


def data_digest(data_dir: Path | None) -> str | None:
    """Return a hash of the names, lengths and contents of a folder's files, or of a file.

    Args:
        data_dir: The folder or file; `None` for none.

    Returns:
        The hash, or `None`.

    Raises:
        Failure: If it is not there or cannot be read.
    """
    if data_dir is None:
        return None
    if not data_dir.exists():
        raise Failure(f"there is no data folder {data_dir}: give another as --data-dir")
    digest = sha256()
    files = (
        [data_dir] if data_dir.is_file() else sorted(path for path in data_dir.rglob("*") if path.is_file())
    )
    try:
        for path in files:
            length = path.stat().st_size
            digest.update(repr((str(path.relative_to(data_dir)), length)).encode())
            with path.open("rb") as file:
                digest.update(file.read(length if length <= WHOLE else SAMPLE))
                if length > WHOLE:
                    file.seek(-SAMPLE, os.SEEK_END)
                    digest.update(file.read())
    except OSError as error:
        raise Failure(f"cannot read the data {path}: {error.strerror or error}") from error
    return digest.hexdigest()[:16]
