import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from jaxtheory.lab.errors import Failure
from jaxtheory.lab.record import locks, storage


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks, and a guard that need not wait long."""

    def refused(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(locks, "SETTLING", 0.05)


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
        with pytest.raises(Failure, match="is being computed by another process"), locks.held(directory):
            pass
    # A dead one of this host at once, of another after three heartbeats; a hung one of this host, too.
    dead = [(here, ended_process(), 0.0), (elsewhere, 1, 31.0), (here, os.getppid(), 31.0)]
    for host, process, age in dead:
        sign(directory, [host, process], age)
        with locks.held(directory):
            mine = json.loads((directory / "heartbeat.json").read_text())
            assert mine["process"] == [here, os.getpid()]
        assert not (directory / "heartbeat.json").exists()
    for garbage in (b"", b"[1]", b'{"time": 1}', b'{"time": "now", "process": []}'):
        (directory / "heartbeat.json").write_bytes(garbage)
        with locks.held(directory):
            pass


def test_the_sign_of_life_is_given_again_and_again(no_locks, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "HEARTBEAT", 0.02)
    with locks.held(tmp_path):
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
    with pytest.raises(Failure, match="is being computed"), locks.held(tmp_path):
        pass
    assert json.loads((tmp_path / "heartbeat.json").read_text())["process"] == other
