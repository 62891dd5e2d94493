import itertools
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxtheory.lab.record.sweeps import Grid, Sweep, as_point, paired_difference

AXES = {"size": (300, 1000, 4000), "method": ("affine", "SVM"), "draw": tuple(range(5))}
TOGETHER = [
    names for n in range(len(AXES) + 1) for chosen in itertools.combinations(AXES, n)
    for names in itertools.permutations(chosen)
]  # fmt: skip


def sweep(values, name="error", axes=AXES):
    return Sweep(name, axes, values)


@pytest.fixture
def pair(rng):
    """Errors of two methods on the same draws."""
    common = rng.normal(size=(3, 2, 5))
    return sweep(common + rng.normal(size=(3, 2, 5)), "first"), sweep(common + 1, "second")


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


@pytest.mark.parametrize(
    "together", [("size",), ("draw", "size"), ("size", "draw"), ("draw", "method", "size")]
)
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
    assert grids[0][0].key(0, {"size": 300, "method": "SVM", "draw": 0}).shape == ()
    assert Grid("error", AXES, ("draw", "size")).key(0, {"method": "SVM"}).shape == (5, 3)


def test_keys_are_the_same_in_every_process():
    program = (
        "from jaxtheory.lab.record.sweeps import Grid;"
        "print(Grid('error', {'x': (1, 2.5, 'a', None, (1, 'b'))})._hash({'x': (1, 'b'), 'a': 'c'}).hex())"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1


def test_means_and_standard_errors_are_scipys(pair):
    first = pair[0]
    for size, method in itertools.product(AXES["size"], AXES["method"]):
        one = first.at(size=size, method=method)
        row = first.values[AXES["size"].index(size), AXES["method"].index(method)]
        np.testing.assert_allclose((one.value, one.standard_error), (row.mean(), stats.sem(row)), rtol=1e-12)
        assert (one.n, one.at, one.paired) == (5, {"size": size, "method": method}, False)
    whole = first.at()
    np.testing.assert_allclose(
        (whole.value, whole.standard_error),
        (first.values.mean(), stats.sem(first.values.ravel())),
        rtol=1e-12,
    )
    single = first.at(draw=2, size=1000, method="affine")
    assert (single.value, single.standard_error, single.n) == (first.values[1, 0, 2], None, 1)


@pytest.mark.parametrize("over", ["draw", "size"])
def test_a_paired_difference_over_its_error_is_the_t_statistic(pair, over):
    first, second = pair
    axis = list(AXES).index(over)
    expected = stats.ttest_rel(first.values, second.values, axis=axis).statistic.ravel()
    found = paired_difference(first, second, over)
    np.testing.assert_allclose([one.value / one.standard_error for one in found], expected, rtol=1e-12)
    others = {name: points for name, points in AXES.items() if name != over}
    assert [one.at for one in found] == [
        dict(zip(others, place)) for place in itertools.product(*others.values())
    ]
    assert all(one.paired and one.n == len(AXES[over]) for one in found)


def test_the_luck_that_two_methods_share_cancels(rng):
    luck = rng.normal(scale=100, size=(1, 50))
    axes = {"size": (300,), "draw": tuple(range(50))}
    [one] = paired_difference(sweep(luck + 1, axes=axes), sweep(luck, axes=axes))
    assert one.value == pytest.approx(1)
    assert one.standard_error < 1e-12
    assert sweep(luck, axes=axes).at().standard_error > 10


def test_single_pairs_have_no_standard_error():
    axes = {"size": (300, 1000), "draw": (0,)}
    a, b = (sweep(np.array([[2], [3]]) * k, axes=axes) for k in (2, 1))
    assert [(one.value, one.standard_error, one.n) for one in paired_difference(a, b)] == [
        (2, None, 1),
        (3, None, 1),
    ]


def test_sweeps_that_cannot_be_paired_say_so(pair):
    first, second = pair
    other = sweep(second.values, "third", AXES | {"draw": tuple(range(1, 6))})
    with pytest.raises(ValueError, match=r"sweeps 'first' and 'third' have different axes: .*draw.*draw"):
        paired_difference(first, other)
    turned = sweep(
        second.values.swapaxes(0, 1), "third", {name: AXES[name] for name in ("method", "size", "draw")}
    )
    with pytest.raises(ValueError, match="have different axes"):
        paired_difference(first, turned)
    with pytest.raises(ValueError, match="sweep 'first' has the axes size, method, draw, not 'seed'"):
        paired_difference(first, second, over="seed")


def test_what_a_sweep_has_not_is_named(pair):
    first = pair[0]
    with pytest.raises(ValueError, match=r"axis 'size' of sweep 'first' has the points \(300, .*, not 500"):
        first.at(size=500)
    with pytest.raises(ValueError, match="sweep 'first' has the axes size, method, draw, not 'seed'"):
        first.at(seed=1)
    with pytest.raises(
        TypeError, match=r"points of sweep 'first' are no dictionaries: take it without \['a'\]"
    ):
        first["a"]
    named = sweep({"a": first.values, "b": np.zeros((3, 2, 5, 7))}, "named")
    assert named["a"].at(size=300).value == first.at(size=300).value
    with pytest.raises(KeyError, match="sweep 'named' holds a, b, not 'c'"):
        named["c"]
    with pytest.raises(
        TypeError, match=r"points of sweep 'named' are dictionaries: take one, as sweep\['name'\]"
    ):
        named.at()
    with pytest.raises(
        TypeError, match=r"points of sweep 'named: b' are arrays \(7,\): reduce them to numbers"
    ):
        named["b"].at()


@pytest.mark.parametrize(
    ("axes", "together", "error", "message"),
    [
        ({}, (), ValueError, r"sweep 'error' has no axis: name at least one, as size=\(300, 1000\)"),
        ({"x": ()}, (), ValueError, "axis 'x' of sweep 'error' has no points"),
        ({"x": (1, 2, 1)}, (), ValueError, r"axis 'x' of sweep 'error' names a point twice: \(1, 2, 1\)"),
        ({"x": (1, True)}, (), ValueError, "names a point twice"),
        ({"x": (1,)}, ("y",), ValueError, "together= names y, but the axes of sweep 'error' are x"),
        ({"x": (1,)}, ("x", "x"), ValueError, "together= names an axis of sweep 'error' twice"),
        ({"key": (1,)}, (), ValueError, "an axis of sweep 'error' is called 'key', as the random key is"),
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


def test_points_are_copies():
    reused = np.zeros(2)
    point = as_point("error", {}, {"a": reused})
    reused += 1
    assert point["a"].tolist() == [0, 0]
    assert as_point("error", {}, 3).tolist() == 3
    assert as_point("error", {}, [1, 2]).tolist() == [1, 2]
    assert as_point("error", {}, {1: jax.numpy.ones(2)})["1"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "result", [None, {}, {"a": None}, [[1, 2], [3]], object(), jax.random.key(0), {"a": {"b": 1}}]
)
def test_points_are_numbers_or_arrays(result):
    message = (
        rf"a point of sweep 'error' is a number, an array .*returned {type(result).__name__} .* at \{{'x'"
    )
    with pytest.raises(TypeError, match=message):
        as_point("error", {"x": 1}, result)


def test_points_unlike_each_other_are_refused():
    grid = Grid("error", AXES, ("draw", "size"))
    right = np.zeros((5, 3, 7))
    grid.check({"method": "SVM"}, right, right)
    with pytest.raises(
        ValueError, match=r"takes draw, size together: .* begin with \(5, 3\); the array has \(3, 5\) at"
    ):
        grid.check({"method": "SVM"}, np.zeros((3, 5)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"begin with \(5, 3\); b has \(\) at \{'method': 'SVM'\}"):
        grid.check({"method": "SVM"}, {"a": right, "b": np.zeros(())}, {"b": np.zeros(()), "a": right})
    with pytest.raises(
        ValueError, match=r"'error' differ in form: \(5, 3, 7\) before, \(5, 3\) at \{'method': 'SVM'"
    ):
        grid.check({"method": "SVM"}, np.zeros((5, 3)), right)
    with pytest.raises(ValueError, match=r"differ in form: \(5, 3, 7\) before, \{'a': \(5, 3, 7\)\} at"):
        grid.check({"method": "SVM"}, {"a": right}, right)
