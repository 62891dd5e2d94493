"""What a claim expects, and from where: a limit, a band, or a figure that was published.

Conventions: `source` says where the figure is from and is never empty, as "Mallat 2012, theorem 2.12"; `unit`
is that of the measured value; `looked_up` says that the source itself was read for the figure. All limits are
finite numbers, or it is a `ValueError`.
"""

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, SupportsFloat, SupportsIndex

from jaxtheory.lab.record.wording import number

Side = Literal["either", "at most", "at least"]
"""The side of a published figure that is as expected, in addition to what is within the allowance."""


@dataclass(frozen=True)
class Expected:
    """What the source leads one to expect: a number, a band, an order or a published figure.

    Made by `at_most`, `at_least`, `below`, `above`, `between`, `equal_to` and `published`.
    """

    kind: str
    low: float | None  # None: no limit on this side
    high: float | None
    source: str  # where the figure is from
    unit: str = ""
    looked_up: bool = False  # whether the source itself was read for it
    figure: str = ""  # of a published figure: as it is printed in the source
    n: int = 0  # of a published figure: how many items it was measured on
    slack: float = 0.0  # of a published figure: what differs for other reasons than luck

    def __post_init__(self):
        if not isinstance(self.source, str) or not self.source.strip():
            raise ValueError(
                f"a claim needs a source, but the expectation '{self.text}' has none: "
                "say where it is from, as in source='Mallat 2012, theorem 2.12'"
            )
        if not all(map(math.isfinite, self.limits)) or list(self.limits) != sorted(self.limits):
            raise ValueError(
                f"nothing can be expected '{self.text}': the limits must be finite numbers in order"
            )

    @property
    def limits(self) -> tuple[float, ...]:
        """The limits that there are, the lower one first."""
        return tuple(limit for limit in (self.low, self.high) if limit is not None)

    @property
    def text(self) -> str:
        """The expectation in words, as 'at most 1.6 %'; a published figure as its source prints it."""
        unit = f" {self.unit}" if self.unit else ""
        if self.kind == "published":
            side = "" if len(self.limits) == 2 else "at least " if self.high is None else "at most "
            return f"{side}{self.figure}{unit}"
        if self.kind == "between":
            return f"between {number(self.low)} and {number(self.high)}{unit}"
        if self.kind == "equal to":
            middle, tolerance = (self.low + self.high) / 2, (self.high - self.low) / 2
            spread = f" ± {number(tolerance)}" if tolerance else ""
            return f"{number(middle)}{spread}{unit}"
        return f"{self.kind} {number(self.low if self.high is None else self.high)}{unit}"

    @property
    def standard_error(self) -> float:
        """The sampling error of a published percentage, which was measured on `n` items; 0 of all else."""
        if self.kind != "published" or self.unit != "%":
            return 0.0
        share = self.limits[0] / 100
        return 100 * math.sqrt(share * (1 - share) / self.n)

    def allows(self, value: float, allowance: float = 0.0) -> bool:
        """Return whether a value is as expected, up to an allowance; what is not finite never is."""
        if not math.isfinite(value):
            return False
        if self.kind == "below":
            return value < self.high
        if self.kind == "above":
            return value > self.low
        low = -math.inf if self.low is None else self.low - allowance
        high = math.inf if self.high is None else self.high + allowance
        return low <= value <= high

    def room(self, value: float, allowance: float = 0.0) -> float:
        """Return the distance of a value from the nearest limit, which is negative outside."""
        low = [] if self.low is None else [value - (self.low - allowance)]
        high = [] if self.high is None else [self.high + allowance - value]
        return min(low + high)


def at_most(value: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """Return the expectation of the given value or less."""
    return Expected("at most", None, float(value), source, unit, looked_up)


def at_least(value: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """Return the expectation of the given value or more."""
    return Expected("at least", float(value), None, source, unit, looked_up)


def below(value: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """Return the expectation of less than the given value."""
    return Expected("below", None, float(value), source, unit, looked_up)


def above(value: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """Return the expectation of more than the given value."""
    return Expected("above", float(value), None, source, unit, looked_up)


def between(
    low: SupportsFloat, high: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False
) -> Expected:
    """Return the expectation of a value in the band, its ends included."""
    return Expected("between", float(low), float(high), source, unit, looked_up)


def equal_to(
    value: SupportsFloat, *, tolerance: SupportsFloat, source: str, unit: str = "", looked_up: bool = False
) -> Expected:
    """Return the expectation of the given value up to the tolerance, the ends included."""
    # As decimals, since 0.7 + 0.1 in binary is below 0.8.
    middle, spread = Decimal(repr(float(value))), Decimal(repr(float(tolerance)))
    return Expected("equal to", float(middle - spread), float(middle + spread), source, unit, looked_up)


def published(
    value: str | SupportsFloat,
    *,
    n: SupportsIndex,
    source: str,
    unit: str = "",
    slack: SupportsFloat = 0.0,
    side: Side = "either",
    looked_up: bool = False,
) -> Expected:
    """Return the expectation of a figure that a paper prints, up to the sampling errors of both measurements.

    The measured value may differ from the published one by
    max(slack, t sqrt(p (100 - p) / n + standard error^2)), where the first term under the root is the
    binomial variance of a published percentage p, and t is Student's quantile for the draws of the
    measurement, or the normal one where it has no standard error.

    Args:
        value: The figure as the paper prints it: text keeps its decimals, as `"4.70"`.
        n: The number of items on which the published figure was measured, such as the digits of its test set;
            at least 1.
        source: The place where the figure is printed.
        unit: The unit of the figure; a figure in `"%"` is a share of `n` items and lies between 0 and 100.
        slack: The difference allowed for reasons other than chance, in the unit of the figure; at least 0.
        side: The side that is as expected: `"either"` if the figure is to be met; `"at most"` or `"at least"`
            if better values are as expected.
        looked_up: Whether the source itself was read for the figure.

    Returns:
        The expectation.

    Raises:
        ValueError: For a figure that is not a finite number, a percentage outside 0 to 100, fewer than one
            item, a negative slack, or another side.
        TypeError: If `n` is not a whole number.

    Example:
        >>> published(4.7, n=10_000, unit="%", slack=0.15, source="table 4").text
        '4.7 %'
    """
    if isinstance(value, str):
        figure = value.strip()
        try:
            found = float(Decimal(figure.replace(",", "")))
        except InvalidOperation:
            found = math.nan
    else:
        found = float(value)
        figure = number(found)
    if not math.isfinite(found):
        raise ValueError(f"the published figure is {value!r:.40}: take a finite number, as 4.7 or '4.70'")
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"n is {n!r:.40}: take the whole number of items that {figure} was measured on")
    n = n.__index__()
    if n < 1:
        raise ValueError(f"n is {n}: take the number of items that {figure} was measured on, at least 1")
    slack = float(slack)
    if not (math.isfinite(slack) and slack >= 0):
        raise ValueError(f"slack is {slack}: take a finite number of 0 or more")
    if unit == "%" and not 0 <= found <= 100:
        raise ValueError(f"the published figure is {figure} %: take a share between 0 and 100 %")
    if side not in ("either", "at most", "at least"):
        raise ValueError(f"side is {side!r:.40}: take 'either', 'at most' or 'at least'")
    low = None if side == "at most" else found
    high = None if side == "at least" else found
    return Expected("published", low, high, source, unit, looked_up, figure, n, slack)
