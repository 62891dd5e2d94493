import json
import re
import sys
from pathlib import Path

import jax
import pytest

from jaxtheory.lab import machine
from jaxtheory.lab.commands import main, run
from jaxtheory.lab.record import discovery
from tests.lab import finished_runs as fake
from tests.lab import made_experiments as made

ROOT = Path(__file__).parents[3]

FIELDS = """
@dataclass(frozen=True)
class Config:
    {field}


QUICK = Config()


@experiment
def run(config, lab):
    lab.note(repr(config))
    print("something of the experiment's own")
    return [Claim("One is one.", above(0, source="arithmetic"), Measured(1))]
"""

FAILING = made.faithless('raise RuntimeError("out of\\nluck")')
UNTRUE = made.faithless('return [one, Claim("One is three.", above(2.5, source="a guess"), Measured(1))]')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where one stands, with a folder of experiments that the environment names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXTHEORY_EXPERIMENTS", "made")
    monkeypatch.delenv("JAXTHEORY_DATA", raising=False)
    # The cache of the process that tests is its own affair; it has a test in another process.
    monkeypatch.setattr(run, "keep_compiled_programs", lambda: None)
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path / "made"


@pytest.fixture
def call(capsys):
    """A command's status, output and errors."""

    def call(*arguments):
        status = main.command(list(map(str, arguments)))
        return (status, *capsys.readouterr())

    return call


def one_line(errors):
    assert errors.startswith("jaxtheory: ")
    assert errors.count("\n") == 1
    return errors[len("jaxtheory: ") : -1]


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
    assert "powers (quick, 0.0 s): Powers grow fast.\n" in output
    assert "  holds: Powers grow.\n    expected above 3 (arithmetic)\n    measured size 2: 4\n" in output
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


def test_the_example_of_the_guide_is_complete(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    [text] = [block for block in blocks if "def run(config: Config, lab: Lab)" in block]
    assert text.count("\n") < 40
    file = tmp_path / "made" / "statistics" / "coins.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    status, output, errors = made.shell(tmp_path, "run", "coins", "--quick", "--experiments", "made")
    assert status == 0, errors
    assert (
        "  holds: 10,000 coins stray by less than 0.01.\n    expected below 0.01 (Bernoulli 1713)" in output
    )
    # A binomial strays by sqrt(2 / pi) of its standard deviation, 1 / (2 sqrt(n)), in the mean.
    value, error = map(float, re.search(r"size 10000: (\S+) ± (\S+) \(n = 100\)", output).groups())
    assert abs(value - 0.797885 * 0.005) < 4 * error
    [figure] = tmp_path.glob("runs/coins/*/figures/distance.png")
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_flags_make_the_configuration(folder, call):
    field = """number: int = 3
    ratio: float = 0.5
    name: str = "wavelet"
    fast: bool = False
    sizes: tuple[int, ...] = (1, 2)
    band: tuple[float, float] = (0.0, 1.0)
    limit: float | None = None
    kind: Literal["morlet", "haar"] = "morlet"
    J_max: int = 2"""
    text = "from typing import Literal\n" + FIELDS.format(field=field)
    made.write(folder, "fields", text)
    flags = (
        "--number 4 --ratio=1e-3 --name x --fast --sizes 5 6 7 --band -1 2.5 --limit 3 --kind haar --J-max 4"
    )
    status, output, _ = call("run", "fields", *flags.split(), "--json")
    assert status == 0
    findings = json.loads(output)
    [configuration] = findings["notes"]
    assert configuration == (
        "Config(number=4, ratio=0.001, name='x', fast=True, sizes=(5, 6, 7), band=(-1.0, 2.5), limit=3.0, "
        "kind='haar', J_max=4)"
    )
    assert findings["form"] == "custom"
    assert findings["command"] == f"jaxtheory run fields {flags}"
    kept = json.loads((Path(findings["directory"]) / "config.json").read_text())
    assert kept["band"] == [-1.0, 2.5]


def test_json_is_printed_and_nothing_else(folder, call):
    made.write(folder, "fields", FIELDS.format(field="number: int = 3"))
    status, output, errors = call("run", "fields", "--json")
    assert status == 0
    assert json.loads(output)["claims"][0]["verdict"] == "holds"
    assert errors == "something of the experiment's own\n"


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("folder: Path = Path()", "'folder' of type Path"),
        ("sizes: list[int] | None = None", r"'sizes' of type list\[int\] \| None"),
        ("table: dict[str, int] | None = None", r"'table' of type dict\[str, int\] \| None"),
        ("things: tuple = ()", "'things' of type tuple"),
        ("array: np.ndarray | None = None", r"'array' of type numpy.ndarray \| None"),
    ],
)
def test_a_field_that_no_flag_can_carry_is_named(folder, call, field, name):
    made.write(folder, "fields", FIELDS.format(field=field))
    status, _, errors = call("run", "fields")
    assert status == 3
    expected = f"puzzles/fields: no flag can carry the field {name}: use bool, int, float, str, .*"
    assert re.fullmatch(expected, one_line(errors))


