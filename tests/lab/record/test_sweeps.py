import itertools

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jaxtheory.lab import mean
from jaxtheory.lab.record.grids import Grid, ragged
from jaxtheory.lab.record.sweeps import labeled

AXES = {"size": (300, 1000, 4000), "by": ("affine", "SVM"), "draw": tuple(range(5))}


def sweep(values, name="error", axes=AXES):
    return labeled(Grid(name, axes), np.asarray(values))


@pytest.fixture
def pair(rng):
    """Errors of two models on the same draws."""
    common = rng.normal(size=(3, 2, 5))
    return sweep(common + rng.normal(size=(3, 2, 5)), "first"), sweep(common + 1, "second")


def test_a_sweep_has_named_axes_coordinates_and_a_unit(rng):
    values = rng.normal(size=(3, 2, 5))
    found = labeled(Grid("error", AXES), values, unit="%")
    assert isinstance(found, xr.DataArray)
    assert (found.dims, found.name, found.attrs["unit"]) == (("size", "by", "draw"), "error", "%")
    assert {name: tuple(found.coords[name].values.tolist()) for name in AXES} == AXES
    np.testing.assert_array_equal(found.sel(size=1000, by="SVM"), values[1, 1])
    assert "computed" not in found.coords


def test_arrays_at_a_point_have_named_axes_too(rng):
    grid = Grid("codes", {"size": (1, 2)})
    values = {
        "codes": rng.normal(size=(2, 3, 4)),
        "deep/gap": rng.normal(size=2),
        "x": rng.normal(size=(2, 3)),
    }
    found = labeled(grid, values, unit="m", dims={"codes": ("atom", "step"), "x": ["atom"]})
    assert isinstance(found, xr.Dataset)
    assert {name: array.dims for name, array in found.items()} == {
        "codes": ("size", "atom", "step"), "deep/gap": ("size",), "x": ("size", "atom"),
    }  # fmt: skip
    assert [array.attrs["unit"] for array in found.values()] == ["m"] * 3
    assert labeled(grid, values)["codes"].dims == ("size", "codes_0", "codes_1")
    assert labeled(grid, values["codes"]).dims == ("size", "codes_0", "codes_1")
    assert labeled(grid, values["codes"], dims=("a", "b")).dims == ("size", "a", "b")


@pytest.mark.parametrize(
    ("dims", "several", "error", "message"),
    [
        ({"y": ("a",)}, True, ValueError, "dims= of sweep 'codes' names 'y', but its points hold x, z"),
        ({"x": ("a", "b")}, True, ValueError, "gives 2 names for 'x', whose points have 1 axes"),
        ({"x": "a"}, True, TypeError, r"is 'a' for 'x': give a tuple of names, as \('atom',\)"),
        ({"x": (1,)}, True, TypeError, r"is \(1,\) for 'x': give a tuple of names"),
        ({"x": ("size",)}, True, ValueError, "uses the name 'size' twice: it is another axis"),
        (
            {"x": ("a",), "z": ("a",)},
            True,
            ValueError,
            "calls axes of lengths 3 and 4 'a': give each its own",
        ),
        (("a",), True, TypeError, r"is \('a',\): its points are dictionaries, so give names for each array"),
        (("a", "b"), False, ValueError, "gives 2 names for 'codes', whose points have 1 axes"),
        ("a", False, TypeError, "is 'a' for 'codes': give a tuple of names"),
    ],
)
def test_names_that_do_not_fit_are_refused(dims, several, error, message, own_errors):
    one, other = np.zeros((2, 3)), np.zeros((2, 4))
    with pytest.raises(error, match=message):
        labeled(Grid("codes", {"size": (1, 2)}), {"x": one, "z": other} if several else one, dims=dims)


