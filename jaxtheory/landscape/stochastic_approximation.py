r"""Stochastic approximation: minimization from noisy gradients, or from noisy values alone.

A scheme is `Scheme(init, step)`: `init(x)` makes the state, and `step(state, key)` returns the next one.
`robbins_monro` follows noisy gradients, `kiefer_wolfowitz` differences of noisy values; `iterates` drives
either. A gradient of a function that is known exactly has several ways as well: beside back-propagation
there are forward mode, the complex step and central differences, which are each other's witnesses.

Conventions: `x` is an array or a pytree of arrays. `mu` is the smallest eigenvalue of the Hessian at the
minimizer $x^*$: with the step $a / t$ and $2 \mu a > 1$, $\mathrm{E} |x_t - x^*|^2$ falls like $1 / t$ for
noisy gradients, and with $2 \mu a > 2/3$ and a width proportional to $t^{-1/6}$ like $t^{-2/3}$ for
differences of noisy values.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.landscape import stochastic_approximation
    >>> def gradient(x, key):
    ...     return x - 3 + jax.random.normal(key, x.shape)
    >>> scheme = stochastic_approximation.robbins_monro(gradient, gain=1.0)
    >>> path = stochastic_approximation.iterates(scheme, jnp.zeros(2), jax.random.key(0), times=(10, 10_000))
    >>> bool(jnp.max(jnp.abs(path[1] - 3)) < 0.05)
    True
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import RandomKey, RealScalar

CHUNK = 64
"""The number of directions that a gradient without reverse mode takes at once."""


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
    return _iterates(Scheme(*parts), x, key, jnp.asarray(np.diff((0, *times)), jnp.int32))


@partial(jax.jit, static_argnames="function")
def forward_gradient(function: Callable[..., Any], x: PyTree) -> PyTree:
    """Return the gradient of a scalar function by forward mode, one direction for each entry.

    Args:
        function: The function of `x`, which returns a scalar.
        x: The point, an array or a pytree of floating-point arrays.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        TypeError: If `x` is complex or not made of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> stochastic_approximation.forward_gradient(lambda x: jnp.sum(x**2), jnp.array([1.0, 2.0]))
        Array([2., 4.], dtype=float32)

    References:
        Wengert, A simple automatic derivative evaluation program, 1964.
    """
    flat, unravel = ravel_pytree(_floating(x))

    def along(place: Array) -> Array:
        direction = jnp.zeros_like(flat).at[place].set(1)
        return jax.jvp(lambda point: function(unravel(point)), (flat,), (direction,))[1]

    return unravel(lax.map(along, jnp.arange(flat.size), batch_size=CHUNK))


def complex_step_gradient(function: Callable[..., Any], x: PyTree, *, step: RealScalar = 1e-20) -> PyTree:
    r"""Return the gradient of an analytic function by the complex step: $\mathrm{Im} f(x + i h e_j) / h$.

    Nothing is subtracted, so that the step can be as small as one likes and the error is that of rounding.

    Args:
        function: The function of `x`, which returns a scalar and is analytic: it is made of products, powers,
            `exp`, `tanh` and the like, without absolute values, comparisons or real parts.
        x: The point, an array or a pytree of floating-point arrays.
        step: The step $h$, positive.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        ValueError: If the step is not positive.
        TypeError: If `x` is complex or not made of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> stochastic_approximation.complex_step_gradient(lambda x: jnp.sum(x**3), jnp.array([1.0, 2.0]))
        Array([ 3., 12.], dtype=float32)

    References:
        Squire and Trapp, Using complex variables to estimate derivatives of real functions, 1998.
    """
    checks.positive("step", step)
    return _complex_step(function, _floating(x), step)


def central_gradient(function: Callable[..., Any], x: PyTree, *, step: RealScalar = 1e-5) -> PyTree:
    r"""Return the gradient of a scalar function by central differences: $(f(x + h e_j) - f(x - h e_j)) / 2h$.

    Args:
        function: The function of `x`, which returns a scalar.
        x: The point, an array or a pytree of floating-point arrays.
        step: The step $h$, positive: near the cube root of the relative precision, which is 6e-6 in double
            precision, bias and rounding balance.

    Returns:
        The gradient, shaped like `x`.

    Raises:
        ValueError: If the step is not positive.
        TypeError: If `x` is complex or not made of numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import stochastic_approximation
        >>> square = lambda x: jnp.sum(x**2)
        >>> stochastic_approximation.central_gradient(square, jnp.array([1.0, 2.0]), step=0.5)
        Array([2., 4.], dtype=float32)
    """
    checks.positive("step", step)
    return _central(function, _floating(x), step)


def _floating(x: PyTree) -> PyTree:
    """The point with real leaves in the dtypes of the computation."""
    return jax.tree.map(lambda leaf: real_arrays(x=leaf)[0][0], x)


def _begin(x: PyTree) -> ApproximationState:
    return ApproximationState(_floating(x), jnp.zeros((), jnp.int32))


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


@partial(jax.jit, static_argnames="function")
def _complex_step(function: Callable[..., Any], x: PyTree, step: RealScalar) -> PyTree:
    flat, unravel = ravel_pytree(x)

    def complexified(point: Array) -> PyTree:
        parts = unravel(point.real), unravel(point.imag)
        return jax.tree.map(lax.complex, *parts)

    def along(place: Array) -> Array:
        moved = lax.complex(flat, jnp.zeros_like(flat).at[place].set(step))
        return jnp.imag(function(complexified(moved))) / step

    return unravel(lax.map(along, jnp.arange(flat.size), batch_size=CHUNK).astype(flat.dtype))


@partial(jax.jit, static_argnames="function")
def _central(function: Callable[..., Any], x: PyTree, step: RealScalar) -> PyTree:
    flat, unravel = ravel_pytree(x)

    def along(place: Array) -> Array:
        move = jnp.zeros_like(flat).at[place].set(step)
        return (function(unravel(flat + move)) - function(unravel(flat - move))) / (2 * step)

    return unravel(lax.map(along, jnp.arange(flat.size), batch_size=CHUNK))
