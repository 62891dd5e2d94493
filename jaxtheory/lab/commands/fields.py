"""The fields of an experiment's `Config` as flags: which there are, what they say, and what they read."""

import argparse
import ast
import dataclasses
import inspect
import re
import shlex
import textwrap
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from jaxtheory.lab.commands.flags import Parser
from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.record.ranges import Range

SCALARS = {type(None): "None", bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
"""What a flag can carry, alone, in tuples and as alternatives; the first that fits is taken."""


class Switch(argparse.Action):
    """A flag without a value: `--fast` for True, `--no_fast` for False."""

    def __init__(self, **options: Any):
        super().__init__(nargs=0, **options)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str = ""
    ) -> None:
        """Keep the word that the flag stands for, as the others keep theirs."""
        del parser, values
        setattr(namespace, self.dest, [str(not option.startswith("--no_"))])


def add(parser: Parser, experiment: str, default: Any) -> None:
    """Give a parser a flag for each field of a configuration.

    Args:
        parser: The parser, with the command's own flags.
        experiment: The experiment's name, for headings and messages.
        default: The configuration without flags.

    Raises:
        Failure: For a field whose type no flag can carry, or whose name is a flag of the command's.
    """
    group = parser.add_argument_group(f"fields of {experiment}")
    parser.put_first(group)
    described, ranges = _docstrings(type(default)), _ranges(default)
    taken = parser.flags
    for name, hint in _types(default).items():
        if not _is_carried(hint):
            text = str(hint) if typing.get_args(hint) else getattr(hint, "__name__", str(hint))
            raise Failure(
                f"{experiment}: no flag can carry the field '{name}' of type {text}: use bool, int, float, "
                "str, Literal, tuples of them, and alternatives"
            )
        if f"--{name.replace('_', '-')}" in taken:
            raise Failure(f"{experiment}: the field '{name}' is a flag of `jaxtheory run`: rename it")
        value = getattr(default, name)
        text = shlex.join(map(str, value)) if isinstance(value, tuple) else str(value)
        limits = "; ".join([*ranges.get(name, []), f"default: {text}"])
        said = f"{described.get(name, '')} ({limits})".strip().replace("%", "%%")
        if hint is bool:
            group.add_argument(f"--{name}", f"--no_{name}", action=Switch, dest=f"field {name}", help=said)
        else:
            group.add_argument(
                f"--{name}", nargs=_count(hint), dest=f"field {name}", metavar=_metavar(hint), help=said
            )


def _ranges(default: Any) -> dict[str, list[str]]:
    """The ranges of the fields in words."""
    hints = typing.get_type_hints(type(default), include_extras=True)
    return {
        name: [str(one) for one in getattr(hint, "__metadata__", ()) if isinstance(one, Range)]
        for name, hint in hints.items()
    }


def _metavar(hint: Any) -> str:
    """What stands for a value in the help: N for a whole number, X for a number."""
    several = [
        part for one in _alternatives(hint) for part in (typing.get_args(one) if _is_tuple(one) else [one])
    ]
    kinds = {one for one in several if one not in (Ellipsis, type(None))}
    names = {int: "N", float: "X", str: "TEXT"}
    kind = kinds.pop() if len(kinds) == 1 else None
    if typing.get_origin(kind) is typing.Literal:
        return f"{{{','.join(shlex.quote(str(one)) for one in typing.get_args(kind))}}}"
    return names.get(kind, "VALUE")


def spelled(arguments: Iterable[str], default: Any) -> list[str]:
    """Write the flags of fields with underscores, as `--J_max` for `--J-max`."""
    names = set(_types(default))
    names |= {f"no_{name}" for name, hint in _types(default).items() if hint is bool}

    def one(argument: str) -> str:
        flag, equals, value = argument.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        return f"--{name}{equals}{value}" if flag.startswith("--") and name in names else argument

    return [one(argument) for argument in arguments]


