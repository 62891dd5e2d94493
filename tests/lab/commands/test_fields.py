"""Fields of a configuration as flags: every type that they carry, and one line for each that does not fit."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pytest

from jaxtheory.lab import Range
from jaxtheory.lab.commands import run
from jaxtheory.lab.errors import Failure, Usage


@dataclass(frozen=True)
class Base:
    draws: Annotated[int, Range(1)] = 5
    """The number of draws, 100 % of them random."""


@dataclass(frozen=True)
class Config(Base):
    ratio: float = 0.5
    """The ratio of the two."""
    name: str = "db 2"
    fast: bool = False
    """Whether it is fast."""
    sizes: Annotated[tuple[int, ...], Range(1)] = (1, 2)
    names: tuple[str, ...] = ()
    band: tuple[float, float] = (0.0, 1.0)
    mixed: tuple[int, str] = (1, "a")
    limit: float | None = None
    kind: Literal["morlet", "haar", 3] = "morlet"
    count: int | float = 1
    either: int | Literal["all"] = "all"
    few: tuple[int, ...] | None = None
    nets: tuple[Literal["CNN", "ISTA, 2 layers", "FISTA"], ...] = ("CNN", "ISTA, 2 layers")
    either_of: tuple[int | str, ...] = (1,)
    J_max: int = 2


DEFAULT = Config()


def read(*words, default=DEFAULT):
    return run.configure("puzzles/one", default, ["one", *words])


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("", {}),
        ("--draws 7", {"draws": 7}),
        ("--draws=-7", {"draws": -7}),  # of the right type; its range is checked when the run begins
        ("--ratio -1e-3", {"ratio": -1e-3}),
        ("--ratio .5e2 --ratio -inf", {"ratio": -float("inf")}),
        ("--name None", {"name": "None"}),
        ("--name=--odd", {"name": "--odd"}),
        ("--fast", {"fast": True}),
        ("--fast --no_fast", {"fast": False}),
        ("--fast --no-fast", {"fast": False}),
        ("--sizes 5 6 7", {"sizes": (5, 6, 7)}),
        ("--sizes 5", {"sizes": (5,)}),
        ("--names a b", {"names": ("a", "b")}),
        ("--band -1 2.5", {"band": (-1.0, 2.5)}),
        ("--mixed 2 3", {"mixed": (2, "3")}),
        ("--limit 3", {"limit": 3.0}),
        ("--limit none", {"limit": None}),
        ("--kind haar", {"kind": "haar"}),
        ("--kind 3", {"kind": 3}),
        ("--count 3", {"count": 3}),
        ("--count 3.0", {"count": 3.0}),
        ("--either 4", {"either": 4}),
        ("--either all", {"either": "all"}),
        ("--few 1 2", {"few": (1, 2)}),
        ("--few 1", {"few": (1,)}),
        ("--few None", {"few": None}),
        ("--nets FISTA CNN", {"nets": ("FISTA", "CNN")}),
        ("--either-of 1 a", {"either_of": (1, "a")}),
        ("--J-max 4", {"J_max": 4}),
        ("--J_max=4", {"J_max": 4}),
        ("--quick --seed 3 --draws 2 --runs here", {"draws": 2}),  # the command's own are no fields
    ],
)
def test_flags_carry_each_type(words, changes):
    found = read(*words.split())
    assert found == replace(DEFAULT, **changes)
    for name, value in changes.items():
        assert type(getattr(found, name)) is type(value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--draws x", "--draws is 'x': take a whole number"),
        ("--draws 2.5", "--draws is '2.5': take a whole number"),
        ("--draws 8.0", "--draws is '8.0': take a whole number"),
        ("--ratio much", "--ratio is 'much': take a number"),
        ("--sizes", "--sizes has no value: take one or more whole numbers"),
        ("--names", "--names has no value: take one or more texts"),
        ("--sizes 1 two", "--sizes is '1 two': take one or more whole numbers"),
        ("--band 1 x", "--band is '1 x': take 2 values, a number, a number"),
        ("--limit x", "--limit is 'x': take a number or None"),
        ("--kind mexican", "--kind is 'mexican': take morlet, haar or 3"),
        ("--either some", "--either is 'some': take a whole number or all"),
        ("--nets CNN RNN", "--nets is 'CNN RNN': take one or more of CNN, 'ISTA, 2 layers' or FISTA"),
        ("--nets", "--nets has no value: take one or more of CNN, 'ISTA, 2 layers' or FISTA"),
        ("--either_of", "--either_of has no value: take one or more of a whole number or a text"),
        ("--few a", "--few is 'a': take one or more whole numbers or None"),
        ("--fast=no", "argument --fast/--no_fast: ignored explicit argument 'no'"),
        ("--band 1", "argument --band: expected 2 arguments"),
        ("--draw 1", "puzzles/one has no flag --draw; did you mean --draws"),
        ("--no-draws", "puzzles/one has no flag --no-draws; did you mean"),
        ("more", "puzzles/one: unexpected argument more"),
    ],
)
def test_what_does_not_fit_is_one_line(words, message):
    with pytest.raises(Usage) as error:
        read(*words.split())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_help_shows_each_field_with_its_sentence_and_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert read("--help", default=replace(DEFAULT, sizes=(300, 4000))) is None
    shown = " ".join(capsys.readouterr().out.split())
    for part in (
        "fields of puzzles/one: --draws N The number of draws, ",
        ", 100 % of them random. (at least 1; default: 5)",
        "--ratio X The ratio of the two. (default: 0.5)",
        "--fast, --no_fast Whether it is fast. (default: False)",
        "(at least 1; default: 300 4000)",
        "--kind {morlet,haar,3} (default: morlet)",
        "--nets [{CNN,'ISTA, 2 layers',FISTA} ...] (default: CNN 'ISTA, 2 layers')",
        "--few [N ...]",
        "--seed N The seed of all random numbers, from 0 to 4294967295 (default: 0).",
    ):
        assert part in shown


@pytest.mark.parametrize("columns", ["1", "5", "20", "1000"])
def test_help_fits_into_any_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert read("--help") is None
    assert "--draws" in capsys.readouterr().out


def test_what_the_class_refuses_is_bad_usage():
    @dataclass(frozen=True)
    class Choosy:
        low: int = 1
        high: int = 2

        def __post_init__(self):
            if self.low > self.high:
                raise ValueError("low is above high")

    assert read("--high", "5", default=Choosy()) == Choosy(1, 5)
    with pytest.raises(Usage, match="puzzles/one: low is above high"):
        read("--low", "5", default=Choosy())


def test_a_field_cannot_have_the_name_of_another_flag():
    @dataclass(frozen=True)
    class Config:
        data_dir: str = ""

    with pytest.raises(Failure, match="the field 'data_dir' is a flag of `jaxtheory run`: rename it"):
        read(default=Config())
