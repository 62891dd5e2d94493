"""`jaxtheory run NAME`: configurations, forms, data, and what goes wrong."""

import json
import os
import re
from pathlib import Path

import jax
import pytest

from jaxtheory.lab.commands import run
from jaxtheory.lab.record import discovery
from tests.lab import made_experiments as made
from tests.lab.commands.experiments import FAILING, FIELDS, UNTRUE, one_line


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


@pytest.mark.beyond
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


@pytest.mark.parametrize("experiment", discovery.find(), ids=lambda experiment: experiment.name)
def test_flags_carry_the_packages_experiments(experiment):
    module = experiment.load()
    for quick in (False, True):
        default = run.default_of(experiment.id, module, quick=quick)
        assert default == (module.QUICK if quick else module.Config())
        assert run.configure(experiment.id, default, [experiment.name]) == default
        words = [f"--{name}={value}" for name, value in vars(default).items() if type(value) in (int, float)]
        assert run.configure(experiment.id, default, [experiment.name, *words]) == default


RANGES = """
from typing import Annotated

from jaxtheory.lab import Range


@dataclass(frozen=True)
class Config:
    draws: Annotated[int, Range(1)] = 5
    shares: Annotated[tuple[float, ...], Range(0, 1)] = (0.5,)


QUICK = Config(draws=2)


@experiment
def run(config, lab):
    log("ran")
    return [Claim("One is one.", above(0, source="arithmetic"), exact(1))]
"""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--draws -3", "--draws is -3: take a whole number at least 1"),
        ("--quick --draws=0", "--draws is 0: take a whole number at least 1"),
        ("--shares 0.5 1.5", "--shares is 1.5: take a number from 0 to 1"),
        ("--shares", "puzzles/ranged: --shares has no value: take one or more numbers"),
    ],
)
def test_a_field_out_of_its_range_is_bad_usage_at_the_start(folder, call, flags, message):
    file = made.write(folder, "ranged", RANGES)
    status, output, errors = call("run", "ranged", *flags.split())
    assert (status, output, one_line(errors)) == (2, "", message)
    assert made.logged(file) == []
    assert not Path("runs").exists()


DRAWS = FIELDS.format(field="number: int = 3").replace(
    "lab.note(repr(config))",
    """from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot([1, 2])
    lab.figure("line", figure)
    import matplotlib.pyplot as plt
    other, axes = plt.subplots()
    axes.plot([1, 2])
    lab.figure("another", other)""",
)


@pytest.mark.beyond
def test_figures_need_no_backend_of_a_notebook(tmp_path, monkeypatch):
    made.write(tmp_path / "made", "draws", DRAWS)
    kept = made.environment(tmp_path) | {"MPLBACKEND": "module://a_notebook.that_is_not_here"}
    monkeypatch.setattr(made, "environment", lambda _: kept)
    status, _, errors = made.shell(tmp_path, "run", "draws", "--experiments", "made")
    assert (status, errors) == (0, "")
    assert len(list(tmp_path.glob("runs/draws/*/figures/*.png"))) == 2


def test_the_backend_of_a_notebook_is_not_ours(folder, call, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    made.write(folder, "powers")
    assert call("run", "powers")[0] == 0
    assert os.environ["MPLBACKEND"] == "agg"


@pytest.mark.beyond
def test_a_folder_whose_name_is_no_text(tmp_path):
    made.write(tmp_path / "made", "draws", DRAWS)
    name = os.fsdecode(b"runs \xff\xe9")
    command = ("run", "draws", "--experiments", "made", "--runs", name)
    status, output, errors = made.shell(tmp_path, *command)
    assert (status, errors) == (0, "")
    assert f"figures: {name}/draws/" in output
    # It is found the next time, by every command.
    status, output, errors = made.shell(tmp_path, *command, "--json")
    assert (status, errors) == (0, "")
    assert json.loads(output)["directory"].startswith(f"{name}/draws/")
    assert made.shell(tmp_path, "report", "--experiments", "made", "--runs", name)[0] == 0
    status, output, _ = made.shell(tmp_path, "run", "--all", "--experiments", "made", "--runs", name)
    assert status == 0
    assert "1 of 1 experiment ran" in output
