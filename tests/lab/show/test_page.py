"""The page as text: rows, marks, escapes, charts; the browser's tests are in `test_browser`."""

import html
import json
import re

import pytest

from jaxtheory.lab.record.discovery import find
from jaxtheory.lab.show import page, report
from tests.lab import finished_runs as fake

HOSTILE = '<script>alert("no")</script><img src=x onerror=alert(1)> " \' & {{ 7 * 7 }}'


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "runs", tmp_path / "experiments"


def written(root, experiments):
    return page.html(report.collect(root, find(experiments)), root)


def rows_of(text):
    return re.findall(r'<tr role="row" class="\w+" data-section=.*?</tr>', text, re.DOTALL)


def words_of(markup):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def test_every_claim_is_a_row_with_all_that_belongs_to_it(folders):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "scattering_mnist")
    fake.write_run(root, file, figures=[(fake.picture(), "Error against size"), (fake.picture(1), "Another")])
    text = written(root, experiments)
    rows = rows_of(text)
    assert len(rows) == len(fake.claims())
    for row, claim in zip(rows, fake.claims()):
        words = words_of(row)
        expected = claim.expected
        for part in (claim.statement, expected.text, expected.source, claim.verdict):
            assert part in words
        assert all(line in words for line in claim.measured_text.split("; "))
        assert ("(source not looked up)" in words) == (not expected.looked_up)
        assert ("close" in words) == claim.close
    for part in (
        "jaxtheory run scattering_mnist --quick",
        "cross-validation",
        "5,000 digits",
        "1 min 23 s",
        "morlet",
        "24 GiB",
    ):
        assert part in text
    assert "http" not in text.replace("http-equiv", "")  # nothing to load from elsewhere


def test_each_picture_is_there_once_and_the_first_is_large(folders):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    fake.write_run(root, file, figures=[(fake.picture(k), f"Figure {k}") for k in range(3)])
    text = written(root, experiments)
    sources = re.findall(r'src="data:image/\w+;base64,([^"]+)"', text)
    assert len(sources) == len(set(sources)) == 3
    before, folded, _ = re.split(r'<details class="more">|<details class="how">', text)
    assert before.count("<figure>") == 1
    assert folded.count("<figure>") == 2
    assert "2 more pictures" in folded


def test_the_page_goes_through_the_lecture(folders):
    root, experiments = folders
    for section in ("sparse", "another", "harmonic"):
        for name in ("one", "two"):
            file = fake.write_experiment(experiments, section, f"{section}_{name}")
            fake.write_run(root, file, claim=f"The claim of {section} {name}.")
    text = written(root, experiments)
    headings = re.findall(r'<h2 id="heading-(\w+)">(.*?)</h2>', text)
    assert headings == [
        ("harmonic", "Harmonic analysis"),
        ("sparse", "Sparse coding"),
        ("another", "Another"),
    ]
    # The lecture's own words stand before the picture and the claims.
    article = re.search(r'<article id="sparse-sparse_one".*?</article>', text, re.DOTALL)[0]
    order = ["The claim of sparse one.", "In the lecture:", "Verdict", "Source, data"]
    assert [part for part in order if part in article] == order
    assert [article.index(part) for part in order] == sorted(article.index(part) for part in order)
    contents = re.search(r'<nav class="contents".*?</nav>', text, re.DOTALL)[0]
    links = re.findall(r'<li[^>]*><a href="#([\w-]+)">(.*?)</a>', contents)
    assert links[2] == ("sparse-sparse_one", "The claim of sparse one.")
    assert len(links) == 6
    assert all(f'id="{anchor}"' in text for anchor, _ in links)
    summary = re.search(r'<table class="summary".*?</table>', text, re.DOTALL)[0]
    cells = [words_of(row).split() for row in re.findall(r"<tr>.*?</tr>", summary, re.DOTALL)]
    assert cells[2:] == [
        ["Sparse", "coding", "2", "4", "2", "2", "2"],
        ["Another", "2", "4", "2", "2", "2"],
        ["In", "all", "6", "12", "6", "6", "6"],
    ]


