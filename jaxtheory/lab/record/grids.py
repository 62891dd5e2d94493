"""Grids: the points of a sweep, the calls that it consists of, and the randomness of each."""

import hashlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxtheory.lab.record.points import Point, shapes_of

if TYPE_CHECKING:
    import jax

COORDINATES = (bool, int, float, str, type(None))
"""What a coordinate is, alone or in tuples."""
RANDOM = ("key", "rng")
"""What a function asks for if it draws: a key of JAX's, or a generator of NumPy's."""
TAKEN = (*RANDOM, "computed", "method", "tolerance", "drop", "indexers")
"""Names that an axis cannot have: xarray's `sel` would take the last four for its own options, in silence."""


@dataclass(frozen=True)
class Grid:
    """The calls that a sweep consists of: one for each point of the axes that are not taken together."""

    name: str
    axes: Mapping[str, Any]  # what can be iterated over, and then a tuple
    together: tuple[str, ...] = ()
    common: tuple[str, ...] = ()  # axes whose points share their draws
    stream: str = ""  # what randomness is folded from; by default the name
    points: tuple[Mapping[str, Any], ...] | None = None  # of a ragged grid; all of them by default

    def __post_init__(self):
        if not self.axes:
            raise ValueError(f"sweep '{self.name}' has no axis: name at least one, as size=(300, 1000)")
        axes = {}
        for name, axis in self.axes.items():
            if name in TAKEN:
                raise ValueError(
                    f"an axis of sweep '{self.name}' is called '{name}', which is taken: name it otherwise"
                )
            if isinstance(axis, str) or not isinstance(axis, Iterable):
                raise TypeError(
                    f"axis '{name}' of sweep '{self.name}' is {axis!r:.80}: give a tuple of its points"
                )
            axes[name] = tuple(_coordinate(self.name, name, value) for value in axis)
        object.__setattr__(self, "axes", axes)
        for name, points in axes.items():
            if not points:
                raise ValueError(f"axis '{name}' of sweep '{self.name}' has no points")
            if len(set(points)) < len(points) or len(set(labels(points))) < len(points):
                raise ValueError(f"axis '{name}' of sweep '{self.name}' names a point twice: {points}")
        for option in ("together", "common"):
            names = getattr(self, option)
            if not isinstance(names, tuple) or not all(isinstance(one, str) for one in names):
                raise TypeError(f"{option}= of sweep '{self.name}' is {names!r:.60}: give names of its axes")
            unknown = set(names) - set(axes)
            if unknown:
                raise ValueError(
                    f"{option}= names {', '.join(sorted(unknown))}, but the axes of sweep '{self.name}' "
                    f"are {', '.join(axes)}"
                )
            if len(set(names)) < len(names):
                raise ValueError(f"{option}= names an axis of sweep '{self.name}' twice: {names}")
        if not isinstance(self.stream, str):
            raise TypeError(f"stream= of sweep '{self.name}' is {self.stream!r:.60}: give a text")
        if self.points is not None and self.together:
            raise ValueError(f"sweep '{self.name}' has points= and together=: a ragged grid has no batches")

    @property
    def apart(self) -> dict[str, tuple[Any, ...]]:
        """The axes along which the function is called again and again."""
        return {name: points for name, points in self.axes.items() if name not in self.together}

    @property
    def batch(self) -> dict[str, tuple[Any, ...]]:
        """The axes that are handed over whole."""
        return {name: self.axes[name] for name in self.together}

    def calls(self) -> Iterator[dict[str, Any]]:
        """Return the coordinates of each call, those taken together left out."""
        if self.points is not None:
            return ({name: point[name] for name in self.axes} for point in self.points)
        apart = self.apart
        return (dict(zip(apart, point)) for point in itertools.product(*apart.values()))

    def caller(self, function: Callable[..., Any], seed: int) -> Callable[[Mapping[str, Any]], Any]:
        """Return what calls a function at the coordinates of a call, with what its signature names.

        Args:
            function: It names axes, and `key` or `rng` where it draws something.
            seed: The seed from which randomness is folded.

        Returns:
            A function of a call's coordinates.

        Raises:
            ValueError: If the function needs an argument that is not an axis, or if nothing can depend on an
                axis.
        """
        named, takes_all, needed = _signature(function)
        named = set(self.axes) | (named & set(RANDOM)) if takes_all else named
        draws = [name for name in RANDOM if name in named]
        if strangers := sorted(needed - set(self.axes) - set(RANDOM)):
            raise ValueError(
                f"the function of sweep '{self.name}' needs {', '.join(strangers)}, but the axes are "
                f"{', '.join(self.axes)}: name such an axis, or set it by functools.partial"
            )
        for name in self.axes:
            if name not in named and (not draws or name in self.common):
                raise ValueError(
                    f"axis '{name}' of sweep '{self.name}' changes nothing: its function neither names it "
                    f"nor draws anything that differs along it; let it take '{name}', key or rng"
                )
        if self.common and not draws:
            raise ValueError(
                f"common= of sweep '{self.name}' shares draws, but its function draws nothing: "
                "let it take key or rng"
            )
        if "rng" in draws and self.together:
            raise ValueError(f"sweep '{self.name}' takes axes together: let its function take key, not rng")
        batch = self.batch

        def call(coordinates: Mapping[str, Any]) -> Any:
            given = {name: value for name, value in {**coordinates, **batch}.items() if name in named}
            makers = {"key": self.key, "rng": self.rng}
            random = {name: makers[name](seed, coordinates) for name in draws}
            return function(**given, **random)

        return call

    def key(self, seed: int, coordinates: Mapping[str, Any]) -> "jax.Array":
        """Return random keys of a call: one, or an array of them with an axis for each taken together.

        A point's key depends on the seed, the stream and the point's coordinates on the axes that are not
        common; so it is the same however many points there are and whichever are taken together.
        """
        import jax

        stream = self.stream or self.name
        points = [
            {**coordinates, **dict(zip(self.together, point))}
            for point in itertools.product(*self.batch.values())
        ]
        words = np.stack([_words(stream, self._own(point)) for point in points])
        if not self.together:
            return _folded(seed, words[0])
        keys = jax.vmap(partial(_folded, seed))(words)
        return keys.reshape([len(points) for points in self.batch.values()])

    def rng(self, seed: int, coordinates: Mapping[str, Any]) -> np.random.Generator:
        """Return NumPy's generator of a call, seeded with the data of its key."""
        return generator(seed, self.stream or self.name, self._own(coordinates))

    def _own(self, coordinates: Mapping[str, Any]) -> dict[str, Any]:
        """The coordinates that a point's draws depend on."""
        return {name: value for name, value in coordinates.items() if name not in self.common}

    def check(self, coordinates: Mapping[str, Any], result: Point, other: Point) -> None:
        """Refuse a result unlike another, or without an axis for each taken together.

        Args:
            coordinates: The coordinates at which the result was computed.
            result: The result.
            other: One of another call.

        Raises:
            ValueError: If their forms differ, or an axis is missing.
        """
        if shapes_of(result) != shapes_of(other):
            raise ValueError(
                f"the points of sweep '{self.name}' differ in form: {shapes_of(other)} before, "
                f"{shapes_of(result)} at {dict(coordinates)}"
            )
        batch = tuple(len(points) for points in self.batch.values())
        for name, array in result.items() if isinstance(result, dict) else [("", result)]:
            if array.shape[: len(batch)] != batch:
                raise ValueError(
                    f"sweep '{self.name}' takes {', '.join(self.together)} together: a call returns arrays "
                    f"that begin with {batch}; {name or 'the array'} has {array.shape} at {dict(coordinates)}"
                )

    def gather(self, results: Sequence[Point]) -> Point:
        """Return the results of all calls as arrays with one leading axis for each of the sweep's."""
        first = results[0]
        if isinstance(first, dict):
            return {key: self._gather([result[key] for result in results]) for key in first}
        return self._gather(results)

    def _gather(self, results: Sequence[np.ndarray]) -> np.ndarray:
        if self.points is not None:
            return self._scattered(results)
        apart = [len(points) for points in self.apart.values()]
        stacked = np.stack(results)
        stacked = stacked.reshape(*apart, *stacked.shape[1:])
        # Axes came in the order "apart, then together"; they go in the order in which they were named.
        came = [*self.apart, *self.together]
        order = [came.index(name) for name in self.axes]
        return stacked.transpose(*order, *range(len(came), stacked.ndim))

    def _scattered(self, results: Sequence[np.ndarray]) -> np.ndarray:
        """The results of a ragged grid, with NaN or an empty text where there is no point."""
        stacked = np.stack(results)
        if stacked.dtype.kind in "biu":
            stacked = stacked.astype(np.float64)
        filled = "" if stacked.dtype.kind == "U" else np.nan
        lengths = [len(points) for points in self.axes.values()]
        whole = np.full((*lengths, *stacked.shape[1:]), filled, stacked.dtype)
        for place, result in zip(self._places(), stacked):
            whole[place] = result
        return whole

    def computed(self) -> np.ndarray:
        """Return which points of the grid there are."""
        lengths = [len(points) for points in self.axes.values()]
        whole = np.full(lengths, self.points is None)
        if self.points is not None:
            for place in self._places():
                whole[place] = True
        return whole

    def _places(self) -> Iterator[tuple[int, ...]]:
        return (
            tuple(points.index(call[name]) for name, points in self.axes.items()) for call in self.calls()
        )