def configuration(experiment: str, default: Any, options: argparse.Namespace) -> Any:
    """Read a configuration from parsed flags.

    Args:
        experiment: The experiment's name, for messages.
        default: The configuration without flags.
        options: The flags, as the parser has read them.

    Returns:
        A configuration of the default's class.

    Raises:
        Usage: For a value that is not of the field's type, or that the class refuses.
    """
    changed = {}
    for name, hint in _types(default).items():
        given = getattr(options, f"field {name}", None)
        if given is None:
            continue
        given = [given] if isinstance(given, str) else given
        try:
            changed[name] = _read(hint, given)
        except ValueError:
            shown = " ".join(given)
            found = f"is {shown!r}" if given else "has no value"
            raise Usage(f"{experiment}: --{name} {found}: take {_words(hint)}") from None
    try:
        return dataclasses.replace(default, **changed)
    except (TypeError, ValueError) as error:
        raise Usage(f"{experiment}: {error}") from error


def _types(default: Any) -> dict[str, Any]:
    """The types of the fields, without what annotates them."""
    hints = typing.get_type_hints(type(default))
    return {field.name: hints[field.name] for field in dataclasses.fields(default)}


def _is_tuple(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the type itself."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _is_carried(hint: Any, *, inside: bool = False) -> bool:
    """Whether a flag can carry a type; tuples hold no tuples."""
    if typing.get_origin(hint) is typing.Literal or hint in SCALARS:
        return True
    if _is_tuple(hint):
        parts = [part for part in typing.get_args(hint) if part is not Ellipsis]
        return not inside and all(_is_carried(part, inside=True) for part in parts)
    several = _alternatives(hint)
    return len(several) > 1 and all(_is_carried(one, inside=inside) for one in several)


def _count(hint: Any) -> str | int | None:
    """How many words a flag takes, as argparse writes it."""
    counts = {
        ("*" if Ellipsis in typing.get_args(one) else len(typing.get_args(one))) if _is_tuple(one) else None
        for one in _alternatives(hint)
    }
    return counts.pop() if len(counts) == 1 else "*"


def _read(hint: Any, given: Sequence[str]) -> Any:
    """A value of a type from words; ValueError where they do not fit."""
    tuples = [one for one in _alternatives(hint) if _is_tuple(one)]
    others = [one for one in _alternatives(hint) if not _is_tuple(one)]
    if len(given) == 1 and others:
        try:
            return _read_one(others, given[0])
        except ValueError:
            if not tuples:
                raise
    for one in tuples:
        parts = typing.get_args(one)
        if Ellipsis in parts and given:
            parts = parts[:1] * len(given)
        if len(parts) == len(given):
            try:
                return tuple(_read_one(_alternatives(part), word) for part, word in zip(parts, given))
            except ValueError:
                continue
    raise ValueError


def _read_one(allowed: Sequence[Any], word: str) -> Any:
    """A value of one of some types; whole numbers stay whole, and text is what nothing else fits."""
    for option in (o for one in allowed if typing.get_origin(one) is typing.Literal for o in one.__args__):
        if str(option) == word:
            return option
    for kind in SCALARS:
        if kind not in allowed:
            continue
        if kind in (int, float, str):
            try:
                return kind(word)
            except ValueError:
                continue
        value = {"none": None, "true": True, "false": False}.get(word.lower(), word)
        if isinstance(value, kind):
            return value
    raise ValueError


def _words(hint: Any) -> str:
    """A type in words, as 'a whole number' or 'one or more numbers'."""
    if typing.get_origin(hint) is typing.Literal:
        *others, last = (shlex.quote(str(one)) for one in typing.get_args(hint))
        return f"{', '.join(others)} or {last}" if others else last
    if not _is_tuple(hint):
        return " or ".join(SCALARS[one] if one in SCALARS else _words(one) for one in _alternatives(hint))
    parts = typing.get_args(hint)
    if Ellipsis not in parts:
        return f"{len(parts)} values, {', '.join(map(_words, parts))}"
    plural = re.fullmatch(r"an? ([a-z ]+)", _words(parts[0])) if parts[0] in SCALARS else None
    return f"one or more {plural[1]}s" if plural else f"one or more of {_words(parts[0])}"


def _docstrings(cls: type) -> dict[str, str]:
    """The docstrings below the fields of a dataclass and of those that it inherits from."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        try:
            [tree] = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        except (OSError, TypeError, SyntaxError, ValueError):  # made without a file
            continue
        for before, after in zip(tree.body, tree.body[1:]):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(before, ast.AnnAssign) and is_text and isinstance(after.value.value, str):
                found[before.target.id] = " ".join(after.value.value.split())
    return found
