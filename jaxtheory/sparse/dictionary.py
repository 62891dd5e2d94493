r"""Dictionaries learnt from signals: online, by K-SVD, and as Olshausen and Field learnt theirs; whitening.

A dictionary is `(atoms, features)` and signals are `(n, features)`, as in `pursuit`. A method is three
functions: `..._init(dictionary)` is a state, a pytree of arrays that can be stored;
`..._step(state, signals)` takes one step on signals of the caller's; and the plain call, `online`, `ksvd` or
`sparsenet`, takes many, in one compiled program. It goes on from any state: the minibatch of a step is drawn
from the key and the number of the step, so that a learning in segments of any length is the same learning.

A signal with infinities or NaN is left out of whatever is learnt, and counts as not converged.

Example:
    >>> import jax
    >>> from jaxtheory.sparse import dictionary
    >>> planted = jax.random.normal(jax.random.key(0), (12, 8))
    >>> planted /= jax.numpy.linalg.norm(planted, axis=1, keepdims=True)
    >>> codes = jax.random.laplace(jax.random.key(1), (2000, 12))
    >>> start = dictionary.online_init(dictionary.sample_atoms(jax.random.key(2), codes @ planted, 12))
    >>> learnt, metrics = dictionary.online(
    ...     start, codes @ planted, 0.5, jax.random.key(3), steps=200, batch=100
    ... )
    >>> bool(metrics["objective"][-20:].mean() < 0.9 * metrics["objective"][0])
    True
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, UInt32

from jaxtheory.core.types import Reals
from jaxtheory.sparse import pursuit

Atoms = Float[Array, "atoms features"] | Float[np.ndarray, "atoms features"]
Rows = Float[Array, "n features"] | Float[np.ndarray, "n features"]
Values = Float[Array, "..."] | Float[np.ndarray, "..."]
Number = Float[Array, ""] | Float[np.ndarray, ""] | float | int | np.floating
RandomKey = Key[Array, ""] | UInt32[Array, " words"]

_UNUSED = 1e-6
"""An atom whose codes have less than this share of the atoms' mean energy is replaced."""

_SILENT = 0.05
"""So is one whose codes' running variance is less than this share of what it is to be."""

_STRIP, _BLOCK = 1 << 15, 1 << 10
"""Patches of an image that are held at a time, and those of them that are coded together."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Online:
    """What online learning goes on from."""

    dictionary: Any
    """(atoms, features)."""
    gram: Any
    """(atoms, atoms) A, the codes' second moments, summed over the minibatches seen."""
    cross: Any
    """(atoms, features) B, the moments of codes with signals."""
    step: Any
    """() int32, the steps taken."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class KSVD:
    """What K-SVD goes on from."""

    dictionary: Any
    """(atoms, features), of unit length."""
    step: Any
    """() int32, the steps taken."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sparsenet:
    """What learning as Olshausen and Field did goes on from."""

    dictionary: Any
    """(atoms, features), of lengths that give each code the same variance."""
    variance: Any
    """(atoms,) the codes' running variances."""
    step: Any
    """() int32, the steps taken."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CauchyCodes:
    """Codes, and what the last step towards them still gained."""

    codes: Any
    """(..., atoms)."""
    objective: Any
    """(...)."""
    decrease: Any
    """(...) of the objective that the next step is sure of."""
    steps: Any
    """(...) taken, integer."""
    converged: Any
    """(...) whether that decrease came down to the tolerance, Boolean."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Whitening:
    """An affine map that makes the features of signals uncorrelated, and the way back."""

    mean: Any
    """(features,)."""
    matrix: Any
    """(features, components), which signals without their mean are multiplied with."""
    inverse: Any
    """(components, features), its pseudoinverse."""


def _floating(name: str, value):
    """An array of real floating point, single precision at least."""
    value = jnp.asarray(value)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"{name} are real floating point, found {value.dtype}: convert them")
    return value.astype(jnp.promote_types(value.dtype, jnp.float32))


def _atoms(dictionary):
    dictionary = _floating("atoms", dictionary)
    if dictionary.ndim != 2 or 0 in dictionary.shape:
        raise ValueError(
            f"a dictionary is (atoms, features) with at least one of each, found {dictionary.shape}: one "
            "atom a row"
        )
    return dictionary


def _rows(signals, dictionary=None):
    """Signals to learn from, in the dtype of the dictionary that learns."""
    signals = _floating("signals", signals)
    if signals.ndim != 2 or 0 in signals.shape:
        raise ValueError(
            f"signals to learn from are (n, features) with at least one of each, found {signals.shape}: one "
            "signal a row"
        )
    if dictionary is None:
        return signals
    features = dictionary.shape[1]
    if signals.shape[1] != features:
        raise ValueError(
            f"signals have {signals.shape[1]} features and atoms {features}: the signals of a dictionary "
            f"(atoms, {features}) are (n, {features})"
        )
    return signals.astype(dictionary.dtype)


def _check_penalty(penalty, atoms: int):
    if np.shape(penalty) not in ((), (atoms,)):
        raise ValueError(
            f"a penalty is a number, or one an atom, {atoms} of them, found shape {np.shape(penalty)}"
        )
    _check_positive("the penalty", penalty)


def _check_positive(name: str, value):
    if not isinstance(value, jax.core.Tracer) and not np.all(np.asarray(value) > 0):
        raise ValueError(f"{name} must be positive, found {np.min(np.asarray(value))}")


def _check_steps(steps: int):
    if steps < 1:
        raise ValueError(f"steps is {steps}: take at least 1")


def _check_batch(batch: int, n: int):
    if not 1 <= batch <= n:
        raise ValueError(f"a minibatch of {batch} of {n} signals: take from 1 to {n}")


def _whole(signals):
    """Signals with those that hold infinities or NaN replaced by zeros, and which are whole."""
    whole = jnp.all(jnp.isfinite(signals), axis=1)
    return jnp.where(whole[:, None], signals, 0), whole


def _mean_over(whole, values):
    return jnp.sum(jnp.where(whole, values, 0)) / jnp.maximum(jnp.sum(whole), 1)


def _product(a, b):
    return jnp.matmul(a, b, precision="highest")


