"""The reader of PyTorch's old files: hand-made ones against NumPy, and every way to be wrong or hostile."""

import contextlib
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtheory.networks import torch_weights

SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
FLOATS = np.arange(12, dtype=np.float32) / 8
INTEGERS = np.int64([7, -3])
DICTIONARY = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(words):
    return b"X" + struct.pack("<i", len(words)) + words.encode()


def numbers(*ones):
    """A tuple."""
    return b"(" + b"".join(b"J" + struct.pack("<i", one) for one in ones) + b"t"


def number(one):
    return b"J" + struct.pack("<i", one)


def storage(key="a", count=12, kind=b"Float", view=b"N", first="storage"):
    """A persistent identity and the instruction that resolves it."""
    return (
        b"(" + text(first) + b"ctorch\n" + kind + b"Storage\n" + text(key) + text("cpu") + number(count)
    ) + view + b"tQ"  # fmt: skip


def tensor(of=None, offset=0, shape=(12,), strides=(1,), hooks=DICTIONARY + b")R", function=REBUILD):
    of = storage() if of is None else of
    return (
        function + b"(" + of + number(offset) + numbers(*shape) + numbers(*strides) + b"\x89" + hooks + b"tR"
    )


def state(*items):
    """The instructions of a dictionary of texts and instructions."""
    filled = b"".join(text(name) + value for name, value in items)
    return b"\x80\x02" + DICTIONARY + b")R(" + filled + b"u."


def whole(body, keys=("a",), stored=(FLOATS,), system=SYSTEM, magic=torch_weights.MAGIC, version=1001):
    """A file of PyTorch's old format."""
    plain = [pickle.dumps(one, protocol=2) for one in (magic, version, system)]
    data = b"".join(struct.pack("<q", one.size) + one.tobytes() for one in stored)
    return b"".join(plain) + body + pickle.dumps(list(keys), protocol=2) + data


def read(tmp_path, content):
    file = tmp_path / "weights.pth"
    file.write_bytes(content)
    return torch_weights.read(file)


VALID = whole(
    state(
        ("rows", tensor(shape=(3, 4), strides=(4, 1))),
        ("columns", tensor(shape=(4, 3), strides=(1, 4))),
        ("part", tensor(offset=5, shape=(2, 2), strides=(4, 2))),
        ("last", tensor(offset=11, shape=(), strides=())),
        ("none", tensor(shape=(0, 3), strides=(3, 1))),
        ("two", tensor(storage("b", 2, b"Long"), shape=(2,))),
    ),
    ("b", "a"),
    (INTEGERS, FLOATS),
)


def test_arrays_are_the_strided_parts_of_their_storages(tmp_path):
    found = read(tmp_path, VALID)
    rows = FLOATS.reshape(3, 4)
    expected = {
        "rows": rows,
        "columns": rows.T,
        "part": FLOATS[[[5, 7], [9, 11]]],
        "last": FLOATS[11],
        "none": np.zeros((0, 3), np.float32),
        "two": INTEGERS,
    }
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)
    found["rows"][0, 0] = -1
    assert found["columns"][0, 0] == -1


def test_what_pytorch_notes_beside_the_arrays_is_left_out(tmp_path):
    noted = state(("x", tensor()))[:-1] + b"}" + text("_metadata") + b"}sb."
    assert list(read(tmp_path, whole(noted))) == ["x"]


def test_a_file_that_ends_early_is_refused_wherever_it_ends(tmp_path):
    for length in [*range(0, len(VALID), 9), *range(len(VALID) - 9, len(VALID))]:
        with pytest.raises(ValueError, match=r"weights\.pth .*: take a dictionary of arrays, saved by PyTor"):
            read(tmp_path, VALID[:length])


@given(st.integers(0, len(VALID) - 1), st.integers(0, 255))
def test_a_byte_that_is_another_gives_arrays_or_is_refused(tmp_path_factory, place, byte):
    content = VALID[:place] + bytes([byte]) + VALID[place + 1 :]
    found = {}
    with contextlib.suppress(ValueError):
        found = read(tmp_path_factory.mktemp("changed"), content)
    assert sum(array.size for array in found.values()) <= 100


