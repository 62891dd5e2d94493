"""Bench files, read, and what those are told that lack something."""

import pytest

from jaxtheory.lab.errors import Failure
from jaxtheory.lab.machines.bench import spec
from tests.lab.machines.bench.sorting import SORTING


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
def test_a_bench_that_is_none_says_what_it_lacks(write_bench, run, capsys, own_errors, change, message):
    file = write_bench(change=change)
    with pytest.raises(Failure) as error:
        spec.load(file)
    assert message in str(error.value)
    assert run() == 3
    assert message in capsys.readouterr().err


def test_a_bench_without_a_docstring(write_bench, own_errors):
    with pytest.raises(Failure, match="has no docstring: begin it with a sentence on what is measured"):
        spec.load(write_bench("CASES = []"))


def test_programs_are_named_for_compilation_ahead_of_time(write_bench):
    file = write_bench(SORTING + '\n    def programs():\n        return {"sort": (np.sort, (3,))}\n')
    assert spec.load(file).programs()["sort"][1] == (3,)
    assert spec.load(write_bench(name="other")).programs() == {}
