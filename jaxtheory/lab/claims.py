"""Claims: what is expected and from where, what was measured, and the verdict that follows from the two."""

import enum
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CERTAIN = 2.0
"""Standard errors beyond which a difference is taken for one."""
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
        limits = [limit for limit in (self.low, self.high) if limit is not None]
        if any(math.isnan(limit) for limit in limits) or limits != sorted(limits):
            raise ValueError(f"nothing can be expected '{self.text}': the limits must be numbers in order")

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
        return min(abs(value - limit) for limit in (self.low, self.high) if limit is not None)


def at_most(value: float, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value is the given one or less."""
    return Expected("at most", None, float(value), source, unit, looked_up)


def at_least(value: float, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value is the given one or more."""
    return Expected("at least", float(value), None, source, unit, looked_up)


def below(value: float, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value is less than the given one."""
    return Expected("below", None, float(value), source, unit, looked_up)


def above(value: float, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value is more than the given one."""
    return Expected("above", float(value), None, source, unit, looked_up)


def between(low: float, high: float, *, source: str, unit: str = "", looked_up: bool = False) -> Expected:
    """The measured value lies in the band, its ends included."""
    return Expected("between", float(low), float(high), source, unit, looked_up)


def equal_to(
    value: float, *, tolerance: float, source: str, unit: str = "", looked_up: bool = False
) -> Expected:
    """The measured value is the given one, up to the tolerance."""
    return Expected("equal to", value - tolerance, value + tolerance, source, unit, looked_up)


@dataclass(frozen=True)
class Measured:
    """A measured figure with its spread."""

    value: float
    standard_error: float | None = None  # None: an exact figure, no luck in it
    n: int = 1  # how many draws the figure is the mean of
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
        place = ", ".join(f"{name} {value}" for name, value in self.at.items())
        return f"{place}: {self._figure}" if place else self._figure

    @property
    def _figure(self) -> str:
        error = self.standard_error
        if error is None:
            return _number(self.value)
        count = f" (n = {self.n})" if self.n > 1 else ""
        if not (0 < error < math.inf and math.isfinite(self.value)):
            return f"{_number(self.value)} ± {_number(error)}{count}"
        # Two digits of the error, and as many decimals for the value.
        decimals = 1 - math.floor(math.log10(error))
        if 0 <= decimals <= 6:
            return f"{self.value:.{decimals}f} ± {error:.{decimals}f}{count}"
        return f"{self.value:.3g} ± {error:.2g}{count}"


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
        if measured.paired and self._is_close(measured):
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
        return error is not None and self.expected.margin(measured.value) <= CERTAIN * error

    @property
    def measured_text(self) -> str:
        """The measurements in words."""
        if self.measured is None:
            return self.reason
        unit = f" {self.expected.unit}" if self.expected.unit else ""
        shown = list(self.measurements)
        if len(shown) > SHOWN:
            verdict = self.verdict
            shown = [one for one in shown if self.verdict_of(one) == verdict]
            worst = (min if verdict == Verdict.HOLDS else max)(
                shown, key=lambda one: self.expected.margin(one.value)
            )
            return f"{worst.text}{unit} is the worst of {len(self.measurements)}"
        return "; ".join(f"{one.text}{unit}" for one in shown)

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


def _number(value: float) -> str:
    """Four digits, thousands apart, no needless zeros."""
    if value and math.isfinite(value) and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
