"""Findings as lines and, in a terminal, as tables."""

import re
import sys

import pytest

from jaxtheory.lab.show import terminal
from tests.lab import finished_runs as fake


def findings(name="one", section="harmonic", **changes):
    return {
        "experiment": name, "section": section, "form": "quick", "seconds": 83.2, "claim": "It is so.",
        "data": ["5,000 digits"], "notes": ["A note."], "figures": [],
        "claims": [claim.as_json() for claim in fake.claims()],
    } | changes  # fmt: skip


@pytest.fixture
def in_terminal(monkeypatch):
    """Makes the standard output a terminal of some width; called in the test, after pytest has taken it."""

    def enter(width):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("NO_COLOR", "1")

    return enter


def test_without_a_terminal_there_are_lines(tmp_path, capsys):
    terminal.show(findings(), tmp_path)
    printed = capsys.readouterr().out
    assert printed.startswith(
        "\none (quick, 1 min 23 s): It is so.\ndata: 5,000 digits\nnote: A note.\n  holds: With 4,000"
    )
    assert "    expected between 0.3 and 0.5 (a guess)\n    measured 0.610 ± 0.040 (n = 5)\n" in printed
    assert printed.endswith(
        "not tested: 1 claim needs 60,000 digits: give the folder of the whole MNIST as --data-dir\n"
        f"verdicts: 2 of 4 hold, 1 tie, 1 not tested\nfindings: {tmp_path}\n"
    )


def test_in_a_terminal_there_is_a_table_of_verdicts(tmp_path, capsys, in_terminal):
    in_terminal(100)
    terminal.show(findings(figures=[{}], claims=[fake.claims()[0].as_json()]), tmp_path)
    printed = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    [row] = [line for line in printed.splitlines() if line.startswith("│ With 4,000")]
    assert [cell.strip() for cell in row.strip("│").split("│")][-1] == "holds"
    assert max(map(len, printed.splitlines()[2:-1])) <= 100
    assert printed.endswith(f"figures: {tmp_path / 'figures'}\n")


def test_all_experiments_end_in_one_table(capsys, in_terminal):
    several = [findings("two", "sparse"), findings("one", seconds=4.0)]
    terminal.summarize(several, ["sparse/broken"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "  harmonic/one: 2 of 4 hold, 1 tie, 1 not tested (4.0 s)",
        "  sparse/two: 2 of 4 hold, 1 tie, 1 not tested (1 min 23 s)",
        "not tested: 2 claims need 60,000 digits: give the folder of the whole MNIST as --data-dir",
        "verdicts: 4 of 8 hold, 2 ties, 2 not tested",
        "2 of 3 experiments ran",
    ]
    in_terminal(120)
    terminal.summarize(several, ["sparse/broken"])
    table = capsys.readouterr().out
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")] for line in table.splitlines() if "/" in line
    ]
    assert rows[:3] == [
        ["harmonic/one", "2", "1", "1", "1", "4.0 s"],
        ["sparse/two", "2", "1", "1", "1", "1 min 23 s"],
        ["sparse/broken", "", "", "", "", "failed"],
    ]
