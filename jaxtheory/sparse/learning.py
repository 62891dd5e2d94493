r"""Learners as pairs of functions, and the one loop that drives them all.

A learner is `Learner(init, step)`: `init(start)` makes a state, and `step(state, batch)` returns the next
state with a dictionary of metrics. A state is a record of arrays with the field `step`, the number of steps
taken, so that it can be stored, and learning resumes from it. `run` takes many steps in one compiled program.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.core.records import record
    >>> from jaxtheory.sparse.learning import Learner, bind, run
    >>> @record
    ... class Mean:
    ...     value: jax.Array
    ...     step: jax.Array
    >>> def init(start):
    ...     return Mean(jnp.float32(start), jnp.int32(0))
    >>> def step(state, batch, *, rate):
    ...     left = batch.mean() - state.value
    ...     return Mean(state.value + rate * left, state.step + 1), {"left": left}
    >>> learner = Learner(bind(init), bind(step, rate=0.5))
    >>> state, metrics = run(learner, learner.init(0.0), jnp.array([1.0, 3.0]), steps=3)
    >>> state.value.item(), metrics["left"].tolist()
    (1.75, [2.0, 1.0, 0.5])
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.types import RandomKey

State = TypeVar("State")


class Learner(NamedTuple):
    """A learner: two functions, as `bind` makes them or any others."""

    init: Callable[[Any], Any]
    """The initial state, made from what learning starts at, such as a dictionary: `init(start)`."""
    step: Callable[[Any, Any], tuple[Any, dict[str, Array]]]
    """The next state, and metrics of this step, from a batch of examples: `step(state, batch)`."""


@dataclass(frozen=True)
class _Fixed:
    """A function with options that are part of the program; equal ones share what is compiled."""

    function: Callable[..., Any]
    options: tuple[tuple[str, Any], ...]

    def __call__(self, *args: Any, **numbers: Any) -> Any:
        return self.function(*args, **dict(self.options), **numbers)


def bind(function: Callable[..., Any], *, static: Mapping[str, Any] | None = None, **numbers: Any) -> Partial:
    """Return a function with its options given, for a learner that is not compiled again for each value.

    Args:
        function: A function of positional arguments, and of these options by keyword. It is defined once, at
            the top of a module, rather than again at each call.
        static: Options that are part of the program, such as counts, flags and names. They are hashable.
        **numbers: Options that are numbers or arrays: the compiled program takes them as arguments.

    Returns:
        The function of its positional arguments. It is a pytree whose leaves are the numbers: two of them are
        compiled once if they differ in nothing else, and numbers may be traced.

    Example:
        >>> from jaxtheory.sparse.learning import bind
        >>> bind(pow, mod=10)(7, 2)
        9
    """
    return Partial(_Fixed(function, tuple(sorted((static or {}).items()))), **numbers)


def run(
    learner: Learner,
    state: State,
    data: Any,
    key: RandomKey | None = None,
    *,
    steps: int,
    batch: int | None = None,
) -> tuple[State, dict[str, Array]]:
    """Take many steps of a learner, in one compiled program.

    The minibatch of step `t`, which the state counts, consists of examples drawn with replacement by the key
    `fold_in(key, t)`. Learning therefore resumes from a stored state exactly as if it had never stopped: ten
    steps are four and then six with the same key and data.

    The state keeps its dtypes: with a state in single precision and data in double, each step is rounded to
    single.

    Args:
        learner: The learner whose steps are taken.
        state: The state to continue from: `learner.init(start)`, or one that an earlier run returned.
        data: The examples: an array, or a pytree of arrays, with one example at each place of their first
            axes, which have the same length.
        key: The random key that minibatches are drawn with; without minibatches none is needed.
        steps: The number of steps, at least 1.
        batch: The number of examples in a minibatch, at most as many as there are; by default each step sees
            all examples, in their order.

    Returns:
        The state after the last step, and the metrics of all steps: each has one axis more than that of a
        step, of length `steps`, in front.

    Raises:
        ValueError: If the first axes of the data differ or there are no examples, or if a number is out of
            range.
        TypeError: If a number is not a whole number, the data are not arrays, the state does not count its
            steps, `key` is not a random key, or minibatches are asked for without one.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.core.records import record
        >>> from jaxtheory.sparse.learning import Learner, run
        >>> @record
        ... class Sum:
        ...     value: jnp.ndarray
        ...     step: jnp.ndarray
        >>> def step(state, batch):
        ...     return Sum(state.value + batch.sum(), state.step + 1), {"before": state.value}
        >>> learner = Learner(lambda start: Sum(jnp.float32(start), jnp.int32(0)), step)
        >>> state, metrics = run(learner, learner.init(0.0), jnp.arange(4.0), steps=3)
        >>> state.value.item(), metrics["before"].tolist()
        (18.0, [0.0, 6.0, 12.0])
    """
    steps = checks.count("steps", steps)
    data = _examples(data)
    if not hasattr(state, "step"):
        raise TypeError(f"state is a {type(state).__name__}: take what the learner's init returned")
    if batch is not None:
        batch = checks.count("batch", batch, most=len(jax.tree.leaves(data)[0]))
    if batch is not None or key is not None:
        checks.random_key("key", key)
    step = learner.step if isinstance(learner.step, Partial) else Partial(learner.step)
    return _run(step, state, data, key, steps=steps, batch=batch)


@partial(jax.jit, static_argnames=("steps", "batch"))
def _run(
    step: Partial, state: Any, data: Any, key: RandomKey | None, *, steps: int, batch: int | None
) -> tuple[Any, dict[str, Array]]:
    def kept(after: Any, metrics: dict[str, Array]) -> tuple[Any, dict[str, Array]]:
        # A state of another structure is refused by `scan`, which names what differs.
        same = jax.tree.structure(after) == jax.tree.structure(state)
        return (jax.tree.map(_in_dtype_of, state, after) if same else after), metrics

    def advance(state: Any, _: None) -> tuple[Any, dict[str, Array]]:
        if batch is None:
            return kept(*step(state, data))
        count = len(jax.tree.leaves(data)[0])
        chosen = jax.random.randint(jax.random.fold_in(key, state.step), (batch,), 0, count, jnp.int32)
        return kept(*step(state, jax.tree.map(lambda leaf: leaf[chosen], data)))

    return lax.scan(advance, state, length=steps)


def _in_dtype_of(old: Array, new: Any) -> Any:
    """The new value, in the floating dtype of the old one where both are floating."""
    both = all(jnp.issubdtype(jnp.result_type(one), jnp.floating) for one in (old, new))
    return jnp.asarray(new, old.dtype) if both else new


def _examples(data: Any) -> Any:
    """The data as JAX arrays with at least one example, and first axes of one length."""
    if all(isinstance(leaf, bool | int | float | np.number) for leaf in jax.tree.leaves(data)):
        data = as_array("data", data)  # nested lists of numbers
    data = jax.tree.map(lambda leaf: jnp.asarray(as_array("data", leaf)), data)
    lengths = {leaf.shape[:1] for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1 or not all(length and length[0] for length in lengths):
        shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(data)) or "none"
        raise ValueError(f"data has arrays of shape {shapes}: take first axes of one length, at least 1")
    return data
