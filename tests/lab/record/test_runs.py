import errno
import fcntl
import json
import math
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

from jaxtheory.data.errors import MissingDataError
from jaxtheory.lab.errors import Failure
from jaxtheory.lab.record import discovery, runs, storage
from jaxtheory.lab.show.progress import Display, Silent
from tests.lab import made_experiments as made


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def conduct(tmp_path):
    """Runs one experiment, as `jaxtheory run` does."""

    def conduct(file, config=None, **options):
        [experiment] = [one for one in discovery.find(file.parent.parent) if one.path == file]
        module = experiment.load()
        conduct.heard = Heard()
        chosen = runs.Options(**{"runs": tmp_path / "runs", **options})
        config = module.Config(**(config or {}))
        return runs.conduct(experiment, module.run, config, chosen, Display(conduct.heard))

    return conduct


@pytest.fixture
def file(tmp_path):
    return made.write(tmp_path / "made", "powers")


def test_a_finished_run_is_read_and_not_run_again(conduct, file):
    findings, directory = conduct(file)
    assert made.logged(file) == ["1", "2", "3"]
    assert findings["claims"][0]["measured"][0]["value"] == 9.0
    assert (findings["experiment"], findings["section"], findings["form"]) == ("powers", "puzzles", "custom")
    assert json.loads((directory / "findings.json").read_text()) == findings
    assert json.loads((directory / "config.json").read_text()) == {"sizes": [1, 2, 3], "power": 2.0}
    assert conduct(file) == (findings, directory)
    assert made.logged(file) == ["1", "2", "3"]


def test_fresh_computes_everything_again(conduct, file):
    findings, directory = conduct(file)
    (directory / "figures").mkdir()
    (directory / "figures" / "old.png").write_bytes(b"")
    again, same = conduct(file, fresh=True)
    assert same == directory
    assert made.logged(file) == ["1", "2", "3"] * 2
    assert again["claims"] == findings["claims"]
    assert not (directory / "figures").exists()


def test_a_run_is_one_of_configuration_seed_form_data_precision_and_source(conduct, file, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "digits").write_bytes(bytes(200_000))
    places = [conduct(file)[1], conduct(file, {"power": 3.0})[1], conduct(file, seed=1)[1]]
    places += [conduct(file, quick=True)[1], conduct(file, data_dir=data)[1]]
    with (data / "digits").open("r+b") as digits:  # one bit in the middle
        digits.seek(100_000)
        digits.write(b"\1")
    places += [conduct(file, data_dir=data)[1]]
    with jax.enable_x64(True):
        places += [conduct(file)[1]]
    file.write_text(file.read_text() + "\nMENDED = True\n")
    places += [conduct(file)[1]]
    assert len({*places}) == 8
    assert len(made.logged(file)) == 8 * 3


@dataclass(frozen=True)
class Bounds:
    bound: float | None = None


def test_infinity_is_another_configuration_than_none(file):
    [experiment] = discovery.find(file.parent.parent)
    options = runs.Options()
    digests = {
        json.dumps(runs.identify(experiment, Bounds(bound), options), sort_keys=True)
        for bound in (None, math.inf, -math.inf, math.nan, 0.0, 1.0)
    }
    assert len(digests) == 6


def test_the_source_is_that_of_all_modules_that_python_loads():
    """What the interpreter has loaded after importing an experiment is the witness."""
    code = """if True:
        import sys
        import jaxtheory.experiments.harmonic.scattering_mnist

        for name, module in sys.modules.items():
            if name.split(".")[0] == "jaxtheory" and module.__file__:
                print(module.__file__)
    """
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {Path(line) for line in listed.stdout.splitlines()}
    experiment = discovery.choose("scattering_mnist", discovery.find())
    known, missing = {experiment.path}, {experiment.path}
    while missing:
        missing |= runs.imported(missing.pop()) - known
        known |= missing
    carriers = {discovery.PACKAGE / "lab" / f"{name}.py" for name in runs.CARRIERS}
    # The packages that hold the experiments and the carriers are on the way to the file, and hold nothing.
    folders = ("experiments", "experiments/harmonic", "lab/show", "lab/machines", "lab/commands")
    around = {discovery.PACKAGE / name / "__init__.py" for name in folders}
    assert all(path.read_text().count("\n") <= 1 for path in around)
    assert loaded - carriers - around <= known
    assert discovery.PACKAGE / "harmonic" / "scattering2d" / "coefficients.py" in loaded & known


