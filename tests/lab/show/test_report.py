import html
import json
import re

import pytest

from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.record.discovery import find
from jaxtheory.lab.show import report
from tests.lab import finished_runs as fake

HOSTILE = '<script>alert("no")</script><img src=x onerror=alert(1)> " \' & {{ 7 * 7 }}'


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "runs", tmp_path / "experiments"


def page(root, experiments):
    return report.page(report.collect(root, find(experiments)), root)


def test_every_claim_is_a_row_with_all_that_belongs_to_it(folders):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "scattering_mnist")
    fake.write_run(root, file, figures=[(fake.picture(), "Error against size")])
    text = page(root, experiments)
    rows = re.findall(r'<tr role="row" class="\w+" data-section=.*?</tr>', text, re.DOTALL)
    assert len(rows) == len(fake.claims())
    for row, claim in zip(rows, fake.claims()):
        words = html.unescape(re.sub(r"<[^>]+>", " ", row))
        for part in (
            claim.statement,
            claim.expected.text,
            claim.expected.source,
            claim.measured_text,
            claim.verdict,
            "1 min 23 s",
            "harmonic",
            "scattering_mnist",
        ):
            assert part in words
        assert 'src="data:image/webp;base64,' in row
        assert ("(source not looked up)" in words) == (not claim.expected.looked_up)
        assert ("close" in words) == claim.close
    for part in (
        "jaxtheory run scattering_mnist --quick",
        "cross-validation",
        "5,000 digits",
        "morlet",
        "24 GiB",
    ):
        assert part in text
    assert "http" not in text.replace("http-equiv", "")  # nothing to load from elsewhere


def test_verdicts_are_told_apart_without_colour(folders):
    root, experiments = folders
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "one"))
    marks = re.findall(
        r'class="verdict (\w+)"><span class="mark" aria-hidden="true">(.)</span><span>([\w ]+)<',
        page(root, experiments),
    )
    assert set(marks) == {
        ("holds", "✓", "holds"),
        ("fails", "✗", "does not hold"),
        ("tie", "≈", "tie"),
        ("untested", "–", "not tested at this size"),
    }


def test_the_newest_complete_run_is_shown_full_before_quick(folders):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    fake.write_run(root, file, digest="a", finished="2026-07-01T10:00:00+00:00")
    fake.write_run(root, file, digest="b", finished="2026-07-02T10:00:00+00:00")
    unfinished = fake.write_run(root, file, form="full", digest="c", finished="2026-07-09T10:00:00+00:00")
    (unfinished / "findings.json").unlink()

    def shown():
        [one] = report.collect(root, find(experiments))["experiments"]
        return one["directory"], [other["directory"] for other in one["others"]]

    assert shown() == ("one/b", ["one/a"])
    fake.write_run(root, file, form="full", digest="d", finished="2026-06-01T10:00:00+00:00")
    assert shown() == ("one/d", ["one/b", "one/a"])


def test_a_run_of_another_source_is_marked_stale(folders):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    fake.write_run(root, file)
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "two"))
    assert "⚠ stale" not in page(root, experiments)
    file.write_text(file.read_text() + "CHANGED = True\n")
    (experiments / "harmonic" / "two.py").unlink()
    states = {
        one["experiment"]: one["state"] for one in report.collect(root, find(experiments))["experiments"]
    }
    assert states == {"one": "stale", "two": "gone"}
    assert "⚠ stale" in page(root, experiments)
    assert "⚠ gone" in page(root, experiments)


def test_sections_come_in_the_lectures_order_and_what_was_not_run_is_named(folders):
    root, experiments = folders
    for section in ("sparse", "another", "history", "harmonic"):
        fake.write_run(root, fake.write_experiment(experiments, section, f"{section}_one"))
    fake.write_experiment(experiments, "puzzles", "memory")
    content = report.collect(root, find(experiments))
    assert [one["section"] for one in content["experiments"]] == ["history", "harmonic", "sparse", "another"]
    assert content["not_run"] == ["puzzles/memory"]
    assert "puzzles/memory" in page(root, experiments)


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
    text = page(root, experiments)
    assert text.count("<script") == 1
    assert "<img src=x" not in text
    assert "49" not in re.findall(r'class="statement">(.*?)</span>', text)[0]
    assert html.unescape(re.findall(r'class="statement">(.*?)</span>', text)[0]) == HOSTILE


