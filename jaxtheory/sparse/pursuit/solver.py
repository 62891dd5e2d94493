"""The solver of the lasso for many signals, with its batching rule and its derivative.

Accelerated proximal gradient steps (FISTA with restarts) find the support, and conjugate gradients minimize
on it. Where signals are many and atoms few, most signals are done before that: a few steps of ADMM come near
the signs of the minimum, and Newton's method finishes on them; the few signals that do not get there continue
as above. `scheduling` decides which signals are worked on when.
"""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxtheory.core.linalg import conjugate_gradients, matmul
from jaxtheory.sparse.pursuit import admm, newton, scheduling, steps
from jaxtheory.sparse.pursuit.batching import Solver, with_batches
from jaxtheory.sparse.pursuit.duality import Problem, gap_and_objective, settle_unpenalized, unsettled
from jaxtheory.sparse.pursuit.operators import functions, gram_product

MOST_ATOMS = 2048
"""The largest number of atoms for which the Gram matrix is inverted for each rho of ADMM."""

STALLED = 0.9
"""A gap that is still above this share of its earlier value has stalled."""

ROUNDING = 2
"""The gap stalls at about this many times rounding, where rounding is relative to `State.ratio`."""


class Options(NamedTuple):
    """Options that do not change while a program runs."""

    max_steps: int
    nonnegative: bool
    unpenalized: bool = False
    """Whether there may be atoms without a penalty."""


class Solved(NamedTuple):
    """Codes with their certificates, one signal in each row."""

    codes: Float[Array, "n atoms"]
    objective: Float[Array, " n"]
    gap: Float[Array, " n"]
    steps: Int[Array, " n"]
    converged: Bool[Array, " n"]


class Certified(NamedTuple):
    """Codes, and what follows from their own residuals, free of the rounding that loops accumulate."""

    codes: Float[Array, "n atoms"]
    correlations: Float[Array, "n atoms"]
    """The atoms' inner products with the residual."""
    residual: Float[Array, "n features"]
    squared_norm: Float[Array, " n"]
    """That of the residual."""
    gap: Float[Array, " n"]
    objective: Float[Array, " n"]
    steps: Int[Array, " n"]
    phase: Int[Array, " n"]
    """Which kind of step comes next; see `steps.Iterate`."""
    live: Bool[Array, " n"]
    """Whether there are steps left to take."""


class Search(NamedTuple):
    """What accelerated and conjugate steps remember from one round to the next."""

    direction: Float[Array, "n atoms"]
    image: Float[Array, "n atoms"]
    curvature: Float[Array, " n"]
    t: Float[Array, " n"]
    momentum: Float[Array, " n"]


class Signals(NamedTuple):
    """What is given for each signal."""

    signals: Float[Array, "n features"]
    weight: Array
    ratio: Float[Array, " n"]
    """The largest correlation over its penalty; codes round, and the gap with them, by this share."""


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def solve(
    options: Options,
    dictionary: Any,
    signals: Float[Array, "n features"],
    weight: Array,
    start: Float[Array, "n atoms"],
    tolerance: Float[Array, ""],
    slack: Float[Array, ""],
    curvature: Float[Array, ""],
) -> Solved:
    """Solves the lasso for each row of signals.

    Codes have the derivative of the exact minimizer on its support, the objective has that of the minimum,
    and the gap has derivative zero.

    Args:
        options: The options that are known when the program is compiled.
        dictionary: A matrix or a pair of functions, with entries near one.
        signals: The signals, each with its largest entry near one or zero.
        weight: The penalty of each code, `(n, 1)` or `(n, atoms)`; 0 or more, and infinite where an atom is
            not to be used.
        start: The codes to start from.
        tolerance: The gap at which a signal is done, relative to its objective.
        slack: One if a signal whose gap stalls at the level of rounding counts as converged, else zero.
        curvature: An upper bound of the Gram matrix's eigenvalues.

    Returns:
        The codes and their certificates.
    """
    # A pair's functions may hold arrays of their own, which a rule for batches cannot see.
    pair = isinstance(dictionary, tuple)
    solver = partial(_minimized, options) if pair else _solver(options)
    return solver((dictionary, tolerance, slack, curvature), (signals, weight, start))