def _renewed(dictionary, idle, signals, left):
    """The dictionary with idle atoms replaced by the signals of which most is left, and which were."""
    rank = jnp.cumsum(idle) - 1
    worst = jnp.argsort(-left)[jnp.clip(rank, 0, len(signals) - 1)]
    length = jnp.linalg.norm(signals[worst], axis=1)
    takes = idle & (rank < len(signals)) & (left[worst] > 0) & (length > 0)
    fresh = signals[worst] / jnp.where(takes, length, 1)[:, None]
    return jnp.where(takes[:, None], fresh, dictionary), takes


def _drawn(signals, key, step, batch: int):
    """The minibatch of a step."""
    return signals[jax.random.randint(jax.random.fold_in(key, step), (batch,), 0, len(signals))]


def sample_atoms(key: RandomKey, signals: Rows, atoms: int) -> Float[Array, "atoms features"]:
    """Atoms to start from: signals drawn without replacement, scaled to unit length.

    Args:
        key: What is drawn with.
        signals: `(n, features)`.
        atoms: How many to draw, from 1 to `n`.

    Returns:
        `(atoms, features)`. Signals of zeros, or with infinities or NaN, are drawn last, and give atoms of
        zeros, which the first step replaces.

    Raises:
        ValueError: If there are fewer signals than atoms.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import dictionary
        >>> dictionary.sample_atoms(jax.random.key(0), 3 * jax.numpy.eye(4), 4).sum()
        Array(4., dtype=float32)
    """
    signals = _rows(signals)
    if not 1 <= atoms <= len(signals):
        raise ValueError(
            f"{atoms} atoms of {len(signals)} signals: draw from 1 to {len(signals)}, or give more signals"
        )
    return _sample_atoms(key, signals, atoms)


@partial(jax.jit, static_argnames=("atoms",))
def _sample_atoms(key, signals, atoms):
    signals, _ = _whole(signals)
    length = jnp.linalg.norm(signals, axis=1)
    order = jnp.where(length > 0, jax.random.uniform(key, length.shape), -1)
    chosen = lax.top_k(order, atoms)[1]
    return signals[chosen] / jnp.where(length > 0, length, 1)[chosen][:, None]


def online_init(dictionary: Atoms) -> Online:
    """The state at the start of online learning.

    Args:
        dictionary: `(atoms, features)`, such as `sample_atoms` draws; atoms longer than one are scaled to
            unit length.

    Returns:
        The state.

    Raises:
        ValueError: If it is no matrix.
        TypeError: If it is not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> dictionary.online_init(jnp.array([[3.0, 4.0], [0.0, 1.0]])).dictionary.round(4).tolist()
        [[0.6, 0.8], [0.0, 1.0]]
    """
    dictionary = _atoms(dictionary)
    length = jnp.linalg.norm(dictionary, axis=1, keepdims=True)
    return Online(
        dictionary / jnp.maximum(length, 1),
        jnp.zeros((len(dictionary), len(dictionary)), dictionary.dtype),
        jnp.zeros_like(dictionary),
        jnp.zeros((), jnp.int32),
    )


def online_step(
    state: Online,
    signals: Rows,
    penalty: Reals,
    *,
    forgetting: Number = 0.0,
    tolerance: Number = 1e-3,
    max_steps: int = 1000,
    sweeps: int = 1,
    nonnegative: bool = False,
) -> tuple[Online, dict[str, Array]]:
    r"""One step of online dictionary learning on a minibatch.

    Codes $z$ are those of the lasso. With their moments $A \leftarrow \beta_t A + \frac1n \sum z^T z$ and
    $B \leftarrow \beta_t B + \frac1n \sum z^T x$, $\beta_t = (1 - 1/t)^\rho$, block coordinate descent takes
    each atom to the minimum of $\frac12 \mathrm{tr}(D^T A D) - \mathrm{tr}(D^T B)$ over the unit ball, the
    others fixed: $u = d_j + (b_j - a_j D) / A_{jj}$, $d_j \leftarrow u / \max(1, \|u\|)$. An atom that no
    code uses becomes the signal of which most is left.

    Args:
        state: The state before.
        signals: `(n, features)`, the minibatch.
        penalty: $\lambda > 0$, one number or one an atom, `(atoms,)`.
        forgetting: $\rho \geq 0$: with 0 all minibatches count alike; the larger, the less old ones do.
        tolerance: of the codes' duality gap, relative to their objective.
        max_steps: of the lasso at most.
        sweeps: How many times to go through the atoms.
        nonnegative: Whether codes must be nonnegative.

    Returns:
        The state after, and of the codes under the dictionary before `"objective"`, the mean of
        $\frac12 \|x - zD\|^2 + \lambda \|z\|_1$, and `"converged"`, the share of signals that came to the
        tolerance.

    Raises:
        ValueError: If shapes do not match, or penalty or forgetting (where they have values) are out of
            range.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> start = dictionary.online_init(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> after, metrics = dictionary.online_step(start, jnp.array([[3.0, 1.0], [0.0, 2.0]]), 1.0)
        >>> after.dictionary.round(3).tolist(), metrics["objective"].round(3).item()
        ([[0.949, 0.316], [0.0, 1.0]], 2.25)

    References:
        Mairal, Bach, Ponce and Sapiro, Online learning for matrix factorization and sparse coding, 2010.
    """
    signals = _rows(signals, state.dictionary)
    _check_online(state, penalty, forgetting, sweeps)
    return _online_step(state, signals, penalty, forgetting, tolerance, max_steps, sweeps, nonnegative)


def _check_online(state, penalty, forgetting, sweeps):
    _check_penalty(penalty, len(state.dictionary))
    if not isinstance(forgetting, jax.core.Tracer) and not forgetting >= 0:
        raise ValueError(f"forgetting is {forgetting}: take 0, which forgets nothing, or more")
    if sweeps < 1:
        raise ValueError(f"sweeps is {sweeps}: go through the atoms at least once")


