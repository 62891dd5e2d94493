"""Quantities by category, and how they are distributed."""

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxtheory.lab.plots.parts import (
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


def dots(
    values: xr.DataArray,
    *,
    x: str,
    hue: str | None = None,
    over: str | Sequence[str] = "draw",
    published: Mapping[Any, SupportsFloat] | None = None,
    levels: Mapping[str, SupportsFloat] | None = None,
    horizontal: bool = False,
    xlabel: str | None = None,
    ylabel: str | None = None,
    colors: Mapping[Any, str] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Plot a quantity by category: each draw as a pale dot, the mean with its error bar.

    Args:
        values: The values to plot; each of their dimensions is `x`, `hue` or in `over`.
        x: The dimension of the categories.
        hue: The dimension whose points stand beside one another in colors; without it each category has one.
        over: The dimensions of the draws.
        published: The figures of a publication by category, drawn as dashed lines.
        levels: Lines across all categories by name.
        horizontal: Whether categories stand one below the other, which long names need.
        xlabel: The label of the categories.
        ylabel: The label of the quantity in place of the array's own.
        colors: The colors by point of `hue`, or of `x`, as `colors_of` gives them.
        axes: The axes to draw in.

    Returns:
        The figure.

    Raises:
        ValueError: If a dimension is unknown, or one is left that no argument names.
    """
    over = (over,) if isinstance(over, str) else tuple(over)
    check(values, (x, hue), over)
    categories, hues = points(values, x), points(values, hue)
    size = (7.5, 1.2 + 0.34 * len(categories)) if horizontal else (max(4.4, 1.7 * len(categories)), 3.6)
    figure, (ax,) = axes_for(axes, 1, size=size)
    colors = colors or colors_of(hues if hue else categories)
    for place, category in enumerate(categories):
        for shift, one in zip(0.2 * (np.arange(len(hues)) - (len(hues) - 1) / 2), hues):
            draws = np.ravel(at_point(at_point(values, x, category), hue, one))
            draws = draws[np.isfinite(draws)]
            color = colors[one if hue else category]
            label = named(one, values[hue]) if hue and place == 0 else None
            middle, length = place + shift, float(half_width(draws, 0))
            error = {"capsize": 4, "fmt": "D", "ms": 6, "color": color, "label": label}
            if not draws.size:
                continue
            if horizontal:
                ax.plot(draws, np.full(draws.size, middle + 0.25), "o", ms=3, alpha=0.5, color=color)
                ax.errorbar(draws.mean(), middle, xerr=length, **error)
            else:
                ax.plot(np.full(draws.size, middle + 0.08), draws, "o", ms=4, alpha=0.45, color=color)
                ax.errorbar(middle, draws.mean(), yerr=length, **error)
        if published and category in published:
            ends, figures = [place - 0.4, place + 0.4], [float(published[category])] * 2
            label = "published" if category == next(c for c in categories if c in published) else None
            ax.plot(*((figures, ends) if horizontal else (ends, figures)), "k--", lw=1, label=label)
    names = [
        f"{one:,g}" if xlabel and not isinstance(one, str) else named(one, values[x]) for one in categories
    ]
    ylabel = ylabel if ylabel is not None else label_of(values)
    if horizontal:
        rules(ax, None, levels)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.5)
        ax.set(xlabel=ylabel, ylabel=xlabel or "")
    else:
        rules(ax, levels, None)
        ax.set_xticks(range(len(names)), [name.replace(", ", "\n") for name in names])
        ax.set_xlim(-0.5, len(names) - 0.5)
        ax.set(ylabel=ylabel, xlabel=xlabel or "")
    ax.grid(alpha=0.3, axis="x" if horizontal else "y")
    legend(ax)
    return figure


def histogram(
    values: xr.DataArray,
    *,
    bins: Sequence[SupportsFloat] | np.ndarray,
    hue: str | None = None,
    col: str | None = None,
    marks: Mapping[str, SupportsFloat] | None = None,
    log: str = "",
    xlabel: str | None = None,
    ylabel: str = "share (%)",
    titles: Mapping[Any, str] | None = None,
    colors: Mapping[Any, str] | None = None,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
) -> Figure:
    """Plot how values are distributed, one outline for each method; the end bins hold what is beyond them.

    Args:
        values: All values; those that are NaN are left out.
        bins: The edges of the bins.
        hue: The dimension whose points have a color each.
        col: The dimension whose points have a panel each.
        marks: Vertical lines by name.
        log: The logarithmic axes: "x", "y", "xy" or none.
        xlabel: The label of the values in place of the array's own.
        ylabel: The label of the shares.
        titles: The titles of the panels by point of `col`, in place of the points.
        colors: The colors by point of `hue`, as `colors_of` gives them.
        axes: The axes to draw in, one for each panel.

    Returns:
        The figure.
    """
    check(values, (hue, col), (), free=True)
    panels, colors = points(values, col), colors or colors_of(points(values, hue))
    figure, grid = axes_for(axes, len(panels), share="xy" if col else "")
    for ax, at in zip(grid, panels):
        for one in points(values, hue):
            shown = np.ravel(at_point(at_point(values, col, at), hue, one))
            shown = np.clip(shown[np.isfinite(shown)], bins[0], bins[-1])
            look = {"histtype": "stepfilled", "fc": f"{colors[one]}30", "ec": colors[one], "lw": 1.5}
            label = named(one, values[hue]) if hue else None
            ax.hist(shown, bins, weights=np.full(shown.size, 100 / max(shown.size, 1)), label=label, **look)
        rules(ax, None, marks)
        scale(ax, np.asarray(bins), log, exact=False)
        ax.set_xlabel(xlabel if xlabel is not None else label_of(values))
        if col:
            ax.set_title((titles or {}).get(at, named(at, values[col])), fontsize=10)
    grid[0].set_ylabel(ylabel)
    legend(*grid)
    return figure