@solve.defjvp
def _solve_jvp(
    options: Options, primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Solved, Solved]:
    """Differentiates the condition that holds on the support: correlations equal the penalty, with sign."""
    solved = solve(options, *primals)
    codes = solved.codes
    sign = jnp.sign(lax.stop_gradient(codes))
    on = sign != 0

    def charged(weight: Array) -> Array:
        return jnp.where(on, weight, 0)

    def stationarity(dictionary: Any, signals: Array, weight: Array) -> Array:
        apply, adjoint = functions(dictionary)
        return jnp.where(on, adjoint(signals - apply(codes)) - charged(weight) * sign, 0)

    def objective(dictionary: Any, signals: Array, weight: Array) -> Array:
        apply, _ = functions(dictionary)
        cost = charged(weight) * sign * codes
        return jnp.sum((signals - apply(codes)) ** 2, axis=1) / 2 + jnp.sum(cost, axis=1)

    _, target = jax.jvp(stationarity, primals[:3], tangents[:3])
    _, slope = jax.jvp(objective, primals[:3], tangents[:3])
    product = gram_product(primals[0], len(codes))

    def within(v: Array) -> Array:
        return jnp.where(on, product(jnp.where(on, v, 0)), v)

    moved = lax.custom_linear_solve(within, target, conjugate_gradients, symmetric=True)
    still = [np.zeros(leaf.shape, jax.dtypes.float0) for leaf in (solved.steps, solved.converged)]
    return solved, Solved(moved, slope, jnp.zeros_like(solved.gap), *still)


@cache
def _solver(options: Options) -> Solver:
    """The solver with a rule for batches."""
    return with_batches(partial(_minimized, options))


def _minimized(options: Options, shared: tuple[Any, ...], rows: tuple[Array, ...]) -> Solved:
    """Solves the lasso, without a derivative."""
    dictionary, tolerance, slack, curvature = shared
    signals, weight, start = rows
    count, dtype = len(start), start.dtype
    if count == 0:
        none = jnp.zeros(0, dtype)
        return Solved(start, none, none, jnp.zeros(0, int), jnp.zeros(0, bool))
    apply, adjoint = functions(dictionary)
    problem = Problem(apply, adjoint, gram_product(dictionary, count), curvature, tolerance, *options)
    # Rows of padding are zero, and done at once.
    signals, start = scheduling.padded(signals), scheduling.padded(start)
    weight = scheduling.padded(weight, 1)
    given = Signals(signals, weight, _ratios(problem, signals, weight))
    gram = _gram(dictionary, count, options.max_steps)
    state = _begin(problem, given, start, gram)
    if gram is not None:
        state = _newton(problem, given, state, gram)
    state = _proximal(problem, given, state)
    gap, objective = _final(problem, given, state)
    # What a relative gap cannot tell from the minimum, as long as that is a small gap.
    reach = jnp.minimum(ROUNDING * jnp.finfo(dtype).eps * given.ratio, jnp.sqrt(jnp.finfo(dtype).eps))
    converged = gap <= jnp.maximum(tolerance, slack * reach) * objective
    return jax.tree.map(
        lambda leaf: leaf[:count], Solved(state.codes, objective, gap, state.steps, converged)
    )


def _ratios(problem: Problem, signals: Array, weight: Array) -> Float[Array, " n"]:
    """The largest correlation of each signal over its penalty."""
    violation = jnp.abs(problem.adjoint(signals))
    # Atoms without a penalty may be what is represented most of a signal, and round the rest of it.
    floor = jnp.max(jnp.where(weight == 0, violation, 0), axis=1, keepdims=True)
    over = jnp.maximum(violation, floor) / jnp.where(weight > 0, weight, jnp.inf)
    return jnp.max(over, axis=1)


