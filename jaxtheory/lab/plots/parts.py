"""What plots are put together from: axes, colors, labels, scales and the spread of draws."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np
import xarray as xr
from jaxtyping import Shaped
from matplotlib.axes import Axes
from matplotlib.container import Container
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from scipy import stats

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#999999")
"""Okabe and Ito's colors, which people of all color vision tell apart, but for black and yellow."""
DASHES = ("-", "--", ":", "-.")
NARROW = 2e3
"""Logarithmic axes over less than this factor have plain numbers at 1, 2 and 5 of each decade."""
CONFIDENCE = 0.95
"""Error bars are Student's intervals of this confidence for the mean."""


def colors_of(names: Sequence[Any]) -> dict[Any, str]:
    """Return a color for each name, by its place: the same in all plots that are given the same names.

    Args:
        names: The names in their order; from the eighth on colors come again.

    Returns:
        Colors by name, to be given as `colors=`.
    """
    return dict(zip(names, itertools.cycle(PALETTE)))


def canvas(
    columns: int = 1,
    rows: int = 1,
    *,
    size: tuple[SupportsFloat, SupportsFloat] = (4.4, 3.5),
    share: str = "",
) -> tuple[Figure, Shaped[np.ndarray, "rows columns"]]:
    """Make an empty figure with a grid of axes.

    Args:
        columns: The number of axes side by side.
        rows: The number of axes one below the other.
        size: The width and height of each of the axes with its labels, in inches.
        share: Which axes have the same limits: "x", "y", "xy" or none.

    Returns:
        The figure and its axes.
    """
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex="x" in share, sharey="y" in share)


def check(
    values: xr.DataArray, named: Sequence[str | None], over: Sequence[str], *, free: bool = False
) -> None:
    """Refuses names that the array lacks, and dimensions that no argument names."""
    for name in (*named, *over):
        if name is not None and name not in values.dims and name not in values.coords:
            known = ", ".join(map(str, dict.fromkeys((*values.dims, *values.coords))))
            raise ValueError(f"'{name}' is no dimension of the values: take one of {known}")
    left = [str(dim) for dim in values.dims if dim not in named and dim not in over]
    along = 1 if named[0] is not None and named[0] not in values.dims else 0
    if len(left) > along and not free:
        raise ValueError(
            f"the values have the dimension {left[-1]}, too: select a point, or name it in over="
        )


def axes_for(axes: Any, columns: int, **options: Any) -> tuple[Figure, list[Axes]]:
    """A new figure's axes, or those that were given."""
    if axes is None:
        figure, grid = canvas(columns, **options)
        return figure, list(grid.flat)
    grid = list(np.ravel(np.asarray(axes, object)))
    if len(grid) != columns:
        raise ValueError(f"axes holds {len(grid)}: take {columns}, one for each panel")
    return grid[0].get_figure(), grid


def points(values: xr.DataArray, dim: str | None) -> list[Any]:
    """The points of a dimension as Python has them; of none, one that stands for all."""
    if dim is None:
        return [None]
    return values[dim].values.tolist() if dim in values.coords else list(range(values.sizes[dim]))


def at_point(values: xr.DataArray, dim: str | None, point: Any) -> xr.DataArray:
    """The values at a point of a dimension, if they have it."""
    if dim is None or dim not in values.dims:
        return values
    return values.isel({dim: points(values, dim).index(point)})


def rules(
    ax: Axes, levels: Mapping[str, SupportsFloat] | None, marks: Mapping[str, SupportsFloat] | None
) -> None:
    """Horizontal and vertical lines with their names."""
    for dash, (name, level) in zip(itertools.cycle(DASHES[2::-1]), (levels or {}).items()):
        ax.axhline(level, color="black", lw=1, ls=dash, label=name)
    for dash, (name, mark) in zip(itertools.cycle(DASHES[2::-1]), (marks or {}).items()):
        ax.axvline(mark, color="black", lw=1, ls=dash, label=name)


def scale(ax: Axes, points: np.ndarray, log: str, *, exact: bool) -> None:
    """Scales, ticks and a grid: a tick at each point where they are few, or at 1, 2 and 5 of each decade."""
    for axis in (ax.xaxis, ax.yaxis):
        if axis.axis_name in log:
            ax.set(**{f"{axis.axis_name}scale": "log"})
            low, high = axis.get_view_interval()
            if high / low < NARROW:
                crowded = axis.axis_name == "x" and high / low > 100
                axis.set_major_locator(LogLocator(subs=(1,) if crowded else (1, 2, 5)))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
                axis.set_minor_locator(NullLocator())
    if exact and np.issubdtype(points.dtype, np.number) and len(points) <= 8:
        points = np.sort(points)
        shown = apart(np.log(points) if "x" in log else points)
        ax.set_xticks(points, [tick if far else "" for tick, far in zip(map(number, points.tolist()), shown)])
        ax.xaxis.set_minor_locator(NullLocator())
    elif np.issubdtype(points.dtype, np.integer) and "x" not in log:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)


def apart(points: np.ndarray) -> list[bool]:
    """Which of rising points are far enough from the one before for a label, the first among them."""
    shown, last, room = [], -np.inf, 0.15 * np.ptp(points)
    for point in points:
        shown.append(bool(point - last >= room))
        last = point if shown[-1] else last
    return shown


def number(value: SupportsFloat) -> str:
    """A number as a tick shows it."""
    return f"{value:,.0f}" if float(value) >= 1000 else f"{value:.3g}"


def named(point: Any, coordinate: xr.DataArray) -> str:
    """A point as text: a name as it is, a number after its axis."""
    if isinstance(point, str):
        return point
    unit = f" {coordinate.attrs['unit']}" if coordinate.attrs.get("unit") else ""
    return f"{coordinate.attrs.get('long_name', coordinate.name)} {point:,}{unit}"


def label_of(values: xr.DataArray) -> str:
    """The name of values with their unit."""
    name = str(values.attrs.get("long_name", values.name or ""))
    unit = values.attrs.get("unit", "")
    return f"{name} ({unit})" if name and unit else name or unit


def legend(*grid: Axes, few: bool = True) -> None:
    """A legend in the first panel for what has a name in any of them."""
    found: dict[str, Any] = {}
    for ax in grid:
        handles, labels = ax.get_legend_handles_labels()
        found = dict(zip(labels, handles)) | found
    # What has error bars first: the methods, before their bounds.
    found = dict(sorted(found.items(), key=lambda one: not isinstance(one[1], Container)))
    if found:
        grid[0].legend(found.values(), found.keys(), fontsize=8, markerscale=1 if few else 4)


def half_width(draws: np.ndarray, axis: int) -> np.ndarray:
    """Half of Student's interval for the mean of the draws that are not NaN; zero where there is one."""
    n = np.isfinite(draws).sum(axis)
    deviation = np.sqrt(np.nanvar(draws, axis) * n / np.maximum(n - 1, 1)) if draws.size else np.zeros(())
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(n - 1, 1))
    return np.where(n > 1, quantile * deviation / np.sqrt(np.maximum(n, 1)), 0.0)
