"""The command line as a whole: usage, help, errors, and the commands beside `run`."""

import json
import re
import sys
from pathlib import Path

import pytest

from jaxtheory.lab import machine
from jaxtheory.lab.commands import main
from tests.lab import finished_runs as fake
from tests.lab import made_experiments as made
from tests.lab.commands.experiments import one_line

ROOT = Path(__file__).parents[3]


def test_a_new_experiment_is_one_file(folder, call):
    made.write(folder, "powers", claim="Powers grow fast.")
    status, output, _ = call("list")
    assert (status, output) == (0, "puzzles\n  powers\n    Powers grow fast.\n")
    status, output, _ = call("list", "--json")
    [listed] = json.loads(output)
    assert listed == {
        "name": "powers", "section": "puzzles", "claim": "Powers grow fast.",
        "lecture": 'puzzles, "A slide".', "source": "Somebody, 2013.",
    }  # fmt: skip
    status, output, errors = call("run", "powers", "--quick")
    assert (status, errors) == (0, "")
    assert re.search(r"powers \(quick, \d.\d s\): Powers grow fast.\n", output)
    assert "  holds: Powers grow.\n    expected above 3 (arithmetic)\n    measured 4\n" in output
    assert re.search(r"findings: runs/powers/\w{16}\n$", output)
    status, output, _ = call("report", "--output", "page.html")
    assert (status, output.split(",")[0]) == (0, "page.html: 1 claim of 1 experiment")
    assert "Powers grow fast." in Path("page.html").read_text()
    status, output, _ = call("report", "--json")
    [reported] = json.loads(output)["experiments"]
    assert (reported["experiment"], reported["state"], reported["form"]) == ("powers", "current", "quick")
    assert call("verdicts", "--write", "verdicts.json")[:2] == (
        0,
        "verdicts.json has the verdicts of 1 of 1 experiment\n",
    )
    assert call("verdicts", "--check", "verdicts.json")[0] == 0


def test_the_example_of_the_guide_is_complete(folder, call, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    [text] = [block for block in blocks if "def run(config: Config, lab: Lab)" in block]
    assert text.count("\n") < 40
    file = tmp_path / "made" / "statistics" / "coins.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    status, output, errors = call("run", "coins", "--quick")
    assert status == 0, errors
    assert (
        "  holds: 10,000 coins stray by less than 0.01.\n    expected below 0.01 (Bernoulli 1713)" in output
    )
    # A binomial strays by sqrt(2 / pi) of its standard deviation, 1 / (2 sqrt(n)), in the mean.
    value, error = map(float, re.search(r"size 10000: (\S+) ± (\S+) \(n = 100\)", output).groups())
    assert abs(value - 0.797885 * 0.005) < 4 * error
    [figure] = tmp_path.glob("runs/coins/*/figures/distance.png")
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("lst", "there is no command 'lst'; did you mean list?; there are list, run, report, bench, "),
        ("list --jsn", "jaxtheory list has no flag --jsn; did you mean --json"),
        ("run", "the following arguments are required: NAME; `jaxtheory run --help` shows what there is"),
        ("run pwers", "there is no experiment 'pwers'; did you mean powers?; `jaxtheory list` shows all 1"),
        ("run powers --size 3", "puzzles/powers has no flag --size; did you mean --sizes or "),
        ("run powers --no_sizes", "puzzles/powers has no flag --no_sizes; did you mean --sizes"),
        ("run powers --quik", "puzzles/powers has no flag --quik; did you mean --quick"),
        ("run powers --sizes x", "puzzles/powers: --sizes is 'x': take one or more whole numbers"),
        ("run powers --sizes 1 2.5", "puzzles/powers: --sizes is '1 2.5': take one or more whole numbers"),
        ("run powers --power", "argument --power: expected one argument; `jaxtheory run --help` shows"),
        ("run powers --power much", "puzzles/powers: --power is 'much': take a number"),
        ("run powers extra", "puzzles/powers: unexpected argument extra; `jaxtheory run puzzles/powers"),
        ("run powers --seed x", "argument --seed: 'x' is no whole number from 0 to 4294967295; `jaxtheory"),
        ("run powers --seed 4294967296", "argument --seed: '4294967296' is no whole number from 0 to 4294"),
        ("run powers --jobs 2", "--jobs goes with --all: one experiment is one process"),
        ("run --all powers", "jaxtheory run --all takes no NAME and no field of an experiment: found powers"),
        ("run --all --jobs 0", "--jobs is 0: take a whole number of at least 1"),
        ("report extra", "jaxtheory report has an unexpected argument: extra"),
        ("report", "there is no finished run in runs: make some with `jaxtheory run --all --quick`"),
        ("list --experiments nowhere", "there is no folder "),
        ("bench nothing", "there is no bench "),
        ("data prepare mnst", "no data 'mnst' can be prepared; did you mean mnist?"),
        ("data prepar mnist", "argument action: invalid choice: 'prepar' (choose from "),
        ("verdicts", "one of the arguments --check --write --readme is required; `jaxtheory verdicts"),
        ("verdicts --check x --write y", "argument --write: not allowed with argument --check"),
        ("verdicts --check nowhere.json", "there is no nowhere.json: write it with `jaxtheory verdicts"),
        ("verdicts --check x.json --full", "--full goes with --write: it is the quick forms that are comp"),
    ],
)  # fmt: skip
def test_bad_usage_is_one_line_and_exits_with_2(folder, call, arguments, message):
    made.write(folder, "powers")
    status, output, errors = call(*arguments.split())
    assert one_line(errors).startswith(message)
    assert (status, output) == (2, "")