def _gram(dictionary: Any, uses: int, max_steps: int) -> Array | None:
    """The Gram matrix, where it pays to invert it and to solve systems on supports; `None` elsewhere."""
    if isinstance(dictionary, tuple) or max_steps <= admm.STEPS + newton.STEPS:
        return None
    atoms, features = dictionary.shape
    if atoms > min(2 * features, uses, MOST_ATOMS):
        return None
    return matmul(dictionary, dictionary.T)


def _certified(
    problem: Problem, own: Signals, codes: Array, residual: Array, count: Array, phase: Array, before: Array
) -> tuple[Certified, Bool[Array, " n"]]:
    """Measures codes by their own residual, and says whether the gap has stalled since it was `before`."""
    codes, residual = settle_unpenalized(problem, codes, residual, own.weight)
    correlations, squared_norm = problem.adjoint(residual), jnp.sum(residual**2, axis=1)
    gap, objective = gap_and_objective(problem, codes, correlations, squared_norm, own.weight)
    gap = jnp.where(unsettled(problem, codes, correlations, own.weight), jnp.inf, gap)
    live = ~(gap <= problem.tolerance * objective) & (count < problem.max_steps)
    rounding = ROUNDING * jnp.finfo(codes.dtype).eps * own.ratio
    stands = (gap > STALLED * before) & (gap <= rounding * objective)
    found = Certified(codes, correlations, residual, squared_norm, gap, objective, count, phase, live)
    return found, stands


def _begin(problem: Problem, given: Signals, start: Array, gram: Array | None) -> Certified:
    """Codes to start from: those given or, where the Gram matrix is at hand, those of ADMM."""
    prepared = None if gram is None else admm.inverses(gram)

    def block(chosen: Array, state: Certified) -> Certified:
        own, codes = scheduling.rows(given, chosen), start[chosen]
        taken = jnp.zeros(len(chosen), int)
        # Codes to start from have signs nearer than those that ADMM would come to.
        if prepared is not None:
            begun = jnp.any(codes != 0)
            correlations = problem.adjoint(own.signals)
            codes = lax.cond(
                begun,
                lambda: codes,
                lambda: admm.alternate(problem, prepared, correlations, own.weight, own.ratio),
            )
            # Where no correlation exceeds the penalty, there is nothing to do.
            taken = jnp.where(begun | (own.ratio <= 1), taken, admm.STEPS)
        phase = jnp.where(taken > 0, steps.STEADY, 0)
        residual = own.signals - problem.apply(codes)
        found, _ = _certified(problem, own, codes, residual, taken, phase, jnp.zeros_like(own.ratio))
        return scheduling.with_rows(state, chosen, found)

    zeros, none = jnp.zeros_like(given.ratio), jnp.zeros(len(start), int)
    state = Certified(start, jnp.zeros_like(start), given.signals, zeros, zeros, zeros, none, none, none > 0)
    # ADMM has one rho for a block: signals that need the same stand together.
    return scheduling.once(block, state, jnp.argsort(given.ratio))


