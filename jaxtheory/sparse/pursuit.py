r"""Pursuits: from a signal $x$ and atoms $d_i$ to sparse codes $z$ with $x \approx \sum_i z_i d_i$.

A dictionary is a matrix with one atom a row, `(atoms, features)`, as in scikit-learn, so that codes $z$ stand
for the signal $z D$; or a pair of functions `(apply, adjoint)`, from codes `(..., atoms)` to signals
`(..., features)` and back. Plain functions are constants; a `jax.tree_util.Partial` carries parameters that
may be traced and differentiated. An atom of zeros is never used.

How the lasso is solved. Accelerated proximal gradient steps (FISTA with restarts) find the support; once the
signs have stood still for some steps, conjugate gradients minimise over that support, stop at the first
coefficient that would change its sign, and give way to proximal steps when the larger violation lies outside.
Either kind of step costs one product with the Gram matrix, so that signals in different phases share it.

Where signals are many and atoms few, most are done before that: a few steps of alternating directions come
near the signs, and Newton's method ends on them. It solves the linear system on the support, as large as that
is, drops the atoms whose codes change their signs, takes in those whose correlations exceed the penalty, and
solves again. Signs that repeat are those of the minimum; the few signals that do not get there go on above.

The signals are sorted by how far they are from their tolerance (for Newton's method by the sizes of their
supports), worked on in blocks that fit a processor's cache, and sorted anew after some steps: a block stops
with its slowest signal, and what is finished costs nothing.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jaxtheory.sparse.proximal import nonnegative_soft_threshold, soft_threshold

Matrix = Float[Array, "atoms features"] | Float[np.ndarray, "atoms features"]
Dictionary = Matrix | tuple[Any, Any]
Signals = Float[Array, "... features"] | Float[np.ndarray, "... features"]
Penalty = Float[Array, "..."] | Float[np.ndarray, "..."] | float | int | np.floating

_BLOCK = 256
"""Signals worked on at a time."""

_ROUND = 16
"""Steps of a block between two sortings of the signals."""

_CHECK = 4
"""Steps between two looks at the duality gap."""

_SETTLED = 3
"""Steps for which the signs stand still before conjugate gradients begin."""

_STATE = ("z", "c", "d", "h", "energy", "t", "momentum", "stable", "bend", "steps", "live")
"""What a block is worked on with: codes, correlations of the residual, the last direction and its image, the
residual's energy; how FISTA and conjugate gradients stand; steps taken and whether there are more to take."""

_ALTERNATING = 24
"""Steps of alternating directions before those: signs come out in far fewer than proximal gradients take."""

_RELAXATION = 1.8
"""Over-relaxation of these steps, below 2."""

_SIZES = tuple(2.0**power for power in range(-5, 2))
"""Sizes of their quadratic term that are to choose from, relative to the mean squared length of atoms."""

_SIZE = 1.8
"""The best size, times the root of how far the largest correlation is above the penalty (measured)."""

_LARGEST = 2048
"""Atoms at most for which a matrix is inverted for each size."""

_NEWTON = 8
"""Newton steps for a signal at most; two are enough for most."""

_SUPPORTS = (16, 32, 64, 96)
"""Sizes of their linear systems: a block of signals takes the least in which its supports fit."""

_CONJUGATE_STEPS = 1000
"""Of conjugate gradients at most, for the derivative."""

_BREGMAN_ROUNDS = 100
"""Lasso problems that a basis pursuit solves at most."""

_BREGMAN_PENALTY = 0.1
"""The first one's penalty, relative to the one from which on all codes are zero."""

_BREGMAN_DECAY = 0.7
"""A penalty, relative to the one before: small ones end sooner, and are the harder to start with."""

_POWER_STEPS = 40
"""Steps of the power method for the largest eigenvalue of the Gram matrix."""

_MARGIN = 1.05
"""What that estimate from below is multiplied with; accelerated steps stand an error of a quarter."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Solution:
    """Codes with a certificate of how good they are."""

    codes: Any
    """(..., atoms)."""
    gap: Any
    """(...) duality gap: how far the objective is above its minimum at most."""
    steps: Any
    """(...) taken, integer."""
    converged: Any
    """(...) whether the gap came down to the tolerance, Boolean."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Greedy:
    """Codes made of one atom after the other."""

    codes: Any
    """(..., atoms)."""
    support: Any
    """(..., steps) the atoms in the order of their choice, -1 where there was none to choose."""
    residual: Any
    """(...) norm of what the codes leave of the signal."""
    steps: Any
    """(...) atoms chosen, integer."""


def _apply(matrix, codes):
    return jnp.matmul(codes, matrix, precision="highest")


def _adjoint(matrix, signals):
    return jnp.matmul(signals, matrix.T, precision="highest")


def _pair(dictionary):
    """The dictionary as `apply` and `adjoint`."""
    if isinstance(dictionary, tuple):
        return dictionary
    return Partial(_apply, dictionary), Partial(_adjoint, dictionary)


def _curvature(dictionary, atoms: int, dtype):
    """The largest eigenvalue of the Gram matrix, by the power method."""
    many = _product(dictionary, 1)

    def product(v):
        return many(v[:, None])[:, 0]

    def step(_, v):
        w = product(v)
        return w / jnp.maximum(jnp.linalg.norm(w), jnp.finfo(dtype).tiny)

    start = jax.random.normal(jax.random.key(0), (atoms,), dtype)
    v = lax.fori_loop(0, _POWER_STEPS, step, start / jnp.linalg.norm(start))
    return jnp.maximum(_MARGIN * jnp.vdot(v, product(v), precision="highest"), jnp.finfo(dtype).tiny)