def ragged(
    name: str, points: Any, *, together: tuple[str, ...], common: tuple[str, ...], stream: str
) -> Grid:
    """Return the grid that holds the given points, its axes in the order in which their points come.

    Args:
        name: The sweep's name.
        points: A sequence of dicts of coordinates, all with the same axes.
        together: Axes that are handed over whole, of which a ragged grid can have none: they are refused with
            a message of their own.
        common: Axes whose points share their draws.
        stream: The name from which randomness is folded.

    Returns:
        The grid.

    Raises:
        TypeError: If the points are not a sequence of dicts.
        ValueError: If there are none, if their axes differ, or if one is named twice.
    """
    told = f"points= of sweep '{name}'"
    if not isinstance(points, Sequence) or not all(isinstance(one, Mapping) for one in points):
        raise TypeError(f"{told} is {points!r:.60}: give a list of dicts, as [{{'size': 300, 'draw': 0}}]")
    if not points:
        raise ValueError(f"{told} is empty: give at least one point")
    axes = list(points[0])
    for one in points:
        if set(one) != set(axes):
            raise ValueError(f"{told} have different axes: {', '.join(axes)}, but {', '.join(one) or 'none'}")
    plain = [{axis: _coordinate(name, axis, one[axis]) for axis in axes} for one in points]
    seen = [tuple(one.values()) for one in plain]
    if len(set(seen)) < len(seen):
        twice = next(one for one in plain if seen.count(tuple(one.values())) > 1)
        raise ValueError(f"{told} name {twice} twice")
    found = {axis: tuple(dict.fromkeys(one[axis] for one in plain)) for axis in axes}
    return Grid(name, found, together, common, stream, tuple(plain))


