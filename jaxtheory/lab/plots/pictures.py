"""What is shown as images: phase diagrams, mosaics of tiles, rows of pictures."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxtheory.lab.plots.parts import at_point, canvas, check, label_of, named, points


def phase_diagram(
    rates: xr.DataArray,
    *,
    x: str,
    y: str,
    col: str | None = None,
    row: str | None = None,
    guarantee: xr.DataArray | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
) -> Figure:
    """Plot a rate from 0, black, to 1, white, over two axes, with the line up to which a theorem promises 1.

    Args:
        rates: The rates; its dimensions are `x`, `y`, `col` and `row`. Points of x that a row lacks are left
            out.
        x: The dimension along the abscissa; its points stand one apart whatever their distance.
        y: The dimension downwards, likewise.
        col: The dimension whose points stand side by side.
        row: The dimension whose points stand one below the other.
        guarantee: The largest x at which a theorem gives the rate 1, over y (with points of its own), `col`
            and `row`.
        xlabel: The label of the abscissa in place of the coordinate's own.
        ylabel: The label of the ordinate in place of the coordinate's own.

    Returns:
        The figure.

    Raises:
        ValueError: If a dimension is unknown, or one is left that no argument names.
    """
    check(rates, (x, y, col, row), ())
    columns, rows = points(rates, col), points(rates, row)
    figure, grid = canvas(len(columns), len(rows), size=(3.2, 2.9))
    for (ax, (down, across)), first in zip(
        zip(grid.flat, itertools.product(rows, columns)),
        itertools.cycle([True] + [False] * (len(columns) - 1)),
    ):
        part = at_point(at_point(rates, row, down), col, across).transpose(y, x).dropna(x, how="all")
        image = ax.imshow(part, cmap="gray", vmin=0, vmax=1, aspect="auto", origin="upper")
        wide, high = np.asarray(part[x], float), np.asarray(part[y], float)
        if guarantee is not None:
            line = at_point(at_point(guarantee, row, down), col, across)
            up_to, at = _place(np.asarray(line, float), wide), _place(np.asarray(line[y], float), high)
            ax.plot(up_to, at, color="#e41a1c", lw=2)
        ax.set_xticks(range(len(wide)), [f"{one:g}" for one in wide], fontsize=7)
        ax.set_yticks(range(len(high)), [f"{one:g}" for one in high], fontsize=8)
        ax.set(xlim=(-0.5, len(wide) - 0.5), ylim=(len(high) - 0.5, -0.5))
        titles = [named(point, rates[dim]) for dim, point in ((row, down), (col, across)) if dim]
        ax.set_title(": ".join(titles), fontsize=9)
        if down == rows[-1]:
            ax.set_xlabel(xlabel or label_of(rates[x]))
        if first:
            ax.set_ylabel(ylabel or label_of(rates[y]))
    figure.colorbar(image, ax=grid, label=label_of(rates), shrink=0.6)
    return figure


def mosaic(tiles: Float[np.ndarray, "n height width"]) -> Float[np.ndarray, "H W"]:
    """Lay tiles in about a square, row by row, each scaled to its largest size, with NaN between them.

    Args:
        tiles: The tiles, at least one.

    Returns:
        The mosaic, from -1 to 1: show it with `vmin=-1, vmax=1`.

    Raises:
        ValueError: If there are no tiles.

    Example:
        >>> mosaic(np.array([[[2.0]], [[-3.0]], [[0.0]]]))
        array([[ 1., nan, -1.],
               [nan, nan, nan],
               [ 0., nan, nan]])
    """
    if 0 in tiles.shape:
        raise ValueError(f"tiles has the shape {tiles.shape}: take at least one tile")
    n, height, width = tiles.shape
    columns = math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    largest = np.abs(tiles).max((1, 2), keepdims=True)
    sheet = np.full((rows * columns, height + 1, width + 1), np.nan)
    sheet[:n, :height, :width] = tiles / np.where(largest > 0, largest, 1)
    whole = sheet.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2)
    return whole.reshape(rows * (height + 1), -1)[:-1, :-1]


def mosaics(tiles: Mapping[str, Any]) -> Figure:
    """Show small pictures as mosaics side by side: the atoms of dictionaries, the filters of layers.

    Args:
        tiles: The tiles, `(n, height, width)`, by title.

    Returns:
        The figure.
    """
    figure, grid = canvas(len(tiles), size=(4.4, 4.6))
    for ax, (title, ones) in zip(grid.flat, tiles.items()):
        ax.imshow(mosaic(np.asarray(ones, float)), cmap="gray", vmin=-1, vmax=1)
        ax.set_title(title, fontsize=10)
        ax.set(xticks=[], yticks=[])
    return figure


def image_rows(
    rows: Mapping[str, Any],
    *,
    titles: Sequence[str] = (),
    cmap: str = "gray_r",
    span: tuple[SupportsFloat, SupportsFloat] | None = (0, 1),
    signed: Sequence[str] = (),
    size: SupportsFloat = 1.0,
) -> Figure:
    """Show rows of images, each with its name before it.

    Args:
        rows: The images of each row, `(n, height, width)`, by name.
        titles: The titles of the columns.
        cmap: Matplotlib's name for the color map of images that are not signed.
        span: The values at the ends of the color map; None scales each image to its own largest.
        signed: The names of rows that are drawn in red and blue, up to the largest size in the row, which
            stands beside the name.
        size: The width and height of an image, in inches.

    Returns:
        The figure.
    """
    images = {name: np.asarray(ones) for name, ones in rows.items()}
    columns = max(len(ones) for ones in images.values())
    height = size * max(ones.shape[1] / ones.shape[2] for ones in images.values())
    figure = Figure(
        figsize=(size * columns + (1.6 if any(images) else 0), (height + 0.06) * len(images) + 0.4),
        layout="constrained",
    )
    for across, (name, ones) in zip(figure.subplots(len(images), columns, squeeze=False), images.items()):
        largest = float(np.abs(ones).max()) or 1.0
        for place, ax in enumerate(across):
            ax.set(xticks=[], yticks=[])
            if place >= len(ones):
                ax.set_axis_off()
            elif name in signed:
                ax.imshow(ones[place], cmap="RdBu", vmin=-largest, vmax=largest)
            else:
                low, high = span or (0, float(ones[place].max()) or 1.0)
                ax.imshow(ones[place], cmap=cmap, vmin=low, vmax=high)
        label = f"{name}\n± {largest:.0e}" if name in signed else name
        across[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
        if name == next(iter(images)):
            for ax, title in zip(across, titles):
                ax.set_title(title, fontsize=10)
    return figure


def _place(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where values stand among points that are drawn one apart; before the first, at the border."""
    places = np.arange(len(points), dtype=float)
    if len(points) > 1 and points[0] > points[-1]:
        return np.interp(values, points[::-1], places[::-1])
    return np.interp(values, points, places, left=-0.5)
