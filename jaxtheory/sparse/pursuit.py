r"""Pursuits: from a signal $x$ and a dictionary of atoms $d_i$ to sparse codes $z$ with $x \approx \sum_i z_i d_i$.

A dictionary is a matrix with one atom a row, `(atoms, features)`, as in scikit-learn, so that codes $z$ stand for
the signal $z D$; or a pair of functions `(apply, adjoint)`, from codes `(..., atoms)` to signals
`(..., features)` and back. Plain functions are constants; a `jax.tree_util.Partial` carries parameters that may
be traced and differentiated. An atom of zeros is never used.

How the lasso is solved. Accelerated proximal gradient steps (FISTA with restarts) find the support; once the
signs have stood still for some steps, conjugate gradients minimise over that support, stop at the first
coefficient that would change its sign, and give way to proximal steps when the largest violation lies outside.
Either kind of step costs one product with the Gram matrix, so that signals in different phases share it. The
signals are sorted by how far they are from their tolerance, worked on in blocks that fit a processor's cache,
and sorted anew after some steps: a block stops with its slowest signal, and what is finished costs nothing.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int

from jaxtheory.sparse.proximal import nonnegative_soft_threshold, soft_threshold

Matrix = Float[Array, "atoms features"] | Float[np.ndarray, "atoms features"]
Dictionary = Matrix | tuple[Any, Any]
Signals = Float[Array, "... features"] | Float[np.ndarray, "... features"]
Penalty = Float[Array, "..."] | Float[np.ndarray, "..."] | float | int | np.floating

_BLOCK = 256
"""Signals worked on at a time."""

_ROUND = 16
"""Steps of a block between two sortings of the signals."""

_CHECK = 2
"""Steps between two looks at the duality gap."""

_SETTLED = 3
"""Steps for which the signs stand still before conjugate gradients begin."""

_POWER_STEPS = 40
"""Steps of the power method for the largest eigenvalue of the Gram matrix."""

_MARGIN = 1.05
"""What that estimate from below is multiplied with; accelerated steps stand an error of a quarter."""


@partial(
    jax.tree_util.register_dataclass, data_fields=["codes", "gap", "steps", "converged"], meta_fields=[]
)
@dataclass(frozen=True)
class Solution:
    """Codes with a certificate of how good they are."""

    codes: Float[Array, "... atoms"]
    gap: Float[Array, "..."]  # duality gap: how far the objective is above its minimum at most
    steps: Int[Array, "..."]  # taken
    converged: Bool[Array, "..."]  # whether the gap came down to the tolerance


def _apply(matrix, codes):
    return jnp.matmul(codes, matrix, precision="highest")


def _adjoint(matrix, signals):
    return jnp.matmul(signals, matrix.T, precision="highest")


def _pair(dictionary):
    """The dictionary as `apply` and `adjoint`."""
    if isinstance(dictionary, tuple):
        return dictionary
    return Partial(_apply, dictionary), Partial(_adjoint, dictionary)


def _largest_eigenvalue(product, atoms: int, dtype):
    """Of the Gram matrix, from below, by the power method."""

    def step(_, v):
        w = product(v)
        return w / jnp.maximum(jnp.linalg.norm(w), jnp.finfo(dtype).tiny)

    start = jax.random.normal(jax.random.key(0), (atoms,), dtype)
    v = lax.fori_loop(0, _POWER_STEPS, step, start / jnp.linalg.norm(start))
    return jnp.vdot(v, product(v))


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


def _advance(product, curvature, weight, tolerance, nonnegative, max_steps, state):
    """Takes the signals of a block some steps further; atoms on the first axis, signals on the last."""
    prox = nonnegative_soft_threshold if nonnegative else soft_threshold

    def step(state):
        z, c, d, h, energy, live = (state[k] for k in ("z", "c", "d", "h", "energy", "live"))
        on = z != 0
        free = jnp.where(on, c - jnp.where(z > 0, weight, -weight), 0)
        chopped = jnp.where(on, 0, jnp.maximum((c if nonnegative else jnp.abs(c)) - weight, 0))
        inside, outside = jnp.sum(free**2, axis=0), jnp.sum(chopped**2, axis=0)
        stays = (state["stable"] < 0) & (inside > outside)
        conjugate = stays | ((state["stable"] >= _SETTLED) & (inside > outside))
        turn = jnp.where(stays & (state["bend"] > 0), jnp.sum(free * h, axis=0) / state["bend"], 0)
        conjugate_direction = jnp.where(on, free - turn * d, 0)

        momentum = state["momentum"]
        y = z + momentum * d
        target = prox(y + (c - momentum * h) / curvature, weight / curvature)
        direction = jnp.where(conjugate, conjugate_direction, target - z)
        image = product(direction)
        bend = jnp.sum(direction * image, axis=0)
        slope = jnp.sum(direction * c, axis=0)
        room = jnp.where(z * direction < 0, -z / direction, jnp.inf)
        nearest = jnp.min(room, axis=0)
        whole = jnp.where(bend > 0, jnp.sum(direction * free, axis=0) / bend, 0)
        blocked = whole >= nearest
        length = jnp.where(conjugate, jnp.minimum(whole, nearest), 1)
        along = jnp.where(blocked & (room <= nearest), 0, z + length * direction)
        moved = jnp.where(conjugate, along, target)

        restart = jnp.sum((y - target) * (target - z), axis=0) > 0
        same = jnp.all(jnp.where(target > 0, z > 0, jnp.where(target < 0, z < 0, z == 0)), axis=0)
        t = jnp.where(restart, 1, state["t"])
        after = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        new = {
            "z": moved,
            "c": c - length * image,
            "d": direction,
            "h": image,
            "energy": energy - 2 * length * slope + length**2 * bend,
            "t": jnp.where(conjugate, 1, after),
            "momentum": jnp.where(conjugate, 0, (t - 1) / after),
            # Minus one for conjugate gradients; a blocked step begins them anew.
            "stable": jnp.where(
                conjugate, jnp.where(blocked, _SETTLED, -1), jnp.where(same, jnp.maximum(state["stable"], 0) + 1, 0)
            ),
            "bend": bend,
            "steps": state["steps"] + 1,
            "live": live,
        }
        return {name: jnp.where(live, value, state[name]) for name, value in new.items()}

    def steps(carry):
        count, state = carry
        state = lax.fori_loop(0, _CHECK, lambda _, s: step(s), state)
        gap, primal = _gap(state["z"], state["c"], state["energy"], weight, nonnegative)
        live = state["live"] & ~(gap <= tolerance * primal) & (state["steps"] < max_steps)
        return count + _CHECK, state | {"live": live}

    def goes_on(carry):
        return (carry[0] < _ROUND) & jnp.any(carry[1]["live"])

    return lax.while_loop(goes_on, steps, (0, state))[1]


def _per_signal(penalty, shape: tuple[int, ...], dtype):
    """The penalty as (1 or signals, 1 or atoms), for codes of a shape with leading axes."""
    penalty = jnp.asarray(penalty, dtype)
    penalty = penalty.reshape((1,) * (len(shape) - penalty.ndim) + penalty.shape)
    if all(size == 1 for size in penalty.shape[:-1]):
        return penalty.reshape(1, penalty.shape[-1])
    return jnp.broadcast_to(penalty, (*shape[:-1], penalty.shape[-1])).reshape(-1, penalty.shape[-1])


@partial(jax.jit, static_argnames=("max_steps", "nonnegative"))
def _minimise(dictionary, signals, penalty, start, tolerance, max_steps, nonnegative):
    """The lasso for signals `(n, features)`, penalties `(1 or n, 1 or atoms)` and codes `(n, atoms)`."""
    apply, adjoint = _pair(dictionary)
    count, atoms = start.shape
    dtype = start.dtype
    tiny = jnp.finfo(dtype).tiny
    # Half the arithmetic, where the Gram matrix is not much larger than the dictionary and used often enough.
    if not isinstance(dictionary, tuple) and atoms <= 2 * dictionary.shape[1] and atoms <= 8 * count:
        gram = jnp.matmul(dictionary, dictionary.T, precision="highest")

        def product(codes):
            return jnp.matmul(gram, codes, precision="highest")
    elif not isinstance(dictionary, tuple):

        def product(codes):
            image = jnp.matmul(dictionary.T, codes, precision="highest")
            return jnp.matmul(dictionary, image, precision="highest")
    else:

        def product(codes):
            return adjoint(apply(codes.T)).T

    largest = _largest_eigenvalue(lambda v: product(v[:, None])[:, 0], atoms, dtype)
    curvature = jnp.maximum(_MARGIN * largest, tiny)
    block = min(_BLOCK, count)
    spare = -count % block

    def pad(array):
        return jnp.pad(array, ((0, spare), (0, 0)))

    finite = jnp.all(jnp.isfinite(signals), axis=1)
    signals = pad(jnp.where(finite[:, None], signals, 0))
    penalty = pad(penalty) if penalty.shape[0] == count > 1 else penalty
    # The padding has a penalty too: zero signals are done at once.
    penalty = jnp.where(penalty == 0, 1, penalty) if spare else penalty
    start = pad(start)

    def weight_of(chosen):
        return penalty[chosen].T if penalty.shape[0] > 1 else penalty.T

    def measured(x, z, weight):
        """Correlations, energy of the residual and gap from scratch, which ends the drift of updates."""
        residual = x - apply(z)
        c, energy = adjoint(residual).T, jnp.sum(residual**2, axis=1)
        return c, energy, *_gap(z.T, c, energy, weight, nonnegative)

    def blockwise(function, chosen, blocks, carry):
        def body(i, carry):
            return function(lax.dynamic_slice_in_dim(chosen, i * block, block), carry)

        return lax.fori_loop(0, blocks, body, carry)

    def begin(chosen, state):
        z = start[chosen]
        c, energy, gap, primal = measured(signals[chosen], z, weight_of(chosen))
        live = ~(gap <= tolerance * primal) & jnp.isfinite(gap)
        fresh = {"c": c.T, "energy": energy, "gap": gap, "primal": primal, "live": live}
        return state | {name: state[name].at[chosen].set(value) for name, value in fresh.items()}

    def turn(chosen, state):
        inner = {name: state[name][chosen] for name in ("z", "c", "d", "h")}
        inner = {name: value.T for name, value in inner.items()}
        inner |= {
            name: state[name][chosen]
            for name in ("energy", "t", "momentum", "stable", "bend", "steps", "live")
        }
        weight = weight_of(chosen)
        inner = _advance(product, curvature, weight, tolerance, nonnegative, max_steps, inner)
        z = inner["z"].T
        c, energy, gap, primal = measured(signals[chosen], z, weight)
        fresh = {name: inner[name] for name in ("t", "momentum", "stable", "bend", "steps")}
        fresh |= {"z": z, "c": c.T, "d": inner["d"].T, "h": inner["h"].T}
        live = ~(gap <= tolerance * primal) & jnp.isfinite(gap) & (inner["steps"] < max_steps)
        fresh |= {"energy": energy, "gap": gap, "primal": primal, "live": live & state["live"][chosen]}
        return {name: state[name].at[chosen].set(value) for name, value in fresh.items()}

    total = count + spare
    zeros, ones = jnp.zeros(total, dtype), jnp.ones(total, dtype)
    state = {"z": start, "c": jnp.zeros_like(start), "d": jnp.zeros_like(start), "h": jnp.zeros_like(start)}
    state |= {"energy": zeros, "gap": zeros, "primal": zeros, "t": ones, "momentum": zeros, "bend": ones}
    state |= {"stable": jnp.zeros(total, int), "steps": jnp.zeros(total, int), "live": ones > 0}
    state = blockwise(begin, jnp.arange(total), total // block, state)

    def another(state):
        distance = jnp.where(state["live"], state["gap"] / jnp.maximum(state["primal"], tiny), -1)
        blocks = -(-jnp.sum(state["live"]) // block)
        return blockwise(turn, jnp.argsort(-distance), blocks, state)

    state = lax.while_loop(lambda state: jnp.any(state["live"]), another, state)
    codes, gap, primal, steps = (state[name][:count] for name in ("z", "gap", "primal", "steps"))
    converged = finite & (gap <= tolerance * primal)
    codes = jnp.where(finite[:, None], codes, jnp.nan)
    return codes, jnp.where(finite, gap, jnp.nan), steps, converged
