"""Weights that PyTorch saved, read without PyTorch and without running what the file says.

The format is the old one, of `torch.save` before version 1.6: five pickles, which are a magic number, a
version, the sizes of types, a dictionary of arrays and the keys of its storages; then the numbers of each
storage. A pickle is a program. Its machine is here one that knows the thirty instructions which such files
need, and four names, for which it makes plain dictionaries and records; whatever else a file asks for is
refused before an array is made.
"""

import io
import math
import pickletools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
"""With what the files of this format begin."""
STORAGES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}
"""The names of the kinds of storages, and the numbers in them."""
DICTIONARY, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
"""The names of what may be called."""
MOST_AXES, MOST = 32, 2**40
"""The largest number of axes of an array, and of what is counted along one."""

_PUSHED = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_PLAIN = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}
_KNOWN = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Refused(ValueError):
    """What a file has no right to hold."""


class _Name(NamedTuple):
    """A name that a file asks for, and may have."""

    name: str


class _Storage(NamedTuple):
    """Numbers that follow later in the file."""

    key: str
    kind: str
    numbers: int


class _Tensor(NamedTuple):
    """An array, as a part of a storage; its offset and strides count numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: Path | str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Read the arrays of a `state_dict` that PyTorch saved in its old format.

    Nothing in the file is executed: its instructions are read one by one, and only those that build
    dictionaries, tuples and arrays of float32 or int64 are followed. All sizes are compared with the file's
    before an array is made.

    Args:
        path: The file.

    Returns:
        The arrays by name, in the order of the file; what shares numbers there shares memory here.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is of another format, truncated, damaged, or asks for anything else than arrays; the
            message names the file, the place and what was found.
    """
    content = Path(path).read_bytes()
    try:
        tensors, places = _parsed(content)
    except _Refused as error:
        raise ValueError(
            f"{path} {error}: take a dictionary of arrays, saved by PyTorch in its old format"
        ) from error
    # No instruction of the file has a say in how much is copied: each number of it is, once.
    numbers = {
        key: np.frombuffer(content, kind, count, place).astype(kind.newbyteorder("="))
        for key, (kind, count, place) in places.items()
    }
    return {name: _array(numbers[one.storage.key], one) for name, one in tensors.items()}


Places = dict[str, tuple[np.dtype, int, int]]
"""The dtype of each storage, how many numbers it holds, and the byte at which they begin."""


def _parsed(content: bytes) -> tuple[dict[str, _Tensor], Places]:
    """The arrays as parts of storages, and where these lie."""
    if content.startswith(b"PK"):
        raise _Refused("is of PyTorch's zipped format")
    stream, storages = io.BytesIO(content), {}
    if _run(stream, storages) != MAGIC or _run(stream, storages) != VERSION:
        raise _Refused("does not begin as a file of this format")
    system = _run(stream, storages)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _Refused("was not saved on a little-endian machine")
    tensors = _run(stream, storages)
    if not isinstance(tensors, dict):
        raise _Refused(f"holds {_kind(tensors)}")
    for name, one in tensors.items():
        if not isinstance(one, _Tensor):
            raise _Refused(f"holds {_kind(one)} as {name!r:.60}")
    keys = _run(stream, storages)
    is_list = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not is_list or sorted(keys) != sorted(storages):
        raise _Refused("names other storages in its list than in its arrays")
    return tensors, _places(content, stream.tell(), [storages[key] for key in keys])


def _places(content: bytes, place: int, storages: list[_Storage]) -> Places:
    """Where the numbers of each storage lie, each after their count; the last ones end the file."""
    places = {}
    for key, name, numbers in storages:
        kind = np.dtype(STORAGES[name])
        count = int.from_bytes(content[place : place + 8], "little", signed=True)
        places[key] = kind, numbers, place + 8
        place += 8 + numbers * kind.itemsize
        if place > len(content):
            raise _Refused(f"ends at byte {len(content)}, where its arrays need {place} or more")
        if count != numbers:
            raise _Refused(f"holds {count} numbers in storage {key!r:.40}, of which arrays take {numbers}")
    if place < len(content):
        raise _Refused(f"goes on for {len(content) - place} bytes after its last number")
    return places


def _array(numbers: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """An array, as a view of the numbers of its storage."""
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, numbers.dtype)
    size = numbers.itemsize
    strides = tuple(stride * size for stride in tensor.strides)
    return np.ndarray(tensor.shape, numbers.dtype, numbers, tensor.offset * size, strides)


