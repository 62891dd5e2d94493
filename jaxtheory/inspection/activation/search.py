"""The search for maximizers, as `init` and `step`, and its driver."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PyTree, Real, UInt32

from jaxtheory.core import checks
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, Integers, RandomKey
from jaxtheory.inspection import ranges
from jaxtheory.inspection.activation.problems import (
    Facts,
    Place,
    Problem,
    as_partial,
    checked_start,
    no_prior,
    objective,
)
from jaxtheory.inspection.ranges import Bounds

RATE = 0.05
"""The step size of Adam, the default optimizer."""


@record
class AscentState:
    """Where the search for maximizers is; a pytree. `...` are the axes of the units."""

    x: Float[Array, "..."]
    """The inputs, one for each unit."""
    units: Int[Array, "..."]
    """The units."""
    objective: Float[Array, "..."]
    """The prior less the activation, at the inputs as the step's jitter has shifted them."""
    slope: Float[Array, "..."]
    """The gradient of the objective."""
    optimizer: PyTree
    """The state of the optimizer, for each unit."""
    step: Int[Array, ""]
    """The number of steps taken."""
    key: UInt32[Array, " words"]
    """The data of the random key, which never changes: the step is folded in."""
    implementation: str = static()
    """The implementation of the key."""


@record
class MaximizationResult:
    """Inputs to which units answer most, under a prior. `...` are the axes of the units."""

    x: Float[Array, "..."]
    """The inputs, one for each unit."""
    activation: Float[Array, "..."]
    """The activation of each unit at its input."""
    objective: Float[Array, "..."]
    """The prior less the activation."""
    steps: Int[Array, "..."]
    """The number of steps taken, the same for all units."""


class Ascent(NamedTuple):
    """A search for maximizers as a pair of functions."""

    init: Callable[..., AscentState]
    """The state at inputs to start from: `init(x, units, key)`."""
    step: Callable[[AscentState], AscentState]
    """The state after one step: `step(state)`."""


def ascent(
    features: Callable[[Any, Any], Any],
    params: PyTree,
    *,
    prior: Callable[[Any], Any] | None = None,
    place: Place = None,
    bounds: Bounds = None,
    jitter: int = 0,
    optimizer: Any = None,
) -> Ascent:
    r"""Return the pair of functions that moves inputs towards the maximizers of units, step by step.

    $\min_x R(x) - \langle \Phi(x), e_i \rangle$, where $e_i$ takes the unit $i$ at one place of its map or
    averages over the map. A step follows the gradient by the optimizer's rule, and then brings the input back
    between the bounds.

    Args:
        features: The function $\Phi$ of parameters and one input, whose last axis is that of the units. A
            `jax.tree_util.Partial` keeps the arrays in it out of the compiled program; keep the function for
            the next call, which is compiled for it.
        params: The parameters, as `features` takes them.
        prior: The prior $R$, a function of one input, such as those of `inspection.priors`; by default zero.
        place: The place in a map at which a unit is taken: `"center"`, or one index for each axis before the
            last; by default the average over all places, so that the unit is a channel or a class.
        bounds: The smallest and the largest value of an input, such as `(0, 1)`; by default there is none.
        jitter: The largest shift in pixels of the random shifts before each step, 0 or more; inputs are then
            images `(H, W, C)`.
        optimizer: One of optax's optimizers, which may take a value and its function, as `optax.lbfgs()`
            does; by default Adam with steps of 0.05. Keep it for the next call, too.

    Returns:
        The functions `init(x, units, key)` and `step(state)`, both compiled; the key, by default
        `jax.random.key(0)`, is that of the shifts, which all units have in common.

    Raises:
        TypeError: If a function is none, bounds are not two numbers, or a count is not a whole number.
        ValueError: If bounds are not in order, or the jitter is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import activation
        >>> weights = jnp.array([[3.0, 4.0], [0.0, 1.0]])
        >>> pair = activation.ascent(jnp.matmul, weights, prior=lambda x: jnp.sum(x**2) / 2)
        >>> state = pair.init(jnp.zeros(2), 0)
        >>> pair.step(state).step
        Array(1, dtype=int32)

    References:
        Dumitru Erhan, Yoshua Bengio, Aaron Courville and Pascal Vincent, "Visualizing higher-layer features
        of a deep network", 2009.
        Karen Simonyan, Andrea Vedaldi and Andrew Zisserman, "Deep inside convolutional networks: visualising
        image classification models and saliency maps", 2014.
    """
    jitter = checks.count("jitter", jitter, least=0)
    place = place if place is None or isinstance(place, str) else tuple(int(one) for one in place)
    if isinstance(place, str):
        checks.one_of("place", place, ("center",))
    problem = Problem(
        as_partial("features", features, "parameters and an input"),
        params,
        as_partial("prior", no_prior if prior is None else prior, "an input"),
        ranges.ends(bounds),
    )
    facts = Facts(place, jitter, optimizer or _adam())
    return Ascent(partial(_init, problem, facts), partial(_step, problem, facts))


