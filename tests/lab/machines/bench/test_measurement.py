"""Turns of contestants, each in a process of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jaxtheory.lab.machines.bench import measurement, table
from tests.lab.machines.bench.sorting import measured, rows


@pytest.mark.beyond
def test_the_better_thread_setting_counts_and_both_are_told(write_bench, quick):
    file = write_bench(
        change=(
            "np.array(sorted(x))",
            "(time.sleep(0.1 * (os.environ['OMP_NUM_THREADS'] == '1')), np.sort(x))[1]",
        )
    )
    file.write_text(file.read_text().replace("import numpy", "import os, time\nimport numpy"))
    slow = measured(file)
    row = rows(slow)["slow"]
    assert row["threads"] == 2
    assert [one["threads"] for one in row["tried"]] == [1, 2]
    assert row["tried"][0]["steady"] > 0.1 > row["tried"][1]["steady"]


@pytest.mark.beyond
def test_each_bar_says_whether_it_was_reached(write_bench, quick):
    report = measured(write_bench())
    bars = report["cases"][0]["bars"]
    assert [bar["reached"] for bar in bars] == [True, False, False, True, True]
    assert bars[1]["against"] == "slow"  # the fastest peer
    printed = table.markdown(report)
    assert "steady at least 1e-06x as fast as slow: reached" in printed
    assert "steady at least 1e+09x as fast as the fastest peer: MISSED" in printed
    assert "first call within 60 s: reached" in printed


@pytest.mark.beyond
def test_without_peers_only_ours_and_the_limit_run(write_bench, quick):
    report = measured(write_bench(), peers=False, repeats=1)
    assert list(rows(report)) == ["jaxtheory", "copy"]
    assert [bar["reached"] for bar in report["cases"][0]["bars"]] == [None, None, False, True, None]
    assert "not measured" in table.markdown(report)


@pytest.mark.beyond
def test_contestants_take_turns_and_compile_anew(write_bench, tmp_path, quick, monkeypatch):
    log = tmp_path / "log.txt"
    monkeypatch.setenv("LOG", str(log))
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "true")
    measured(
        write_bench('''
            """Who is called when."""
            import os
            import time

            from jaxtheory.lab.machines.bench import Case, Contestant

            def maker(name):
                def make():
                    def run():
                        with open(os.environ["LOG"], "a") as log:
                            log.write(name + os.environ["JAX_ENABLE_COMPILATION_CACHE"][0])
                        time.sleep(0.3)
                        return 1.0
                    return run
                return make

            CASES = [Case("one")]
            CONTESTANTS = {"A": Contestant("ours", maker("A")), "B": Contestant("peer", maker("B"))}
        '''),
        repeats=4,
    )
    # The first calls, a call each that says how long a turn is to be, and then the turns.
    assert log.read_text() == "AfBf" + "AfAfBfBf" + 3 * "AfBf"


@pytest.mark.beyond
def test_when_ours_fails_the_others_are_still_timed(write_bench, quick):
    report = measured(write_bench(change=("np.sort(x)\n", "1 / 0\n")))
    assert "ZeroDivisionError" in rows(report)["jaxtheory"]["unavailable"]
    assert rows(report)["slow"]["ours_is_faster"] is None
    assert rows(report)["slow"]["times_the_limit"]["median"] > 0
    assert "not measured" in table.markdown(report)


def test_a_long_start_is_not_repeated(write_bench, monkeypatch):
    monkeypatch.setattr(measurement, "LONG_START", 0.0)
    report = measured(write_bench(), peers=False, repeats=3)
    assert {row["first_call"]["n"] for row in rows(report).values()} == {1}


@pytest.mark.beyond
def test_workers_end_with_the_bench(write_bench, tmp_path):
    pid = tmp_path / "pid.txt"
    sleep = f"(Path({str(pid)!r}).write_text(str(os.getpid())), time.sleep(600))\n"
    file = write_bench(change=("np.sort(x)\n", sleep))
    imports = "import os, time\nfrom pathlib import Path\nimport numpy"
    file.write_text(file.read_text().replace("import numpy", imports))
    code = (
        "from pathlib import Path; from jaxtheory.lab.machines.bench.main import command; "
        f"command(folders=[Path({str(file.parents[1])!r})])"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as parent:
        deadline = time.monotonic() + 60
        while not (pid.exists() and pid.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parent.send_signal(signal.SIGKILL)
    worker = int(pid.read_text())
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
