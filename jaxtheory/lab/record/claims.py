"""Claims: what is expected and from where, what was measured, and the verdict that follows from the two."""

import enum
import html
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, SupportsFloat, SupportsInt

CERTAIN = 2.0
"""Standard errors beyond which a difference is taken for one."""
WHOLE = 1e9
"""Whole numbers below it are shown in full."""
SHOWN = 6
"""Measurements of one claim that its text lists; of more it gives the worst."""


class Verdict(enum.StrEnum):
    """What the measurement says of the claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    TIE = "tie"
    UNTESTED = "not tested at this size"


@dataclass(frozen=True)
class Expected:
    """What the source leads one to expect: a number, a band or an order.

    Made by `at_most`, `at_least`, `below`, `above`, `between` and `equal_to`.
    """

    kind: str
    low: float | None  # None: no limit on this side
    high: float | None
    source: str  # where the figure is from
    unit: str = ""
    looked_up: bool = False  # whether the source itself was read for it

    def __post_init__(self):
        if not self.source.strip():
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
        """The expectation in words, as 'at most 1.6 %'."""
        unit = f" {self.unit}" if self.unit else ""
        if self.kind == "between":
            return f"between {_number(self.low)} and {_number(self.high)}{unit}"
        if self.kind == "equal to":
            middle, tolerance = (self.low + self.high) / 2, (self.high - self.low) / 2
            spread = f" ± {_number(tolerance)}" if tolerance else ""
            return f"{_number(middle)}{spread}{unit}"
        return f"{self.kind} {_number(self.low if self.high is None else self.high)}{unit}"

    def allows(self, value: float) -> bool:
        """Whether a value is as expected; NaN never is."""
        if self.kind == "below":
            return value < self.high
        if self.kind == "above":
            return value > self.low
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return low <= value <= high

    def margin(self, value: float) -> float:
        """The distance of a value to the nearest limit."""
        return min(abs(value - limit) for limit in self.limits)


def at_most(value: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value is the given one or less."""
    return Expected("at most", None, float(value), source, unit, looked_up)