@pytest.mark.parametrize("name", ["seed", "quick", "data_dir", "help", "all", "json", "runs"])
def test_a_field_named_like_a_flag_of_the_command_is_refused(folder, call, name):
    made.write(folder, "fields", FIELDS.format(field=f"{name}: int = 0"))
    status, _, errors = call("run", "fields")
    expected = f"puzzles/fields: the field '{name}' is a flag of `jaxtheory run`: rename it"
    assert (status, one_line(errors)) == (3, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no Config: an experiment is a Config, its QUICK form and run(config, lab)"),
        ("class Config:\n    pass\n\nQUICK = Config()\nrun = print", "Config is no dataclass: put @"),
        ("@dataclass\nclass Config:\n    n: int\n\nQUICK = Config(1)\nrun = print", "'n': give every "),
        ("@dataclass\nclass Config:\n    n: int = 1\n\nQUICK = 2\nrun = print", "QUICK is 2: make it a Co"),
        ("import not_there", "cannot be imported: ModuleNotFoundError: No module named 'not_there'"),
        ("def (:\n", "cannot be imported: SyntaxError: invalid syntax"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_experiment_says_what_it_lacks(folder, call, text, message):
    made.write(folder, "none", text)
    status, _, errors = call("run", "none")
    assert status == 3
    assert one_line(errors).startswith("puzzles/none")
    assert message in errors


def test_a_configuration_need_not_be_frozen(folder, call):
    text = FIELDS.format(field="number: int = 3").replace("(frozen=True)", "")
    made.write(folder, "fields", text)
    assert call("run", "fields", "--quick")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("lst", "there is no command 'lst'; did you mean list?; there are list, run, report, bench, "),
        ("list --jsn", "jaxtheory list has no --jsn; did you mean --json"),
        ("run", "the following arguments are required: NAME; `jaxtheory run --help` shows what there is"),
        ("run pwers", "there is no experiment 'pwers'; did you mean powers?; `jaxtheory list` shows all 1"),
        ("run powers --size 3", "puzzles/powers has no flag --size; did you mean --sizes or "),
        ("run powers --no_sizes", "puzzles/powers has no flag --no_sizes; did you mean --sizes"),
        ("run powers --quik", "puzzles/powers has no flag --quik; did you mean --quick"),
        ("run powers --sizes x", "puzzles/powers: --sizes is 'x': take one or more whole numbers"),
        ("run powers --sizes 1 2.5", "puzzles/powers: --sizes is '1 2.5': take one or more whole numbers"),
        ("run powers --power", "argument --power: expected one argument; `jaxtheory run --help` shows"),
        ("run powers --power much", "puzzles/powers: --power is 'much': take a number"),
        ("run powers extra", "puzzles/powers has no use for 'extra'; `jaxtheory run puzzles/powers --help`"),
        ("run powers --seed x", "argument --seed: invalid int value: 'x'; `jaxtheory run --help` shows what"),
        ("run powers --jobs 2", "--jobs goes with --all: one experiment is one process"),
        ("run --all powers", "jaxtheory run --all has no powers; it takes no NAME and no field of"),
        ("run --all --jobs 0", "--jobs is 0: take a whole number of at least 1"),
        ("report extra", "jaxtheory report has no extra"),
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


def test_a_claim_that_does_not_hold_is_a_result_unless_strict(folder, call):
    made.write(folder, "untrue", UNTRUE)
    made.write(folder, "powers")
    assert call("run", "untrue")[0] == 0
    assert call("run", "untrue", "--strict")[0] == 1
    assert call("run", "powers", "--strict")[0] == 0


def test_a_failed_run_is_one_line_and_exits_with_3(folder, call):
    made.write(folder, "failing", FAILING)
    status, output, errors = call("run", "failing", "--strict")
    assert (status, output) == (3, "")
    assert one_line(errors).startswith(
        "puzzles/failing failed: RuntimeError: out of luck (the traceback is in runs/"
    )
    status, _, errors = call("run", "failing", "--traceback")
    assert status == 3
    assert 'raise RuntimeError("out of\\nluck")' in errors
    assert errors.splitlines()[-1].startswith("jaxtheory: puzzles/failing failed: RuntimeError: out of luck")


def test_an_error_of_our_own_is_one_line_too(folder, call, monkeypatch):
    made.write(folder, "powers")
    monkeypatch.setattr(machine, "in_words", lambda: 1 / 0)
    status, _, errors = call("run", "powers")
    assert (status, one_line(errors)) == (3, "ZeroDivisionError: division by zero")


def test_data_that_are_missing_or_taken_from_the_environment(folder, call, monkeypatch, tmp_path):
    body = FIELDS.format(field="number: int = 3").replace("repr(config)", "str(lab.data_dir)")
    made.write(folder, "data", body)
    status, _, errors = call("run", "data", "--data-dir", "nowhere")
    assert status == 3
    assert one_line(errors) == "there is no data folder nowhere: give another as --data-dir"
    (tmp_path / "digits").mkdir()
    monkeypatch.setenv("JAXTHEORY_DATA", "digits")
    named = json.loads(call("run", "data", "--json")[1])
    assert named["notes"] == ["digits"]
    assert (
        json.loads(call("run", "data", "--json", "--data-dir", "digits")[1])["directory"]
        == named["directory"]
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    # The same data in the same form have been run: only anew does it tell where they are.
    again = call("run", "data", "--json", "--fresh", "--data-dir=~/digits")[1]
    assert json.loads(again)["notes"] == [f"{tmp_path}/digits"]
    monkeypatch.setenv("JAXTHEORY_DATA", "")
    assert json.loads(call("run", "data", "--json")[1])["notes"] == ["None"]


def test_forms_are_told_apart(folder, call):
    made.write(folder, "powers")

    def form(*flags):
        return json.loads(call("run", "powers", "--json", *flags)[1])["form"]

    assert form() == "full"
    assert form("--quick") == "quick"
    assert form("--quick", "--power", 2) == "quick"
    assert form("--power", 3) == "custom"
    assert form("--quick", "--power", 3) == "custom"
    assert form("--sizes", 1, 2) == "custom"  # as QUICK, but not asked for
    assert form("--seed", 1) == "custom"
    assert form("--quick", "--seed", 1) == "custom"


def test_double_precision_is_a_flag(folder, call):
    body = FIELDS.format(field="number: int = 3").replace("repr(config)", "str(jax.numpy.ones(1).dtype)")
    made.write(folder, "precise", "import jax\n" + body)
    try:
        findings = json.loads(call("run", "precise", "--x64", "--json")[1])
    finally:
        jax.config.update("jax_enable_x64", False)
    assert findings["notes"] == ["float64"]
    assert json.loads(call("run", "precise", "--json")[1])["notes"] == ["float32"]


def test_the_command_that_is_kept_goes_on_with_the_run(folder, call):
    made.write(folder, "powers")
    _, output, _ = call("run", "powers", "--fresh", "--json", "--strict", "--runs", "with space")
    findings = json.loads(output)
    assert findings["command"] == "jaxtheory run powers --runs 'with space'"


def test_all_experiments_run_whatever_becomes_of_some(folder, tmp_path):
    made.write(folder, "failing", FAILING, section="harmonic")
    made.write(folder, "broken", "def (:\n", section="harmonic")
    made.write(folder, "untrue", UNTRUE)
    powers = made.write(folder, "powers", section="sparse")
    (tmp_path / "numpy.py").write_text("raise SystemExit('a file that stands in the way')")
    command = ("run", "--all", "--quick", "--jobs", 2, "--strict", "--experiments", "made")
    status, output, errors = made.shell(tmp_path, *command)
    assert status == 3  # which outranks the 1 of a claim that does not hold
    assert output.endswith(
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


def test_without_the_extras_one_line_says_what_to_install(folder, tmp_path):
    made.write(folder, "powers")
    without = "sys.modules.update(dict.fromkeys(['rich', 'matplotlib', 'jinja2', 'orbax']))"
    for command in ("run powers", "run --all", "report", "bench", "data prepare mnist"):
        status, output, errors = made.shell(
            tmp_path, *command.split(), "--experiments", "made", prelude=without
        )
        assert (status, output) == (3, "")
        assert one_line(errors) == (
            "experiments need rich, matplotlib, jinja2, orbax: pip install 'jaxtheory[experiments]'"
        )
    for command in ("list", "run --help", "--help"):
        status, output, errors = made.shell(tmp_path, *command.split(), prelude=without)
        assert (status, errors) == (0, "")
        assert output


def test_compiled_programs_are_kept(tmp_path, monkeypatch):
    text = FIELDS.format(field="number: int = 3").replace(
        "lab.note(repr(config))", "lab.note(str(jax.config.jax_compilation_cache_dir))"
    )
    made.write(tmp_path / "made", "cached", "import jax\n" + text)
    environment = made.environment(tmp_path)
    del environment["JAX_COMPILATION_CACHE_DIR"]

    def folder_of_programs(**changes):
        monkeypatch.setattr(made, "environment", lambda _: environment | changes)
        status, output, errors = made.shell(
            tmp_path, "run", "cached", "--experiments", "made", "--json", "--fresh"
        )
        assert status == 0, errors
        return json.loads(output)["notes"][0]

    assert folder_of_programs() == str(tmp_path / ".cache" / "jaxtheory" / "compiled")
    mine = str(tmp_path / "mine")
    assert folder_of_programs(JAX_COMPILATION_CACHE_DIR=mine) == mine
    assert (
        folder_of_programs(XDG_CACHE_HOME="/dev/null") == "None"
    )  # nothing can be kept there, and all goes on


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


@pytest.mark.parametrize("experiment", discovery.find(), ids=lambda experiment: experiment.name)
def test_flags_carry_the_packages_experiments(experiment):
    module = experiment.load()
    for quick in (False, True):
        default = run.default_of(experiment.id, module, quick=quick)
        assert default == (module.QUICK if quick else module.Config())
        assert run.configure(experiment.id, default, [experiment.name]) == default
        words = [f"--{name}={value}" for name, value in vars(default).items() if type(value) in (int, float)]
        assert run.configure(experiment.id, default, [experiment.name, *words]) == default
