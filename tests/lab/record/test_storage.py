import errno
import io
import json
import math
import os
import pickle
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jaxtheory.lab.errors import Broken, Failure
from jaxtheory.lab.record import storage

NATIVE = (
    "?",
    "i1",
    "u1",
    "<i2",
    ">i4",
    "u8",
    "f2",
    "<f4",
    ">f8",
    "g",
    "F",
    "D",
    "<U3",
    ">U2",
    "S4",
    "M8[s]",
    "m8[D]",
)
ADDED = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4")
TREE = {
    "a": [np.arange(6).reshape(2, 3), (np.float32(0.5), None)],
    "b": {"text": np.array(["x", "yz"]), 1: ()},
}


def same(one, other):
    """Whether two trees have the same containers, and arrays of the same bits."""
    if isinstance(one, dict):
        return type(other) is dict and list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, tuple | list):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if one is None:
        return other is None
    one = np.asarray(one)
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@st.composite
def leaves(draw):
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    name = draw(st.sampled_from([*NATIVE, *ADDED]))
    if name in ADDED:
        return draw(arrays.arrays(np.int8, shape, elements=st.integers(0, 3))).astype(
            getattr(ml_dtypes, name)
        )
    array = draw(arrays.arrays(np.dtype(name), shape))
    return array.T if draw(st.booleans()) else array


keys = st.text(max_size=5) | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False)
trees = st.recursive(
    st.none() | leaves(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=6,
)


def packed(tree, about=None):
    file = io.BytesIO()
    storage.pack(file, tree, about)
    return file.getvalue()


@settings(max_examples=100)
@given(trees)
def test_trees_come_back_as_they_were(tree):
    assert same(tree, storage.unpack(io.BytesIO(packed(tree))))


@pytest.mark.parametrize("name", [*NATIVE, *ADDED])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (3, 2)])
def test_every_type_and_shape_comes_back(name, shape):
    dtype = getattr(ml_dtypes, name) if name in ADDED else np.dtype(name)
    array = np.ones(shape, np.int8).astype(dtype)
    found = storage.unpack(io.BytesIO(packed({"a": array})))["a"]
    assert same(array, found)
    assert found.dtype == dtype


def test_scalars_and_jax_arrays_come_back_as_arrays():
    import jax.numpy as jnp

    tree = {"int": 3, "float": 0.5, "text": "x", "jax": jnp.ones(2, jnp.bfloat16)}
    found = storage.unpack(io.BytesIO(packed(tree)))
    assert {name: array.tolist() for name, array in found.items()} == {
        "int": 3, "float": 0.5, "text": "x", "jax": [1, 1],
    }  # fmt: skip
    assert found["jax"].dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": [np.arange(2), object()]}, r"this holds a object: give its arrays in a dict"),
        ({"a": {1, 2}}, "only arrays in dicts, tuples and lists are stored, and this holds a set"),
        (np.array([None, 1]), "arrays of numbers and texts are stored, and this holds one of object"),
        (np.zeros(2, [("a", "f4")]), r"this holds one of \[\('a', '<f4'\)\]"),
        (np.zeros(2, "V3"), r"this holds one of \|V3"),
        ({(1, 2): np.zeros(1)}, r"a dict that is stored has texts and numbers as keys, not \(1, 2\)"),
    ],
)
def test_what_is_no_tree_of_arrays_is_refused(tree, message):
    with pytest.raises(TypeError, match=message):
        packed(tree)


def test_what_is_about_something_else_is_not_taken():
    content = packed(TREE, {"size": 300, "layers": (1, 2), "limit": math.inf})
    assert same(
        TREE, storage.unpack(io.BytesIO(content), {"size": np.int64(300), "layers": [1, 2], "limit": None})
    )
    with pytest.raises(Broken, match=r"holds \{'size': 300, .*\} where \{'size': 301\} was expected"):
        storage.unpack(io.BytesIO(content), {"size": 301})


def test_damage_is_noticed_wherever_it_is():
    content = packed(TREE, {"size": 300})
    broken = 0
    for length in range(len(content)):
        with pytest.raises(Broken, match=r"is damaged \("):
            storage.unpack(io.BytesIO(content[:length]), {"size": 300})
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x01 if place % 2 else 0xFF
        try:
            found = storage.unpack(io.BytesIO(changed), {"size": 300})
        except Broken:
            broken += 1
        else:  # a byte that says nothing of the content, as a time of the archive
            assert same(TREE, found)
    assert broken > len(content) / 2


class Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("member", [storage.STRUCTURE, "a0"])
def test_no_pickle_is_ever_loaded(member, tmp_path):
    structure = json.dumps({"tree": {"array": "a0", "dtype": "object"}, "about": {}}).encode()
    trap = np.array([Trap(tmp_path / "sprung")], object)
    members = {storage.STRUCTURE: np.frombuffer(structure, np.uint8), "a0": np.zeros(1), member: trap}
    np.savez(tmp_path / "file.npz", **members)
    with pytest.raises(
        Broken, match=r"file.npz is damaged \(Object arrays cannot be loaded when allow_pickle"
    ):
        storage.read_tree(tmp_path / "file.npz")
    (tmp_path / "file.npz").write_bytes(pickle.dumps(trap))
    with pytest.raises(Broken, match=r"file.npz is damaged"):
        storage.read_tree(tmp_path / "file.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "structure", [b"", b"[]", b'{"tree": {"list": 3}, "about": {}}', b'{"tree": {"os": "a0"}}']
)
def test_a_structure_that_is_none_is_damage(structure):
    file = io.BytesIO()
    np.savez(file, **{storage.STRUCTURE: np.frombuffer(structure, np.uint8)})
    with pytest.raises(Broken, match="is damaged"):
        storage.unpack(file)
    with pytest.raises(Broken, match="is damaged"):
        storage.unpack(io.BytesIO(b"\x93NUMPY\x01\x00"))
    with zipfile.ZipFile(empty := io.BytesIO(), "w"):
        pass
    with pytest.raises(Broken, match="is damaged"):
        storage.unpack(empty)


