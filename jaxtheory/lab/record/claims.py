"""Claims: what is expected and from where, what was measured, and the verdict that follows from the two."""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtheory.lab.record.decision import Verdict, decide, quantile
from jaxtheory.lab.record.expectations import Expected
from jaxtheory.lab.record.measured import Measured

SHOWN = 6
"""The number of measurements of a claim up to which its text lists them all; of more it gives the worst."""
ONE_DRAW = "one draw of something random"
"""Why a claim is not tested although something was measured."""
COLORS = {Verdict.HOLDS: "#1a7f37", Verdict.FAILS: "#cf222e", Verdict.TIE: "#9a6700"}


@dataclass(frozen=True)
class Need:
    """What a claim cannot be tested without.

    Example:
        >>> Need("the whole MNIST", False, "give its folder as --data-dir").text
        'needs the whole MNIST: give its folder as --data-dir'
    """

    what: str  # as "the whole MNIST", which follows "needs"
    met: bool  # whether it is there
    todo: str  # what to do so that it is

    def __post_init__(self):
        for name, text in (("what", self.what), ("todo", self.todo)):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(
                    f"{name} of a need is {text!r:.40}: give a text, "
                    "as Need('the whole MNIST', met, 'give its folder as --data-dir')"
                )
        if not isinstance(self.met, bool | np.bool_):
            raise TypeError(f"met of the need '{self.what}' is {self.met!r:.40}: take True or False")
        object.__setattr__(self, "met", bool(self.met))

    @property
    def text(self) -> str:
        """The need in words."""
        return f"needs {self.what}: {self.todo}"