@pytest.mark.parametrize(
    "points", [(1, 2), (0.5, 1), ("a", "bc"), (True, False), ((8, 8), (4, 4)), (None, 1)]
)
def test_netcdf_keeps_all(points, tmp_path, rng):
    grid = ragged("error", [{"x": x, "draw": d} for x in points for d in range(3)][:-1],
                  together=(), common=(), stream="")  # fmt: skip
    values = {"error": np.array([[1, 2, 3], [4, 5, np.nan]]), "deep/codes": rng.normal(size=(2, 3, 4))}
    found = labeled(grid, values, unit="%")
    found.to_netcdf(tmp_path / "all.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "all.nc") as stored:
        assert stored.load().identical(found)
    assert found.computed.values.tolist() == [[True] * 3, [True, True, False]]
    found["error"].to_netcdf(tmp_path / "one.nc", engine="scipy")
    with xr.open_dataarray(tmp_path / "one.nc") as stored:
        assert stored.load().identical(found["error"])


def test_means_and_standard_errors_are_scipys(pair):
    first = pair[0]
    found = iter(mean(first, over="draw"))
    for size, by in itertools.product(AXES["size"], AXES["by"]):
        one, row = next(found), first.sel(size=size, by=by).values
        np.testing.assert_allclose((one.value, one.standard_error), (row.mean(), stats.sem(row)), rtol=1e-12)
        assert (one.n, one.at, one.paired, one.of) == (5, {"size": size, "by": by}, False, "draws")
    [whole] = mean(first, over=("by", "draw", "size"))
    np.testing.assert_allclose(
        (whole.value, whole.standard_error),
        (first.values.mean(), stats.sem(first.values.ravel())),
        rtol=1e-12,
    )
    assert (whole.n, whole.of, whole.at) == (30, "points", {})
    turned = mean(first.transpose("draw", "by", "size"), over="draw")
    assert [one.value for one in turned] == pytest.approx(first.mean("draw").values.T.ravel())
    assert turned[1].at == {"by": "affine", "size": 1000}


def test_what_was_counted_is_named():
    array = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("fold", "i"))
    told = [mean(array, over=over)[0].of for over in ("fold", "i", ("fold", "i"), ())]
    assert told == ["folds", "draws", "points", "draws"]
    assert mean(array, over="i", of="digits")[0].text == "fold 0: 1.00 ± 0.58 (n = 3 digits)"


def test_where_a_mean_stands_tells_what_was_chosen_before(pair):
    [one] = mean(pair[0].sel(size=1000, by="SVM"), over="draw")
    assert one.at == {"size": 1000, "by": "SVM"}
    assert [type(part) for part in one.at.values()] == [int, str]
    plain = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("row", "draw"))
    assert [row.at for row in mean(plain, over="draw")] == [{"row": 0}, {"row": 1}]


def test_without_draws_each_point_is_one_draw(pair):
    rows = mean(pair[0].sel(draw=2), over=())
    assert [one.kind for one in rows] == ["single"] * 6
    single = sweep(np.arange(6).reshape(3, 2, 1), axes=AXES | {"draw": (0,)})
    assert [(one.kind, one.value, one.standard_error) for one in mean(single, over="draw")] == [
        ("single", value, None) for value in range(6)
    ]


@pytest.mark.parametrize("over", ["draw", "size"])
def test_a_paired_difference_over_its_error_is_the_t_statistic(pair, over):
    first, second = pair
    axis = list(AXES).index(over)
    expected = stats.ttest_rel(first.values, second.values, axis=axis).statistic.ravel()
    found = mean(first - second, over=over, paired=True)
    np.testing.assert_allclose([one.value / one.standard_error for one in found], expected, rtol=1e-12)
    others = {name: points for name, points in AXES.items() if name != over}
    assert [one.at for one in found] == [
        dict(zip(others, place)) for place in itertools.product(*others.values())
    ]
    assert all(one.paired and one.n == len(AXES[over]) for one in found)


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.7])
def test_the_error_of_draws_that_share_data_is_that_of_their_mean(overlap, rng):
    shared, own = rng.standard_normal((2000, 1)), rng.standard_normal((2000, 5))
    draws = np.sqrt(overlap) * shared + np.sqrt(1 - overlap) * own
    array = xr.DataArray(draws, dims=("repetition", "draw"), name="a")
    found = mean(array, over="draw", overlap=overlap)
    squared = np.mean([one.standard_error**2 for one in found])
    assert squared == pytest.approx(overlap + (1 - overlap) / 5, rel=0.05)
    assert squared == pytest.approx(np.var(draws.mean(1)), rel=0.1)