def _newton(problem: Problem, given: Signals, state: Certified, gram: Array) -> Certified:
    """Newton steps for all signals whose supports are small enough."""
    largest = min(newton.SUPPORTS[-1], given.signals.shape[1])
    dtype = gram.dtype

    def block(chosen: Array, carry: tuple[Certified, Array, Array]) -> tuple[Certified, Array, Array]:
        state, signs, sizes = carry
        own, old = scheduling.rows(given, chosen), scheduling.rows(state, chosen)
        sign, size = signs[chosen].astype(dtype), sizes[chosen]
        # Atoms that leave the support take their codes with them.
        kept = jnp.where(jnp.sign(old.codes) == sign, old.codes, 0)
        residual = old.residual - problem.apply(kept - old.codes)
        change = newton.stationary_on_support(gram, problem.adjoint(residual), sign, own.weight, size)
        found, stands = _certified(
            problem,
            own,
            kept + change,
            residual - problem.apply(change),
            old.steps + (size > 0),
            # Steps that follow begin as proximal ones, which put wrong signs right.
            jnp.zeros_like(old.phase),
            old.gap,
        )
        after = newton.signs_after(problem, found.codes, found.correlations, sign, own.weight)
        # Codes of the wrong sign would be negative ones where none may be.
        same = jnp.all(after == sign, axis=1)
        found = found._replace(live=jnp.where(same, found.live & ~stands, True))
        # A system that is nearly singular leads anywhere, and what is far away leaves the residual rounded.
        taken = (size > 0) & (found.objective <= 2 * old.objective)
        steps_taken = found.steps
        found = jax.tree.map(
            lambda new, last: jnp.where(taken[:, None] if new.ndim == 2 else taken, new, last), found, old
        )
        found = found._replace(steps=steps_taken)
        size = jnp.sum(after != 0, axis=1)
        size = jnp.where(taken & found.live & (size <= largest), size, 0)
        return (
            scheduling.with_rows(state, chosen, found),
            signs.at[chosen].set(after.astype(signs.dtype)),
            sizes.at[chosen].set(size),
        )

    signs = jnp.sign(state.codes).astype(jnp.int8)
    sizes = jnp.sum(signs != 0, axis=1)
    sizes = jnp.where(state.live & (sizes <= largest), sizes, 0)
    return scheduling.until_done(
        block,
        (state, signs, sizes),
        # Blocks of equal supports take equal systems.
        lambda carry: jnp.where(carry[2] > 0, carry[2], -1),
        rounds=newton.STEPS,
    )[0]


def _proximal(problem: Problem, given: Signals, state: Certified) -> Certified:
    """Accelerated proximal steps and conjugate gradients until all signals are done."""

    def block(chosen: Array, carry: tuple[Certified, Search]) -> tuple[Certified, Search]:
        own, old = scheduling.rows(given, chosen), scheduling.rows(carry[0], chosen)
        search = scheduling.rows(carry[1], chosen)
        now = steps.Iterate(old.codes, old.correlations, *search, old.phase, old.steps, old.live)
        now = steps.advance(problem, now, old.squared_norm, own.weight)
        # A difference of signal and image would round as those do, however small the change.
        residual = old.residual - problem.apply(now.codes - old.codes)
        found, stands = _certified(problem, own, now.codes, residual, now.steps, now.phase, old.gap)
        found = found._replace(live=found.live & old.live & ~stands)
        search = Search(now.direction, now.image, now.curvature, now.t, now.momentum)
        return scheduling.with_rows(carry, chosen, (found, search))

    def priority(carry: tuple[Certified, Search]) -> Array:
        now = carry[0]
        tiny = jnp.finfo(now.gap.dtype).tiny
        distance = jnp.minimum(now.gap / jnp.maximum(now.objective, tiny), jnp.finfo(now.gap.dtype).max)
        return jnp.where(now.live, distance, -1)

    zeros, ones = jnp.zeros_like(state.gap), jnp.ones_like(state.gap)
    search = Search(jnp.zeros_like(state.codes), jnp.zeros_like(state.codes), ones, ones, zeros)
    return scheduling.until_done(block, (state, search), priority)[0]


def _final(problem: Problem, given: Signals, state: Certified) -> tuple[Array, Array]:
    """The gaps and objectives of the codes as they are: the dual point need not be their own residual."""

    def block(chosen: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        own, now = scheduling.rows(given, chosen), scheduling.rows(state, chosen)
        residual = own.signals - problem.apply(now.codes)
        drift = jnp.sum((residual - now.residual) ** 2, axis=1) / 2
        squared_norms = jnp.sum(residual**2, axis=1)
        objective = now.objective + (squared_norms - now.squared_norm) / 2
        return scheduling.with_rows(carry, chosen, (now.gap + drift, objective))

    start = (state.gap, state.objective)
    return scheduling.once(block, start, jnp.arange(len(state.gap)))
