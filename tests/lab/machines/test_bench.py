import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.machines import bench
from jaxtheory.lab.show.progress import Display, Silent

SORTING = '''
    """Sorting of numbers,
    in several ways.

    The rest of the docstring.
    """

    import numpy as np

    from jaxtheory.lab.machines.bench import Case, Contestant, faster, within

    CASES = [
        Case(
            "small",
            {"n": 500},
            [
                faster(1e-6, than="slow"),
                faster(1e9),
                within(1e-12),
                within(60.0),
                faster(1e-9, quantity="first call"),
            ],
            tolerance=1e-6,
        ),
    ]

    def ours(n):
        x = np.random.default_rng(0).random(n)
        return lambda: np.sort(x)

    def slow(n):
        print("what libraries print is no answer")
        x = np.random.default_rng(0).random(n)
        return lambda: np.array(sorted(x))

    def copy(n):
        return np.random.default_rng(0).random(n).copy

    CONTESTANTS = {
        "jaxtheory": Contestant("ours", ours),
        "slow": Contestant("peer", slow, threads=(1, 2)),
        "copy": Contestant("limit", copy),
    }
'''


@pytest.fixture
def write_bench(tmp_path):
    def write(text=SORTING, name="sorting", change=("", "")):
        file = tmp_path / "experiments" / "benchmarks" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip().replace(*change))
        return file

    return write


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(bench, "STARTS", 1)
    monkeypatch.setattr(bench, "PAUSE", 0.0)


def run(tmp_path, *names, **options):
    options = {"peers": True, "repeats": 2} | options
    return bench.command(names, runs=tmp_path / "runs", folders=[tmp_path / "experiments"], **options)


def rows(report, case=0):
    return {row["name"]: row for row in report["cases"][case]["contestants"]}


def measured(file, *, peers=True, repeats=2):
    return bench.measure(bench.load(file), peers=peers, repeats=repeats, display=Display(Silent()))


def test_a_file_is_all_that_a_bench_needs(tmp_path, write_bench, capsys):
    write_bench()
    assert run(tmp_path, repeats=3, output=tmp_path / "also.json") == 0
    printed = capsys.readouterr().out
    [stored] = (tmp_path / "runs" / "benchmarks" / "sorting").iterdir()
    report = json.loads(stored.read_text())
    assert json.loads((tmp_path / "also.json").read_text()) == [report]
    assert report["sentence"] == "Sorting of numbers, in several ways."
    found = rows(report)
    assert list(found) == ["jaxtheory", "slow", "copy"]
    for row in found.values():
        assert row["steady"]["n"] == row["first_call"]["n"] == row["setup"]["n"] == 3
        assert 0 < row["steady"]["low"] <= row["steady"]["median"] <= row["steady"]["high"]
        assert row["steady"]["calls_per_turn"] > 1  # a turn lasts long enough to be timed
        assert row["memory"]["peak"] > 10
    ratios = np.divide(found["slow"]["steady"]["values"], found["jaxtheory"]["steady"]["values"])
    np.testing.assert_allclose(found["slow"]["ours_is_faster"]["values"], ratios)
    ratios = np.divide(found["slow"]["steady"]["values"], found["copy"]["steady"]["values"])
    np.testing.assert_allclose(found["slow"]["times_the_limit"]["median"], np.median(ratios))
    assert found["slow"]["difference"] == 0.0
    assert found["jaxtheory"]["ours_is_faster"] is None
    assert "| jaxtheory" in printed
    assert "Sorting of numbers, in several ways." in printed


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


def test_each_bar_says_whether_it_was_reached(write_bench, quick):
    report = measured(write_bench())
    bars = report["cases"][0]["bars"]
    assert [bar["reached"] for bar in bars] == [True, False, False, True, True]
    assert bars[1]["against"] == "slow"  # the fastest peer
    printed = bench.table(report)
    assert "steady at least 1e-06x as fast as slow: reached" in printed
    assert "steady at least 1e+09x as fast as the fastest peer: MISSED" in printed
    assert "first call within 60 s: reached" in printed


def test_without_peers_only_ours_and_the_limit_run(write_bench, quick):
    report = measured(write_bench(), peers=False, repeats=1)
    assert list(rows(report)) == ["jaxtheory", "copy"]
    assert [bar["reached"] for bar in report["cases"][0]["bars"]] == [None, None, False, True, None]
    assert "not measured" in bench.table(report)


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


def test_a_missing_library_is_told_and_no_failure(write_bench, tmp_path, quick, capsys):
    write_bench(change=("def slow(n):", "def slow(n):\n    import library_that_is_not_there"))
    assert run(tmp_path, "sorting") == 0
    printed = capsys.readouterr()
    assert 'library_that_is_not_there is not installed: pip install "jaxtheory[bench]"' in printed.out


