"""What the report gathers, and the command that writes it."""

import json
import re

import pytest

from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.record.discovery import find
from jaxtheory.lab.show import page, report
from tests.lab import finished_runs as fake


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "runs", tmp_path / "experiments"


def written(root, experiments):
    return page.html(report.collect(root, find(experiments)), root)


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
    assert "⚠ stale" not in written(root, experiments)
    file.write_text(file.read_text() + "CHANGED = True\n")
    (experiments / "harmonic" / "two.py").unlink()
    states = {
        one["experiment"]: one["state"] for one in report.collect(root, find(experiments))["experiments"]
    }
    assert states == {"one": "stale", "two": "gone"}
    assert "⚠ stale" in written(root, experiments)
    assert "⚠ gone" in written(root, experiments)


def test_sections_come_in_the_lectures_order_and_what_was_not_run_is_named(folders):
    root, experiments = folders
    for section in ("sparse", "another", "history", "harmonic"):
        fake.write_run(root, fake.write_experiment(experiments, section, f"{section}_one"))
    fake.write_experiment(experiments, "puzzles", "memory")
    content = report.collect(root, find(experiments))
    assert [one["section"] for one in content["experiments"]] == ["history", "harmonic", "sparse", "another"]
    assert content["not_run"] == ["puzzles/memory"]
    assert "puzzles/memory" in written(root, experiments)


def test_a_large_figure_is_refused(folders, own_errors):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    directory = fake.write_run(root, file, figures=[(fake.picture(), "")])
    figure = directory / "figures" / "figure_0.png"
    figure.write_bytes(bytes(200_001))
    with pytest.raises(
        Failure, match=r"the figure .*figure_0.png takes 200 kB, more than 200 kB: store it with lab"
    ):
        written(root, experiments)
    figure.unlink()
    with pytest.raises(Failure, match=r"cannot be read.*run the experiment --fresh"):
        written(root, experiments)


def test_a_figure_from_elsewhere_is_not_read(folders, tmp_path):
    root, experiments = folders
    file = fake.write_experiment(experiments, "harmonic", "one")
    (tmp_path / "secret.png").write_bytes(fake.picture())
    listed = [{"name": "x", "file": "../../../secret.png", "caption": ""}]
    fake.write_run(root, file, figures=[]).joinpath("figures", "unused")
    findings = root / "one" / "0123" / "findings.json"
    findings.write_text(json.dumps(json.loads(findings.read_text()) | {"figures": listed}))
    with pytest.raises(Failure, match=r"figures/secret.png cannot be read"):
        written(root, experiments)


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
    assert content["verdicts"] == {"holds": 2, "does not hold": 1, "tie": 1, "not tested": 1}
    assert content["benches"][0]["name"] == "scattering2d"


def test_the_page_replaces_the_one_before_and_says_how_large_it_is(folders, capsys):
    root, experiments = folders
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "one"))
    output = root / "somewhere" / "report.html"
    for _ in range(2):
        assert report.command(root, output, experiments=experiments) == 0
    assert output.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in output.parent.iterdir()] == ["report.html"]
    assert re.search(r"report.html: 5 claims of 1 experiment, 0\.\d MB\n", capsys.readouterr().out)


def test_findings_of_another_version_are_named_and_the_others_reported(folders, capsys):
    root, experiments = folders
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "one"))
    other = fake.write_run(root, fake.write_experiment(experiments, "harmonic", "two"))
    findings = json.loads((other / "findings.json").read_text())
    del findings["finished"]
    (other / "findings.json").write_text(json.dumps(findings))
    assert report.command(root, root / "report.html", experiments=experiments) == 0
    printed = capsys.readouterr()
    assert "report.html: 5 claims of 1 experiment" in printed.out
    assert printed.err.count("\n") == 1
    assert f"{other / 'findings.json'} has no 'finished'" in printed.err
    assert "⚠ not shown" in (root / "report.html").read_text()
    (root / "one" / "0123" / "findings.json").unlink()
    with pytest.raises(Usage, match=r"there is no finished run in .*two/0123/findings.json has no"):
        report.command(root, root / "report.html", experiments=experiments)


def test_a_bench_of_another_version_is_named_and_the_others_reported(folders):
    root, experiments = folders
    fake.write_run(root, fake.write_experiment(experiments, "harmonic", "one"))
    fake.write_bench(root, name="good")
    for name, text in (("old", '{"name": "old"}'), ("cut", '{"name":'), ("list", "[1]")):
        (root / "benchmarks" / name).mkdir()
        (root / "benchmarks" / name / "1.json").write_text(text)
    content = report.collect(root, find(experiments))
    assert [one["name"] for one in content["benches"]] == ["good"]
    assert [line.rsplit("/", 2)[1] for line in content["unreadable"]] == ["cut", "list", "old"]
    assert "old/1.json" in page.html(content, root)
