"""Plots: what is drawn, read off the axes."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jaxtheory.lab import plots
from jaxtheory.lab.plots import mosaic


@pytest.fixture
def errors(rng):
    return xr.DataArray(
        1 + rng.random((3, 2, 2, 4)),
        dims=("size", "method", "classifier", "draw"),
        coords={"size": [300, 1000, 60_000], "method": ["pixels", "waves"], "classifier": ["affine", "SVM"]},
        name="test error",
        attrs={"unit": "%"},
    )


def test_a_panel_shows_means_and_students_intervals(errors):
    figure = plots.panel(errors, x="size", hue="method", col="classifier", over="draw", log="xy")
    figure.canvas.draw()
    left, right = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["affine", "SVM"]
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == ("size", "test error (%)", "")
    assert [text.get_text() for text in left.get_xticklabels()] == ["300", "1,000", "60,000"]
    draws = errors.sel({"classifier": "SVM", "method": "waves"}).values
    line, _, (bars,) = right.containers[1]
    np.testing.assert_allclose(line.get_ydata(), draws.mean(1))
    assert line.get_color() == plots.PALETTE[1]
    low, high = np.array([bar[:, 1] for bar in bars.get_segments()]).T
    expected = stats.t.interval(0.95, 3, draws.mean(1), stats.sem(draws, axis=1))
    np.testing.assert_allclose([low, high], expected)


@pytest.mark.parametrize("order", [1, -1])
def test_ticks_are_labeled_in_any_order_of_the_points_where_there_is_room(errors, order):
    falling = errors.isel(method=0, classifier=0, size=slice(None, None, order))
    wide = falling.assign_coords(size=[10, 20, 10_000][::order])
    figure = plots.panel(wide, x="size", over="draw", log="x")
    figure.canvas.draw()
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["10", "", "10,000"]


def test_points_that_a_ragged_sweep_lacks_are_left_out(errors):
    errors[2, 0], errors[1, 0, :, 2:] = np.nan, np.nan
    figure = plots.panel(errors.isel(classifier=0), x="size", hue="method", over="draw")
    (line, _, (bars,)), _ = figure.axes[0].containers
    assert line.get_xdata().tolist() == [300, 1000]
    two = errors[1, 0, 0, :2].values
    expected = stats.t.interval(0.95, 1, two.mean(), stats.sem(two))
    np.testing.assert_allclose(bars.get_segments()[1][:, 1], expected)


def test_published_curves_are_pale_and_of_the_same_color(errors):
    published = errors.isel(draw=0, size=[0, 2]) / 2
    published.attrs["source"] = "Mallat 2012"
    bound = xr.DataArray([3.0, 2.0], dims="size", coords={"size": [300, 400]})
    figure = plots.panel(
        errors,
        x="size",
        hue="method",
        col="classifier",
        over="draw",
        published=published,
        beside={"bound": bound},
        levels={"allowed": 9.0},
        marks={"here": 500.0},
    )
    ax = figure.axes[1]
    pale = [line for line in ax.lines if line.get_alpha() == 0.45 and len(line.get_xdata())]
    assert [line.get_color() for line in pale] == list(plots.PALETTE[:2])
    np.testing.assert_allclose(pale[1].get_ydata(), published.sel({"classifier": "SVM", "method": "waves"}))
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["pixels", "waves", "Mallat 2012", "bound", "allowed", "here"]
    dashed = [line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata())]
    assert [(line.get_color(), line.get_ydata().tolist()) for line in dashed] == [("black", [3.0, 2.0])]


def test_a_band_spans_quantiles_around_the_median(rng):
    values = xr.DataArray(rng.random((3, 50)), dims=("noise", "draw"), coords={"noise": [1.0, 2.0, 3.0]})
    (ax,) = plots.panel(values, x="noise", over="draw", spread="band").axes
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=1)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), middle)
    corners = ax.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == low.min()
    assert corners[:, 1].max() == high.max()
    (ax,) = plots.panel(values, x="noise", over="draw", spread="each").axes
    assert len(ax.lines) == 51
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), values.mean("draw"))


def test_a_measured_quantity_stands_along_the_abscissa(rng):
    error = xr.DataArray(rng.random((2, 4, 3)), dims=("kind", "scale", "draw"), name="left")
    error = error.assign_coords(share=(error.dims, rng.random(error.shape), {"unit": "%"}))
    (ax,) = plots.panel(error, x="share", hue="kind", over="draw").axes
    line, *_ = ax.containers[1]
    np.testing.assert_allclose(line.get_xdata(), error.share[1].mean("draw"))
    np.testing.assert_allclose(line.get_ydata(), error[1].mean("draw"))
    assert ax.get_xlabel() == "share (%)"
    (ax,) = plots.panel(error, x="share", hue="kind", lines=False).axes
    np.testing.assert_allclose(
        ax.lines[1].get_xydata(), np.stack([error.share[1], error[1]], -1).reshape(-1, 2)
    )


def test_styles_tell_a_second_dimension(rng):
    values = xr.DataArray(
        rng.random((2, 2, 3)),
        dims=("network", "signals", "layer"),
        coords={"network": ["A", "B"], "signals": ["few", "many"]},
    )
    figure, grid = plots.canvas(2)
    assert plots.panel(values, x="layer", hue="network", style="signals", axes=grid[0, 1]) is figure
    lines = grid[0, 1].lines
    assert [line.get_label() for line in lines] == ["A, few", "A, many", "B, few", "B, many"]
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-", "--"]
    assert [line.get_color() for line in lines] == [color for color in plots.PALETTE[:2] for _ in range(2)]
    assert not grid[0, 0].lines


@pytest.mark.parametrize("horizontal", [False, True])
def test_dots_stand_by_category_with_their_mean(rng, horizontal):
    values = xr.DataArray(
        rng.random((2, 5)),
        dims=("network", "seed"),
        coords={"network": ["CNN", "ISTA, 2"]},
        attrs={"unit": "%"},
    )
    figure = plots.dots(
        values,
        x="network",
        over="seed",
        published={"ISTA, 2": 0.7},
        levels={"zero": 0.0},
        horizontal=horizontal,
    )
    (ax,) = figure.axes
    labels = ax.get_yticklabels() if horizontal else ax.get_xticklabels()
    assert [text.get_text() for text in labels] == ["CNN", "ISTA, 2" if horizontal else "ISTA\n2"]
    along = 0 if horizontal else 1
    for place, (line, _, (bar,)) in enumerate(ax.containers):
        assert line.get_xydata()[0, along] == pytest.approx(float(values[place].mean()))
        half = stats.t.ppf(0.975, 4) * stats.sem(values[place])
        assert np.ptp(bar.get_segments()[0][:, along]) == pytest.approx(2 * half)
    assert (ax.get_xlabel() if horizontal else ax.get_ylabel()) == "%"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["published", "zero"]


def test_histograms_count_shares_and_what_lies_beyond(rng):
    values = xr.DataArray([[0.1, 0.4, 7.0, np.nan]], dims=("kind", "draw"), coords={"kind": ["A"]}, name="R²")
    (ax,) = plots.histogram(values, bins=[0, 0.5, 1], hue="kind", marks={"well": 0.8}).axes
    corners = ax.patches[0].get_xy()
    assert corners[:, 1].max() == pytest.approx(200 / 3)
    assert {round(height) for height in corners[:, 1]} == {0, 33, 67}
    assert ax.get_xlabel() == "R²"


def test_a_phase_diagram_shows_rates_and_the_guarantee():
    rates = xr.DataArray(
        np.arange(24.0).reshape(2, 1, 3, 4) / 24,
        dims=("dictionary", "algorithm", "ratio", "sparsity"),
        coords={
            "dictionary": ["A", "B"],
            "algorithm": ["OMP"],
            "ratio": [1, 0.5, 0.1],
            "sparsity": [1, 2, 4, 8],
        },
        name="found",
    )
    rates[1, ..., 2:] = np.nan
    guarantee = xr.DataArray([3.0, 0.5], dims="ratio", coords={"ratio": [1, 0.1]})
    figure = plots.phase_diagram(
        rates, x="sparsity", y="ratio", row="dictionary", col="algorithm", guarantee=guarantee
    )
    first, second, *_ = figure.axes
    np.testing.assert_array_equal(first.images[0].get_array(), rates[0, 0])
    np.testing.assert_array_equal(second.images[0].get_array(), rates[1, 0, :, :2])
    # Halfway between 2 and 4, which stand at 1 and 2; before the first point.
    np.testing.assert_allclose(first.lines[0].get_xydata(), [[1.5, 0], [-0.5, 2]])
    assert (first.get_title(), second.get_title()) == ("A: OMP", "B: OMP")


def test_rows_of_images_have_their_names_and_scales(rng):
    images = rng.random((3, 4, 5))
    figure = plots.image_rows(
        {"digits": images, "difference": 1e-9 * (images[:2] - 0.5)}, signed=("difference",), titles="abc"
    )
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    largest = 1e-9 * np.abs(images[:2] - 0.5).max()
    np.testing.assert_allclose(figure.axes[3].images[0].get_clim(), (-largest, largest))
    assert figure.axes[3].get_ylabel() == "difference\n± 5e-10"
    assert not figure.axes[5].images
    assert [ax.get_title() for ax in figure.axes[:3]] == ["a", "b", "c"]
    figure = plots.image_rows({"digits": images}, span=None)
    assert figure.axes[1].images[0].get_clim() == (0, images[1].max())


def test_mosaics_stand_side_by_side(rng):
    figure = plots.mosaics({"learned": rng.random((5, 3, 3)), "random": rng.random((7, 3, 3))})
    assert [ax.get_title() for ax in figure.axes] == ["learned", "random"]
    assert figure.axes[1].images[0].get_array().shape == (11, 11)


def test_each_tile_stands_in_its_place_at_its_own_scale(rng):
    tiles = rng.standard_normal((7, 4, 5)) * np.arange(1, 8)[:, None, None]
    tiles[3] = 0
    whole = mosaic(tiles)
    assert whole.shape == (3 * 5 - 1, 3 * 6 - 1)
    for place in range(9):
        row, column = divmod(place, 3)
        part = whole[5 * row : 5 * row + 4, 6 * column : 6 * column + 5]
        if place >= 7:
            assert np.isnan(part).all()
        else:
            largest = np.abs(tiles[place]).max()
            np.testing.assert_allclose(part * largest, tiles[place])
            assert np.abs(part).max() == (place != 3)
    assert np.isnan(whole[4]).all()
    assert np.isnan(whole[:, 5]).all()


def test_what_cannot_be_drawn_is_refused(errors, own_errors):
    with pytest.raises(ValueError, match=r"tiles has the shape \(0, 3, 3\): take at least one tile"):
        mosaic(np.zeros((0, 3, 3)))
    with pytest.raises(ValueError, match="'length' is no dimension of the values: take one of size, method"):
        plots.panel(errors, x="length")
    with pytest.raises(
        ValueError, match="the values have the dimension draw, too: select a point, or name it in over="
    ):
        plots.panel(errors, x="size", hue="method", col="classifier")
    with pytest.raises(ValueError, match="axes holds 1: take 2, one for each panel"):
        plots.panel(errors, x="size", hue="method", col="classifier", over="draw", axes=plots.canvas()[1])


@pytest.mark.beyond
def test_no_backend_is_loaded():
    code = "import sys; from jaxtheory.lab import plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def bowl():
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 2, 4)
    values = (x[:, None] ** 2 + y + 0.5) * np.array([1.0, 2.0])[:, None, None]
    at = {"network": ["one", "other"], "x": x, "y": y}
    return xr.DataArray(values, at, ("network", "x", "y"), name="loss", attrs={"unit": "nats"})


def test_a_surface_has_its_contours_where_the_values_are(bowl):
    path = np.array([[0.0, 0.0], [0.5, 1.0], [1.0, 2.0], [1.0, 1.0]])
    figure = plots.surface(bowl, x="x", y="y", col="network", paths={"descent": path, "end": path[-1:]})
    left, right, bar = figure.axes
    assert [ax.get_title() for ax in (left, right)] == ["one", "other"]
    assert (left.get_xlabel(), left.get_ylabel(), bar.get_ylabel()) == ("x", "y", "loss (nats)")
    line, end = left.lines
    np.testing.assert_array_equal(line.get_xydata(), path)
    assert end.get_marker() == "o"
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["descent", "end"]
    filled, drawn = left.collections
    assert filled.norm.vmin == 0.5
    assert filled.norm.vmax == 7
    # The contour of a level goes through points that have it: x^2 + y + 0.5, to the step of the grid.
    for level, segments in zip(drawn.levels, drawn.allsegs):
        for points in segments:
            np.testing.assert_allclose(points[:, 0] ** 2 + points[:, 1] + 0.5, level, atol=0.07)
    assert sum(map(len, drawn.allsegs)) >= 3


def test_a_relief_stands_as_high_as_the_values_within_the_span(bowl):
    figure = plots.surface(bowl, x="x", y="y", col="network", style="relief", span=(0, 4))
    left, right, _ = figure.axes
    assert left.name == "3d"
    np.testing.assert_allclose(right.get_zlim(), (0.9, 4.1), atol=0.2)
    assert (right.get_xlabel(), right.get_ylabel()) == ("x", "y")
    high = plots.surface(bowl.isel(network=0), x="x", y="y", style="relief", log=True)
    np.testing.assert_allclose(high.axes[0].get_zlim(), np.log10([0.5, 3.5]), atol=0.1)


def test_surfaces_are_drawn_into_axes_that_are_given(bowl):
    figure, ((left, right),) = plots.canvas(2)
    assert plots.surface(bowl.isel(network=1), x="y", y="x", axes=right, xlabel="up") is figure
    assert (right.get_xlabel(), right.get_ylabel()) == ("up", "x")
    assert not left.collections


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"col": "network", "style": "map"}, "style is 'map': take 'contour' or 'relief'"),
        ({}, "the values have the dimension network, too"),
        ({"col": "network", "span": (0, 1), "log": True}, "the values begin at 0: take positive ones"),
    ],
)
def test_surfaces_refuse_what_they_cannot_draw(own_errors, bowl, options, message):
    with pytest.raises(ValueError, match=message):
        plots.surface(bowl, x="x", y="y", **options)
