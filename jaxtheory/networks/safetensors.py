"""Arrays in the format safetensors, read without its library.

A file is the length of its header, eight bytes; the header, a JSON object with dtype, shape and place of each
array by name; and the numbers, one array after the other. Nothing in it can be executed.

References:
    Hugging Face, "Safetensors: format", https://github.com/huggingface/safetensors, 2022.
"""

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(jnp.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("<i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
"""The names of dtypes; what they name is stored with the lowest byte first."""
PREFIX, LONGEST = 8, 100_000_000
"""The bytes of the header's length, and the longest header that the format allows."""
MOST_AXES = 32
METADATA = "__metadata__"


class _Refused(ValueError):
    """What a file has no right to hold."""


class _Place(NamedTuple):
    """An array in the file, with the bytes at which it begins and ends, from the end of the header on."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


def read(path: Path | str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Read the arrays of a file in the format safetensors.

    All sizes are compared with the file's before an array is made.

    Args:
        path: The file.

    Returns:
        The arrays by name, in the order of the header.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is of another format, truncated or damaged; the message names the file and what was
            found.
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            length = _length(file.read(PREFIX), size)
            places = _places(file.read(length), size - PREFIX - length)
        except _Refused as error:
            raise ValueError(f"{path} {error}: take a file in the format safetensors") from error
        arrays = {}
        for name, place in places.items():
            file.seek(PREFIX + length + place.start)
            content = file.read(place.stop - place.start)
            if len(content) != place.stop - place.start:
                raise ValueError(f"{path} was cut while it was read: fetch it again")
            numbers = np.frombuffer(content, place.dtype).reshape(place.shape)
            arrays[name] = numbers.astype(place.dtype.newbyteorder("="))
        return arrays


def _length(prefix: bytes, size: int) -> int:
    """The length of the header."""
    if len(prefix) < PREFIX:
        raise _Refused(f"ends at byte {len(prefix)}, within the length of its header")
    length = int.from_bytes(prefix, "little")
    if length > LONGEST:
        raise _Refused(f"asks for a header of {length} bytes, where {LONGEST} are allowed")
    if PREFIX + length > size:
        raise _Refused(f"ends at byte {size}, where its header needs {PREFIX + length}")
    return length


def _places(header: bytes, size: int) -> dict[str, _Place]:
    """The arrays that a header names, which fill the bytes after it."""
    try:
        entries = json.loads(header.decode("utf-8"), object_pairs_hook=_once)
    except _Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise _Refused("has a header that is no JSON") from error
    if not header.startswith(b"{"):
        raise _Refused("has a header that is no JSON object")
    places = {name: _place(name, entry) for name, entry in entries.items() if name != METADATA}
    end = 0
    for name, place in sorted(places.items(), key=lambda item: item[1][2:]):
        if place.start != end:
            raise _Refused(f"has {name!r:.60} at byte {place.start} of its numbers, where {end} is free")
        end = place.stop
    if end != size:
        raise _Refused(f"has {size} bytes of numbers, where its arrays take {end}")
    return places


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("names something twice in its header")
    return found


def _place(name: str, entry: Any) -> _Place:
    """An array's dtype, shape and place, known to fit each other."""
    told = f"{name!r:.60}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _Refused(f"describes {told} by something else than dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _Refused(f"has {told} of dtype {dtype!r:.20}")
    if not _are_sizes(shape) or len(shape) > MOST_AXES:
        raise _Refused(f"has {told} of shape {shape!r:.60}")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _Refused(f"has {told} at {offsets!r:.60}")
    needed = math.prod(shape) * DTYPES[dtype].itemsize
    if offsets[1] - offsets[0] != needed:
        raise _Refused(f"has {offsets[1] - offsets[0]} bytes for {told}, where its shape needs {needed}")
    return _Place(DTYPES[dtype], tuple(shape), *offsets)


def _are_sizes(values: Any) -> bool:
    """Whether it is a list of whole numbers, none of them negative or beyond 64 bits."""
    return isinstance(values, list) and all(type(one) is int and 0 <= one < 2**63 for one in values)