def test_a_file_that_is_not_there_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        storage.read_tree(tmp_path / "none.npz")


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "deep" / "file.npz"
    storage.write_tree(path, TREE)

    def interrupted(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write(path, interrupted)
    assert same(TREE, storage.read_tree(path))
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_is_killed_leaves_nothing_under_the_files_name(tmp_path):
    program = (
        "import os, sys, pathlib; from jaxtheory.lab.record import storage\n"
        "def fill(file): file.write(b'half'); file.flush(); os._exit(9)\n"
        "storage.write(pathlib.Path(sys.argv[1]), fill)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "file.npz")], check=False)
    assert ended.returncode == 9
    [left] = tmp_path.iterdir()
    assert left.name.startswith(storage.ASIDE)
    assert left.read_bytes() == b"half"


@pytest.fixture
def small_files():
    """The system refuses files beyond 1,000 bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_the_system_refuses_is_one_clear_line(tmp_path, small_files):
    path = tmp_path / "file.npz"
    storage.write_json(path, "before")
    kept = "what was stored before is kept, and the same command goes on from there"
    with pytest.raises(Failure, match=rf"^cannot write .*file.npz: File too large; {kept}$") as failure:
        storage.write_tree(path, np.zeros(1000))
    assert "\n" not in str(failure.value)
    assert storage.read_json(path) == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
def test_every_refusal_names_the_file_and_the_reason(tmp_path, monkeypatch, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    for name in ("open", "replace", "mkdir"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, name, refuse)
            with pytest.raises(
                Failure, match=rf"cannot write .*file.json: {os.strerror(code)}; what was stored"
            ):
                storage.write_json(tmp_path / "file.json", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "runs").write_text("")
    for path in (tmp_path / "runs" / "a.json", tmp_path / "runs" / "deep" / "a.json"):
        with pytest.raises(Failure, match=r"a.json: a file stands where a folder of it should be; what was"):
            storage.write_json(path, 1)
        with pytest.raises(Failure, match="a file stands where a folder of it should be"):
            storage.append_line(path, "x")
    with pytest.raises(Failure, match=r"cannot read .*: Not a directory"):
        storage.read_lines(tmp_path / "runs" / "a.json")


def test_records_are_json_that_every_reader_takes(tmp_path):
    path = tmp_path / "a.json"
    storage.write_json(
        path, {"a": np.float32(0.5), 1: (math.nan, -math.inf), "b": np.arange(2), "ü": [None, True]}
    )
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {
        "a": 0.5, "1": [None, None], "b": [0, 1], "ü": [None, True],
    }  # fmt: skip
    with pytest.raises(
        TypeError, match="a record holds numbers, texts, arrays, lists and dicts, not a PosixPath"
    ):
        storage.write_json(path, {"a": path})
    assert storage.read_json(path)["a"] == 0.5
    for damaged in (b"", b'{"a": 1', b"\xff\xfe"):
        path.write_bytes(damaged)
        with pytest.raises(Broken, match=r"a.json is no whole JSON file"):
            storage.read_json(path)


def test_a_log_keeps_whole_lines_only(tmp_path):
    path = tmp_path / "deep" / "log.jsonl"
    assert storage.read_lines(path) == []
    lines = ["first", "a\u2028b\x85c\x0bd", "ü" * 3]
    for line in lines:
        storage.append_line(path, line)
    assert storage.read_lines(path) == lines
    path.write_bytes(path.read_bytes() + b"cut o")
    assert storage.read_lines(path) == lines
    storage.append_line(path, "last")
    assert storage.read_lines(path) == [*lines, "last"]
    path.write_bytes(b"\xff\n" + path.read_bytes())
    assert storage.read_lines(path)[1:] == [*lines, "last"]


names = st.text(min_size=1, max_size=100).filter(str.strip)


@settings(max_examples=100)
@given(
    st.lists(
        names | st.sampled_from(["a b", "a_b", "A_b", "a/b", "../a", ".a", "a.", "ab", "AB"]), unique=True
    )
)
def test_names_of_files_are_safe_and_apart(found):
    slugs = [storage.slug(name) for name in found]
    # Some file systems take capitals for small letters.
    assert len({slug.lower() for slug in slugs}) == len(slugs)
    for slug in slugs:
        assert set(slug) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
        assert 0 < len(slug) <= 69
        assert not slug.startswith(".")


def test_a_plain_name_is_its_files_name():
    assert storage.slug("error_by_size-2.5") == "error_by_size-2.5"
    with pytest.raises(ValueError, match="what is stored needs a name, got an empty one"):
        storage.slug(" ")