def test_a_contestant_may_decline_a_case(write_bench, tmp_path, quick, capsys):
    write_bench(change=("def slow(n):", "def slow(n):\n    raise NotImplementedError('cannot sort so few')"))
    assert run(tmp_path, "sorting") == 0
    assert "cannot sort so few" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("np.array(sorted(x))", "1 / 0"), "sorting, small, slow: ZeroDivisionError: division by zero"),
        (
            ("np.array(sorted(x))", "np.sort(x) + 0.1"),
            "differs from ours, of shape (500,), by 1.0e-01 of the largest value, more than 1e-06",
        ),
        (("np.array(sorted(x))", "x[:5]"), "of shape (5,), differs from ours, of shape (500,), by inf"),
        (("np.array(sorted(x))", "x * np.nan"), "by nan of the largest value"),
        (
            ("np.array(sorted(x))", "__import__('os').kill(__import__('os').getpid(), 9)"),
            "its process ended by signal 9, most likely for lack of memory",
        ),
    ],
)  # fmt: skip
def test_a_failing_peer_is_one_line_and_the_others_go_on(
    write_bench, tmp_path, quick, capsys, change, message
):
    write_bench(change=change)
    assert run(tmp_path, "sorting", json=True) == 3
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err
    [report] = json.loads(printed.out, parse_constant=pytest.fail)
    assert rows(report)["jaxtheory"]["steady"]["median"] > 0
    assert rows(report)["copy"]["times_the_limit"] is None


def test_when_ours_fails_the_others_are_still_timed(write_bench, quick):
    report = measured(write_bench(change=("np.sort(x)\n", "1 / 0\n")))
    assert "ZeroDivisionError" in rows(report)["jaxtheory"]["unavailable"]
    assert rows(report)["slow"]["ours_is_faster"] is None
    assert rows(report)["slow"]["times_the_limit"]["median"] > 0
    assert "not measured" in bench.table(report)


def test_a_long_start_is_not_repeated(write_bench, monkeypatch):
    monkeypatch.setattr(bench, "LONG_START", 0.0)
    report = measured(write_bench(), peers=False, repeats=3)
    assert {row["first_call"]["n"] for row in rows(report).values()} == {1}


def test_workers_end_with_the_bench(write_bench, tmp_path):
    pid = tmp_path / "pid.txt"
    sleep = f"(Path({str(pid)!r}).write_text(str(os.getpid())), time.sleep(600))\n"
    file = write_bench(change=("np.sort(x)\n", sleep))
    imports = "import os, time\nfrom pathlib import Path\nimport numpy"
    file.write_text(file.read_text().replace("import numpy", imports))
    code = (
        "from pathlib import Path; from jaxtheory.lab.machines import bench; "
        f"bench.command(folders=[Path({str(file.parents[1])!r})])"
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


def test_a_text_narrows_a_bench_to_the_cases_that_hold_it(write_bench, tmp_path, quick):
    write_bench(change=("CASES = [", 'CASES = [\n    Case("large", {"n": 5000}),'))
    assert run(tmp_path, peers=False, case="arg", output=tmp_path / "some.json") == 0
    [report] = json.loads((tmp_path / "some.json").read_text())
    assert [case["name"] for case in report["cases"]] == ["large"]


def test_an_unknown_bench_gets_the_nearest_names(write_bench, tmp_path, own_errors):
    write_bench()
    with pytest.raises(Usage, match=r"there is no bench 'sortin'; did you mean sorting\?"):
        run(tmp_path, "sortin")
    with pytest.raises(Usage, match="--repeats must be at least 1, found 0"):
        run(tmp_path, repeats=0)
    with pytest.raises(Usage, match=r"there is no bench in .*nowhere"):
        bench.command(folders=[tmp_path / "nowhere"])
    with pytest.raises(Usage, match="no case has 'huge' in its name; there are small"):
        run(tmp_path, case="huge")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("CASES", "PROBLEMS"), "bench sorting needs CASES, a list of Case, and CONTESTANTS"),
        (('Contestant("ours"', 'Contestant("peer"'), 'has no contestant whose role is "ours"'),
        (('Contestant("ours"', 'Contestant("mine"'), "role is one of ours, peer, limit, found 'mine'"),
        (('than="slow"', 'than="fast"'), "a bar against 'fast', which is no contestant"),
        (('quantity="first call"', 'quantity="last call"'), 'a bar is on "steady" or "first call", found'),
        (("CASES = [", "CASES = 2 * ["), "bench sorting has two cases of the same name"),
        (("import numpy as np", "import not_there_at_all"), "cannot be imported: ModuleNotFoundError"),
    ],
)  # fmt: skip
def test_a_bench_that_is_none_says_what_it_lacks(write_bench, tmp_path, capsys, own_errors, change, message):
    file = write_bench(change=change)
    with pytest.raises(Failure) as error:
        bench.load(file)
    assert message in str(error.value)
    assert run(tmp_path) == 3
    assert message in capsys.readouterr().err


def test_a_bench_without_a_docstring(write_bench, own_errors):
    with pytest.raises(Failure, match="has no docstring: begin it with a sentence on what is measured"):
        bench.load(write_bench("CASES = []"))


def test_programs_are_named_for_compilation_ahead_of_time(write_bench):
    file = write_bench(SORTING + '\n    def programs():\n        return {"sort": (np.sort, (3,))}\n')
    assert bench.load(file).programs()["sort"][1] == (3,)
    assert bench.load(write_bench(name="other")).programs() == {}


def test_seconds_are_written_with_three_digits():
    assert [bench.seconds_text(x) for x in (12.345, 0.0123456, 4.5e-6)] == ["12.3 s", "12.3 ms", "4.5 µs"]
    assert math.isinf(bench._difference(np.zeros(3), np.zeros(4)))