def test_nothing_that_a_file_asks_for_is_run(tmp_path):
    command = text(f"touch {tmp_path}/run")
    for call in (b"cos\nsystem\n(" + command + b"tR", b"cposix\nsystem\n" + command + b"\x85R"):
        with pytest.raises(ValueError, match=r"asks for '(os|posix)\.system' at byte \d+"):
            read(tmp_path, whole(b"\x80\x02" + call + b"."))
        with pytest.raises(ValueError, match=r"asks for '(os|posix)\.system' at byte \d+"):
            read(tmp_path, whole(state(("x", tensor(hooks=call)))))
        # The other pickles of a file are read by the same machine.
        with pytest.raises(ValueError, match=r"asks for '(os|posix)\.system' at byte 2: take"):
            read(tmp_path, b"\x80\x02" + call + b".")
    assert not (tmp_path / "run").exists()


NESTED = b")q\x00" + b"h\x00\x86q\x00" * 60
"""A tuple whose text would be of 2^60 letters, from a hundred bytes."""
HOSTILE = [
    (b"cbuiltins\neval\n.", r"asks for 'builtins\.eval'"),
    (b"ctorch\nDoubleStorage\n.", r"asks for 'torch\.DoubleStorage'"),
    (b"ccollections\nOrderedDict.__init__\n.", r"asks for 'collections\.OrderedDict\.__init__'"),
    (b"\x8c\x02os\x8c\x06system\x93.", "has the instruction SHORT_BINUNICODE"),
    (text("os") + text("system") + b"\x93.", "has the instruction STACK_GLOBAL"),
    (b"(" + text("ls") + b"ios\nsystem\n.", "has the instruction INST"),
    (b"(ctorch\nFloatStorage\no.", "has the instruction OBJ"),
    (b"ctorch\nFloatStorage\n)\x81.", "has the instruction NEWOBJ"),
    (b"\x82\x01.", "has the instruction EXT1"),
    (b"Pa file\n.", "has the instruction PERSID"),
    (b")2\x86.", "has the instruction DUP"),
    (b"ctorch\nFloatStorage\n)R.", r"calls torch\.FloatStorage with arguments"),
    (DICTIONARY + b"]\x85R.", r"calls collections\.OrderedDict with arguments"),
    (text("collections OrderedDict") + b")R.", "calls something else with arguments"),
    (b")" + text("collections OrderedDict") + b"\x85R.", "calls something else with arguments"),
    (tensor() + b"}b.", "sets the state of what is of type Tensor"),
    (DICTIONARY + b"}b.", "sets the state of what is of type Name"),
    (b"})s.", "is damaged"),
    (b"}" + number(1) + b"Ns.", "has what is of type int as a key"),
    (b"})" + text("x") + b"s.", "has what is of type tuple as a key"),
    (b"](NNu.", "sets items of what is of type list"),
    (b"}(Nu.", "sets items of what is of type dict"),
    (b"}Na.", "appends to what is of type dict"),
    (b"h\x05.", "is damaged"),
    (b"t.", "is damaged"),
    (b"R.", "is damaged"),
    (b".", "is damaged"),
]


@pytest.mark.parametrize(("body", "message"), HOSTILE)
def test_an_instruction_that_arrays_do_not_need_is_refused(tmp_path, body, message):
    with pytest.raises(ValueError, match=rf"weights\.pth {message} at byte \d+: take a dictionary of arr"):
        read(tmp_path, whole(b"\x80\x02" + body))


PARTS = [
    (storage(first="module"), "refers to something else than a storage"),
    (storage(view=b"(" + text("v") + number(0) + number(3) + b"t"), "refers to something else than a stora"),
    (storage(view=b""), "refers to something else than a storage"),
    (storage(count=-1), "refers to something else than a storage"),
    (text("a") + b"Q", "refers to something else than a storage"),
    (storage() + b"0" + storage(kind=b"Long"), "has the instruction POP"),
    (b"(" + storage() + storage(count=13) + b"t", "has two storages with the key 'a'"),
    (storage(count=2**30), r"ends at byte \d+, where its arrays need \d{10} or more"),
    (storage(count=11), "makes an array of shape"),
]


