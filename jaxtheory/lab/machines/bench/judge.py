"""What was measured of each contestant, compared with ours and the limit, and whether bars were reached."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench.process import Lane
from jaxtheory.lab.machines.bench.spec import PEERS, Bar, Case

Spread = dict[str, Any]
"""The median and quartiles of some values, their number, and the values."""


@dataclass(frozen=True)
class Row:
    """The figures of a contestant that was measured; `as_json` is what a bench's file holds of it."""

    name: str
    role: str
    threads: int | None
    tried: list[dict[str, Any]]
    """The medians of all thread settings, where there were several."""
    setup: Spread
    first_call: Spread
    steady: Spread
    ours_is_faster: Spread | None
    """The ratio of its turns to ours; None for ours."""
    times_the_limit: Spread | None
    """The ratio of its turns to the limit's; None for the limit."""
    memory: dict[str, Any]
    difference: float | None
    """The distance of its result from ours, relative to the largest value; None where none is finite."""
    differs: bool = False
    """Whether that is more than the case allows, so that times do not compare."""

    def as_json(self) -> dict[str, Any]:
        """The row as plain data."""
        fields = dict(vars(self))
        if not fields.pop("differs"):
            return fields
        return fields | {"differs": True}


def row(
    lane: Lane,
    role: str,
    tried: list[dict[str, Any]],
    *,
    ours: Lane | None,
    limit: Lane | None,
    case: Case,
) -> Row:
    """Compare a contestant's figures with ours and with the limit's.

    Args:
        lane: The contestant, measured.
        role: Its role.
        tried: The medians of its thread settings.
        ours: Our lane, if it was measured.
        limit: The limit's lane, if there is one.
        case: The case that was solved.

    Returns:
        The row.
    """
    difference = None
    if ours is not None and lane is not ours and role != "limit":
        difference = distance(lane.result, ours.result)
    # NaN is no small difference.
    differs = difference is not None and case.tolerance is not None and not difference <= case.tolerance
    return Row(
        name=lane.name,
        role=role,
        threads=lane.threads,
        tried=tried if len(tried) > 1 else [],
        setup=spread(lane.setups),
        first_call=spread(lane.starts),
        steady=spread(lane.turns) | {"calls_per_turn": lane.calls},
        ours_is_faster=_ratio(lane, ours),
        times_the_limit=_ratio(lane, limit),
        memory=lane.memory,
        difference=difference if difference is not None and math.isfinite(difference) else None,
        differs=differs,
    )


def complaint(lane: Lane, ours: Lane, case: Case) -> str:
    """Say in a line that a contestant's result differs too much from ours."""
    return (
        f"its result, of shape {lane.result.shape}, differs from ours, of shape {ours.result.shape}, by "
        f"{distance(lane.result, ours.result):.1e} of the largest value, more than {case.tolerance:g}: "
        "their times do not compare"
    )


def _ratio(lane: Lane, other: Lane | None) -> Spread | None:
    return None if other is None or other is lane else spread(np.divide(lane.turns, other.turns))


def distance(result: np.ndarray, ours: np.ndarray) -> float:
    """Return how far a result is from ours, relative to the largest value of ours."""
    if result.shape != ours.shape:
        return math.inf
    return float(np.abs(result - ours).max(initial=0) / (np.abs(ours).max(initial=0) or 1.0))


def spread(values: Sequence[float] | np.ndarray) -> Spread:
    """Return the median and quartiles of some values, and the values."""
    low, median, high = np.percentile(values, [25, 50, 75])
    values = [float(value) for value in values]
    figures = {"median": float(median), "low": float(low), "high": float(high)}
    return figures | {"n": len(values), "values": values}


def judged(bar: Bar, rows: Sequence[Row]) -> dict[str, Any]:
    """Return a bar with what was measured, and whether it was reached; None where it was not measured.

    Args:
        bar: The bar.
        rows: The contestants that were measured, ours first among those of its role.

    Returns:
        The bar as plain data, with `measured`, `against` and `reached`.
    """
    measured, against, reached = None, "", None
    ours = next((one for one in rows if one.role == "ours"), None)
    rivals = [one for one in rows if (one.role == "peer" if bar.than == PEERS else one.name == bar.than)]
    if ours and bar.seconds is not None:
        measured = (ours.steady if bar.quantity == "steady" else ours.first_call)["median"]
        reached = measured <= bar.seconds
    elif ours and rivals:
        rival = min(rivals, key=lambda one: one.steady["median"])
        against = rival.name
        if bar.quantity == "steady":
            measured = rival.ours_is_faster["median"]
        else:
            measured = rival.first_call["median"] / ours.first_call["median"]
        reached = measured >= bar.times
    facts = {name: getattr(bar, name) for name in ("text", "quantity", "times", "than", "seconds", "aim")}
    return facts | {"measured": measured, "against": against, "reached": reached}