@partial(jax.jit, static_argnames=("max_steps", "sweeps", "nonnegative"))
def _online_step(state, signals, penalty, forgetting, tolerance, max_steps, sweeps, nonnegative):
    signals, whole = _whole(signals)
    before = state.dictionary
    solution = pursuit.lasso(
        before, signals, penalty, tolerance=tolerance, max_steps=max_steps, nonnegative=nonnegative
    )
    codes = solution.codes.astype(before.dtype)
    residual = signals - _product(codes, before)
    left = jnp.sum(residual**2, axis=1)
    objective = left / 2 + jnp.sum(penalty * jnp.abs(codes), axis=1)
    metrics = {
        "objective": _mean_over(whole, objective),
        "converged": jnp.mean((solution.converged & whole).astype(before.dtype)),
    }

    weight = 1 / jnp.maximum(jnp.sum(whole), 1)
    keep = jnp.where(state.step > 0, (1 - 1 / (state.step + 1.0)) ** forgetting, 1).astype(before.dtype)
    gram = keep * state.gram + weight * _product(codes.T, codes)
    cross = keep * state.cross + weight * _product(codes.T, signals)
    energy = jnp.diagonal(gram)
    used = energy > _UNUSED * jnp.mean(energy)

    def update(i, atoms):
        j = i % len(atoms)
        change = (cross[j] - _product(gram[j], atoms)) / jnp.where(used[j], energy[j], 1)
        moved = atoms[j] + change
        moved = moved / jnp.sqrt(jnp.maximum(1, jnp.sum(moved**2)))
        return atoms.at[j].set(jnp.where(used[j], moved, atoms[j]))

    after = lax.fori_loop(0, sweeps * len(before), update, before)
    after, renewed = _renewed(after, ~used, signals, left)
    # What was known of an atom is no longer true of the one in its place.
    gram = jnp.where(renewed[:, None] | renewed, 0, gram)
    cross = jnp.where(renewed[:, None], 0, cross)
    return Online(after, gram, cross, state.step + 1), metrics


def online(
    state: Online,
    signals: Rows,
    penalty: Reals,
    key: RandomKey,
    *,
    steps: int,
    batch: int = 256,
    forgetting: Number = 0.0,
    tolerance: Number = 1e-3,
    max_steps: int = 1000,
    sweeps: int = 1,
    nonnegative: bool = False,
) -> tuple[Online, dict[str, Array]]:
    r"""Online dictionary learning: many steps on minibatches drawn from signals.

    It minimises $\sum_x \min_z \frac12 \|x - zD\|^2 + \lambda \|z\|_1$ over dictionaries whose atoms have at
    most unit length. `online_step` says how.

    Args:
        state: Where to go on from: `online_init(sample_atoms(key, signals, atoms))`, or a state that an
            earlier call returned.
        signals: `(n, features)`.
        penalty: $\lambda > 0$, one number or one an atom, `(atoms,)`.
        key: The minibatch of step `t` is drawn, with replacement, from `fold_in(key, t)`.
        steps: How many to take.
        batch: Signals in a minibatch, from 1 to `n`.
        forgetting: As in `online_step`.
        tolerance: As in `online_step`.
        max_steps: As in `online_step`.
        sweeps: As in `online_step`.
        nonnegative: As in `online_step`.

    Returns:
        The state after, and the metrics of each step, `(steps,)`.

    Raises:
        ValueError: If shapes do not match, or a number (where it has a value) is out of range.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import dictionary
        >>> signals = jax.random.laplace(jax.random.key(0), (500, 6))
        >>> start = dictionary.online_init(dictionary.sample_atoms(jax.random.key(1), signals, 9))
        >>> learnt, metrics = dictionary.online(start, signals, 1.0, jax.random.key(2), steps=30, batch=100)
        >>> bool(metrics["objective"][-10:].mean() < metrics["objective"][0])
        True

    References:
        Mairal, Bach, Ponce and Sapiro, Online learning for matrix factorization and sparse coding, 2010.
    """
    signals = _rows(signals, state.dictionary)
    _check_online(state, penalty, forgetting, sweeps)
    _check_steps(steps)
    _check_batch(batch, len(signals))
    return _online(
        state, signals, penalty, key, forgetting, tolerance, steps, batch, max_steps, sweeps, nonnegative
    )


@partial(jax.jit, static_argnames=("steps", "batch", "max_steps", "sweeps", "nonnegative"))
def _online(
    state, signals, penalty, key, forgetting, tolerance, steps, batch, max_steps, sweeps, nonnegative
):
    def step(state, _):
        chosen = _drawn(signals, key, state.step, batch)
        return _online_step(state, chosen, penalty, forgetting, tolerance, max_steps, sweeps, nonnegative)

    return lax.scan(step, state, length=steps)


def ksvd_init(dictionary: Atoms) -> KSVD:
    """The state at the start of K-SVD.

    Args:
        dictionary: `(atoms, features)`, such as `sample_atoms` draws; scaled to unit length.

    Returns:
        The state.

    Raises:
        ValueError: If it is no matrix.
        TypeError: If it is not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> dictionary.ksvd_init(jnp.array([[3.0, 4.0], [0.0, 0.5]])).dictionary.round(4).tolist()
        [[0.6, 0.8], [0.0, 1.0]]
    """
    dictionary = _atoms(dictionary)
    length = jnp.linalg.norm(dictionary, axis=1, keepdims=True)
    return KSVD(dictionary / jnp.where(length > 0, length, 1), jnp.zeros((), jnp.int32))


def ksvd_step(
    state: KSVD,
    signals: Rows,
    *,
    sparsity: int,
    tolerance: Number = 0.0,
    uses: int = 1,
    coherence: Number = 0.99,
) -> tuple[KSVD, dict[str, Array]]:
    r"""One step of K-SVD on all signals: codes of a few atoms each, then each atom with its codes.

    Codes are those of orthogonal matching pursuit. Then, atom by atom, $E$ being what the other atoms leave
    of the signals that use this one, the atom and its codes become the best approximation of rank one,
    $E \approx z^T d$, which never raises the error. Last, an atom that fewer than `uses` signals use, or that
    is another one over again, becomes the signal of which most is left.

    Args:
        state: The state before.
        signals: `(n, features)`.
        sparsity: Atoms of a signal at most, from 1 to their number.
        tolerance: A signal takes no further atom once its residual's norm is at most this.
        uses: Signals that keep an atom, at least 1.
        coherence: Atoms whose inner product is larger in size count as one, from 0 to 1.

    Returns:
        The state after, and root mean squares of the residual's entries: `"coded"`, with the dictionary
        before, and `"error"`, after the atoms were fitted and before any was replaced; and `"renewed"`, how
        many were.

    Raises:
        ValueError: If shapes do not match, or sparsity or uses are out of range.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> signals = jnp.array([[2.0, 1.0], [-4.0, -2.0], [0.0, 3.0]])
        >>> after, metrics = dictionary.ksvd_step(dictionary.ksvd_init(jnp.eye(2)), signals, sparsity=1)
        >>> after.dictionary.round(3).tolist(), abs(metrics["error"].round(3).item())
        ([[0.894, 0.447], [0.0, 1.0]], 0.0)

    References:
        Aharon, Elad and Bruckstein, K-SVD: an algorithm for designing overcomplete dictionaries for sparse
        representation, 2006.
    """
    signals = _rows(signals, state.dictionary)
    _check_ksvd(state, sparsity, uses)
    return _ksvd_step(state, signals, tolerance, coherence, sparsity, uses)


