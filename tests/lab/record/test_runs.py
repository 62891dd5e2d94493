import errno
import fcntl
import json
import math
import os
import resource
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

from jaxtheory.data.errors import MissingDataError
from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.progress import Display, Silent
from jaxtheory.lab.record import discovery, locks, runs
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


def test_a_reworded_docstring_leaves_a_finished_run_as_it_is(conduct, file):
    findings, directory = conduct(file)
    [experiment] = discovery.find(file.parent.parent)
    text = file.read_text()
    reworded = text.replace("Powers grow.\n", "All powers grow.\n").replace("Which numbers.", "The numbers.")
    reworded = reworded.replace("sizes: tuple[int, ...]", "sizes: tuple").replace(
        "log(size)", "log(size)  # !"
    )
    assert reworded.count("All powers grow.\n") == 1
    file.write_text(reworded)
    assert not runs.is_stale(directory, experiment)
    assert conduct(file) == (findings | {"claim": "All powers grow."}, directory)
    assert made.logged(file) == ["1", "2", "3"]
    file.write_text(text.replace("above(3.0", "above(2.0"))
    assert runs.is_stale(directory, experiment)
    assert conduct(file)[1] != directory


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
            'return [one, Claim("Two.", above(1, source=" "), exact(2))]',
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


def test_findings_that_cannot_be_used_are_made_again_from_what_is_stored(conduct, file, capsys):
    findings, directory = conduct(file)
    path = directory / "findings.json"
    without = {name: value for name, value in findings.items() if name != "finished"}
    claims = [{name: value for name, value in findings["claims"][0].items() if name != "needs"}]
    damages = {
        "is no whole JSON file": (path.read_bytes()[:200], b"", b"\xff\xfe"),
        "holds no claims": (b"[]", b"{}"),
        "is of another version of jaxtheory": (
            json.dumps(findings | {"format": 1}).encode(),
            json.dumps(findings | {"format": None}).encode(),
        ),
        "has no 'finished' as findings have it": (json.dumps(without).encode(),),
        "has no 'seconds' as findings have it": (json.dumps(findings | {"seconds": "1"}).encode(),),
        "has claims that lack something": (json.dumps(findings | {"claims": claims}).encode(),),
    }
    root = directory.parent.parent
    for reason, contents in damages.items():
        for damaged in contents:
            path.write_bytes(damaged)
            assert runs.finished(root) == []
            left_out = f"{path} {reason}: it is left out, and its command computes it again"
            assert capsys.readouterr().err == f"jaxtheory: {left_out}\n"
            assert runs.finished(root, (said := []).append) == []
            assert said == [left_out]
            again, _ = conduct(file)
            assert conduct.heard.lines[0] == f"{path} {reason}: going on with the run"
            assert again["claims"] == findings["claims"]
            assert json.loads(path.read_text()) == again
    assert made.logged(file) == ["1", "2", "3"]  # not one point was computed again


def test_one_file_of_another_version_leaves_the_other_runs(conduct, file, capsys):
    places = [conduct(file, seed=seed)[1] for seed in range(2)]
    (places[0] / "findings.json").write_text('{"claims": [1], "finished": "2026-01-01"}')
    assert [path for _, path in runs.finished(places[0].parent.parent)] == [places[1]]
    assert "findings.json is of another version" in capsys.readouterr().err


def test_a_folder_whose_name_is_no_text_keeps_all(conduct, file, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/runs \xff\xfe"))
    findings, directory = conduct(file, runs=folder, command=f"jaxtheory run powers --runs {folder}")
    assert json.loads((directory / "findings.json").read_text()) == findings
    assert findings["command"].endswith(str(folder))
    assert conduct(file, runs=folder)[0] == findings
    assert made.logged(file) == ["1", "2", "3"]
    assert [path for _, path in runs.finished(folder)] == [directory]


def test_a_field_out_of_its_range_is_refused_before_anything_is_computed(conduct, tmp_path):
    body = made.POWERS.replace("sizes: tuple[int, ...]", "sizes: Annotated[tuple[int, ...], Range(1)]")
    body = "from typing import Annotated\nfrom jaxtheory.lab import Range\n\n" + body
    file = made.write(tmp_path / "made", "ranged", body)
    for sizes, message in (((1, -3), "--sizes is -3: take a whole number at least 1"), ((), "--sizes is em")):
        with pytest.raises(Usage, match=message) as raised:
            conduct(file, {"sizes": sizes})
        assert raised.value.status == 2
    assert made.logged(file) == []
    assert not (tmp_path / "runs").exists()


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
    with locks.held(directory):
        with pytest.raises(
            Failure, match=r"powers/\w+ is being computed by another process: wait for it, or stop"
        ):
            conduct(file)
        conduct(file, {"power": 3.0})  # another configuration is free
    conduct(file)
    # Finished findings are read even while somebody holds the folder.
    with locks.held(directory):
        conduct(file)


def test_a_run_without_locks_ends_with_the_same_findings(conduct, file, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(locks, "SETTLING", 0.05)
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


def test_the_environment_names_versions_and_no_machine(conduct, file):
    _, directory = conduct(file, seed=5)
    text = (directory / "environment.json").read_text()
    kept = json.loads(text)
    assert kept["jax"] == jax.__version__
    assert kept["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (kept["seed"], kept["dtype"], kept["platform"]) == (5, "float32", "cpu")
    assert kept["machine"].startswith(f"{len(os.sched_getaffinity(0))}-core ")
    assert socket.gethostname() not in text