def test_a_changed_module_is_another_source_wherever_it_is_imported(tmp_path, monkeypatch):
    package = tmp_path / "jaxtheory"
    for name in (
        "__init__",
        "lab/__init__",
        "lab/record/claims",
        "lab/show/report",
        "sparse/__init__",
        "sparse/pursuit",
        "far",
    ):
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (package / "sparse" / "pursuit.py").write_text("def run():\n    import jaxtheory.far\n")
    file = tmp_path / "one.py"
    file.write_text(
        "from jaxtheory.lab.record import claims\nfrom jaxtheory.lab.show import report\n\n"
        "def run():\n    from jaxtheory.sparse import pursuit\n"
    )
    monkeypatch.setattr(runs, "PACKAGE", package)

    def changes(name):
        before = runs.source_digest(file)
        path = package / name
        path.write_text(path.read_text() + "# mended\n")
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
        return runs.source_digest(file) != before

    assert changes("lab/record/claims.py")
    assert changes("sparse/pursuit.py")
    assert changes("far.py")
    assert changes("sparse/__init__.py")
    assert not changes("lab/show/report.py")  # it shows numbers and makes none


def test_points_finished_before_an_error_are_kept(conduct, tmp_path):
    file = made.write(
        tmp_path / "made",
        "fragile",
        made.POWERS.replace(
            "log(size)",
            'if size == 3 and LOG.with_suffix(".flag").exists():\n            '
            'raise ZeroDivisionError("no\\nluck")\n        log(size)',
        ),
    )
    flag = file.with_suffix(".flag")
    flag.touch()
    with pytest.raises(Failure) as raised:
        conduct(file)
    [kept] = tmp_path.glob("runs/fragile/*/traceback.txt")
    assert str(raised.value) == (
        f"puzzles/fragile failed: ZeroDivisionError: no luck (the traceback is in {kept}; "
        "what was done before is kept)"
    )
    assert "in power" in kept.read_text()
    assert kept.read_text().endswith("ZeroDivisionError: no\nluck\n")
    assert made.logged(file) == ["1", "2"]
    assert not (kept.parent / "findings.json").exists()
    flag.unlink()
    findings, directory = conduct(file)
    assert made.logged(file) == ["1", "2", "3"]
    assert findings["claims"][0]["measured"][0]["value"] == 9.0
    assert not kept.exists()
    assert directory == kept.parent


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "TypeError: run returned None: return a list of claims"),
        ("return one", r"TypeError: run returned Claim\(statement='One is one.*: return a list of claims"),
        ("return []", r"TypeError: run returned \[\]: return a list of claims"),
        ("return [one, 1.0]", r"TypeError: run returned \[Claim.*: return a list of claims"),
        ("return [one, one]", "ValueError: two claims have the same statement: word them apart"),
        (
            'return [one, Claim("Two.", above(1, source=" "), Measured(2))]',
            "ValueError: a claim needs a source, but the expectation 'above 1' has none: say where",
        ),
        ('return [Claim("Two.", above(1, source="x"), None)]', "the claim 'Two.' has no measurement: say"),
        ("raise SystemExit(0)", r"SystemExit: 0 \(the traceback is in"),
        ("lab.note(one.lost)", "AttributeError: 'Claim' object has no attribute 'lost'"),
    ],
)  # fmt: skip
def test_an_experiment_that_makes_no_claims_is_told_why(conduct, tmp_path, own_errors, body, message):
    file = made.write(tmp_path / "made", "faithless", made.faithless(body))
    with pytest.raises(Failure, match=f"^puzzles/faithless failed: .*{message}"):
        conduct(file)
    assert not list(tmp_path.glob("runs/*/*/findings.json"))


def test_data_that_are_refused_say_so_themselves(conduct, tmp_path):
    body = made.faithless('from jaxtheory.data import mnist\n    mnist.load(LOG.parent / "nowhere")')
    file = made.write(tmp_path / "made", "hungry", body)
    with pytest.raises(MissingDataError, match="nowhere: no such folder"):
        conduct(file)
    assert not list(tmp_path.rglob("traceback.txt"))


