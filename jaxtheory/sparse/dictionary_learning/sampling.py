"""Atoms taken from signals: those that learning begins with, and those that replace idle ones."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, RandomKey
from jaxtheory.sparse.signals import finite_rows, rows


def sample_atoms(
    key: RandomKey, signals: Real[AnyArray, "n features"], atoms: int
) -> Float[Array, "{atoms} features"]:
    """Draw initial atoms: signals without replacement, scaled to unit length.

    Args:
        key: The random key.
        signals: The signals.
        atoms: The number of atoms, from 1 to that of the signals.

    Returns:
        The atoms. Signals that are zero, or hold infinities or NaN, are drawn last and give atoms of zeros,
        which the first step of a learner replaces.

    Raises:
        ValueError: If there are fewer signals than atoms, or the signals are empty or not a matrix.
        TypeError: If signals are complex, `atoms` is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse.dictionary_learning import sample_atoms
        >>> sample_atoms(jax.random.key(0), 3 * jax.numpy.eye(4), 4).sum()
        Array(4., dtype=float32)
    """
    checks.random_key("key", key)
    _, back = real_arrays(signals=signals)
    signals = rows("signals", signals)
    return back(_sampled(key, signals, checks.count("atoms", atoms, most=len(signals))))


@partial(jax.jit, static_argnames=("atoms",))
def _sampled(key: RandomKey, signals: Array, atoms: int) -> Array:
    signals, _ = finite_rows(signals)
    length = jnp.linalg.norm(signals, axis=1)
    order = jnp.where(length > 0, jax.random.uniform(key, length.shape), -1)
    chosen = lax.top_k(order, atoms)[1]
    return signals[chosen] / jnp.where(length > 0, length, 1)[chosen][:, None]


def replace_idle(
    dictionary: Float[Array, "atoms features"],
    idle: Bool[Array, " atoms"],
    signals: Float[Array, "n features"],
    left: Float[Array, " n"],
) -> tuple[Float[Array, "atoms features"], Bool[Array, " atoms"]]:
    """Replace idle atoms by the signals with the largest residuals.

    Args:
        dictionary: The atoms.
        idle: The mask of the atoms to be replaced.
        signals: The signals, all of them finite.
        left: The squared norm of what the atoms leave of each signal.

    Returns:
        The dictionary with atoms of unit length in place of idle ones, and which were replaced: there may be
        fewer signals with a nonzero residual than idle atoms.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.dictionary_learning.sampling import replace_idle
        >>> dictionary, signals = jnp.zeros((1, 2)), jnp.array([[1.0, 0.0], [0.0, 3.0]])
        >>> replace_idle(dictionary, jnp.array([True]), signals, jnp.array([1.0, 9.0]))[0].tolist()
        [[0.0, 1.0]]
    """
    rank = jnp.cumsum(idle) - 1
    worst = jnp.argsort(-left)[jnp.clip(rank, 0, len(signals) - 1)]
    length = jnp.linalg.norm(signals[worst], axis=1)
    takes = idle & (rank < len(signals)) & (left[worst] > 0) & (length > 0)
    fresh = signals[worst] / jnp.where(takes, length, 1)[:, None]
    return jnp.where(takes[:, None], fresh, dictionary), takes
