import math
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from jaxtheory.lab import Range, check_config
from jaxtheory.lab.errors import Usage

Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Config:
    draws: Annotated[int, Range(1)] = 5
    sizes: Annotated[tuple[int, ...], Range(10, 60_000)] = (300, 4000)
    shares: tuple[Share, ...] = (0.5,)
    pair: Annotated[tuple[int, float], Range(0)] = (1, 2.5)
    rate: Annotated[float, Range(0, open=True)] = 0.1
    bound: Annotated[float | None, Range(high=0)] = None
    name: Literal["a", "b"] = "a"
    free: tuple[int, ...] = ()
    grid: tuple[Annotated[tuple[float, ...], Range(0, 2, open=True)], ...] = ((1.0,),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"draws": 0}, "--draws is 0: take a whole number at least 1"),
        ({"draws": -3}, "--draws is -3: take a whole number at least 1"),
        ({"sizes": ()}, "--sizes is empty: take at least one number, from 10 to 60,000"),
        ({"sizes": (300, 999_999)}, "--sizes is 999999: take a whole number from 10 to 60,000"),
        ({"shares": (0.5, 1.5)}, "--shares is 1.5: take a number from 0 to 1"),
        ({"shares": (math.nan,)}, "--shares is nan: take a number from 0 to 1"),
        ({"pair": (1, -2.5)}, "--pair is -2.5: take a number at least 0"),
        ({"rate": 0.0}, "--rate is 0.0: take a number above 0"),
        ({"rate": math.nan}, "--rate is nan: take a number above 0"),
        ({"bound": 0.5}, "--bound is 0.5: take a number at most 0"),
        ({"grid": ((1.0,), (2.0,))}, "--grid is 2.0: take a number between 0 and 2, both excluded"),
        ({"grid": ((1.0,), ())}, "--grid is empty: take at least one number, between 0 and 2, both excluded"),
    ],
)
def test_a_field_out_of_its_range_is_named_by_its_flag(fields, message):
    with pytest.raises(Usage) as raised:
        check_config(Config(**fields))
    assert str(raised.value) == message
    assert raised.value.status == 2


def test_what_is_in_its_range_passes():
    check_config(Config())
    check_config(Config(draws=1, sizes=(10, 60_000), shares=(0, 1), bound=-1.0, rate=math.inf))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (Range, ValueError, "a Range has no limit: give its lowest number, its highest or both"),
        (lambda: Range(2, 1), ValueError, r"no number lies in Range\(2, 1\): give the lower limit first"),
        (lambda: Range(1, 1, open=True), ValueError, r"no number lies in Range\(1, 1\)"),
        (lambda: Range(math.nan), ValueError, "a limit of a Range is nan: take a finite number"),
        (lambda: Range("1"), ValueError, "a limit of a Range is '1': take a finite number"),
        (lambda: Range(1, True), ValueError, "a limit of a Range is True: take a finite number"),
        (lambda: Range(1, open="yes"), TypeError, "open is 'yes': take True or False"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(make, error, message, own_errors):
    with pytest.raises(error, match=message):
        make()


def test_a_range_of_what_is_no_number_is_a_fault_of_the_experiment():
    @dataclass(frozen=True)
    class Named:
        name: Annotated[str, Range(1)] = "a"

    with pytest.raises(TypeError, match="field 'name' has a Range, but it holds 'a': a Range is of numbers"):
        check_config(Named())