@pytest.mark.parametrize("overlap", [1, -0.1, float("nan"), True, "0.2"])
@pytest.mark.usefixtures("own_errors")
def test_an_overlap_is_a_correlation(overlap, pair):
    with pytest.raises(ValueError, match=r"^overlap is .*: take a number from 0 to less than 1$"):
        mean(pair[0] if isinstance(pair, tuple) else pair, over="draw", overlap=overlap)


def test_the_luck_that_two_models_share_cancels(rng):
    luck = rng.normal(scale=100, size=(2, 50))
    errors = sweep(luck[:1] + np.array([[1], [0]]), axes={"by": ("a", "b"), "draw": tuple(range(50))})
    [one] = mean(errors.sel(by="a") - errors.sel(by="b"), over="draw", paired=True)
    assert (one.value, one.at) == (pytest.approx(1), {})
    assert one.standard_error < 1e-12
    assert mean(errors.sel(by="a"), over="draw")[0].standard_error > 10


def test_points_that_a_ragged_grid_lacks_are_left_out():
    places = [{"size": 1, "draw": 0}, {"size": 1, "draw": 1}, {"size": 2, "draw": 0}, {"size": 3, "draw": 9}]
    grid = ragged("error", places, together=(), common=(), stream="")
    errors = labeled(grid, grid.gather([np.array(float(k)) for k in range(4)]))
    told = [(one.value, one.n, one.kind, one.at) for one in mean(errors.isel(draw=slice(2)), over="draw")]
    assert told == [(0.5, 2, "sampled", {"size": 1}), (2.0, 1, "single", {"size": 2})]
    with pytest.raises(ValueError, match="array 'error' has no point that was computed: there is nothing"):
        mean(errors.sel(size=[3], draw=[0]), over="draw")
    # What was computed and is not a number stays one.
    errors[0, 0] = np.nan
    assert np.isnan(mean(errors, over="draw")[0].value)
    codes = labeled(grid, grid.gather([np.full(3, float(k)) for k in range(4)]), dims=("atom",))
    assert [one.value for one in mean(codes, over=("atom", "draw"))] == [0.5, 2, 3]


@pytest.mark.parametrize(
    ("array", "over", "error", "message"),
    [
        ("array", "seed", ValueError, "over names 'seed', but the axes are size, by, draw"),
        ("array", ("draw", "draw"), ValueError, r"over names an axis twice: \('draw', 'draw'\)"),
        ("array", 3, TypeError, "over is 3: take the name of an axis, or several in a tuple"),
        ("array", None, TypeError, "over is None: take the name of an axis"),
        ("dataset", "draw", TypeError, r"this Dataset holds a, b: take one, as dataset\['name'\]"),
        ("numpy", "draw", TypeError, "array is a ndarray: take a DataArray, as lab.sweep gives it"),
        ("texts", "draw", TypeError, "the array holds <U1: take numbers"),
    ],
)
def test_what_has_no_mean_is_refused(array, over, error, message, pair, own_errors):
    first, second = pair
    arrays = {
        "array": first,
        "dataset": xr.Dataset({"a": first, "b": second}),
        "numpy": first.values,
        "texts": first.astype(str).astype("<U1"),
    }
    with pytest.raises(error, match=message):
        mean(arrays[array], over=over)
    with pytest.raises(TypeError, match="over"):
        mean(first)
