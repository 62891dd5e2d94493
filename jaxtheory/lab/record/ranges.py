"""Ranges of the fields of a configuration: declared beside their types, checked before anything runs."""

import dataclasses
import math
import typing
from typing import Any

from jaxtheory.lab.errors import Usage
from jaxtheory.lab.record.wording import number


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a field of `Config` may have, as metadata of its type.

    A tuple with a range is not empty, and the range holds for each of its entries; `None`, where the type
    allows it, is in every range.

    Example:
        >>> from typing import Annotated
        >>> draws: Annotated[int, Range(1)] = 5
        >>> sizes: Annotated[tuple[int, ...], Range(10, 60_000)] = (300, 4000)
        >>> print(Range(0, open=True), "-", Range(10, 60_000))
        above 0 - from 10 to 60,000
    """

    low: float | int | None = None
    """The smallest number allowed; `None` for no limit."""
    high: float | int | None = None
    """The largest."""
    open: bool = dataclasses.field(default=False, kw_only=True)
    """Whether the limits themselves are excluded."""

    def __post_init__(self):
        limits = [limit for limit in (self.low, self.high) if limit is not None]
        for limit in limits:
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
                raise ValueError(f"a limit of a Range is {limit!r:.40}: take a finite number")
        if not limits:
            raise ValueError("a Range has no limit: give its lowest number, its highest or both")
        if len(limits) == 2 and (self.low > self.high or (self.open and self.low == self.high)):
            raise ValueError(f"no number lies in Range({self.low}, {self.high}): give the lower limit first")
        if not isinstance(self.open, bool):
            raise TypeError(f"open is {self.open!r:.40}: take True or False")

    def __contains__(self, value: float | int) -> bool:
        low, high = self.low, self.high
        if self.open:
            return (low is None or value > low) and (high is None or value < high)
        return not math.isnan(value) and (low is None or value >= low) and (high is None or value <= high)

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            word = "between" if self.open else "from"
            joint = "and" if self.open else "to"
            ends = ", both excluded" if self.open else ""
            return f"{word} {number(float(self.low))} {joint} {number(float(self.high))}{ends}"
        if self.high is None:
            return f"{'above' if self.open else 'at least'} {number(float(self.low))}"
        return f"{'below' if self.open else 'at most'} {number(float(self.high))}"


def check_config(config: Any) -> None:
    """Refuse a configuration with a field out of its range.

    Args:
        config: A dataclass, whose fields may be declared as `Annotated[type, Range(...)]`.

    Raises:
        Usage: For the first field that is out of its range, by the name of its flag.
        TypeError: If a range is declared on a field that holds anything other than numbers.
    """
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        for allowed in _declared(hints[field.name]):
            _check(field.name, getattr(config, field.name), allowed)


def _declared(hint: Any) -> list[Range]:
    """The ranges of a type, or of what it is made of."""
    found = [one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Range)]
    return found + [one for part in typing.get_args(hint) for one in _declared(part)]


def _check(name: str, value: Any, allowed: Range) -> None:
    if value is None:
        return
    if isinstance(value, tuple | list):
        if not value:
            raise Usage(f"--{name} is empty: take at least one number, {allowed}")
        for one in value:
            _check(name, one, allowed)
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"field '{name}' has a Range, but it holds {value!r:.40}: a Range is of numbers")
    if value not in allowed:
        kind = "whole number" if isinstance(value, int) else "number"
        raise Usage(f"--{name} is {value}: take a {kind} {allowed}")