def _check_ksvd(state, sparsity, uses):
    atoms = len(state.dictionary)
    if not 1 <= sparsity <= atoms:
        raise ValueError(f"sparsity is {sparsity}: of {atoms} atoms, 1 to {atoms} can be chosen")
    if uses < 1:
        raise ValueError(f"uses is {uses}: an atom is kept by at least 1 signal")


@partial(jax.jit, static_argnames=("sparsity", "uses"))
def _ksvd_step(state, signals, tolerance, coherence, sparsity, uses):
    signals, whole = _whole(signals)
    before = state.dictionary
    found = pursuit.orthogonal_matching_pursuit(before, signals, sparsity=sparsity, tolerance=tolerance)
    codes = found.codes.astype(before.dtype)
    residual = signals - _product(codes, before)
    count = jnp.sum(codes != 0, axis=0)

    def fit(j, carry):
        atoms, residual = carry
        code = codes[:, j]
        on = (code != 0)[:, None]
        without = jnp.where(on, residual + code[:, None] * atoms[j], 0)
        best = jnp.linalg.eigh(_product(without.T, without))[1][:, -1]
        best = jnp.where(jnp.sum(best * atoms[j]) < 0, -best, best)
        best = jnp.where(count[j] > 0, best, atoms[j])
        image = _product(without, best)[:, None] * best
        return atoms.at[j].set(best), jnp.where(on, without - image, residual)

    after, fitted = lax.fori_loop(0, len(before), fit, (before, residual))
    twin = jnp.abs(jnp.tril(_product(after, after.T), -1)) > coherence
    left = jnp.sum(fitted**2, axis=1)
    after, renewed = _renewed(after, (count < uses) | jnp.any(twin, axis=1), signals, left)
    entries = jnp.maximum(jnp.sum(whole) * signals.shape[1], 1)
    metrics = {
        "coded": jnp.sqrt(jnp.sum(residual**2) / entries),
        "error": jnp.sqrt(jnp.sum(fitted**2) / entries),
        "renewed": jnp.sum(renewed),
    }
    return KSVD(after, state.step + 1), metrics


def ksvd(
    state: KSVD,
    signals: Rows,
    *,
    sparsity: int,
    steps: int,
    tolerance: Number = 0.0,
    uses: int = 1,
    coherence: Number = 0.99,
) -> tuple[KSVD, dict[str, Array]]:
    r"""K-SVD: many steps, each on all signals.

    It minimises $\sum_x \|x - zD\|^2$ over dictionaries of unit atoms and codes of at most `sparsity` of
    them. `ksvd_step` says how.

    Args:
        state: Where to go on from: `ksvd_init(sample_atoms(key, signals, atoms))`, or a state that an earlier
            call returned.
        signals: `(n, features)`.
        sparsity: Atoms of a signal at most, from 1 to their number.
        steps: How many to take.
        tolerance: As in `ksvd_step`.
        uses: As in `ksvd_step`.
        coherence: As in `ksvd_step`.

    Returns:
        The state after, and the metrics of each step, `(steps,)`.

    Raises:
        ValueError: If shapes do not match, or a number is out of range.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import dictionary
        >>> signals = jax.random.laplace(jax.random.key(0), (500, 6))
        >>> start = dictionary.ksvd_init(dictionary.sample_atoms(jax.random.key(1), signals, 9))
        >>> learnt, metrics = dictionary.ksvd(start, signals, sparsity=2, steps=10)
        >>> bool(metrics["error"][-1] < metrics["coded"][0])
        True

    References:
        Aharon, Elad and Bruckstein, K-SVD: an algorithm for designing overcomplete dictionaries for sparse
        representation, 2006.
    """
    signals = _rows(signals, state.dictionary)
    _check_ksvd(state, sparsity, uses)
    _check_steps(steps)
    return _ksvd(state, signals, tolerance, coherence, sparsity, steps, uses)


@partial(jax.jit, static_argnames=("sparsity", "steps", "uses"))
def _ksvd(state, signals, tolerance, coherence, sparsity, steps, uses):
    def step(state, _):
        return _ksvd_step(state, signals, tolerance, coherence, sparsity, uses)

    return lax.scan(step, state, length=steps)


def cauchy_codes(
    dictionary: Atoms,
    signals: Values,
    penalty: Number,
    scale: Number = 1.0,
    *,
    tolerance: Number = 1e-3,
    max_steps: int = 200,
) -> CauchyCodes:
    r"""Codes with a heavy-tailed prior: $\frac12 \|x - aD\|^2 + \lambda \sum_i \log(1 + (a_i / \sigma)^2)$.

    By conjugate gradients from zero to a local minimum. A step is the minimum along its direction of a
    quadratic that touches the objective and is nowhere below it, so that the objective never rises.

    Args:
        dictionary: $D$, `(atoms, features)`, of any lengths.
        signals: $x$, `(..., features)`.
        penalty: $\lambda > 0$.
        scale: $\sigma > 0$.
        tolerance: A signal is done once a step is sure to lower the objective by at most this share of it.
        max_steps: at most.

    Returns:
        Codes `(..., atoms)` with their objective. A signal with infinities or NaN has codes and objective of
        NaN and is not converged.

    Raises:
        ValueError: If shapes do not match, or penalty or scale (where they have values) are not positive.
        TypeError: If something is not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> dictionary.cauchy_codes(jnp.eye(2), jnp.array([2.0, 0.3]), 0.2, tolerance=1e-6).codes.round(3)
        Array([1.832..., 0.217...], dtype=float32)

    References:
        Olshausen and Field, Emergence of simple-cell receptive field properties by learning a sparse code for
        natural images, 1996.
    """
    dictionary, signals = _atoms(dictionary), _floating("signals", signals)
    if signals.ndim < 1 or signals.shape[-1] != dictionary.shape[1]:
        raise ValueError(
            f"the dictionary is {dictionary.shape} and signals are {signals.shape}: their last axes must be "
            "the same features"
        )
    _check_positive("the penalty", penalty)
    _check_positive("the scale", scale)
    _check_steps(max_steps)
    return _cauchy_codes(dictionary, signals, penalty, scale, tolerance, max_steps)


