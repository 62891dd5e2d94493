"""Sweeps: a named grid of independent points, and the figures that are read off it."""

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxtheory.lab.record.claims import Measured

COORDINATES = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Sweep:
    """The values of a function on a grid: one leading axis of `values` for each of `axes`."""

    name: str
    axes: Mapping[str, tuple[Any, ...]]
    values: np.ndarray | dict[str, np.ndarray]  # (*lengths of the axes, *shape of a point)
    unit: str = ""

    def __getitem__(self, key: str) -> "Sweep":
        """The sweep of one of the figures of a function that returned a dictionary."""
        if not isinstance(self.values, dict):
            raise TypeError(
                f"the points of sweep '{self.name}' are no dictionaries: take it without [{key!r}]"
            )
        if key not in self.values:
            raise KeyError(f"sweep '{self.name}' holds {', '.join(self.values)}, not {key!r}")
        return replace(self, name=f"{self.name}: {key}", values=self.values[key])

    def at(self, **coordinates: Any) -> Measured:
        """The mean over the axes that are left, with its standard error over their points.

        Args:
            **coordinates: A coordinate for each of the axes that are held fixed.

        Returns:
            The mean; a single point has no standard error.

        Raises:
            ValueError: For an axis or a coordinate that the sweep has not.
        """
        left = self.numbers()
        # From the last axis on, so that the positions of the others stay.
        for position, (name, points) in reversed(list(enumerate(self.axes.items()))):
            if name in coordinates:
                left = np.take(left, self._position(name, points, coordinates[name]), position)
        for name in coordinates:
            if name not in self.axes:
                raise ValueError(f"sweep '{self.name}' has the axes {', '.join(self.axes)}, not '{name}'")
        return _mean(left.ravel(), at=coordinates)

    def _position(self, name: str, points: tuple[Any, ...], value: Any) -> int:
        if value not in points:
            raise ValueError(f"axis '{name}' of sweep '{self.name}' has the points {points}, not {value!r}")
        return points.index(value)

    def numbers(self) -> np.ndarray:
        """The values, one number a point."""
        if isinstance(self.values, dict):
            raise TypeError(f"the points of sweep '{self.name}' are dictionaries: take one, as sweep['name']")
        shape = self.values.shape[len(self.axes) :]
        if shape:
            raise TypeError(
                f"the points of sweep '{self.name}' are arrays {shape}: reduce them to numbers first"
            )
        return np.asarray(self.values, np.float64)


def paired_difference(a: Sweep, b: Sweep, over: str = "draw") -> list[Measured]:
    """Mean difference of two sweeps over the same grid, paired over one axis.

    Args:
        a: The sweep that is subtracted from.
        b: The one that is subtracted, over the same axes.
        over: The axis of the pairs.

    Returns:
        One measurement for each point of the other axes, with its standard error over the pairs.

    Raises:
        ValueError: If the sweeps' axes differ or lack the axis of the pairs.
    """
    if dict(a.axes) != dict(b.axes) or list(a.axes) != list(b.axes):
        raise ValueError(
            f"sweeps '{a.name}' and '{b.name}' have different axes: {dict(a.axes)}, {dict(b.axes)}"
        )
    if over not in a.axes:
        raise ValueError(f"sweep '{a.name}' has the axes {', '.join(a.axes)}, not '{over}'")
    difference = np.moveaxis(a.numbers() - b.numbers(), list(a.axes).index(over), -1)
    others = {name: points for name, points in a.axes.items() if name != over}
    places = itertools.product(*others.values())
    return [
        _mean(row, at=dict(zip(others, place)), paired=True)
        for place, row in zip(places, difference.reshape(-1, difference.shape[-1]))
    ]


def _mean(values: np.ndarray, *, at: Mapping[str, Any], paired: bool = False) -> Measured:
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
    return Measured(values.mean(), error, len(values), dict(at), paired)


