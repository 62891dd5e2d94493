"""Measured figures: exact ones, means of draws with their spread, and single draws that decide nothing."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, SupportsFloat, SupportsInt

from jaxtheory.lab.record.wording import number, with_error

KINDS = ("exact", "sampled", "single")
"""Exact; from several draws; one draw of something random."""


@dataclass(frozen=True)
class Measured:
    """A measured figure with its spread.

    Unless told otherwise, it counts as one draw of something random, which decides no claim: make what is not
    random with `exact`, means of draws with `mean`, shares of items with `proportion`.
    """

    value: SupportsFloat  # and then a float
    standard_error: SupportsFloat | None = None  # of the mean of n draws
    n: SupportsInt = 1  # how many draws the figure is made from
    at: Mapping[str, Any] = field(default_factory=dict)  # where in the sweep, as {"size": 300}
    paired: bool = False  # the mean of differences drawn in pairs: it can be a tie
    of: str = "draws"  # what n counts
    interval: tuple[SupportsFloat, SupportsFloat] | None = None  # in place of an error, of a maximum
    kind: str = ""  # exact, sampled or single; by default what error, interval and n say

    def __post_init__(self):
        error, interval = self.standard_error, self.interval
        # Figures come as NumPy or JAX scalars; findings hold Python numbers.
        plain = {
            "value": float(self.value),
            "standard_error": None if error is None else float(error),
            "n": int(self.n),
            "at": {key: _plain(value) for key, value in self.at.items()},
            "interval": None if interval is None else tuple(map(float, interval)),
        }
        spread = error is not None or interval is not None
        if not self.kind:
            plain["kind"] = "sampled" if spread or plain["n"] > 1 else "single"
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        self._check(spread)

    def _check(self, spread: bool) -> None:
        """Refuse what contradicts itself."""
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r:.40}: take 'exact', 'sampled' or 'single'")
        if not isinstance(self.of, str) or not self.of.strip():
            raise ValueError(f"of is {self.of!r:.40}: say what n counts, as 'draws' or 'digits'")
        if self.n < 1:
            raise ValueError(f"n is {self.n}: take the number of {self.of}, at least 1")
        if self.standard_error is not None and self.standard_error < 0:
            raise ValueError(f"standard_error is {self.standard_error}: take a number of 0 or more")
        if self.standard_error is not None and self.interval is not None:
            raise ValueError("a figure has a standard error or an interval: give one of the two")
        if self.interval is not None and (len(self.interval) != 2 or self.interval[0] > self.interval[1]):
            raise ValueError(f"interval is {self.interval}: give its two ends, the lower one first")
        if spread and self.n < 2:
            raise ValueError(f"n is {self.n}, but one draw has no spread: say how many draws there were")
        if self.kind != "sampled" and (spread or self.n > 1):
            raise ValueError(f"a figure that is {self.kind} has no spread and no number of draws")
        if self.paired and self.kind == "sampled" and self.standard_error is None:
            raise ValueError("a paired difference of several draws has a standard error: give it")

    @property
    def is_finite(self) -> bool:
        """Whether the value and what is known of its spread are finite."""
        spread = [self.standard_error or 0.0, *(self.interval or ())]
        return all(map(math.isfinite, [self.value, *spread]))

    @property
    def text(self) -> str:
        """The figure in words, without its unit, as 'size 300: 5.21 ± 0.13 (n = 5)'."""
        return self.in_words()

    def in_words(self, limits: Iterable[float] = ()) -> str:
        """Return the figure as text, with the digits that tell it from the limits."""
        place = ", ".join(f"{name} {value}" for name, value in self.at.items())
        value, error = self.value, self.standard_error
        counted = "" if self.of == "draws" else f" {self.of}"
        count = f"n = {self.n}{counted}" if self.n > 1 else ""
        if error and math.isfinite(error) and math.isfinite(value):
            figure = with_error(value, error)
        elif self.interval is not None:
            low, high = map(number, self.interval)
            spread = f"{low} to {high}"
            figure, count = number(value, limits), f"{spread}; {count}"
        else:
            figure = number(value, limits) + ("" if error is None else f" ± {number(error)}")
        if self.kind == "single":
            count = "one draw"
        told = f"{figure} ({count})" if count else figure
        return f"{place}: {told}" if place else told


def exact(value: SupportsFloat, *, at: Mapping[str, Any] | None = None) -> Measured:
    """Return a measured figure that is not random: another seed would give the same.

    Args:
        value: The figure.
        at: The place in a sweep where it stands, as `{"size": 300}`.

    Returns:
        The measurement.

    Example:
        >>> exact(1.25, at={"layers": 3}).text
        'layers 3: 1.25'
    """
    return Measured(value, at=at or {}, kind="exact")


def proportion(
    count: SupportsFloat,
    n: SupportsInt,
    *,
    unit: str = "%",
    of: str = "items",
    at: Mapping[str, Any] | None = None,
) -> Measured:
    """Return the share of items for which something is so, with its binomial standard error.

    Args:
        count: The number of items for which it is so, from 0 to `n`.
        n: The number of items, at least 2.
        unit: The unit of the share: `"%"` for a percentage; anything else for a share from 0 to 1.
        of: The name of the items, in the plural.
        at: The place in a sweep where it stands.

    Returns:
        The measurement. Its error is that of count + 2 among n + 4 items (Agresti and Coull), so that none or
        all of them do not count as certain.

    Raises:
        ValueError: If the count is not between 0 and `n`, or there are fewer than two items.

    Example:
        >>> proportion(143, 10_000, of="digits").text
        '1.43 ± 0.12 (n = 10000 digits)'
    """
    n = int(n)
    if n < 2:
        raise ValueError(f"n is {n}: take the number of {of}, at least 2")
    found = float(count)
    if not 0 <= found <= n:
        raise ValueError(f"count is {count}: take a number from 0 to n, which is {n}")
    scale = 100 if unit == "%" else 1
    smoothed = (found + 2) / (n + 4)
    error = math.sqrt(smoothed * (1 - smoothed) / (n + 4))
    return Measured(scale * found / n, scale * error, n, at or {}, of=of)


def _plain(value: Any) -> Any:
    """A coordinate as JSON can hold it: NumPy scalars become Python's."""
    return value.item() if hasattr(value, "item") else value