@partial(jax.jit, static_argnames=("max_steps",))
def _cauchy_codes(dictionary, signals, penalty, scale, tolerance, max_steps) -> CauchyCodes:
    dtype = jnp.result_type(dictionary, signals)
    dictionary = dictionary.astype(dtype)
    rows, whole = _whole(signals.astype(dtype).reshape(-1, signals.shape[-1]))
    penalty, scale = jnp.asarray(penalty, dtype), jnp.asarray(scale, dtype)
    gram = _product(dictionary, dictionary.T)

    def objective(a, energy):
        return energy / 2 + penalty * jnp.sum(jnp.log1p((a / scale) ** 2), axis=1)

    def step(carry):
        count, a, c, d, old, energy, _, steps, live = carry
        bend = 2 * penalty / (scale**2 + a**2)
        downhill = c - bend * a
        square = jnp.sum(old**2, axis=1)
        # Polak and Ribière's, not below zero; where the direction does not go down, begin anew.
        turn = jnp.sum(downhill * (downhill - old), axis=1) / jnp.where(square > 0, square, 1)
        direction = downhill + jnp.maximum(turn, 0)[:, None] * d
        falls = jnp.sum(direction * downhill, axis=1) > 0
        direction = jnp.where(falls[:, None], direction, downhill)
        image = _product(direction, gram)
        slope = jnp.sum(direction * downhill, axis=1)
        straight = jnp.sum(direction * image, axis=1)
        curvature = straight + jnp.sum(bend * direction**2, axis=1)
        length = jnp.where(curvature > 0, slope / jnp.where(curvature > 0, curvature, 1), 0)
        decrease = length * slope / 2
        going = live & (decrease > tolerance * objective(a, energy))
        length = jnp.where(going, length, 0)
        moved = energy - 2 * length * jnp.sum(direction * c, axis=1) + length**2 * straight
        length = length[:, None]
        return (
            count + 1,
            a + length * direction,
            c - length * image,
            direction,
            downhill,
            jnp.maximum(moved, 0),
            jnp.where(live, decrease, carry[6]),
            steps + going,
            going,
        )

    def goes_on(carry):
        return (carry[0] < max_steps) & jnp.any(carry[-1])

    count = len(rows)
    nothing = jnp.zeros((count, len(dictionary)), dtype)
    energy = jnp.sum(rows**2, axis=1)
    carry = (
        0,
        nothing,
        _product(rows, dictionary.T),
        nothing,
        nothing,
        energy,
        jnp.zeros(count, dtype),
        jnp.zeros(count, int),
        energy > 0,
    )
    _, a, _, _, _, _, decrease, steps, live = lax.while_loop(goes_on, step, carry)
    # The energy in the loop drifts by its updates' rounding.
    value = objective(a, jnp.sum((rows - _product(a, dictionary)) ** 2, axis=1))
    leading = signals.shape[:-1]
    return CauchyCodes(
        jnp.where(whole[:, None], a, jnp.nan).reshape(*leading, -1),
        jnp.where(whole, value, jnp.nan).reshape(leading),
        jnp.where(whole, decrease, jnp.nan).reshape(leading),
        steps.reshape(leading),
        (whole & ~live).reshape(leading),
    )


def sparsenet_init(dictionary: Atoms, *, variance: Number = 1.0) -> Sparsenet:
    """The state at the start of learning as Olshausen and Field did.

    Args:
        dictionary: `(atoms, features)`, such as random directions.
        variance: of the codes, as it is to be, positive.

    Returns:
        The state.

    Raises:
        ValueError: If it is no matrix, or the variance (where it has a value) is not positive.
        TypeError: If it is not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> dictionary.sparsenet_init(jnp.eye(2)).variance
        Array([1., 1.], dtype=float32)
    """
    dictionary = _atoms(dictionary)
    _check_positive("the variance", variance)
    running = jnp.full(len(dictionary), variance, dictionary.dtype)
    return Sparsenet(dictionary, running, jnp.zeros((), jnp.int32))


