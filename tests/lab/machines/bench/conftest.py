"""Benches written to a folder, and the command on them."""

import textwrap

import pytest

from jaxtheory.lab.machines.bench import measurement
from jaxtheory.lab.machines.bench.main import command
from tests.lab.machines.bench.sorting import SORTING


@pytest.fixture
def write_bench(tmp_path):
    def write(text=SORTING, name="sorting", change=("", "")):
        file = tmp_path / "experiments" / "benchmarks" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip().replace(*change))
        return file

    return write


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(measurement, "STARTS", 1)
    monkeypatch.setattr(measurement, "PAUSE", 0.0)


@pytest.fixture
def run(tmp_path):
    """The command, on the benches that were written."""

    def run(*names, **options):
        options = {"peers": True, "repeats": 2} | options
        return command(names, runs=tmp_path / "runs", folders=[tmp_path / "experiments"], **options)

    return run