def test_findings_cut_in_half_are_made_again_from_what_is_stored(conduct, file):
    findings, directory = conduct(file)
    path = directory / "findings.json"
    for damaged in (path.read_bytes()[:200], b"", b"[]", b"{}", b"\xff\xfe"):
        path.write_bytes(damaged)
        assert runs.finished(directory.parent.parent) == []
        again, _ = conduct(file)
        assert conduct.heard.lines[0].startswith(str(path))
        assert conduct.heard.lines[0].endswith(": going on with the run")
        assert again["claims"] == findings["claims"]
        assert json.loads(path.read_text()) == again
    assert made.logged(file) == ["1", "2", "3"]  # not one point was computed again


def test_what_a_kill_left_unfinished_is_removed(conduct, file):
    _, directory = conduct(file)
    (directory / "findings.json").unlink()
    left = [directory / ".aside-1-findings.json", directory / "points" / "power" / ".aside-1-x.npz"]
    for path in left:
        path.write_bytes(b"half")
    conduct(file)
    assert not any(path.exists() for path in left)


def test_a_folder_that_cannot_be_written_is_named(conduct, file, tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(
        Failure,
        match=r"^cannot write .*runs/powers/\w+: a file stands where a folder of it should be; what was",
    ):
        conduct(file)
    with pytest.raises(
        Failure, match=r"^cannot write .*: (No such file or directory|.*not permitted|.* denied)"
    ):
        conduct(file, runs=Path("/proc/nowhere"))
    (tmp_path / "runs").unlink()
    _, directory = conduct(file)
    (directory / "findings.json").unlink()
    (directory / "findings.json").mkdir()
    with pytest.raises(Failure, match=r"^cannot read .*findings.json: Is a directory$"):
        conduct(file)


def test_a_full_disk_loses_nothing(conduct, file, monkeypatch):
    rename = Path.replace

    def full(self, target):
        if full.after == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        full.after -= 1
        return rename(self, target)

    # At config.json, after that and environment.json at the first point, at the second, at the findings.
    for after in (0, 2, 3, 4):
        full.after = after
        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(
            Failure, match=r"^cannot write .*: No space left on device; what was stored before is"
        ):
            conduct(file)
    assert not list(file.parent.parent.parent.rglob(".aside-*"))
    computed = made.logged(file)
    monkeypatch.undo()
    findings, _ = conduct(file)
    assert findings["claims"][0]["verdict"] == "holds"
    # A point is computed again only where it could not be stored.
    assert computed == ["1", "1", "2", "2", "3"]
    assert made.logged(file) == computed


def test_a_file_system_that_refuses_a_large_file(conduct, tmp_path):
    body = made.POWERS.replace(
        "    powers =",
        '    lab.cached("large", lambda: np.random.default_rng(0).random(1 << 17))\n    powers =',
    )
    file = made.write(tmp_path / "made", "large", body)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, limits[1]))
    try:
        with pytest.raises(
            Failure, match=r"^cannot write .*large.npz: File too large; what was stored before"
        ):
            conduct(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.rglob(".aside-*"))
    assert conduct(file)[0]["claims"][0]["verdict"] == "holds"


