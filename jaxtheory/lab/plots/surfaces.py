"""Surfaces over planes: contours and reliefs, with points and paths on them."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, SupportsFloat

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from jaxtheory.lab.plots.parts import (
    DASHES,
    PALETTE,
    at_point,
    axes_for,
    check,
    label_of,
    legend,
    named,
    points,
)

LEVELS = 14
"""The number of levels between contours."""

Style = Literal["contour", "relief"]


def surface(
    values: xr.DataArray,
    *,
    x: str,
    y: str,
    col: str | None = None,
    style: Style = "contour",
    paths: Mapping[str, Any] | None = None,
    span: tuple[SupportsFloat, SupportsFloat] | None = None,
    log: bool = False,
    xlabel: str | None = None,
    ylabel: str | None = None,
    titles: Mapping[Any, str] | None = None,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
) -> Figure:
    """Plot a quantity over a plane, as filled contours or as a relief in three dimensions.

    Args:
        values: The values to plot; its dimensions are `x`, `y` and `col`.
        x: The dimension along the abscissa.
        y: The dimension along the ordinate.
        col: The dimension whose points have a panel each, all with the same colors.
        style: The kind of picture: `"contour"`, or `"relief"` in three dimensions.
        paths: Points on contours by name, `(n, 2)` coordinates along x and y, joined where there are several.
        span: The values at the ends of the colors, beyond which there are no others; by default the smallest
            and the largest value.
        log: Whether colors, and the heights of a relief, are logarithmic.
        xlabel: The label of the abscissa in place of the coordinate's own.
        ylabel: The label of the ordinate in place of the coordinate's own.
        titles: The titles of the panels by point of `col`, in place of the points.
        axes: The axes to draw contours in, one for each panel; a relief makes its own.

    Returns:
        The figure.

    Raises:
        ValueError: If a dimension is unknown or left over, the style is another, or values are not positive
            where the colors are logarithmic.
    """
    check(values, (x, y, col), ())
    if style not in ("contour", "relief"):
        raise ValueError(f"style is {style!r}: take 'contour' or 'relief'")
    heights = np.asarray(values, float)
    low, high = map(float, span or (np.nanmin(heights), np.nanmax(heights)))
    if log and low <= 0:
        raise ValueError(f"the values begin at {low:g}: take positive ones, or a span that is, for log=True")
    panels = points(values, col)
    if style == "relief":
        figure = Figure(figsize=(4.6 * len(panels), 4.2), layout="constrained")
        grid = [figure.add_subplot(1, len(panels), k + 1, projection="3d") for k in range(len(panels))]
    else:
        figure, grid = axes_for(axes, len(panels), size=(4.6, 3.9))
    norm = (LogNorm if log else Normalize)(low, high)
    levels = np.geomspace(low, high, LEVELS) if log else np.linspace(low, high, LEVELS)
    horizontal, vertical = np.meshgrid(values[x], values[y], indexing="ij")
    for ax, at in zip(grid, panels):
        part = np.asarray(at_point(values, col, at).transpose(x, y), float).clip(low, high)
        if style == "relief":
            shown = np.log10(part) if log else part
            colors = _colors(norm(part))
            ax.plot_surface(horizontal, vertical, shown, facecolors=colors, rstride=1, cstride=1, lw=0)
            ax.set_box_aspect(None, zoom=0.85)
            ax.tick_params(labelsize=7, pad=0)
            ax.locator_params(nbins=5)
        else:
            ax.contourf(horizontal, vertical, part, levels, norm=norm, cmap="viridis")
            ax.contour(horizontal, vertical, part, levels, colors="white", linewidths=0.3)
            look = zip(itertools.cycle(DASHES), itertools.cycle(PALETTE[1:]), (paths or {}).items())
            for dash, color, (name, places) in look:
                places = np.asarray(places, float)
                few = {"marker": "o", "ms": 5, "mec": "white"} if len(places) <= 3 else {}
                ax.plot(*places.T, ls=dash if len(places) > 1 else "", color=color, label=name, **few)
        ax.set_xlabel(xlabel if xlabel is not None else label_of(values[x]))
        if ax is grid[0] or style == "relief":
            ax.set_ylabel(ylabel if ylabel is not None else label_of(values[y]))
        if col:
            ax.set_title((titles or {}).get(at, named(at, values[col])), fontsize=10)
    bar = {"shrink": 0.7, "pad": 0.06} if style == "relief" else {}
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=grid, label=label_of(values), **bar)
    if style == "contour":
        legend(*grid)
    return figure


def _colors(shares: np.ndarray) -> np.ndarray:
    """The colors of shares from 0 to 1 of the span."""
    return colormaps["viridis"](np.ma.filled(shares, 0.0))