def test_an_empty_folder_of_experiments_says_so(folder, call):
    folder.mkdir()
    assert call("list")[:2] == (0, "there are no experiments in made\n")
    status, _, errors = call("run", "--all")
    assert (status, one_line(errors)) == (2, "there are no experiments in made")


def test_help_is_shown_and_nothing_run(folder, call):
    file = made.write(folder, "powers")
    for arguments in ([], ["--help"], ["-h"]):
        status, output, _ = call(*arguments)
        assert status == 0
        assert all(f"  jaxtheory {name}" in output for name in main.COMMANDS)
    for name in main.COMMANDS:
        status, output, _ = call(name, "--help")
        assert status == 0
        assert output.startswith(f"usage: jaxtheory {name}")
    assert "--jobs" in call("run", "--all", "-h")[1]
    for flag in ("-h", "--help"):
        status, output, _ = call("run", "powers", flag, "--quick")
        assert status == 0
        assert "--seed" in output
        assert "What they are raised to" in output
        assert "1 2" in output  # the quick form's sizes, not 1 2 3
    assert made.logged(file) == []


def test_an_error_of_our_own_is_one_line_too(folder, call, monkeypatch):
    made.write(folder, "powers")
    monkeypatch.setattr(machine, "in_words", lambda: 1 / 0)
    status, _, errors = call("run", "powers")
    assert (status, one_line(errors)) == (3, "ZeroDivisionError: division by zero")


EXTRAS = ("rich", "matplotlib", "jinja2", "orbax")
TO_INSTALL = "experiments need rich, matplotlib, jinja2, orbax: pip install 'jaxtheory[experiments]'"


def test_without_the_extras_one_line_says_what_to_install(folder, call, monkeypatch):
    made.write(folder, "powers")
    for name in EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)
    for command in ("run powers", "run --all", "report", "bench", "data prepare mnist"):
        status, output, errors = call(*command.split())
        assert (status, output, one_line(errors)) == (3, "", TO_INSTALL)
    for command in ("list", "run --help", "--help"):
        status, output, errors = call(*command.split())
        assert (status, errors) == (0, "")
        assert output


