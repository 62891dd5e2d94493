"""The command on benches: what it prints, stores and returns."""

import json

import numpy as np
import pytest

from jaxtheory.lab.errors import Usage
from jaxtheory.lab.machines.bench.main import command
from tests.lab.machines.bench.sorting import rows


@pytest.mark.beyond
def test_a_file_is_all_that_a_bench_needs(tmp_path, write_bench, run, capsys):
    write_bench()
    assert run(repeats=3, output=tmp_path / "also.json") == 0
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


def test_a_missing_library_is_told_and_no_failure(write_bench, run, quick, capsys):
    write_bench(change=("def slow(n):", "def slow(n):\n    import library_that_is_not_there"))
    assert run("sorting") == 0
    printed = capsys.readouterr()
    assert 'library_that_is_not_there is not installed: pip install "jaxtheory[bench]"' in printed.out


@pytest.mark.beyond
def test_a_contestant_may_decline_a_case(write_bench, run, quick, capsys):
    write_bench(change=("def slow(n):", "def slow(n):\n    raise NotImplementedError('cannot sort so few')"))
    assert run("sorting") == 0
    assert "cannot sort so few" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("1 / 0", "sorting, small, slow: ZeroDivisionError: division by zero"),
        *(
            pytest.param(*one, marks=pytest.mark.beyond)
            for one in (
                (
                    "np.sort(x) + 0.1",
                    "differs from ours, of shape (500,), by 1.0e-01 of the largest value, more than 1e-06",
                ),
                ("x[:5]", "of shape (5,), differs from ours, of shape (500,), by inf"),
                ("x * np.nan", "by nan of the largest value"),
                (
                    "__import__('os').kill(__import__('os').getpid(), 9)",
                    "its process ended by signal 9, most likely for lack of memory",
                ),
            )
        ),
    ],
)
def test_a_failing_peer_is_one_line_and_the_others_go_on(write_bench, run, quick, capsys, change, message):
    write_bench(change=("np.array(sorted(x))", change))
    assert run("sorting", json=True) == 3
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err
    [report] = json.loads(printed.out, parse_constant=pytest.fail)
    assert rows(report)["jaxtheory"]["steady"]["median"] > 0
    assert rows(report)["copy"]["times_the_limit"] is None


def test_a_text_narrows_a_bench_to_the_cases_that_hold_it(write_bench, tmp_path, run, quick):
    write_bench(change=("CASES = [", 'CASES = [\n    Case("large", {"n": 5000}),'))
    assert run(peers=False, case="arg", output=tmp_path / "some.json") == 0
    [report] = json.loads((tmp_path / "some.json").read_text())
    assert [case["name"] for case in report["cases"]] == ["large"]


def test_an_unknown_bench_gets_the_nearest_names(write_bench, tmp_path, run, own_errors):
    write_bench()
    with pytest.raises(Usage, match=r"there is no bench 'sortin'; did you mean sorting\?"):
        run("sortin")
    with pytest.raises(Usage, match="--repeats is 0: take a whole number of at least 1"):
        run(repeats=0)
    with pytest.raises(Usage, match=r"there is no bench in .*nowhere"):
        command(folders=[tmp_path / "nowhere"])
    with pytest.raises(Usage, match="no case has 'huge' in its name; there are small"):
        run(case="huge")
