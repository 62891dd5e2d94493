"""Figures as pictures that are small enough for a page of all experiments."""

import io
import sys
from typing import Any

FIGURE_LIMIT = 200_000
"""Bytes of a figure: fifty experiments make a page under 10 MB."""
RESOLUTIONS = (120, 100, 80, 60)
"""Dots an inch that a figure is tried at until it is small enough."""
LONGEST_SIDE = 4000
"""Pixels of a figure's longest side at the highest resolution."""


def png(name: str, figure: Any) -> bytes:
    """Return a figure as PNG, at the highest resolution at which it is small enough.

    Args:
        name: The figure's name, for the errors.
        figure: A Matplotlib figure, which is closed.

    Returns:
        The file's content.

    Raises:
        TypeError: If it is not a figure.
        ValueError: If it is of enormous size, or takes too much room at the lowest resolution.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    if not isinstance(figure, Figure):
        raise TypeError(f"figure '{name}' is a {type(figure).__name__}: give a matplotlib Figure")
    width, height = figure.get_size_inches() * RESOLUTIONS[0]
    if not max(width, height) <= LONGEST_SIDE:
        raise ValueError(
            f"figure '{name}' is {width:,.0f} x {height:,.0f} pixels at {RESOLUTIONS[0]} dots an inch: "
            f"make its longest side at most {LONGEST_SIDE // RESOLUTIONS[0]} inches"
        )
    for dpi in RESOLUTIONS:
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi)
        if drawn.tell() > FIGURE_LIMIT:
            full, drawn = Image.open(drawn).convert("RGB"), io.BytesIO()
            full.quantize(256).save(drawn, "png", optimize=True)
        if drawn.tell() <= FIGURE_LIMIT:
            break
    else:
        raise ValueError(
            f"figure '{name}' takes {drawn.tell() // 1000:,} kB even at {dpi} dots an inch, more than "
            f"{FIGURE_LIMIT // 1000} kB: make it smaller or draw fewer pixels"
        )
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(figure)
    return drawn.getvalue()
