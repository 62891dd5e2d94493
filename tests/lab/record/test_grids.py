import itertools
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtheory.lab.record.grids import Grid, generator, labels, ragged, random_key

AXES = {"size": (300, 1000, 4000), "by": ("affine", "SVM"), "draw": tuple(range(5))}
TOGETHER = [
    names for n in range(len(AXES) + 1) for chosen in itertools.combinations(AXES, n)
    for names in itertools.permutations(chosen)
]  # fmt: skip


def call_of(grid, coordinates, values, events=()):
    """What a function would return that reads a table: axes taken together lead, in their order."""
    places = [
        [grid.axes[name].index(coordinates[name])] if name in coordinates else range(len(grid.axes[name]))
        for name in grid.axes
    ]
    part = values[np.ix_(*places, *map(range, events))]
    order = [list(grid.axes).index(name) for name in (*grid.apart, *grid.together)]
    part = part.transpose(*order, *range(len(order), part.ndim))
    return np.asarray(part.reshape(part.shape[len(grid.apart) :]))


@pytest.mark.parametrize("together", TOGETHER)
@pytest.mark.parametrize("events", [(), (2, 3)])
def test_the_axes_come_in_the_order_named_whichever_are_taken_together(together, events, rng):
    values = rng.normal(size=(3, 2, 5, *events))
    grid = Grid("error", AXES, together)
    calls = list(grid.calls())
    assert len(calls) == np.prod([len(grid.axes[name]) for name in AXES if name not in together], dtype=int)
    results = [call_of(grid, call, values, events) for call in calls]
    for call, result in zip(calls, results):
        grid.check(call, result, results[0])
    np.testing.assert_array_equal(grid.gather(results), values)
    named = grid.gather([{"a": result, "b": np.asarray(-result)} for result in results])
    np.testing.assert_array_equal(named["a"], values)
    np.testing.assert_array_equal(named["b"], -values)


def keys_of(grid, seed=0):
    """The key of every point, with the axes in the order in which they were named."""
    return grid.gather([np.asarray(jax.random.key_data(grid.key(seed, call))) for call in grid.calls()])


@pytest.mark.parametrize("together", [("size",), ("draw", "size"), ("size", "draw"), ("draw", "by", "size")])
def test_a_points_key_is_the_same_whichever_are_taken_together(together):
    np.testing.assert_array_equal(keys_of(Grid("error", AXES, together)), keys_of(Grid("error", AXES)))


@settings(max_examples=8)
@given(st.lists(st.integers(-10, 10), min_size=1, max_size=4, unique=True), st.booleans())
def test_a_points_key_depends_on_no_other_point(points, together):
    grid = Grid("error", {"x": points, "draw": (0, 1)}, ("x",) if together else ())
    whole = keys_of(Grid("error", {"draw": (0, 1), "x": range(-10, 11)}))
    np.testing.assert_array_equal(keys_of(grid), whole[:, [x + 10 for x in points]].swapaxes(0, 1))


def test_keys_differ_between_points_names_and_seeds():
    grids = [(Grid("error", AXES), 0), (Grid("error", AXES), 1), (Grid("margin", AXES), 0)]
    keys = np.concatenate([keys_of(grid, seed).reshape(-1, 2) for grid, seed in grids])
    assert len(np.unique(keys, axis=0)) == 3 * 30
    assert grids[0][0].key(0, {"size": 300, "by": "SVM", "draw": 0}).shape == ()
    assert Grid("error", AXES, ("draw", "size")).key(0, {"by": "SVM"}).shape == (5, 3)