def sparsenet_step(
    state: Sparsenet,
    signals: Rows,
    *,
    rate: Number,
    penalty: Number = 0.22,
    scale: Number = 1.0,
    variance: Number = 1.0,
    memory: Number = 0.01,
    gain: Number = 0.02,
    tolerance: Number = 1e-3,
    max_steps: int = 200,
) -> tuple[Sparsenet, dict[str, Array]]:
    r"""One step down the gradient with respect to the dictionary, on a minibatch.

    Codes $a$ are those of `cauchy_codes`; atoms move by
    $d_i \leftarrow d_i + \eta \langle a_i (x - aD) \rangle$. Then each is given the length that it had
    before, times $(s_i / s)^\alpha$, with the running variance
    $s_i \leftarrow (1 - m) s_i + m \langle a_i^2 \rangle$ of its code: an atom whose codes vary too much
    grows longer, and they shrink.

    The defaults are the paper's for signals of unit variance: in the form of `cauchy_codes`, half its
    $\lambda = 0.14\, \sigma$ at $\sigma^2 = 0.1$ is $0.22\, \sigma^2$.

    Args:
        state: The state before.
        signals: `(n, features)`, the minibatch.
        rate: $\eta > 0$.
        penalty: $\lambda > 0$.
        scale: $\sigma > 0$.
        variance: $s > 0$, which the codes are to have.
        memory: $m$ of the running variances, from 0 to 1.
        gain: $\alpha$ of the lengths.
        tolerance: As in `cauchy_codes`.
        max_steps: As in `cauchy_codes`.

    Returns:
        The state after, and of the codes under the dictionary before `"objective"`, the mean, `"converged"`,
        the share of signals that came to the tolerance, and `"kurtosis"`, the mean over atoms in use of
        $\langle a^4 \rangle / \langle a^2 \rangle^2$, which is 3 for a Gaussian.

    Raises:
        ValueError: If shapes do not match, or rate, penalty, scale or variance (where they have values) are
            not positive.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> start = dictionary.sparsenet_init(jnp.eye(2))
        >>> after, _ = dictionary.sparsenet_step(start, jnp.array([[3.0, 1.0], [-3.0, -1.0]]), rate=0.1)
        >>> after.dictionary.round(2).tolist()
        [[1.0, 0.06], [0.01, 1.0]]

    References:
        Olshausen and Field, Emergence of simple-cell receptive field properties by learning a sparse code for
        natural images, 1996.
    """
    signals = _rows(signals, state.dictionary)
    numbers = {"rate": rate, "penalty": penalty, "scale": scale, "variance": variance}
    numbers |= {"memory": memory, "gain": gain, "tolerance": tolerance}
    _check_sparsenet(numbers, max_steps)
    return _sparsenet_step(state, signals, numbers, max_steps)


def _check_sparsenet(numbers, max_steps):
    for name in ("rate", "penalty", "scale", "variance"):
        _check_positive(f"the {name}", numbers[name])
    _check_steps(max_steps)


@partial(jax.jit, static_argnames=("max_steps",))
def _sparsenet_step(state, signals, numbers, max_steps):
    signals, whole = _whole(signals)
    before, dtype = state.dictionary, state.dictionary.dtype
    rate, penalty, scale, variance, memory, gain, tolerance = (
        jnp.asarray(numbers[name], dtype)
        for name in ("rate", "penalty", "scale", "variance", "memory", "gain", "tolerance")
    )
    found = _cauchy_codes(before, signals, penalty, scale, tolerance, max_steps)
    codes = found.codes.astype(dtype)
    count = jnp.maximum(jnp.sum(whole), 1)
    residual = signals - _product(codes, before)
    after = before + rate * _product(codes.T, residual) / count
    square = jnp.sum(codes**2, axis=0) / count
    running = (1 - memory) * state.variance + memory * square
    old, new = jnp.linalg.norm(before, axis=1), jnp.linalg.norm(after, axis=1)
    length = old * (running / variance) ** gain
    after = after * (length / jnp.where(new > 0, new, 1))[:, None]
    # The shorter an atom, the less it pays to use it: one that falls behind would vanish.
    fresh, renewed = _renewed(after, running < _SILENT * variance, signals, jnp.sum(residual**2, axis=1))
    after = jnp.where(renewed[:, None], jnp.mean(old) * fresh, after)
    running = jnp.where(renewed, variance, running)
    relative = codes / jnp.sqrt(jnp.where(square > 0, square, 1))
    metrics = {
        "objective": _mean_over(whole, found.objective),
        "converged": jnp.mean((found.converged & whole).astype(dtype)),
        "kurtosis": jnp.sum(relative**4) / (count * jnp.maximum(jnp.sum(square > 0), 1)),
    }
    return Sparsenet(after, running, state.step + 1), metrics


def sparsenet(
    state: Sparsenet,
    signals: Rows,
    key: RandomKey,
    *,
    steps: int,
    rate: Number,
    batch: int = 100,
    penalty: Number = 0.22,
    scale: Number = 1.0,
    variance: Number = 1.0,
    memory: Number = 0.01,
    gain: Number = 0.02,
    tolerance: Number = 1e-3,
    max_steps: int = 200,
) -> tuple[Sparsenet, dict[str, Array]]:
    r"""Olshausen and Field's learning: many steps on minibatches drawn from signals.

    It minimises $\sum_x \min_a \frac12 \|x - aD\|^2 + \lambda \sum_i \log(1 + (a_i / \sigma)^2)$ over
    dictionaries whose codes all have the same variance. `sparsenet_step` says how. For a rate that falls,
    call it again with a smaller one.

    Args:
        state: Where to go on from: `sparsenet_init(dictionary)`, or a state that an earlier call returned.
        signals: `(n, features)`, such as whitened patches of unit variance.
        key: The minibatch of step `t` is drawn, with replacement, from `fold_in(key, t)`.
        steps: How many to take.
        rate: $\eta > 0$.
        batch: Signals in a minibatch, from 1 to `n`.
        penalty: As in `sparsenet_step`.
        scale: As in `sparsenet_step`.
        variance: As in `sparsenet_step`.
        memory: As in `sparsenet_step`.
        gain: As in `sparsenet_step`.
        tolerance: As in `cauchy_codes`.
        max_steps: As in `cauchy_codes`.

    Returns:
        The state after, and the metrics of each step, `(steps,)`.

    Raises:
        ValueError: If shapes do not match, or a number (where it has a value) is out of range.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import dictionary
        >>> signals = jax.random.laplace(jax.random.key(0), (500, 6))
        >>> start = dictionary.sparsenet_init(jax.random.normal(jax.random.key(1), (6, 6)))
        >>> learnt, metrics = dictionary.sparsenet(start, signals, jax.random.key(2), steps=200, rate=0.1)
        >>> bool(metrics["kurtosis"][-20:].mean() > metrics["kurtosis"][:20].mean())
        True

    References:
        Olshausen and Field, Emergence of simple-cell receptive field properties by learning a sparse code for
        natural images, 1996.
    """
    signals = _rows(signals, state.dictionary)
    numbers = {"rate": rate, "penalty": penalty, "scale": scale, "variance": variance}
    numbers |= {"memory": memory, "gain": gain, "tolerance": tolerance}
    _check_sparsenet(numbers, max_steps)
    _check_steps(steps)
    _check_batch(batch, len(signals))
    return _sparsenet(state, signals, key, numbers, steps, batch, max_steps)


