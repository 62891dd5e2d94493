"""The reader of safetensors: a hand-made file against NumPy, and every way to be wrong or hostile."""

import contextlib
import json

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.networks import safetensors

ARRAYS = {
    "rows": np.arange(6, dtype=np.float32).reshape(2, 3) / 8,
    "one": np.array(-7, np.int64),
    "none": np.zeros((0, 3), np.float64),
    "half": np.array([1.5, -2.0], jnp.bfloat16),
    "flags": np.array([True, False, True]),
}


def described(arrays=ARRAYS):
    """The header of arrays that lie one after the other."""
    names = {np.dtype(dtype): name for name, dtype in safetensors.DTYPES.items()}
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, array in arrays.items():
        offsets = [end, end + array.nbytes]
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
        end += array.nbytes
    return header


def whole(header=None, numbers=None, length=None):
    text = header if isinstance(header, bytes) else json.dumps(described() if header is None else header)
    text = text if isinstance(text, bytes) else text.encode()
    numbers = b"".join(one.tobytes() for one in ARRAYS.values()) if numbers is None else numbers
    return (len(text) if length is None else length).to_bytes(8, "little") + text + numbers


def read(tmp_path, content):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(content)
    return safetensors.read(file)


def test_arrays_are_those_that_were_written(tmp_path):
    found = read(tmp_path, whole(json.dumps(described()).encode() + b"   "))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)
    found["rows"][0, 0] = 1  # arrays are the caller's own
    assert read(tmp_path, whole(b"{}", b"")) == {}


def test_a_file_that_ends_early_is_refused_wherever_it_ends(tmp_path):
    content = whole()
    for length in [*range(0, len(content), 7), *range(len(content) - 7, len(content))]:
        with pytest.raises(ValueError, match=r"weights\.safetensors .*: take a file in the format safetens"):
            read(tmp_path, content[:length])


@given(st.integers(0, len(whole()) - 1), st.integers(0, 255))
def test_a_byte_that_is_another_gives_arrays_or_is_refused(tmp_path_factory, place, byte):
    content = whole()
    found = {}
    with contextlib.suppress(ValueError):
        found = read(
            tmp_path_factory.mktemp("changed"), content[:place] + bytes([byte]) + content[place + 1 :]
        )
    assert sum(array.size for array in found.values()) <= 100


def changed(**entry):
    header = described()
    return header | {"rows": header["rows"] | entry}


HOSTILE = [
    (b"abc", "ends at byte 3, within the length of its header"),
    (whole(length=2**63), f"asks for a header of {2**63} bytes, where 100000000 are allowed"),
    (whole(length=10**7), r"ends at byte \d+, where its header needs 10000008"),
    (whole(b"{'a': 1}"), "has a header that is no JSON"),
    (whole(b"\xff{}"), "has a header that is no JSON"),
    (whole(b"[" * 100_000), "has a header that is no JSON"),
    (whole(b"[]", b""), "has a header that is no JSON object"),
    (whole(b'{"a": 1}', b""), "describes 'a' by something else"),
    (whole(b'{"a": 1, "a": 1}'), "names something twice in its header"),
    (
        whole({"a": {"dtype": "F32", "shape": []}}),
        "describes 'a' by something else than dtype, shape and data",
    ),
    (whole(changed(dtype="F128")), "has 'rows' of dtype 'F128'"),
    (whole(changed(dtype=["F32"])), "has 'rows' of dtype "),
    (whole(changed(shape=[2, -3])), r"has 'rows' of shape \[2, -3\]"),
    (whole(changed(shape=[2, 3.0])), r"has 'rows' of shape \[2, 3\.0\]"),
    (whole(changed(shape=[True, 6])), r"has 'rows' of shape \[True, 6\]"),
    (whole(changed(shape=[1] * 33)), "has 'rows' of shape "),
    (whole(changed(shape=[2**62, 2**62])), "has 24 bytes for 'rows', where its shape needs "),
    (whole(changed(data_offsets=[0])), r"has 'rows' at \[0\]"),
    (whole(changed(data_offsets=[24, 0])), r"has 'rows' at \[24, 0\]"),
    (whole(changed(data_offsets=[8, 32])), r"has '\w+' at byte \d+ of its numbers, where \d+ is free"),
    (whole(numbers=bytes(80)), "has 80 bytes of numbers, where its arrays take 39"),
]


@pytest.mark.parametrize(("content", "message"), HOSTILE)
def test_what_is_hostile_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"weights\.safetensors {message}.*: take a file in the format"):
        read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        safetensors.read(tmp_path / "nothing")
