"""The README's table and the page of all verdicts, read as GitHub reads them."""

import json
import re
import shutil
from pathlib import Path

import pytest

from jaxtheory.lab.errors import Usage
from jaxtheory.lab.record.discovery import find
from jaxtheory.lab.show import readme, verdicts
from tests.lab import finished_runs as fake

ROOT = Path(__file__).parents[3]
AWKWARD = "P(|x| > 2) < 1,\n*really* `so` in [0, 1] with x_1\\2."


@pytest.fixture
def places(tmp_path):
    """A README with a place for the verdicts, the page of all of them, the file, and the experiments."""
    root, experiments = tmp_path / "runs", tmp_path / "experiments"
    awkward = fake.claims()[0].as_json() | {"statement": AWKWARD}
    for section in ("statistics", "harmonic", "another"):
        one = fake.write_experiment(experiments, section, f"{section}_one", f"What {section} shows | or not.")
        fake.write_run(
            root, one, form="full", claims=[awkward, *(one.as_json() for one in fake.claims()[1:])]
        )
    (tmp_path / "docs").mkdir()
    file = tmp_path / "docs" / "full.json"
    verdicts.write(file, root, find(experiments), full=True)
    page = tmp_path / "README.md"
    page.write_text(
        "# Title\n\n<!-- verdicts: begin (by hand) -->\nbygone\n<!-- verdicts: end -->\n\nAfter.\n"
    )
    return page, tmp_path / "docs" / "verdicts.md", file, find(experiments)


def rows(text):
    """The rows of all tables, as GitHub reads them: a bar ends a cell unless a backslash stands before it."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def plain(cell):
    return re.sub(r"\\([^\w\s])|\\(_)", r"\1\2", cell)


def test_the_readme_has_a_row_for_each_experiment(places):
    assert readme.publish(*places) == 3
    text = places[0].read_text()
    assert text.startswith("# Title\n\n<!-- verdicts: begin (by hand) -->\n| experiment | what it shows |")
    assert text.endswith(": [docs/verdicts.md](docs/verdicts.md).\n<!-- verdicts: end -->\n\nAfter.\n")
    assert "bygone" not in text
    found = rows(text)
    assert set(found[1]) == {"---"}
    # In the lecture's order; two hold of the four that were tested.
    assert [plain(row[0]) for row in found[2:]] == [
        f"[`{name}`](docs/verdicts.md#{anchor})"
        for name, anchor in (
            ("harmonic/harmonic_one", "harmonicharmonic_one"),
            ("statistics/statistics_one", "statisticsstatistics_one"),
            ("another/another_one", "anotheranother_one"),
        )
    ]
    assert plain(found[2][1]) == "What harmonic shows | or not."
    assert {row[2] for row in found[2:]} == {"2 of 4 hold, 1 tie, 1 not tested"}


def test_the_page_has_a_row_for_each_tested_claim_and_a_line_for_each_need(places):
    readme.publish(*places)
    text = places[1].read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[1:4] == ["## Harmonic analysis", "### harmonic/harmonic_one", "## Statistics"]
    found = rows(text)
    assert len(found) == 3 * (2 + 4)
    assert found[0] == ["claim", "expected", "source", "measured", "verdict"]
    assert found[2][0] == r"P(\|x\| > 2) \< 1, \*really\* \`so\` in \[0, 1\] with x\_1\\2."
    for row, claim in zip(found[3:6], fake.claims()[1:]):
        expected = claim.expected
        whole = [claim.statement, expected.text, expected.source, claim.measured_text, claim.verdict]
        assert list(map(plain, row)) == whole
    line = "- Not tested: 1 claim needs 60,000 digits: give the folder of the whole MNIST as --data-dir."
    assert text.count(line) == 3
    assert "In all, 6 of 12 hold, 3 ties, 3 not tested." in text
    assert "1 min 23 s on 2-core x86-64, 24 GiB, 2026-07-01." in text


def test_a_claim_that_was_tested_on_other_data_is_not_missing(places):
    _, page, file, _ = places
    committed = json.loads(file.read_text())
    [whole] = committed["harmonic/harmonic_one"]
    [*_, untested] = whole["claims"]
    tested = {"expected": "at least 99.5 %", "source": "text", "measured": "99.6 %", "verdict": "holds"}
    other = whole | {"data": ["many (SHA-256 3c4d)"], "claims": {untested: tested}}
    file.write_text(json.dumps({"harmonic/harmonic_one": [whole, other]}))
    readme.publish(*places)
    text = page.read_text()
    assert "Not tested" not in text
    assert "On many; 1 min 23 s" in text
    assert len(rows(text)) == 2 + 4 + 2 + 1
    assert rows(places[0].read_text())[2][2] == "3 of 5 hold, 1 tie"


def test_pictures_are_linked_and_shown_where_there_are_some(places):
    page, whole, file, _ = places
    picture = verdicts.picture(file, "harmonic/harmonic_one")
    picture.parent.mkdir()
    picture.write_bytes(fake.picture())
    readme.publish(*places)
    found = rows(page.read_text())
    assert [row[3] for row in found[2:]] == ["[picture](docs/images/harmonic-harmonic_one.png)", "", ""]
    assert (
        "\n![The picture of harmonic/harmonic_one](images/harmonic-harmonic_one.png)\n" in whole.read_text()
    )
    picture.unlink()
    readme.publish(*places)
    assert {len(row) for row in rows(page.read_text())} == {3}


def test_both_are_filled_again_and_again(places):
    page, whole, file, _ = places
    readme.publish(*places)
    once = page.read_text(), whole.read_text()
    readme.publish(*places)
    assert (page.read_text(), whole.read_text()) == once
    file.write_text("{}")
    assert readme.publish(*places) == 0
    assert "harmonic_one" not in page.read_text() + whole.read_text()


def test_a_readme_without_a_place_or_verdicts_is_refused(places, tmp_path):
    page, whole, file, found = places
    with pytest.raises(Usage, match=r"there is no .*nowhere.md to put the verdicts into"):
        readme.publish(tmp_path / "nowhere.md", whole, file, found)
    with pytest.raises(Usage, match=r"there is no .*none.json: write it with `jaxtheory .* --full`"):
        readme.publish(page, whole, tmp_path / "none.json", found)
    page.write_text("# Title\n")
    with pytest.raises(Usage, match=r"README.md has no place for the verdicts: put the lines <!-- verdicts:"):
        readme.publish(*places)
    assert page.read_text() == "# Title\n"
    assert not whole.exists()


def test_the_readme_shows_the_committed_verdicts_and_no_others(tmp_path):
    (tmp_path / "docs").mkdir()
    shutil.copytree(ROOT / "docs" / "images", tmp_path / "docs" / "images")
    for name in ("README.md", "docs/verdicts_full.json"):
        shutil.copy(ROOT / name, tmp_path / name)
    page = tmp_path / "docs" / "verdicts.md"
    readme.publish(tmp_path / "README.md", page, tmp_path / "docs" / "verdicts_full.json", find())
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
    assert page.read_text() == (ROOT / "docs" / "verdicts.md").read_text()