def _run(stream: io.BytesIO, storages: dict[str, _Storage]) -> Any:
    """What one pickle describes: numbers, texts, dictionaries, lists, tuples, and the records above."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    place = stream.tell()
    try:
        for at, name, argument in _instructions(stream):
            place = at
            if name == "STOP":
                return stack.pop()
            _follow(name, argument, stack, marks, memo, storages)
    except (IndexError, KeyError) as error:
        raise _Refused(f"is damaged at byte {place}") from error
    except _Refused as error:
        raise _Refused(f"{error} at byte {place}") from error
    raise _Refused(f"is truncated at byte {place}")


def _instructions(stream: io.BytesIO) -> Iterator[tuple[int, str, Any]]:
    """The instructions of a pickle, with their places."""
    found = pickletools.genops(stream)
    while True:
        try:
            opcode, argument, place = next(found)
        except StopIteration:
            return
        except (ValueError, UnicodeError) as error:
            raise _Refused(f"is truncated or no file of this format ({error})") from error
        yield place, opcode.name, argument


def _follow(
    name: str,
    argument: Any,
    stack: list[Any],
    marks: list[int],
    memo: dict[int, Any],
    storages: dict[str, _Storage],
) -> None:
    """Follow one instruction, or refuse it."""
    if name in _PUSHED:
        stack.append(_PUSHED[name]())
    elif name in _PLAIN:
        stack.append(argument)
    elif name in _KNOWN:
        stack.append(_KNOWN[name])
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name == "MARK":
        marks.append(len(stack))
    elif name in _TUPLES:
        stack.append(tuple(_taken(stack, len(stack) - _TUPLES[name])))
    elif name == "TUPLE":
        stack.append(tuple(_taken(stack, marks.pop())))
    elif name in ("SETITEM", "SETITEMS"):
        pairs = _taken(stack, marks.pop() if name == "SETITEMS" else len(stack) - 2)
        _fill(stack[-1], pairs)
    elif name in ("APPEND", "APPENDS"):
        items = _taken(stack, marks.pop() if name == "APPENDS" else len(stack) - 1)
        if not isinstance(stack[-1], list):
            raise _Refused(f"appends to {_kind(stack[-1])}")
        stack[-1].extend(items)
    elif name == "GLOBAL":
        if argument not in (DICTIONARY, TENSOR, *STORAGES):
            raise _Refused(f"asks for {argument.replace(' ', '.')!r:.80}")
        stack.append(_Name(argument))
    elif name == "REDUCE":
        arguments, function = stack.pop(), stack.pop()
        stack.append(_called(function, arguments))
    elif name == "BINPERSID":
        stack.append(_storage(stack.pop(), storages))
    elif name == "BUILD":
        # What PyTorch notes beside the arrays, versions of layers, is left out.
        state = stack.pop()
        if not isinstance(state, dict) or not isinstance(stack[-1], dict):
            raise _Refused(f"sets the state of {_kind(stack[-1])}")
    elif name != "PROTO":
        raise _Refused(f"has the instruction {name}")


def _taken(stack: list[Any], start: int) -> list[Any]:
    """What lies on the stack from a place on, which is taken off it."""
    if not 0 <= start <= len(stack):
        raise IndexError(start)
    taken = stack[start:]
    del stack[start:]
    return taken


def _fill(target: Any, pairs: list[Any]) -> None:
    """Put keys and values, in turns, into a dictionary."""
    keys, values = pairs[::2], pairs[1::2]
    if not isinstance(target, dict) or len(keys) != len(values):
        raise _Refused(f"sets items of {_kind(target)}")
    for key, value in zip(keys, values):
        if not isinstance(key, str):
            raise _Refused(f"has {_kind(key)} as a key")
        target[key] = value


def _called(function: Any, arguments: Any) -> Any:
    """What one of the two names that may be called returns."""
    called = function.name if isinstance(function, _Name) else None
    if called == DICTIONARY and arguments == ():
        return {}
    if called != TENSOR:
        raise _Refused(f"calls {called.replace(' ', '.') if called else 'something else'} with arguments")
    form = (_Storage, int, tuple, tuple, bool, dict)
    if not isinstance(arguments, tuple) or tuple(map(type, arguments)) != form or arguments[5]:
        raise _Refused("makes an array of something else than a storage, an offset, a shape and strides")
    storage, offset, shape, strides = arguments[:4]
    # Not shown: what has not been found to be numbers may be of any size.
    if not all(type(one) is int and 0 <= one <= MOST for one in (offset, *shape, *strides)):
        raise _Refused(f"makes an array whose shape or strides are no whole numbers up to {MOST}")
    if len(shape) != len(strides) or len(shape) > MOST_AXES:
        raise _Refused(f"makes an array of {len(shape)} axes with {len(strides)} strides")
    size = math.prod(shape)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides)) if size else offset - 1
    if max(size, last + 1) > storage.numbers or math.prod(max(n, 1) for n in shape) > MOST:
        told = f"shape {shape!r:.60}, strides {strides!r:.60} and offset {offset}"
        raise _Refused(f"makes an array of {told} from {storage.numbers} numbers")
    return _Tensor(storage, offset, shape, strides)


def _storage(identity: Any, storages: dict[str, _Storage]) -> _Storage:
    """The storage that a persistent identity means, which is the same for the same key."""
    form = (str, _Name, str, str, int, type(None))
    is_storage = isinstance(identity, tuple) and tuple(map(type, identity)) == form
    if not is_storage or identity[0] != "storage" or identity[1].name not in STORAGES or identity[4] < 0:
        raise _Refused("refers to something else than a storage")
    _, kind, key, _, numbers, _ = identity
    storage = _Storage(key, kind.name, numbers)
    if storages.setdefault(key, storage) != storage:
        raise _Refused(f"has two storages with the key {key!r:.40}")
    return storage


def _kind(value: Any) -> str:
    """The type of a value in words; the value itself may be too large to show."""
    return f"what is of type {type(value).__name__.strip('_')}"
