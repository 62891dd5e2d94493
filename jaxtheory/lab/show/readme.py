"""The committed verdicts as Markdown: a row for each experiment in the README, for each claim on a page."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxtheory.lab.errors import Usage
from jaxtheory.lab.record import storage
from jaxtheory.lab.record.claims import Verdict
from jaxtheory.lab.record.discovery import Experiment
from jaxtheory.lab.show import outline, verdicts
from jaxtheory.lab.words import duration

MARKED = re.compile(r"(<!-- verdicts: begin\b.*?-->\n).*?(<!-- verdicts: end -->)", re.DOTALL)
"""What stands in a page between two comments."""
SPECIAL = re.compile(r"([\\|*_`<\[\]])")
"""What Markdown takes for something else in the cell of a table."""


def publish(readme: Path, page: Path, file: Path, experiments: Iterable[Experiment] = ()) -> int:
    """Put the committed verdicts of the full forms into a README, in short, and into a page, in full.

    Args:
        readme: A page of Markdown with two comments, between which its table of experiments is put.
        page: The page of all claims, which is written anew.
        file: The verdicts, as `verdicts.write` wrote them.
        experiments: All experiments, whose docstrings say what they claim.

    Returns:
        The number of experiments in both.

    Raises:
        Usage: If the verdicts, the README or its place for the table are missing.
    """
    if not file.is_file():
        raise Usage(f"there is no {file}: write it with `jaxtheory verdicts --write {file} --full`")
    if not readme.is_file():
        raise Usage(f"there is no {readme} to put the verdicts into")
    text = readme.read_text()
    if not MARKED.search(text):
        raise Usage(
            f"{readme} has no place for the verdicts: put the lines <!-- verdicts: begin --> and "
            "<!-- verdicts: end --> where the table belongs"
        )
    committed = verdicts.read(file, full=True)
    names = sorted(committed, key=lambda name: outline.place(*name.split("/", 1)))
    told = {name: _told(committed[name]) for name in names}
    sentences = {one.id: one.claim for one in experiments}
    pictures = {name: verdicts.picture(file, name) for name in names}
    pictures = {name: path for name, path in pictures.items() if path.is_file()}
    link = _link(page, readme)
    rows = [
        (
            f"[`{name}`]({link}#{anchor(name)})",
            _cell(sentences.get(name, "")),
            _cell(outline.score(claims)),
            f"[picture]({_link(pictures[name], readme)})" if name in pictures else "",
        )
        for name, claims in told.items()
    ]
    heads = ("experiment", "what it shows", "of its claims", "")
    drop = 0 if pictures else 1  # a column without a picture says nothing
    table = _markdown(heads[: len(heads) - drop], [row[: len(row) - drop] for row in rows])
    ending = f"\nEvery claim with what was expected and measured: [{link}]({link}).\n"
    filled = MARKED.sub(lambda marks: f"{marks[1]}{table}{ending}{marks[2]}", text).encode()
    shown = {name: _link(path, page) for name, path in pictures.items()}
    whole = _whole(committed, told, sentences, shown, _link(file, page)).encode()
    storage.write(page, lambda target: target.write(whole))
    storage.write(readme, lambda target: target.write(filled))
    return len(committed)


def _link(target: Path, page: Path) -> str:
    """A link from a page to a file."""
    return Path(os.path.relpath(target, page.parent)).as_posix()


def anchor(name: str) -> str:
    """Return the anchor that a heading with an experiment's name has on GitHub."""
    return re.sub(r"[^\w-]", "", name.lower())


def _told(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The claims of an experiment, each once: from the data on which it was tested, if there are any."""
    claims: dict[str, dict[str, Any]] = {}
    for one in entries:
        for statement, claim in one["claims"].items():
            before = claims.get(statement)
            if before is None or _is_worse(before["verdict"], claim["verdict"]):
                claims[statement] = claim
    return list(claims.values())


def _is_worse(before: str, now: str) -> bool:
    """Whether a verdict counts in the place of the one before: a test over none, and a failure over all."""
    order = [Verdict.UNTESTED, Verdict.HOLDS, Verdict.TIE, Verdict.FAILS]
    return order.index(outline.verdict(now)) > order.index(outline.verdict(before))


def _whole(
    committed: dict[str, Any],
    told: dict[str, Any],
    sentences: dict[str, str],
    pictures: dict[str, str],
    link: str,
) -> str:
    """The page: by section of the lecture and experiment, for each data a table of its claims."""
    claims = [claim for several in told.values() for claim in several]
    parts = [
        "# Every claim and its verdict",
        (
            f"Written by `jaxtheory verdicts --readme README.md` from [{link}]({link}). In all, "
            f"{outline.score(claims)}."
        ),
    ]
    section = None
    for name in told:
        if (now := name.split("/", 1)[0]) != section:
            section = now
            parts.append(f"## {outline.title(section)}")
        parts += [f"### {name}", *([_cell(sentences[name])] if name in sentences else [])]
        if name in pictures:
            parts.append(f"![The picture of {name}]({pictures[name]})")
        tested = {
            statement
            for one in committed[name]
            for statement, claim in one["claims"].items()
            if outline.verdict(claim["verdict"]) != Verdict.UNTESTED
        }
        for one in committed[name]:
            parts += _of_run(one, tested)
    return "\n\n".join(parts) + "\n"


def _of_run(one: dict[str, Any], tested: set[str]) -> list[str]:
    """A run as paragraphs: data and machine, its claims, and what those need that were tested nowhere."""
    # The findings tell the hashes of the data.
    data = "; ".join(re.sub(r" \(SHA-256 \w+\)", "", text) for text in one["data"])
    took = f"{duration(one['seconds'])} on {one['machine']}, {one['date']}"
    about = f"On {data}; {took}." if data else f"{took[0].upper()}{took[1:]}."
    claims = {
        statement: claim
        for statement, claim in one["claims"].items()
        if outline.verdict(claim["verdict"]) != Verdict.UNTESTED
    }
    rows = [
        (statement, claim["expected"], claim["source"], claim["measured"], claim["verdict"])
        for statement, claim in claims.items()
    ]
    parts = [_cell(about)]
    if rows:
        heads = ("claim", "expected", "source", "measured", "verdict")
        parts.append(_markdown(heads, (map(_cell, row) for row in rows)).rstrip())
    missing = [claim for statement, claim in one["claims"].items() if statement not in tested]
    if missing:
        lines = outline.untested(claim | {"measured_text": claim["measured"]} for claim in missing)
        parts.append("\n".join(f"- Not tested: {_cell(line)}." for line in lines))
    return parts


def _markdown(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """A text as the cell of a table in Markdown."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
