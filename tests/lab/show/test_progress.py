import html
import io
import sys
import threading
import time
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from jaxtheory.lab.show import progress
from jaxtheory.lab.show.progress import Bars, Cell, Display, Lines, Silent, Task, duration, screen

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


def test_rate_and_time_left_are_of_the_steps_of_this_start(clock):
    task = Task("points", 1100, before=100)
    assert task.status == "100 of 1,100, 0.0 s"
    clock.now = 10.0
    assert task.status == "100 of 1,100, 10 s"
    task.advance(50)
    assert task.status == "150 of 1,100, 5/s, 3 min 10 s left"
    clock.now = 400.0
    assert task.status == "150 of 1,100, 8.0 s each, 2 h 06 min left"
    task.advance(950)
    assert task.status == "1,100 of 1,100, 2.5/s, 0.0 s left"
    task.ended = 500.0
    clock.now = 9999.0
    assert task.status == "1,100 of 1,100, 2/s, 8 min 20 s"


def test_steps_without_a_total_have_a_rate_only(clock):
    task = Task("steps", None)
    clock.now = 2.0
    assert task.status == "0, 2.0 s"
    task.advance(25_000)
    assert task.status == "25,000, 12,500/s, 2.0 s"
    task(3, 10)
    assert task.status == "3 of 10, 1.5/s, 4.7 s left"
    task(12)
    assert task.status == "12 of 10, 6/s, 0.0 s left"


def test_steps_in_no_time_have_no_rate(clock):
    task = Task("steps", 10)
    task.advance(3)
    assert task.status == "3 of 10, 0.0 s"
    task.ended = 0.0
    clock.now = 5.0
    assert task.status == "3 of 10, 0.0 s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (9.94, "9.9 s"), (9.95, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"),
        (125, "2 min 05 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h 00 min"), (36_660, "10 h 11 min"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds, text):
    assert duration(seconds) == text


class Kept(Silent):
    """Keeps what it is told to show."""

    def __init__(self):
        self.shown, self.ended, self.said = [], [], []
        self.drawn = threading.Event()

    def show(self, tasks):
        self.shown += [task.label for task in tasks]
        if tasks:
            self.drawn.set()

    def end(self, task):
        self.ended.append(task.status)

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
    assert display._tasks == []


def test_without_a_terminal_there_is_a_line_every_few_seconds(clock, capsys):
    lines, tasks = Lines(), [Task("first", 100), Task("second", None)]
    for step in range(49):  # 12 seconds of ticks
        clock.now = 2 + 0.25 * step
        tasks[0].done = step
        lines.show(tasks)
    lines.say("a line")
    tasks[0].ended = 14.0
    lines.end(tasks[0])
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
    with display.task("computing") as task:
        clock.now = 10.0
        task.advance()
    display.say("a line")
    assert task.done == 1


def test_in_a_terminal_there_are_bars_and_a_line_at_the_end(clock, in_terminal):
    terminal = in_terminal()
    bars, task = Bars(), Task("points", 10)
    bars.show([])
    assert terminal.getvalue() == ""
    clock.now = 4.0
    task.advance(4)
    bars.show([task])
    bars.say(f"{HOSTILE} said")
    bars._progress.refresh()
    shown = terminal.getvalue()
    assert "━" in shown
    assert "4 of 10, 1/s, 6.0 s left" in shown
    assert f"{HOSTILE} said\n" in shown
    task.ended = 5.0
    bars.end(task)
    assert "points: 4 of 10, 1.2 s each, 5.0 s\n" in terminal.getvalue()
    assert bars._progress is None
    assert (
        terminal.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in terminal.getvalue()
    )  # the cursor is back


def test_labels_are_no_markup_in_a_terminal(clock, in_terminal):
    terminal = in_terminal()
    bars = Bars()
    task = Task(HOSTILE, 10)
    clock.now = 4.0
    bars.show([task])
    bars._progress.refresh()
    assert HOSTILE in terminal.getvalue()
    bars.close()


def test_bars_come_back_after_they_were_closed(clock, in_terminal):
    in_terminal()
    bars, task = Bars(), Task("points", 10)
    bars.show([task])
    bars.close()
    bars.close()
    bars.show([task])
    bars.end(task)
    assert bars._progress is None


class Elements(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_a_notebooks_cell_shows_bars_with_their_labels_escaped(clock, monkeypatch):
    drawn = []
    monkeypatch.setattr(Cell, "_draw", lambda _, content: drawn.append(content))
    cell = Cell()
    cell.show([])
    assert drawn == []  # no empty output before there is something to show
    known, unknown = Task(HOSTILE, 10), Task("unknown", None)
    clock.now = 4.0
    known.advance(4)
    cell.show([known, unknown])
    shown = Elements(drawn[-1])
    assert shown.tags == [
        ("div", {}), ("progress", {"value": "4", "max": "10"}), ("div", {}), ("progress", {}),
    ]  # fmt: skip
    assert shown.text == f"{HOSTILE}  4 of 10, 1/s, 6.0 s leftunknown  0, 4.0 s"
    known.ended = 5.0
    cell.end(known)
    cell.say(HOSTILE)
    cell.show([unknown])
    shown = Elements(drawn[-1])
    assert [tag for tag, _ in shown.tags] == ["div", "div", "div", "progress"]
    assert shown.text.startswith(f"{HOSTILE}: 4 of 10, 1.2 s each, 5.0 s{HOSTILE}unknown")
    assert html.escape(HOSTILE) in drawn[-1]


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