def test_draws_are_the_same_in_every_process():
    place = {"x": (1, "b", 2.5, None), "a": "c"}
    program = (
        "from jaxtheory.lab.record.grids import generator;"
        f"print(generator(3, 'error', {place}).random(4).tolist())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "1"}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(told.stdout) == generator(3, "error", place).random(4).tolist()


@pytest.mark.parametrize(
    ("axes", "together", "error", "message"),
    [
        ({}, (), ValueError, r"sweep 'error' has no axis: name at least one, as size=\(300, 1000\)"),
        ({"x": ()}, (), ValueError, "axis 'x' of sweep 'error' has no points"),
        ({"x": (1, 2, 1)}, (), ValueError, r"axis 'x' of sweep 'error' names a point twice: \(1, 2, 1\)"),
        ({"x": (1, True)}, (), ValueError, "names a point twice"),
        ({"x": (1,)}, ("y",), ValueError, "together= names y, but the axes of sweep 'error' are x"),
        ({"x": (1,)}, ("x", "x"), ValueError, "together= names an axis of sweep 'error' twice"),
        ({"x": (1, "1")}, (), ValueError, "names a point twice"),
        ({"key": (1,)}, (), ValueError, "axis of sweep 'error' is called 'key', which is taken: name it"),
        ({"method": ("a",)}, (), ValueError, "axis of sweep 'error' is called 'method', which is taken"),
        ({"x": 300}, (), TypeError, "axis 'x' of sweep 'error' is 300: give a tuple of its points"),
        ({"x": "SVM"}, (), TypeError, "axis 'x' of sweep 'error' is 'SVM': give a tuple of its points"),
        ({"x": (len,)}, (), TypeError, r"axis 'x' .* holds a builtin_function_or_method: coord"),
        ({"x": (1j,)}, (), TypeError, "holds a complex: coordinates are numbers, texts or tuples of them"),
        ({"x": ((1, {}),)}, (), TypeError, "holds a dict"),
    ],
)  # fmt: skip
def test_a_grid_that_is_none_says_why(axes, together, error, message):
    with pytest.raises(error, match=message):
        Grid("error", axes, together)


def test_coordinates_become_plain_python():
    axes = Grid(
        "error", {"x": np.arange(2, dtype=np.int16), "y": ([1, np.float32(0.5)], None), "z": range(2)}
    ).axes
    assert axes == {"x": (0, 1), "y": ((1, 0.5), None), "z": (0, 1)}
    assert [type(x) for x in (*axes["x"], *axes["y"][0])] == [int, int, int, float]


def test_points_unlike_each_other_are_refused():
    grid = Grid("error", AXES, ("draw", "size"))
    right = np.zeros((5, 3, 7))
    grid.check({"by": "SVM"}, right, right)
    with pytest.raises(
        ValueError, match=r"takes draw, size together: .* begin with \(5, 3\); the array has \(3, 5\) at"
    ):
        grid.check({"by": "SVM"}, np.zeros((3, 5)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"begin with \(5, 3\); b has \(\) at \{'by': 'SVM'\}"):
        grid.check({"by": "SVM"}, {"a": right, "b": np.zeros(())}, {"b": np.zeros(()), "a": right})
    with pytest.raises(
        ValueError, match=r"'error' differ in form: \(5, 3, 7\) before, \(5, 3\) at \{'by': 'SVM'"
    ):
        grid.check({"by": "SVM"}, np.zeros((5, 3)), right)
    with pytest.raises(ValueError, match=r"differ in form: \(5, 3, 7\) before, \{'a': \(5, 3, 7\)\} at"):
        grid.check({"by": "SVM"}, {"a": right}, right)


def test_points_that_differ_in_common_axes_share_their_draws():
    grid = Grid("error", AXES, common=("by",))
    keys = keys_of(grid)
    np.testing.assert_array_equal(keys[:, 0], keys[:, 1])
    assert len(np.unique(keys[:, 0].reshape(-1, 2), axis=0)) == 15
    np.testing.assert_array_equal(keys_of(Grid("error", AXES, ("draw", "by"), ("by",))), keys)
    # The axis that is common might as well not be there, and a stream stands for the name.
    without = {name: points for name, points in AXES.items() if name != "by"}
    np.testing.assert_array_equal(keys_of(Grid("error", without)), keys[:, 0])
    np.testing.assert_array_equal(keys_of(Grid("margin", without, stream="error")), keys[:, 0])
    everything = keys_of(Grid("error", AXES, common=("size", "by", "draw")))
    assert len(np.unique(everything.reshape(-1, 2), axis=0)) == 1


def test_a_generator_is_seeded_with_the_data_of_the_key():
    grid, place = Grid("error", AXES, common=("by",)), {"size": 300, "by": "SVM", "draw": 1}
    seed = np.asarray(jax.random.key_data(grid.key(7, place)))
    np.testing.assert_array_equal(grid.rng(7, place).random(3), np.random.default_rng(seed).random(3))
    own = {"size": 300, "draw": 1}
    np.testing.assert_array_equal(generator(7, "error", own).random(3), grid.rng(7, place).random(3))
    assert random_key(7, "error", own) == grid.key(7, place)
    assert random_key(7, "error", own) != random_key(7, "error", {})


def test_a_function_is_called_with_what_it_names():
    grid, place = Grid("error", AXES), {"size": 300, "by": "SVM", "draw": 1}
    assert grid.caller(lambda size, key: (size, key), 0)(place) == (300, grid.key(0, place))
    assert grid.caller(lambda size, by, draw, other=5: (size, by, draw, other), 0)(place) == (
        300,
        "SVM",
        1,
        5,
    )
    everything = grid.caller(lambda **given: given, 0)(place)
    assert everything.keys() == {*AXES}
    assert Grid("error", {"x": (1,)}).caller(dict, 0)({"x": 1}) == {"x": 1}  # a builtin without a signature
    batch = Grid("error", AXES, ("draw",)).caller(lambda draw, key: (draw, key.shape), 0)
    assert batch({"size": 300, "by": "SVM"}) == ((0, 1, 2, 3, 4), (5,))


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (
            lambda size, by: (size, by),
            {},
            "axis 'draw' of sweep 'error' changes nothing: its function neither names",
        ),
        (
            lambda size, by, seed: (size, by, seed),
            {},
            "needs seed, but the axes are size, by, draw: name such an axis, or",
        ),
        (
            lambda size, key: (size, key),
            {"common": ("draw",)},
            "axis 'draw' of sweep 'error' changes nothing",
        ),
        (
            lambda size, by, draw: (size, by, draw),
            {"common": ("by",)},
            "common= of sweep 'error' shares draws, but its fun",
        ),
        (
            lambda rng: rng.random(),
            {"together": ("draw",)},
            "takes axes together: let its function take key, not rng",
        ),
    ],
)
def test_what_cannot_depend_on_its_axes_is_refused(function, options, message):
    with pytest.raises(ValueError, match=message):
        Grid("error", AXES, **options).caller(function, 0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"common": ("y",)}, ValueError, "common= names y, but the axes of sweep 'error' are x"),
        ({"common": ("x", "x")}, ValueError, "common= names an axis of sweep 'error' twice"),
        ({"common": (1,)}, TypeError, r"common= of sweep 'error' is \(1,\): give names of its axes"),
        ({"common": "x"}, TypeError, "common= of sweep 'error' is 'x': give names of its axes"),
        ({"stream": 3}, TypeError, "stream= of sweep 'error' is 3: give a text"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, error, message, own_errors):
    with pytest.raises(error, match=message):
        Grid("error", {"x": (1, 2)}, **options)