@dataclass(frozen=True)
class Claim:
    """A statement of the lecture, what it leads one to expect, and what was measured.

    Several measurements make one claim: it holds if it holds for each. A claim with a need that is not met,
    and one of whose measurements is a single draw of something random, is not tested.

    Example:
        >>> from jaxtheory.lab import Claim, Measured, at_most
        >>> few = Measured(1.43, 0.05, n=10)
        >>> claim = Claim("4,000 digits suffice.", at_most(1.6, unit="%", source="table 4"), few)
        >>> print(claim.verdict, "-", claim.measured_text)
        holds - 1.430 ± 0.050 (n = 10) %
    """

    statement: str
    expected: Expected
    measured: Measured | Sequence[Measured] | None  # None: a need is not met
    needs: Need | Sequence[Need] = ()

    def __post_init__(self):
        if not isinstance(self.statement, str) or not self.statement.strip():
            raise ValueError("a claim needs a statement, got an empty one")
        told = f"the claim '{self.statement}'"
        if not isinstance(self.expected, Expected):
            raise TypeError(
                f"{told} expects {self.expected!r:.40}: give an expectation, as below(0, source='table 4')"
            )
        needs = (self.needs,) if isinstance(self.needs, Need) else self.needs
        if not isinstance(needs, Sequence) or not all(isinstance(one, Need) for one in needs):
            raise TypeError(f"{told} has needs={self.needs!r:.60}: give a Need or a tuple of them")
        if len({one.what for one in needs}) < len(needs):
            raise ValueError(f"{told} names a need twice: {', '.join(one.what for one in needs)}")
        object.__setattr__(self, "needs", tuple(needs))
        measured = () if self.measured is None else self.measured
        measured = (measured,) if isinstance(measured, Measured) else measured
        if not isinstance(measured, Sequence) or not all(isinstance(one, Measured) for one in measured):
            raise TypeError(
                f"{told} was measured as {self.measured!r:.80}: "
                "give a Measured, as exact(0.3), or a sequence of them"
            )
        if not measured and not self.unmet:
            raise ValueError(
                f"{told} has no measurement: say what it needs, "
                "as needs=Need('4,000 digits', False, 'run the full form')"
            )
        counted = {one.of for one in measured if one.n > 1}
        if len(counted) > 1:
            raise ValueError(
                f"{told} counts {' and '.join(sorted(counted))} as n: "
                "one claim counts one thing, so make a claim of each"
            )

    @property
    def unmet(self) -> tuple[Need, ...]:
        """The needs that are not met."""
        return tuple(one for one in self.needs if not one.met)

    @property
    def measurements(self) -> tuple[Measured, ...]:
        """The measurements, of which there may be one or none."""
        if self.measured is None:
            return ()
        return (self.measured,) if isinstance(self.measured, Measured) else tuple(self.measured)

    @property
    def reason(self) -> str:
        """Why the claim is not tested; empty if it is."""
        if self.unmet:
            return "; ".join(need.text for need in self.unmet)
        return ONE_DRAW if any(one.kind == "single" for one in self.measurements) else ""

    @property
    def verdict(self) -> Verdict:
        """What follows from the measurements, for the claim as a whole."""
        rows = self.measurements
        if self.reason:
            return Verdict.UNTESTED
        if not all(one.is_finite for one in rows):
            return Verdict.FAILS
        plain = [one for one in rows if not self._may_tie(one)]
        if not all(self._allows(one) for one in plain):
            return Verdict.FAILS
        paired = [one for one in rows if self._may_tie(one)]
        if not paired:
            return Verdict.HOLDS
        room, error, n = np.array([(self._room(one), one.standard_error, one.n) for one in paired]).T
        decided = decide(room, error, n, strict=self.expected.kind != "published")
        return {1: Verdict.HOLDS, 0: Verdict.TIE, -1: Verdict.FAILS}[int(decided)]

    @property
    def close(self) -> bool:
        """Whether another draw may well give another verdict.

        This is so where the margin is less than the sampling error that the verdict allows for.
        """
        verdict = self.verdict
        if verdict == Verdict.TIE:
            return True
        if verdict == Verdict.UNTESTED:
            return False
        if verdict == Verdict.HOLDS:
            # One doubtful row can spoil a claim that holds.
            return any(self._is_doubtful(one, 1) for one in self.measurements)
        # A claim that fails is doubtful if all of the rows that fail are.
        rows = len(self.measurements)
        failing = [one for one in self.measurements if not self._allows(one)]
        return all(self._is_doubtful(one, rows) for one in failing)

    def _may_tie(self, measured: Measured) -> bool:
        """Whether a measurement is a comparison that chance may have put on its side of a limit."""
        is_comparison = measured.paired or self.expected.kind == "published"
        return is_comparison and measured.standard_error is not None

    def _is_doubtful(self, measured: Measured, rows: int) -> bool:
        """Whether chance may have put a measurement on its side of a limit, at the level for several rows."""
        if not measured.is_finite:
            return False
        margin = abs(self._room(measured))
        if measured.interval is not None:
            low, high = measured.interval
            return margin < (high - measured.value if self._is_above(measured) else measured.value - low)
        error = measured.standard_error
        return error is not None and margin < float(quantile(measured.n, rows)) * error

    def _is_above(self, measured: Measured) -> bool:
        """Whether the nearest limit lies above the value."""
        nearest = min(self.expected.limits, key=lambda limit: abs(limit - measured.value))
        return nearest > measured.value

    @property
    def _allowance(self) -> float:
        """How far from a published figure its own sampling error and its slack may put a measurement."""
        if self.expected.kind != "published":
            return 0.0
        return max(self.expected.slack, float(quantile(1)) * self.expected.standard_error)

    def _allows(self, measured: Measured) -> bool:
        return measured.is_finite and self.expected.allows(measured.value, self._allowance)

    def _room(self, measured: Measured) -> float:
        """How far inside the limits a measurement is; negative outside."""
        room = self.expected.room(measured.value, self._allowance)
        return room if measured.is_finite else -math.inf

    @property
    def measured_text(self) -> str:
        """The measurements in words."""
        if self.unmet:
            return f"needs {' and '.join(need.what for need in self.unmet)}"
        unit = f" {self.expected.unit}" if self.expected.unit else ""
        limits = self.expected.limits
        rows = self.measurements
        if len(rows) > SHOWN:
            worst = min(rows, key=self._room)
            told = f"{worst.in_words(limits)}{unit} is the worst of {len(rows)}"
        else:
            told = "; ".join(f"{one.in_words(limits)}{unit}" for one in rows)
        return told

    def as_json(self) -> dict[str, Any]:
        """Return what `findings.json` holds of the claim."""
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
                "figure": expected.figure,
                "n": expected.n,
                "slack": expected.slack,
                "text": expected.text,
            },
            "measured": [
                {
                    "value": one.value,
                    "standard_error": one.standard_error,
                    "interval": one.interval,
                    "n": one.n,
                    "of": one.of,
                    "kind": one.kind,
                    "at": dict(one.at),
                    "paired": one.paired,
                }
                for one in self.measurements
            ],
            "measured_text": self.measured_text,
            "verdict": str(self.verdict),
            "close": self.close,
            "needs": [{"what": need.what, "met": need.met, "todo": need.todo} for need in self.needs],
            "reason": self.reason,
        }


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
            color = COLORS.get(claim.verdict, "inherit")
            columns[3] = columns[3].replace("text-align:left", f"color:{color};font-weight:bold")
            rows.append(f"<tr>{''.join(columns)}</tr>")
        heads = "".join(f"<th>{head}</th>" for head in ("claim", "expected", "measured", "verdict"))
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
