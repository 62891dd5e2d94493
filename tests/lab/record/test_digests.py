import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxtheory.lab.errors import Failure
from jaxtheory.lab.record import digests, discovery

MODULE = '''"""A theory."""

from dataclasses import dataclass

RATE = 0.5
"""How fast."""
REACH: int = 3


@dataclass(frozen=True)
class Model:
    """What is trained."""

    width: float = 1.0
    """Of a layer."""


def double(x: float) -> float:
    """Return twice the number."""
    y: float = 2 * x  # twice
    if y < 0:
        raise ValueError(f"x is {x}: take a positive number")
    return y


async def later(x: int) -> int:
    return x
'''


def test_the_source_is_that_of_all_modules_that_python_loads():
    """What the interpreter has loaded after importing a bench is the witness."""
    code = """if True:
        import sys
        import jaxtheory.experiments.benchmarks.scattering2d
        import jaxtheory.harmonic.scattering2d  # which the bench imports within its functions

        for name, module in sys.modules.items():
            if name.split(".")[0] == "jaxtheory" and module.__file__:
                print(module.__file__)
    """
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {Path(line) for line in listed.stdout.splitlines()}
    bench = discovery.PACKAGE / "experiments" / "benchmarks" / "scattering2d.py"
    known, missing = {bench}, {bench}
    while missing:
        missing |= digests.imported(missing.pop()) - known
        known |= missing
    # The packages that hold the experiments are on the way to the file, and hold nothing.
    around = {discovery.PACKAGE / name / "__init__.py" for name in ("experiments", "experiments/benchmarks")}
    assert all(path.read_text().count("\n") <= 1 for path in around)
    lab = {path for path in loaded if path.is_relative_to(discovery.PACKAGE / "lab")}
    assert lab
    assert not lab & known
    assert loaded - lab - around <= known
    assert discovery.PACKAGE / "harmonic" / "wavelets.py" in loaded & known


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of its own, and an experiment that imports it; gives a function that edits a file of them."""
    folder = tmp_path / "jaxtheory"
    names = ("__init__", "lab/__init__", "lab/record/claims", "sparse/__init__", "sparse/pursuit", "core/far")
    for name in names:
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MODULE)
    (folder / "sparse" / "pursuit.py").write_text(f"{MODULE}\ndef run():\n    import jaxtheory.core.far\n")
    (folder / "core" / "unseen.py").write_text(MODULE)
    file = tmp_path / "one.py"
    file.write_text(
        f"{MODULE}\nfrom jaxtheory.lab.record import claims\n\n"
        "def run():\n    from jaxtheory.sparse import pursuit\n"
    )
    monkeypatch.setattr(digests, "PACKAGE", folder)

    def changes(name, old, new):
        """Whether an edit of a file makes another digest; the file is left as it was."""
        path = file if name == "one" else folder / f"{name}.py"
        before, text = digests.source_digest(file), path.read_text()
        assert old in text

        def put(content):
            changed = path.stat().st_mtime_ns + 10**9
            path.write_text(content)
            os.utime(path, ns=(0, changed))

        put(text.replace(old, new))
        after = digests.source_digest(file)
        put(text)
        assert digests.source_digest(file) == before
        return after != before

    return changes


@pytest.mark.parametrize("name", ["one", "sparse/pursuit", "sparse/__init__", "core/far", "__init__"])
def test_words_leave_a_run_as_it_is_and_numbers_do_not(package, name):
    for old, new in (
        ('"""A theory."""', '"""Another theory,\n\nin two paragraphs."""'),
        ('"""A theory."""\n', ""),
        ('"""How fast."""', '"""How fast it falls."""'),
        ('    """Of a layer."""\n', ""),
        ('"""Return twice the number."""', '"""Return 2x."""'),
        ("# twice", "# two times"),
        ("# twice", ""),
        ("RATE = 0.5", "# a comment\n\n\nRATE = (\n    0.5\n)"),
        ("(x: float) -> float", "(x)"),
        ("(x: float) -> float", "(x: int) -> int"),
        ("async def later(x: int) -> int", "async def later(x)"),
        ("width: float", "width: int"),
        ("y: float", "y: int"),
        ("take a positive number", "numbers are positive"),
    ):
        assert not package(name, old, new), (old, new)
    for old, new in (
        ("RATE = 0.5", "RATE = 0.6"),
        ("REACH: int = 3", "REACH: int = 4"),
        ("2 * x", "3 * x"),
        ("2 * x", "x * 2"),
        ("return y", "return None"),
        ("raise ValueError", "raise TypeError"),
        ("return y", "return"),
        ("width: float = 1.0", "width: float = 2.0"),
        ("width: float = 1.0", "depth: float = 1.0"),
        ("frozen=True", "frozen=False"),
        ("def double(x: float)", "def double(z: float)"),
        ("async def later", "def later"),
    ):
        assert package(name, old, new), (old, new)


def test_the_lab_and_what_is_not_reached_do_not_count(package):
    for name in ("lab/record/claims", "lab/__init__", "core/unseen"):
        assert not package(name, "RATE = 0.5", "RATE = 0.6")


def test_the_syntax_tells_apart_what_looks_alike(tmp_path):
    file, seen = tmp_path / "one.py", set()
    texts = (
        "f(1)", "f(1.0)", "f(True)", "f('1')", "f(b'1')", "f(None)", "f()", "f(a=1)", "f(*a)", "f(**a)",
        "f[1:]", "f[:1]", "f[None:1]", "a = b = 1", "a, b = 1", "f'{1}'", "{}", "{**a}", "[]", "()",
        "lambda: 1", "lambda x=1: 1", "lambda *, x=1: 1", "lambda *, x: 1", "if a:\n  b\nc",
        "if a:\n  b\n  c",
        "if a:\n  b\nelse:\n  c", "-1", "'a' 'b'\n1", "return_ = 1", "a: int", "a: int = None",
    )  # fmt: skip
    for number, text in enumerate(texts):
        file.write_text(text)
        os.utime(file, ns=(0, number))
        seen.add(digests.syntax(file))
    assert len(seen) == len(texts)


def test_a_source_that_cannot_be_parsed_is_named(tmp_path):
    file = tmp_path / "one.py"
    file.write_text("x = 1\ndef (:\n")
    with pytest.raises(Failure, match=r"one.py, line 2, cannot be parsed: invalid syntax"):
        digests.source_digest(file)


def test_data_are_told_by_names_lengths_and_contents(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "WHOLE", 64)
    monkeypatch.setattr(digests, "SAMPLE", 32)
    (tmp_path / "deep").mkdir()
    seen = {digests.data_digest(None), digests.data_digest(tmp_path)}
    small, large = tmp_path / "deep" / "small", tmp_path / "large"
    small.write_bytes(bytes(64))
    large.write_bytes(bytes(200))

    def is_new():
        before = len(seen)
        seen.add(digests.data_digest(tmp_path))
        return len(seen) > before

    def change(file, place):
        content = bytearray(file.read_bytes())
        content[place] += 1
        file.write_bytes(content)

    assert is_new()
    assert not is_new()
    for place in range(0, 64, 7):
        change(small, place)
        assert is_new()
    for place in (0, 31, 168, 199):  # 32 bytes at either end
        change(large, place)
        assert is_new()
    change(large, 100)  # of a file that is not read whole
    assert not is_new()
    small.rename(tmp_path / "small")
    assert is_new()
    (tmp_path / "empty").touch()
    assert is_new()
    assert digests.data_digest(large) not in seen
    with pytest.raises(Failure, match=r"there is no data folder .*nowhere: give another as --data-dir"):
        digests.data_digest(tmp_path / "nowhere")


def test_data_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    (tmp_path / "digits").write_bytes(b"1")

    def refused(self, *_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(Failure, match=r"^cannot read the data .*digits: Permission denied$"):
        digests.data_digest(tmp_path)
