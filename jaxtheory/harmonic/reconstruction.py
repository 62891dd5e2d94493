r"""Signals and images from their statistics, such as scattering coefficients, by descent on the misfit.

`reconstruct` runs to the end; `descent` is the pair of functions beneath, whose state is a pytree that can be
stored, so that a long synthesis can be taken up again.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar

MEMORY = 20
"""The number of past steps from which a step's metric is made."""

TRIALS = 20
"""The largest number of points at which a step looks for a decrease."""


@record
class ReconstructionResult:
    """What has been found, and how near its statistics are to the target."""

    x: Float[Array, "..."]
    """The signal or image."""
    residual: Float[Array, ""]
    """The norm of the statistics less the target, over the norm of the target."""
    steps: Int[Array, ""]
    """The number of steps taken."""
    converged: Bool[Array, ""]
    """Whether the residual is at most the tolerance."""


@record
class DescentState:
    """Where a descent is; a pytree."""

    x: Float[Array, "..."]
    """The signal or image."""
    residual: Float[Array, ""]
    """The norm of its statistics less the target, over the norm of the target."""
    slope: Float[Array, "..."]
    """The gradient of half the square of the residual."""
    step: Int[Array, ""]
    """The number of steps taken."""
    memory: PyTree
    """What the method remembers of the steps before."""


class Descent(NamedTuple):
    """A descent as a pair of functions."""

    init: Callable[[Any], DescentState]
    """The state at a signal or image to start from: `init(x)`."""
    step: Callable[[DescentState], DescentState]
    """The state after one step: `step(state)`."""


def descent(statistics: Callable[[Any], PyTree], target: PyTree) -> Descent:
    r"""Return the pair of functions that moves a signal's statistics towards a target, step by step.

    $\min_x \frac12 \| \Phi(x) - \Phi_0 \|^2 / \| \Phi_0 \|^2$ by the method of L-BFGS with a line search.

    Args:
        statistics: The function $\Phi$ from a signal or an image to a pytree of arrays, real or complex. A
            `jax.tree_util.Partial`, such as `Partial(scattering2d.scatter, bank)`, keeps its arrays out of
            the compiled program, which other banks of the same form then share.
        target: The statistics $\Phi_0$ that are to be met, a pytree of the same form.

    Returns:
        The functions `init(x)` and `step(state)`, both compiled.

    Raises:
        TypeError: If `statistics` is not a function, or the target holds something else than numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import reconstruction
        >>> pair = reconstruction.descent(jnp.sort, jnp.array([1.0, 2.0, 3.0]))
        >>> state = pair.init(jnp.array([2.0, 0.0, 1.0]))
        >>> after = pair.step(state)
        >>> after.step.item(), bool(after.residual < state.residual)
        (1, True)

    References:
        Dong Liu and Jorge Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.
    """
    if not callable(statistics):
        raise TypeError(f"statistics is a {type(statistics).__name__}: take a function of a signal or image")
    statistics = statistics if isinstance(statistics, Partial) else Partial(statistics)
    target = jax.tree.map(lambda leaf: jnp.asarray(as_array("target", leaf)), target)
    return Descent(Partial(_init, statistics, target), Partial(_step, statistics, target))


