import io
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from jaxtheory.lab import progress
from jaxtheory.lab.progress import Bars, Cell, Display, Lines, Silent, Task, screen, status

HOSTILE = "<b onclick='x'>[red]loss[/nope] :smile: & \"this\"</b>"


class Clock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock, sleep=time.sleep))
    return clock


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self):
        return True


@pytest.fixture
def in_terminal(monkeypatch):
    """Puts the program in a terminal; called in the test, since pytest takes the standard error itself."""

    def enter():
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "200")
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        return sys.stderr

    return enter


def begun(total, label="points", before=0):
    """A task, and what rich keeps of it."""
    tracker = progress._tracker()
    number = tracker.add_task(label, total=total, completed=before, visible=False)
    return Task(tracker, number), tracker.tasks[0], tracker


def test_rate_and_time_left_are_of_the_steps_of_this_start(clock):
    task, bar, tracker = begun(1100, before=100)
    assert status(bar) == "100 of 1,100, 0.0 s"
    clock.now = 10.0
    assert status(bar) == "100 of 1,100, 10 s"
    task.advance(50)
    assert status(bar) == "150 of 1,100, 5/s, 3 min 10 s left"
    clock.now = 400.0
    task.advance(0)
    assert status(bar) == "150 of 1,100, 8.0 s each, 2 h 06 min left"
    task.advance(950)
    assert status(bar).startswith("1,100 of 1,100, 2.5/s, ")
    clock.now = 500.0
    tracker.stop_task(bar.id)
    clock.now = 9999.0
    assert status(bar) == "1,100 of 1,100, 2.5/s, 8 min 20 s"


def test_a_single_slow_step_has_a_rate(clock):
    task, bar, _ = begun(10)
    clock.now = 600.0
    task.advance()
    assert status(bar) == "1 of 10, 10 min 00 s each, 1 h 30 min left"


def test_steps_without_a_total_have_a_rate_only(clock):
    task, bar, _ = begun(None)
    clock.now = 2.0
    assert status(bar) == "0, 2.0 s"
    task.advance(25_000)
    assert status(bar) == "25,000, 12,500/s, 2.0 s"


def test_what_reports_its_steps_names_their_number(clock):
    task, bar, _ = begun(None)
    task(0, 10)
    clock.now = 1.0
    task(1)
    clock.now = 3.0
    task(5, 10)
    assert status(bar) == "5 of 10, 2/s, 3.0 s left"


def test_steps_in_no_time_have_no_rate(clock):
    task, bar, _ = begun(10)
    task.advance(3)
    assert status(bar) == "3 of 10, 0.0 s"


class Kept(Silent):
    """Keeps what it is told to show."""

    def __init__(self):
        self.shown, self.ended, self.said = [], [], []
        self.drawn = threading.Event()

    def show(self, bars, _):
        self.shown += [bar.description for bar in bars]
        if bars:
            self.drawn.set()

    def end(self, bar):
        self.ended.append(status(bar))

    def say(self, text):
        self.said.append(text)


def test_what_takes_less_than_two_seconds_is_not_shown(clock):
    kept = Kept()
    display = Display(kept, prefix="mnist: ")
    with display.task("short", 10) as task:
        task.advance(10)
        clock.now = 1.99
    assert (kept.shown, kept.ended) == ([], [])
    with display.task("long", 10) as task:
        task.advance(10)
        clock.now = 4.0
    assert kept.ended == ["10 of 10, 4.98/s, 2.0 s"]
    display.say("done")
    assert kept.said == ["mnist: done"]


def test_a_thread_draws_what_goes_on_while_the_program_computes(clock, monkeypatch):
    monkeypatch.setattr(progress, "TICK", 0.001)
    kept = Kept()
    display = Display(kept)
    with display.task("outer"):
        clock.now = 3.0
        with display.task("inner"):
            assert kept.drawn.wait(30)
            assert set(kept.shown) == {"outer"}
            kept.drawn.clear()
            clock.now = 6.0
            while "inner" not in kept.shown:
                assert kept.drawn.wait(30)
                kept.drawn.clear()
    assert len(kept.ended) == 2
    drawing = display._thread
    if drawing is not None:
        drawing.join(30)
    assert display._thread is None
    kept.drawn.clear()
    with display.task("another"):
        clock.now = 20.0
        assert kept.drawn.wait(30)


def test_a_task_that_fails_is_ended_too(clock):
    kept = Kept()
    display = Display(kept)

    def failing():
        with display.task("fails", 10) as task:
            task.advance(2)
            clock.now = 4.0
            raise ValueError("out of memory")

    with pytest.raises(ValueError, match="out of memory"):
        failing()
    assert kept.ended == ["2 of 10, 2.0 s each, 4.0 s"]
    assert display._progress.tasks == []