def made(points, **options):
    return ragged("error", points, **{"together": (), "common": (), "stream": ""} | options)


def test_a_ragged_grid_has_the_points_that_were_named():
    grid = made([{"size": 300, "by": "a"}, {"by": "b", "size": 100}, {"size": 100, "by": "a"}])
    assert grid.axes == {"size": (300, 100), "by": ("a", "b")}
    assert list(grid.calls()) == [
        {"size": 300, "by": "a"}, {"size": 100, "by": "b"}, {"size": 100, "by": "a"},
    ]  # fmt: skip
    assert grid.computed().tolist() == [[True, False], [True, True]]
    np.testing.assert_array_equal(grid.gather([np.array(k) for k in (1, 2, 3)]), [[1, np.nan], [3, 2]])
    assert grid.gather([np.array(text) for text in ("p", "q", "r")]).tolist() == [["p", ""], ["r", "q"]]
    whole = Grid("error", {"size": (300, 100), "by": ("a", "b")})
    place = {"size": 100, "by": "b"}
    assert grid.key(0, place) == whole.key(0, place)
    assert whole.computed().all()


@pytest.mark.parametrize(
    ("points", "options", "error", "message"),
    [
        ([], {}, ValueError, "points= of sweep 'error' is empty: give at least one point"),
        (3, {}, TypeError, "points= of sweep 'error' is 3: give a list of dicts, as"),
        ([(1, 2)], {}, TypeError, r"points= of sweep 'error' is \[\(1, 2\)\]: give a list of dicts"),
        ([{"x": 1}, {"y": 1}], {}, ValueError, "points= of sweep 'error' have different axes: x, but y"),
        ([{"x": 1}, {}], {}, ValueError, "have different axes: x, but none"),
        ([{}], {}, ValueError, "sweep 'error' has no axis"),
        ([{"x": 1}, {"x": 1}], {}, ValueError, r"points= of sweep 'error' name \{'x': 1\} twice"),
        ([{"x": len}], {}, TypeError, "holds a builtin_function_or_method: coordinates are numbers"),
        ([{"x": 1}], {"together": ("x",)}, ValueError, "has points= and together=: a ragged grid has no bat"),
    ],
)
def test_points_that_are_no_grid_are_refused(points, options, error, message, own_errors):
    with pytest.raises(error, match=message):
        made(points, **options)


def test_coordinates_become_numbers_or_texts():
    assert labels((1, 2.5)) == (1, 2.5)
    assert labels((True, False)) == (True, False)
    assert labels(("a", "b")) == ("a", "b")
    assert labels(((8, 8), "b", None, True)) == ("(8, 8)", "b", "None", "True")
    assert labels((1, True)) == ("1", "True")