def _gap(z, c, energy, weight, nonnegative):
    """The duality gap and the primal value; atoms on the first axis, `energy` of the residual.

    The dual point is the residual, scaled until it is feasible. Primal minus dual would cancel in single
    precision: this is a sum of nonnegative terms.
    """
    excess = jnp.max((c if nonnegative else jnp.abs(c)) / weight, axis=0)
    scale = 1 / jnp.maximum(1, excess)
    shrunken = weight * jnp.abs(z)
    gap = (1 - scale) ** 2 * energy / 2 + jnp.sum(shrunken - scale * z * c, axis=0)
    return gap, energy / 2 + jnp.sum(shrunken, axis=0)


def _reduce(join, values):
    """Joins all values over the first axis, in halves: vector instructions, which XLA's reduction is not."""
    while len(values) % 2 == 0 and len(values) > 16:
        values = join(values[: len(values) // 2], values[len(values) // 2 :])
    return join.reduce(values, axis=0)


def _advance(product, curvature, weight, tolerance, nonnegative, max_steps, state):
    """Takes the signals of a block some steps further; atoms on the first axis, signals on the last."""
    prox = nonnegative_soft_threshold if nonnegative else soft_threshold

    def step(state):
        z, c, d, h = (state[k] for k in ("z", "c", "d", "h"))
        on = z != 0
        free = jnp.where(on, c - jnp.where(z > 0, weight, -weight), 0)
        chopped = jnp.where(on, 0, jnp.maximum((c if nonnegative else jnp.abs(c)) - weight, 0))
        inside, outside = _reduce(jnp.add, free**2), _reduce(jnp.add, chopped**2)
        stays = (state["stable"] < 0) & (inside > outside)
        conjugate = stays | ((state["stable"] >= _SETTLED) & (inside > outside))
        turn = jnp.where(stays & (state["bend"] > 0), _reduce(jnp.add, free * h) / state["bend"], 0)
        conjugate_direction = jnp.where(on, free - turn * d, 0)

        momentum = state["momentum"]
        y = z + momentum * d
        target = prox(y + (c - momentum * h) / curvature, weight / curvature)
        direction = jnp.where(conjugate, conjugate_direction, target - z)
        image = product(direction)
        bend = _reduce(jnp.add, direction * image)
        room = jnp.where(z * direction < 0, -z / direction, jnp.inf)
        nearest = _reduce(jnp.minimum, room)
        whole = jnp.where(bend > 0, _reduce(jnp.add, direction * free) / bend, 0)
        blocked = whole >= nearest
        length = jnp.where(conjugate, jnp.minimum(whole, nearest), 1)
        along = jnp.where(blocked & (room <= nearest), 0, z + length * direction)
        moved = jnp.where(conjugate, along, target)

        restart = _reduce(jnp.add, (y - target) * (target - z)) > 0
        same = _reduce(jnp.logical_and, jnp.sign(target) == jnp.sign(z))
        t = jnp.where(restart, 1, state["t"])
        after = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        new = {
            "z": moved,
            "c": c - length * image,
            "d": direction,
            "h": image,
            "t": jnp.where(conjugate, 1, after),
            "momentum": jnp.where(conjugate, 0, (t - 1) / after),
            # Minus one for conjugate gradients; a blocked step begins them anew.
            "stable": jnp.where(
                conjugate,
                jnp.where(blocked, _SETTLED, -1),
                jnp.where(same, jnp.maximum(state["stable"], 0) + 1, 0),
            ),
            "bend": bend,
            "steps": state["steps"] + 1,
        }
        live = state["live"] & (state["steps"] < max_steps)
        return state | {name: jnp.where(live, value, state[name]) for name, value in new.items()}

    def steps(carry):
        count, state = carry
        state = lax.fori_loop(0, _CHECK, lambda _, s: step(s), state)
        # With the energy that the block began with: near enough to stop, and measured again after that.
        gap, primal = _gap(state["z"], state["c"], state["energy"], weight, nonnegative)
        live = state["live"] & ~(gap <= tolerance * primal) & (state["steps"] < max_steps)
        return count + _CHECK, state | {"live": live}

    def goes_on(carry):
        return (carry[0] < _ROUND) & jnp.any(carry[1]["live"])

    return lax.while_loop(goes_on, steps, (0, state))[1]


def _gram(dictionary, uses, max_steps):
    """The Gram matrix, where it pays to invert it and to solve systems on supports; `None` elsewhere."""
    if isinstance(dictionary, tuple) or max_steps <= _ALTERNATING + _NEWTON:
        return None
    atoms, features = dictionary.shape
    if atoms > min(2 * features, uses, _LARGEST):
        return None
    return jnp.matmul(dictionary, dictionary.T, precision="highest")


def _alternation(gram, nonnegative):
    """Steps of alternating directions from zero, for a block of signals, atoms first.

    The inverse of the Gram matrix plus a size makes a step one product: it is computed for few sizes.
    """
    prox = nonnegative_soft_threshold if nonnegative else soft_threshold
    sizes = jnp.mean(jnp.diagonal(gram)) * jnp.asarray(_SIZES, gram.dtype)
    eye = jnp.eye(len(gram), dtype=gram.dtype)
    inverses = lax.map(lambda size: jnp.linalg.inv(gram + size * eye), sizes)

    def alternate(b, weight, ratios):
        """Codes, where `b` are the signals' correlations."""
        wanted = _SIZE / jnp.sqrt(jnp.mean(ratios))
        nearest = jnp.argmin(jnp.abs(jnp.log(wanted) - jnp.log(jnp.asarray(_SIZES, gram.dtype))))
        size, bound = sizes[nearest], weight / sizes[nearest]
        matrix = _RELAXATION * size * inverses[nearest]
        shift = jnp.matmul(matrix, b, precision="highest") / size

        # Codes and multipliers are both in v: they are what thresholding leaves of it, and what it takes.
        def step(_, v):
            codes = prox(v, bound)
            image = jnp.matmul(matrix, 2 * codes - v, precision="highest")
            return v + shift + image - _RELAXATION * codes

        return prox(lax.fori_loop(0, _ALTERNATING, step, jnp.clip(b, -weight, weight) / size), bound)

    return alternate


def _on_support(size, gram, correlations, sign, weight):
    """Codes `(n, atoms)` on the support of given signs, at most `size` atoms, that are stationary there."""
    every = jnp.arange(len(sign))[:, None]
    on = sign != 0
    place = jnp.where(on, jnp.cumsum(on, axis=1) - 1, size)
    chosen = jnp.zeros((len(sign), size), int).at[every, place].set(jnp.arange(len(gram)), mode="drop")
    filled = jnp.arange(size) < jnp.sum(on, axis=1, keepdims=True)
    system = gram[chosen[:, :, None], chosen[:, None, :]]
    eye = jnp.eye(size, dtype=gram.dtype)
    factor = cho_factor(jnp.where(filled[:, :, None] & filled[:, None, :], system, eye), lower=True)
    target = jnp.take_along_axis(correlations - weight * sign, chosen, axis=1)
    values = cho_solve(factor, jnp.where(filled, target, 0)[..., None])[..., 0]
    return jnp.zeros_like(correlations).at[every, chosen].add(jnp.where(filled, values, 0))


def _product(dictionary, uses):
    """The product with the Gram matrix, atoms on the first axis, and for how many codes it will be used."""
    if isinstance(dictionary, tuple):
        apply, adjoint = dictionary
        return lambda codes: adjoint(apply(codes.T)).T
    atoms, features = dictionary.shape
    # Half the arithmetic, where that matrix is not much larger than the dictionary and used often enough.
    if atoms <= 2 * features and atoms <= 8 * uses:
        gram = jnp.matmul(dictionary, dictionary.T, precision="highest")
        return lambda codes: jnp.matmul(gram, codes, precision="highest")

    def product(codes):
        image = jnp.matmul(dictionary.T, codes, precision="highest")
        return jnp.matmul(dictionary, image, precision="highest")

    return product


def _minimise(dictionary, signals, penalty, start, tolerance, curvature, max_steps, nonnegative):
    """The lasso for signals `(n, features)`, penalties `(1 or n, 1 or atoms)` and codes `(n, atoms)`."""
    apply, adjoint = _pair(dictionary)
    count = len(start)
    dtype = start.dtype
    tiny = jnp.finfo(dtype).tiny
    product = _product(dictionary, count)
    gram = _gram(dictionary, count, max_steps)
    alternate = None if gram is None else _alternation(gram, nonnegative)
    largest = min(_SUPPORTS[-1], signals.shape[1])
    block = min(_BLOCK, count)
    spare = -count % block

    def pad(array, value=0):
        return jnp.pad(array, ((0, spare), (0, 0)), constant_values=value)

    # Spare signals are zero, and done at once.
    signals, start = pad(signals), pad(start)
    penalty = pad(penalty, 1) if len(penalty) > 1 else penalty

    def weight_of(chosen):
        return penalty[chosen].T if len(penalty) > 1 else penalty.T

    def blockwise(function, chosen, blocks, carry):
        def body(i, carry):
            return function(lax.dynamic_slice_in_dim(chosen, i * block, block), carry)

        return lax.fori_loop(0, blocks, body, carry)

    # How far the largest correlation is above the penalty.
    ratios = jnp.max(jnp.abs(adjoint(signals)) / penalty, axis=1)
    # Codes round, and the gap with them, by this share of the primal value.
    rounding = jnp.finfo(dtype).eps * ratios

    def certified(chosen, state, residual, z, steps):
        """What the residual itself says of codes (updates in loops round), and whether they stand still."""
        c, energy = adjoint(residual), jnp.sum(residual**2, axis=1)
        gap, primal = _gap(z.T, c.T, energy, weight_of(chosen), nonnegative)
        live = ~(gap <= tolerance * primal) & (steps < max_steps)
        facts = {"z": z, "c": c, "residual": residual, "energy": energy, "gap": gap, "primal": primal}
        stands = (gap > 0.9 * state["gap"][chosen]) & (gap <= rounding[chosen] * primal)
        return facts | {"live": live, "steps": steps}, stands

    def store(state, chosen, facts):
        return state | {name: state[name].at[chosen].set(value) for name, value in facts.items()}

    def begin(chosen, state):
        x, z, steps = signals[chosen], start[chosen], jnp.zeros(block, int)
        # Codes to start from have signs nearer than those that these steps would come to.
        if gram is not None:
            begun = jnp.any(z != 0)
            correlations, weight, ratio = adjoint(x), weight_of(chosen), ratios[chosen]
            z = lax.cond(begun, lambda: z, lambda: alternate(correlations.T, weight, ratio).T)
            # Where no correlation exceeds the penalty, there is nothing to do.
            steps = jnp.where(begun | (ratio <= 1), steps, _ALTERNATING)
        facts, _ = certified(chosen, state, x - apply(z), z, steps)
        return store(state, chosen, facts | {"stable": jnp.where(steps > 0, _SETTLED, 0)})

    def newton(chosen, carry):
        state, signs, sizes = carry
        sign, weight = signs[chosen], weight_of(chosen).T
        tried = sizes[chosen] > 0
        old = {
            name: state[name][chosen]
            for name in ("z", "c", "residual", "energy", "gap", "primal", "live", "stable")
        }
        # Atoms that leave the support take their codes with them.
        kept = jnp.where(jnp.sign(old["z"]) == sign, old["z"], 0)
        residual = old["residual"] - apply(kept - old["z"])
        systems = [partial(_on_support, most) for most in _SUPPORTS]
        which = jnp.searchsorted(jnp.asarray(_SUPPORTS), jnp.max(sizes[chosen]))
        change = lax.switch(which, systems, gram, adjoint(residual), sign.astype(dtype), weight)
        steps = state["steps"][chosen] + tried
        facts, stands = certified(chosen, state, residual - apply(change), kept + change, steps)
        z, c = facts["z"], facts["c"]
        enters = (sign == 0) & ((c if nonnegative else jnp.abs(c)) > weight)
        after = jnp.sign(jnp.where(enters, c, jnp.where(z * sign > 0, z, 0))).astype(signs.dtype)
        # Codes of the wrong sign would be negative ones where none may be.
        same = jnp.all(after == sign, axis=1)
        facts["live"] = jnp.where(same, facts["live"] & ~stands, True)
        # Steps that follow begin as proximal ones, which put such signs right.
        facts["stable"] = jnp.zeros(block, int)
        # A system that is nearly singular leads anywhere, and what is far away leaves the residual rounded.
        taken = tried & (facts["primal"] <= 2 * old["primal"])
        facts |= {name: jnp.where(taken, facts[name].T, old[name].T).T for name in old}
        size = jnp.sum(after != 0, axis=1)
        size = jnp.where(taken & facts["live"] & (size <= largest), size, 0)
        return store(state, chosen, facts), signs.at[chosen].set(after), sizes.at[chosen].set(size)

    def turn(chosen, state):
        inner = {name: state[name][chosen].T for name in _STATE}
        inner = _advance(product, curvature, weight_of(chosen), tolerance, nonnegative, max_steps, inner)
        inner = {name: value.T for name, value in inner.items()}
        # A difference of signal and image would round as those do, however small the change.
        residual = state["residual"][chosen] - apply(inner["z"] - state["z"][chosen])
        facts, stands = certified(chosen, state, residual, inner["z"], inner["steps"])
        facts["live"] &= state["live"][chosen] & ~stands
        return store(state, chosen, inner | facts)

    total = count + spare
    zeros, ones = jnp.zeros(total, dtype), jnp.ones(total, dtype)
    state = {"z": start, "c": jnp.zeros_like(start), "d": jnp.zeros_like(start), "h": jnp.zeros_like(start)}
    state |= {"residual": signals, "energy": zeros, "gap": zeros + jnp.inf, "primal": zeros}
    state |= {"t": ones, "momentum": zeros, "bend": ones}
    state |= {"stable": jnp.zeros(total, int), "steps": jnp.zeros(total, int), "live": ones > 0}
    # Signals that need the same size of step stand together.
    state = blockwise(begin, jnp.argsort(ratios), total // block, state)

    if gram is not None:

        def newton_round(carry):
            count, *inner = carry
            blocks = -(-jnp.sum(inner[-1] > 0) // block)
            return count + 1, *blockwise(newton, jnp.argsort(-inner[-1]), blocks, tuple(inner))

        signs = jnp.sign(state["z"]).astype(jnp.int8)
        sizes = jnp.sum(signs != 0, axis=1)
        sizes = jnp.where(state["live"] & (sizes <= largest), sizes, 0)
        carry = lax.while_loop(
            lambda carry: (carry[0] < _NEWTON) & jnp.any(carry[-1] > 0),
            newton_round,
            (0, state, signs, sizes),
        )
        state = carry[1]

    def another(state):
        distance = jnp.where(state["live"], state["gap"] / jnp.maximum(state["primal"], tiny), -1)
        blocks = -(-jnp.sum(state["live"]) // block)
        return blockwise(turn, jnp.argsort(-distance), blocks, state)

    state = lax.while_loop(lambda state: jnp.any(state["live"]), another, state)

    def end(chosen, gap):
        # How far the residual is from that of the codes as they are: the dual point need not be theirs.
        drift = signals[chosen] - apply(state["z"][chosen]) - state["residual"][chosen]
        return gap.at[chosen].add(jnp.sum(drift**2, axis=1) / 2)

    gap = blockwise(end, jnp.arange(total), total // block, state["gap"])[:count]
    codes, primal, steps = (state[name][:count] for name in ("z", "primal", "steps"))
    return codes, gap, steps, gap <= tolerance * primal


def _conjugate_gradients(product, target):
    """Solves a positive definite system for each row, all at once, down to rounding."""
    dtype = target.dtype
    goal = jnp.finfo(dtype).eps ** 2 * jnp.sum(target**2, axis=1)

    def step(carry):
        count, z, r, d, energy = carry
        image = product(d)
        live = energy > goal
        bend = jnp.sum(d * image, axis=1)
        length = jnp.where(live & (bend > 0), energy / jnp.where(bend > 0, bend, 1), 0)[:, None]
        z, r = z + length * d, r - length * image
        after = jnp.where(live, jnp.sum(r**2, axis=1), energy)
        d = jnp.where(live[:, None], r + (after / jnp.where(live, energy, 1))[:, None] * d, d)
        return count + 1, z, r, d, after

    def goes_on(carry):
        return (carry[0] < _CONJUGATE_STEPS) & jnp.any(carry[-1] > goal)

    start = (0, jnp.zeros_like(target), target, target, jnp.sum(target**2, axis=1))
    return lax.while_loop(goes_on, step, start)[1]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _solve(max_steps, nonnegative, dictionary, signals, penalty, start, tolerance, curvature):
    return _minimise(dictionary, signals, penalty, start, tolerance, curvature, max_steps, nonnegative)


@_solve.defjvp
def _solve_jvp(max_steps, nonnegative, primals, tangents):
    """Differentiates the condition that holds on the support: correlations equal the penalty, with sign."""
    codes, gap, steps, converged = _solve(max_steps, nonnegative, *primals)
    sign = jnp.sign(lax.stop_gradient(codes))
    on = sign != 0

    def stationarity(dictionary, signals, penalty):
        apply, adjoint = _pair(dictionary)
        return jnp.where(on, adjoint(signals - apply(codes)) - penalty * sign, 0)

    _, target = jax.jvp(stationarity, primals[:3], tangents[:3])
    product = _product(primals[0], len(codes))

    def within(v):
        return jnp.where(on, product(jnp.where(on, v, 0).T).T, v)

    moved = lax.custom_linear_solve(within, target, _conjugate_gradients, symmetric=True)
    still = [np.zeros(leaf.shape, jax.dtypes.float0) for leaf in (steps, converged)]
    return (codes, gap, steps, converged), (moved, jnp.zeros_like(gap), *still)


def _checked(dictionary, signals):
    """The dictionary and the signals in one floating dtype, and the number of atoms."""
    signals = jnp.asarray(signals)
    if isinstance(dictionary, tuple):
        if len(dictionary) != 2 or not all(callable(part) for part in dictionary):
            raise ValueError(
                f"a dictionary is a matrix (atoms, features) or a pair (apply, adjoint), found a tuple of "
                f"{len(dictionary)}: {', '.join(type(part).__name__ for part in dictionary)}"
            )
        dictionary = tuple(part if isinstance(part, Partial) else Partial(part) for part in dictionary)
        codes = jax.eval_shape(dictionary[1], signals)
        back = jax.eval_shape(dictionary[0], codes)
        if codes.shape[:-1] != signals.shape[:-1] or back.shape != signals.shape:
            raise ValueError(
                f"the adjoint takes signals {signals.shape} to {codes.shape} and apply takes those to "
                f"{back.shape}: leading axes must stay, and signals come back in their shape"
            )
        return dictionary, signals, codes.shape[-1]
    dictionary = jnp.asarray(dictionary)
    if dictionary.ndim != 2 or dictionary.shape[1] != signals.shape[-1]:
        raise ValueError(
            f"the dictionary is {dictionary.shape}, and signals of {signals.shape[-1]} features need one of "
            f"(atoms, {signals.shape[-1]}): one atom a row"
        )
    dtype = jnp.result_type(dictionary, signals, jnp.bfloat16)
    return dictionary.astype(dtype), signals.astype(dtype), len(dictionary)


def _check_sparsity(sparsity: int, atoms: int):
    if not 1 <= sparsity <= atoms:
        raise ValueError(f"sparsity is {sparsity}: of {atoms} atoms, 1 to {atoms} can be chosen")


def _check_penalty(penalty, each: tuple[int, ...], shape: tuple[int, ...]):
    try:
        fits = np.broadcast_shapes(each, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"the penalty is {each}, which does not broadcast to the codes {shape}: give a number, "
            f"one an atom ({shape[-1]},), or one a signal with a last axis of 1"
        )
    if not isinstance(penalty, jax.core.Tracer) and not np.all(np.asarray(penalty) > 0):
        raise ValueError(
            f"the penalty must be positive, found {np.min(penalty)}: at zero this is least squares, or "
            "basis_pursuit where signals are to be met exactly"
        )


def _flat(signals):
    """Signals as (n, features), those with infinities or NaN replaced by zeros, and which are whole."""
    rows = signals.reshape(-1, signals.shape[-1])
    whole = jnp.all(jnp.isfinite(rows), axis=1)
    return jnp.where(whole[:, None], rows, 0), whole


def _per_signal(penalty, shape: tuple[int, ...], dtype):
    """The penalty as (1 or signals, 1 or atoms), for codes of a shape with leading axes."""
    penalty = jnp.asarray(penalty, dtype)
    penalty = penalty.reshape((1,) * (len(shape) - penalty.ndim) + penalty.shape)
    if all(size == 1 for size in penalty.shape[:-1]):
        return penalty.reshape(1, penalty.shape[-1])
    return jnp.broadcast_to(penalty, (*shape[:-1], penalty.shape[-1])).reshape(-1, penalty.shape[-1])


def lasso(
    dictionary: Dictionary,
    signals: Signals,
    penalty: Penalty,
    *,
    tolerance: float | Float[Array, ""] = 1e-6,
    max_steps: int = 1000,
    nonnegative: bool = False,
) -> Solution:
    r"""Sparse codes by the lasso: minimises $\frac12 \|x - zD\|^2 + \sum_i \lambda_i |z_i|$.

    The objective is that of scikit-learn's `sparse_encode`; its `Lasso` divides the first term by the number
    of features. A signal is done once its duality gap is at most `tolerance` times its objective, which
    bounds how far the objective is above its minimum. In single precision the gap comes down to about
    $10^{-7}$ times the ratio of the largest correlation $|\langle x, d_i \rangle|$ and the penalty; a signal
    that stands there is done, too, and is not `converged` unless its tolerance is met.

    Codes have the derivative of the exact minimiser on its support with respect to signals, dictionary and
    penalty, in both modes and to any order. The gap has derivative zero.

    Args:
        dictionary: `(atoms, features)`, or a pair `(apply, adjoint)`. Atoms may have any lengths.
        signals: `(..., features)`.
        penalty: $\lambda > 0$: a number, one an atom `(atoms,)`, or anything that broadcasts with the codes,
            such as one a signal, `(..., 1)`.
        tolerance: of the gap, relative to the objective.
        max_steps: of the solver at most; each takes a product with the Gram matrix.
        nonnegative: Whether codes must be nonnegative.

    Returns:
        Codes `(..., atoms)` with their gaps. A signal with infinities or NaN has codes and gap of NaN and is
        not converged; neither is one whose penalty under jit is not positive. Others do not notice.

    Raises:
        ValueError: If shapes do not match, or the penalty (where it has a value) is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> result = pursuit.lasso(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), 0.5)
        >>> result.codes.round(4).tolist(), bool(result.converged)
        ([2.5, 0.0, -1.5], True)

    References:
        Chen, Donoho and Saunders, Atomic decomposition by basis pursuit, 1998.
        Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems,
        2009.
        O'Donoghue and Candès, Adaptive restart for accelerated gradient schemes, 2015.
        Boyd, Parikh, Chu, Peleato and Eckstein, Distributed optimization and statistical learning via the
        alternating direction method of multipliers, 2011.
    """
    dictionary, signals, atoms = _checked(dictionary, signals)
    _check_penalty(penalty, np.shape(penalty), (*signals.shape[:-1], atoms))
    penalties = jnp.asarray(penalty)[None]
    path = _path(dictionary, signals, penalties, tolerance, atoms, max_steps, nonnegative)
    return jax.tree.map(lambda leaf: leaf[0], path)


@partial(jax.jit, static_argnames=("atoms", "max_steps", "nonnegative"))
def _path(dictionary, signals, penalties, tolerance, atoms, max_steps, nonnegative) -> Solution:
    rows, whole = _flat(signals)
    dtype = rows.dtype
    leading = signals.shape[:-1]
    curvature = _curvature(lax.stop_gradient(dictionary), atoms, dtype)

    def solve(start, penalty):
        penalty = _per_signal(penalty, (*leading, atoms), dtype)
        positive = jnp.all(penalty > 0, axis=1)
        penalty = jnp.where(positive[:, None], penalty, 1)
        codes, gap, steps, converged = _solve(
            max_steps, nonnegative, dictionary, rows, penalty, start, jnp.asarray(tolerance, dtype), curvature
        )
        known = whole & positive
        return lax.stop_gradient(codes), Solution(
            jnp.where(known[:, None], codes, jnp.nan).reshape(*leading, atoms),
            jnp.where(known, gap, jnp.nan).reshape(leading),
            steps.reshape(leading),
            (converged & known).reshape(leading),
        )

    return lax.scan(solve, jnp.zeros((len(rows), atoms), dtype), penalties)[1]


def lasso_path(
    dictionary: Dictionary,
    signals: Signals,
    penalties: Penalty,
    *,
    tolerance: float | Float[Array, ""] = 1e-6,
    max_steps: int = 1000,
    nonnegative: bool = False,
) -> Solution:
    r"""The lasso for one penalty after the other, each started at the codes of the one before.

    Penalties that fall from $\max_i |\langle x, d_i \rangle|$ on, above which all codes are zero, reach small
    ones in fewer steps than a lasso from zero does.

    Args:
        dictionary: `(atoms, features)`, or a pair `(apply, adjoint)`.
        signals: `(..., features)`.
        penalties: `(number, ...)`, each of them what `lasso` takes.
        tolerance: of the gap, relative to the objective.
        max_steps: for a penalty at most.
        nonnegative: Whether codes must be nonnegative.

    Returns:
        What `lasso` returns, each with the penalties as a first axis.

    Raises:
        ValueError: If shapes do not match, or a penalty (where it has a value) is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> path = pursuit.lasso_path(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), jnp.array([2.5, 1.0]))
        >>> path.codes.round(4).tolist()
        [[0.5, 0.0, 0.0], [2.0, 0.0, -1.0]]

    References:
        Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
        descent, 2010.
    """
    dictionary, signals, atoms = _checked(dictionary, signals)
    if np.ndim(penalties) < 1:
        raise ValueError(
            "penalties are an array with a first axis, found a number: for one penalty, use lasso"
        )
    _check_penalty(penalties, np.shape(penalties)[1:], (*signals.shape[:-1], atoms))
    return _path(dictionary, signals, jnp.asarray(penalties), tolerance, atoms, max_steps, nonnegative)


def basis_pursuit(
    dictionary: Dictionary, signals: Signals, *, tolerance: float = 1e-5, max_steps: int = 1000
) -> Solution:
    r"""The codes of least $\|z\|_1$ that meet the signals exactly: $zD = x$.

    Solved as lasso problems of falling penalties, each with the residual of the one before, in proportion to
    the penalties, added back to the signal (Bregman iteration), which ends after finitely many. A signal is
    done once its residual is at most `tolerance` times its norm and its gap at most `tolerance` times
    $\|z\|_1$.

    Args:
        dictionary: `(atoms, features)`, or a pair `(apply, adjoint)`.
        signals: `(..., features)`.
        tolerance: of the residual and the gap.
        max_steps: for one lasso problem at most.

    Returns:
        Codes `(..., atoms)`; the gap is how far $\|z\|_1$ is above the value of a dual point. A signal
        outside of what the atoms span is not converged; one with infinities or NaN has codes of NaN.

    Raises:
        ValueError: If shapes do not match.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> dictionary = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> pursuit.basis_pursuit(dictionary, jnp.array([1.2, 1.6])).codes.round(4).tolist()
        [0.0, 0.0, 2.0]

    References:
        Chen, Donoho and Saunders, Atomic decomposition by basis pursuit, 1998.
        Yin, Osher, Goldfarb and Darbon, Bregman iterative algorithms for l1-minimization, 2008.
    """
    dictionary, signals, atoms = _checked(dictionary, signals)
    return _basis_pursuit(dictionary, signals, tolerance, atoms, max_steps)


@partial(jax.jit, static_argnames=("atoms", "max_steps"))
def _basis_pursuit(dictionary, signals, tolerance, atoms, max_steps) -> Solution:
    rows, whole = _flat(signals)
    dtype = rows.dtype
    apply, adjoint = _pair(dictionary)
    curvature = _curvature(dictionary, atoms, dtype)
    largest = jnp.max(jnp.abs(adjoint(rows)), axis=1)
    largest = jnp.where(largest > 0, largest, 1)[:, None]
    # Dual points round by the signal's rounding over the penalty.
    least = 16 * jnp.sqrt(jnp.finfo(dtype).eps)
    norm = jnp.linalg.norm(rows, axis=1)
    # Down to rounding: a gap bounds only the square of the residual.
    inner = jnp.zeros((), dtype)

    def another(carry):
        count, codes, dual, gap, steps, done = carry
        penalty = jnp.maximum(_BREGMAN_PENALTY * _BREGMAN_DECAY**count, least) * largest
        target = jnp.where(done[:, None], 0, rows + penalty * dual)
        start = jnp.where(done[:, None], 0, codes)
        new, _, taken, _ = _solve(max_steps, False, dictionary, target, penalty, start, inner, curvature)
        left = target - apply(new)
        dual = left / jnp.maximum(penalty, jnp.max(jnp.abs(adjoint(left)), axis=1, keepdims=True))
        length = jnp.sum(jnp.abs(new), axis=1)
        distance = length - jnp.sum(rows * dual, axis=1)
        missing = jnp.linalg.norm(rows - apply(new), axis=1)
        near = (jnp.abs(distance) <= tolerance * length) & (missing <= tolerance * norm)
        codes = jnp.where(done[:, None], codes, new)
        gap, steps = jnp.where(done, gap, distance), steps + taken
        return count + 1, codes, dual, gap, steps, done | near

    def goes_on(carry):
        return (carry[0] < _BREGMAN_ROUNDS) & ~jnp.all(carry[-1])

    zeros = jnp.zeros(len(rows), dtype)
    start = (0, jnp.zeros((len(rows), atoms), dtype), jnp.zeros_like(rows), zeros, jnp.zeros(len(rows), int))
    _, codes, _, gap, steps, done = lax.while_loop(goes_on, another, (*start, norm == 0))
    leading = signals.shape[:-1]
    return Solution(
        jnp.where(whole[:, None], codes, jnp.nan).reshape(*leading, atoms),
        jnp.where(whole, gap, jnp.nan).reshape(leading),
        steps.reshape(leading),
        (done & whole).reshape(leading),
    )


def _lengths(dictionary, atoms: int, dtype):
    """The lengths of the atoms."""
    if not isinstance(dictionary, tuple):
        return jnp.linalg.norm(dictionary, axis=1)
    return lax.map(
        lambda i: jnp.linalg.norm(dictionary[0](jax.nn.one_hot(i, atoms, dtype=dtype))), jnp.arange(atoms)
    )


def _take(dictionary, chosen, atoms: int, dtype):
    """The chosen atoms, `(..., features)` for indices `(...)`."""
    if not isinstance(dictionary, tuple):
        return dictionary[chosen]
    return dictionary[0](jax.nn.one_hot(chosen, atoms, dtype=dtype))


def _finished(signals, whole, codes, support, residual, steps) -> Greedy:
    leading = signals.shape[:-1]
    energy = jnp.sum(residual**2, axis=1)
    norm = jnp.sqrt(jnp.where(energy > 0, energy, 1)) * (energy > 0)
    return Greedy(
        jnp.where(whole[:, None], codes, jnp.nan).reshape(*leading, -1),
        jnp.where(whole[:, None], support, -1).reshape(*leading, -1),
        jnp.where(whole, norm, jnp.nan).reshape(leading),
        jnp.where(whole, steps, 0).reshape(leading),
    )


def thresholding(dictionary: Dictionary, signals: Signals, *, sparsity: int) -> Greedy:
    r"""The thresholding algorithm: least squares on the atoms that correlate most with the signal.

    The atoms are those of the largest $|\langle x, d_i \rangle| / \|d_i\|$, chosen all at once.

    Args:
        dictionary: `(atoms, features)`, or a pair `(apply, adjoint)`.
        signals: `(..., features)`.
        sparsity: Atoms to choose, from 1 to their number; those that depend on the ones before are left out.

    Returns:
        Codes `(..., atoms)`, the support, most correlated first, and the residual's norm. A signal with
        infinities or NaN has codes of NaN and no support.

    Raises:
        ValueError: If shapes do not match, or the sparsity is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> pursuit.thresholding(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), sparsity=2).codes.tolist()
        [3.0, 0.0, -2.0]

    References:
        Elad, Sparse and redundant representations, 2010, section 3.1.4.
    """
    dictionary, signals, atoms = _checked(dictionary, signals)
    _check_sparsity(sparsity, atoms)
    return _orthogonal(dictionary, signals, 0.0, atoms, sparsity, True)


def orthogonal_matching_pursuit(
    dictionary: Dictionary,
    signals: Signals,
    *,
    sparsity: int,
    tolerance: float | Float[Array, ""] = 0.0,
) -> Greedy:
    r"""Orthogonal matching pursuit: atom after atom, with least squares on those chosen so far.

    Each step chooses the atom of the largest $|\langle r, d_i \rangle| / \|d_i\|$ with the residual $r$ and
    takes what is new in it, beside the atoms chosen before, out of the residual; a Cholesky factorisation of
    the chosen atoms' Gram matrix gives the codes. They are differentiable on their support.

    Args:
        dictionary: `(atoms, features)`, or a pair `(apply, adjoint)`.
        signals: `(..., features)`.
        sparsity: Atoms at most, from 1 to their number.
        tolerance: A signal is done once its residual's norm is at most this.

    Returns:
        Codes `(..., atoms)`, the support in the order of choice, and the residual's norm. A signal with
        infinities or NaN has codes of NaN and no support.

    Raises:
        ValueError: If shapes do not match, or the sparsity is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> dictionary = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> result = pursuit.orthogonal_matching_pursuit(dictionary, jnp.array([1.2, 1.6]), sparsity=1)
        >>> result.codes.round(4).tolist(), result.support.tolist()
        ([0.0, 0.0, 2.0], [2])

    References:
        Pati, Rezaiifar and Krishnaprasad, Orthogonal matching pursuit, 1993.
        Rubinstein, Zibulevsky and Elad, Efficient implementation of the K-SVD algorithm using batch
        orthogonal matching pursuit, 2008.
    """
    dictionary, signals, atoms = _checked(dictionary, signals)
    _check_sparsity(sparsity, atoms)
    return _orthogonal(dictionary, signals, tolerance, atoms, sparsity, False)


@partial(jax.jit, static_argnames=("atoms", "sparsity", "at_once"))
def _orthogonal(dictionary, signals, tolerance, atoms, sparsity, at_once) -> Greedy:
    rows, whole = _flat(signals)
    dtype = rows.dtype
    count = len(rows)
    _, adjoint = _pair(dictionary)
    lengths = _lengths(lax.stop_gradient(dictionary), atoms, dtype)
    weights = jnp.where(lengths > 0, 1 / jnp.where(lengths > 0, lengths, 1), 0)
    every = jnp.arange(count)
    fixed = lax.stop_gradient(rows)

    def step(k, carry):
        chosen, basis, support, residual, steps, barred, live = carry
        merit = jnp.where(barred, -1, weights * jnp.abs(adjoint(fixed if at_once else residual)))
        best = jnp.argmax(merit, axis=1)
        atom = _take(dictionary, best, atoms, dtype)
        new = lax.stop_gradient(atom)
        square = jnp.sum(new**2, axis=1)
        for _ in range(2):  # the second time takes out what rounding left in
            within = jnp.einsum("nkf,nf->nk", basis, new, precision="highest")
            new = new - jnp.einsum("nk,nkf->nf", within, basis, precision="highest")
        left = jnp.sum(new**2, axis=1)
        # What is left of an atom that depends on the others is rounding.
        takes = live & (left > 100 * jnp.finfo(dtype).eps * square) & (merit[every, best] > 0)
        barred = barred.at[every, best].set(True)
        unit = jnp.where(takes, 1 / jnp.sqrt(jnp.where(takes, left, 1)), 0)[:, None] * new
        chosen = chosen.at[:, k].set(jnp.where(takes[:, None], atom, 0))
        basis = basis.at[:, k].set(unit)
        support = support.at[:, k].set(jnp.where(takes, best, -1))
        residual = residual - jnp.sum(residual * unit, axis=1, keepdims=True) * unit
        # All at once, an atom that depends on others only gives way to the next.
        live = live & (at_once | takes) & (jnp.sum(residual**2, axis=1) > tolerance**2)
        return chosen, basis, support, residual, steps + takes, barred, live

    none = jnp.zeros((count, sparsity, rows.shape[1]), dtype)
    start = (
        none,
        none,
        jnp.full((count, sparsity), -1),
        fixed,
        jnp.zeros(count, int),
        jnp.zeros((count, atoms), bool),
        jnp.sum(fixed**2, axis=1) > tolerance**2,
    )
    # Once all are done, the steps that are left cost nothing; a `while_loop` would have no derivative.
    chosen, _, support, _, steps, _, _ = lax.fori_loop(
        0,
        sparsity,
        lambda k, carry: lax.cond(jnp.any(carry[-1]), partial(step, k), lambda same: same, carry),
        start,
    )
    gram = jnp.einsum("nkf,nlf->nkl", chosen, chosen, precision="highest")
    gram = gram + (support < 0)[..., None] * jnp.eye(sparsity, dtype=dtype)
    correlations = jnp.einsum("nkf,nf->nk", chosen, rows, precision="highest")
    factor = cho_factor(gram, lower=True)
    values = cho_solve(factor, correlations[..., None])[..., 0]
    codes = jnp.zeros((count, atoms), dtype)
    codes = codes.at[every[:, None], support].add(jnp.where(support < 0, 0, values))
    residual = rows - jnp.einsum("nk,nkf->nf", values, chosen, precision="highest")
    return _finished(signals, whole, codes, support, residual, steps)


def matching_pursuit(dictionary: Dictionary, signals: Signals, *, steps: int) -> Greedy:
    r"""Matching pursuit: atom after atom, each with the part of the residual along it.

    A step adds $\langle r, d_i \rangle / \|d_i\|^2$ to the code of the atom of the largest
    $|\langle r, d_i \rangle| / \|d_i\|$; an atom may be chosen again.

    Args:
        dictionary: `(atoms, features)`, or a pair `(apply, adjoint)`.
        signals: `(..., features)`.
        steps: to take, at least 1.

    Returns:
        Codes `(..., atoms)`, the atoms chosen, in their order, and the residual's norm. A signal with
        infinities or NaN has codes of NaN and no support.

    Raises:
        ValueError: If shapes do not match, or there are no steps to take.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import pursuit
        >>> result = pursuit.matching_pursuit(jnp.eye(3), jnp.array([3.0, -0.25, -2.0]), steps=2)
        >>> result.codes.tolist(), result.support.tolist()
        ([3.0, 0.0, -2.0], [0, 2])

    References:
        Mallat and Zhang, Matching pursuits with time-frequency dictionaries, 1993.
    """
    dictionary, signals, atoms = _checked(dictionary, signals)
    if steps < 1:
        raise ValueError(f"steps is {steps}: a pursuit takes at least 1")
    return _matching(dictionary, signals, atoms, steps)


@partial(jax.jit, static_argnames=("atoms", "steps"))
def _matching(dictionary, signals, atoms, steps) -> Greedy:
    rows, whole = _flat(signals)
    dtype = rows.dtype
    _, adjoint = _pair(dictionary)
    lengths = _lengths(lax.stop_gradient(dictionary), atoms, dtype)
    weights = jnp.where(lengths > 0, 1 / jnp.where(lengths > 0, lengths, 1), 0)
    every = jnp.arange(len(rows))

    def step(k, carry):
        codes, support, residual, taken = carry
        merit = weights * jnp.abs(adjoint(lax.stop_gradient(residual)))
        best = jnp.argmax(merit, axis=1)
        takes = merit[every, best] > 0
        atom = _take(dictionary, best, atoms, dtype)
        square = jnp.where(takes, jnp.sum(atom**2, axis=1), 1)
        value = jnp.where(takes, jnp.sum(residual * atom, axis=1) / square, 0)
        codes = codes.at[every, best].add(value)
        support = support.at[:, k].set(jnp.where(takes, best, -1))
        return codes, support, residual - value[:, None] * atom, taken + takes

    count = len(rows)
    start = (jnp.zeros((count, atoms), dtype), jnp.full((count, steps), -1), rows, jnp.zeros(count, int))
    codes, support, residual, taken = lax.fori_loop(0, steps, step, start)
    return _finished(signals, whole, codes, support, residual, taken)
