"""Results of sweeps as xarray's arrays with named axes, and the means that are read off them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxtheory.lab.record.grids import Grid, labels
from jaxtheory.lab.record.measured import Measured
from jaxtheory.lab.record.points import Point, shapes_of

if TYPE_CHECKING:
    import xarray as xr

Dims = Mapping[str, Sequence[str]] | Sequence[str]
"""Names of the axes that the arrays at a point have: of each array by its name, or of the one."""


def labeled(
    grid: Grid, values: Point, *, unit: str = "", dims: Dims | None = None
) -> xr.DataArray | xr.Dataset:
    """Return a sweep's values with named axes, coordinates and unit.

    Args:
        grid: The grid.
        values: An array, or arrays by name, with a leading axis for each of the grid's.
        unit: The unit of the values.
        dims: Names of the axes that follow the grid's; by default the array's name and a number.

    Returns:
        A `DataArray`, or a `Dataset` for arrays by name. Coordinates are numbers, truth values or texts; a
        tuple becomes a text. A ragged grid has the coordinate `computed`.

    Raises:
        ValueError: If the names do not fit, as `axis_names` says.
        TypeError: If `dims` is neither a sequence of names nor a dictionary of them.
    """
    import xarray as xr

    named = values if isinstance(values, dict) else {grid.name: values}
    names = axis_names(grid, shapes_of(values, len(grid.axes)), dims)
    coordinates: dict[str, Any] = {axis: list(labels(points)) for axis, points in grid.axes.items()}
    if grid.points is not None:
        coordinates["computed"] = (tuple(grid.axes), grid.computed())
    arrays = {
        name: xr.DataArray(array, coordinates, (*grid.axes, *names[name]), name=name, attrs={"unit": unit})
        for name, array in named.items()
    }
    if not isinstance(values, dict):
        return arrays[grid.name]
    return xr.Dataset(arrays, attrs={"unit": unit, "name": grid.name})


def axis_names(
    grid: Grid, shapes: tuple[int, ...] | Mapping[str, tuple[int, ...]], dims: Dims | None
) -> dict[str, tuple[str, ...]]:
    """Return the names of the axes that arrays at a point have.

    Args:
        grid: The grid.
        shapes: The shape of the array at a point, or those of arrays by name.
        dims: The names, as in `labeled`.

    Returns:
        The names for each array; that of a single one is the grid's.

    Raises:
        ValueError: If `dims` names an array that is not there, an axis of the grid, or another number of axes
            than the array has; if an axis would have two lengths; or if an array has the name of an axis.
        TypeError: If `dims` is neither a sequence of names nor a dictionary of them.
    """
    told = f"dims= of sweep '{grid.name}'"
    several = isinstance(shapes, Mapping)
    if several:
        if taken := [name for name in shapes if name in (*grid.axes, "computed")]:
            raise ValueError(
                f"a point of sweep '{grid.name}' has a part called '{taken[0]}', as an axis is: "
                "name it otherwise"
            )
    else:
        shapes = {grid.name: shapes}
        dims = {grid.name: dims} if dims is not None and not isinstance(dims, Mapping) else dims
    dims = {} if dims is None else dims
    if not isinstance(dims, Mapping):
        raise TypeError(f"{told} is {dims!r:.60}: its points are dictionaries, so give names for each array")
    if unknown := set(dims) - set(shapes):
        raise ValueError(f"{told} names {min(unknown)!r}, but its points hold {', '.join(shapes)}")
    found: dict[str, tuple[str, ...]] = {}
    lengths: dict[str, int] = {}
    for name, shape in shapes.items():
        names = dims.get(name, tuple(f"{name}_{k}" for k in range(len(shape))))
        if isinstance(names, str) or not all(isinstance(one, str) and one for one in names):
            raise TypeError(f"{told} is {names!r:.60} for '{name}': give a tuple of names, as ('atom',)")
        found[name] = tuple(names)
        if len(found[name]) != len(shape):
            raise ValueError(
                f"{told} gives {len(found[name])} names for '{name}', whose points have {len(shape)} axes"
            )
        for axis, length in zip(found[name], shape):
            if axis in grid.axes or found[name].count(axis) > 1:
                raise ValueError(f"{told} uses the name '{axis}' twice: it is another axis")
            if lengths.setdefault(axis, length) != length:
                raise ValueError(
                    f"{told} calls axes of lengths {lengths[axis]} and {length} '{axis}': "
                    "give each its own name"
                )
    if several and (taken := [name for name in shapes if name in lengths]):
        raise ValueError(f"{told} calls an axis '{taken[0]}', as one of the arrays is: name it otherwise")
    return found


def mean(
    array: xr.DataArray,
    *,
    over: str | Sequence[str],
    paired: bool = False,
    overlap: float = 0.0,
    of: str = "",
) -> tuple[Measured, ...]:
    """Return the mean over draws with its standard error, at each point of the axes that are left.

    The standard error of n draws is their sample standard deviation over the square root of n; a single draw
    has none, and decides no claim. What a ragged grid lacks is left out. Draws that share data vary less than
    they err: with the correlation rho between any two of n draws whose standard deviation is s, the standard
    error is s sqrt(1/n + rho / (1 - rho)).

    Args:
        array: Numbers, as a sweep gives them, or a difference of two for paired comparisons.
        over: The axis or axes of the draws; `()` for none, so that each point is one draw.
        paired: Whether the numbers are differences within pairs, so that they can be a tie.
        overlap: The correlation between any two draws, from 0, where they are independent, to less than 1.
            For repeated splits of the same examples it is the share of them that is tested.
        of: The name of what n counts, in the plural; by default the name of the axis with an s, or points
            of several axes.

    Returns:
        A measurement for each point of the other axes, in their order; one if no axis is left.

    Raises:
        TypeError: If `array` is not a `DataArray` of numbers, or `over` is not a name.
        ValueError: If `over` names something that is not an axis, `overlap` is not from 0 to less than 1, or
            there is nothing to average.

    Example:
        >>> from jaxtheory.lab import Lab
        >>> errors = Lab().sweep("error", lambda size, draw: size + draw, size=(10, 20), draw=range(5))
        >>> [one.text for one in mean(errors, over="draw")]
        ['size 10: 12.00 ± 0.71 (n = 5)', 'size 20: 22.00 ± 0.71 (n = 5)']

    References:
        Claude Nadeau and Yoshua Bengio, "Inference for the generalization error", 2003.
    """
    axes = _over(array, over)
    is_number = isinstance(overlap, int | float | np.integer | np.floating) and not isinstance(overlap, bool)
    if not is_number or not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap!r:.40}: take a number from 0 to less than 1")
    values = _numbers(array)
    rest = [axis for axis in array.dims if axis not in axes]
    moved = array.transpose(*rest, *axes)
    values = values.transpose([array.dims.index(axis) for axis in moved.dims])
    is_there = _computed(array, moved)
    lengths = [array.sizes[axis] for axis in rest]
    values, is_there = (one.reshape(*lengths, -1) for one in (values, is_there))
    counted = of or _plural(axes)
    places = [place for place in itertools.product(*map(range, lengths)) if is_there[place].any()]
    if not places:
        raise ValueError(f"array '{array.name}' has no point that was computed: there is nothing to average")
    return tuple(
        _mean(values[place][is_there[place]], _at(moved, rest, place), paired, counted, float(overlap))
        for place in places
    )


def _plural(axes: Sequence[str]) -> str:
    """What is counted along axes."""
    if len(axes) > 1:
        return "points"
    return f"{axes[0]}s" if axes and len(axes[0]) > 1 else "draws"


def _over(array: Any, over: Any) -> tuple[str, ...]:
    import xarray as xr

    if isinstance(array, xr.Dataset):
        raise TypeError(f"this Dataset holds {', '.join(map(str, array))}: take one, as dataset['name']")
    if not isinstance(array, xr.DataArray):
        raise TypeError(f"array is a {type(array).__name__}: take a DataArray, as lab.sweep gives it")
    axes = (over,) if isinstance(over, str) else over
    if not isinstance(axes, Sequence) or not all(isinstance(axis, str) for axis in axes):
        raise TypeError(f"over is {over!r:.40}: take the name of an axis, or several in a tuple")
    for axis in axes:
        if axis not in array.dims:
            axes_text = ", ".join(map(str, array.dims)) or "none"
            raise ValueError(f"over names '{axis}', but the axes are {axes_text}")
    if len(set(axes)) < len(axes):
        raise ValueError(f"over names an axis twice: {tuple(axes)}")
    return tuple(axes)


def _numbers(array: xr.DataArray) -> np.ndarray:
    values = np.asarray(array.values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"the array holds {values.dtype}: take numbers")
    return values.astype(np.float64)


def _computed(array: xr.DataArray, moved: xr.DataArray) -> np.ndarray:
    """Which points there are, in the order of the axes that were moved."""
    import xarray as xr

    if "computed" not in array.coords:
        return np.ones(moved.shape, bool)
    return xr.broadcast(moved.coords["computed"], moved)[0].transpose(*moved.dims).values


def _at(array: xr.DataArray, rest: Sequence[str], place: Sequence[int]) -> dict[str, Any]:
    """Where a mean stands: the points of the axes that are left, and those that were chosen before."""
    position = dict(zip(rest, place))
    at = {
        name: coordinate.values[()] if not coordinate.dims else coordinate.values[position[name]]
        for name, coordinate in array.coords.items()
        if name != "computed" and (not coordinate.dims or (name in position and coordinate.dims == (name,)))
    }
    return at | {axis: k for axis, k in position.items() if axis not in at}


def _mean(values: np.ndarray, at: Mapping[str, Any], paired: bool, of: str, overlap: float) -> Measured:
    if len(values) == 1:
        return Measured(values[0], at=at, paired=paired, of=of)
    error = values.std(ddof=1) * math.sqrt(1 / len(values) + overlap / (1 - overlap))
    return Measured(values.mean(), error, len(values), at, paired, of)
