"""Quantities against an axis, by method, with what draws spread around them."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, SupportsFloat

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxtheory.lab.plots.parts import (
    DASHES,
    at_point,
    axes_for,
    check,
    colors_of,
    half_width,
    label_of,
    legend,
    named,
    points,
    rules,
    scale,
)

MARKERS = ("o", "s", "^", "D")
FEW = 25
"""Up to this many points of a line are marked."""

Spread = Literal["error", "band", "each", "none"]


def panel(
    values: xr.DataArray,
    *,
    x: str,
    hue: str | None = None,
    style: str | None = None,
    col: str | None = None,
    over: str | Sequence[str] = (),
    spread: Spread = "error",
    lines: bool = True,
    published: xr.DataArray | None = None,
    beside: Mapping[str, xr.DataArray] | None = None,
    levels: Mapping[str, SupportsFloat] | None = None,
    marks: Mapping[str, SupportsFloat] | None = None,
    log: str = "",
    xlabel: str | None = None,
    ylabel: str | None = None,
    titles: Mapping[Any, str] | None = None,
    colors: Mapping[Any, str] | None = None,
    ylim: tuple[SupportsFloat | None, SupportsFloat | None] | None = None,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
) -> Figure:
    """Plot a quantity against an axis, one line for each method, with what draws spread around it.

    Args:
        values: The values to plot; each of their dimensions is `x`, `hue`, `style`, `col` or in `over`.
        x: The coordinate along the abscissa: a dimension, or a coordinate over several dimensions (a measured
            quantity), along that which is left.
        hue: The dimension whose points have a color each.
        style: The dimension whose points have a line style each; it may be the same as `hue`.
        col: The dimension whose points have a panel each.
        over: The dimensions of the draws, over which means are taken.
        spread: What shows the draws: "error" bars, Student's interval for the mean; a "band" from the 5 % to
            the 95 % quantile around the median; "each" draw as a thin line; or "none".
        lines: Whether points are joined; if not, dimensions may be left over, which are drawn as a cloud.
        published: The figures of a publication, drawn pale in the same colors, at points of x of their own;
            its `attrs["source"]` is its name in the legend.
        beside: Further curves by name, as bounds or fits, drawn dashed, dotted, ... in the same colors, or
            black where they have no `hue`.
        levels: Horizontal lines by name.
        marks: Vertical lines by name.
        log: The logarithmic axes: "x", "y", "xy" or none.
        xlabel: The label of the abscissa in place of the coordinate's own.
        ylabel: The label of the ordinate in place of the array's own.
        titles: The titles of the panels by point of `col`, in place of the points.
        colors: The colors by point of `hue`, as `colors_of` gives them.
        ylim: The ends of the ordinate; None leaves one free.
        axes: The axes to draw in, one for each panel.

    Returns:
        The figure.

    Raises:
        ValueError: If a dimension is unknown, or one is left that no argument names.
    """
    over = (over,) if isinstance(over, str) else tuple(over)
    check(values, (x, hue, style, col), over, free=not lines)
    panels = points(values, col)
    figure, grid = axes_for(axes, len(panels), share="xy" if col else "")
    colors = colors or colors_of(points(values, hue))
    further = {"published": published} | dict(beside or {})
    further = {name: curve for name, curve in further.items() if curve is not None}
    ticks = np.asarray(values[x])
    if published is not None and ticks.ndim == 1:
        ticks = np.union1d(ticks, published[x])
    for ax, at in zip(grid, panels):
        part = at_point(values, col, at)
        for label, one, line in _lines(part, hue, style):
            kind = 0 if style is None else points(values, style).index(_point(line, style))
            look = {"color": colors[one], "label": label}
            if lines:
                few = line.sizes.get(x, 0) <= FEW
                look |= {"ls": DASHES[kind % 4], "ms": 4, "mfc": "none" if kind else None}
                look |= {"marker": MARKERS[kind % 4] if few else None}
                _draw(ax, line, x, over, spread, look)
            else:
                horizontal, vertical = (np.ravel(part) for part in _xy(line, x))
                ax.plot(horizontal, vertical, ".", ms=2.5, alpha=0.6, **look)
        for name, curve in further.items():
            if col in curve.dims and at not in points(curve, col):
                continue
            pale = name == "published" and curve is published
            look: dict[str, Any] = {"lw": 1.2, "zorder": 1.5}
            look |= {"alpha": 0.45} if pale else {"ls": DASHES[1 + list(beside or {}).index(name) % 3]}
            whose = (curve.attrs.get("source") or name) if pale else name
            has_hue = hue is not None and hue in curve.dims
            for _, one, line in _lines(at_point(curve, col, at), hue, style):
                color = colors.get(one, "black") if has_hue else "black"
                horizontal, vertical = _xy(line.reset_coords(drop=True) if x in line.dims else line, x)
                ax.plot(horizontal, vertical, color=color, **look)
            ax.plot([], [], color="black", label=whose, **look)
        rules(ax, levels, marks)
        if col:
            ax.set_title((titles or {}).get(at, named(at, values[col])), fontsize=10)
        ax.set_xlabel(xlabel if xlabel is not None else label_of(values[x]))
        scale(ax, ticks, log, exact=lines and values[x].ndim == 1)
        if ylim:
            ax.set_ylim(*ylim)
    grid[0].set_ylabel(ylabel if ylabel is not None else label_of(values))
    legend(*grid, few=lines)
    return figure


def _point(values: xr.DataArray, dim: str) -> Any:
    """The point of a dimension at which values were taken."""
    return values[dim].values.item()


def _lines(
    values: xr.DataArray, hue: str | None, style: str | None
) -> Iterator[tuple[str | None, Any, xr.DataArray]]:
    """The label, the point of `hue` and the values of each line."""
    hues = points(values, hue) if hue in values.dims else [None]
    styles = points(values, style) if style in values.dims and style != hue else [None]
    for one, other in itertools.product(hues, styles):
        parts = [
            named(point, values[dim]) for dim, point in ((hue, one), (style, other)) if point is not None
        ]
        yield ", ".join(parts) or None, one, at_point(at_point(values, hue, one), style, other)


def _xy(line: xr.DataArray, x: str) -> tuple[np.ndarray, np.ndarray]:
    """Abscissas and values of one shape."""
    horizontal, vertical = xr.broadcast(line[x], line)
    return np.asarray(horizontal), np.asarray(vertical.transpose(*horizontal.dims))


def _draw(
    ax: Axes, line: xr.DataArray, x: str, over: Sequence[str], spread: str, look: dict[str, Any]
) -> None:
    """A line, its points the means over draws, and the draws' spread."""
    over = [name for name in over if name in line.dims]
    (along,) = [dim for dim in line.dims if dim not in over]
    draws = line.transpose(along, *over)
    values = np.asarray(draws, float).reshape(line.sizes[along], -1)
    horizontal = line[x] if not over else line[x].mean([name for name in over if name in line[x].dims])
    horizontal = np.asarray(horizontal)
    some = np.isfinite(values).any(1)
    values, horizontal = values[some], horizontal[some]
    if not over or spread == "none":
        ax.plot(horizontal, np.nanmean(values, 1), **look)
    elif spread == "band":
        low, middle, high = np.nanquantile(values, [0.05, 0.5, 0.95], axis=1)
        ax.plot(horizontal, middle, **look)
        ax.fill_between(horizontal, low, high, color=look["color"], alpha=0.2, lw=0)
    elif spread == "each":
        ax.plot(horizontal, values, color=look["color"], lw=0.5, alpha=0.35)
        ax.plot(horizontal, np.nanmean(values, 1), **look)
    else:
        ax.errorbar(horizontal, np.nanmean(values, 1), half_width(values, 1), capsize=3, **look)