def test_a_large_figure_is_refused(folders, own_errors):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    directory = fake.write_run(root, file, figures=[(fake.picture(), "")])
    figure = directory / "figures" / "figure_0.png"
    figure.write_bytes(bytes(200_001))
    with pytest.raises(
        Failure, match=r"the figure .*figure_0.png takes 200 kB, more than 200 kB: store it with lab"
    ):
        page(root, experiments)
    figure.unlink()
    with pytest.raises(Failure, match=r"cannot be read.*run the experiment --fresh"):
        page(root, experiments)


def test_a_figure_from_elsewhere_is_not_read(folders, tmp_path):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    (tmp_path / "secret.png").write_bytes(fake.picture())
    listed = [{"name": "x", "file": "../../../secret.png", "caption": ""}]
    fake.write_run(root, file, figures=[]).joinpath("figures", "unused")
    findings = root / "one" / "0123" / "findings.json"
    findings.write_text(json.dumps(json.loads(findings.read_text()) | {"figures": listed}))
    with pytest.raises(Failure, match=r"figures/secret.png cannot be read"):
        page(root, experiments)


def test_nothing_to_report_says_what_to_do(folders, own_errors):
    root, experiments = folders
    fake.write_experiment(experiments, "harmonic", "one")
    with pytest.raises(
        Usage, match=r"there is no finished run in .*runs: make some with `jaxtheory run --all --quick`"
    ):
        report.command(root, root / "report.html", experiments=experiments)


def test_json_holds_the_same_content(folders, capsys):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    fake.write_run(root, file, figures=[(fake.picture(), "A caption")])
    fake.write_bench(root)
    assert report.command(root, root / "report.html", json=True, experiments=experiments) == 0
    assert not (root / "report.html").exists()
    content = json.loads(capsys.readouterr().out)
    [one] = content["experiments"]
    assert one["claims"] == [claim.as_json() for claim in fake.claims()]
    assert one["config"]["sizes"] == [300, 4000]
    assert one["figures"] == [
        {"name": "figure 0", "file": "one/0123/figures/figure_0.png", "caption": "A caption"}
    ]
    assert content["verdicts"] == {"holds": 2, "does not hold": 1, "tie": 1, "not tested at this size": 1}
    assert content["benches"][0]["name"] == "scattering2d"


def test_the_newest_bench_is_drawn_with_bars_in_proportion(folders):
    root, experiments = folders
    experiments.mkdir()
    fake.write_bench(root, started="2026-07-01T10:00:00+00:00")
    fake.write_bench(root, started="2027-07-01T10:00:00+00:00", peers=False)
    content = report.collect(root, [])
    [one] = content["benches"]
    assert one["started"].startswith("2026")  # the one with the peers
    text = report.page(content, root)
    widths = [float(width) for width in re.findall(r'class="block" x="0" y="3" width="([\d.]+)"', text)]
    assert widths == pytest.approx([100 * seconds / 0.48 for seconds in (0.08, 0.4, 0.18, 0.05)], abs=0.01)
    assert "Scattering of images &lt;forward&gt;" in text
    assert "has no gradient" in text
    assert "first call within 2 s: MISSED, 2.4 s" in text
    assert "2.25x (2.02-2.70)" in text


def test_the_small_chart_places_figures_within_what_was_expected():
    at_most, several, band, _, untested = (report._gauge(claim.as_json()) for claim in fake.claims())
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
    assert report._gauge(exact) is None


def test_the_page_replaces_the_one_before_and_says_how_large_it_is(folders, capsys):
    root, experiments = folders
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "one"))
    output = root / "somewhere" / "report.html"
    for _ in range(2):
        assert report.command(root, output, experiments=experiments) == 0
    assert output.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in output.parent.iterdir()] == ["report.html"]
    assert re.search(r"report.html: 5 claims of 1 experiment, 0\.\d MB\n", capsys.readouterr().out)
