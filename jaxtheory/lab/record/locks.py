"""One process at a time: a run's directory is held by a lock, or by a heartbeat file where locks fail."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from jaxtheory.lab.errors import Broken, Failure, LabError
from jaxtheory.lab.record import storage

HEARTBEAT = 10.0
"""Seconds between two heartbeats, where a file cannot be locked."""
SETTLING = 0.5
"""Seconds until it is clear which of two that began at once wrote its heartbeat last."""


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold a run's directory, so that no second process computes the same.

    Args:
        directory: The directory of the run, which is made if it does not exist.

    Yields:
        Nothing; the directory is held until the end of the block.

    Raises:
        Failure: If another process holds it, or it cannot be written.
    """
    path = directory / "lock"
    with storage.failing_clearly(directory):
        directory.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    busy = Failure(f"{directory} is being computed by another process: wait for it, or stop it")
    with file, contextlib.ExitStack() as stack:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        except (ImportError, OSError):  # a file system without locks, as a mounted drive
            stack.enter_context(_heartbeat(directory / "heartbeat.json", busy))
        yield


@contextlib.contextmanager
def _heartbeat(path: Path, busy: Failure) -> Iterator[None]:
    """Hold a directory by a file that is written again and again while the run goes on."""
    me = [socket.gethostname(), os.getpid()]

    def sign():
        storage.write_json(path, {"process": me, "time": time.time()})

    def taken() -> bool:
        with contextlib.suppress(OSError, Broken, KeyError, TypeError):
            other = storage.read_json(path)
            lately = time.time() - other["time"] < 3 * HEARTBEAT
            return other["process"] != me and lately and not _ended(*other["process"])
        return False

    if taken():
        raise busy
    sign()
    time.sleep(SETTLING)
    if taken():  # another began at the same moment, and wrote last
        raise busy
    ended = threading.Event()

    def beat():
        while not ended.wait(HEARTBEAT):
            with contextlib.suppress(LabError):
                sign()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(OSError):
            path.unlink()


def _ended(host: str, pid: int) -> bool:
    """Whether a process of this host is known to have ended."""
    if host != socket.gethostname() or os.name != "posix":  # elsewhere signal 0 is none
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
