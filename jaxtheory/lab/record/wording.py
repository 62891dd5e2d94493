"""Figures as text: with as many digits as their error justifies, and enough to tell them from a limit."""

import itertools
import math
from collections.abc import Iterable

WHOLE = 1e9
"""Whole numbers below it are shown in full."""


def with_error(value: float, error: float) -> str:
    """Return the value and two digits of its error, or all before the point, with as many decimals."""
    decimals = 1 - _exponent(error)
    if decimals > 6 or max(abs(value), error) >= WHOLE:
        digits = max(2, _exponent(value) + decimals + 1) if value else 2
        return f"{value:.{digits}g} ± {error:.2g}"
    decimals = max(0, decimals)
    return f"{value:z,.{decimals}f} ± {error:,.{decimals}f}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def number(value: float, limits: Iterable[float] = ()) -> str:
    """Return four digits, or all before the point; more where those would cross a limit."""
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
