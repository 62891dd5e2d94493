"""Schemes of stochastic approximation as pairs of functions, and the loop that drives them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial
from jaxtyping import Array, Int32, PyTree

from jaxtheory.core import checks
from jaxtheory.core.records import record
from jaxtheory.core.types import RandomKey, RealScalar
from jaxtheory.landscape.stochastic_approximation.derivatives import floating


@record
class ApproximationState:
    """The state of a scheme, from which it resumes."""

    x: PyTree
    """The iterate."""
    step: Int32[Array, ""]
    """The number of steps taken."""


class Scheme(NamedTuple):
    """A scheme of stochastic approximation: two functions, which are pytrees with the numbers as leaves."""

    init: Callable[[Any], ApproximationState]
    """The state before the first step: `init(x)`."""
    step: Callable[[ApproximationState, Any], ApproximationState]
    """The next state: `step(state, key)`, where the key's noise depends on the number of steps taken."""


@dataclass(frozen=True)
class _With:
    """A rule with the user's function; equal ones share what is compiled."""

    rule: Callable[..., Any]
    function: Callable[..., Any]

    def __call__(self, *args: Any, **numbers: Any) -> Any:
        return self.rule(self.function, *args, **numbers)


def robbins_monro(gradient: Callable[..., Any], *, gain: RealScalar, delay: RealScalar = 0.0) -> Scheme:
    r"""Return the scheme of Robbins and Monro: $x_t = x_{t-1} - \frac{a}{t + t_0} g(x_{t-1})$, $g$ noisy.

    Args:
        gradient: The function `gradient(x, key)`, whose mean over the key is a gradient, or any function
            whose zero is sought.
        gain: The gain $a$, positive.
        delay: The number $t_0 \ge 0$, which makes the first steps smaller.

    Returns:
        The scheme.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> init, step = stochastic_approximation.robbins_monro(lambda x, key: x - 2.0, gain=0.5)
        >>> float(step(init(jnp.zeros(())), jax.random.key(0)).x)
        1.0

    References:
        Robbins and Monro, A stochastic approximation method, 1951.
        Chung, On a stochastic approximation method, 1954.
    """
    checks.positive("gain", gain)
    checks.nonnegative("delay", delay)
    return Scheme(Partial(_begin), Partial(_With(_robbins_monro, gradient), gain=gain, delay=delay))


def kiefer_wolfowitz(
    value: Callable[..., Any],
    *,
    gain: RealScalar,
    width: RealScalar,
    exponent: RealScalar = 1 / 6,
    delay: RealScalar = 0.0,
) -> Scheme:
    r"""Return the scheme of Kiefer and Wolfowitz, which follows differences of noisy values.

    $x_t = x_{t-1} - \frac{a}{t + t_0} g_t$ with the components
    $g_{t,j} = \frac{F(x_{t-1} + c_t e_j) - F(x_{t-1} - c_t e_j)}{2 c_t}$ and $c_t = c (t + t_0)^{-\gamma}$.
    All evaluations of a step have independent noise.

    Args:
        value: The function `value(x, key) -> scalar`, whose mean over the key is minimized.
        gain: The gain $a$, positive.
        width: The width $c$ of the first differences, positive.
        exponent: The exponent $\gamma \ge 0$; 1/6 balances the bias of the differences and their noise.
        delay: The number $t_0 \ge 0$, which makes the first steps smaller.

    Returns:
        The scheme; a step evaluates the function twice for each entry of $x$.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> def value(x, key):
        ...     return jnp.sum((x - 2.0) ** 2) / 2
        >>> init, step = stochastic_approximation.kiefer_wolfowitz(value, gain=0.5, width=0.1)
        >>> step(init(jnp.zeros(2)), jax.random.key(0)).x.round(4).tolist()
        [1.0, 1.0]

    References:
        Kiefer and Wolfowitz, Stochastic estimation of the maximum of a regression function, 1952.
        Fabian, Stochastic approximation of minima with improved asymptotic speed, 1967.
    """
    for name, number in (("gain", gain), ("width", width)):
        checks.positive(name, number)
    for name, number in (("exponent", exponent), ("delay", delay)):
        checks.nonnegative(name, number)
    numbers = {"gain": gain, "width": width, "exponent": exponent, "delay": delay}
    return Scheme(Partial(_begin), Partial(_With(_kiefer_wolfowitz, value), **numbers))


