"""Runs that are killed at random moments end as those do that nobody disturbs."""

import json
import random
import subprocess
import sys

import pytest

from tests.lab import made_experiments as made

STURDY = '''
@dataclass(frozen=True)
class Config:
    points: int = 12
    """Draws of a sweep."""
    segments: int = 6
    """Of a training."""


QUICK = Config()


def draw(i, key):
    import jax

    time.sleep(0.02)
    value = float(jax.random.normal(key))
    log(f"{os.getpid()} point {i}")
    return {"value": value, "square": np.float32(value) ** 2}


def large():
    log(f"{os.getpid()} cached")
    return {"matrix": np.random.default_rng(1).random((300, 300))}


@experiment
def run(config, lab):
    import jax
    from matplotlib.figure import Figure

    @jax.jit
    def step(state):
        noise, key = jax.random.split(state["key"])
        weights = state["weights"] - 0.1 * (state["weights"] - jax.random.normal(noise, (4,)))
        return {"weights": weights, "key": key}, (weights**2).sum()

    def segment(state):
        log(f"{os.getpid()} segment")
        return step(state)

    draws = lab.sweep("draw", draw, i=range(config.points))
    matrix = lab.cached("matrix", large)["matrix"]
    start = {"weights": jax.numpy.ones(4), "key": jax.random.PRNGKey(7)}
    state, losses, _ = lab.train("descent", segment, start, config.segments)
    figure = Figure()
    figure.subplots().plot(losses)
    lab.figure("loss", figure, "It falls.")
    lab.record(loss=losses[-1])
    lab.note(f"matrix {matrix.sum():.17g}, state {np.asarray(state['weights']).tolist()}")
    return [
        Claim("Normal numbers have mean 0.", above(-1, source="definition"), mean(draws["value"], over="i")),
        Claim("The loss falls.", above(0, source="calculus"), exact(losses[0] - losses[-1])),
    ]
'''

STARTER = '''
"""Starts the command again and again; what it needs is imported once."""

import os, signal, sys, time

import jax, matplotlib.figure, orbax.checkpoint, tyro
from jaxtheory.lab.record import laboratory
from jaxtheory.lab.commands.main import command

laboratory.BETWEEN_CHECKPOINTS = 0.0  # of a training as short as this one


def written(child):
    """Pieces of work that the child has begun, by its own log."""
    log = "made/puzzles/sturdy.log"
    return sum(line.startswith(f"{child} ") for line in open(log)) if os.path.exists(log) else 0


for line in sys.stdin:
    runs, lines, wait = line.split()
    child = os.fork()
    if child == 0:
        os._exit(command(["run", "sturdy", "--experiments", "made", "--runs", runs]))
    ended = 0
    if int(lines) >= 0:
        while not ended and written(child) < int(lines):
            time.sleep(0.001)
            ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            time.sleep(float(wait))
            os.kill(child, signal.SIGKILL)
    if not ended:
        _, status = os.waitpid(child, 0)
    print("ended", child, status, flush=True)
'''


@pytest.fixture
def start(tmp_path):
    """Starts the run in a folder and kills it some time after a line of its log; gives process and status."""
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", STARTER],
            cwd=tmp_path,
            env=made.environment(tmp_path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def start(folder, lines=-1, wait=0.0):
        process.stdin.write(f"{folder} {lines} {wait}\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.startswith("ended "):
                _, child, status = line.split()
                return int(child), int(status)
        raise AssertionError((tmp_path / "errors").read_text())

    yield start
    process.stdin.close()
    process.wait(timeout=20)
    process.stdout.close()


def outcome(folder):
    """All that a run leaves to be looked at."""
    [directory] = (folder / "sturdy").iterdir()
    findings = json.loads((directory / "findings.json").read_text())
    for passing in ("seconds", "finished", "command"):
        del findings[passing]
    kept = [directory / "figures" / "loss.png", directory / "metrics.jsonl", directory / "config.json"]
    return findings, [path.read_bytes() for path in kept]


def stored(folder):
    """Points, intermediates and segments that a killed run left whole."""
    steps = [int(path.name) for path in folder.glob("sturdy/*/checkpoint/*/*") if path.name.isdigit()]
    return {
        "point": len(list(folder.glob("sturdy/*/points/*/[!.]*.npz"))),
        "cached": len(list(folder.glob("sturdy/*/cache/[!.]*.npz"))),
        "segment": max(steps, default=0),
    }


EVERYTHING = {"point": 12, "cached": 1, "segment": 6}
"""The work that a run consists of."""


@pytest.fixture
def disturbed(tmp_path, start):
    """Kills a run after some pieces of work, goes on with it, and compares; gives what was left whole."""
    file = made.write(tmp_path / "made", "sturdy", STURDY)

    def computed(child):
        lines = [line.split() for line in file.with_suffix(".log").read_text().splitlines()]
        words = [line[1] for line in lines if line[0] == str(child)]
        return {word: words.count(word) for word in EVERYTHING}

    child, status = start(tmp_path / "undisturbed")
    assert status == 0, (tmp_path / "errors").read_text()
    assert computed(child) == EVERYTHING
    expected = outcome(tmp_path / "undisturbed")

    def disturbed(name, lines, wait):
        folder = tmp_path / name
        start(folder, lines, wait)
        kept = stored(folder)
        done = (folder / "sturdy").exists() and list(folder.glob("sturdy/*/findings.json"))
        child, status = start(folder)
        assert status == 0, (tmp_path / "errors").read_text()
        missing = {word: 0 if done else EVERYTHING[word] - kept[word] for word in EVERYTHING}
        assert computed(child) == missing
        assert outcome(folder) == expected
        assert not list(folder.rglob(".aside-*"))
        return kept

    return disturbed


def test_a_run_killed_in_its_sweep_ends_like_an_undisturbed_one(disturbed):
    assert 0 < disturbed("killed", 5, 0.01)["point"] < 12


@pytest.mark.beyond
def test_ten_runs_killed_at_random_moments_end_like_an_undisturbed_one(disturbed):
    moments = random.Random(20)
    # Counted in work begun, not in seconds: the next run may be twice as fast as the last.
    left = [
        disturbed(f"killed_{k}", int((k + moments.random()) * 2), 0.05 * moments.random()) for k in range(10)
    ]
    # The kills came at different stages, or they would show nothing.
    assert any(0 < kept["point"] < 12 for kept in left)
    assert any(0 < kept["segment"] < 6 for kept in left)
