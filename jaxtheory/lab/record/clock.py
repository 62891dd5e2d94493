"""The seconds that a run takes, however often it is stopped."""

import contextlib
import time
from pathlib import Path

from jaxtheory.lab.errors import Broken
from jaxtheory.lab.record import storage


class Clock:
    """The seconds that a run has taken, over all the times that it was stopped."""

    def __init__(self, path: Path):
        self._path = path
        self._before = 0.0
        with contextlib.suppress(OSError, Broken, TypeError, ValueError):
            self._before = float(storage.read_json(path))
        self._started = self._stored = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds until now."""
        return self._before + time.monotonic() - self._started

    def store(self) -> None:
        """Keeps the seconds until now, now and then."""
        if time.monotonic() - self._stored >= 1:
            self._stored = time.monotonic()
            storage.write_json(self._path, round(self.seconds, 1))