def test_without_a_terminal_there_is_a_line_every_few_seconds(clock, capsys):
    lines = Lines()
    task, first, tracker = begun(100, "first")
    tracker.add_task("second", total=None)
    for step in range(49):  # 12 seconds of ticks
        clock.now = 2 + 0.25 * step
        task(step)
        lines.show(tracker.tasks, tracker)
    lines.say("a line")
    clock.now = 14.0
    tracker.stop_task(first.id)
    lines.end(first)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "first: 0 of 100, 2.0 s",
        "second: 0, 2.0 s",
        "first: 20 of 100, 2.86/s, 28 s left",
        "second: 0, 7.0 s",
        "first: 40 of 100, 3.33/s, 18 s left",
        "second: 0, 12 s",
        "a line",
        "first: 48 of 100, 3.43/s, 14 s",
    ]


def test_a_log_that_is_gone_stops_nothing(clock, monkeypatch):
    class Gone(io.StringIO):
        def write(self, *_):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    display = Display(Lines())
    ended = False
    with display.task("computing") as task:
        clock.now = 10.0
        task.advance()
        ended = True
    display.say("a line")
    assert ended


def test_in_a_terminal_there_are_bars_and_a_line_at_the_end(clock, in_terminal):
    terminal = in_terminal()
    bars = Bars()
    task, bar, tracker = begun(10)
    bars.show([], tracker)
    assert terminal.getvalue() == ""
    clock.now = 4.0
    task.advance(4)
    bars.show([bar], tracker)
    bars.say(f"{HOSTILE} said")
    tracker.refresh()
    shown = terminal.getvalue()
    assert "━" in shown
    assert "4 of 10, 1/s, 6.0 s left" in shown
    assert f"{HOSTILE} said\n" in shown
    clock.now = 5.0
    tracker.stop_task(bar.id)
    tracker.remove_task(bar.id)
    bars.end(bar)
    assert "points: 4 of 10, 1/s, 5.0 s\n" in terminal.getvalue()
    assert not tracker.live.is_started
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back


def test_labels_are_no_markup_in_a_terminal(clock, in_terminal):
    terminal = in_terminal()
    bars = Bars()
    _, bar, tracker = begun(10, HOSTILE)
    clock.now = 4.0
    bars.show([bar], tracker)
    assert HOSTILE in terminal.getvalue()
    bars.close()


def test_bars_come_back_after_they_were_closed(clock, in_terminal):
    in_terminal()
    bars = Bars()
    _, bar, tracker = begun(10)
    bars.show([bar], tracker)
    bars.close()
    bars.close()
    assert not tracker.live.is_started
    bars.show([bar], tracker)
    assert tracker.live.is_started
    bars.close()


class Output:
    """What a notebook shows under a cell."""

    def __init__(self):
        self.drawn = []

    def display(self, content, *, raw, **_):
        assert raw
        self.drawn.append(content["text/plain"])
        return SimpleNamespace(update=self.display)


def test_a_notebooks_cell_shows_lines_in_their_place(clock, monkeypatch):
    output = Output()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=output.display))
    cell = Cell()
    known, bar, tracker = begun(10, HOSTILE)
    tracker.add_task("unknown", total=None)
    cell.show([], tracker)
    assert output.drawn == []  # no empty output before there is something to show
    clock.now = 4.0
    known.advance(4)
    cell.show(tracker.tasks, tracker)
    assert output.drawn[-1] == f"{HOSTILE}: 4 of 10, 1/s, 6.0 s left\nunknown: 0, 4.0 s"
    clock.now = 5.0
    tracker.stop_task(bar.id)
    tracker.remove_task(bar.id)
    cell.end(bar)
    cell.say(HOSTILE)
    cell.show(tracker.tasks, tracker)
    assert output.drawn[-1] == f"{HOSTILE}: 4 of 10, 1/s, 5.0 s\n{HOSTILE}\nunknown: 0, 5.0 s"


def test_the_silent_show_nothing(clock, capsys):
    display = Display(Silent())
    with display.task("points", 10) as task:
        clock.now = 100.0
        task.advance(10)
        display.say("a line")
    display.close()
    assert capsys.readouterr() == ("", "")


def test_the_screen_is_what_there_is(in_terminal, monkeypatch):
    in_terminal()
    assert type(screen()) is Bars
    monkeypatch.setenv("TERM", "dumb")
    assert type(screen()) is Lines
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(screen()) is Lines

    class ZMQInteractiveShell:
        pass

    class TerminalInteractiveShell:
        pass

    for shell, expected in (
        (ZMQInteractiveShell(), Cell),
        (TerminalInteractiveShell(), Lines),
        (None, Lines),
    ):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert type(screen()) is expected