def labels(points: Sequence[Any]) -> tuple[Any, ...]:
    """Return coordinates as an array holds them: numbers, truth values, texts, all else as text."""
    for kinds in ((bool,), (int, float), (str,)):
        if all(type(point) in kinds for point in points):
            return tuple(points)
    return tuple(point if isinstance(point, str) else str(point) for point in points)


def random_key(seed: int, stream: str, coordinates: Mapping[str, Any]) -> "jax.Array":
    """Return the random key of a stream at some coordinates."""
    return _folded(seed, _words(stream, coordinates))


def generator(seed: int, stream: str, coordinates: Mapping[str, Any]) -> np.random.Generator:
    """Return NumPy's generator of a stream at some coordinates, seeded with the data of its key."""
    import jax

    return np.random.default_rng(np.asarray(jax.random.key_data(random_key(seed, stream, coordinates))))


def _signature(function: Callable[..., Any]) -> tuple[set[str], bool, set[str]]:
    """The parameters that a call by keyword can set, whether any can be, and those that it must set."""
    kinds = inspect.Parameter
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature
        return set(), True, set()
    named = {one.name for one in parameters if one.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)}
    already = set(function.keywords) if isinstance(function, partial) else set()
    takes_all = any(one.kind == kinds.VAR_KEYWORD for one in parameters)
    needed = {one.name for one in parameters if one.name in named and one.default is kinds.empty}
    return named - already, takes_all, needed - already


def _folded(seed: int, words: Any) -> "jax.Array":
    import jax

    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), words[0]), words[1])


def _words(stream: str, coordinates: Mapping[str, Any]) -> np.ndarray:
    """Two words that a stream and its coordinates have in every process."""
    place = [(name, coordinates[name]) for name in sorted(coordinates)]
    return np.frombuffer(hashlib.sha256(repr((stream, place)).encode()).digest()[:8], "<u4")


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