def iterates(scheme: Scheme, x: PyTree, key: RandomKey, *, times: Sequence[int]) -> PyTree:
    """Run a scheme, and return its iterates after given numbers of steps.

    Everything is one compiled program, which is not compiled again for other numbers in the scheme. Map over
    `x` and `key` for many runs.

    Args:
        scheme: The scheme.
        x: The start, an array or a pytree of floating-point arrays.
        key: The random key; the noise of step `t` is drawn from `fold_in(key, t)`, t = 0, 1, ....
        times: The rising numbers of steps, each at least 1, after which the iterate is returned.

    Returns:
        The iterates, shaped like `x` with a leading axis for the times.

    Raises:
        TypeError: If `key` is not a random key, a time is not a whole number, or `x` is not real.
        ValueError: If there are no times, or they do not rise from 1 on.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> scheme = stochastic_approximation.robbins_monro(lambda x, key: x, gain=0.5)
        >>> stochastic_approximation.iterates(scheme, jnp.ones(()), jax.random.key(0), times=(1, 2))
        Array([0.5  , 0.375], dtype=float32)
    """
    checks.random_key("key", key)
    times = tuple(checks.count("times", time) for time in times)
    if not times or any(after <= before for before, after in pairwise(times)):
        raise ValueError(f"times are {times}: take rising numbers of steps, at least one")
    parts = [part if isinstance(part, Partial) else Partial(part) for part in scheme]
    return _iterates(Scheme(*parts), floating(x), key, jnp.asarray(np.diff((0, *times)), jnp.int32))


def _begin(x: PyTree) -> ApproximationState:
    return ApproximationState(floating(x), jnp.zeros((), jnp.int32))


def _robbins_monro(
    gradient: Callable[..., Any], state: ApproximationState, key: RandomKey, *, gain: Any, delay: Any
) -> ApproximationState:
    noisy = gradient(state.x, jax.random.fold_in(key, state.step))
    return _moved(state, noisy, gain / (state.step + 1 + delay))


def _kiefer_wolfowitz(
    value: Callable[..., Any],
    state: ApproximationState,
    key: RandomKey,
    *,
    gain: Any,
    width: Any,
    exponent: Any,
    delay: Any,
) -> ApproximationState:
    flat, unravel = ravel_pytree(state.x)
    time = (state.step + 1 + delay).astype(flat.dtype)
    width = width * time**-exponent
    moves = width * jnp.eye(flat.size, dtype=flat.dtype)
    points = jnp.concatenate([flat + moves, flat - moves])
    keys = jax.random.split(jax.random.fold_in(key, state.step), len(points))
    values = jax.vmap(lambda point, key: value(unravel(point), key))(points, keys)
    ahead, behind = jnp.split(values, 2)
    return _moved(state, unravel((ahead - behind) / (2 * width)), gain / time)


def _moved(state: ApproximationState, direction: PyTree, length: Any) -> ApproximationState:
    """The state after a step against a direction; the iterate keeps its dtype."""
    x = jax.tree.map(lambda leaf, part: leaf - jnp.asarray(length * part, leaf.dtype), state.x, direction)
    return ApproximationState(x, state.step + 1)


@jax.jit
def _iterates(scheme: Scheme, x: PyTree, key: RandomKey, lengths: Array) -> PyTree:
    def segment(state: ApproximationState, length: Array) -> tuple[ApproximationState, PyTree]:
        state = lax.fori_loop(0, length, lambda _, state: scheme.step(state, key), state)
        return state, state.x

    return lax.scan(segment, scheme.init(x), lengths)[1]
