"""What a bench measured, as Markdown."""

from collections.abc import Mapping
from typing import Any

from jaxtheory.lab import words

HEADS = (
    "contestant", "first call", "steady", "quartiles", "ours is faster by", "times the limit", "peak memory",
    "of it calls", "differs by",
)  # fmt: skip


def markdown(report: Mapping[str, Any]) -> str:
    """Write what a bench measured: a heading, the machine, and a table for each case."""
    about = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    parts = [
        f"## {report['name']}",
        report["sentence"],
        (
            f"{report['started'][:10]}; {about['cores']} cores of {about['processor']}, {about['system']}; "
            f"{versions}. Medians of {words.counted(report['repeats'], 'turn')} with quartiles; ours and the "
            "others in turns."
        ),
    ]
    if about["load"] is not None and about["load"] > about["cores"] / 2:
        parts.append(
            f"The machine was busy when the bench began (load {about['load']} on {about['cores']} cores): "
            "ratios say more than seconds."
        )
    for case in report["cases"]:
        parts += [f"### {case['name']}", _of_case(case)]
        if case["bars"]:
            parts.append("\n".join(f"- {bar_line(bar)}" for bar in case["bars"]))
    return "\n\n".join(parts)


def _of_case(case: Mapping[str, Any]) -> str:
    lines = [list(HEADS), *(_cells(row) for row in case["contestants"])]
    # A reason why a contestant is away may stand out.
    widths = [max(len(line[i]) for line in lines if i == 0 or line[2]) for i in range(len(HEADS))]
    rows = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths))} |" for line in lines]
    rows.insert(1, f"| {' | '.join('-' * width for width in widths)} |")
    return "\n".join(rows)


def _cells(row: Mapping[str, Any]) -> list[str]:
    if "unavailable" in row:
        return [row["name"], row["unavailable"], *[""] * (len(HEADS) - 2)]
    ours, limit, memory, steady = (
        row[key] for key in ("ours_is_faster", "times_the_limit", "memory", "steady")
    )
    calls = memory["peak"] - memory["before"] if memory["before"] is not None else None
    return [
        row["name"] + (f" ({words.counted(row['threads'], 'thread')})" if row["threads"] else ""),
        words.timing(row["first_call"]["median"]),
        words.timing(steady["median"]),
        f"{words.timing(steady['low'])} to {words.timing(steady['high'])}",
        ratio(ours) if ours else "",
        ratio(limit) if limit else "",
        f"{(memory['accelerator'] or memory)['peak']:,.0f} MB",
        "" if calls is None else f"{calls:,.0f} MB",
        f"{row['difference']:.1e}" if row["difference"] is not None else "",
    ]


def bar_line(bar: Mapping[str, Any]) -> str:
    """Write a bar and whether it was reached."""
    if bar["reached"] is None:
        return f"{bar['text']}: not measured"
    figure = words.timing(bar["measured"]) if bar["seconds"] is not None else f"{bar['measured']:.2f}x"
    against = f" ({bar['against']})" if bar["against"] and bar["against"] != bar["than"] else ""
    return f"{bar['text']}: {'reached' if bar['reached'] else 'MISSED'}, {figure}{against}"


def ratio(spread: Mapping[str, Any]) -> str:
    """Write a ratio's median and quartiles."""
    return f"{spread['median']:.2f}x ({spread['low']:.2f}-{spread['high']:.2f})"