def reconstruct(
    statistics: Callable[[Any], PyTree],
    target: PyTree,
    x: Real[AnyArray, "..."],
    *,
    max_steps: int = 200,
    tolerance: RealScalar | None = None,
) -> ReconstructionResult:
    r"""Find a signal or an image whose statistics are those of a target.

    $\min_x \frac12 \| \Phi(x) - \Phi_0 \|^2 / \| \Phi_0 \|^2$ by L-BFGS from `x`. Where several signals have
    the target's statistics, or the misfit has other minima, where it starts decides what is found.

    Args:
        statistics: The function $\Phi$ from a signal or an image to a pytree of arrays, real or complex, or a
            `jax.tree_util.Partial`, as for `descent`.
        target: The statistics $\Phi_0$ that are to be met, a pytree of the same form.
        x: The signal or image to start from, of any shape that `statistics` takes, such as white noise.
        max_steps: The largest number of steps, at least 1.
        tolerance: The residual at which it stops, relative to the norm of the target, 0 or more; by default
            the square root of the dtype's rounding unit.

    Returns:
        What was found, with its residual.

    Raises:
        TypeError: If `statistics` is not a function, `x` is complex or not an array of numbers, or an option
            is not a number.
        ValueError: If an option is out of its range, or `target` is of another form than the statistics.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jax.tree_util import Partial
        >>> from jaxtheory.harmonic import reconstruction, scattering1d
        >>> bank = scattering1d.filter_bank(32, J=2, boundary="periodic")
        >>> statistics = Partial(scattering1d.scatter, bank)
        >>> x = jnp.sin(jnp.arange(32.0))
        >>> start = jax.random.normal(jax.random.key(0), (32,))
        >>> found = reconstruction.reconstruct(statistics, statistics(x), start, tolerance=1e-2)
        >>> bool(found.converged)
        True

    References:
        Joan Bruna and Stéphane Mallat, "Audio texture synthesis with scattering moments", 2013.
    """
    (x,), back = real_arrays(x=x)
    max_steps = checks.count("max_steps", max_steps)
    if tolerance is None:
        tolerance = float(jnp.finfo(x.dtype).eps) ** 0.5
    checks.nonnegative("tolerance", tolerance, one=True)
    pair = descent(statistics, target)
    _check_form(*pair.init.args, x)
    return back(_reconstruct(*pair.init.args, x, jnp.asarray(tolerance, x.dtype), max_steps))


def _check_form(statistics: Partial, target: PyTree, x: Array) -> None:
    """Refuse a target that no statistics of such a signal can meet."""
    found = jax.eval_shape(statistics, x)
    wanted, given = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (found, target))
    form, given_form = jax.tree.structure(found), jax.tree.structure(target)
    if form != given_form:
        raise ValueError(f"target is the tree {given_form}: take {form}, as statistics returns")
    if wanted != given:
        raise ValueError(f"target has the shapes {given}: take {wanted}, as statistics returns")


def _solver() -> Any:
    import optax

    search = optax.scale_by_zoom_linesearch(max_linesearch_steps=TRIALS, initial_guess_strategy="one")
    return optax.lbfgs(memory_size=MEMORY, linesearch=search)


def _norm(tree: PyTree) -> Array:
    return jnp.sqrt(sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(tree)))


def _objective(x: Array, statistics: Partial, target: PyTree) -> Array:
    """Half the square of the residual."""
    apart = jax.tree.map(jnp.subtract, statistics(x), target)
    squares = sum(jnp.sum(leaf.real**2 + leaf.imag**2) for leaf in jax.tree.leaves(apart))
    norm = _norm(target)
    return squares / jnp.where(norm > 0, norm, 1) ** 2 / 2


@jax.jit
def _init(statistics: Partial, target: PyTree, x: Array) -> DescentState:
    (x,), _ = real_arrays(x=x)
    value, slope = jax.value_and_grad(_objective)(x, statistics, target)
    return DescentState(x, jnp.sqrt(2 * value), slope, jnp.asarray(0), _solver().init(x))


@jax.jit
def _step(statistics: Partial, target: PyTree, state: DescentState) -> DescentState:
    import optax

    updates, memory = _solver().update(
        state.slope,
        state.memory,
        state.x,
        value=state.residual**2 / 2,
        grad=state.slope,
        value_fn=lambda x: _objective(x, statistics, target),
    )
    # The search ends with the value and the gradient at its end.
    value, slope = (optax.tree.get(memory, name) for name in ("value", "grad"))
    return DescentState(
        optax.apply_updates(state.x, updates), jnp.sqrt(2 * value), slope, state.step + 1, memory
    )


@jax.jit
def _reconstruct(
    statistics: Partial, target: PyTree, x: Array, tolerance: Array, max_steps: Array | int
) -> ReconstructionResult:
    def goes_on(state: DescentState) -> Array:
        return (state.residual > tolerance) & (state.step < max_steps)

    state = lax.while_loop(
        goes_on, lambda state: _step(statistics, target, state), _init(statistics, target, x)
    )
    return ReconstructionResult(state.x, state.residual, state.step, state.residual <= tolerance)