@dataclass(frozen=True)
class Grid:
    """The calls that a sweep consists of: one for each point of the axes that are not taken together."""

    name: str
    axes: Mapping[str, Any]  # what can be iterated over, and then a tuple
    together: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.axes:
            raise ValueError(f"sweep '{self.name}' has no axis: name at least one, as size=(300, 1000)")
        if "key" in self.axes:
            raise ValueError(
                f"an axis of sweep '{self.name}' is called 'key', as the random key is: name it otherwise"
            )
        axes = {}
        for name, axis in self.axes.items():
            if isinstance(axis, str) or not isinstance(axis, Iterable):
                raise TypeError(
                    f"axis '{name}' of sweep '{self.name}' is {axis!r:.80}: give a tuple of its points"
                )
            axes[name] = tuple(_coordinate(self.name, name, value) for value in axis)
        object.__setattr__(self, "axes", axes)
        for name, points in axes.items():
            if not points:
                raise ValueError(f"axis '{name}' of sweep '{self.name}' has no points")
            if len(set(points)) < len(points):
                raise ValueError(f"axis '{name}' of sweep '{self.name}' names a point twice: {points}")
        unknown = set(self.together) - set(axes)
        if unknown:
            raise ValueError(
                f"together= names {', '.join(sorted(unknown))}, but the axes of sweep '{self.name}' "
                f"are {', '.join(axes)}"
            )
        if len(set(self.together)) < len(self.together):
            raise ValueError(f"together= names an axis of sweep '{self.name}' twice: {self.together}")

    @property
    def apart(self) -> dict[str, tuple[Any, ...]]:
        """The axes along which the function is called again and again."""
        return {name: points for name, points in self.axes.items() if name not in self.together}

    def calls(self) -> Iterator[dict[str, Any]]:
        """The coordinates of each call, those taken together left out."""
        apart = self.apart
        return (dict(zip(apart, point)) for point in itertools.product(*apart.values()))

    def key(self, seed: int, coordinates: Mapping[str, Any]):
        """Random keys of a call: one, or an array of them with an axis for each that is taken together.

        A point's key depends on the seed, the sweep's name and the point's coordinates only, so it is the
        same however many points there are and whichever are taken together.
        """
        import jax

        def fold(words):
            return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), words[0]), words[1])

        batch = [self.axes[name] for name in self.together]
        words = np.stack(
            [
                np.frombuffer(self._hash({**coordinates, **dict(zip(self.together, point))})[:8], "<u4")
                for point in itertools.product(*batch)
            ]
        )
        return jax.vmap(fold)(words).reshape(*map(len, batch)) if batch else fold(words[0])

    def _hash(self, coordinates: Mapping[str, Any]) -> bytes:
        place = [(name, coordinates[name]) for name in sorted(coordinates)]
        return hashlib.sha256(repr((self.name, place)).encode()).digest()

    def gather(
        self, results: Sequence[np.ndarray | dict[str, np.ndarray]]
    ) -> np.ndarray | dict[str, np.ndarray]:
        """The results of all calls as arrays with one leading axis for each of the sweep's."""
        first = results[0]
        if isinstance(first, dict):
            return {key: self._gather([result[key] for result in results]) for key in first}
        return self._gather(results)

    def _gather(self, results: Sequence[np.ndarray]) -> np.ndarray:
        apart = [len(points) for points in self.apart.values()]
        stacked = np.stack(results)
        stacked = stacked.reshape(*apart, *stacked.shape[1:])
        # Axes came in the order "apart, then together"; they go in the order in which they were named.
        came = [*self.apart, *self.together]
        order = [came.index(name) for name in self.axes]
        return stacked.transpose(*order, *range(len(came), stacked.ndim))

    def check(
        self,
        coordinates: Mapping[str, Any],
        result: np.ndarray | dict[str, np.ndarray],
        other: np.ndarray | dict[str, np.ndarray],
    ) -> None:
        """Raises ValueError for a result unlike another, or without an axis for each taken together."""
        if _form(result) != _form(other):
            raise ValueError(
                f"the points of sweep '{self.name}' differ in form: {_form(other)} before, "
                f"{_form(result)} at {dict(coordinates)}"
            )
        batch = tuple(len(self.axes[name]) for name in self.together)
        for name, array in result.items() if isinstance(result, dict) else [("", result)]:
            if array.shape[: len(batch)] != batch:
                raise ValueError(
                    f"sweep '{self.name}' takes {', '.join(self.together)} together: a call returns arrays "
                    f"that begin with {batch}; {name or 'the array'} has {array.shape} at {dict(coordinates)}"
                )


def as_point(sweep: str, coordinates: Mapping[str, Any], result: Any) -> np.ndarray | dict[str, np.ndarray]:
    """What a sweep's function returned, as arrays; TypeError for what is no number, array or dict of them."""
    named = result if isinstance(result, Mapping) else {"": result}
    try:
        # Copies, as the function may write its next result into the same array.
        arrays = {str(key): np.array(part) for key, part in named.items()}
    except (ValueError, TypeError):  # rows of different lengths, keys for random numbers
        arrays = {}
    if not arrays or any(array.dtype.hasobject for array in arrays.values()):
        shown = " ".join(repr(result).split())
        raise TypeError(
            f"a point of sweep '{sweep}' is a number, an array or a dictionary of them; "
            f"the function returned {type(result).__name__} {shown:.80} at {dict(coordinates)}"
        )
    return arrays if isinstance(result, Mapping) else arrays[""]


def _form(result: np.ndarray | dict[str, np.ndarray]) -> Any:
    return {key: array.shape for key, array in result.items()} if isinstance(result, dict) else result.shape


def _coordinate(sweep: str, axis: str, value: Any) -> Any:
    """A coordinate as plain Python, whose text is the same in every process."""
    if isinstance(value, tuple | list):
        return tuple(_coordinate(sweep, axis, part) for part in value)
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, COORDINATES):
        raise TypeError(
            f"axis '{axis}' of sweep '{sweep}' holds a {type(value).__name__}: coordinates are numbers, "
            "texts or tuples of them, so that a stored point is found again"
        )
    return value