@pytest.mark.beyond
@pytest.mark.parametrize("command", ["list", "run --help", "--help", "run powers"])
def test_without_the_extras_in_a_process_that_has_loaded_nothing(folder, tmp_path, command):
    made.write(folder, "powers")
    without = f"sys.modules.update(dict.fromkeys({EXTRAS}))"
    flags = ("--experiments", "made") if "powers" in command else ()
    status, output, errors = made.shell(tmp_path, *command.split(), *flags, prelude=without)
    if flags:
        assert (status, output, one_line(errors)) == (3, "", TO_INSTALL)
    else:
        assert (status, errors) == (0, "")
        assert output


def test_what_cannot_be_printed(tmp_path):
    made.write(tmp_path / "made", "powers")
    with made.start(tmp_path, "list", "--experiments", "made") as process:
        process.stdout.close()  # as `| true` does
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_the_report_and_the_verdicts_know_what_is_stale(folder, call):
    file = made.write(folder, "powers")
    call("run", "powers", "--quick")
    call("run", "powers")
    call("verdicts", "--write", "verdicts.json")

    def states():
        [one] = json.loads(call("report", "--json")[1])["experiments"]
        return [one["state"], *(other["state"] for other in one["others"])]

    assert states() == ["current", "current"]
    file.write_text(file.read_text() + "\nMENDED = True\n")
    assert states() == ["stale", "stale"]
    status, output, _ = call("verdicts", "--check", "verdicts.json")
    assert (status, output) == (1, "puzzles/powers: no finished quick run of its present source in runs\n")
    call("run", "powers", "--quick")
    assert states()[-2:] in (["current", "stale"], ["stale", "current"])
    assert call("verdicts", "--check", "verdicts.json")[0] == 0


def test_a_file_that_is_broken_now_spoils_no_report(folder, call):
    made.write(folder, "powers")
    file = made.write(folder, "other")
    assert call("run", "powers")[0] == call("run", "other")[0] == 0
    file.write_text("def (:\n")
    status, output, _ = call("report", "--json")
    assert status == 0
    assert {one["experiment"]: one["state"] for one in json.loads(output)["experiments"]} == {
        "powers": "current",
        "other": "stale",
    }


def test_readme_and_marks_of_verdicts(folder, call, tmp_path):
    file = fake.write_experiment(folder, "harmonic", "one")
    fake.write_run(tmp_path / "runs", file, form="full")
    (tmp_path / "README.md").write_text("before\n<!-- verdicts: begin -->\n<!-- verdicts: end -->\nafter\n")
    status, output, _ = call("verdicts", "--write", "docs/verdicts_full.json", "--full")
    assert (status, output) == (0, "docs/verdicts_full.json has the verdicts of 1 of 1 experiment\n")
    status, output, _ = call("verdicts", "--readme", "README.md")
    assert (status, output) == (0, "README.md and docs/verdicts.md show the verdicts of 1 experiment\n")
    assert "| Scattering classifies digits" in (tmp_path / "README.md").read_text()
    assert "| With 4,000 digits" in (tmp_path / "docs" / "verdicts.md").read_text()
    assert json.loads(call("verdicts", "--readme", "README.md", "--json")[1]) == {"shown": 1}


def test_data_that_can_be_prepared_are_prepared(folder, call, monkeypatch, tmp_path):
    from jaxtheory.data import mnist

    def prepare(directory, progress):
        sys.stdout.write("fetching\n")
        progress(1, 2)
        return directory / "mnist"

    monkeypatch.setattr(mnist, "prepare", prepare)
    status, output, _ = call("data", "prepare", "mnist", "--data-dir", tmp_path / "with space")
    assert status == 0
    assert output == f"fetching\nmnist is prepared: use it with --data-dir '{tmp_path}/with space/mnist'\n"
    status, output, errors = call("data", "prepare", "mnist", "--json", "--data-dir", "~/data")
    assert json.loads(output) == {"data": "mnist", "directory": str(Path.home() / "data" / "mnist")}
    assert errors == "fetching\n"
