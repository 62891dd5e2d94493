"""Progress, rate and time left of what takes longer than two seconds: bars, lines, or in a notebook.

Rich keeps the tasks, their rates and the time left, and draws the bars. A separate thread shows them only
once they have run for long enough, and draws while a compiled call blocks the program.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from jaxtheory.lab.words import duration

PATIENCE = 2.0
"""Seconds before anything is shown."""
BETWEEN_LINES = 5.0
"""Seconds between the lines of one task where there is no terminal."""
TICK = 0.25
"""Seconds between two looks at the tasks."""

WINDOW = 3600.0
"""Seconds of which the rate is an average."""

Bar = Any
"""A task of rich's, which keeps steps, rate and time left."""
Tracker = Any
"""A `rich.progress.Progress`, which keeps the tasks."""


class Task:
    """The handle of a task: a number of equal steps, some of which may have been done before."""

    def __init__(self, progress: Tracker, bar: int):
        self._progress = progress
        self._bar = bar
        self.advance(0)  # a rate is one since the start

    def advance(self, n: int = 1) -> None:
        """Count steps as done."""
        self._progress.advance(self._bar, n)

    def __call__(self, done: int, total: int | None = None) -> None:
        """Set how many steps are done, for callers that report the total."""
        if total:
            self._progress.update(self._bar, total=total)
        self._progress.update(self._bar, completed=done)


def status(bar: Bar) -> str:
    """Write how far a task is, how fast, and how long it will take, as '34 of 100, 2.1/s, 31 s left'."""
    parts = [f"{bar.completed:,} of {bar.total:,}" if bar.total else f"{bar.completed:,}"]
    if rate := bar.finished_speed or bar.speed:
        digits = f"{rate:.3g}" if rate < 1000 else f"{rate:,.0f}"
        parts.append(f"{digits}/s" if rate >= 1 else f"{duration(1 / rate)} each")
    if bar.stop_time is None and bar.time_remaining is not None:
        parts.append(f"{duration(max(0, bar.time_remaining))} left")
    else:
        parts.append(duration(bar.elapsed or 0.0))
    return ", ".join(parts)


class Silent:
    """The base class of displays, which shows nothing; all methods are called under one lock."""

    def show(self, bars: Sequence[Bar], _progress: Tracker) -> None:
        """Draw those of all tasks that have run for long enough."""

    def end(self, bar: Bar) -> None:
        """Replace a task's bar by the time that it took."""

    def say(self, text: str) -> None:
        """Show a line of text."""

    def close(self) -> None:
        """Restore the terminal."""


class Lines(Silent):
    """A line every few seconds, for logs."""

    def __init__(self):
        self._told: dict[int, float] = {}

    def show(self, bars: Sequence[Bar], _progress: Tracker) -> None:
        """Print a line for each task whose last one is long ago."""
        for bar in bars:
            if bar.elapsed - self._told.get(bar.id, -BETWEEN_LINES) >= BETWEEN_LINES:
                self._told[bar.id] = bar.elapsed
                self.say(f"{bar.description}: {status(bar)}")

    def end(self, bar: Bar) -> None:
        """Print what the task took."""
        self._told.pop(bar.id, None)
        self.say(f"{bar.description}: {status(bar)}")

    def say(self, text: str) -> None:
        """Print a line to the standard error; a log that is gone does not stop a run."""
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)


class Bars(Lines):
    """Bars of rich, in a terminal."""

    def __init__(self):
        super().__init__()
        self._live: Tracker = None

    def show(self, bars: Sequence[Bar], progress: Tracker) -> None:
        """Draw the bars."""
        if not bars:
            return
        self._live = progress
        for bar in bars:
            progress.update(bar.id, visible=True)
        progress.start()
        progress.refresh()

    def end(self, bar: Bar) -> None:
        """Put a line in the place of the bar."""
        super().end(bar)
        if self._live is not None and not any(one.visible for one in self._live.tasks):
            self.close()

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        if self._live is None:
            super().say(text)
        else:
            self._live.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the bars and show the cursor again."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class Cell(Silent):
    """Lines under the cell of a notebook, which are drawn anew in their place."""

    def __init__(self):
        self._handle: Any = None
        self._ended: list[str] = []

    def show(self, bars: Sequence[Bar], _progress: Tracker) -> None:
        """Draw a line for each task below those that have ended."""
        if bars:
            self._draw([f"{bar.description}: {status(bar)}" for bar in bars])

    def end(self, bar: Bar) -> None:
        """Leave a line where the task was."""
        self.say(f"{bar.description}: {status(bar)}")

    def say(self, text: str) -> None:
        """Add a line to the cell."""
        self._ended.append(text)
        self._draw([])

    def _draw(self, lines: Sequence[str]) -> None:
        from IPython.display import display

        content = {"text/plain": "\n".join([*self._ended, *lines])}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def _tracker() -> Tracker:
    """What keeps the tasks, and draws them as bars where it is started."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.text import Text

    class Status(ProgressColumn):
        def render(self, task: Bar) -> Text:
            return Text(status(task))

    return Progress(
        TextColumn("{task.description}", markup=False),  # rich would read its own markup in brackets
        BarColumn(),
        Status(),
        console=Console(stderr=True),
        auto_refresh=False,  # the thread draws
        transient=True,
        speed_estimate_period=WINDOW,
        get_time=time.monotonic,
    )


def in_notebook() -> bool:
    """Whether a notebook shows what is displayed."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return shell is not None and type(shell).__name__ != "TerminalInteractiveShell"


def screen() -> Silent:
    """Return what progress is shown on here."""
    if in_notebook():
        return Cell()
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Bars() if terminal else Lines()


class Display:
    """The running tasks, drawn by a thread of their own: a compiled call blocks the others.

    Args:
        shown_on: The screen; by default bars in a terminal, lines elsewhere.
        prefix: The text before every line.
    """

    def __init__(self, shown_on: Silent | None = None, prefix: str = ""):
        self._screen = screen() if shown_on is None else shown_on
        self._prefix = prefix
        self._progress: Any = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def task(self, label: str, total: int | None = None, before: int = 0) -> Iterator[Task]:
        """Show a task while it runs.

        Args:
            label: The name of the task.
            total: The number of steps, if it is known.
            before: The number of steps that were done before.

        Yields:
            The task, on which steps are counted.
        """
        with self._lock:
            self._progress = self._progress or _tracker()
            number = self._progress.add_task(
                f"{self._prefix}{label}", total=total, completed=before, visible=False
            )
            if self._thread is None:
                self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
                self._thread.start()
        try:
            yield Task(self._progress, number)
        finally:
            with self._lock:
                self._progress.advance(number, 0)  # the rate is one until now
                self._progress.stop_task(number)
                [bar] = [one for one in self._progress.tasks if one.id == number]
                self._progress.remove_task(number)
                if bar.elapsed >= PATIENCE:
                    self._screen.end(bar)

    def say(self, text: str) -> None:
        """Show a line of text."""
        with self._lock:
            self._screen.say(f"{self._prefix}{text}")

    def close(self) -> None:
        """Restore the terminal."""
        with self._lock:
            self._screen.close()

    def _draw(self) -> None:
        while True:
            time.sleep(TICK)
            with self._lock:
                bars = self._progress.tasks
                if not bars:
                    self._thread = None
                    return
                self._screen.show([bar for bar in bars if bar.elapsed >= PATIENCE], self._progress)
