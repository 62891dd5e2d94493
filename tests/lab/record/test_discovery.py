import subprocess
import sys

import pytest

from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.record import discovery
from tests.lab import made_experiments as made

SECTIONS = {"history", "puzzles", "harmonic", "sparse", "approximation", "landscape", "statistics"}
"""The lecture's."""


def test_every_experiment_of_the_package_says_its_claim_its_place_and_its_source():
    found = discovery.find()
    assert len(found) >= 2
    for one in found:
        assert one.section in SECTIONS
        assert one.claim.endswith(".")
        assert one.lecture
        assert one.source
        assert discovery.choose(one.id, found) is one
    assert len({one.name for one in found}) == len(found)


def test_docstrings_are_read_and_nothing_is_imported(tmp_path):
    file = made.write(
        tmp_path, "one", "raise SystemExit('imported')", section="sparse", claim="Codes\nare sparse."
    )
    made.write(tmp_path, "two", section="harmonic")
    made.write(tmp_path, "three", section="sparse")
    assert [one.id for one in discovery.find(tmp_path)] == ["harmonic/two", "sparse/one", "sparse/three"]
    one = discovery.choose("one", discovery.find(tmp_path))
    assert (one.claim, one.lecture, one.source) == (
        "Codes are sparse.",
        'puzzles, "A slide".',
        "Somebody, 2013.",
    )
    assert one.path == file
    assert not any("one" in name.split("_") for name in sys.modules if name.startswith("experiment_"))


def test_listing_imports_neither_experiments_nor_jax():
    code = """if True:
        import sys
        from jaxtheory.lab.commands.main import command

        assert command(["list"]) == 0
        heavy = ("jaxtheory.experiments", "jaxlib", "tyro", "matplotlib")
        assert not [name for name in sys.modules if name.startswith(heavy)]
    """
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stderr
    assert "scattering_mnist\n    Scattering classifies digits" in listed.stdout


def test_entries_run_to_the_next_label_or_an_empty_line(tmp_path):
    (tmp_path / "one.py").write_text(
        '"""A claim.\n\nMore on it.\n\nLecture: sparsity,\n    "A slide".\n'
        'Source: Somebody,\n2013.\n\nThe end.\n"""\n'
    )
    [one] = discovery.find(tmp_path)
    assert (one.claim, one.lecture, one.source) == ("A claim.", 'sparsity, "A slide".', "Somebody, 2013.")
    assert one.section == tmp_path.name


def test_files_that_are_no_experiments_are_passed_over(tmp_path):
    made.write(tmp_path, "one")
    made.write(tmp_path, "_shared")
    made.write(tmp_path, "timing", section="benchmarks")
    made.write(tmp_path, "one-checkpoint", section=".ipynb_checkpoints")
    (tmp_path / "puzzles" / ".#one.py").symlink_to("somebody@somewhere.1234")  # an editor's lock
    assert [one.id for one in discovery.find(tmp_path)] == ["puzzles/one"]


def test_a_file_that_cannot_be_read_says_so_in_place_of_its_claim(tmp_path):
    (tmp_path / "broken.py").write_text('"""A claim."""\n\ndef (:\n')
    (tmp_path / "bytes.py").write_bytes(b'"""A claim."""\0')
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "silent.py").write_text("x = 1\n")
    claims = {one.name: one.claim for one in discovery.find(tmp_path)}
    assert claims["broken"] == "(line 3 of the file cannot be parsed: invalid syntax)"
    assert "null bytes" in claims["bytes"]
    assert "No such file" in claims["gone"]
    assert claims["silent"] == "(no docstring says what it claims)"


def test_a_folder_may_be_given_from_where_one_stands(tmp_path, monkeypatch):
    made.write(tmp_path, "one")
    monkeypatch.chdir(tmp_path / "puzzles")
    for folder in (".", "../puzzles", "../../" + tmp_path.name + "/puzzles"):
        [one] = discovery.find(discovery.Path(folder))
        assert one.id == "puzzles/one"
    with pytest.raises(Usage, match=r"there is no folder .*nowhere to find experiments in"):
        discovery.find(discovery.Path("nowhere"))


def test_a_name_is_found_or_answered_with_the_nearest(tmp_path):
    for section in ("harmonic", "sparse"):
        made.write(tmp_path, "energy", section=section)
    made.write(tmp_path, "scattering_mnist", section="harmonic")
    found = discovery.find(tmp_path)
    assert discovery.choose("scattering_mnist", found).id == "harmonic/scattering_mnist"
    assert discovery.choose("sparse/energy", found).section == "sparse"
    with pytest.raises(Usage, match="'energy' may be harmonic/energy or sparse/energy: name the section too"):
        discovery.choose("energy", found)
    for wrong in ("scatering_mnist", "harmonic/scattering_mnst", "experiments/harmonic/scattering_mnist.py"):
        with pytest.raises(
            Usage, match=r"no experiment '.*'; did you mean scattering_mnist\?; `jaxtheory list`"
        ):
            discovery.choose(wrong, found)
    with pytest.raises(Usage, match="there is no experiment 'xyzzy'; `jaxtheory list` shows all 3"):
        discovery.choose("xyzzy", found)


def test_what_cannot_be_imported_is_named(tmp_path):
    made.write(tmp_path, "one", "import not_there_at_all\n")
    with pytest.raises(
        Failure,
        match="puzzles/one cannot be imported: ModuleNotFoundError: No module named 'not_there_at_all'",
    ):
        discovery.find(tmp_path)[0].load()


def test_experiments_inside_and_outside_of_the_package_are_imported(tmp_path):
    made.write(tmp_path, "one")
    module = discovery.find(tmp_path)[0].load()
    assert module.Config().sizes == (1, 2, 3)
    inside = discovery.choose("scattering_mnist", discovery.find()).load()
    assert inside.__name__ == "jaxtheory.experiments.harmonic.scattering_mnist"
