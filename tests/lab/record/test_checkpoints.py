import os
import resource
import shutil
import time
from collections import namedtuple
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtheory.lab.errors import Failure
from jaxtheory.lab.progress import Display, Silent
from jaxtheory.lab.record.laboratory import Lab, Training

ADAM = optax.adam(1e-2)


class Said(Silent):
    """Keeps the lines that are said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def said():
    return Said()


@pytest.fixture(autouse=True)
def always_kept(monkeypatch):
    """A checkpoint after every segment."""
    monkeypatch.setattr("jaxtheory.lab.record.laboratory.BETWEEN_CHECKPOINTS", 0.0)


@pytest.fixture
def train(tmp_path, said):
    """Trains in the same folder, as a command that is given again does."""
    return lambda segment, state, n, **more: Lab(tmp_path, display=Display(said), **more).train(
        "fit", segment, state, n
    )


def start():
    """All that trainings carry: halves, nested containers, an optimizer's state, a key, a count, nothing."""
    params = {"w": jnp.ones(3, jnp.bfloat16), "b": (jnp.zeros(2), [jnp.ones(1)])}
    return params, ADAM.init(params), jax.random.key(0), 0, None


@jax.jit
def segment(state):
    params, moments, key, step, nothing = state
    key, used = jax.random.split(key)
    gradients = jax.tree.map(lambda x: 0.1 * x + jax.random.normal(used, x.shape, x.dtype), params)
    updates, moments = ADAM.update(gradients, moments, params)
    params = optax.apply_updates(params, updates)
    return (params, moments, key, step + 1, nothing), {"step": step, "w": (params["w"], [params["b"][0]])}


def grow(state):
    return 1.5 * state, state.sum()


def failing_at(number, function):
    """A function that fails at its n-th call, and how often it was called."""
    calls = []

    def called(state):
        calls.append(1)
        if len(calls) == number:
            raise RuntimeError("killed")
        return function(state)

    return called, calls


def bits(tree):
    """Containers and bits of a tree."""
    tree = tree[:2] if isinstance(tree, Training) else tree
    leaves, structure = jax.tree.flatten(tree)
    leaves = [
        jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for leaf in leaves
    ]
    return structure, [(leaf.dtype, leaf.shape, np.asarray(leaf).tobytes()) for leaf in leaves]


def test_a_stopped_training_ends_as_one_that_was_not(train, said):
    whole = Lab(display=Display(Silent())).train("fit", segment, start(), 5)
    stopped, calls = failing_at(4, segment)
    with pytest.raises(RuntimeError, match="killed"):
        train(stopped, start(), 5)
    resumed, calls = failing_at(99, segment)
    found = train(resumed, start(), 5)
    assert len(calls) == 2
    assert bits(found) == bits(whole)
    assert found[1]["step"].tolist() == [0, 1, 2, 3, 4]
    assert found[1]["w"][0].shape == (5, 3)
    never, calls = failing_at(1, segment)
    assert bits(train(never, start(), 5)) == bits(whole)
    assert calls == []
    longer, calls = failing_at(99, segment)
    assert train(longer, start(), 6)[1]["step"].tolist() == [0, 1, 2, 3, 4, 5]
    assert len(calls) == 1
    assert said.lines == []


def test_a_state_may_be_one_array_and_two_checkpoints_stay(train, tmp_path):
    state, sums, _ = train(grow, np.float32(1), 4)
    assert (state.item(), sums.tolist()) == (1.5**4, [1.5**k for k in range(4)])
    assert sorted(path.name for path in (tmp_path / "checkpoint" / "fit").iterdir()) == ["3", "4"]