def test_two_runs_at_once_are_told_apart_by_a_lock(conduct, file):
    _, directory = conduct(file)
    (directory / "findings.json").unlink()
    with runs.held(directory):
        with pytest.raises(
            Failure, match=r"powers/\w+ is being computed by another process: wait for it, or stop"
        ):
            conduct(file)
        conduct(file, {"power": 3.0})  # another configuration is free
    conduct(file)
    # Finished findings are read even while somebody holds the folder.
    with runs.held(directory):
        conduct(file)


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks, and a guard that need not wait long."""

    def refused(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(runs, "SETTLING", 0.05)


def sign(directory, process, age=0.0):
    directory.mkdir(exist_ok=True)
    storage.write_json(directory / "heartbeat.json", {"process": process, "time": time.time() - age})


def ended_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_without_locks_a_sign_of_life_holds_the_folder(no_locks, tmp_path, monkeypatch):
    directory = tmp_path / "run"
    here, elsewhere = socket.gethostname(), "elsewhere"
    alive = [(here, os.getppid(), 0.0), (here, os.getppid(), 29.0), (elsewhere, 1, 0.0), (elsewhere, 1, 29.0)]
    for host, process, age in alive:
        sign(directory, [host, process], age)
        with pytest.raises(Failure, match="is being computed by another process"), runs.held(directory):
            pass
    # A dead one of this host at once, of another after three heartbeats; a hung one of this host, too.
    dead = [(here, ended_process(), 0.0), (elsewhere, 1, 31.0), (here, os.getppid(), 31.0)]
    for host, process, age in dead:
        sign(directory, [host, process], age)
        with runs.held(directory):
            mine = json.loads((directory / "heartbeat.json").read_text())
            assert mine["process"] == [here, os.getpid()]
        assert not (directory / "heartbeat.json").exists()
    for garbage in (b"", b"[1]", b'{"time": 1}', b'{"time": "now", "process": []}'):
        (directory / "heartbeat.json").write_bytes(garbage)
        with runs.held(directory):
            pass


def test_the_sign_of_life_is_given_again_and_again(no_locks, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "HEARTBEAT", 0.02)
    with runs.held(tmp_path):
        first = json.loads((tmp_path / "heartbeat.json").read_text())["time"]
        deadline = time.monotonic() + 10
        while json.loads((tmp_path / "heartbeat.json").read_text())["time"] < first + 0.1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_of_two_that_begin_at_the_same_moment_one_goes_on(no_locks, tmp_path, monkeypatch):
    other = ["elsewhere", 1]

    def meanwhile(_):
        sign(tmp_path, other)

    monkeypatch.setattr(time, "sleep", meanwhile)
    with pytest.raises(Failure, match="is being computed"), runs.held(tmp_path):
        pass
    assert json.loads((tmp_path / "heartbeat.json").read_text())["process"] == other


def test_a_run_without_locks_ends_with_the_same_findings(no_locks, conduct, file):
    findings, directory = conduct(file)
    assert findings["claims"][0]["measured"][0]["value"] == 9.0
    assert not (directory / "heartbeat.json").exists()


def test_finished_runs_come_newest_first_and_damaged_ones_not_at_all(conduct, file):
    places = [conduct(file, seed=seed)[1] for seed in range(3)]
    for place, day in zip(places, (2, 3, 1)):
        findings = json.loads((place / "findings.json").read_text())
        (place / "findings.json").write_text(json.dumps(findings | {"finished": f"2026-01-0{day}"}))
    assert [path for _, path in runs.finished(places[0].parent.parent)] == [places[1], places[0], places[2]]
    assert runs.finished(Path("nowhere")) == []


def test_a_run_is_stale_once_its_source_is_another_or_cannot_be_read(conduct, file):
    _, directory = conduct(file)
    [experiment] = discovery.find(file.parent.parent)
    text = file.read_text()
    assert not runs.is_stale(directory, experiment)
    for other in (text + "\nMENDED = True\n", text + "\ndef (:\n"):
        file.write_text(other)
        assert runs.is_stale(directory, experiment)
    file.unlink()
    assert runs.is_stale(directory, experiment)
    file.write_text(text)
    assert not runs.is_stale(directory, experiment)
    (directory / "environment.json").unlink()
    assert runs.is_stale(directory, experiment)


def test_a_source_that_cannot_be_parsed_is_named(tmp_path):
    file = tmp_path / "one.py"
    file.write_text("x = 1\ndef (:\n")
    with pytest.raises(Failure, match=r"one.py, line 2, cannot be parsed: invalid syntax"):
        runs.source_digest(file)


def test_data_are_told_by_names_lengths_and_contents(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "WHOLE", 64)
    monkeypatch.setattr(runs, "SAMPLE", 32)
    (tmp_path / "deep").mkdir()
    seen = {runs.fingerprint(None), runs.fingerprint(tmp_path)}
    small, large = tmp_path / "deep" / "small", tmp_path / "large"
    small.write_bytes(bytes(64))
    large.write_bytes(bytes(200))

    def is_new():
        before = len(seen)
        seen.add(runs.fingerprint(tmp_path))
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
    assert runs.fingerprint(large) not in seen
    with pytest.raises(Failure, match=r"there is no data folder .*nowhere: give another as --data-dir"):
        runs.fingerprint(tmp_path / "nowhere")


def test_data_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    (tmp_path / "digits").write_bytes(b"1")

    def refused(self, *_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(Failure, match=r"^cannot read the data .*digits: Permission denied$"):
        runs.fingerprint(tmp_path)


def test_the_environment_names_versions_and_no_machine(conduct, file):
    _, directory = conduct(file, seed=5)
    text = (directory / "environment.json").read_text()
    kept = json.loads(text)
    assert kept["jax"] == jax.__version__
    assert kept["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (kept["seed"], kept["dtype"], kept["platform"]) == (5, "float32", "cpu")
    assert kept["machine"].startswith(f"{len(os.sched_getaffinity(0))}-core ")
    assert socket.gethostname() not in text
