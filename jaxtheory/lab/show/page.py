"""A report as one HTML page that needs nothing else: the lecture, by section and experiment."""

import base64
import io
import json
import secrets
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtheory.lab import words
from jaxtheory.lab.machines.bench import table
from jaxtheory.lab.show import outline

ROOM = 6_500_000
"""Bytes that all figures may take together: in a page of text they become a third more."""
LEAST_ROOM = 12_000
"""Bytes that a figure may take however many there are."""
QUALITIES = (90, 75, 60, 40, 20)


def html(content: Mapping[str, Any], runs: Path) -> str:
    """Write the page.

    Args:
        content: The content of the report, from `report.collect`.
        runs: The folder of the runs, where the figures are.

    Returns:
        The file's text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    number = sum(len(one["figures"]) for one in content["experiments"])
    room = max(LEAST_ROOM, ROOM // max(1, number))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": words.duration,
        "timing": words.timing,
        "counted": words.counted,
        "ratio": table.ratio,
        "bar_line": table.bar_line,
        "plain": _plain,
        "embedded": lambda file: _embedded((runs / file).read_bytes(), room),
        "pixels": lambda file: _pixels((runs / file).read_bytes()),
        "gauge": _gauge,
        "lines": outline.lines,
        "symbol": lambda verdict: outline.SYMBOLS[outline.verdict(verdict)],
        "kind": lambda verdict: outline.verdict(verdict).name.lower(),
        "score": outline.score,
        "tally": outline.tally,
        "untested": outline.untested,
        "title_of": outline.title,
    }
    experiments = content["experiments"]
    return environment.get_template("report.html").render(
        content,
        sections=list(dict.fromkeys(one["section"] for one in experiments)),
        all_claims=[claim for one in experiments for claim in one["claims"]],
        # Text that slipped in as a script would lack it.
        nonce=secrets.token_urlsafe(16),
    )


def _plain(value: Any) -> str:
    """A value of a configuration or environment as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _embedded(png: bytes, room: int) -> str:
    """A figure as a data URI: as it is if there is room, or packed without loss, or with little."""
    if len(png) <= room:
        return _uri("png", png)
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    ways = [{"quality": quality, "method": 2} for quality in QUALITIES]
    if len(png) <= 2 * room:  # more is not saved without loss
        ways.insert(0, {"lossless": True, "quality": 50, "method": 0})
    for how in ways:
        packed = io.BytesIO()
        image.save(packed, "webp", **how)
        if packed.tell() <= room:
            break
    return _uri("webp", packed.getvalue())


def _pixels(png: bytes) -> tuple[int, int]:
    """Width and height, with which a page keeps room for a figure before it is there."""
    return struct.unpack(">II", png[16:24])


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _gauge(claim: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the expected band and the measured figures lie on a line from 0 to 100."""
    expected = claim["expected"]
    slack = expected.get("slack") or 0.0  # what a published figure may be missed by
    low = None if expected["low"] is None else expected["low"] - slack
    high = None if expected["high"] is None else expected["high"] + slack
    limits = [limit for limit in (low, high) if limit is not None]
    measured = [
        (one["value"], *(one.get("interval") or _spread(one)))
        for one in claim["measured"]
        if one["value"] is not None
    ]
    if not limits or not measured:
        return None
    ends = [*limits, *(value for figures in measured for value in figures)]
    least, width = min(ends), (max(ends) - min(ends)) or abs(max(ends)) or 1.0

    def place(value: float) -> float:
        return round(8 + 84 * (value - least) / width, 2)

    return {
        "from": 0.0 if low is None else place(low),
        "to": 100.0 if high is None else place(high),
        "limits": [place(limit) for limit in limits],
        "points": [
            {"x": place(value), "from": place(left), "to": place(right)} for value, left, right in measured
        ],
    }


def _spread(measured: Mapping[str, Any]) -> tuple[float, float]:
    """Two standard errors either way."""
    error = 2 * (measured["standard_error"] or 0.0)
    return measured["value"] - error, measured["value"] + error
