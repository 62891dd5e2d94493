import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxtheory.lab.commands import interrupts
from jaxtheory.lab.errors import Failure
from jaxtheory.lab.record import locks
from tests.lab import made_experiments as made

LONG = '''
@dataclass(frozen=True)
class Config:
    steps: int = 2_000_000_000
    """The steps of a loop that takes half a minute at the very least."""


QUICK = Config()


@experiment
def run(config, lab):
    import jax

    lab.sweep("first", lambda i: i, i=(1, 2))
    loop = jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda i, x: x + jax.numpy.sin(x), 0.1))
    jax.block_until_ready(loop(1))  # compiled
    log(lab.directory)
    return [Claim("It ends.", above(0, source="here"), exact(loop(config.steps)))]
'''


@pytest.fixture(autouse=True)
def signals_are_heard():
    """In a shell's background, or under `nohup`, the tests and the processes that they start ignore some."""
    usual = dict.fromkeys(interrupts.SIGNALS, signal.SIG_DFL) | {signal.SIGINT: signal.default_int_handler}
    before = {one: signal.signal(one, handler) for one, handler in usual.items()}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def wait_for(*files, patience=60.0):
    """Until the experiments are in their long call."""
    deadline = time.monotonic() + patience
    while not all(made.logged(file) for file in files):
        assert time.monotonic() < deadline, "no experiment began"
        time.sleep(0.05)
    time.sleep(0.3)  # from the log into the call


def interrupt(process, by=signal.SIGINT):
    """Ctrl-C, or another signal; returns how long it took, and what was printed last."""
    began = time.monotonic()
    process.send_signal(by)
    _, errors = process.communicate(timeout=20)
    return time.monotonic() - began, errors


@pytest.mark.beyond
def test_ctrl_c_stops_within_two_seconds_in_a_compiled_call(tmp_path):
    file = made.write(tmp_path / "made", "long", LONG)
    command = ("run", "long", "--quick", "--experiments", tmp_path / "made")
    with made.start(tmp_path, *command, "--fresh") as process:
        wait_for(file)
        # A second one of the same configuration finds it taken.
        status, _, errors = made.shell(tmp_path, *command)
        assert status == 3
        assert errors.count("\n") == 1
        assert "is being computed by another process: wait for it, or stop it" in errors
        took, errors = interrupt(process)
    assert process.returncode == 130
    assert took < 2.0
    again = f"jaxtheory run long --quick --experiments {tmp_path / 'made'}"  # without --fresh: it goes on
    assert errors == f"jaxtheory: stopped; what was done is kept. To continue:  {again}\n"
    assert len(list(tmp_path.glob("runs/long/*/points/first/*.npz"))) == 2


@pytest.mark.beyond
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_children_too_and_starts_no_others(tmp_path, by):
    files = [made.write(tmp_path / "made", f"long_{i}", LONG) for i in range(3)]
    with made.start(tmp_path, "run", "--all", "--jobs", 2, "--experiments", "made") as process:
        wait_for(*files[:2])
        # A terminal tells the whole group; here the parent alone is told, and tells the others.
        took, errors = interrupt(process, by)
    assert process.returncode == 130
    assert took < 2.0
    assert errors.endswith("To continue:  jaxtheory run --all --jobs 2 --experiments made\n")
    time.sleep(0.5)
    are_free(tmp_path, files[:2])
    assert not (tmp_path / "runs" / "long_2").exists()


@pytest.mark.beyond
def test_children_end_with_a_parent_that_is_killed(tmp_path):
    files = [made.write(tmp_path / "made", f"long_{i}", LONG) for i in range(2)]
    with made.start(tmp_path, "run", "--all", "--jobs", 2, "--experiments", "made") as process:
        wait_for(*files)
        process.kill()
    deadline = time.monotonic() + 20
    while True:
        try:
            are_free(tmp_path, files)
            break
        except Failure:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def are_free(folder, files):
    """Failure if a child that goes on holds its run."""
    for file in files:
        [directory] = made.logged(file)
        with locks.held(folder / directory):
            pass


WAITING = """
import sys, time
from jaxtheory.lab.commands import interrupts
def clean_up():
    print("cleaned up ", end="", file=sys.stderr, flush=True)
with interrupts.stopping(lambda: "the last words", clean_up):
    print("ready", flush=True)
    time.sleep(60)
"""


def waiting():
    """A process that waits for a signal, and the other end of the terminal that its errors go to."""
    terminal, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=theirs, text=True
    )
    os.close(theirs)
    assert process.stdout.readline() == "ready\n"
    return process, terminal


@pytest.mark.parametrize("by", interrupts.SIGNALS)
def test_each_signal_cleans_up_and_gives_the_cursor_back(by):
    process, terminal = waiting()
    with process:
        process.send_signal(by)
        assert process.wait(timeout=20) == 130
    shown = os.read(terminal, 1000).decode()
    os.close(terminal)
    assert shown == f"cleaned up {interrupts.SHOW_CURSOR}the last words\r\n"


def test_a_terminal_that_is_gone_stops_it_too():
    process, terminal = waiting()
    with process:
        os.close(terminal)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=20) == 130


def test_a_lock_that_is_held_is_noticed_by_that_check(tmp_path):
    with locks.held(tmp_path), pytest.raises(Failure, match="is being computed"), locks.held(tmp_path):
        pass


def test_the_handlers_of_before_come_back():
    before = [signal.getsignal(one) for one in interrupts.SIGNALS]
    with interrupts.stopping(lambda: ""):
        assert not set(before) & {signal.getsignal(one) for one in interrupts.SIGNALS}
        [watcher] = [thread for thread in threading.enumerate() if thread.name == "interrupts"]
    assert [signal.getsignal(one) for one in interrupts.SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert not watcher.is_alive()


def test_a_signal_that_was_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interrupts.stopping(lambda: ""):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_is_changed_where_all_are_ignored_or_in_a_thread():
    before = {one: signal.signal(one, signal.SIG_IGN) for one in interrupts.SIGNALS}
    try:
        with interrupts.stopping(lambda: ""):
            assert signal.set_wakeup_fd(-1) == -1
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    seen = []

    def inside():
        with interrupts.stopping(lambda: ""):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before[signal.SIGINT]]