def at_least(value: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value is the given one or more."""
    return Expected("at least", float(value), None, source, unit, looked_up)


def below(value: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value is less than the given one."""
    return Expected("below", None, float(value), source, unit, looked_up)


def above(value: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value is more than the given one."""
    return Expected("above", float(value), None, source, unit, looked_up)


def between(
    low: SupportsFloat, high: SupportsFloat, *, source: str, unit: str = "", looked_up: bool = False
) -> Expected:
    """The measured value lies in the band, its ends included."""
    return Expected("between", float(low), float(high), source, unit, looked_up)


def equal_to(
    value: SupportsFloat, *, tolerance: SupportsFloat, source: str, unit: str = "", looked_up: bool = False
) -> Expected:
    """The measured value is the given one, up to the tolerance, the ends included."""
    # As decimals, since 0.7 + 0.1 in binary is below 0.8.
    middle, spread = Decimal(repr(float(value))), Decimal(repr(float(tolerance)))
    return Expected("equal to", float(middle - spread), float(middle + spread), source, unit, looked_up)


@dataclass(frozen=True)
class Measured:
    """A measured figure with its spread."""

    value: SupportsFloat  # and then a float
    standard_error: SupportsFloat | None = None  # None: an exact figure without luck in it, or a single draw
    n: SupportsInt = 1  # how many draws the figure is the mean of
    at: Mapping[str, Any] = field(default_factory=dict)  # where in the sweep, as {"size": 300}
    paired: bool = False  # the mean of differences drawn in pairs: it can be a tie

    def __post_init__(self):
        # Figures come as NumPy or JAX scalars; findings hold Python numbers.
        object.__setattr__(self, "value", float(self.value))
        if self.standard_error is not None:
            object.__setattr__(self, "standard_error", float(self.standard_error))
            if self.standard_error < 0:
                raise ValueError(f"a standard error is no less than 0, got {self.standard_error}")
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "at", {key: _plain(value) for key, value in self.at.items()})

    @property
    def text(self) -> str:
        """The figure in words, without its unit, as 'size 300: 5.21 ± 0.13 (n = 5)'."""
        return _in_words(self)


@dataclass(frozen=True)
class Claim:
    """A statement of the lecture, what it leads one to expect, and what was measured.

    Several measurements make one claim: it holds if it holds for each. `None` says that the claim cannot be
    tested at this size, and `reason` why.

    Example:
        >>> few = Measured(1.43, 0.05, n=10)
        >>> claim = Claim("4,000 digits suffice.", at_most(1.6, unit="%", source="table 4"), few)
        >>> print(claim.verdict, "-", claim.measured_text)
        holds - 1.430 ± 0.050 (n = 10) %
    """

    statement: str
    expected: Expected
    measured: Measured | Sequence[Measured] | None
    reason: str = ""

    def __post_init__(self):
        if not self.statement.strip():
            raise ValueError("a claim needs a statement, got an empty one")
        if not isinstance(self.measured, Measured | Sequence | None):
            raise TypeError(
                f"the claim '{self.statement}' was measured as {self.measured!r:.80}: "
                "give a Measured, as Measured(0.3), or a list of them"
            )
        if self.measured is None and not self.reason.strip():
            raise ValueError(f"the claim '{self.statement}' has no measurement: say why in reason=")
        if not (self.measured is None or self.measurements):
            raise ValueError(
                f"the claim '{self.statement}' has an empty list of measurements: "
                "give measured=None and a reason if it cannot be tested at this size"
            )

    @property
    def measurements(self) -> tuple[Measured, ...]:
        """The measurements, of which there may be one or none."""
        if self.measured is None:
            return ()
        return (self.measured,) if isinstance(self.measured, Measured) else tuple(self.measured)

    @property
    def verdict(self) -> Verdict:
        """The worst of the measurements' verdicts."""
        verdicts = {self.verdict_of(one) for one in self.measurements}
        return next(
            (verdict for verdict in (Verdict.FAILS, Verdict.TIE, Verdict.HOLDS) if verdict in verdicts),
            Verdict.UNTESTED,
        )

    def verdict_of(self, measured: Measured) -> Verdict:
        """The verdict of one of the measurements."""
        error = measured.standard_error
        if measured.paired and error is not None and self.expected.margin(measured.value) <= CERTAIN * error:
            return Verdict.TIE
        return Verdict.HOLDS if self.expected.allows(measured.value) else Verdict.FAILS

    @property
    def close(self) -> bool:
        """Whether another draw may well give another verdict: the margin is under two standard errors."""
        verdict = self.verdict
        decisive = [self._is_close(one) for one in self.measurements if self.verdict_of(one) == verdict]
        if not decisive:
            return False
        # One doubtful measurement can spoil a claim that holds; a claim that fails is doubtful if all of
        # those that fail are.
        return all(decisive) if verdict == Verdict.FAILS else any(decisive)

    def _is_close(self, measured: Measured) -> bool:
        error = measured.standard_error
        return error is not None and self.expected.margin(measured.value) < CERTAIN * error

    def _room(self, measured: Measured) -> float:
        """How far inside of the limits a measurement is; less than nothing outside."""
        margin = self.expected.margin(measured.value)
        if math.isnan(margin):
            return -math.inf
        return margin if self.expected.allows(measured.value) else -margin

    @property
    def measured_text(self) -> str:
        """The measurements in words."""
        if self.measured is None:
            return self.reason
        unit = f" {self.expected.unit}" if self.expected.unit else ""
        limits = self.expected.limits
        if len(self.measurements) > SHOWN:
            verdict = self.verdict
            decisive = [one for one in self.measurements if self.verdict_of(one) == verdict]
            worst = min(decisive, key=self._room)
            return f"{_in_words(worst, limits)}{unit} is the worst of {len(self.measurements)}"
        return "; ".join(f"{_in_words(one, limits)}{unit}" for one in self.measurements)

    def as_json(self) -> dict[str, Any]:
        """What `findings.json` holds of the claim."""
        expected = self.expected
        return {
            "statement": self.statement,
            "expected": {
                "kind": expected.kind,
                "low": expected.low,
                "high": expected.high,
                "unit": expected.unit,
                "source": expected.source,
                "looked_up": expected.looked_up,
                "text": expected.text,
            },
            "measured": [
                {
                    "value": one.value,
                    "standard_error": one.standard_error,
                    "n": one.n,
                    "at": dict(one.at),
                    "paired": one.paired,
                }
                for one in self.measurements
            ],
            "measured_text": self.measured_text,
            "verdict": str(self.verdict),
            "close": self.close,
            "reason": self.reason,
        }


COLOURS = {Verdict.HOLDS: "#1a7f37", Verdict.FAILS: "#cf222e", Verdict.TIE: "#9a6700"}


class Claims(list):
    """A list of claims that a notebook shows as a table."""

    def __init__(self, claims: Iterable[Claim] = ()):
        super().__init__(claims)

    def _repr_html_(self) -> str:
        rows = []
        for claim in self:
            source = f"{claim.expected.source}{'' if claim.expected.looked_up else ' (not looked up)'}"
            cells = [claim.statement, claim.expected.text, claim.measured_text, claim.verdict]
            columns = [f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in cells]
            columns[1] = columns[1].replace("<td", f"<td title='{html.escape(source)}'")
            colour = COLOURS.get(claim.verdict, "inherit")
            columns[3] = columns[3].replace("text-align:left", f"color:{colour};font-weight:bold")
            rows.append(f"<tr>{''.join(columns)}</tr>")
        heads = "".join(f"<th>{head}</th>" for head in ("claim", "expected", "measured", "verdict"))
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _plain(value: Any) -> Any:
    """A coordinate as JSON can hold it: NumPy scalars become Python's."""
    return value.item() if hasattr(value, "item") else value


def _in_words(measured: Measured, limits: Iterable[float] = ()) -> str:
    """A measurement as text, with the digits that tell it from the limits."""
    place = ", ".join(f"{name} {value}" for name, value in measured.at.items())
    value, error = measured.value, measured.standard_error
    count = f" (n = {measured.n})" if measured.n > 1 and error is not None else ""
    if error and math.isfinite(error) and math.isfinite(value):
        figure = _with_error(value, error)
    else:
        figure = _number(value, limits) + ("" if error is None else f" ± {_number(error)}")
    return f"{place}: {figure}{count}" if place else f"{figure}{count}"


def _with_error(value: float, error: float) -> str:
    """Two digits of the error, or all before the point, and as many decimals of the value."""
    decimals = 1 - _exponent(error)
    if decimals > 6 or max(abs(value), error) >= WHOLE:
        digits = max(2, _exponent(value) + decimals + 1) if value else 2
        return f"{value:.{digits}g} ± {error:.2g}"
    decimals = max(0, decimals)
    return f"{value:z,.{decimals}f} ± {error:,.{decimals}f}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _number(value: float, limits: Iterable[float] = ()) -> str:
    """Four digits, or all before the point; more where those would put it on another side of a limit."""
    texts = itertools.chain([_rounded(value)], (f"{value:.{digits}g}" for digits in range(5, 18)))
    others = [limit for limit in limits if limit != value]
    return next(
        text
        for text in texts
        if all(_side(float(text.replace(",", "")), limit) == _side(value, limit) for limit in others)
    )


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)


def _rounded(value: float) -> str:
    """Four digits, or all before the point, thousands apart, no needless zeros."""
    if value.is_integer() and abs(value) < WHOLE:
        return f"{value:z,.0f}"
    if 999.95 <= abs(value) < 1e7:
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:.4g}"