def test_untested_claims_are_folded_under_one_line_a_need(folders):
    root, experiments = folders
    untested = fake.claims()[-1].as_json()
    claims = [claim.as_json() for claim in fake.claims()]
    claims.append(untested | {"statement": "All letters are told apart."})
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "one"), claims=claims)
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "two"), claims=[untested])
    text = written(root, experiments)
    folded = re.findall(r'<details class="missing"><summary>(.*?)</summary>(.*?)</details>', text, re.DOTALL)
    todo = "60,000 digits: give the folder of the whole MNIST as --data-dir"
    assert [summary for summary, _ in folded] == [f"2 claims need {todo}", f"1 claim needs {todo}"]
    assert [len(rows_of(rows)) for _, rows in folded] == [2, 1]
    assert f"<li>3 claims need {todo}</li>" in text
    shown = re.sub(r'<details class="missing">.*?</details>', "", text, flags=re.DOTALL)
    assert "letters" not in shown


def test_verdicts_are_told_apart_without_color(folders):
    root, experiments = folders
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "one"))
    marks = re.findall(
        r'class="verdict (\w+)"><span class="mark \w+" aria-hidden="true">(.)</span><span>([\w ]+)<',
        written(root, experiments),
    )
    assert set(marks) == {
        ("holds", "✓", "holds"),
        ("fails", "✗", "does not hold"),
        ("tie", "≈", "tie"),
        ("untested", "–", "not tested"),
    }


def test_text_from_data_is_escaped(folders):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    claim = fake.claims()[0].as_json() | {"statement": HOSTILE, "measured_text": HOSTILE}
    claim["expected"] |= {"source": HOSTILE, "text": HOSTILE}
    directory = fake.write_run(
        root, file, claims=[claim], claim=HOSTILE, source=HOSTILE, lecture=HOSTILE, command=HOSTILE,
        notes=[HOSTILE], data=[HOSTILE], figures=[(fake.picture(), HOSTILE)],
    )  # fmt: skip
    for name in ("config.json", "environment.json"):
        (directory / name).write_text(json.dumps({HOSTILE: HOSTILE, "list": [HOSTILE]}))
    text = written(root, experiments)
    assert text.count("<script") == 1
    assert "<img src=x" not in text
    [statement] = re.findall(r'class="statement">(.*?)</th>', text)
    assert html.unescape(statement) == HOSTILE


def test_the_newest_bench_is_drawn_with_bars_in_proportion(folders):
    root, experiments = folders
    experiments.mkdir()
    fake.write_bench(root, started="2026-07-01T10:00:00+00:00")
    fake.write_bench(root, started="2027-07-01T10:00:00+00:00", peers=False)
    content = report.collect(root, [])
    [one] = content["benches"]
    assert one["started"].startswith("2026")  # the one with the peers
    text = page.html(content, root)
    widths = [float(width) for width in re.findall(r'class="block" x="0" y="3" width="([\d.]+)"', text)]
    assert widths == pytest.approx([100 * seconds / 0.48 for seconds in (0.08, 0.4, 0.18, 0.05)], abs=0.01)
    assert "Scattering of images &lt;forward&gt;" in text
    assert "has no gradient" in text
    assert "first call within 2 s: MISSED, 2.4 s" in text
    assert "2.25x (2.02-2.70)" in text


def test_the_small_chart_places_figures_within_what_was_expected():
    at_most, several, band, _, untested = (page._gauge(claim.as_json()) for claim in fake.claims())
    assert untested is None
    assert at_most["from"] == 0.0
    assert at_most["limits"] == [92.0]
    [point] = at_most["points"]
    assert at_most["to"] > point["to"] > point["x"] > point["from"] == 8.0
    assert len(several["points"]) == 2
    assert several["points"][0]["x"] < several["limits"][0] < several["points"][1]["x"]
    assert band["points"][0]["x"] > band["to"] > band["from"] == 8.0
    exact = fake.claims()[3].as_json()
    exact["measured"][0]["value"] = None  # NaN, in JSON
    assert page._gauge(exact) is None
    # A maximum has an interval, and a published figure may be missed by its slack.
    exact["measured"][0] |= {"value": 2.0, "interval": [1.0, 4.0]}
    exact["expected"] |= {"low": 3.0, "high": 3.0, "slack": 1.0}
    line = page._gauge(exact)
    assert line["points"] == [{"x": 36.0, "from": 8.0, "to": 92.0}]
    assert (line["from"], line["to"]) == (36.0, 92.0)


def test_several_measurements_stand_on_lines_of_their_own(folders):
    root, experiments = folders
    claim = fake.claims()[0].as_json()
    claim["measured_text"] = "size 300: 1.5 (1 to 2; n = 50 digits); size 4000: 0.5"
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "one"), claims=[claim])
    [row] = rows_of(written(root, experiments))
    assert re.findall(r"<div>(size .*?)</div>", row) == [
        "size 300: 1.5 (1 to 2; n = 50 digits)",
        "size 4000: 0.5",
    ]
