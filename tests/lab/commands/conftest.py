"""Commands in this process, on experiments that are written to a folder."""

import pytest

from jaxtheory.lab.commands import main, run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where one stands, with a folder of experiments that the environment names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXTHEORY_EXPERIMENTS", "made")
    monkeypatch.delenv("JAXTHEORY_DATA", raising=False)
    # The cache of the process that tests is its own affair; it has a test in another process.
    monkeypatch.setattr(run, "keep_compiled_programs", lambda: None)
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path / "made"


@pytest.fixture
def call(capsys):
    """A command's status, output and errors."""

    def call(*arguments):
        status = main.command(list(map(str, arguments)))
        return (status, *capsys.readouterr())

    return call
