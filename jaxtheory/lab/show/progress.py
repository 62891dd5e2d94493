"""Progress with rate and time left, of what takes longer than two seconds: bars, lines, or in a notebook."""

import contextlib
import html
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

PATIENCE = 2.0
"""Seconds before anything is shown."""
BETWEEN_LINES = 5.0
"""Seconds between the lines of one task where there is no terminal."""
TICK = 0.25


class Task:
    """Something with a number of equal steps, some of which may have been done before."""

    def __init__(self, label: str, total: int | None, before: int = 0):
        self.label = label
        self.total = total
        self.before = self.done = before
        self.started = time.monotonic()
        self.ended: float | None = None
        self.shown_at: float | None = None

    def advance(self, n: int = 1) -> None:
        """Counts steps as done."""
        self.done += n

    def __call__(self, done: int, total: int | None = None) -> None:
        """Sets how many steps are done, for what reports so."""
        self.done, self.total = done, total or self.total

    @property
    def seconds(self) -> float:
        """How long the task has been going on."""
        return (time.monotonic() if self.ended is None else self.ended) - self.started

    @property
    def status(self) -> str:
        """How far it is, how fast, and how long it will take, as '34 of 100, 2.1/s, 31 s left'."""
        seconds, done = self.seconds, self.done - self.before
        parts = [f"{self.done:,} of {self.total:,}" if self.total else f"{self.done:,}"]
        rate = done / seconds if seconds > 0 else 0.0
        if rate > 0:
            digits = f"{rate:.3g}" if rate < 1000 else f"{rate:,.0f}"
            parts.append(f"{digits}/s" if rate >= 1 else f"{duration(1 / rate)} each")
        if self.ended is None and rate > 0 and self.total:
            parts.append(f"{duration(max(0, self.total - self.done) / rate)} left")
        else:
            parts.append(duration(seconds))
        return ", ".join(parts)


def duration(seconds: float | int) -> str:
    """Seconds in words, as '2 min 05 s'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


class Silent:
    """Shows nothing; what the others are made from.

    `show` draws the tasks that have gone on for long enough, `end` the last state of one of them, `say` a
    line of text. All are called under one lock.
    """

    def show(self, tasks: list[Task]) -> None:
        """Draws the tasks."""

    def end(self, task: Task) -> None:
        """Draws a task's last state."""

    def say(self, text: str) -> None:
        """Draws a line."""

    def close(self) -> None:
        """Gives the terminal back."""


class Lines(Silent):
    """A line every few seconds, for logs."""

    def show(self, tasks: list[Task]) -> None:
        """Prints a line for each task whose last one is long ago."""
        for task in tasks:
            if task.shown_at is None or time.monotonic() - task.shown_at >= BETWEEN_LINES:
                task.shown_at = time.monotonic()
                self.say(f"{task.label}: {task.status}")

    def end(self, task: Task) -> None:
        """Prints what the task took."""
        self.say(f"{task.label}: {task.status}")

    def say(self, text: str) -> None:
        """Prints a line to the standard error; a log that is gone is no reason to stop a run."""
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)


class Bars(Lines):
    """Bars of rich, in a terminal."""

    def __init__(self):
        self._progress = None
        self._bars: dict[int, Any] = {}

    def show(self, tasks: list[Task]) -> None:
        """Moves the bars."""
        if tasks and self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            # Labels are text: in brackets and colons rich would read its own markup.
            label, status = (
                TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[status]")
            )
            columns = label, BarColumn(), status
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.start()
        for task in tasks:
            if id(task) not in self._bars:
                self._bars[id(task)] = self._progress.add_task(task.label, total=task.total, status="")
            self._progress.update(
                self._bars[id(task)], completed=task.done, total=task.total, status=task.status
            )

    def end(self, task: Task) -> None:
        """Puts a line in the place of the bar."""
        if id(task) in self._bars:
            self._progress.remove_task(self._bars.pop(id(task)))
        super().end(task)
        if not self._bars:
            self.close()

    def say(self, text: str) -> None:
        """Prints a line above the bars."""
        if self._progress is None:
            super().say(text)
        else:
            self._progress.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def close(self) -> None:
        """Removes the bars and shows the cursor again."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._bars.clear()


class Cell(Silent):
    """Progress under the cell of a notebook."""

    def __init__(self):
        self._handle = None
        self._ended: list[str] = []

    def show(self, tasks: list[Task]) -> None:
        """Draws the bars of the cell."""
        bars = []
        for task in tasks:
            reached = f" value='{task.done}' max='{task.total}'" if task.total else ""
            bars.append(
                f"<div>{html.escape(task.label)} <progress{reached}></progress> "
                f"{html.escape(task.status)}</div>"
            )
        if bars:
            self._draw("".join(self._ended + bars))

    def end(self, task: Task) -> None:
        """Leaves a line where the bar was."""
        self.say(f"{task.label}: {task.status}")

    def say(self, text: str) -> None:
        """Adds a line to the cell."""
        self._ended.append(f"<div>{html.escape(text)}</div>")
        self._draw("".join(self._ended))

    def _draw(self, content: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(content), display_id=True)
        else:
            self._handle.update(HTML(content))


def in_notebook() -> bool:
    """Whether a notebook shows what is displayed."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return shell is not None and type(shell).__name__ != "TerminalInteractiveShell"


def screen() -> Silent:
    """What progress is shown on here."""
    if in_notebook():
        return Cell()
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Bars() if terminal else Lines()


class Display:
    """The tasks that are going on, drawn by a thread of their own: a compiled call holds up the others."""

    def __init__(self, shown_on: Silent | None = None, prefix: str = ""):
        self._screen = screen() if shown_on is None else shown_on
        self._prefix = prefix
        self._tasks: list[Task] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def task(self, label: str, total: int | None = None, before: int = 0) -> Iterator[Task]:
        """Shows a task for as long as it goes on."""
        task = Task(f"{self._prefix}{label}", total, before)
        with self._lock:
            self._tasks.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
                self._thread.start()
        try:
            yield task
        finally:
            task.ended = time.monotonic()
            with self._lock:
                self._tasks.remove(task)
                if task.seconds >= PATIENCE:
                    self._screen.end(task)

    def say(self, text: str) -> None:
        """Shows a line of text."""
        with self._lock:
            self._screen.say(f"{self._prefix}{text}")

    def close(self) -> None:
        """Gives the terminal back."""
        with self._lock:
            self._screen.close()

    def _draw(self) -> None:
        while True:
            time.sleep(TICK)
            with self._lock:
                if not self._tasks:
                    self._thread = None
                    return
                self._screen.show([task for task in self._tasks if task.seconds >= PATIENCE])