def maximize(
    features: Callable[[Any, Any], Any],
    params: PyTree,
    x: Real[AnyArray, "..."],
    units: Integers,
    key: RandomKey | None = None,
    *,
    prior: Callable[[Any], Any] | None = None,
    place: Place = None,
    bounds: Bounds = None,
    jitter: int = 0,
    optimizer: Any = None,
    steps: int = 200,
) -> MaximizationResult:
    r"""Find the inputs to which units, channels or classes answer most, under a prior.

    $\min_x R(x) - \langle \Phi(x), e_i \rangle$ from `x`, as `ascent` steps.

    Args:
        features: The function $\Phi$ of parameters and one input, as for `ascent`.
        params: The parameters, as `features` takes them.
        x: The inputs to start from, one for each unit, such as weak noise about gray.
        units: The units, channels or classes, numbered along the last axis of the features.
        key: The random key of the shifts, which all units have in common; by default `jax.random.key(0)`.
        prior: The prior $R$, a function of one input; by default zero.
        place: The place in a map at which a unit is taken, as for `ascent`; by default the average over all.
        bounds: The smallest and the largest value of an input; by default there is none.
        jitter: The largest shift in pixels of the random shifts before each step, 0 or more.
        optimizer: One of optax's optimizers; by default Adam with steps of 0.05.
        steps: The number of steps, at least 1.

    Returns:
        The inputs, with the activations there.

    Raises:
        TypeError: If a function is none, units are not whole numbers, or an argument is complex or not an
            array of numbers.
        ValueError: If an option is out of its range, there is no such unit or place, or `x` does not begin
            with the axes of the units.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import activation
        >>> weights = jnp.array([[3.0, 0.0], [4.0, 1.0]])
        >>> found = activation.maximize(
        ...     lambda params, x: x @ params, weights, jnp.zeros((2, 2)), jnp.array([0, 1]),
        ...     prior=lambda x: jnp.sum(x**2) / 2, steps=500,
        ... )
        >>> found.x.round(2).tolist(), found.activation.round(1).tolist()
        ([[3.0, 4.0], [0.0, 1.0]], [25.0, 1.0])

    References:
        Dumitru Erhan, Yoshua Bengio, Aaron Courville and Pascal Vincent, "Visualizing higher-layer features
        of a deep network", 2009.
        Aravindh Mahendran and Andrea Vedaldi, "Visualizing deep convolutional neural networks using natural
        pre-images", 2016.
    """
    steps = checks.count("steps", steps)
    pair = ascent(
        features, params, prior=prior, place=place, bounds=bounds, jitter=jitter, optimizer=optimizer
    )
    problem, facts = pair.init.args
    x, units, key, back = checked_start(problem, facts, x, units, key)
    return back(_maximize(problem, facts, x, units, key, steps))


@cache
def _adam() -> Any:
    import optax

    return optax.adam(RATE)


def _over_units(function: Callable[..., Any], units: Array) -> Callable[..., Any]:
    """A function of one unit and what belongs to it, over all axes of the units."""
    for _ in range(units.ndim):
        function = jax.vmap(function)
    return function


def _init(problem: Problem, facts: Facts, x: Any, units: Any, key: Any = None) -> AscentState:
    """The state at the start; what the caller gave is checked."""
    x, units, key, _ = checked_start(problem, facts, x, units, key)
    return _started(problem, facts, x, units, key)


@partial(jax.jit, static_argnums=1)
def _started(problem: Problem, facts: Facts, x: Array, units: Array, key: Array) -> AscentState:
    words, implementation = jax.random.key_data(key), str(jax.random.key_impl(key))
    step = jnp.zeros((), jnp.int32)
    x = jnp.clip(x, *(jnp.asarray(one, x.dtype) for one in problem.bounds))
    value, slope = _slope(problem, facts, x, units, _shift_key(words, implementation, step))
    memory = _over_units(facts.optimizer.init, units)(x)
    return AscentState(x, units, value, slope, memory, step, words, implementation)


def _shift_key(words: Array, implementation: str, step: Array) -> Array:
    return jax.random.fold_in(jax.random.wrap_key_data(words, impl=implementation), step)


def _slope(problem: Problem, facts: Facts, x: Array, units: Array, key: Array) -> tuple[Array, Array]:
    """The objective and its gradient for each unit."""

    def one(x: Array, unit: Array) -> Any:
        (value, _), slope = jax.value_and_grad(
            lambda x: objective(problem, facts, x, unit, key), has_aux=True
        )(x)
        return value, slope

    return _over_units(one, units)(x, units)


@partial(jax.jit, static_argnums=1)
def _step(problem: Problem, facts: Facts, state: AscentState) -> AscentState:
    import optax

    optimizer = optax.with_extra_args_support(facts.optimizer)
    key = _shift_key(state.key, state.implementation, state.step)

    def move(x: Array, unit: Array, value: Array, slope: Array, memory: Any) -> tuple[Array, Any]:
        updates, memory = optimizer.update(
            slope,
            memory,
            x,
            value=value,
            grad=slope,
            value_fn=lambda x: objective(problem, facts, x, unit, key)[0],
        )
        return optax.apply_updates(x, updates), memory

    x, memory = _over_units(move, state.units)(
        state.x, state.units, state.objective, state.slope, state.optimizer
    )
    x = jnp.clip(x, *(jnp.asarray(one, x.dtype) for one in problem.bounds))
    step = state.step + 1
    value, slope = _slope(problem, facts, x, state.units, _shift_key(state.key, state.implementation, step))
    return AscentState(x, state.units, value, slope, memory, step, state.key, state.implementation)


@partial(jax.jit, static_argnums=1)
def _maximize(
    problem: Problem, facts: Facts, x: Array, units: Array, key: Array, steps: Array | int
) -> MaximizationResult:
    state = lax.fori_loop(
        0, steps, lambda _, state: _step(problem, facts, state), _started(problem, facts, x, units, key)
    )

    def one(x: Array, unit: Array) -> Any:
        return objective(problem, facts, x, unit, None)

    value, found = _over_units(one, units)(state.x, units)
    return MaximizationResult(state.x, found, value, jnp.broadcast_to(state.step, units.shape))