@partial(jax.jit, static_argnames=("steps", "batch", "max_steps"))
def _sparsenet(state, signals, key, numbers, steps, batch, max_steps):
    def step(state, _):
        return _sparsenet_step(state, _drawn(signals, key, state.step, batch), numbers, max_steps)

    return lax.scan(step, state, length=steps)


def denoise(
    dictionary: Atoms,
    images: Values,
    noise: Number,
    size: tuple[int, int],
    *,
    gain: Number = 1.15,
    fidelity: Number = 1.0,
    sparsity: int | None = None,
) -> Float[Array, "... H W"]:
    r"""Takes white noise from grey images: every patch becomes a few atoms, and patches are averaged.

    All patches, which overlap, are coded without their means by orthogonal matching pursuit down to a
    residual of $g\, \sigma \sqrt{h w}$; a pixel is the mean of what its patches say, and of itself with
    weight $w$.

    Args:
        dictionary: `(atoms, features)`, of patches without their means, such as `ksvd` finds; `features` is
            `h w`, the rows of a patch one after the other.
        images: `(..., H, W)`.
        noise: $\sigma > 0$, the noise's standard deviation.
        size: `(h, w)` of the patches.
        gain: $g > 0$.
        fidelity: $w \ge 0$.
        sparsity: Atoms of a patch at most; by default half as many as it has pixels.

    Returns:
        `(..., H, W)`.

    Raises:
        ValueError: If patches of this size are not the dictionary's or do not fit, the sparsity is out of
            range, or a number (where it has a value) is.
        TypeError: If images are not real floating point.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> clean = jnp.zeros((16, 16)).at[:, 8:].set(1.0)
        >>> noisy = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
        >>> steps = jnp.tril(jnp.ones((4, 4)))[:3, None] - jnp.arange(1, 4)[:, None, None] / 4
        >>> atoms = jnp.broadcast_to(steps, (3, 4, 4)).reshape(3, 16)
        >>> found = dictionary.denoise(atoms, noisy, 0.1, (4, 4))
        >>> bool(((found - clean) ** 2).mean() < ((noisy - clean) ** 2).mean() / 4)
        True

    References:
        Elad and Aharon, Image denoising via sparse and redundant representations over learned dictionaries,
        2006.
    """
    dictionary = _atoms(dictionary)
    images = _floating("images", images).astype(dictionary.dtype)
    atoms, features = dictionary.shape
    if len(size) != 2 or min(size) < 1 or size[0] * size[1] != features:
        raise ValueError(f"patches of size {size} are not those of a dictionary of {features} features")
    if images.ndim < 2 or any(n < k for n, k in zip(images.shape[-2:], size)):
        raise ValueError(f"patches of size {size} do not fit into images (..., H, W), found {images.shape}")
    sparsity = min(atoms, max(1, features // 2)) if sparsity is None else sparsity
    if not 1 <= sparsity <= atoms:
        raise ValueError(f"sparsity is {sparsity}: of {atoms} atoms, 1 to {atoms} can be chosen")
    _check_positive("noise", noise)
    _check_positive("gain", gain)
    if not isinstance(fidelity, jax.core.Tracer) and not fidelity >= 0:
        raise ValueError(f"fidelity is {fidelity}: take 0 or more")
    return _denoised(dictionary, images, noise, gain, fidelity, tuple(size), sparsity)


@partial(jax.jit, static_argnames=("size", "sparsity"))
def _denoised(dictionary, images, noise, gain, fidelity, size, sparsity):
    (h, w), (H, W) = size, images.shape[-2:]
    down, across = H - h + 1, W - w + 1
    rows = min(down, max(1, _STRIP // across))
    tolerance = gain * noise * np.sqrt(h * w)

    def coded(patches):
        """What the atoms say of patches; those of like energy take about as many atoms."""
        order = jnp.argsort(jnp.sum(patches**2, axis=1))
        blocks = jnp.pad(patches[order], ((0, -len(patches) % _BLOCK), (0, 0))).reshape(-1, _BLOCK, h * w)

        def block(some):
            found = pursuit.orthogonal_matching_pursuit(
                dictionary, some, sparsity=sparsity, tolerance=tolerance
            )
            return _product(found.codes, dictionary)

        said = lax.map(block, blocks).reshape(-1, h * w)[: len(patches)]
        return jnp.zeros_like(patches).at[order].set(said)

    def one(image):
        def add(total, start):
            # The last rows of patches are as many as the others, some of them counted before.
            first = jnp.minimum(start, down - rows)
            part = lax.dynamic_slice_in_dim(image, first, rows + h - 1)
            shifts = [part[i : i + rows, j : j + across] for i in range(h) for j in range(w)]
            patches = jnp.stack(shifts, axis=-1).reshape(-1, h * w)
            mean = jnp.mean(patches, axis=1, keepdims=True)
            said = (coded(patches - mean) + mean).reshape(rows, across, h, w)
            said = jnp.where((first + jnp.arange(rows) >= start)[:, None, None, None], said, 0)
            said = sum(jnp.pad(said[:, :, i], ((i, h - 1 - i), (0, 0), (0, 0))) for i in range(h))
            said = sum(jnp.pad(said[:, :, j], ((0, 0), (j, w - 1 - j))) for j in range(w))
            before = lax.dynamic_slice_in_dim(total, first, rows + h - 1)
            return lax.dynamic_update_slice_in_dim(total, before + said, first, 0), None

        return lax.scan(add, fidelity * image, np.arange(0, down, rows))[0]

    # How many patches a pixel has.
    counts = [np.convolve(np.ones(n - k + 1), np.ones(k)) for n, k in zip((H, W), size)]
    totals = lax.map(one, images.reshape(-1, H, W))
    means = totals / (fidelity + jnp.asarray(np.outer(*counts), images.dtype))
    return means.reshape(images.shape)


def whiten_images(images: Values, *, cutoff: Number = 200 / 512) -> Float[Array, "..."]:
    r"""Images filtered by $R(f) = f e^{-(f / f_0)^4}$, which whitens natural images up to their noise.

    Amplitudes of natural images fall about as $1/f$, which the ramp undoes; the rest is a low pass that
    leaves out the corners of the spectrum. The images count as periodic: leave out a border of some pixels
    afterwards, where opposite sides meet.

    Args:
        images: `(..., H, W)`.
        cutoff: $f_0 > 0$, in cycles a pixel; the paper's 200 cycles a picture of 512 pixels by default.

    Returns:
        `(..., H, W)`, of mean zero; $f$ is in cycles a pixel, so scale them afterwards.

    Raises:
        ValueError: If there are no two axes, or the cutoff (where it has a value) is not positive.
        TypeError: If images are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> wave = jnp.cos(2 * jnp.pi * jnp.arange(8) / 4)[None] * jnp.ones((8, 1))
        >>> dictionary.whiten_images(wave)[0, :2].round(4) + 0.0
        Array([0.2114, 0.    ], dtype=float32)

    References:
        Olshausen and Field, Emergence of simple-cell receptive field properties by learning a sparse code for
        natural images, 1996.
    """
    images = _floating("images", images)
    if images.ndim < 2:
        raise ValueError(f"images are (..., H, W), found {images.shape}")
    _check_positive("the cutoff", cutoff)
    H, W = images.shape[-2:]
    down, across = np.fft.fftfreq(H)[:, None], np.fft.rfftfreq(W)
    f = jnp.asarray(np.hypot(down, across), images.dtype)
    return jnp.fft.irfft2(jnp.fft.rfft2(images) * f * jnp.exp(-((f / cutoff) ** 4)), s=(H, W))


def whitening(
    signals: Rows,
    *,
    kind: Literal["pca", "zca"] = "zca",
    components: int | None = None,
    regularization: Number = 0.0,
) -> Whitening:
    r"""The affine map that makes the features of these signals uncorrelated and of unit variance.

    With the covariance $C = V \Lambda V^T$, `"pca"` is $V (\Lambda + \epsilon)^{-1/2}$, whose features are
    the principal components, the largest first, and `"zca"` $V (\Lambda + \epsilon)^{-1/2} V^T$, of all such
    maps the one that changes the signals least. Directions in which the signals do not vary are mapped to
    zero.

    Args:
        signals: `(n, features)`, at least two.
        kind: `"pca"` or `"zca"`.
        components: Principal components to keep, from 1 to the features; by default all.
        regularization: $\epsilon \geq 0$, added to the variances.

    Returns:
        The map, for `whiten` and `unwhiten`.

    Raises:
        ValueError: If there are fewer than two signals, or an option is out of range.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import dictionary
        >>> signals = jax.random.normal(jax.random.key(0), (100, 3)) * jax.numpy.arange(1.0, 4)
        >>> white = dictionary.whiten(dictionary.whitening(signals), signals)
        >>> (white.T @ white / 100).round(3) + 0.0
        Array([[1., 0., 0.],
               [0., 1., 0.],
               [0., 0., 1.]], dtype=float32)

    References:
        Bell and Sejnowski, The "independent components" of natural scenes are edge filters, 1997.
    """
    signals = _rows(signals)
    n, features = signals.shape
    if n < 2:
        raise ValueError("whitening needs at least two signals to take variances of, found one")
    if kind not in ("pca", "zca"):
        raise ValueError(f"kind is {kind!r}: take 'pca' or 'zca'")
    if components is not None and not 1 <= components <= features:
        raise ValueError(f"components is {components}: of {features} features, 1 to {features} can be kept")
    if not isinstance(regularization, jax.core.Tracer) and not regularization >= 0:
        raise ValueError(f"regularization is {regularization}: take 0 or more")
    return _whitening(signals, regularization, kind, components or features)


@partial(jax.jit, static_argnames=("kind", "components"))
def _whitening(signals, regularization, kind, components):
    signals, whole = _whole(signals)
    count = jnp.maximum(jnp.sum(whole), 1)
    mean = jnp.sum(signals, axis=0) / count
    centred = jnp.where(whole[:, None], signals - mean, 0)
    variances, vectors = jnp.linalg.eigh(_product(centred.T, centred) / count)
    variances, vectors = variances[::-1][:components], vectors[:, ::-1][:, :components]
    # Rounding leaves a direction without variance a little of it.
    known = variances > len(mean) * jnp.finfo(signals.dtype).eps * variances[0]
    scale = jnp.where(known, jnp.sqrt(jnp.where(known, variances, 1) + regularization), 1)
    back = vectors.T if kind == "zca" else jnp.eye(components, dtype=signals.dtype)
    return Whitening(
        mean,
        _product(vectors * jnp.where(known, 1 / scale, 0), back),
        _product(back.T, jnp.where(known, scale, 0)[:, None] * vectors.T),
    )


def whiten(whitening: Whitening, signals: Values) -> Float[Array, "..."]:
    """Signals without the mean, multiplied with the whitening's matrix.

    Args:
        whitening: What `whitening` returned.
        signals: `(..., features)`.

    Returns:
        `(..., components)`, for `"zca"` `(..., features)`.

    Raises:
        ValueError: If the features do not match.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> signals = jnp.array([[1.0, 0.0], [5.0, 0.0]])
        >>> dictionary.whiten(dictionary.whitening(signals, kind="pca", components=1), signals)[:, 0] ** 2
        Array([1., 1.], dtype=float32)
    """
    signals = _floating("signals", signals)
    _check_last(signals, len(whitening.mean), "features")
    return _product(signals - whitening.mean, whitening.matrix)


def unwhiten(whitening: Whitening, signals: Values) -> Float[Array, "..."]:
    """The way back from `whiten`, up to what it left out.

    Args:
        whitening: What `whitening` returned.
        signals: `(..., components)`, for `"zca"` `(..., features)`.

    Returns:
        `(..., features)`.

    Raises:
        ValueError: If the components do not match.
        TypeError: If signals are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import dictionary
        >>> signals = jnp.array([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0]])
        >>> made = dictionary.whitening(signals)
        >>> dictionary.unwhiten(made, dictionary.whiten(made, signals)).round(3) + 0.0
        Array([[1., 0.],
               [5., 0.],
               [0., 2.]], dtype=float32)
    """
    signals = _floating("signals", signals)
    _check_last(signals, len(whitening.inverse), "components")
    return _product(signals, whitening.inverse) + whitening.mean


def _check_last(signals, size: int, name: str):
    if signals.ndim < 1 or signals.shape[-1] != size:
        raise ValueError(f"this whitening is of {size} {name}, and signals have the shape {signals.shape}")
