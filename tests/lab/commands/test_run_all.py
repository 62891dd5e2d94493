"""`jaxtheory run --all`: every experiment in a process of its own."""

import json
import re

import pytest

from tests.lab import made_experiments as made
from tests.lab.commands.experiments import FAILING, UNTRUE


@pytest.mark.beyond
def test_all_experiments_run_whatever_becomes_of_some(folder, tmp_path):
    made.write(folder, "failing", FAILING, section="harmonic")
    made.write(folder, "broken", "def (:\n", section="harmonic")
    made.write(folder, "untrue", UNTRUE)
    powers = made.write(folder, "powers", section="sparse")
    (tmp_path / "numpy.py").write_text("raise SystemExit('a file that stands in the way')")
    command = ("run", "--all", "--quick", "--jobs", 2, "--strict", "--experiments", "made")
    status, output, errors = made.shell(tmp_path, *command)
    assert status == 3  # which outranks the 1 of a claim that does not hold
    assert re.sub(r"\d\.\d s", "0.0 s", output).endswith(
        "  puzzles/untrue: 1 of 2 hold (0.0 s)\n  sparse/powers: 1 of 1 hold (0.0 s)\n"
        "verdicts: 2 of 3 hold\n2 of 4 experiments ran\n"
    )
    assert "untrue (quick" in output
    assert "powers (quick" in output
    assert (
        errors.splitlines()[-1] == "jaxtheory: 2 of 4 experiments failed: harmonic/broken, harmonic/failing"
    )
    assert "jaxtheory: harmonic/failing failed: RuntimeError: out of luck" in errors
    assert "jaxtheory: harmonic/broken cannot be imported: SyntaxError" in errors
    # What is finished is read the next time, and JSON is one list.
    for name in ("failing", "broken"):
        (folder / "harmonic" / f"{name}.py").unlink()
    status, output, errors = made.shell(tmp_path, *command, "--json")
    assert (status, errors) == (1, "")
    assert [one["experiment"] for one in json.loads(output)] == ["untrue", "powers"]
    assert json.loads(output)[1]["command"] == "jaxtheory run sparse/powers --quick --experiments made"
    assert made.logged(powers) == ["1", "2"]


def test_each_ends_in_its_verdicts_and_all_in_a_summary(folder, tmp_path):
    made.write(folder, "powers", section="sparse")
    status, output, errors = made.shell(tmp_path, "run", "--all", "--quick", "--experiments", "made")
    assert (status, errors) == (0, "")
    output = re.sub(r"\d\.\d s", "0.0 s", output)
    assert output.startswith("\npowers (quick, 0.0 s): Powers grow.\n  holds: Powers grow.\n")
    assert output.endswith(
        "\n  sparse/powers: 1 of 1 hold (0.0 s)\nverdicts: 1 of 1 hold\n1 of 1 experiment ran\n"
    )