@pytest.mark.parametrize(("of", "message"), PARTS)
def test_a_storage_of_another_form_is_refused(tmp_path, of, message):
    with pytest.raises(ValueError, match=rf"weights\.pth {message}"):
        read(tmp_path, whole(state(("x", tensor(of)))))


FORMS = [
    ({"shape": (13,)}, r"makes an array of shape \(13,\), strides \(1,\) and offset 0 from 12 numbers"),
    ({"offset": 1}, r"makes an array of shape \(12,\), strides \(1,\) and offset 1 from 12 numbers"),
    ({"shape": (2, 2), "strides": (11, 1)}, "makes an array of shape"),
    ({"shape": (2**30, 2**30), "strides": (0, 0)}, "makes an array of shape"),
    ({"shape": (0, 2**30, 2**30), "strides": (1, 1, 1)}, "makes an array of shape"),
    ({"shape": (0,), "offset": 13}, "makes an array of shape"),
    ({"shape": (-1,)}, "makes an array whose shape or strides are no whole numbers"),
    ({"strides": (-1,), "offset": 11}, "makes an array whose shape or strides are no whole numbers"),
    ({"offset": -1}, "makes an array whose shape or strides are no whole numbers"),
    ({"shape": (1,) * 33, "strides": (1,) * 33}, "makes an array of 33 axes with 33 strides"),
    ({"shape": (3, 4)}, "makes an array of 2 axes with 1 strides"),
    ({"hooks": b"}" + text("f") + b"Ns"}, "makes an array of something else than a storage"),
    ({"hooks": b""}, "makes an array of something else than a storage"),
]


@pytest.mark.parametrize(("changed", "message"), FORMS)
def test_an_array_outside_its_storage_is_refused(tmp_path, changed, message):
    with pytest.raises(ValueError, match=rf"weights\.pth {message}"):
        read(tmp_path, whole(state(("x", tensor(**changed)))))


def test_texts_of_any_size_are_not_written_out(tmp_path):
    shape = REBUILD + b"(" + storage() + number(0) + b"(" + NESTED + b"t" + numbers(1) + b"\x89}tR"
    with pytest.raises(ValueError, match="whose shape or strides are no whole numbers"):
        read(tmp_path, whole(state(("x", shape))))
    with pytest.raises(ValueError, match="refers to something else"):
        read(tmp_path, whole(state(("x", NESTED + b"Q"))))
    with pytest.raises(ValueError, match="holds what is of type tuple as 'x'"):
        read(tmp_path, whole(state(("x", NESTED))))


FILES = [
    (b"PK\x03\x04 and more", "is of PyTorch's zipped format"),
    (b"", "is truncated"),
    (b"\x93NUMPY\x01\x00", "has the instruction STACK_GLOBAL"),
    (whole(state(), magic=1), "does not begin as a file of this format"),
    (whole(state(), version=1002), "does not begin as a file of this format"),
    (whole(state(), system={"little_endian": False}), "was not saved on a little-endian machine"),
    (whole(b"\x80\x02](NNe."), "holds what is of type list"),
    (whole(b"\x80\x02" + tensor() + b"."), "holds what is of type Tensor"),
    (whole(state(("epoch", number(3)))), "holds what is of type int as 'epoch'"),
    (whole(state(("model", b"}"))), "holds what is of type dict as 'model'"),
    (whole(state(("x", tensor())), ("b",)), "names other storages in its list than in its arrays"),
    (whole(state(("x", tensor())), ("a", "a")), "names other storages in its list than in its arrays"),
    (whole(state(("x", tensor())), (3,)), "names other storages in its list than in its arrays"),
    (whole(state(("x", tensor())), stored=(FLOATS[:11],)), r"ends at byte \d+, where its arrays need"),
    (whole(state(("x", tensor()))) + b"more", "goes on for 4 bytes after its last number"),
    (
        whole(state(("x", tensor(storage(count=11), shape=(11,))))),
        "holds 12 numbers in storage 'a', of which arrays take 11",
    ),
]


@pytest.mark.parametrize(("content", "message"), FILES)
def test_another_file_is_named_and_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"weights\.pth {message}"):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.pth"):
        torch_weights.read(tmp_path / "nothing.pth")
