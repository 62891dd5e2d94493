"""The script that sets up: its grammar, its usage, and its words where it fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tpu_setup.sh"


def call(*arguments, **environment):
    done = subprocess.run(
        ["bash", SCRIPT, *arguments],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": sys.executable, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def python(tmp_path, body):
    """An interpreter that is new enough and that answers calls of its modules by a script."""
    file = tmp_path / "python"
    file.write_text(f'#!/bin/bash\nif [ "$1" = -m ]; then\n{body}\nfi\nexec {sys.executable} "$@"\n')
    file.chmod(0o755)
    return str(file)


def test_its_grammar():
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    linter = shutil.which("shellcheck")  # CI installs it
    if linter:
        done = subprocess.run([linter, SCRIPT], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("argument", ["--chek", "-x", "check"])
def test_bad_usage_is_one_line_and_exits_with_2(argument):
    assert call(argument) == (
        2, "", f"tpu_setup: there is no option {argument}; there are --check and --help\n",
    )  # fmt: skip


def test_help_says_what_it_does():
    status, output, errors = call("--help")
    assert (status, errors) == (0, "")
    assert output.startswith("Sets jaxtheory up where a TPU is")
    assert "tpu_setup.sh --check [NAME]" in output
    assert "Exit status: 0, 2 for bad usage, 3 for any failure." in output
    assert "set -euo" not in output


def test_an_interpreter_that_is_none():
    message = "tpu_setup: /nowhere/python is no Python 3.11 or newer: name one with PYTHON\n"
    assert call(PYTHON="/nowhere/python") == (3, "", message)
    assert call("--check", PYTHON="/nowhere/python") == (3, "", message)


def test_what_pip_cannot_install_is_one_line(tmp_path):
    failing = python(tmp_path, "echo 'ERROR: no matching distribution'; exit 1")
    status, output, errors = call(PYTHON=failing)
    assert (status, output) == (3, "")
    assert errors == "tpu_setup: pip could not install it: ERROR: no matching distribution\n"
    system = python(tmp_path, "echo 'error: externally-managed-environment'; exit 1")
    status, _, errors = call(PYTHON=system)
    assert status == 3
    assert errors.startswith(f"tpu_setup: {system} belongs to the system: python3 -m venv")
    assert errors.count("\n") == 1


def test_what_is_installed_is_kept_by_a_constraint(tmp_path):
    """The versions that a live notebook may have imported are those that pip is held to."""
    from importlib import metadata

    log = tmp_path / "log"
    recording = python(tmp_path, f'echo "$@" >{log}; [ "$5" = --constraint ] && cat "$6" >>{log}; exit 1')
    call(PYTHON=recording, COLAB_RELEASE_TAG="release")
    asked, *kept = log.read_text().splitlines()
    assert asked.endswith(f"{SCRIPT.parent}[experiments]")
    for name in ("jax", "jaxlib", "numpy"):
        assert f"{name}=={metadata.version(name)}" in kept


def test_a_check_without_an_environment_says_so(tmp_path):
    failing = python(tmp_path, "echo 'no ensurepip'; exit 1")
    status, output, errors = call("--check", PYTHON=failing, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (status, output, errors) == (3, "", "tpu_setup: no environment could be made: no ensurepip\n")
    (tmp_path / "file").touch()
    status, _, errors = call("--check", XDG_CACHE_HOME=str(tmp_path / "file"))
    assert status == 3
    assert "cannot be made: set XDG_CACHE_HOME to a folder that can\n" in errors
