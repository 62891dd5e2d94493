import contextlib
import cProfile
import errno
import gc
import json
import os
import pstats
import re
from collections import namedtuple
from functools import partial
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxtheory.lab import Claim, Claims, at_most, exact
from jaxtheory.lab.errors import Failure
from jaxtheory.lab.progress import Display, Silent
from jaxtheory.lab.record import storage
from jaxtheory.lab.record.laboratory import Lab, experiment


class Said(Silent):
    """Keeps the lines that are said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def lab(tmp_path, said):
    """Makes labs of the same folder, as a command that is given again does."""
    return lambda **more: Lab(tmp_path, display=Display(said), **more)


class Calls(list):
    """A function of two axes that keeps its calls, and fails at one of them."""

    def __init__(self, fails_at=None):
        super().__init__()
        self.fails_at = fails_at

    def __call__(self, x, draw):
        if (x, draw) == self.fails_at:
            raise RuntimeError("no memory")
        self.append((x, draw))
        return {"sum": x + draw, "vector": np.full(3, x * draw, np.float32)}


def test_a_stopped_sweep_computes_only_what_is_missing(lab, said):
    axes = {"x": (1, 2, 3), "draw": range(2)}
    with pytest.raises(RuntimeError, match="no memory"):
        lab().sweep("error", Calls(fails_at=(2, 1)), **axes)
    again = Calls()
    whole = lab().sweep("error", again, unit="%", **axes)
    assert again == [(2, 1), (3, 0), (3, 1)]
    assert (whole.attrs, whole.sizes) == ({"name": "error", "unit": "%"}, {"x": 3, "draw": 2, "vector_0": 3})
    assert whole["sum"].values.tolist() == [[1, 2], [2, 3], [3, 4]]
    never = Calls()
    stored = lab().sweep("error", never, unit="%", **axes)
    assert never == []
    assert stored.identical(whole)
    assert said.lines == []


def test_a_grown_sweep_keeps_its_points(lab):
    lab().sweep("error", Calls(), x=(1, 2), draw=range(2))
    grown = Calls()
    assert lab().sweep("error", grown, x=(3, 1), draw=range(3))["sum"].values.tolist() == [
        [3, 4, 5],
        [1, 2, 3],
    ]
    assert grown == [(3, 0), (3, 1), (3, 2), (1, 2)]


@pytest.mark.parametrize("together", [(), "draw", ("draw", "x"), ("x",)])
def test_axes_taken_together_are_one_batch(lab, together):
    calls = []

    def drawn(x, draw, key):
        calls.append((x, draw))
        keys = key.reshape(-1)
        normal = np.asarray(jax.vmap(jax.random.normal)(keys)).reshape(key.shape)
        if together == ("draw", "x"):
            return np.add.outer(draw, x) + normal
        return np.asarray(x) + np.asarray(draw) + normal

    found = lab().sweep("normal", drawn, together=together, x=(10, 20), draw=(0, 1, 2))
    one_by_one = Lab(display=Display(Silent())).sweep(
        "normal",
        lambda x, draw, key: x + draw + np.asarray(jax.random.normal(key)),
        x=(10, 20),
        draw=(0, 1, 2),
    )
    assert (found.dims, found.shape) == (("x", "draw"), (2, 3))
    np.testing.assert_allclose(found, one_by_one, rtol=1e-6)
    assert (
        calls
        == {
            (): [(x, draw) for x in (10, 20) for draw in range(3)],
            "draw": [(10, (0, 1, 2)), (20, (0, 1, 2))],
            ("x",): [((10, 20), 0), ((10, 20), 1), ((10, 20), 2)],
            ("draw", "x"): [((10, 20), (0, 1, 2))],
        }[together]
    )


def test_a_function_is_given_what_it_names(lab):
    key, axes, mine = jax.random.key(7), {"x": (1, 2)}, lab()
    bits = jax.random.key_data

    def plain(x, key):
        return x + 0 * np.asarray(bits(key))

    def drawn(key):
        return np.asarray(bits(key))

    given = mine.sweep("a", drawn, **axes)
    assert not np.array_equal(given[0], given[1])
    np.testing.assert_array_equal(mine.sweep("b", partial(plain, key=key), **axes), [[1, 1], [2, 2]])
    assert mine.sweep("c", jax.jit(lambda x, key: bits(key) + 0 * x), **axes).shape == (2, 2)
    numbers = mine.sweep("e", lambda rng: rng.random(3), draw=range(2))
    assert len(np.unique(numbers)) == 6
    np.testing.assert_array_equal(numbers.sel(draw=1), mine.rng("e", draw=1).random(3))
    np.testing.assert_array_equal(given.sel(x=2), bits(mine.key("a", x=2)))
    with pytest.raises(ValueError, match="axis 'draw' of sweep 'f' changes nothing: its function neither"):
        mine.sweep("f", lambda x: x, x=(1, 2), draw=range(2))


def test_axes_in_common_share_their_draws(lab, tmp_path):
    def error(by, rng):
        return {"a": 0, "b": 1}[by] + rng.random()

    axes = {"by": ("a", "b"), "draw": range(3)}
    errors = lab().sweep("error", error, common="by", **axes)
    np.testing.assert_allclose(errors.sel(by="b") - errors.sel(by="a"), 1)
    assert len(np.unique(errors.sel(by="a"))) == 3
    # Points that were drawn otherwise are not taken for these.
    apart = lab().sweep("error", error, **axes)
    assert not np.any(np.isclose(apart, errors))
    streamed = lab().sweep("error", error, common=("by",), stream="other", **axes)
    assert not np.any(np.isclose(streamed, errors))
    np.testing.assert_array_equal(lab().sweep("again", error, common="by", stream="error", **axes), errors)
    assert len(list((tmp_path / "points" / "error").iterdir())) == 18


def test_a_ragged_grid_computes_its_points_only(lab, said):
    points = [{"size": 300, "draw": 0}, {"size": 300, "draw": 1}, {"size": 4000, "draw": 0}]
    calls = []

    def error(size, rng):
        calls.append(size)
        return {"error": size, "of": {"luck": rng.random()}}

    found = lab().sweep("error", error, points=points, unit="%")
    assert calls == [300, 300, 4000]
    np.testing.assert_array_equal(found["error"], [[300, 300], [4000, np.nan]])
    np.testing.assert_array_equal(found.computed, [[True, True], [True, False]])
    grown = lab().sweep("error", error, points=[*points, {"size": 5, "draw": 3}], unit="%")
    assert calls == [300, 300, 4000, 5]
    assert grown["of/luck"].sel(size=300, draw=1) == found["of/luck"].sel(size=300, draw=1)
    with pytest.raises(ValueError, match=r"sweep 'both' has points= and axes \(x\): give one of the two"):
        lab().sweep("both", error, points=points, x=(1, 2))


def test_options_of_a_sweep_that_are_none_are_refused(lab, own_errors):
    for option in ("together", "common"):
        with pytest.raises(TypeError, match=rf"{option}= of sweep 'a' is 3: give names of its axes"):
            lab().sweep("a", jax.random.normal, x=(1, 2), **{option: 3})
        with pytest.raises(ValueError, match=rf"{option}= names y, but the axes of sweep 'a' are x"):
            lab().sweep("a", jax.random.normal, x=(1, 2), **{option: "y"})
    calls = []

    def array(x):
        calls.append(x)
        return np.zeros(3)

    with pytest.raises(ValueError, match=r"dims= of sweep 'a' gives 2 names for 'a', whose points have 1 ax"):
        lab().sweep("a", array, x=(3, 4, 5), dims=("row", "column"))
    assert calls == [3]  # at the first point, not after the last
    with pytest.raises(ValueError, match="sweep 'b' has a part called 'x', as an axis is: name it otherwise"):
        lab().sweep("b", lambda x: {"x": x}, x=(1, 2))


def test_named_dimensions_reach_the_result(lab):
    codes = lab().sweep("codes", lambda x: {"codes": np.full(3, x)}, dims={"codes": ("atom",)}, x=(1, 2))
    assert codes["codes"].sum("atom").values.tolist() == [3, 6]


def test_everything_random_depends_on_the_seed(lab):
    def numbers(mine):
        key = jax.random.key_data(mine.key("picture")).tolist()
        return [
            mine.rng("picture").random(),
            key,
            mine.rng("other").random(),
            mine.rng("picture", i=1).random(),
        ]

    assert numbers(lab(seed=3)) == numbers(lab(seed=3))
    first, second = numbers(lab(seed=3)), numbers(lab(seed=4))
    assert all(one != other for one, other in zip(first, second))
    assert len({first[0], first[2], first[3]}) == 3


def test_data_are_loaded_and_named_in_one_call(lab, tmp_path, own_errors):
    data = namedtuple("data", "numbers description digest")
    asked = []

    def load(source=None, *, seed=0):
        asked.append((source, seed))
        return data([1, 2], "two numbers", "0123456789abcdef")

    mine = lab(data_dir=tmp_path)
    assert mine.load(load, seed=4).numbers == [1, 2]
    assert mine.load(load, source="elsewhere").numbers == [1, 2]
    module = ModuleType("numbers")
    module.load = load
    mine.load(module)
    assert asked == [(tmp_path, 4), ("elsewhere", 0), (tmp_path, 0)]
    assert mine.data == ["two numbers (SHA-256 0123456789ab)"]
    with pytest.raises(TypeError, match=r"data of type list has no description and digest: load it yourself"):
        mine.load(lambda: [1, 2])
    with pytest.raises(TypeError, match="source is 3: take a module of data with load, or such a function"):
        mine.load(3)


def test_points_of_another_form_are_refused_at_once(lab):
    calls = []

    def ragged(x):
        calls.append(x)
        return np.zeros(x)

    with pytest.raises(
        ValueError, match=r"points of sweep 'ragged' differ in form: \(1,\) before, \(2,\) at \{'x': 2"
    ):
        lab().sweep("ragged", ragged, x=(1, 2, 3))
    assert calls == [1, 2]
    with pytest.raises(ValueError, match="differ in form"):
        lab().sweep("ragged", ragged, x=(1, 2, 3))
    assert calls == [1, 2, 2]


def test_a_damaged_point_is_computed_again_with_a_line_that_says_why(lab, tmp_path, said):
    axes = {"x": (1, 2, 3), "draw": (0,)}
    before = lab().sweep("error", Calls(), **axes)
    first, second, third = sorted((tmp_path / "points" / "error").iterdir())
    first.write_bytes(first.read_bytes()[:-30])
    second.write_bytes(third.read_bytes())
    again = Calls()
    after = lab().sweep("error", again, **axes)
    assert len(again) == 2
    assert after.identical(before)
    texts = sorted(said.lines)
    assert len(texts) == 2
    assert any(re.fullmatch(rf"{first} is damaged \(.*\): computing it again", text) for text in texts)
    assert any(re.fullmatch(rf"{second} holds .* was expected: computing it again", text) for text in texts)
    lab().sweep("error", fresh := Calls(), **axes)
    assert fresh == []


def test_what_is_cached_is_computed_once(lab, tmp_path, said):
    tree = {"a": [np.arange(3), (np.float32(0.5),)], "b": None, "c": jax.numpy.ones(2, "bfloat16")}
    first = lab().cached("bank", lambda: tree)
    second = lab().cached("bank", lambda: pytest.fail("computed again"))
    for found in (first, second):
        assert jax.tree.structure(found) == jax.tree.structure(tree)
        assert found["a"][0].tolist() == [0, 1, 2]
        assert found["c"].dtype == "bfloat16"
        found["c"] += 1
        assert found["c"].tolist() == [2, 2]
    [path] = (tmp_path / "cache").iterdir()
    path.write_bytes(b"PK")
    assert lab().cached("bank", lambda: {"c": 1})["c"] == 1
    assert re.fullmatch(rf"{path} is damaged \(.*\): computing it again", said.lines[0])
    assert lab().cached("nothing", lambda: None) is None
    with pytest.raises(
        TypeError, match="only arrays in dicts, tuples and lists are stored, and this holds a"
    ):
        lab().cached("object", object)


def test_names_with_points_and_capitals_are_kept_apart(lab):
    names = ["v1.5", "v1.6", "V1.5", "J = 3.5", "J = 3.6", "J = 3"]
    for mine in (lab(), lab()):
        assert [int(mine.cached(name, partial(names.index, name))) for name in names] == [0, 1, 2, 3, 4, 5]
    kept = lab()
    assert [int(kept.cached(name, lambda: 7)) for name in names] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match=r"the name 'v1.5' is used twice .* and each run a new Lab"):
        kept.cached("v1.5", lambda: 7)
    kept.sweep("v1.5", lambda x: x, x=(1,))
    with pytest.raises(ValueError, match="is used twice in this experiment: give each its own"):
        kept.sweep("v1.5", lambda x: x, x=(2,))
    with pytest.raises(ValueError, match="what is stored needs a name, got an empty one"):
        kept.cached("", lambda: 7)


def test_other_data_and_other_seeds_share_nothing(lab):
    def counted(mine, *data):
        for one in data:
            mine.uses(one)
        return int(mine.cached("n", lambda: len(data))), int(
            mine.sweep("m", lambda x: len(data) + x, x=(0,))[0]
        )

    assert counted(lab()) == (0, 0)
    assert counted(lab(), "digits") == (1, 1)
    assert counted(lab(), "digits", "letters") == (2, 2)
    assert counted(lab(), "digits") == (1, 1)
    with_data = lab()
    with_data.uses("digits")
    with_data.uses("digits")
    assert with_data.data == ["digits"]

    def normal(mine):
        return mine.sweep("normal", lambda key: np.asarray(jax.random.normal(key)), x=(0,)).item()

    first, second = normal(lab(seed=0)), normal(lab(seed=1))
    assert first != second
    assert (normal(lab(seed=0)), normal(lab(seed=1))) == (first, second)


class Watched(Display):
    """Keeps the progress that it is told of."""

    def __init__(self):
        super().__init__(Silent())
        self.told = []

    @contextlib.contextmanager
    def task(self, label, total, before=0):
        self.told.append((label, total, before))
        yield lambda done, total: self.told.append((done, total))


def test_progress_reaches_a_cached_function(tmp_path):
    def counting(progress):
        for done in range(3):
            progress(done + 1, 3)
        return np.zeros(1)

    display = Watched()
    Lab(tmp_path, display=display).cached("counting", counting)
    assert display.told == [("counting", None, 0), (1, 3), (2, 3), (3, 3)]


def test_a_full_disk_is_one_line_and_loses_nothing(lab, tmp_path, monkeypatch):
    real = Path.open

    def full_at(number):
        """The disk is full from some file on."""
        left = iter(range(number))

        def opened(path, mode="r", *args, **kwargs):
            if "w" in mode and next(left, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(path, mode, *args, **kwargs)

        return opened

    axes = {"x": (1, 2, 3), "draw": (0, 1)}
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full_at(4))
        with pytest.raises(
            Failure, match=r"^cannot write .*\.npz: No space left on device; what was stored before is"
        ):
            lab().sweep("error", Calls(), **axes)
    assert len(list((tmp_path / "points" / "error").iterdir())) == 4
    again = Calls()
    lab().sweep("error", again, **axes)
    assert again == [(3, 0), (3, 1)]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full_at(0))
        for use in (
            lambda: lab().cached("a", lambda: 1),
            lambda: lab().figure("a", Figure()),
        ):
            with pytest.raises(Failure, match="No space left on device"):
                use()
    assert lab().cached("a", lambda: 2) == 2


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, said):
    (tmp_path / "runs").write_text("")
    kept = r"a file stands where a folder of it should be; what was stored before is kept"
    mine = Lab(tmp_path / "runs" / "deep", display=Display(said))
    with pytest.raises(Failure, match=rf"cannot write .*a.png: {kept}"):
        mine.figure("a", Figure())
    with pytest.raises(Failure, match=r"cannot read .*: Not a directory"):
        mine.cached("a", lambda: 1)
    with pytest.raises(Failure, match=r"cannot read .*: Not a directory"):
        mine.sweep("a", lambda x: x, x=(1,))
    with pytest.raises(Failure, match=r"cannot read .*metrics.jsonl: Not a directory"):
        mine.record(a=1)


def test_a_rerun_records_no_line_twice_and_a_run_may(lab, tmp_path):
    def lines():
        return [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().split("\n")[:-1]]

    first, second = {"loss": 0.5, "text": "a\u2028b", "step": 1}, {"loss": None, "step": 2}

    def record(mine, until):
        for figures in [first, second, first, first][:until]:
            mine.record(**{name: np.nan if value is None else value for name, value in figures.items()})

    record(lab(), 2)
    assert lines() == [first, second]
    record(lab(), 4)
    assert lines() == [first, second, first, first]
    record(lab(), 4)
    assert lines() == [first, second, first, first]


def test_a_lab_without_a_folder_leaves_none():
    mine = Lab(display=Display(Silent()))
    mine.cached("a", lambda: 1)
    folder = mine.directory
    assert folder.is_dir()
    del mine
    gc.collect()
    assert not folder.exists()


def test_the_environment_names_the_data(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXTHEORY_DATA", str(tmp_path))
    assert Lab(tmp_path).data_dir == tmp_path
    assert Lab(tmp_path, data_dir=tmp_path / "other").data_dir == tmp_path / "other"
    monkeypatch.setenv("JAXTHEORY_DATA", "")
    assert Lab(tmp_path).data_dir is None


def test_an_experiment_needs_no_lab_and_returns_a_table(own_errors):
    labs = []

    @experiment
    def run(config, lab):
        labs.append(lab)
        return [Claim("It is so.", at_most(1, source="x"), exact(config))]

    found = run(0.5)
    assert isinstance(found, Claims)
    assert "<td style='text-align:left'>It is so.</td>" in found._repr_html_()
    mine = Lab()
    run(2.0, mine)
    assert isinstance(labs[0], Lab)
    assert labs[1] is mine

    @experiment
    def forgetful(config, lab):
        pass

    with pytest.raises(TypeError, match="run returned None: return a list of claims"):
        forgetful(0)


def test_a_trivial_point_costs_little(lab, tmp_path, monkeypatch):
    """By the calls made for it, which no load of the machine changes: with 2,000 a point took 0.7 ms."""
    written = []
    real = storage.write

    def drawn(x, key):
        return 2.0 * x + 0 * len(key.shape)

    monkeypatch.setattr(storage, "write", lambda path, fill: (written.append(path), real(path, fill)))
    lab().sweep("warm", drawn, x=range(2))
    written.clear()
    profile = cProfile.Profile()
    profile.enable()
    lab().sweep("trivial", drawn, x=range(200))
    profile.disable()
    assert pstats.Stats(profile).total_calls / 200 < 5000
    # Beside the points only the clock is kept, once a second, however long they take.
    points = [path for path in written if path.name != "seconds.json"]
    assert len(points) == 200
    assert {path.parent.name for path in points} == {"trivial"}
