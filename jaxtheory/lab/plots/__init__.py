"""The plots that experiments share: of sweeps against an axis, by category and over planes, and of pictures.

Conventions: values are `xarray.DataArray`s as sweeps give them. `x`, `hue`, `style` and `col` name what is
drawn along the abscissa, in colors, in line styles and in panels side by side; `over` names the draws, of
which the plot shows a mean and the spread. Points that are NaN, as a ragged sweep has them, are left out. A
label is the `long_name` or name of an array, with the `unit` of its `attrs`. Figures are made without pyplot
and need no backend; `axes=` draws into those of a figure that is at hand, as `canvas` makes them.
"""

from jaxtheory.lab.plots.categories import dots, histogram
from jaxtheory.lab.plots.lines import panel
from jaxtheory.lab.plots.parts import PALETTE, canvas, colors_of
from jaxtheory.lab.plots.pictures import image_rows, mosaic, mosaics, phase_diagram
from jaxtheory.lab.plots.surfaces import surface

__all__ = [
    "PALETTE",
    "canvas",
    "colors_of",
    "dots",
    "histogram",
    "image_rows",
    "mosaic",
    "mosaics",
    "panel",
    "phase_diagram",
    "surface",
]
