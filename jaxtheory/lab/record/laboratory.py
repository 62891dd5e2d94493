"""The lab that an experiment is handed: sweeps, stored intermediates, trainings, figures and notes."""

import contextlib
import functools
import inspect
import itertools
import json
import os
import shutil
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxtheory.lab.errors import Broken, Failure
from jaxtheory.lab.progress import Display, Task, in_notebook
from jaxtheory.lab.record import storage
from jaxtheory.lab.record.claims import Claim, Claims
from jaxtheory.lab.record.clock import Clock
from jaxtheory.lab.record.grids import Grid, generator, ragged, random_key
from jaxtheory.lab.record.pictures import png
from jaxtheory.lab.record.points import as_point, shapes_of
from jaxtheory.lab.record.sweeps import Dims, axis_names, labeled

if TYPE_CHECKING:
    import jax
    import xarray as xr

BETWEEN_CHECKPOINTS = 5.0
"""Seconds that a killed training loses at most, beyond the segment that it was in."""


class Training(NamedTuple):
    """What a training ends with."""

    state: Any
    """The last state."""
    metrics: Any
    """The metrics of all segments, with a new leading axis."""
    seconds: float
    """How long it took, over all the times that it was stopped; compilation is included."""


class Lab:
    """Keep what an experiment computes, so that a rerun computes only what is missing.

    Args:
        directory: The folder in which a run is kept. By default it is a temporary one that disappears with
            the lab: nothing is resumed, as a notebook's functions may change from call to call.
        data_dir: A folder of data; by default the one that the environment names in JAXTHEORY_DATA.
        quick: Whether this is the small form.
        seed: The seed from which all randomness is folded.
        display: The display on which progress is shown; by default bars in a terminal, lines elsewhere.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        data_dir: Path | str | None = None,
        quick: bool = False,
        seed: int = 0,
        display: Display | None = None,
    ):
        data_dir = data_dir or os.environ.get("JAXTHEORY_DATA")
        if directory is None:
            directory = tempfile.mkdtemp(prefix="jaxtheory-")
            weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self.directory = Path(directory)
        self.data_dir = Path(data_dir) if data_dir else None
        self.quick = quick
        self.seed = seed
        self.data: list[str] = []
        self.notes: list[str] = []
        self.figures: list[dict[str, str]] = []
        self._display = display or Display()
        self._used: set[str] = set()
        self._left: Counter[str] | None = None  # lines of a stopped run that this one has not come to
        self._clock = Clock(self.directory / "seconds.json")

    @property
    def seconds(self) -> float:
        """How long the run has taken, with the time before it was stopped."""
        return self._clock.seconds

    def sweep(
        self,
        name: str,
        function: Callable[..., Any],
        /,
        *,
        together: str | Sequence[str] = (),
        common: str | Sequence[str] = (),
        stream: str = "",
        points: Sequence[Mapping[str, Any]] | None = None,
        dims: Dims | None = None,
        unit: str = "",
        **axes: Iterable[Any],
    ) -> "xr.DataArray | xr.Dataset":
        """Evaluate a function on a grid of independent points, each stored when it is done.

        The function is called with the axes that its signature names, and with `key` (a random key of JAX's)
        or `rng` (a generator of NumPy's) if its signature names them. An axis that it does not name, as
        `draw`, gives each of its points draws of their own. Randomness is folded from the lab's seed, the
        stream, and the point's coordinates on the axes that are not in `common`. The function returns a
        number, an array, or a dictionary of those, which may be nested.

        Args:
            name: The sweep's name, unique in the experiment.
            function: The function that is called at each point.
            together: Axes that are handed over whole, as a tuple of their points, in one call: the function
                returns a leading axis for each, in the order named here, and `key` has these axes too.
            common: Axes whose points share their draws, for paired comparisons.
            stream: The name from which randomness is folded in place of the sweep's; sweeps of one stream
                share their draws.
            points: The points of a ragged grid, each a dictionary of coordinates, in place of axes.
            dims: Names of the axes of arrays at a point: a tuple, or a dictionary of tuples for points that
                are dictionaries. By default they are the array's name and a number, as `codes_0`.
            unit: The unit of the values, kept as `attrs["unit"]`.
            **axes: The points of each axis: numbers, texts, or tuples of them.

        Returns:
            A `DataArray` whose axes are named, or a `Dataset` of them for dictionaries. Parts of nested
            dictionaries are called `outer/inner`. Where a ragged grid has no point there is NaN, and the
            coordinate `computed` is false.

        Raises:
            ValueError: For arguments that do not make a grid, an axis on which nothing can depend, or points
                of different shapes.
            TypeError: For axes, coordinates or values that cannot be stored.

        Example:
            >>> errors = Lab().sweep("squares", lambda x, draw: x**2 + draw, x=(1, 2, 3), draw=range(2))
            >>> errors.sel(x=3).values.tolist()
            [9, 10]
        """
        together, common = map(_names, (together, common))
        if points is not None and axes:
            raise ValueError(f"sweep '{name}' has points= and axes ({', '.join(axes)}): give one of the two")
        if points is not None:
            grid = ragged(name, points, together=together, common=common, stream=stream)
        else:
            grid = Grid(name, axes, together, common, stream)
        call_at = grid.caller(function, self.seed)
        folder = self._folder("points", name)
        batch = grid.batch
        shared = (stream, sorted(common)) if stream or common else ()
        paths = [(folder / f"{_digest(call, batch, shared)}.npz", call) for call in grid.calls()]
        stored = [self._stored(path, {**call, **batch}) for path, call in paths]
        missing = [i for i, one in enumerate(stored) if one is None]
        if missing:
            with self._task(name, len(paths), len(paths) - len(missing)) as task:
                for i in missing:
                    path, call = paths[i]
                    point = as_point(name, call, call_at(call))
                    grid.check(call, point, next((one for one in stored if one is not None), point))
                    axis_names(grid, shapes_of(point, len(batch)), dims)
                    storage.write_tree(path, point, {**call, **batch})
                    stored[i] = point
                    self._clock.store()
                    task.advance()
        return labeled(grid, grid.gather(stored), unit=unit, dims=dims)

    def key(self, name: str, /, **coordinates: Any) -> "jax.Array":
        """Return a random key for use outside sweeps, folded from the lab's seed and a name.

        Args:
            name: The name of a stream. That of a sweep, with the coordinates of a point on the axes that are
                not common, gives that point's key.
            **coordinates: The coordinates from which the key is folded as well.

        Returns:
            The key.
        """
        return random_key(self.seed, name, coordinates)

    def rng(self, name: str, /, **coordinates: Any) -> np.random.Generator:
        """Return a NumPy generator for use outside sweeps; see `key`.

        Args:
            name: The name of a stream.
            **coordinates: The coordinates with which the generator is seeded as well.

        Returns:
            A new generator, which gives the same numbers at each call.
        """
        return generator(self.seed, name, coordinates)

    def load(self, source: ModuleType | Callable[..., Any], /, **options: Any) -> Any:
        """Load data, and name it for the findings with its digest.

        Args:
            source: A module of data with a function `load`, or such a function. It takes the lab's folder of
                data as `source`, and returns what has a `description` and a `digest`.
            **options: Further arguments of the source, such as `seed`.

        Returns:
            The data.

        Raises:
            TypeError: If the source cannot be called, or its data lack a `description` or a `digest`.

        Example:
            >>> from jaxtheory.data import mnist
            >>> lab = Lab()
            >>> len(lab.load(mnist).train_labels), len(lab.data)
            (4000, 1)
        """
        function = getattr(source, "load", source)
        if not callable(function):
            raise TypeError(f"source is {source!r:.60}: take a module of data with load, or such a function")
        if _takes(function, "source"):
            options = {"source": self.data_dir} | options
        if _takes(function, "seed"):
            options = {"seed": self.seed} | options
        data = function(**options)
        if not all(isinstance(getattr(data, name, None), str) for name in ("description", "digest")):
            raise TypeError(
                f"data of type {type(data).__name__} has no description and digest: "
                "load it yourself, and name it with lab.uses(...)"
            )
        self.uses(f"{data.description} (SHA-256 {data.digest[:12]})")
        return data

    def cached(self, name: str, function: Callable[..., Any]) -> Any:
        """Return what a function returns, stored at the first call and loaded at the next.

        Args:
            name: The name, unique in the experiment.
            function: Takes no argument, or `progress`, to be called as `progress(done, total)`. It returns
                arrays in dicts, tuples and lists.

        Returns:
            The same with NumPy arrays.

        Raises:
            TypeError: For a result that is not made of arrays, dicts, tuples and lists.

        Example:
            >>> Lab().cached("powers", lambda: {"of two": 2 ** np.arange(4)})
            {'of two': array([1, 2, 4, 8])}
        """
        folder = self._folder("cache", name)
        path = folder.with_name(f"{folder.name}.npz")
        stored = self._stored(path, {"cached": name})
        if stored is not None:
            return stored["value"]
        with self._task(name, None) as task:
            value = function(progress=task) if _takes(function, "progress") else function()
        storage.write_tree(path, {"value": value}, {"cached": name})
        self._clock.store()
        return storage.as_read(value)

    def train(
        self, name: str, segment: Callable[[Any], tuple[Any, Any]], state: Any, segments: int
    ) -> Training:
        """Drive a training segment by segment, with checkpoints: one that was killed resumes from the newest.

        Args:
            name: The name, unique in the experiment.
            segment: A jitted function from a state to the state some steps later and metrics, both pytrees
                of arrays; what is random in it is drawn from a key in the state.
            state: The state at the start.
            segments: The number of segments to run.

        Returns:
            The last state, the metrics of all segments with a new leading axis, and the seconds that all of
            them took, whatever stopped the training in between.

        Raises:
            ValueError: For no segments, or fewer than have been run already.

        Example:
            >>> halving = Lab().train("halving", lambda x: (x / 2, x**2), np.float32(1), segments=3)
            >>> halving.state.item(), halving.metrics.tolist()
            (0.125, [1.0, 0.25, 0.0625])
        """
        import jax

        from jaxtheory.lab.record.checkpoints import Checkpoints

        if segments < 1:
            raise ValueError(f"training '{name}' has {segments} segments: give at least one")
        state = jax.tree.map(jax.numpy.asarray, state)
        with Checkpoints(self._folder("checkpoint", name), self._display.say) as checkpoints:
            done, state, history, before = checkpoints.newest(state)
            if done > segments:
                raise ValueError(
                    f"training '{name}' has gone on for {done} segments in {self.directory}, more than "
                    f"{segments}: ask for as many, or keep this run elsewhere"
                )
            if done < segments:
                with self._task(name, segments, done) as task:
                    saved = started = time.monotonic()
                    for number in range(done + 1, segments + 1):
                        state, metrics = segment(state)
                        # Waiting keeps the progress honest and the memory small.
                        history.append(jax.tree.map(np.asarray, jax.block_until_ready(metrics)))
                        now = time.monotonic()
                        if number == segments or now - saved >= BETWEEN_CHECKPOINTS:
                            seconds = before + now - started
                            checkpoints.save(number, state, history, seconds)
                            self._clock.store()
                            saved = time.monotonic()
                        task.advance()
                before = seconds
        return Training(state, jax.tree.map(lambda *parts: np.stack(parts), *history), before)

    def figure(self, name: str, figure: Any, caption: str = "") -> None:
        """Keep a Matplotlib figure as a picture, and close it.

        Args:
            name: The name, unique in the experiment.
            figure: The Matplotlib figure.
            caption: The sentence below the figure.

        Raises:
            ValueError: For a figure of enormous size.
        """
        picture = png(name, figure)
        file = f"figures/{storage.slug(name)}.png"
        storage.write(self.directory / file, lambda target: target.write(picture))
        self.figures = [one for one in self.figures if one["name"] != name]
        self.figures.append({"name": name, "file": file, "caption": caption})
        if in_notebook():
            from IPython.display import Image, display

            display(Image(picture))

    def record(self, **figures: Any) -> None:
        """Add a line to `metrics.jsonl`; one that a stopped run left there already is not written again."""
        line = json.dumps(storage.as_json(figures), ensure_ascii=False)
        path = self.directory / "metrics.jsonl"
        if self._left is None:
            self._left = Counter(storage.read_lines(path))
        if self._left[line] > 0:
            self._left[line] -= 1
        else:
            storage.append_line(path, line)

    def note(self, text: str) -> None:
        """Add a line to the findings. Notes belong outside the points of a sweep, which may be loaded."""
        self.notes.append(str(text))

    def uses(self, description: str) -> None:
        """Name the data, for the findings; what is computed from here on is kept for this data only."""
        if description not in self.data:
            self.data.append(str(description))

    @contextlib.contextmanager
    def progress(self, label: str, total: int | None = None) -> Iterator[Task]:
        """Show the progress of the experiment's own work.

        Args:
            label: The name of the work.
            total: The number of pieces of work, if it is known.

        Yields:
            The task, to be advanced with `.advance(n=1)`.
        """
        with self._task(label, total) as task:
            yield task

    def say(self, text: str) -> None:
        """Show a line of text beside the progress."""
        self._display.say(text)

    def _task(self, label: str, total: int | None, before: int = 0):
        return self._display.task(label, total, before)

    def _folder(self, kind: str, name: str) -> Path:
        """Where something is kept, apart for each name, each seed and each data that was named before."""
        place = f"{kind}/{name}"
        if place in self._used:
            raise ValueError(
                f"the name '{name}' is used twice in this experiment: give each its own, "
                "and each run a new Lab"
            )
        self._used.add(place)
        data = f"-{sha256(repr(self.data).encode()).hexdigest()[:8]}" if self.data else ""
        seed = f"-seed{self.seed}" if self.seed else ""
        return self.directory / kind / f"{storage.slug(name)}{data}{seed}"

    def _stored(self, path: Path, about: dict[str, Any]) -> Any:
        """What is stored in a file; None, with a line that says why, if it cannot be used."""
        try:
            return storage.read_tree(path, about)
        except FileNotFoundError:
            return None
        except Broken as error:
            self.say(f"{error}: computing it again")
            return None
        except OSError as error:
            raise Failure(f"cannot read {path}: {error.strerror or error}") from error


def experiment(run: Callable[..., Sequence[Claim]]) -> Callable[..., Claims]:
    """Make the lab of an experiment's `run(config, lab)` optional, and its claims a table in notebooks.

    Args:
        run: The function of a configuration and a lab, which returns a list of claims.

    Returns:
        The same function, whose lab is a new one by default.
    """

    @functools.wraps(run)
    def with_default_lab(config: Any, lab: Lab | None = None) -> Claims:
        claims = run(config, Lab() if lab is None else lab)
        if not isinstance(claims, list | tuple):
            raise TypeError(f"run returned {claims!r:.80}: return a list of claims")
        return Claims(claims)

    return with_default_lab


def _names(axes: Any) -> Any:
    """One name or several as a tuple; what is neither stays, to be refused."""
    if isinstance(axes, str):
        return (axes,)
    return tuple(axes) if isinstance(axes, list | tuple) else axes


def _takes(function: Callable[..., Any], parameter: str) -> bool:
    """Whether a function's signature names a parameter that no partial has set."""
    try:
        found = inspect.signature(function).parameters.get(parameter)
    except (TypeError, ValueError):  # builtins without a signature
        return False
    already = function.keywords if isinstance(function, functools.partial) else {}
    return found is not None and parameter not in already


def _digest(call: dict[str, Any], batch: dict[str, Any], shared: tuple[Any, ...]) -> str:
    place = list(itertools.chain(call.items(), batch.items()))
    return sha256(repr([place, *shared] if shared else place).encode()).hexdigest()[:24]