def test_checkpoints_are_seconds_apart_and_one_at_the_end(train, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxtheory.lab.record.laboratory.BETWEEN_CHECKPOINTS", 1e6)
    train(grow, np.ones(3, np.float32), 4)
    assert [path.name for path in (tmp_path / "checkpoint" / "fit").iterdir()] == ["4"]


def largest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def turn_a_bit(folder):
    content = bytearray(largest(folder).read_bytes())
    content[len(content) // 2] ^= 1
    largest(folder).write_bytes(content)


def zero(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(bytes(path.stat().st_size))


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGES = {
    "a bit of the state": turn_a_bit,
    "a bit of the history": lambda folder: turn_a_bit(folder / "history" / "d"),
    "cut off": lambda folder: largest(folder).write_bytes(largest(folder).read_bytes()[:1000]),
    "zeroed": zero,
    "empty": empty,
    "no state": lambda folder: shutil.rmtree(folder / "state"),
    "no history": lambda folder: shutil.rmtree(folder / "history"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_left_for_the_one_before_with_a_line_that_says_why(
    damage, train, tmp_path, said
):
    begin = np.random.default_rng(0).random(100_000).astype(np.float32)
    whole = train(grow, begin, 3)
    folder = tmp_path / "checkpoint" / "fit"
    DAMAGES[damage](folder / "3")
    again, calls = failing_at(99, grow)
    assert bits(train(again, begin, 3)) == bits(whole)
    assert len(calls) == 1
    [line] = said.lines
    assert line.startswith(f"cannot use {folder / '3'} (")
    assert line.endswith("): going on from what was kept before")
    assert "\n" not in line
    assert bits(train(failing_at(1, grow)[0], begin, 3)) == bits(whole)


def test_if_no_checkpoint_is_whole_the_training_starts_again(train, tmp_path, said):
    whole = train(grow, np.ones(3, np.float32), 3)
    zero(tmp_path / "checkpoint" / "fit")
    again, calls = failing_at(99, grow)
    assert bits(train(again, np.ones(3, np.float32), 3)) == bits(whole)
    assert (len(calls), len(said.lines)) == (3, 2)


@pytest.mark.parametrize("other", [np.ones(4, np.float32), {"a": np.ones(3, np.float32)}])
def test_the_checkpoint_of_another_state_is_not_taken(train, said, other):
    train(grow, np.ones(3, np.float32), 1)
    calls = []
    train(lambda state: (calls.append(1) or state, 0.0), other, 1)
    assert len(calls) == 1
    assert len(said.lines) == 1


def test_what_a_kill_left_behind_is_no_checkpoint(train, tmp_path, said):
    whole = train(grow, np.ones(3, np.float32), 2)
    folder = tmp_path / "checkpoint" / "fit"
    (folder / "7.orbax-checkpoint-tmp" / "state").mkdir(parents=True)
    (folder / "notes.txt").write_text("not ours")
    assert bits(train(failing_at(1, grow)[0], np.ones(3, np.float32), 2)) == bits(whole)
    assert said.lines == []


def test_a_full_disk_is_one_line_and_loses_nothing(train, tmp_path, capfd):
    begin = np.random.default_rng(0).random(100_000).astype(np.float32)
    train(grow, begin, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(
            Failure,
            match=r"^cannot write .*checkpoint/fit: File too large; what was stored before is kept, and the",
        ):
            train(grow, begin, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capfd.readouterr().err == ""
    again, calls = failing_at(99, grow)
    whole = Lab(display=Display(Silent())).train("fit", grow, begin, 4)
    assert bits(train(again, begin, 4)) == bits(whole)
    assert len(calls) == 2


def test_a_file_in_the_place_of_the_folder_is_one_line(train, tmp_path):
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(
        Failure, match=r"^cannot write .*checkpoint/fit: a file stands where a folder of it should be"
    ):
        train(grow, np.float32(1), 1)


def test_trainings_that_cannot_be_gone_on_with_say_so(train):
    with pytest.raises(ValueError, match="training 'fit' has 0 segments: give at least one"):
        train(grow, np.float32(1), 0)
    train(grow, np.float32(1), 3)
    with pytest.raises(
        ValueError, match=r"training 'fit' has gone on for 3 segments in .*, more than 2: ask for as"
    ):
        train(grow, np.float32(1), 2)
    pair = namedtuple("pair", "loss accuracy")
    with pytest.raises(
        TypeError, match="only arrays in dicts, tuples and lists are stored, and this holds a pair"
    ):
        train(lambda state: (state, pair(1.0, 2.0)), np.float32(1), 4)


def test_the_seconds_of_a_training_go_on_where_it_was_stopped(train):
    def slow(state):
        time.sleep(0.05)
        return grow(state)

    stopped, _ = failing_at(4, slow)
    with pytest.raises(RuntimeError, match="killed"):
        train(stopped, np.float32(1), 5)
    whole = train(slow, np.float32(1), 5)
    assert 0.25 <= whole.seconds < 30
    assert train(failing_at(1, grow)[0], np.float32(1), 5).seconds == whole.seconds


def test_a_folder_whose_name_is_no_text_holds_checkpoints(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/runs \xff"))
    lab = Lab(folder, display=Display(Silent()))
    state, sums, _ = lab.train("fit", grow, np.float32(1), 3)
    again = Lab(folder, display=Display(Silent())).train("fit", failing_at(1, grow)[0], np.float32(1), 3)
    assert (again.state.item(), again.metrics.tolist()) == (state.item(), sums.tolist())
    assert sorted(path.name for path in (folder / "checkpoint" / "fit").iterdir()) == ["2", "3"]
