"""Online dictionary learning: lasso codes of minibatches, and block coordinate descent on their moments."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Reals, RealScalar
from jaxtheory.sparse import pursuit
from jaxtheory.sparse.dictionary_learning.sampling import replace_idle
from jaxtheory.sparse.learning import Learner, bind
from jaxtheory.sparse.signals import finite_rows, mean_over, rows

UNUSED = 1e-6
"""An atom whose codes have less than this share of the atoms' mean energy is replaced."""


@record
class OnlineState:
    """The state from which online learning continues."""

    dictionary: Float[Array, "atoms features"]
    """The atoms, of unit length at most."""
    gram: Float[Array, "atoms atoms"]
    """The codes' second moments, summed over the minibatches seen."""
    cross: Float[Array, "atoms features"]
    """The moments of codes with signals, summed likewise."""
    step: Int[Array, ""]
    """The number of steps taken."""


def online(
    penalty: Reals,
    *,
    forgetting: RealScalar = 0.0,
    tolerance: RealScalar = 1e-2,
    max_steps: int = 1000,
    sweeps: int = 1,
    nonnegative: bool = False,
) -> Learner:
    r"""Learn a dictionary for the lasso from one minibatch after another.

    It minimizes $\sum_x \min_z \frac12 \|x - zD\|^2 + \lambda \|z\|_1$ over dictionaries whose atoms have at
    most unit length. Codes $z$ of a minibatch are those of the lasso. With their moments
    $A \leftarrow \beta_t A + \frac1n \sum z^T z$ and $B \leftarrow \beta_t B + \frac1n \sum z^T x$,
    $\beta_t = (1 - 1/t)^\rho$, block coordinate descent takes each atom to the minimum of
    $\frac12 \mathrm{tr}(D^T A D) - \mathrm{tr}(D^T B)$ over the unit ball, the others fixed:
    $u = d_j + (b_j - a_j D) / A_{jj}$, $d_j \leftarrow u / \max(1, \|u\|)$. An atom that no code uses, such
    as one of zeros, becomes the signal with the largest residual.

    Args:
        penalty: The weight $\lambda > 0$ of the codes' absolute values: one number, or one for each atom.
        forgetting: The exponent $\rho \geq 0$ with which old minibatches lose weight; at 0 all count alike.
        tolerance: The codes of a signal are done once their duality gap is at most this share of their
            objective.
        max_steps: The largest number of steps of the lasso.
        sweeps: The number of passes over the atoms in each step.
        nonnegative: Whether codes must be nonnegative.

    Returns:
        The learner. `init(dictionary)` scales atoms longer than one to unit length and returns an
        `OnlineState`. `step(state, signals)` has the metrics `"objective"`, its mean over the signals, and
        `"converged"`, the share of signals that came to the tolerance, both under the dictionary before the
        step.

    Raises:
        ValueError: If a number is out of range, or the penalty has more than one axis.
        TypeError: If a number is complex, or a count is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.dictionary_learning import online
        >>> learner = online(1.0)
        >>> state, metrics = learner.step(learner.init(jnp.eye(2)), jnp.array([[3.0, 1.0], [0.0, 2.0]]))
        >>> state.dictionary.round(3).tolist(), metrics["objective"].round(3).item()
        ([[0.949, 0.316], [0.0, 1.0]], 2.25)

    References:
        Mairal, Bach, Ponce and Sapiro, Online learning for matrix factorization and sparse coding, 2010.
    """
    checks.positive("penalty", penalty)
    if np.ndim(penalty) > 1:
        raise ValueError(f"penalty has the shape {np.shape(penalty)}: take one number, or one for each atom")
    checks.nonnegative("forgetting", forgetting, one=True)
    checks.nonnegative("tolerance", tolerance, one=True)
    options = {
        "max_steps": checks.count("max_steps", max_steps),
        "sweeps": checks.count("sweeps", sweeps),
        "nonnegative": checks.flag("nonnegative", nonnegative),
    }
    step = bind(_step, static=options, penalty=penalty, forgetting=forgetting, tolerance=tolerance)
    return Learner(bind(_init), step)


def _init(dictionary: Real[AnyArray, "atoms features"]) -> OnlineState:
    dictionary = rows("dictionary", dictionary)
    length = jnp.linalg.norm(dictionary, axis=1, keepdims=True)
    return OnlineState(
        dictionary / jnp.maximum(length, 1),
        jnp.zeros((len(dictionary), len(dictionary)), dictionary.dtype),
        jnp.zeros_like(dictionary),
        jnp.zeros((), jnp.int32),
    )


def _step(
    state: OnlineState, signals: Real[AnyArray, "n features"], *, penalty: Reals, **options: object
) -> tuple[OnlineState, dict[str, Array]]:
    atoms, features = state.dictionary.shape
    if np.shape(penalty) not in ((), (atoms,)):
        raise ValueError(f"penalty has the shape {np.shape(penalty)}: take one number, or {atoms} of them")
    signals = rows("signals", signals, features).astype(state.dictionary.dtype)
    return _stepped(state, signals, penalty, **options)


@partial(jax.jit, static_argnames=("max_steps", "sweeps", "nonnegative"))
def _stepped(
    state: OnlineState,
    signals: Array,
    penalty: Array,
    *,
    forgetting: Array,
    tolerance: Array,
    max_steps: int,
    sweeps: int,
    nonnegative: bool,
) -> tuple[OnlineState, dict[str, Array]]:
    before, dtype = state.dictionary, state.dictionary.dtype
    penalty, forgetting = jnp.asarray(penalty, dtype), jnp.asarray(forgetting, dtype)
    signals, finite = finite_rows(signals)
    found = pursuit.lasso(
        before, signals, penalty, tolerance=tolerance, max_steps=max_steps, nonnegative=nonnegative
    )
    # A pursuit that fails must not reach the moments, which nothing leaves again.
    codes = jnp.where(jnp.isfinite(found.codes), found.codes, 0).astype(dtype)
    residual = signals - matmul(codes, before)
    left = jnp.sum(residual**2, axis=1)
    objective = left / 2 + jnp.sum(penalty * jnp.abs(codes), axis=1)
    metrics = {
        "objective": mean_over(finite, objective),
        "converged": jnp.mean((found.converged & finite).astype(dtype)),
    }

    weight = 1 / jnp.maximum(jnp.sum(finite), 1).astype(dtype)
    keep = jnp.where(state.step > 0, (1 - 1 / (state.step + 1.0)) ** forgetting, 1).astype(dtype)
    gram = keep * state.gram + weight * matmul(codes.T, codes)
    cross = keep * state.cross + weight * matmul(codes.T, signals)
    energy = jnp.diagonal(gram)
    used = energy > UNUSED * jnp.mean(energy)

    def update(i: Array, atoms: Array) -> Array:
        j = i % len(atoms)
        change = (cross[j] - matmul(gram[j], atoms)) / jnp.where(used[j], energy[j], 1)
        moved = atoms[j] + change
        moved = moved / jnp.sqrt(jnp.maximum(1, jnp.sum(moved**2)))
        return atoms.at[j].set(jnp.where(used[j], moved, atoms[j]))

    after = lax.fori_loop(0, sweeps * len(before), update, before)
    after, replaced = replace_idle(after, ~used, signals, left)
    # What was known of an atom is no longer true of the one in its place.
    gram = jnp.where(replaced[:, None] | replaced, 0, gram)
    cross = jnp.where(replaced[:, None], 0, cross)
    return OnlineState(after, gram, cross, state.step + 1), metrics
