import signal
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
    """Of a loop that takes half a minute at the very least."""


QUICK = Config()


@experiment
def run(config, lab):
    import jax

    lab.sweep("first", lambda i: i, i=(1, 2))
    loop = jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda i, x: x + jax.numpy.sin(x), 0.1))
    jax.block_until_ready(loop(1))  # compiled
    log(lab.directory)
    return [Claim("It ends.", above(0, source="here"), Measured(loop(config.steps)))]
'''


def wait_for(*files, patience=60.0):
    """Until the experiments are in their long call."""
    deadline = time.monotonic() + patience
    while not all(made.logged(file) for file in files):
        assert time.monotonic() < deadline, "no experiment began"
        time.sleep(0.05)
    time.sleep(0.3)  # from the log into the call


def interrupt(process):
    """Ctrl-C; returns how long it took, and what was printed last."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    return time.monotonic() - began, errors


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
    assert errors == f"jaxtheory: stopped, and what was done is kept; this goes on:  {again}\n"
    assert len(list(tmp_path.glob("runs/long/*/points/first/*.npz"))) == 2


def test_ctrl_c_ends_the_children_too_and_starts_no_others(tmp_path):
    files = [made.write(tmp_path / "made", f"long_{i}", LONG) for i in range(3)]
    with made.start(tmp_path, "run", "--all", "--jobs", 2, "--experiments", "made") as process:
        wait_for(*files[:2])
        # A terminal tells the whole group; here the parent alone is told, and tells the others.
        took, errors = interrupt(process)
    assert process.returncode == 130
    assert took < 2.0
    assert errors.endswith("this goes on:  jaxtheory run --all --jobs 2 --experiments made\n")
    time.sleep(0.5)
    for file in files[:2]:
        [directory] = made.logged(file)
        with locks.held(tmp_path / directory):  # a child that went on would hold it
            pass
    assert not (tmp_path / "runs" / "long_2").exists()


def test_a_lock_that_is_held_is_noticed_by_that_check(tmp_path):
    with locks.held(tmp_path), pytest.raises(Failure, match="is being computed"), locks.held(tmp_path):
        pass


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGINT)
    with interrupts.stopping(lambda: ""):
        assert signal.getsignal(signal.SIGINT) is not before
        [watcher] = [thread for thread in threading.enumerate() if thread.name == "interrupts"]
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1
    assert not watcher.is_alive()


def test_nothing_is_changed_where_ctrl_c_is_ignored_or_in_a_thread():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.stopping(lambda: ""):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    seen = []

    def inside():
        with interrupts.stopping(lambda: ""):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]
